#include "windows.h"

#include <string.h>

u64 iommu_size(const struct iommu *u)
{
    return strcmp(u->kind, "vtd") == 0 ? KIB(4) : KIB(16);
}

u64 mcfg_size(const struct mcfg *m)
{
    return !m->present || m->end_bus < m->start_bus ? 0 : MIB((u64)m->end_bus - m->start_bus + 1);
}

static size_t add_bars(const struct board *b, struct window *w, size_t n)
{
    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = &b->pci[i];

        for (size_t j = 0; j < f->bar_count; j++) {
            const struct pci_bar *bar = &f->bars[j];

            if (!bar->is_io)
                w[n++] = (struct window){WINDOW_BAR, bar->at, bar->base, bar->size, 0, f, bar};
        }
    }
    return n;
}

struct window *board_windows(const struct board *b, size_t *registers, size_t *count)
{
    size_t room = 2 + b->ioapic_count + b->iommu_count + b->window_count, n = 0;
    struct window *w;

    for (size_t i = 0; i < b->pci_count; i++)
        room += b->pci[i].bar_count;
    w = arena_alloc(room, sizeof(*w));
    w[n++] = (struct window){WINDOW_LAPIC, b->lapic_at, b->lapic_base, PAGE_SIZE, 0, NULL, NULL};
    for (size_t i = 0; i < b->ioapic_count; i++)
        w[n++] =
            (struct window){WINDOW_IOAPIC, b->ioapics[i].at, b->ioapics[i].base, PAGE_SIZE, i, NULL, NULL};
    if (b->mcfg.present)
        w[n++] = (struct window){WINDOW_MCFG, b->mcfg.at, b->mcfg.base, mcfg_size(&b->mcfg), 0, NULL, NULL};
    for (size_t i = 0; i < b->iommu_count; i++) {
        const struct iommu *u = &b->iommus[i];

        w[n++] = (struct window){WINDOW_IOMMU, u->at, u->base, iommu_size(u), i, NULL, NULL};
    }
    n = add_bars(b, w, n);
    *registers = n;
    for (size_t i = 0; i < b->window_count; i++) {
        const struct region *r = &b->windows[i];

        w[n++] = (struct window){WINDOW_BRIDGE, r->at, r->base, r->size, i, NULL, NULL};
    }
    *count = n;
    return w;
}

const char *window_text(const struct board *b, const struct window *w)
{
    const char *range = range_text(w->base, w->size);

    switch (w->kind) {
    case WINDOW_LAPIC:
        return arena_printf("the local APIC (%s)", range);
    case WINDOW_IOAPIC:
        return arena_printf("I/O APIC %u (%s)", (unsigned)b->ioapics[w->index].id, range);
    case WINDOW_MCFG:
        return arena_printf("MCFG (%s)", range);
    case WINDOW_IOMMU:
        return arena_printf("IOMMU %zu (%s)", w->index, range);
    case WINDOW_BAR:
        return arena_printf("BAR %u of %s (%s)", (unsigned)w->bar->index, w->f->address, range);
    default:
        return arena_printf("the PCI window %s", range);
    }
}
