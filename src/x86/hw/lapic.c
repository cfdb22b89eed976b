#include <arch/cpu.h>
#include <config/config.h>
#include <lib/atomic.h>
#include "x86/hw/features.h"
#include "x86/hw/lapic.h"
#include "x86/hw/msr.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/traps.h"

/* Register offsets in xAPIC mode; the x2APIC MSR is 0x800 + offset / 16 (SDM vol. 3A tables 10-1 and 10-6).
 */
enum lapic_reg {
    LAPIC_ID = 0x20,
    LAPIC_TPR = 0x80,
    LAPIC_EOI = 0xb0,
    LAPIC_SVR = 0xf0,
    LAPIC_ESR = 0x280,
    LAPIC_ICR_LO = 0x300,
    LAPIC_ICR_HI = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_PERF = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_TIMER_INIT = 0x380,
    LAPIC_TIMER_CUR = 0x390,
    LAPIC_TIMER_DIV = 0x3e0,
    LAPIC_VERSION = 0x30,
};

#define SVR_ENABLE       BIT32(8)
#define LVT_MASKED       BIT32(16)
#define LVT_NMI          0x400U
#define LVT_EXTINT       0x700U
#define LVT_PERIODIC     (1U << 17)
#define LVT_TSC_DEADLINE (2U << 17)
#define ICR_PENDING      BIT32(12)
#define ICR_OTHERS       (3U << 18)
#define TIMER_DIV_1      0xbU

static bool x2apic;

static volatile u32 *reg_ptr(u32 reg)
{
    return (volatile u32 *)(MMIO_BASE + MMIO_SLOT_LAPIC * PAGE_SIZE + reg);
}

static inline u32 reg_read(u32 reg)
{
    return x2apic ? (u32)rdmsr(MSR_X2APIC_BASE + (reg >> 4)) : *reg_ptr(reg);
}

static inline void reg_write(u32 reg, u32 val)
{
    if (x2apic)
        wrmsr(MSR_X2APIC_BASE + (reg >> 4), val);
    else
        *reg_ptr(reg) = val;
}

void lapic_choose_mode(void)
{
    bool wanted = (cfg_board.features & FEAT_X2APIC) && (hw_features.features & FEAT_X2APIC);

    x2apic = wanted || (rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_X2);
}

void lapic_cpu_init(void)
{
    u64 base = rdmsr(MSR_IA32_APIC_BASE);
    u32 lvts;

    /* Disabled to x2APIC needs the step through xAPIC (SDM vol. 3A 10.12.5). */
    if (!(base & APIC_BASE_ENABLE))
        wrmsr(MSR_IA32_APIC_BASE, base |= APIC_BASE_ENABLE);
    if (x2apic && !(base & APIC_BASE_X2))
        wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_X2);

    lvts = (reg_read(LAPIC_VERSION) >> 16) & 0xff; /* number of LVT entries less one */
    reg_write(LAPIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
    reg_write(LAPIC_TPR, 0);
    reg_write(LAPIC_LVT_TIMER, LVT_MASKED);
    reg_write(LAPIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED);
    reg_write(LAPIC_LVT_LINT1, LVT_NMI);
    if (lvts >= 4)
        reg_write(LAPIC_LVT_PERF, LVT_MASKED);
    if (lvts >= 5)
        reg_write(LAPIC_LVT_THERMAL, LVT_MASKED);
    lapic_clear_error();
    reg_write(LAPIC_LVT_ERROR, VEC_ERROR);
    reg_write(LAPIC_TIMER_INIT, 0);
    reg_write(LAPIC_TIMER_DIV, TIMER_DIV_1);
}

void lapic_eoi(void)
{
    reg_write(LAPIC_EOI, 0);
}

void lapic_reconsider(void)
{
    reg_write(LAPIC_TPR, 0);
}

void lapic_clear_error(void)
{
    reg_write(LAPIC_ESR, 0); /* a write latches and re-arms (SDM vol. 3A 10.5.3) */
}

void lapic_send(u32 apic_id, u32 icr_low)
{
    if (x2apic) {
        /* WRMSR to x2APIC registers does not wait for earlier stores (SDM vol. 3A 10.12.3). */
        __asm__ volatile("mfence\n\tlfence" : : : "memory");
        wrmsr(MSR_X2APIC_BASE + (LAPIC_ICR_LO >> 4), ((u64)apic_id << 32) | icr_low);
        return;
    }
    while (*reg_ptr(LAPIC_ICR_LO) & ICR_PENDING)
        cpu_relax();
    *reg_ptr(LAPIC_ICR_HI) = apic_id << 24;
    *reg_ptr(LAPIC_ICR_LO) = icr_low;
}

void lapic_send_others(u32 icr_low)
{
    lapic_send(0, icr_low | ICR_OTHERS);
}

void arch_cpu_kick(u32 pcpu)
{
    bool by_nmi =
        (cfg_board.quirks & QUIRK_IF0_NO_EXTINT_EXIT) != 0; /* an interrupt might not end guest mode */

    /* A CPU that runs this is neither in guest mode nor halted. */
    if (pcpu != this_cpu()->id)
        lapic_send(percpu_of(pcpu)->apic_id, by_nmi ? ICR_NMI : ICR_FIXED | VEC_KICK);
}

void lapic_kick_self(void)
{
    lapic_send(this_percpu()->apic_id, ICR_FIXED | VEC_KICK);
}

void lapic_timer_set(u32 count)
{
    reg_write(LAPIC_TIMER_INIT, count);
}

u32 lapic_timer_current(void)
{
    return reg_read(LAPIC_TIMER_CUR);
}

void lapic_timer_periodic(u32 count)
{
    reg_write(LAPIC_LVT_TIMER, VEC_TIMER | LVT_PERIODIC);
    reg_write(LAPIC_TIMER_INIT, count);
}

void lapic_timer_mode(bool tsc_deadline)
{
    reg_write(LAPIC_TIMER_INIT, 0);
    reg_write(LAPIC_LVT_TIMER, VEC_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
    /* The mode must be in effect before the first write of the deadline MSR (SDM vol. 3A 10.5.4.1). */
    __asm__ volatile("mfence" : : : "memory");
}
