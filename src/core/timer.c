/*
 * One-shot timers. A timer's deadline is the only shared word: whoever stores it from another CPU then sets
 * CPU_REQ_TIMER of the home CPU, which looks at all its deadlines again. The lists themselves never change
 * once the CPU loops run: a CPU's own timers are one list, those of the vCPU that is loaded on it another.
 */
#include <arch/cpu.h>
#include <lib/atomic.h>
#include <core/cpu.h>
#include <core/timer.h>
#include <core/vcpu.h>

void timer_init(struct timer *t, u32 pcpu, void (*fn)(struct timer *t))
{
    struct cpu *c = cpu_get(pcpu);

    t->deadline = TIMER_OFF;
    t->fn = fn;
    t->pcpu = pcpu;
    t->next = c->timers;
    c->timers = t;
}

void timer_init_vcpu(struct timer *t, struct vcpu *v, void (*fn)(struct timer *t))
{
    t->deadline = TIMER_OFF;
    t->fn = fn;
    t->pcpu = v->pcpu;
    t->next = v->timers;
    v->timers = t;
}

void timer_set(struct timer *t, u64 deadline_tsc)
{
    struct cpu *c = this_cpu();

    atomic_store(&t->deadline, deadline_tsc);
    if (t->pcpu != c->id) {
        cpu_request(t->pcpu, CPU_REQ_TIMER);
    } else if (deadline_tsc < c->armed) {
        c->armed = deadline_tsc;
        arch_timer_arm(deadline_tsc);
    }
    /* A hardware timer armed too early costs one idle pass of timers_run(); re-arming it here would cost on
     * every set. */
}

void timer_cancel(struct timer *t)
{
    atomic_store(&t->deadline, TIMER_OFF);
}

static void fire_due(struct timer *list, u64 now)
{
    for (struct timer *t = list; t; t = t->next) {
        u64 d = atomic_load(&t->deadline);

        /* When the swap fails, another CPU has just set the timer anew: its request makes timers_run() run
         * again. */
        if (d <= now && atomic_cas(&t->deadline, d, TIMER_OFF))
            t->fn(t);
    }
}

static u64 earliest(const struct timer *list, u64 next)
{
    for (const struct timer *t = list; t; t = t->next) {
        u64 d = atomic_load(&t->deadline);

        next = MIN(next, d);
    }
    return next;
}

/* Those of a vCPU that has stopped are quiet: another CPU may be resetting what they belong to. */
static struct timer *vcpu_timers(const struct vcpu *v)
{
    u32 state = v ? atomic_load(&v->state) : VCPU_OFFLINE;

    return state == VCPU_OFFLINE || state == VCPU_STOPPED ? NULL : v->timers;
}

void timers_run(void)
{
    struct cpu *c = this_cpu();
    struct timer *of_vcpu = vcpu_timers(c->vcpu);
    u64 now = arch_tsc();
    u64 next;

    fire_due(c->timers, now);
    fire_due(of_vcpu, now);
    next = earliest(of_vcpu, earliest(c->timers, TIMER_OFF));
    c->armed = next;
    arch_timer_arm(next);
}

u64 ns_to_tsc(u64 ns)
{
    return mul_div_u64(ns, arch_tsc_hz(), 1000000000);
}

u64 tsc_to_ns(u64 tsc)
{
    return mul_div_u64(tsc, 1000000000, arch_tsc_hz());
}
