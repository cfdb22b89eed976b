/* EPT leaves: rights and memory types, there and back. */
#include "x86/hw/s2_format.h"
#include "vmx_test.h"

START_TEST(rights_are_bits_0_to_2_and_ram_is_write_back)
{
    ck_assert_uint_eq(s2_leaf_bits(MEM_RWX), 7 | 6 << 3);
    ck_assert_uint_eq(s2_leaf_bits(MEM_R | MEM_W), 3 | 6 << 3);
    ck_assert_uint_eq(s2_leaf_bits(MEM_R | MEM_X), 5 | 6 << 3);
    ck_assert_uint_eq(s2_leaf_bits(MEM_R), 1 | 6 << 3);
    ck_assert_uint_eq(s2_leaf_bits(0), 0);
    ck_assert_uint_eq(s2_leaf_bits(MEM_UC), 0);
}
END_TEST

START_TEST(no_leaf_is_writable_or_executable_without_being_readable)
{
    for (u32 prot = 1; prot <= MEM_RWX; prot++)
        ck_assert_uint_eq(s2_leaf_bits(prot) & 1, 1);
}
END_TEST

START_TEST(memory_types_have_the_numbers_of_the_manual)
{
    ck_assert_uint_eq(s2_leaf_bits(MEM_RWX | MEM_UC) >> 3 & 7, 0);
    ck_assert_uint_eq(s2_leaf_bits(MEM_RWX | MEM_WC) >> 3 & 7, 1);
    ck_assert_uint_eq(s2_leaf_bits(MEM_RWX | MEM_WT) >> 3 & 7, 4);
    ck_assert_uint_eq(s2_leaf_bits(MEM_RWX | MEM_WP) >> 3 & 7, 5);
    /* the guest's own PAT counts: bit 6, ignore PAT, is clear */
    ck_assert_uint_eq(s2_leaf_bits(MEM_RWX) & BIT64(6), 0);
}
END_TEST

START_TEST(bits_fit_the_shared_table_walk)
{
    for (u32 prot = MEM_R; prot <= MEM_RWX; prot++) {
        ck_assert_uint_ne(s2_leaf_bits(prot) & S2_PRESENT, 0);
        ck_assert_uint_eq(s2_leaf_bits(prot) & (S2_LARGE | S2_ADDR | S2_PROT_MASK), 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vmx-ept");
    TCase *c = tcase_create("leaf");

    tcase_add_test(c, rights_are_bits_0_to_2_and_ram_is_write_back);
    tcase_add_test(c, no_leaf_is_writable_or_executable_without_being_readable);
    tcase_add_test(c, memory_types_have_the_numbers_of_the_manual);
    tcase_add_test(c, bits_fit_the_shared_table_walk);
    suite_add_tcase(s, c);
    return test_vmx_main(s);
}
