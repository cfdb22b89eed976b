/*
 * Interrupt messages between the local APICs of one VM: ICR, destinations, delivery
 * (SDM 10.6, 10.12.9, 10.12.10). A message can name vCPUs of its own VM only; whatever else it names does not
 * exist.
 */
#include <arch/platform.h>
#include "x86/vdev/vlapic_state.h"

#define ICR_MODE(i)      (((i) >> 8) & 7)
#define ICR_LOGICAL      BIT32(11)
#define ICR_ASSERT       BIT32(14)
#define ICR_LEVEL        BIT32(15)
#define ICR_SHORTHAND(i) (((i) >> 18) & 3)

enum icr_shorthand { SH_NONE = 0, SH_SELF = 1, SH_ALL = 2, SH_OTHERS = 3 };

#define BROADCAST_8  0xffU
#define BROADCAST_32 0xffffffffU

#define FIRST_VECTOR 16U

void vlapic_accept(struct vlapic *l, u32 vec, bool level)
{
    u32 w = vec / 32, bit = BIT32(vec & 31);
    u32 *tmr = &LREG(l, LR_TMR + w);

    bool fresh = level != ((atomic_load_relaxed(tmr) & bit) != 0);

    /* The trigger mode is recorded before the request can be seen (SDM 10.8.4). */
    if (level)
        atomic_or(tmr, bit);
    else if (fresh)
        atomic_and(tmr, ~bit);
    if (vlapic_irqs_in_cpu(l)) {
        arch_vcpu_apic_post(l->vcpu, (u8)vec, fresh);
        return;
    }
    if (atomic_or(&LREG(l, LR_IRR + w), bit) & bit)
        return; /* whoever set it first has raised or will raise the event */
    atomic_or(&l->irr_words, BIT32(w));
    vcpu_request(l->vcpu, VCPU_REQ_EVENT);
}

void vlapic_ack(struct vlapic *l, u32 vec)
{
    u32 w = vec / 32, bit = BIT32(vec & 31);

    if (!(atomic_and(&LREG(l, LR_IRR + w), ~bit) & ~bit)) {
        atomic_and(&l->irr_words, ~BIT32(w));
        if (atomic_load(&LREG(l, LR_IRR + w))) /* a request came between the two */
            atomic_or(&l->irr_words, BIT32(w));
    }
    LREG(l, LR_ISR + w) |= bit;
    l->isr_words |= BIT32(w);
    l->isrv = vec;
    LREG(l, LR_PPR) = vec & 0xf0; /* deliverable: its class is above both the old PPR and the TPR */
}

void vlapic_error(struct vlapic *l, u32 bit)
{
    u32 lvt = atomic_load_relaxed(&LREG(l, LR_LVT_ERROR));

    if (atomic_or(&l->esr_pending, bit) & bit)
        return;
    /* An error entry with an illegal vector must not raise errors about itself. */
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= FIRST_VECTOR)
        vlapic_accept(l, lvt & 0xff, false);
}

/* One message at one local APIC. */
static bool deliver_one(struct vlapic *l, u32 mode, u32 vec, bool level)
{
    if (atomic_load_relaxed(&l->state) == LAPIC_DISABLED)
        return false;
    switch (mode) {
    case APIC_DM_FIXED:
    case APIC_DM_LOWEST:
        if (!(atomic_load_relaxed(&LREG(l, LR_SVR)) & SVR_ENABLE))
            return false;
        if (vec < FIRST_VECTOR) {
            vlapic_error(l, ESR_RECV_VECTOR);
            return false;
        }
        vlapic_accept(l, vec, level);
        return true;
    case APIC_DM_NMI:
        vcpu_request(l->vcpu, VCPU_REQ_NMI);
        return true;
    case APIC_DM_INIT:
        vcpu_send_init(l->vcpu);
        return true;
    case APIC_DM_SIPI:
        vcpu_send_sipi(l->vcpu, (u8)vec);
        return true;
    case APIC_DM_EXTINT:
        atomic_store(&l->extint, 1);
        vcpu_request(l->vcpu, VCPU_REQ_EVENT);
        return true;
    default:
        return false; /* SMI: there is no SMM; reserved */
    }
}

bool vlapic_lvt_fire(struct vlapic *l, enum lapic_reg lvt)
{
    u32 r = atomic_load_relaxed(&LREG(l, lvt));

    if (r & LVT_MASKED)
        return false;
    switch (LVT_MODE(r)) {
    case APIC_DM_FIXED:
    case APIC_DM_NMI:
    case APIC_DM_EXTINT:
    case APIC_DM_INIT:
        return deliver_one(l, LVT_MODE(r), r & 0xff, false);
    default:
        return false;
    }
}

/* Does the destination name this APIC? (SDM 10.6.2, 10.12.10) */
static bool dest_match(const struct vlapic *l, const struct apic_msg *m)
{
    u32 ldr, mda;

    if (m->dest == (m->wide ? BROADCAST_32 : BROADCAST_8))
        return true;
    if (!m->logical)
        return m->dest == l->vcpu->apic_id;
    ldr = atomic_load_relaxed(&LREG(l, LR_LDR));
    if (atomic_load_relaxed(&l->state) == LAPIC_X2APIC)
        return m->dest >> 16 == ldr >> 16 && (m->dest & ldr & 0xffff);
    mda = m->dest;
    if (mda > 0xff)
        return false;
    ldr >>= 24;
    if (atomic_load_relaxed(&LREG(l, LR_DFR)) >> 28 == 0xf)
        return (mda & ldr) != 0;
    return mda >> 4 == ldr >> 4 && (mda & ldr & 0xf);
}

/* A vCPU that is taken off its CPU, or does not exist yet, takes no messages. */
static inline bool is_there(const struct vcpu *v)
{
    return !CFG_SERVICE || atomic_load_relaxed(&v->state) != VCPU_OFFLINE;
}

struct vcpu *vlapic_first_match(struct vm *vm, const struct apic_msg *m)
{
    for (u16 i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];

        if (is_there(v) && dest_match(vlapic_of(v), m))
            return v;
    }
    return NULL;
}

/* Lowest-priority arbitration among those that match: the lowest PPR, the lowest id among equals. */
static bool deliver_lowest(struct vm *vm, const struct apic_msg *m)
{
    struct vlapic *best = NULL;
    u32 best_ppr = 0;
    u16 i;

    for (i = 0; i < vm->vcpu_count; i++) {
        struct vlapic *l = vlapic_of(&vm->vcpus[i]);
        u32 ppr = atomic_load_relaxed(&LREG(l, LR_PPR));

        if (!is_there(l->vcpu) || atomic_load_relaxed(&l->state) == LAPIC_DISABLED || !dest_match(l, m) ||
            !(atomic_load_relaxed(&LREG(l, LR_SVR)) & SVR_ENABLE))
            continue;
        if (!best || ppr < best_ppr) {
            best = l;
            best_ppr = ppr;
        }
    }
    return best && deliver_one(best, APIC_DM_LOWEST, m->vector, m->level);
}

static inline bool names(const struct vcpu *v, u32 apic_id)
{
    return !CFG_SERVICE || (v->apic_id == apic_id && is_there(v));
}

bool vlapic_deliver(struct vm *vm, const struct apic_msg *m)
{
    bool any = false;
    u16 i;

    /* The common case, where ids are numbers of vCPUs. */
    if (!m->logical && m->dest < vm->vcpu_count && names(&vm->vcpus[m->dest], m->dest))
        return deliver_one(vlapic_of(&vm->vcpus[m->dest]), m->mode, m->vector, m->level);
    if (m->mode == APIC_DM_LOWEST)
        return deliver_lowest(vm, m);
    for (i = 0; i < vm->vcpu_count; i++) {
        struct vlapic *l = vlapic_of(&vm->vcpus[i]);

        if (is_there(l->vcpu) && dest_match(l, m))
            any |= deliver_one(l, m->mode, m->vector, m->level);
    }
    return any;
}

void vlapic_self_ipi(struct vlapic *l, u32 vec)
{
    if (UNLIKELY(vec < FIRST_VECTOR))
        vlapic_error(l, ESR_SEND_VECTOR | ESR_RECV_VECTOR);
    else if (LIKELY(LREG(l, LR_SVR) & SVR_ENABLE))
        vlapic_accept(l, vec, false);
}

/* All of the VM, with or without the sender. */
static void send_shorthand(struct vlapic *self, u32 mode, u32 vec, bool with_self)
{
    struct vm *vm = self->vcpu->vm;
    u16 i;

    for (i = 0; i < vm->vcpu_count; i++) {
        struct vlapic *l = vlapic_of(&vm->vcpus[i]);

        if (!is_there(l->vcpu))
            continue;
        if (with_self || l != self)
            deliver_one(l, mode, vec, false);
    }
}

void vlapic_send_ipi(struct vlapic *l, u32 icr, u32 dest)
{
    u32 mode = ICR_MODE(icr), vec = icr & 0xff, sh = ICR_SHORTHAND(icr);
    struct apic_msg m;

    if (mode <= APIC_DM_LOWEST) {
        if (sh == SH_SELF) {
            vlapic_self_ipi(l, vec);
            return;
        }
        if (UNLIKELY(vec < FIRST_VECTOR)) {
            vlapic_error(l, ESR_SEND_VECTOR);
            return;
        }
    }
    /* INIT level de-assert is a message of the 82489DX; later APICs ignore it (SDM 10.6.1). */
    if (mode == APIC_DM_INIT && (icr & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
        return;
    /* The ICR cannot send ExtINT, and of the others only fixed IPIs may name the sender by shorthand (SDM
     * table 10-3). */
    if (mode == APIC_DM_EXTINT || sh == SH_SELF || (sh == SH_ALL && mode != APIC_DM_FIXED))
        return;
    if (sh != SH_NONE) {
        send_shorthand(l, mode, vec, sh == SH_ALL);
        return;
    }
    m = (struct apic_msg){.dest = dest,
                          .vector = (u8)vec,
                          .mode = (u8)mode,
                          .level = false, /* IPIs are edge triggered whatever the ICR says (SDM 10.6.1) */
                          .logical = (icr & ICR_LOGICAL) != 0,
                          .wide = l->state == LAPIC_X2APIC};
    vlapic_deliver(l->vcpu->vm, &m);
}

void arch_vcpu_send_vector(struct vcpu *v, u8 vector)
{
    deliver_one(vlapic_of(v), APIC_DM_FIXED, vector, false);
}

void vlapic_lint0_rise(struct vm *vm)
{
    struct vlapic *l = vlapic_of(&vm->vcpus[0]);

    if (!is_there(l->vcpu))
        return;
    /* With the local APIC off, the pin is the CPU's own INTR input (SDM 10.4.3); ExtINT looks at the 8259's
     * output itself. */
    if (atomic_load_relaxed(&l->state) == LAPIC_DISABLED ||
        LVT_MODE(atomic_load_relaxed(&LREG(l, LR_LVT_LINT0))) == APIC_DM_EXTINT)
        vcpu_request(l->vcpu, VCPU_REQ_EVENT);
    else
        vlapic_lvt_fire(l, LR_LVT_LINT0);
}
