/* src/core/timer.c: firing, re-arming, setting from another CPU. */
#include <core/timer.h>
#include "core_test.h"

static struct timer a, b;
static unsigned fired_a, fired_b;
static u32 fired_on;
static u64 again; /* a sets itself anew to this */

static void on_a(struct timer *t)
{
    ck_assert_uint_eq(t->deadline, TIMER_OFF);
    fired_a++;
    fired_on = this_cpu()->id;
    if (again)
        timer_set(t, again);
}

static void on_b(struct timer *t)
{
    (void)t;
    fired_b++;
}

static void setup(void)
{
    core_setup();
    fired_a = fired_b = 0;
    again = 0;
    fake_set_cpu(2);
    fake_tsc = 1000;
    timer_init(&a, 2, on_a);
    timer_init(&b, 2, on_b);
    timers_run();
}

START_TEST(nothing_is_armed_while_no_timer_is_set)
{
    ck_assert_uint_eq(fake_armed[2], TIMER_OFF);
}
END_TEST

START_TEST(fires_once_when_due_and_not_before)
{
    timer_set(&a, 2000);
    ck_assert_uint_eq(fake_armed[2], 2000);
    fake_tsc = 1999;
    timers_run();
    ck_assert_uint_eq(fired_a, 0);
    ck_assert_uint_eq(fake_armed[2], 2000);
    fake_tsc = 2000;
    timers_run();
    ck_assert_uint_eq(fired_a, 1);
    ck_assert_uint_eq(fake_armed[2], TIMER_OFF);
    timers_run();
    ck_assert_uint_eq(fired_a, 1);
}
END_TEST

START_TEST(the_earliest_deadline_is_armed)
{
    timer_set(&a, 5000);
    timer_set(&b, 3000);
    ck_assert_uint_eq(fake_armed[2], 3000);
    timer_set(&b, 4000); /* later: the hardware may stay early */
    timers_run();
    ck_assert_uint_eq(fake_armed[2], 4000);
    fake_tsc = 4500;
    timers_run();
    ck_assert_uint_eq(fired_b, 1);
    ck_assert_uint_eq(fired_a, 0);
    ck_assert_uint_eq(fake_armed[2], 5000);
}
END_TEST

START_TEST(setting_a_later_time_costs_no_hardware_access)
{
    u32 arms;

    timer_set(&a, 2000);
    arms = fake_arms[2];
    timer_set(&b, 3000);
    timer_set(&b, 2500);
    ck_assert_uint_eq(fake_arms[2], arms);
}
END_TEST

START_TEST(cancel_stops_it)
{
    timer_set(&a, 2000);
    timer_cancel(&a);
    fake_tsc = 9000;
    timers_run();
    ck_assert_uint_eq(fired_a, 0);
    ck_assert_uint_eq(fake_armed[2], TIMER_OFF);
}
END_TEST

START_TEST(a_timer_may_set_itself_again)
{
    again = 7000;
    timer_set(&a, 2000);
    fake_tsc = 2500;
    timers_run();
    ck_assert_uint_eq(fired_a, 1);
    ck_assert_uint_eq(fake_armed[2], 7000);
}
END_TEST

START_TEST(set_from_another_cpu_takes_effect_by_request_and_kick)
{
    fake_set_cpu(1);
    timer_set(&a, 2000);
    ck_assert_uint_eq(fake_kicks[2], 1);
    ck_assert_uint_eq(fake_armed[1], TIMER_OFF);
    ck_assert_uint_eq(fake_cpus[2].requests, CPU_REQ_TIMER);
    run_cpu(2);
    ck_assert_uint_eq(fake_armed[2], 2000);
    pass_time(1500);
    run_cpu(2);
    ck_assert_uint_eq(fired_a, 1);
    ck_assert_uint_eq(fired_on, 2);
}
END_TEST

static void set_b_elsewhere(struct timer *t)
{
    (void)t;
    fired_a++;
    fake_set_cpu(4);
    timer_set(&b, 2600);
    fake_set_cpu(2);
}

START_TEST(set_from_another_cpu_while_the_home_cpu_fires_is_not_lost)
{
    a.fn = set_b_elsewhere;
    timer_set(&a, 2000);
    pass_time(1500);
    run_cpu(2);
    ck_assert_uint_eq(fired_a, 1);
    ck_assert_uint_eq(fake_armed[2], 2600);
    pass_time(200);
    run_cpu(2);
    ck_assert_uint_eq(fired_b, 1);
}
END_TEST

START_TEST(a_deadline_in_the_past_is_armed_at_once)
{
    fake_tsc = 5000;
    timer_set(&a, 10);
    ck_assert_uint_eq(fake_armed[2], 10);
    pass_time(0);
    run_cpu(2);
    ck_assert_uint_eq(fired_a, 1);
}
END_TEST

START_TEST(timers_of_a_vcpu_that_stopped_are_quiet)
{
    static const struct {
        u32 state;
        bool fires;
    } t[] = {{VCPU_OFFLINE, false},
             {VCPU_STOPPED, false},
             {VCPU_WAIT_SIPI, true},
             {VCPU_RUNNING, true},
             {VCPU_HALTED, true}};
    static struct timer c;
    struct vcpu *v = fake_cpus[2].vcpu;

    timer_init_vcpu(&c, v, on_b);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        fired_b = 0;
        v->state = t[i].state;
        timer_set(&c, fake_tsc + 10);
        pass_time(20);
        cpu_service();
        ck_assert_msg(fired_b == t[i].fires, "state %u", t[i].state);
        ck_assert_uint_eq(fake_armed[2], TIMER_OFF); /* what is overdue does not keep the hardware busy */
        timer_cancel(&c);
    }
}
END_TEST

START_TEST(conversions_do_not_overflow)
{
    fake_tsc_hz = 2400000000u;
    ck_assert_uint_eq(ns_to_tsc(1000), 2400);
    ck_assert_uint_eq(tsc_to_ns(2400), 1000);
    ck_assert_uint_eq(ns_to_tsc(5000000000000000000ULL), 12000000000000000000ULL);
    ck_assert_uint_eq(tsc_to_ns(~(u64)0), 7686143364045646506ULL);
    ck_assert_uint_eq(mul_div_u64(~(u64)0, 2, 1), ~(u64)0); /* does not fit: saturates */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("timer");
    TCase *t = tcase_create("timer");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, nothing_is_armed_while_no_timer_is_set);
    tcase_add_test(t, fires_once_when_due_and_not_before);
    tcase_add_test(t, the_earliest_deadline_is_armed);
    tcase_add_test(t, setting_a_later_time_costs_no_hardware_access);
    tcase_add_test(t, cancel_stops_it);
    tcase_add_test(t, a_timer_may_set_itself_again);
    tcase_add_test(t, set_from_another_cpu_takes_effect_by_request_and_kick);
    tcase_add_test(t, set_from_another_cpu_while_the_home_cpu_fires_is_not_lost);
    tcase_add_test(t, a_deadline_in_the_past_is_armed_at_once);
    tcase_add_test(t, timers_of_a_vcpu_that_stopped_are_quiet);
    tcase_add_test(t, conversions_do_not_overflow);
    suite_add_tcase(s, t);
    return run_suite(s);
}
