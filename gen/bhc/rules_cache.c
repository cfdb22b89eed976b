/* Rules about cache partitioning: classes of service of Intel's Cache Allocation Technology (SDM vol. 3B,
 * 17.19). */
#include "rules.h"

#include <inttypes.h>
#include <string.h>

RULE(class_vm_exists)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        for (size_t j = 0; j < s->classes[i].user_count; j++) {
            const struct vm_name *user = &s->classes[i].users[j];

            if (vm_index(s, user->vm) == NO_INDEX)
                MISTAKE(user->at,
                        "cache class %" PRIu64 " (line %ld) is for vm '%s', but there is no such VM; correct "
                        "the name or remove the <user>",
                        s->classes[i].id, s->classes[i].at.line, user->vm);
        }
    }
}

/* What the board's cache of that level can do, or NULL. */
static const struct cache_alloc *find_cache(const struct board *b, u64 level)
{
    for (size_t i = 0; i < b->cache_count; i++) {
        if (b->caches[i].level == level)
            return &b->caches[i];
    }
    return NULL;
}

/* Masks are registers of 32 bits of which there are 128 for level 3 and 64 for level 2 (SDM vol. 4, table
 * 2-2: IA32_L3_QOS_MASK_0 and IA32_L2_QOS_MASK_0). */
RULE(board_caches)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->cache_count; i++) {
        const struct cache_alloc *cache = &b->caches[i], *first = find_cache(b, cache->level);
        u64 classes = cache->level == 2 ? 64 : 128;

        if (cache->level != 2 && cache->level != 3)
            MISTAKE(cache->at,
                    "board '%s' has cache allocation at level %" PRIu64
                    ", but only levels 2 and 3 can have it; write what CPUID leaf 0x10 says",
                    b->name, cache->level);
        else if (first != cache)
            MISTAKE(cache->at,
                    "board '%s' has cache allocation at level %" PRIu64 " twice (line %ld); describe it once",
                    b->name, cache->level, first->at.line);
        else if (cache->ways == 0 || cache->ways > 32 || cache->classes == 0 || cache->classes > classes)
            MISTAKE(cache->at,
                    "board '%s' has a level %" PRIu64 " cache of %" PRIu64 " ways and %" PRIu64
                    " classes, but masks have 1 to 32 ways and there are 1 to %" PRIu64
                    " of them; write what CPUID leaf 0x10 says",
                    b->name, cache->level, cache->ways, cache->classes, classes);
    }
}

RULE(class_cache_exists)
{
    const struct board *b = &config->board;
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        const struct cache_class *k = &s->classes[i];

        if (b->cache_count == 0)
            MISTAKE(k->at,
                    "cache class %" PRIu64 " divides the level %" PRIu64
                    " cache, but board '%s' (line %ld) has no cache allocation; remove it, or add "
                    "<cache-allocation> to the board if CPUID leaf 0x10 has it",
                    k->id, k->level, b->name, b->cpu_at.line);
        else if (!find_cache(b, k->level))
            MISTAKE(k->at,
                    "cache class %" PRIu64 " divides the level %" PRIu64
                    " cache, but board '%s' has cache allocation at level %" PRIu64
                    " (line %ld); correct the level",
                    k->id, k->level, b->name, b->caches[0].level, b->caches[0].at.line);
    }
}

RULE(class_mask_not_empty)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        if (s->classes[i].mask == 0)
            MISTAKE(s->classes[i].at,
                    "cache class %" PRIu64 " has mask 0, but must fill one way of the level %" PRIu64
                    " cache at least; set a bit of the mask",
                    s->classes[i].id, s->classes[i].level);
    }
}

/* Bit n for each of the cache's ways; rule CAT-002 has bounded them. */
static u64 all_ways(const struct cache_alloc *cache)
{
    return cache->ways < 64 ? BIT64(cache->ways) - 1 : UINT64_MAX;
}

RULE(class_mask_in_cache)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        const struct cache_class *k = &s->classes[i];
        const struct cache_alloc *cache = find_cache(&config->board, k->level);

        if (cache && (k->mask & ~all_ways(cache)))
            MISTAKE(k->at,
                    "cache class %" PRIu64 " has mask 0x%" PRIx64 ", but the level %" PRIu64
                    " cache of board '%s' has %" PRIu64 " ways (line %ld); use bits of 0x%" PRIx64,
                    k->id, k->mask, k->level, config->board.name, cache->ways, cache->at.line,
                    all_ways(cache));
    }
}

RULE(class_mask_contiguous)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        u64 mask = s->classes[i].mask, low = mask & -mask;

        /* Adding the lowest bit to a single run of ones leaves one bit, or none, that is not the run's. */
        if (mask & (mask + low))
            MISTAKE(
                s->classes[i].at,
                "cache class %" PRIu64 " has mask 0x%" PRIx64 ", whose ways of the level %" PRIu64
                " cache are not side by side, as CPUs demand; use a single run of bits, such as 0x%" PRIx64,
                s->classes[i].id, mask, s->classes[i].level, low | low << 1);
    }
}

/* A CPU has one class for all its caches, so the one with the fewest counts. */
RULE(class_id_in_board)
{
    const struct board *b = &config->board;
    const struct scenario *s = &config->scenario;
    const struct cache_alloc *least = b->caches;

    for (size_t i = 1; i < b->cache_count; i++) {
        if (b->caches[i].classes < least->classes)
            least = &b->caches[i];
    }
    for (size_t i = 0; i < s->class_count && b->cache_count > 0; i++) {
        const struct cache_class *k = &s->classes[i];

        if (k->id >= least->classes)
            MISTAKE(
                k->at,
                "cache class %" PRIu64 " is beyond the %" PRIu64 " classes that board '%s' has for the level "
                "%" PRIu64 " cache (line %ld), and a CPU has one class for all its caches; use 0 to %" PRIu64,
                k->id, least->classes, b->name, least->level, least->at.line,
                least->classes > 0 ? least->classes - 1 : 0);
    }
}

RULE(class_once)
{
    const struct scenario *s = &config->scenario;

    if (s->class_count > MAX_CLASSES) {
        MISTAKE(s->classes[MAX_CLASSES].at,
                "the scenario has %zu cache classes, more than the %d that there can be; remove some",
                s->class_count, MAX_CLASSES);
        return;
    }
    for (size_t i = 0; i < s->class_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (s->classes[i].id != s->classes[j].id || s->classes[i].level != s->classes[j].level)
                continue;
            MISTAKE(s->classes[i].at,
                    "cache class %" PRIu64 " of level %" PRIu64
                    " is given twice (line %ld); give it once, or another id",
                    s->classes[i].id, s->classes[i].level, s->classes[j].at.line);
            break;
        }
    }
}

/* A VM may be named by the same id's classes of both levels, once in each. */
RULE(class_vm_once)
{
    const struct scenario *s = &config->scenario;
    const struct cache_class **first = arena_alloc(s->vm_count, sizeof(struct cache_class *));
    const struct cache_class **last = arena_alloc(s->vm_count, sizeof(struct cache_class *));

    for (size_t i = 0; i < s->class_count; i++) {
        const struct cache_class *k = &s->classes[i];

        for (size_t j = 0; j < k->user_count; j++) {
            u32 vm = vm_index(s, k->users[j].vm);

            if (vm == NO_INDEX)
                continue;
            if (last[vm] == k)
                MISTAKE(k->users[j].at,
                        "cache class %" PRIu64 " (line %ld) names vm '%s' twice; name it once", k->id,
                        k->at.line, k->users[j].vm);
            else if (first[vm] && first[vm]->id != k->id)
                MISTAKE(k->users[j].at,
                        "vm '%s' is in cache class %" PRIu64 " (line %ld) and in class %" PRIu64
                        " (line %ld), but a CPU has one class for all its caches; remove it from one",
                        k->users[j].vm, k->id, k->at.line, first[vm]->id, first[vm]->at.line);
            last[vm] = k;
            if (!first[vm])
                first[vm] = k;
        }
    }
}

RULE(class_zero_has_no_users)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        const struct cache_class *k = &s->classes[i];

        if (k->id == 0 && k->user_count > 0)
            MISTAKE(
                k->users[0].at,
                "cache class 0 (line %ld) names vm '%s', but is that of everybody whom no other class names; "
                "remove the <user>, or give the class another id",
                k->at.line, k->users[0].vm);
    }
}

/* A user of the class that has the flag rt, or one that has not; NULL: none. */
static const struct vm *user_with(const struct scenario *s, const struct cache_class *k, bool rt)
{
    for (size_t i = 0; i < k->user_count; i++) {
        u32 vm = vm_index(s, k->users[i].vm);

        if (vm != NO_INDEX && rt == ((s->vms[vm].flags & FLAG_RT) != 0))
            return &s->vms[vm];
    }
    return NULL;
}

RULE(class_rt_apart)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count && s->class_count <= MAX_CLASSES; i++) {
        const struct cache_class *k = &s->classes[i];
        const struct vm *rt = user_with(s, k, true);

        for (size_t j = 0; rt && j < s->class_count; j++) {
            const struct cache_class *other = &s->classes[j];

            /* Of two such classes, the later one is told. */
            if (other->level != k->level || other->id == k->id || !(other->mask & k->mask) ||
                (j < i && user_with(s, other, true)))
                continue;
            MISTAKE(other->at,
                    "cache class %" PRIu64 " may fill ways 0x%" PRIx64 " of the level %" PRIu64
                    " cache, which real-time vm '%s' counts on (class %" PRIu64
                    ", line %ld); take them out of one of the masks",
                    other->id, other->mask & k->mask, k->level, rt->name, k->id, k->at.line);
        }
    }
}

RULE(class_rt_company)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        const struct cache_class *k = &s->classes[i];
        const struct vm *rt = user_with(s, k, true), *other = user_with(s, k, false);

        if (rt && other)
            MISTAKE(k->at,
                    "cache class %" PRIu64 " of level %" PRIu64
                    " is that of real-time vm '%s' (line %ld) and of "
                    "vm '%s' (line %ld), which is not real-time and will evict its lines; give each a class",
                    k->id, k->level, rt->name, rt->at.line, other->name, other->at.line);
    }
}

static bool class_given(const struct scenario *s, u64 id, u64 level)
{
    for (size_t i = 0; i < s->class_count; i++) {
        if (s->classes[i].id == id && s->classes[i].level == level)
            return true;
    }
    return false;
}

/* A class whose mask nobody gives fills all ways, as after RESET (SDM vol. 3B, 17.19.4). */
RULE(class_all_given)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count && s->class_count <= MAX_CLASSES; i++) {
        const struct cache_class *k = &s->classes[i], *other = NULL;
        const struct vm *rt = user_with(s, k, true);

        if (!rt || k->id == 0)
            continue;
        for (size_t j = 0; !other && j < s->class_count; j++) {
            if (s->classes[j].id != k->id && s->classes[j].id != 0 &&
                !class_given(s, s->classes[j].id, k->level))
                other = &s->classes[j];
        }
        if (!class_given(s, 0, k->level))
            MISTAKE(
                k->at,
                "real-time vm '%s' (line %ld) does not have ways 0x%" PRIx64 " of the level %" PRIu64
                " cache to itself, because class 0, everybody else's, is not given and so fills all of them; "
                "add <cache-class id=\"0\" level=\"%" PRIu64 "\" mask=\"...\"/> without them",
                rt->name, rt->at.line, k->mask, k->level, k->level);
        if (other)
            MISTAKE(k->at,
                    "real-time vm '%s' (line %ld) does not have ways 0x%" PRIx64 " of the level %" PRIu64
                    " cache to itself, because class %" PRIu64 " (line %ld) is given for level %" PRIu64
                    " only and so fills all of them; give it for level %" PRIu64 " too, without them",
                    rt->name, rt->at.line, k->mask, k->level, other->id, other->at.line, other->level,
                    k->level);
    }
}

RULE(class_has_users)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        const struct cache_class *k = &s->classes[i];
        size_t users = k->id == 0;

        for (size_t j = 0; users == 0 && j < MIN(s->class_count, MAX_CLASSES); j++)
            users += s->classes[j].id == k->id ? s->classes[j].user_count : 0;
        if (users == 0)
            MISTAKE(k->at,
                    "cache class %" PRIu64 " of level %" PRIu64 " is nobody's, so its ways 0x%" PRIx64
                    " may stay unused; name a <user vm=\"...\"/> or remove it",
                    k->id, k->level, k->mask);
    }
}
