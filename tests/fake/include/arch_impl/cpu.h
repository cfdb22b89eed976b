/* The fake machine's inline part of the arch contract: tests choose the current CPU and move time by hand. */
#ifndef BH_FAKE_ARCH_IMPL_CPU_H
#define BH_FAKE_ARCH_IMPL_CPU_H

#include <lib/types.h>

struct cpu;

extern struct cpu *fake_this_cpu;
extern u64 fake_tsc;

static inline struct cpu *this_cpu(void)
{
    return fake_this_cpu;
}

static inline u64 arch_tsc(void)
{
    return fake_tsc;
}

#endif
