/* The CMOS clock: a plausible, running time and the registers that operating systems look at. */
#include "guest.h"

static u8 cmos(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static void cmos_write(u8 reg, u8 v)
{
    outb(0x70, reg);
    outb(0x71, v);
}

static unsigned num(u8 v, bool binary)
{
    return binary ? v : (unsigned)((v >> 4) * 10 + (v & 15));
}

static unsigned seconds_of_day(bool binary)
{
    unsigned s1, s2, m, h;

    do {
        while (cmos(10) & 0x80)
            pause();
        s1 = cmos(0);
        m = cmos(2);
        h = cmos(4);
        s2 = cmos(0);
    } while (s1 != s2);
    return num((u8)h & 0x7f, binary) * 3600 + num((u8)m, binary) * 60 + num((u8)s1, binary);
}

void guest_main(void)
{
    u8 b;
    bool binary;
    unsigned before, after, year, diff;
    u64 t;

    guest_init();
    b = cmos(11);
    binary = (b & 4) != 0;
    check(cmos(13) & 0x80, "register D says that RAM and time are valid");
    check(b & 2, "24-hour mode (register B 0x%x)", b);
    check((cmos(10) & 0x70) == 0x20, "register A says that the oscillator runs (0x%x)", cmos(10));
    check(num(cmos(8), binary) >= 1 && num(cmos(8), binary) <= 12, "month %u", num(cmos(8), binary));
    check(num(cmos(7), binary) >= 1 && num(cmos(7), binary) <= 31, "day %u", num(cmos(7), binary));
    year = num(cmos(9), binary) + 100 * num(cmos(0x32), binary);
    check(year >= 2024 && year < 2100, "year %u", year);
    before = seconds_of_day(binary);
    check(before < 86400, "time of day %u s", before);
    t = rdtsc();
    while (seconds_of_day(binary) == before && rdtsc() - t < tsc_hz * 10)
        pause();
    before = seconds_of_day(binary);
    t = rdtsc();
    delay_us(2100000);
    after = seconds_of_day(binary);
    diff = (after + 86400 - before) % 86400;
    check(diff >= 2 && diff <= 2 + (rdtsc() - t) / tsc_hz, "2.1 s of TSC are %u s of the clock", diff);
    cmos_write(0x50, 0x5a);
    cmos_write(0x51, 0xa5);
    check(cmos(0x50) == 0x5a && cmos(0x51) == 0xa5, "CMOS RAM keeps bytes");
    done();
}
