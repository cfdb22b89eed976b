/* Contents of a VMCS that do not depend on what the guest does: controls and host state (SDM vol. 3C 24.5 to
 * 24.8). */
#include <arch/cpu.h>
#include <config/config.h>
#include "x86/guest/exits.h"
#include "x86/hw/msr.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/regs.h"
#include "x86/hw/traps.h"
#include "x86/vmx/vmx.h"

static COLD void host_state(void)
{
    const struct percpu *p = this_percpu();

    vmwrite(VMCS_HOST_CR0, read_cr0());
    vmwrite(VMCS_HOST_CR3, read_cr3());
    vmwrite(VMCS_HOST_CR4, read_cr4());
    vmwrite(VMCS_HOST_ES_SEL, SEL_DATA);
    vmwrite(VMCS_HOST_CS_SEL, SEL_CODE);
    vmwrite(VMCS_HOST_SS_SEL, SEL_DATA);
    vmwrite(VMCS_HOST_DS_SEL, SEL_DATA);
    vmwrite(VMCS_HOST_FS_SEL, 0);
    vmwrite(VMCS_HOST_GS_SEL, 0);
    vmwrite(VMCS_HOST_TR_SEL, SEL_TSS);
    vmwrite(VMCS_HOST_FS_BASE, 0);
    vmwrite(VMCS_HOST_GS_BASE, 0);
    vmwrite(VMCS_HOST_TR_BASE, (u64)&p->tss);
    vmwrite(VMCS_HOST_GDTR_BASE, (u64)p->gdt);
    vmwrite(VMCS_HOST_IDTR_BASE, (u64)idt);
    vmwrite(VMCS_HOST_SYSENTER_CS, 0);
    vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
    vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
    vmwrite(VMCS_HOST_PAT, rdmsr(MSR_IA32_PAT));
    vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

static COLD u32 pin_controls(void)
{
    u32 pin = vmx_caps.pin & ~PIN_POSTED;

    if (cfg_board.quirks & QUIRK_IF0_NO_EXTINT_EXIT)
        pin |= PIN_PREEMPTION;
    return pin;
}

/* Everything that no guest sees is off or empty. */
static COLD void unused_fields(void)
{
    vmwrite(VMCS_PF_MASK, 0);
    vmwrite(VMCS_PF_MATCH, 0);
    vmwrite(VMCS_CR3_TARGETS, 0);
    vmwrite(VMCS_EXIT_MSR_STORES, 0);
    vmwrite(VMCS_EXIT_MSR_LOADS, 0);
    vmwrite(VMCS_ENTRY_MSR_LOADS, 0);
    vmwrite(VMCS_LINK_POINTER, ~(u64)0);
    vmwrite(VMCS_GUEST_DEBUGCTL, 0);
    if (vmx_caps.proc2 & PROC2_ENCLS_EXIT)
        vmwrite(VMCS_ENCLS_EXITING, ~(u64)0);
}

COLD void vmx_setup_controls(struct vmx_vcpu *s)
{
    struct vcpu *v = s->v;

    vmwrite(VMCS_PIN_CTLS, pin_controls());
    s->proc = vmx_caps.proc & ~(u32)(PROC_IRQ_WINDOW | PROC_NMI_WINDOW | PROC_TPR_SHADOW);
    s->proc |= PROC_CR8_LOAD | PROC_CR8_STORE;
    s->proc2 =
        vmx_caps.proc2 & ~(u32)(PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR);
    vmwrite(VMCS_PROC_CTLS, s->proc);
    vmwrite(VMCS_PROC_CTLS2, s->proc2);
    /* The timer is saved only where it runs (26.2.1.2). */
    vmwrite(VMCS_EXIT_CTLS,
            (cfg_board.quirks & QUIRK_IF0_NO_EXTINT_EXIT) ? vmx_caps.exit : vmx_caps.exit & ~EXIT_SAVE_TIMER);
    vmx_set_timer(true);
    vmwrite(VMCS_ENTRY_CTLS, vmx_caps.entry);
    /* #DB and #AC so that their endless delivery cannot hold the CPU (CVE-2015-5307, CVE-2015-8104), #UD for
     * VMMCALL. */
    vmwrite(VMCS_EXCEPTIONS, BIT32(X86_DB) | BIT32(X86_UD) | BIT32(X86_AC) | BIT32(X86_MC));
    vmwrite(VMCS_VPID, (u64)v->index + 1);
    vmwrite(VMCS_EPT_POINTER, vmx_eptp(v->vm));
    vmwrite(VMCS_IO_BITMAP_A, vmx_io_bitmap().v);
    vmwrite(VMCS_IO_BITMAP_B, vmx_io_bitmap().v + PAGE_SIZE);
    vmwrite(VMCS_MSR_BITMAP, vmx_msr_bitmap(false).v);
    vmwrite(VMCS_TSC_OFFSET, s->tsc_offset);
    unused_fields();
    vmx_setup_cr_masks();
    host_state();
}
