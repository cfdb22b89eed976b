/*
 * Virtual local APIC: what the rest of the hypervisor calls. One per vCPU, with the xAPIC page at
 * PLAT_LAPIC_BASE and the x2APIC MSRs (SDM vol. 3A ch. 10; APM vol. 2 ch. 16). Layer 5.
 */
#ifndef BH_X86_VDEV_VLAPIC_H
#define BH_X86_VDEV_VLAPIC_H

#include <core/vcpu.h>

/* The MSRs that belong to the local APIC; 0x800..0x8ff is the x2APIC range. */
#define MSR_APIC_BASE    0x01bU
#define MSR_TSC_DEADLINE 0x6e0U
#define MSR_X2APIC_FIRST 0x800U
#define MSR_X2APIC_LAST  0x8ffU

/* RDMSR and WRMSR of the MSRs above, own pCPU. False: the caller injects #GP(0). */
bool vlapic_msr_read(struct vcpu *v, u32 msr, u64 *val);
bool vlapic_msr_write(struct vcpu *v, u32 msr, u64 val);

/* CR8 is bits 7:4 of the TPR (SDM 10.8.6.1). cr8 is 0..15; higher bits are ignored. Own pCPU. */
void vlapic_set_cr8(struct vcpu *v, u64 cr8);
u64 vlapic_get_cr8(struct vcpu *v);

/* IA32_APIC_BASE.EN: CPUID.1:EDX[9] follows it. */
bool vlapic_enabled(struct vcpu *v);

/* The guest's TSC offset changed: a TSC-deadline timer keeps its guest-visible deadline. Own pCPU. */
void vlapic_tsc_moved(struct vcpu *v);

/* Input clock of the local APIC timer before the divider, in Hz: it equals the TSC rate. */
u64 vlapic_timer_hz(void);

/* Boot: registers the xAPIC page of the VM with core and homes the timers. */
void vlapic_init(struct vm *vm);
/* State after RESET (SDM 10.4.7.1). The vCPU does not run. */
void vlapic_reset(struct vcpu *v);
/* What firmware leaves on the boot CPU for guests that use the 8259 pair only: APIC enabled, LINT0 ExtINT,
 * LINT1 NMI (MP specification 3.6.2.2, virtual wire mode). After vlapic_reset(). */
void vlapic_virtual_wire(struct vcpu *v);

/*
 * Where the CPU carries out part of the local APIC, it reports (own pCPU): that it wrote the register at this
 * offset of the page; that it ended a level-triggered interrupt; that the task priority fell below the
 * threshold.
 */
void vlapic_page_written(struct vcpu *v, u32 offset);
void vlapic_ended(struct vcpu *v, u8 vector);
void vlapic_tpr_fell(struct vcpu *v);

/* ---- interrupt messages ---- */

enum apic_mode {
    APIC_DM_FIXED = 0,
    APIC_DM_LOWEST = 1,
    APIC_DM_SMI = 2,
    APIC_DM_RESERVED = 3, /* remote read of the 82489DX: not delivered */
    APIC_DM_NMI = 4,
    APIC_DM_INIT = 5,
    APIC_DM_SIPI = 6,
    APIC_DM_EXTINT = 7,
};

/* One message on the interrupt bus: from an ICR, a vIOAPIC entry, or an MSI. */
struct apic_msg {
    u32 dest;
    u8 vector;
    u8 mode;      /* enum apic_mode */
    bool level;   /* level triggered: EOI is broadcast to the vIOAPIC */
    bool logical; /* logical destination mode */
    bool wide;    /* dest is a 32-bit x2APIC destination, else 8 bits */
};

/* Delivers a message within the VM; true when at least one local APIC took it. Any CPU, no lock taken. */
bool vlapic_deliver(struct vm *vm, const struct apic_msg *m);

/* The first vCPU that a message names, NULL: none. Any CPU, no lock. */
struct vcpu *vlapic_first_match(struct vm *vm, const struct apic_msg *m);

/* The 8259 pair's output, wired to LINT0 of vCPU 0, rose: acts on the LINT0 entry. Any CPU. */
void vlapic_lint0_rise(struct vm *vm);

#endif
