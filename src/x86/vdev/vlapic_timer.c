/*
 * Local APIC timer (SDM 10.5.4). Its input clock is the TSC, so that a count is a number of TSC ticks shifted
 * by the divider and no conversion divides. The count is never stepped: it is computed from the expiry time
 * when the guest reads it, and the host timer runs only while the expiry would raise an interrupt.
 */
#include <arch/cpu.h>
#include "x86/vdev/vlapic_state.h"

/* A periodic guest timer fires at most this often (the guest would only starve its own CPU, but the console
 * may share it). */
#define MIN_PERIOD_HZ 200000U

u64 vlapic_timer_hz(void)
{
    return arch_tsc_hz();
}

static u32 timer_mode(const struct vlapic *l)
{
    return LVT_TIMER_MODE(LREG(l, LR_LVT_TIMER));
}

/* Moves the expiry of a periodic timer to its first occurrence after `now`. */
static void roll_period(struct vlapic *l, u64 now)
{
    if (l->expiry == TIMER_OFF || l->expiry > now)
        return;
    l->expiry += l->period;
    if (l->expiry <= now)
        l->expiry = now + l->period - (now - l->expiry) % l->period;
}

/* Brings the host timer in line with the guest's. */
static void timer_arm(struct vlapic *l)
{
    if (l->expiry == TIMER_OFF || (LREG(l, LR_LVT_TIMER) & LVT_MASKED)) {
        timer_cancel(&l->timer);
        return;
    }
    if (timer_mode(l) == TIMER_PERIODIC) {
        u64 now = arch_tsc(), floor;

        roll_period(l, now);
        floor = now + arch_tsc_hz() / MIN_PERIOD_HZ;
        timer_set(&l->timer, l->period < floor - now ? floor : l->expiry);
        return;
    }
    timer_set(&l->timer, l->expiry);
}

static void timer_fired(struct timer *t)
{
    struct vlapic *l = CONTAINER_OF(t, struct vlapic, timer);

    if (l->vcpu->vm->state == VM_STATE_OFF)
        return; /* arch_vm_reset() starts it from scratch */
    vlapic_lvt_fire(l, LR_LVT_TIMER);
    if (timer_mode(l) == TIMER_PERIODIC) {
        timer_arm(l);
        return;
    }
    /* One-shot counts stay at zero; IA32_TSC_DEADLINE is cleared when it fires (SDM 10.5.4.1). */
    l->expiry = TIMER_OFF;
    l->tsc_deadline = 0;
}

void vlapic_timer_init(struct vlapic *l)
{
    timer_init_vcpu(&l->timer, l->vcpu, timer_fired);
}

void vlapic_timer_reset(struct vlapic *l)
{
    timer_cancel(&l->timer);
    l->start = 0;
    l->expiry = TIMER_OFF;
    l->period = 0;
    l->tsc_deadline = 0;
    l->shift = 1; /* divide configuration 0 divides by 2 */
}

/* Write to the initial-count register: (re)starts the count, 0 stops it; ignored in TSC-deadline mode. */
void vlapic_timer_set_count(struct vlapic *l, u32 count)
{
    if (timer_mode(l) == TIMER_DEADLINE)
        return;
    LREG(l, LR_TIMER_INIT) = count;
    l->start = arch_tsc();
    l->period = (u64)count << l->shift;
    l->expiry = count ? l->start + l->period : TIMER_OFF;
    timer_arm(l);
}

u32 vlapic_timer_count(struct vlapic *l)
{
    u64 now;

    if (l->expiry == TIMER_OFF || timer_mode(l) == TIMER_DEADLINE)
        return 0;
    now = arch_tsc();
    if (timer_mode(l) == TIMER_PERIODIC) {
        /* Between expiry and the handler's next run the count has already been reloaded; the late interrupt
         * still comes. */
        u64 late;

        if (now < l->expiry)
            return (u32)((l->expiry - now) >> l->shift);
        late = (now - l->expiry) % l->period;
        return (u32)((l->period - late) >> l->shift);
    }
    return now < l->expiry ? (u32)((l->expiry - now + BIT64(l->shift) - 1) >> l->shift) : 0;
}

/* Divide configuration: bits 3, 1, 0; 111b divides by 1, else 2 << value (SDM figure 10-10). The present
 * count goes on. */
void vlapic_timer_set_divider(struct vlapic *l, u32 div)
{
    u32 count = vlapic_timer_count(l);
    u32 code = (div & 3) | ((div >> 1) & 4);

    LREG(l, LR_TIMER_DIV) = div & 0xb;
    l->shift = (code + 1) & 7;
    l->period = (u64)LREG(l, LR_TIMER_INIT) << l->shift;
    if (l->expiry == TIMER_OFF || timer_mode(l) == TIMER_DEADLINE)
        return;
    if (count == 0 && timer_mode(l) == TIMER_ONESHOT)
        return; /* already run out, its interrupt is on the way */
    l->start = arch_tsc();
    l->expiry = l->start + ((u64)count << l->shift);
    timer_arm(l);
}

void vlapic_timer_lvt_changed(struct vlapic *l, u32 old)
{
    u32 was = LVT_TIMER_MODE(old), is = timer_mode(l);

    if (was == is) {
        if ((old ^ LREG(l, LR_LVT_TIMER)) & LVT_MASKED) {
            /* A one-shot that ran out while it was masked raised nothing and raises nothing now. */
            if (is != TIMER_PERIODIC && l->expiry <= arch_tsc()) {
                l->expiry = TIMER_OFF;
                l->tsc_deadline = 0;
            }
            timer_arm(l);
        }
        return;
    }
    if (was == TIMER_DEADLINE || is == TIMER_DEADLINE) {
        /* Changing to or from TSC-deadline mode disarms the timer (SDM 10.5.4.1). */
        l->expiry = TIMER_OFF;
        l->tsc_deadline = 0;
        LREG(l, LR_TIMER_INIT) = 0;
        l->period = 0;
    } else if (is == TIMER_ONESHOT && l->expiry <= arch_tsc()) {
        roll_period(l, arch_tsc());
    } else if (is == TIMER_PERIODIC && l->expiry <= arch_tsc()) {
        l->expiry = TIMER_OFF; /* the one-shot had run out */
    }
    timer_arm(l);
}

/* Guest deadline to host TSC; a guest deadline that is in the past becomes one that is due at once. */
static void deadline_to_expiry(struct vlapic *l)
{
    u64 now = arch_tsc();
    u64 guest_now = now + arch_vcpu_tsc_offset(l->vcpu);

    if (!l->tsc_deadline)
        l->expiry = TIMER_OFF;
    else if (l->tsc_deadline <= guest_now)
        l->expiry = now;
    else if (l->tsc_deadline - guest_now >= TIMER_OFF - now)
        l->expiry = TIMER_OFF - 1;
    else
        l->expiry = now + (l->tsc_deadline - guest_now);
}

/* WRMSR IA32_TSC_DEADLINE: 0 disarms; ignored outside TSC-deadline mode. */
void vlapic_timer_set_deadline(struct vlapic *l, u64 guest_tsc)
{
    if (timer_mode(l) != TIMER_DEADLINE)
        return;
    l->tsc_deadline = guest_tsc;
    deadline_to_expiry(l);
    timer_arm(l);
}

u64 vlapic_timer_deadline(struct vlapic *l)
{
    if (timer_mode(l) != TIMER_DEADLINE)
        return 0;
    if (l->expiry != TIMER_OFF && l->expiry <= arch_tsc() && (LREG(l, LR_LVT_TIMER) & LVT_MASKED))
        l->tsc_deadline = 0; /* ran out unseen: no host timer runs for a masked entry */
    return l->tsc_deadline;
}

void vlapic_tsc_moved(struct vcpu *v)
{
    struct vlapic *l = vlapic_of(v);

    if (timer_mode(l) != TIMER_DEADLINE || !l->tsc_deadline)
        return;
    deadline_to_expiry(l);
    timer_arm(l);
}
