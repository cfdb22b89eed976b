/* PCI functions and interrupts that VMs are given: <pci_devs>, <pt_intx>. */
#include "import.h"

#include <string.h>

static struct pci_function *function_at(struct board *b, u16 bdf)
{
    /* pci_sorted points into b->pci. */
    return (struct pci_function *)(size_t)pci_find(b, bdf);
}

/* The VM before v that was given the function; *where is the place. */
static const struct acrn_vm *holder_of(const struct acrn *a, const struct acrn_vm *v, u16 bdf,
                                       struct where *where)
{
    for (const struct acrn_vm *other = a->vms; other <= v; other++) {
        for (size_t i = 0; i < other->vm.device_count; i++) {
            if (other->vm.devices[i].bdf == bdf) {
                *where = other->vm.devices[i].at;
                return other;
            }
        }
    }
    return NULL;
}

/* Other functions of the same device that v was not given. */
static bool has_neighbour(const struct board *b, u16 bdf)
{
    for (u16 function = 0; function < 8; function++) {
        u16 other = (u16)((bdf & ~7u) | function);

        if (other != bdf && pci_find(b, other))
            return true;
    }
    return false;
}

/* ACRN passes single functions of a device through, and functions of one group to different VMs, without
 * asking. */
static void separate(struct acrn *a, const struct acrn_vm *v, u16 bdf, struct where at)
{
    struct pci_function *f = function_at(a->board, bdf);

    if (f->acs || (!f->has_group && !has_neighbour(a->board, bdf)))
        return;
    guessed(at,
            "vm '%s' is given %s without the rest of its IOMMU group or device, from which the board file "
            "does not show it to be "
            "kept apart (no ACS); the board says acs=\"yes\" for it because ACRN's scenario relies on it: "
            "compare with "
            "/sys/kernel/iommu_groups on the machine",
            shown(v->name), f->address);
    f->acs = true;
    f->has_group = false;
}

static bool is_bridge(const struct pci_function *f)
{
    return f->class_code >> 16 == 0x06;
}

static void add_device(struct acrn *a, struct acrn_vm *v, xmlNode *n)
{
    const char *text = text_of(n), *end;
    const struct pci_function *f;
    const struct acrn_vm *holder;
    struct where first;
    u16 bdf;

    if (!*text)
        return;
    if (!bdf_in(text, &bdf, &end) || !(f = function_at(a->board, bdf))) {
        MISTAKE(VM_DEVICE, at_node(n),
                "vm '%s' is given \"%s\", but board '%s' has no PCI function at such an address; name one of "
                "PCI_DEVICE in the board "
                "file",
                shown(v->name), shown(text), a->board->name);
        return;
    }
    if (is_bridge(f)) {
        MISTAKE(VM_DEVICE, at_node(n),
                "vm '%s' is given %s, which is a bridge (class 0x%06x); give it the devices behind it",
                shown(v->name), f->address, (unsigned)f->class_code);
        return;
    }
    holder = holder_of(a, v, bdf, &first);
    if (holder && holder->vm.kind == KIND_USER && v->vm.kind == KIND_USER) {
        untranslated(at_node(n),
                     "%s for vm '%s': '%s' has it already (line %ld), and a function is in one slot only",
                     f->address, shown(v->name), shown(holder->name), first.line);
        return;
    }
    if (holder) {
        MISTAKE(VM_DEVICE_TWICE, at_node(n),
                "vm '%s' is given %s, which vm '%s' is given too (line %ld); remove one of the two",
                shown(v->name), f->address, shown(holder->name), first.line);
        return;
    }
    *APPEND(v->vm.devices, v->vm.device_count) = (struct vm_device){.at = at_node(n),
                                                                    .address = f->address,
                                                                    .bdf = bdf,
                                                                    .has_vendor = true,
                                                                    .has_device = true,
                                                                    .vendor = f->vendor,
                                                                    .device = f->device};
}

/* "(16, 5), (17, 6)": physical and virtual GSI. */
static void read_pt_intx(struct acrn *a, struct acrn_vm *v, xmlNode *n)
{
    char *copy = arena_strdup(text_of(n)), *rest = NULL;
    u64 pair[2];
    size_t have = 0;

    if (!*copy)
        return;
    if (v->vm.kind != KIND_PRELAUNCHED) {
        untranslated(at_node(n), "<pt_intx> of vm '%s': for pre-launched VMs only", shown(v->name));
        return;
    }
    for (char *w = strtok_r(copy, "(), \t\n", &rest); w; w = strtok_r(NULL, "(), \t\n", &rest)) {
        if (!number_in(w, &pair[have]) || pair[have] > UINT16_MAX) {
            have = 1;
            break;
        }
        have = (have + 1) % 2;
        if (have == 0)
            *APPEND(v->vm.irqs, v->vm.irq_count) = (struct vm_irq){at_node(n), (u32)pair[0], (u32)pair[1]};
    }
    if (have != 0)
        MISTAKE(
            IRQ_FORM, at_node(n),
            "<pt_intx> of vm '%s' holds \"%s\"; write pairs such as (16, 5) of a GSI of board '%s' and the "
            "VM's own",
            shown(v->name), shown(text_of(n)), a->board->name);
}

void import_devices(struct acrn *a, struct acrn_vm *v)
{
    xmlNode *devs = child(v->node, "pci_devs"), *intx = child(v->node, "pt_intx");

    v->vm.devices_at = devs ? at_node(devs) : v->at;
    for (xmlNode *n = child(devs, "pci_dev"); n; n = next(n)) {
        if (v->vm.kind != KIND_SERVICE)
            add_device(a, v, n);
        else if (*text_of(n))
            unneeded(at_node(n), "pci_dev", "the service VM has every device that nobody else was given");
    }
    if (intx)
        read_pt_intx(a, v, intx);
    for (size_t i = 0; i < v->vm.device_count; i++)
        separate(a, v, v->vm.devices[i].bdf, v->vm.devices[i].at);
    if (v->vm.device_count > 0 && a->board->iommu_count == 0) {
        v->vm.dma = "unprotected";
        guessed(v->vm.devices_at,
                "the devices of vm '%s' were given dma=\"unprotected\": the board has no IOMMU",
                shown(v->name));
    }
}
