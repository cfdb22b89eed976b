#include "place.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ranges.h"

/*
 * Pages of second-level tables that a VM gets beyond those that map its RAM: one page table to take the first
 * 2 MiB apart (holes below 1 MiB), a page directory and page table for device pages below 4 GiB, and a few
 * spare ones.
 */
#define S2_RESERVE 8
/* Room that the pool of second-level pages must leave in the image for everything else. */
#define IMAGE_RESERVE MIB(1)

static void place_ram(struct config *c)
{
    struct range_set room = guest_ram(c);
    struct scenario *s = &c->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].ram_count; j++) {
            if (s->vms[i].ram[j].fixed)
                ranges_subtract(&room, s->vms[i].ram[j].base, s->vms[i].ram[j].size);
        }
    }
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].ram_count; j++) {
            struct vm_ram *r = &s->vms[i].ram[j];
            u64 largest;

            if (r->fixed)
                continue;
            if (!ranges_first_fit(&room, r->size, SIZE_2M, &r->base, &largest)) {
                diag_add(SEV_ERROR, "MEM-009", r->at,
                         "vm '%s' asks for %s of RAM in one piece, but the largest free piece of board '%s' "
                         "is %s; ask for less, "
                         "give it in several <ram> blocks, or move blocks that have a fixed base",
                         s->vms[i].name, size_text(r->size), c->board.name, size_text(largest));
                continue;
            }
            ranges_subtract(&room, r->base, r->size);
        }
    }
}

/* Guest-physical addresses: block after block from 0, and what does not fit below LOW_RAM_LIMIT from
 * HIGH_RAM_BASE on. */
static void place_guest_addresses(struct vm *vm)
{
    u64 guest = 0;

    vm->mem = arena_alloc(vm->ram_count + 1, sizeof(*vm->mem));
    for (size_t i = 0; i < vm->ram_count; i++) {
        u64 host = vm->ram[i].base, left = vm->ram[i].size;

        while (left > 0) {
            u64 size = guest < LOW_RAM_LIMIT ? MIN(left, LOW_RAM_LIMIT - guest) : left;

            vm->mem[vm->mem_count++] = (struct vm_mem){guest, host, size};
            host += size;
            guest += size;
            left -= size;
            if (guest == LOW_RAM_LIMIT)
                guest = HIGH_RAM_BASE;
        }
    }
}

/* Counts table pages of one level: frames [first, last] of which those up to *done have been counted. */
static u64 count_new(u64 first, u64 last, u64 *done)
{
    u64 count;

    if (*done != UINT64_MAX && first <= *done)
        first = *done + 1;
    if (last < first || (*done != UINT64_MAX && last <= *done))
        return 0;
    count = last - first + 1;
    *done = last;
    return count;
}

/*
 * Pages that map the VM's RAM: the root, page-directory-pointer tables (512 GiB each), page directories (1
 * GiB each, also where a 1 GiB leaf might save one), and page tables for each 2 MiB that no 2 MiB leaf can
 * map.
 */
static u64 s2_pages(const struct vm *vm)
{
    u64 pages = 1, pdpt = UINT64_MAX, pd = UINT64_MAX, pt = UINT64_MAX;

    for (size_t i = 0; i < vm->mem_count; i++) {
        const struct vm_mem *m = &vm->mem[i];
        u64 first = m->gpa, last = m->gpa + m->size - 1;

        pages += count_new(first >> 39, last >> 39, &pdpt);
        pages += count_new(first >> 30, last >> 30, &pd);
        if (!IS_ALIGNED(m->gpa ^ m->hpa, SIZE_2M)) {
            pages += count_new(first >> 21, last >> 21, &pt);
            continue;
        }
        if (!IS_ALIGNED(first, SIZE_2M))
            pages += count_new(first >> 21, first >> 21, &pt);
        if (!IS_ALIGNED(last + 1, SIZE_2M))
            pages += count_new(last >> 21, last >> 21, &pt);
    }
    return pages + S2_RESERVE;
}

static void place_tables(struct config *c)
{
    struct scenario *s = &c->scenario;
    u64 total = 0;

    for (size_t i = 0; i < s->vm_count; i++) {
        struct vm *vm = &s->vms[i];
        u64 pages = s2_pages(vm);

        /* Board RAM ends below 2^52: at most 2^31 page tables each. */
        vm->s2_pages = (u32)pages;
        vm->first_s2_page = (u32)total;
        total += pages;
    }
    if (total * PAGE_SIZE + IMAGE_RESERVE > s->hv.image_size) {
        diag_add(SEV_ERROR, "MEM-011", s->hv.image_at,
                 "second-level tables for %zu VMs need %s, too much for a hypervisor image of %s; align "
                 "fixed bases to 2M "
                 "so that large pages serve, or enlarge <image size>",
                 s->vm_count, size_text(total * PAGE_SIZE), size_text(s->hv.image_size));
        total = 0;
    }
    s->s2_total = (u32)total;
}

static void place_indices(struct scenario *s)
{
    for (size_t i = 0; i < s->vm_count; i++) {
        struct vm *vm = &s->vms[i];

        vm->first_vcpu = s->vcpu_total;
        vm->first_mem = s->mem_total;
        vm->first_vuart = s->vuart_total;
        s->vcpu_total += (u32)vm->cpu_count;
        s->mem_total += (u32)vm->mem_count;
        s->vuart_total += (u32)vm->vuart_count;
        s->vcpu_max = MAX(s->vcpu_max, (u32)vm->cpu_count);
        vm->boot.kernel_index = module_index(s, vm->boot.kernel);
        vm->boot.initrd_index = vm->boot.initrd ? module_index(s, vm->boot.initrd) : NO_INDEX;
    }
}

static int compare_regions(const void *a, const void *b)
{
    const struct region *x = a, *y = b;

    return x->base < y->base ? -1 : x->base > y->base;
}

bool place(struct config *c)
{
    qsort(c->board.ram, c->board.ram_count, sizeof(c->board.ram[0]), compare_regions);
    place_ram(c);
    if (diag_count(SEV_ERROR) > 0)
        return false;
    for (size_t i = 0; i < c->scenario.vm_count; i++)
        place_guest_addresses(&c->scenario.vms[i]);
    place_indices(&c->scenario);
    place_tables(c);
    return diag_count(SEV_ERROR) == 0;
}
