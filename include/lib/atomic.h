/* Atomics: thin names over C11 builtins so that the memory order stands at each use. Layer 0. */
#ifndef BH_LIB_ATOMIC_H
#define BH_LIB_ATOMIC_H

#include <lib/types.h>

#define atomic_load(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_store(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_or(p, v)        __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v)       __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_add(p, v)       __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v)       __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define atomic_xchg(p, v)      __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
/* Returns true and stores v when *p equals e; e is evaluated once and not written back. */
#define atomic_cas(p, e, v)                                                                                  \
    ({                                                                                                       \
        __typeof__(*(p)) e_ = (e);                                                                           \
        __atomic_compare_exchange_n((p), &e_, (v), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);               \
    })

/* Every spin loop must call this: QEMU's icount mode runs CPUs in turn and only PAUSE gives the turn away. */
static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}

#endif
