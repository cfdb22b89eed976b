/*
 * The neighbour of every confinement subject: prints a numbered heartbeat and watches what must not change
 * while the subject misbehaves: its memory, its registers, its clocks, and that no interrupt arrives that is
 * not its own.
 */
#include "guest.h"

#define VECTOR  0x40
#define BEAT_MS 100
#define WORDS   (1024 * 1024 / 8)

static volatile u32 beats;

static void on_timer(struct frame *f)
{
    (void)f;
    beats++;
    apic_eoi();
}

static u64 pattern(u64 i)
{
    return (i + 1) * 0x9e3779b97f4a7c15;
}

/* The registers that belong to this VM alone: values of its own, compared at each beat. */
static const struct {
    u32 msr;
    u64 value;
    const char *name;
} own_msrs[] = {
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

static const char *registers_bad(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(own_msrs); i++)
        if (rdmsr(own_msrs[i].msr) != own_msrs[i].value)
            return own_msrs[i].name;
    if (apic_read(APIC_SVR) != 0x1ff || apic_read(APIC_TPR) != 0)
        return "local APIC";
    if (ioapic_read(0x10) != (0x10033 | BIT(16)))
        return "IOAPIC entry 0";
    return NULL;
}

void guest_main(void)
{
    u64 *mem;
    u64 start_tsc, last_tsc, pm_total = 0;
    u32 last_pm, n = 0;

    guest_init();
    mem = (u64 *)(((u64)image_end + 0x1fffff) & ~(u64)0x1fffff);
    for (u64 i = 0; i < WORDS; i++)
        mem[i] = pattern(i);
    for (unsigned i = 0; i < ARRAY_SIZE(own_msrs); i++)
        wrmsr(own_msrs[i].msr, own_msrs[i].value);
    ioapic_route(0, 0x10033);
    irq_set(VECTOR, on_timer);
    apic_timer_start(VECTOR, true, BEAT_MS * 1000000);
    printf("neighbour ready\n");
    clock_sample(&start_tsc, &last_pm);
    last_tsc = start_tsc;
    for (;;) {
        const char *bad = NULL;
        u64 tsc, tsc_us, pm_us, i;
        u32 pm;

        sti_hlt();
        cli();
        clock_sample(&tsc, &pm);
        pm_total += (pm - last_pm) & 0xffffff;
        tsc_us = (tsc - start_tsc) / (tsc_hz / 1000000);
        pm_us = pm_total * 1000000 / 3579545;
        for (i = 0; i < WORDS && mem[i] == pattern(i); i++)
            ;
        if (i < WORDS)
            printf("neighbour BAD memory at 0x%lx is 0x%lx\n", (u64)&mem[i], mem[i]);
        else if (stray_count != 0)
            printf("neighbour BAD %u stray interrupts, last vector %u\n", stray_count, stray_vector);
        else if ((bad = registers_bad()) != NULL)
            printf("neighbour BAD register %s changed\n", bad);
        else if (tsc - last_tsc > tsc_hz * 3)
            printf("neighbour BAD no timer interrupt for %lu ms\n", (tsc - last_tsc) / (tsc_hz / 1000));
        else if (tsc_us > pm_us + pm_us / 20 + 20000 || pm_us > tsc_us + tsc_us / 20 + 20000)
            printf("neighbour BAD clocks part: tsc %lu us, pm timer %lu us\n", tsc_us, pm_us);
        else
            printf("neighbour ok %u\n", ++n);
        last_tsc = tsc;
        last_pm = pm;
    }
}
