/* Rules about guest-physical memory: what VMs see where. */
#include "owners.h"
#include "windows.h"

#include <inttypes.h>
#include <string.h>

#include "x86/guest/firmware.h"
#include "x86/vdev/platform_map.h"

/* What lies at a guest-physical address. */
struct seen {
    struct where at;
    const char *what; /* one of these is given */
    const struct window *window;
    const struct vm_device *device; /* its BAR of that number */
    const struct shm *shm;
    unsigned bar;
    u64 base, size;
};

/* One VM's, and room for more. */
struct guest_map {
    struct seen *list;
    size_t count;
};

static const char *seen_text(const struct board *b, const struct seen *x)
{
    const char *range = range_text(x->base, x->size);

    if (x->window)
        return window_text(b, x->window);
    if (x->what)
        return arena_printf("%s (%s)", x->what, range);
    return x->shm ? arena_printf("shared memory '%s' (%s)", x->shm->name, range)
                  : arena_printf("BAR %u of PCI device %s (%s)", x->bar, x->device->address, range);
}

static void add(struct guest_map *m, struct where at, const char *what, u64 base, u64 size)
{
    m->list[m->count++] = (struct seen){.at = at, .what = what, .base = base, .size = size};
}

/* Pre-launched VMs: src/x86/vdev/platform_map.h, src/x86/guest/firmware.h. User VMs have the same APICs. The
 * messages of MSI go to the MiB from the local APIC's page on (SDM vol. 3A 10.11.1). */
static void add_platform(struct guest_map *m, const struct vm *vm)
{
    const struct where nowhere = {vm->at.file, 0};

    add(m, nowhere, "the virtual I/O APIC", PLAT_IOAPIC_BASE, PLAT_IOAPIC_SIZE);
    add(m, nowhere, "the virtual local APIC and the addresses of MSI", PLAT_LAPIC_BASE, MIB(1));
    if (vm->kind == KIND_PRELAUNCHED)
        add(m, nowhere, "the firmware's tables (EBDA, ACPI)", FW_EBDA, FW_HIGH_MEM - FW_EBDA);
}

/* RAM as place.c lays it out: from 0 to LOW_RAM_LIMIT, and what is left from HIGH_RAM_BASE on. */
static void add_ram(struct guest_map *m, const struct vm *vm)
{
    u64 total = 0, low;

    for (size_t i = 0; i < vm->ram_count; i++) {
        if (vm->ram[i].size > PHYS_LIMIT || total > PHYS_LIMIT)
            return; /* MEM-001, MEM-008 */
        total += vm->ram[i].size;
    }
    low = MIN(total, LOW_RAM_LIMIT);
    if (low <= FW_HIGH_MEM)
        return; /* MEM-007 */
    add(m, vm->memory_at, "its RAM", 0, FW_EBDA);
    add(m, vm->memory_at, "its RAM", FW_HIGH_MEM, low - FW_HIGH_MEM);
    if (total > low)
        add(m, vm->memory_at, "its RAM", HIGH_RAM_BASE, total - low);
}

/* Where the VM sees a memory BAR. */
static u64 bar_gpa(const struct vm_device *d, const struct pci_bar *bar)
{
    for (size_t i = 0; i < d->bar_count; i++) {
        if (d->bars[i].index == bar->index)
            return d->bars[i].gpa;
    }
    return bar->base;
}

static void add_bars(struct guest_map *m, const struct board *b, const struct vm *vm)
{
    for (size_t i = 0; i < vm->device_count; i++) {
        const struct vm_device *d = &vm->devices[i];
        const struct pci_function *f = pci_find(b, d->bdf);

        for (size_t j = 0; f && j < f->bar_count; j++) {
            const struct pci_bar *bar = &f->bars[j];

            if (!bar->is_io)
                m->list[m->count++] = (struct seen){
                    .at = d->at, .device = d, .bar = bar->index, .base = bar_gpa(d, bar), .size = bar->size};
        }
    }
}

/* The service VM sees the machine as it is: RAM once it is placed, and registers. */
static void add_machine(struct guest_map *m, const struct board *b, const struct vm *vm)
{
    size_t registers, count;
    const struct window *w = board_windows(b, &registers, &count);

    for (size_t i = 0; i < vm->mem_count; i++)
        add(m, vm->at, "its RAM", vm->mem[i].gpa, vm->mem[i].size);
    for (size_t i = 0; i < registers; i++)
        m->list[m->count++] =
            (struct seen){.at = w[i].at, .window = &w[i], .base = w[i].base, .size = w[i].size};
}

/* Shared memories whose place is known: with gpa, or at their host address, when they have one. */
static void add_shared(struct guest_map *m, const struct scenario *s, const struct vm *vm, bool placed)
{
    for (size_t i = 0; i < s->shm_count; i++) {
        const struct shm *shm = &s->shms[i];

        for (size_t j = 0; j < shm->user_count; j++) {
            const struct shm_user *u = &shm->users[j];

            if (strcmp(u->vm, vm->name) == 0 && (u->has_gpa || shm->fixed || placed))
                m->list[m->count++] = (struct seen){
                    .at = u->at, .shm = shm, .base = u->has_gpa ? u->gpa : shm->base, .size = shm->size};
        }
    }
}

static size_t map_room(const struct config *c, const struct vm *vm)
{
    size_t room = 6 + vm->mem_count;

    for (size_t i = 0; i < vm->device_count; i++) {
        const struct pci_function *f = pci_find(&c->board, vm->devices[i].bdf);

        room += f ? f->bar_count : 0;
    }
    for (size_t i = 0; i < c->scenario.shm_count; i++)
        room += c->scenario.shms[i].user_count;
    for (size_t i = 0; vm->kind == KIND_SERVICE && i < c->board.pci_count; i++)
        room += c->board.pci[i].bar_count;
    return vm->kind == KIND_SERVICE ? room + 2 + c->board.ioapic_count + c->board.iommu_count : room;
}

static bool same_device(const struct seen *a, const struct seen *b)
{
    return a->device && b->device && a->device != b->device && a->device->bdf == b->device->bdf;
}

/* The devices' and shared memories' places are the last of the list, so that they are what is reported. */
static void check_map(const struct rule *rule, const struct config *config, const struct vm *vm, bool placed)
{
    struct guest_map m = {arena_alloc(map_room(config, vm), sizeof(struct seen)), 0};
    struct extents x;
    struct overlap *pairs;
    size_t count, fixed;

    if (vm->kind == KIND_SERVICE)
        add_machine(&m, &config->board, vm);
    else
        add_platform(&m, vm);
    if (vm->kind == KIND_PRELAUNCHED)
        add_ram(&m, vm);
    fixed = m.count;
    if (vm->kind != KIND_SERVICE)
        add_bars(&m, &config->board, vm);
    add_shared(&m, &config->scenario, vm, placed);
    x = extents_new(m.count);
    for (size_t i = 0; i < m.count; i++)
        extents_add(&x, m.list[i].base, m.list[i].size, i);
    extents_sort(&x);
    count = extents_overlaps(&x, &pairs);
    for (size_t i = 0; i < count; i++) {
        const struct seen *s = &m.list[pairs[i].later], *other = &m.list[pairs[i].earlier];

        /* A device given twice to the VM is USR-008's. */
        if (pairs[i].later >= fixed && !same_device(s, other))
            MISTAKE(s->at, "vm '%s' sees %s where it sees %s%s; give another gpa", vm->name,
                    seen_text(&config->board, s), seen_text(&config->board, other),
                    other->at.line > 0 ? arena_printf(" (line %ld)", other->at.line) : "");
    }
}

static void check_maps(const struct rule *rule, const struct config *config, bool placed)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count && s->vm_count <= MAX_VMS; i++) {
        if (s->shm_count > 0 || (s->vms[i].device_count > 0 && !placed))
            check_map(rule, config, &s->vms[i], placed);
    }
}

RULE(guest_map_known)
{
    check_maps(rule, config, false);
}

RULE(guest_map_placed)
{
    check_maps(rule, config, true);
}

RULE(guest_shared_pages)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        for (size_t j = 0; j < s->shms[i].user_count; j++) {
            const struct shm_user *u = &s->shms[i].users[j];

            if (!u->has_gpa || s->shms[i].size == 0)
                continue;
            if (!IS_ALIGNED(u->gpa, PAGE_SIZE))
                MISTAKE(u->at,
                        "vm '%s' sees shared memory '%s' at 0x%" PRIx64
                        ", which is not a multiple of 4 KiB; give another gpa",
                        u->vm, s->shms[i].name, u->gpa);
            else if (!range_sane(u->gpa, s->shms[i].size))
                MISTAKE(u->at,
                        "vm '%s' sees shared memory '%s' at 0x%" PRIx64
                        ", and its %s reach beyond 2^52; give another gpa",
                        u->vm, s->shms[i].name, u->gpa, size_text(s->shms[i].size));
        }
    }
}
