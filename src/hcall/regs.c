/*
 * SET_VCPU_REGS (hypercall-abi.md section 2.3): where a vCPU starts. What a processor would refuse to enter
 * (SDM vol. 3C 26.3.1, APM vol. 2 15.5.1) is refused here, so that no state that a device model makes up can
 * fail in the backend.
 */
#include <core/user_vm.h>
#include <lib/bits.h>
#include <lib/string.h>
#include "hcall.h"

#define CR0_PE BIT64(0)
#define CR0_NW BIT64(29)
#define CR0_CD BIT64(30)
#define CR0_PG BIT64(31)
/* PE MP EM TS ET NE WP AM NW CD PG: the other bits below 32 read as zero whatever is written. */
#define CR0_DEFINED 0xe005003fULL

#define CR4_PAE     BIT64(5)
#define CR4_OSXSAVE BIT64(18)
#define CR4_SMEP    BIT64(20)
#define CR4_SMAP    BIT64(21)
/* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT: every 64-bit processor has these. */
#define CR4_BASIC 0x7ffULL

#define EFER_LME  BIT64(8)
#define EFER_LMA  BIT64(10)
#define EFER_OURS 0xd01ULL /* SCE LME LMA NXE */

#define RFLAGS_ONE     BIT64(1)
#define RFLAGS_VM      BIT64(17)
#define RFLAGS_DEFINED 0x3f7fd5ULL
#define RFLAGS_STATUS  0x8d5ULL /* CF PF AF ZF SF OF: dropped */

/* Attributes of the segments that the structure does not describe, and what of cs_ar means something: a
 * limit's bits 19:16, which device models leave there from a descriptor, do not. */
#define ATTR_DATA32  0xc093u
#define ATTR_DATA16  0x0093u
#define ATTR_LDT     0x0082u
#define ATTR_TSS     0x008bu
#define ATTR_DEFINED 0xf0ffu
#define ATTR_L       BIT32(13)
#define ATTR_D       BIT32(14)
#define ATTR_G       BIT32(15)

#define SEL_TI 4u /* selector of a local table: neither LDTR nor TR may have one */

static bool canonical(u64 addr)
{
    return (u64)((s64)(addr << 16) >> 16) == addr;
}

static u64 cr4_allowed(void)
{
    u64 bits = CR4_BASIC;

    if (cfg_board.features & FEAT_XSAVE)
        bits |= CR4_OSXSAVE;
    if (cfg_board.features & FEAT_SMEP)
        bits |= CR4_SMEP;
    if (cfg_board.features & FEAT_SMAP)
        bits |= CR4_SMAP;
    return bits;
}

static bool control_ok(const struct vcpu_boot_state *s)
{
    if (s->cr0 >> 32 || ((s->cr0 & CR0_PG) && !(s->cr0 & CR0_PE)) ||
        ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD)))
        return false;
    if ((s->cr4 & ~cr4_allowed()) || s->cr3 >= USER_GPA_LIMIT || (s->efer & ~EFER_OURS))
        return false;
    if ((s->cr0 & CR0_PG) && (s->efer & EFER_LME))
        return (s->cr4 & CR4_PAE) != 0;
    return !(s->efer & EFER_LMA);
}

/* A code segment at privilege level 0, or the data segment that real mode may have in CS, with a limit that
 * fits its granularity. */
static bool cs_ok(const struct segment *cs, bool long_mode)
{
    u32 type = cs->attr & 0xf;

    if ((cs->attr & 0xf0) != 0x90 || !(type == 3 || (type & 9) == 9) || cs->base >> 32)
        return false;
    if (long_mode && (cs->attr & ATTR_L) && (cs->attr & ATTR_D))
        return false;
    return cs->attr & ATTR_G ? (cs->limit & 0xfff) == 0xfff : cs->limit >> 20 == 0;
}

static bool state_ok(const struct vcpu_boot_state *s)
{
    bool long_mode = (s->efer & EFER_LMA) != 0;
    bool code64 = long_mode && (s->seg[SEG_CS].attr & ATTR_L);

    if (!cs_ok(&s->seg[SEG_CS], long_mode) || (s->rflags & RFLAGS_VM))
        return false;
    if (code64 ? !canonical(s->rip) : s->rip >> 32 != 0)
        return false;
    return canonical(s->seg[SEG_GDTR].base) && canonical(s->seg[SEG_IDTR].base) &&
           !((s->seg[SEG_LDTR].sel | s->seg[SEG_TR].sel) & SEL_TI);
}

static void set_segments(const struct hc_vcpu_regs *in, struct vcpu_boot_state *out)
{
    const struct {
        enum guest_seg seg;
        u16 sel;
    } data[] = {{SEG_SS, in->ss_sel},
                {SEG_DS, in->ds_sel},
                {SEG_ES, in->es_sel},
                {SEG_FS, in->fs_sel},
                {SEG_GS, in->gs_sel}};
    bool protected_mode = (in->cr0 & CR0_PE) != 0;

    out->seg[SEG_CS] = (struct segment){
        .sel = in->cs_sel, .base = in->cs_base, .limit = in->cs_limit, .attr = in->cs_ar & ATTR_DEFINED};
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        out->seg[data[i].seg] = (struct segment){.sel = data[i].sel,
                                                 .limit = protected_mode ? ~(u32)0 : 0xffff,
                                                 .attr = protected_mode ? ATTR_DATA32 : ATTR_DATA16};
    out->seg[SEG_LDTR] = (struct segment){.sel = in->ldt_sel, .limit = 0xffff, .attr = ATTR_LDT};
    out->seg[SEG_TR] = (struct segment){.sel = in->tr_sel, .limit = 0xffff, .attr = ATTR_TSS};
    out->seg[SEG_GDTR] = (struct segment){.base = in->gdt.base, .limit = in->gdt.limit};
    out->seg[SEG_IDTR] = (struct segment){.base = in->idt.base, .limit = in->idt.limit};
}

static void build(const struct hc_vcpu_regs *in, struct vcpu_boot_state *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->gpr, in->gprs, sizeof(out->gpr));
    out->rip = in->rip;
    out->rflags = (in->rflags & RFLAGS_DEFINED & ~RFLAGS_STATUS) | RFLAGS_ONE;
    out->cr0 = in->cr0 >> 32 ? in->cr0 : in->cr0 & CR0_DEFINED;
    out->cr3 = in->cr3;
    out->cr4 = in->cr4;
    out->efer = in->ia32_efer;
    if ((in->cr0 & CR0_PG) && (in->ia32_efer & EFER_LME))
        out->efer |= EFER_LMA;
    set_segments(in, out);
}

/* HC_SET_VCPU_REGS: RSI = GPA of struct hc_set_vcpu_regs. */
s32 hc_set_vcpu_regs(struct hcall *h)
{
    struct vcpu_boot_state state;

    build(&h->in.regs.regs, &state);
    return !state_ok(&state) || !control_ok(&state) || user_vm_set_regs(h->target, h->in.regs.vcpu_id, &state)
               ? -EPERM_
               : 0;
}
