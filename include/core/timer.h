/* One-shot timers, each homed on one physical CPU. */
#ifndef BH_CORE_TIMER_H
#define BH_CORE_TIMER_H

#include <lib/types.h>

#define TIMER_OFF (~(u64)0)

struct timer {
    u64 deadline;                /* TSC value, TIMER_OFF when not running; atomic: any CPU may set it */
    void (*fn)(struct timer *t); /* runs on the home CPU, outside guest mode, with the timer already off */
    struct timer *next;
    u32 pcpu; /* home; a vCPU's timers follow it */
};

struct vcpu;

/* Registers a timer with its home CPU. Before the CPU loops start only; never undone. */
void timer_init(struct timer *t, u32 pcpu, void (*fn)(struct timer *t));
/* The same for a timer of a vCPU: its home is the CPU that the vCPU is pinned to at the time. */
void timer_init_vcpu(struct timer *t, struct vcpu *v, void (*fn)(struct timer *t));
/* Any CPU, no lock. From another CPU than home the change takes effect after a kick. Setting replaces. */
void timer_set(struct timer *t, u64 deadline_tsc);
void timer_cancel(struct timer *t);
/* Home CPU: fires what is due, re-arms the hardware. Called from cpu_service(). */
void timers_run(void);

/* a*b/c without overflow in between; c must not be 0. For conversions between TSC ticks and other clocks. */
static inline u64 mul_div_u64(u64 a, u64 b, u64 c)
{
    u64 hi, lo, q, r;

    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "a"(a), "rm"(b) : "cc");
    if (hi >= c)
        return ~(u64)0;
    __asm__("divq %4" : "=a"(q), "=d"(r) : "a"(lo), "d"(hi), "rm"(c) : "cc");
    return q;
}
/* Nanoseconds to TSC ticks and back, by the calibrated rate. */
u64 ns_to_tsc(u64 ns);
u64 tsc_to_ns(u64 tsc);

#endif
