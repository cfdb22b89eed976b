/*
 * From the boot loader to 64-bit C. Multiboot 1 (section 3.2) and Multiboot 2 (section 3.3) both enter
 * here in 32-bit protected mode with paging off, on BIOS and on UEFI machines. Section .boot is linked
 * at its physical address and is not mapped once the final tables are in force.
 */
#include "x86/hw/percpu_layout.h"

#define PHYS(sym) ((sym) - IMAGE_VA)

#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x3 /* page-aligned modules, memory map wanted */
#define MB2_MAGIC 0xe85250d6

#define CR0_PG_WP    0x80010000
#define CR4_PAE      0x20
#define MSR_EFER     0xc0000080
#define EFER_LME_NXE 0x900

    .section .boot, "awx"
    .balign 8
    .globl multiboot_header
multiboot_header:
    .long MB1_MAGIC
    .long MB1_FLAGS
    .long -(MB1_MAGIC + MB1_FLAGS)

    .balign 8
mb2_start:
    .long MB2_MAGIC
    .long 0 /* i386: entered in protected mode */
    .long mb2_end - mb2_start
    .long -(MB2_MAGIC + 0 + (mb2_end - mb2_start))
    /* Information request, optional: command line, modules, memory map, RSDP of either version. */
    .balign 8
    .word 1, 1
    .long 8 + 5 * 4
    .long 1, 3, 6, 14, 15
    /* Module alignment. */
    .balign 8
    .word 6, 0
    .long 8
    .balign 8
    .word 0, 0
    .long 8
mb2_end:

    .code32
    .globl _start
_start:
    movl %eax, %edi
    rdtsc
    movl %eax, PHYS(boot_tsc_entry)
    movl %edx, PHYS(boot_tsc_entry) + 4
    cli
    cld
    movl %ebx, %esi

    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    andl $0x20100000, %edx /* LM and NX */
    cmpl $0x20100000, %edx
    jne no_long_mode

    lgdt boot_gdt_pointer
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl $EFER_LME_NXE, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PG_WP, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE, $start64_low

    /* The only message that comes before C: to COM1 and out. */
no_long_mode:
    movl $no_long_mode_text, %esi
1:  movw $0x3fd, %dx
2:  pause
    inb %dx, %al
    testb $0x20, %al
    jz 2b
    lodsb
    testb %al, %al
    jz 3f
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 1b
3:  cli
    hlt
    jmp 3b
no_long_mode_text:
    .asciz "\r\nboot stopped: this CPU lacks 64-bit mode or no-execute pages\r\n"

    .code64
start64_low:
    movq $start64, %rax
    jmp *%rax

    .balign 8
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
    .if . - boot_gdt != BOOT_GDT_SIZE
    .error "BOOT_GDT_SIZE"
    .endif
boot_gdt_pointer:
    .word BOOT_GDT_SIZE - 1
    .long boot_gdt

    /*
     * Temporary tables: the first GiB one to one and again at IMAGE_VA, all of it writable and
     * executable.
     */
    .section .boot.data, "aw"
    .balign 4096
    .globl boot_pml4
boot_pml4:
    .quad boot_pdpt + 3
    .fill 510, 8, 0
    .quad boot_pdpt + 3
boot_pdpt:
    .quad boot_pd + 3
    .fill 509, 8, 0
    .quad boot_pd + 3
    .quad 0
boot_pd:
    .set page, 0
    .rept 512
    .quad (page << 21) + 0x83
    .set page, page + 1
    .endr

    .text
start64:
    movl $SEL_DATA, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %edi, %r12d /* magic */
    movl %esi, %r13d /* address of the information structure */
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    call paging_build
    movq %rax, %cr3
    movq $PERCPU_STACK_TOP, %rsp
    movl %r12d, %edi
    movl %r13d, %esi
    pushq %rbp
    jmp boot_main

    .section .bss.boot_stack, "aw", @nobits
    .balign 16
    .skip 2048
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
