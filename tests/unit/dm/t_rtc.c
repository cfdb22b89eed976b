/* The device model's clock. */
#include <string.h>

#include "dmt.h"
#include "rtc.h"

#define SECOND 1000000000ull
#define T0     (1767225599ull * SECOND) /* 2025-12-31 23:59:59 UTC, a Wednesday */

static struct rtc rtc;
static bool line;

static void set_line(void *opaque, bool level)
{
    (void)opaque;
    ck_assert(level != line);
    line = level;
}

static unsigned get(unsigned index, uint64_t now)
{
    rtc.index = (uint8_t)index;
    return rtc_read(&rtc, now);
}

static void set(unsigned index, unsigned value, uint64_t now)
{
    rtc.index = (uint8_t)index;
    rtc_write(&rtc, (uint8_t)value, now);
}

static void setup(void)
{
    memset(&rtc, 0, sizeof(rtc));
    line = false;
    rtc_reset(&rtc, T0, set_line, NULL);
}

static void expect_time(uint64_t now, const unsigned wanted[7])
{
    static const unsigned index[7] = {0x32, 9, 8, 7, 4, 2, 0};
    for (unsigned i = 0; i < 7; i++)
        ck_assert_msg(get(index[i], now) == wanted[i], "register 0x%x is 0x%x, not 0x%x", index[i],
                      get(index[i], now), wanted[i]);
}

START_TEST(date_and_time_in_bcd_and_binary)
{
    static const unsigned bcd[7] = {0x20, 0x25, 0x12, 0x31, 0x23, 0x59, 0x59};
    static const unsigned next[7] = {0x20, 0x26, 0x01, 0x01, 0x00, 0x00, 0x00};
    static const unsigned binary[7] = {0x20, 26, 1, 1, 0, 0, 0};
    expect_time(T0, bcd);
    ck_assert_uint_eq(get(6, T0), 4);
    expect_time(T0 + SECOND, next);
    set(0x0b, 0x06, T0 + SECOND);
    expect_time(T0 + SECOND, binary);
    ck_assert_uint_eq(get(0x0d, T0), 0x80);
}
END_TEST

START_TEST(twelve_hour_form)
{
    set(0x0b, 0x00, T0);
    ck_assert_uint_eq(get(4, T0), 0x91); /* 11 pm */
    ck_assert_uint_eq(get(4, T0 + SECOND), 0x12);
    ck_assert_uint_eq(get(4, T0 + SECOND + 12 * 3600 * SECOND), 0x92);
}
END_TEST

START_TEST(time_that_the_guest_sets_goes_on)
{
    static const unsigned wanted[7] = {0x20, 0x00, 0x02, 0x29, 0x12, 0x00, 0x05};
    set(0x0b, 0x82, T0);
    set(0x32, 0x20, T0);
    set(9, 0x00, T0);
    set(8, 0x02, T0);
    set(7, 0x29, T0);
    set(4, 0x11, T0);
    set(2, 0x59, T0);
    set(0, 0x55, T0);
    ck_assert_uint_eq(get(0, T0 + 30 * SECOND), 0x55); /* held */
    set(0x0b, 0x02, T0);
    expect_time(T0 + 10 * SECOND, wanted);
}
END_TEST

START_TEST(update_interrupt_once_a_second_until_c_is_read)
{
    ck_assert_uint_eq(rtc_next(&rtc, T0), 0);
    set(0x0b, 0x12, T0);
    ck_assert_uint_eq(rtc_next(&rtc, T0 + 5), T0 + SECOND);
    rtc_tick(&rtc, T0 + SECOND / 2);
    ck_assert(!line);
    rtc_tick(&rtc, T0 + SECOND);
    ck_assert(line);
    ck_assert_uint_eq(get(0x0c, T0 + SECOND) & 0x90, 0x90);
    ck_assert(!line);
    ck_assert_uint_eq(get(0x0c, T0 + SECOND + 1) & 0x90, 0);
}
END_TEST

START_TEST(alarm_at_its_time_alone)
{
    set(1, 0x02, T0);
    set(3, 0xff, T0);
    set(5, 0x00, T0);
    set(0x0b, 0x22, T0);
    rtc_tick(&rtc, T0 + SECOND);
    rtc_tick(&rtc, T0 + 2 * SECOND);
    ck_assert(!line);
    rtc_tick(&rtc, T0 + 3 * SECOND);
    ck_assert(line);
    ck_assert_uint_eq(get(0x0c, T0 + 3 * SECOND) & 0xa0, 0xa0);
}
END_TEST

START_TEST(periodic_interrupt_at_the_chosen_rate)
{
    set(0x0a, 0x26, T0); /* 1024 Hz */
    set(0x0b, 0x42, T0);
    get(0x0c, T0);
    ck_assert_uint_eq(rtc_next(&rtc, T0) - T0 <= SECOND / 1024 + 1, 1);
    rtc_tick(&rtc, rtc_next(&rtc, T0));
    ck_assert(line);
    set(0x0a, 0x20, T0);
    ck_assert_uint_eq(rtc_next(&rtc, T0), 0);
}
END_TEST

START_TEST(memory_keeps_what_is_written)
{
    set(0x40, 0x5a, T0);
    ck_assert_uint_eq(get(0x40, T0 + SECOND), 0x5a);
    set(0x0d, 0, T0);
    ck_assert_uint_eq(get(0x0d, T0), 0x80);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, date_and_time_in_bcd_and_binary);
    tcase_add_test(t, twelve_hour_form);
    tcase_add_test(t, time_that_the_guest_sets_goes_on);
    tcase_add_test(t, update_interrupt_once_a_second_until_c_is_read);
    tcase_add_test(t, alarm_at_its_time_alone);
    tcase_add_test(t, periodic_interrupt_at_the_chosen_rate);
    tcase_add_test(t, memory_keeps_what_is_written);
}

int main(void)
{
    return run_case("rtc", fill);
}
