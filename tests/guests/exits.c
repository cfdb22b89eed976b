/* CPUID and MSR policy: what a guest is shown is what it can use, and unknown registers fault. */
#include "guest.h"

static void check_cpuid(void)
{
    u32 r[4], again[4], max, max_ext;
    char vendor[13] = "", hv[13] = "";

    cpuid(0, 0, r);
    max = r[0];
    memcpy(vendor, &r[1], 4);
    memcpy(vendor + 4, &r[3], 4);
    memcpy(vendor + 8, &r[2], 4);
    check(max >= 1 && max < 0x100, "highest basic leaf %u is plausible", max);
    check(strcmp(vendor, "AuthenticAMD") == 0 || strcmp(vendor, "GenuineIntel") == 0, "vendor is %s", vendor);
    cpuid(0x80000000, 0, r);
    max_ext = r[0];
    check(max_ext >= 0x80000008 && max_ext < 0x80000100, "highest extended leaf 0x%x is plausible", max_ext);
    cpuid(1, 0, r);
    check(r[3] & BIT(9), "APIC bit is set");
    check((r[2] & BIT(3)) == 0, "MONITOR is not offered");
    check((r[2] & BIT(5)) == 0, "VMX is not offered");
    check((r[3] & (BIT(4) | BIT(5) | BIT(6) | BIT(8))) == (BIT(4) | BIT(5) | BIT(6) | BIT(8)),
          "TSC, MSR, PAE, CX8 are offered");
    check(r[1] >> 24 == apic_id(), "initial APIC id %u equals the APIC's own", r[1] >> 24);
    if (r[2] & BIT(31)) {
        cpuid(0x40000000, 0, r);
        memcpy(hv, &r[1], 12);
        check(r[0] >= 0x40000000 && r[0] < 0x40000100, "hypervisor leaf range 0x%x, signature %s", r[0], hv);
    }
    cpuid(0x80000001, 0, r);
    check((r[2] & BIT(2)) == 0, "SVM is not offered");
    check(r[3] & BIT(29), "long mode is offered");
    cpuid(0x80000008, 0, r);
    check((r[0] & 0xff) >= 32 && (r[0] & 0xff) <= 52, "physical address width %u", r[0] & 0xff);
    cpuid(max + 1, 0, r);
    cpuid(max + 1, 0, again);
    check(memcmp(r, again, sizeof(r)) == 0, "a leaf past the highest answers the same twice");
    cpuid(1, 0, r);
    check(!!(r[2] & BIT(27)) == !!(READ_CR(4) & BIT(18)), "OSXSAVE mirrors CR4 before it is set");
    if (r[2] & BIT(26)) {
        WRITE_CR(4, READ_CR(4) | BIT(18));
        cpuid(1, 0, r);
        check(r[2] & BIT(27), "OSXSAVE follows CR4.OSXSAVE");
        probe_start();
        __asm__ volatile(PROBE("xsetbv")::"c"(0), "a"(0), "d"(0) : PROBE_CLOBBER);
        check(probe_result() == 13, "XSETBV without the x87 bit raises #GP");
        probe_start();
        __asm__ volatile(PROBE("xsetbv")::"c"(0), "a"(3), "d"(0) : PROBE_CLOBBER);
        check(probe_result() < 0, "XSETBV of x87 and SSE is accepted");
        probe_start();
        __asm__ volatile(PROBE("xsetbv")::"c"(5), "a"(3), "d"(0) : PROBE_CLOBBER);
        check(probe_result() == 13, "XSETBV of an unknown XCR raises #GP");
        cpuid(13, 0, r);
        check(r[1] >= 512 + 64, "leaf 13 gives the XSAVE area's size, %u bytes", r[1]);
    }
}

/* The general registers must come through an exit untouched. */
static void check_registers(void)
{
    u64 bad = 1;

    __asm__ volatile(
        "mov $0x1111111111111111, %%rsi\n\tmov $0x2222222222222222, %%rdi\n\t"
        "mov $0x3333333333333333, %%r8\n\tmov $0x4444444444444444, %%r9\n\t"
        "mov $0x5555555555555555, %%r10\n\tmov $0x6666666666666666, %%r11\n\t"
        "mov $0x7777777777777777, %%r12\n\tmov $0x8888888888888888, %%r13\n\t"
        "mov $0x9999999999999999, %%r14\n\tmov $0xaaaaaaaaaaaaaaaa, %%r15\n\t"
        "push %%rbp\n\tmov $0xbbbbbbbbbbbbbbbb, %%rbp\n\t"
        "xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\tcpuid\n\tinb $0x21, %%al\n\tmov $0x1b, %%ecx\n\trdmsr\n\t"
        "mov $0xfee00020, %%ebx\n\tmovl (%%rbx), %%eax\n\txor %%eax, %%eax\n\t"
        "mov $0xbbbbbbbbbbbbbbbb, %%rcx\n\tsub %%rcx, %%rbp\n\tor %%rbp, %%rax\n\tpop %%rbp\n\t"
        "mov $0x1111111111111111, %%rcx\n\tmov %%rcx, %%rdx\n\t"
        "sub %%rdx, %%rsi\n\tor %%rsi, %%rax\n\tadd %%rcx, %%rdx\n\tsub %%rdx, %%rdi\n\tor %%rdi, %%rax\n\t"
        "add %%rcx, %%rdx\n\tsub %%rdx, %%r8\n\tor %%r8, %%rax\n\tadd %%rcx, %%rdx\n\tsub %%rdx, %%r9\n\tor "
        "%%r9, %%rax\n\t"
        "add %%rcx, %%rdx\n\tsub %%rdx, %%r10\n\tor %%r10, %%rax\n\tadd %%rcx, %%rdx\n\tsub %%rdx, "
        "%%r11\n\tor %%r11, %%rax\n\t"
        "add %%rcx, %%rdx\n\tsub %%rdx, %%r12\n\tor %%r12, %%rax\n\tadd %%rcx, %%rdx\n\tsub %%rdx, "
        "%%r13\n\tor %%r13, %%rax\n\t"
        "add %%rcx, %%rdx\n\tsub %%rdx, %%r14\n\tor %%r14, %%rax\n\tadd %%rcx, %%rdx\n\tsub %%rdx, "
        "%%r15\n\tor %%r15, %%rax\n\t"
        : "=&a"(bad)::"rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "memory", "cc");
    check(bad == 0, "general registers survive exits");
}

/* Registers that must hold what was written. */
static const struct {
    u32 msr;
    u64 value;
    const char *name;
} kept[] = {
    {0xc0000081, 0x0023001000000000, "STAR"},
    {0xc0000082, 0xffff800012345678, "LSTAR"},
    {0xc0000083, 0xffff800087654321, "CSTAR"},
    {0xc0000084, 0x47700, "SFMASK"},
    {0xc0000102, 0xffffc90000001000, "KERNEL_GS_BASE"},
    {0xc0000100, 0x7000, "FS_BASE"},
    {0x174, 0x10, "SYSENTER_CS"},
    {0x175, 0xffffc90000002000, "SYSENTER_ESP"},
    {0x176, 0xffff800000003000, "SYSENTER_EIP"},
    {0x277, 0x0007010600070106, "PAT"},
};

static void check_msrs(void)
{
    static const u32 unknown[] = {0x2, 0x1234, 0x3fffffff, 0xc0001fff, 0xc00110f0, 0x12345678, 0xffffffff};
    u64 v, w;
    u32 r[4];

    for (unsigned i = 0; i < ARRAY_SIZE(kept); i++) {
        int f = wrmsr_probe(kept[i].msr, kept[i].value);

        v = 0;
        check(f < 0 && rdmsr_probe(kept[i].msr, &v) < 0 && v == kept[i].value, "%s keeps its value (0x%lx)",
              kept[i].name, v);
    }
    check(rdmsr_probe(MSR_APIC_BASE, &v) < 0 && (v & ~0xfffUL) == APIC_BASE && (v & 0x900) == 0x900,
          "APIC_BASE is 0x%lx", v);
    check(wrmsr_probe(MSR_APIC_BASE, BIT(52) | v) == 13, "APIC_BASE with reserved bits raises #GP");
    check(rdmsr_probe(MSR_EFER, &v) < 0 && (v & 0x500) == 0x500, "EFER is 0x%lx: long mode on and active", v);
    check((v & BIT(12)) == 0, "EFER.SVME reads as off");
    check(wrmsr_probe(MSR_EFER, v | BIT(12)) == 13, "EFER.SVME cannot be set");
    check(wrmsr_probe(MSR_EFER, v | BIT(20)) == 13, "EFER with reserved bits raises #GP");
    check(wrmsr_probe(MSR_EFER, v & ~BIT(8)) == 13, "EFER.LME cannot be cleared while paging");
    check(wrmsr_probe(0x277, 0x0202020202020202) == 13, "PAT with a reserved type raises #GP");
    check(rdmsr_probe(0x10, &v) < 0 && rdmsr_probe(0x10, &w) < 0 && w > v && w - v < tsc_hz,
          "IA32_TSC counts");
    check(rdmsr_probe(0xfe, &v) < 0 || probe_result() == 13, "MTRRCAP answers or faults");
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        check(rdmsr_probe(unknown[i], &v) == 13, "RDMSR of unknown 0x%x raises #GP", unknown[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        check(wrmsr_probe(unknown[i], 0) == 13, "WRMSR of unknown 0x%x raises #GP", unknown[i]);
    cpuid(1, 0, r);
    check(rdmsr_probe(0x802, &v) == 13, "an x2APIC register raises #GP in xAPIC mode");
    check(rdmsr_probe(0xc0010117, &v) == 13 || v == 0, "VM_HSAVE_PA shows nothing of the host (0x%lx)", v);
    check(wrmsr_probe(0xc0010117, 0x1000) == 13, "VM_HSAVE_PA cannot be written");
}

static void check_control(void)
{
    /* Reserved bits of CR4, and clearing PAE in long mode, are the CPU's own to refuse; QEMU's emulation does
     * not. */
    probe_start();
    __asm__ volatile(PROBE("mov %0, %%cr8")::"r"(0x10UL) : PROBE_CLOBBER);
    check(probe_result() == 13, "a reserved CR8 bit raises #GP");
    WRITE_CR(8, 5);
    check(READ_CR(8) == 5 && apic_read(APIC_TPR) == 0x50, "CR8 and TPR are one register");
    apic_write(APIC_TPR, 0);
    check(READ_CR(8) == 0, "TPR shows in CR8");
    __asm__ volatile("wbinvd" ::: "memory");
    check(true, "WBINVD is harmless");
    __asm__ volatile("mov %0, %%dr0" ::"r"(0x123456789aUL));
    u64 dr0;
    __asm__ volatile("mov %%dr0, %0" : "=r"(dr0));
    check(dr0 == 0x123456789a, "DR0 keeps its value");
}

void guest_main(void)
{
    guest_init();
    check_cpuid();
    check_registers();
    check_msrs();
    check_control();
    done();
}
