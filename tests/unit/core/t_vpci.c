/* src/core/vpci.c: configuration mechanism 1 and the reset control register. */
#include "core_test.h"

static struct vm *vm;
static struct vcpu *v;

static void setup(void)
{
    core_setup();
    vm = &vms[2];
    v = &vm->vcpus[0];
    fake_set_cpu(5);
}

static void select_register(u32 bdf, u32 reg)
{
    io_port_write(v, 0xcf8, 4, 0x80000000u | bdf << 8 | reg);
}

START_TEST(the_host_bridge_is_at_00_00_0)
{
    select_register(0, 0);
    ck_assert_uint_eq(io_port_read(v, 0xcfc, 4), 0x29c08086);
    ck_assert_uint_eq(io_port_read(v, 0xcfc, 2), 0x8086);
    ck_assert_uint_eq(io_port_read(v, 0xcfe, 2), 0x29c0);
    ck_assert_uint_eq(io_port_read(v, 0xcff, 1), 0x29);
    select_register(0, 8);
    ck_assert_uint_eq(io_port_read(v, 0xcfe, 2), 0x0600); /* class: host bridge */
    select_register(0, 0xc);
    ck_assert_uint_eq(io_port_read(v, 0xcfe, 1), 0); /* header type 0, one function */
}
END_TEST

START_TEST(every_other_function_is_absent)
{
    for (u32 bdf = 1; bdf < 0x10000; bdf++) {
        select_register(bdf, 0);
        ck_assert_uint_eq(io_port_read(v, 0xcfc, 4), 0xffffffff);
    }
    ck_assert_uint_eq(v->unowned, 0);
}
END_TEST

START_TEST(the_address_register_reads_back_and_ignores_reserved_bits)
{
    io_port_write(v, 0xcf8, 4, 0x80000000);
    ck_assert_uint_eq(io_port_read(v, 0xcf8, 4), 0x80000000); /* Linux's check for mechanism 1 */
    io_port_write(v, 0xcf8, 4, 0xffffffff);
    ck_assert_uint_eq(io_port_read(v, 0xcf8, 4), 0x80fffffc);
}
END_TEST

START_TEST(without_the_enable_bit_nothing_is_selected)
{
    io_port_write(v, 0xcf8, 4, 0);
    ck_assert_uint_eq(io_port_read(v, 0xcfc, 4), 0xffffffff);
}
END_TEST

START_TEST(narrow_accesses_do_not_reach_the_address_register)
{
    select_register(0, 0);
    io_port_write(v, 0xcf8, 1, 8);
    io_port_write(v, 0xcfa, 2, 0xffff);
    ck_assert_uint_eq(io_port_read(v, 0xcf8, 4), 0x80000000);
    ck_assert_uint_eq(io_port_read(v, 0xcf8, 1), 0xff);
    ck_assert_uint_eq(v->unowned, 3);
}
END_TEST

START_TEST(the_bridge_is_read_only)
{
    select_register(0, 0);
    io_port_write(v, 0xcfc, 4, 0);
    ck_assert_uint_eq(io_port_read(v, 0xcfc, 4), 0x29c08086);
    select_register(0, 0x10);
    io_port_write(v, 0xcfc, 4, 0xffffffff);
    ck_assert_uint_eq(io_port_read(v, 0xcfc, 4), 0); /* no BAR */
}
END_TEST

START_TEST(an_access_past_the_data_port_is_nobodys)
{
    select_register(0, 0);
    ck_assert_uint_eq(io_port_read(v, 0xcfe, 4), 0xffffffff);
    ck_assert_uint_eq(io_port_read(v, 0xcff, 2), 0xffff);
    ck_assert_uint_eq(v->unowned, 2);
}
END_TEST

START_TEST(the_reset_register_restarts_the_vm_when_bit_2_rises)
{
    vm_control(vm, VM_WANT_START);
    run_all();
    fake_set_cpu(5);
    io_port_write(v, 0xcf9, 1, 0x02); /* arms a hard reset, does nothing yet */
    run_all();
    ck_assert_uint_eq(vm->starts, 1);
    ck_assert_uint_eq(io_port_read(v, 0xcf9, 1), 0x02);
    fake_set_cpu(5);
    io_port_write(v, 0xcf9, 1, 0x06);
    run_all();
    ck_assert_uint_eq(vm->starts, 2);
    ck_assert_uint_eq(io_port_read(v, 0xcf9, 1), 0); /* reset like everything else */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vpci");
    TCase *t = tcase_create("vpci");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_host_bridge_is_at_00_00_0);
    tcase_add_test(t, every_other_function_is_absent);
    tcase_add_test(t, the_address_register_reads_back_and_ignores_reserved_bits);
    tcase_add_test(t, without_the_enable_bit_nothing_is_selected);
    tcase_add_test(t, narrow_accesses_do_not_reach_the_address_register);
    tcase_add_test(t, the_bridge_is_read_only);
    tcase_add_test(t, an_access_past_the_data_port_is_nobodys);
    tcase_add_test(t, the_reset_register_restarts_the_vm_when_bit_2_rises);
    suite_add_tcase(s, t);
    return run_suite(s);
}
