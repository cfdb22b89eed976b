/*
 * Virtual PCI configuration space through configuration mechanism 1 (PCI Local Bus
 * Specification 3.0, 3.2.2.3.2). The host bridge carries the identity of the Q35 memory controller hub
 * (8086:29C0): guests know it, load no driver that would want more of its registers than are here, and,
 * unlike the i440FX's, its presence promises neither a PIIX with its IDE and ACPI functions nor a chipset
 * quirk in Linux's PCI code.
 */
#include <core/vm.h>
#include <core/vpci.h>

#define PORT_RESET 0xcf9

#define ADDR_VALID (PCI_MECH1_ENABLE | 0x00fffffcU)

/* Reset control register (Intel ICH9 datasheet 13.7.5): a CPU reset comes with the write that sets bit 2. */
#define RST_CPU      BIT32(2)
#define RST_WRITABLE 0x0e

#define REG_ID          0x00
#define REG_CLASS       0x08
#define HOST_BRIDGE_ID  0x29c08086U
#define HOST_BRIDGE_CLS 0x06000002U /* class 06 00 00, revision 2 */

static struct pci_mech1 vpcis[CFG_VMS];

/* The doubleword of configuration space that the address selects. The bridge has no writable registers. */
static u32 config_read(u32 address)
{
    if (!(address & PCI_MECH1_ENABLE) || PCI_MECH1_BDF(address) != 0)
        return ~0u;
    switch (PCI_MECH1_REG(address)) {
    case REG_ID:
        return HOST_BRIDGE_ID;
    case REG_CLASS:
        return HOST_BRIDGE_CLS;
    default:
        return 0;
    }
}

static bool reset_port(struct vcpu *v, struct pci_mech1 *m, bool write, u32 *val)
{
    u8 old = m->reset_control;

    if (!write) {
        *val = old;
        return true;
    }
    m->reset_control = *val & RST_WRITABLE;
    if ((*val & RST_CPU) && !(old & RST_CPU))
        vm_guest_reset(v);
    return true;
}

static bool address_port(struct pci_mech1 *m, bool write, u32 *val)
{
    spin_lock(&m->lock);
    if (write)
        m->address = *val & ADDR_VALID;
    else
        *val = m->address;
    spin_unlock(&m->lock);
    return true;
}

bool pci_mech1_control(struct vcpu *v, struct pci_mech1 *m, u16 port, u8 size, bool write, u32 *val)
{
    if (port == PORT_RESET && size == 1)
        return reset_port(v, m, write, val);
    /* Only a doubleword access reaches the address register. */
    return port == PCI_MECH1_ADDRESS && size == 4 && address_port(m, write, val);
}

u32 pci_mech1_address(struct pci_mech1 *m)
{
    u32 address;

    spin_lock(&m->lock);
    address = m->address;
    spin_unlock(&m->lock);
    return address;
}

static bool vpci_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct pci_mech1 *m = dev;

    if (port < PCI_MECH1_DATA)
        return pci_mech1_control(v, m, port, size, write, val);
    if (!write)
        *val = config_read(pci_mech1_address(m)) >> ((port - PCI_MECH1_DATA) * 8);
    return true;
}

void vpci_init(struct vm *vm)
{
    io_register_ports(vm, PCI_MECH1_ADDRESS, 8, vpci_port, &vpcis[vm->id]);
}

void vpci_reset(struct vm *vm)
{
    vpcis[vm->id].address = 0;
    vpcis[vm->id].reset_control = 0;
}
