/*
 * The virtual address space, for C and assembly. Everything lives in the top 2 GiB:
 *
 *   0xffffffff80000000 + physical   the image (same for all CPUs; .text RX, .rodata R, .data/.bss RW)
 *   0xffffffffc0000000              this CPU's data page, stack, own page table, 4 KiB windows
 *   0xffffffffc0400000, ...800000   this CPU's 2 MiB windows
 *   0xffffffffc1000000              device registers, uncached (same for all CPUs)
 *
 * Page numbers inside the 2 MiB at PERCPU_BASE; unnamed pages are not mapped, so each stack and window has a
 * guard on both sides.
 */
#ifndef BH_X86_HW_PERCPU_LAYOUT_H
#define BH_X86_HW_PERCPU_LAYOUT_H

#define IMAGE_VA    0xffffffff80000000
#define PERCPU_BASE 0xffffffffc0000000 /* == PERCPU_VA; this one is readable by the assembler */
#define MMIO_BASE   0xffffffffc1000000

#define PP_DATA        0
#define PP_STACK       8
#define PP_STACK_PAGES 4
#define PP_PT          16 /* this CPU's page table for these 2 MiB */
#define PP_PD          17 /* and its page directory */
#define PP_WINDOW_SRC  32
#define PP_WINDOW_DST  34
#define PP_WINDOW_UC   36

#define PD_WINDOW_SRC 2 /* 2 MiB windows: indices into the page directory */
#define PD_WINDOW_DST 4
#define PD_MMIO       8

#define PERCPU_STACK_SIZE   (PP_STACK_PAGES * 4096)
#define PERCPU_STACK_TOP    (PERCPU_BASE + (PP_STACK + PP_STACK_PAGES) * 4096)
#define PERCPU_BACKEND_SIZE 1024

/* Segment selectors of the hypervisor. */
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS  0x18

#define BOOT_GDT_SIZE 24 /* entry.S: null, code, data */

#endif
