/* The 8254 timer: counting, latch and read-back, modes, and channel 2 with its gate, which operating systems
 * calibrate with. */
#include "guest.h"

#define PIT_HZ 1193182u

static u32 latch(unsigned ch)
{
    u8 lo, hi;

    outb(0x43, (u8)(ch << 6));
    lo = inb((u16)(0x40 + ch));
    hi = inb((u16)(0x40 + ch));
    return (u32)(lo | hi << 8);
}

static void load(unsigned ch, unsigned mode, u32 v)
{
    outb(0x43, (u8)(ch << 6 | 0x30 | mode << 1));
    outb((u16)(0x40 + ch), (u8)v);
    outb((u16)(0x40 + ch), (u8)(v >> 8));
}

/* 50 ms of channel 2 in mode 0, started by its gate: how long its output takes to rise, in microseconds. */
static u32 one_shot(bool *low)
{
    u64 t;

    outb(0x61, (u8)((inb(0x61) & ~3) | 0)); /* gate off */
    load(2, 0, 59659);
    *low = (inb(0x61) & 0x20) == 0;
    t = rdtsc();
    outb(0x61, (u8)((inb(0x61) & ~3) | 1));
    while (!(inb(0x61) & 0x20) && rdtsc() - t < tsc_hz * 5)
        pause();
    return (u32)((rdtsc() - t) / (tsc_hz / 1000000));
}

void guest_main(void)
{
    u32 a = 0, b = 0, us;
    bool low = false;
    u64 t;
    u8 status;

    guest_init();
    for (int i = 0; i < 50; i++) { /* until all of it falls into one period, which is 50 ms */
        t = rdtsc();
        load(0, 2, 60000);
        a = latch(0);
        delay_us(5000);
        b = latch(0);
        if (rdtsc() - t < us_to_tsc(45000))
            break;
    }
    check(a > b && a <= 60000, "channel 0 counts down (%u, %u)", a, b);
    us = (u32)((u64)(a - b) * 1000000 / PIT_HZ);
    check(us >= 4900 && us < 45000, "at 1.193 MHz (%u us for a wait of 5 ms)", us);
    outb(0x43, 0xc2 | 0x10); /* read-back: latch nothing but the status of channel 0 */
    outb(0x43, 0xe2);
    status = inb(0x40);
    check((status & 0x3f) == 0x34, "read-back status says both bytes, mode 2 (0x%x)", status);
    outb(0x43, 0xd2); /* latch the count of channel 0 */
    a = inb(0x40);
    a |= (u32)inb(0x40) << 8;
    check(a > 0 && a <= 60000, "read-back count %u", a);
    outb(0x43, 0x14); /* low byte only, mode 2 */
    outb(0x40, 200);
    for (int i = 0; i < 100; i++)
        if ((a = inb(0x40)) > 200)
            break;
    check(a <= 200, "a low-byte counter stays at or below 200 (%u)", a);
    load(0, 0, 0xffff);

    us = ~0u;
    for (int i = 0; i < 5 && us >= 500000; i++) /* this CPU may be held up for longer than that */
        us = one_shot(&low);
    check(low, "channel 2 output is low while it counts");
    check(inb(0x61) & 0x20, "its output rises at the end of the count");
    check(us >= 48000 && us < 500000, "after 50 ms (%u us)", us);
    check(inb(0x61) & 1, "port 61 keeps the gate bit");
    load(2, 3, 1000);
    a = inb(0x61) & 0x20;
    for (b = 0, t = rdtsc(); b == 0 && rdtsc() - t < tsc_hz;)
        b = (inb(0x61) & 0x20) != a;
    check(b, "mode 3 on channel 2 is a square wave");
    outb(0x61, (u8)(inb(0x61) & ~3));
    done();
}
