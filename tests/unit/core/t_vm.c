/* src/core/vm.c: the life of a VM, driven through the real CPU loop on fake CPUs. */
#include <stdio.h>
#include <core/console.h>
#include <lib/log.h>
#include "core_test.h"

static struct vm *a, *b, *c;
/* What the guests do; index is the vCPU's. A guest without an action halts. */
static void (*action[CFG_VCPUS])(struct vcpu *v);

static void guest(struct vcpu *v)
{
    void (*act)(struct vcpu * v) = action[v->index];

    action[v->index] = NULL;
    if (act)
        act(v);
    else
        vcpu_halt(v);
}

static void setup(void)
{
    core_setup();
    a = &vms[0];
    b = &vms[1];
    c = &vms[2];
    memset(action, 0, sizeof(action));
    fake_guest = guest;
}

static bool logged(const char *text)
{
    return strstr(fake_out, text) != NULL;
}

static unsigned times_logged(const char *text)
{
    unsigned n = 0;

    for (const char *p = fake_out; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

START_TEST(building_the_vms_maps_their_memory_and_pins_their_vcpus)
{
    struct s2_leaf leaf;

    ck_assert_uint_eq(a->state, VM_STATE_OFF);
    ck_assert(arch_s2_translate(a, gpa(0x1000000), &leaf));
    ck_assert_uint_eq(leaf.hpa.v, 0x6000000);
    ck_assert_uint_eq(leaf.prot, MEM_RWX);
    ck_assert(!arch_s2_translate(a, gpa(0x4000000), &leaf));
    ck_assert_ptr_eq(fake_cpus[2].vcpu, &vcpus[1]);
    ck_assert_ptr_eq(vcpus[1].vm, a);
    ck_assert_uint_eq(vcpus[3].id, 1);
    ck_assert_uint_eq(vcpus[3].index, 3);
    ck_assert_uint_eq(vcpus[3].pcpu, 4);
    ck_assert_ptr_null(fake_cpus[0].vcpu);
    ck_assert_uint_eq(fake_vms[0].inits, 1);
    ck_assert_uint_eq(fake_vcpus[4].inits, 1);
}
END_TEST

START_TEST(a_pool_too_small_for_the_tables_stops_the_boot)
{
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    fake_s2_limit = 1; /* vm a needs two mappings */
    ck_assert(FAKE_ENDS(vms_init()));
    ck_assert(logged("panic: vm a: 24 pages of second-level tables do not reach"));
}
END_TEST

START_TEST(autostart_starts_exactly_the_flagged_vms)
{
    vms_autostart();
    ck_assert_uint_eq(a->state, VM_STATE_OFF); /* by their own CPUs, not here */
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
    ck_assert_uint_eq(b->state, VM_STATE_STARTED);
    ck_assert_uint_eq(c->state, VM_STATE_OFF);
    ck_assert(logged("vm a: started"));
    ck_assert(logged("vm b: started"));
    ck_assert_uint_eq(a->starts, 1);
    ck_assert_uint_eq(fake_vcpus[0].runs, 1);
    ck_assert_uint_eq(fake_vcpus[0].reg[REG_RIP], 0x100000);
    ck_assert_uint_eq(a->vcpus[0].state, VCPU_HALTED);
    ck_assert_uint_eq(a->vcpus[1].state, VCPU_WAIT_SIPI);
    ck_assert_uint_eq(fake_vcpus[1].runs, 0);
}
END_TEST

START_TEST(the_first_start_does_not_scrub)
{
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(fake_zeroed, 0);
}
END_TEST

START_TEST(start_resets_devices_before_loading)
{
    vm_control(c, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(fake_vms[2].resets, 1);
    ck_assert_uint_eq(loads[2], 1);
    ck_assert_uint_eq(fake_s2_flushes[2], 1);
}
END_TEST

START_TEST(an_image_that_cannot_be_loaded_leaves_the_vm_off)
{
    load_result = -EINVAL_;
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_OFF);
    ck_assert(logged("vm a: not started"));
    ck_assert_uint_eq(fake_vcpus[0].runs, 0);
    /* What the failed load left behind is scrubbed before the next try. */
    load_result = 0;
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
    ck_assert_uint_eq(dirty_loads, 0);
    ck_assert_uint_eq(fake_zeroed, 0x4000000);
}
END_TEST

static void send_sipi_to_second(struct vcpu *v)
{
    vcpu_send_init(&v->vm->vcpus[1]);
    vcpu_send_sipi(&v->vm->vcpus[1], 8);
}

static void start_both_vcpus(void)
{
    action[0] = send_sipi_to_second;
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->vcpus[1].state, VCPU_HALTED);
}

START_TEST(stop_takes_all_vcpus_off_and_keeps_the_neighbour_running)
{
    vm_control(b, VM_WANT_START);
    start_both_vcpus();
    vm_control(a, VM_WANT_STOP);
    run_cpu(1);
    ck_assert_uint_eq(a->state, VM_STATE_POWERING_OFF); /* vCPU 1 has not answered yet, nobody waits for it */
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_OFF);
    ck_assert_uint_eq(a->vcpus[0].state, VCPU_STOPPED);
    ck_assert_uint_eq(a->vcpus[1].state, VCPU_STOPPED);
    ck_assert(logged("vm a: off"));
    ck_assert_uint_eq(b->state, VM_STATE_STARTED);
    ck_assert_uint_eq(b->vcpus[0].state, VCPU_HALTED);
}
END_TEST

START_TEST(a_vcpu_waiting_for_sipi_stops_too)
{
    vm_control(a, VM_WANT_START);
    run_all();
    vm_control(a, VM_WANT_STOP);
    run_all();
    ck_assert_uint_eq(a->vcpus[1].state, VCPU_STOPPED);
    ck_assert_uint_eq(a->state, VM_STATE_OFF);
}
END_TEST

START_TEST(restart_gives_clean_memory_and_reset_vcpus)
{
    start_both_vcpus();
    memset(fake_mem(0x6000000 + 0x2345), 0xcc, 100);
    vm_control(a, VM_WANT_RESTART);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
    ck_assert_uint_eq(a->starts, 2);
    ck_assert_uint_eq(loads[0], 2);
    ck_assert_uint_eq(dirty_loads, 0);
    ck_assert_uint_eq(*fake_mem(0x6000000 + 0x2345), 0);
    ck_assert_uint_eq(fake_zeroed, 0x4000000); /* all of it, and only its own */
    ck_assert_uint_eq(a->vcpus[1].state, VCPU_WAIT_SIPI);
    ck_assert_uint_eq(fake_vms[0].resets, 2);
    ck_assert_uint_gt(fake_irq_windows, 32); /* scrubbed in pieces */
}
END_TEST

START_TEST(stop_and_start_again_scrubs)
{
    vm_control(a, VM_WANT_START);
    run_all();
    vm_control(a, VM_WANT_STOP);
    run_all();
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->starts, 2);
    ck_assert_uint_eq(dirty_loads, 0);
}
END_TEST

START_TEST(requests_left_over_from_the_last_run_do_not_reach_the_next)
{
    start_both_vcpus();
    vm_control(a, VM_WANT_STOP);
    run_all();
    vcpu_request(&a->vcpus[1], VCPU_REQ_SIPI); /* a late IPI */
    vm_control(a, VM_WANT_START);
    run_cpu(1);
    run_all();
    ck_assert_uint_eq(a->vcpus[1].state, VCPU_WAIT_SIPI);
}
END_TEST

START_TEST(wishes_that_change_nothing_are_answered)
{
    vm_control(a, VM_WANT_STOP);
    run_all();
    ck_assert(logged("vm a: already off"));
    vm_control(a, VM_WANT_START);
    run_all();
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert(logged("vm a: already started"));
    ck_assert_uint_eq(a->starts, 1);
    ck_assert_uint_eq(a->want, 0);
}
END_TEST

START_TEST(restart_of_a_vm_that_is_off_starts_it)
{
    vm_control(a, VM_WANT_RESTART);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
}
END_TEST

START_TEST(stop_then_start_before_anyone_served_them_restarts)
{
    vm_control(a, VM_WANT_START);
    run_all();
    vm_control(a, VM_WANT_STOP);
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
    ck_assert_uint_eq(a->starts, 2);
}
END_TEST

START_TEST(start_then_stop_before_anyone_served_them_ends_off)
{
    vm_control(a, VM_WANT_START);
    vm_control(a, VM_WANT_STOP);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_OFF);
    ck_assert_uint_eq(a->starts, 0);
}
END_TEST

START_TEST(guest_poweroff_stops_that_vm_only)
{
    vms_autostart();
    action[0] = vm_guest_poweroff;
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_OFF);
    ck_assert(logged("vm a: powered off"));
    ck_assert_uint_eq(b->state, VM_STATE_STARTED);
    ck_assert_uint_eq(b->vcpus[0].state, VCPU_HALTED);
}
END_TEST

START_TEST(guest_reset_from_a_secondary_vcpu_restarts_the_vm)
{
    action[1] = vm_guest_reset;
    action[0] = send_sipi_to_second;
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
    ck_assert_uint_eq(a->starts, 2);
    ck_assert(logged("vm a: restart (guest reset)"));
    ck_assert_uint_eq(times_logged("vm a: started"), 2);
    ck_assert_uint_eq(dirty_loads, 0);
}
END_TEST

static void reset_again(struct vcpu *v)
{
    vm_guest_reset(v);
    if (v->vm->starts < 50)
        action[v->index] = reset_again;
}

START_TEST(a_guest_in_a_reset_loop_does_not_flood_the_log)
{
    action[4] = reset_again;
    vm_control(c, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(c->starts, 51);
    ck_assert_uint_le(times_logged("vm c:"), 12);
}
END_TEST

static void fatal(struct vcpu *v)
{
    arch_vcpu_set(v, REG_RIP, 0xdeadbeef);
    vm_guest_fatal(v, "triple fault");
}

START_TEST(a_fatal_guest_error_is_logged_with_registers_and_stops_the_vm)
{
    vms_autostart();
    action[2] = fatal;
    run_all();
    ck_assert_uint_eq(b->state, VM_STATE_OFF);
    ck_assert(logged("ERROR: vm b: stopped: triple fault at rip 0xdeadbeef on vcpu 0"));
    ck_assert(logged("ERROR: rip 00000000deadbeef"));
    ck_assert_uint_eq(a->state, VM_STATE_STARTED);
    /* It stays off until told. */
    run_all();
    ck_assert_uint_eq(b->starts, 1);
    vm_control(b, VM_WANT_RESTART);
    run_all();
    ck_assert_uint_eq(b->state, VM_STATE_STARTED);
}
END_TEST

static void operator_stop_then_guest_reset(struct vcpu *v)
{
    vm_control(v->vm, VM_WANT_STOP);
    vm_guest_reset(v);
}

START_TEST(a_guest_reset_cannot_undo_an_operators_stop)
{
    action[4] = operator_stop_then_guest_reset;
    vm_control(c, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(c->state, VM_STATE_OFF);
    ck_assert_uint_eq(c->starts, 1);
}
END_TEST

static void guest_reset_then_operator_stop(struct vcpu *v)
{
    vm_guest_reset(v);
    vm_control(v->vm, VM_WANT_STOP);
}

START_TEST(an_operators_stop_beats_a_guest_reset_under_way)
{
    action[4] = guest_reset_then_operator_stop;
    vm_control(c, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(c->state, VM_STATE_OFF);
}
END_TEST

static void both_die_first(struct vcpu *v)
{
    action[1] = fatal;
    send_sipi_to_second(v);
    action[0] = vm_guest_poweroff;
}

START_TEST(two_vcpus_that_end_the_vm_at_once_end_it_once)
{
    action[0] = both_die_first;
    vm_control(a, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(a->state, VM_STATE_OFF);
    ck_assert_uint_eq(a->active, 0);
    ck_assert_uint_eq(times_logged("vm a: off"), 1);
}
END_TEST

static unsigned served;
static void want_console(void)
{
    served++;
    fake_cpus[5].requests |= CPU_REQ_TIMER;
}

START_TEST(a_long_scrub_serves_this_cpus_timers_in_between)
{
    u32 arms;

    vm_control(c, VM_WANT_START);
    run_all();
    served = 0;
    arms = fake_arms[5];
    fake_irq_hook = want_console;
    vm_control(c, VM_WANT_RESTART);
    run_all();
    ck_assert_uint_ge(served, 16);
    ck_assert_uint_ge(fake_arms[5], arms + 16);
}
END_TEST

START_TEST(vms_are_found_by_name)
{
    ck_assert_ptr_eq(vm_by_name("b"), b);
    ck_assert_ptr_null(vm_by_name("x"));
    ck_assert_ptr_null(vm_by_name(""));
    ck_assert_str_eq(vm_state_name(VM_STATE_STARTED), "started");
    ck_assert_str_eq(vm_state_name(77), "?");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vm");
    TCase *t = tcase_create("vm");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, building_the_vms_maps_their_memory_and_pins_their_vcpus);
    tcase_add_test(t, a_pool_too_small_for_the_tables_stops_the_boot);
    tcase_add_test(t, autostart_starts_exactly_the_flagged_vms);
    tcase_add_test(t, the_first_start_does_not_scrub);
    tcase_add_test(t, start_resets_devices_before_loading);
    tcase_add_test(t, an_image_that_cannot_be_loaded_leaves_the_vm_off);
    tcase_add_test(t, stop_takes_all_vcpus_off_and_keeps_the_neighbour_running);
    tcase_add_test(t, a_vcpu_waiting_for_sipi_stops_too);
    tcase_add_test(t, restart_gives_clean_memory_and_reset_vcpus);
    tcase_add_test(t, stop_and_start_again_scrubs);
    tcase_add_test(t, requests_left_over_from_the_last_run_do_not_reach_the_next);
    tcase_add_test(t, wishes_that_change_nothing_are_answered);
    tcase_add_test(t, restart_of_a_vm_that_is_off_starts_it);
    tcase_add_test(t, stop_then_start_before_anyone_served_them_restarts);
    tcase_add_test(t, start_then_stop_before_anyone_served_them_ends_off);
    tcase_add_test(t, guest_poweroff_stops_that_vm_only);
    tcase_add_test(t, guest_reset_from_a_secondary_vcpu_restarts_the_vm);
    tcase_add_test(t, a_guest_in_a_reset_loop_does_not_flood_the_log);
    tcase_add_test(t, a_fatal_guest_error_is_logged_with_registers_and_stops_the_vm);
    tcase_add_test(t, a_guest_reset_cannot_undo_an_operators_stop);
    tcase_add_test(t, an_operators_stop_beats_a_guest_reset_under_way);
    tcase_add_test(t, two_vcpus_that_end_the_vm_at_once_end_it_once);
    tcase_add_test(t, a_long_scrub_serves_this_cpus_timers_in_between);
    tcase_add_test(t, vms_are_found_by_name);
    suite_add_tcase(s, t);
    return run_suite(s);
}
