/* APIC virtualisation: the posted-interrupt descriptor, what goes into the VMCS in each mode, and how
 * requests reach the page. */
#include <string.h>
#include "x86/hw/lapic.h"
#include "x86/hw/msr.h"
#include "x86/hw/paging.h"
#include "x86/hw/s2_format.h"
#include "x86/hw/traps.h"
#include "x86/vdev/vlapic.h"
#include "x86/vmx/posted.h"
#include <fake.h>
#include "vmx_test.h"

#define WORD(first, i) page[(first) / 4 + (i)*4]

static u32 page[1024] ALIGNED(4096);
static unsigned notified;
static u32 notified_id, notified_icr;

/* ---- what the backend calls ---- */

void lapic_send(u32 apic_id, u32 icr_low)
{
    notified++;
    notified_id = apic_id;
    notified_icr = icr_low;
}

hpa_t va_to_hpa(const void *p)
{
    return hpa((u64)(uintptr_t)p);
}

hpa_t s2_root(const struct vm *vm)
{
    (void)vm;
    return hpa(0x5000);
}

hpa_t vmx_msr_bitmap(bool x2apic)
{
    return hpa(x2apic ? 0x2000 : 0x1000);
}

static u32 written;
static u8 ended;

void vlapic_page_written(struct vcpu *v, u32 offset)
{
    (void)v;
    written = offset;
}

void vlapic_ended(struct vcpu *v, u8 vector)
{
    (void)v;
    ended = vector;
}

void vlapic_tpr_fell(struct vcpu *v)
{
    vcpu_request(v, VCPU_REQ_EVENT);
}

static u64 mmio_gpa;
static bool mmio_write;

void guest_mmio(struct vcpu *v, u64 gpa, bool write, bool fetch);
void guest_mmio(struct vcpu *v, u64 gpa, bool write, bool fetch)
{
    (void)v;
    (void)fetch;
    mmio_gpa = gpa;
    mmio_write = write;
}

void vmx_collect_interrupted(struct vmx_vcpu *s)
{
    (void)s;
}

void vmx_set_proc(struct vmx_vcpu *s, u32 set, u32 clear)
{
    s->proc = (s->proc & ~clear) | set;
}

void vmx_set_proc2(struct vmx_vcpu *s, u32 set, u32 clear)
{
    s->proc2 = (s->proc2 & ~clear) | set;
}

/* ---- set-up ---- */

static void setup(void)
{
    fake_reset();
    test_vmx_setup();
    memset(page, 0, sizeof(page));
    notified = 0;
    vmx_caps.proc = PROC_TPR_SHADOW;
    vmx_caps.proc2 = PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR;
    test_vmx->proc = PROC_CR8_LOAD | PROC_CR8_STORE;
    test_vcpu->pcpu = 1;
    fake_set_cpu(1);
    fake_msr_set(MSR_IA32_APIC_BASE, APIC_BASE_ENABLE | APIC_BASE_X2);
}

static u32 mode(u32 m)
{
    u32 help = arch_vcpu_apic_mode(test_vcpu, m, page, m == 1);

    vmx_apic_update(test_vmx);
    test_vcpu->requests = 0;
    return help;
}

/* ---- descriptor ---- */

START_TEST(first_request_notifies_and_later_ones_do_not)
{
    struct vmx_posted d = {0};

    ck_assert(posted_set(&d, 0x41));
    ck_assert(!posted_set(&d, 0xf2));
    ck_assert(!posted_set(&d, 0x41));
    ck_assert_uint_eq(d.control & POSTED_ON, POSTED_ON);
    ck_assert_uint_eq(d.requests[1], BIT64(1));
    ck_assert_uint_eq(d.requests[3], BIT64(0xf2 - 192));
}
END_TEST

START_TEST(taking_empties_and_arms_the_notification_again)
{
    struct vmx_posted d = {0};
    u32 words[8];

    ck_assert(!posted_take(&d, words));
    posted_set(&d, 0x41);
    posted_set(&d, 0xff);
    ck_assert(posted_take(&d, words));
    ck_assert_uint_eq(words[2], BIT32(1));
    ck_assert_uint_eq(words[7], BIT32(31));
    ck_assert_uint_eq(words[0] | words[1] | words[3] | words[4] | words[5] | words[6], 0);
    ck_assert(!posted_take(&d, words));
    ck_assert(posted_set(&d, 0x20));
}
END_TEST

START_TEST(address_follows_the_hosts_apic_mode_and_keeps_a_notification)
{
    struct vmx_posted d = {0};

    posted_set(&d, 0x30);
    posted_address(&d, 0xe3, 0x12345, true);
    ck_assert_uint_eq(d.control, 0x12345ULL << 32 | 0xe3 << 16 | POSTED_ON);
    posted_address(&d, 0xe3, 0x45, false);
    ck_assert_uint_eq(d.control, 0x4500ULL << 32 | 0xe3 << 16 | POSTED_ON);
}
END_TEST

/* ---- modes ---- */

START_TEST(help_is_what_the_cpu_has)
{
    ck_assert_uint_eq(mode(1), APIC_HELP_TPR | APIC_HELP_IRQ);
    ck_assert_uint_eq(mode(2), APIC_HELP_TPR | APIC_HELP_IRQ);
    ck_assert_uint_eq(mode(0), APIC_HELP_TPR);
    vmx_caps.proc2 &= ~(u32)PROC2_VIRTUAL_INTR;
    ck_assert_uint_eq(mode(1), APIC_HELP_TPR);
    vmx_caps.proc = 0;
    ck_assert_uint_eq(mode(1), 0);
}
END_TEST

START_TEST(xapic_and_x2apic_are_never_virtualised_together)
{
    mode(1);
    ck_assert_uint_eq(test_vmx->proc2, PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR);
    ck_assert_uint_eq(vmread(VMCS_MSR_BITMAP), 0x1000);
    ck_assert_uint_eq(vmread(VMCS_VAPIC_PAGE), (u64)(uintptr_t)page);
    ck_assert_uint_eq(test_vmx->proc, PROC_TPR_SHADOW);
    mode(2);
    ck_assert_uint_eq(test_vmx->proc2, PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR);
    ck_assert_uint_eq(vmread(VMCS_MSR_BITMAP), 0x2000);
    mode(0);
    ck_assert_uint_eq(test_vmx->proc2, 0);
    ck_assert_uint_ne(test_invvpid.count, 0);
}
END_TEST

START_TEST(without_a_tpr_shadow_cr8_goes_on_exiting)
{
    vmx_caps.proc = 0;
    mode(1);
    ck_assert_uint_eq(test_vmx->proc, PROC_CR8_LOAD | PROC_CR8_STORE);
    ck_assert_uint_eq(test_vmx->proc2, 0);
}
END_TEST

START_TEST(change_of_mode_asks_for_the_threshold_again)
{
    vmx_caps.proc2 = PROC2_APIC_ACCESS | PROC2_X2APIC;
    mode(1);
    arch_vcpu_apic_threshold(test_vcpu, 5);
    arch_vcpu_apic_mode(test_vcpu, 2, page, false);
    vmx_apic_update(test_vmx);
    ck_assert(vmread(VMCS_TPR_THRESHOLD) == 5 || (test_vcpu->requests & VCPU_REQ_EVENT));
}
END_TEST

/* ---- requests ---- */

START_TEST(request_goes_to_the_page_and_the_status)
{
    mode(1);
    arch_vcpu_apic_post(test_vcpu, 0x41, false);
    arch_vcpu_apic_post(test_vcpu, 0x93, false);
    ck_assert(test_vcpu->requests & VCPU_REQ_EVENT);
    WORD(0x100, 1) = BIT32(2); /* 0x22 in service */
    arch_vcpu_apic_pull(test_vcpu);
    arch_vcpu_apic_push(test_vcpu);
    ck_assert_uint_eq(WORD(0x200, 2), BIT32(1));
    ck_assert_uint_eq(WORD(0x200, 4), BIT32(0x13));
    ck_assert_uint_eq(vmread(VMCS_GUEST_INTR_STATUS), 0x2293);
    ck_assert_uint_eq(notified, 0);
}
END_TEST

START_TEST(level_vectors_exit_at_their_end)
{
    mode(1);
    WORD(0x180, 2) = BIT32(5);
    WORD(0x180, 7) = BIT32(31);
    arch_vcpu_apic_push(test_vcpu);
    ck_assert_uint_eq(vmread(VMCS_EOI_EXIT0 + 2), BIT64(5));
    ck_assert_uint_eq(vmread(VMCS_EOI_EXIT0 + 6), BIT64(63));
    WORD(0x180, 2) = 0;
    arch_vcpu_apic_push(test_vcpu);
    ck_assert_uint_eq(vmread(VMCS_EOI_EXIT0 + 2), 0);
}
END_TEST

START_TEST(reset_forgets_requests)
{
    mode(1);
    arch_vcpu_apic_post(test_vcpu, 0x41, false);
    arch_vcpu_apic_mode(test_vcpu, 1, page, true);
    arch_vcpu_apic_pull(test_vcpu);
    ck_assert_uint_eq(WORD(0x200, 2), 0);
}
END_TEST

START_TEST(posted_interrupts_notify_the_other_cpu_without_a_kick)
{
    vmx_caps.pin = PIN_POSTED;
    mode(1);
    ck_assert_uint_eq(vmread(VMCS_PIN_CTLS) & PIN_POSTED, PIN_POSTED);
    ck_assert_uint_eq(vmread(VMCS_POSTED_VECTOR), VEC_POSTED);
    ck_assert_uint_ne(vmread(VMCS_POSTED_DESC), 0);
    ck_assert_uint_eq(vmread(VMCS_POSTED_DESC) & 63, 0);
    fake_set_cpu(0);
    arch_vcpu_apic_post(test_vcpu, 0x41, false);
    arch_vcpu_apic_post(test_vcpu, 0x42, false);
    ck_assert_uint_eq(notified, 1);
    ck_assert_uint_eq(notified_id, cfg_board.cpus[1].apic_id);
    ck_assert_uint_eq(notified_icr & 0xff, VEC_POSTED);
    ck_assert_uint_eq(fake_kicks[1], 0);
    /* One that is not in guest mode finds it by its request bit. */
    ck_assert(test_vcpu->requests & VCPU_REQ_EVENT);
    fake_set_cpu(1);
    arch_vcpu_apic_pull(test_vcpu);
    ck_assert_uint_eq(WORD(0x200, 2), BIT32(1) | BIT32(2));
}
END_TEST

START_TEST(change_of_trigger_mode_waits_for_the_eoi_exit_bitmap)
{
    vmx_caps.pin = PIN_POSTED;
    mode(1);
    fake_set_cpu(0);
    arch_vcpu_apic_post(test_vcpu, 0x41, true);
    /* Not in the descriptor that the CPU reads by itself, and no notification. */
    ck_assert_uint_eq(notified, 0);
    ck_assert(test_vcpu->requests & VCPU_REQ_EVENT);
    ck_assert_uint_eq(((struct vmx_posted *)(uintptr_t)vmread(VMCS_POSTED_DESC))->requests[1], 0);
    arch_vcpu_apic_pull(test_vcpu);
    ck_assert_uint_eq(WORD(0x200, 2), BIT32(1));
}
END_TEST

START_TEST(posting_ends_with_the_apic_switched_off)
{
    vmx_caps.pin = PIN_POSTED;
    mode(1);
    mode(0);
    ck_assert_uint_eq(vmread(VMCS_PIN_CTLS) & PIN_POSTED, 0);
}
END_TEST

/* ---- exits ---- */

START_TEST(exits_reach_the_vlapic)
{
    vmwrite(VMCS_QUALIFICATION, 0x3e0);
    vmx_exit_apic_write(test_vmx);
    ck_assert_uint_eq(written, 0x3e0);
    vmwrite(VMCS_QUALIFICATION, 0x61);
    vmx_exit_eoi(test_vmx);
    ck_assert_uint_eq(ended, 0x61);
    vmwrite(VMCS_QUALIFICATION, 0x1390);
    vmx_exit_apic_access(test_vmx);
    ck_assert_uint_eq(mmio_gpa, 0xfee00390);
    ck_assert(mmio_write);
    vmwrite(VMCS_QUALIFICATION, 0x0390);
    vmx_exit_apic_access(test_vmx);
    ck_assert(!mmio_write);
    vmx_exit_tpr(test_vmx);
    ck_assert(test_vcpu->requests & VCPU_REQ_EVENT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {first_request_notifies_and_later_ones_do_not,
                                  taking_empties_and_arms_the_notification_again,
                                  address_follows_the_hosts_apic_mode_and_keeps_a_notification,
                                  help_is_what_the_cpu_has,
                                  xapic_and_x2apic_are_never_virtualised_together,
                                  without_a_tpr_shadow_cr8_goes_on_exiting,
                                  change_of_mode_asks_for_the_threshold_again,
                                  request_goes_to_the_page_and_the_status,
                                  level_vectors_exit_at_their_end,
                                  reset_forgets_requests,
                                  posted_interrupts_notify_the_other_cpu_without_a_kick,
                                  change_of_trigger_mode_waits_for_the_eoi_exit_bitmap,
                                  posting_ends_with_the_apic_switched_off,
                                  exits_reach_the_vlapic};
    Suite *s = suite_create("vmx-vapic");
    TCase *c = tcase_create("vapic");

    tcase_add_checked_fixture(c, setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return test_vmx_main(s);
}
