/* Rules about IOMMUs: what stands between devices and memory. */
#include "owners.h"
#include "windows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct scoped {
    const struct pci_name *device;
    const struct iommu *unit;
    size_t order;
};

static int compare_scoped(const void *a, const void *b)
{
    const struct scoped *x = a, *y = b;

    if (x->device->bdf != y->device->bdf)
        return x->device->bdf < y->device->bdf ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Every function that an IOMMU's scope names, by address. */
static struct scoped *all_scopes(const struct board *b, size_t *count)
{
    struct scoped *list;
    size_t room = 0, n = 0;

    for (size_t i = 0; i < b->iommu_count; i++)
        room += b->iommus[i].device_count;
    list = arena_alloc(room, sizeof(*list));
    for (size_t i = 0; i < b->iommu_count; i++) {
        for (size_t j = 0; j < b->iommus[i].device_count; j++) {
            list[n] = (struct scoped){&b->iommus[i].devices[j], &b->iommus[i], n};
            n++;
        }
    }
    if (n > 0)
        qsort(list, n, sizeof(*list), compare_scoped);
    *count = n;
    return list;
}

static void check_unit(const struct rule *rule, const struct board *b, const struct iommu *u)
{
    const char *expected = strcmp(b->vendor, "amd") == 0 ? "amd-vi" : "vtd";

    if (strcmp(u->kind, expected) != 0)
        MISTAKE(u->at,
                "an <iommu> of kind '%s' does not go with vendor '%s' (line %ld); write kind=\"%s\" or "
                "correct the vendor",
                u->kind, b->vendor, b->cpu_at.line, expected);
    if (u->base == 0 || !IS_ALIGNED(u->base, iommu_size(u)) || !range_sane(u->base, iommu_size(u)))
        MISTAKE(u->at,
                "the registers of an <iommu> of kind '%s' at 0x%" PRIx64
                " are not aligned to %s below 2^52; give the address that the machine's ACPI %s reports",
                u->kind, u->base, size_text(iommu_size(u)), strcmp(u->kind, "vtd") == 0 ? "DMAR" : "IVRS");
    if (!u->all && u->device_count == 0)
        MISTAKE(u->at,
                "the <iommu> at 0x%" PRIx64 " translates for no device; name its <device>s or write "
                "all=\"yes\"",
                u->base);
}

RULE(board_iommus)
{
    const struct board *b = &config->board;
    const struct iommu *all = NULL;
    size_t count;
    const struct scoped *scopes = all_scopes(b, &count), *first = NULL;

    for (size_t i = 0; i < b->iommu_count; i++) {
        const struct iommu *u = &b->iommus[i];

        check_unit(rule, b, u);
        if (u->all && all)
            MISTAKE(u->at,
                    "a second <iommu> says all=\"yes\" (the first on line %ld), but only one can translate "
                    "for the rest; remove one",
                    all->at.line);
        else if (u->all)
            all = u;
    }
    for (size_t i = 0; i < count; i++) {
        if (first && first->device->bdf == scopes[i].device->bdf)
            MISTAKE(scopes[i].device->at,
                    "PCI function %s is in the scope of an <iommu> twice (line %ld); name it in one, once",
                    scopes[i].device->address, first->device->at.line);
        else
            first = &scopes[i];
    }
}

/* Which functions an IOMMU translates for. */
struct coverage {
    bool all;
    size_t count;
    const struct scoped *scopes;
};

static struct coverage coverage_of(const struct board *b)
{
    struct coverage c = {0};

    for (size_t i = 0; i < b->iommu_count; i++)
        c.all |= b->iommus[i].all;
    c.scopes = all_scopes(b, &c.count);
    return c;
}

static bool covers(const struct coverage *c, u16 bdf)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (c->scopes[middle].device->bdf < bdf)
            low = middle + 1;
        else
            high = middle;
    }
    return c->all || (low < c->count && c->scopes[low].device->bdf == bdf);
}

/* "board 'x' has no <iommu>" */
static const char *lack_text(const struct board *b)
{
    return b->iommu_count == 0 ? arena_printf("board '%s' has no <iommu>", b->name)
                               : arena_printf("no <iommu> of board '%s' translates for it", b->name);
}

/* What this version does with a device instead of handing it over. */
static const char *meanwhile(const struct vm *vm)
{
    return vm->kind == KIND_USER
               ? "it stays with the service VM, and hypercalls that pass it on answer -ENODEV"
               : "it is set aside and not handed over";
}

RULE(iommu_or_accepted)
{
    const struct scenario *s = &config->scenario;
    struct coverage c = coverage_of(&config->board);

    for (size_t i = 0; i < s->given_count; i++) {
        const struct given *g = &s->given[i];

        if (!g->vm->dma && !covers(&c, g->device->bdf))
            MISTAKE(g->device->at,
                    "%s PCI device %s, which could reach the memory of every VM and of the hypervisor, "
                    "because %s; "
                    "accept that with <devices dma=\"unprotected\">, or remove it",
                    grant_text(g->vm), g->device->address, lack_text(&config->board));
    }
}

RULE(iommu_unprotected)
{
    const struct scenario *s = &config->scenario;
    struct coverage c = coverage_of(&config->board);

    for (size_t i = 0; i < s->given_count; i++) {
        const struct given *g = &s->given[i];

        if (g->vm->dma && !covers(&c, g->device->bdf))
            MISTAKE(g->device->at,
                    "%s PCI device %s unprotected (%s): handed over, it reaches the memory of every VM and "
                    "of the hypervisor; %s",
                    grant_text(g->vm), g->device->address, lack_text(&config->board), meanwhile(g->vm));
    }
}

RULE(iommu_no_driver)
{
    const struct scenario *s = &config->scenario;
    struct coverage c = coverage_of(&config->board);

    for (size_t i = 0; i < s->given_count; i++) {
        const struct given *g = &s->given[i];

        if (covers(&c, g->device->bdf))
            MISTAKE(g->device->at,
                    "%s PCI device %s, but this version of the hypervisor has no driver for the board's "
                    "IOMMU yet; %s",
                    grant_text(g->vm), g->device->address, meanwhile(g->vm));
    }
}

struct kept {
    u16 bdf;
    const struct region *memory;
};

static int compare_kept(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;

    if (x->bdf != y->bdf)
        return x->bdf < y->bdf ? -1 : 1;
    return x->memory < y->memory ? -1 : x->memory > y->memory;
}

static const struct kept *find_kept(const struct kept *list, size_t count, u16 bdf)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list[middle].bdf < bdf)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && list[low].bdf == bdf ? &list[low] : NULL;
}

/* VT-d spec 3.16: what firmware set up may go on behind the back of whoever owns the device. */
RULE(iommu_reserved_memory)
{
    const struct board *b = &config->board;
    const struct scenario *s = &config->scenario;
    struct kept *list;
    size_t room = 0, count = 0;

    for (size_t i = 0; i < b->reserved_count; i++)
        room += b->reserved[i].device_count;
    list = arena_alloc(room, sizeof(*list));
    for (size_t i = 0; i < b->reserved_count; i++) {
        for (size_t j = 0; j < b->reserved[i].device_count; j++)
            list[count++] = (struct kept){b->reserved[i].devices[j].bdf, &b->reserved[i]};
    }
    if (count > 0)
        qsort(list, count, sizeof(*list), compare_kept);
    for (size_t i = 0; i < s->given_count; i++) {
        const struct vm_device *d = s->given[i].device;
        const struct kept *k = find_kept(list, count, d->bdf);

        if (k)
            MISTAKE(d->at,
                    "%s PCI device %s, which firmware lets read and write reserved memory '%s' %s (line %ld, "
                    "RMRR or "
                    "IVMD), so that it cannot be confined to a VM; leave it to the service VM or to nobody",
                    grant_text(s->given[i].vm), d->address, k->memory->what,
                    range_text(k->memory->base, k->memory->size), k->memory->at.line);
    }
}

static void report_group(const struct rule *rule, const struct config *c, const struct share *mine,
                         const struct share *other)
{
    (void)c;
    MISTAKE(mine->at,
            "%s PCI device %s of IOMMU group %" PRIu64
            ", but %s of the same group belongs to %s, and the IOMMU cannot keep the two apart; give the "
            "whole group "
            "to one owner",
            grant_text(mine->owner.vm), mine->f->address, mine->key, other->f->address,
            owner_text(&other->owner));
}

/* Bridges of a group pass on what its other functions send; they are nobody's (USR-007). */
RULE(iommu_group_whole)
{
    const struct board *b = &config->board;
    struct share *shares = arena_alloc(b->pci_count, sizeof(*shares));
    struct owners o = owners_of(config);
    size_t count = 0;

    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = b->pci_sorted[i];

        if (f->has_group && !is_bridge(f))
            shares[count++] = share_function(&o, f->iommu_group, f, NULL);
    }
    shares_check(rule, config, shares, count, false, report_group);
}
