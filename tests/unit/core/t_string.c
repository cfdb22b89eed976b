/* src/core/string.c against plain loops. Its functions are renamed, since the C library's are linked too. */
#define memcpy  bh_memcpy
#define memmove bh_memmove
#define memset  bh_memset
#define memcmp  bh_memcmp
#define strlen  bh_strlen
#define strnlen bh_strnlen
#define strcmp  bh_strcmp
#define strncmp bh_strncmp
#define strchr  bh_strchr
#include "../../../src/core/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#include <check.h>
#include <string.h>
#include <stdlib.h>
#include "core_test.h"

#define N 80

static u8 a[N], b[N];

static void fill(u8 *p, u8 seed)
{
    for (unsigned i = 0; i < N; i++)
        p[i] = (u8)(seed + i * 7);
}

START_TEST(copies_of_any_length_and_alignment_leave_the_rest_alone)
{
    for (size_t n = 0; n < 40; n++)
        for (size_t d = 0; d < 9; d++)
            for (size_t s = 0; s < 9; s++) {
                fill(a, 1);
                fill(b, 100);
                ck_assert_ptr_eq(bh_memcpy(a + d, b + s, n), a + d);
                for (size_t i = 0; i < N; i++) {
                    u8 want = i >= d && i < d + n ? b[i - d + s] : (u8)(1 + i * 7);

                    ck_assert_uint_eq(a[i], want);
                }
            }
}
END_TEST

START_TEST(overlapping_moves_equal_the_c_library)
{
    for (size_t n = 0; n < 30; n++)
        for (size_t d = 0; d < 40; d++)
            for (size_t s = 0; s < 40; s++) {
                fill(a, 3);
                fill(b, 3);
                ck_assert_ptr_eq(bh_memmove(a + d, a + s, n), a + d);
                memmove(b + d, b + s, n);
                ck_assert_mem_eq(a, b, N);
            }
}
END_TEST

START_TEST(fills_take_the_low_byte_of_the_value)
{
    for (size_t n = 0; n < 40; n++)
        for (size_t d = 0; d < 9; d++) {
            fill(a, 9);
            fill(b, 9);
            ck_assert_ptr_eq(bh_memset(a + d, 0x1a5, n), a + d);
            memset(b + d, 0xa5, n);
            ck_assert_mem_eq(a, b, N);
        }
}
END_TEST

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

START_TEST(comparisons_agree_with_the_c_library)
{
    static const char *const t[] = {"", "a", "ab", "abc", "b", "\xff", "a\xff", "A"};

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(t); k++) {
            ck_assert_int_eq(sign(bh_strcmp(t[i], t[k])), sign(strcmp(t[i], t[k])));
            for (size_t n = 0; n < 4; n++)
                ck_assert_int_eq(sign(bh_strncmp(t[i], t[k], n)), sign(strncmp(t[i], t[k], n)));
        }
    ck_assert_int_gt(bh_memcmp("a\0b", "a\0a", 3), 0);
    ck_assert_int_lt(bh_memcmp("\x7f", "\x80", 1), 0);
    ck_assert_int_eq(bh_memcmp("abc", "abd", 2), 0);
}
END_TEST

START_TEST(lengths_and_searches)
{
    static const char text[] = "hypervisor";

    ck_assert_uint_eq(bh_strlen(text), 10);
    ck_assert_uint_eq(bh_strnlen(text, 4), 4);
    ck_assert_uint_eq(bh_strnlen(text, 40), 10);
    ck_assert_ptr_eq(bh_strchr(text, 'v'), text + 5);
    ck_assert_ptr_eq(bh_strchr(text, 0), text + 10);
    ck_assert_ptr_null(bh_strchr(text, 'z'));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("string");
    TCase *t = tcase_create("string");

    tcase_add_test(t, copies_of_any_length_and_alignment_leave_the_rest_alone);
    tcase_add_test(t, overlapping_moves_equal_the_c_library);
    tcase_add_test(t, fills_take_the_low_byte_of_the_value);
    tcase_add_test(t, comparisons_agree_with_the_c_library);
    tcase_add_test(t, lengths_and_searches);
    suite_add_tcase(s, t);
    return run_suite(s);
}
