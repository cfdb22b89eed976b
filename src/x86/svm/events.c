/* Events: what is injected, what an exit interrupted, and the windows (APM vol. 2 15.20 to 15.22). */
#include <lib/log.h>
#include <arch/cpu.h>
#include <core/vm.h>
#include "x86/guest/exits.h"
#include "x86/hw/lapic.h"
#include "x86/hw/regs.h"
#include "x86/svm/svm.h"

#define RFLAGS_RF BIT64(16)
#define DR6_BS    BIT64(14)

void svm_events_reset(struct svm_vcpu *s)
{
    struct vmcb *c = s->vmcb;

    s->redeliver.valid = false;
    s->nmi_blocked = false;
    s->nmi_window = false;
    s->nmi_step = false;
    s->irq_window = false;
    c->eventinj = 0;
    c->exitintinfo = 0;
    c->int_shadow = 0;
    c->vintr = VINTR_INTR_MASKING;
    c->intercept1 &= ~(u32)(I1_VINTR | I1_IRET);
}

static void queue(struct svm_vcpu *s, u8 type, u8 vector, bool has_error, u32 error)
{
    s->vmcb->eventinj =
        EVT_VALID | ((u64)type << EVT_TYPE_SHIFT) | vector | (has_error ? EVT_ERROR : 0) | ((u64)error << 32);
}

/* From the delivery of an NMI until its handler's IRET no other goes in; the intercept shows that IRET. */
static void block_nmi(struct svm_vcpu *s)
{
    s->nmi_blocked = true;
    s->vmcb->intercept1 |= I1_IRET;
}

/* An event that cannot go in now waits here; the next entry looks at it through svm_flush_event(). */
static void defer(struct svm_vcpu *s, u8 type, u8 vector, bool has_error, u32 error)
{
    s->redeliver = (struct svm_redeliver){true, type, vector, has_error, error};
    atomic_or(&s->v->requests, SVM_REQ_ENTRY);
}

/*
 * The exit came while an event was being delivered: keep it. Software interrupts are not kept, RIP still
 * points at them and they run again. A vector below 32 cannot be an external interrupt of ours nor one of 32
 * and above an exception, so QUIRK_EXITINTINFO_TYPE3 can be undone without asking for the quirk.
 */
void svm_collect_interrupted(struct svm_vcpu *s, u64 info)
{
    u8 type = (u8)((info >> EVT_TYPE_SHIFT) & 7), vector = (u8)info;

    if (type == EVT_SOFT_INT)
        return;
    if (type == EVT_EXCEPTION) {
        if (vector >= 32)
            type = EVT_INTR;
        else if (vector == X86_BP || vector == X86_OF)
            return;
    }
    if (type == EVT_NMI)
        s->nmi_blocked = false;
    defer(s, type, vector, (info & EVT_ERROR) != 0, (u32)(info >> 32));
}

/* Before an entry: puts the waiting event in when nothing else is queued and the guest can take it. */
void svm_flush_event(struct svm_vcpu *s)
{
    struct svm_redeliver r = s->redeliver;

    if (!r.valid)
        return;
    if (s->vmcb->eventinj & EVT_VALID) {
        atomic_or(&s->v->requests, SVM_REQ_ENTRY);
        return;
    }
    /* An exception came first and its handler runs with IF clear: wait for the window. */
    if (r.type == EVT_INTR && !(s->vmcb->rflags & RFLAGS_IF)) {
        arch_vcpu_irq_window(s->v, true);
        return;
    }
    s->redeliver.valid = false;
    if (r.type == EVT_NMI)
        block_nmi(s);
    queue(s, r.type, r.vector, r.has_error, r.error);
}

bool arch_vcpu_irq_ready(struct vcpu *v)
{
    const struct svm_vcpu *s = svm_of(v);

    return (s->vmcb->rflags & RFLAGS_IF) && !(s->vmcb->int_shadow & 1) && !(s->vmcb->eventinj & EVT_VALID) &&
           !s->redeliver.valid;
}

bool arch_vcpu_nmi_ready(struct vcpu *v)
{
    const struct svm_vcpu *s = svm_of(v);

    return !s->nmi_blocked && !s->nmi_step && !(s->vmcb->int_shadow & 1) &&
           !(s->vmcb->eventinj & EVT_VALID) && !s->redeliver.valid;
}

bool arch_vcpu_event_queued(struct vcpu *v)
{
    const struct svm_vcpu *s = svm_of(v);

    return (s->vmcb->eventinj & EVT_VALID) || s->redeliver.valid;
}

/* EVENTINJ pushes an error code when it is told to (APM vol. 2 15.20), and real mode has none. */
static void queue_exception(struct svm_vcpu *s, u8 vector, bool has_error, u32 error)
{
    queue(s, EVT_EXCEPTION, vector, has_error && (s->vmcb->cr0 & CR0_PE), error);
}

static void inject_exception(struct svm_vcpu *s, const struct guest_event *e)
{
    u64 inj = s->vmcb->eventinj;
    bool queued = inj & EVT_VALID;
    u8 type = queued ? (u8)((inj >> EVT_TYPE_SHIFT) & 7) : s->redeliver.type;
    u8 first = queued ? (u8)inj : s->redeliver.vector;

    if (queued || s->redeliver.valid) {
        if (type == EVT_EXCEPTION) {
            s->redeliver.valid = false;
            if (first == X86_DF) {
                vm_guest_fatal(s->v, "triple fault");
                return;
            }
            if (exceptions_make_double_fault(first, e->vector)) {
                queue_exception(s, X86_DF, true, 0);
                return;
            }
        } else if (queued) {
            /* The interrupt or NMI waits until the exception was delivered. */
            defer(s, type, first, false, 0);
        } else {
            atomic_or(&s->v->requests, SVM_REQ_ENTRY);
        }
    }
    if (e->vector == X86_PF)
        s->vmcb->cr2 = e->cr2;
    queue_exception(s, e->vector, e->has_error, e->error);
}

void arch_vcpu_inject(struct vcpu *v, const struct guest_event *e)
{
    struct svm_vcpu *s = svm_of(v);

    switch (e->kind) {
    case EVENT_INTR:
        queue(s, EVT_INTR, e->vector, false, 0);
        break;
    case EVENT_NMI:
        block_nmi(s);
        queue(s, EVT_NMI, 2, false, 0);
        break;
    case EVENT_EXCEPTION:
        inject_exception(s, e);
        break;
    }
}

/*
 * A virtual interrupt request (V_IRQ) with its intercept exits as soon as the guest could take an interrupt.
 * V_IGN_TPR, because priority is the virtual local APIC's business.
 */
void arch_vcpu_irq_window(struct vcpu *v, bool on)
{
    struct svm_vcpu *s = svm_of(v);

    if (s->irq_window == on)
        return;
    s->irq_window = on;
    if (on) {
        s->vmcb->vintr = VINTR_INTR_MASKING | VINTR_V_IRQ | VINTR_IGN_TPR | ((u64)15 << VINTR_PRIO_SHIFT);
        s->vmcb->intercept1 |= I1_VINTR;
    } else {
        s->vmcb->vintr = VINTR_INTR_MASKING;
        s->vmcb->intercept1 &= ~(u32)I1_VINTR;
    }
}

/*
 * NMIs stay blocked until the handler's IRET has completed, but the IRET intercept fires before it executes.
 * So the IRET is stepped over with TF, and the #DB behind it opens the window.
 */
void arch_vcpu_nmi_window(struct vcpu *v, bool on)
{
    struct svm_vcpu *s = svm_of(v);

    s->nmi_window = on;
    if (on && !s->nmi_blocked) {
        /* Only a shadow or a queued event is in the way: the pending host interrupt makes the guest exit
         * behind it. */
        lapic_kick_self();
    }
}

/* A host interrupt made the guest exit: enough for an NMI that waited for a shadow or an event only. */
void svm_nmi_retry(struct svm_vcpu *s)
{
    if (!s->nmi_window || s->nmi_blocked)
        return;
    s->nmi_window = false;
    atomic_or(&s->v->requests, VCPU_REQ_NMI);
}

void svm_iret_exit(struct svm_vcpu *s)
{
    s->vmcb->intercept1 &= ~(u32)I1_IRET;
    s->nmi_step = true;
    s->vmcb->rflags |= RFLAGS_TF | RFLAGS_RF;
}

/*
 * An instruction that was carried out here ends like one that the CPU carried out: with TF set, a #DB trap
 * follows it (APM vol. 2 13.1.4). Called when RIP moves on; an event that is queued already comes first, as a
 * fault of the instruction itself would.
 */
void svm_single_step(struct svm_vcpu *s)
{
    if (s->vmcb->eventinj & EVT_VALID)
        return;
    if (s->nmi_step && svm_debug_exit(s))
        return;
    s->vmcb->dr6 |= DR6_BS;
    queue(s, EVT_EXCEPTION, X86_DB, false, 0);
}

/* True when the #DB belonged to the step over an NMI handler's IRET and the guest must not see it. */
bool svm_debug_exit(struct svm_vcpu *s)
{
    if (!s->nmi_step)
        return false;
    s->nmi_step = false;
    s->nmi_blocked = false;
    s->vmcb->dr6 &= ~DR6_BS;
    if (s->nmi_window)
        atomic_or(&s->v->requests, VCPU_REQ_NMI);
    s->nmi_window = false;
    return !(s->vmcb->rflags & RFLAGS_TF);
}
