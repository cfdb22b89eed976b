/*
 * After an entry that the CPU refused: which check of the guest state fails. The CPU itself says only that
 * one does (SDM vol. 3C 26.8). In the order of section 26.3.1, without the checks on fields that the backend
 * always leaves at zero.
 */
#include "x86/guest/regs.h"
#include "x86/vmx/vmx.h"

#define RFLAGS_RESERVED (~0x3f7fd7ULL & ~BIT64(1)) /* must be 0 */
#define RFLAGS_VM_BIT   BIT64(17)
#define DR7_HIGH        0xffffffff00000000ULL

struct guest_view {
    u64 cr0, cr3, cr4, efer, rflags, rip;
    bool ia32e;
    bool real; /* protection off */
    bool v86;
};

static COLD bool canonical(u64 a)
{
    return (u64)((s64)(a << 16) >> 16) == a;
}

static COLD u64 seg(u64 first, enum guest_seg s)
{
    return vmread(first + 2 * (u64)s);
}

static COLD const char *check_control(const struct guest_view *g)
{
    u64 fixed0 = vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG); /* unrestricted guest */

    if ((~g->cr0 & fixed0) || (g->cr0 & ~vmx_caps.cr0_fixed1))
        return "CR0 has a bit that VMX fixes otherwise (26.3.1.1)";
    if ((g->cr0 & CR0_PG) && !(g->cr0 & CR0_PE))
        return "CR0.PG is set without CR0.PE (26.3.1.1)";
    if ((~g->cr4 & vmx_caps.cr4_fixed0) || (g->cr4 & ~vmx_caps.cr4_fixed1))
        return "CR4 has a bit that VMX fixes otherwise (26.3.1.1)";
    if (g->ia32e && (!(g->cr0 & CR0_PG) || !(g->cr4 & CR4_PAE)))
        return "IA-32e mode without CR0.PG and CR4.PAE (26.3.1.1)";
    if (!g->ia32e && (g->cr4 & BIT64(17)))
        return "CR4.PCIDE outside IA-32e mode (26.3.1.1)";
    if (g->cr3 >> 52)
        return "CR3 is beyond the physical address width (26.3.1.1)";
    if (vmread(VMCS_GUEST_DR7) & DR7_HIGH)
        return "DR7 has bits above 31 (26.3.1.1)";
    if (!canonical(vmread(VMCS_GUEST_SYSENTER_ESP)) || !canonical(vmread(VMCS_GUEST_SYSENTER_EIP)))
        return "SYSENTER_ESP or SYSENTER_EIP is not canonical (26.3.1.1)";
    for (u64 pat = vmread(VMCS_GUEST_PAT), i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return "PAT names an unknown memory type (26.3.1.1)";
    if (((g->efer & EFER_LMA) != 0) != g->ia32e)
        return "EFER.LMA and the entry control IA-32e mode differ (26.3.1.1)";
    if ((g->cr0 & CR0_PG) && ((g->efer & EFER_LMA) != 0) != ((g->efer & EFER_LME) != 0))
        return "EFER.LMA and EFER.LME differ with paging on (26.3.1.1)";
    return NULL;
}

static COLD const char *check_v86(void)
{
    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        if (seg(VMCS_GUEST_ES_BASE, (enum guest_seg)s) != seg(VMCS_GUEST_ES_SEL, (enum guest_seg)s) << 4)
            return "virtual-8086 mode: a segment base is not its selector * 16 (26.3.1.2)";
        if (seg(VMCS_GUEST_ES_LIMIT, (enum guest_seg)s) != 0xffff)
            return "virtual-8086 mode: a segment limit is not 0xffff (26.3.1.2)";
        if (seg(VMCS_GUEST_ES_ACCESS, (enum guest_seg)s) != 0xf3)
            return "virtual-8086 mode: segment access rights are not 0xf3 (26.3.1.2)";
    }
    return NULL;
}

static COLD bool granularity_fits(u32 limit, u32 attr)
{
    bool g = (attr & BIT32(15)) != 0;

    return !((limit & 0xfff) != 0xfff && g) && !((limit >> 20) && !g);
}

static COLD const char *check_code(const struct guest_view *g)
{
    u32 cs = (u32)seg(VMCS_GUEST_ES_ACCESS, SEG_CS), type = cs & 15, dpl = (cs >> 5) & 3;
    u32 ss_dpl = ((u32)seg(VMCS_GUEST_ES_ACCESS, SEG_SS) >> 5) & 3;

    if (cs & SEG_ATTR_UNUSABLE)
        return "CS is unusable (26.3.1.2)";
    if (type != 3 && type != 9 && type != 11 && type != 13 && type != 15)
        return "CS is no accessed code segment (26.3.1.2)";
    if (!(cs & BIT32(4)) || !(cs & SEG_ATTR_P))
        return "CS is a system segment or not present (26.3.1.2)";
    if ((type == 3 && dpl != 0) || ((type == 9 || type == 11) && dpl != ss_dpl) ||
        ((type == 13 || type == 15) && dpl > ss_dpl))
        return "DPL of CS does not go with that of SS (26.3.1.2)";
    if (g->ia32e && (cs & SEG_ATTR_L) && (cs & SEG_ATTR_DB))
        return "CS has both L and D set (26.3.1.2)";
    if (!granularity_fits((u32)seg(VMCS_GUEST_ES_LIMIT, SEG_CS), cs))
        return "limit and granularity of CS do not go together (26.3.1.2)";
    if (g->real && ss_dpl != 0)
        return "DPL of SS is not 0 in real mode (26.3.1.2)";
    return NULL;
}

static COLD const char *check_data(enum guest_seg s)
{
    static const char *const bad[SEG_COUNT] = {[SEG_ES] = "access rights or limit of ES (26.3.1.2)",
                                               [SEG_SS] = "access rights or limit of SS (26.3.1.2)",
                                               [SEG_DS] = "access rights or limit of DS (26.3.1.2)",
                                               [SEG_FS] = "access rights or limit of FS (26.3.1.2)",
                                               [SEG_GS] = "access rights or limit of GS (26.3.1.2)"};
    u32 a = (u32)seg(VMCS_GUEST_ES_ACCESS, s), type = a & 15;

    if (a & SEG_ATTR_UNUSABLE)
        return NULL;
    if (s == SEG_SS && type != 3 && type != 7)
        return bad[s];
    /* accessed; code must be readable */
    if (!(type & 1) || ((type & 8) && !(type & 2)) || !(a & BIT32(4)) || !(a & SEG_ATTR_P))
        return bad[s];
    return granularity_fits((u32)seg(VMCS_GUEST_ES_LIMIT, s), a) ? NULL : bad[s];
}

static COLD const char *check_system(const struct guest_view *g)
{
    u32 tr = (u32)seg(VMCS_GUEST_ES_ACCESS, SEG_TR), ldtr = (u32)seg(VMCS_GUEST_ES_ACCESS, SEG_LDTR);

    if ((tr & SEG_ATTR_UNUSABLE) || (tr & BIT32(4)) || !(tr & SEG_ATTR_P) ||
        ((tr & 15) != 11 && (g->ia32e || (tr & 15) != 3)))
        return "TR is no busy TSS (26.3.1.2)";
    if (!granularity_fits((u32)seg(VMCS_GUEST_ES_LIMIT, SEG_TR), tr) || (seg(VMCS_GUEST_ES_SEL, SEG_TR) & 4))
        return "limit or selector of TR (26.3.1.2)";
    if (!(ldtr & SEG_ATTR_UNUSABLE) && ((ldtr & 0x1f) != 2 || !(ldtr & SEG_ATTR_P) ||
                                        !granularity_fits((u32)seg(VMCS_GUEST_ES_LIMIT, SEG_LDTR), ldtr)))
        return "LDTR is no LDT (26.3.1.2)";
    if (!canonical(seg(VMCS_GUEST_ES_BASE, SEG_FS)) || !canonical(seg(VMCS_GUEST_ES_BASE, SEG_GS)) ||
        !canonical(seg(VMCS_GUEST_ES_BASE, SEG_TR)) ||
        (!(ldtr & SEG_ATTR_UNUSABLE) && !canonical(seg(VMCS_GUEST_ES_BASE, SEG_LDTR))))
        return "base of FS, GS, TR or LDTR is not canonical (26.3.1.2)";
    if (!canonical(seg(VMCS_GUEST_ES_BASE, SEG_GDTR)) || !canonical(seg(VMCS_GUEST_ES_BASE, SEG_IDTR)))
        return "base of GDTR or IDTR is not canonical (26.3.1.3)";
    if (seg(VMCS_GUEST_ES_LIMIT, SEG_GDTR) >> 16 || seg(VMCS_GUEST_ES_LIMIT, SEG_IDTR) >> 16)
        return "limit of GDTR or IDTR is beyond 0xffff (26.3.1.3)";
    return NULL;
}

static COLD const char *check_segments(const struct guest_view *g)
{
    static const u8 data[] = {SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    const char *e = g->v86 ? check_v86() : check_code(g);

    for (unsigned i = 0; !e && !g->v86 && i < ARRAY_SIZE(data); i++)
        e = check_data((enum guest_seg)data[i]);
    return e ? e : check_system(g);
}

static COLD const char *check_flow(const struct guest_view *g)
{
    bool code64 = g->ia32e && (seg(VMCS_GUEST_ES_ACCESS, SEG_CS) & SEG_ATTR_L);
    u64 blocks = vmread(VMCS_GUEST_INTERRUPTIBILITY), inj = vmread(VMCS_ENTRY_INTR);
    u64 type = (inj >> INTR_TYPE_SHIFT) & 7;

    if (!code64 && g->rip >> 32)
        return "RIP is beyond 4 GiB outside 64-bit code (26.3.1.4)";
    if (!canonical(g->rip))
        return "RIP is not canonical (26.3.1.4)";
    if ((g->rflags & RFLAGS_RESERVED) || !(g->rflags & BIT64(1)))
        return "RFLAGS has reserved bits set, or bit 1 clear (26.3.1.4)";
    if ((g->rflags & RFLAGS_VM_BIT) && (g->ia32e || g->real))
        return "RFLAGS.VM outside 32-bit protected mode (26.3.1.4)";
    if ((inj & INTR_VALID) && type == INTR_EXTERNAL && !(g->rflags & RFLAGS_IF))
        return "an interrupt is injected with RFLAGS.IF clear (26.3.1.4)";
    if (vmread(VMCS_GUEST_ACTIVITY) > 3)
        return "the activity state is unknown (26.3.1.5)";
    if ((blocks & BLOCK_STI) && ((blocks & BLOCK_MOV_SS) || !(g->rflags & RFLAGS_IF)))
        return "blocking by STI with RFLAGS.IF clear or with blocking by MOV SS (26.3.1.5)";
    if ((inj & INTR_VALID) && type == INTR_EXTERNAL && (blocks & (BLOCK_STI | BLOCK_MOV_SS)))
        return "an interrupt is injected into an interrupt shadow (26.3.1.5)";
    if ((inj & INTR_VALID) && type == INTR_NMI && (blocks & (BLOCK_MOV_SS | BLOCK_NMI)))
        return "an NMI is injected while NMIs are blocked (26.3.1.5)";
    if (vmread(VMCS_LINK_POINTER) != ~(u64)0)
        return "the VMCS link pointer is set (26.3.1.5)";
    return NULL;
}

static COLD const char *check_pdptes(const struct guest_view *g)
{
    if (!(g->cr0 & CR0_PG) || !(g->cr4 & CR4_PAE) || g->ia32e)
        return NULL;
    for (u64 i = 0; i < 4; i++) {
        u64 e = vmread(VMCS_GUEST_PDPTE0 + 2 * i);

        if ((e & 1) && (e & 0x1e6))
            return "a page-directory-pointer-table entry has reserved bits set (26.3.1.6)";
    }
    return NULL;
}

COLD const char *vmx_check_guest_state(void)
{
    struct guest_view g = {.cr0 = vmread(VMCS_GUEST_CR0),
                           .cr3 = vmread(VMCS_GUEST_CR3),
                           .cr4 = vmread(VMCS_GUEST_CR4),
                           .efer = vmread(VMCS_GUEST_EFER),
                           .rflags = vmread(VMCS_GUEST_RFLAGS),
                           .rip = vmread(VMCS_GUEST_RIP)};
    const char *e;

    g.ia32e = (vmread(VMCS_ENTRY_CTLS) & ENTRY_IA32E) != 0;
    g.real = !(g.cr0 & CR0_PE);
    g.v86 = (g.rflags & RFLAGS_VM_BIT) != 0;
    e = check_control(&g);
    if (!e)
        e = check_segments(&g);
    if (!e)
        e = check_flow(&g);
    return e ? e : check_pdptes(&g);
}
