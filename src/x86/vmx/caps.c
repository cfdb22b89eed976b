/* Capability MSRs: what is needed, what is used where it exists (SDM vol. 3D appendix A). */
#include <config/config.h>
#include <lib/bits.h>
#include "x86/vmx/caps.h"
#include "x86/vmx/vmcs.h"

struct vmx_caps vmx_caps;

COLD u32 vmx_adjust(u64 cap, u32 need, u32 want, u32 *out)
{
    u32 must = (u32)cap, may = (u32)(cap >> 32);

    *out = ((need | want) & may) | must;
    return need & ~may;
}

/* Controls that the backend cannot do without, and the name that is given to each when it is missing. */
struct need {
    u32 bit;
    const char *missing;
};

static const struct need need_pin[] = {
    {PIN_EXTINT_EXIT, "the CPU's VMX has no external-interrupt exiting (IA32_VMX_PINBASED_CTLS bit 0)"},
    {PIN_NMI_EXIT, "the CPU's VMX has no NMI exiting (IA32_VMX_PINBASED_CTLS bit 3)"},
    {PIN_VIRTUAL_NMI, "the CPU's VMX has no virtual NMIs (IA32_VMX_PINBASED_CTLS bit 5)"},
    {0, NULL},
};
static const struct need need_proc[] = {
    {PROC_SECONDARY, "the CPU's VMX has no secondary controls, so no EPT (IA32_VMX_PROCBASED_CTLS bit 31)"},
    {PROC_IRQ_WINDOW, "the CPU's VMX has no interrupt-window exiting (IA32_VMX_PROCBASED_CTLS bit 2)"},
    {PROC_NMI_WINDOW, "the CPU's VMX has no NMI-window exiting (IA32_VMX_PROCBASED_CTLS bit 22)"},
    {PROC_TSC_OFFSET, "the CPU's VMX has no TSC offset (IA32_VMX_PROCBASED_CTLS bit 3)"},
    {PROC_HLT_EXIT | PROC_MWAIT_EXIT | PROC_MONITOR_EXIT | PROC_RDPMC_EXIT,
     "the CPU's VMX cannot intercept HLT, MWAIT, MONITOR and RDPMC (IA32_VMX_PROCBASED_CTLS)"},
    {PROC_IO_BITMAPS, "the CPU's VMX has no I/O bitmaps (IA32_VMX_PROCBASED_CTLS bit 25)"},
    {PROC_MSR_BITMAPS, "the CPU's VMX has no MSR bitmaps (IA32_VMX_PROCBASED_CTLS bit 28)"},
    {0, NULL},
};
static const struct need need_proc2[] = {
    {PROC2_EPT, "the CPU has no EPT (IA32_VMX_PROCBASED_CTLS2 bit 1)"},
    {PROC2_UNRESTRICTED, "the CPU has no unrestricted guest (IA32_VMX_PROCBASED_CTLS2 bit 7)"},
    {PROC2_VPID, "the CPU has no VPID (IA32_VMX_PROCBASED_CTLS2 bit 5)"},
    {0, NULL},
};
static const struct need need_exit[] = {
    {EXIT_HOST_64, "the CPU's VMX has no 64-bit host (IA32_VMX_EXIT_CTLS bit 9)"},
    {EXIT_ACK_INTR, "the CPU's VMX cannot acknowledge interrupts on exit (IA32_VMX_EXIT_CTLS bit 15)"},
    {EXIT_LOAD_PAT, "the CPU's VMX does not load PAT on exit (IA32_VMX_EXIT_CTLS bit 19)"},
    {EXIT_SAVE_EFER | EXIT_LOAD_EFER,
     "the CPU's VMX does not save and load EFER on exit (IA32_VMX_EXIT_CTLS bits 20, 21)"},
    {0, NULL},
};
static const struct need need_entry[] = {
    {ENTRY_LOAD_PAT, "the CPU's VMX does not load PAT on entry (IA32_VMX_ENTRY_CTLS bit 14)"},
    {ENTRY_LOAD_EFER, "the CPU's VMX does not load EFER on entry (IA32_VMX_ENTRY_CTLS bit 15)"},
    {0, NULL},
};

/* APIC virtualisation comes in steps, each of which needs those before it (SDM vol. 3C 29). */
#define WANT_PROC2                                                                                           \
    (PROC2_RDTSCP | PROC2_WBINVD_EXIT | PROC2_ENCLS_EXIT | PROC2_APIC_ACCESS | PROC2_X2APIC |                \
     PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR)

/* Reads one capability MSR and computes the control word. NULL, or what is missing. */
static COLD const char *word(bool (*read)(u32 msr, u64 *val), u32 msr, const struct need *list, u32 want,
                             u32 *out)
{
    u32 need = 0, missing;
    u64 cap;

    for (const struct need *n = list; n->missing; n++)
        need |= n->bit;
    if (!read(msr, &cap))
        cap = 0;
    missing = vmx_adjust(cap, need, want, out);
    for (const struct need *n = list; missing && n->missing; n++)
        if (missing & n->bit)
            return n->missing;
    return NULL;
}

static COLD const char *check_ept(u64 cap)
{
    if (!(cap & EPT_CAP_4_LEVELS))
        return "the CPU's EPT has no 4-level tables (IA32_VMX_EPT_VPID_CAP bit 6)";
    if (!(cap & EPT_CAP_WB))
        return "the CPU's EPT tables cannot be write-back (IA32_VMX_EPT_VPID_CAP bit 14)";
    if (!(cap & EPT_CAP_2M))
        return "the CPU's EPT has no 2 MiB pages (IA32_VMX_EPT_VPID_CAP bit 16)";
    if (!(cap & EPT_CAP_1G))
        return "the CPU's EPT has no 1 GiB pages (IA32_VMX_EPT_VPID_CAP bit 17)";
    if (!(cap & EPT_CAP_INVEPT) || !(cap & (EPT_CAP_INVEPT_ONE | EPT_CAP_INVEPT_ALL)))
        return "the CPU has no INVEPT (IA32_VMX_EPT_VPID_CAP bit 20)";
    if (!(cap & EPT_CAP_INVVPID) || !(cap & (EPT_CAP_INVVPID_ONE | EPT_CAP_INVVPID_ALL)))
        return "the CPU has no INVVPID (IA32_VMX_EPT_VPID_CAP bit 32)";
    return NULL;
}

/* Drops what is of no use without a step that the CPU lacks. */
static COLD void settle_apic(struct vmx_caps *c)
{
    if (!(c->proc & PROC_TPR_SHADOW))
        c->proc2 &= ~(u32)(PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR);
    if (!(c->proc2 & PROC2_APIC_REGISTERS))
        c->proc2 &= ~(u32)PROC2_VIRTUAL_INTR;
    if (!(c->proc2 & PROC2_VIRTUAL_INTR))
        c->pin &= ~(u32)PIN_POSTED;
}

COLD const char *vmx_caps_read(bool (*read)(u32 msr, u64 *val))
{
    struct vmx_caps *c = &vmx_caps;
    const char *e;
    bool t;

    if (!read(MSR_VMX_BASIC, &c->basic))
        return "the CPU reports VMX but not its capabilities (IA32_VMX_BASIC)";
    if (!VMX_BASIC_WB(c->basic))
        return "the CPU wants its VMCS in memory that is not write-back (IA32_VMX_BASIC bits 53:50)";
    t = (c->basic & VMX_BASIC_TRUE) != 0;
    e = word(read, t ? MSR_VMX_TRUE_PROC : MSR_VMX_PROC, need_proc, PROC_TPR_SHADOW, &c->proc);
    if (e)
        return e;
    if (c->proc & (PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG_EXIT))
        return "the CPU's VMX exits for every CR3 access and INVLPG (IA32_VMX_TRUE_PROCBASED_CTLS)";
    e = word(read, MSR_VMX_PROC2, need_proc2, WANT_PROC2, &c->proc2);
    if (!e)
        e = word(read, t ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN, need_pin, PIN_POSTED, &c->pin);
    if (!e)
        e = word(read, t ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT, need_exit, EXIT_SAVE_DEBUG | EXIT_SAVE_TIMER,
                 &c->exit);
    if (!e)
        e = word(read, t ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY, need_entry, ENTRY_LOAD_DEBUG, &c->entry);
    if (e)
        return e;
    if (!read(MSR_VMX_EPT_VPID, &c->ept_vpid))
        c->ept_vpid = 0;
    e = check_ept(c->ept_vpid);
    if (e)
        return e;
    if (!read(MSR_VMX_MISC, &c->misc) || !read(MSR_VMX_CR0_FIXED0, &c->cr0_fixed0) ||
        !read(MSR_VMX_CR0_FIXED1, &c->cr0_fixed1) || !read(MSR_VMX_CR4_FIXED0, &c->cr4_fixed0) ||
        !read(MSR_VMX_CR4_FIXED1, &c->cr4_fixed1))
        return "the CPU reports VMX but not all of its capabilities (IA32_VMX_MISC to IA32_VMX_CR4_FIXED1)";
    settle_apic(c);
    return NULL;
}

COLD const char *vmx_feature_control_error(u64 fc)
{
    if ((fc & FEATURE_LOCKED) && !(fc & FEATURE_VMX))
        return "VMX is locked off by the firmware (IA32_FEATURE_CONTROL): allow virtualisation in its set-up";
    return NULL;
}

/* IA32_ARCH_CAPABILITIES (SDM vol. 4 table 2-2) and CPUID 7 EDX (SDM vol. 2A CPUID). */
#define ARCH_RDCL_NO    BIT64(0)
#define ARCH_SKIP_L1D   BIT64(3)
#define ARCH_MDS_NO     BIT64(5)
#define LEAF7_MD_CLEAR  BIT32(10)
#define LEAF7_L1D_FLUSH BIT32(28)

u32 vmx_entry_clears;

COLD u32 vmx_needed_clears(u32 asked, u32 leaf7_edx, u64 arch_caps, const char **missing)
{
    *missing = NULL;
    if (arch_caps & (ARCH_RDCL_NO | ARCH_SKIP_L1D))
        asked &= ~(u32)MITIGATE_L1D_FLUSH;
    if (arch_caps & ARCH_MDS_NO)
        asked &= ~(u32)MITIGATE_MDS_CLEAR;
    if ((asked & MITIGATE_L1D_FLUSH) && !(leaf7_edx & LEAF7_L1D_FLUSH))
        *missing = "the board asks for L1D flushes and the CPU has no IA32_FLUSH_CMD (CPUID 7 EDX bit 28)";
    else if ((asked & MITIGATE_MDS_CLEAR) && !(leaf7_edx & LEAF7_MD_CLEAR))
        *missing = "the board asks for MDS clears and the CPU's VERW makes none (CPUID 7 EDX bit 10)";
    return asked;
}
