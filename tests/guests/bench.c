/*
 * What an exit costs, in guest-visible TSC ticks: under `-icount shift=0,sleep=off` one tick is one
 * instruction. Each figure is the minimum of 200 runs less the minimum of the empty loop. The runner writes
 * the lines "BENCH name value" to its file.
 */
#include "guest.h"

#define RUNS       200
#define VECTOR     0x41
#define ICR_ADDR   "0xfee00300"
#define HC_UNKNOWN "0x800000ff"

/* Declares a function that measures the instruction text `insn`; the text `pre` runs before the clock starts.
 * RAX is 0. */
#define MEASURE(fn, pre, insn)                                                                               \
    static u64 fn(void)                                                                                      \
    {                                                                                                        \
        u64 best = ~(u64)0;                                                                                  \
                                                                                                             \
        for (int i = 0; i < RUNS; i++) {                                                                     \
            u64 t, lo, hi;                                                                                   \
                                                                                                             \
            __asm__ volatile(pre "\n\trdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n\tmov %%rax, %0\n\t"       \
                                 "xor %%eax, %%eax\n\t" insn "\n\trdtsc"                                     \
                             : "=&r"(t), "=&a"(lo), "=&d"(hi)                                                \
                             :                                                                               \
                             : "rbx", "rcx", "rdi", "rsi", "r8", "memory", "cc");                            \
            t = (hi << 32 | lo) - t;                                                                         \
            if (t < best)                                                                                    \
                best = t;                                                                                    \
        }                                                                                                    \
        return best;                                                                                         \
    }

MEASURE(run_empty, "", "")
MEASURE(run_cpuid, "", "cpuid")
#define HC_REGS "mov $" HC_UNKNOWN ", %%r8d\n\txor %%edi, %%edi\n\txor %%esi, %%esi"
MEASURE(run_vmcall, HC_REGS, "vmcall")
MEASURE(run_vmmcall, HC_REGS, "vmmcall")
MEASURE(run_port, "", "inb $0x21, %%al")
MEASURE(run_rdmsr, "mov $0xfe, %%ecx", "rdmsr")
MEASURE(run_lapic_read, "mov $0xfee00020, %%esi", "movl (%%rsi), %%eax")
MEASURE(run_lapic_eoi, "mov $0xfee000b0, %%edi", "movl %%eax, (%%rdi)")

static volatile u64 stamp;
static volatile u32 acks;
static volatile u32 peer_halts = 1;

/* Interrupt entry of the measured vector: the time first, then the acknowledgement in memory, then EOI. */
__asm__(".text\n"
        "on_ipi:\n\t"
        "push %rax\n\t"
        "push %rdx\n\t"
        "rdtsc\n\t"
        "lock incl acks\n\t"
        "shl $32, %rdx\n\t"
        "or %rdx, %rax\n\t"
        "mov %rax, stamp\n\t"
        "mov $0xfee000b0, %eax\n\t"
        "movl $0, (%rax)\n\t"
        "pop %rdx\n\t"
        "pop %rax\n\t"
        "iretq\n");
extern const u8 on_ipi[];

static u64 run_ipi_self(void)
{
    u64 best = ~(u64)0;

    sti();
    for (int i = 0; i < RUNS; i++) {
        u32 want = acks + 1;
        u64 t = rdtsc();

        *(volatile u32 *)(APIC_BASE + APIC_ICR) = ICR_FIXED | ICR_SELF | VECTOR;
        while (acks != want)
            pause();
        t = stamp - t;
        if (t < best)
            best = t;
    }
    cli();
    return best;
}

static void peer(void)
{
    for (;;) {
        if (peer_halts) {
            sti_hlt();
        } else {
            sti();
            while (!peer_halts)
                pause();
        }
    }
}

static u64 run_ipi_peer(u32 id)
{
    u64 best = ~(u64)0;

    *(volatile u32 *)(APIC_BASE + APIC_ICR2) = id << 24;
    for (int i = 0; i < RUNS; i++) {
        u32 want = acks + 1;
        u64 t;

        delay_us(100); /* the peer reaches its halt or its loop again */
        t = rdtsc();
        *(volatile u32 *)(APIC_BASE + APIC_ICR) = ICR_FIXED | VECTOR;
        while (acks != want)
            pause();
        t = rdtsc() - t;
        if (t < best)
            best = t;
    }
    return best;
}

/* Each vendor's own instruction is the quick one; the other is served by way of #UD. */
static u64 run_hypercall(void)
{
    u32 r[4];

    cpuid(0, 0, r);
    return r[1] == 0x756e6547 /* "Genu" */ ? run_vmcall() : run_vmmcall();
}

static u64 less(u64 v, u64 empty)
{
    return v > empty ? v - empty : 0;
}

void guest_main(void)
{
    u64 empty, v;

    guest_init();
    irq_set_entry(VECTOR, on_ipi);
    empty = run_empty();
    printf("BENCH empty %lu\n", empty);
    printf("BENCH exit.cpuid %lu\n", less(run_cpuid(), empty));
    probe_start();
    __asm__ volatile(PROBE("vmmcall")::: PROBE_CLOBBER, "rax", "rdx", "r8");
    if (probe_result() < 0)
        printf("BENCH exit.hypercall %lu\n", less(run_hypercall(), empty));
    else
        printf("# VMMCALL raises exception %d here: exit.hypercall cannot be measured\n", probe_result());
    printf("BENCH exit.port %lu\n", less(run_port(), empty));
    printf("BENCH exit.rdmsr %lu\n", less(run_rdmsr(), empty));
    printf("BENCH exit.lapic_read %lu\n", less(run_lapic_read(), empty));
    printf("BENCH exit.lapic_eoi %lu\n", less(run_lapic_eoi(), empty));
    printf("BENCH ipi.self %lu\n", less(run_ipi_self(), empty));
    if (acpi_cpus.count < 2)
        bail("the IPI figures need two CPUs, the MADT has %u", acpi_cpus.count);
    if (!smp_start(acpi_cpus.apic_id[1], peer))
        bail("CPU 1 did not start");
    v = run_ipi_peer(acpi_cpus.apic_id[1]);
    printf("BENCH ipi.halted %lu\n", less(v, empty));
    peer_halts = 0;
    ipi(acpi_cpus.apic_id[1], ICR_FIXED | VECTOR);
    delay_us(1000);
    v = run_ipi_peer(acpi_cpus.apic_id[1]);
    printf("BENCH ipi.busy %lu\n", less(v, empty));
    printf("bench done\n");
}
