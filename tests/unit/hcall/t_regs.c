/* SET_VCPU_REGS: what a vCPU starts with, and what is refused. */
#include "hcall_test.h"

static struct hc_set_vcpu_regs p;

/* Protected mode, flat, no paging: what a device model sets up for a bzImage. */
static void protected_mode(void)
{
    memset(&p, 0, sizeof(p));
    p.regs.cr0 = 0x31;
    p.regs.cs_ar = 0xcf9b; /* as it stands in a descriptor, with limit bits that mean nothing here */
    p.regs.cs_limit = 0xffffffff;
    p.regs.cs_sel = 0x10;
    p.regs.ss_sel = p.regs.ds_sel = p.regs.es_sel = 0x18;
    p.regs.rip = 0x100000;
}

static void long_mode(void)
{
    protected_mode();
    p.regs.cr0 = 0x80050033;
    p.regs.cr4 = 0x20;
    p.regs.cr3 = 0x5000;
    p.regs.ia32_efer = 0x501;
    p.regs.cs_ar = 0xa09b;
    p.regs.rip = 0xffffffff80001000;
}

static s64 set(void)
{
    return hc_rsi(HC_SET_VCPU_REGS, ID_U1, &p, sizeof(p));
}

/* Starts the VM and gives the vCPU as it stands before its first instruction. */
static struct fake_vcpu *started(void)
{
    ck_assert_int_eq(hc(HC_START_VM, ID_U1, 0), 0);
    fake_run_others();
    return &fake_vcpus[slot(ID_U1)->vcpus[0].index];
}

static void setup(void)
{
    hcall_setup();
    reach(COL_CREATED);
    protected_mode();
}

static void expect_seg(const struct fake_vcpu *f, enum guest_seg s, u16 sel, u64 base, u32 limit, u32 attr)
{
    ck_assert_uint_eq(f->seg[s].sel, sel);
    ck_assert_uint_eq(f->seg[s].base, base);
    ck_assert_uint_eq(f->seg[s].limit, limit);
    ck_assert_uint_eq(f->seg[s].attr, attr);
}

START_TEST(the_vcpu_starts_with_every_register_as_given)
{
    const struct fake_vcpu *f;

    long_mode();
    for (unsigned i = 0; i < 16; i++)
        p.regs.gprs[i] = 0x1111111111111111ULL * i + 7;
    p.regs.gdt = (struct hc_descriptor_ptr){.limit = 0x1f, .base = 0xffff800000001000};
    p.regs.idt = (struct hc_descriptor_ptr){.limit = 0xfff, .base = 0x2000};
    p.regs.rflags = 0x3ad7;
    p.regs.fs_sel = 0x28;
    p.regs.gs_sel = 0x30;
    p.regs.ldt_sel = 0x40;
    p.regs.tr_sel = 0x48;
    ck_assert_int_eq(set(), 0);
    f = started();
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(f->regs.gpr[i], p.regs.gprs[i]);
    ck_assert_uint_eq(f->reg[REG_RIP], p.regs.rip);
    ck_assert_uint_eq(f->reg[REG_CR0], p.regs.cr0);
    ck_assert_uint_eq(f->reg[REG_CR3], p.regs.cr3);
    ck_assert_uint_eq(f->reg[REG_CR4], p.regs.cr4);
    ck_assert_uint_eq(f->reg[REG_EFER], p.regs.ia32_efer);
    ck_assert_uint_eq(f->reg[REG_RFLAGS], 0x3202); /* CF PF AF ZF SF OF dropped, bit 1 set */
    expect_seg(f, SEG_CS, 0x10, 0, 0xffffffff, 0xa09b);
    expect_seg(f, SEG_SS, 0x18, 0, 0xffffffff, 0xc093);
    expect_seg(f, SEG_DS, 0x18, 0, 0xffffffff, 0xc093);
    expect_seg(f, SEG_ES, 0x18, 0, 0xffffffff, 0xc093);
    expect_seg(f, SEG_FS, 0x28, 0, 0xffffffff, 0xc093);
    expect_seg(f, SEG_GS, 0x30, 0, 0xffffffff, 0xc093);
    expect_seg(f, SEG_LDTR, 0x40, 0, 0xffff, 0x82);
    expect_seg(f, SEG_TR, 0x48, 0, 0xffff, 0x8b);
    ck_assert_uint_eq(f->seg[SEG_GDTR].base, 0xffff800000001000);
    ck_assert_uint_eq(f->seg[SEG_GDTR].limit, 0x1f);
    ck_assert_uint_eq(f->seg[SEG_IDTR].limit, 0xfff);
}
END_TEST

START_TEST(a_vcpu_that_is_created_later_leaves_the_registers_of_the_others)
{
    const struct hc_create_vcpu second = {.vcpu_id = 1};

    p.regs.rip = 0x123450;
    ck_assert_int_eq(set(), 0);
    ck_assert_int_eq(hc_rsi(HC_CREATE_VCPU, ID_U1, &second, sizeof(second)), 0);
    ck_assert_uint_eq(started()->reg[REG_RIP], 0x123450);
    ck_assert_uint_eq(slot(ID_U1)->vcpus[1].state, VCPU_WAIT_SIPI);
}
END_TEST

START_TEST(protected_mode_entry)
{
    const struct fake_vcpu *f;

    ck_assert_int_eq(set(), 0);
    f = started();
    ck_assert_uint_eq(f->reg[REG_CR0], 0x31);
    ck_assert_uint_eq(f->reg[REG_RFLAGS], 2);
    expect_seg(f, SEG_CS, 0x10, 0, 0xffffffff, 0xc09b);
}
END_TEST

START_TEST(real_mode_entry)
{
    const struct fake_vcpu *f;

    memset(&p, 0, sizeof(p));
    p.regs.cr0 = 0x30;
    p.regs.cs_sel = 0xf000;
    p.regs.cs_base = 0xffff0000;
    p.regs.cs_limit = 0xffff;
    p.regs.cs_ar = 0x9f;
    p.regs.rip = 0xfff0;
    p.regs.ds_sel = 0x40;
    ck_assert_int_eq(set(), 0);
    f = started();
    expect_seg(f, SEG_CS, 0xf000, 0xffff0000, 0xffff, 0x9f);
    expect_seg(f, SEG_DS, 0x40, 0, 0xffff, 0x93);
    ck_assert_uint_eq(f->reg[REG_RIP], 0xfff0);
}
END_TEST

START_TEST(efer_lma_follows_paging)
{
    long_mode();
    p.regs.ia32_efer = 0x100;
    ck_assert_int_eq(set(), 0);
    ck_assert_uint_eq(started()->reg[REG_EFER], 0x500);
}
END_TEST

static struct {
    const char *what;
    void (*base)(void);
    u64 *field;
    u64 bad;
} const wrong[] = {
    {"cr0 bit 32", protected_mode, &p.regs.cr0, 0x100000031},
    {"PG without PE", protected_mode, &p.regs.cr0, 0x80000030},
    {"NW without CD", protected_mode, &p.regs.cr0, 0x20000031},
    {"cr4 VMXE", protected_mode, &p.regs.cr4, 0x2000},
    {"cr4 bit 63", protected_mode, &p.regs.cr4, 1ULL << 63},
    {"cr4 OSXSAVE, which the board lacks", protected_mode, &p.regs.cr4, 1ULL << 18},
    {"cr4 LA57", protected_mode, &p.regs.cr4, 0x1000},
    {"cr3 beyond guest memory", protected_mode, &p.regs.cr3, USER_GPA_LIMIT},
    {"efer SVME", protected_mode, &p.regs.ia32_efer, 0x1000},
    {"efer LMA without paging", protected_mode, &p.regs.ia32_efer, 0x500},
    {"efer LMA without LME", long_mode, &p.regs.ia32_efer, 0x400},
    {"long mode without PAE", long_mode, &p.regs.cr4, 0},
    {"rip above 4 GiB outside 64-bit code", protected_mode, &p.regs.rip, 1ULL << 32},
    {"rip not canonical", long_mode, &p.regs.rip, 1ULL << 47},
    {"cs base above 4 GiB", long_mode, &p.regs.cs_base, 1ULL << 32},
    {"virtual-8086 mode", protected_mode, &p.regs.rflags, 1ULL << 17},
};

START_TEST(states_that_a_processor_would_not_enter_are_refused)
{
    wrong[_i].base();
    ck_assert_int_eq(set(), 0);
    *wrong[_i].field = wrong[_i].bad;
    ck_assert_msg(set() == -EPERM_, "%s", wrong[_i].what);
}
END_TEST

START_TEST(code_segments_that_a_processor_would_not_take_are_refused)
{
    /* Data, system, not present, ring 3, code not accessed, both L and D, limit against granularity. */
    static const struct {
        u32 ar, limit;
    } bad[] = {{0xc092, ~0u}, {0xc08b, ~0u}, {0xc01b, ~0u},   {0xc0fb, ~0u},
               {0xc09a, ~0u}, {0xe09b, ~0u}, {0x409b, ~0u},   {0xc09b, 0xfffff000},
               {0, 0},        {0x97, 0},     {0x9b, 0x100000}};

    long_mode();
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        p.regs.cs_ar = bad[i].ar;
        p.regs.cs_limit = bad[i].limit;
        p.regs.rip = 0;
        ck_assert_msg(set() == -EPERM_, "%x limit %x", bad[i].ar, bad[i].limit);
    }
}
END_TEST

START_TEST(tables_must_be_canonical_and_global)
{
    p.regs.gdt.base = 1ULL << 47;
    ck_assert_int_eq(set(), -EPERM_);
    protected_mode();
    p.regs.idt.base = 1ULL << 63;
    ck_assert_int_eq(set(), -EPERM_);
    protected_mode();
    p.regs.tr_sel = 4;
    ck_assert_int_eq(set(), -EPERM_);
    protected_mode();
    p.regs.ldt_sel = 4;
    ck_assert_int_eq(set(), -EPERM_);
}
END_TEST

START_TEST(only_vcpus_that_exist_can_be_set)
{
    static const u16 bad[] = {1, 2, 8, 0xffff};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        p.vcpu_id = bad[i];
        ck_assert_int_eq(set(), -EPERM_);
    }
}
END_TEST

START_TEST(a_structure_of_292_bytes_is_enough_and_address_0_is_none)
{
    put(RAM_END - 292, &p, 292);
    ck_assert_int_eq(hc(HC_SET_VCPU_REGS, ID_U1, RAM_END - 292), 0);
    ck_assert_int_eq(hc(HC_SET_VCPU_REGS, ID_U1, RAM_END - 291), -EPERM_);
    put(0, &p, sizeof(p));
    ck_assert_int_eq(hc(HC_SET_VCPU_REGS, ID_U1, 0), -EPERM_);
    bad_addresses_fail(HC_SET_VCPU_REGS, ID_U1, true, 292, -EPERM_);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hcall-regs");
    TCase *c = tcase_create("regs");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, the_vcpu_starts_with_every_register_as_given);
    tcase_add_test(c, a_vcpu_that_is_created_later_leaves_the_registers_of_the_others);
    tcase_add_test(c, protected_mode_entry);
    tcase_add_test(c, real_mode_entry);
    tcase_add_test(c, efer_lma_follows_paging);
    tcase_add_loop_test(c, states_that_a_processor_would_not_enter_are_refused, 0, ARRAY_SIZE(wrong));
    tcase_add_test(c, code_segments_that_a_processor_would_not_take_are_refused);
    tcase_add_test(c, tables_must_be_canonical_and_global);
    tcase_add_test(c, only_vcpus_that_exist_can_be_set);
    tcase_add_test(c, a_structure_of_292_bytes_is_enough_and_address_0_is_none);
    suite_add_tcase(s, c);
    return run_suite(s);
}
