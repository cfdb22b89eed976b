/* src/core/fmt.c against the C library's snprintf. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <lib/fmt.h>
#include "core_test.h"

/* The formats are data here. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static const u64 values[] = {0,
                             1,
                             2,
                             9,
                             10,
                             0x7f,
                             0x80,
                             0xff,
                             0x100,
                             0x7fff,
                             0x8000,
                             0xffff,
                             12345,
                             0x7fffffff,
                             0x80000000,
                             0xffffffff,
                             0x100000000,
                             0x123456789abcdef0,
                             0x7fffffffffffffff,
                             0x8000000000000000,
                             0xffffffffffffffff};

static const char *const flags[] = {"", "-", "0", "-0"};
static const char *const widths[] = {"", "1", "5", "12", "25"};

static void check64(const char *length, char conversion)
{
    char fmt[32], want[64], got[64];

    for (unsigned f = 0; f < ARRAY_SIZE(flags); f++)
        for (unsigned w = 0; w < ARRAY_SIZE(widths); w++) {
            snprintf(fmt, sizeof(fmt), "<%%%s%s%s%c>", flags[f], widths[w], length, conversion);
            for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
                int n, m;

                if (strchr("lz", length[0]) && length[0]) {
                    n = snprintf(want, sizeof(want), fmt, values[i]);
                    m = bh_snprintf(got, sizeof(got), fmt, values[i]);
                } else {
                    n = snprintf(want, sizeof(want), fmt, (unsigned)values[i]);
                    m = bh_snprintf(got, sizeof(got), fmt, (unsigned)values[i]);
                }
                ck_assert_msg(strcmp(want, got) == 0, "%s of %llx: '%s', should be '%s'", fmt,
                              (unsigned long long)values[i], got, want);
                ck_assert_int_eq(n, m);
            }
        }
}

START_TEST(integers_equal_the_c_library)
{
    static const char *const lengths[] = {"", "h", "hh", "l", "ll", "z"};
    static const char conversions[] = "diuxX";

    for (unsigned l = 0; l < ARRAY_SIZE(lengths); l++)
        for (unsigned c = 0; conversions[c]; c++)
            check64(lengths[l], conversions[c]);
}
END_TEST

START_TEST(pseudo_random_integers_equal_the_c_library)
{
    char want[64], got[64];
    u64 x = 88172645463325252ULL;

    for (unsigned i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        snprintf(want, sizeof(want), "%ld %lx %u %08x", (long)x, (unsigned long)(x >> (i % 64)), (unsigned)x,
                 (unsigned)(x >> 40));
        bh_snprintf(got, sizeof(got), "%ld %lx %u %08x", (long)x, (unsigned long)(x >> (i % 64)), (unsigned)x,
                    (unsigned)(x >> 40));
        ck_assert_str_eq(want, got);
    }
}
END_TEST

static void same_text(const char *fmt, int width, int precision, const char *s)
{
    char want[64], got[64];
    int n = snprintf(want, sizeof(want), fmt, width, precision, s);
    int m = bh_snprintf(got, sizeof(got), fmt, width, precision, s);

    ck_assert_str_eq(want, got);
    ck_assert_int_eq(n, m);
}

START_TEST(strings_equal_the_c_library)
{
    for (int w = -8; w < 9; w++)
        for (int p = -1; p < 7; p++) {
            same_text("[%*.*s]", w, p, "guest");
            same_text("[%-*.*s]", w, p, "guest");
            same_text("[%*.*s]", w, p, "");
        }
}
END_TEST

START_TEST(strings_are_read_no_further_than_the_precision)
{
    char exact[3] = {'a', 'b', 'c'}; /* no terminator: the sanitizer watches */
    char got[16];

    ck_assert_int_eq(bh_snprintf(got, sizeof(got), "%.3s", exact), 3);
    ck_assert_str_eq(got, "abc");
    ck_assert_int_eq(bh_snprintf(got, sizeof(got), "%.*s", 2, exact), 2);
    ck_assert_str_eq(got, "ab");
}
END_TEST

START_TEST(chars_percent_pointer_and_null)
{
    const char *volatile none = NULL;
    char got[64];

    bh_snprintf(got, sizeof(got), "%c|%3c|%-3c|%%|%p|%p", 'x', 'y', 'z', (void *)0x1234abcd, (void *)0);
    ck_assert_str_eq(got, "x|  y|z  |%|0x1234abcd|0x0");
    bh_snprintf(got, sizeof(got), "%s", none);
    ck_assert_str_eq(got, "(null)");
}
END_TEST

START_TEST(the_buffer_is_never_overrun_and_always_terminated)
{
    for (size_t size = 0; size < 12; size++) {
        char *buf = malloc(size + 1);
        int n;

        memset(buf, '#', size + 1);
        n = bh_snprintf(buf, size, "%s-%d", "abcdef", 42);
        ck_assert_int_eq(n, 9);
        ck_assert_int_eq(buf[size], '#');
        if (size) {
            ck_assert_uint_eq(strlen(buf), MIN(size - 1, (size_t)9));
            ck_assert_int_eq(strncmp(buf, "abcdef-42", size - 1), 0);
        }
        free(buf);
    }
}
END_TEST

START_TEST(a_format_that_ends_inside_a_conversion_is_harmless)
{
    char got[16];
    const char *f = "ab%";

    ck_assert_int_eq(bh_snprintf(got, sizeof(got), f, 1), 2);
    ck_assert_str_eq(got, "ab");
    f = "ab%-08l";
    ck_assert_int_eq(bh_snprintf(got, sizeof(got), f, 1), 2);
    ck_assert_str_eq(got, "ab");
}
END_TEST

START_TEST(numbers_are_parsed_strictly)
{
    static const char *const bad[] = {"",
                                      "0x",
                                      " 1",
                                      "1 ",
                                      "-1",
                                      "+1",
                                      "12a",
                                      "0xg",
                                      "x10",
                                      "0b1",
                                      "18446744073709551616",
                                      "0x10000000000000000"};
    u64 v;

    ck_assert(bh_parse_u64("0", &v) && v == 0);
    ck_assert(bh_parse_u64("42", &v) && v == 42);
    ck_assert(bh_parse_u64("007", &v) && v == 7);
    ck_assert(bh_parse_u64("0xFfeE", &v) && v == 0xffee);
    ck_assert(bh_parse_u64("0X1", &v) && v == 1);
    ck_assert(bh_parse_u64("18446744073709551615", &v) && v == ~(u64)0);
    ck_assert(bh_parse_u64("0xffffffffffffffff", &v) && v == ~(u64)0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!bh_parse_u64(bad[i], &v), "'%s' was taken", bad[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fmt");
    TCase *t = tcase_create("fmt");

    tcase_add_test(t, integers_equal_the_c_library);
    tcase_add_test(t, pseudo_random_integers_equal_the_c_library);
    tcase_add_test(t, strings_equal_the_c_library);
    tcase_add_test(t, strings_are_read_no_further_than_the_precision);
    tcase_add_test(t, chars_percent_pointer_and_null);
    tcase_add_test(t, the_buffer_is_never_overrun_and_always_terminated);
    tcase_add_test(t, a_format_that_ends_inside_a_conversion_is_harmless);
    tcase_add_test(t, numbers_are_parsed_strictly);
    suite_add_tcase(s, t);
    return run_suite(s);
}
