#include <config/config.h>
#include <lib/string.h>
#include "x86/hw/features.h"
#include "x86/hw/msr.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/regs.h"

_Static_assert(PERCPU_VA == PERCPU_BASE, "percpu_layout.h repeats it for the assembler");

struct percpu *percpu_of(u32 pcpu)
{
    return (struct percpu *)(void *)percpu_pages[pcpu];
}

struct cpu *cpu_get(u32 pcpu)
{
    return &percpu_of(pcpu)->cpu;
}

u32 pcpu_of_apic_id(u32 apic_id)
{
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        if (cfg_board.cpus[i].apic_id == apic_id)
            return i;
    }
    return CFG_PCPUS;
}

u32 cpuid_apic_id(void)
{
    u32 a, b, c, d;

    hw_cpuid(0, 0, &a, &b, &c, &d);
    if (a >= 0xb) {
        hw_cpuid(0xb, 0, &a, &b, &c, &d);
        if (b & 0xffff)
            return d;
    }
    hw_cpuid(1, 0, &a, &b, &c, &d);
    return b >> 24;
}

/* Segment descriptors: SDM vol. 3A 3.4.5, 5.2.1, 8.2.3. */
#define DESC_CODE64 0x00af9b000000ffffULL
#define DESC_DATA   0x00cf93000000ffffULL
#define DESC_TSS64  (0x89ULL << 40)

struct table_reg {
    u16 limit;
    u64 base;
} PACKED;
_Static_assert(sizeof(struct table_reg) == 10, "SDM vol. 3A figure 2-6");

static void load_gdt(struct percpu *p)
{
    u64 tss = (u64)&p->tss;
    struct table_reg gdtr = {sizeof(p->gdt) - 1, (u64)p->gdt};

    memset(&p->tss, 0, sizeof(p->tss));
    p->tss.iomap_base = sizeof(p->tss);
    p->gdt[0] = 0;
    p->gdt[1] = DESC_CODE64;
    p->gdt[2] = DESC_DATA;
    p->gdt[3] = DESC_TSS64 | (sizeof(p->tss) - 1) | ((tss & 0xffffff) << 16) | ((tss >> 24 & 0xff) << 56);
    p->gdt[4] = tss >> 32;

    __asm__ volatile("lgdt %[gdtr]\n\t"
                     "pushq %[cs]\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %[ds], %%eax\n\t"
                     "movl %%eax, %%ss\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "lldt %%ax\n\t"
                     "movl %[tr], %%eax\n\t"
                     "ltr %%ax"
                     :
                     : [gdtr] "m"(gdtr), [cs] "i"(SEL_CODE), [ds] "i"(SEL_DATA), [tr] "i"(SEL_TSS)
                     : "rax", "memory");
}

void percpu_cpu_init(void)
{
    u64 cr4 = CR4_DE | CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    u32 a, b, c, d, leaf7_b = 0;

    load_gdt(this_percpu());

    /* MP and NE as every 64-bit system has them, no lazy FPU (TS, EM clear), write protection for the
     * hypervisor too, caches on. */
    write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    hw_cpuid(0, 0, &a, &b, &c, &d);
    if (a >= 7)
        hw_cpuid(7, 0, &a, &leaf7_b, &c, &d);
    hw_cpuid(1, 0, &a, &b, &c, &d);
    if (c & BIT32(26)) /* the guests' XSETBV is executed on their behalf */
        cr4 |= CR4_OSXSAVE;
    if (d & BIT32(13))
        cr4 |= CR4_PGE;
    if (leaf7_b & BIT32(7))
        cr4 |= CR4_SMEP;
    if (leaf7_b & BIT32(20))
        cr4 |= CR4_SMAP;
    write_cr4(cr4);
    this_percpu()->apic_id = cpuid_apic_id();
    this_percpu()->timer_deadline = ~(u64)0;
}
