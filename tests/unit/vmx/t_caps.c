/* Capability MSRs: what the controls become, and what is said of a CPU that lacks something. */
#include <string.h>
#include "vmx_test.h"

/* The capability MSRs of a CPU that can do everything, as test_read() gives them. */
static struct {
    u32 msr;
    u64 val;
} msrs[] = {
    {MSR_VMX_BASIC, 0x00da040000000012ULL},
    {MSR_VMX_MISC, 5},
    {MSR_VMX_CR0_FIXED0, 0x80000021},
    {MSR_VMX_CR0_FIXED1, 0xffffffff},
    {MSR_VMX_CR4_FIXED0, 0x2000},
    {MSR_VMX_CR4_FIXED1, 0x3727ff},
    {MSR_VMX_TRUE_PIN, 0x000000ff00000016ULL},
    {MSR_VMX_TRUE_PROC, 0xfff9fffe04006172ULL},
    {MSR_VMX_PROC2, 0x0010fbff00000000ULL},
    {MSR_VMX_TRUE_EXIT, 0x01ffffff00036dfbULL},
    {MSR_VMX_TRUE_ENTRY, 0x0003ffff000011fbULL},
    {MSR_VMX_EPT_VPID, 0x00000f0106734141ULL},
};
static u64 saved[ARRAY_SIZE(msrs)];

static bool test_read(u32 msr, u64 *val)
{
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        if (msrs[i].msr == msr) {
            *val = msrs[i].val;
            return true;
        }
    }
    return false;
}

static u64 *msr(u32 index)
{
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        if (msrs[i].msr == index)
            return &msrs[i].val;
    ck_abort_msg("no such MSR");
    return NULL;
}

static void setup(void)
{
    static bool once;

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        if (!once)
            saved[i] = msrs[i].val;
        msrs[i].val = saved[i];
    }
    once = true;
    memset(&vmx_caps, 0, sizeof(vmx_caps));
}

START_TEST(adjusted_control_has_what_must_be_and_no_more_than_may_be)
{
    u32 out;

    ck_assert_uint_eq(vmx_adjust(0x000000ff00000016ULL, 0x09, 0x100, &out), 0);
    ck_assert_uint_eq(out, 0x1f);
    ck_assert_uint_eq(vmx_adjust(0x0000001600000016ULL, 0x09, 0, &out), 0x09);
}
END_TEST

START_TEST(complete_cpu_is_accepted_with_all_of_apic_virtualisation)
{
    ck_assert_ptr_null(vmx_caps_read(test_read));
    ck_assert_uint_eq(vmx_caps.pin & (PIN_EXTINT_EXIT | PIN_NMI_EXIT | PIN_VIRTUAL_NMI | PIN_POSTED),
                      PIN_EXTINT_EXIT | PIN_NMI_EXIT | PIN_VIRTUAL_NMI | PIN_POSTED);
    ck_assert(vmx_caps.proc & PROC_TPR_SHADOW);
    ck_assert(!(vmx_caps.proc & (PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG_EXIT)));
    ck_assert(vmx_caps.proc2 & PROC2_VIRTUAL_INTR);
    /* not asked for, so off although the CPU has them */
    ck_assert(!(vmx_caps.proc2 & (PROC2_INVPCID | PROC2_XSAVES)));
    ck_assert(!(vmx_caps.entry & ENTRY_IA32E));
}
END_TEST

/* Each row takes something away; the words must name it. */
static const struct {
    u32 msr;
    u64 without;
    const char *says;
} lacking[] = {
    {MSR_VMX_PROC2, (u64)PROC2_EPT << 32, "no EPT"},
    {MSR_VMX_PROC2, (u64)PROC2_UNRESTRICTED << 32, "unrestricted guest"},
    {MSR_VMX_PROC2, (u64)PROC2_VPID << 32, "no VPID"},
    {MSR_VMX_TRUE_PROC, (u64)PROC_SECONDARY << 32, "secondary controls"},
    {MSR_VMX_TRUE_PROC, (u64)PROC_MSR_BITMAPS << 32, "MSR bitmaps"},
    {MSR_VMX_TRUE_PROC, (u64)PROC_IO_BITMAPS << 32, "I/O bitmaps"},
    {MSR_VMX_TRUE_PROC, (u64)PROC_TSC_OFFSET << 32, "TSC offset"},
    {MSR_VMX_TRUE_PIN, (u64)PIN_VIRTUAL_NMI << 32, "virtual NMIs"},
    {MSR_VMX_TRUE_PIN, (u64)PIN_NMI_EXIT << 32, "NMI exiting"},
    {MSR_VMX_TRUE_EXIT, (u64)EXIT_ACK_INTR << 32, "acknowledge interrupts"},
    {MSR_VMX_TRUE_EXIT, (u64)EXIT_LOAD_PAT << 32, "PAT on exit"},
    {MSR_VMX_TRUE_ENTRY, (u64)ENTRY_LOAD_EFER << 32, "EFER on entry"},
    {MSR_VMX_EPT_VPID, EPT_CAP_1G, "1 GiB pages"},
    {MSR_VMX_EPT_VPID, EPT_CAP_2M, "2 MiB pages"},
    {MSR_VMX_EPT_VPID, EPT_CAP_WB, "write-back"},
    {MSR_VMX_EPT_VPID, EPT_CAP_4_LEVELS, "4-level"},
    {MSR_VMX_EPT_VPID, EPT_CAP_INVEPT, "INVEPT"},
    {MSR_VMX_EPT_VPID, EPT_CAP_INVVPID, "INVVPID"},
    {MSR_VMX_BASIC, 2ULL << 50, "write-back"},
};

START_TEST(missing_capability_is_named)
{
    const char *e;

    *msr(lacking[_i].msr) &= ~lacking[_i].without;
    e = vmx_caps_read(test_read);
    ck_assert_ptr_nonnull(e);
    ck_assert_msg(strstr(e, lacking[_i].says) != NULL, "'%s' does not name %s", e, lacking[_i].says);
}
END_TEST

START_TEST(controls_that_cannot_be_switched_off_are_refused)
{
    *msr(MSR_VMX_TRUE_PROC) |= PROC_CR3_LOAD;
    ck_assert_ptr_nonnull(vmx_caps_read(test_read));
}
END_TEST

START_TEST(apic_virtualisation_is_taken_only_with_the_steps_before)
{
    *msr(MSR_VMX_TRUE_PROC) &= ~((u64)PROC_TPR_SHADOW << 32);
    ck_assert_ptr_null(vmx_caps_read(test_read));
    ck_assert(!(vmx_caps.proc2 & (PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR)));
    ck_assert(!(vmx_caps.pin & PIN_POSTED));
    setup();
    *msr(MSR_VMX_PROC2) &= ~((u64)PROC2_APIC_REGISTERS << 32);
    ck_assert_ptr_null(vmx_caps_read(test_read));
    ck_assert(vmx_caps.proc & PROC_TPR_SHADOW);
    ck_assert(!(vmx_caps.proc2 & PROC2_VIRTUAL_INTR));
    ck_assert(!(vmx_caps.pin & PIN_POSTED));
}
END_TEST

START_TEST(locked_off_is_an_error_unlocked_is_not)
{
    ck_assert_ptr_nonnull(strstr(vmx_feature_control_error(FEATURE_LOCKED), "locked off by the firmware"));
    ck_assert_ptr_null(vmx_feature_control_error(0));
    ck_assert_ptr_null(vmx_feature_control_error(FEATURE_LOCKED | FEATURE_VMX));
}
END_TEST

START_TEST(clears_are_made_where_asked_and_needed)
{
    const u32 both = MITIGATE_L1D_FLUSH | MITIGATE_MDS_CLEAR, can = BIT32(10) | BIT32(28);
    const char *missing;

    ck_assert_uint_eq(vmx_needed_clears(both, can, 0, &missing), both);
    ck_assert_ptr_null(missing);
    ck_assert_uint_eq(vmx_needed_clears(both, can, BIT64(0), &missing), MITIGATE_MDS_CLEAR);
    ck_assert_uint_eq(vmx_needed_clears(both, can, BIT64(5), &missing), MITIGATE_L1D_FLUSH);
    ck_assert_uint_eq(vmx_needed_clears(both, 0, BIT64(0) | BIT64(5), &missing), 0);
    ck_assert_ptr_null(missing);
    ck_assert_uint_eq(vmx_needed_clears(0, 0, 0, &missing), 0);
    ck_assert_ptr_null(missing);
    vmx_needed_clears(both, BIT32(10), 0, &missing);
    ck_assert_ptr_nonnull(strstr(missing, "L1D"));
    vmx_needed_clears(both, BIT32(28), 0, &missing);
    ck_assert_ptr_nonnull(strstr(missing, "MDS"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vmx-caps");
    TCase *c = tcase_create("caps");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, adjusted_control_has_what_must_be_and_no_more_than_may_be);
    tcase_add_test(c, complete_cpu_is_accepted_with_all_of_apic_virtualisation);
    tcase_add_loop_test(c, missing_capability_is_named, 0, (int)ARRAY_SIZE(lacking));
    tcase_add_test(c, controls_that_cannot_be_switched_off_are_refused);
    tcase_add_test(c, apic_virtualisation_is_taken_only_with_the_steps_before);
    tcase_add_test(c, locked_off_is_an_error_unlocked_is_not);
    tcase_add_test(c, clears_are_made_where_asked_and_needed);
    suite_add_tcase(s, c);
    return test_vmx_main(s);
}
