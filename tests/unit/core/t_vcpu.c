/* src/core/vcpu.c and cpu.c: requests are never lost, HLT, INIT and SIPI. */
#include <core/timer.h>
#include "core_test.h"

static struct vcpu *v0, *v1;
static struct fake_vcpu *f0, *f1;
static unsigned guest_runs;

/* Puts vCPU 0 of vm "a" (CPU 1) into guest mode and leaves vCPU 1 (CPU 2) waiting for SIPI, as vm start does.
 */
static void setup(void)
{
    core_setup();
    v0 = &vms[0].vcpus[0];
    v1 = &vms[0].vcpus[1];
    f0 = &fake_vcpus[0];
    f1 = &fake_vcpus[1];
    v0->state = VCPU_RUNNING;
    v1->state = VCPU_WAIT_SIPI;
    vms[0].state = VM_STATE_STARTED;
    vms[0].active = 2;
    guest_runs = 0;
    fake_set_cpu(1);
}

START_TEST(a_request_from_another_cpu_kicks_one_from_the_own_does_not)
{
    vcpu_request(v0, VCPU_REQ_EVENT);
    ck_assert_uint_eq(fake_kicks[1], 0);
    ck_assert_uint_eq(v0->requests, VCPU_REQ_EVENT);
    vcpu_request(v1, VCPU_REQ_EVENT);
    ck_assert_uint_eq(fake_kicks[2], 1);
    cpu_request(1, CPU_REQ_TIMER);
    ck_assert_uint_eq(fake_kicks[1], 0);
    cpu_request(3, CPU_REQ_TIMER);
    ck_assert_uint_eq(fake_kicks[3], 1);
}
END_TEST

START_TEST(a_bit_that_is_still_set_is_not_kicked_again_but_a_new_bit_is)
{
    vcpu_request(v1, VCPU_REQ_NMI);
    vcpu_request(v1, VCPU_REQ_NMI);
    ck_assert_uint_eq(fake_kicks[2], 1);
    vcpu_request(v1, VCPU_REQ_INIT | VCPU_REQ_NMI);
    ck_assert_uint_eq(fake_kicks[2], 2);
    cpu_request(3, CPU_REQ_VM);
    cpu_request(3, CPU_REQ_VM);
    ck_assert_uint_eq(fake_kicks[3], 1);
}
END_TEST

START_TEST(an_event_bit_left_by_a_posted_interrupt_does_not_swallow_the_next_kick)
{
    /* As arch_vcpu_apic_post() leaves it: the CPU took the interrupt in guest mode, without an exit. */
    atomic_or(&v1->requests, (u32)VCPU_REQ_EVENT);
    vcpu_request(v1, VCPU_REQ_EVENT);
    ck_assert_uint_eq(fake_kicks[2], 1);
}
END_TEST

START_TEST(events_of_a_running_vcpu_are_delivered_once)
{
    vcpu_request(v0, VCPU_REQ_EVENT | VCPU_REQ_NMI);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(f0->delivered, VCPU_REQ_EVENT | VCPU_REQ_NMI);
    ck_assert_uint_eq(f0->deliveries, 1);
    ck_assert_uint_eq(v0->requests, 0);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(f0->deliveries, 1);
}
END_TEST

START_TEST(a_flush_request_is_left_to_the_backend)
{
    vcpu_request(v0, VCPU_REQ_FLUSH | VCPU_REQ_EVENT);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(v0->requests, VCPU_REQ_FLUSH);
}
END_TEST

static void halt_once(struct vcpu *v)
{
    guest_runs++;
    vcpu_halt(v);
}

START_TEST(a_halted_vcpu_idles_until_something_can_wake_it)
{
    fake_guest = halt_once;
    run_cpu(1);
    ck_assert_uint_eq(guest_runs, 1);
    ck_assert_uint_eq(v0->state, VCPU_HALTED);
    ck_assert_uint_eq(v0->requests, 0);
    /* An event that wakes nothing (masked interrupt) leaves it halted, and the CPU idles again. */
    vcpu_request(v0, VCPU_REQ_EVENT);
    run_cpu(1);
    ck_assert_uint_eq(guest_runs, 1);
    ck_assert_uint_eq(v0->state, VCPU_HALTED);
    f0->wake = true;
    fake_set_cpu(2);
    vcpu_request(v0, VCPU_REQ_EVENT);
    ck_assert_uint_eq(fake_kicks[1], 1);
    f0->deliveries = 0;
    fake_guest = NULL;
    f0->wake = true;
    fake_set_cpu(1);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(v0->state, VCPU_RUNNING);
    ck_assert_uint_eq(f0->deliveries, 1);
}
END_TEST

START_TEST(halting_with_a_wake_up_already_pending_does_not_sleep)
{
    f0->wake = true; /* arrived between the guest's last look and its HLT */
    vcpu_halt(v0);
    ck_assert_uint_ne(v0->requests, 0);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(v0->state, VCPU_RUNNING);
    ck_assert_uint_eq(f0->delivered, VCPU_REQ_EVENT);
}
END_TEST

START_TEST(an_nmi_wakes_a_halted_vcpu)
{
    v0->state = VCPU_HALTED;
    vcpu_request(v0, VCPU_REQ_NMI);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(f0->delivered, VCPU_REQ_NMI);
}
END_TEST

static jmp_buf out;

static void leave_idle(void)
{
    longjmp(out, 1);
}

/* The idle CPU is kicked with its request word set, so the loop goes on; the next idle leaves it. */
static void event_while_idle(void)
{
    f0->wake = true;
    atomic_or(&v0->requests, (u32)VCPU_REQ_EVENT);
    fake_idle_hook = leave_idle;
}

static void halt_and_forget(struct vcpu *v)
{
    guest_runs++;
    f0->wake = false;
    vcpu_halt(v);
}

START_TEST(an_event_during_idle_is_taken_by_the_loop)
{
    fake_guest = halt_and_forget;
    fake_idle_hook = event_while_idle;
    if (setjmp(out) == 0)
        cpu_loop();
    ck_assert_uint_eq(guest_runs, 2); /* ran, halted, was woken, ran again */
    ck_assert_uint_eq(v0->state, VCPU_HALTED);
}
END_TEST

START_TEST(sipi_starts_a_waiting_vcpu_at_its_vector)
{
    vcpu_send_sipi(v1, 0x9a);
    ck_assert_uint_eq(fake_kicks[2], 1);
    fake_set_cpu(2);
    ck_assert(vcpu_pre_entry(v1));
    ck_assert_uint_eq(v1->state, VCPU_RUNNING);
    ck_assert_uint_eq(f1->seg[SEG_CS].base, 0x9a000);
    ck_assert_uint_eq(f1->seg[SEG_CS].sel, 0x9a00);
    ck_assert_uint_eq(f1->reg[REG_RIP], 0);
}
END_TEST

START_TEST(a_second_sipi_does_not_restart_a_running_vcpu)
{
    fake_set_cpu(2);
    vcpu_send_sipi(v1, 0x9a);
    ck_assert(vcpu_pre_entry(v1));
    f1->reg[REG_RIP] = 0x1234;
    vcpu_send_sipi(v1, 0x9a);
    ck_assert(vcpu_pre_entry(v1));
    ck_assert_uint_eq(f1->reg[REG_RIP], 0x1234);
    ck_assert_uint_eq(f1->boot_states, 1);
}
END_TEST

START_TEST(init_parks_an_application_vcpu_and_drops_its_events)
{
    fake_set_cpu(2);
    v1->state = VCPU_RUNNING;
    vcpu_request(v1, VCPU_REQ_EVENT | VCPU_REQ_NMI);
    vcpu_send_init(v1);
    ck_assert(!vcpu_pre_entry(v1));
    ck_assert_uint_eq(v1->state, VCPU_WAIT_SIPI);
    ck_assert_uint_eq(f1->init_ipis, 1);
    ck_assert_uint_eq(f1->deliveries, 0);
}
END_TEST

START_TEST(init_then_sipi_taken_together_start_the_vcpu)
{
    fake_set_cpu(2);
    v1->state = VCPU_HALTED;
    vcpu_send_init(v1);
    vcpu_send_sipi(v1, 8);
    ck_assert(vcpu_pre_entry(v1));
    ck_assert_uint_eq(f1->init_ipis, 1);
    ck_assert_uint_eq(f1->seg[SEG_CS].base, 0x8000);
}
END_TEST

START_TEST(a_sipi_from_before_an_init_does_not_count)
{
    fake_set_cpu(2);
    v1->state = VCPU_RUNNING;
    vcpu_send_sipi(v1, 8);
    vcpu_send_init(v1);
    ck_assert(!vcpu_pre_entry(v1));
    ck_assert_uint_eq(v1->state, VCPU_WAIT_SIPI);
}
END_TEST

START_TEST(init_sends_the_boot_vcpu_to_the_reset_vector)
{
    vcpu_send_init(v0);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_eq(f0->reg[REG_RIP], 0xfff0);
    ck_assert_uint_eq(f0->seg[SEG_CS].base, 0xffff0000);
}
END_TEST

START_TEST(events_do_not_start_a_vcpu_that_waits_for_sipi)
{
    fake_set_cpu(2);
    f1->wake = true;
    vcpu_request(v1, VCPU_REQ_EVENT | VCPU_REQ_NMI);
    ck_assert(!vcpu_pre_entry(v1));
    ck_assert_uint_eq(f1->deliveries, 0);
}
END_TEST

START_TEST(stop_takes_a_vcpu_off_its_cpu_whatever_it_does)
{
    vcpu_request(v0, VCPU_REQ_STOP | VCPU_REQ_EVENT | VCPU_REQ_INIT);
    ck_assert(!vcpu_pre_entry(v0));
    ck_assert_uint_eq(v0->state, VCPU_STOPPED);
    ck_assert_uint_eq(vms[0].active, 1);
    fake_set_cpu(2);
    vcpu_request(v1, VCPU_REQ_STOP);
    ck_assert(!vcpu_pre_entry(v1));
    ck_assert_uint_eq(v1->state, VCPU_STOPPED);
    ck_assert_uint_eq(vms[0].active, 0);
    /* The last one calls the control CPU. */
    ck_assert_uint_eq(fake_cpus[1].requests & CPU_REQ_VM, CPU_REQ_VM);
    ck_assert_uint_eq(fake_kicks[1], 1);
}
END_TEST

START_TEST(a_stopped_vcpu_is_not_counted_twice_and_not_woken)
{
    vcpu_request(v0, VCPU_REQ_STOP);
    vcpu_pre_entry(v0);
    vcpu_request(v0, VCPU_REQ_STOP);
    ck_assert(!vcpu_pre_entry(v0));
    ck_assert_uint_eq(vms[0].active, 1);
    f0->wake = true;
    vcpu_request(v0, VCPU_REQ_EVENT | VCPU_REQ_NMI | VCPU_REQ_INIT | VCPU_REQ_SIPI);
    ck_assert(!vcpu_pre_entry(v0));
    ck_assert_uint_eq(v0->state, VCPU_STOPPED);
    ck_assert_uint_eq(v0->requests, 0);
}
END_TEST

START_TEST(a_flush_request_does_not_keep_a_parked_cpu_from_idling)
{
    fake_set_cpu(2);
    vcpu_request(v1, VCPU_REQ_FLUSH);
    run_cpu(2); /* comes back when it idles */
    ck_assert_uint_eq(fake_idles, 1);
}
END_TEST

static unsigned idles;
static void wake_parked(void)
{
    if (++idles == 2)
        longjmp(out, 1);
    atomic_store(&v1->sipi_vector, 1);
    atomic_or(&v1->requests, (u32)VCPU_REQ_SIPI);
}

static bool flush_seen;
static void look_for_flush(struct vcpu *v)
{
    flush_seen = fake_vcpus[v->index].flushes != 0;
    vcpu_halt(v);
}

START_TEST(a_flush_asked_for_while_parked_reaches_the_next_entry)
{
    idles = 0;
    flush_seen = false;
    fake_set_cpu(2);
    vcpu_request(v1, VCPU_REQ_FLUSH);
    fake_idle_hook = wake_parked;
    fake_guest = look_for_flush;
    if (setjmp(out) == 0)
        cpu_loop();
    ck_assert(flush_seen);
}
END_TEST

START_TEST(cpu_requests_are_served_before_a_guest_is_entered)
{
    u32 arms = fake_arms[1];

    cpu_request(1, CPU_REQ_TIMER);
    ck_assert(vcpu_pre_entry(v0));
    ck_assert_uint_gt(fake_arms[1], arms);
    ck_assert_uint_eq(fake_cpus[1].requests, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vcpu");
    TCase *t = tcase_create("vcpu");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_request_from_another_cpu_kicks_one_from_the_own_does_not);
    tcase_add_test(t, a_bit_that_is_still_set_is_not_kicked_again_but_a_new_bit_is);
    tcase_add_test(t, an_event_bit_left_by_a_posted_interrupt_does_not_swallow_the_next_kick);
    tcase_add_test(t, events_of_a_running_vcpu_are_delivered_once);
    tcase_add_test(t, a_flush_request_is_left_to_the_backend);
    tcase_add_test(t, a_halted_vcpu_idles_until_something_can_wake_it);
    tcase_add_test(t, halting_with_a_wake_up_already_pending_does_not_sleep);
    tcase_add_test(t, an_nmi_wakes_a_halted_vcpu);
    tcase_add_test(t, an_event_during_idle_is_taken_by_the_loop);
    tcase_add_test(t, sipi_starts_a_waiting_vcpu_at_its_vector);
    tcase_add_test(t, a_second_sipi_does_not_restart_a_running_vcpu);
    tcase_add_test(t, init_parks_an_application_vcpu_and_drops_its_events);
    tcase_add_test(t, init_then_sipi_taken_together_start_the_vcpu);
    tcase_add_test(t, a_sipi_from_before_an_init_does_not_count);
    tcase_add_test(t, init_sends_the_boot_vcpu_to_the_reset_vector);
    tcase_add_test(t, events_do_not_start_a_vcpu_that_waits_for_sipi);
    tcase_add_test(t, stop_takes_a_vcpu_off_its_cpu_whatever_it_does);
    tcase_add_test(t, a_stopped_vcpu_is_not_counted_twice_and_not_woken);
    tcase_add_test(t, a_flush_request_does_not_keep_a_parked_cpu_from_idling);
    tcase_add_test(t, a_flush_asked_for_while_parked_reaches_the_next_entry);
    tcase_add_test(t, cpu_requests_are_served_before_a_guest_is_entered);
    suite_add_tcase(s, t);
    return run_suite(s);
}
