#include <config/config.h>
#include <lib/spinlock.h>
#include "x86/hw/paging.h"
#include "x86/hw/pci.h"
#include "x86/hw/ports.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc

/* Protects the pair of ports: address, then data. */
static spinlock_t port_lock = SPINLOCK_INIT;

static bool in_mcfg(u16 bdf)
{
    u32 bus = bdf >> 8;

    return cfg_board.mcfg_base && bus >= cfg_board.mcfg_start_bus && bus <= cfg_board.mcfg_end_bus;
}

/* PCI Firmware Specification 3.3 section 4.1.2: the base is that of bus 0 whatever the start bus. */
static u64 mcfg_address(u16 bdf, u32 off)
{
    return cfg_board.mcfg_base + ((u64)bdf << 12) + (off & 0xfff);
}

static u32 port_address(u16 bdf, u32 off)
{
    return BIT32(31) | (u32)bdf << 8 | (off & 0xfc);
}

u32 port_in(u16 port, u32 size)
{
    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void port_out(u16 port, u32 size, u32 v)
{
    if (size == 1)
        outb(port, (u8)v);
    else if (size == 2)
        outw(port, (u16)v);
    else
        outl(port, v);
}

u32 pci_read(u16 bdf, u32 off, u32 size)
{
    u16 data = (u16)(PCI_DATA + (off & 3));
    u32 v;

    if (in_mcfg(bdf))
        return (u32)mmio_phys_read(mcfg_address(bdf, off), size);
    if (off >= 256)
        return ~(u32)0;
    spin_lock(&port_lock);
    outl(PCI_ADDRESS, port_address(bdf, off));
    v = port_in(data, size);
    spin_unlock(&port_lock);
    return v;
}

void pci_write(u16 bdf, u32 off, u32 size, u32 val)
{
    u16 data = (u16)(PCI_DATA + (off & 3));

    if (in_mcfg(bdf)) {
        mmio_phys_write(mcfg_address(bdf, off), size, val);
        return;
    }
    if (off >= 256)
        return;
    spin_lock(&port_lock);
    outl(PCI_ADDRESS, port_address(bdf, off));
    port_out(data, size, val);
    spin_unlock(&port_lock);
}

u32 pci_read32(u16 bdf, u32 off)
{
    return pci_read(bdf, off, 4);
}

void pci_write32(u16 bdf, u32 off, u32 val)
{
    pci_write(bdf, off, 4, val);
}
