/* PCI functions from the <devices> tree: addresses, identity, BARs, capabilities. */
#include "pci.h"

#include <stdlib.h>
#include <string.h>

#define MSIX_ENTRY 16 /* bytes of a table entry (PCIe 6.0 section 7.7.2) */

static void read_bar(struct pci_dev *d, xmlNode *r, const char *id)
{
    const char *type = attribute(r, "type"), *min = attribute(r, "min"), *len = attribute(r, "len");
    u64 index, base, size;

    if (!number_in(id + 3, &index) || index > 5 || !type || !min || !len || !number_in(min, &base) ||
        !number_in(len, &size)) {
        untranslated(at_node(r), "%s: <resource id=\"%s\"> is not a BAR with min and len", d->f.address,
                     shown(id));
        return;
    }
    if (base == 0 || size == 0 || (size & (size - 1)) != 0 || base % size != 0) {
        untranslated(
            at_node(r),
            "%s: BAR %llu (0x%llx, 0x%llx bytes) was left out: it is not in use, or not aligned to its size",
            d->f.address, (unsigned long long)index, (unsigned long long)base, (unsigned long long)size);
        return;
    }
    *APPEND(d->f.bars, d->f.bar_count) =
        (struct pci_bar){at_node(r), (u8)index, strcmp(type, "io_port") == 0, base, size};
}

static int by_index(const void *a, const void *b)
{
    return ((const struct pci_bar *)a)->index - ((const struct pci_bar *)b)->index;
}

static void read_resources(struct pci_dev *d, xmlNode *n)
{
    for (xmlNode *r = child(n, "resource"); r; r = next(r)) {
        const char *id = attribute(r, "id"), *type = attribute(r, "type"), *pin = attribute(r, "pin");

        if (id && strncmp(id, "bar", 3) == 0) {
            read_bar(d, r, id);
        } else if (type && strcmp(type, "interrupt_pin") == 0) {
            d->pin = pci_pin_from(pin ? pin : "");
            d->source = attribute(r, "source");
            d->pin_at = at_node(r);
        } else {
            unneeded(at_node(r), "resource",
                     "windows that a bridge passes on follow from the BARs behind it");
        }
    }
    if (d->f.bar_count > 1)
        qsort(d->f.bars, d->f.bar_count, sizeof(*d->f.bars), by_index);
}

static const struct pci_bar *bar_of(const struct pci_dev *d, u64 index)
{
    for (size_t i = 0; i < d->f.bar_count; i++) {
        if (d->f.bars[i].index == index)
            return &d->f.bars[i];
    }
    return NULL;
}

static bool table_fits(const struct pci_dev *d, u64 vectors, u64 bar_index, u64 offset)
{
    const struct pci_bar *bar = bar_of(d, bar_index);

    return bar && !bar->is_io && offset % 8 == 0 && offset < bar->size &&
           vectors * MSIX_ENTRY <= bar->size - offset;
}

/*
 * Board inspectors of v2.7 to v3.x read the table's register two bytes too late: what they call table_bir is
 * the enable bit and the BIR's lower two bits, and the lower half of table_offset is the offset's upper half.
 * The file is believed where table_bir and table_offset name a place in a BAR of the function; otherwise BIR
 * and offset are taken back from those bits.
 */
static void read_msix(struct pci_dev *d, xmlNode *cap)
{
    u64 vectors, bar = 0, offset = 0;

    d->f.msix_at = at_node(cap);
    if (!number_of(child(cap, "table_size"), 2048, &vectors) ||
        !number_of(child(cap, "table_bir"), 7, &bar) ||
        !number_of(child(cap, "table_offset"), UINT32_MAX, &offset)) {
        untranslated(at_node(cap), "%s: MSI-X without table_size, table_bir and table_offset", d->f.address);
        return;
    }
    if (!table_fits(d, vectors, bar, offset)) {
        u64 guess = bar >> 1, upper = (offset & 0xffff) << 16;

        if (!table_fits(d, vectors, guess, upper)) {
            untranslated(
                at_node(cap),
                "%s: MSI-X table at offset 0x%llx of BAR %llu, which is no memory BAR so large: left out",
                d->f.address, (unsigned long long)offset, (unsigned long long)bar);
            return;
        }
        guessed(at_node(cap),
                "%s: the file's place of the MSI-X table (BAR %llu, offset 0x%llx) cannot be: ACRN's board "
                "inspector shifts "
                "these fields; BAR %llu and offset 0x%llx were taken back from them",
                d->f.address, (unsigned long long)bar, (unsigned long long)offset, (unsigned long long)guess,
                (unsigned long long)upper);
        bar = guess;
        offset = upper;
    }
    d->f.has_msix = true;
    d->f.msix_vectors = vectors;
    d->f.msix_bar = (u8)bar;
    d->f.msix_offset = offset;
}

static void read_capabilities(struct pci_dev *d, xmlNode *n)
{
    for (xmlNode *c = child(n, "capability"); c; c = next(c)) {
        const char *id = attribute(c, "id");

        if (id && strcmp(id, "MSI") == 0) {
            u64 vectors = 1;

            number_of(child(c, "count"), 32, &vectors);
            d->f.has_msi = true;
            d->f.msi_at = at_node(c);
            d->f.msi_vectors = vectors;
        } else if (id && strcmp(id, "MSI-X") == 0) {
            read_msix(d, c);
        } else if (id && strcmp(id, "ACS") == 0) {
            d->f.acs = true;
        } else {
            unneeded(at_node(c), "capability",
                     "of a function's capabilities Bulkhead needs MSI, MSI-X and ACS");
        }
    }
}

/* False: an ACPI object that is no function of this machine. */
static bool read_function(struct pci_tree *t, xmlNode *n, u8 bus, size_t parent, size_t *index)
{
    const char *address = attribute(n, "address");
    struct pci_dev d = {.parent = parent, .f.iommu_group = NO_GROUP};
    xmlNode *vendor = child(n, "vendor"), *device = child(n, "identifier"), *class = child(n, "class");
    u64 adr, vendor_id, device_id, class_code = 0;

    if (!vendor || !address || !number_in(address, &adr))
        return false;
    if (adr >> 16 > 0x1f || (adr & 0xffff) > 7 || !number_of(vendor, 0xffff, &vendor_id) ||
        !number_of(device, 0xffff, &device_id) || vendor_id == 0xffff) {
        untranslated(at_node(n), "the PCI function at address %s has no place on a bus, or no identity",
                     shown(address));
        return false;
    }
    if (!number_of(class, 0xffffff, &class_code))
        guessed(at_node(n), "the file does not give the class of this PCI function; 0 was written");
    d.f.at = at_node(n);
    d.f.bdf = (u16)(bus << 8 | (u16)(adr >> 16) << 3 | (u16)(adr & 7));
    d.f.address = bdf_text(d.f.bdf);
    d.f.vendor = (u16)vendor_id;
    d.f.device = (u16)device_id;
    d.f.class_code = (u32)class_code;
    read_resources(&d, n);
    read_capabilities(&d, n);
    mark_read(n);
    *index = t->count;
    *APPEND(t->devs, t->count) = d;
    return true;
}

/* The bus number of a host bridge; 0 when its resources do not say. */
static u8 root_bus(const xmlNode *n)
{
    for (xmlNode *r = n->children; r; r = r->next) {
        const char *type = r->type == XML_ELEMENT_NODE ? attribute(r, "type") : NULL;
        const char *min = type && strcmp(type, "bus_number") == 0 ? attribute(r, "min") : NULL;
        u64 bus;

        if (min && number_in(min, &bus) && bus <= 0xff)
            return (u8)bus;
    }
    return 0;
}

struct place {
    bool on_bus; /* below a PCI bus: bus and parent hold */
    u8 bus;
    size_t parent;
};

static void read_level(struct pci_tree *t, xmlNode *n, struct place here);

static void read_bus(struct pci_tree *t, xmlNode *n, struct place here)
{
    const char *type = attribute(n, "type"), *address = attribute(n, "address");
    struct place below = {.on_bus = true, .parent = here.parent};
    u64 bus;
    size_t index;

    mark_read(n);
    if (!type || strcmp(type, "pci") != 0) {
        read_level(t, n, here);
        return;
    }
    if (!here.on_bus) {
        /* A host bridge: the element is the bus and its function 00.0 in one. */
        below.bus = root_bus(n);
        below.parent = NO_PARENT;
        read_function(t, n, below.bus, NO_PARENT, &index);
    } else if (address && number_in(address, &bus) && bus <= 0xff) {
        below.bus = (u8)bus;
        if (here.parent != NO_PARENT) {
            t->devs[here.parent].bridge = true;
            t->devs[here.parent].secondary = (u8)bus;
        }
    } else {
        untranslated(at_node(n),
                     "<bus type=\"pci\"> without a bus number: the functions on it are not known");
        return;
    }
    if (child(n, "interrupt_pin_routing"))
        pci_read_routing(t, child(n, "interrupt_pin_routing"), below.bus);
    read_level(t, n, below);
}

/* Depth is bounded by the parser (256). */
static void read_level(struct pci_tree *t, xmlNode *n, struct place here)
{
    for (xmlNode *c = n->children; c; c = c->next) {
        struct place below = here;

        if (c->type != XML_ELEMENT_NODE)
            continue;
        if (strcmp(name_of(c), "bus") == 0) {
            read_bus(t, c, here);
        } else if (strcmp(name_of(c), "device") == 0) {
            if (here.on_bus)
                read_function(t, c, here.bus, here.parent, &below.parent);
            pci_read_link(t, c);
            read_level(t, c, below);
        }
    }
}

static int by_bdf(const void *a, const void *b)
{
    const struct pci_dev *x = a, *y = b;

    if (x->f.bdf != y->f.bdf)
        return x->f.bdf < y->f.bdf ? -1 : 1;
    return x->f.at.line < y->f.at.line ? -1 : x->f.at.line > y->f.at.line;
}

void pci_sort(struct pci_tree *t)
{
    size_t kept = 0;

    /* An index does not survive sorting, an address does. */
    for (size_t i = 0; i < t->count; i++) {
        if (t->devs[i].parent != NO_PARENT)
            t->devs[i].parent = t->devs[t->devs[i].parent].f.bdf;
    }
    if (t->count > 0)
        qsort(t->devs, t->count, sizeof(*t->devs), by_bdf);
    for (size_t i = 0; i < t->count; i++) {
        if (kept > 0 && t->devs[kept - 1].f.bdf == t->devs[i].f.bdf)
            untranslated(t->devs[i].f.at, "a second PCI function at %s (line %ld)", t->devs[i].f.address,
                         t->devs[kept - 1].f.at.line);
        else
            t->devs[kept++] = t->devs[i];
    }
    t->count = kept;
    for (size_t i = 0; i < t->count; i++) {
        struct pci_dev *up = t->devs[i].parent != NO_PARENT ? pci_dev_at(t, (u16)t->devs[i].parent) : NULL;

        /* A bridge has a lower bus number than what is behind it: no circles. */
        t->devs[i].parent = up && up->f.bdf >> 8 < t->devs[i].f.bdf >> 8 ? (size_t)(up - t->devs) : NO_PARENT;
    }
}

struct pci_dev *pci_dev_at(const struct pci_tree *t, u16 bdf)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->devs[middle].f.bdf < bdf)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->count && t->devs[low].f.bdf == bdf ? &t->devs[low] : NULL;
}

void import_pci(xmlNode *root, struct board *b)
{
    xmlNode *devices = child(root, "devices");
    struct pci_tree t = {0};

    if (devices)
        read_level(&t, devices, (struct place){.parent = NO_PARENT});
    pci_sort(&t);
    pci_from_text(root, &t);
    pci_sort(&t);
    pci_route_pins(&t, b);
    pci_make_groups(&t);
    for (size_t i = 0; i < t.count; i++)
        *APPEND(b->pci, b->pci_count) = t.devs[i].f;
    b->pci_sorted = arena_alloc(b->pci_count, sizeof(struct pci_function *));
    for (size_t i = 0; i < b->pci_count; i++)
        b->pci_sorted[i] = &b->pci[i];
}
