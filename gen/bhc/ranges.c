#include "ranges.h"

#include <string.h>

static void insert(struct range_set *set, size_t at, struct span s)
{
    if (set->count == set->room) {
        size_t room = set->room ? set->room * 2 : 16;
        struct span *grown = arena_alloc(room, sizeof(*grown));

        if (set->count > 0)
            memcpy(grown, set->spans, set->count * sizeof(*grown));
        set->spans = grown;
        set->room = room;
    }
    memmove(&set->spans[at + 1], &set->spans[at], (set->count - at) * sizeof(s));
    set->spans[at] = s;
    set->count++;
}

static void erase(struct range_set *set, size_t at)
{
    memmove(&set->spans[at], &set->spans[at + 1], (set->count - at - 1) * sizeof(set->spans[0]));
    set->count--;
}

void ranges_add(struct range_set *set, u64 base, u64 size)
{
    struct span s = {base, base + size};
    size_t i = 0;

    if (!range_sane(base, size))
        return;
    while (i < set->count && set->spans[i].end < s.base)
        i++;
    /* Swallow everything that touches the new span. */
    while (i < set->count && set->spans[i].base <= s.end) {
        s.base = MIN(s.base, set->spans[i].base);
        s.end = MAX(s.end, set->spans[i].end);
        erase(set, i);
    }
    insert(set, i, s);
}

void ranges_subtract(struct range_set *set, u64 base, u64 size)
{
    u64 end = base + size;

    if (!range_sane(base, size))
        return;
    for (size_t i = 0; i < set->count;) {
        struct span s = set->spans[i];

        if (s.end <= base || s.base >= end) {
            i++;
            continue;
        }
        erase(set, i);
        if (s.base < base)
            insert(set, i++, (struct span){s.base, base});
        if (s.end > end)
            insert(set, i++, (struct span){end, s.end});
    }
}

bool ranges_contain(const struct range_set *set, u64 base, u64 size)
{
    if (!range_sane(base, size))
        return false;
    for (size_t i = 0; i < set->count; i++) {
        if (set->spans[i].base <= base && base + size <= set->spans[i].end)
            return true;
    }
    return false;
}

u64 ranges_total(const struct range_set *set)
{
    u64 total = 0;

    for (size_t i = 0; i < set->count; i++)
        total += set->spans[i].end - set->spans[i].base;
    return total;
}

bool ranges_first_fit(const struct range_set *set, u64 size, u64 align, u64 *base, u64 *largest)
{
    *largest = 0;
    for (size_t i = 0; i < set->count; i++) {
        u64 start = ALIGN_UP(set->spans[i].base, align);

        if (start >= set->spans[i].end)
            continue;
        if (set->spans[i].end - start >= size) {
            *base = start;
            return true;
        }
        *largest = MAX(*largest, set->spans[i].end - start);
    }
    return false;
}

struct range_set board_ram(const struct board *b)
{
    struct range_set set = {0};

    for (size_t i = 0; i < b->ram_count; i++)
        ranges_add(&set, b->ram[i].base, b->ram[i].size);
    return set;
}

struct range_set guest_ram(const struct config *c)
{
    const struct hypervisor *hv = &c->scenario.hv;
    struct range_set set = board_ram(&c->board);

    ranges_subtract(&set, 0, MIB(1));
    ranges_subtract(&set, hv->image_base, hv->image_size);
    ranges_subtract(&set, hv->store_base, hv->store_size);
    for (size_t i = 0; i < c->board.reserved_count; i++)
        ranges_subtract(&set, c->board.reserved[i].base, c->board.reserved[i].size);
    return set;
}
