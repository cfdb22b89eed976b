/* Lists of things that occupy ranges, and who lies in whose way. Bounded by n log n. */
#ifndef BHC_EXTENTS_H
#define BHC_EXTENTS_H

#include "ranges.h"

struct extent {
    u64 base, size; /* sane (range_sane()) */
    size_t index;   /* the caller's: of the thing that lies here, in the order of the file */
};

struct extents {
    size_t count;
    struct extent *list;
    size_t *widest; /* after extents_sort(): which of list[0..i] reaches furthest */
};

/* Room for at most `room` extents. */
struct extents extents_new(size_t room);
/* A range that is not sane is left out: rules of its own report it. */
void extents_add(struct extents *x, u64 base, u64 size, size_t index);
void extents_sort(struct extents *x);
/* Those of regions, by their place in the list, sorted. */
struct extents extents_of(const struct region *regions, size_t count);
/* After extents_sort(): an extent that overlaps the range, or NULL. Bounded by log n. */
const struct extent *extents_find(const struct extents *x, u64 base, u64 size);

struct overlap {
    size_t later, earlier; /* indices */
};
/* After extents_sort(): pairs that overlap, one for each index that overlaps an earlier one at least. Returns
 * how many; *out has them. */
size_t extents_overlaps(const struct extents *x, struct overlap **out);

#endif
