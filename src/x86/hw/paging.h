/*
 * The hypervisor's page tables. All of them are built once, before a CPU runs on them, and the tables
 * themselves are not mapped afterwards, except for each CPU's own page table and directory that hold its
 * memory windows. Layer 4'.
 */
#ifndef BH_X86_HW_PAGING_H
#define BH_X86_HW_PAGING_H

#include <lib/types.h>
#include <config/config.h>
#include "x86/hw/percpu_layout.h"

/* Page-table entry bits (SDM vol. 3A 4.5.4). */
#define PTE_P     BIT64(0)
#define PTE_W     BIT64(1)
#define PTE_U     BIT64(2)
#define PTE_PWT   BIT64(3)
#define PTE_PCD   BIT64(4)
#define PTE_A     BIT64(5)
#define PTE_D     BIT64(6)
#define PTE_LARGE BIT64(7)
#define PTE_G     BIT64(8)
#define PTE_NX    BIT64(63)
#define PTE_ADDR  0x000ffffffffff000ULL

/* Per-CPU data pages at their shared addresses. */
extern u8 percpu_pages[CFG_PCPUS][4096];
/* CR3 of each CPU, for boot/entry.S and trampoline.S. */
extern u64 paging_cr3[CFG_PCPUS];

/* On the boot tables, before anything else: builds every CPU's tables and the IDT's page. Returns the CR3 of
 * the calling CPU. */
u64 paging_build(void);

/* Host-physical address of an object of the image, or of this CPU's data page or stack. */
hpa_t va_to_hpa(const void *p);

/*
 * Walks this CPU's live tables. Returns the number of mapped 4 KiB pages and large leaves together; *wx
 * counts those that are both writable and executable, *user those that user mode could reach. Both must be 0.
 */
u32 paging_audit(u32 *wx, u32 *user);

/* Device registers. Slot 0 is the local APIC, slot 1 + i is cfg_board.ioapics[i]. Each slot is one uncached
 * page. */
#define MMIO_SLOT_LAPIC  0
#define MMIO_SLOT_IOAPIC 1
#define MMIO_SLOTS       16
static inline u64 mmio_va(u32 slot, u64 phys)
{
    return MMIO_BASE + slot * PAGE_SIZE + (phys & PAGE_MASK);
}

/* One access of 1, 2, 4 or 8 bytes to device memory at any physical address, within a page, through an
 * uncached window. */
u64 mmio_phys_read(u64 phys, u32 size);
void mmio_phys_write(u64 phys, u32 size, u64 val);

#endif
