/* Hypercalls: who may call, ids, and the calls that name no VM. */
#include "hcall_test.h"

static struct cfg_vm other_cfg;

/* Makes the caller's VM look like another kind to the dispatcher. */
static void caller_is(enum vm_kind kind, u32 flags)
{
    other_cfg = *svc->cfg;
    other_cfg.kind = kind;
    other_cfg.flags = flags;
    svc->cfg = &other_cfg;
}

static void cpl_is(unsigned cpl)
{
    fake_vcpus[caller->index].cpl = cpl;
}

START_TEST(a_vm_without_the_right_gets_ud_whatever_its_cpl)
{
    static const enum vm_kind kinds[] = {VM_PRELAUNCHED, VM_USER};
    static const u64 ids[] = {HC_GET_API_VERSION, HC_CREATE_VM, 0, HC_ID(0x6f), HC_ID(0x73), 0x180000070};

    for (unsigned i = 0; i < 2; i++) {
        caller_is(kinds[i], VM_FLAG_RT | VM_FLAG_AUTOSTART);
        for (unsigned cpl = 0; cpl < 4; cpl++) {
            cpl_is(cpl);
            for (unsigned k = 0; k < ARRAY_SIZE(ids); k++)
                ck_assert_int_eq(call(ids[k], PARAM, 0), HCALL_UD);
            ck_assert_uint_eq(caller->regs->gpr[GPR_RAX], STALE);
        }
    }
    ck_assert_uint_eq(*fake_mem(PARAM), 0xa5);
}
END_TEST

START_TEST(the_secure_world_calls_answer_every_vm_at_cpl_0)
{
    static const u32 ids[] = {HC_INITIALIZE_TRUSTY, HC_WORLD_SWITCH, HC_SAVE_RESTORE_SWORLD_CTX};

    for (unsigned k = 0; k < ARRAY_SIZE(ids); k++) {
        cpl_is(0);
        caller_is(VM_SERVICE, 0);
        ck_assert_int_eq(hc(ids[k], PARAM, 0), -EPERM_);
        caller_is(VM_USER, 0);
        ck_assert_int_eq(hc(ids[k], PARAM, 0), -EPERM_);
        caller_is(VM_PRELAUNCHED, 0);
        ck_assert_int_eq(hc(ids[k], PARAM, 0), -EPERM_);
        cpl_is(3);
        ck_assert_int_eq(call(ids[k], PARAM, 0), HCALL_GP);
    }
}
END_TEST

START_TEST(an_allowed_caller_above_cpl_0_gets_gp)
{
    struct guest_regs before;

    for (unsigned cpl = 1; cpl < 4; cpl++) {
        cpl_is(cpl);
        ck_assert_int_eq(call(HC_GET_API_VERSION, PARAM, 0), HCALL_GP);
        before = *caller->regs;
        ck_assert_int_eq(call(HC_GET_API_VERSION, PARAM, 0), HCALL_GP);
        ck_assert_mem_eq(caller->regs, &before, sizeof(before));
        ck_assert_int_eq(call(0, 0, 0), HCALL_GP);
        ck_assert_uint_eq(caller->regs->gpr[GPR_RAX], STALE);
    }
    ck_assert_uint_eq(*fake_mem(PARAM), 0xa5);
}
END_TEST

START_TEST(a_flagged_vm_gets_the_general_calls_and_no_others)
{
    caller_is(VM_PRELAUNCHED, VM_FLAG_HYPERCALL);
    ck_assert_int_eq(hc(HC_GET_API_VERSION, PARAM, 0), 0);
    ck_assert_int_eq(hc(HC_GET_PLATFORM_INFO, PARAM, 0), 0);
    ck_assert_int_eq(hc(HC_GET_HW_INFO, PARAM, 0), 0);
    for (u32 low = 0; low < 0x100; low++)
        if (low != 0 && low != 3 && low != 0x63)
            ck_assert_msg(hc(HC_ID(low), 1, PARAM) == -EPERM_, "id %x", low);
}
END_TEST

START_TEST(unknown_ids_answer_eperm)
{
    static const u64 ids[] = {0,          0x10,       0x80000020, 0x80000022,         0x80000040,  0x800000ff,
                              0x80000004, 0x80000017, 0x8000005d, 0x180000000,        0x180000010, 0x7fffffff,
                              0x8000008f, 0x80000090, 0x80000091, 0x8000000080000000, ~0ULL};

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        ck_assert_msg(hc(ids[i], PARAM, PARAM) == -EPERM_, "id 0x%llx", (unsigned long long)ids[i]);
    ck_assert_uint_eq(*fake_mem(PARAM), 0xa5);
}
END_TEST

START_TEST(every_call_is_in_the_trace_when_that_is_on)
{
    const struct hc_sbuf_setup_param p = {.pcpu_id = 6, .sbuf_id = 0, .gpa = 0x12010000};
    const u32 header[16] = {0x1aa13aa3, 0x5aa57aa7, 8, 32, 0, 0, 0, 0, 0, 256};
    u64 element[4];

    put(0x12010000, header, sizeof(header));
    ck_assert_int_eq(hc_rdi(HC_SETUP_SBUF, &p, sizeof(p)), 0);
    ck_assert_int_eq(hc(HC_SET_CALLBACK_VECTOR, 5, 0), -EINVAL_);
    /* The first element is the set-up itself: the ring was there when that returned. */
    get(0x12010000 + 64 + 32, element, sizeof(element));
    ck_assert_uint_eq(element[1] & 0xffffffffffff, 0x10);
    ck_assert_uint_eq(element[2], HC_SET_CALLBACK_VECTOR | (u64)FAKE_SERVICE << 32);
    ck_assert_uint_eq(element[3], (u64)-EINVAL_);
}
END_TEST

START_TEST(api_version_is_1_0_and_8_bytes)
{
    static const u8 want[9] = {1, 0, 0, 0, 0, 0, 0, 0, 0xa5};

    ck_assert_int_eq(hc(HC_GET_API_VERSION, PARAM + 0xffc, 0), 0); /* crosses a page */
    ck_assert_mem_eq(fake_mem(PARAM + 0xffc), want, 9);
    ck_assert_uint_eq(*fake_mem(PARAM + 0xffb), 0xa5);
    bad_addresses_fail(HC_GET_API_VERSION, 0, false, 8, -EPERM_);
    map_read_only(PARAM);
    ck_assert_int_eq(hc(HC_GET_API_VERSION, RO_PAGE, 0), -EPERM_);
}
END_TEST

START_TEST(platform_info_is_256_bytes_with_its_reserve_zero)
{
    u8 want[256] = {CFG_PCPUS};

    want[128] = CFG_MAX_VCPUS_PER_VM;
    ck_assert_int_eq(hc(HC_GET_PLATFORM_INFO, PARAM + 0x100, 0), 0);
    ck_assert_mem_eq(fake_mem(PARAM + 0x100), want, sizeof(want));
    ck_assert(*fake_mem(PARAM + 0xff) == 0xa5 && *fake_mem(PARAM + 0x200) == 0xa5);
    bad_addresses_fail(HC_GET_PLATFORM_INFO, 0, false, 256, -EPERM_);
}
END_TEST

START_TEST(hw_info_is_8_bytes)
{
    static const u8 want[9] = {CFG_PCPUS, 0, 0, 0, 0, 0, 0, 0, 0xa5};

    ck_assert_int_eq(hc(HC_GET_HW_INFO, PARAM, 0), 0);
    ck_assert_mem_eq(fake_mem(PARAM), want, 9);
    bad_addresses_fail(HC_GET_HW_INFO, 0, false, 8, -EINVAL_);
}
END_TEST

START_TEST(offline_cpu_takes_a_service_vcpu_and_frees_its_cpu_for_a_slot)
{
    const struct hc_create_vcpu vcpu = {0};
    u64 ap = cfg_board.cpus[8].apic_id;

    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, ap | 1ULL << 32, 0), 0); /* 64 bits are compared: no such CPU */
    ck_assert_ptr_eq(fake_cpus[8].vcpu, &svc->vcpus[2]);
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, ap, 0), 0);
    ck_assert_ptr_null(fake_cpus[8].vcpu);
    ck_assert_uint_eq(svc->vcpus[2].state, VCPU_OFFLINE);
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, ap, 0), 0); /* twice */
    ck_assert_int_eq(create(ID_U1, 0), 0);
    ck_assert_int_eq(hc_rsi(HC_CREATE_VCPU, ID_U1, &vcpu, sizeof(vcpu)), 0);
    ck_assert_uint_eq(slot(ID_U1)->vcpus[0].pcpu, 8);
}
END_TEST

START_TEST(offline_cpu_spares_the_boot_cpu_and_the_caller)
{
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, cfg_board.cpus[6].apic_id, 0), -EPERM_);
    caller = &svc->vcpus[1];
    fake_set_cpu(7);
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, cfg_board.cpus[7].apic_id, 0), -EPERM_);
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, cfg_board.cpus[6].apic_id, 0), -EPERM_);
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, 0x55, 0), 0);                      /* nobody's */
    ck_assert_int_eq(hc(HC_SOS_OFFLINE_CPU, cfg_board.cpus[1].apic_id, 0), 0); /* another VM's */
    ck_assert_ptr_eq(fake_cpus[1].vcpu, &vcpus[0]);
}
END_TEST

START_TEST(callback_vector_is_32_to_255_and_used_by_the_next_upcall)
{
    static const u64 bad[] = {0, 0x1f, 0x100, 1ULL << 32, (1ULL << 32) | 0x20, ~0ULL};
    static const u64 good[] = {0x20, 0xf3, 0xff};
    struct fake_vcpu *f = &fake_vcpus[caller->index];

    reach(COL_STARTED);
    for (unsigned i = 0; i <= ARRAY_SIZE(good); i++) {
        struct vcpu *v = &slot(ID_U1)->vcpus[0];

        if (i)
            ck_assert_int_eq(hc(HC_SET_CALLBACK_VECTOR, good[i - 1], 0), 0);
        for (unsigned k = 0; k < ARRAY_SIZE(bad); k++)
            ck_assert_int_eq(hc(HC_SET_CALLBACK_VECTOR, bad[k], 0), -EINVAL_);
        *(u32 *)(void *)fake_mem(REQ_PAGE + 136) = 3;
        fake_set_cpu(v->pcpu);
        ck_assert(FAKE_ENDS(ioreq_port_write(v, 0x80, 1, 0))); /* halts, and nobody answers */
        fake_waiting = false;
        fake_set_cpu(caller->pcpu);
        ck_assert_uint_eq(f->vector, i ? good[i - 1] : 0xf7);
    }
}
END_TEST

START_TEST(sbuf_is_set_up_by_both_conventions)
{
    const struct hc_sbuf_setup_param p = {.pcpu_id = 7, .sbuf_id = 1, .gpa = 0x12010000};
    struct hc_sbuf_setup_param q = p;
    const u32 header[16] = {0x1aa13aa3, 0x5aa57aa7, 8, 80, 0, 0, 0, 0, 0, 640};

    put(0x12010000, header, sizeof(header));
    ck_assert_int_eq(hc_rdi(HC_SETUP_SBUF, &p, sizeof(p)), 0);
    ck_assert_int_eq(hc_rsi(HC_SETUP_SBUF_V3, 0, &p, sizeof(p)), 0);
    ck_assert_int_eq(hc_rsi(HC_SETUP_SBUF_V3, ID_U1, &p, sizeof(p)), 0);
    ck_assert_int_eq(hc_rsi(HC_SETUP_SBUF_V3, 5, &p, sizeof(p)), -EPERM_);
    ck_assert_int_eq(hc_rsi(HC_SETUP_SBUF_V3, 0xffff, &p, sizeof(p)), -EPERM_);
    q.pcpu_id = CFG_PCPUS;
    ck_assert_int_eq(hc_rdi(HC_SETUP_SBUF, &q, sizeof(q)), -EINVAL_);
    q = p;
    q.sbuf_id = 4;
    ck_assert_int_eq(hc_rdi(HC_SETUP_SBUF, &q, sizeof(q)), -EINVAL_);
    q.sbuf_id = HC_SBUF_ASYNCIO;
    ck_assert_int_eq(hc_rsi(HC_SETUP_SBUF_V3, ID_U1, &q, sizeof(q)), -ENODEV_);
    q.sbuf_id = HC_SBUF_VM_EVENT;
    ck_assert_int_eq(hc_rsi(HC_SETUP_SBUF_V3, ID_U1, &q, sizeof(q)), -ENODEV_);
    q = p;
    q.gpa = HOLE;
    ck_assert_int_eq(hc_rdi(HC_SETUP_SBUF, &q, sizeof(q)), -EINVAL_);
    q.gpa = 0;
    ck_assert_int_eq(hc_rdi(HC_SETUP_SBUF, &q, sizeof(q)), 0);
    bad_addresses_fail(HC_SETUP_SBUF, 0, false, sizeof(p), -EPERM_);
    bad_addresses_fail(HC_SETUP_SBUF_V3, 0, true, sizeof(p), -EPERM_);
}
END_TEST

START_TEST(the_debug_group_can_be_closed)
{
    static const u32 ids[] = {HC_SETUP_SBUF, HC_SETUP_SBUF_V3, HC_SETUP_HV_NPK_LOG, HC_PROFILING_OPS,
                              HC_GET_HW_INFO};

    fake_scenario.debug_hypercalls = false;
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        ck_assert_int_eq(hc(ids[i], PARAM, PARAM), -EPERM_);
    ck_assert_uint_eq(*fake_mem(PARAM), 0xa5);
    ck_assert_int_eq(hc(HC_GET_API_VERSION, PARAM, 0), 0);
}
END_TEST

START_TEST(what_is_not_built_says_so)
{
    static const u32 open[] = {HC_SETUP_HV_NPK_LOG, HC_PROFILING_OPS};
    struct vm *vm = reach(COL_CREATED);

    for (unsigned i = 0; i < ARRAY_SIZE(open); i++)
        ck_assert_int_eq(hc(open[i], PARAM, PARAM), -EPERM_);
    ck_assert_int_eq(hc(HC_ASYNCIO_ASSIGN, ID_U1, PARAM), -ENODEV_);
    ck_assert_int_eq(hc(HC_ASYNCIO_DEASSIGN, ID_U1, PARAM), -ENODEV_);
    for (u32 low = 0x50; low <= 0x5c; low++)
        if (HC_ID(low) != HC_VM_PCI_MSIX_REMAP)
            ck_assert_msg(hc(HC_ID(low), ID_U1, 0x10) == -ENODEV_, "id %x", low);
    ck_assert_uint_eq(vm->state, VM_STATE_CREATED);
}
END_TEST

START_TEST(msix_remap_is_a_no_op_whatever_the_arguments)
{
    ck_assert_int_eq(hc(HC_VM_PCI_MSIX_REMAP, 0, 0), 0);
    ck_assert_int_eq(hc(HC_VM_PCI_MSIX_REMAP, ~0ULL, PARAM), 0);
    ck_assert_uint_eq(*fake_mem(PARAM), 0xa5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_vm_without_the_right_gets_ud_whatever_its_cpl,
        the_secure_world_calls_answer_every_vm_at_cpl_0,
        an_allowed_caller_above_cpl_0_gets_gp,
        a_flagged_vm_gets_the_general_calls_and_no_others,
        unknown_ids_answer_eperm,
        every_call_is_in_the_trace_when_that_is_on,
        api_version_is_1_0_and_8_bytes,
        platform_info_is_256_bytes_with_its_reserve_zero,
        hw_info_is_8_bytes,
        offline_cpu_takes_a_service_vcpu_and_frees_its_cpu_for_a_slot,
        offline_cpu_spares_the_boot_cpu_and_the_caller,
        callback_vector_is_32_to_255_and_used_by_the_next_upcall,
        sbuf_is_set_up_by_both_conventions,
        the_debug_group_can_be_closed,
        what_is_not_built_says_so,
        msix_remap_is_a_no_op_whatever_the_arguments,
    };
    Suite *s = suite_create("hcall");
    TCase *c = tcase_create("hcall");

    tcase_add_checked_fixture(c, hcall_setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return run_suite(s);
}
