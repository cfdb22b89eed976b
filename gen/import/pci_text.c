/* PCI functions from PCI_DEVICE (lspci) and PCI_VID_PID, where the <devices> tree lacks them. */
#include "pci.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_PCI_BRIDGE 0x0604

/* "00:1f.3 0403: 8086:9dc8 (rev 30)" */
static bool vid_pid_line(const char *line, struct pci_function *f)
{
    u64 class, vendor, device;
    const char *p;
    char *end;

    if (!bdf_in(line, &f->bdf, &p) || *p != ' ')
        return false;
    class = strtoull(p, &end, 16);
    if (end[0] != ':' || class > 0xffff)
        return false;
    vendor = strtoull(end + 1, &end, 16);
    if (end[0] != ':' || vendor > 0xffff)
        return false;
    device = strtoull(end + 1, &end, 16);
    if (device > 0xffff)
        return false;
    f->class_code = (u32) class << 8;
    f->vendor = (u16)vendor;
    f->device = (u16)device;
    return true;
}

/* "256", "4K", "16M", "1G" as lspci writes sizes. 0: none of these. */
static u64 lspci_size(const char *s)
{
    char *end;
    u64 n = strtoull(s, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

    end += shift > 0;
    return *end == ']' && n > 0 && n <= GIB(1) ? n << shift : 0;
}

/* "Region 0: Memory at a0000000 (64-bit, non-prefetchable) [size=16M]", "Region 4: I/O ports at 5000
 * [size=64]" */
static void region_line(struct pci_dev *d, const char *line, struct where at)
{
    const char *size_at = strstr(line, "[size="), *memory = strstr(line, "Memory at "),
               *ports = strstr(line, "I/O ports at ");
    u64 base, size = size_at ? lspci_size(size_at + 6) : 0;
    char index = line[7];

    if (index < '0' || index > '5' || (!memory && !ports) || size == 0) {
        untranslated(at, "<PCI_DEVICE>: %s: \"%s\" has no index, address or size", d->f.address, shown(line));
        return;
    }
    base = strtoull(memory ? memory + 10 : ports + 13, NULL, 16);
    if (base == 0 || (size & (size - 1)) != 0 || base % size != 0) {
        untranslated(at, "<PCI_DEVICE>: %s: BAR %c is not in use, or not aligned to its size", d->f.address,
                     index);
        return;
    }
    *APPEND(d->f.bars, d->f.bar_count) = (struct pci_bar){at, (u8)(index - '0'), !memory, base, size};
}

/* Regions of functions that the tree has are passed over. */
static void read_regions(xmlNode *section, struct pci_tree *t)
{
    struct lines l = lines_of(section);
    struct pci_dev *d = NULL;
    const char *end;
    char *line;
    u16 bdf;

    while ((line = next_line(&l))) {
        if (bdf_in(line, &bdf, &end)) {
            d = pci_dev_at(t, bdf);
        } else if (d && strncmp(line, "Region ", 7) == 0) {
            region_line(d, line, l.at);
        }
    }
}

void pci_from_text(xmlNode *root, struct pci_tree *t)
{
    xmlNode *ids = child(root, "PCI_VID_PID"), *devices = child(root, "PCI_DEVICE");
    struct lines l = lines_of(ids);
    struct pci_tree found = {0};
    char *line;

    while ((line = next_line(&l))) {
        struct pci_dev d = {.parent = NO_PARENT, .f.at = l.at, .f.iommu_group = NO_GROUP};

        if (!vid_pid_line(line, &d.f)) {
            untranslated(l.at, "<PCI_VID_PID>: \"%s\" is not an address, a class and an identity",
                         shown(line));
            continue;
        }
        if (pci_dev_at(t, d.f.bdf))
            continue;
        d.f.address = bdf_text(d.f.bdf);
        d.bridge = d.f.class_code >> 8 == CLASS_PCI_BRIDGE;
        guessed(l.at,
                "%s is in PCI_VID_PID, but not in <devices>: taken from the text, without capabilities and "
                "interrupt",
                d.f.address);
        *APPEND(found.devs, found.count) = d;
    }
    pci_sort(&found);
    if (devices)
        read_regions(devices, &found);
    for (size_t i = 0; i < found.count; i++)
        *APPEND(t->devs, t->count) = found.devs[i];
}
