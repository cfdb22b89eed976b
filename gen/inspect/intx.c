/* Which GSI a legacy interrupt is routed to. The routes stand in AML methods (_PRT); the kernel has executed
 * them, so its interrupts are asked. */
#include "inspect.h"

#include <inttypes.h>
#include <string.h>

#define CFG_INTERRUPT_PIN 0x3du
#define CAP_MSI           0x05u
#define ISA_IRQS          16u

/*
 * The kernel shows the pin (hwirq) but not of which I/O APIC. On the first one, interrupt numbers from 16 on
 * are the GSIs (Linux arch/x86/kernel/apic/io_apic.c: alloc_irq_from_domain()); on others they are given out
 * as they come.
 */
bool gsi_of_irq(const struct inspection *in, u64 irq, u32 *gsi)
{
    const struct file *chip = collection_findf(in->files, "sys/kernel/irq/%" PRIu64 "/chip_name", irq);
    const struct board *b = &in->board;
    u64 pin;

    if (!chip || !strstr(chip->data, "IO-APIC") ||
        !file_number(collection_findf(in->files, "sys/kernel/irq/%" PRIu64 "/hwirq", irq), &pin))
        return false;
    if (b->ioapic_count == 1 || irq < ISA_IRQS || irq == pin) {
        const struct ioapic *first = ioapic_of(b, 0);

        *gsi = (u32)pin;
        return first && pin < first->pins;
    }
    if (b->ioapic_count == 2 && pin < b->ioapics[1].pins) {
        *gsi = b->ioapics[1].gsi_base + (u32)pin;
        return true;
    }
    return false;
}

/* sysfs shows a message's number in `irq` while MSI is on, and the legacy interrupt's otherwise
 * (drivers/pci/pci-sysfs.c, irq_show()). */
static bool uses_msi(const struct pci_detail *d)
{
    const u8 *cfg = (const u8 *)d->config->data;
    size_t at = cfg[0x34] & 0xfcu;

    if (!(cfg[6] & 0x10))
        return false;
    for (unsigned step = 0; step < 48 && at >= 64 && at + 4 <= MIN(d->config->len, (size_t)256); step++) {
        if (cfg[at] == CAP_MSI)
            return (cfg[at + 2] & 1) != 0;
        at = cfg[at + 1] & 0xfcu;
    }
    return false;
}

static u8 pin_of(const struct inspection *in, size_t i)
{
    u8 pin = (u8)in->pci[i].config->data[CFG_INTERRUPT_PIN];

    return pin <= 4 ? pin : 0;
}

/* Functions of one device that have the same pin share its route. Functions stand in order: the device's are
 * side by side. */
static bool route_of_sibling(const struct inspection *in, size_t i, u32 *gsi)
{
    const struct board *b = &in->board;
    size_t first = i;

    while (first > 0 && b->pci[first - 1].bdf >> 3 == b->pci[i].bdf >> 3)
        first--;
    for (size_t j = first; j < b->pci_count && b->pci[j].bdf >> 3 == b->pci[i].bdf >> 3; j++) {
        if (b->pci[j].has_intx && pin_of(in, j) == pin_of(in, i)) {
            *gsi = b->pci[j].intx_gsi;
            return true;
        }
    }
    return false;
}

static void set_route(struct pci_function *f, u8 pin, u32 gsi)
{
    f->has_intx = true;
    f->intx_pin = pin;
    f->intx_gsi = gsi;
}

void inspect_intx(struct inspection *in)
{
    struct board *b = &in->board;
    u32 gsi;
    u64 irq;

    for (size_t i = 0; i < b->pci_count; i++) {
        if (pin_of(in, i) && in->pci[i].enabled && !uses_msi(&in->pci[i]) &&
            file_number(collection_findf(in->files, "sys/bus/pci/devices/0000:%s/irq", b->pci[i].address),
                        &irq) &&
            gsi_of_irq(in, irq, &gsi))
            set_route(&b->pci[i], pin_of(in, i), gsi);
    }
    for (size_t i = 0; i < b->pci_count; i++) {
        if (!pin_of(in, i) || b->pci[i].has_intx)
            continue;
        if (route_of_sibling(in, i, &gsi))
            set_route(&b->pci[i], pin_of(in, i), gsi);
        else
            note(in, "%s: which GSI its INT%c# is routed to is not known (%s); <intx> is left out",
                 b->pci[i].address, "ABCD"[pin_of(in, i) - 1],
                 uses_msi(&in->pci[i]) ? "its driver uses MSI"
                 : in->pci[i].enabled  ? "the kernel does not show the interrupt"
                                       : "no driver uses it; --probe-intx finds out");
    }
}
