/*
 * Start of an application processor: from the SIPI in real mode straight to 64-bit mode on the boot
 * tables, which map low memory one to one, then to its own tables and stack. The first part is copied
 * to cfg_board.trampoline and runs at any page.
 */
#include "x86/hw/percpu_layout.h"

#define CR4_PAE        0x20
#define MSR_EFER       0xc0000080
#define EFER_LME_NXE   0x900
#define CR0_PG_WP_PE   0x80010031 /* PG, WP, NE, ET, PE; CD and NW, which INIT sets, become clear */

    .section .rodata.trampoline, "a"
    .balign 16
    .globl trampoline_start
    .globl trampoline_size
    .code16
trampoline_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    /* The GDT stands in the image's boot section below 4 GiB at its physical address. */
    lgdtl (boot_gdt_pointer_copy - trampoline_start)
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl $EFER_LME_NXE, %eax
    wrmsr
    movl $CR0_PG_WP_PE, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE, $ap_start64_low

    .balign 4
boot_gdt_pointer_copy:
    .word BOOT_GDT_SIZE - 1
    .long boot_gdt
trampoline_end:
    .balign 4
trampoline_size:
    .long trampoline_end - trampoline_start

    /* Identity-mapped part: runs at its physical address. */
    .section .boot, "awx"
    .code64
ap_start64_low:
    movq $ap_start64, %rax
    jmp *%rax

    .text
    /*
     * In C terms: find my index i by APIC id; load paging_cr3[i] and my stack; call smp_ap_main(). No
     * stack until then.
     */
ap_start64:
    movl $SEL_DATA, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    xorl %eax, %eax
    cpuid
    cmpl $0xb, %eax
    jb 1f
    movl $0xb, %eax
    xorl %ecx, %ecx
    cpuid
    testl $0xffff, %ebx
    movl %edx, %edi
    jnz 2f
1:  movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %edi
2:  xorl %eax, %eax
3:  cmpl %edi, smp_apic_ids(, %rax, 4)
    je 4f
    incl %eax
    cmpl smp_cpu_count, %eax
    jb 3b
    /* A CPU that the board does not list was not sent a SIPI by us. */
5:  cli
    hlt
    jmp 5b
4:  movq paging_cr3(, %rax, 8), %rax
    movq %rax, %cr3
    movq $PERCPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    pushq %rbp
    jmp *smp_ap_main

    .section .note.GNU-stack, "", @progbits
