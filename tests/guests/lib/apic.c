/* Local APIC, IOAPIC and PIC (SDM vol. 3A ch. 11; 82093AA and 8259A data sheets). */
#include "guest.h"

bool x2apic_on;
u64 apic_timer_hz;

u32 apic_read(u32 reg)
{
    if (x2apic_on)
        return (u32)rdmsr(0x800 + (reg >> 4));
    return *(volatile u32 *)(APIC_BASE + reg);
}

void apic_write(u32 reg, u32 val)
{
    if (x2apic_on)
        wrmsr(0x800 + (reg >> 4), val);
    else
        *(volatile u32 *)(APIC_BASE + reg) = val;
}

bool x2apic_enable(void)
{
    u32 r[4];

    cpuid(1, 0, r);
    if (!(r[2] & BIT(21)))
        return false;
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
    x2apic_on = true;
    return true;
}

u32 apic_id(void)
{
    return x2apic_on ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_enable(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(11));
    apic_write(APIC_SVR, 0x1ff);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_TIMER, (u32)LVT_MASKED);
    apic_write(APIC_LVT_LINT0, (u32)LVT_MASKED);
    apic_write(APIC_LVT_LINT1, (u32)LVT_MASKED);
    apic_write(APIC_LVT_ERROR, (u32)LVT_MASKED);
}

void ipi(u32 dest, u32 icr_low)
{
    if (x2apic_on) {
        wrmsr(0x830, (u64)dest << 32 | icr_low);
        return;
    }
    while (apic_read(APIC_ICR) & BIT(12))
        pause();
    apic_write(APIC_ICR2, dest << 24);
    apic_write(APIC_ICR, icr_low);
}

static bool vector_bit(u32 base, unsigned vector)
{
    return apic_read(base + (vector >> 5) * 16) >> (vector & 31) & 1;
}

bool apic_irr(unsigned vector)
{
    return vector_bit(APIC_IRR, vector);
}

bool apic_isr(unsigned vector)
{
    return vector_bit(APIC_ISR, vector);
}

void apic_timer_start(unsigned vector, bool periodic, u64 ns)
{
    u64 count = apic_timer_hz / 16 * ns / 1000000000;

    apic_write(APIC_TDCR, 3); /* divide by 16 */
    apic_write(APIC_LVT_TIMER, vector | (periodic ? 1u << 17 : 0));
    apic_write(APIC_TMICT, count == 0 ? 1 : (u32)count);
}

void apic_timer_stop(void)
{
    apic_write(APIC_LVT_TIMER, (u32)LVT_MASKED);
    apic_write(APIC_TMICT, 0);
}

u32 ioapic_read(u32 reg)
{
    *(volatile u32 *)IOAPIC_BASE = reg;
    return *(volatile u32 *)(IOAPIC_BASE + 0x10);
}

void ioapic_write(u32 reg, u32 val)
{
    *(volatile u32 *)IOAPIC_BASE = reg;
    *(volatile u32 *)(IOAPIC_BASE + 0x10) = val;
}

void ioapic_route(unsigned pin, u64 entry)
{
    ioapic_write(0x10 + 2 * pin, (u32)LVT_MASKED);
    ioapic_write(0x11 + 2 * pin, (u32)(entry >> 32));
    ioapic_write(0x10 + 2 * pin, (u32)entry);
}

void pic_init_masked(void)
{
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, 32);
    outb(0xa1, 40);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}
