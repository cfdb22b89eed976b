/*
 * CPUID exits, answered from tables that guest_cpuid_init() has computed from the policy: an exit costs an
 * index and four stores, and only the leaves that depend on live state or on a subleaf take a turn.
 */
#include <lib/string.h>
#include <arch/cpu.h>
#include <core/vm.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/cpuid_policy.h"
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"
#include "x86/vdev/vlapic.h"

struct guest_cpu guest_cpu;

/*
 * Leaves 0..1f of the four ranges 0, 4000xxxx, 8000xxxx and c000xxxx (empty) stand side by side; bits 31:30
 * of the leaf choose the range. All other leaves are zero.
 */
#define RANGE_LEAVES    32U
#define LEAF_OUTSIDE(l) ((l)&0x3fffffe0U)
#define LEAF_INDEX(l)   ((((l) >> 25) | (l)) & 0x7fU)
#define LEAF_SLOTS      (4 * RANGE_LEAVES)

/* What a leaf needs beyond its table entry. */
enum leaf_kind {
    LEAF_PLAIN,
    LEAF_FEATURES, /* 1 */
    LEAF_SUB,      /* 4, 7, 8000001d: subleaves from sub[] */
    LEAF_TOPOLOGY, /* b */
    LEAF_XSAVE,    /* d */
    LEAF_EXT_APIC, /* 8000001e */
};

/* Subleaves 1 and up that are kept, and where in sub[] subleaf 1 of the leaf stands. */
#define SUB_4     0U
#define SUB_4_N   3U
#define SUB_7     (SUB_4 + SUB_4_N)
#define SUB_7_N   1U
#define SUB_B     (SUB_7 + SUB_7_N)
#define SUB_B_N   1U
#define SUB_D     (SUB_B + SUB_B_N)
#define SUB_D_N   7U
#define SUB_1D    (SUB_D + SUB_D_N)
#define SUB_1D_N  3U
#define SUB_SLOTS (SUB_1D + SUB_1D_N)

static const struct {
    u8 kind;
    u8 sub, sub_count;
} leaf_info[LEAF_SLOTS] = {
    [0x01] = {LEAF_FEATURES, 0, 0},
    [0x04] = {LEAF_SUB, SUB_4, SUB_4_N},
    [0x07] = {LEAF_SUB, SUB_7, SUB_7_N},
    [0x0b] = {LEAF_TOPOLOGY, SUB_B, SUB_B_N},
    [0x0d] = {LEAF_XSAVE, SUB_D, SUB_D_N},
    [LEAF_INDEX(0x8000001dU)] = {LEAF_SUB, SUB_1D, SUB_1D_N},
    [LEAF_INDEX(0x8000001eU)] = {LEAF_EXT_APIC, 0, 0},
};

static struct cpuid_vm {
    struct cpuid_regs leaf[LEAF_SLOTS];
    struct cpuid_regs sub[SUB_SLOTS];
} snapshot[CFG_VMS];

static const struct cpuid_regs zero;

static inline void answer(u64 *gpr, const struct cpuid_regs *r)
{
    gpr[GPR_RAX] = r->eax;
    gpr[GPR_RBX] = r->ebx;
    gpr[GPR_RCX] = r->ecx;
    gpr[GPR_RDX] = r->edx;
}

static const struct cpuid_regs *find_sub(const struct cpuid_vm *s, u32 slot, u32 subleaf)
{
    if (subleaf == 0)
        return &s->leaf[slot];
    if (subleaf > leaf_info[slot].sub_count)
        return &zero;
    return &s->sub[leaf_info[slot].sub + subleaf - 1];
}

/* EBX of leaf d: bytes that the components enabled now take. XCR0 is still the guest's, so the CPU itself can
 * say. */
static void xsave_live(struct cpuid_regs *r, u32 subleaf)
{
    u32 c[4];

    if (subleaf > 1 || r->eax == 0)
        return;
    arch_cpuid(0xd, subleaf, c);
    r->ebx = c[1];
}

static NOINLINE void guest_cpuid_live(struct vcpu *v, const struct cpuid_vm *s, u32 slot)
{
    u64 *gpr = v->regs->gpr;
    u32 subleaf = (u32)gpr[GPR_RCX];
    struct cpuid_regs r = *find_sub(s, slot, leaf_info[slot].kind == LEAF_FEATURES ? 0 : subleaf);

    switch (leaf_info[slot].kind) {
    case LEAF_FEATURES:
        r.ebx |= v->apic_id << 24;
        if (arch_vcpu_get(v, REG_CR4) & CR4_OSXSAVE)
            r.ecx |= CPUID1_ECX_OSXSAVE;
        if (!vlapic_enabled(v))
            r.edx &= ~CPUID1_EDX_APIC;
        break;
    case LEAF_TOPOLOGY:
        r.ecx |= subleaf & 0xff;
        r.edx = v->apic_id;
        break;
    case LEAF_XSAVE:
        xsave_live(&r, subleaf);
        break;
    case LEAF_EXT_APIC:
        r.eax = v->apic_id;
        r.ebx = v->apic_id & 0xff;
        break;
    default:
        break;
    }
    answer(gpr, &r);
}

void guest_cpuid(struct vcpu *v)
{
    const struct cpuid_vm *s = &snapshot[v->vm->id];
    u64 *gpr = v->regs->gpr;
    u32 leaf = (u32)gpr[GPR_RAX];
    u32 slot;

    if (UNLIKELY(LEAF_OUTSIDE(leaf))) {
        answer(gpr, &zero);
        return;
    }
    slot = LEAF_INDEX(leaf);
    if (UNLIKELY(leaf_info[slot].kind != LEAF_PLAIN)) {
        guest_cpuid_live(v, s, slot);
        return;
    }
    answer(gpr, &s->leaf[slot]);
}

/* ---- boot ---- */

static void compute(const struct vm *vm, const struct cpuid_policy *p, struct cpuid_regs *out)
{
    u32 host[4];

    arch_cpuid(p->leaf, p->subleaf, host);
    out->eax = (host[0] & p->pass.eax) | p->force.eax;
    out->ebx = (host[1] & p->pass.ebx) | p->force.ebx;
    out->ecx = (host[2] & p->pass.ecx) | p->force.ecx;
    out->edx = (host[3] & p->pass.edx) | p->force.edx;
    if (p->fix)
        p->fix(vm, out);
}

/* Does the host know the leaf at all? Leaves beyond its highest one return junk on Intel processors. */
static bool host_has(u32 leaf)
{
    u32 top[4];

    if (leaf >> 30 == 1)
        return true;
    arch_cpuid(leaf & 0x80000000U, 0, top);
    return leaf <= top[0] || (leaf == 0xb && top[0] >= 7);
}

/* What the CPU lacks must not be used through a side door: XSAVE's components and EFER's bits follow the
 * flags. */
static void derive_guest_cpu(const struct cpuid_vm *s)
{
    const struct cpuid_regs *x1 = &s->leaf[LEAF_INDEX(0x80000001U)];
    unsigned bits = s->leaf[LEAF_INDEX(0x80000008U)].eax & 0xff;

    if (bits < 36 || bits > 52)
        bits = 36;
    guest_cpu.phys_rsvd = (BIT64(52) - 1) & ~(BIT64(bits) - 1);
    guest_cpu.xcr0 = s->leaf[0xd].eax;
    guest_cpu.page1g = (x1->edx & BIT32(26)) != 0;
    guest_cpu.efer = EFER_LMA;
    if (x1->edx & BIT32(11))
        guest_cpu.efer |= EFER_SCE;
    if (x1->edx & BIT32(29))
        guest_cpu.efer |= EFER_LME;
    if (x1->edx & BIT32(20))
        guest_cpu.efer |= EFER_NXE;
    if (x1->edx & BIT32(25))
        guest_cpu.efer |= EFER_FFXSR;
}

void guest_cpuid_init(struct vm *vm)
{
    struct cpuid_vm *s = &snapshot[vm->id];

    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < cpuid_policy_count; i++) {
        const struct cpuid_policy *p = &cpuid_policies[i];
        u32 slot = LEAF_INDEX(p->leaf);

        if (!policy_applies(p->who) || !host_has(p->leaf))
            continue;
        if (p->subleaf == 0)
            compute(vm, p, &s->leaf[slot]);
        else
            compute(vm, p, &s->sub[leaf_info[slot].sub + p->subleaf - 1]);
    }
    /* subleaves of components that are not shown */
    for (u32 i = 2; i <= SUB_D_N; i++)
        if (!(s->leaf[0xd].eax & BIT32(i)))
            s->sub[SUB_D + i - 1] = zero;
    if (s->leaf[0x7].eax < 1)
        s->sub[SUB_7] = zero;
    derive_guest_cpu(s);
}

bool guest_xcr0_legal(u64 val)
{
    const u64 avx512 = 0xe0;

    if (!(val & 1) || (val & ~guest_cpu.xcr0))
        return false;
    if ((val & 4) && !(val & 2))
        return false;
    return !(val & avx512) || ((val & avx512) == avx512 && (val & 4));
}
