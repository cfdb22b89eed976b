/*
 * Through the CPU's modes and back: 64-bit, compatibility, 32-bit protected without paging, real mode, and
 * the same with exits taken in each of them (CPUID, port, local APIC). Real mode also takes a software
 * interrupt by its own vector table.
 */
#include "guest.h"

/* Filled by the assembly below (lib-free code that runs in low memory). */
struct modes_result {
    u32 magic, cpuid_prot, apic_prot, port_prot;
    u32 cpuid_real, port_real, int_real, cr0_real, unreal;
};

#define LOW    0x9000UL
#define RESULT 0xa000UL

extern const u8 modes_code[], modes_end[];
void modes_call(u64 entry);

/*
 * Copied to LOW. Entered in 64-bit mode by a far call to the compatibility segment; everything is
 * position-fixed to LOW. EBX: result block.
 */
__asm__(
    ".text\n"
    "modes_code:\n"
    ".code32\n"
    "comp:\n\t"
    "movl %esp, 0x9f00\n\t"
    "movl $0xa000, %edi\n\t"
    "movl %cr0, %eax\n\t"
    "andl $0x7fffffff, %eax\n\t" /* paging off: leaves long mode */
    "movl %eax, %cr0\n\t"
    "movl $0xc0000080, %ecx\n\trdmsr\n\tandl $~0x100, %eax\n\twrmsr\n\t"
    "xorl %eax, %eax\n\tmovl %eax, %cr3\n\t"
    "movl $1, %eax\n\txorl %ecx, %ecx\n\tcpuid\n\tmovl %edx, 4(%edi)\n\t"
    "movl 0xfee00030, %eax\n\tmovl %eax, 8(%edi)\n\t"
    "xorl %eax, %eax\n\tinb $0x21, %al\n\tmovl %eax, 12(%edi)\n\t"
    /* 16-bit protected mode, then real mode */
    "ljmp $0x20, $(0x9000 + (prot16 - modes_code))\n"
    ".code16\n"
    "prot16:\n\t"
    "movw $0x28, %ax\n\tmovw %ax, %ds\n\tmovw %ax, %es\n\tmovw %ax, %ss\n\tmovw %ax, %fs\n\tmovw %ax, %gs\n\t"
    "lidt 0x9f10\n\t"
    "movl %cr0, %eax\n\tandb $0xfe, %al\n\tmovl %eax, %cr0\n\t"
    "ljmp $0, $(0x9000 + (real - modes_code))\n"
    "real:\n\t"
    "xorw %ax, %ax\n\tmovw %ax, %ds\n\tmovw %ax, %es\n\tmovw %ax, %ss\n\tmovw $0x8ff0, %sp\n\t"
    "movl %cr0, %eax\n\tmovl %eax, 0xa01c\n\t"
    "movl $1, %eax\n\txorl %ecx, %ecx\n\tcpuid\n\tmovl %edx, 0xa010\n\t"
    "xorl %eax, %eax\n\tinb $0x21, %al\n\tmovl %eax, 0xa014\n\t"
    "movw $(0x9000 + (isr - modes_code)), 0x0184\n\tmovw $0, 0x0186\n\t" /* vector 0x61 */
    "int $0x61\n\t"
    /* and back: protected mode, PAE, long mode */
    "lgdtl 0x9f20\n\t"
    "lidtl 0x9f30\n\t"
    "movl %cr0, %eax\n\torb $1, %al\n\tmovl %eax, %cr0\n\t"
    "ljmpl $0x18, $(0x9000 + (prot32 - modes_code))\n"
    "isr:\n\t"
    "movl $0x1234abcd, 0xa018\n\tiretw\n"
    ".code32\n"
    "prot32:\n\t"
    "movw $0x10, %ax\n\tmovw %ax, %ds\n\tmovw %ax, %es\n\tmovw %ax, %ss\n\t"
    "movl 0x9f00, %esp\n\t"
    "movl $boot_pml4, %eax\n\tmovl %eax, %cr3\n\t"
    "movl $0xc0000080, %ecx\n\trdmsr\n\torl $0x100, %eax\n\twrmsr\n\t"
    "movl %cr0, %eax\n\torl $0x80000000, %eax\n\tmovl %eax, %cr0\n\t"
    "movl $0x600d600d, 0xa000\n\t"
    "lret\n"
    "modes_end:\n"
    ".code64\n"
    "modes_call:\n\t"
    "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
    "sgdt 0x9f20\n\tsidt 0x9f30\n\t"
    /* the far return at the end of the 32-bit code pops a 32-bit offset and the 64-bit code selector */
    "sub $8, %rsp\n\tmovl $1f, (%rsp)\n\tmovl $8, 4(%rsp)\n\t"
    "push $0x18\n\tpush %rdi\n\tlretq\n"
    "1:\n\t"
    "mov $0x10, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n\txor %eax, %eax\n\tmov %eax, "
    "%fs\n\t"
    "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");

void guest_main(void)
{
    volatile struct modes_result *r = (struct modes_result *)RESULT;
    u64 gs;
    u32 v[4];

    guest_init();
    cpuid(1, 0, v);
    outb(0x21, 0x5a);
    memset((void *)RESULT, 0, sizeof(*r));
    memcpy((void *)LOW, modes_code, (size_t)(modes_end - modes_code));
    *(volatile u16 *)0x9f10 = 0x3ff; /* real mode's vector table */
    *(volatile u32 *)0x9f12 = 0;
    gs = rdmsr(0xc0000101);
    modes_call(LOW);
    __asm__ volatile("mov %0, %%gs" ::"r"(0) : "memory");
    wrmsr(0xc0000101, gs);
    check(r->magic == 0x600d600d, "through 32-bit and real mode and back to 64-bit");
    check(r->cpuid_prot == v[3], "CPUID exits in protected mode (0x%x)", r->cpuid_prot);
    check(r->apic_prot == apic_read(APIC_VERSION),
          "the local APIC is read in protected mode without paging (0x%x)", r->apic_prot);
    check(r->port_prot == 0x5a, "a port is read in protected mode (0x%x)", r->port_prot);
    check(r->cpuid_real == v[3], "CPUID exits in real mode (0x%x)", r->cpuid_real);
    check(r->port_real == 0x5a, "a port is read in real mode (0x%x)", r->port_real);
    check((r->cr0_real & 0x80000001) == 0, "PE and PG are off in real mode (0x%x)", r->cr0_real);
    check(r->int_real == 0x1234abcd, "a software interrupt goes through real mode's vector table");
    check((rdmsr(MSR_EFER) & 0x500) == 0x500, "EFER.LMA is set again");
    outb(0x21, 0xff);
    for (int i = 0; i < 50; i++)
        modes_call(LOW);
    __asm__ volatile("mov %0, %%gs" ::"r"(0) : "memory");
    wrmsr(0xc0000101, gs);
    check(r->magic == 0x600d600d, "and 50 times again");
    done();
}
