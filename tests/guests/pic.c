/* The pair of 8259A interrupt controllers in virtual-wire mode: initialisation, masks, priorities, EOI,
 * spurious requests. */
#include "guest.h"

static volatile u32 count[48];
static volatile bool keep;

static void on_irq(struct frame *f)
{
    count[f->vector]++;
    if (!keep)
        outb(0x20, 0x20);
}

static void window(u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    do {
        sti();
        __asm__ volatile("nop; nop" ::: "memory");
        cli();
        pause();
    } while (rdtsc() < end);
}

/* The same until `vector` has come n times, but for 5 s at most. */
static void window_until(unsigned vector, u32 n)
{
    u64 end = rdtsc() + tsc_hz * 5;

    while (count[vector] < n && rdtsc() < end)
        window(0);
}

static void pit_rate(u32 divisor)
{
    outb(0x43, 0x34);
    outb(0x40, (u8)divisor);
    outb(0x40, (u8)(divisor >> 8));
}

static u8 pic_read(u8 ocw3)
{
    outb(0x20, ocw3);
    return inb(0x20);
}

void guest_main(void)
{
    u32 n;

    guest_init();
    for (unsigned v = 32; v < 48; v++)
        irq_set(v, on_irq);
    check(inb(0x21) == 0xff && inb(0xa1) == 0xff, "masks read back after initialisation");
    outb(0x21, 0x5a);
    outb(0xa1, 0xa5);
    check(inb(0x21) == 0x5a && inb(0xa1) == 0xa5, "masks keep what was written");
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    outb(0x4d0, 0x20);
    outb(0x4d1, 0x0c);
    check(inb(0x4d0) == 0x20 && inb(0x4d1) == 0x0c, "edge/level control registers keep what was written");
    outb(0x4d0, 0);
    outb(0x4d1, 0);

    apic_write(APIC_LVT_LINT0, 0x700); /* ExtINT: virtual wire (SDM vol. 3A 10.5.1) */
    pit_rate(11932);
    outb(0x21, 0xfe);
    window_until(32, 3);
    n = count[32];
    check(n >= 3, "PIT interrupts come as vector 32 (%u)", n);
    outb(0x21, 0xff);
    window(5000);
    n = count[32];
    window(50000);
    check(count[32] == n, "a masked line is silent");
    for (u64 end = rdtsc() + tsc_hz * 5; !(pic_read(0x0a) & 1) && rdtsc() < end;)
        pause();
    check(pic_read(0x0a) & 1, "a masked request still shows in IRR");
    check((pic_read(0x0b) & 1) == 0, "and not in ISR");
    keep = true;
    outb(0x21, 0xfe);
    window(30000);
    n = count[32];
    check(pic_read(0x0b) & 1, "without EOI the line stays in ISR");
    window(50000);
    check(count[32] == n, "and blocks further requests");
    keep = false;
    outb(0x20, 0x60); /* specific EOI of line 0 */
    check((pic_read(0x0b) & 1) == 0, "a specific EOI clears ISR");
    window_until(32, n + 1);
    check(count[32] > n, "requests flow again");
    outb(0x21, 0xff);

    outb(0x20, 0x13); /* single, so that only this one is set up again */
    outb(0x21, 40);
    outb(0x21, 3); /* automatic EOI */
    outb(0x21, 0xfe);
    n = count[40];
    window_until(40, n + 2);
    check(count[40] > n + 1, "a new vector base with automatic EOI works (%u)", count[40]);
    check((pic_read(0x0b) & 1) == 0, "and nothing stays in ISR");
    pic_init_masked();
    check(inb(0x21) == 0xff, "initialised again");

    apic_write(APIC_LVT_LINT0, (u32)LVT_MASKED | 0x700);
    outb(0x21, 0xfe);
    window(50000);
    n = count[32];
    window(50000);
    check(count[32] == n, "a masked LINT0 stops the PIC");
    outb(0x21, 0xff);
    outb(0x43, 0x38);
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
