/* Event injection: what goes into EVENTINJ, what waits, and what combines. */
#include "x86/guest/exits.h"
#include "x86/hw/regs.h"
#include "svm_test.h"

#define IF BIT64(9)
#define TF BIT64(8)

static u64 evt(u8 type, u8 vector)
{
    return EVT_VALID | ((u64)type << EVT_TYPE_SHIFT) | vector;
}

static void inject(enum event_kind kind, u8 vector, bool has_error)
{
    struct guest_event e = {.kind = kind, .vector = vector, .has_error = has_error, .cr2 = 0xabc000};

    arch_vcpu_inject(test_vcpu, &e);
}

START_TEST(interrupt_needs_if_and_no_shadow)
{
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    test_vmcb.rflags = IF;
    ck_assert(arch_vcpu_irq_ready(test_vcpu));
    test_vmcb.int_shadow = 1;
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    test_vmcb.int_shadow = 0;
    inject(EVENT_INTR, 0x31, false);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_INTR, 0x31));
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    ck_assert(arch_vcpu_event_queued(test_vcpu));
}
END_TEST

START_TEST(interrupted_interrupt_is_delivered_again)
{
    test_vmcb.rflags = IF;
    svm_collect_interrupted(test_svm, evt(EVT_INTR, 0x41));
    ck_assert(test_vcpu->requests & SVM_REQ_ENTRY);
    ck_assert(!arch_vcpu_irq_ready(test_vcpu));
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_INTR, 0x41));
    ck_assert(!test_svm->redeliver.valid);
}
END_TEST

START_TEST(type_3_with_a_high_vector_is_an_interrupt)
{
    test_vmcb.rflags = IF;
    svm_collect_interrupted(test_svm, evt(EVT_EXCEPTION, 0x80));
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_INTR, 0x80));
}
END_TEST

START_TEST(software_interrupts_run_again_by_themselves)
{
    svm_collect_interrupted(test_svm, evt(EVT_SOFT_INT, 0x80));
    svm_collect_interrupted(test_svm, evt(EVT_EXCEPTION, X86_BP));
    svm_collect_interrupted(test_svm, evt(EVT_EXCEPTION, X86_OF));
    ck_assert(!test_svm->redeliver.valid);
}
END_TEST

START_TEST(interrupted_exception_keeps_its_error_code)
{
    svm_collect_interrupted(test_svm, evt(EVT_EXCEPTION, X86_PF) | EVT_ERROR | (6ULL << 32));
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_EXCEPTION, X86_PF) | EVT_ERROR | (6ULL << 32));
}
END_TEST

START_TEST(exception_goes_before_an_interrupted_interrupt)
{
    test_vmcb.rflags = IF;
    svm_collect_interrupted(test_svm, evt(EVT_INTR, 0x41));
    inject(EVENT_EXCEPTION, X86_PF, true);
    ck_assert_uint_eq(test_vmcb.cr2, 0xabc000);
    test_vcpu->requests = 0;
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj & 0xff, X86_PF);
    ck_assert(test_vcpu->requests & SVM_REQ_ENTRY);

    /* Delivered; its handler runs with IF clear. */
    test_vmcb.eventinj = 0;
    test_vmcb.rflags = 0;
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, 0);
    ck_assert(test_vmcb.intercept1 & I1_VINTR);

    test_vmcb.rflags = IF;
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_INTR, 0x41));
}
END_TEST

START_TEST(queued_interrupt_makes_way_for_an_exception)
{
    test_vmcb.rflags = IF;
    inject(EVENT_INTR, 0x55, false);
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(test_vmcb.eventinj & 0xff, X86_GP);
    ck_assert(test_svm->redeliver.valid);
    ck_assert_uint_eq(test_svm->redeliver.vector, 0x55);
}
END_TEST

START_TEST(exceptions_combine_as_the_manual_says)
{
    static const struct {
        u8 first, second, result;
    } t[] = {
        {X86_GP, X86_GP, X86_DF}, {X86_DE, X86_NP, X86_DF}, {X86_PF, X86_PF, X86_DF},
        {X86_PF, X86_GP, X86_DF}, {X86_GP, X86_PF, X86_PF}, {X86_UD, X86_GP, X86_GP},
        {X86_PF, X86_UD, X86_UD}, {X86_GP, X86_DB, X86_DB},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        test_svm_setup();
        svm_collect_interrupted(test_svm, evt(EVT_EXCEPTION, t[i].first));
        inject(EVENT_EXCEPTION, t[i].second, false);
        ck_assert_uint_eq(test_vmcb.eventinj & 0xff, t[i].result);
        ck_assert(!test_svm->redeliver.valid);
        ck_assert_uint_eq(test_fatal, 0);
    }
}
END_TEST

START_TEST(exception_during_double_fault_stops_the_vm)
{
    svm_collect_interrupted(test_svm, evt(EVT_EXCEPTION, X86_DF) | EVT_ERROR);
    inject(EVENT_EXCEPTION, X86_PF, true);
    ck_assert_uint_eq(test_fatal, 1);
}
END_TEST

START_TEST(real_mode_exceptions_have_no_error_code)
{
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_EXCEPTION, X86_GP));
    inject(EVENT_EXCEPTION, X86_SS, true);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_EXCEPTION, X86_DF));
    test_svm_setup();
    test_vmcb.cr0 = CR0_PE;
    inject(EVENT_EXCEPTION, X86_GP, true);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_EXCEPTION, X86_GP) | EVT_ERROR);
    inject(EVENT_EXCEPTION, X86_SS, true);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_EXCEPTION, X86_DF) | EVT_ERROR);
}
END_TEST

START_TEST(irq_window_sets_and_clears_the_virtual_request)
{
    arch_vcpu_irq_window(test_vcpu, true);
    ck_assert(test_vmcb.vintr & VINTR_V_IRQ);
    ck_assert(test_vmcb.vintr & VINTR_IGN_TPR);
    ck_assert(test_vmcb.intercept1 & I1_VINTR);
    arch_vcpu_irq_window(test_vcpu, false);
    ck_assert_uint_eq(test_vmcb.vintr, VINTR_INTR_MASKING);
    ck_assert(!(test_vmcb.intercept1 & I1_VINTR));
}
END_TEST

START_TEST(second_nmi_waits_for_the_completed_iret)
{
    inject(EVENT_NMI, 2, false);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_NMI, 2));
    test_vmcb.eventinj = 0;
    ck_assert(test_vmcb.intercept1 & I1_IRET);
    ck_assert(!arch_vcpu_nmi_ready(test_vcpu));
    arch_vcpu_nmi_window(test_vcpu, true);
    ck_assert_uint_eq(test_kicks, 0);

    svm_iret_exit(test_svm);
    ck_assert(!(test_vmcb.intercept1 & I1_IRET));
    ck_assert(test_vmcb.rflags & TF);
    ck_assert(!arch_vcpu_nmi_ready(test_vcpu));

    test_vmcb.rflags = 0; /* popped by the IRET */
    ck_assert(svm_debug_exit(test_svm));
    ck_assert(test_vcpu->requests & VCPU_REQ_NMI);
    ck_assert(arch_vcpu_nmi_ready(test_vcpu));
}
END_TEST

START_TEST(iret_without_a_waiting_nmi_unblocks_all_the_same)
{
    inject(EVENT_NMI, 2, false);
    test_vmcb.eventinj = 0;
    svm_iret_exit(test_svm);
    test_vmcb.rflags = 0;
    ck_assert(svm_debug_exit(test_svm));
    ck_assert(!(test_vcpu->requests & VCPU_REQ_NMI));
    ck_assert(arch_vcpu_nmi_ready(test_vcpu));
}
END_TEST

START_TEST(debug_exception_of_the_guest_is_not_swallowed)
{
    ck_assert(!svm_debug_exit(test_svm));
    svm_iret_exit(test_svm);
    test_vmcb.rflags = TF; /* the interrupted code was stepping itself */
    ck_assert(!svm_debug_exit(test_svm));
}
END_TEST

START_TEST(nmi_held_by_a_shadow_is_retried_after_a_kick)
{
    test_vmcb.int_shadow = 1;
    ck_assert(!arch_vcpu_nmi_ready(test_vcpu));
    arch_vcpu_nmi_window(test_vcpu, true);
    ck_assert_uint_eq(test_kicks, 1);
    test_vmcb.int_shadow = 0;
    svm_nmi_retry(test_svm);
    ck_assert(test_vcpu->requests & VCPU_REQ_NMI);
}
END_TEST

START_TEST(interrupted_nmi_is_delivered_again_and_blocks)
{
    inject(EVENT_NMI, 2, false);
    test_vmcb.eventinj = 0;
    svm_collect_interrupted(test_svm, evt(EVT_NMI, 2));
    svm_flush_event(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_NMI, 2));
    test_vmcb.eventinj = 0;
    ck_assert(!arch_vcpu_nmi_ready(test_vcpu));
}
END_TEST

START_TEST(stepping_over_an_emulated_instruction_raises_a_debug_trap)
{
    test_vmcb.rflags = TF;
    svm_single_step(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj, evt(EVT_EXCEPTION, X86_DB));
    ck_assert(test_vmcb.dr6 & BIT64(14));
}
END_TEST

START_TEST(a_fault_of_the_instruction_itself_takes_the_place_of_the_trap)
{
    test_vmcb.rflags = TF;
    inject(EVENT_EXCEPTION, X86_GP, true);
    svm_single_step(test_svm);
    ck_assert_uint_eq(test_vmcb.eventinj & 0xff, X86_GP);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("svm_events");
    TCase *t = tcase_create("events");

    tcase_add_checked_fixture(t, test_svm_setup, NULL);
    tcase_add_test(t, interrupt_needs_if_and_no_shadow);
    tcase_add_test(t, interrupted_interrupt_is_delivered_again);
    tcase_add_test(t, type_3_with_a_high_vector_is_an_interrupt);
    tcase_add_test(t, software_interrupts_run_again_by_themselves);
    tcase_add_test(t, interrupted_exception_keeps_its_error_code);
    tcase_add_test(t, exception_goes_before_an_interrupted_interrupt);
    tcase_add_test(t, queued_interrupt_makes_way_for_an_exception);
    tcase_add_test(t, exceptions_combine_as_the_manual_says);
    tcase_add_test(t, exception_during_double_fault_stops_the_vm);
    tcase_add_test(t, real_mode_exceptions_have_no_error_code);
    tcase_add_test(t, irq_window_sets_and_clears_the_virtual_request);
    tcase_add_test(t, second_nmi_waits_for_the_completed_iret);
    tcase_add_test(t, iret_without_a_waiting_nmi_unblocks_all_the_same);
    tcase_add_test(t, debug_exception_of_the_guest_is_not_swallowed);
    tcase_add_test(t, nmi_held_by_a_shadow_is_retried_after_a_kick);
    tcase_add_test(t, interrupted_nmi_is_delivered_again_and_blocks);
    tcase_add_test(t, stepping_over_an_emulated_instruction_raises_a_debug_trap);
    tcase_add_test(t, a_fault_of_the_instruction_itself_takes_the_place_of_the_trap);
    suite_add_tcase(s, t);
    return test_svm_main(s);
}
