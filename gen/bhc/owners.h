/* Whose the board's PCI functions are, and where owners share what cannot be shared. Before placing. */
#ifndef BHC_OWNERS_H
#define BHC_OWNERS_H

#include "rules.h"

enum owner_kind { OWNER_NOBODY, OWNER_HYPERVISOR, OWNER_VM };

struct owner {
    enum owner_kind kind;
    const struct vm *vm;            /* OWNER_VM */
    const struct vm_device *device; /* where the function is given to it; NULL: left to the service VM */
};

/* What tells owners, found once for each rule. */
struct owners {
    const struct scenario *s;
    const struct vm *service; /* NULL: there is none */
    bool console_on_pci;
    u16 console; /* function of the console's UART */
};

/* Sorts the devices that VMs are given: s->given. Of read_scenario(). */
void owners_sort(struct scenario *s);
/* The console's UART, or NULL where the board has none of that name (CON-001). */
const struct uart *console_uart(const struct config *c);
struct owners owners_of(const struct config *c);
/* The VM's that is given it; else the hypervisor's if it is the console's UART; else the service VM's, if
 * there is one: it owns what is left. */
struct owner owner_of(const struct owners *o, u16 bdf);
bool owner_same(const struct owner *a, const struct owner *b);
/* "vm 'rt0' (line 23)", "service vm 'svc'", "the hypervisor's console", "nobody" */
const char *owner_text(const struct owner *o);
/* "vm 'rt0' is given", "user slot 'uvm0' may be given" */
const char *grant_text(const struct vm *vm);
/* PCI Code and ID Assignment: base class 06h. No VM is given one. */
static inline bool is_bridge(const struct pci_function *f)
{
    return f->class_code >> 16 == 0x06;
}

/* One that takes part in something which only one owner can have. */
struct share {
    u64 key; /* of what: an IOMMU group, a page, a GSI... */
    struct owner owner;
    struct where at; /* where owner.device is given, or the interrupt */
    bool given;      /* at is a place in the scenario */
    const struct pci_function *f;
    const struct pci_bar *bar;
    const struct vm_irq *irq;
};

/* A function's part in key, by whoever owns it. */
struct share share_function(const struct owners *o, u64 key, const struct pci_function *f,
                            const struct pci_bar *bar);

typedef void (*share_report)(const struct rule *rule, const struct config *c, const struct share *mine,
                             const struct share *other);
/*
 * Sorts the shares by key, in the order given among equals, and reports each given one whose key a share of
 * another owner has. nobody_too: what nobody owns counts as another's. Bounded by n log n.
 */
void shares_check(const struct rule *rule, const struct config *c, struct share *shares, size_t count,
                  bool nobody_too, share_report report);

#endif
