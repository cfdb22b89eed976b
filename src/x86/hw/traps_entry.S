/*
 * Entry points of the hypervisor's IDT. No gate uses an IST and none may: TR is the guest's while the
 * hypervisor runs, so the CPU could not find a TSS of ours (DESIGN.md section 3). Every gate is an
 * interrupt gate.
 */
#include "x86/hw/nmi_range.h"
#include "x86/hw/percpu_layout.h"

    .text

    .macro push_all
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    /*
     * Exceptions: 32 stubs of 16 bytes each. Vectors 8, 10-14, 17, 21, 29, 30 push an error code (SDM
     * vol. 3A table 6-1, APM vol. 2 table 8-1).
     */
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vec, 0
    .rept 32
    .balign 16
    .if !((0x60227d00 >> vec) & 1)
    pushq $0
    .endif
    pushq $vec
    jmp trap_common
    .set vec, vec + 1
    .endr
    .balign 16

trap_common:
    push_all
    cld
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call trap_dispatch
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

    /* Interrupts: only what a C function may change is saved. */
    .macro irq_stub name, vector
    .balign 16
    .globl \name
\name:
    pushq %rdi
    movl $\vector, %edi
    jmp irq_common
    .endm

    irq_stub irq_timer, 0xe0
    irq_stub irq_kick, 0xe1
    irq_stub irq_uart, 0xe2
    irq_stub irq_error, 0xfe
    irq_stub irq_spurious, 0xff
    irq_stub irq_unexpected, 0

irq_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    call irq_dispatch
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    popq %rdi
    iretq

    /*
     * void idle_wait(const u32 *word, const u32 *word2): waits for one interrupt or NMI; returns at once when
     * one of the words is not zero. STI holds interrupts off for one more instruction, so none can slip in
     * between it and HLT (SDM vol. 2B STI).
     */
    .globl idle_wait
    .type idle_wait, @function
idle_wait:
    cmpl $0, (%rdi)
    jne .Lwoken
    cmpl $0, (%rsi)
    jne .Lwoken
    sti
    hlt
.Lwoken:
    cli
    ret
    .size idle_wait, . - idle_wait
    nmi_range idle_wait, .Lwoken, .Lwoken

    .section .note.GNU-stack, "", @progbits
