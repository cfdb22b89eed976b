/* The machine's register windows: addresses that are no RAM. */
#ifndef BHC_WINDOWS_H
#define BHC_WINDOWS_H

#include "extents.h"

enum window_kind { WINDOW_LAPIC, WINDOW_IOAPIC, WINDOW_MCFG, WINDOW_IOMMU, WINDOW_BAR, WINDOW_BRIDGE };

struct window {
    enum window_kind kind;
    struct where at;
    u64 base, size;
    size_t index;                 /* of an I/O APIC or IOMMU, in the order of the file */
    const struct pci_function *f; /* of a BAR */
    const struct pci_bar *bar;
};

/* Registers in the order: local APIC, I/O APICs, MCFG, IOMMUs, memory BARs; last of all the windows of host
 * bridges, in which BARs lie. *registers: how many there are before those. */
struct window *board_windows(const struct board *b, size_t *registers, size_t *count);
/* "BAR 5 of 00:1f.2 (0xfebd4000+4K)" */
const char *window_text(const struct board *b, const struct window *w);

/* Bytes of an IOMMU's registers, which they are aligned to as well: VT-d 4 KiB (VT-d spec 10.4: DRHD register
 * base is 4 KiB aligned), AMD-Vi 16 KiB (AMD IOMMU spec 3.4: base address bits 31:14). */
u64 iommu_size(const struct iommu *u);
/* Bytes of the memory-mapped configuration space; 0: there is none, or its buses are nonsense. */
u64 mcfg_size(const struct mcfg *m);

#endif
