/*
 * x86's inline part of the arch contract. Every CPU's page tables map its own data at the same virtual
 * address, so this_cpu() is a constant and no segment register is needed (DESIGN.md section 3: the guest's FS
 * and GS stay loaded).
 */
#ifndef BH_X86_ARCH_IMPL_CPU_H
#define BH_X86_ARCH_IMPL_CPU_H

#include <lib/types.h>

/* In the top 2 GiB, so that with -mcmodel=kernel every field is one 32-bit displacement away. */
#define PERCPU_VA 0xffffffffc0000000ULL

struct cpu;

static inline struct cpu *this_cpu(void)
{
    return (struct cpu *)PERCPU_VA;
}

static inline u64 arch_tsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((u64)hi << 32) | lo;
}

#endif
