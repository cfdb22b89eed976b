/* Which global system interrupt each function's INTx pin ends at. */
#include "pci.h"

#include <stdlib.h>
#include <string.h>

u8 pci_pin_from(const char *text)
{
    return strncmp(text, "INT", 3) == 0 && text[3] >= 'A' && text[3] <= 'D' ? (u8)(text[3] - 'A' + 1) : 0;
}

void pci_read_routing(struct pci_tree *t, xmlNode *routing, u8 bus)
{
    for (xmlNode *r = child(routing, "routing"); r; r = next(r)) {
        const char *address = attribute(r, "address");
        u64 adr;

        if (!address || !number_in(address, &adr) || adr >> 16 > 0x1f) {
            untranslated(at_node(r), "<routing address=\"%s\"> names no device",
                         shown(address ? address : ""));
            continue;
        }
        for (xmlNode *m = child(r, "mapping"); m; m = next(m)) {
            const char *pin = attribute(m, "pin"), *source = attribute(m, "source");

            if (pin && source && pci_pin_from(pin) > 0)
                *APPEND(t->routes, t->route_count) =
                    (struct pci_route){at_node(m), bus, (u8)(adr >> 16), pci_pin_from(pin), source};
            else
                untranslated(at_node(m), "<mapping> without pin and source");
        }
    }
}

void pci_read_link(struct pci_tree *t, xmlNode *device)
{
    const char *id = attribute(device, "id");

    /* PNP0C0F: PCI interrupt link device (ACPI 6.4 section 5.6.7) */
    if (!id || strcmp(id, "PNP0C0F") != 0)
        return;
    for (xmlNode *r = child(device, "resource"); r; r = next(r)) {
        const char *type = attribute(r, "type"), *number = attribute(r, "int");
        u64 gsi;

        if (!type || strcmp(type, "irq") != 0 || !number)
            continue;
        /* A list of interrupts means that the operating system chooses: no routing that stands. */
        if (number_in(number, &gsi) && gsi <= UINT16_MAX)
            *APPEND(t->links, t->link_count) = (struct pci_link){child_text(device, "acpi_object"), gsi};
    }
}

static u32 route_key(u8 bus, u8 device, u8 pin)
{
    return (u32)bus << 16 | (u32)device << 8 | pin;
}

static int by_route(const void *a, const void *b)
{
    const struct pci_route *x = a, *y = b;
    u32 p = route_key(x->bus, x->device, x->pin), q = route_key(y->bus, y->device, y->pin);

    return p != q ? (p < q ? -1 : 1) : x->at.line < y->at.line ? -1 : x->at.line > y->at.line;
}

static int by_object(const void *a, const void *b)
{
    return strcmp(((const struct pci_link *)a)->object, ((const struct pci_link *)b)->object);
}

static const char *route_of(const struct pci_tree *t, u16 bdf, u8 pin)
{
    u32 key = route_key((u8)(bdf >> 8), pci_device_of(bdf), pin);
    size_t low = 0, high = t->route_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct pci_route *r = &t->routes[middle];

        if (route_key(r->bus, r->device, r->pin) < key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->route_count ||
        route_key(t->routes[low].bus, t->routes[low].device, t->routes[low].pin) != key)
        return NULL;
    return t->routes[low].source;
}

/* A number, or the name of a link device. */
static bool source_gsi(const struct pci_tree *t, const char *source, u64 *gsi)
{
    struct pci_link key = {.object = source};
    const struct pci_link *link;

    if (number_in(source, gsi))
        return true;
    link = t->link_count > 0 ? bsearch(&key, t->links, t->link_count, sizeof(key), by_object) : NULL;
    if (!link)
        return false;
    *gsi = link->gsi;
    return true;
}

static bool gsi_taken(const struct board *b, u64 gsi)
{
    for (size_t i = 0; i < b->ioapic_count; i++) {
        if (gsi >= b->ioapics[i].gsi_base && gsi < (u64)b->ioapics[i].gsi_base + b->ioapics[i].pins)
            return true;
    }
    return false;
}

/*
 * The source of d's pin. Behind a bridge whose routing the file does not show, pins go up rotated by the
 * device number (PCI-to-PCI Bridge 1.2 section 9.1); *rotated then.
 */
static const char *source_of(const struct pci_tree *t, const struct pci_dev *d, bool *rotated)
{
    u8 pin = d->pin;

    *rotated = false;
    if (d->source)
        return d->source;
    for (;;) {
        const char *source = route_of(t, d->f.bdf, pin);

        if (source || d->parent == NO_PARENT)
            return source;
        pin = (u8)((pin - 1 + pci_device_of(d->f.bdf)) % PCI_PINS + 1);
        d = &t->devs[d->parent];
        *rotated = true;
    }
}

void pci_route_pins(struct pci_tree *t, const struct board *b)
{
    if (t->route_count > 0)
        qsort(t->routes, t->route_count, sizeof(*t->routes), by_route);
    if (t->link_count > 0)
        qsort(t->links, t->link_count, sizeof(*t->links), by_object);
    for (size_t i = 0; i < t->count; i++) {
        struct pci_dev *d = &t->devs[i];
        const char *source;
        bool rotated;
        u64 gsi;

        if (d->pin == 0)
            continue;
        source = source_of(t, d, &rotated);
        if (!source || !source_gsi(t, source, &gsi) || !gsi_taken(b, gsi)) {
            untranslated(d->pin_at,
                         "%s: INT%c# is wired to \"%s\", which is no interrupt of an I/O APIC of the board",
                         d->f.address, 'A' + d->pin - 1,
                         shown(source ? source : "something that the file does not show"));
            continue;
        }
        if (rotated)
            guessed(d->pin_at,
                    "%s: the file does not show where INT%c# goes; GSI %llu follows from the bridges above "
                    "it (pins "
                    "rotate by the device number)",
                    d->f.address, 'A' + d->pin - 1, (unsigned long long)gsi);
        d->f.has_intx = true;
        d->f.intx_at = d->pin_at;
        d->f.intx_pin = d->pin;
        d->f.intx_gsi = (u32)gsi;
    }
}
