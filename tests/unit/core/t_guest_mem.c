/* src/core/guest_mem.c: guest-physical memory. vm "a" has 16 MiB at host 64 MiB and 48 MiB more at host 96
 * MiB. */
#include "core_test.h"

static struct vm *vm;
static u8 buf[0x3000], back[0x3000];

static void setup(void)
{
    core_setup();
    vm = &vms[0];
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (u8)(i * 31 + 7);
    memset(back, 0, sizeof(back));
}

START_TEST(what_is_written_is_read_back_across_pages_and_blocks)
{
    /* Crosses from the first block into the second, which lies elsewhere in host memory. */
    gpa_t at = gpa(0x1000000 - 0x1234);

    ck_assert_int_eq(vm_gpa_write(vm, at, buf, sizeof(buf)), 0);
    ck_assert_int_eq(vm_gpa_read(vm, at, back, sizeof(back)), 0);
    ck_assert_mem_eq(buf, back, sizeof(buf));
    ck_assert_mem_eq(fake_mem(0x5000000 - 0x1234), buf, 0x1234);
    ck_assert_mem_eq(fake_mem(0x6000000), buf + 0x1234, sizeof(buf) - 0x1234);
    ck_assert_uint_eq(*fake_mem(0x5000000), 0);
}
END_TEST

START_TEST(unmapped_bytes_are_an_error)
{
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x4000000), back, 1), -EFAULT_);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x4000000 - 8), back, 16), -EFAULT_);
    ck_assert_int_eq(vm_gpa_write(vm, gpa(0x4000000 - 8), buf, 9), -EFAULT_);
    ck_assert_int_eq(vm_gpa_zero(vm, gpa(0x4000000 - 8), 9), -EFAULT_);
    ck_assert_int_eq(vm_gpa_copy_in(vm, gpa(0x4000000 - 8), hpa(0x100000), 9), -EFAULT_);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x4000000 - 8), back, 8), 0);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(~(u64)0), back, 2), -EFAULT_);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(~(u64)0 - 7), back, 16), -EFAULT_);
}
END_TEST

START_TEST(an_empty_range_is_fine_anywhere)
{
    ck_assert_int_eq(vm_gpa_read(vm, gpa(~(u64)0), back, 0), 0);
    ck_assert_int_eq(vm_gpa_write(vm, gpa(0x4000000), buf, 0), 0);
    ck_assert_int_eq(vm_gpa_zero(vm, gpa(0x4000000), 0), 0);
}
END_TEST

/* Behind the VM's own RAM, which is always open. */
START_TEST(rights_of_the_mapping_count)
{
    ck_assert_int_eq(arch_s2_map(vm, gpa(0x4000000), hpa(0x4005000), 0x1000, MEM_R), 0);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x4000000), back, 8), 0);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x3fffffc), back, 8), 0);
    ck_assert_int_eq(vm_gpa_write(vm, gpa(0x4000000), buf, 8), -EFAULT_);
    ck_assert_int_eq(vm_gpa_write(vm, gpa(0x3fffffc), buf, 8), -EFAULT_);
    ck_assert_int_eq(arch_s2_map(vm, gpa(0x4001000), hpa(0x4006000), 0x1000, MEM_W), 0);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x4001000), back, 8), -EFAULT_);
}
END_TEST

START_TEST(device_memory_is_not_ram)
{
    ck_assert_int_eq(arch_s2_map(vm, gpa(0xf0000000), hpa(0x4000000), 0x1000, MEM_R | MEM_W | MEM_DEV), 0);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0xf0000000), back, 4), -EFAULT_);
    ck_assert_int_eq(vm_gpa_write(vm, gpa(0xf0000000), buf, 4), -EFAULT_);
}
END_TEST

START_TEST(ram_that_is_mapped_uncached_is_ram)
{
    u64 val;

    ck_assert_int_eq(arch_s2_map(vm, gpa(0xf0000000), hpa(0x4000000), 0x1000, MEM_R | MEM_W | MEM_UC), 0);
    ck_assert_int_eq(vm_gpa_write(vm, gpa(0xf0000010), buf, 16), 0);
    ck_assert_mem_eq(fake_mem(0x4000010), buf, 16);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0xf0000010), back, 16), 0);
    ck_assert(vm_gpa_read64(vm, gpa(0xf0000010), &val));
    ck_assert_mem_eq(&val, buf, 8);
}
END_TEST

/* A user VM has no block of RAM in the configuration: what it reads is what its tables say. */
START_TEST(a_vm_without_ram_of_its_own_has_what_its_tables_map)
{
    struct vm *user = &vms[CFG_VMS - CFG_USER_VMS];
    u64 val;

    ck_assert_uint_eq(user->cfg->mem_count, 0);
    ck_assert(!vm_gpa_read64(user, gpa(0), &val));
    ck_assert_int_eq(vm_gpa_read(user, gpa(0), back, 1), -EFAULT_);
    ck_assert_int_eq(arch_s2_map(user, gpa(0), hpa(0x12000000), 0x2000, MEM_RWX), 0);
    ck_assert_int_eq(vm_gpa_write(user, gpa(0xffc), buf, 64), 0);
    ck_assert_mem_eq(fake_mem(0x12000ffc), buf, 64);
    ck_assert(vm_gpa_read64(user, gpa(0x1000), &val));
    ck_assert_mem_eq(&val, buf + 4, 8);
    ck_assert(!vm_gpa_read64(user, gpa(0x2000), &val));
}
END_TEST

START_TEST(zeroing_and_copying_in_hit_exactly_the_range)
{
    u64 len = 0x123456;

    memset(fake_mem(0x4000000), 0xee, 0x200000);
    ck_assert_int_eq(vm_gpa_zero(vm, gpa(0x1001), len), 0);
    ck_assert_uint_eq(*fake_mem(0x4001000), 0xee);
    ck_assert_uint_eq(*fake_mem(0x4001001), 0);
    ck_assert_uint_eq(*fake_mem(0x4001000 + len), 0);
    ck_assert_uint_eq(*fake_mem(0x4001001 + len), 0xee);
    for (u64 i = 0; i < len; i++)
        *fake_mem(0x1400000 + i) = (u8)(i * 13);
    ck_assert_int_eq(vm_gpa_copy_in(vm, gpa(0x1000000 - 0x10001), hpa(0x1400000), len), 0);
    ck_assert_mem_eq(fake_mem(0x5000000 - 0x10001), fake_mem(0x1400000), 0x10001);
    ck_assert_mem_eq(fake_mem(0x6000000), fake_mem(0x1400000 + 0x10001), len - 0x10001);
    ck_assert_uint_eq(*fake_mem(0x6000000 + len - 0x10001), 0);
}
END_TEST

START_TEST(long_operations_let_interrupts_in_short_ones_do_not)
{
    vm_gpa_zero(vm, gpa(0), 0x1000);
    vm_gpa_write(vm, gpa(0), buf, sizeof(buf));
    ck_assert_uint_eq(fake_irq_windows, 0);
    vm_gpa_zero(vm, gpa(0), MIB(4));
    ck_assert_uint_ge(fake_irq_windows, 64);
}
END_TEST

START_TEST(single_quadwords_come_from_either_block_and_from_ram_only)
{
    u64 val;

    memcpy(fake_mem(0x4000000 + 0x1000000 - 8), buf, 8);
    memcpy(fake_mem(0x6000000), buf + 8, 8);
    ck_assert(vm_gpa_read64(vm, gpa(0x1000000 - 8), &val));
    ck_assert_mem_eq(&val, buf, 8);
    ck_assert(vm_gpa_read64(vm, gpa(0x1000000), &val));
    ck_assert_mem_eq(&val, buf + 8, 8);
    ck_assert(!vm_gpa_read64(vm, gpa(0x4000000), &val));
    ck_assert(!vm_gpa_read64(vm, gpa(~(u64)7), &val));
    ck_assert_int_eq(arch_s2_map(vm, gpa(0xf0000000), hpa(0x4000000), 0x1000, MEM_R | MEM_W | MEM_DEV), 0);
    ck_assert(!vm_gpa_read64(vm, gpa(0xf0000000), &val));
}
END_TEST

START_TEST(a_vm_reaches_its_own_memory_only)
{
    ck_assert_int_eq(vm_gpa_write(&vms[1], gpa(0x2000), buf, 64), 0);
    ck_assert_int_eq(vm_gpa_read(vm, gpa(0x2000), back, 64), 0);
    for (unsigned i = 0; i < 64; i++)
        ck_assert_uint_eq(back[i], 0);
    ck_assert_mem_eq(fake_mem(0xa002000), buf, 64);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guest_mem");
    TCase *t = tcase_create("guest_mem");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, what_is_written_is_read_back_across_pages_and_blocks);
    tcase_add_test(t, unmapped_bytes_are_an_error);
    tcase_add_test(t, an_empty_range_is_fine_anywhere);
    tcase_add_test(t, rights_of_the_mapping_count);
    tcase_add_test(t, device_memory_is_not_ram);
    tcase_add_test(t, ram_that_is_mapped_uncached_is_ram);
    tcase_add_test(t, a_vm_without_ram_of_its_own_has_what_its_tables_map);
    tcase_add_test(t, zeroing_and_copying_in_hit_exactly_the_range);
    tcase_add_test(t, long_operations_let_interrupts_in_short_ones_do_not);
    tcase_add_test(t, single_quadwords_come_from_either_block_and_from_ram_only);
    tcase_add_test(t, a_vm_reaches_its_own_memory_only);
    suite_add_tcase(s, t);
    return run_suite(s);
}
