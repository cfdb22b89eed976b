/* Event injection: what goes into the entry's interruption information, what waits, and what combines. */
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"
#include "vmx_test.h"

static u32 info(u8 type, u8 vector)
{
    return INTR_VALID | ((u32)type << INTR_TYPE_SHIFT) | vector;
}

static void inject(enum event_kind kind, u8 vector, bool has_error)
{
    struct guest_event e = {.kind = kind, .vector = vector, .has_error = has_error};

    arch_vcpu_inject(test_vcpu, &e);
}

/* An exit in the middle of an event's delivery. */
static void interrupted(u32 vectoring, u32 error)
{
    vmwrite(VMCS_IDT_VECTORING, vectoring);
    vmwrite(VMCS_IDT_VECTORING_ERROR, error);
    vmx_collect_interrupted(test_vmx);
}

/* The entry took place and the guest exited again: entry.S and the CPU clear the field. */
static void entered(void)
{
    test_vmx->entry_intr = 0;
    vmwrite(VMCS_ENTRY_INTR, 0);
    test_vcpu->requests = 0;
}

START_TEST(interrupt_needs_if_and_no_shadow)
{
    ck_assert(arch_vcpu_irq_ready(test_vcpu));
    vmwrite(VMCS_GUEST_RFLAGS, 2);
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_STI);
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    inject(EVENT_INTR, 0x31, false);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXTERNAL, 0x31));
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    ck_assert(arch_vcpu_event_queued(test_vcpu));
}
END_TEST

START_TEST(nmi_is_held_off_while_one_is_in_service)
{
    ck_assert(arch_vcpu_nmi_ready(test_vcpu));
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
    ck_assert(!arch_vcpu_nmi_ready(test_vcpu));
    ck_assert(arch_vcpu_irq_ready(test_vcpu));
}
END_TEST

START_TEST(interrupted_interrupt_is_delivered_again)
{
    interrupted(info(INTR_EXTERNAL, 0x41), 0);
    ck_assert(test_vcpu->requests & VMX_REQ_ENTRY);
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    vmx_flush_event(test_vmx);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXTERNAL, 0x41));
    ck_assert(!test_vmx->redeliver.valid);
    ck_assert(!(test_vmx->proc & PROC_IRQ_WINDOW));
}
END_TEST

START_TEST(no_event_in_delivery_leaves_no_trace)
{
    interrupted(info(INTR_EXTERNAL, 0x41) & ~INTR_VALID, 0);
    ck_assert(!test_vmx->redeliver.valid);
    ck_assert_uint_eq(test_vcpu->requests, 0);
}
END_TEST

START_TEST(software_events_run_again_by_themselves)
{
    interrupted(info(INTR_SOFT_INT, 0x80), 0);
    interrupted(info(INTR_SOFT_EXCEPTION, X86_BP), 0);
    interrupted(info(INTR_PRIV_SOFT, X86_DB), 0);
    ck_assert(!test_vmx->redeliver.valid);
}
END_TEST

START_TEST(interrupted_exception_keeps_its_error_code)
{
    interrupted(info(INTR_EXCEPTION, X86_PF) | INTR_ERROR, 6);
    vmx_flush_event(test_vmx);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_PF) | INTR_ERROR);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_ERROR), 6);
}
END_TEST

START_TEST(interrupted_nmi_goes_in_again_unblocked)
{
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
    interrupted(info(INTR_NMI, 2), 0);
    vmx_flush_event(test_vmx);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_NMI, 2));
    ck_assert_uint_eq(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
}
END_TEST

START_TEST(exception_goes_before_an_interrupted_interrupt)
{
    interrupted(info(INTR_EXTERNAL, 0x41), 0);
    inject(EVENT_EXCEPTION, X86_GP, true);
    vmx_flush_event(test_vmx);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_GP) | INTR_ERROR);
    ck_assert(test_vmx->redeliver.valid);
    ck_assert(test_vmx->proc & PROC_IRQ_WINDOW);
    /* The handler runs with IF clear: still waiting. */
    entered();
    vmwrite(VMCS_GUEST_RFLAGS, 2);
    vmx_flush_event(test_vmx);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), 0);
    ck_assert(test_vmx->proc & PROC_IRQ_WINDOW);
    /* It returns, the window opens. */
    vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
    vmx_window_exit(test_vmx, false);
    ck_assert(test_vcpu->requests & VMX_REQ_ENTRY);
    vmx_flush_event(test_vmx);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXTERNAL, 0x41));
    ck_assert(!(test_vmx->proc & PROC_IRQ_WINDOW));
}
END_TEST

START_TEST(exception_moves_a_queued_interrupt_aside)
{
    inject(EVENT_INTR, 0x55, false);
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_GP) | INTR_ERROR);
    ck_assert(test_vmx->redeliver.valid);
    ck_assert_uint_eq(test_vmx->redeliver.vector, 0x55);
}
END_TEST

START_TEST(faults_combine_as_the_manual_says)
{
    inject(EVENT_EXCEPTION, X86_GP, true);
    inject(EVENT_EXCEPTION, X86_SS, true);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_DF) | INTR_ERROR);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_ERROR), 0);
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(test_fatal, 1);
    entered();
    /* a benign one is simply replaced */
    inject(EVENT_EXCEPTION, X86_UD, false);
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_GP) | INTR_ERROR);
    ck_assert_uint_eq(test_fatal, 1);
}
END_TEST

START_TEST(exception_during_the_delivery_of_another_makes_a_double_fault)
{
    interrupted(info(INTR_EXCEPTION, X86_NP) | INTR_ERROR, 0x18);
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_DF) | INTR_ERROR);
    ck_assert(!test_vmx->redeliver.valid);
}
END_TEST

START_TEST(real_mode_exceptions_have_no_error_code)
{
    vmwrite(VMCS_GUEST_CR0, CR0_NE | CR0_ET);
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_GP));
}
END_TEST

START_TEST(debug_exception_ends_the_shadow)
{
    vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF | RFLAGS_TF);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_STI | BLOCK_NMI);
    inject(EVENT_EXCEPTION, X86_DB, false);
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), info(INTR_EXCEPTION, X86_DB));
    ck_assert_uint_eq(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCK_NMI);
}
END_TEST

START_TEST(windows_are_controls_that_close_again)
{
    arch_vcpu_irq_window(test_vcpu, true);
    arch_vcpu_nmi_window(test_vcpu, true);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), PROC_IRQ_WINDOW | PROC_NMI_WINDOW);
    vmx_window_exit(test_vmx, false);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), PROC_NMI_WINDOW);
    ck_assert(test_vcpu->requests & VCPU_REQ_EVENT);
    vmx_window_exit(test_vmx, true);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), 0);
    ck_assert(test_vcpu->requests & VCPU_REQ_NMI);
}
END_TEST

START_TEST(nmi_in_the_shadow_of_sti_waits_for_the_interrupt_window)
{
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_STI);
    ck_assert(!arch_vcpu_nmi_ready(test_vcpu));
    arch_vcpu_nmi_window(test_vcpu, true);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), PROC_IRQ_WINDOW);
    /* It opens behind the shadow; whoever wants the NMI's looks again then. */
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmx_window_exit(test_vmx, false);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), PROC_NMI_WINDOW);
    ck_assert(test_vcpu->requests & VCPU_REQ_EVENT);
    ck_assert(arch_vcpu_nmi_ready(test_vcpu));
}
END_TEST

START_TEST(exception_that_ends_the_shadow_leaves_the_nmi_its_own_window)
{
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCK_STI);
    inject(EVENT_EXCEPTION, X86_GP, true);
    arch_vcpu_nmi_window(test_vcpu, true);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), PROC_NMI_WINDOW);
}
END_TEST

START_TEST(closing_the_window_keeps_it_open_for_a_waiting_interrupt)
{
    interrupted(info(INTR_EXTERNAL, 0x41), 0);
    inject(EVENT_EXCEPTION, X86_UD, false);
    vmx_flush_event(test_vmx);
    arch_vcpu_irq_window(test_vcpu, true);
    arch_vcpu_irq_window(test_vcpu, false);
    ck_assert(vmread(VMCS_PROC_CTLS) & PROC_IRQ_WINDOW);
}
END_TEST

START_TEST(reset_drops_everything)
{
    interrupted(info(INTR_EXTERNAL, 0x41), 0);
    inject(EVENT_EXCEPTION, X86_UD, false);
    arch_vcpu_nmi_window(test_vcpu, true);
    vmx_events_reset(test_vmx);
    ck_assert(!arch_vcpu_event_queued(test_vcpu));
    ck_assert_uint_eq(vmread(VMCS_ENTRY_INTR), 0);
    ck_assert_uint_eq(vmread(VMCS_PROC_CTLS), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {interrupt_needs_if_and_no_shadow,
                                  nmi_is_held_off_while_one_is_in_service,
                                  interrupted_interrupt_is_delivered_again,
                                  no_event_in_delivery_leaves_no_trace,
                                  software_events_run_again_by_themselves,
                                  interrupted_exception_keeps_its_error_code,
                                  interrupted_nmi_goes_in_again_unblocked,
                                  exception_goes_before_an_interrupted_interrupt,
                                  exception_moves_a_queued_interrupt_aside,
                                  faults_combine_as_the_manual_says,
                                  exception_during_the_delivery_of_another_makes_a_double_fault,
                                  real_mode_exceptions_have_no_error_code,
                                  debug_exception_ends_the_shadow,
                                  windows_are_controls_that_close_again,
                                  nmi_in_the_shadow_of_sti_waits_for_the_interrupt_window,
                                  exception_that_ends_the_shadow_leaves_the_nmi_its_own_window,
                                  closing_the_window_keeps_it_open_for_a_waiting_interrupt,
                                  reset_drops_everything};
    Suite *s = suite_create("vmx-events");
    TCase *c = tcase_create("events");

    tcase_add_checked_fixture(c, test_vmx_setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return test_vmx_main(s);
}
