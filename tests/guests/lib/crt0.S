/*
 * Entry of a guest program (multiboot 1, 32-bit protected mode, paging off) and of the CPUs it starts (real mode, from the
 * trampoline page). Both end in 64-bit mode with the first 4 GiB mapped one to one.
 */
#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x00000003 /* page-aligned modules, memory information */
#define CPU_MAX  16
#define STACK    16384

    .section .multiboot, "a"
    .balign 4
    .long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

    .text
    .code32
    .globl _start
_start:
    cli
    cld
    movl %eax, boot_magic
    movl %ebx, boot_info
    movl $(stacks + STACK), %esp

    /* Page tables: PML4[0] -> PDPT[0..3] -> four directories of 2 MiB pages. */
    movl $(boot_pdpt + 7), boot_pml4
    movl $(boot_pd + 7), %eax
    movl $0, %ecx
1:  movl %eax, boot_pdpt(, %ecx, 8)
    addl $4096, %eax
    incl %ecx
    cmpl $4, %ecx
    jb 1b
    movl $0x83, %eax /* present, writable, 2 MiB */
    movl $0, %ecx
2:  movl %eax, boot_pd(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jb 2b
    xorl %ebp, %ebp /* CPU index */

to_long_mode:
    movl %cr4, %eax
    orl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER: LME, NXE */
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    andl $~0x6000000c, %eax /* caches on (after INIT CD and NW are set), no EM, no TS */
    orl $0x80010003, %eax   /* PG, WP, MP, PE */
    movl %eax, %cr0
    lgdt boot_gdt_ptr
    ljmp $0x08, $entry64

    .code64
entry64:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %esp, %esp
    movl %ebp, %edi
    xorl %ebp, %ebp
    pushq $0
    testl %edi, %edi
    jnz 1f
    movl boot_magic(%rip), %edi
    movl boot_info(%rip), %esi
    call boot_main
1:  call ap_main
2:  hlt
    jmp 2b

/* The other CPUs: copied to AP_TRAMPOLINE, so it is position-independent but for the page it stands in. */
    .code16
    .globl ap_start, ap_start_end
ap_start:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl (ap_gdt_ptr - ap_start)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $ap_start32
    .balign 8
ap_gdt_ptr:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
ap_start_end:

    .code32
ap_start32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl ap_next, %ebp /* this CPU's index: CPUs are started one at a time */
    cmpl $CPU_MAX, %ebp
    jae 2f
    movl %ebp, %eax
    imull $STACK, %eax
    leal stacks + STACK(%eax), %esp
    jmp to_long_mode
2:  hlt
    jmp 2b

    .data
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
    .quad 0x00cf9b000000ffff /* 32-bit code */
boot_gdt_end:
boot_gdt_ptr:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt
    .globl ap_next
ap_next:
    .long 1
boot_magic:
    .long 0
boot_info:
    .long 0

    .bss
    .balign 4096
    .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 16384
    .globl stacks
stacks:
    .skip CPU_MAX * STACK

    .section .note.GNU-stack, "", @progbits
