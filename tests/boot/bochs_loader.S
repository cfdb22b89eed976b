/*
 * Boot sector for Bochs. The emulator has put the hypervisor's image and one package (multiboot information,
 * boot modules) into RAM before the machine starts (optramimage); what is left to do is what a boot loader
 * does: ask the BIOS for the memory map (ACPI 6.5 section 15.1), switch to protected mode and enter the image
 * as Multiboot 0.6.96 section 3.2 says. tests/runner/bochs.py assembles it and fills in the parameters.
 */
#define MAP        0x1000 /* the memory map: entries of size (4 bytes) and what the BIOS writes (20 bytes) */
#define ENTRY_SIZE 20
#define SMAP       0x534d4150
#define MB_MAGIC   0x2badb002
#define MBI_MMAP   44 /* mmap_length, mmap_addr */
#define PARAMETERS 0x1b0
#define MEMORY_END 0xe10dc5b0

    .code16
    .text
    .globl start
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp

    xorl %ebx, %ebx
    movw $MAP, %di
next:
    movl $ENTRY_SIZE, (%di)
    addw $4, %di
    movl $0xe820, %eax
    movl $ENTRY_SIZE, %ecx
    movl $SMAP, %edx
    int $0x15
    jc done
    cmpl $SMAP, %eax
    jne done
    addw $ENTRY_SIZE, %di
    testl %ebx, %ebx
    jnz next
    addw $4, %di /* for the one that is taken off again */
done:
    subw $4 + MAP, %di
    movzwl %di, %edi /* length of the map */

    inb $0x92, %al /* A20 on */
    orb $2, %al
    outb %al, $0x92
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x08, $protected

    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl memory_end, %eax
    cmpl $MEMORY_END, (%eax)
    jne damaged
    movl information, %ebx
    movl %edi, MBI_MMAP(%ebx)
    movl $MAP, MBI_MMAP + 4(%ebx)
    movl $MB_MAGIC, %eax
    jmpl *entry

    /* To the serial port, and out. */
damaged:
    movl $damaged_text, %esi
1:  lodsb
    testb %al, %al
    jz 3f
    movb %al, %ah
    movw $0x3fd, %dx
2:  inb %dx, %al
    testb $0x20, %al
    jz 2b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 1b
3:  cli
    hlt
    jmp 3b
damaged_text:
    .asciz "boot stopped: Bochs did not put the image into memory as a whole\r\n"

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* flat 32-bit code */
    .quad 0x00cf93000000ffff /* flat data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .org PARAMETERS
information:
    .long 0 /* physical address of the multiboot information */
entry:
    .long 0 /* of the image's entry point */
memory_end:
    .long 0 /* of the mark behind the last byte that Bochs puts into RAM */
    .org 510
    .word 0xaa55
    .section .note.GNU-stack, "", @progbits
