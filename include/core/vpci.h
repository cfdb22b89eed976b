/*
 * Virtual PCI configuration space, reached by ports 0xCF8/0xCFC: for now a host bridge at 00:00.0. vpci owns
 * the ports 0xCF8..0xCFF, so it serves the chipset's reset control register at 0xCF9 too (a byte write with
 * bit 2 set is vm_guest_reset()): nobody else registers that port.
 */
#ifndef BH_CORE_VPCI_H
#define BH_CORE_VPCI_H

#include <lib/bits.h>
#include <lib/spinlock.h>

struct vcpu;
struct vm;

/* Configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2). */
#define PCI_MECH1_ADDRESS   0xcf8
#define PCI_MECH1_DATA      0xcfc
#define PCI_MECH1_ENABLE    BIT32(31)
#define PCI_MECH1_BDF(addr) (((addr) >> 8) & 0xffff)
#define PCI_MECH1_REG(addr) ((addr)&0xfc)

/* What of it lies below the data ports; zeroed at reset. */
struct pci_mech1 {
    spinlock_t lock;  /* protects the others: any vCPU of the VM may touch the address register */
    u32 address;      /* CONFIG_ADDRESS */
    u8 reset_control; /* port 0xCF9 */
};

/* An access below PCI_MECH1_DATA: the address register, or reset control, which may reset the VM. False: it
 * is ordinary I/O, which nobody owns. Takes the lock. */
bool pci_mech1_control(struct vcpu *v, struct pci_mech1 *m, u16 port, u8 size, bool write, u32 *val);
/* The address register. Takes the lock. */
u32 pci_mech1_address(struct pci_mech1 *m);

void vpci_init(struct vm *vm);
void vpci_reset(struct vm *vm);

#endif
