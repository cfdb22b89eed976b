/*
 * The world switch. The CPU exchanges control registers, segments, RSP, RIP and RFLAGS through the VMCS; only the general registers
 * are moved by hand, and the syscall MSRs, XCR0, the FPU and CR2 stay the guest's while the hypervisor runs. The word at the host's RSP
 * points to the struct vmx_vcpu.
 */
#include "x86/hw/nmi_range.h"
#include "x86/hw/percpu_layout.h"

    .text

    /* From the struct vmx_vcpu in RBX. RSP is in the VMCS. */
    .macro load_guest
    movq (%rbx), %rax
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

/* Offsets that vmx.h and core/vcpu.h assert; fields and limits that vmcs.h has. */
#define S_VCPU             128
#define S_ENTRY_INTR       136
#define CPU_REQUESTS       0xffffffffc0000000
#define F_HOST_RSP         0x6c14
#define F_EXIT_REASON      0x4402
#define F_INSN_ERROR       0x4400
#define ERR_NOT_LAUNCHED   5
#define EXITS              65
#define MITIGATE_L1D_FLUSH 1
#define MITIGATE_MDS_CLEAR 2
#define MSR_FLUSH_CMD      0x10b

    .section .rodata.vmx_entry, "a", @progbits
host_data_selector:
    .word SEL_DATA
    .text

/*
 * u32 vmx_enter(struct vmx_vcpu *s)
 *
 * Between exit and entry every register is the hypervisor's, so the dispatch stands here rather than in C, where it would save and
 * restore registers once more: RBX holds s, R12D the low half of the TSC at the exit (a handler never takes as long as it wraps), R13
 * first the exit reason and then the offset of its counters, R14 the vcpu.
 */
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movl $F_HOST_RSP, %eax
    vmwrite %rsp, %rax
    jmp .Lagain

    .globl vmx_exit_entry
vmx_exit_entry:
    pushq %rax
    movq 8(%rsp), %rax
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
    popq (%rax)
    movq %rax, %rbx
    rdtsc
    movl %eax, %r12d
    movl $0, S_ENTRY_INTR(%rbx)
    movl $F_EXIT_REASON, %eax
    vmread %rax, %r13
    cmpl $EXITS, %r13d
    jae .Lother
.Lhandle:
    movq S_VCPU(%rbx), %r14
    movq %rbx, %rdi
    call *vmx_exit_fn(, %r13, 8)
    movl vmx_exit_stat(, %r13, 4), %r13d
    rdtsc
    subl %r12d, %eax
    addq $1, (%r14, %r13)
    addq %rax, 8(%r14, %r13)

    /*
     * Where kicks are NMIs, one that comes between the look at the request words and the entry must not be used up here: this stretch
     * begins anew then. All that it changes is registers that it loads itself.
     */
.Lenter:
    movl (%r14), %eax
    orl CPU_REQUESTS, %eax
    jnz .Lslow
    cmpl $0, vmx_entry_clears
    jne .Lclear
.Lload:
    load_guest
    vmresume
    /* The first time it must be VMLAUNCH. What lies below RSP may be used: an NMI starts all of this anew. */
    movq %rax, -8(%rsp)
    movq %rcx, -16(%rsp)
    movl $F_INSN_ERROR, %ecx
    movl $~0, %eax
    vmread %rcx, %rax
    cmpl $ERR_NOT_LAUNCHED, %eax
    jne .Lfailed
    movq -8(%rsp), %rax
    movq -16(%rsp), %rcx
    vmlaunch
    movl $F_INSN_ERROR, %ecx
    movl $~0, %eax
    vmread %rcx, %rax
    jmp .Lfailed

    /* What the hypervisor or the vCPU of an earlier time left behind in the CPU (enum board_mitigation). */
.Lclear:
    testl $MITIGATE_L1D_FLUSH, vmx_entry_clears
    jz 1f
    movl $MSR_FLUSH_CMD, %ecx
    movl $1, %eax
    xorl %edx, %edx
    wrmsr
1:  testl $MITIGATE_MDS_CLEAR, vmx_entry_clears
    jz .Lload
    verw host_data_selector(%rip)
    jmp .Lload
.Lfailed:
    jmp .Lleave
    nmi_range .Lenter, .Lfailed, .Lagain

.Lagain:
    movq (%rsp), %rbx
    movq S_VCPU(%rbx), %r14
    jmp .Lenter
.Lslow:
    movq %rbx, %rdi
    call vmx_before_entry
    testb %al, %al
    jnz .Lagain
    xorl %eax, %eax
.Lleave:
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

.Lother:
    movl $EXITS, %r13d
    jmp .Lhandle
    .size vmx_enter, . - vmx_enter

    .globl vmx_call_gate
    .type vmx_call_gate, @function
vmx_call_gate:
    movq %rsp, %rax
    pushq $SEL_DATA
    pushq %rax
    pushfq
    pushq $SEL_CODE
    call *%rdi
    ret
    .size vmx_call_gate, . - vmx_call_gate

    .section .note.GNU-stack, "", @progbits
