/* VMX operation of each CPU, and what the boot sequence asks of the backend (SDM vol. 3C 23.7, 24.11.5). */
#include <arch/cpu.h>
#include <core/cpu.h>
#include <lib/log.h>
#include "x86/hw/backend.h"
#include "x86/hw/msr.h"
#include "x86/hw/paging.h"
#include "x86/hw/regs.h"
#include "x86/vmx/vmx.h"

/* The page that VMXON wants, one for each CPU. Like a VMCS it begins with the revision identifier. */
static u32 vmxon_region[CFG_PCPUS][1024] ALIGNED(4096);

static COLD const char *find_clears(void)
{
    const char *missing;
    u64 arch_caps;
    u32 r[4];

    arch_cpuid(0, 0, r);
    if (r[0] >= 7)
        arch_cpuid(7, 0, r);
    else
        r[3] = 0;
    if (!(r[3] & BIT32(29)) || !arch_rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch_caps))
        arch_caps = 0;
    vmx_entry_clears = vmx_needed_clears(cfg_board.mitigations, r[3], arch_caps, &missing);
    return missing;
}

COLD const char *backend_check(void)
{
    const char *e;
    u32 r[4];
    u64 fc;

    arch_cpuid(1, 0, r);
    if (!(r[2] & BIT32(5)))
        return "the CPU has no VMX (CPUID 1 ECX bit 5)";
    if (!arch_rdmsr_safe(MSR_IA32_FEATURE_CTRL, &fc))
        return "the CPU has no IA32_FEATURE_CONTROL";
    e = vmx_feature_control_error(fc);
    if (!e)
        e = vmx_caps_read(arch_rdmsr_safe);
    return e ? e : find_clears();
}

static COLD void allow_vmxon(void)
{
    u64 fc;

    if (!arch_rdmsr_safe(MSR_IA32_FEATURE_CTRL, &fc) || vmx_feature_control_error(fc))
        panic("CPU %u: VMX is locked off here, though not on the boot CPU", this_cpu()->id);
    if (!(fc & FEATURE_LOCKED) && !arch_wrmsr_safe(MSR_IA32_FEATURE_CTRL, fc | FEATURE_LOCKED | FEATURE_VMX))
        panic("CPU %u: IA32_FEATURE_CONTROL cannot be written", this_cpu()->id);
}

COLD void backend_cpu_init(void)
{
    u32 id = this_cpu()->id;
    u64 cr0 = read_cr0() | vmx_caps.cr0_fixed0, cr4 = read_cr4() | CR4_VMXE;

    allow_vmxon();
    if ((cr0 & ~vmx_caps.cr0_fixed1) || (~cr4 & vmx_caps.cr4_fixed0) || (cr4 & ~vmx_caps.cr4_fixed1))
        panic("CPU %u: VMX operation does not allow CR0 %llx, CR4 %llx", id, (unsigned long long)cr0,
              (unsigned long long)cr4);
    write_cr0(cr0);
    write_cr4(cr4);
    vmxon_region[id][0] = (u32)vmx_caps.basic & 0x7fffffffu;
    if (!vmxon(va_to_hpa(vmxon_region[id]).v))
        panic("CPU %u refuses VMXON", id);
    vmx_flush_everything();
}
