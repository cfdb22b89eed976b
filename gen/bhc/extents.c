#include "extents.h"

#include <stdlib.h>

struct extents extents_new(size_t room)
{
    return (struct extents){0, arena_alloc(room, sizeof(struct extent)), arena_alloc(room, sizeof(size_t))};
}

void extents_add(struct extents *x, u64 base, u64 size, size_t index)
{
    if (range_sane(base, size))
        x->list[x->count++] = (struct extent){base, size, index};
}

static int compare(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;

    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static u64 end_of(const struct extent *e)
{
    return e->base + e->size;
}

void extents_sort(struct extents *x)
{
    size_t widest = 0;
    bool ascending = true;

    for (size_t i = 1; i < x->count && ascending; i++)
        ascending = compare(&x->list[i - 1], &x->list[i]) < 0;
    if (!ascending)
        qsort(x->list, x->count, sizeof(*x->list), compare);
    for (size_t i = 0; i < x->count; i++) {
        if (end_of(&x->list[i]) > end_of(&x->list[widest]))
            widest = i;
        x->widest[i] = widest;
    }
}

struct extents extents_of(const struct region *regions, size_t count)
{
    struct extents x = extents_new(count);

    for (size_t i = 0; i < count; i++)
        extents_add(&x, regions[i].base, regions[i].size, i);
    extents_sort(&x);
    return x;
}

/* How many extents begin below `end`. */
static size_t begin_below(const struct extents *x, u64 end)
{
    size_t low = 0, high = x->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (x->list[middle].base < end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct extent *extents_find(const struct extents *x, u64 base, u64 size)
{
    size_t below = range_sane(base, size) ? begin_below(x, base + size) : 0;
    const struct extent *e = below > 0 ? &x->list[x->widest[below - 1]] : NULL;

    return e && end_of(e) > base ? e : NULL;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct overlap *x = a, *y = b;

    if (x->later != y->later)
        return x->later < y->later ? -1 : 1;
    return x->earlier < y->earlier ? -1 : x->earlier > y->earlier;
}

size_t extents_overlaps(const struct extents *x, struct overlap **out)
{
    struct overlap *pairs = arena_alloc(x->count, sizeof(*pairs));
    size_t count = 0, kept = 0;

    /* What meets anything that begins before it meets the one of those that reaches furthest. */
    for (size_t i = 1; i < x->count; i++) {
        const struct extent *e = &x->list[i], *wide = &x->list[x->widest[i - 1]];

        if (end_of(wide) > e->base)
            pairs[count++] = (struct overlap){MAX(e->index, wide->index), MIN(e->index, wide->index)};
    }
    if (count > 0)
        qsort(pairs, count, sizeof(*pairs), compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || pairs[kept - 1].later != pairs[i].later)
            pairs[kept++] = pairs[i];
    }
    *out = pairs;
    return kept;
}
