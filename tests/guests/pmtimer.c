/* The ACPI PM timer against the TSC and the PIT: one rate, never backwards, the right width. */
#include "guest.h"

void guest_main(void)
{
    u32 start, last, now, back = 0, reads = 0;
    u64 t, end, tsc_us, pm_us;

    guest_init();
    check(acpi_pm_timer_port != 0, "the FADT names port 0x%x", acpi_pm_timer_port);
    clock_sample(&t, &last);
    start = last;
    while (rdtsc() - t < tsc_hz) {
        u32 d;

        now = pm_timer();
        d = (now - last) & 0xffffff;
        if (d > 0x800000)
            back++;
        last = now;
        reads++;
        pause();
    }
    clock_sample(&end, &now); /* within 4.7 s, so the 24 bits did not wrap */
    tsc_us = (end - t) * 1000 / (tsc_hz / 1000);
    pm_us = (u64)((now - start) & 0xffffff) * 1000000 / 3579545;
    check(back == 0, "it never runs backwards (%u reads)", reads);
    check(pm_us > tsc_us - tsc_us / 50 && pm_us < tsc_us + tsc_us / 50,
          "%lu us of TSC are %lu us of PM timer", tsc_us, pm_us);
    check(reads > 100, "reads are cheap enough (%u in a second)", reads);
    now = pm_timer();
    outl((u16)acpi_pm_timer_port, 0);
    check(((pm_timer() - now) & 0xffffff) < 3579545, "it is read-only");
    if (acpi_pm1a_evt_port != 0) {
        outw((u16)(acpi_pm1a_evt_port + 2), 0);
        check(inw((u16)(acpi_pm1a_evt_port + 2)) == 0, "PM1 enable register keeps 0");
        check((inw((u16)acpi_pm1a_evt_port) & 0x10) == 0, "no bus master status");
    }
    done();
}
