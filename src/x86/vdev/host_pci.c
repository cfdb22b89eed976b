/*
 * The real PCI functions as the service VM sees them: configuration mechanism 1 and the memory-mapped
 * configuration space lead to the real registers, but for MSI capabilities (host_msi.c) and for what would
 * let a guest take the machine away from under everybody: the chipset's own registers and bus numbers.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/vpci.h>
#include <lib/bits.h>
#include <lib/log.h>
#include "x86/hw/pci.h"
#include "x86/vdev/host.h"

#define FN_SPACE 4096u
/* Interrupt routing of ISA bridges (PIRQx_ROUT): what ACPI's _SRS of link devices writes. */
#define PIRQ_FIRST 0x60u
#define PIRQ_LAST  0x6bu

struct host_fn host_fns[HOST_FNS];
u32 host_fn_count;

static struct pci_mech1 ports;

static struct host_fn *find_fn(u32 bdf)
{
    for (u32 i = 0; i < host_fn_count; i++)
        if (host_fns[i].bdf == bdf)
            return &host_fns[i];
    return NULL;
}

/* ---- discovery ---- */

/* Whether the function is a pre-launched VM's. */
static bool set_aside(u16 bdf)
{
    for (u32 i = 0; i < CFG_VMS && cfg_vms[i].kind == VM_PRELAUNCHED; i++)
        for (u32 j = 0; j < cfg_vms[i].dev_count; j++)
            if (cfg_vms[i].devs[j] == bdf)
                return true;
    return false;
}

/* The service VM does not see it, and it answers at no address, moves no memory and raises no interrupt. */
static void silence(u16 bdf)
{
    pci_write(bdf, PCI_COMMAND, 2, PCI_CMD_INTX_OFF);
    log_info("pci %02x:%02x.%x: set aside, switched off", bdf >> 8, (bdf >> 3) & 31, bdf & 7);
}

static void add_fn(u16 bdf, u32 header)
{
    struct host_fn *f = &host_fns[host_fn_count];

    if (host_fn_count == HOST_FNS) {
        log_warn("pci %02x:%02x.%x: more than %u functions, hidden", bdf >> 8, (bdf >> 3) & 31, bdf & 7,
                 HOST_FNS);
        return;
    }
    *f = (struct host_fn){.bdf = bdf,
                          .class = (u16)(pci_read32(bdf, PCI_CLASS) >> 16),
                          .header = header & 0x7f,
                          .command = (u16)pci_read(bdf, PCI_COMMAND, 2)};
    f->bar_count = f->header == PCI_HEADER_NORMAL ? PCI_BARS : f->header == PCI_HEADER_PCI_PCI ? 2 : 0;
    for (u32 i = 0; i < f->bar_count; i++)
        f->bars[i] = pci_read32(bdf, PCI_BAR0 + i * 4);
    host_fn_count++;
    host_msi_find(f);
}

/* All functions of one bus; notes the buses behind its bridges. */
static void scan_bus(u32 bus, u64 buses[4])
{
    for (u32 dev = 0; dev < 32; dev++) {
        u32 fns = 1;

        for (u32 fn = 0; fn < fns; fn++) {
            u16 bdf = (u16)(bus << 8 | dev << 3 | fn);
            u32 header, behind;

            if (pci_read(bdf, PCI_VENDOR, 2) == 0xffff)
                continue;
            header = pci_read32(bdf, PCI_HEADER) >> 16 & 0xff;
            if (fn == 0 && (header & 0x80))
                fns = 8;
            if (set_aside(bdf)) {
                silence(bdf);
                continue;
            }
            add_fn(bdf, header);
            if ((header & 0x7f) != PCI_HEADER_PCI_PCI)
                continue;
            behind = pci_read32(bdf, PCI_BUSES) >> 8 & 0xff;
            buses[behind / 64] |= BIT64(behind % 64);
        }
    }
}

/* Buses behind bridges have higher numbers than the bridge's own. */
static void scan(void)
{
    u64 buses[4] = {1, 0, 0, 0};

    host_fn_count = 0;
    for (u32 i = 0; i < cfg_board.pci_count; i++) /* root buses beside number 0, as the board knows them */
        buses[cfg_board.pci[i].bdf >> 14] |= BIT64(cfg_board.pci[i].bdf >> 8 & 63);
    for (u32 bus = 0; bus < 256; bus++)
        if (buses[bus / 64] & BIT64(bus % 64))
            scan_bus(bus, buses);
}

/* ---- access ---- */

/* Writes that are dropped: registers of host, ISA and other bridges of the chipset beyond the header, which
 * move or open memory and ports that are not the service VM's; bus numbers, by which functions are known
 * here. */
static bool protected_reg(const struct host_fn *f, u32 off)
{
    bool isa = f->class == 0x0601;

    if (f->class == PCI_CLASS_PCI_PCI)
        return off >= PCI_BUSES && off < PCI_BUSES + 4;
    if (f->class >> 8 != PCI_CLASS_BRIDGE && f->class >> 8 != 0x08)
        return false;
    return off >= 0x40 && !(isa && off >= PIRQ_FIRST && off <= PIRQ_LAST);
}

static u32 config_read(u32 bdf, u32 off, u32 size)
{
    const struct host_fn *f = find_fn(bdf);
    u32 dword;

    if (!f)
        return ~0u;
    dword = off & ~3u;
    if (!host_msi_owns(f, dword) && !(f->msix_hidden && dword == f->msix_cap))
        return pci_read(f->bdf, off, size);
    return host_msi_read(f, dword, pci_read32(f->bdf, dword)) >> (off & 3) * 8;
}

/* In the handler of an exit: waits for the VM's lock where another CPU has it. */
static void follow_msix_table(struct vm *vm, struct host_fn *f)
{
    arch_wait_begin();
    host_msix_track(vm, f);
    arch_wait_end();
}

/* The base addresses change: memory is not decoded meanwhile, so that the guest finds no MSI-X table where
 * its pages are still mapped. */
static void write_bar(struct vm *vm, struct host_fn *f, u32 off, u32 size, u32 val)
{
    u32 command = pci_read(f->bdf, PCI_COMMAND, 2);

    if (!f->msix_cap || !(command & PCI_CMD_MEM)) {
        pci_write(f->bdf, off, size, val);
        return;
    }
    pci_write(f->bdf, PCI_COMMAND, 2, command & ~PCI_CMD_MEM);
    pci_write(f->bdf, off, size, val);
    follow_msix_table(vm, f);
    pci_write(f->bdf, PCI_COMMAND, 2, command);
}

static void config_write(struct vm *vm, u32 bdf, u32 off, u32 size, u32 val)
{
    struct host_fn *f = find_fn(bdf);
    u32 dword = off & ~3u, shift = (off & 3) * 8;

    if (!f || protected_reg(f, off))
        return;
    if (host_msi_owns(f, dword)) {
        u32 mask = (u32)size_mask(size) << shift;
        u32 old = host_msi_read(f, dword, pci_read32(f->bdf, dword));

        host_msi_write(vm, f, dword, (old & ~mask) | (val << shift & mask));
        return;
    }
    if (dword == PCI_COMMAND && off < PCI_STATUS && (val << shift & PCI_CMD_MEM))
        follow_msix_table(vm, f);
    if (dword >= PCI_BAR0 && dword < PCI_BAR0 + f->bar_count * 4u)
        write_bar(vm, f, off, size, val);
    else
        pci_write(f->bdf, off, size, val);
}

/* ---- configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2) ---- */

static bool mech1_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    u32 address, byte;

    (void)dev;
    if (port < PCI_MECH1_DATA)
        return pci_mech1_control(v, &ports, port, size, write, val);
    address = pci_mech1_address(&ports);
    byte = port - PCI_MECH1_DATA;
    if (!(address & PCI_MECH1_ENABLE) || byte % size)
        return false;
    if (write)
        config_write(v->vm, PCI_MECH1_BDF(address), PCI_MECH1_REG(address) + byte, size, *val);
    else
        *val = config_read(PCI_MECH1_BDF(address), PCI_MECH1_REG(address) + byte, size);
    return true;
}

/* ---- memory-mapped configuration space (PCI Express Base Specification 3.0, 7.2.2) ---- */

static bool ecam_access(struct vcpu *v, void *dev, u64 offset, u8 size, bool write, u64 *val)
{
    u32 bdf = (u32)cfg_board.mcfg_start_bus * 256 + (u32)(offset / FN_SPACE);
    u32 off = (u32)offset % FN_SPACE;

    (void)dev;
    if (size > 4 || off % size)
        return false;
    if (write)
        config_write(v->vm, bdf, off, size, (u32)*val);
    else
        *val = config_read(bdf, off, size);
    return true;
}

/* ---- boot, stop ---- */

void host_pci_init(struct vm *vm)
{
    u32 unknown = 0;

    scan();
    for (u32 i = 0; i < host_fn_count; i++) {
        u32 k = 0;

        while (k < cfg_board.pci_count && cfg_board.pci[k].bdf != host_fns[i].bdf)
            k++;
        unknown += k == cfg_board.pci_count;
    }
    log_info("vm %s: %u PCI functions, %u of them not in the description of board '%s'", vm->cfg->name,
             host_fn_count, unknown, cfg_board.name);
    io_register_ports(vm, PCI_MECH1_ADDRESS, 8, mech1_port, NULL);
    if (cfg_board.mcfg_base) {
        u64 buses = (u64)cfg_board.mcfg_end_bus - cfg_board.mcfg_start_bus + 1;

        io_register_mmio(vm, cfg_board.mcfg_base + ((u64)cfg_board.mcfg_start_bus << 20), buses << 20,
                         ecam_access, NULL);
    }
}

/* Bus mastering off first, then interrupts; the last read makes sure that what was under way has arrived (PCI
 * Local Bus Specification 3.0, 3.2.5). */
static void quiesce_fn(struct vm *vm, struct host_fn *f)
{
    u32 off = f->command & ~PCI_CMD_MASTER;

    pci_write(f->bdf, PCI_COMMAND, 2, off & ~PCI_CMD_MEM);
    host_msi_stop(f);
    for (u32 i = 0; i < f->bar_count; i++)
        pci_write32(f->bdf, PCI_BAR0 + i * 4, f->bars[i]);
    host_msix_track(vm, f);
    if (f->msix_table) {
        pci_write(f->bdf, PCI_COMMAND, 2, off | PCI_CMD_MEM);
        host_msix_mask_all(f);
    }
    pci_write(f->bdf, PCI_COMMAND, 2, off);
    pci_read32(f->bdf, PCI_VENDOR);
}

void host_pci_quiesce(struct vm *vm)
{
    for (u32 i = 0; i < host_fn_count; i++)
        if (host_fns[i].header == PCI_HEADER_NORMAL && host_fns[i].class >> 8 != PCI_CLASS_BRIDGE)
            quiesce_fn(vm, &host_fns[i]);
    ports.address = 0;
    ports.reset_control = 0;
}
