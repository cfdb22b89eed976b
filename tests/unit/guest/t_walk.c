/* The walk of guest page tables: translations, rights, reserved bits, error codes, accessed and dirty bits.
 */
#include "gt.h"
#include "x86/guest/walk.h"

#define P  1ull
#define W  2ull
#define U  4ull
#define A  0x20ull
#define D  0x40ull
#define PS 0x80ull
#define NX BIT64(63)

static struct guest_event fault;
static u64 got;

static bool walk(u64 gva, enum gva_access access)
{
    memset(&fault, 0, sizeof(fault));
    got = ~0ull;
    return guest_gva_to_gpa(gt_v, gva, access, &got, &fault);
}

static void expect(u64 gva, enum gva_access access, u64 want)
{
    ck_assert_msg(walk(gva, access), "vector %u error %x", fault.vector, fault.error);
    ck_assert_uint_eq(got, want);
}

static void expect_pf(u64 gva, enum gva_access access, u32 error)
{
    ck_assert(!walk(gva, access));
    ck_assert_uint_eq(fault.vector, X86_PF);
    ck_assert(fault.has_error && fault.kind == EVENT_EXCEPTION);
    ck_assert_uint_eq(fault.error, error);
    ck_assert_uint_eq(fault.cr2, gva);
}

START_TEST(without_paging_linear_is_physical)
{
    gt_mode32();
    expect(0x12345678, GVA_WRITE, 0x12345678);
    expect(0x112345678, GVA_READ, 0x12345678);
}
END_TEST

START_TEST(four_levels_translate_4k_2m_and_1g_pages)
{
    u64 e;

    gt_mode64();
    gt_map(0x7f1234567000, 0x321000, P | W | U);
    expect(0x7f1234567abc, GVA_READ, 0x321abc);
    expect(0x1234567, GVA_READ, 0x1234567); /* 2 MiB pages of gt_mode64() */
    e = 0x40000000 | P | W | PS;            /* PDPT entry 1 */
    gt_write(GREG(CR3) + 0x1000 + 8, &e, 8);
    expect(0x7fffffff, GVA_READ, 0x7fffffff);
    expect(0x52345678, GVA_WRITE, 0x52345678);
}
END_TEST

START_TEST(five_levels_are_walked_with_la57)
{
    u64 pml5 = 0x3ff000, e = GREG(CR3);

    gt_mode64();
    e = GREG(CR3) | P | W | U;
    gt_write(pml5 + 8 * 3, &e, 8);
    GREG(CR3) = pml5;
    GREG(CR4) |= CR4_LA57;
    expect((3ull << 48) | 0x123456, GVA_READ, 0x123456);
    expect_pf((4ull << 48) | 0x123456, GVA_READ, 0);
    ck_assert(!walk(1ull << 57, GVA_READ));
    ck_assert_uint_eq(fault.vector, X86_GP);
}
END_TEST

START_TEST(non_canonical_is_gp_0)
{
    struct guest_paging p;

    gt_mode64();
    ck_assert(!walk(0x800000000000, GVA_READ));
    ck_assert_uint_eq(fault.vector, X86_GP);
    ck_assert(fault.has_error && fault.error == 0);
    arch_vcpu_paging(gt_v, &p);
    ck_assert(guest_canonical(&p, 0xffff800000000000));
    ck_assert(!guest_canonical(&p, 0xff00800000000000));
    p.cr4 |= CR4_LA57;
    ck_assert(guest_canonical(&p, 0xff00800000000000));
}
END_TEST

START_TEST(not_present_at_any_level)
{
    gt_mode64();
    expect_pf(0x7f0000000000, GVA_READ, 0);
    expect_pf(0x7f0000000000, GVA_WRITE, PF_WRITE);
    expect_pf(0x7f0000000000, GVA_FETCH, PF_FETCH);
    gt_f->cpl = 3;
    expect_pf(0x7f0000000000, GVA_READ, PF_USER);
    gt_map(0x7f0000000000, 0x1000, 0);
    expect_pf(0x7f0000000123, GVA_READ, PF_USER);
}
END_TEST

START_TEST(rights_follow_table_and_cpl)
{
    gt_mode64();
    gt_map(0x40000000, 0x1000, P | U); /* user, read-only */
    gt_map(0x40001000, 0x2000, P | W); /* supervisor */
    gt_map(0x40002000, 0x3000, P | W | U | NX);
    /* supervisor */
    expect(0x40000000, GVA_READ, 0x1000);
    expect_pf(0x40000000, GVA_WRITE, PF_PRESENT | PF_WRITE);
    GREG(CR0) &= ~CR0_WP;
    expect(0x40000000, GVA_WRITE, 0x1000);
    GREG(CR0) |= CR0_WP;
    expect(0x40001000, GVA_WRITE, 0x2000);
    expect_pf(0x40002000, GVA_FETCH, PF_PRESENT | PF_FETCH);
    expect(0x40000000, GVA_FETCH, 0x1000);
    /* user */
    gt_f->cpl = 3;
    expect(0x40000000, GVA_READ, 0x1000);
    GREG(CR0) &= ~CR0_WP;
    expect_pf(0x40000000, GVA_WRITE, PF_PRESENT | PF_WRITE | PF_USER);
    expect_pf(0x40001000, GVA_READ, PF_PRESENT | PF_USER);
    expect(0x40002000, GVA_WRITE, 0x3000);
    expect_pf(0x40002000, GVA_FETCH, PF_PRESENT | PF_FETCH | PF_USER);
}
END_TEST

START_TEST(rights_of_all_levels_count)
{
    u64 pml4e;

    gt_mode64();
    gt_map(0x7f0000000000, 0x1000, P | W | U);
    pml4e = gt_read64(GREG(CR3) + 254 * 8);
    pml4e = (pml4e & ~U) | NX;
    gt_write(GREG(CR3) + 254 * 8, &pml4e, 8);
    expect(0x7f0000000000, GVA_WRITE, 0x1000);
    expect_pf(0x7f0000000000, GVA_FETCH, PF_PRESENT | PF_FETCH);
    gt_f->cpl = 3;
    expect_pf(0x7f0000000000, GVA_READ, PF_PRESENT | PF_USER);
    gt_f->cpl = 0;
    pml4e = (pml4e & ~(W | NX)) | U;
    gt_write(GREG(CR3) + 254 * 8, &pml4e, 8);
    expect_pf(0x7f0000000000, GVA_WRITE, PF_PRESENT | PF_WRITE);
}
END_TEST

START_TEST(smep_and_smap_keep_the_supervisor_out_of_user_pages)
{
    gt_mode64();
    gt_map(0x40000000, 0x1000, P | W | U);
    GREG(CR4) |= CR4_SMEP;
    expect_pf(0x40000000, GVA_FETCH, PF_PRESENT | PF_FETCH);
    expect(0x40000000, GVA_READ, 0x1000);
    GREG(CR4) = CR4_PAE | CR4_SMAP;
    expect(0x40000000, GVA_FETCH, 0x1000);
    expect_pf(0x40000000, GVA_READ, PF_PRESENT);
    expect_pf(0x40000000, GVA_WRITE, PF_PRESENT | PF_WRITE);
    GREG(RFLAGS) |= RFLAGS_AC;
    expect(0x40000000, GVA_WRITE, 0x1000);
    GREG(RFLAGS) &= ~RFLAGS_AC;
    gt_f->cpl = 3;
    expect(0x40000000, GVA_WRITE, 0x1000);
}
END_TEST

START_TEST(fetch_bit_in_the_error_needs_nx_or_smep)
{
    gt_mode64();
    GREG(EFER) &= ~EFER_NXE;
    expect_pf(0x7f0000000000, GVA_FETCH, 0);
    GREG(CR4) |= CR4_SMEP;
    expect_pf(0x7f0000000000, GVA_FETCH, PF_FETCH);
}
END_TEST

START_TEST(reserved_bits_fault_as_such)
{
    u64 e;

    gt_mode64();
    gt_map(0x40000000, BIT64(40), P | W | U); /* the imitated CPU has 40 address bits */
    expect_pf(0x40000000, GVA_READ, PF_PRESENT | PF_RSVD);
    gt_map(0x40000000, 0x1000, P | W | U | NX);
    GREG(EFER) &= ~EFER_NXE;
    expect_pf(0x40000000, GVA_WRITE, PF_PRESENT | PF_RSVD | PF_WRITE);
    GREG(EFER) |= EFER_NXE;
    e = gt_read64(GREG(CR3) + 0x2000) | 0x2000; /* address bit 13 of a 2 MiB page */
    gt_write(GREG(CR3) + 0x2000, &e, 8);
    expect_pf(0x1000, GVA_READ, PF_PRESENT | PF_RSVD);
    e = gt_read64(GREG(CR3) + 0x2000) ^ 0x3000; /* bit 12 is PAT */
    gt_write(GREG(CR3) + 0x2000, &e, 8);
    expect(0x1000, GVA_READ, 0x1000);
    e = gt_read64(GREG(CR3)) | PS; /* PML4 entries have no large pages */
    gt_write(GREG(CR3), &e, 8);
    expect_pf(0x1000, GVA_READ, PF_PRESENT | PF_RSVD);
}
END_TEST

START_TEST(accessed_and_dirty_are_set_where_missing)
{
    u64 at;

    gt_mode64();
    gt_map(0x40000000, 0x1000, P | W | U);
    at = gt_pte(0x40000000);
    expect(0x40000000, GVA_READ, 0x1000);
    ck_assert_uint_eq(gt_read64(at), 0x1000 | P | W | U | A);
    expect(0x40000000, GVA_WRITE, 0x1000);
    ck_assert_uint_eq(gt_read64(at), 0x1000 | P | W | U | A | D);
    ck_assert_uint_eq(gt_read64(GREG(CR3)) & (A | D), A); /* never dirty above */
    gt_map(0x40000000, 0x1000, P);
    expect_pf(0x40000000, GVA_WRITE, PF_PRESENT | PF_WRITE);
    ck_assert_uint_eq(gt_read64(at), 0x1000 | P); /* a fault marks nothing */
}
END_TEST

START_TEST(tables_outside_of_ram_read_as_ones)
{
    gt_mode64();
    GREG(CR3) = 0x20000000;
    expect_pf(0x1000, GVA_READ, PF_PRESENT | PF_RSVD);
    ck_assert_ptr_null(gt_fatal);
}
END_TEST

static void pae(void)
{
    u64 pdpt = 0x300020, pd = 0x301000, pt = 0x302000, e;

    gt_mode32();
    GREG(CR0) |= CR0_PG | CR0_WP;
    GREG(CR4) = CR4_PAE;
    GREG(CR3) = pdpt;
    GREG(EFER) = EFER_NXE;
    e = pd | P;
    gt_write(pdpt + 3 * 8, &e, 8);
    e = pt | P | W | U;
    gt_write(pd, &e, 8);
    e = 0x200000 | P | W | PS;
    gt_write(pd + 8, &e, 8);
    e = 0x123000 | P | W | U | NX;
    gt_write(pt + 5 * 8, &e, 8);
}

START_TEST(pae_walks_three_levels_of_a_32_bit_address)
{
    u64 e;

    pae();
    expect(0xc0005678, GVA_READ, 0x123678);
    expect_pf(0xc0005678, GVA_FETCH, PF_PRESENT | PF_FETCH);
    expect(0xc0200010, GVA_WRITE, 0x200010);
    expect_pf(0x1000, GVA_READ, 0);
    ck_assert_uint_eq(gt_read64(0x300020 + 24) & A, 0); /* PDPT entries have no accessed bit */
    e = 0x301000 | P | W;
    gt_write(0x300020 + 24, &e, 8);
    expect_pf(0xc0005678, GVA_READ, PF_PRESENT | PF_RSVD);
}
END_TEST

START_TEST(legacy_32_bit_paging_with_4m_pages)
{
    u64 pd = 0x300000;
    u32 e = 0x301000 | (u32)(P | W | U);

    gt_mode32();
    GREG(CR0) |= CR0_PG | CR0_WP;
    GREG(CR3) = pd;
    gt_write(pd + 4 * 0x123, &e, 4);
    e = 0x45000 | (u32)(P | U);
    gt_write(0x301000 + 4 * 0x11, &e, 4);
    expect(0x48c11abc, GVA_READ, 0x45abc);
    expect_pf(0x48c11abc, GVA_WRITE, PF_PRESENT | PF_WRITE);
    e = 0x00c00000 | (1u << 13) | (u32)(P | W | PS); /* bit 32 of the address */
    gt_write(pd + 4 * 2, &e, 4);
    expect_pf(0x00812345, GVA_READ, 0); /* without PSE it points to a table, whose entry is not there */
    GREG(CR4) = CR4_PSE;
    expect(0x00812345, GVA_WRITE, 0x100c12345);
    e |= 1u << 21;
    gt_write(pd + 4 * 2, &e, 4);
    expect_pf(0x00812345, GVA_READ, PF_PRESENT | PF_RSVD);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, without_paging_linear_is_physical);
    tcase_add_test(t, four_levels_translate_4k_2m_and_1g_pages);
    tcase_add_test(t, five_levels_are_walked_with_la57);
    tcase_add_test(t, non_canonical_is_gp_0);
    tcase_add_test(t, not_present_at_any_level);
    tcase_add_test(t, rights_follow_table_and_cpl);
    tcase_add_test(t, rights_of_all_levels_count);
    tcase_add_test(t, smep_and_smap_keep_the_supervisor_out_of_user_pages);
    tcase_add_test(t, fetch_bit_in_the_error_needs_nx_or_smep);
    tcase_add_test(t, reserved_bits_fault_as_such);
    tcase_add_test(t, accessed_and_dirty_are_set_where_missing);
    tcase_add_test(t, tables_outside_of_ram_read_as_ones);
    tcase_add_test(t, pae_walks_three_levels_of_a_32_bit_address);
    tcase_add_test(t, legacy_32_bit_paging_with_4m_pages);
}

int main(void)
{
    return gt_main("walk", add);
}
