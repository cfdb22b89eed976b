/* The local APIC: timer modes, IPIs to itself, priorities, EOI, error status, and the x2APIC interface. */
#include "guest.h"

static volatile u32 count[256];
static volatile u32 order[8], ordered;
static volatile bool hold_eoi;

static void on_irq(struct frame *f)
{
    count[f->vector]++;
    if (ordered < ARRAY_SIZE(order))
        order[ordered++] = (u32)f->vector;
    if (!hold_eoi)
        apic_eoi();
}

static void on_nmi(struct frame *f)
{
    count[f->vector]++;
}

static void self(unsigned vector)
{
    ipi(apic_id(), ICR_FIXED | ICR_SELF | vector);
}

static void window(void)
{
    sti();
    __asm__ volatile("nop; nop" ::: "memory");
    cli();
}

static void check_state(void)
{
    u32 v = apic_read(APIC_VERSION);

    check((v & 0xf0) == 0x10 && (v >> 16 & 0xff) >= 4, "version register 0x%x is an integrated APIC", v);
    check((apic_read(APIC_SVR) & 0x1ff) == 0x1ff, "spurious vector register keeps what was written");
    apic_write(APIC_LVT_ERROR, 0x100fe);
    check(apic_read(APIC_LVT_ERROR) == 0x100fe, "LVT error entry keeps what was written");
    if (!x2apic_on) {
        apic_write(APIC_LDR, 0x42000000);
        check(apic_read(APIC_LDR) == 0x42000000, "LDR keeps its 8 bits");
        apic_write(APIC_DFR, 0xffffffff);
        check(apic_read(APIC_DFR) == 0xffffffff, "DFR is in the flat model");
        apic_write(APIC_DFR, 0x0fffffff);
        check(apic_read(APIC_DFR) == 0x0fffffff, "DFR takes the cluster model");
        apic_write(APIC_DFR, 0xffffffff);
    }
}

static void check_timer(void)
{
    u64 t, us;
    u32 a, b;

    count[0x40] = 0;
    t = rdtsc();
    apic_timer_start(0x40, false, 5000000);
    while (count[0x40] == 0 && rdtsc() - t < tsc_hz * 5)
        window();
    us = (rdtsc() - t) * 1000 / (tsc_hz / 1000);
    check(count[0x40] == 1 && us >= 4900, "one-shot of 5 ms fired after %lu us", us);
    delay_us(20000);
    window();
    check(count[0x40] == 1, "one-shot fires once");
    check(apic_read(APIC_TMCCT) == 0, "current count is 0 afterwards");
    count[0x40] = 0;
    t = rdtsc();
    apic_timer_start(0x40, true, 2000000);
    while (count[0x40] < 10 && rdtsc() - t < tsc_hz * 10)
        window();
    us = (rdtsc() - t) * 1000 / (tsc_hz / 1000);
    check(count[0x40] >= 10 && us >= 18000, "periodic of 2 ms fired 10 times in %lu us", us);
    apic_timer_stop();
    window(); /* one may have been pending */
    count[0x40] = 0;
    delay_us(5000);
    window();
    check(count[0x40] == 0, "a stopped timer is silent");
    apic_write(APIC_LVT_TIMER, (u32)LVT_MASKED | 0x40);
    apic_write(APIC_TMICT, 0x40000000);
    a = apic_read(APIC_TMCCT);
    delay_us(1000);
    b = apic_read(APIC_TMCCT);
    check(b < a && a <= 0x40000000, "current count runs down, also masked (%x, %x)", a, b);
    check(apic_read(APIC_TMICT) == 0x40000000, "initial count reads back");
    apic_write(APIC_TMICT, 0);
    apic_write(APIC_TDCR, 0xb);
    check(apic_read(APIC_TDCR) == 0xb, "divide configuration reads back");
}

static void check_deadline(void)
{
    u32 r[4];
    u64 t, us;

    cpuid(1, 0, r);
    if (!(r[2] & BIT(24)))
        return;
    count[0x40] = 0;
    apic_write(APIC_LVT_TIMER, 0x40 | 2u << 17);
    wrmsr(0x6e0, rdtsc() + 100 * tsc_hz);
    check(rdmsr(0x6e0) != 0, "TSC deadline reads back while it waits");
    t = rdtsc();
    wrmsr(0x6e0, t + us_to_tsc(3000));
    while (count[0x40] == 0 && rdtsc() - t < tsc_hz * 5)
        window();
    us = (rdtsc() - t) * 1000 / (tsc_hz / 1000);
    check(count[0x40] == 1 && us >= 3000, "TSC deadline of 3 ms fired after %lu us", us);
    check(rdmsr(0x6e0) == 0, "TSC deadline is 0 after it fired");
    t = rdtsc() + us_to_tsc(200000);
    wrmsr(0x6e0, t);
    wrmsr(0x6e0, 0);
    while (rdtsc() < t + us_to_tsc(3000))
        pause();
    window();
    check(count[0x40] == 1, "writing 0 disarms it");
    wrmsr(0x6e0, 1);
    for (t = rdtsc(); count[0x40] < 2 && rdtsc() - t < tsc_hz * 5;)
        window();
    check(count[0x40] == 2, "a deadline in the past fires at once");
    apic_timer_stop();
}

static void check_priorities(void)
{
    ordered = 0;
    self(0x50);
    self(0x90);
    self(0x70);
    check(apic_irr(0x50) && apic_irr(0x70) && apic_irr(0x90), "three self-IPIs wait in IRR while IF is 0");
    window();
    delay_us(10);
    window();
    check(ordered == 3 && order[0] == 0x90 && order[1] == 0x70 && order[2] == 0x50,
          "they come highest first (%x %x %x)", order[0], order[1], order[2]);
    check(!apic_irr(0x50) && !apic_isr(0x50), "IRR and ISR are empty afterwards");
    apic_write(APIC_TPR, 0x60);
    count[0x50] = count[0x70] = 0;
    self(0x50);
    self(0x70);
    window();
    check(count[0x70] == 1 && count[0x50] == 0, "TPR 0x60 lets 0x70 pass and holds 0x50");
    check(apic_read(APIC_PPR) == 0x60, "PPR is TPR when nothing is in service");
    apic_write(APIC_TPR, 0);
    window();
    check(count[0x50] == 1, "lowering TPR lets 0x50 in");
    WRITE_CR(8, 15);
    count[0x50] = 0;
    self(0x50);
    window();
    check(count[0x50] == 0, "CR8 = 15 holds everything");
    WRITE_CR(8, 0);
    window();
    check(count[0x50] == 1, "CR8 = 0 lets it in");
    hold_eoi = true;
    count[0x60] = count[0x64] = count[0x80] = 0;
    self(0x60);
    window();
    check(apic_isr(0x60) && apic_read(APIC_PPR) == 0x60,
          "a vector without EOI stays in service, PPR shows its class");
    self(0x64);
    window();
    check(count[0x64] == 0, "the same class waits");
    self(0x80);
    window();
    check(count[0x80] == 1, "a higher class nests");
    hold_eoi = false;
    apic_eoi();
    check(!apic_isr(0x80) && apic_isr(0x60), "EOI ends the highest in service");
    apic_eoi();
    window();
    check(count[0x64] == 1, "EOI of the lower one lets the waiting one in");
}

static void check_modes(void)
{
    count[2] = count[0x51] = 0;
    ipi(apic_id(), ICR_NMI);
    delay_us(10);
    check(count[2] == 1, "an NMI to itself arrives with IF = 0");
    ipi(apic_id(), ICR_FIXED | 0x51);
    window();
    check(count[0x51] == 1, "a physical-destination IPI to itself arrives");
    if (!x2apic_on) {
        apic_write(APIC_DFR, 0xffffffff);
        apic_write(APIC_LDR, 0x04000000);
        ipi(0x04, ICR_FIXED | ICR_LOGICAL | 0x51);
        window();
        check(count[0x51] == 2, "a logical (flat) IPI to itself arrives");
        ipi(0x08, ICR_FIXED | ICR_LOGICAL | 0x51);
        window();
        check(count[0x51] == 2, "a logical IPI to nobody is lost");
        ipi(0x04, ICR_LOWEST | ICR_LOGICAL | 0x51);
        window();
        check(count[0x51] == 3, "a lowest-priority IPI to itself arrives");
    } else {
        u32 ldr = apic_read(APIC_LDR);

        check(ldr == ((apic_id() >> 4) << 16 | BIT32(apic_id() & 15)), "LDR follows the x2APIC id (0x%x)",
              ldr);
        ipi(ldr, ICR_FIXED | ICR_LOGICAL | 0x51);
        window();
        check(count[0x51] == 2, "a logical (cluster) IPI to itself arrives");
        wrmsr(0x83f, 0x51);
        window();
        check(count[0x51] == 3, "the SELF IPI register works");
    }
    apic_write(APIC_ESR, 0);
    ipi(apic_id(), ICR_FIXED | ICR_SELF | 5);
    apic_write(APIC_ESR, 0);
    check(apic_read(APIC_ESR) & 0x20, "an IPI with vector 5 sets send-illegal-vector (ESR 0x%x)",
          apic_read(APIC_ESR));
    apic_write(APIC_ESR, 0);
    apic_write(APIC_ESR, 0);
    check(apic_read(APIC_ESR) == 0, "ESR clears");
    count[0x50] = 0;
    for (int i = 0; i < 3; i++)
        self(0x50);
    window();
    delay_us(10);
    window();
    check(count[0x50] == 1, "several requests of one vector merge in IRR");
}

static void check_disable(void)
{
    apic_write(APIC_SVR, 0xff);
    check((apic_read(APIC_LVT_TIMER) & LVT_MASKED) != 0, "software disable masks the LVT");
    apic_write(APIC_LVT_TIMER, 0x40);
    check((apic_read(APIC_LVT_TIMER) & LVT_MASKED) != 0, "and the mask cannot be removed");
    apic_enable();
    check(apic_read(APIC_SVR) == 0x1ff, "it can be enabled again");
}

void guest_main(void)
{
    u64 v;

    guest_init();
    for (unsigned i = 32; i < 255; i++)
        irq_set(i, on_irq);
    irq_set(2, on_nmi);
    for (int pass = 0; pass < 2; pass++) {
        check_state();
        check_timer();
        check_deadline();
        check_priorities();
        check_modes();
        check_disable();
        if (pass == 0 && !x2apic_enable())
            break;
    }
    if (x2apic_on) {
        check(rdmsr_probe(0x80e, &v) == 13, "x2APIC has no DFR");
        check(wrmsr_probe(0x802, 0) == 13, "x2APIC's id is read-only");
        check(wrmsr_probe(0x80b, 1) == 13, "x2APIC's EOI takes only 0");
        check(rdmsr_probe(0x831, &v) == 13, "x2APIC has no ICR2");
        check(wrmsr_probe(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~BIT(11)) == 13,
              "x2APIC cannot become bare x2");
        check(wrmsr_probe(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~BIT(10)) == 13,
              "x2APIC cannot become xAPIC without a stop");
    }
    check(stray_count == 0, "no stray interrupt (%u)", stray_count);
    done();
}
