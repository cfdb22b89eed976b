#include <arch/cpu.h>
#include <core/cpu.h>
#include <lib/atomic.h>
#include <lib/bits.h>
#include "x86/hw/hostirq.h"
#include "x86/hw/lapic.h"
#include "x86/hw/percpu.h"

#define WORDS ((HOSTIRQ_COUNT + 63) / 64)

/* Each CPU touches its own only, with interrupts off. */
static struct {
    u64 pending[WORDS];
    u32 in_service; /* level interrupts not yet ended */
} ALIGNED(64) cpus[CFG_PCPUS];

static u8 level_triggered[HOSTIRQ_COUNT];

void hostirq_dispatch(u32 index)
{
    u32 cpu = this_cpu()->id;

    this_percpu()->irqs[HW_IRQ_DEVICE]++;
    cpus[cpu].pending[index / 64] |= BIT64(index % 64);
    if (atomic_load_relaxed(&level_triggered[index]))
        cpus[cpu].in_service++;
    else
        lapic_eoi();
    atomic_or(&this_cpu()->requests, CPU_REQ_IRQ);
}

void hostirq_set_level(u32 index, bool level)
{
    atomic_store(&level_triggered[index], (u8)level);
}

bool hostirq_take(u32 *index)
{
    u64 *pending = cpus[this_cpu()->id].pending;

    for (u32 w = 0; w < WORDS; w++) {
        if (pending[w]) {
            *index = w * 64 + bit_low64(pending[w]);
            pending[w] &= pending[w] - 1;
            return true;
        }
    }
    return false;
}

void hostirq_end(void)
{
    u32 cpu = this_cpu()->id;

    for (; cpus[cpu].in_service; cpus[cpu].in_service--)
        lapic_eoi();
}
