/*
 * Subject: the instructions of hardware virtualisation and other vendor instructions. A guest has none of
 * them: each must raise #UD (or #GP where the manual says so), and none may reach the host.
 */
#include "guest.h"

#define TRY(text, ...)                                                                                       \
    do {                                                                                                     \
        probe_start();                                                                                       \
        __asm__ volatile(PROBE(__VA_ARGS__)::"a"(0x7000UL), "c"(0UL), "d"(0UL) : PROBE_CLOBBER, "rbx");      \
        report(text);                                                                                        \
    } while (0)

static void report(const char *name)
{
    int v = probe_result();

    check(v == 6 || v == 13, "%s is refused (exception %d)", name, v);
}

void guest_main(void)
{
    u64 v;

    guest_init();
    printf("vmrun: start\n");
    TRY("VMRUN", "vmrun %%rax");
    TRY("VMLOAD", "vmload %%rax");
    TRY("VMSAVE", "vmsave %%rax");
    TRY("STGI", "stgi");
    TRY("CLGI", "clgi");
    TRY("SKINIT", "skinit %%eax");
    TRY("INVLPGA", "invlpga %%rax, %%ecx");
    TRY("VMXON", ".byte 0xf3, 0x0f, 0xc7, 0x30");   /* vmxon (%rax) */
    TRY("VMCLEAR", ".byte 0x66, 0x0f, 0xc7, 0x30"); /* vmclear (%rax) */
    TRY("VMPTRLD", ".byte 0x0f, 0xc7, 0x30");       /* vmptrld (%rax) */
    TRY("VMLAUNCH", ".byte 0x0f, 0x01, 0xc2");
    TRY("VMREAD", ".byte 0x0f, 0x78, 0xc0");
    TRY("VMXOFF", ".byte 0x0f, 0x01, 0xc4");
    TRY("MONITOR", "monitor");
    TRY("MWAIT", "mwait");
    TRY("RSM", "rsm");
    TRY("GETSEC", ".byte 0x0f, 0x37");
    TRY("ENCLS", ".byte 0x0f, 0x01, 0xcf");
    TRY("MONITORX", ".byte 0x0f, 0x01, 0xfa");
    TRY("RDPRU", ".byte 0x0f, 0x01, 0xfd");
    TRY("PSMASH", ".byte 0xf3, 0x0f, 0x01, 0xff");
    TRY("VMMCALL", "vmmcall");
    TRY("VMCALL", ".byte 0x0f, 0x01, 0xc1");
    TRY("an undefined opcode", ".byte 0x0f, 0xff");
    for (u64 id = 0x80000000; id < 0x80000100; id++) {
        probe_start();
        __asm__ volatile("mov %0, %%r8\n\t" PROBE("vmmcall")::"r"(id), "D"(~0UL), "S"(~0UL)
                         : PROBE_CLOBBER, "r8", "rax");
        /* The secure world's three calls answer every VM: here, that it has none. */
        if (id >= 0x80000070 && id <= 0x80000072 && probe_result() == -1)
            continue;
        if (probe_result() != 6 && probe_result() != 13)
            check(false, "hypercall 0x%lx from a VM that may not call is refused (exception %d)", id,
                  probe_result());
    }
    check(true, "256 hypercall numbers tried");
    check(rdmsr_probe(0xc0010114, &v) == 13 || (v & 0x10) != 0 || v == 0, "VM_CR shows nothing usable");
    check(wrmsr_probe(0xc0010117, 0x7000) == 13, "VM_HSAVE_PA cannot be set");
    check(wrmsr_probe(MSR_EFER, rdmsr(MSR_EFER) | BIT(12)) == 13, "EFER.SVME cannot be set");
    check(rdmsr_probe(0x3a, &v) == 13 || (v & 4) == 0, "IA32_FEATURE_CONTROL offers no VMX");
    check(rdmsr_probe(0x480, &v) == 13, "IA32_VMX_BASIC is not there");
    done();
    /* QEMU takes CR4.VMXE and refuses the next VMRUN with it: the VM may be stopped for it, its neighbour
     * must not notice. */
    probe_start();
    __asm__ volatile(PROBE("mov %0, %%cr4")::"r"(READ_CR(4) | BIT(13)) : PROBE_CLOBBER);
    printf("vmrun: CR4.VMXE gave exception %d\n", probe_result());
}
