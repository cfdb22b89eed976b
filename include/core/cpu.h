/* Core's per-CPU data and the loop every physical CPU ends in. Layer 4 (header visible to 4 and above). */
#ifndef BH_CORE_CPU_H
#define BH_CORE_CPU_H

#include <lib/types.h>
#include <config/config.h>

struct vcpu;
struct timer;

/* Bits of cpu->requests. Anyone may set them (cpu_request()); only the CPU itself clears them. */
enum cpu_req {
    CPU_REQ_TIMER = 1u << 0,   /* the one-shot timer fired, or a timer of this CPU was set from elsewhere */
    CPU_REQ_CONSOLE = 1u << 1, /* console CPU: bytes arrived or output is waiting */
    CPU_REQ_VM = 1u << 2,      /* a VM whose vCPU 0 lives here has something in vm->want */
    CPU_REQ_DUMP = 1u << 3,    /* shell asked this CPU for a register dump of its vCPU */
};

struct cpu {
    u32 requests;
    u32 id;               /* index into cfg_board.cpus */
    struct vcpu *vcpu;    /* the vCPU pinned here, or NULL */
    struct timer *timers; /* timers homed here; list built before the CPU loop starts, never changed after */
    u64 armed;            /* deadline last given to arch_timer_arm() */
    u64 idle_count;
};

/* Core data of any CPU, for setting request bits and for statistics. Implemented by arch (src/x86/hw,
 * tests/fake): the storage is part of its per-CPU data. */
struct cpu *cpu_get(u32 pcpu);

/* Sets request bits of a CPU and kicks it when it is not this one. */
void cpu_request(u32 pcpu, u32 bits);

/* Handles cpu->requests of this CPU: timers, console, VM control. Called by the CPU loop and by
 * vcpu_pre_entry(). */
void cpu_service(void);

/* Where every CPU ends after boot: runs its vCPU while that is runnable, serves requests, idles. */
NORETURN void cpu_loop(void);

#endif
