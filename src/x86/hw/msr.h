/*
 * Model-specific registers that this layer and the backends use. rdmsr()/wrmsr() are for MSRs known to exist
 * (a #GP is a panic with a dump); arch_rdmsr_safe()/arch_wrmsr_safe() of <arch/cpu.h> are for all others.
 * Layer 4'.
 */
#ifndef BH_X86_HW_MSR_H
#define BH_X86_HW_MSR_H

#include <lib/types.h>

/* SDM vol. 4 chapter 2; APM vol. 2 appendix A. */
#define MSR_IA32_APIC_BASE    0x1bU
#define MSR_IA32_FEATURE_CTRL 0x3aU
#define MSR_IA32_PAT          0x277U
#define MSR_IA32_TSC_DEADLINE 0x6e0U
#define MSR_X2APIC_BASE       0x800U /* MMIO offset >> 4 is added (SDM vol. 3A 10.12.1.2) */
#define MSR_VMX_PROCBASED2    0x48bU
#define MSR_L3_QOS_CFG        0xc81U
#define MSR_L2_QOS_CFG        0xc82U
#define MSR_PQR_ASSOC         0xc8fU
#define MSR_L3_QOS_MASK       0xc90U /* + class */
#define MSR_L2_QOS_MASK       0xd10U
#define MSR_EFER              0xc0000080U
#define MSR_VM_CR             0xc0010114U
#define MSR_VM_HSAVE_PA       0xc0010117U
#define MSR_DE_CFG            0xc0011029U

#define APIC_BASE_BSP    BIT64(8)
#define APIC_BASE_X2     BIT64(10)
#define APIC_BASE_ENABLE BIT64(11)

#define DE_CFG_LFENCE_SERIALIZES BIT64(1)

#define EFER_SCE  BIT64(0)
#define EFER_LME  BIT64(8)
#define EFER_LMA  BIT64(10)
#define EFER_NXE  BIT64(11)
#define EFER_SVME BIT64(12)

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((u64)hi << 32) | lo;
}
static inline void wrmsr(u32 msr, u64 val)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

#endif
