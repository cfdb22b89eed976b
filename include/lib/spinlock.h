/* Ticket spinlock: fair, so that no CPU can starve another on it. Layer 0. */
#ifndef BH_LIB_SPINLOCK_H
#define BH_LIB_SPINLOCK_H

#include <lib/atomic.h>

/*
 * The hypervisor runs with interrupts off except inside arch_irq_window() and arch_cpu_idle(); host interrupt
 * handlers take no locks. So a lock never needs to save an interrupt flag.
 */
typedef struct {
    u32 next;
    u32 owner;
} spinlock_t;

#define SPINLOCK_INIT                                                                                        \
    {                                                                                                        \
        0, 0                                                                                                 \
    }

static inline void spin_lock(spinlock_t *l)
{
    u32 t = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (atomic_load(&l->owner) != t)
        cpu_relax();
}

static inline bool spin_trylock(spinlock_t *l)
{
    u32 t = atomic_load_relaxed(&l->owner);

    return atomic_cas(&l->next, t, t + 1);
}

static inline void spin_unlock(spinlock_t *l)
{
    atomic_store(&l->owner, l->owner + 1);
}

#endif
