/*
 * Virtual PCI configuration space through configuration mechanism 1 (PCI Local Bus
 * Specification 3.0, 3.2.2.3.2). The host bridge carries the identity of the Q35 memory controller hub
 * (8086:29C0): guests know it, load no driver that would want more of its registers than are here, and,
 * unlike the i440FX's, its presence promises neither a PIIX with its IDE and ACPI functions nor a chipset
 * quirk in Linux's PCI code.
 */
#include <lib/bits.h>
#include <lib/spinlock.h>
#include <core/vm.h>
#include <core/vpci.h>

#define PORT_ADDRESS 0xcf8
#define PORT_RESET   0xcf9
#define PORT_DATA    0xcfc

#define ADDR_ENABLE BIT32(31)
#define ADDR_BDF(a) (((a) >> 8) & 0xffff)
#define ADDR_REG(a) ((a)&0xfc)
#define ADDR_VALID  (ADDR_ENABLE | 0x00fffffcU)

/* Reset control register (Intel ICH9 datasheet 13.7.5): a CPU reset comes with the write that sets bit 2. */
#define RST_CPU      BIT32(2)
#define RST_WRITABLE 0x0e

#define REG_ID          0x00
#define REG_CLASS       0x08
#define HOST_BRIDGE_ID  0x29c08086U
#define HOST_BRIDGE_CLS 0x06000002U /* class 06 00 00, revision 2 */

static struct vpci {
    spinlock_t lock; /* protects the others: any vCPU of the VM may touch the address register */
    u32 address;
    u8 reset_control;
} vpcis[CFG_VMS];

/* The doubleword of configuration space that the address selects. The bridge has no writable registers. */
static u32 config_read(u32 address)
{
    if (!(address & ADDR_ENABLE) || ADDR_BDF(address) != 0)
        return ~0u;
    switch (ADDR_REG(address)) {
    case REG_ID:
        return HOST_BRIDGE_ID;
    case REG_CLASS:
        return HOST_BRIDGE_CLS;
    default:
        return 0;
    }
}

static bool reset_port(struct vcpu *v, struct vpci *p, bool write, u32 *val)
{
    u8 old = p->reset_control;

    if (!write) {
        *val = old;
        return true;
    }
    p->reset_control = *val & RST_WRITABLE;
    if ((*val & RST_CPU) && !(old & RST_CPU))
        vm_guest_reset(v);
    return true;
}

static bool address_port(struct vpci *p, bool write, u32 *val)
{
    spin_lock(&p->lock);
    if (write)
        p->address = *val & ADDR_VALID;
    else
        *val = p->address;
    spin_unlock(&p->lock);
    return true;
}

static bool vpci_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct vpci *p = dev;
    u32 address;

    if (port == PORT_RESET && size == 1)
        return reset_port(v, p, write, val);
    /* Only a doubleword access reaches the address register; other sizes are ordinary I/O, which nobody owns.
     */
    if (port < PORT_DATA)
        return port == PORT_ADDRESS && size == 4 && address_port(p, write, val);
    spin_lock(&p->lock);
    address = p->address;
    spin_unlock(&p->lock);
    if (!write)
        *val = config_read(address) >> ((port - PORT_DATA) * 8);
    return true;
}

void vpci_init(struct vm *vm)
{
    io_register_ports(vm, PORT_ADDRESS, 8, vpci_port, &vpcis[vm->id]);
}

void vpci_reset(struct vm *vm)
{
    vpcis[vm->id].address = 0;
    vpcis[vm->id].reset_control = 0;
}
