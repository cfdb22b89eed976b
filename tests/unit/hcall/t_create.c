/* CREATE_VM and CREATE_VCPU: keys, flags, affinity, vCPUs. */
#include <arch/s2.h>
#include "hcall_test.h"

static s64 add_vcpu(unsigned id)
{
    const struct hc_create_vcpu p = {0};

    return hc_rsi(HC_CREATE_VCPU, id, &p, sizeof(p));
}

static s64 set_buffer(unsigned id)
{
    const struct hc_set_ioreq_buffer p = {.req_buf = REQ_PAGE};

    return hc_rsi(HC_SET_IOREQ_BUFFER, id, &p, sizeof(p));
}

/* ---- CREATE_VM ---- */

START_TEST(create_selects_the_slot_of_the_key)
{
    for (unsigned id = ID_U1; id <= ID_RT; id++) {
        ck_assert_int_eq(create(id, 0), 0);
        ck_assert_uint_eq(created.vmid, id);
        ck_assert_uint_eq(slot(id)->state, VM_STATE_CREATED);
    }
}
END_TEST

START_TEST(v1_create_writes_two_bytes_and_makes_no_vcpu)
{
    struct hc_create_vm p = {.vmid = 0x7777,
                             .reserved0 = 1,
                             .vcpu_num = 5,
                             .key = FAKE_KEY_U1,
                             .req_buf = 9,
                             .cpu_affinity = ~0ULL};

    ck_assert_int_eq(hc_rdi(HC_CREATE_VM, &p, sizeof(p)), 0);
    p.vmid = ID_U1;
    ck_assert_mem_eq(fake_mem(PARAM), &p, sizeof(p));
    ck_assert_uint_eq(*fake_mem(PARAM + sizeof(p)), 0xa5);
    ck_assert_uint_eq(slot(ID_U1)->vcpu_count, 0);
    ck_assert_int_eq(set_buffer(ID_U1), 0);
    ck_assert_int_eq(hc(HC_START_VM, ID_U1, 0), -EPERM_); /* no vCPU */
}
END_TEST

START_TEST(hsm_create_makes_the_vcpus_and_says_how_many)
{
    struct hc_create_vm p = {.vmid = 0x7777, .reserved0 = 1, .key = FAKE_KEY_U2, .req_buf = 0xdeadbeef000};

    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(hc_rdi(HC_CREATE_VM, &p, sizeof(p)), 0);
    p.vmid = ID_U2;
    p.vcpu_num = 3;
    ck_assert_mem_eq(fake_mem(PARAM), &p, sizeof(p));
    ck_assert_uint_eq(*fake_mem(PARAM + sizeof(p)), 0xa5);
    for (u16 i = 0; i < 3; i++) {
        ck_assert_uint_eq(slot(ID_U2)->vcpus[i].pcpu, 9 + i);
        ck_assert_uint_eq(slot(ID_U2)->vcpus[i].apic_id, i);
    }
    /* CPU 9 is taken, CPU 8 is the service VM's: one is left of the three, and one vCPU is enough. */
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U2, 0), 0);
    ck_assert_int_eq(create(ID_RT, HC_VM_HSM_RT), 0);
    ck_assert_int_eq(create(ID_SPARE, 0), 0);
    ck_assert_uint_eq(created.vcpu_num, 1);
    ck_assert_uint_eq(slot(ID_SPARE)->vcpus[0].pcpu, 10);
    /* None is not. */
    ck_assert_int_eq(create(ID_U1, 0), 0);
    ck_assert_int_eq(create(ID_U2, 0), -EPERM_);
    ck_assert_uint_eq(created.vmid, HC_INVALID_VMID);
    ck_assert_uint_eq(slot(ID_U2)->state, VM_STATE_OFF);
}
END_TEST

static s64 create_on(u64 affinity)
{
    const struct hc_create_vm p = {.key = FAKE_KEY_U2, .cpu_affinity = affinity};
    s64 ret = hc_rdi(HC_CREATE_VM, &p, sizeof(p));

    get(PARAM, &created, sizeof(created));
    return ret;
}

START_TEST(affinity_chooses_cpus_and_apic_ids)
{
    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(create_on(BIT64(9) | BIT64(11)), 0);
    ck_assert_uint_eq(created.vcpu_num, 2);
    ck_assert_uint_eq(slot(ID_U2)->vcpus[0].pcpu, 9);
    ck_assert_uint_eq(slot(ID_U2)->vcpus[1].pcpu, 11);
    ck_assert_uint_eq(slot(ID_U2)->vcpus[1].apic_id, cfg_board.cpus[11].apic_id);
}
END_TEST

START_TEST(affinity_outside_the_slot_or_taken_fails)
{
    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(create_on(BIT64(8)), -EPERM_);
    ck_assert_int_eq(create_on(BIT64(9) | BIT64(63)), -EPERM_);
    ck_assert_uint_eq(slot(ID_U2)->state, VM_STATE_OFF);
    ck_assert_int_eq(create(ID_RT, HC_VM_HSM_RT), 0); /* has CPU 11 */
    ck_assert_int_eq(create_on(BIT64(9) | BIT64(11)), -EPERM_);
    ck_assert_uint_eq(created.vmid, HC_INVALID_VMID);
    ck_assert_uint_eq(slot(ID_U2)->state, VM_STATE_OFF);
    ck_assert_ptr_null(fake_cpus[9].owner); /* given back */
    ck_assert_int_eq(create_on(BIT64(9) | BIT64(10)), 0);
}
END_TEST

START_TEST(more_affinity_than_vcpus_fails)
{
    struct hc_create_vm p = {.key = FAKE_KEY_U1, .cpu_affinity = BIT64(8) | BIT64(9) | BIT64(10)};

    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(hc_rdi(HC_CREATE_VM, &p, sizeof(p)), -EINVAL_);
    ck_assert_uint_eq(slot(ID_U1)->state, VM_STATE_OFF);
}
END_TEST

START_TEST(a_key_that_no_slot_takes_answers_enodev)
{
    static const char *const keys[] = {"a second one", "svc", "a"};
    struct hc_create_vm p = {.vmid = 0x7777};

    ck_assert_int_eq(create(ID_SPARE, 0), 0); /* the only slot that takes any key */
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        memset(p.key, 0, sizeof(p.key));
        memcpy(p.key, keys[i], strlen(keys[i]));
        ck_assert_int_eq(hc_rdi(HC_CREATE_VM, &p, sizeof(p)), -ENODEV_);
        get(PARAM, &created, sizeof(created));
        ck_assert_uint_eq(created.vmid, HC_INVALID_VMID);
        ck_assert_mem_eq((u8 *)&created + 2, (u8 *)&p + 2, sizeof(p) - 2);
    }
}
END_TEST

START_TEST(a_key_in_use_cannot_be_used_again_until_the_vm_is_gone)
{
    for (unsigned id = ID_U1; id <= ID_SPARE; id += ID_SPARE - ID_U1) {
        ck_assert_int_eq(create(id, 0), 0);
        ck_assert_int_eq(create(id, 0), -EPERM_);
        ck_assert_uint_eq(created.vmid, 0x7777); /* untouched */
        ck_assert_int_eq(hc(HC_DESTROY_VM, id, 0), 0);
        ck_assert_int_eq(create(id, 0), 0);
    }
}
END_TEST

START_TEST(flags_are_those_that_the_slot_permits)
{
    set_flavour(_i ? HCALL_ABI_HSM : HCALL_ABI_V1);
    ck_assert_int_eq(create(ID_U1, HC_VM_IO_POLLING), 0);
    ck_assert_uint_eq(user_vm_of(slot(ID_U1))->flags, HC_VM_IO_POLLING);
    ck_assert_int_eq(create(ID_U2, HC_VM_IO_POLLING), -EPERM_);
    ck_assert_uint_eq(created.vmid, 0x7777);
    ck_assert_uint_eq(slot(ID_U2)->state, VM_STATE_OFF);
    /* Bits that are not a device model's to set are dropped. */
    ck_assert_int_eq(create(ID_U2, ~(u64)(hcall_hsm() ? 0x17 : 0x27)), 0);
    ck_assert_uint_eq(user_vm_of(slot(ID_U2))->flags, 0);
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U2, 0), 0); /* its CPUs are needed */
    ck_assert_int_eq(create(ID_RT, hcall_hsm() ? 0x10 : 0x20), 0);
    ck_assert_uint_eq(user_vm_of(slot(ID_RT))->flags, HC_VM_RT);
}
END_TEST

START_TEST(lapic_passthrough_needs_rt_and_leaves_no_trace_when_refused)
{
    set_flavour(_i ? HCALL_ABI_HSM : HCALL_ABI_V1);
    ck_assert_int_eq(create(ID_RT, HC_VM_LAPIC_PASSTHROUGH), -EPERM_);
    ck_assert_uint_eq(created.vmid, 0x7777);
    ck_assert_int_eq(create(ID_RT, 0), 0);
    ck_assert_uint_eq(user_vm_of(slot(ID_RT))->flags, 0);
}
END_TEST

START_TEST(flags_that_are_not_built_answer_enodev)
{
    ck_assert_int_eq(create(ID_RT, HC_VM_LAPIC_PASSTHROUGH | HC_VM_RT), -ENODEV_);
    ck_assert_int_eq(create(ID_U1, HC_VM_SECURE_WORLD), -ENODEV_);
    ck_assert_int_eq(create(ID_U2, HC_VM_SECURE_WORLD), -EPERM_); /* not permitted at all */
    for (unsigned id = ID_U1; id <= ID_RT; id++)
        ck_assert_uint_eq(slot(id)->state, VM_STATE_OFF);
}
END_TEST

START_TEST(create_is_undone_when_the_answer_cannot_be_written)
{
    set_flavour(_i ? HCALL_ABI_HSM : HCALL_ABI_V1);
    created = (struct hc_create_vm){.key = FAKE_KEY_U1};
    put(PARAM, &created, sizeof(created));
    map_read_only(PARAM);
    ck_assert_int_eq(hc(HC_CREATE_VM, RO_PAGE, 0), -EPERM_);
    ck_assert_uint_eq(slot(ID_U1)->state, VM_STATE_OFF);
    ck_assert_ptr_null(fake_cpus[9].owner);
    ck_assert_int_eq(hc(HC_CREATE_VM, PARAM, 0), 0);
    bad_addresses_fail(HC_CREATE_VM, 0, false, sizeof(created), -EPERM_);
}
END_TEST

/* ---- CREATE_VCPU ---- */

START_TEST(vcpus_get_ids_in_order_and_the_lowest_free_cpu)
{
    struct vm *vm = slot(ID_U2);

    ck_assert_int_eq(create(ID_U2, 0), 0);
    for (u16 i = 0; i < 3; i++) {
        ck_assert_int_eq(add_vcpu(ID_U2), 0);
        ck_assert_uint_eq(vm->vcpu_count, i + 1);
        ck_assert_uint_eq(vm->vcpus[i].pcpu, 9 + i);
        ck_assert_uint_eq(vm->vcpus[i].apic_id, i);
    }
    ck_assert_int_eq(add_vcpu(ID_U2), -EINVAL_); /* the slot's maximum */
    ck_assert_int_eq(create(ID_RT, 0), 0);
    ck_assert_int_eq(add_vcpu(ID_RT), -EPERM_); /* its only CPU is taken */
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U2, 0), 0);
    ck_assert_int_eq(add_vcpu(ID_RT), 0);
}
END_TEST

START_TEST(create_vcpu_needs_a_readable_structure)
{
    ck_assert_int_eq(create(ID_U1, 0), 0);
    ck_assert_int_eq(hc(HC_CREATE_VCPU, ID_U1, 0), -EPERM_); /* address 0 is RAM, and still none */
    bad_addresses_fail(HC_CREATE_VCPU, ID_U1, true, sizeof(struct hc_create_vcpu), -EPERM_);
    ck_assert_uint_eq(slot(ID_U1)->vcpu_count, 0);
}
END_TEST

START_TEST(hsm_create_vcpu_confirms_what_exists)
{
    struct hc_create_vcpu p = {.vcpu_id = 0};

    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(create(ID_U1, 0), 0);
    ck_assert_uint_eq(created.vcpu_num, 2);
    for (p.vcpu_id = 0; p.vcpu_id < 4; p.vcpu_id++)
        ck_assert_int_eq(hc_rsi(HC_CREATE_VCPU, ID_U1, &p, sizeof(p)), p.vcpu_id < 2 ? 0 : -EINVAL_);
    ck_assert_uint_eq(slot(ID_U1)->vcpu_count, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        create_selects_the_slot_of_the_key,           v1_create_writes_two_bytes_and_makes_no_vcpu,
        hsm_create_makes_the_vcpus_and_says_how_many, affinity_chooses_cpus_and_apic_ids,
        affinity_outside_the_slot_or_taken_fails,     more_affinity_than_vcpus_fails,
        a_key_that_no_slot_takes_answers_enodev,      a_key_in_use_cannot_be_used_again_until_the_vm_is_gone,
        flags_that_are_not_built_answer_enodev,       vcpus_get_ids_in_order_and_the_lowest_free_cpu,
        create_vcpu_needs_a_readable_structure,       hsm_create_vcpu_confirms_what_exists,
    };
    const TTest *const in_both_flavours[] = {
        flags_are_those_that_the_slot_permits,
        lapic_passthrough_needs_rt_and_leaves_no_trace_when_refused,
        create_is_undone_when_the_answer_cannot_be_written,
    };
    Suite *s = suite_create("hcall-create");
    TCase *c = tcase_create("create");

    tcase_add_checked_fixture(c, hcall_setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(in_both_flavours); i++)
        tcase_add_loop_test(c, in_both_flavours[i], 0, 2);
    suite_add_tcase(s, c);
    return run_suite(s);
}
