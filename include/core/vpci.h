/*
 * Virtual PCI configuration space, reached by ports 0xCF8/0xCFC: for now a host bridge at 00:00.0. vpci owns
 * the ports 0xCF8..0xCFF, so it serves the chipset's reset control register at 0xCF9 too (a byte write with
 * bit 2 set is vm_guest_reset()): nobody else registers that port.
 */
#ifndef BH_CORE_VPCI_H
#define BH_CORE_VPCI_H

struct vm;

void vpci_init(struct vm *vm);
void vpci_reset(struct vm *vm);

#endif
