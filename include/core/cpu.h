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
    CPU_REQ_SYNC = 1u << 4,    /* someone waits in cpu_sync() for this CPU to be outside guest mode */
    CPU_REQ_ATTACH = 1u << 5,  /* cpu->owner changed */
    CPU_REQ_IRQ = 1u << 6,     /* interrupts of real devices wait for arch_host_irqs() */
};

struct cpu {
    u32 requests;
    u32 id;               /* index into cfg_board.cpus */
    struct vcpu *vcpu;    /* the vCPU loaded here, or NULL; follows owner, written by the CPU itself */
    struct vcpu *owner;   /* the vCPU that this CPU belongs to, or NULL; atomic, claimed by cpu_claim() */
    struct timer *timers; /* timers homed here for good; list built before the CPU loop starts */
    u64 armed;            /* deadline last given to arch_timer_arm() */
    u64 idle_count;
    u32 sync_asked; /* atomic; counted up by whoever waits in cpu_sync() */
    u32 sync_done;  /* value of sync_asked that this CPU last saw outside guest mode */
};

/* Core data of any CPU, for setting request bits and for statistics. Implemented by arch (src/x86/hw,
 * tests/fake): the storage is part of its per-CPU data. */
struct cpu *cpu_get(u32 pcpu);

/* Sets request bits of a CPU and kicks it when it is not this one. */
void cpu_request(u32 pcpu, u32 bits);

/* Gives a CPU that belongs to no vCPU to v, which becomes loaded there. Any CPU. False: it has an owner. */
bool cpu_claim(u32 pcpu, struct vcpu *v);
/* Takes the CPU back from v, which is OFFLINE or STOPPED, and waits until the CPU has let go of it. Any other
 * CPU, outside guest mode, or v's own when v is not loaded. */
void cpu_release(u32 pcpu, struct vcpu *v);

/* One turn of a wait for another CPU: lets interrupts in, serves what must not wait (timers, console, sync).
 * The caller may hold a VM's lock that no user VM's CPU takes. */
void cpu_wait(void);
/* Waits until each CPU in the set (bit per pCPU) has been outside guest mode since the call. */
void cpu_sync(u64 pcpus);

/* Handles cpu->requests of this CPU: timers, console, VM control. Called by the CPU loop and by
 * vcpu_pre_entry(). */
void cpu_service(void);

/* Where every CPU ends after boot: runs its vCPU while that is runnable, serves requests, idles. */
NORETURN void cpu_loop(void);

#endif
