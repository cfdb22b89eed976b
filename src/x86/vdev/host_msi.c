/*
 * Message-signalled interrupts of real functions (PCI Local Bus Specification 3.0, 6.8). What the guest
 * writes as address and data is kept and handed to its local APICs when the interrupt comes; the hardware is
 * given the address of a CPU and a host vector. MSI-X tables lie in device memory: their pages are not mapped
 * for the guest, so that every access to them comes here.
 */
#include <arch/platform.h>
#include <arch/s2.h>
#include <core/cpu.h>
#include <lib/bits.h>
#include <lib/log.h>
#include "x86/hw/hostirq.h"
#include "x86/hw/paging.h"
#include "x86/hw/pci.h"
#include "x86/vdev/host.h"
#include "x86/vdev/vlapic.h"

/* Capability registers: message control is the upper half of the first doubleword. */
#define MSI_ENABLE      BIT32(16)
#define MSI_MULTIPLE    (7u << 17) /* capable */
#define MSI_MULTIPLE_EN (7u << 20)
#define MSI_IS_64       BIT32(23)
#define MSIX_ENABLE     BIT32(31)
#define MSIX_SIZE(dw)   ((((dw) >> 16) & 0x7ff) + 1)
#define MSIX_TABLE      4 /* offset of table offset and BIR */
#define MSIX_ENTRY_SIZE 16u
#define MSIX_MASKED     BIT32(0)

#define MSI_ADDR      0xfee00000u
#define MSI_ADDR_MASK 0xfff00000u

/* Entries of all MSI-X tables together. */
#define POOL 512

static struct msix_entry {
    u32 word[4]; /* address, upper address, data, vector control, as the guest wrote them */
    u8 vector;   /* host vector's index + 1, 0: none yet */
} pool[POOL];
static u32 pool_used;

void host_msi_find(struct host_fn *f)
{
    u32 cap, next = 0, dw;

    if (!(pci_read(f->bdf, PCI_STATUS, 2) & PCI_STATUS_CAP))
        return;
    cap = pci_read(f->bdf, PCI_CAP_PTR, 1) & 0xfc;
    /* A list that bites its own tail ends after as many steps as there are places. */
    for (u32 steps = 0; cap >= 0x40 && steps < 48; steps++, cap = next) {
        dw = pci_read32(f->bdf, cap);
        next = (dw >> 8) & 0xfc;
        if ((dw & 0xff) == PCI_CAP_MSI) {
            f->msi_cap = (u8)cap;
            f->msi_64 = (dw & MSI_IS_64) != 0;
        } else if ((dw & 0xff) == PCI_CAP_MSIX) {
            u32 where = pci_read32(f->bdf, cap + MSIX_TABLE);

            f->msix_cap = (u8)cap;
            f->msix_bir = where & 7;
            f->msix_off = where & ~7u;
            f->msix_count = (u16)MSIX_SIZE(dw);
        }
    }
    if (!f->msix_cap)
        return;
    f->msix_hidden = f->msix_count > POOL - pool_used || f->msix_bir >= f->bar_count;
    if (f->msix_hidden) {
        log_warn("pci %02x:%02x.%x: MSI-X table of %u entries cannot be kept; hidden", f->bdf >> 8,
                 (f->bdf >> 3) & 31, f->bdf & 7, f->msix_count);
        return;
    }
    f->msix_first = (u16)pool_used;
    pool_used += f->msix_count;
}

static u16 fn_index(const struct host_fn *f)
{
    return (u16)(f - host_fns);
}

/* What the guest wants, as a message; false when its address is not that of local APICs. */
static bool parse(u32 addr, u32 addr_hi, u32 data, struct apic_msg *m)
{
    if (addr_hi || (addr & MSI_ADDR_MASK) != MSI_ADDR)
        return false;
    *m = (struct apic_msg){.dest = (addr >> 12) & 0xff, .vector = (u8)data, .logical = (addr >> 2) & 1};
    return true;
}

/* Address of the local APIC of the CPU that takes the message (SDM vol. 3A 10.11.1). */
static u32 host_address(struct vm *vm, const struct apic_msg *m)
{
    return MSI_ADDR | (cfg_board.cpus[host_target(vm, m)].apic_id & 0xff) << 12;
}

/* A host vector for a source that has none yet; *vector is its index + 1. */
static bool ensure_vector(u8 *vector, enum host_irq_kind kind, const struct host_fn *f, u16 entry)
{
    int index;

    if (*vector)
        return true;
    index = host_vector_alloc(kind, fn_index(f), entry);
    if (index < 0)
        return false;
    hostirq_set_level((u32)index, false);
    *vector = (u8)(index + 1);
    return true;
}

static u32 host_data(u8 vector)
{
    return HOSTIRQ_FIRST + vector - 1; /* fixed, edge */
}

/* ---- MSI ---- */

static u32 msi_data_off(const struct host_fn *f)
{
    return f->msi_cap + (f->msi_64 ? 12u : 8u);
}

bool host_msi_owns(const struct host_fn *f, u32 off)
{
    return f->msi_cap && off >= f->msi_cap && off <= msi_data_off(f);
}

u32 host_msi_read(const struct host_fn *f, u32 off, u32 real)
{
    if (f->msix_hidden && off == f->msix_cap)
        return real & ~0xffu; /* the null capability */
    if (!host_msi_owns(f, off))
        return real;
    if (off == f->msi_cap) {
        /* One message only: several need adjacent vectors. */
        real &= ~(MSI_ENABLE | MSI_MULTIPLE | MSI_MULTIPLE_EN);
        return real | (f->msi_on ? MSI_ENABLE : 0);
    }
    if (off == msi_data_off(f))
        return (real & 0xffff0000) | (f->msi_data & 0xffff);
    return off == f->msi_cap + 4u ? f->msi_addr : f->msi_addr_hi;
}

/* Brings the hardware in line with what the guest wants. host_lock held. */
static void msi_apply(struct vm *vm, struct host_fn *f)
{
    u32 control = pci_read(f->bdf, f->msi_cap + 2u, 2) & ~((MSI_ENABLE | MSI_MULTIPLE_EN) >> 16);
    struct apic_msg m;

    pci_write(f->bdf, f->msi_cap + 2u, 2, control);
    if (!f->msi_on || !parse(f->msi_addr, f->msi_addr_hi, f->msi_data, &m))
        return;
    if (!ensure_vector(&f->msi_vector, HOST_IRQ_MSI, f, 0)) {
        log_guest(vm->id, LOG_WARN, "no host vector left for MSI of pci %04x", f->bdf);
        return;
    }
    pci_write32(f->bdf, f->msi_cap + 4u, host_address(vm, &m));
    if (f->msi_64)
        pci_write32(f->bdf, f->msi_cap + 8u, 0);
    pci_write(f->bdf, msi_data_off(f), 2, host_data(f->msi_vector));
    pci_write(f->bdf, f->msi_cap + 2u, 2, control | MSI_ENABLE >> 16);
}

void host_msi_write(struct vm *vm, struct host_fn *f, u32 off, u32 val)
{
    spin_lock(&host_lock);
    if (off == f->msi_cap)
        f->msi_on = (val & MSI_ENABLE) != 0;
    else if (off == f->msi_cap + 4u)
        f->msi_addr = val & ~3u;
    else if (off == msi_data_off(f))
        f->msi_data = val & 0xffff;
    else
        f->msi_addr_hi = val;
    msi_apply(vm, f);
    spin_unlock(&host_lock);
}

bool host_msi_message(enum host_irq_kind kind, u16 fn, u16 index, u64 *addr, u32 *data)
{
    const struct host_fn *f = &host_fns[fn];
    const struct msix_entry *e;

    if (kind == HOST_IRQ_MSI) {
        *addr = f->msi_addr;
        *data = f->msi_data;
        return f->msi_on;
    }
    e = &pool[f->msix_first + index];
    *addr = e->word[0];
    *data = e->word[2];
    return true;
}

/* ---- MSI-X ---- */

static u64 entry_phys(const struct host_fn *f, u32 entry)
{
    return f->msix_table + (u64)entry * MSIX_ENTRY_SIZE;
}

/* Masks the real entry, and opens it anew with a host vector when the guest has it open. host_lock held. */
static void msix_apply(struct vm *vm, const struct host_fn *f, u32 entry)
{
    struct msix_entry *e = &pool[f->msix_first + entry];
    u64 at = entry_phys(f, entry);
    struct apic_msg m;

    mmio_phys_write(at + 12, 4, MSIX_MASKED);
    if ((e->word[3] & MSIX_MASKED) || !parse(e->word[0], e->word[1], e->word[2], &m))
        return;
    if (!ensure_vector(&e->vector, HOST_IRQ_MSIX, f, (u16)entry)) {
        log_guest(vm->id, LOG_WARN, "no host vector left for MSI-X entry %u of pci %04x", entry, f->bdf);
        return;
    }
    mmio_phys_write(at, 4, host_address(vm, &m));
    mmio_phys_write(at + 4, 4, 0);
    mmio_phys_write(at + 8, 4, host_data(e->vector));
    mmio_phys_write(at + 12, 4, 0);
}

/* Accesses of whole doublewords or quadwords only (6.8.2); others have no effect and read as zero. */
static void table_access(struct vm *vm, const struct host_fn *f, u32 off, u8 size, bool write, u64 *val)
{
    struct msix_entry *e = &pool[f->msix_first + off / MSIX_ENTRY_SIZE];
    u32 w = (off % MSIX_ENTRY_SIZE) / 4;

    if (!write)
        *val = 0;
    if (size < 4 || off % size)
        return;
    spin_lock(&host_lock);
    if (write) {
        e->word[w] = (u32)*val;
        if (size == 8)
            e->word[w + 1] = (u32)(*val >> 32);
        msix_apply(vm, f, off / MSIX_ENTRY_SIZE);
    } else {
        *val = size == 8 ? e->word[w] | (u64)e->word[w + 1] << 32 : e->word[w];
    }
    spin_unlock(&host_lock);
}

static u64 table_size(const struct host_fn *f)
{
    return (u64)f->msix_count * MSIX_ENTRY_SIZE;
}

static u64 pages_base(const struct host_fn *f)
{
    return ALIGN_DOWN(f->msix_table, PAGE_SIZE);
}

static u64 pages_size(const struct host_fn *f)
{
    return ALIGN_UP(f->msix_table + table_size(f), PAGE_SIZE) - pages_base(f);
}

bool host_msix_mmio(struct vcpu *v, u64 addr, u8 size, bool write, u64 *val)
{
    const struct host_fn *f = NULL;
    u64 off;

    for (u32 i = 0; i < host_fn_count && !f; i++)
        if (host_fns[i].msix_table && addr - pages_base(&host_fns[i]) < pages_size(&host_fns[i]))
            f = &host_fns[i];
    if (!f)
        return false;
    off = addr - f->msix_table;
    if (off < table_size(f) && off + size <= table_size(f)) {
        table_access(v->vm, f, (u32)off, size, write, val);
        return true;
    }
    /* Other registers in the same page: the real ones. Part table, part not, is nobody's. */
    if ((addr & PAGE_MASK) + size > PAGE_SIZE || addr - pages_base(f) + size > pages_size(f) ||
        (addr < f->msix_table + table_size(f) && addr + size > f->msix_table))
        return false;
    if (write)
        mmio_phys_write(addr, size, *val);
    else
        *val = mmio_phys_read(addr, size);
    return true;
}

/* Where the table will be once the function decodes memory; 0: nowhere that the guest could reach. */
static u64 table_place(const struct host_fn *f)
{
    u32 reg = PCI_BAR0 + f->msix_bir * 4u;
    u32 low = pci_read32(f->bdf, reg);
    u64 base = low & ~0xfu;

    if (low & 1)
        return 0; /* I/O space: a function that contradicts itself */
    if (((low >> 1) & 3) == 2 && f->msix_bir + 1 < f->bar_count)
        base |= (u64)pci_read32(f->bdf, reg + 4) << 32;
    base += f->msix_off;
    return base && host_mem_is_window(ALIGN_DOWN(base, PAGE_SIZE), table_size(f) + 2 * PAGE_SIZE) ? base : 0;
}

void host_msix_track(struct vm *vm, struct host_fn *f)
{
    u64 place;

    if (!f->msix_cap || f->msix_hidden)
        return;
    place = table_place(f);
    if (place == f->msix_table)
        return;
    while (!spin_trylock(&vm->lock))
        cpu_wait();
    if (f->msix_table)
        host_mem_show(vm, pages_base(f), pages_size(f), true);
    atomic_store(&f->msix_table, place);
    /* Pages that two functions share stay away as long as one of them needs it. */
    for (u32 i = 0; i < host_fn_count; i++)
        if (host_fns[i].msix_table)
            host_mem_show(vm, pages_base(&host_fns[i]), pages_size(&host_fns[i]), false);
    vm_s2_commit(vm);
    spin_unlock(&vm->lock);
}

void host_msi_stop(struct host_fn *f)
{
    spin_lock(&host_lock);
    if (f->msi_cap) {
        u32 control = pci_read(f->bdf, f->msi_cap + 2u, 2);

        pci_write(f->bdf, f->msi_cap + 2u, 2, control & ~((MSI_ENABLE | MSI_MULTIPLE_EN) >> 16));
    }
    f->msi_on = false;
    f->msi_vector = 0;
    f->msi_addr = f->msi_addr_hi = f->msi_data = 0;
    if (f->msix_cap) {
        u32 control = pci_read(f->bdf, f->msix_cap + 2u, 2);

        pci_write(f->bdf, f->msix_cap + 2u, 2, control & ~(MSIX_ENABLE >> 16));
    }
    for (u32 i = 0; f->msix_cap && !f->msix_hidden && i < f->msix_count; i++)
        pool[f->msix_first + i] = (struct msix_entry){.word = {0, 0, 0, MSIX_MASKED}};
    spin_unlock(&host_lock);
}

void host_msix_mask_all(const struct host_fn *f)
{
    for (u32 i = 0; f->msix_table && i < f->msix_count; i++)
        mmio_phys_write(entry_phys(f, i) + 12, 4, MSIX_MASKED);
}
