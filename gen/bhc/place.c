#include "place.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ranges.h"
#include "rules.h"

/*
 * Pages of second-level tables that a VM gets beyond those that map its RAM: one page table to take the first
 * 2 MiB apart (holes below 1 MiB), a page directory and page table for device pages below 4 GiB, and a few
 * spare ones.
 */
#define S2_RESERVE 8
/* The same for the service VM, whose tables single pages are split out of, and for user slots. */
#define S2_RESERVE_SERVICE 96
#define S2_RESERVE_USER    24
/* Room that the pool of second-level pages must leave in the image for everything else. */
#define IMAGE_RESERVE MIB(1)

/* Shared memories that may lie anywhere, each in one piece; before <ram>, being smaller. */
static void place_shared(struct config *c, struct range_set *room)
{
    /* Not where kernels want to lie: the service VM has the RAM that is left at the host's addresses. */
    if (c->scenario.shm_count > 0)
        ranges_subtract(room, 0, SIZE_2M);
    for (size_t i = 0; i < c->scenario.shm_count; i++) {
        struct shm *m = &c->scenario.shms[i];
        u64 largest;

        if (m->fixed)
            continue;
        if (!ranges_first_fit(room, m->size, MIN(m->size, SIZE_2M), &m->base, &largest)) {
            diag_add(
                SEV_ERROR, "MEM-009", m->at,
                "shared memory '%s' asks for %s of RAM in one piece, but the largest free piece of board "
                "'%s' is %s; ask for less, or move blocks that have a fixed base",
                m->name, size_text(m->size), c->board.name, size_text(largest));
            continue;
        }
        ranges_subtract(room, m->base, m->size);
    }
}

static void place_ram(struct config *c)
{
    struct range_set room = guest_ram(c);
    struct scenario *s = &c->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        if (s->shms[i].fixed)
            ranges_subtract(&room, s->shms[i].base, s->shms[i].size);
    }
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].ram_count; j++) {
            if (s->vms[i].ram[j].fixed)
                ranges_subtract(&room, s->vms[i].ram[j].base, s->vms[i].ram[j].size);
        }
    }
    place_shared(c, &room);
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

/* Pre-launched VMs first, then the service VM, then user slots, each in the order of the file. */
static void place_order(struct scenario *s)
{
    struct vm *sorted = arena_alloc(s->vm_count, sizeof(*sorted));
    size_t n = 0;

    for (enum vm_kind kind = KIND_PRELAUNCHED; kind < KIND_COUNT; kind++) {
        for (size_t i = 0; i < s->vm_count; i++) {
            if (s->vms[i].kind == kind)
                sorted[n++] = s->vms[i];
        }
    }
    s->vms = sorted;
}

/* The service VM gets every whole page of RAM that is nobody's, at guest addresses equal to the host's. */
static void place_service_ram(struct config *c, struct vm *service)
{
    const struct scenario *s = &c->scenario;
    struct range_set room = board_ram(&c->board);

    ranges_subtract(&room, s->hv.image_base, s->hv.image_size);
    ranges_subtract(&room, s->hv.store_base, s->hv.store_size);
    for (size_t i = 0; i < c->board.reserved_count; i++) {
        const struct region *r = &c->board.reserved[i];
        u64 base = ALIGN_DOWN(r->base, PAGE_SIZE);

        ranges_subtract(&room, base, ALIGN_UP(r->base + r->size, PAGE_SIZE) - base);
    }
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].ram_count; j++)
            ranges_subtract(&room, s->vms[i].ram[j].base, s->vms[i].ram[j].size);
    }
    for (size_t i = 0; i < s->shm_count; i++)
        ranges_subtract(&room, s->shms[i].base, s->shms[i].size);
    service->mem_count = room.count;
    service->mem = arena_alloc(room.count, sizeof(*service->mem));
    for (size_t i = 0; i < room.count; i++)
        service->mem[i] =
            (struct vm_mem){room.spans[i].base, room.spans[i].base, room.spans[i].end - room.spans[i].base};
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

/* The largest piece of RAM between 1 MiB and 4 GiB, where boot protocols can put things. */
static u64 largest_low_piece(const struct vm *vm)
{
    u64 largest = 0;

    for (size_t i = 0; i < vm->mem_count; i++) {
        u64 base = MAX(vm->mem[i].gpa, MIB(1)), end = MIN(vm->mem[i].gpa + vm->mem[i].size, GIB(4));

        if (base < end)
            largest = MAX(largest, end - base);
    }
    return largest;
}

static bool piece_holds(const struct vm *vm, u64 base, u64 size)
{
    for (size_t i = 0; i < vm->mem_count; i++) {
        const struct vm_mem *m = &vm->mem[i];

        if (base >= m->gpa && base - m->gpa < m->size && size <= m->size - (base - m->gpa))
            return true;
    }
    return false;
}

static void check_service_boot(const struct scenario *s, const struct vm *vm)
{
    const struct vm_boot *boot = &vm->boot;
    u32 initrd = boot->initrd ? module_index(s, boot->initrd) : NO_INDEX;
    const struct module *kernel = &s->modules[module_index(s, boot->kernel)];
    u64 need = kernel->store_size + (initrd == NO_INDEX ? 0 : s->modules[initrd].store_size);

    if (strcmp(boot->kind, "raw") == 0) {
        if (!piece_holds(vm, boot->load, kernel->max_size))
            diag_add(
                SEV_ERROR, "SVC-007", boot->at,
                "service vm '%s' loads its image at %s, which is not one piece of the RAM left for it; give "
                "another load",
                vm->name, range_text(boot->load, kernel->max_size));
    } else if (need > largest_low_piece(vm)) {
        diag_add(SEV_ERROR, "SVC-007", boot->at,
                 "service vm '%s' needs %s for its boot modules, but the largest piece of RAM left for it "
                 "between 1 "
                 "MiB and 4 GiB is %s; lower the modules' max-size or shrink <ram> of others",
                 vm->name, size_text(need), size_text(largest_low_piece(vm)));
    }
}

static void check_service_ram(const struct config *c, const struct vm *vm)
{
    const struct scenario *s = &c->scenario;
    u64 total = 0;

    for (size_t i = 0; i < vm->mem_count; i++)
        total += vm->mem[i].size;
    if (total < MIN_SERVICE_RAM) {
        diag_add(SEV_ERROR, "SVC-005", vm->at,
                 "service vm '%s' is left %s of RAM of board '%s', but at least %s are needed; shrink <ram> "
                 "of the "
                 "other VMs or use a larger board",
                 vm->name, size_text(total), c->board.name, size_text(MIN_SERVICE_RAM));
        return;
    }
    if (vm->mem_count > MAX_SERVICE_BLOCKS)
        diag_add(
            SEV_ERROR, "SVC-005", vm->at,
            "service vm '%s' is left RAM in %zu pieces, but its memory map holds %d; put what lies between "
            "them side by side: <ram base> of other VMs, <reserved> of the board",
            vm->name, vm->mem_count, MAX_SERVICE_BLOCKS);
    if (vm->mem[0].gpa != 0 || vm->mem[0].size > KIB(640) || (vm->mem_count > 1 && vm->mem[1].gpa < MIB(1)))
        diag_add(SEV_ERROR, "SVC-006", vm->at,
                 "service vm '%s' would see the RAM of board '%s' as it is, but that does not begin at 0 and "
                 "leave "
                 "out 0xa0000 to 0xfffff as on a PC; correct <ram> of the board",
                 vm->name, c->board.name);
    check_service_boot(s, vm);
    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].kind == KIND_USER && s->vms[i].mem_limit > total)
            diag_add(SEV_ERROR, "USR-005", s->vms[i].memory_at,
                     "user slot '%s' has a memory limit of %s, but service vm '%s', which its memory comes "
                     "from, has "
                     "only %s; lower the limit",
                     s->vms[i].name, size_text(s->vms[i].mem_limit), vm->name, size_text(total));
    }
}

/* Memory BARs that the file does not move are seen where the host has them. */
static void place_bars(const struct board *b, struct vm_device *d)
{
    const struct pci_function *f = pci_find(b, d->bdf);
    struct vm_bar *bars = arena_alloc(f ? f->bar_count : 0, sizeof(*bars));
    size_t count = 0;

    for (size_t i = 0; f && i < f->bar_count; i++) {
        const struct pci_bar *bar = &f->bars[i];

        if (bar->is_io)
            continue;
        bars[count] = (struct vm_bar){d->at, bar->index, bar->base, bar->size};
        for (size_t j = 0; j < d->bar_count; j++) {
            if (d->bars[j].index == bar->index)
                bars[count].gpa = d->bars[j].gpa;
        }
        count++;
    }
    d->bars = bars;
    d->bar_count = count;
}

/*
 * Virtual PCI addresses on bus 0 from device 1 on, device 0 being the host bridge: the lowest free device, in
 * the order of the file. A rule has seen to it that the given ones differ.
 */
static void place_devices(const struct board *b, struct vm *vm)
{
    u32 used = 1;

    for (size_t i = 0; i < vm->device_count; i++) {
        if (vm->devices[i].has_virtual && vm->devices[i].virtual_bdf < 0x100)
            used |= BIT32(vm->devices[i].virtual_bdf >> 3);
    }
    for (size_t i = 0; i < vm->device_count; i++) {
        struct vm_device *d = &vm->devices[i];
        u32 slot = 0;

        place_bars(b, d);
        if (d->has_virtual)
            continue;
        while (slot < 32 && (used & BIT32(slot)))
            slot++;
        if (slot == 32) {
            diag_add(SEV_ERROR, "PCI-004", d->at,
                     "vm '%s' has no virtual PCI address left for device %s: 31 devices fit its bus 0; give "
                     "devices the same device number in virtual=, with functions 1 to 7, or take some away",
                     vm->name, d->address);
            return;
        }
        used |= BIT32(slot);
        d->virtual_bdf = (u16)(slot << 3);
        d->virtual_address = arena_printf("00:%02x.0", (unsigned)slot);
    }
}

static void place_joints(struct scenario *s)
{
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].vuart_count; j++)
            s->vms[i].vuarts[j].peer = NO_INDEX;
    }
    for (size_t i = 0; i < s->link_count; i++) {
        struct vm_vuart *uart[2];
        u32 index[2];

        for (size_t j = 0; j < 2; j++) {
            const struct vm *vm = &s->vms[vm_index(s, s->links[i].ends[j].vm)];

            uart[j] = vuart_find(vm, s->links[i].ends[j].port);
            index[j] = vm->first_vuart + (u32)(uart[j] - vm->vuarts);
        }
        uart[0]->peer = index[1];
        uart[1]->peer = index[0];
    }
    for (size_t i = 0; i < s->shm_count; i++) {
        for (size_t j = 0; j < s->shms[i].user_count; j++) {
            struct shm_user *user = &s->shms[i].users[j];

            if (!user->has_gpa)
                user->gpa = s->shms[i].base;
            s->vms[vm_index(s, user->vm)].shm_count++;
        }
    }
    for (size_t i = 0; i < s->vm_count; i++) {
        s->vms[i].first_shm = s->shm_user_total;
        s->shm_user_total += s->vms[i].shm_count;
    }
    for (size_t i = 0; i < s->class_count; i++) {
        for (size_t j = 0; j < s->classes[i].user_count; j++)
            s->vms[vm_index(s, s->classes[i].users[j].vm)].clos = (u32)s->classes[i].id;
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
    return pages;
}

/*
 * What the service VM needs beyond its RAM (src/x86/vdev/host_mem.c): the four page directories below 4 GiB,
 * under which the device windows lie, a page-directory-pointer table for each 512 GiB below 2^42, and for
 * each BAR above 4 GiB what it takes to treat a page of it apart.
 */
static u64 s2_pages_devices(const struct board *b)
{
    u64 pages = 4 + 8;

    for (size_t i = 0; i < b->pci_count; i++) {
        for (size_t j = 0; j < b->pci[i].bar_count; j++) {
            if (!b->pci[i].bars[j].is_io && b->pci[i].bars[j].base >= GIB(4))
                pages += 3;
        }
    }
    return pages;
}

/* Enough to map the whole limit in 4 KiB pages, in a region below 4 GiB and one above. */
static u64 s2_pages_user(const struct vm *vm)
{
    return vm->mem_limit / SIZE_2M + 2 * (vm->mem_limit / GIB(1) + 1) + S2_RESERVE_USER;
}

/* A shared memory's own page-directory-pointer table, directories and page tables, as if nothing else lay
 * near. */
static u64 s2_pages_shared(const struct scenario *s, const struct vm *vm)
{
    u64 pages = 0;

    for (size_t i = 0; i < s->shm_count; i++) {
        for (size_t j = 0; j < s->shms[i].user_count; j++) {
            if (strcmp(s->shms[i].users[j].vm, vm->name) == 0)
                pages += 4 + s->shms[i].size / GIB(1) + s->shms[i].size / SIZE_2M + 1;
        }
    }
    return pages;
}

static u64 s2_pages_of(const struct board *b, const struct vm *vm)
{
    switch (vm->kind) {
    case KIND_SERVICE:
        return s2_pages(vm) + s2_pages_devices(b) + S2_RESERVE_SERVICE;
    case KIND_USER:
        return s2_pages_user(vm);
    default:
        return s2_pages(vm) + S2_RESERVE;
    }
}

static void place_tables(struct config *c)
{
    struct scenario *s = &c->scenario;
    u64 total = 0;

    for (size_t i = 0; i < s->vm_count; i++) {
        struct vm *vm = &s->vms[i];
        u64 pages = s2_pages_of(&c->board, vm) + s2_pages_shared(s, vm);

        /* Board RAM ends below 2^52: at most 2^31 page tables each. */
        vm->s2_pages = (u32)pages;
        vm->first_s2_page = (u32)total;
        total += pages;
    }
    if (total * PAGE_SIZE + IMAGE_RESERVE > s->hv.image_size) {
        diag_add(SEV_ERROR, "MEM-011", s->hv.image_at,
                 "second-level tables for %zu VMs need %s, too much for a hypervisor image of %s; align "
                 "fixed bases to 2M so that large pages serve, lower the memory limits of user slots, or "
                 "enlarge <image size>",
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
        vm->first_pcpu = s->pcpu_total;
        vm->first_device = s->device_total;
        s->vcpu_total += (u32)vm->vcpu_count;
        s->pcpu_total += (u32)vm->cpu_count;
        s->device_total += (u32)vm->device_count;
        s->mem_total += (u32)vm->mem_count;
        s->vuart_total += (u32)vm->vuart_count;
        s->vcpu_max = MAX(s->vcpu_max, (u32)vm->vcpu_count);
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
    place_order(&c->scenario);
    place_ram(c);
    if (diag_count(SEV_ERROR) > 0)
        return false;
    for (size_t i = 0; i < c->scenario.vm_count; i++) {
        struct vm *vm = &c->scenario.vms[i];

        if (vm->kind != KIND_SERVICE)
            place_devices(&c->board, vm);
        if (vm->kind == KIND_PRELAUNCHED)
            place_guest_addresses(vm);
        else if (vm->kind == KIND_SERVICE) {
            place_service_ram(c, vm);
            check_service_ram(c, vm);
        }
    }
    if (diag_count(SEV_ERROR) > 0)
        return false;
    place_indices(&c->scenario);
    place_joints(&c->scenario);
    place_tables(c);
    rules_run(SCOPE_PLACING, c);
    return diag_count(SEV_ERROR) == 0;
}
