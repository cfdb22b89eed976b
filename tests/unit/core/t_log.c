/* src/core/log.c: line format, levels, the budget of guests, panic. The console is not started, so lines go
 * straight out. */
#include <core/console.h>
#include <core/timer.h>
#include <lib/log.h>
#include "core_test.h"

static void setup(void)
{
    core_setup();
}

static unsigned lines(void)
{
    unsigned n = 0;

    for (const char *p = fake_out; *p; p++)
        n += *p == '\n';
    return n;
}

START_TEST(a_line_has_time_cpu_and_level)
{
    fake_tsc = 3000042000; /* at 1 GHz: 3.000042 s */
    fake_set_cpu(4);
    log_warn("disk %d%%", 5);
    ck_assert_str_eq(fake_out, "[    3.000042] cpu4 WARN: disk 5%\r\n");
}
END_TEST

START_TEST(time_counts_from_log_init)
{
    fake_tsc = 5000000000;
    log_init();
    fake_tsc += 1000000;
    log_info("x");
    ck_assert_str_eq(fake_out, "[    0.001000] cpu0 INFO: x\r\n");
}
END_TEST

START_TEST(levels_above_the_threshold_are_silent)
{
    log_dbg("no");
    ck_assert_str_eq(fake_out, "");
    loglevel = LOG_DEBUG;
    log_dbg("yes");
    ck_assert_uint_eq(lines(), 1);
    loglevel = LOG_ERROR;
    log_warn("no");
    log_guest(0, LOG_WARN, "no");
    ck_assert_uint_eq(lines(), 1);
    log_err("yes");
    ck_assert_uint_eq(lines(), 2);
}
END_TEST

START_TEST(a_long_line_is_cut_at_240_characters)
{
    char text[400];

    memset(text, 'x', sizeof(text) - 1);
    text[399] = 0;
    log_info("%s", text);
    ck_assert_uint_eq(fake_out_len, 240 + 2);
    ck_assert_str_eq(fake_out + 240, "\r\n");
}
END_TEST

START_TEST(a_guest_gets_ten_lines_a_second_and_a_count_of_the_rest)
{
    for (unsigned i = 0; i < 500; i++)
        log_guest(1, LOG_WARN, "port 0x%x", i);
    ck_assert_uint_eq(lines(), 10);
    ck_assert_ptr_nonnull(strstr(fake_out, "vm b: port 0x9\r"));
    fake_tsc += 1000000001;
    log_guest(1, LOG_WARN, "again");
    ck_assert_uint_eq(lines(), 12);
    ck_assert_ptr_nonnull(strstr(fake_out, "vm b: 490 more lines not shown"));
    ck_assert_ptr_nonnull(strstr(fake_out, "vm b: again"));
}
END_TEST

START_TEST(one_guests_budget_is_not_anothers)
{
    for (unsigned i = 0; i < 500; i++)
        log_guest(1, LOG_WARN, "noise");
    log_guest(0, LOG_WARN, "signal");
    ck_assert_ptr_nonnull(strstr(fake_out, "vm a: signal"));
    log_err("mine");
    ck_assert_ptr_nonnull(strstr(fake_out, "mine"));
}
END_TEST

START_TEST(dropped_lines_are_reported_even_if_the_guest_falls_silent)
{
    console_start();
    run_cpu(0);
    for (unsigned i = 0; i < 30; i++)
        log_guest(1, LOG_WARN, "noise");
    pass_time(2000000000);
    run_all();
    for (unsigned i = 0; i < 100; i++) {
        pass_time(2000000);
        run_all();
    }
    ck_assert_ptr_nonnull(strstr(fake_out, "vm b: 20 more lines not shown"));
}
END_TEST

START_TEST(panic_prints_stops_the_others_and_never_returns)
{
    ck_assert(FAKE_ENDS(panic("table %d", 7)));
    ck_assert_ptr_nonnull(strstr(fake_out, "FATAL: panic: table 7\r\n"));
    ck_assert_uint_eq(fake_stopped_others, 1);
    /* A second panic (of another CPU, or inside the first) says nothing. */
    fake_stopped_others = 0;
    ck_assert(FAKE_ENDS(panic("second")));
    ck_assert_ptr_null(strstr(fake_out, "second"));
    ck_assert_uint_eq(fake_stopped_others, 0);
}
END_TEST

START_TEST(panic_shows_what_the_log_still_held)
{
    console_start();
    log_err("the cause");
    ck_assert_ptr_null(strstr(fake_out, "the cause"));
    ck_assert(FAKE_ENDS(panic("the effect")));
    ck_assert_ptr_nonnull(strstr(fake_out, "the cause"));
    ck_assert(strstr(fake_out, "the cause") < strstr(fake_out, "the effect"));
}
END_TEST

START_TEST(assert_names_the_broken_invariant)
{
    int one = 1;

    ASSERT(one == 1);
    ck_assert(FAKE_ENDS(ASSERT(one == 2)));
    ck_assert_ptr_nonnull(strstr(fake_out, "broken invariant: one == 2"));
}
END_TEST

/* panic() remembers that it was entered, so each test about it needs a process of its own. */
static bool forks(void)
{
    const char *fork_mode = getenv("CK_FORK");

    return !fork_mode || strcmp(fork_mode, "no") != 0;
}

int main(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_line_has_time_cpu_and_level);
    tcase_add_test(t, time_counts_from_log_init);
    tcase_add_test(t, levels_above_the_threshold_are_silent);
    tcase_add_test(t, a_long_line_is_cut_at_240_characters);
    tcase_add_test(t, a_guest_gets_ten_lines_a_second_and_a_count_of_the_rest);
    tcase_add_test(t, one_guests_budget_is_not_anothers);
    tcase_add_test(t, dropped_lines_are_reported_even_if_the_guest_falls_silent);
    tcase_add_test(t, panic_prints_stops_the_others_and_never_returns);
    if (forks()) {
        tcase_add_test(t, panic_shows_what_the_log_still_held);
        tcase_add_test(t, assert_names_the_broken_invariant);
    }
    suite_add_tcase(s, t);
    return run_suite(s);
}
