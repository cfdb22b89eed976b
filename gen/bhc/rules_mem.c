/* Rules about host memory: the hypervisor's own and the VMs'. */
#include "rules.h"
#include "windows.h"

#include <inttypes.h>

/* A loop over every RAM block `r` of every VM `vm`; both are declared by it. */
/* NOLINTBEGIN(bugprone-macro-parentheses): names that a macro declares cannot stand in parentheses */
#define FOR_EACH_RAM(config, vm, r)                                                                          \
    for (const struct vm *vm = (config)->scenario.vms, *vm##_end = vm + (config)->scenario.vm_count;         \
         vm < vm##_end; vm++)                                                                                \
        for (const struct vm_ram *r = vm->ram, *r##_end = r + vm->ram_count; r < r##_end; r++)
/* NOLINTEND(bugprone-macro-parentheses) */

/* Host memory whose place the scenario names: a VM's RAM block, or a shared memory. */
struct block {
    struct where at;
    const struct vm *vm;   /* NULL: a shared memory */
    const struct shm *shm; /* NULL: a VM's */
    u64 base, size;
};

/* Those whose base is given: VMs' first, in the order of the file. */
static struct block *fixed_blocks(const struct config *c, size_t *count)
{
    const struct scenario *s = &c->scenario;
    size_t room = s->shm_count, n = 0;
    struct block *blocks;

    for (size_t i = 0; i < s->vm_count; i++)
        room += s->vms[i].ram_count;
    blocks = arena_alloc(room, sizeof(*blocks));
    FOR_EACH_RAM(c, vm, r)
    {
        if (r->fixed)
            blocks[n++] = (struct block){r->at, vm, NULL, r->base, r->size};
    }
    for (size_t i = 0; i < s->shm_count; i++) {
        const struct shm *m = &s->shms[i];

        if (m->fixed)
            blocks[n++] = (struct block){m->at, NULL, m, m->base, m->size};
    }
    *count = n;
    return blocks;
}

/* Those of them whose range can be reasoned about; MEM-001, MEM-002 and SHM-002 report the others. */
static struct block *sane_blocks(const struct config *c, size_t *count)
{
    struct block *blocks = fixed_blocks(c, count);
    size_t n = 0;

    for (size_t i = 0; i < *count; i++) {
        if (range_sane(blocks[i].base, blocks[i].size))
            blocks[n++] = blocks[i];
    }
    *count = n;
    return blocks;
}

/* "vm 'rt0' memory" */
static const char *block_name(const struct block *k)
{
    return k->vm ? arena_printf("vm '%s' memory", k->vm->name)
                 : arena_printf("shared memory '%s'", k->shm->name);
}

/* The same with its range. */
static const char *block_text(const struct block *k)
{
    return arena_printf("%s %s", block_name(k), range_text(k->base, k->size));
}

RULE(mem_size)
{
    FOR_EACH_RAM(config, vm, r)
    {
        if (r->size == 0)
            MISTAKE(r->at, "vm '%s' has a RAM block of size 0; give its size, such as 256M", vm->name);
        else if (!IS_ALIGNED(r->size, PAGE_SIZE))
            MISTAKE(r->at,
                    "vm '%s' has a RAM block of size %s, which is not a whole number of 4 KiB pages; round "
                    "it to %s",
                    vm->name, size_text(r->size),
                    size_text(r->size > UINT64_MAX - PAGE_MASK ? ALIGN_DOWN(r->size, PAGE_SIZE)
                                                               : ALIGN_UP(r->size, PAGE_SIZE)));
        else if (r->size > PHYS_LIMIT)
            MISTAKE(r->at,
                    "vm '%s' has a RAM block of size %s, more than physical addresses can reach; correct the "
                    "size",
                    vm->name, size_text(r->size));
    }
}

RULE(mem_base)
{
    size_t count;
    const struct block *blocks = fixed_blocks(config, &count);

    for (const struct block *k = blocks; k < blocks + count; k++) {
        if (!IS_ALIGNED(k->base, PAGE_SIZE))
            MISTAKE(k->at,
                    "%s base 0x%" PRIx64
                    " is not a multiple of 4 KiB; use a multiple of 2M, or leave base out to have it placed",
                    block_name(k), k->base);
        if (k->size != 0 && k->size <= PHYS_LIMIT && !range_sane(k->base, k->size))
            MISTAKE(
                k->at,
                "%s reaches beyond 2^52, the end of physical addresses; give it another base or leave it out "
                "to have it placed",
                block_text(k));
    }
}

/* The blocks, the image and the module store that do not lie inside the board's RAM as a whole. */
struct outside {
    size_t count;
    const struct block **blocks;
    bool image, store;
    const struct window *windows; /* of the board; x has their indices. Only when anything is outside */
    struct extents x;
};

static bool is_outside(const struct range_set *ram, u64 base, u64 size)
{
    return range_sane(base, size) && !ranges_contain(ram, base, size);
}

static struct outside find_outside(const struct config *c)
{
    const struct hypervisor *hv = &c->scenario.hv;
    struct range_set ram = board_ram(&c->board);
    size_t count, registers;
    const struct block *blocks = sane_blocks(c, &count);
    struct outside o = {
        /* Pointers. NOLINTNEXTLINE(bugprone-sizeof-expression) */
        .blocks = arena_alloc(count, sizeof(*o.blocks)),
        .image = is_outside(&ram, hv->image_base, hv->image_size),
        .store = is_outside(&ram, hv->store_base, hv->store_size),
    };

    for (const struct block *k = blocks; k < blocks + count; k++) {
        if (is_outside(&ram, k->base, k->size))
            o.blocks[o.count++] = k;
    }
    if (o.count == 0 && !o.image && !o.store)
        return o;
    o.windows = board_windows(&c->board, &registers, &count);
    o.x = extents_new(count);
    for (size_t i = 0; i < count; i++)
        extents_add(&o.x, o.windows[i].base, o.windows[i].size, i);
    extents_sort(&o.x);
    return o;
}

RULE(mem_inside_ram)
{
    struct outside o = find_outside(config);

    for (size_t i = 0; i < o.count; i++) {
        const struct block *k = o.blocks[i];

        if (!extents_find(&o.x, k->base, k->size)) /* MEM-015 */
            MISTAKE(k->at,
                    "%s is not inside the RAM of board '%s'; give it another base or leave it out to have it "
                    "placed",
                    block_text(k), config->board.name);
    }
}

/* "the local APIC (0xfee00000+4K) of board 'x' (line 16)" */
static const char *way_text(const struct config *c, const struct outside *o, const struct extent *e)
{
    return arena_printf("%s of board '%s' (line %ld)", window_text(&c->board, &o->windows[e->index]),
                        c->board.name, o->windows[e->index].at.line);
}

/* What lies inside RAM overlaps a window only where the window does, which BRD-011 and BRD-022 report. */
RULE(mem_overlap_windows)
{
    const struct hypervisor *hv = &config->scenario.hv;
    struct outside o = find_outside(config);
    const struct extent *e;

    for (size_t i = 0; i < o.count; i++) {
        const struct block *k = o.blocks[i];

        e = extents_find(&o.x, k->base, k->size);
        if (e)
            MISTAKE(k->at, "%s overlaps %s; give it another base or leave it out to have it placed",
                    block_text(k), way_text(config, &o, e));
    }
    e = o.image ? extents_find(&o.x, hv->image_base, hv->image_size) : NULL;
    if (e)
        MISTAKE(hv->image_at, "the hypervisor's image %s overlaps %s; give <image> another base",
                range_text(hv->image_base, hv->image_size), way_text(config, &o, e));
    e = o.store ? extents_find(&o.x, hv->store_base, hv->store_size) : NULL;
    if (e)
        MISTAKE(hv->store_at, "the module store %s overlaps %s; give <module-store> another base",
                range_text(hv->store_base, hv->store_size), way_text(config, &o, e));
}

RULE(mem_overlap_vm)
{
    struct overlap *pairs;
    struct extents x;
    size_t count, found;
    const struct block *blocks = sane_blocks(config, &count);

    x = extents_new(count);
    for (size_t i = 0; i < count; i++)
        extents_add(&x, blocks[i].base, blocks[i].size, i);
    extents_sort(&x);
    found = extents_overlaps(&x, &pairs);
    for (size_t i = 0; i < found; i++) {
        const struct block *k = &blocks[pairs[i].later], *other = &blocks[pairs[i].earlier];

        MISTAKE(k->at, "%s overlaps %s (line %ld); give it another base or leave it out to have it placed",
                block_text(k), block_text(other), other->at.line);
    }
}

RULE(mem_overlap_hypervisor)
{
    const struct hypervisor *hv = &config->scenario.hv;
    size_t count;
    const struct block *blocks = sane_blocks(config, &count);

    for (const struct block *k = blocks; k < blocks + count; k++) {
        if (range_sane(hv->image_base, hv->image_size) &&
            ranges_meet(k->base, k->size, hv->image_base, hv->image_size))
            MISTAKE(k->at,
                    "%s overlaps the hypervisor's image %s; give it another base or leave it out to have it "
                    "placed",
                    block_text(k), range_text(hv->image_base, hv->image_size));
        if (range_sane(hv->store_base, hv->store_size) &&
            ranges_meet(k->base, k->size, hv->store_base, hv->store_size))
            MISTAKE(k->at,
                    "%s overlaps the module store %s; give it another base or leave it out to have it placed",
                    block_text(k), range_text(hv->store_base, hv->store_size));
    }
}

RULE(mem_overlap_reserved)
{
    const struct board *b = &config->board;
    struct extents reserved = extents_new(b->reserved_count);
    size_t count;
    const struct block *blocks = sane_blocks(config, &count);

    for (size_t i = 0; i < b->reserved_count; i++) {
        if (b->reserved[i].base >= MIB(1))
            extents_add(&reserved, b->reserved[i].base, b->reserved[i].size, i);
    }
    extents_sort(&reserved);
    for (const struct block *k = blocks; k < blocks + count; k++) {
        const struct extent *e = extents_find(&reserved, k->base, k->size);

        if (k->base < MIB(1))
            MISTAKE(
                k->at,
                "%s overlaps the first MiB, which firmware and the start of other CPUs need; give it another "
                "base or leave it out to have it placed",
                block_text(k));
        if (e)
            MISTAKE(k->at,
                    "%s overlaps memory that board '%s' reserves, '%s' %s (line %ld); give it another base "
                    "or leave "
                    "it out to have it placed",
                    block_text(k), b->name, b->reserved[e->index].what, range_text(e->base, e->size),
                    b->reserved[e->index].at.line);
    }
}

RULE(mem_first_block)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_ram *first = &s->vms[i].ram[0];

        if (s->vms[i].ram_count == 0)
            continue; /* VM-005 says so where RAM is wanted */
        if (first->size != 0 && first->size < SIZE_2M)
            MISTAKE(first->at,
                    "vm '%s' begins with a RAM block of %s, but firmware tables and loaders need 2M from "
                    "address 0; make it at least 2M",
                    s->vms[i].name, size_text(first->size));
    }
}

RULE(mem_total)
{
    struct range_set room = guest_ram(config);
    u64 total = 0;

    FOR_EACH_RAM(config, vm, r)
    {
        if (r->size > PHYS_LIMIT || __builtin_add_overflow(total, r->size, &total))
            return; /* MEM-001 has reported it */
    }
    for (size_t i = 0; i < config->scenario.shm_count; i++) {
        u64 size = config->scenario.shms[i].size;

        if (size > PHYS_LIMIT || __builtin_add_overflow(total, size, &total))
            return; /* SHM-002 has reported it, or MEM-002 or MEM-009 will */
    }
    if (total > ranges_total(&room))
        MISTAKE(config->scenario.at,
                "the VMs ask for %s of RAM together, but board '%s' has %s beside the hypervisor and its "
                "modules; shrink <ram> by "
                "%s or use a larger board",
                size_text(total), config->board.name, size_text(ranges_total(&room)),
                size_text(total - ranges_total(&room)));
}

RULE(mem_large_pages)
{
    size_t count;
    const struct block *blocks = sane_blocks(config, &count);

    for (const struct block *k = blocks; k < blocks + count; k++) {
        /* A shared memory smaller than a large page is mapped by small ones wherever it lies. */
        if (IS_ALIGNED(k->base, PAGE_SIZE) && !IS_ALIGNED(k->base, SIZE_2M) && (k->vm || k->size >= SIZE_2M))
            MISTAKE(
                k->at,
                "%s base 0x%" PRIx64
                " is not a multiple of 2M, so small pages will map it: slower, and with larger tables; use a "
                "multiple of 2M",
                block_name(k), k->base);
    }
}

RULE(mem_blocks)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].ram_count > MAX_RAM_BLOCKS)
            MISTAKE(s->vms[i].memory_at,
                    "vm '%s' has %zu RAM blocks, but at most %d are supported; join some", s->vms[i].name,
                    s->vms[i].ram_count, MAX_RAM_BLOCKS);
    }
}

RULE(hv_image)
{
    const struct hypervisor *hv = &config->scenario.hv;
    u64 base = hv->image_base, size = hv->image_size;

    if (size == 0 || !IS_ALIGNED(size, SIZE_2M) || !IS_ALIGNED(base, SIZE_2M))
        MISTAKE(hv->image_at,
                "the hypervisor's image %s is empty or does not consist of whole 2 MiB pages; make base and "
                "size multiples of 2M",
                range_text(base, size));
    else if (base < MIB(1) || base >= GIB(2) || size > GIB(2) - base)
        MISTAKE(hv->image_at,
                "the hypervisor's image %s does not lie between 1 MiB and 2 GiB, where boot loaders can put "
                "it; give it another base",
                range_text(base, size));
}

RULE(hv_inside_ram)
{
    const struct hypervisor *hv = &config->scenario.hv;
    struct outside o = find_outside(config);

    if (o.image && !extents_find(&o.x, hv->image_base, hv->image_size)) /* MEM-015 */
        MISTAKE(hv->image_at,
                "the hypervisor's image %s is not inside the RAM of board '%s'; give <image> another base",
                range_text(hv->image_base, hv->image_size), config->board.name);
    if (o.store && !extents_find(&o.x, hv->store_base, hv->store_size))
        MISTAKE(hv->store_at,
                "the module store %s is not inside the RAM of board '%s'; give <module-store> another base "
                "or shrink the modules' max-size",
                range_text(hv->store_base, hv->store_size), config->board.name);
}

RULE(hv_store)
{
    const struct scenario *s = &config->scenario;
    const struct hypervisor *hv = &s->hv;
    u64 need = 0;

    for (size_t i = 0; i < s->module_count; i++)
        need += s->modules[i].store_size; /* each at most 1 TiB (read_scenario.c): no overflow */
    if (!IS_ALIGNED(hv->store_base | hv->store_size, PAGE_SIZE))
        MISTAKE(
            hv->store_at,
            "the module store %s does not consist of whole 4 KiB pages; make base and size multiples of 4K",
            range_text(hv->store_base, hv->store_size));
    if (hv->store_size < need)
        MISTAKE(
            hv->store_at,
            "the module store has room for %s, but the modules may need %s; enlarge it or leave its size out",
            size_text(hv->store_size), size_text(need));
    if (hv->store_base < MIB(1) || (hv->store_size != 0 && !range_sane(hv->store_base, hv->store_size)))
        MISTAKE(hv->store_at, "the module store %s does not lie between 1 MiB and 2^52; give it another base",
                range_text(hv->store_base, hv->store_size));
}

RULE(hv_overlap)
{
    const struct hypervisor *hv = &config->scenario.hv;
    bool image = range_sane(hv->image_base, hv->image_size),
         store = range_sane(hv->store_base, hv->store_size);

    if (image && store && ranges_meet(hv->image_base, hv->image_size, hv->store_base, hv->store_size))
        MISTAKE(hv->store_at,
                "the module store %s overlaps the hypervisor's image %s; give it another base or leave it "
                "out to have it placed",
                range_text(hv->store_base, hv->store_size), range_text(hv->image_base, hv->image_size));
    for (size_t i = 0; i < config->board.reserved_count; i++) {
        const struct region *r = &config->board.reserved[i];

        if (!range_sane(r->base, r->size))
            continue;
        if (image && ranges_meet(hv->image_base, hv->image_size, r->base, r->size))
            MISTAKE(hv->image_at,
                    "the hypervisor's image %s overlaps memory that board '%s' reserves, '%s' %s; give "
                    "<image> another base",
                    range_text(hv->image_base, hv->image_size), config->board.name, r->what,
                    range_text(r->base, r->size));
        if (store && ranges_meet(hv->store_base, hv->store_size, r->base, r->size))
            MISTAKE(hv->store_at,
                    "the module store %s overlaps memory that board '%s' reserves, '%s' %s; give "
                    "<module-store> another base",
                    range_text(hv->store_base, hv->store_size), config->board.name, r->what,
                    range_text(r->base, r->size));
    }
}
