/* Rules about PCI functions: what the board says of them, and whose they are. */
#include "owners.h"
#include "windows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BAR_COUNT       6
#define MSIX_ENTRY      16   /* bytes (PCI 3.0 section 6.8.2) */
#define MSIX_MOST       2048 /* entries: the size field has 11 bits (PCI 3.0 section 6.8.2.3) */
#define MSI_MOST        32   /* messages (PCI 3.0 section 6.8.1.3) */
#define BDF_BUS(bdf)    ((unsigned)(bdf) >> 8)
#define BDF_DEVICE(bdf) ((unsigned)(bdf) >> 3 & 31)
#define BDF_FN(bdf)     ((unsigned)(bdf)&7)

RULE(pci_addresses_unique)
{
    const struct board *b = &config->board;
    const struct pci_function *first = NULL;

    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = b->pci_sorted[i];

        if (first && f->bdf == first->bdf)
            MISTAKE(f->at, "PCI function %s is described twice (line %ld); remove one or correct its address",
                    f->address, first->at.line);
        else
            first = f;
    }
}

static void check_bar(const struct rule *rule, const struct pci_function *f, const struct pci_bar *bar)
{
    u64 smallest = bar->is_io ? 4 : 16; /* PCI 3.0 section 6.2.5.1 */
    unsigned index = bar->index;

    if (bar->size < smallest || (bar->size & (bar->size - 1)) != 0)
        MISTAKE(bar->at,
                "BAR %u of %s has size %s, which is not a power of two of at least %" PRIu64
                "; give the size that the BAR decodes",
                index, f->address, size_text(bar->size), smallest);
    else if (!IS_ALIGNED(bar->base, bar->size))
        MISTAKE(bar->at, "BAR %u of %s at 0x%" PRIx64 " is not aligned to its size %s; correct base or size",
                index, f->address, bar->base, size_text(bar->size));
    else if (bar->is_io ? bar->base > 0xffff : !range_sane(bar->base, bar->size))
        MISTAKE(bar->at, "BAR %u of %s at 0x%" PRIx64 " lies beyond the last %s; correct its base", index,
                f->address, bar->base, bar->is_io ? "port, 0xffff" : "physical address, 2^52");
}

RULE(pci_bars)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = &b->pci[i];
        const struct pci_bar *first[BAR_COUNT] = {NULL};

        for (size_t j = 0; j < f->bar_count; j++) {
            const struct pci_bar *bar = &f->bars[j];
            unsigned index = bar->index;

            if (index >= BAR_COUNT)
                MISTAKE(bar->at, "%s has no BAR %u; BARs are numbered 0 to 5", f->address, index);
            else if (first[index])
                MISTAKE(bar->at, "%s has BAR %u twice (line %ld); correct its index", f->address, index,
                        first[index]->at.line);
            else
                first[index] = bar;
            check_bar(rule, f, bar);
        }
    }
}

RULE(pci_bus_in_mcfg)
{
    const struct board *b = &config->board;

    for (size_t i = 0; mcfg_size(&b->mcfg) > 0 && i < b->pci_count; i++) {
        unsigned bus = BDF_BUS(b->pci[i].bdf);

        if (bus < b->mcfg.start_bus || bus > b->mcfg.end_bus)
            MISTAKE(b->pci[i].at,
                    "PCI function %s lies on bus %u, which MCFG (buses %u to %u) does not cover; correct the "
                    "address or <mcfg>",
                    b->pci[i].address, bus, (unsigned)b->mcfg.start_bus, (unsigned)b->mcfg.end_bus);
    }
}

RULE(pci_interrupts)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = &b->pci[i];

        if (f->has_intx && (f->intx_pin < 1 || f->intx_pin > 4))
            MISTAKE(f->intx_at, "%s has interrupt pin %u; give 1 for INTA# to 4 for INTD#, or remove <intx>",
                    f->address, (unsigned)f->intx_pin);
        if (f->has_intx && !ioapic_of(b, f->intx_gsi))
            MISTAKE(f->intx_at,
                    "the legacy interrupt of %s is GSI %" PRIu32
                    ", which no I/O APIC takes; correct gsi or add the <ioapic>",
                    f->address, f->intx_gsi);
        if (f->has_msi &&
            (f->msi_vectors < 1 || f->msi_vectors > MSI_MOST || (f->msi_vectors & (f->msi_vectors - 1)) != 0))
            MISTAKE(f->msi_at, "%s asks for %" PRIu64 " MSI messages; give a power of two from 1 to %d",
                    f->address, f->msi_vectors, MSI_MOST);
        if (f->has_msix && (f->msix_vectors < 1 || f->msix_vectors > MSIX_MOST))
            MISTAKE(f->msix_at, "%s has an MSI-X table of %" PRIu64 " entries; give 1 to %d", f->address,
                    f->msix_vectors, MSIX_MOST);
    }
}

static const struct pci_bar *memory_bar(const struct pci_function *f, u8 index)
{
    for (size_t i = 0; i < f->bar_count; i++) {
        if (f->bars[i].index == index && !f->bars[i].is_io)
            return &f->bars[i];
    }
    return NULL;
}

RULE(pci_msix_table)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = &b->pci[i];
        const struct pci_bar *bar = f->has_msix ? memory_bar(f, f->msix_bar) : NULL;
        u64 size = MIN(f->msix_vectors, (u64)MSIX_MOST) * MSIX_ENTRY;

        if (!f->has_msix)
            continue;
        if (!bar)
            MISTAKE(f->msix_at,
                    "%s has its MSI-X table in BAR %u, which is not among its memory BARs; correct bar or "
                    "describe the <bar>",
                    f->address, (unsigned)f->msix_bar);
        else if (!IS_ALIGNED(f->msix_offset, 8)) /* the low three bits of the offset are the BAR's number */
            MISTAKE(f->msix_at,
                    "%s has its MSI-X table at offset 0x%" PRIx64
                    " of BAR %u, which is not a multiple of 8; correct offset",
                    f->address, f->msix_offset, (unsigned)f->msix_bar);
        else if (f->msix_offset >= bar->size || size > bar->size - f->msix_offset)
            MISTAKE(f->msix_at,
                    "%s has its MSI-X table of %" PRIu64 " entries at offset 0x%" PRIx64
                    ", beyond the end of BAR %u of %s (line "
                    "%ld); correct offset or vectors",
                    f->address, f->msix_vectors, f->msix_offset, (unsigned)f->msix_bar, size_text(bar->size),
                    bar->at.line);
    }
}

static void check_named(const struct rule *rule, const struct board *b, const struct pci_name *n,
                        const char *who)
{
    if (!pci_find(b, n->bdf))
        MISTAKE(n->at,
                "%s names PCI function %s, which the board does not describe; add it to <pci> or correct "
                "the address",
                who, n->address);
}

RULE(pci_named_exist)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->reserved_count; i++) {
        for (size_t j = 0; j < b->reserved[i].device_count; j++)
            check_named(rule, b, &b->reserved[i].devices[j],
                        arena_printf("reserved memory '%s'", b->reserved[i].what));
    }
    for (size_t i = 0; i < b->iommu_count; i++) {
        for (size_t j = 0; j < b->iommus[i].device_count; j++)
            check_named(rule, b, &b->iommus[i].devices[j], "the scope of an <iommu>");
    }
    for (size_t i = 0; i < b->uart_count; i++) {
        if (b->uarts[i].on_pci)
            check_named(rule, b, &b->uarts[i].pci, arena_printf("UART '%s'", b->uarts[i].name));
    }
}

/* ---- what VMs are given ---- */

RULE(pci_given_exist)
{
    const struct board *b = &config->board;
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->given_count; i++) {
        const struct vm_device *d = s->given[i].device;
        const struct pci_function *f = pci_find(b, d->bdf);

        if (!f)
            MISTAKE(
                d->at,
                "%s PCI device %s, which board '%s' does not have; remove it or describe it in <pci> of the "
                "board",
                grant_text(s->given[i].vm), d->address, b->name);
        else if (is_bridge(f))
            MISTAKE(d->at, "%s PCI device %s, but a bridge cannot be passed to a VM; remove it",
                    grant_text(s->given[i].vm), d->address);
    }
}

RULE(pci_given_once)
{
    const struct scenario *s = &config->scenario;
    const struct given *first = NULL;

    for (size_t i = 0; i < s->given_count; i++) {
        const struct given *g = &s->given[i];

        if (first && first->device->bdf == g->device->bdf)
            MISTAKE(g->device->at, "%s PCI device %s, which '%s' %s (line %ld); name it once",
                    grant_text(g->vm), g->device->address, first->vm->name,
                    first->vm->kind == KIND_USER ? "may be given" : "is given", first->device->at.line);
        else
            first = g;
    }
}

RULE(pci_given_console)
{
    const struct scenario *s = &config->scenario;
    struct owners o = owners_of(config);

    for (size_t i = 0; o.console_on_pci && i < s->given_count; i++) {
        const struct vm_device *d = s->given[i].device;

        if (d->bdf == o.console)
            MISTAKE(
                d->at,
                "%s PCI device %s, which is the console's UART '%s' (line %ld); choose another console or "
                "remove the device",
                grant_text(s->given[i].vm), d->address, s->hv.console_uart, s->hv.console_at.line);
    }
}

RULE(pci_given_ids)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->given_count; i++) {
        const struct vm_device *d = s->given[i].device;
        const struct pci_function *f = pci_find(&config->board, d->bdf);

        if (f && ((d->has_vendor && d->vendor != f->vendor) || (d->has_device && d->device != f->device)))
            MISTAKE(d->at,
                    "vm '%s' expects PCI device %s to be %04x:%04x, but on board '%s' it is %04x:%04x (line "
                    "%ld); "
                    "correct the address, or vendor and device",
                    s->given[i].vm->name, d->address, (unsigned)(d->has_vendor ? d->vendor : f->vendor),
                    (unsigned)(d->has_device ? d->device : f->device), config->board.name,
                    (unsigned)f->vendor, (unsigned)f->device, f->at.line);
    }
}

static void report_functions(const struct rule *rule, const struct config *c, const struct share *mine,
                             const struct share *other)
{
    (void)c;
    MISTAKE(
        mine->at,
        "%s PCI device %s, but %s of the same device belongs to %s, and without ACS the two can reach each "
        "other; give both to one owner, or state acs=\"yes\" or iommu-group on the board if it keeps them "
        "apart",
        grant_text(mine->owner.vm), mine->f->address, other->f->address, owner_text(&other->owner));
}

/* PCIe 6.12: functions of one device may talk to each other directly, unless ACS sends all upstream. Where
 * the board says IOMMU groups of all of them, those decide (IOM-005). */
RULE(pci_functions_together)
{
    const struct board *b = &config->board;
    struct share *shares = arena_alloc(b->pci_count, sizeof(*shares));
    struct owners o = owners_of(config);
    size_t count = 0;

    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = b->pci_sorted[i];

        if (!f->acs && !f->has_group && !is_bridge(f))
            shares[count++] = share_function(&o, f->bdf >> 3, f, NULL);
    }
    shares_check(rule, config, shares, count, false, report_functions);
}

/* Memory BARs smaller than a page, by page: larger ones fill theirs, being aligned to their size. */
static struct share *small_bars(const struct config *c, size_t *count)
{
    const struct board *b = &c->board;
    struct owners o = owners_of(c);
    struct share *shares;
    size_t room = 0;

    for (size_t i = 0; i < b->pci_count; i++)
        room += b->pci[i].bar_count;
    shares = arena_alloc(room, sizeof(*shares));
    *count = 0;
    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = b->pci_sorted[i];

        for (size_t j = 0; j < f->bar_count; j++) {
            if (!f->bars[j].is_io && f->bars[j].size < PAGE_SIZE)
                shares[(*count)++] = share_function(&o, f->bars[j].base / PAGE_SIZE, f, &f->bars[j]);
        }
    }
    return shares;
}

static bool holds_msix(const struct share *s)
{
    return s->f->has_msix && s->f->msix_bar == s->bar->index;
}

static void report_page(const struct rule *rule, const struct config *c, const struct share *mine,
                        const struct share *other)
{
    (void)c;
    if (!holds_msix(mine) && !holds_msix(other))
        MISTAKE(mine->at,
                "%s PCI device %s, whose BAR %u (%s) shares a 4 KiB page with BAR %u of %s (%s), which "
                "belongs to "
                "%s; give both to one owner, or have firmware put BARs on pages of their own",
                grant_text(mine->owner.vm), mine->f->address, (unsigned)mine->bar->index,
                range_text(mine->bar->base, mine->bar->size), (unsigned)other->bar->index, other->f->address,
                range_text(other->bar->base, other->bar->size), owner_text(&other->owner));
}

RULE(pci_bar_pages)
{
    size_t count;
    struct share *shares = small_bars(config, &count);

    shares_check(rule, config, shares, count, true, report_page);
}

static void report_msix_page(const struct rule *rule, const struct config *c, const struct share *mine,
                             const struct share *other)
{
    const struct share *table = holds_msix(mine) ? mine : other;

    (void)c;
    if (holds_msix(table))
        MISTAKE(
            mine->at,
            "%s PCI device %s, but the page 0x%" PRIx64
            " with BAR %u of it holds BAR %u of %s too, which belongs to %s, and the MSI-X table of %s; give "
            "both to one owner, or have firmware put BARs on pages of their own",
            grant_text(mine->owner.vm), mine->f->address, mine->key * PAGE_SIZE, (unsigned)mine->bar->index,
            (unsigned)other->bar->index, other->f->address, owner_text(&other->owner), table->f->address);
}

RULE(pci_msix_page)
{
    size_t count;
    struct share *shares = small_bars(config, &count);

    shares_check(rule, config, shares, count, true, report_msix_page);
}

/* ---- what VMs see ---- */

static int compare_virtual(const void *a, const void *b)
{
    const struct vm_device *x = *(const struct vm_device *const *)a, *y = *(const struct vm_device *const *)b;

    if (x->virtual_bdf != y->virtual_bdf)
        return x->virtual_bdf < y->virtual_bdf ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void check_virtual(const struct rule *rule, const struct vm *vm, const struct vm_device *d,
                          const struct vm_device *before)
{
    bool same_slot = before && before->virtual_bdf >> 3 == d->virtual_bdf >> 3;

    if (BDF_BUS(d->virtual_bdf) != 0)
        MISTAKE(d->at,
                "vm '%s' sees PCI device %s at %s, but its virtual machine has bus 0 only; use 00:01.0 to "
                "00:1f.7, "
                "or leave virtual out",
                vm->name, d->address, d->virtual_address);
    else if (BDF_DEVICE(d->virtual_bdf) == 0)
        MISTAKE(d->at,
                "vm '%s' sees PCI device %s at %s, but 00:00 is the virtual host bridge; use 00:01.0 to "
                "00:1f.7, or "
                "leave virtual out",
                vm->name, d->address, d->virtual_address);
    else if (before && before->virtual_bdf == d->virtual_bdf)
        MISTAKE(d->at,
                "vm '%s' sees PCI device %s at %s, where it sees %s (line %ld); use another address or leave "
                "virtual out",
                vm->name, d->address, d->virtual_address, before->address, before->at.line);
    else if (BDF_FN(d->virtual_bdf) != 0 && !same_slot)
        MISTAKE(d->at,
                "vm '%s' sees PCI device %s at %s, but nothing at function 0 of that device, without which a "
                "guest "
                "does not look for others; use function 0 or leave virtual out",
                vm->name, d->address, d->virtual_address);
}

RULE(pci_virtual_addresses)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const struct vm_device **sorted = arena_alloc(vm->device_count, sizeof(struct vm_device *));
        size_t count = 0;

        for (size_t j = 0; j < vm->device_count; j++) {
            if (vm->devices[j].has_virtual)
                sorted[count++] = &vm->devices[j];
        }
        if (count > 0)
            qsort(sorted, count, sizeof(struct vm_device *), compare_virtual);
        for (size_t j = 0; j < count; j++)
            check_virtual(rule, vm, sorted[j], j > 0 ? sorted[j - 1] : NULL);
    }
}

static void check_guest_bar(const struct rule *rule, const struct vm *vm, const struct pci_function *f,
                            const struct vm_bar *g)
{
    const struct pci_bar *bar = memory_bar(f, g->index);
    unsigned index = g->index;

    if (!bar)
        MISTAKE(g->at,
                "vm '%s' places BAR %u of PCI device %s, which has no such memory BAR (line %ld); correct "
                "index or remove <bar>",
                vm->name, index, f->address, f->at.line);
    else if (!range_sane(g->gpa, bar->size))
        MISTAKE(g->at,
                "vm '%s' sees BAR %u of PCI device %s at 0x%" PRIx64 ", and its %s reach beyond 2^52; "
                "correct gpa",
                vm->name, index, f->address, g->gpa, size_text(bar->size));
    else if ((g->gpa & (bar->size - 1)) != 0)
        MISTAKE(g->at,
                "vm '%s' sees BAR %u of PCI device %s at 0x%" PRIx64 ", which is not aligned to its size %s; "
                "correct gpa",
                vm->name, index, f->address, g->gpa, size_text(bar->size));
    else if (((g->gpa ^ bar->base) & PAGE_MASK) != 0)
        MISTAKE(g->at,
                "vm '%s' sees BAR %u of PCI device %s at 0x%" PRIx64 ", but the BAR is at 0x%" PRIx64
                " and only whole pages can be moved; keep the last three digits",
                vm->name, index, f->address, g->gpa, bar->base);
}

RULE(pci_guest_bars)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->given_count; i++) {
        const struct vm_device *d = s->given[i].device;
        const struct pci_function *f = pci_find(&config->board, d->bdf);
        const struct vm_bar *first[BAR_COUNT] = {NULL};

        for (size_t j = 0; f && j < d->bar_count; j++) {
            const struct vm_bar *g = &d->bars[j];

            check_guest_bar(rule, s->given[i].vm, f, g);
            if (g->index >= BAR_COUNT)
                continue;
            if (first[g->index])
                MISTAKE(g->at, "vm '%s' places BAR %u of PCI device %s twice (line %ld); remove one",
                        s->given[i].vm->name, (unsigned)g->index, d->address, first[g->index]->at.line);
            else
                first[g->index] = g;
        }
    }
}
