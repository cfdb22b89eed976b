/*
 * Per-CPU data and where it stands. Each CPU's page tables map its own block at PERCPU_VA (arch_impl/cpu.h),
 * so nothing here needs a segment register. The data page has a second address in the shared image mapping
 * (cpu_get(), percpu_of()); the stack has not: a pointer to a local variable must never be handed to another
 * CPU. Layer 4'.
 */
#ifndef BH_X86_HW_PERCPU_H
#define BH_X86_HW_PERCPU_H

#include <arch/cpu.h>
#include <core/cpu.h>
#include "x86/hw/percpu_layout.h"

enum hw_irq {
    HW_IRQ_TIMER,
    HW_IRQ_KICK,
    HW_IRQ_UART,
    HW_IRQ_ERROR,
    HW_IRQ_SPURIOUS,
    HW_IRQ_UNEXPECTED,
    HW_IRQ_DEVICE, /* last: without a service VM there are none */
    HW_IRQ_COUNT
};

/* 64-bit task-state segment (SDM vol. 3A figure 8-11). Loaded because VMX wants a host TR; no gate makes use
 * of it. */
struct tss64 {
    u32 reserved0;
    u32 rsp_ist[24]; /* RSP0-2, IST1-7 and the reserved words around them */
    u16 reserved1;
    u16 iomap_base;
};
_Static_assert(sizeof(struct tss64) == 104, "SDM vol. 3A figure 8-11");
_Static_assert(offsetof(struct tss64, iomap_base) == 102, "SDM vol. 3A figure 8-11");

#define GDT_ENTRIES 5 /* null, code, data, TSS (two entries) */

struct percpu {
    struct cpu cpu;     /* offset 0: this_cpu() */
    u64 timer_deadline; /* what arch_timer_arm() was asked for, ~0 when off */
    u32 apic_id;
    u32 in_trap; /* depth of exceptions being dumped */
    u64 irqs[HW_IRQ_COUNT];
    u64 nmis;
    u64 gdt[GDT_ENTRIES];
    struct tss64 tss;
    u8 backend[PERCPU_BACKEND_SIZE] ALIGNED(64); /* the linked backend's own per-CPU data, zero at boot */
};
_Static_assert(offsetof(struct percpu, cpu) == 0, "this_cpu()");
_Static_assert(sizeof(struct percpu) <= 4096, "one page");

static inline struct percpu *this_percpu(void)
{
    return (struct percpu *)PERCPU_VA;
}

/* Any CPU's block through the shared mapping. */
struct percpu *percpu_of(u32 pcpu);

/* Loads this CPU's GDT, TSS and control registers. First thing each CPU does on its own tables. */
void percpu_cpu_init(void);

/* Index of the CPU with the given APIC id in cfg_board.cpus; CFG_PCPUS when the board has none. */
u32 pcpu_of_apic_id(u32 apic_id);
/* The id CPUID reports for the calling CPU (leaf 0Bh where it exists, else leaf 1). */
u32 cpuid_apic_id(void);

#endif
