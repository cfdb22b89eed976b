#include <arch/cpu.h>
#include "x86/hw/native.h"
#include "x86/hw/regs.h"

#define DR6_RESET 0xffff0ff0ULL

/* Through an XRSTOR of nothing where the CPU has XSAVE (SDM vol. 1 13.6). */
COLD void native_fpu_reset(void)
{
    /* legacy area and header, XSTATE_BV = 0: everything to its initial state but MXCSR, which is loaded from
     * its place whatever XSTATE_BV says (SDM vol. 1 13.8.1) */
    static const u8 empty[576] ALIGNED(64) = {[24] = 0x80, [25] = 0x1f};
    static const u32 mxcsr_reset = 0x1f80;
    u64 cr4 = read_cr4();
    u32 r[4];

    arch_cpuid(1, 0, r);
    __asm__ volatile("clts; fninit");
    __asm__ volatile("mov %0, %%cr4; ldmxcsr %1" : : "r"(cr4 | CR4_OSFXSR), "m"(mxcsr_reset));
    if (r[2] & BIT32(26)) {
        u32 x[4];

        arch_cpuid(0xd, 0, x);
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR | CR4_OSXSAVE));
        __asm__ volatile("xsetbv" : : "c"(0), "a"(x[0]), "d"(x[3]));
        __asm__ volatile("xrstor64 %0" : : "m"(empty), "a"(x[0]), "d"(x[3]));
        __asm__ volatile("xsetbv" : : "c"(0), "a"(1), "d"(0));
    }
    write_cr4(cr4);
}

COLD void native_debug_reset(void)
{
    u64 zero = 0, dr6 = DR6_RESET;

    __asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3" : : "r"(zero));
    __asm__ volatile("mov %0, %%dr6" : : "r"(dr6));
}
