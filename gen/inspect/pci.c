/* PCI functions: identity, BARs, capabilities, groups (PCI Local Bus 3.0 chapter 6, PCIe 6.0 chapter 7). */
#include "inspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char folder[] = "sys/bus/pci/devices/";

/* Configuration space (PCI 3.0 section 6.1, PCI-to-PCI bridge 1.2 section 3.2) */
enum {
    CFG_VENDOR = 0x00,
    CFG_DEVICE = 0x02,
    CFG_STATUS = 0x06,
    CFG_CLASS = 0x08, /* revision in the low byte */
    CFG_HEADER = 0x0e,
    CFG_SECONDARY = 0x19,
    CFG_SUBORDINATE = 0x1a,
    CFG_CAPS = 0x34,
};
#define CFG_SIZE      64u
#define CFG_EXTENDED  0x100u
#define STATUS_CAPS   (1u << 4)
#define HEADER_TYPE   0x7fu
#define HEADER_BRIDGE 1u
#define CAP_MSI       0x05u
#define CAP_MSIX      0x11u
#define CAP_STEPS     48u /* as many as fit into 192 bytes */
#define EXT_ACS       0x0du
#define EXT_STEPS     480u

/* ACS capability register (PCIe 6.0 section 7.7.11.2): peer-to-peer requests and completions can be sent
 * upstream. */
#define ACS_REQUEST_REDIRECT    (1u << 2)
#define ACS_COMPLETION_REDIRECT (1u << 3)

/* Linux include/linux/ioport.h; the third column of sysfs `resource` */
#define RESOURCE_IO    0x100u
#define RESOURCE_MEM   0x200u
#define RESOURCE_UNSET 0x20000000u
#define BARS           6u

static const u8 *config_of(const struct inspection *in, size_t i)
{
    return (const u8 *)in->pci[i].config->data;
}

/* Offset of a capability, with at least `room` bytes behind it inside the first 256; 0: there is none. */
static size_t capability(const struct inspection *in, size_t i, u8 id, size_t room)
{
    const u8 *cfg = config_of(in, i);
    size_t len = MIN(in->pci[i].config->len, (size_t)CFG_EXTENDED);
    size_t at = cfg[CFG_CAPS] & 0xfcu;

    if (!(get16(cfg + CFG_STATUS) & STATUS_CAPS))
        return 0;
    for (unsigned step = 0; step < CAP_STEPS && at >= CFG_SIZE && at + room <= len; step++) {
        if (cfg[at] == id)
            return at;
        at = cfg[at + 1] & 0xfcu;
    }
    return 0;
}

/* The same in extended configuration space (PCIe 6.0 section 7.6.3: id in bits 15:0, next in bits 31:20). */
static size_t extended_capability(const struct inspection *in, size_t i, u16 id, size_t room)
{
    const u8 *cfg = config_of(in, i);
    size_t at = CFG_EXTENDED;

    for (unsigned step = 0;
         step < EXT_STEPS && at >= CFG_EXTENDED && at + MAX(room, (size_t)4) <= in->pci[i].config->len;
         step++) {
        u32 head = get32(cfg + at);

        if ((head & 0xffff) == id)
            return at;
        at = head >> 20 & 0xffc;
    }
    return 0;
}

static void messages(struct inspection *in, size_t i)
{
    struct pci_function *f = &in->board.pci[i];
    const u8 *cfg = config_of(in, i);
    size_t msi = capability(in, i, CAP_MSI, 4), msix = capability(in, i, CAP_MSIX, 8);

    if (msi) {
        unsigned log = get16(cfg + msi + 2) >> 1 & 7; /* multiple message capable; 6 and 7 are reserved */

        f->has_msi = log <= 5;
        f->msi_vectors = 1u << MIN(log, 5u);
    }
    if (msix) {
        u32 table = get32(cfg + msix + 4);

        f->has_msix = (table & 7) < BARS;
        f->msix_vectors = (get16(cfg + msix + 2) & 0x7ffu) + 1;
        f->msix_bar = table & 7;
        f->msix_offset = table & ~7u;
    }
}

static bool acs_capable(const struct inspection *in, size_t i)
{
    size_t at = extended_capability(in, i, EXT_ACS, 8);
    u16 able = at ? get16(config_of(in, i) + at + 4) : 0;

    return (able & ACS_REQUEST_REDIRECT) && (able & ACS_COMPLETION_REDIRECT);
}

/* Lines of sysfs `resource`: start, end, flags; the first six are the BARs. */
static void bars(struct inspection *in, struct pci_function *f, const char *name)
{
    const struct file *file = collection_findf(in->files, "%s%s/resource", folder, name);
    const char *at = NULL;
    char line[128];

    for (u8 index = 0; file && index < BARS && (at = file_line(file, line, sizeof(line), at)); index++) {
        const char *p = line;
        u64 start, end, flags;

        if (!read_hex(&p, &start) || *p++ != ' ' || !read_hex(&p, &end) || *p++ != ' ' ||
            !read_hex(&p, &flags) || !(flags & (RESOURCE_IO | RESOURCE_MEM)) || end <= start)
            continue;
        if (flags & RESOURCE_UNSET || end == UINT64_MAX) {
            note(in, "%s: BAR %u has no address; it is left out", f->address, index);
            continue;
        }
        f->bars = list_grow(f->bars, f->bar_count, sizeof(*f->bars));
        f->bars[f->bar_count++] = (struct pci_bar){
            .index = index, .is_io = (flags & RESOURCE_IO) != 0, .base = start, .size = end - start + 1};
    }
}

/* The last component of a link's target is the number of the group. */
static void group(struct inspection *in, struct pci_function *f, const char *name)
{
    const struct file *link = collection_findf(in->files, "%s%s/iommu_group", folder, name);
    const char *last = link ? strrchr(link->data, '/') : NULL;
    u64 number;

    if (!last)
        return;
    last++;
    f->has_group = read_decimal(&last, &number) && number <= INT32_MAX;
    f->iommu_group = f->has_group ? (u32)number : 0;
}

static void add_function(struct inspection *in, const char *name, u16 bdf)
{
    const struct file *config = collection_findf(in->files, "%s%s/config", folder, name);
    struct board *b = &in->board;
    const u8 *cfg;
    struct pci_function *f;
    struct pci_detail *d;
    u64 enabled;

    if (collection_findf(in->files, "%s%s/physfn", folder, name)) {
        note(in, "%s is a virtual function that a driver has made (SR-IOV); it is left out", bdf_name(bdf));
        return;
    }
    if (!config || config->len < CFG_SIZE || get16(config->data) == 0xffff) {
        note(in, "%s: its configuration space cannot be read; it is left out", bdf_name(bdf));
        return;
    }
    cfg = (const u8 *)config->data;
    b->pci = list_grow(b->pci, b->pci_count, sizeof(*b->pci));
    in->pci = list_grow(in->pci, b->pci_count, sizeof(*in->pci));
    f = &b->pci[b->pci_count];
    d = &in->pci[b->pci_count++];
    *f = (struct pci_function){.bdf = bdf,
                               .address = bdf_name(bdf),
                               .vendor = get16(cfg + CFG_VENDOR),
                               .device = get16(cfg + CFG_DEVICE),
                               .class_code = get32(cfg + CFG_CLASS) >> 8};
    *d = (struct pci_detail){.config = config, .bridge = (cfg[CFG_HEADER] & HEADER_TYPE) == HEADER_BRIDGE};
    d->enabled =
        file_number(collection_findf(in->files, "%s%s/enable", folder, name), &enabled) && enabled > 0;
    if (d->bridge) {
        d->secondary = cfg[CFG_SECONDARY];
        d->subordinate = cfg[CFG_SUBORDINATE];
    }
    bars(in, f, name);
    group(in, f, name);
    messages(in, b->pci_count - 1);
}

/* A bridge's secondary bus is above its own: so there are no circles. */
static void hierarchy(struct inspection *in)
{
    for (size_t i = 0; i < in->board.pci_count; i++) {
        const struct pci_detail *d = &in->pci[i];

        if (d->bridge && d->secondary > BDF_BUS(in->board.pci[i].bdf) && !in->has_upstream[d->secondary]) {
            in->has_upstream[d->secondary] = true;
            in->upstream[d->secondary] = in->board.pci[i].bdf;
        }
    }
}

/*
 * A function of a device that has several needs ACS itself; else the port above it decides (PCIe 6.0
 * section 6.12.1). Nothing is said of integrated functions, which have no port.
 */
static void access_control(struct inspection *in)
{
    struct board *b = &in->board;
    bool *own = arena_alloc(b->pci_count, sizeof(*own));

    for (size_t i = 0; i < b->pci_count; i++)
        own[i] = acs_capable(in, i);
    /* pci_find() wants this order. */
    b->pci_sorted =
        arena_alloc(b->pci_count, sizeof(*b->pci_sorted)); // NOLINT(bugprone-sizeof-expression): pointers
    for (size_t i = 0; i < b->pci_count; i++)
        b->pci_sorted[i] = &b->pci[i];
    for (size_t i = 0; i < b->pci_count; i++) {
        struct pci_function *f = &b->pci[i];
        u8 bus = (u8)BDF_BUS(f->bdf);
        bool several = (i > 0 && b->pci[i - 1].bdf >> 3 == f->bdf >> 3) ||
                       (i + 1 < b->pci_count && b->pci[i + 1].bdf >> 3 == f->bdf >> 3);
        const struct pci_function *port = in->has_upstream[bus] ? pci_find(b, in->upstream[bus]) : NULL;

        f->acs = own[i] || (!several && port && own[port - b->pci]);
    }
}

static int by_bdf(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    u32 sx = 0, sy = 0;
    u16 bx = 0, by = 0;

    parse_address(*x, &sx, &bx);
    parse_address(*y, &sy, &by);
    return bx != by ? (bx < by ? -1 : 1) : strcmp(*x, *y);
}

void inspect_pci(struct inspection *in)
{
    size_t at = collection_from(in->files, folder), count = 0;
    const char *name, **names = NULL;
    bool groups = false;
    u32 segment;
    u16 bdf;

    while ((name = collection_next(in->files, folder, &at))) {
        if (!parse_address(name, &segment, &bdf)) {
            note(in, "'%s' is not the address of a PCI function; it is left out", name);
        } else if (segment != 0) {
            note(in, "PCI function %s is left out: a board file holds segment 0 only", name);
        } else {
            names = list_grow(names, count, sizeof(*names));
            names[count++] = name;
        }
    }
    if (count)
        qsort(names, count, sizeof(*names), by_bdf);
    for (size_t i = 0; i < count; i++) {
        parse_address(names[i], &segment, &bdf);
        if (in->board.pci_count && in->board.pci[in->board.pci_count - 1].bdf == bdf)
            continue; /* spelled in two ways: not by a kernel */
        add_function(in, names[i], bdf);
    }
    for (size_t i = 0; i < in->board.pci_count; i++)
        groups |= in->board.pci[i].has_group;
    if (in->board.pci_count == 0)
        note(in, "there is no PCI function in /sys/bus/pci/devices");
    else if (!groups && (collection_find(in->files, "sys/firmware/acpi/tables/DMAR") ||
                         collection_find(in->files, "sys/firmware/acpi/tables/IVRS")))
        note(in, "the kernel does not use the machine's IOMMU, so IOMMU groups are not known; boot with "
                 "intel_iommu=on or amd_iommu=on and "
                 "try again");
    hierarchy(in);
    access_control(in);
}
