/* INJECT_MSI, SET_IRQLINE, VM_INTR_MONITOR. */
#include "hcall_test.h"

static struct fake_vm *f;

static void setup(void)
{
    hcall_setup();
    f = &fake_vms[reach(COL_STARTED)->id];
}

static s64 msi(u64 addr, u64 data)
{
    const struct hc_msi_entry p = {.msi_addr = addr, .msi_data = data};

    return hc_rsi(HC_INJECT_MSI, ID_U1, &p, sizeof(p));
}

START_TEST(messages_are_passed_on_without_their_upper_halves)
{
    ck_assert_int_eq(msi(0xfee0100c, 0x131), 0); /* lowest priority, logical, hint */
    ck_assert_uint_eq(f->msi_addr, 0xfee0100c);
    ck_assert_uint_eq(f->msi_data, 0x131);
    ck_assert_int_eq(msi(0xdeadbeeffee00000, 0xdeadbeef0000c741), 0); /* ExtINT; level trigger is ignored */
    ck_assert_uint_eq(f->msi_addr, 0xfee00000);
    ck_assert_uint_eq(f->msi_data, 0x741);
    ck_assert_int_eq(msi(0xfeeff000, 0x05), 0); /* broadcast; an illegal vector is the APIC's to record */
    ck_assert_uint_eq(f->msis, 3);
}
END_TEST

START_TEST(other_delivery_modes_are_dropped)
{
    for (u64 mode = 2; mode < 7; mode++)
        ck_assert_int_eq(msi(0xfee00000, mode << 8 | 0x41), 0);
    ck_assert_uint_eq(f->msis, 0);
}
END_TEST

START_TEST(addresses_that_are_no_message_fail)
{
    ck_assert_int_eq(msi(0xfed00000, 0x41), -EPERM_);
    ck_assert_int_eq(msi(0xfef00000, 0x41), -EPERM_);
    ck_assert_int_eq(msi(0xfee00000ULL << 32, 0x41), -EPERM_);
    ck_assert_uint_eq(f->msis, 0);
    bad_addresses_fail(HC_INJECT_MSI, ID_U1, true, sizeof(struct hc_msi_entry), -EPERM_);
}
END_TEST

static s64 line(u32 gsi, u32 op)
{
    return hc(HC_SET_IRQLINE, ID_U1, gsi | (u64)op << 32);
}

START_TEST(lines_are_set_cleared_and_pulsed)
{
    static const u32 gsis[] = {0, 2, 15, 16, 23, 47};

    for (unsigned i = 0; i < ARRAY_SIZE(gsis); i++) {
        u32 g = gsis[i];

        ck_assert_int_eq(line(g, HC_GSI_SET_HIGH), 0);
        ck_assert(f->gsi_level[g] && f->gsi_rises[g] == 1);
        ck_assert_int_eq(line(g, HC_GSI_SET_LOW), 0);
        ck_assert(!f->gsi_level[g]);
        ck_assert_int_eq(line(g, HC_GSI_RAISING_PULSE), 0);
        ck_assert(!f->gsi_level[g] && f->gsi_rises[g] == 2);
        ck_assert_int_eq(line(g, HC_GSI_FALLING_PULSE), 0);
        ck_assert(f->gsi_level[g] && f->gsi_rises[g] == 3);
    }
}
END_TEST

START_TEST(lines_that_do_not_exist_and_unknown_operations_fail)
{
    ck_assert_int_eq(line(48, 0), -EPERM_);
    ck_assert_int_eq(line(119, 0), -EPERM_);
    ck_assert_int_eq(line(~0u, 0), -EPERM_);
    ck_assert_int_eq(line(4, 4), -EINVAL_);
    ck_assert_int_eq(line(4, ~0u), -EINVAL_);
    ck_assert_uint_eq(f->gsi_rises[4], 0);
}
END_TEST

static s64 monitor(u32 cmd, u32 cells)
{
    struct hc_intr_monitor p = {.cmd = cmd, .buf_cnt = cells};

    memset(p.buffer, 0x77, sizeof(p.buffer));
    return hc_rsi(HC_VM_INTR_MONITOR, ID_U1, &p, sizeof(p));
}

START_TEST(the_monitor_counts_no_interrupts_for_there_are_none)
{
    static const u32 cells[] = {0, 1, 2, 47, 48};
    struct hc_intr_monitor out;

    for (unsigned i = 0; i < ARRAY_SIZE(cells); i++) {
        ck_assert_int_eq(monitor(HC_INTR_GET_DATA, cells[i]), 0);
        get(PARAM, &out, sizeof(out));
        ck_assert_uint_eq(out.cmd, 0);
        ck_assert_uint_eq(out.buf_cnt, 0);
        for (unsigned k = 0; k < HC_INTR_MONITOR_MAX; k++)
            ck_assert_uint_eq(out.buffer[k], 0x7777777777777777);
    }
    ck_assert_int_eq(monitor(HC_INTR_DELAY, 1), 0);
    get(PARAM, &out, sizeof(out));
    ck_assert_uint_eq(out.buf_cnt, 1);
}
END_TEST

START_TEST(the_monitor_refuses_with_einval)
{
    ck_assert_int_eq(monitor(HC_INTR_GET_DATA, 49), -EINVAL_);
    ck_assert_int_eq(monitor(HC_INTR_DELAY, ~0u), -EINVAL_);
    ck_assert_int_eq(monitor(2, 2), 0);
    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(monitor(2, 2), -EINVAL_);
    bad_addresses_fail(HC_VM_INTR_MONITOR, ID_U1, true, 8, -EINVAL_);
    memset(fake_mem(PARAM), 0, 8);
    map_read_only(PARAM);
    ck_assert_int_eq(hc(HC_VM_INTR_MONITOR, ID_U1, RO_PAGE), -EINVAL_);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hcall-interrupt");
    TCase *c = tcase_create("interrupt");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, messages_are_passed_on_without_their_upper_halves);
    tcase_add_test(c, other_delivery_modes_are_dropped);
    tcase_add_test(c, addresses_that_are_no_message_fail);
    tcase_add_test(c, lines_are_set_cleared_and_pulsed);
    tcase_add_test(c, lines_that_do_not_exist_and_unknown_operations_fail);
    tcase_add_test(c, the_monitor_counts_no_interrupts_for_there_are_none);
    tcase_add_test(c, the_monitor_refuses_with_einval);
    suite_add_tcase(s, c);
    return run_suite(s);
}
