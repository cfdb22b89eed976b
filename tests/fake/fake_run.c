/* The fake backend's run loop: what src/x86/svm does around VMRUN, with guest code as a C function. */
#include <core/cpu.h>
#include <core/vcpu.h>
#include <fake.h>

void (*fake_guest)(struct vcpu *v);

/* CPUs that wait for others somewhere up the stack. */
static u64 waiting;

void fake_reset_run(void);

void fake_reset_run(void)
{
    fake_guest = NULL;
    waiting = 0;
}

/* Tests without core have nothing to serve requests with. */
extern void cpu_service(void) FAKE;
extern bool vcpu_pre_entry(struct vcpu *v) FAKE;

void fake_run_others(void)
{
    struct cpu *self = this_cpu();
    bool wait = fake_waiting;

    if (waiting & BIT64(self->id))
        return;
    waiting |= BIT64(self->id);
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        struct cpu *c = &fake_cpus[i];

        if (waiting & BIT64(i))
            continue;
        fake_set_cpu(i);
        fake_waiting = false;
        if (cpu_service && atomic_load(&c->requests))
            cpu_service();
        if (vcpu_pre_entry && c->vcpu && (atomic_load(&c->vcpu->requests) & ~(u32)VCPU_REQ_FLUSH))
            vcpu_pre_entry(c->vcpu);
    }
    fake_set_cpu(self->id);
    fake_waiting = wait;
    waiting &= ~BIT64(self->id);
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
