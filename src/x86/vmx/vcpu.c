/* The vCPU half of the arch contract on VMX: control structure, registers, start states. */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/cpu.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/guest/exits.h"
#include "x86/hw/msr.h"
#include "x86/hw/native.h"
#include "x86/hw/paging.h"
#include "x86/hw/regs.h"
#include "x86/vmx/vmx.h"

struct vmx_vcpu vmx_vcpus[CFG_VCPUS];
static u32 vmcs[CFG_VCPUS][1024] ALIGNED(4096);

#define DR7_RESET 0x400ULL
#define PAT_RESET 0x0007040600070406ULL

#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define MSR_SYSENTER_CS    0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u

COLD void arch_vcpu_init(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);

    memset(s, 0, sizeof(*s));
    memset(vmcs[v->index], 0, sizeof(vmcs[0]));
    s->v = v;
    s->vmcs_pa = va_to_hpa(vmcs[v->index]).v;
    v->regs = &s->regs;
    arch_reset_state(&s->boot);
}

static void apply_boot_state(struct vmx_vcpu *s, const struct vcpu_boot_state *st);

COLD void arch_vcpu_load(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);

    /* A VMCS that was never loaded holds anything (24.11.3): VMCLEAR comes first. */
    vmcs[v->index][0] = (u32)vmx_caps.basic & 0x7fffffffu;
    if (!vmclear(s->vmcs_pa) || !vmptrld(s->vmcs_pa))
        panic("CPU %u refuses the VMCS of vm %s vCPU %u", this_cpu()->id, v->vm->cfg->name, v->id);
    s->loaded = true;
    vmx_setup_controls(s);
    vmx_apic_reload(s);
    /* What this CPU still knows of an earlier stay. */
    vmx_flush_s2(v->vm);
    vmx_flush_vpid(v);
    apply_boot_state(s, &s->boot);
}

COLD void arch_vcpu_put(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);

    if (!vmclear(s->vmcs_pa))
        panic("CPU %u: VMCLEAR fails", this_cpu()->id);
    s->loaded = false;
}

/* Where the VMCS keeps each register; 0 for those that need more than a transfer. */
static const u16 reg_field[REG_PAT + 1] = {
    [REG_RIP] = VMCS_GUEST_RIP,   [REG_RFLAGS] = VMCS_GUEST_RFLAGS, [REG_CR3] = VMCS_GUEST_CR3,
    [REG_EFER] = VMCS_GUEST_EFER, [REG_DR7] = VMCS_GUEST_DR7,       [REG_PAT] = VMCS_GUEST_PAT,
};

u64 arch_vcpu_get(struct vcpu *v, enum guest_reg r)
{
    u64 dr6;

    (void)v;
    switch (r) {
    case REG_CR0:
        return vmx_guest_cr0();
    case REG_CR4:
        return vmx_guest_cr4();
    case REG_CR2:
        return read_cr2();
    case REG_DR6:
        __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
        return dr6;
    default:
        return vmread(reg_field[r]);
    }
}

void arch_vcpu_set(struct vcpu *v, enum guest_reg r, u64 val)
{
    switch (r) {
    case REG_CR0:
        vmx_load_cr0(val);
        break;
    case REG_CR4:
        vmx_load_cr4(val);
        break;
    case REG_EFER:
        vmx_load_efer(val);
        break;
    case REG_CR2:
        write_cr2(val);
        return;
    case REG_DR6:
        __asm__ volatile("mov %0, %%dr6" : : "r"(val));
        return;
    default:
        vmwrite(reg_field[r], val);
        break;
    }
    /* Control registers tag cached translations: what the guest cached under the old value must go. */
    if (r == REG_CR0 || r == REG_CR3 || r == REG_CR4 || r == REG_EFER)
        vmx_flush_vpid(v);
}

/* The VMCS orders segments ES CS SS DS FS GS LDTR TR GDTR IDTR, as enum guest_seg does, two numbers apart. */
_Static_assert(SEG_ES == 0 && SEG_CS == 1 && SEG_SS == 2 && SEG_DS == 3 && SEG_FS == 4 && SEG_GS == 5 &&
                   SEG_LDTR == 6 && SEG_TR == 7 && SEG_GDTR == 8 && SEG_IDTR == 9,
               "SDM vol. 3D appendix B");

void arch_vcpu_get_seg(struct vcpu *v, enum guest_seg seg, struct segment *out)
{
    const u64 i = 2 * (u64)seg;

    (void)v;
    *out = (struct segment){.base = vmread(VMCS_GUEST_ES_BASE + i),
                            .limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + i)};
    if (seg < SEG_GDTR) {
        out->attr = (u32)vmread(VMCS_GUEST_ES_ACCESS + i);
        out->sel = (u16)vmread(VMCS_GUEST_ES_SEL + i);
    }
}

void arch_vcpu_set_seg(struct vcpu *v, enum guest_seg seg, const struct segment *in)
{
    const u64 i = 2 * (u64)seg;

    (void)v;
    vmwrite(VMCS_GUEST_ES_BASE + i, in->base);
    vmwrite(VMCS_GUEST_ES_LIMIT + i, in->limit);
    if (seg < SEG_GDTR) {
        /* A segment that is not present cannot be loaded: for the CPU it is one that may not be used. */
        vmwrite(VMCS_GUEST_ES_ACCESS + i, (in->attr & BIT32(7)) ? in->attr & 0x1f0ffu : BIT32(16));
        vmwrite(VMCS_GUEST_ES_SEL + i, in->sel);
    }
}

static unsigned cpl(void)
{
    return (unsigned)(vmread(VMCS_GUEST_SS_ACCESS) >> 5) & 3;
}

unsigned arch_vcpu_cpl(struct vcpu *v)
{
    (void)v;
    return cpl();
}

void arch_vcpu_paging(struct vcpu *v, struct guest_paging *out)
{
    (void)v;
    out->cr0 = vmread(VMCS_GUEST_CR0);
    out->cr3 = vmread(VMCS_GUEST_CR3);
    out->cr4 = vmread(VMCS_GUEST_CR4);
    out->efer = vmread(VMCS_GUEST_EFER);
    out->rflags = vmread(VMCS_GUEST_RFLAGS);
    out->rip = vmread(VMCS_GUEST_RIP);
    out->cs_base = vmread(VMCS_GUEST_CS_BASE);
    out->cs_attr = (u32)vmread(VMCS_GUEST_CS_ACCESS);
    out->cpl = cpl();
}

struct guest_regs *arch_vcpu_regs(struct vcpu *v)
{
    return &vmx_of(v)->regs;
}

/* MSRs that are as after RESET and belong to the vCPU, though no VMCS field holds them. */
static COLD void reset_live(void)
{
    static const u32 msrs[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX};

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        (void)arch_wrmsr_safe(msrs[i], 0); /* a CPU without RDTSCP has no TSC_AUX */
    native_fpu_reset();
    native_debug_reset();
    write_cr2(0);
}

/* On the CPU where the vCPU is loaded. */
static COLD void apply_boot_state(struct vmx_vcpu *s, const struct vcpu_boot_state *st)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        arch_vcpu_set_seg(s->v, (enum guest_seg)i, &st->seg[i]);
    memcpy(s->regs.gpr, st->gpr, sizeof(st->gpr));
    vmwrite(VMCS_GUEST_RIP, st->rip);
    vmwrite(VMCS_GUEST_RSP, st->gpr[GPR_RSP]);
    vmwrite(VMCS_GUEST_RFLAGS, st->rflags | 2);
    vmwrite(VMCS_GUEST_CR3, st->cr3);
    vmx_load_cr4(st->cr4);
    vmx_load_cr0(st->cr0 | CR0_ET);
    vmx_load_efer(st->efer);
    (void)vmx_load_pdptes(s, st->cr0, st->cr3, st->cr4, st->efer);
    vmwrite(VMCS_GUEST_DR7, DR7_RESET);
    vmwrite(VMCS_GUEST_PAT, PAT_RESET);
    vmwrite(VMCS_GUEST_DEBUGCTL, 0);
    vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
    vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
    vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
    vmwrite(VMCS_GUEST_ACTIVITY, 0);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    s->refused = false;
    vmx_events_reset(s);
    vmx_flush_vpid(s->v);
    reset_live();
}

void arch_vcpu_set_boot_state(struct vcpu *v, const struct vcpu_boot_state *st)
{
    struct vmx_vcpu *s = vmx_of(v);

    s->boot = *st;
    /* One that is not loaded is given it by arch_vcpu_load(). */
    if (s->loaded && v->pcpu == this_cpu()->id)
        apply_boot_state(s, st);
}

COLD void vmx_end_shadow(void)
{
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
            vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(u64)(BLOCK_STI | BLOCK_MOV_SS));
}

/* An instruction that was carried out here ends like one that the CPU carried out: with TF set, a #DB trap
 * follows it. */
COLD void vmx_single_step(void)
{
    vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_BS);
}

/* Outside 64-bit code the instruction pointer wraps at 4 GiB. */
COLD u64 vmx_wrapped_rip(u64 rip)
{
    bool code64 = (vmread(VMCS_GUEST_CS_ACCESS) & BIT32(13)) && (vmread(VMCS_GUEST_EFER) & EFER_LMA);

    return code64 ? rip : (u32)rip;
}

void arch_vcpu_skip(struct vcpu *v, unsigned len)
{
    (void)v;
    vmx_skip_bytes(len);
}

void vmx_skip_call(void)
{
    vmx_skip();
}

/* VMX captures no instruction bytes. */
unsigned arch_vcpu_insn_bytes(struct vcpu *v, u8 out[15])
{
    (void)v;
    (void)out;
    return 0;
}

COLD void arch_vcpu_refuse(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);

    if (s->refused)
        return;
    s->refused = true;
    memcpy(s->refused_gpr, s->regs.gpr, sizeof(s->refused_gpr));
    s->refused_gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
    s->refused_rip = vmread(VMCS_GUEST_RIP);
    s->refused_rflags = vmread(VMCS_GUEST_RFLAGS);
    atomic_or(&v->requests, VMX_REQ_ENTRY);
}

COLD void vmx_put_back_refused(struct vmx_vcpu *s)
{
    s->refused = false;
    memcpy(s->regs.gpr, s->refused_gpr, sizeof(s->refused_gpr));
    vmwrite(VMCS_GUEST_RSP, s->refused_gpr[GPR_RSP]);
    vmwrite(VMCS_GUEST_RIP, s->refused_rip);
    vmwrite(VMCS_GUEST_RFLAGS, s->refused_rflags);
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0); /* the step that went with the RIP that is taken back */
    guest_gp(s->v);
}

void arch_vcpu_set_tsc_offset(struct vcpu *v, u64 offset)
{
    struct vmx_vcpu *s = vmx_of(v);

    s->tsc_offset = offset;
    atomic_store(&s->tsc_changed, 1);
    atomic_or(&v->requests, VMX_REQ_ENTRY);
}

u64 arch_vcpu_tsc_offset(struct vcpu *v)
{
    return vmx_of(v)->tsc_offset;
}

bool arch_vcpu_live_msr(struct vcpu *v, u32 msr, bool write, u64 *val)
{
    static const struct {
        u32 msr;
        u16 field; /* 0: in the CPU */
    } rows[] = {
        {MSR_STAR, 0},
        {MSR_LSTAR, 0},
        {MSR_CSTAR, 0},
        {MSR_SFMASK, 0},
        {MSR_KERNEL_GS_BASE, 0},
        {MSR_FS_BASE, VMCS_GUEST_ES_BASE + 2 * SEG_FS},
        {MSR_GS_BASE, VMCS_GUEST_ES_BASE + 2 * SEG_GS},
        {MSR_SYSENTER_CS, VMCS_GUEST_SYSENTER_CS},
        {MSR_SYSENTER_ESP, VMCS_GUEST_SYSENTER_ESP},
        {MSR_SYSENTER_EIP, VMCS_GUEST_SYSENTER_EIP},
    };

    (void)v;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].msr != msr)
            continue;
        if (!rows[i].field)
            return write ? arch_wrmsr_safe(msr, *val) : arch_rdmsr_safe(msr, val);
        if (write)
            vmwrite(rows[i].field, *val);
        else
            *val = vmread(rows[i].field);
        return true;
    }
    return false;
}
