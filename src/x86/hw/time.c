#include <arch/cpu.h>
#include <config/config.h>
#include <core/timer.h>
#include <lib/atomic.h>
#include <lib/log.h>
#include "x86/hw/features.h"
#include "x86/hw/lapic.h"
#include "x86/hw/msr.h"
#include "x86/hw/percpu.h"
#include "x86/hw/ports.h"
#include "x86/hw/time.h"

#define PM_TIMER_HZ 3579545U /* ACPI 6.5 section 4.8.3.3 */
#define PIT_HZ      1193182U

#define CALIBRATE_US 2000U

static u64 tsc_hz;
static u64 lapic_hz;
static u64 lapic_per_tsc; /* 32.32 fixed point */
static bool deadline_mode;

u64 arch_tsc_hz(void)
{
    return tsc_hz;
}

/* ---- reference clocks: each counts up and is read together with the TSC ---- */

static u32 pm_timer_read(void)
{
    return inl(cfg_board.pm_timer_port) & 0xffffff; /* 24 bits exist everywhere */
}

/* Channel 2 counts down from 65535 with its gate on; the speaker stays off (82C54 data sheet, port 61h of the
 * PC). */
static void pit_start(void)
{
    outb(0x61, (u8)((inb(0x61) & ~2U) | 1U));
    outb(0x43, 0xb0); /* channel 2, both bytes, mode 0 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
}

static u32 pit_read(void)
{
    u32 lo, hi;

    outb(0x43, 0x80); /* latch channel 2 */
    lo = inb(0x42);
    hi = inb(0x42);
    return 0xffffU - (lo | hi << 8);
}

struct sample {
    u32 ref;
    u32 lapic; /* counts down */
    u64 tsc;
};

/* The best of several tries: the one in which reading the reference clock took the shortest time, so that an
 * interruption by a host scheduler (or an SMI) between the two readings does not count. */
static struct sample take_sample(u32 (*read_ref)(void))
{
    struct sample best = {0, 0, 0};
    u64 best_gap = ~(u64)0;

    for (int i = 0; i < 5; i++) {
        u64 t0 = arch_tsc();
        u32 ref = read_ref();
        u32 lapic = lapic_timer_current();
        u64 t1 = arch_tsc();

        if (t1 - t0 < best_gap) {
            best_gap = t1 - t0;
            best = (struct sample){ref, lapic, t0 + (t1 - t0) / 2};
        }
    }
    return best;
}

static void calibrate(u32 (*read_ref)(void), u32 ref_hz, u32 mask)
{
    u32 want = (u32)((u64)ref_hz * CALIBRATE_US / 1000000);
    u32 ticks, last = read_ref();
    u64 idle = 0;
    struct sample a, b;

    lapic_timer_set(~(u32)0);
    a = take_sample(read_ref);
    do {
        u32 now = read_ref();

        if (now != last)
            idle = 0;
        else if (++idle > 10000000)
            panic("time: the %s does not count", ref_hz == PIT_HZ ? "PIT" : "PM timer");
        last = now;
        cpu_relax();
    } while (((last - a.ref) & mask) < want);
    b = take_sample(read_ref);
    lapic_timer_set(0);

    ticks = (b.ref - a.ref) & mask;
    tsc_hz = mul_div_u64(b.tsc - a.tsc, ref_hz, ticks);
    lapic_hz = mul_div_u64(a.lapic - b.lapic, ref_hz, ticks);
}

/* The board gives the TSC's rate: the local APIC timer is measured against it for a short while. */
static void calibrate_lapic(void)
{
    u64 t0 = arch_tsc(), t1;
    u32 left;

    lapic_timer_set(~(u32)0);
    do {
        cpu_relax();
        t1 = arch_tsc();
    } while (t1 - t0 < tsc_hz / 2000);
    left = lapic_timer_current();
    lapic_timer_set(0);
    lapic_hz = mul_div_u64(~(u32)0 - left, tsc_hz, t1 - t0);
}

void arch_time_init(void)
{
    const char *how = "as the board says";

    deadline_mode = (cfg_board.features & hw_features.features & FEAT_TSC_DEADLINE) != 0;
    lapic_timer_mode(false);
    tsc_hz = cfg_board.tsc_hz;
    if (tsc_hz == 0 && cfg_board.pm_timer_port != 0) {
        calibrate(pm_timer_read, PM_TIMER_HZ, 0xffffff);
        how = "by the PM timer";
    } else if (tsc_hz == 0) {
        pit_start();
        calibrate(pit_read, PIT_HZ, 0xffff);
        how = "by the PIT";
    } else if (!deadline_mode) {
        calibrate_lapic();
    }
    if (tsc_hz < 1000000 || (!deadline_mode && lapic_hz < 100000))
        panic("time: implausible clock rates: TSC %llu Hz, local APIC timer %llu Hz",
              (unsigned long long)tsc_hz, (unsigned long long)lapic_hz);
    if (!deadline_mode)
        lapic_per_tsc = mul_div_u64(lapic_hz, BIT64(32), tsc_hz);
    log_info("time: TSC %llu kHz %s, timer %s", (unsigned long long)(tsc_hz / 1000), how,
             deadline_mode ? "by TSC deadline" : "by local APIC count");
}

void time_cpu_init(void)
{
    lapic_timer_mode(deadline_mode);
}

/* ---- the one-shot timer ---- */

static void program(u64 deadline)
{
    u64 now, count;

    if (deadline_mode) {
        wrmsr(MSR_IA32_TSC_DEADLINE, deadline == ~(u64)0 ? 0 : MAX(deadline, 1)); /* 0 disarms */
        return;
    }
    if (deadline == ~(u64)0) {
        lapic_timer_set(0);
        return;
    }
    now = arch_tsc();
    if (deadline <= now) {
        count = 1;
    } else {
        unsigned __int128 c = (unsigned __int128)(deadline - now) * lapic_per_tsc >> 32;

        count = c >= ~(u32)0 ? ~(u32)0 : (u64)c + 1;
    }
    lapic_timer_set((u32)count);
}

void arch_timer_arm(u64 deadline)
{
    this_percpu()->timer_deadline = deadline;
    program(deadline);
}

/* A deadline too far for the counter ends here too early, also by rounding: it is programmed again. */
void lapic_timer_fired(void)
{
    struct percpu *p = this_percpu();

    if (p->timer_deadline == ~(u64)0)
        return;
    if (p->timer_deadline > arch_tsc()) {
        program(p->timer_deadline);
        return;
    }
    p->timer_deadline = ~(u64)0;
    atomic_or(&p->cpu.requests, CPU_REQ_TIMER);
}
