/* PCI functions while they are read, before they become the board's. */
#ifndef IMPORT_PCI_H
#define IMPORT_PCI_H

#include "import.h"

#define NO_PARENT SIZE_MAX
#define PCI_PINS  4

struct pci_dev {
    struct pci_function f;
    size_t parent; /* the bridge above it, as an index, or NO_PARENT */
    bool bridge;
    u8 secondary;       /* of a bridge: the bus below it */
    u8 pin;             /* 1 to 4; 0: none */
    const char *source; /* what its pin is wired to, or NULL */
    struct where pin_at;
};

/* One line of a _PRT: what pin `pin` of device `device` on bus `bus` is wired to. */
struct pci_route {
    struct where at;
    u8 bus, device, pin;
    const char *source;
};

/* An ACPI object with an interrupt of its own, for sources that are names (interrupt link devices). */
struct pci_link {
    const char *object;
    u64 gsi;
};

struct pci_tree {
    struct pci_dev *devs;
    size_t count;
    struct pci_route *routes;
    size_t route_count;
    struct pci_link *links;
    size_t link_count;
};

static inline u8 pci_device_of(u16 bdf)
{
    return (u8)(bdf >> 3 & 0x1f);
}

/* pci_text.c: functions that only the text sections know. */
void pci_from_text(xmlNode *root, struct pci_tree *t);
/* pci_irq.c */
u8 pci_pin_from(const char *text);
void pci_read_routing(struct pci_tree *t, xmlNode *routing, u8 bus);
void pci_read_link(struct pci_tree *t, xmlNode *device);
void pci_route_pins(struct pci_tree *t, const struct board *b);
/* pci_groups.c */
void pci_make_groups(struct pci_tree *t);

/* Sorts by address and keeps each address once; parents follow. */
void pci_sort(struct pci_tree *t);
/* At bdf, or NULL; t->devs is sorted by bdf. */
struct pci_dev *pci_dev_at(const struct pci_tree *t, u16 bdf);

#endif
