/*
 * The loop every physical CPU ends in, and its request word.
 *
 * Requests are never lost: whoever asks sets the bit and then kicks; the CPU takes bits with an atomic
 * exchange before it acts on them, and looks at the word again (with interrupts off, so that a kick stays
 * pending) before it idles or enters a guest.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <lib/atomic.h>
#include <core/console.h>
#include <core/cpu.h>
#include <core/timer.h>
#include <core/user_vm.h>
#include <core/vm.h>
#include "core_impl.h"

void cpu_request(u32 pcpu, u32 bits)
{
    struct cpu *c = cpu_get(pcpu);
    u32 old = atomic_or(&c->requests, bits);

    /* When all bits were set already, whoever set them has kicked or is about to, and the CPU has not yet
     * taken them. */
    if (pcpu != this_cpu()->id && (old & bits) != bits)
        arch_cpu_kick(pcpu);
}

static void service_vms(const struct cpu *c)
{
    for (u32 i = 0; i < CFG_VMS; i++)
        if (cfg_vms[i].kind != VM_USER && vms[i].vcpus[0].pcpu == c->id)
            vm_service(&vms[i]);
}

/* Lets go of the vCPU that this CPU does not belong to any more, takes the one that it does belong to. */
static void follow_owner(struct cpu *c)
{
    struct vcpu *owner = atomic_load(&c->owner);

    if (c->vcpu == owner)
        return;
    if (c->vcpu)
        arch_vcpu_put(c->vcpu);
    if (owner)
        arch_vcpu_load(owner);
    if (CFG_CACHE_CLASSES)
        arch_cache_class(owner ? owner->vm->cfg->clos : 0);
    atomic_store(&c->vcpu, owner);
    timers_run();
}

bool cpu_claim(u32 pcpu, struct vcpu *v)
{
    struct cpu *c = cpu_get(pcpu);

    if (!atomic_cas(&c->owner, (struct vcpu *)NULL, v))
        return false;
    v->pcpu = (u16)pcpu;
    for (struct timer *t = v->timers; t; t = t->next)
        t->pcpu = pcpu;
    cpu_request(pcpu, CPU_REQ_ATTACH);
    return true;
}

void cpu_release(u32 pcpu, struct vcpu *v)
{
    struct cpu *c = cpu_get(pcpu);

    ASSERT(atomic_load(&c->owner) == v);
    atomic_store(&c->owner, (struct vcpu *)NULL);
    cpu_request(pcpu, CPU_REQ_ATTACH);
    /* It may just be taking v over, having seen the old owner: c->vcpu says so only when that is done. */
    cpu_sync(BIT64(pcpu));
    while (atomic_load(&c->vcpu) == v)
        cpu_wait();
}

/* Whoever asked for it did so before the request bit, so what is counted here has been asked before now. */
static void answer_sync(struct cpu *c)
{
    atomic_store(&c->sync_done, atomic_load(&c->sync_asked));
}

void cpu_sync(u64 pcpus)
{
    u32 ticket[CFG_PCPUS];

    pcpus &= ~BIT64(this_cpu()->id);
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        if (!(pcpus & BIT64(i)))
            continue;
        ticket[i] = atomic_add(&cpu_get(i)->sync_asked, 1) + 1;
        cpu_request(i, CPU_REQ_SYNC);
    }
    for (u32 i = 0; i < CFG_PCPUS; i++)
        while ((pcpus & BIT64(i)) && (s32)(atomic_load(&cpu_get(i)->sync_done) - ticket[i]) < 0)
            cpu_wait();
}

static void dump_own_vcpu(const struct cpu *c)
{
    if (!c->vcpu)
        return;
    lines_begin(0);
    arch_dump_vcpu(c->vcpu, lines_print);
    lines_end();
}

static void serve(struct cpu *c, u32 reqs)
{
    if (reqs & CPU_REQ_SYNC)
        answer_sync(c);
    if (reqs & CPU_REQ_ATTACH)
        follow_owner(c);
    if (CFG_SERVICE && (reqs & CPU_REQ_IRQ))
        arch_host_irqs();
    if (reqs & CPU_REQ_TIMER)
        timers_run();
    if (reqs & CPU_REQ_CONSOLE)
        console_service();
    if (reqs & CPU_REQ_VM)
        service_vms(c);
    if (reqs & CPU_REQ_DUMP)
        dump_own_vcpu(c);
}

void cpu_service(void)
{
    struct cpu *c = this_cpu();

    serve(c, atomic_xchg(&c->requests, 0));
}

static void serve_quick(u32 quick)
{
    struct cpu *c = this_cpu();

    arch_irq_window();
    if (atomic_load(&c->requests) & quick)
        serve(c, atomic_and(&c->requests, ~quick) & quick);
}

void cpu_breathe(void)
{
    serve_quick(CPU_REQ_TIMER | CPU_REQ_CONSOLE);
}

void cpu_wait(void)
{
    serve_quick(CPU_REQ_TIMER | CPU_REQ_CONSOLE | CPU_REQ_SYNC);
    cpu_relax();
}

/* One round of the loop: serves what was asked and runs the vCPU for as long as it may, or idles. */
static void cpu_round(struct cpu *c)
{
    struct vcpu *v;
    u32 flush = 0;

    if (atomic_load(&c->requests))
        cpu_service();
    v = c->vcpu;
    if (v && (atomic_load(&v->requests) & ~(u32)VCPU_REQ_FLUSH)) {
        vcpu_pre_entry(v);
        v = c->vcpu; /* it serves the CPU, too */
    }
    if (v && v->state == VCPU_RUNNING) {
        arch_vcpu_run(v);
        return;
    }
    /* A flush has time until the next entry, but its bit would keep this CPU from idling. */
    if (v)
        flush = atomic_and(&v->requests, ~(u32)VCPU_REQ_FLUSH) & VCPU_REQ_FLUSH;
    c->idle_count++;
    arch_cpu_idle(&c->requests, v ? &v->requests : NULL);
    if (flush)
        atomic_or(&v->requests, flush);
}

void cpu_loop(void)
{
    struct cpu *c = this_cpu();

    timers_run();
    for (;;)
        cpu_round(c);
}
