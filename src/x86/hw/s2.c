/*
 * Second-level tables (nested or extended page tables): mapping, lookup, and the pool they are made of.
 * Changes are made by one CPU at a time; lookups, by software and by the page walkers of other CPUs, go on
 * meanwhile: so every store to an entry is one atomic store, and a table that became empty is not used again
 * before every CPU has flushed (arch_s2_settle()).
 */
#include <arch/s2.h>
#include <core/vm.h>
#include <lib/atomic.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/hw/paging.h"
#include "x86/hw/s2_format.h"

#define TOP 3 /* level of the root; level 0 maps 4 KiB */

static u64 pages[CFG_S2_PAGES][512] ALIGNED(4096);

/* Free tables are linked through their first entry, which holds the number of the next one + 1 in the VM's
 * slice. */
static struct {
    u32 used;    /* pages of the slice that were ever taken */
    u32 free;    /* first free one + 1, 0: none */
    u32 emptied; /* the same list of tables that are waiting for arch_s2_settle() */
    bool stale;
} pool[CFG_VMS];

/* What to add to a table's host-physical address to get at it: the pool is part of the image. */
static u64 delta;

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * level;
}

static inline u64 *table_of(u64 entry)
{
    return (u64 *)((entry & S2_ADDR) + delta);
}

static inline bool leads_on(u64 entry, unsigned level)
{
    return level > 0 && (entry & S2_PRESENT) && !(entry & S2_LARGE);
}

static u64 *slice_page(const struct vm *vm, u32 n)
{
    return pages[vm->cfg->first_s2_page + n];
}

static u64 *new_table(struct vm *vm)
{
    u32 n = pool[vm->id].free;
    u64 *t;

    if (n) {
        t = slice_page(vm, n - 1);
        pool[vm->id].free = (u32)t[0];
    } else if (pool[vm->id].used < vm->cfg->s2_pages) {
        t = slice_page(vm, pool[vm->id].used++);
    } else {
        return NULL;
    }
    memset(t, 0, PAGE_SIZE);
    return t;
}

static u64 *roots[CFG_VMS];

static inline u64 *root(const struct vm *vm)
{
    return roots[vm->id];
}

hpa_t s2_root(const struct vm *vm)
{
    return va_to_hpa(root(vm));
}

void arch_s2_init(struct vm *vm)
{
    delta = (u64)pages - va_to_hpa(pages).v;
    memset(&pool[vm->id], 0, sizeof(pool[vm->id]));
    roots[vm->id] = new_table(vm);
    ASSERT(roots[vm->id] == slice_page(vm, 0));
}

/* The table below *slot, made or split from a large leaf when needed. NULL: pool used up. */
static u64 *descend(struct vm *vm, u64 *slot, unsigned level)
{
    u64 e = *slot, step;
    u64 *t;

    if (leads_on(e, level))
        return table_of(e);
    t = new_table(vm);
    if (!t)
        return NULL;
    if (e & S2_PRESENT) {
        step = BIT64(level_shift(level - 1));
        if (level - 1 == 0)
            e &= ~S2_LARGE;
        for (unsigned i = 0; i < 512; i++)
            t[i] = e + i * step;
        /* The new leaves say what the large one said; still, a CPU may hold both for a while. */
        pool[vm->id].stale = true;
    }
    atomic_store(slot, va_to_hpa(t).v | S2_TABLE);
    return t;
}

/* Unhooks the table below *slot. */
static void drop_table(struct vm *vm, u64 *slot)
{
    u64 *t = table_of(*slot);

    atomic_store(slot, 0);
    pool[vm->id].stale = true;
    /* Walkers may still be in it: a link in its first entry must not look present. */
    atomic_store(&t[0], (u64)pool[vm->id].emptied << 3);
    pool[vm->id].emptied = (u32)((u64)(t - slice_page(vm, 0)) / 512) + 1;
}

static bool is_empty(const u64 *t)
{
    /* Ranges go away from one end or the other: then one look is enough to see that something is left. */
    if (t[511] || t[0])
        return false;
    for (unsigned i = 1; i < 511; i++)
        if (t[i])
            return false;
    return true;
}

/* Gives up the tables on the way to addr that have nothing in them any more, up to those that an entry of
 * level `top` leads to. */
static void prune(struct vm *vm, u64 addr, unsigned top)
{
    u64 *slot[TOP + 1], *t = root(vm);
    unsigned low;

    for (unsigned level = TOP;; level--) {
        slot[level] = &t[(addr >> level_shift(level)) & 511];
        low = level;
        if (!leads_on(*slot[level], level))
            break;
        t = table_of(*slot[level]);
    }
    for (unsigned level = low + 1; level <= top && is_empty(table_of(*slot[level])); level++)
        drop_table(vm, slot[level]);
}

/* Everything below a table entry that is about to be replaced by a larger leaf or by nothing. At most two
 * levels are below it. */
static void drop_below(struct vm *vm, u64 *slot, unsigned level)
{
    u64 *t = table_of(*slot);

    for (unsigned i = 0; level > 1 && i < 512; i++)
        if (leads_on(t[i], level - 1))
            drop_table(vm, &t[i]);
    drop_table(vm, slot);
}

/* How the leaves of a range change. */
struct change {
    u64 host;  /* map: host address of the current guest address */
    u64 bits;  /* attributes */
    bool keep; /* the address of what is mapped stays, what is unmapped too */
    bool map;
};

static void set_leaf(struct vm *vm, u64 *slot, unsigned level, const struct change *c)
{
    u64 old = *slot, e = 0;

    if (leads_on(old, level)) {
        drop_below(vm, slot, level);
        return;
    }
    if (c->keep)
        e = (old & (S2_ADDR | (level ? S2_LARGE : 0))) | c->bits;
    else if (c->bits)
        e = c->host | c->bits | (level ? S2_LARGE : 0);
    if ((old & S2_PRESENT) && old != e)
        pool[vm->id].stale = true;
    atomic_store(slot, e);
}

/*
 * One step at addr: changes the largest leaf that fits, or goes round what is not mapped. Returns the bytes
 * done, 0 when the pool is used up.
 */
static u64 change_one(struct vm *vm, u64 addr, u64 size, const struct change *c)
{
    u64 *t = root(vm);
    unsigned level = TOP;

    for (;;) {
        u64 *slot = &t[(addr >> level_shift(level)) & 511];
        u64 span = BIT64(level_shift(level));
        bool whole = IS_ALIGNED(addr, span) && size >= span;

        if (!c->map && !(*slot & S2_PRESENT))
            return MIN(span - (addr & (span - 1)), size);
        /* Only what is removed takes whole tables with it: replacing one by a large leaf would let the guest
         * see nothing there for a moment. */
        if (level <= 2 && whole && (!c->map || IS_ALIGNED(c->host, span)) &&
            (!leads_on(*slot, level) || !(c->map || c->keep))) {
            set_leaf(vm, slot, level, c);
            return span;
        }
        t = descend(vm, slot, level);
        if (!t)
            return 0;
        level--;
    }
}

static int change_range(struct vm *vm, u64 addr, u64 size, struct change c)
{
    const bool remove = !c.map && !c.keep;

    while (size) {
        u64 n = change_one(vm, addr, size, &c);
        u64 next = addr + n;

        if (!n)
            return -ENOMEM_;
        if (remove && (n == size || IS_ALIGNED(next, SIZE_2M)))
            prune(vm, addr, n == size || IS_ALIGNED(next, SIZE_1G) ? TOP : 1);
        addr = next;
        c.host += n;
        size -= n;
    }
    return 0;
}

static u64 bits_of(u32 prot)
{
    u64 bits = s2_leaf_bits(prot);

    /* What is mapped can be read, whatever was asked for: neither format knows better. */
    return bits ? bits | (u64)(prot | MEM_R) << S2_PROT_SHIFT : 0;
}

int arch_s2_map(struct vm *vm, gpa_t gpa_, hpa_t hpa_, u64 size, u32 prot)
{
    ASSERT(IS_ALIGNED(gpa_.v | hpa_.v | size, PAGE_SIZE));
    return change_range(vm, gpa_.v, size,
                        (struct change){.host = hpa_.v, .bits = bits_of(prot), .map = true});
}

int arch_s2_protect(struct vm *vm, gpa_t gpa_, u64 size, u32 prot)
{
    ASSERT(IS_ALIGNED(gpa_.v | size, PAGE_SIZE));
    return change_range(vm, gpa_.v, size, (struct change){.bits = bits_of(prot), .keep = true});
}

int arch_s2_unmap(struct vm *vm, gpa_t gpa_, u64 size)
{
    ASSERT(IS_ALIGNED(gpa_.v | size, PAGE_SIZE));
    return change_range(vm, gpa_.v, size, (struct change){.bits = 0});
}

u64 arch_s2_mapped(struct vm *vm, gpa_t gpa_, u64 size)
{
    u64 addr = gpa_.v, sum = 0;

    while (size) {
        const u64 *t = root(vm);
        unsigned level = TOP;
        u64 e, span;

        while (e = t[(addr >> level_shift(level)) & 511], leads_on(e, level)) {
            t = table_of(e);
            level--;
        }
        span = BIT64(level_shift(level));
        span = MIN(span - (addr & (span - 1)), size);
        if (e & S2_PRESENT)
            sum += span;
        addr += span;
        size -= span;
    }
    return sum;
}

bool arch_s2_stale(const struct vm *vm)
{
    return pool[vm->id].stale;
}

void arch_s2_settle(struct vm *vm)
{
    u32 n = pool[vm->id].emptied;

    while (n) {
        u64 *t = slice_page(vm, n - 1);

        n = (u32)(t[0] >> 3);
        t[0] = pool[vm->id].free;
        pool[vm->id].free = (u32)((u64)(t - slice_page(vm, 0)) / 512) + 1;
    }
    pool[vm->id].emptied = 0;
    pool[vm->id].stale = false;
}

static inline bool leaf(u64 e, u64 addr, u64 span, struct s2_leaf *out)
{
    u64 off = addr & (span - 1);

    out->hpa = hpa((e & S2_ADDR & ~(span - 1)) | off);
    out->left = span - off;
    out->prot = (u8)(e >> S2_PROT_SHIFT);
    return true;
}

/* Written out level by level: it is part of every emulated access, several times over. */
bool arch_s2_translate(struct vm *vm, gpa_t gpa_, struct s2_leaf *out)
{
    u64 a = gpa_.v, e;

    if (UNLIKELY(a >> 48))
        return false;
    e = atomic_load(&root(vm)[a >> 39]);
    if (UNLIKELY(!(e & S2_PRESENT)))
        return false;
    e = atomic_load(&table_of(e)[(a >> 30) & 511]);
    if (UNLIKELY(!(e & S2_PRESENT)))
        return false;
    if (e & S2_LARGE)
        return leaf(e, a, SIZE_1G, out);
    e = atomic_load(&table_of(e)[(a >> 21) & 511]);
    if (UNLIKELY(!(e & S2_PRESENT)))
        return false;
    if (e & S2_LARGE)
        return leaf(e, a, SIZE_2M, out);
    e = atomic_load(&table_of(e)[(a >> 12) & 511]);
    return (e & S2_PRESENT) && leaf(e, a, PAGE_SIZE, out);
}

void arch_s2_flush(struct vm *vm)
{
    for (u16 i = 0; i < vm->vcpu_count; i++)
        vcpu_request(&vm->vcpus[i], VCPU_REQ_FLUSH);
}
