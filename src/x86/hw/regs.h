/* Control registers and flags of the hypervisor's own context. Layer 4'. */
#ifndef BH_X86_HW_REGS_H
#define BH_X86_HW_REGS_H

#include <lib/types.h>

/* SDM vol. 3A 2.5; APM vol. 2 3.1. */
#define CR0_PE BIT64(0)
#define CR0_MP BIT64(1)
#define CR0_EM BIT64(2)
#define CR0_TS BIT64(3)
#define CR0_ET BIT64(4)
#define CR0_NE BIT64(5)
#define CR0_WP BIT64(16)
#define CR0_AM BIT64(18)
#define CR0_NW BIT64(29)
#define CR0_CD BIT64(30)
#define CR0_PG BIT64(31)

#define CR4_DE         BIT64(3)
#define CR4_PSE        BIT64(4)
#define CR4_PAE        BIT64(5)
#define CR4_MCE        BIT64(6)
#define CR4_PGE        BIT64(7)
#define CR4_OSFXSR     BIT64(9)
#define CR4_OSXMMEXCPT BIT64(10)
#define CR4_VMXE       BIT64(13)
#define CR4_OSXSAVE    BIT64(18)
#define CR4_SMEP       BIT64(20)
#define CR4_SMAP       BIT64(21)

#define RFLAGS_IF BIT64(9)

#define HW_RDCR(n)                                                                                           \
    static inline u64 read_cr##n(void)                                                                       \
    {                                                                                                        \
        u64 v;                                                                                               \
                                                                                                             \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                                    \
        return v;                                                                                            \
    }
#define HW_WRCR(n)                                                                                           \
    static inline void write_cr##n(u64 v)                                                                    \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                                           \
    }

HW_RDCR(0)
HW_RDCR(2)
HW_RDCR(3)
HW_RDCR(4)
HW_WRCR(0)
HW_WRCR(2)
HW_WRCR(3)
HW_WRCR(4)

static inline u64 read_rflags(void)
{
    u64 v;

    __asm__ volatile("pushfq; popq %0" : "=r"(v));
    return v;
}

static inline void invlpg(u64 va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

#endif
