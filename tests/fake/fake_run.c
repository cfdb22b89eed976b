/* The fake backend's run loop: what src/x86/svm does around VMRUN, with guest code as a C function. */
#include <core/cpu.h>
#include <core/vcpu.h>
#include <fake.h>

void (*fake_guest)(struct vcpu *v);

void fake_reset_run(void);

void fake_reset_run(void)
{
    fake_guest = NULL;
}

FAKE void arch_vcpu_run(struct vcpu *v)
{
    fake_vcpus[v->index].runs++;
    for (;;) {
        if (atomic_load(&v->requests) || atomic_load(&this_cpu()->requests)) {
            if (!vcpu_pre_entry(v))
                return;
            if (atomic_and(&v->requests, ~(u32)VCPU_REQ_FLUSH) & VCPU_REQ_FLUSH)
                fake_vcpus[v->index].flushes++;
        } else if (v->state != VCPU_RUNNING) {
            return;
        }
        fake_enter(v);
        if (fake_guest)
            fake_guest(v);
        else
            vcpu_halt(v);
    }
}
