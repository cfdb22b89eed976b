/* Configuration space of the physical PCI functions. Layer 4'. */
#ifndef BH_X86_HW_PCI_H
#define BH_X86_HW_PCI_H

#include <lib/types.h>

/*
 * 32-bit configuration access; bdf is bus << 8 | device << 3 | function, off a multiple of 4 below 4096. Goes
 * through the board's memory-mapped space where that covers the bus, else through ports 0xCF8/0xCFC under a
 * lock (off below 256; beyond reads all ones, writes are dropped). Any CPU.
 */
u32 pci_read32(u16 bdf, u32 off);
void pci_write32(u16 bdf, u32 off, u32 val);
/* The same with size 1, 2 or 4 and an offset that is a multiple of it: what the registers beside do not
 * notice. */
u32 pci_read(u16 bdf, u32 off, u32 size);
void pci_write(u16 bdf, u32 off, u32 size, u32 val);

#endif
