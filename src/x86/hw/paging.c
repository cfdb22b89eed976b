/*
 * Builds the page tables. Runs on the temporary tables of boot/entry.S, where the image is writable as a
 * whole and physical memory below 1 GiB stands at IMAGE_VA + physical.
 */
#include <lib/log.h>
#include <arch/cpu.h>
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/regs.h"
#include "x86/hw/traps.h"

#define ENTRIES   512
#define IMAGE_PTS ((CFG_HV_SIZE + SIZE_2M - 1) / SIZE_2M)

_Static_assert(IS_ALIGNED((u64)CFG_HV_BASE, SIZE_2M),
               "the image's own page tables start at a 2 MiB boundary");
_Static_assert((u64)CFG_HV_BASE + IMAGE_PTS * SIZE_2M <= SIZE_1G,
               "the image mapping ends where the per-CPU area begins");

typedef u64 table_t[ENTRIES];

/* The linker script gathers these sections outside the part of the image that map_image() maps. */
#define SEC_TABLES SECTION(".bss.unmapped.tables")
#define SEC_STACKS SECTION(".bss.unmapped.stacks")

struct cpu_tables {
    table_t pml4, pdpt, pd, pt;
};

static struct cpu_tables cpu_tables[CFG_PCPUS] ALIGNED(4096) SEC_TABLES;
static table_t image_pd ALIGNED(4096) SEC_TABLES;
static table_t image_pt[IMAGE_PTS] ALIGNED(4096) SEC_TABLES;
static table_t mmio_pt ALIGNED(4096) SEC_TABLES;
static u8 cpu_stacks[CFG_PCPUS][PERCPU_STACK_SIZE] ALIGNED(4096) SEC_STACKS;

u8 percpu_pages[CFG_PCPUS][4096] ALIGNED(4096);
u64 paging_cr3[CFG_PCPUS];

/* Borders of the linker script (layout.ld.j2), all page aligned. */
extern const u8 ld_text_start[], ld_text_end[], ld_rodata_start[], ld_rodata_end[], ld_data_start[],
    ld_data_end[];
extern const u8 ld_bss_start[], ld_bss_end[];

static u64 pa(const void *p)
{
    return (u64)p - IMAGE_VA;
}

hpa_t va_to_hpa(const void *p)
{
    u64 va = (u64)p;
    u64 off = va - PERCPU_BASE;

    if (off < PAGE_SIZE)
        return hpa(pa(percpu_pages[this_cpu()->id]) + off);
    off -= (u64)PP_STACK * PAGE_SIZE;
    if (off < (u64)PP_STACK_PAGES * PAGE_SIZE)
        return hpa(pa(cpu_stacks[this_cpu()->id]) + off);
    ASSERT(va - IMAGE_VA - CFG_HV_BASE < CFG_HV_SIZE);
    return hpa(va - IMAGE_VA);
}

static void map_image(const u8 *start, const u8 *end, u64 flags)
{
    for (u64 a = pa(start); a < pa(end); a += PAGE_SIZE) {
        u64 i = (a - CFG_HV_BASE) / PAGE_SIZE;

        image_pt[i / ENTRIES][i % ENTRIES] = a | flags | PTE_P | PTE_A | PTE_G;
    }
}

static void build_shared(void)
{
    const u64 uc = PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX | PTE_PCD | PTE_PWT;

    map_image(ld_text_start, ld_text_end, 0);
    map_image(ld_rodata_start, ld_rodata_end, PTE_NX);
    map_image(ld_data_start, ld_data_end, PTE_W | PTE_D | PTE_NX);
    map_image(ld_bss_start, ld_bss_end, PTE_W | PTE_D | PTE_NX);
    map_image((const u8 *)idt, (const u8 *)idt + PAGE_SIZE, PTE_NX);
    for (u64 i = 0; i < IMAGE_PTS; i++)
        image_pd[CFG_HV_BASE / SIZE_2M + i] = pa(image_pt[i]) | PTE_P | PTE_W | PTE_A;

    mmio_pt[MMIO_SLOT_LAPIC] = (cfg_board.lapic_base & PTE_ADDR) | uc;
    for (u32 i = 0; i < cfg_board.ioapic_count && i < MMIO_SLOTS - MMIO_SLOT_IOAPIC; i++)
        mmio_pt[MMIO_SLOT_IOAPIC + i] = (cfg_board.ioapics[i].base & PTE_ADDR) | uc;
}

static void build_cpu(u32 n)
{
    const u64 rw = PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX;
    const u64 dir = PTE_P | PTE_W | PTE_A;
    struct cpu_tables *t = &cpu_tables[n];

    t->pml4[511] = pa(t->pdpt) | dir;
    t->pdpt[510] = pa(image_pd) | dir;
    t->pdpt[511] = pa(t->pd) | dir;
    t->pd[0] = pa(t->pt) | dir;
    t->pd[PD_MMIO] = pa(mmio_pt) | dir;
    t->pt[PP_DATA] = pa(percpu_pages[n]) | rw;
    for (u32 i = 0; i < PP_STACK_PAGES; i++)
        t->pt[PP_STACK + i] = (pa(cpu_stacks[n]) + i * PAGE_SIZE) | rw;
    t->pt[PP_PT] = pa(t->pt) | rw;
    t->pt[PP_PD] = pa(t->pd) | rw;

    paging_cr3[n] = pa(t->pml4);
    ((struct percpu *)(void *)percpu_pages[n])->cpu.id = n;
}

u64 paging_build(void)
{
    u32 self = pcpu_of_apic_id(cpuid_apic_id());

    idt_build();
    build_shared();
    for (u32 i = 0; i < CFG_PCPUS; i++)
        build_cpu(i);
    /* A BSP that the board does not know is reported by the board check; until then it is CPU 0. */
    return paging_cr3[self < CFG_PCPUS ? self : 0];
}

/* ---- audit of the live tables ---- */

struct audit {
    u32 leaves, wx, user;
};

static void audit_table(struct audit *a, u64 table, u32 level, u64 rights);

/* rights: PTE_W and PTE_NX as they accumulate from the root. */
static void audit_entry(struct audit *a, u64 e, u32 level, u64 rights)
{
    u64 r = (rights & e & PTE_W) | ((rights | e) & PTE_NX);

    if (!(e & PTE_P))
        return;
    if (level > 1 && !(e & PTE_LARGE)) {
        audit_table(a, e, level - 1, r); /* recursion ends at level 1 */
        return;
    }
    a->leaves++;
    a->wx += (r & PTE_W) && !(r & PTE_NX);
    a->user += (e & PTE_U) != 0;
}

static void audit_table(struct audit *a, u64 table, u32 level, u64 rights)
{
    u64 chunk[64];

    for (u32 i = 0; i < ENTRIES; i += ARRAY_SIZE(chunk)) {
        arch_hpa_read(chunk, hpa((table & PTE_ADDR) + i * sizeof(chunk[0])), sizeof(chunk));
        for (u32 k = 0; k < ARRAY_SIZE(chunk); k++)
            audit_entry(a, chunk[k], level, rights);
    }
}

u32 paging_audit(u32 *wx, u32 *user)
{
    struct audit a = {0, 0, 0};

    audit_table(&a, read_cr3(), 4, PTE_W);
    *wx = a.wx;
    *user = a.user;
    return a.leaves;
}
