/* vCPUs: requests, HLT, INIT and SIPI. */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <lib/atomic.h>
#include <core/cpu.h>
#include <core/sbuf.h>
#include <core/user_vm.h>
#include <core/vm.h>
#include "core_impl.h"

struct vcpu vcpus[CFG_VCPUS];

void vcpu_request(struct vcpu *v, u32 bits)
{
    u32 old = atomic_or(&v->requests, bits);

    /* As in cpu_request(): bits that are still set belong to a kick that is on its way. Only EVENT may also
     * be left from a posted interrupt, which a CPU takes in guest mode without looking at the word. */
    if (v->pcpu != this_cpu()->id && ((old & bits) != bits || (CFG_APIC_ASSIST && (bits & VCPU_REQ_EVENT))))
        arch_cpu_kick(v->pcpu);
}

/* SDM vol. 3A 8.4.2, 9.1: after INIT the bootstrap processor starts at the reset vector, the others wait for
 * a SIPI. */
static void take_init(struct vcpu *v)
{
    struct vcpu_boot_state s;

    arch_vcpu_init_ipi(v);
    if (v->id != 0) {
        v->state = VCPU_WAIT_SIPI;
        return;
    }
    arch_reset_state(&s);
    arch_vcpu_set_boot_state(v, &s);
    v->state = VCPU_RUNNING;
}

static void take_sipi(struct vcpu *v)
{
    struct vcpu_boot_state s;

    if (v->state != VCPU_WAIT_SIPI)
        return; /* SDM vol. 3A 10.4.7.3: ignored outside wait-for-SIPI */
    arch_sipi_state(v->sipi_vector, &s);
    arch_vcpu_set_boot_state(v, &s);
    v->state = VCPU_RUNNING;
}

/* Everything but events for a running vCPU. */
static NOINLINE bool pre_entry_slow(struct vcpu *v, u32 reqs)
{
    const u32 events = VCPU_REQ_EVENT | VCPU_REQ_NMI;

    if (v->state == VCPU_STOPPED || v->state == VCPU_OFFLINE)
        return false; /* what is left over from a run that ended */
    if (reqs & VCPU_REQ_STOP) {
        vm_vcpu_stopped(v);
        return false;
    }
    if (CFG_USER_VMS && (reqs & VCPU_REQ_BOOT))
        user_vm_take_boot(v);
    if (reqs & VCPU_REQ_INIT) {
        take_init(v);
        reqs &= ~events; /* INIT drops what was pending */
    }
    if (reqs & VCPU_REQ_SIPI)
        take_sipi(v);
    /* The bits were taken before this looks, so an event that comes later sets them again. */
    if (v->state == VCPU_HALTED && (reqs & events) && ((reqs & VCPU_REQ_NMI) || arch_vcpu_wake_pending(v)))
        v->state = VCPU_RUNNING;
    if (v->state != VCPU_RUNNING)
        return false;
    if (reqs & events)
        arch_vcpu_deliver_events(v, reqs & events);
    return v->state == VCPU_RUNNING;
}

bool vcpu_pre_entry(struct vcpu *v)
{
    const u32 events = VCPU_REQ_EVENT | VCPU_REQ_NMI;
    u32 reqs;

    if (atomic_load(&this_cpu()->requests)) {
        cpu_service();
        /* The CPU may have let go of it: what is asked of it now is meant for another. */
        if (UNLIKELY(this_cpu()->vcpu != v))
            return false;
    }
    reqs = atomic_and(&v->requests, (u32)VCPU_REQ_FLUSH) & ~(u32)VCPU_REQ_FLUSH;
    if (LIKELY((reqs & ~events) == 0) && LIKELY(v->state == VCPU_RUNNING)) {
        if (reqs)
            arch_vcpu_deliver_events(v, reqs);
        return LIKELY(v->state == VCPU_RUNNING);
    }
    return pre_entry_slow(v, reqs);
}

void vcpu_halt(struct vcpu *v)
{
    /* Whether something wakes it at once is decided by vcpu_pre_entry(), in the one place that also sees
     * later events. */
    v->doze = false;
    v->state = VCPU_HALTED;
    atomic_or(&v->requests, (u32)VCPU_REQ_EVENT);
}

void vcpu_doze(struct vcpu *v)
{
    vcpu_halt(v);
    v->doze = true;
}

void vcpu_send_init(struct vcpu *v)
{
    /* A SIPI that is still pending came before this INIT and has no effect after it. */
    atomic_and(&v->requests, ~(u32)VCPU_REQ_SIPI);
    vcpu_request(v, VCPU_REQ_INIT);
}

void vcpu_send_sipi(struct vcpu *v, u8 vector)
{
    atomic_store(&v->sipi_vector, vector);
    vcpu_request(v, VCPU_REQ_SIPI);
}
