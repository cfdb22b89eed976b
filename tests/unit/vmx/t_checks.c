/* An entry that the CPU refuses: the check that fails is named. */
#include <string.h>
#include "vmx_test.h"

#define SEG(first, s) ((first) + 2 * (u64)(s))

START_TEST(sound_state_passes)
{
    ck_assert_ptr_null(vmx_check_guest_state());
}
END_TEST

START_TEST(real_mode_after_reset_passes)
{
    vmwrite(VMCS_GUEST_CR0, 0x30);
    vmwrite(VMCS_GUEST_EFER, 0);
    vmwrite(VMCS_ENTRY_CTLS, 0);
    vmwrite(VMCS_GUEST_CR4, 0x2000);
    vmwrite(VMCS_GUEST_RIP, 0xfff0);
    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        vmwrite(SEG(VMCS_GUEST_ES_ACCESS, s), s == SEG_CS ? 0x9b : 0x93);
        vmwrite(SEG(VMCS_GUEST_ES_LIMIT, s), 0xffff);
    }
    ck_assert_ptr_null(vmx_check_guest_state());
}
END_TEST

/* One field each that makes the sound state unsound, and what must be named. */
static const struct {
    u32 field;
    u64 val;
    const char *says;
} bad[] = {
    {VMCS_GUEST_CR0, 0x80000031 & ~0x20u, "CR0 has a bit"},
    {VMCS_GUEST_CR0, 0x80000030, "CR0.PG is set without CR0.PE"},
    {VMCS_GUEST_CR4, 0x20, "CR4 has a bit"},
    {VMCS_GUEST_CR4, 0x2000, "CR4.PAE"},
    {VMCS_ENTRY_CTLS, 0, "EFER.LMA and the entry control"},
    {VMCS_GUEST_EFER, 0x400, "EFER.LMA and EFER.LME"},
    {VMCS_GUEST_PAT, 2, "PAT"},
    {VMCS_GUEST_CR3, 1ULL << 60, "CR3"},
    {VMCS_GUEST_DR7, 1ULL << 32, "DR7"},
    {VMCS_GUEST_SYSENTER_EIP, 1ULL << 50, "SYSENTER"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0x10000, "CS is unusable"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0xa092, "CS is no accessed code"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0xa08b, "CS is a system segment"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0xa0fb, "DPL of CS"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0xe09b, "both L and D"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0x209b, "granularity of CS"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_SS), 0xc091, "SS"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_DS), 0xc092, "DS"},
    {SEG(VMCS_GUEST_ES_LIMIT, SEG_ES), 0xfffff000, "ES"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_TR), 0x89, "TR is no busy TSS"},
    {SEG(VMCS_GUEST_ES_SEL, SEG_TR), 4, "selector of TR"},
    {SEG(VMCS_GUEST_ES_ACCESS, SEG_LDTR), 0x83, "LDTR"},
    {SEG(VMCS_GUEST_ES_BASE, SEG_FS), 1ULL << 50, "base of FS, GS"},
    {SEG(VMCS_GUEST_ES_BASE, SEG_GDTR), 1ULL << 50, "GDTR or IDTR"},
    {SEG(VMCS_GUEST_ES_LIMIT, SEG_IDTR), 0x10000, "limit of GDTR or IDTR"},
    {VMCS_GUEST_RIP, 1ULL << 50, "RIP is not canonical"},
    {VMCS_GUEST_RFLAGS, 0x200, "RFLAGS has reserved bits"},
    {VMCS_GUEST_RFLAGS, 0x202 | 1ULL << 40, "RFLAGS has reserved bits"},
    {VMCS_GUEST_RFLAGS, 0x20202, "RFLAGS.VM"},
    {VMCS_GUEST_ACTIVITY, 7, "activity"},
    {VMCS_GUEST_INTERRUPTIBILITY, 3, "blocking by STI"},
    {VMCS_LINK_POINTER, 0, "link pointer"},
};

START_TEST(failing_check_is_named)
{
    const char *e;

    vmwrite(bad[_i].field, bad[_i].val);
    /* virtual-8086 mode is looked at by its segments first */
    if (bad[_i].val == 0x20202)
        for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
            vmwrite(SEG(VMCS_GUEST_ES_ACCESS, s), 0xf3);
            vmwrite(SEG(VMCS_GUEST_ES_LIMIT, s), 0xffff);
        }
    e = vmx_check_guest_state();
    ck_assert_ptr_nonnull(e);
    ck_assert_msg(strstr(e, bad[_i].says) != NULL, "'%s' does not say %s", e, bad[_i].says);
}
END_TEST

START_TEST(high_rip_outside_64_bit_code_is_named)
{
    vmwrite(SEG(VMCS_GUEST_ES_ACCESS, SEG_CS), 0xc09b);
    vmwrite(VMCS_GUEST_RIP, 1ULL << 32);
    ck_assert_ptr_nonnull(strstr(vmx_check_guest_state(), "beyond 4 GiB"));
}
END_TEST

START_TEST(injection_against_the_guests_state_is_named)
{
    vmwrite(VMCS_ENTRY_INTR, INTR_VALID | 0x31);
    vmwrite(VMCS_GUEST_RFLAGS, 2);
    ck_assert_ptr_nonnull(strstr(vmx_check_guest_state(), "RFLAGS.IF clear"));
    vmwrite(VMCS_GUEST_RFLAGS, 0x202);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_STI);
    ck_assert_ptr_nonnull(strstr(vmx_check_guest_state(), "interrupt shadow"));
    vmwrite(VMCS_ENTRY_INTR, INTR_VALID | INTR_NMI << INTR_TYPE_SHIFT | 2);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
    ck_assert_ptr_nonnull(strstr(vmx_check_guest_state(), "NMIs are blocked"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vmx-checks");
    TCase *c = tcase_create("checks");

    tcase_add_checked_fixture(c, test_vmx_setup, NULL);
    tcase_add_test(c, sound_state_passes);
    tcase_add_test(c, real_mode_after_reset_passes);
    tcase_add_loop_test(c, failing_check_is_named, 0, (int)ARRAY_SIZE(bad));
    tcase_add_test(c, high_rip_outside_64_bit_code_is_named);
    tcase_add_test(c, injection_against_the_guests_state_is_named);
    suite_add_tcase(s, c);
    return test_vmx_main(s);
}
