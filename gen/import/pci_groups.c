/*
 * IOMMU groups. ACRN's files do not show them; they are worked out as Linux does, from bridges and the ACS
 * capability: functions behind a bridge that does not separate them, and functions of one device without ACS,
 * can reach each other's memory and belong together.
 */
#include "pci.h"

/* ACS on every bridge from d up to the root. */
static bool path_separated(const struct pci_tree *t, const struct pci_dev *d)
{
    while (d->parent != NO_PARENT) {
        d = &t->devs[d->parent];
        if (!d->f.acs)
            return false;
    }
    return true;
}

/* The function whose group d is in: the topmost one that it cannot be told from. */
static size_t leader_of(const struct pci_tree *t, size_t i, const size_t *slot_leader)
{
    while (!path_separated(t, &t->devs[i]))
        i = t->devs[i].parent;
    return t->devs[i].f.acs ? i : slot_leader[i];
}

void pci_make_groups(struct pci_tree *t)
{
    size_t *slot_leader = arena_alloc(t->count, sizeof(*slot_leader)),
           *leader = arena_alloc(t->count, sizeof(*leader)),
           *members = arena_alloc(t->count, sizeof(*members));
    u32 *group = arena_alloc(t->count, sizeof(*group)), groups = 0;

    /* Sorted by address: functions of one device stand together. */
    for (size_t i = 0, first = 0; i < t->count; i++) {
        if (t->devs[i].f.bdf >> 3 != t->devs[first].f.bdf >> 3)
            first = i;
        if (t->devs[first].f.acs && !t->devs[i].f.acs)
            first = i;
        slot_leader[i] = first;
    }
    for (size_t i = 0; i < t->count; i++) {
        leader[i] = leader_of(t, i, slot_leader);
        members[leader[i]]++;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (members[i] < 2)
            continue;
        group[i] = ++groups;
        guessed(t->devs[i].f.at,
                "%s and what cannot be kept from it were put in IOMMU group %u: worked out from bridges and "
                "ACS; compare "
                "with /sys/kernel/iommu_groups on the machine",
                t->devs[i].f.address, (unsigned)group[i]);
    }
    for (size_t i = 0; i < t->count; i++) {
        t->devs[i].f.has_group = group[leader[i]] != 0;
        if (t->devs[i].f.has_group)
            t->devs[i].f.iommu_group = group[leader[i]];
    }
}
