/* The IOAPIC: registers, an edge interrupt from the PIT, a level-or-edge interrupt from the UART, masks and
 * remote IRR. */
#include "guest.h"

static volatile u32 count[256];

static void on_irq(struct frame *f)
{
    count[f->vector]++;
    apic_eoi();
}

/* Ends the cause only at the tenth call: until then a level-triggered line comes again at once after each
 * EOI. */
static void on_stubborn(struct frame *f)
{
    if (++count[f->vector] >= 10)
        outb(0x3f9, 0);
    apic_eoi();
}

static void on_uart(struct frame *f)
{
    count[f->vector]++;
    (void)inb(0x3fa); /* reading IIR ends a transmit-empty interrupt */
    if (count[f->vector] > 3)
        outb(0x3f9, 0);
    apic_eoi();
}

static void wait_irqs(unsigned vector, u32 n, u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    while (count[vector] < n && rdtsc() < end) {
        sti();
        __asm__ volatile("nop; nop" ::: "memory");
        cli();
        pause();
    }
}

static void check_registers(void)
{
    u32 ver = ioapic_read(1);
    unsigned pins = (ver >> 16 & 0xff) + 1;

    check(acpi_ioapic_base == IOAPIC_BASE, "the MADT says 0x%lx", acpi_ioapic_base);
    check((ver & 0xff) >= 0x11 && pins >= 24 && pins <= 240, "version 0x%x, %u pins", ver & 0xff, pins);
    for (unsigned pin = 0; pin < pins; pin++)
        if (!(ioapic_read(0x10 + 2 * pin) & LVT_MASKED)) {
            check(false, "pin %u is masked after reset", pin);
            return;
        }
    check(true, "every pin is masked after reset");
    ioapic_write(0x10 + 2 * 20, 0x1a7ff);
    ioapic_write(0x11 + 2 * 20, 0xff000000);
    check((ioapic_read(0x10 + 2 * 20) & 0x1afff) == 0x1a7ff, "entry low word keeps its writable bits (0x%x)",
          ioapic_read(0x10 + 2 * 20));
    check((ioapic_read(0x11 + 2 * 20) & 0xff000000) == 0xff000000, "entry high word keeps the destination");
    ioapic_write(0x10 + 2 * 20, 0x10000 | BIT32(12) | BIT32(14));
    check((ioapic_read(0x10 + 2 * 20) & (BIT32(12) | BIT32(14))) == 0,
          "delivery status and remote IRR are read-only");
    ioapic_write(0, 0x05000000);
    check((ioapic_read(0) >> 24 & 15) == 5, "the id register keeps four bits");
    ioapic_write(0, 0);
}

static void check_pit(void)
{
    unsigned pin = isa_pin(0);

    outb(0x43, 0x34); /* counter 0, mode 2, both bytes */
    outb(0x40, (u8)11932);
    outb(0x40, 11932 >> 8); /* 100 Hz */
    ioapic_route(pin, 0x42);
    wait_irqs(0x42, 5, 2000000);
    check(count[0x42] >= 5, "PIT interrupts arrive through pin %u as edges (%u)", pin, count[0x42]);
    ioapic_write(0x10 + 2 * pin, (u32)LVT_MASKED | 0x42);
    wait_irqs(0x42, ~0u, 15000);
    count[0x42] = 0;
    wait_irqs(0x42, ~0u, 50000);
    check(count[0x42] == 0, "a masked pin is silent (%u)", count[0x42]);
    ioapic_route(pin, (u64)(apic_id() ^ 1) << 56 | 0x42);
    wait_irqs(0x42, ~0u, 50000);
    check(count[0x42] == 0, "an entry for another APIC id does not arrive here (%u)", count[0x42]);
    ioapic_write(0x10 + 2 * pin, (u32)LVT_MASKED);
    outb(0x43, 0x38); /* one-shot mode: no more interrupts */
}

static void check_uart(unsigned vector, u32 trigger, const char *what)
{
    unsigned pin = isa_pin(4);

    count[vector] = 0;
    irq_set(vector, on_uart);
    ioapic_route(pin, vector | trigger);
    outb(0x3fc, 0x0b); /* DTR, RTS, OUT2: interrupt line enabled */
    outb(0x3f9, 0);
    outb(0x3f9, 2); /* transmit-empty interrupt: it is empty now */
    wait_irqs(vector, 1, 2000000);
    outb(0x3f9, 0);
    ioapic_write(0x10 + 2 * pin, (u32)LVT_MASKED | vector);
    check(count[vector] >= 1 && count[vector] <= 4, "a UART interrupt arrives %s-triggered (%u)", what,
          count[vector]);
    check((ioapic_read(0x10 + 2 * pin) & BIT32(14)) == 0, "remote IRR is clear after EOI (%s)", what);
}

static void check_level_again(void)
{
    unsigned pin = isa_pin(4);

    count[0x45] = 0;
    irq_set(0x45, on_stubborn);
    ioapic_route(pin, 0x45 | BIT(15));
    outb(0x3f9, 2);
    wait_irqs(0x45, 10, 2000000);
    outb(0x3f9, 0);
    ioapic_write(0x10 + 2 * pin, (u32)LVT_MASKED | 0x45);
    check(count[0x45] == 10, "a level that stays comes again after each EOI (%u)", count[0x45]);
}

void guest_main(void)
{
    guest_init();
    irq_set(0x42, on_irq);
    check_registers();
    check_pit();
    check_uart(0x43, 0, "edge");
    check_uart(0x44, (u32)BIT(15), "level");
    check_level_again();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
