/* The 8254: pit.h. */
#include "pit.h"

#include <string.h>

enum { GATE2 = 0x01, SPEAKER = 0x02, REFRESH = 0x10, OUT2 = 0x20, ACCESS_BOTH = 3, READ_BACK = 3 };

void pit_reset(struct pit *pit)
{
    memset(pit, 0, sizeof(*pit));
    for (unsigned i = 0; i < 3; i++) {
        pit->counter[i].access = ACCESS_BOTH;
        pit->counter[i].mode = 3;
    }
}

static bool counts(const struct pit *pit, unsigned index)
{
    return index != 2 || (pit->gate & GATE2) != 0;
}

static uint64_t elapsed(const struct pit *pit, unsigned index, uint64_t now)
{
    const struct pit_counter *c = &pit->counter[index];
    if (!counts(pit, index) || now < c->start)
        return 0;
    uint64_t passed = now - c->start;
    return passed / 1000000000u * PIT_HZ + passed % 1000000000u * PIT_HZ / 1000000000u;
}

static uint32_t period(const struct pit_counter *c)
{
    return c->reload != 0 ? c->reload : 0x10000u;
}

/* Modes 2 and 3 start again at the end, 3 in steps of two; the others go on from 0 to 0xffff. */
static uint16_t count(const struct pit *pit, unsigned index, uint64_t now)
{
    const struct pit_counter *c = &pit->counter[index];
    uint64_t ticks = elapsed(pit, index, now);
    if (c->mode == 2)
        return (uint16_t)(period(c) - ticks % period(c));
    if (c->mode == 3)
        return (uint16_t)(period(c) - ticks * 2 % period(c));
    return (uint16_t)(period(c) - ticks);
}

static bool output(const struct pit *pit, unsigned index, uint64_t now)
{
    const struct pit_counter *c = &pit->counter[index];
    uint64_t ticks = elapsed(pit, index, now);
    if (c->mode == 2)
        return ticks % period(c) != period(c) - 1;
    if (c->mode == 3)
        return ticks % period(c) < (period(c) + 1) / 2;
    return ticks >= period(c);
}

static uint8_t read_counter(struct pit *pit, unsigned index, uint64_t now)
{
    struct pit_counter *c = &pit->counter[index];
    uint16_t value = c->latched ? c->latch : count(pit, index, now);
    bool high = c->access == 2 || (c->access == ACCESS_BOTH && c->second_read);
    if (c->access == ACCESS_BOTH)
        c->second_read = !c->second_read;
    if (!c->second_read)
        c->latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

static void write_counter(struct pit_counter *c, uint8_t value, uint64_t now)
{
    if (c->access == ACCESS_BOTH && !c->second_write) {
        c->low = value;
        c->second_write = true;
        return;
    }
    unsigned reload = value;
    if (c->access == 2)
        reload <<= 8;
    else if (c->access == ACCESS_BOTH)
        reload = reload << 8 | c->low;
    c->reload = (uint16_t)reload;
    c->second_write = false;
    c->start = now;
}

static void latch(struct pit *pit, unsigned index, uint64_t now)
{
    struct pit_counter *c = &pit->counter[index];
    if (!c->latched)
        c->latch = count(pit, index, now);
    c->latched = true;
}

static void command(struct pit *pit, uint8_t value, uint64_t now)
{
    unsigned index = value >> 6, access = value >> 4 & 3u;
    if (index == READ_BACK) {
        for (unsigned i = 0; i < 3; i++)
            if ((value & 0x20u) == 0 && (value & (2u << i)) != 0)
                latch(pit, i, now);
    } else if (access == 0) {
        latch(pit, index, now);
    } else {
        struct pit_counter *c = &pit->counter[index];
        unsigned mode = value >> 1 & 7u;
        *c = (struct pit_counter){
            .access = (uint8_t)access, .mode = (uint8_t)(mode > 5 ? mode - 4 : mode), .start = now};
    }
}

uint8_t pit_read(struct pit *pit, unsigned port, uint64_t now)
{
    if (port == PIT_GATE_PORT) /* the refresh bit toggles every 15 us */
        return (uint8_t)(pit->gate | (now / 15085 % 2 != 0 ? REFRESH : 0) | (output(pit, 2, now) ? OUT2 : 0));
    return port < PIT_PORT + 3 ? read_counter(pit, port - PIT_PORT, now) : 0xff;
}

void pit_write(struct pit *pit, unsigned port, uint8_t value, uint64_t now)
{
    if (port == PIT_GATE_PORT) {
        if ((value & GATE2) != 0 && (pit->gate & GATE2) == 0)
            pit->counter[2].start = now;
        pit->gate = value & (GATE2 | SPEAKER);
    } else if (port < PIT_PORT + 3) {
        write_counter(&pit->counter[port - PIT_PORT], value, now);
    } else {
        command(pit, value, now);
    }
}
