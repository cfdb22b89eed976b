/* src/core/io.c: who owns a port or an address, and what happens where nobody does. */
#include <core/io.h>
#include "core_test.h"

static struct vm *vm;
static struct vcpu *v;
static struct {
    unsigned calls;
    void *dev;
    u64 addr;
    u8 size;
    bool write;
    u64 val;
    u64 answer;
    bool refuse;
} seen;

static bool on_port(struct vcpu *c, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    ck_assert_ptr_eq(c, v);
    seen.calls++;
    seen.dev = dev;
    seen.addr = port;
    seen.size = size;
    seen.write = write;
    if (write)
        seen.val = *val;
    else
        *val = (u32)seen.answer;
    return !seen.refuse;
}

static bool on_mmio(struct vcpu *c, void *dev, u64 offset, u8 size, bool write, u64 *val)
{
    ck_assert_ptr_eq(c, v);
    seen.calls++;
    seen.dev = dev;
    seen.addr = offset;
    seen.size = size;
    seen.write = write;
    if (write)
        seen.val = *val;
    else
        *val = seen.answer;
    return !seen.refuse;
}

static void setup(void)
{
    core_setup();
    vm = &vms[2]; /* ports 0x3f8..0x3ff and 0xcf8..0xcff are taken by its vUART and vPCI */
    v = &vm->vcpus[0];
    memset(&seen, 0, sizeof(seen));
}

START_TEST(unowned_ports_read_ones_and_count)
{
    ck_assert_uint_eq(io_port_read(v, 0x1234, 1), 0xff);
    ck_assert_uint_eq(io_port_read(v, 0x1234, 2), 0xffff);
    ck_assert_uint_eq(io_port_read(v, 0x1234, 4), 0xffffffff);
    io_port_write(v, 0x1234, 4, 1);
    ck_assert_uint_eq(io_port_read(v, 0x3f7, 1), 0xff); /* same page of ports as an owned one */
    ck_assert_uint_eq(v->unowned, 5);
}
END_TEST

START_TEST(the_owner_gets_port_size_and_value)
{
    int dev;

    io_register_ports(vm, 0x60, 5, on_port, &dev);
    seen.answer = 0xa1b2c3d4;
    ck_assert_uint_eq(io_port_read(v, 0x60, 1), 0xd4);
    ck_assert_uint_eq(io_port_read(v, 0x61, 2), 0xc3d4);
    ck_assert_uint_eq(io_port_read(v, 0x60, 4), 0xa1b2c3d4);
    io_port_write(v, 0x64, 1, 0xffffff7e);
    ck_assert_uint_eq(seen.addr, 0x64);
    ck_assert(seen.write);
    ck_assert_uint_eq(seen.size, 1);
    ck_assert_uint_eq(seen.val, 0x7e); /* upper bits are gone */
    ck_assert_ptr_eq(seen.dev, &dev);
    ck_assert_uint_eq(seen.calls, 4);
    ck_assert_uint_eq(v->unowned, 0);
}
END_TEST

START_TEST(an_access_reaching_past_its_range_is_unowned)
{
    io_register_ports(vm, 0x60, 4, on_port, NULL);
    io_register_ports(vm, 0x64, 4, on_port, NULL);
    ck_assert_uint_eq(io_port_read(v, 0x63, 2), 0xffff);
    ck_assert_uint_eq(io_port_read(v, 0x61, 4), 0xffffffff);
    ck_assert_uint_eq(io_port_read(v, 0x5f, 2), 0xffff); /* first byte decides */
    ck_assert_uint_eq(seen.calls, 0);
    ck_assert_uint_eq(v->unowned, 3);
    io_port_read(v, 0x62, 2);
    ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

START_TEST(the_last_port_can_be_owned_and_accesses_do_not_wrap)
{
    io_register_ports(vm, 0xffff, 1, on_port, NULL);
    io_port_read(v, 0xffff, 1);
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_uint_eq(io_port_read(v, 0xffff, 2), 0xffff);
    ck_assert_uint_eq(io_port_read(v, 0xfffe, 4), 0xffffffff);
    ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

START_TEST(a_refusing_handler_means_unowned)
{
    io_register_ports(vm, 0x60, 4, on_port, NULL);
    seen.refuse = true;
    seen.answer = 5;
    ck_assert_uint_eq(io_port_read(v, 0x60, 2), 0xffff);
    io_port_write(v, 0x60, 1, 0);
    ck_assert_uint_eq(v->unowned, 2);
}
END_TEST

START_TEST(other_vms_do_not_see_the_range)
{
    io_register_ports(vm, 0x60, 4, on_port, NULL);
    ck_assert_uint_eq(io_port_read(&vms[0].vcpus[0], 0x60, 1), 0xff);
    ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(overlapping_ports_are_a_broken_invariant)
{
    io_register_ports(vm, 0x60, 4, on_port, NULL);
    ck_assert(FAKE_ENDS(io_register_ports(vm, 0x63, 1, on_port, NULL)));
}
END_TEST

START_TEST(too_many_port_pages_are_a_broken_invariant)
{
    u32 free_pages = IO_MAX_PORT_PAGES - vm->io.page_count;

    for (u32 i = 0; i < free_pages; i++)
        io_register_ports(vm, (u16)(0x4000 + i * 0x100), 1, on_port, NULL);
    ck_assert(FAKE_ENDS(io_register_ports(vm, 0x8000, 1, on_port, NULL)));
}
END_TEST

START_TEST(mmio_goes_to_the_owner_by_offset)
{
    int dev;

    io_register_mmio(vm, 0xfee00000, 0x1000, on_mmio, &dev);
    seen.answer = 0x1122334455667788ULL;
    ck_assert_uint_eq(io_mmio_read(v, 0xfee00020, 4), 0x55667788);
    ck_assert_uint_eq(seen.addr, 0x20);
    ck_assert_uint_eq(io_mmio_read(v, 0xfee00ff8, 8), 0x1122334455667788ULL);
    ck_assert_uint_eq(io_mmio_read(v, 0xfee00fff, 1), 0x88);
    io_mmio_write(v, 0xfee000b0, 2, 0xabcdef);
    ck_assert_uint_eq(seen.val, 0xcdef);
    ck_assert_ptr_eq(seen.dev, &dev);
    ck_assert_uint_eq(v->unowned, 0);
}
END_TEST

START_TEST(mmio_outside_or_across_the_end_is_unowned)
{
    io_register_mmio(vm, 0xfee00000, 0x1000, on_mmio, NULL);
    ck_assert_uint_eq(io_mmio_read(v, 0xfedfffff, 1), 0xff);
    ck_assert_uint_eq(io_mmio_read(v, 0xfee01000, 8), ~(u64)0);
    ck_assert_uint_eq(io_mmio_read(v, 0xfee00ffd, 4), 0xffffffff);
    ck_assert_uint_eq(io_mmio_read(v, ~(u64)0, 4), 0xffffffff);
    io_mmio_write(v, 0xfee00fff, 2, 0);
    ck_assert_uint_eq(v->unowned, 5);
    ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(mmio_at_the_top_of_the_address_space_works)
{
    io_register_mmio(vm, 0xfffffffffffff000ULL, 0x1000, on_mmio, NULL);
    io_mmio_read(v, 0xfffffffffffffffcULL, 4);
    ck_assert_uint_eq(seen.addr, 0xffc);
    ck_assert(FAKE_ENDS(io_register_mmio(vm, 0xffffffffffffff00ULL, 0x10, on_mmio, NULL)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("io");
    TCase *t = tcase_create("io");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, unowned_ports_read_ones_and_count);
    tcase_add_test(t, the_owner_gets_port_size_and_value);
    tcase_add_test(t, an_access_reaching_past_its_range_is_unowned);
    tcase_add_test(t, the_last_port_can_be_owned_and_accesses_do_not_wrap);
    tcase_add_test(t, a_refusing_handler_means_unowned);
    tcase_add_test(t, other_vms_do_not_see_the_range);
    tcase_add_test(t, overlapping_ports_are_a_broken_invariant);
    tcase_add_test(t, too_many_port_pages_are_a_broken_invariant);
    tcase_add_test(t, mmio_goes_to_the_owner_by_offset);
    tcase_add_test(t, mmio_outside_or_across_the_end_is_unowned);
    tcase_add_test(t, mmio_at_the_top_of_the_address_space_works);
    suite_add_tcase(s, t);
    return run_suite(s);
}
