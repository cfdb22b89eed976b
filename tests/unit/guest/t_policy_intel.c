/* The CPUID and MSR policy on a board with Intel's processors: the same tables, other rows. */
#include "gt.h"
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"

extern const struct cfg_board cfg_board; /* instead of tests/fake's */
const struct cfg_board cfg_board = {
    .name = "fake-intel", .vendor = CPU_VENDOR_INTEL, .quirks = QUIRK_XSAVEC_SIZE, .tsc_hz = 1000000000};

static u32 eax, ebx, ecx, edx;

static void id(u32 leaf, u32 subleaf)
{
    GPR(RAX) = leaf;
    GPR(RCX) = subleaf;
    guest_cpuid(gt_v);
    eax = (u32)GPR(RAX);
    ebx = (u32)GPR(RBX);
    ecx = (u32)GPR(RCX);
    edx = (u32)GPR(RDX);
}

static u64 val;

static bool rd(u32 msr)
{
    val = ~0ull;
    return guest_rdmsr(gt_v, msr, &val);
}

#define READS(msr, want)                                                                                     \
    do {                                                                                                     \
        ck_assert_msg(rd(msr), "read of " #msr " refused");                                                  \
        ck_assert_uint_eq(val, want);                                                                        \
    } while (0)
#define WRITES(msr, v)  ck_assert_msg(guest_wrmsr(gt_v, msr, v), "write of " #msr " refused")
#define REFUSES(msr, v) ck_assert_msg(!guest_wrmsr(gt_v, msr, v), "write of " #msr " accepted")

START_TEST(cache_leaf_4_is_shown_and_amds_leaves_are_not)
{
    id(4, 0);
    ck_assert_uint_ne(eax, 0);
    ck_assert_uint_eq(eax >> 26, 1); /* two cores */
    id(0x8000001d, 0);
    ck_assert_uint_eq(eax | ebx | ecx | edx, 0);
    id(0x8000001e, 0);
    ck_assert_uint_eq(ebx | ecx | edx, 0);
    id(0x80000005, 0);
    ck_assert_uint_eq(eax | ebx | ecx | edx, 0);
}
END_TEST

START_TEST(core_counts_of_amds_extended_leaves_are_absent)
{
    id(0x80000001, 0);
    ck_assert_uint_eq(ecx & BIT32(1), 0);
    ck_assert_uint_ne(edx & BIT32(29), 0);
    id(0x80000008, 0);
    ck_assert_uint_eq(eax, 0x3028);
    ck_assert_uint_eq(ebx | ecx | edx, 0);
}
END_TEST

START_TEST(vmx_smx_and_speculation_controls_are_hidden)
{
    id(1, 0);
    ck_assert_uint_eq(ecx & (BIT32(5) | BIT32(6)), 0);
    id(7, 0);
    ck_assert_uint_eq(edx & (BIT32(26) | BIT32(27) | BIT32(28) | BIT32(31)), 0);
    ck_assert_uint_ne(edx & BIT32(29), 0); /* IA32_ARCH_CAPABILITIES exists */
}
END_TEST

START_TEST(xsavec_is_hidden_where_the_emulator_gives_its_size_wrongly)
{
    id(0xd, 1);
    ck_assert_uint_eq(eax, 5); /* XSAVEOPT and XGETBV with ECX=1 stay */
}
END_TEST

START_TEST(what_stock_linux_touches_on_intel_is_there)
{
    READS(0x17, 0);
    READS(0x3a, 1); /* locked, VMX off */
    REFUSES(0x3a, 5);
    READS(0x8b, 0);
    fake_msr_set(0x8b, 0x200005e00000000);
    READS(0x8b, 0x200005e00000000);
    WRITES(0x8b, 0);
    WRITES(0x79, 0x1000);
    ck_assert(!rd(0x79));
    READS(0xce, 0);
    READS(0x1a0, 0x1801);
    WRITES(0x1a0, 0x1800);
    READS(0x1a0, 0x1800);
    READS(0x179, 0);
}
END_TEST

START_TEST(arch_capabilities_show_what_the_cpu_is_safe_from_and_nothing_else)
{
    ck_assert(!rd(0x10a)); /* the CPU has no such register */
    fake_msr_set(0x10a, ~0ull);
    ck_assert(rd(0x10a));
    ck_assert_uint_eq(val & 0x121, 0x121); /* RDCL_NO, MDS_NO, TAA_NO */
    ck_assert_uint_eq(val & (BIT64(1) | BIT64(7) | BIT64(9) | BIT64(10)),
                      0); /* stand for registers not virtualised */
    ck_assert_uint_eq(val >> 28, 0);
    REFUSES(0x10a, 0);
}
END_TEST

START_TEST(registers_of_amds_processors_are_refused)
{
    static const u32 list[] = {0x1db,      0x1de,      0xc0010010, 0xc0010015,
                               0xc001001f, 0xc0010114, 0xc0011029, 0xc0010020};

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        ck_assert_msg(!rd(list[i]), "read of %x", list[i]);
        ck_assert_msg(!guest_wrmsr(gt_v, list[i], 0), "write of %x", list[i]);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, cache_leaf_4_is_shown_and_amds_leaves_are_not);
    tcase_add_test(t, core_counts_of_amds_extended_leaves_are_absent);
    tcase_add_test(t, vmx_smx_and_speculation_controls_are_hidden);
    tcase_add_test(t, xsavec_is_hidden_where_the_emulator_gives_its_size_wrongly);
    tcase_add_test(t, what_stock_linux_touches_on_intel_is_there);
    tcase_add_test(t, arch_capabilities_show_what_the_cpu_is_safe_from_and_nothing_else);
    tcase_add_test(t, registers_of_amds_processors_are_refused);
}

int main(void)
{
    return gt_main("policy-intel", add);
}
