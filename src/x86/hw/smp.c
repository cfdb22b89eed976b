#include <arch/cpu.h>
#include <config/config.h>
#include <core/cpu.h>
#include <lib/atomic.h>
#include <lib/log.h>
#include "x86/hw/lapic.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/smp.h"
#include "x86/hw/time.h"

/* trampoline.S: copied to the trampoline page; the rest of it runs where it stands. */
extern const u8 trampoline_start[];
extern const u32 trampoline_size;
/* Where trampoline.S goes in the end. */
extern NORETURN void (*smp_ap_main)(void);
NORETURN void (*smp_ap_main)(void);
/* APIC ids in the order of CPUs, for trampoline.S. */
extern u32 smp_apic_ids[CFG_PCPUS];
u32 smp_apic_ids[CFG_PCPUS];

extern const u32 smp_cpu_count;
const u32 smp_cpu_count = CFG_PCPUS;

static u32 checked_in[CFG_PCPUS];
static u32 starter; /* CPU index + 1 of the CPU that waits in smp_start(); 0: nobody */

#define TRAMPOLINE_MAX 4096
#define TICK_COUNT     16384 /* of the local APIC timer: 16 us at 1 GHz, 0.7 ms at 25 MHz */
#define INIT_WAIT_US   10
#define SIPI_AGAIN_US  200
#define START_LIMIT_US 1000000

void smp_check_in(void)
{
    u32 bsp = atomic_load_relaxed(&starter);

    atomic_store(&checked_in[this_cpu()->id], 1);
    if (bsp)
        arch_cpu_kick(bsp - 1);
}

static u32 missing_count(void)
{
    u32 n = 0;

    for (u32 i = 0; i < CFG_PCPUS; i++)
        n += i != this_cpu()->id && !atomic_load(&checked_in[i]);
    return n;
}

static void send_to_missing(u32 icr_low)
{
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        if (i != this_cpu()->id && !atomic_load(&checked_in[i]))
            lapic_send(cfg_board.cpus[i].apic_id, icr_low);
    }
}

/* Halts until every CPU has checked in, which wakes this one, or until the time is over: false then. */
static bool wait_for_all(u64 us)
{
    static const u32 never = 0;
    u64 end = arch_tsc() + us * (arch_tsc_hz() / 1000000);

    while (missing_count()) {
        if ((s64)(arch_tsc() - end) >= 0)
            return false;
        arch_cpu_idle(&never, NULL); /* until a check-in's kick or the next tick */
    }
    return true;
}

/*
 * SDM vol. 3A 8.4.4.1 with the waits that current CPUs need: 10 us after INIT, and the second SIPI only for
 * those that the first did not reach. This CPU halts meanwhile and a periodic timer bounds each halt. (A tick
 * is also what keeps QEMU's instruction-counting mode quick: there a CPU that takes an INIT moves virtual
 * time on to the next timer event, 100 ms away if there is no other.)
 */
u32 smp_start(NORETURN void (*ap_main)(void))
{
    const u32 sipi = ICR_SIPI | cfg_board.trampoline >> 12;
    u32 missing;

    if (CFG_PCPUS == 1)
        return 0;
    ASSERT(trampoline_size <= TRAMPOLINE_MAX && cfg_board.trampoline < 0xa0000);
    for (u32 i = 0; i < CFG_PCPUS; i++)
        smp_apic_ids[i] = cfg_board.cpus[i].apic_id;
    smp_ap_main = ap_main;
    arch_hpa_write(hpa(cfg_board.trampoline), trampoline_start, trampoline_size);

    starter = this_cpu()->id + 1;
    lapic_timer_periodic(TICK_COUNT);
    send_to_missing(ICR_INIT);
    wait_for_all(INIT_WAIT_US);
    send_to_missing(sipi);
    if (!wait_for_all(SIPI_AGAIN_US)) {
        send_to_missing(sipi);
        wait_for_all(START_LIMIT_US);
    }
    time_cpu_init(); /* the timer is one-shot again */

    missing = missing_count();
    for (u32 i = 0; missing && i < CFG_PCPUS; i++) {
        if (i != this_cpu()->id && !atomic_load(&checked_in[i]))
            log_err("smp: CPU %u (APIC id %u) did not start", i, cfg_board.cpus[i].apic_id);
    }
    return missing;
}

/* ---- stopping ---- */

static u32 stopper; /* CPU index + 1 of the CPU that stops the others; 0: nobody */

bool smp_stopping(void)
{
    return atomic_load(&stopper) != 0;
}

void arch_stop_others(void)
{
    u32 self = this_cpu()->id + 1;

    if (!atomic_cas(&stopper, 0, self)) {
        if (atomic_load(&stopper) != self)
            arch_halt_forever(); /* another CPU was first: its message is the one to read */
        return;
    }
    if (missing_count() != CFG_PCPUS - 1)
        lapic_send_others(ICR_NMI);
}

void arch_halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli\n\thlt");
}
