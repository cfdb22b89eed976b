/*
 * Entry points for interrupts of real devices. A section of its own: the linker drops it where the IDT does not
 * name them. What traps_entry.S says of gates holds here too.
 */
    .section .text.hostirq_entry, "ax", @progbits

    .balign 16
    .globl hostirq_stubs
    .type hostirq_stubs, @function
hostirq_stubs:
    .set index, 0
    .rept 160
    .balign 8
    pushq $(index - 128) /* fits the instruction's one byte */
    jmp hostirq_common
    .set index, index + 1
    .endr
    .balign 8
    .size hostirq_stubs, . - hostirq_stubs

    /* Only what a C function may change is saved; %rdi takes the place of what the stub pushed. */
hostirq_common:
    xchgq %rdi, (%rsp)
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    addl $128, %edi
    cld
    call hostirq_dispatch
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

    .section .note.GNU-stack, "", @progbits
