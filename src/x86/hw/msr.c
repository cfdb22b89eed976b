#include <arch/cpu.h>
#include "x86/hw/msr.h"
#include "x86/hw/traps.h"

bool arch_rdmsr_safe(u32 msr, u64 *val)
{
    u32 lo = 0, hi = 0, ok = 0;

    __asm__ volatile("1: rdmsr\n\t"
                     "movl $1, %2\n"
                     "2:\n\t" EXTABLE("1b", "2b")
                     : "+a"(lo), "+d"(hi), "+r"(ok)
                     : "c"(msr));
    *val = ((u64)hi << 32) | lo;
    return ok != 0;
}

bool arch_wrmsr_safe(u32 msr, u64 val)
{
    u32 ok = 0;

    __asm__ volatile("1: wrmsr\n\t"
                     "movl $1, %0\n"
                     "2:\n\t" EXTABLE("1b", "2b")
                     : "+r"(ok)
                     : "c"(msr), "a"((u32)val), "d"((u32)(val >> 32))
                     : "memory");
    return ok != 0;
}
