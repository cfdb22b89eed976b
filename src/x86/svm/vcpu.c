/* The vCPU half of the arch contract on SVM: control block, registers, start states. */
#include <arch/cpu.h>
#include <core/cpu.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/guest/exits.h"
#include "x86/hw/backend.h"
#include "x86/hw/msr.h"
#include "x86/hw/native.h"
#include "x86/hw/paging.h"
#include "x86/hw/s2_format.h"
#include "x86/svm/perm.h"
#include "x86/svm/svm.h"

struct svm_vcpu svm_vcpus[CFG_VCPUS];
static struct vmcb vmcbs[CFG_VCPUS];
static u8 hsave[CFG_PCPUS][4096] ALIGNED(4096);
u32 svm_features;

#define DR6_RESET 0xffff0ff0ULL
#define DR7_RESET 0x400ULL
#define PAT_RESET 0x0007040600070406ULL
#define CR0_ET    BIT64(4)

/* One vCPU is pinned to each CPU, so one ASID serves them all; VCPU_REQ_FLUSH empties it when the tables
 * change. */
#define GUEST_ASID 1

const char *backend_check(void)
{
    u32 r[4];
    u64 vm_cr;

    arch_cpuid(0x80000001, 0, r);
    if (!(r[2] & BIT32(2)))
        return "the CPU has no SVM (CPUID 8000_0001 ECX bit 2)";
    if (arch_rdmsr_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
        return "SVM is switched off by the firmware (VM_CR.SVMDIS): allow virtualisation in its set-up";
    arch_cpuid(0x8000000a, 0, r);
    if (!(r[3] & SVM_FEAT_NPT))
        return "the CPU has no nested paging (CPUID 8000_000A EDX bit 0)";
    if (r[1] < 2)
        return "the CPU has no ASID for guests (CPUID 8000_000A EBX)";
    svm_features = r[3];
    return NULL;
}

void backend_cpu_init(void)
{
    u64 efer, de_cfg;

    if (!arch_rdmsr_safe(MSR_EFER, &efer) || !arch_wrmsr_safe(MSR_EFER, efer | EFER_SVME) ||
        !arch_wrmsr_safe(MSR_VM_HSAVE_PA, va_to_hpa(hsave[this_cpu()->id]).v))
        panic("CPU %u refuses to enable SVM", this_cpu()->id);
    /* Guests are shown this bit as set and rely on it against speculation. CPUs without the MSR need none
     * (AMD, Software techniques for managing speculation, mitigation G-2). */
    if (arch_rdmsr_safe(MSR_DE_CFG, &de_cfg) && !(de_cfg & DE_CFG_LFENCE_SERIALIZES))
        arch_wrmsr_safe(MSR_DE_CFG, de_cfg | DE_CFG_LFENCE_SERIALIZES);
}

void arch_vcpu_init(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb *c = &vmcbs[v->index];

    memset(c, 0, sizeof(*c));
    memset(s, 0, sizeof(*s));
    s->v = v;
    s->vmcb = c;
    s->vmcb_pa = va_to_hpa(c).v;
    v->regs = &s->regs;

    c->cr_read = BIT32(8);
    c->cr_write = BIT32(8);
    /* #DB and #AC so that their endless delivery cannot hold the CPU (CVE-2015-5307, CVE-2015-8104), #UD for
     * VMCALL. */
    c->exceptions = BIT32(X86_DB) | BIT32(X86_UD) | BIT32(X86_AC) | BIT32(X86_MC);
    c->intercept1 = I1_INTR | I1_NMI | I1_INIT | I1_RDPMC | I1_CPUID | I1_RSM | I1_INVD | I1_HLT |
                    I1_INVLPGA | I1_IOIO | I1_MSR | I1_FERR_FREEZE | I1_SHUTDOWN;
    c->intercept2 = I2_VMRUN | I2_VMMCALL | I2_VMLOAD | I2_VMSAVE | I2_STGI | I2_CLGI | I2_SKINIT |
                    I2_WBINVD | I2_MONITOR | I2_MWAIT | I2_XSETBV | I2_RDPRU;
    c->intercept3 = I3_INVLPGB | I3_INVLPGB_ILLEGAL | I3_MCOMMIT | I3_TLBSYNC;
    c->iopm_base = svm_iopm().v;
    c->msrpm_base = svm_msrpm().v;
    c->asid = GUEST_ASID;
    c->np_enable = 1;
    c->n_cr3 = s2_root(v->vm).v;
    svm_events_reset(s);
}

static u16 attr_to_vmcb(u32 attr)
{
    return (attr & BIT32(16)) ? 0 : (u16)((attr & 0xff) | ((attr >> 4) & 0xf00));
}

static u32 attr_from_vmcb(u16 attr)
{
    u32 a = (attr & 0xffu) | ((attr & 0xf00u) << 4);

    return (attr & 0x80) ? a : a | BIT32(16);
}

/* Where the VMCB keeps each segment and register, by enum guest_seg and enum guest_reg. */
#define AT(field) ((u16)offsetof(struct vmcb, field))
static const u16 seg_at[SEG_COUNT] = {
    [SEG_ES] = AT(es), [SEG_CS] = AT(cs),     [SEG_SS] = AT(ss), [SEG_DS] = AT(ds),     [SEG_FS] = AT(fs),
    [SEG_GS] = AT(gs), [SEG_LDTR] = AT(ldtr), [SEG_TR] = AT(tr), [SEG_GDTR] = AT(gdtr), [SEG_IDTR] = AT(idtr),
};
static const u16 reg_at[REG_PAT + 1] = {
    [REG_RIP] = AT(rip), [REG_RFLAGS] = AT(rflags), [REG_CR0] = AT(cr0),   [REG_CR2] = AT(cr2),
    [REG_CR3] = AT(cr3), [REG_CR4] = AT(cr4),       [REG_EFER] = AT(efer), [REG_DR6] = AT(dr6),
    [REG_DR7] = AT(dr7), [REG_PAT] = AT(g_pat),
};

static inline struct vmcb_seg *seg_slot(struct vmcb *c, enum guest_seg seg)
{
    return (struct vmcb_seg *)(void *)((u8 *)c + seg_at[seg]);
}

static inline u64 *reg_slot(struct vmcb *c, enum guest_reg r)
{
    return (u64 *)(void *)((u8 *)c + reg_at[r]);
}

static bool seg_is_live(enum guest_seg seg)
{
    return seg == SEG_FS || seg == SEG_GS || seg == SEG_LDTR || seg == SEG_TR;
}

/* FS, GS, TR, LDTR and the syscall MSRs from the CPU into the VMCB. */
static void save_live(struct svm_vcpu *s)
{
    if (s->state_live)
        __asm__ volatile("vmsave %0" : : "a"(s->vmcb_pa) : "memory");
}

/* After a change in the VMCB of what VMLOAD loads; to be preceded by save_live(). */
static void load_live(struct svm_vcpu *s)
{
    s->state_fresh = true;
    atomic_or(&s->v->requests, SVM_REQ_ENTRY);
}

void arch_vcpu_get_seg(struct vcpu *v, enum guest_seg seg, struct segment *out)
{
    struct svm_vcpu *s = svm_of(v);
    const struct vmcb_seg *m = seg_slot(s->vmcb, seg);

    if (seg_is_live(seg))
        save_live(s);
    *out = (struct segment){m->base, m->limit, attr_from_vmcb(m->attr), m->sel};
}

void arch_vcpu_set_seg(struct vcpu *v, enum guest_seg seg, const struct segment *in)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb_seg *m = seg_slot(s->vmcb, seg);

    if (seg_is_live(seg)) {
        save_live(s);
        load_live(s);
    }
    *m = (struct vmcb_seg){in->sel, attr_to_vmcb(in->attr), in->limit, in->base};
    if (seg == SEG_SS)
        s->vmcb->cpl = (u8)((in->attr >> 5) & 3);
}

void arch_vcpu_paging(struct vcpu *v, struct guest_paging *out)
{
    const struct vmcb *c = svm_of(v)->vmcb;

    out->cr0 = c->cr0;
    out->cr3 = c->cr3;
    out->cr4 = c->cr4;
    out->efer = c->efer & ~EFER_SVME;
    out->rflags = c->rflags;
    out->rip = c->rip;
    out->cs_base = c->cs.base;
    out->cs_attr = attr_from_vmcb(c->cs.attr);
    out->cpl = c->cpl;
}

unsigned arch_vcpu_cpl(struct vcpu *v)
{
    return svm_of(v)->vmcb->cpl;
}

struct guest_regs *arch_vcpu_regs(struct vcpu *v)
{
    return &svm_of(v)->regs;
}

u64 arch_vcpu_get(struct vcpu *v, enum guest_reg r)
{
    u64 val = *reg_slot(svm_of(v)->vmcb, r);

    return r == REG_EFER ? val & ~EFER_SVME : val;
}

void arch_vcpu_set(struct vcpu *v, enum guest_reg r, u64 val)
{
    *reg_slot(svm_of(v)->vmcb, r) = r == REG_EFER ? val | EFER_SVME : val;
    /* Control registers tag cached translations: what the guest cached under the old value must go. */
    if (r == REG_CR0 || r == REG_CR3 || r == REG_CR4 || r == REG_EFER)
        atomic_or(&v->requests, VCPU_REQ_FLUSH);
}

void arch_vcpu_load(struct vcpu *v)
{
    /* Everything that differs between vCPUs comes with VMRUN and with the boot state. */
    svm_of(v)->state_live = false;
}

void arch_vcpu_put(struct vcpu *v)
{
    svm_of(v)->state_live = false;
}

void arch_vcpu_refuse(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    if (s->refused)
        return;
    s->refused = true;
    memcpy(s->before.gpr, s->regs.gpr, sizeof(s->before.gpr));
    s->before.rip = s->vmcb->rip;
    s->before.rflags = s->vmcb->rflags;
    s->before.rsp = s->vmcb->rsp;
    atomic_or(&v->requests, SVM_REQ_ENTRY);
}

void svm_take_refusal(struct svm_vcpu *s)
{
    s->refused = false;
    memcpy(s->regs.gpr, s->before.gpr, sizeof(s->before.gpr));
    s->vmcb->rax = s->before.gpr[GPR_RAX];
    s->vmcb->rsp = s->before.rsp;
    s->vmcb->rip = s->before.rip;
    s->vmcb->rflags = s->before.rflags;
    guest_gp(s->v);
}

void arch_vcpu_set_boot_state(struct vcpu *v, const struct vcpu_boot_state *st)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb *c = s->vmcb;

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        struct vmcb_seg *m = seg_slot(c, (enum guest_seg)i);

        *m = (struct vmcb_seg){st->seg[i].sel, attr_to_vmcb(st->seg[i].attr), st->seg[i].limit,
                               st->seg[i].base};
    }
    memcpy(s->regs.gpr, st->gpr, sizeof(st->gpr));
    c->rip = st->rip;
    c->rflags = st->rflags | 2;
    c->rsp = st->gpr[GPR_RSP];
    c->rax = st->gpr[GPR_RAX];
    c->cr0 = st->cr0 | CR0_ET;
    c->cr2 = 0;
    c->cr3 = st->cr3;
    c->cr4 = st->cr4;
    c->efer = st->efer | EFER_SVME;
    c->dr6 = DR6_RESET;
    c->dr7 = DR7_RESET;
    c->cpl = 0;
    c->g_pat = PAT_RESET;
    c->dbgctl = 0;
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    svm_events_reset(s);
    s->state_live = false;
    s->refused = false;
    load_live(s);
    atomic_or(&v->requests, VCPU_REQ_FLUSH);
    native_fpu_reset();
    native_debug_reset();
    (void)arch_wrmsr_safe(MSR_TSC_AUX, 0); /* the guest holds it live; a CPU without RDTSCP has none */
}

void arch_vcpu_skip(struct vcpu *v, unsigned len)
{
    struct vmcb *c = svm_of(v)->vmcb;
    u64 rip = c->rip + len;

    /* Outside 64-bit code the instruction pointer wraps at 4 GiB. */
    c->rip = (c->cs.attr & BIT32(9)) ? rip : (u32)rip;
    c->int_shadow = 0;
    if (UNLIKELY(c->rflags & RFLAGS_TF))
        svm_single_step(svm_of(v));
}

unsigned arch_vcpu_insn_bytes(struct vcpu *v, u8 out[15])
{
    const struct vmcb *c = svm_of(v)->vmcb;

    if (!(svm_features & SVM_FEAT_DECODE_ASSISTS) || (c->exitcode & 0xffffffff) != VMEXIT_NPF)
        return 0;
    memcpy(out, c->insn, 15);
    return c->insn_len & 15;
}

void arch_vcpu_set_tsc_offset(struct vcpu *v, u64 offset)
{
    svm_of(v)->vmcb->tsc_offset = offset;
}

u64 arch_vcpu_tsc_offset(struct vcpu *v)
{
    return svm_of(v)->vmcb->tsc_offset;
}

static u64 *live_msr_slot(struct vmcb *c, u32 msr)
{
    switch (msr) {
    case 0xc0000081:
        return &c->star;
    case 0xc0000082:
        return &c->lstar;
    case 0xc0000083:
        return &c->cstar;
    case 0xc0000084:
        return &c->sfmask;
    case 0xc0000100:
        return &c->fs.base;
    case 0xc0000101:
        return &c->gs.base;
    case 0xc0000102:
        return &c->kernel_gs_base;
    case 0x174:
        return &c->sysenter_cs;
    case 0x175:
        return &c->sysenter_esp;
    case 0x176:
        return &c->sysenter_eip;
    default:
        return NULL;
    }
}

bool arch_vcpu_live_msr(struct vcpu *v, u32 msr, bool write, u64 *val)
{
    struct svm_vcpu *s = svm_of(v);
    u64 *slot = live_msr_slot(s->vmcb, msr);

    if (!slot)
        return false;
    save_live(s);
    if (write) {
        *slot = *val;
        load_live(s);
    } else {
        *val = *slot;
    }
    return true;
}
