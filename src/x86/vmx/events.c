/* Events: what is injected, what an exit interrupted, and the windows (SDM vol. 3C 26.6, 26.7.5, 27.2.4). */
#include <lib/log.h>
#include <arch/cpu.h>
#include <core/vm.h>
#include "x86/guest/exits.h"
#include "x86/hw/regs.h"
#include "x86/vmx/vmx.h"

static NOINLINE void queue(struct vmx_vcpu *s, u8 type, u8 vector, bool has_error, u32 error)
{
    s->entry_intr = INTR_VALID | ((u32)type << INTR_TYPE_SHIFT) | vector | (has_error ? INTR_ERROR : 0);
    vmwrite(VMCS_ENTRY_INTR, s->entry_intr);
    if (has_error)
        vmwrite(VMCS_ENTRY_ERROR, error);
}

static bool shadow(u32 blocks)
{
    return (vmread(VMCS_GUEST_INTERRUPTIBILITY) & blocks) != 0;
}

/* A window is open for the caller of arch_vcpu_..._window() or for an event that waits to be delivered again.
 */
static NOINLINE void set_windows(struct vmx_vcpu *s)
{
    const struct vmx_redeliver *r = &s->redeliver;
    u32 on = 0;

    if (s->irq_window || (r->valid && r->type == INTR_EXTERNAL))
        on |= PROC_IRQ_WINDOW;
    /*
     * The CPU may open an NMI's window in the shadow of STI, where no NMI can go in, again and again (25.2,
     * 26.3.1.5). That for interrupts opens behind the shadow, since IF is set there.
     */
    if (s->nmi_window || (r->valid && r->type == INTR_NMI))
        on |= !(s->entry_intr & INTR_VALID) && shadow(BLOCK_STI) ? PROC_IRQ_WINDOW : PROC_NMI_WINDOW;
    vmx_set_proc(s, on, (PROC_IRQ_WINDOW | PROC_NMI_WINDOW) & ~on);
}

/* An event that cannot go in now waits here; the next entry looks at it through vmx_flush_event(). */
static void defer(struct vmx_vcpu *s, u8 type, u8 vector, bool has_error, u32 error)
{
    s->redeliver = (struct vmx_redeliver){true, type, vector, has_error, error};
    atomic_or(&s->v->requests, VMX_REQ_ENTRY);
}

void vmx_events_reset(struct vmx_vcpu *s)
{
    s->redeliver.valid = false;
    s->irq_window = false;
    s->nmi_window = false;
    s->entry_intr = 0;
    vmwrite(VMCS_ENTRY_INTR, 0);
    set_windows(s);
}

void vmx_nmi_blocked_again(void)
{
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCK_NMI);
}

/*
 * After an exit that may come in the middle of an event's delivery: keeps the event. Software interrupts and
 * the exceptions of INT3, INTO and INT1 are not kept, RIP still points at the instruction and it runs again.
 */
void vmx_collect_interrupted(struct vmx_vcpu *s)
{
    u32 info = (u32)vmread(VMCS_IDT_VECTORING);
    u8 type = (u8)((info >> INTR_TYPE_SHIFT) & 7);
    bool has_error = (info & INTR_ERROR) != 0;

    if (LIKELY(!(info & INTR_VALID)))
        return;
    if (type != INTR_EXTERNAL && type != INTR_NMI && type != INTR_EXCEPTION)
        return;
    /* The CPU blocked NMIs when it began to deliver this one; it is to be delivered again (26.3.1.5). */
    if (type == INTR_NMI)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(u64)BLOCK_NMI);
    defer(s, type, (u8)info, has_error, has_error ? (u32)vmread(VMCS_IDT_VECTORING_ERROR) : 0);
}

static void end_shadow(void)
{
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
            vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(u64)(BLOCK_STI | BLOCK_MOV_SS));
}

/* Before an entry: puts the waiting event in when nothing else is queued and the guest can take it. */
void vmx_flush_event(struct vmx_vcpu *s)
{
    struct vmx_redeliver r = s->redeliver;
    bool can;

    if (!r.valid)
        return;
    can = !(s->entry_intr & INTR_VALID);
    /* An exception came first and its handler may run with IF clear: wait for the window. */
    if (can && r.type == INTR_EXTERNAL)
        can = (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0;
    if (can) {
        s->redeliver.valid = false;
        /* Delivery had begun, so no shadow can be in force; an entry with both is refused (26.3.1.5). */
        end_shadow();
        queue(s, r.type, r.vector, r.has_error, r.error);
    }
    set_windows(s);
}

bool arch_vcpu_event_queued(struct vcpu *v)
{
    const struct vmx_vcpu *s = vmx_of(v);

    return (s->entry_intr & INTR_VALID) || s->redeliver.valid;
}

bool arch_vcpu_irq_ready(struct vcpu *v)
{
    return (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) && !shadow(BLOCK_STI | BLOCK_MOV_SS) &&
           !arch_vcpu_event_queued(v);
}

bool arch_vcpu_nmi_ready(struct vcpu *v)
{
    return !shadow(BLOCK_STI | BLOCK_MOV_SS | BLOCK_NMI) && !arch_vcpu_event_queued(v);
}

/* Real mode pushes no error codes, and an entry that asks for one there is refused (26.2.1.3). */
static void queue_exception(struct vmx_vcpu *s, u8 vector, bool has_error, u32 error)
{
    queue(s, INTR_EXCEPTION, vector, has_error && (vmread(VMCS_GUEST_CR0) & CR0_PE), error);
}

static void inject_exception(struct vmx_vcpu *s, const struct guest_event *e)
{
    u32 inj = s->entry_intr;
    bool queued = (inj & INTR_VALID) != 0;
    u8 type = queued ? (u8)((inj >> INTR_TYPE_SHIFT) & 7) : s->redeliver.type;
    u8 first = queued ? (u8)inj : s->redeliver.vector;

    if (queued || s->redeliver.valid) {
        if (type == INTR_EXCEPTION) {
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
            atomic_or(&s->v->requests, VMX_REQ_ENTRY);
        }
    }
    if (e->vector == X86_PF)
        write_cr2(e->cr2);
    /* That of STI and with it the single step behind it, whose record an exit for #DB does not keep: an entry
     * with TF and a shadow but without the record is refused (26.3.1.5), and the delivery ends it anyway. */
    if (e->vector == X86_DB)
        end_shadow();
    queue_exception(s, e->vector, e->has_error, e->error);
}

void arch_vcpu_inject(struct vcpu *v, const struct guest_event *e)
{
    struct vmx_vcpu *s = vmx_of(v);

    switch (e->kind) {
    case EVENT_INTR:
        queue(s, INTR_EXTERNAL, e->vector, false, 0);
        break;
    case EVENT_NMI:
        queue(s, INTR_NMI, 2, false, 0);
        break;
    case EVENT_EXCEPTION:
        inject_exception(s, e);
        break;
    }
}

void arch_vcpu_irq_window(struct vcpu *v, bool on)
{
    struct vmx_vcpu *s = vmx_of(v);

    s->irq_window = on;
    set_windows(s);
}

void arch_vcpu_nmi_window(struct vcpu *v, bool on)
{
    struct vmx_vcpu *s = vmx_of(v);

    s->nmi_window = on;
    set_windows(s);
}

void vmx_window_exit(struct vmx_vcpu *s, bool nmi)
{
    if (nmi)
        s->nmi_window = false;
    else
        s->irq_window = false;
    set_windows(s);
    atomic_or(&s->v->requests,
              (nmi ? VCPU_REQ_NMI : VCPU_REQ_EVENT) | (s->redeliver.valid ? VMX_REQ_ENTRY : 0));
}
