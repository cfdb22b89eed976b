/*
 * The world switch. Nothing but the general registers is moved by hand: VMRUN and #VMEXIT exchange the rest, and FS, GS, TR, LDTR
 * and the syscall MSRs stay the guest's while the hypervisor runs (DESIGN.md section 3). The top of the stack holds the struct
 * svm_vcpu. RAX and RSP of the guest live in the VMCB: RAX is copied here, RSP by the handlers that may look at it.
 */
    .text

    /* From the struct svm_vcpu in RBX. */
    .macro load_guest
    movq 8(%rbx), %rcx
    movq 16(%rbx), %rdx
    movq 40(%rbx), %rbp
    movq 48(%rbx), %rsi
    movq 56(%rbx), %rdi
    movq 64(%rbx), %r8
    movq 72(%rbx), %r9
    movq 80(%rbx), %r10
    movq 88(%rbx), %r11
    movq 96(%rbx), %r12
    movq 104(%rbx), %r13
    movq 112(%rbx), %r14
    movq 120(%rbx), %r15
    movq 24(%rbx), %rbx
    .endm

/* Offsets that svm.h, vmcb.h and core/vcpu.h assert. */
#define S_VMCB_PA      128
#define S_VMCB         136
#define S_VCPU         144
#define VMCB_EXITCODE  0x70
#define VMCB_INTINFO   0x88
#define VMCB_RAX       0x5f8
#define CPU_REQUESTS   0xffffffffc0000000
#define EXIT_LAST      0x8e
#define EXIT_NPF       0x400
#define SLOT_NPF       0x8f
#define SLOT_OTHER     0x90

/*
 * void svm_enter(struct svm_vcpu *s)
 *
 * Between #VMEXIT and VMRUN every register is the hypervisor's, so the dispatch stands here rather than in C, where it would save
 * and restore registers once more: RBX holds s, RBP the VMCB, R12D the low half of the TSC at the exit (a handler never takes as long as
 * it wraps), R13 first the table slot and then the offset of the reason's counters, R14 the vcpu.
 */
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %rdi, %rbx
.Lenter:
    movq S_VMCB_PA(%rbx), %rax
    load_guest
    vmrun %rax
    movq (%rsp), %rax
    movq %rcx, 8(%rax)
    movq %rdx, 16(%rax)
    movq %rbx, 24(%rax)
    movq %rbp, 40(%rax)
    movq %rsi, 48(%rax)
    movq %rdi, 56(%rax)
    movq %r8, 64(%rax)
    movq %r9, 72(%rax)
    movq %r10, 80(%rax)
    movq %r11, 88(%rax)
    movq %r12, 96(%rax)
    movq %r13, 104(%rax)
    movq %r14, 112(%rax)
    movq %r15, 120(%rax)
    movq %rax, %rbx
    rdtsc
    movl %eax, %r12d
    movq S_VMCB(%rbx), %rbp
    movq VMCB_RAX(%rbp), %rax
    movq %rax, (%rbx)
    cmpl $0, VMCB_INTINFO(%rbp)
    js .Linterrupted
.Ldispatch:
    movq VMCB_EXITCODE(%rbp), %r13
    cmpq $EXIT_LAST, %r13
    ja .Lother
.Lhandle:
    movq S_VCPU(%rbx), %r14
    movq %rbx, %rdi
    call *svm_exit_fn(, %r13, 8)
    movl svm_exit_stat(, %r13, 4), %r13d
    movq (%rbx), %rax
    movq %rax, VMCB_RAX(%rbp)
    rdtsc
    subl %r12d, %eax
    addq $1, (%r14, %r13)
    addq %rax, 8(%r14, %r13)
    movl (%r14), %eax
    orl CPU_REQUESTS, %eax
    jz .Lenter
    movq %rbx, %rdi
    call svm_before_entry
    testb %al, %al
    jnz .Lenter
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

.Linterrupted:
    movq %rbx, %rdi
    movq VMCB_INTINFO(%rbp), %rsi
    call svm_collect_interrupted
    jmp .Ldispatch
.Lother:
    cmpq $EXIT_NPF, %r13
    movl $SLOT_NPF, %r13d
    je .Lhandle
    movl $SLOT_OTHER, %r13d
    jmp .Lhandle
    .size svm_enter, . - svm_enter

    .section .note.GNU-stack, "", @progbits
