/* Stand-ins for src/x86/hw. */
#include <string.h>
#include <config/config.h>
#include <fake.h>
#include "hw.h"
#include "x86/hw/acpi.h"
#include "x86/hw/features.h"
#include "x86/hw/hostirq.h"
#include "x86/hw/ioapic.h"
#include "x86/hw/paging.h"
#include "x86/hw/pci.h"
#include "x86/hw/ports.h"

struct acpi_facts acpi_facts;
struct hw_features hw_features;

struct hw_pin hw_pins[24];
unsigned hw_ends;
bool hw_level[256];
u32 hw_port_written, hw_port_value, hw_port_writes;

static struct {
    u16 bdf;
    u8 cfg[256];
} fns[7];
static u8 mem[HW_MEM_SIZE];
static u32 raised[64];
static unsigned raised_count;

static u8 *cfg_of(u16 bdf)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fns); i++)
        if (fns[i].bdf == bdf)
            return fns[i].cfg;
    return NULL;
}

static void put(u16 bdf, u32 off, u32 val)
{
    memcpy(cfg_of(bdf) + off, &val, 4);
}

static void add_fn(unsigned i, u16 bdf, u32 id, u32 class, u32 header)
{
    fns[i].bdf = bdf;
    put(bdf, 0, id);
    put(bdf, 4, 0x00100006); /* capabilities; memory, bus master */
    put(bdf, 8, class << 16);
    put(bdf, 0xc, header << 16);
}

void hw_reset(void)
{
    memset(fns, 0, sizeof(fns));
    memset(mem, 0, sizeof(mem));
    memset(hw_pins, 0, sizeof(hw_pins));
    memset(hw_level, 0, sizeof(hw_level));
    memset(&acpi_facts, 0, sizeof(acpi_facts));
    raised_count = 0;
    hw_ends = 0;
    hw_port_written = hw_port_value = hw_port_writes = 0;
    hw_features.phys_bits = 40;
    for (u32 i = 0; i < ACPI_ISA_IRQS; i++)
        acpi_facts.isa_gsi[i] = i;
    acpi_facts.isa_gsi[0] = 2;
    add_fn(0, 0, 0x29c08086, 0x0600, 0);
    put(0, 4, 0);
    add_fn(1, HW_MSI, 0x11e81234, 0x00ff, 0);
    put(HW_MSI, 0x34, HW_CAP);
    put(HW_MSI, HW_CAP, 0x00860005); /* 64-bit, eight messages possible */
    add_fn(2, HW_MSIX, 0x00101b36, 0x0108, 0);
    put(HW_MSIX, 0x10, HW_BAR);
    put(HW_MSIX, 0x34, HW_CAP);
    put(HW_MSIX, HW_CAP, (HW_ENTRIES - 1) << 16 | 0x11);
    put(HW_MSIX, HW_CAP + 4, 0x1000);
    add_fn(3, HW_BRIDGE, 0x000c1b36, 0x0604, 1);
    put(HW_BRIDGE, 4, 6);
    put(HW_BRIDGE, 0x18, 0x00010100);
    add_fn(4, HW_BEHIND, 0x10d38086, 0x0200, 0);
    put(HW_BEHIND, 0x34, HW_CAP);
    put(HW_BEHIND, HW_CAP, 0x00000005);
    add_fn(5, HW_ISA, 0x29188086, 0x0601, 0);
    put(HW_ISA, 4, 7);
    add_fn(6, HW_ASIDE, 0x10d38086, 0x0200, 0);
    put(HW_ASIDE, 4, 7);
}

/* ---- configuration space: the id is read-only, BAR 0 is 16 KiB of memory, all else is memory ---- */

u32 pci_read(u16 bdf, u32 off, u32 size)
{
    u32 v = ~0u;

    if (cfg_of(bdf) && off + size <= 256)
        memcpy(&v, cfg_of(bdf) + off, size);
    return size == 4 ? v : v & (BIT32(size * 8) - 1);
}

void pci_write(u16 bdf, u32 off, u32 size, u32 val)
{
    u32 bar;

    if (!cfg_of(bdf) || off < 4 || off + size > 256)
        return;
    memcpy(cfg_of(bdf) + off, &val, size);
    memcpy(&bar, cfg_of(bdf) + 0x10, 4);
    bar &= ~(HW_MEM_SIZE - 1);
    memcpy(cfg_of(bdf) + 0x10, &bar, 4);
}

u32 pci_read32(u16 bdf, u32 off)
{
    return pci_read(bdf, off, 4);
}

void pci_write32(u16 bdf, u32 off, u32 val)
{
    pci_write(bdf, off, 4, val);
}

u32 hw_cfg(u16 bdf, u32 off, u32 size)
{
    return pci_read(bdf, off, size);
}

void hw_cfg_set(u16 bdf, u32 off, u32 val)
{
    put(bdf, off, val);
}

/* ---- device memory: wherever BAR 0 of the MSI-X function says ---- */

static u8 *at(u64 phys, u32 size)
{
    u32 bar = pci_read32(HW_MSIX, 0x10);

    if (!(pci_read32(HW_MSIX, 4) & 2) || phys < bar || phys - bar + size > HW_MEM_SIZE)
        fake_end("device memory outside the device");
    return mem + (phys - bar);
}

u64 mmio_phys_read(u64 phys, u32 size)
{
    u64 v = 0;

    memcpy(&v, at(phys, size), size);
    return v;
}

void mmio_phys_write(u64 phys, u32 size, u64 val)
{
    memcpy(at(phys, size), &val, size);
}

u32 hw_mem32(u64 addr)
{
    return (u32)mmio_phys_read(addr, 4);
}

/* ---- interrupts ---- */

bool ioapic_route(u32 gsi, u8 vector, u32 pcpu, u32 flags)
{
    if (gsi >= ARRAY_SIZE(hw_pins))
        return false;
    hw_pins[gsi] = (struct hw_pin){true, vector, pcpu, flags, hw_pins[gsi].writes + 1};
    return true;
}

void ioapic_mask(u32 gsi)
{
    hw_pins[gsi].open = false;
    hw_pins[gsi].writes++;
}

void hw_raise(u8 vector)
{
    raised[raised_count++] = vector - HOSTIRQ_FIRST;
}

bool hostirq_take(u32 *index)
{
    if (!raised_count)
        return false;
    *index = raised[--raised_count];
    return true;
}

void hostirq_end(void)
{
    hw_ends++;
}

void hostirq_set_level(u32 index, bool level)
{
    hw_level[HOSTIRQ_FIRST + index] = level;
}

/* ---- the rest ---- */

u32 port_in(u16 port, u32 size)
{
    (void)size;
    return 0x5a000000u | port;
}

void port_out(u16 port, u32 size, u32 v)
{
    (void)size;
    hw_port_written = port;
    hw_port_value = v;
    hw_port_writes++;
}

hpa_t va_to_hpa(const void *p)
{
    (void)p;
    return hpa(CFG_HV_BASE + 0x200000);
}
