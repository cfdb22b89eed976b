/*
 * Local APIC registers: the xAPIC page, the x2APIC MSRs, IA32_APIC_BASE, EOI and task priority
 * (SDM 10.4, 10.8, 10.12).
 *
 * The register file holds every register as it reads, so that a read is one table load; the few computed ones
 * are named in special_read().
 */
#include <arch/platform.h>
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/platform_map.h"
#include "x86/vdev/vlapic_state.h"

struct vlapic vlapics[CFG_VCPUS];

/* Bit n: register n may be read. ISR, TMR and IRR are 0x10..0x27. */
#define READ_COMMON                                                                                          \
    (BIT64(LR_ID) | BIT64(LR_VERSION) | BIT64(LR_TPR) | BIT64(LR_PPR) | BIT64(LR_LDR) | BIT64(LR_SVR) |      \
     0xffffff0000ULL | BIT64(LR_ESR) | BIT64(LR_ICR) | (0x3fULL << LR_LVT_TIMER) | BIT64(LR_TIMER_INIT) |    \
     BIT64(LR_TIMER_CUR) | BIT64(LR_TIMER_DIV))
#define READ_XAPIC                                                                                           \
    (READ_COMMON | BIT64(LR_APR) | BIT64(LR_DFR) | BIT64(LR_RRD) | BIT64(LR_ICR_HI) | BIT64(LR_EOI))

/* Writable bits of the LVT entries (SDM figure 10-8); delivery status and remote IRR are read-only. */
static u32 lvt_mask(u32 r)
{
    switch (r) {
    case LR_LVT_TIMER:
        return 0x700ff;
    case LR_LVT_ERROR:
        return 0x100ff;
    case LR_LVT_LINT0:
    case LR_LVT_LINT1:
        return 0x1a7ff;
    default:
        return 0x107ff;
    }
}

/* Registers whose value is not kept in the file. */
static u32 special_read(struct vlapic *l, u32 r)
{
    if (r == LR_TIMER_CUR)
        return vlapic_timer_count(l);
    if (r == LR_APR) {
        /* Arbitration priority (SDM 10.6.2.4). */
        u32 tpr = LREG(l, LR_TPR) & 0xf0, irr = vlapic_irrv(l) & 0xf0, isr = l->isrv & 0xf0;

        return tpr >= irr && tpr > isr ? LREG(l, LR_TPR) : MAX(tpr & isr, irr);
    }
    return atomic_load_relaxed(&LREG(l, r));
}

static inline u32 read_reg(struct vlapic *l, u32 r)
{
    if (UNLIKELY(r == LR_TIMER_CUR || r == LR_APR))
        return special_read(l, r);
    return atomic_load_relaxed(&LREG(l, r));
}

static void eoi(struct vlapic *l)
{
    u32 vec = l->isrv, w, bit, left;

    if (!vec)
        return;
    w = vec / 32;
    bit = BIT32(vec & 31);
    left = LREG(l, LR_ISR + w) &= ~bit;
    if (!left) {
        l->isr_words &= ~BIT32(w);
        if (l->isr_words) {
            u32 top = bit_high32(l->isr_words);

            l->isrv = top * 32 + bit_high32(LREG(l, LR_ISR + top));
        } else {
            l->isrv = 0;
        }
    } else {
        l->isrv = w * 32 + bit_high32(left);
    }
    vlapic_update_ppr(l);
    if (UNLIKELY(atomic_load_relaxed(&LREG(l, LR_TMR + w)) & bit))
        vioapic_eoi(l->vcpu->vm, (u8)vec);
    vlapic_recheck(l);
}

static void set_tpr(struct vlapic *l, u32 tpr)
{
    u32 old = LREG(l, LR_PPR);

    LREG(l, LR_TPR) = tpr;
    vlapic_update_ppr(l);
    if (LREG(l, LR_PPR) < old)
        vlapic_recheck(l);
}

u64 vlapic_get_cr8(struct vcpu *v)
{
    return LREG(vlapic_of(v), LR_TPR) >> 4;
}

void vlapic_set_cr8(struct vcpu *v, u64 cr8)
{
    set_tpr(vlapic_of(v), (u32)(cr8 & 0xf) << 4);
}

static void set_lvt(struct vlapic *l, u32 r, u32 val)
{
    u32 old = l->lvtt;

    val &= lvt_mask(r);
    if (!(LREG(l, LR_SVR) & SVR_ENABLE))
        val |= LVT_MASKED; /* SDM 10.4.7.2 */
    atomic_store(&LREG(l, r), val);
    if (r == LR_LVT_TIMER) {
        l->lvtt = val;
        vlapic_timer_lvt_changed(l, old);
    }
    if (r == LR_LVT_LINT0)
        vcpu_request(l->vcpu, VCPU_REQ_EVENT); /* ExtINT may have been let in or shut out */
}

static void set_svr(struct vlapic *l, u32 val)
{
    u32 old = l->svr;

    l->svr = val & 0x3ff;
    atomic_store(&LREG(l, LR_SVR), val & 0x3ff);
    if ((old & SVR_ENABLE) && !(val & SVR_ENABLE)) {
        for (u32 r = LR_LVT_TIMER; r <= LR_LVT_ERROR; r++)
            set_lvt(l, r, LREG(l, r));
    }
}

/* Writes of everything but EOI, ICR and TPR. False: no such register, or read-only. */
static bool write_rare(struct vlapic *l, u32 r, u32 val)
{
    bool x2 = l->state == LAPIC_X2APIC;

    switch (r) {
    case LR_SVR:
        set_svr(l, val);
        return true;
    case LR_ESR: /* any write latches what was collected (SDM 10.5.3) */
        LREG(l, LR_ESR) = atomic_xchg(&l->esr_pending, 0);
        return true;
    case LR_LVT_TIMER:
    case LR_LVT_THERMAL:
    case LR_LVT_PERF:
    case LR_LVT_LINT0:
    case LR_LVT_LINT1:
    case LR_LVT_ERROR:
        set_lvt(l, r, val);
        return true;
    case LR_TIMER_INIT:
        vlapic_timer_set_count(l, val);
        return true;
    case LR_TIMER_DIV:
        vlapic_timer_set_divider(l, val);
        return true;
    case LR_LDR:
        if (!x2)
            atomic_store(&LREG(l, LR_LDR), val & 0xff000000);
        return !x2;
    case LR_DFR:
        if (!x2)
            atomic_store(&LREG(l, LR_DFR), val | 0x0fffffff);
        return !x2;
    case LR_ID:
    case LR_VERSION: /* ignored in xAPIC mode; the ID is fixed */
        return !x2;
    default:
        return false;
    }
}

/* ---- together with a CPU that carries out part of it ---- */

void vlapic_catch_up(struct vlapic *l)
{
    u32 irr = 0, isr = 0;

    if (!CFG_APIC_ASSIST || !l->help)
        return;
    if (l->help & APIC_HELP_IRQ) {
        arch_vcpu_apic_pull(l->vcpu);
        for (u32 w = 0; w < 8; w++) {
            irr |= LREG(l, LR_IRR + w) ? BIT32(w) : 0;
            isr |= LREG(l, LR_ISR + w) ? BIT32(w) : 0;
        }
        atomic_store(&l->irr_words, irr);
        l->isr_words = isr;
        l->isrv = isr ? bit_high32(isr) * 32 + bit_high32(LREG(l, LR_ISR + bit_high32(isr))) : 0;
    }
    vlapic_update_ppr(l);
}

/* After a change of the page by an access that was carried out here. */
static inline void hand_back(struct vlapic *l)
{
    if (vlapic_irqs_in_cpu(l))
        arch_vcpu_apic_push(l->vcpu);
}

/* The mode changed, or the APIC was reset. */
static void tell_cpu(struct vlapic *l, bool reset)
{
    if (CFG_APIC_ASSIST)
        atomic_store(&l->help, arch_vcpu_apic_mode(l->vcpu, l->state, l->file, reset));
}

/* The guest's value stands in the page already; what it was before, where that matters, is kept elsewhere. */
void vlapic_page_written(struct vcpu *v, u32 offset)
{
    struct vlapic *l = vlapic_of(v);
    u32 r = offset >> 4, val = LREG(l, r);

    vlapic_catch_up(l);
    switch (r) {
    case LR_ICR:
        LREG(l, LR_ICR) = val & 0xccfff & ~LVT_PENDING;
        vlapic_send_ipi(l, val, LREG(l, LR_ICR_HI) >> 24);
        break;
    case LR_SELF_IPI:
        vlapic_self_ipi(l, val & 0xff);
        break;
    case LR_ID:
        LREG(l, LR_ID) = l->state == LAPIC_X2APIC ? l->vcpu->apic_id : l->vcpu->apic_id << 24;
        break;
    case LR_TIMER_INIT:
        if (LVT_TIMER_MODE(l->lvtt) == TIMER_DEADLINE)
            LREG(l, LR_TIMER_INIT) = 0; /* ignored, and reads as 0 */
        vlapic_timer_set_count(l, val);
        break;
    default:
        if (!write_rare(l, r, val))
            vlapic_error(l, ESR_REGISTER);
        break;
    }
    hand_back(l);
}

void vlapic_ended(struct vcpu *v, u8 vector)
{
    if (atomic_load_relaxed(&LREG(vlapic_of(v), LR_TMR + vector / 32)) & BIT32(vector & 31))
        vioapic_eoi(v->vm, vector);
}

void vlapic_tpr_fell(struct vcpu *v)
{
    vcpu_request(v, VCPU_REQ_EVENT);
}

/* ---- xAPIC page ---- */

/*
 * Registers are 32 bits wide on 16-byte boundaries and must be accessed so (SDM 10.4.1). Narrower reads
 * inside the 4 bytes are served because they are harmless; bytes beyond them read 0. Other writes are
 * dropped.
 */
static bool page_access(struct vcpu *v, void *dev, u64 offset, u8 size, bool write, u64 *val)
{
    struct vlapic *l = vlapic_of(v);
    u32 r = (u32)(offset >> 4);

    (void)dev;
    if (UNLIKELY(l->state != LAPIC_XAPIC))
        return false;
    if (CFG_APIC_ASSIST)
        vlapic_catch_up(l);
    if (!write) {
        if (UNLIKELY(r >= LR_COUNT || !((READ_XAPIC >> r) & 1))) {
            vlapic_error(l, ESR_REGISTER);
            *val = 0;
            return true;
        }
        *val = read_reg(l, r);
        if (UNLIKELY(size != 4 || (offset & 0xf)))
            *val = (offset & 0xf) < 4 ? (*val >> (8 * (offset & 0xf))) & size_mask(size) : 0;
        return true;
    }
    if (UNLIKELY(size != 4 || (offset & 0xf)))
        return true;
    if (LIKELY(r == LR_EOI)) {
        eoi(l);
    } else if (r == LR_ICR) {
        LREG(l, LR_ICR) = (u32)*val & 0xccfff & ~LVT_PENDING;
        vlapic_send_ipi(l, (u32)*val, LREG(l, LR_ICR_HI) >> 24);
    } else if (r == LR_ICR_HI) {
        LREG(l, LR_ICR_HI) = (u32)*val & 0xff000000;
    } else if (r == LR_TPR) {
        set_tpr(l, (u32)*val & 0xff);
    } else if (!write_rare(l, r, (u32)*val)) {
        vlapic_error(l, ESR_REGISTER);
    }
    hand_back(l);
    return true;
}

/* ---- x2APIC MSRs ---- */

static bool x2_read(struct vlapic *l, u32 r, u64 *val)
{
    if (r >= LR_COUNT || !((READ_COMMON >> r) & 1))
        return false;
    *val = read_reg(l, r);
    if (r == LR_ICR)
        *val |= (u64)LREG(l, LR_ICR_HI) << 32;
    return true;
}

/* Reserved bits of x2APIC registers raise #GP (SDM 10.12.1.3); delivery status and remote IRR are read-only,
 * not reserved. */
static u32 x2_reserved(u32 r)
{
    switch (r) {
    case LR_SVR:
        return ~0x3ffU;
    case LR_ESR:
        return ~0U;
    case LR_TIMER_INIT:
        return 0;
    case LR_TIMER_DIV:
        return ~0xbU;
    default:
        return ~(lvt_mask(r) | LVT_PENDING | (r == LR_LVT_LINT0 || r == LR_LVT_LINT1 ? LVT_REMOTE_IRR : 0));
    }
}

static bool x2_write(struct vlapic *l, u32 r, u64 val)
{
    switch (r) {
    case LR_EOI:
        if (val)
            return false;
        eoi(l);
        return true;
    case LR_ICR:
        if ((u32)val & ~(0xccfffU | LVT_PENDING))
            return false;
        LREG(l, LR_ICR) = (u32)val & ~LVT_PENDING;
        LREG(l, LR_ICR_HI) = (u32)(val >> 32);
        vlapic_send_ipi(l, (u32)val, (u32)(val >> 32));
        return true;
    case LR_SELF_IPI:
        if (val >> 8)
            return false;
        vlapic_self_ipi(l, (u32)val);
        return true;
    case LR_TPR:
        if (val >> 8)
            return false;
        set_tpr(l, (u32)val);
        return true;
    case LR_SVR:
    case LR_ESR:
    case LR_TIMER_INIT:
    case LR_TIMER_DIV:
    case LR_LVT_TIMER:
    case LR_LVT_THERMAL:
    case LR_LVT_PERF:
    case LR_LVT_LINT0:
    case LR_LVT_LINT1:
    case LR_LVT_ERROR:
        if (val >> 32 || ((u32)val & x2_reserved(r)))
            return false;
        return write_rare(l, r, (u32)val);
    default:
        return false;
    }
}

/* ---- reset and mode changes ---- */

/* Registers after RESET or INIT; IA32_APIC_BASE and with it the mode are the caller's
 * (SDM 10.4.7.1, 10.12.5.1). */
static void reset_regs(struct vlapic *l)
{
    u32 id = l->vcpu->apic_id, r;

    /* Summary before words: a request that another CPU makes meanwhile must never stand in a word whose
     * summary bit is off. */
    atomic_store(&l->irr_words, 0);
    for (r = 0; r < LR_COUNT; r++)
        atomic_store(&LREG(l, r), 0);
    l->isr_words = 0;
    l->isrv = 0;
    atomic_store(&l->esr_pending, 0);
    atomic_store(&l->extint, 0);
    LREG(l, LR_VERSION) = LAPIC_VERSION;
    LREG(l, LR_SVR) = 0xff;
    for (r = LR_LVT_TIMER; r <= LR_LVT_ERROR; r++)
        LREG(l, r) = LVT_MASKED;
    if (l->state == LAPIC_X2APIC) {
        LREG(l, LR_ID) = id;
        LREG(l, LR_LDR) = (id & ~0xfU) << 12 | BIT32(id & 0xf); /* SDM 10.12.10.2 */
    } else {
        LREG(l, LR_ID) = id << 24;
        LREG(l, LR_DFR) = ~0U;
    }
    l->svr = LREG(l, LR_SVR);
    l->lvtt = LREG(l, LR_LVT_TIMER);
    vlapic_timer_reset(l);
    tell_cpu(l, true);
}

/* IA32_APIC_BASE: legal mode changes of SDM 10.12.5; the base stays where it is, because the page has one
 * fixed owner. */
static bool set_base(struct vlapic *l, u64 val)
{
    u64 mode = val & (APIC_BASE_EN | APIC_BASE_EXTD), id = l->vcpu->apic_id;
    u32 state;

    if ((val & ~(APIC_BASE_EN | APIC_BASE_EXTD | APIC_BASE_BSP)) != PLAT_LAPIC_BASE || mode == APIC_BASE_EXTD)
        return false;
    if (mode == 0)
        state = LAPIC_DISABLED;
    else
        state = mode == APIC_BASE_EN ? LAPIC_XAPIC : LAPIC_X2APIC;
    if (state == l->state)
        return true;
    if ((l->state == LAPIC_DISABLED && state == LAPIC_X2APIC) ||
        (l->state == LAPIC_X2APIC && state == LAPIC_XAPIC))
        return false;
    l->base_msr = PLAT_LAPIC_BASE | mode | (l->base_msr & APIC_BASE_BSP);
    atomic_store(&l->state, state);
    if (state == LAPIC_X2APIC) {
        /* Everything but ID, LDR and the ICR's upper half is kept (SDM 10.12.5.1). */
        LREG(l, LR_ID) = (u32)id;
        atomic_store(&LREG(l, LR_LDR), (u32)((id & ~0xfULL) << 12) | BIT32(id & 0xf));
        LREG(l, LR_ICR_HI) = 0;
        tell_cpu(l, false);
    } else {
        reset_regs(l);
        vcpu_request(l->vcpu, VCPU_REQ_EVENT); /* the 8259's output may reach the CPU now */
    }
    return true;
}

bool vlapic_msr_read(struct vcpu *v, u32 msr, u64 *val)
{
    struct vlapic *l = vlapic_of(v);

    if (msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST) {
        if (CFG_APIC_ASSIST)
            vlapic_catch_up(l);
        return l->state == LAPIC_X2APIC && x2_read(l, msr - MSR_X2APIC_FIRST, val);
    }
    if (msr == MSR_TSC_DEADLINE)
        *val = vlapic_timer_deadline(l);
    else if (msr == MSR_APIC_BASE)
        *val = l->base_msr;
    else
        return false;
    return true;
}

bool vlapic_msr_write(struct vcpu *v, u32 msr, u64 val)
{
    struct vlapic *l = vlapic_of(v);

    if (msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST) {
        bool ok;

        if (CFG_APIC_ASSIST)
            vlapic_catch_up(l);
        ok = l->state == LAPIC_X2APIC && x2_write(l, msr - MSR_X2APIC_FIRST, val);
        hand_back(l);
        return ok;
    }
    if (msr == MSR_TSC_DEADLINE) {
        vlapic_timer_set_deadline(l, val);
        return true;
    }
    return msr == MSR_APIC_BASE && set_base(l, val);
}

bool vlapic_enabled(struct vcpu *v)
{
    return vlapic_of(v)->state != LAPIC_DISABLED;
}

void vlapic_reset(struct vcpu *v)
{
    struct vlapic *l = vlapic_of(v);

    l->base_msr = PLAT_LAPIC_BASE | APIC_BASE_EN | (v->id == 0 ? APIC_BASE_BSP : 0);
    atomic_store(&l->state, LAPIC_XAPIC);
    reset_regs(l);
    l->nmi = 0;
    l->window = false;
    l->nmi_window = false;
}

void vlapic_virtual_wire(struct vcpu *v)
{
    struct vlapic *l = vlapic_of(v);

    LREG(l, LR_SVR) |= SVR_ENABLE;
    l->svr = LREG(l, LR_SVR);
    LREG(l, LR_LVT_LINT0) = APIC_DM_EXTINT << 8;
    LREG(l, LR_LVT_LINT1) = APIC_DM_NMI << 8;
}

/* INIT keeps IA32_APIC_BASE (SDM 10.4.7.3, 10.12.5.1). */
void arch_vcpu_init_ipi(struct vcpu *v)
{
    struct vlapic *l = vlapic_of(v);

    reset_regs(l);
    l->nmi = 0;
    l->window = false;
    l->nmi_window = false;
}

void vlapic_init(struct vm *vm)
{
    u16 i;

    for (i = 0; i < vm->cfg->vcpu_count; i++) {
        struct vlapic *l = vlapic_of(&vm->vcpus[i]);

        l->vcpu = &vm->vcpus[i];
        vlapic_timer_init(l);
        vlapic_reset(l->vcpu);
    }
    io_register_mmio(vm, PLAT_LAPIC_BASE, PLAT_LAPIC_SIZE, page_access, NULL);
}
