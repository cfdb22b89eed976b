/* A virtual CPU as core sees it. */
#ifndef BH_CORE_VCPU_H
#define BH_CORE_VCPU_H

#include <lib/types.h>
#include <lib/atomic.h>
#include <config/config.h>
#include <arch/vcpu.h>

struct vm;

/* Bits of vcpu->requests: set by anyone through vcpu_request(), taken by the vCPU's own pCPU before entry. */
enum vcpu_req {
    VCPU_REQ_EVENT = 1u << 0, /* local APIC or PIC state changed: look for something to inject */
    VCPU_REQ_NMI = 1u << 1,
    VCPU_REQ_INIT = 1u << 2,
    VCPU_REQ_SIPI = 1u << 3,  /* vcpu->sipi_vector is valid */
    VCPU_REQ_STOP = 1u << 4,  /* leave the CPU; state becomes VCPU_STOPPED */
    VCPU_REQ_FLUSH = 1u << 5, /* second-level tables changed (taken by the backend) */
    VCPU_REQ_BOOT = 1u << 6,  /* user VM: take the boot state that user_vm_start() left */
    VCPU_REQ_IOREQ = 1u << 7, /* the device model has completed the request that the vCPU waits for */
};

enum vcpu_state {
    VCPU_OFFLINE,   /* VM is off */
    VCPU_WAIT_SIPI, /* waits for INIT/SIPI from another vCPU */
    VCPU_RUNNING,
    VCPU_HALTED,  /* executed HLT, or dozes; an interrupt or NMI wakes it */
    VCPU_STOPPED, /* stopped by VM control or by a fatal guest error */
};

#define VCPU_EXIT_REASONS 40

struct vcpu_stat {
    u64 count;
    u64 cycles; /* TSC ticks spent in the hypervisor for this reason */
};

struct vcpu {
    /* First cache line: what every exit touches. */
    u32 requests; /* enum vcpu_req, atomic */
    u32 state;    /* enum vcpu_state; written by the own pCPU, or by the VM's control CPU while stopped */
    struct guest_regs *regs; /* set by arch_vcpu_init() */
    struct vm *vm;
    u16 index; /* among all vCPUs: cfg_vm.first_vcpu + id */
    u16 id;    /* within its VM; 0 is the boot CPU */
    u16 pcpu;
    u8 sipi_vector;
    bool doze;            /* HALTED by vcpu_doze() */
    u32 apic_id;          /* of its local APIC after RESET */
    struct timer *timers; /* timers that move with it */
    u64 wait_ticks;       /* TSC ticks inside exits that were spent waiting for a device model */
    u64 ioreqs;           /* requests sent to one */
    u64 io_failed;        /* accesses that ended without an answer: refused, or the vCPU had to stop */
    u64 unowned;          /* accesses to ports, MSRs, memory that nobody owns */
    struct vcpu_stat exits[VCPU_EXIT_REASONS];
} ALIGNED(64);

struct timer;

extern struct vcpu vcpus[CFG_VCPUS];

/* Sets request bits and kicks the vCPU's pCPU when that is not this one. Any CPU, no lock. */
void vcpu_request(struct vcpu *v, u32 bits);

/*
 * Own pCPU, before every entry with a non-zero request word (v->requests or this_cpu()->requests): serves CPU
 * requests, handles STOP, INIT and SIPI, hands EVENT and NMI to arch_vcpu_deliver_events(). VCPU_REQ_FLUSH is
 * left for the backend. False: the vCPU must not be entered, arch_vcpu_run() returns.
 */
bool vcpu_pre_entry(struct vcpu *v);

/* The vCPU executed HLT: it becomes HALTED unless something to wake it is pending. The caller has moved RIP
 * on. */
void vcpu_halt(struct vcpu *v);
/* The same for an idle state that an interrupt ends also where the guest has interrupts off. */
void vcpu_doze(struct vcpu *v);

/* INIT and SIPI from another vCPU's local APIC. Any CPU. */
void vcpu_send_init(struct vcpu *v);
void vcpu_send_sipi(struct vcpu *v, u8 vector);

#endif
