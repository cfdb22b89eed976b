/* src/core/shm.c, and what of shared memory and classes of service is up to vm.c and cpu.c. Vms "a" and "b"
 * share 16 KiB at host 0x3000000, "b" for reading only. */
#include <core/shm.h>
#include <core/user_vm.h>
#include "core_test.h"

#define AB_HPA  0x3000000ULL
#define AB_SIZE 0x4000ULL
#define AT_A    0x8000000ULL
#define AT_B    0x9000000ULL

static struct vm *a, *b;

static void setup(void)
{
    core_setup();
    a = &vms[0];
    b = &vms[1];
}

static u32 prot_at(struct vm *vm, u64 at, u64 want_hpa)
{
    struct s2_leaf leaf;

    ck_assert(arch_s2_translate(vm, gpa(at), &leaf));
    ck_assert_uint_eq(leaf.hpa.v, want_hpa);
    return leaf.prot;
}

START_TEST(each_vm_sees_it_where_and_as_configured)
{
    ck_assert_uint_eq(prot_at(a, AT_A, AB_HPA), MEM_R | MEM_W);
    ck_assert_uint_eq(prot_at(b, AT_B + AB_SIZE - 1, AB_HPA + AB_SIZE - 1), MEM_R);
    ck_assert_uint_eq(prot_at(&vms[FAKE_SERVICE], 0x3200000, 0x3200000), MEM_R | MEM_W);
    ck_assert_uint_eq(arch_s2_mapped(a, gpa(AT_A), 0x1000000), AB_SIZE);
    ck_assert_uint_eq(arch_s2_mapped(&vms[2], gpa(0), USER_GPA_LIMIT), 0x1000000);
    /* A user VM does not exist before it is created. */
    ck_assert_uint_eq(arch_s2_mapped(&vms[FAKE_U1], gpa(0), USER_GPA_LIMIT), 0);
}
END_TEST

START_TEST(tables_that_do_not_reach_stop_the_boot)
{
    fake_reset();
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    fake_s2_limit = cfg_vms[0].mem_count;
    ck_assert(FAKE_ENDS(vms_init()));
    ck_assert(strstr(fake_out, "do not reach for shared memory") != NULL);
}
END_TEST

START_TEST(it_is_cleared_at_boot_and_by_no_restart)
{
    memset(fake_mem(AB_HPA), 0xee, AB_SIZE);
    shm_init();
    for (u64 i = 0; i < AB_SIZE; i++)
        ck_assert_uint_eq(*fake_mem(AB_HPA + i), 0);
    strcpy((char *)fake_mem(AB_HPA), "left by a");
    vms_autostart();
    run_all();
    vm_control(a, VM_WANT_RESTART);
    vm_control(b, VM_WANT_RESTART);
    run_all();
    ck_assert_uint_eq(a->starts, 2);
    ck_assert_uint_eq(b->starts, 2);
    ck_assert_str_eq((char *)fake_mem(AB_HPA), "left by a");
    ck_assert_uint_eq(prot_at(a, AT_A, AB_HPA), MEM_R | MEM_W);
}
END_TEST

START_TEST(the_hypervisor_may_use_it_for_a_vm_as_the_vm_may)
{
    char text[8] = "";

    ck_assert_int_eq(vm_gpa_write(a, gpa(AT_A + 0x100), "hello", 6), 0);
    ck_assert_int_eq(vm_gpa_read(b, gpa(AT_B + 0x100), text, 6), 0);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(vm_gpa_write(b, gpa(AT_B + 0x100), "HELLO", 6), -EFAULT_);
    ck_assert_str_eq((char *)fake_mem(AB_HPA + 0x100), "hello");
}
END_TEST

START_TEST(a_write_that_is_not_allowed_is_dropped_and_counted)
{
    io_mmio_write(&b->vcpus[0], AT_B, 4, 0x12345678);
    ck_assert_uint_eq(b->vcpus[0].unowned, 1);
    /* In a user VM too: it is no request to the device model. */
    io_mmio_write(&vms[FAKE_U1].vcpus[0], 0x80001000, 4, 0x12345678);
    ck_assert_uint_eq(vms[FAKE_U1].vcpus[0].unowned, 1);
    ck_assert_uint_eq(vms[FAKE_U1].vcpus[0].ioreqs, 0);
}
END_TEST

START_TEST(ranges_meet_it_from_the_first_byte_to_the_last)
{
    ck_assert(!shm_meets(a, AT_A - 0x1000, 0x1000));
    ck_assert(shm_meets(a, AT_A - 0x1000, 0x1001));
    ck_assert(shm_meets(a, AT_A + AB_SIZE - 1, 1));
    ck_assert(!shm_meets(a, AT_A + AB_SIZE, 0x1000));
    ck_assert(shm_meets(a, 0, USER_GPA_LIMIT));
    ck_assert(!shm_meets(a, AT_B, 0x1000));
    ck_assert(!shm_meets(&vms[2], 0, USER_GPA_LIMIT));
    ck_assert(shm_holds(hpa(AB_HPA)) && shm_holds(hpa(AB_HPA + AB_SIZE - 1)));
    ck_assert(!shm_holds(hpa(AB_HPA - 1)) && !shm_holds(hpa(AB_HPA + AB_SIZE)));
}
END_TEST

START_TEST(a_cpu_has_the_class_of_the_vm_that_it_belongs_to)
{
    struct vcpu *v = &vms[FAKE_U1].vcpus[0];

    ck_assert_uint_eq(fake_clos[1], 0);
    ck_assert_uint_eq(fake_clos[3], 1);
    ck_assert_uint_eq(fake_clos[4], 1);
    ck_assert_uint_eq(fake_class_sets[3], 1);
    ck_assert(cpu_claim(9, v));
    run_all();
    ck_assert_uint_eq(fake_clos[9], 2);
    v->state = VCPU_OFFLINE;
    cpu_release(9, v);
    ck_assert_uint_eq(fake_clos[9], 0);
}
END_TEST

START_TEST(running_sets_no_class)
{
    vms_autostart();
    run_all();
    vm_control(b, VM_WANT_RESTART);
    run_all();
    for (u32 i = 0; i < CFG_PCPUS; i++)
        ck_assert_uint_le(fake_class_sets[i], 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shared");
    TCase *t = tcase_create("shared");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, each_vm_sees_it_where_and_as_configured);
    tcase_add_test(t, tables_that_do_not_reach_stop_the_boot);
    tcase_add_test(t, it_is_cleared_at_boot_and_by_no_restart);
    tcase_add_test(t, the_hypervisor_may_use_it_for_a_vm_as_the_vm_may);
    tcase_add_test(t, a_write_that_is_not_allowed_is_dropped_and_counted);
    tcase_add_test(t, ranges_meet_it_from_the_first_byte_to_the_last);
    tcase_add_test(t, a_cpu_has_the_class_of_the_vm_that_it_belongs_to);
    tcase_add_test(t, running_sets_no_class);
    suite_add_tcase(s, t);
    return run_suite(s);
}
