#include <stdio.h>
#include <core/console.h>
#include <core/load.h>
#include <lib/log.h>
#include "core_test.h"

unsigned loads[CFG_VMS];
int load_result;
unsigned dirty_loads;

static jmp_buf idle_jmp;

/* In the RAM of every VM, outside all images. */
#define MARK_GPA 0x34560

void core_setup_mux(bool mux)
{
    fake_reset();
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    memset(loads, 0, sizeof(loads));
    load_result = 0;
    dirty_loads = 0;
    console_init(mux);
    log_init();
    vms_init();
    /* Each CPU takes its vCPU when it comes into cpu_loop(). */
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        fake_set_cpu(i);
        cpu_service();
        fake_kicks[i] = 0;
    }
    fake_set_cpu(0);
    fake_zeroed = 0; /* the boot cleared shared memory */
}

void core_setup(void)
{
    core_setup_mux(false);
}

int vm_load(struct vm *vm, struct vcpu_boot_state *out)
{
    u64 mark;

    loads[vm->id]++;
    ck_assert_int_eq(vm_gpa_read(vm, gpa(MARK_GPA), &mark, sizeof(mark)), 0);
    if (mark)
        dirty_loads++;
    mark = 0x5a5a5a5a5a5a5a5aULL;
    ck_assert_int_eq(vm_gpa_write(vm, gpa(MARK_GPA), &mark, sizeof(mark)), 0);
    out->rip = 0x100000;
    out->rflags = 2;
    return load_result;
}

static void leave(void)
{
    longjmp(idle_jmp, 1);
}

void run_cpu(u32 pcpu)
{
    fake_set_cpu(pcpu);
    fake_idle_hook = leave;
    if (setjmp(idle_jmp) == 0)
        cpu_loop();
    fake_idle_hook = NULL;
}

static bool work_left(void)
{
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        const struct vcpu *v = fake_cpus[i].vcpu;

        if (fake_cpus[i].requests || (v && v->requests) || (v && v->state == VCPU_RUNNING))
            return true;
    }
    return false;
}

void run_all(void)
{
    for (unsigned round = 0; work_left(); round++) {
        ck_assert_msg(round < 1000, "CPUs never come to rest");
        for (u32 i = 0; i < CFG_PCPUS; i++)
            run_cpu(i);
    }
    fake_set_cpu(0);
}

void pass_time(u64 ticks)
{
    fake_tsc += ticks;
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        if (fake_armed[i] <= fake_tsc) {
            fake_armed[i] = ~(u64)0;
            fake_cpus[i].requests |= CPU_REQ_TIMER;
        }
    }
}

int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
