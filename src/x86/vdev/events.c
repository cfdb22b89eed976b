/*
 * What is injected into a vCPU before it is entered: NMI first, then the highest local-APIC interrupt above
 * the processor priority or the 8259 pair's (ExtINT). Whatever cannot go now keeps a window open.
 */
#include <arch/platform.h>
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/vlapic_state.h"

#define RFLAGS_IF BIT64(9)

/* True when the 8259 pair's request reaches this vCPU: through its INTR pin, LINT0 as ExtINT, or an ExtINT
 * message. */
static bool extint_pending(struct vlapic *l)
{
    if (LIKELY(!atomic_load_relaxed(&l->extint))) {
        if (l->vcpu->id != 0)
            return false;
        if (l->state != LAPIC_DISABLED) {
            u32 lint0 = LREG(l, LR_LVT_LINT0);

            if ((lint0 & LVT_MASKED) || LVT_MODE(lint0) != APIC_DM_EXTINT)
                return false;
        }
    }
    return vpic_output(l->vcpu->vm);
}

/* Injects one interrupt; the CPU is ready for it. */
static void inject_interrupt(struct vlapic *l, u32 vec)
{
    struct guest_event e = {.kind = EVENT_INTR};

    if (vec) {
        vlapic_ack(l, vec);
        e.vector = (u8)vec;
    } else {
        int pic;

        atomic_store(&l->extint, 0);
        pic = vpic_ack(l->vcpu->vm);
        if (pic < 0)
            return;
        e.vector = (u8)pic;
    }
    arch_vcpu_inject(l->vcpu, &e);
}

static void deliver_nmi(struct vlapic *l)
{
    static const struct guest_event nmi = {.kind = EVENT_NMI, .vector = 2};

    if (arch_vcpu_nmi_ready(l->vcpu)) {
        l->nmi = 0;
        arch_vcpu_inject(l->vcpu, &nmi);
        if (l->nmi_window)
            arch_vcpu_nmi_window(l->vcpu, false);
        l->nmi_window = false;
    } else {
        l->nmi_window = true;
        arch_vcpu_nmi_window(l->vcpu, true);
    }
}

/* The vector of this APIC to inject next, 0: none, or the CPU itself sees to it. */
static u32 next_vector(struct vlapic *l)
{
    if (vlapic_irqs_in_cpu(l)) {
        arch_vcpu_apic_pull(l->vcpu);
        arch_vcpu_apic_push(l->vcpu);
        return 0;
    }
    vlapic_catch_up(l);
    return vlapic_deliverable(l);
}

/* A CPU that changes the task priority by itself must say when that lets a waiting interrupt through. */
static NOINLINE void set_threshold(struct vlapic *l)
{
    u32 class = vlapic_irrv(l) >> 4;

    arch_vcpu_apic_threshold(l->vcpu, class <= LREG(l, LR_TPR) >> 4 ? class : 0);
}

void arch_vcpu_deliver_events(struct vcpu *v, u32 reqs)
{
    struct vlapic *l = vlapic_of(v);
    bool more;
    u32 vec;

    if (UNLIKELY((reqs & VCPU_REQ_NMI) || l->nmi)) {
        l->nmi = 1;
        deliver_nmi(l);
    }
    vec = next_vector(l);
    more = vec || extint_pending(l);
    if (more && arch_vcpu_irq_ready(v)) {
        inject_interrupt(l, vec);
        /* Nothing of this APIC outranks what was just taken, but the other source may wait. */
        more = (!vlapic_irqs_in_cpu(l) && vlapic_deliverable(l)) || extint_pending(l);
    }
    if (CFG_APIC_ASSIST && l->help == APIC_HELP_TPR)
        set_threshold(l);
    /* Asked for anew each time: the backend may have closed it when it opened. */
    if (more || l->window) {
        l->window = more;
        arch_vcpu_irq_window(v, more);
    }
}

bool arch_vcpu_wake_pending(struct vcpu *v)
{
    struct vlapic *l = vlapic_of(v);

    vlapic_catch_up(l);
    /* An NMI that the handler of another still blocks does not end HLT. */
    if ((l->nmi || (atomic_load(&v->requests) & VCPU_REQ_NMI)) && arch_vcpu_nmi_ready(v))
        return true;
    /* HLT with IF clear ends with NMI, INIT or RESET only. */
    return (vlapic_deliverable(l) || extint_pending(l)) &&
           (v->doze || (arch_vcpu_get(v, REG_RFLAGS) & RFLAGS_IF));
}
