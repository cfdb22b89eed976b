/* Several CPUs in one VM: start, IPIs of every kind between them, waking from HLT, INIT and a second start,
 * clocks. */
#include "guest.h"

static volatile u32 count[MAX_CPUS][256];
static volatile u32 started_again, job, job_done;
static volatile u64 shared_tsc;

static void on_irq(struct frame *f)
{
    count[this()->index][f->vector]++;
    if (f->vector != 2)
        apic_eoi();
}

static void sleeper(void)
{
    for (;;)
        sti_hlt();
}

/* Answers jobs without ever halting. */
static void worker(void)
{
    sti();
    for (;;) {
        if (job == 1) { /* ping-pong of time stamps */
            shared_tsc = rdtsc();
            job = 0;
        } else if (job == 2) {
            job_done = 1;
            job = 0;
            sleeper();
        }
        pause();
    }
}

static void again(void)
{
    started_again++;
    sleeper();
}

static u32 peer(unsigned i)
{
    return acpi_cpus.apic_id[i];
}

static bool arrives(unsigned cpu, unsigned vector, u32 dest, u32 icr)
{
    u32 before = count[cpu][vector];

    ipi(dest, icr | (icr & 0x700 ? 0 : vector));
    return wait_for(&count[cpu][vector], before + 1, 5000000);
}

static void check_ipis(const char *state)
{
    u32 before;

    check(arrives(1, 0x50, peer(1), ICR_FIXED), "a fixed IPI reaches CPU 1 (%s)", state);
    check(arrives(1, 2, peer(1), ICR_NMI), "an NMI reaches CPU 1 (%s)", state);
    check(arrives(1, 0x51, 0, ICR_FIXED | ICR_OTHERS), "all-but-self reaches CPU 1 (%s)", state);
    check(count[0][0x51] == 0, "and not the sender (%s)", state);
    before = count[0][0x52];
    sti();
    check(arrives(1, 0x52, 0, ICR_FIXED | ICR_ALL), "all-with-self reaches CPU 1 (%s)", state);
    check(wait_for(&count[0][0x52], before + 1, 1000000), "and the sender (%s)", state);
    cli();
    if (!x2apic_on) {
        check(arrives(1, 0x53, 0xff, ICR_FIXED), "the physical broadcast address reaches CPU 1 (%s)", state);
        check(arrives(1, 0x54, 2, ICR_FIXED | ICR_LOGICAL), "a logical IPI reaches CPU 1 (%s)", state);
        check(arrives(1, 0x55, 2, ICR_LOWEST | 0x55 | ICR_LOGICAL),
              "a lowest-priority IPI reaches CPU 1 (%s)", state);
    }
    before = count[1][0x50];
    ipi(peer(1) ^ 0x10, ICR_FIXED | 0x50);
    delay_us(5000);
    check(count[1][0x50] == before, "an IPI to an APIC id that does not exist goes nowhere (%s)", state);
}

static u32 logical_started;

static void set_logical_sleeper(void)
{
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_LDR, 2u << 24);
    logical_started++;
    sti();
    worker();
}

static void check_clock(void)
{
    u64 back = 0;

    for (int i = 0; i < 200; i++) {
        u64 t = rdtsc();

        job = 1;
        if (!wait_for(&job, 0, 5000000))
            break;
        back += shared_tsc < t || rdtsc() < shared_tsc;
    }
    check(back == 0 && job == 0, "time stamps of both CPUs never run backwards (%lu of 200)", back);
}

void guest_main(void)
{
    u32 n;

    guest_init();
    for (unsigned v = 0x50; v < 0x60; v++)
        irq_set(v, on_irq);
    irq_set(2, on_irq);
    check(acpi_cpus.count >= 2, "the MADT lists %u CPUs", acpi_cpus.count);
    if (acpi_cpus.count < 2) {
        done();
        return;
    }
    check(peer(0) == apic_id(), "the boot CPU comes first in the MADT");
    check((rdmsr(MSR_APIC_BASE) & BIT(8)) != 0, "and APIC_BASE marks it as such");
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_LDR, 1u << 24);
    check(smp_start(peer(1), set_logical_sleeper), "INIT and SIPI start CPU 1");
    check_ipis("busy");
    check_clock();
    job = 2;
    check(wait_for(&job_done, 1, 5000000), "CPU 1 goes to sleep");
    delay_us(2000);
    check_ipis("halted");
    n = cpus_online;
    ipi(peer(1), ICR_SIPI | AP_TRAMPOLINE >> 12);
    delay_us(20000);
    check(cpus_online == n, "a SIPI to a running CPU is ignored");
    check(smp_start(peer(1), again), "INIT stops a running CPU and SIPI starts it again");
    check(wait_for(&started_again, 1, 5000000), "in the new function");
    check(arrives(1, 0x50, peer(1), ICR_FIXED), "and it takes IPIs");
    ipi(peer(1), ICR_INIT);
    delay_us(20000);
    n = count[1][0x50];
    ipi(peer(1), ICR_FIXED | 0x50);
    delay_us(20000);
    check(count[1][0x50] == n, "after INIT alone it takes none");
    check(smp_start(peer(1), again), "and starts a third time");
    check(wait_for(&started_again, 2, 5000000), "in its function");
    for (unsigned i = 2; i < acpi_cpus.count; i++)
        check(smp_start(peer(i), sleeper), "CPU %u starts", i);
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
