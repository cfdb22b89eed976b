/*
 * Cache allocation: classes of service that may fill only some ways of a cache (Intel RDT, SDM vol. 3B 17.19;
 * AMD offers the same registers for its level 3 caches, APM vol. 2 19.4). Only where the board says so
 * (CFG_CACHES). Layer 4'.
 */
#ifndef BH_X86_HW_CACHE_H
#define BH_X86_HW_CACHE_H

#include <lib/types.h>

struct cache_facts {
    u32 ways;    /* bits of a mask; 0: the level cannot be divided */
    u32 classes; /* that have a mask */
};

/* What the calling CPU can do at cache level 2 or 3. */
struct cache_facts cache_facts(u32 level);
/* Each CPU, once, before cpu_loop(): gives all classes of the board's caches their masks, and this CPU class
 * 0. A CPU that differs from what board_check() found on the boot CPU is a panic. */
void cache_cpu_init(void);

#endif
