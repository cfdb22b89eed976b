/* PM_GET_CPU_STATE on the fake board's two P-states and two C-states. */
#include "hcall_test.h"

static void setup(void)
{
    hcall_setup();
    reach(COL_CREATED);
}

static s64 pm(u64 type, u64 number)
{
    memset(fake_mem(PARAM), 0xa5, 64);
    return hc(HC_PM_GET_CPU_STATE, (u64)ID_U1 << 24 | 0x30000 | number << 8 | type, PARAM);
}

START_TEST(counts_are_one_byte)
{
    static const u8 want[2] = {2, 0xa5};

    ck_assert_int_eq(pm(HC_PM_PX_CNT, 0), 0);
    ck_assert_mem_eq(fake_mem(PARAM), want, 2);
    ck_assert_int_eq(pm(HC_PM_CX_CNT, 9), 0);
    ck_assert_mem_eq(fake_mem(PARAM), want, 2);
}
END_TEST

START_TEST(p_states_are_numbered_from_0)
{
    struct hc_px_data out;

    ck_assert_int_eq(pm(HC_PM_PX_DATA, 1), 0);
    get(PARAM, &out, sizeof(out));
    ck_assert_uint_eq(out.core_frequency, 1000);
    ck_assert_uint_eq(out.power, 7000);
    ck_assert_uint_eq(out.transition_latency, 12);
    ck_assert_uint_eq(out.bus_master_latency, 13);
    ck_assert_uint_eq(out.control, 0xa00);
    ck_assert_uint_eq(out.status, 0xa);
    ck_assert_uint_eq(*fake_mem(PARAM + sizeof(out)), 0xa5);
    ck_assert_int_eq(pm(HC_PM_PX_DATA, 0), 0);
    ck_assert_int_eq(pm(HC_PM_PX_DATA, 2), -EPERM_);
    ck_assert_int_eq(pm(HC_PM_PX_DATA, 255), -EPERM_);
}
END_TEST

START_TEST(c_states_are_numbered_from_1_in_both_layouts)
{
    static const u8 v1[33] = {0x7f, 1, 2, 1, 0, 0, 0, 0,    0x10, 0, 0, 0, 0, 0, 0, 0,   1,
                              0,    0, 0, 2, 0, 0, 0, 0x84, 3,    0, 0, 0, 0, 0, 0, 0xa5};
    static const u8 later[33] = {0x7f, 1, 2, 1, 0x10, 0, 0, 0,    0, 0, 0, 0, 1, 0, 0, 0,   2,
                                 0,    0, 0, 0, 0,    0, 0, 0x84, 3, 0, 0, 0, 0, 0, 0, 0xa5};

    ck_assert_int_eq(pm(HC_PM_CX_DATA, 1), 0);
    ck_assert_mem_eq(fake_mem(PARAM), v1, 33);
    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(pm(HC_PM_CX_DATA, 1), 0);
    ck_assert_mem_eq(fake_mem(PARAM), later, 33);
    ck_assert_int_eq(pm(HC_PM_CX_DATA, 2), 0);
    ck_assert_int_eq(pm(HC_PM_CX_DATA, 0), -EPERM_);
    ck_assert_int_eq(pm(HC_PM_CX_DATA, 3), -EPERM_);
}
END_TEST

START_TEST(other_types_and_addresses_fail)
{
    ck_assert_int_eq(pm(4, 0), -EPERM_);
    ck_assert_int_eq(pm(255, 0), -EPERM_);
    for (u64 type = 0; type < 4; type++)
        bad_addresses_fail(HC_PM_GET_CPU_STATE, (u64)ID_U1 << 24 | 0x100 | type, true, 1, -EPERM_);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hcall-pm");
    TCase *c = tcase_create("pm");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, counts_are_one_byte);
    tcase_add_test(c, p_states_are_numbered_from_0);
    tcase_add_test(c, c_states_are_numbered_from_1_in_both_layouts);
    tcase_add_test(c, other_types_and_addresses_fail);
    suite_add_tcase(s, c);
    return run_suite(s);
}
