/* The life of user VMs, and every cell of the life-cycle table (hypercall-abi.md 5).
 */
#include <arch/s2.h>
#include "hcall_test.h"

static bool hsm(void)
{
    return fake_scenario.abi == HCALL_ABI_HSM;
}

static void both_flavours(int i)
{
    set_flavour(i ? HCALL_ABI_HSM : HCALL_ABI_V1);
}

/* ---- the table ---- */

#define ONE -EPERM_
#define INV -EINVAL_
#define DEV -ENODEV_

/* What a call does to the VM: the state it ends in, or the one it was in. */
#define STAYS 99

static s64 do_create(unsigned id)
{
    return create(id, id == ID_RT ? (hsm() ? HC_VM_HSM_RT : HC_VM_RT) : 0);
}

static s64 do_create_vcpu(unsigned id)
{
    const struct hc_create_vcpu p = {0};

    return hc_rsi(HC_CREATE_VCPU, id, &p, sizeof(p));
}

static s64 do_set_buffer(unsigned id)
{
    const struct hc_set_ioreq_buffer p = {.req_buf = REQ_PAGE};

    return hc_rsi(HC_SET_IOREQ_BUFFER, id, &p, sizeof(p));
}

static s64 do_set_regs(unsigned id)
{
    struct hc_set_vcpu_regs p;

    memset(&p, 0, sizeof(p));
    p.regs.cs_ar = 0x9b;
    p.regs.cs_limit = 0xffff;
    return hc_rsi(HC_SET_VCPU_REGS, id, &p, sizeof(p));
}

static s64 do_start(unsigned id)
{
    return hc(HC_START_VM, id, 0);
}

static s64 do_pause(unsigned id)
{
    return hc(HC_PAUSE_VM, id, 0);
}

static s64 do_reset(unsigned id)
{
    return hc(HC_RESET_VM, id, 0);
}

static s64 do_destroy(unsigned id)
{
    return hc(HC_DESTROY_VM, id, 0);
}

static s64 do_notify(unsigned id)
{
    return hc(HC_NOTIFY_REQUEST_FINISH, id, 0);
}

static s64 do_irqline(unsigned id)
{
    return hc(HC_SET_IRQLINE, id, 4);
}

static s64 do_msi(unsigned id)
{
    const struct hc_msi_entry p = {.msi_addr = 0xfee00000, .msi_data = 0x40};

    return hc_rsi(HC_INJECT_MSI, id, &p, sizeof(p));
}

static s64 do_regions(unsigned id)
{
    return map(id, 0x400000, UVM_RAM + 0x400000, 0x1000, HC_MEM_RWX | HC_MEM_TYPE_WB);
}

static s64 do_protect(unsigned id)
{
    const struct hc_wp_data p = {.set = 1, .gpa = 0x1000};

    return hc_rsi(HC_VM_WRITE_PROTECT_PAGE, id, &p, sizeof(p));
}

static s64 do_gpa2hpa(unsigned id)
{
    const struct hc_gpa2hpa p = {.gpa = 0x1000};

    return hc_rsi(HC_VM_GPA2HPA, id, &p, sizeof(p));
}

static s64 do_pm(unsigned id)
{
    return hc(HC_PM_GET_CPU_STATE, (u64)id << 24 | HC_PM_PX_CNT, PARAM);
}

static s64 do_monitor(unsigned id)
{
    const struct hc_intr_monitor p = {.buf_cnt = 2};

    return hc_rsi(HC_VM_INTR_MONITOR, id, &p, sizeof(p));
}

#define DEVICE_CALL(name, hcall_id)                                                                          \
    static s64 name(unsigned id)                                                                             \
    {                                                                                                        \
        return hc(hcall_id, id, 0x10);                                                                       \
    }
DEVICE_CALL(do_assign, HC_ASSIGN_PTDEV)
DEVICE_CALL(do_deassign, HC_DEASSIGN_PTDEV)
DEVICE_CALL(do_set_intr, HC_SET_PTDEV_INTR_INFO)
DEVICE_CALL(do_reset_intr, HC_RESET_PTDEV_INTR_INFO)
DEVICE_CALL(do_assign_pcidev, HC_ASSIGN_PCIDEV)
DEVICE_CALL(do_deassign_pcidev, HC_DEASSIGN_PCIDEV)
DEVICE_CALL(do_assign_mmiodev, HC_ASSIGN_MMIODEV)
DEVICE_CALL(do_deassign_mmiodev, HC_DEASSIGN_MMIODEV)
DEVICE_CALL(do_add_vdev, HC_ADD_VDEV)
DEVICE_CALL(do_remove_vdev, HC_REMOVE_VDEV)

/* Section 5 with the recommendations in force; columns as in enum column. Where pass-through would be 0 it is
 * -ENODEV until it is built. */
static const struct {
    const char *name;
    s64 (*call)(unsigned id);
    s32 want[COLS];
    u32 after[COLS];
} cells[] = {
#define SAME                                                                                                 \
    {                                                                                                        \
        STAYS, STAYS, STAYS, STAYS, STAYS, STAYS                                                             \
    }
    {"create_vm",
     do_create,
     {0, ONE, ONE, ONE, ONE, ONE},
     {VM_STATE_CREATED, STAYS, STAYS, STAYS, STAYS, STAYS}},
    {"create_vcpu", do_create_vcpu, {ONE, 0, ONE, ONE, ONE, ONE}, SAME},
    {"set_ioreq_buffer", do_set_buffer, {ONE, 0, ONE, ONE, ONE, ONE}, SAME},
    {"set_vcpu_regs", do_set_regs, {ONE, 0, ONE, 0, 0, ONE}, SAME},
    {"start_vm",
     do_start,
     {ONE, 0, ONE, ONE, ONE, ONE},
     {STAYS, VM_STATE_STARTED, STAYS, STAYS, STAYS, STAYS}},
    {"pause_vm",
     do_pause,
     {ONE, 0, 0, 0, 0, 0},
     {STAYS, VM_STATE_PAUSED, VM_STATE_PAUSED, VM_STATE_PAUSED, VM_STATE_PAUSED, VM_STATE_STARTED}},
    {"reset_vm",
     do_reset,
     {ONE, INV, INV, INV, 0, INV},
     {STAYS, STAYS, STAYS, STAYS, VM_STATE_CREATED, STAYS}},
    {"destroy_vm",
     do_destroy,
     {ONE, 0, 0, 0, 0, INV},
     {VM_STATE_OFF, VM_STATE_OFF, VM_STATE_OFF, VM_STATE_OFF, VM_STATE_OFF, STAYS}},
    {"notify_request_finish", do_notify, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"set_irqline", do_irqline, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"inject_msi", do_msi, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"set_memory_regions", do_regions, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"write_protect_page", do_protect, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"gpa2hpa", do_gpa2hpa, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"pm_get_cpu_state", do_pm, {ONE, 0, 0, 0, 0, 0}, SAME},
    {"vm_intr_monitor", do_monitor, {INV, 0, 0, 0, 0, 0}, SAME},
    {"assign_ptdev", do_assign, {INV, DEV, DEV, DEV, DEV, DEV}, SAME},
    {"deassign_ptdev", do_deassign, {ONE, DEV, DEV, DEV, DEV, DEV}, SAME},
    {"set_ptdev_intr_info", do_set_intr, {ONE, DEV, DEV, DEV, DEV, DEV}, SAME},
    {"reset_ptdev_intr_info", do_reset_intr, {ONE, DEV, DEV, DEV, DEV, DEV}, SAME},
    {"assign_pcidev", do_assign_pcidev, {INV, DEV, INV, INV, INV, INV}, SAME},
    {"deassign_pcidev", do_deassign_pcidev, {INV, DEV, INV, INV, DEV, INV}, SAME},
    {"assign_mmiodev", do_assign_mmiodev, {INV, DEV, INV, INV, INV, INV}, SAME},
    {"deassign_mmiodev", do_deassign_mmiodev, {INV, DEV, INV, INV, DEV, INV}, SAME},
    {"add_vdev", do_add_vdev, {INV, DEV, INV, INV, INV, INV}, SAME},
    {"remove_vdev", do_remove_vdev, {INV, DEV, INV, INV, DEV, INV}, SAME},
};

/* One run per flavour, call and column. */
START_TEST(every_cell_of_the_life_cycle_table)
{
    unsigned n = (unsigned)_i % (ARRAY_SIZE(cells) * COLS);
    enum column col = (enum column)(n % COLS);
    unsigned k = n / COLS;
    struct vm *vm;
    u32 before, want;
    s64 ret;

    both_flavours((unsigned)_i >= ARRAY_SIZE(cells) * COLS);
    vm = reach(col);
    before = vm->state;
    ret = cells[k].call(wire_id_of(col));
    ck_assert_msg(ret == cells[k].want[col], "%s in column %d: %lld", cells[k].name, col, (long long)ret);
    want = cells[k].after[col] == STAYS ? before : cells[k].after[col];
    ck_assert_msg(vm->state == want, "%s in column %d: state %u", cells[k].name, col, vm->state);
}
END_TEST

START_TEST(ids_that_name_no_user_vm_fail_and_change_nothing)
{
    /* The service VM itself, behind the table, "none", pre-launched VMs by 16-bit wrap, garbage above. */
    static const u64 bad[] = {0, CFG_USER_VMS + 1, 0xffff, 0xfffd, 0x10001, 0x100000001, ~0ULL};
    struct vm *vm = reach(COL_CREATED);

    for (unsigned k = 0; k < ARRAY_SIZE(cells); k++) {
        static const u32 ids[] = {HC_CREATE_VCPU,
                                  HC_SET_IOREQ_BUFFER,
                                  HC_START_VM,
                                  HC_PAUSE_VM,
                                  HC_RESET_VM,
                                  HC_DESTROY_VM,
                                  HC_SET_IRQLINE,
                                  HC_INJECT_MSI,
                                  HC_SET_VCPU_REGS,
                                  HC_NOTIFY_REQUEST_FINISH,
                                  HC_VM_WRITE_PROTECT_PAGE,
                                  HC_DEASSIGN_PTDEV,
                                  HC_SET_PTDEV_INTR_INFO,
                                  HC_RESET_PTDEV_INTR_INFO};

        memset(fake_mem(PARAM), 0, 512);
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
            ck_assert_int_eq(hc(ids[k % ARRAY_SIZE(ids)], bad[i], PARAM), -EPERM_);
            ck_assert_int_eq(hc(HC_VM_INTR_MONITOR, bad[i], PARAM), -EINVAL_);
            ck_assert_int_eq(hc(HC_ASSIGN_PTDEV, bad[i], 0x10), -EINVAL_);
            if (bad[i])
                ck_assert_int_eq(hc(HC_VM_GPA2HPA, bad[i], PARAM), -EPERM_);
        }
    }
    ck_assert_int_eq(hc(HC_PM_GET_CPU_STATE, 0, PARAM), -EPERM_);
    ck_assert_int_eq(hc(HC_PM_GET_CPU_STATE, 0xff000000, PARAM), -EPERM_);
    ck_assert_int_eq(map(0, 0, UVM_RAM, 0x1000, HC_MEM_RWX), -EPERM_);
    ck_assert_int_eq(map(0xffff, 0, UVM_RAM, 0x1000, HC_MEM_RWX), -EPERM_);
    ck_assert_uint_eq(vm->state, VM_STATE_CREATED);
    for (u32 i = 0; i < FAKE_SERVICE; i++)
        ck_assert_uint_eq(vms[i].state, VM_STATE_OFF);
}
END_TEST

/* ---- start, pause, reset, destroy ---- */

START_TEST(start_needs_a_buffer_and_runs_vcpu_0_only)
{
    struct vm *vm = slot(ID_U2);

    ck_assert_int_eq(create(ID_U2, 0), 0);
    ck_assert_int_eq(do_create_vcpu(ID_U2), 0);
    ck_assert_int_eq(do_create_vcpu(ID_U2), 0);
    ck_assert_int_eq(do_start(ID_U2), -EPERM_);
    ck_assert_uint_eq(vm->state, VM_STATE_CREATED);
    ck_assert_int_eq(do_set_buffer(ID_U2), 0);
    ck_assert_int_eq(do_start(ID_U2), 0);
    fake_run_others();
    ck_assert_uint_eq(vm->vcpus[0].state, VCPU_RUNNING);
    ck_assert_uint_eq(vm->vcpus[1].state, VCPU_WAIT_SIPI);
    ck_assert_uint_eq(fake_vcpus[vm->vcpus[0].index].reg[REG_RIP], 0xfff0); /* RESET, no SET_VCPU_REGS */
}
END_TEST

START_TEST(pause_returns_when_no_vcpu_runs)
{
    struct vm *vm = reach(COL_STARTED);

    ck_assert_int_eq(do_pause(ID_U1), 0);
    ck_assert_uint_eq(vm->vcpus[0].state, VCPU_STOPPED);
    ck_assert_uint_eq(vm->active, 0);
    ck_assert_int_eq(do_pause(ID_U1), 0);
    /* A late notification must not revive it. */
    ck_assert_int_eq(do_notify(ID_U1), 0);
    fake_run_others();
    ck_assert_uint_eq(vm->vcpus[0].state, VCPU_STOPPED);
}
END_TEST

START_TEST(a_running_real_time_vm_is_neither_paused_nor_destroyed)
{
    struct vm *vm = reach(COL_STARTED_RT);

    ck_assert_int_eq(do_pause(ID_RT), 0);
    fake_run_others();
    ck_assert_uint_eq(vm->vcpus[0].state, VCPU_RUNNING);
    ck_assert_int_eq(do_destroy(ID_RT), -EINVAL_);
    fake_run_others();
    ck_assert_uint_eq(vm->vcpus[0].state, VCPU_RUNNING);
}
END_TEST

START_TEST(reset_frees_the_slots_and_the_vm_starts_again)
{
    struct vm *vm = reach(COL_STARTED);
    struct s2_leaf leaf;

    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(do_pause(ID_U1), 0);
        memset(fake_mem(REQ_PAGE), 0, PAGE_SIZE);
        ck_assert_int_eq(do_reset(ID_U1), 0);
        for (unsigned k = 0; k < 16; k++)
            ck_assert_uint_eq(*(u32 *)(void *)fake_mem(REQ_PAGE + 256 * k + 136), 3);
        ck_assert(arch_s2_translate(vm, gpa(0x1000), &leaf)); /* memory is kept */
        ck_assert_int_eq(do_start(ID_U1), 0);
        fake_run_others();
        ck_assert_uint_eq(vm->vcpus[0].state, VCPU_RUNNING);
    }
}
END_TEST

START_TEST(destroy_returns_cpus_and_memory_from_every_state)
{
    static const enum column cols[] = {COL_CREATED, COL_STARTED, COL_POWERING_OFF, COL_PAUSED};

    both_flavours(_i);
    for (unsigned i = 0; i < ARRAY_SIZE(cols); i++) {
        struct vm *vm = reach(cols[i]);
        u32 pcpu = vm->vcpus[0].pcpu;

        memset(fake_mem(REQ_PAGE), 0x5a, PAGE_SIZE);
        ck_assert_int_eq(do_destroy(wire_id_of(cols[i])), 0);
        ck_assert_int_eq(do_destroy(wire_id_of(cols[i])), -EPERM_);
        ck_assert_ptr_null(fake_cpus[pcpu].owner);
        ck_assert_ptr_null(fake_cpus[pcpu].vcpu);
        ck_assert_uint_eq(arch_s2_mapped(vm, gpa(0), USER_GPA_LIMIT), 0);
        ck_assert_uint_eq(user_vm_of(vm)->mapped, 0);
        ck_assert(!ioreq_has_buffer(vm));
        ck_assert_uint_eq(*fake_mem(REQ_PAGE + 136), 0x5a); /* slots are not touched */
    }
}
END_TEST

START_TEST(a_caller_that_finds_the_vm_locked_waits_for_it)
{
    struct vm *vm = reach(COL_CREATED);

    ck_assert(spin_trylock(&vm->lock));
    /* Nobody gives it back on this one thread: the wait lets interrupts in, and a test ends it there. */
    fake_irq_hook = arch_halt_forever;
    caller->regs->gpr[GPR_R8] = HC_START_VM;
    ck_assert(FAKE_ENDS(call(HC_START_VM, ID_U1, 0)));
    ck_assert(fake_waiting);
    ck_assert_uint_eq(vm->state, VM_STATE_CREATED);
}
END_TEST

/* The fake's own, with something happening on other CPUs meanwhile. */
static void (*while_loading)(void);

void arch_vcpu_load(struct vcpu *v)
{
    struct fake_vcpu *f = &fake_vcpus[v->index];

    if (while_loading)
        while_loading();
    f->loaded = true;
    f->loaded_on = this_cpu()->id;
    f->loads++;
}

static bool destroy_waits;

static void destroyed_meanwhile(void)
{
    u32 pcpu = this_cpu()->id;

    fake_set_cpu(caller->pcpu);
    fake_irq_hook = arch_halt_forever;
    destroy_waits = FAKE_ENDS(call(HC_DESTROY_VM, ID_U1, 0));
    fake_irq_hook = NULL;
    fake_set_cpu(pcpu);
}

START_TEST(destroy_waits_for_a_cpu_that_is_just_taking_a_vcpu_over)
{
    u32 pcpu;

    fake_hold_others = true;
    pcpu = reach(COL_CREATED)->vcpus[0].pcpu;
    ck_assert_ptr_null(fake_cpus[pcpu].vcpu);
    while_loading = destroyed_meanwhile;
    fake_set_cpu(pcpu);
    cpu_service();
    while_loading = NULL;
    ck_assert_msg(destroy_waits, "the vCPU is given away while its CPU still loads it");
}
END_TEST

/* The CPU learns that a vCPU is not its own any more only when it looks at what that one is asked. By then it
 * may have been created again, on another CPU, and started. */
START_TEST(a_cpu_that_lost_a_vcpu_takes_nothing_that_is_asked_of_it)
{
    struct vm *vm = reach(COL_STARTED);
    struct vcpu *v = &vm->vcpus[0];
    struct cpu *before = &fake_cpus[v->pcpu];

    ck_assert_ptr_eq(before->vcpu, v);
    ck_assert_int_eq(do_pause(ID_U1), 0);
    before->owner = NULL;
    before->requests = CPU_REQ_ATTACH;
    v->state = VCPU_WAIT_SIPI;
    v->requests = VCPU_REQ_BOOT;
    fake_set_cpu(before->id);
    ck_assert(!vcpu_pre_entry(v));
    ck_assert_ptr_null(before->vcpu);
    ck_assert_uint_eq(v->requests, VCPU_REQ_BOOT);
    ck_assert_uint_eq(v->state, VCPU_WAIT_SIPI);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ids_that_name_no_user_vm_fail_and_change_nothing,
        start_needs_a_buffer_and_runs_vcpu_0_only,
        pause_returns_when_no_vcpu_runs,
        a_running_real_time_vm_is_neither_paused_nor_destroyed,
        reset_frees_the_slots_and_the_vm_starts_again,
        a_caller_that_finds_the_vm_locked_waits_for_it,
        destroy_waits_for_a_cpu_that_is_just_taking_a_vcpu_over,
        a_cpu_that_lost_a_vcpu_takes_nothing_that_is_asked_of_it,
    };
    const TTest *const in_both_flavours[] = {
        destroy_returns_cpus_and_memory_from_every_state,
    };
    Suite *s = suite_create("hcall-life");
    TCase *c = tcase_create("life");

    tcase_add_checked_fixture(c, hcall_setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(in_both_flavours); i++)
        tcase_add_loop_test(c, in_both_flavours[i], 0, 2);
    tcase_add_loop_test(c, every_cell_of_the_life_cycle_table, 0, 2 * ARRAY_SIZE(cells) * COLS);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    return run_suite(s);
}
