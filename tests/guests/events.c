/* Exceptions, NMIs and interrupts at awkward moments: shadows, single steps over instructions that exit,
 * nesting, HLT. */
#include "guest.h"

static volatile u32 count[256];
static volatile u64 last_rip, last_error, nmi_depth, nmi_nested, irq_rip[4];
static volatile u32 irq_rips, steps;
static volatile u64 step_rip[16];

static void on_irq(struct frame *f)
{
    if (irq_rips < ARRAY_SIZE(irq_rip))
        irq_rip[irq_rips++] = f->rip;
    count[f->vector]++;
    apic_eoi();
}

static void on_trap(struct frame *f)
{
    count[f->vector]++;
    last_rip = f->rip;
    last_error = f->error;
}

static void on_step(struct frame *f)
{
    if (steps < ARRAY_SIZE(step_rip))
        step_rip[steps] = f->rip;
    steps++;
    count[1]++;
}

/* A second NMI sent from within the handler must wait for its IRET. */
static void on_nmi(struct frame *f)
{
    (void)f;
    count[2]++;
    if (nmi_depth != 0)
        nmi_nested++;
    nmi_depth++;
    if (count[2] == 1) {
        u32 r[4];

        ipi(apic_id(), ICR_NMI);
        cpuid(0, 0, r); /* an exit while NMIs are blocked must not unblock them */
        delay_us(10);
    }
    nmi_depth--;
}

static void check_exceptions(void)
{
    u64 v = 1;

    probe_start();
    __asm__ volatile(PROBE("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tdiv %%ecx")
                     : "+a"(v)::PROBE_CLOBBER, "rcx", "rdx");
    check(probe_result() == 0, "division by zero raises #DE");
    probe_start();
    __asm__ volatile(PROBE("ud2")::: PROBE_CLOBBER);
    check(probe_result() == 6, "UD2 raises #UD");
    probe_start();
    __asm__ volatile(PROBE("mov %0, %%ss")::"r"(SEL_CODE64) : PROBE_CLOBBER);
    check(probe_result() == 13 && this()->probe.error == SEL_CODE64,
          "a code selector in SS raises #GP with the selector");
    probe_start();
    __asm__ volatile(PROBE("mov %0, %%fs")::"r"(0x100) : PROBE_CLOBBER);
    check(probe_result() == 13 && this()->probe.error == 0x100,
          "a selector past the GDT raises #GP with the selector");
    probe_start();
    __asm__ volatile(PROBE("mov (%0), %%al")::"r"(0x8000000000000000UL) : PROBE_CLOBBER, "rax");
    check(probe_result() == 13 && this()->probe.error == 0, "a non-canonical address raises #GP(0)");
    probe_start();
    __asm__ volatile(PROBE("int $0x21")::: PROBE_CLOBBER);
    irq_set(0x21, on_trap);
    __asm__ volatile("int $0x21" ::: "memory");
    check(count[0x21] == 1, "INT n enters its handler");
    irq_set(3, on_trap);
    __asm__ volatile("int3" ::: "memory");
    check(count[3] == 1, "INT3 enters its handler");
    irq_set(3, NULL);
}

/* #DF by a #PF whose delivery faults: the IDT entry of #PF is made not present. */
static void on_double(struct frame *f)
{
    count[8]++;
    last_error = f->error;
    f->rip = this()->probe.resume;
    this()->probe.resume = 0;
}

static void check_double_fault(void)
{
    irq_set(8, on_double);
    irq_set_ist(8, 1);
    irq_set_present(14, false);
    probe_start();
    __asm__ volatile(PROBE("mov (%0), %%al")::"r"(0x7f0000000000UL) : PROBE_CLOBBER, "rax");
    irq_set_present(14, true);
    check(count[8] == 1 && last_error == 0, "#PF with an absent gate becomes #DF(0) on its own stack");
    irq_set(8, NULL);
    irq_set_ist(8, 0);
}

static void check_single_step(void)
{
    u64 first, after_cpuid, after_in, after_nop;

    irq_set(1, on_step);
    steps = 0;
    __asm__ volatile(
        "xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\t"
        "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n" /* TF is seen after the instruction behind POPFQ */
        "1:\tnop\n"
        "2:\tcpuid\n"
        "3:\tinb $0x21, %%al\n"
        "4:\tpushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq\n\t"
        "lea 1b(%%rip), %0\n\tlea 2b(%%rip), %1\n\tlea 3b(%%rip), %2\n\tlea 4b(%%rip), %3\n"
        : "=&r"(first), "=&r"(after_nop), "=&r"(after_cpuid), "=&r"(after_in)::"rax", "rbx", "rcx", "rdx",
          "memory", "cc");
    (void)first;
    check(steps >= 1 && step_rip[0] == after_nop, "a single step stops behind NOP");
    check(steps >= 2 && step_rip[1] == after_cpuid, "behind CPUID, which exits");
    check(steps >= 3 && step_rip[2] == after_in, "behind IN, which exits");
    check(steps == 6, "and once for each instruction (%u)", steps);
}

static void check_breakpoints(void)
{
    static volatile u64 watched;
    u64 dr6;

    count[1] = 0;
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr6\n\tmov %2, %%dr7" ::"r"(&watched), "r"(0xffff0ff0UL),
                     "r"(0xd0402UL));
    watched = 1;
    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr7" ::"r"(0x400UL));
    check(count[1] == 1 && (dr6 & 1), "a data breakpoint of DR0 raises #DB (DR6 0x%lx)", dr6);
    watched = 2;
    check(count[1] == 1, "and is off when DR7 is");
}

static void check_nmi(void)
{
    irq_set(2, on_nmi);
    ipi(apic_id(), ICR_NMI);
    delay_us(100);
    check(count[2] == 2, "an NMI sent inside the handler comes afterwards (%u)", count[2]);
    check(nmi_nested == 0, "not inside it");
}

static void self(unsigned vector)
{
    ipi(apic_id(), ICR_FIXED | ICR_SELF | vector);
}

static void check_shadow(void)
{
    u64 after_nop = 0, after_ss = 0;

    self(0x50);
    irq_rips = 0;
    __asm__ volatile("sti\n\tnop\n1:\tnop\n\tcli\n\tlea 1b(%%rip), %0" : "=r"(after_nop)::"memory");
    check(irq_rips == 1 && irq_rip[0] == after_nop, "after STI one instruction runs before the interrupt");
    self(0x50);
    irq_rips = 0;
    __asm__ volatile(
        "mov %%ss, %%eax\n\tpushfq\n\torl $0x200, (%%rsp)\n\tpopfq\n\tcli\n\tlea 1f(%%rip), %0\n1:"
        : "=r"(after_ss)::"rax", "memory", "cc");
    check(irq_rips == 1, "POPF that sets IF lets it in");
    irq_rips = 0;
    self(0x50);
    __asm__ volatile(
        "mov %%ss, %%ecx\n\txor %%eax, %%eax\n\tsti\n\tcpuid\n1:\tnop\n\tcli\n\tlea 1b(%%rip), %0"
        : "=&r"(after_nop)::"rax", "rbx", "rcx", "rdx", "memory", "cc");
    check(irq_rips == 1 && irq_rip[0] == after_nop,
          "an instruction that exits ends the shadow of STI like any other (%lx, %lx)", irq_rip[0],
          after_nop);
    count[0x50] = 0;
    __asm__ volatile("sti\n\tcli" ::: "memory");
    self(0x50);
    __asm__ volatile("sti\n\tcli" ::: "memory");
    check(count[0x50] == 0, "STI then CLI lets nothing in");
    __asm__ volatile("sti\n\tnop\n\tcli" ::: "memory");
    check(count[0x50] == 1, "STI, NOP, CLI does");
}

static void check_halt(void)
{
    u64 t;

    count[0x51] = 0;
    t = rdtsc();
    apic_timer_start(0x51, false, 2000000);
    sti_hlt();
    cli();
    check(count[0x51] == 1 && rdtsc() - t >= us_to_tsc(1900), "the timer ends HLT");
    self(0x51);
    sti_hlt();
    cli();
    check(count[0x51] == 2, "a request that waits before STI; HLT ends the HLT");
    count[2] = 10;
    apic_timer_start(0x51, false, 3000000);
    irq_set(0x51, on_irq);
    ipi(apic_id(), ICR_NMI);
    check(count[2] == 11, "an NMI with IF = 0");
    sti_hlt();
    cli();
    check(count[0x51] == 3, "HLT after it still wakes");
}

/* Interrupts in a storm while every instruction exits: none is lost, none comes twice. */
static void check_storm(void)
{
    u32 r[4];
    u64 end;

    count[0x52] = count[0x53] = 0;
    for (int i = 0; i < 2000; i++) {
        self(0x52);
        self(0x53);
        sti();
        cpuid(0, 0, r);
        inb(0x21);
        __asm__ volatile("nop; nop; nop" ::: "memory");
        cli();
    }
    check(count[0x52] == 2000 && count[0x53] == 2000, "2000 pairs of self-IPIs between exits (%u, %u)",
          count[0x52], count[0x53]);
    count[0x52] = 0;
    apic_timer_start(0x52, true, 100000);
    end = rdtsc() + tsc_hz / 5;
    sti();
    while (rdtsc() < end || (count[0x52] <= 10 && rdtsc() < end + 10 * tsc_hz)) {
        cpuid(0, 0, r);
        *(volatile u32 *)(APIC_BASE + APIC_ESR) = 0;
        inb(0x71);
    }
    cli();
    apic_timer_stop();
    check(count[0x52] > 10, "timer interrupts between exits of all kinds (%u)", count[0x52]);
}

void guest_main(void)
{
    guest_init();
    for (unsigned v = 0x50; v < 0x60; v++)
        irq_set(v, on_irq);
    check_exceptions();
    check_double_fault();
    check_single_step();
    check_breakpoints();
    check_nmi();
    check_shadow();
    check_halt();
    check_storm();
    check(stray_count <= 1, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
