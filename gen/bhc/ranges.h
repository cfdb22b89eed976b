/* Sets of host-physical memory, as sorted spans that neither touch nor overlap. */
#ifndef BHC_RANGES_H
#define BHC_RANGES_H

#include "model.h"

/* Above this no physical address exists (SDM vol. 3A 4.1.4: MAXPHYADDR is at most 52). */
#define PHYS_LIMIT ((u64)1 << 52)

/* Non-empty, no wrap, below PHYS_LIMIT: fit to be reasoned about. The rules report what is not. */
static inline bool range_sane(u64 base, u64 size)
{
    return size != 0 && base < PHYS_LIMIT && size <= PHYS_LIMIT - base;
}

struct span {
    u64 base, end; /* end exclusive */
};

struct range_set {
    struct span *spans;
    size_t count, room;
};

/* base and size must be sane, or nothing happens. */
void ranges_add(struct range_set *set, u64 base, u64 size);
void ranges_subtract(struct range_set *set, u64 base, u64 size);
bool ranges_contain(const struct range_set *set, u64 base, u64 size);
u64 ranges_total(const struct range_set *set);
/* Lowest address that is a multiple of align (a power of two) with room for size. False: none; *largest is
 * then the largest size that would fit. */
bool ranges_first_fit(const struct range_set *set, u64 size, u64 align, u64 *base, u64 *largest);

/* The board's RAM. */
struct range_set board_ram(const struct board *b);
/* RAM that VMs may be given: without the first MiB, the image, the module store and what the board reserves.
 */
struct range_set guest_ram(const struct config *c);

#endif
