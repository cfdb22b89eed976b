/* Rules about host memory: the hypervisor's own and the VMs'. */
#include "ranges.h"
#include "rules.h"

#include <inttypes.h>

/* A loop over every RAM block `r` of every VM `vm`; both are declared by it. */
/* NOLINTBEGIN(bugprone-macro-parentheses): names that a macro declares cannot stand in parentheses */
#define FOR_EACH_RAM(config, vm, r)                                                                          \
    for (const struct vm *vm = (config)->scenario.vms, *vm##_end = vm + (config)->scenario.vm_count;         \
         vm < vm##_end; vm++)                                                                                \
        for (const struct vm_ram *r = vm->ram, *r##_end = r + vm->ram_count; r < r##_end; r++)
/* NOLINTEND(bugprone-macro-parentheses) */

static bool fixed_and_sane(const struct vm_ram *r)
{
    return r->fixed && range_sane(r->base, r->size);
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
    FOR_EACH_RAM(config, vm, r)
    {
        if (!r->fixed)
            continue;
        if (!IS_ALIGNED(r->base, PAGE_SIZE))
            MISTAKE(r->at,
                    "vm '%s' memory base 0x%" PRIx64
                    " is not a multiple of 4 KiB; use a multiple of 2M, or leave base out to have it placed",
                    vm->name, r->base);
        if (r->size != 0 && r->size <= PHYS_LIMIT && !range_sane(r->base, r->size))
            MISTAKE(r->at,
                    "vm '%s' memory %s reaches beyond 2^52, the end of physical addresses; give it another "
                    "base or leave it out to have it "
                    "placed",
                    vm->name, range_text(r->base, r->size));
    }
}

RULE(mem_inside_ram)
{
    struct range_set ram = board_ram(&config->board);

    FOR_EACH_RAM(config, vm, r)
    {
        if (fixed_and_sane(r) && !ranges_contain(&ram, r->base, r->size))
            MISTAKE(r->at,
                    "vm '%s' memory %s is not inside the RAM of board '%s'; give it another base or leave it "
                    "out to have it placed",
                    vm->name, range_text(r->base, r->size), config->board.name);
    }
}

/* The first block before (vm, r), in the order of the file, that overlaps r. */
static const struct vm_ram *earlier_overlap(const struct config *c, const struct vm_ram *r,
                                            const char **owner)
{
    FOR_EACH_RAM(c, vm, other)
    {
        if (other == r)
            return NULL;
        if (fixed_and_sane(other) && ranges_meet(r->base, r->size, other->base, other->size)) {
            *owner = vm->name;
            return other;
        }
    }
    return NULL;
}

RULE(mem_overlap_vm)
{
    FOR_EACH_RAM(config, vm, r)
    {
        const char *owner = NULL;
        const struct vm_ram *other = fixed_and_sane(r) ? earlier_overlap(config, r, &owner) : NULL;

        if (other)
            MISTAKE(r->at,
                    "vm '%s' memory %s overlaps vm '%s' memory %s (line %ld); give it another base or leave "
                    "it out to have it placed",
                    vm->name, range_text(r->base, r->size), owner, range_text(other->base, other->size),
                    other->at.line);
    }
}

RULE(mem_overlap_hypervisor)
{
    const struct hypervisor *hv = &config->scenario.hv;

    FOR_EACH_RAM(config, vm, r)
    {
        if (!fixed_and_sane(r))
            continue;
        if (range_sane(hv->image_base, hv->image_size) &&
            ranges_meet(r->base, r->size, hv->image_base, hv->image_size))
            MISTAKE(r->at,
                    "vm '%s' memory %s overlaps the hypervisor's image %s; give it another base or leave it "
                    "out to have it placed",
                    vm->name, range_text(r->base, r->size), range_text(hv->image_base, hv->image_size));
        if (range_sane(hv->store_base, hv->store_size) &&
            ranges_meet(r->base, r->size, hv->store_base, hv->store_size))
            MISTAKE(r->at,
                    "vm '%s' memory %s overlaps the module store %s; give it another base or leave it out to "
                    "have it placed",
                    vm->name, range_text(r->base, r->size), range_text(hv->store_base, hv->store_size));
    }
}

RULE(mem_overlap_reserved)
{
    const struct board *b = &config->board;

    FOR_EACH_RAM(config, vm, r)
    {
        if (!fixed_and_sane(r))
            continue;
        if (r->base < MIB(1))
            MISTAKE(r->at,
                    "vm '%s' memory %s overlaps the first MiB, which firmware and the start of other CPUs "
                    "need; give it another base or "
                    "leave it out to have it placed",
                    vm->name, range_text(r->base, r->size));
        for (size_t i = 0; i < b->reserved_count; i++) {
            const struct region *res = &b->reserved[i];

            if (res->base >= MIB(1) && range_sane(res->base, res->size) &&
                ranges_meet(r->base, r->size, res->base, res->size)) {
                MISTAKE(r->at,
                        "vm '%s' memory %s overlaps memory that board '%s' reserves, '%s' %s; give it "
                        "another base or leave it out to have "
                        "it placed",
                        vm->name, range_text(r->base, r->size), b->name, res->what,
                        range_text(res->base, res->size));
                break;
            }
        }
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
    FOR_EACH_RAM(config, vm, r)
    {
        if (fixed_and_sane(r) && IS_ALIGNED(r->base, PAGE_SIZE) && !IS_ALIGNED(r->base, SIZE_2M))
            MISTAKE(r->at,
                    "vm '%s' memory base 0x%" PRIx64
                    " is not a multiple of 2M, so small pages will map it: slower, and with larger tables; "
                    "use a multiple of 2M",
                    vm->name, r->base);
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
    struct range_set ram = board_ram(&config->board);

    if (range_sane(hv->image_base, hv->image_size) && !ranges_contain(&ram, hv->image_base, hv->image_size))
        MISTAKE(hv->image_at,
                "the hypervisor's image %s is not inside the RAM of board '%s'; give <image> another base",
                range_text(hv->image_base, hv->image_size), config->board.name);
    if (range_sane(hv->store_base, hv->store_size) && !ranges_contain(&ram, hv->store_base, hv->store_size))
        MISTAKE(hv->store_at,
                "the module store %s is not inside the RAM of board '%s'; give <module-store> another base "
                "or shrink the modules' "
                "max-size",
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
