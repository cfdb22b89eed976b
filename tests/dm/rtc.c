/* The MC146818: rtc.h. */
#include "rtc.h"

#include <string.h>
#include <time.h>

#define SECOND 1000000000ull

enum {
    REG_SECOND = 0x00,
    REG_SECOND_ALARM = 0x01,
    REG_MINUTE = 0x02,
    REG_MINUTE_ALARM = 0x03,
    REG_HOUR = 0x04,
    REG_HOUR_ALARM = 0x05,
    REG_WEEKDAY = 0x06,
    REG_DAY = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c,
    REG_D = 0x0d,
};

enum {
    A_RATE = 0x0f,
    A_DEFAULT = 0x26, /* 32768 Hz base, 1024 Hz rate */
    B_SET = 0x80,
    B_PERIODIC = 0x40,
    B_ALARM = 0x20,
    B_UPDATE = 0x10,
    B_BINARY = 0x04,
    B_24H = 0x02,
    C_IRQ = 0x80,
    D_VALID = 0x80,
    HOUR_PM = 0x80,
    ALARM_ANY = 0xc0, /* an alarm byte with these bits matches every value */
};

static uint64_t guest_second(const struct rtc *rtc, uint64_t now)
{
    return now / SECOND + (uint64_t)rtc->correction;
}

static uint8_t bcd(unsigned value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
    return (rtc->reg[REG_B] & B_BINARY) != 0 ? (uint8_t)value : bcd(value);
}

static int decode(const struct rtc *rtc, uint8_t value)
{
    return (rtc->reg[REG_B] & B_BINARY) != 0 ? value : (value >> 4) * 10 + (value & 0x0f);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
    if ((rtc->reg[REG_B] & B_24H) != 0)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, hour % 12 != 0 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static int decode_hour(const struct rtc *rtc, uint8_t value)
{
    if ((rtc->reg[REG_B] & B_24H) != 0)
        return decode(rtc, value);
    return decode(rtc, value & 0x7fu) % 12 + ((value & HOUR_PM) != 0 ? 12 : 0);
}

/* Brings the time registers up to date, unless the guest holds them to set the clock. */
static void fill(struct rtc *rtc, uint64_t now)
{
    time_t seconds = (time_t)guest_second(rtc, now);
    struct tm tm;
    if ((rtc->reg[REG_B] & B_SET) != 0 || gmtime_r(&seconds, &tm) == NULL)
        return;
    rtc->reg[REG_SECOND] = encode(rtc, (unsigned)tm.tm_sec);
    rtc->reg[REG_MINUTE] = encode(rtc, (unsigned)tm.tm_min);
    rtc->reg[REG_HOUR] = encode_hour(rtc, (unsigned)tm.tm_hour);
    rtc->reg[REG_WEEKDAY] = encode(rtc, (unsigned)tm.tm_wday + 1);
    rtc->reg[REG_DAY] = encode(rtc, (unsigned)tm.tm_mday);
    rtc->reg[REG_MONTH] = encode(rtc, (unsigned)tm.tm_mon + 1);
    rtc->reg[REG_YEAR] = encode(rtc, (unsigned)(tm.tm_year % 100));
    rtc->reg[RTC_CENTURY] = bcd((unsigned)tm.tm_year / 100 + 19);
}

/* Takes the time that the guest wrote; what is no date is carried over as timegm() does. */
static void take(struct rtc *rtc, uint64_t now)
{
    uint8_t century = rtc->reg[RTC_CENTURY];
    struct tm tm = {
        .tm_sec = decode(rtc, rtc->reg[REG_SECOND]),
        .tm_min = decode(rtc, rtc->reg[REG_MINUTE]),
        .tm_hour = decode_hour(rtc, rtc->reg[REG_HOUR]),
        .tm_mday = decode(rtc, rtc->reg[REG_DAY]),
        .tm_mon = decode(rtc, rtc->reg[REG_MONTH]) - 1,
        .tm_year = ((century >> 4) * 10 + (century & 0x0f)) * 100 + decode(rtc, rtc->reg[REG_YEAR]) - 1900,
    };
    rtc->correction = (int64_t)timegm(&tm) - (int64_t)(now / SECOND);
    rtc->seen_second = guest_second(rtc, now);
}

/* Length of a periodic tick in nanoseconds, 0 for none (MC146818 table 5). */
static uint64_t period(const struct rtc *rtc)
{
    unsigned rate = rtc->reg[REG_A] & A_RATE;
    if (rate == 0)
        return 0;
    if (rate <= 2)
        rate += 7;
    return SECOND * (1ull << (rate - 1)) / 32768;
}

static void update_line(struct rtc *rtc)
{
    bool level = (rtc->reg[REG_C] & rtc->reg[REG_B] & (B_PERIODIC | B_ALARM | B_UPDATE)) != 0;
    if (level)
        rtc->reg[REG_C] |= C_IRQ;
    if (level != rtc->line) {
        rtc->line = level;
        rtc->set_line(rtc->opaque, level);
    }
}

static bool alarm_matches(const struct rtc *rtc)
{
    static const uint8_t pairs[3][2] = {
        {REG_SECOND, REG_SECOND_ALARM}, {REG_MINUTE, REG_MINUTE_ALARM}, {REG_HOUR, REG_HOUR_ALARM}};
    for (unsigned i = 0; i < 3; i++) {
        uint8_t alarm = rtc->reg[pairs[i][1]];
        if ((alarm & ALARM_ANY) != ALARM_ANY && alarm != rtc->reg[pairs[i][0]])
            return false;
    }
    return true;
}

void rtc_tick(struct rtc *rtc, uint64_t now)
{
    uint64_t second = guest_second(rtc, now);
    if (second != rtc->seen_second && (rtc->reg[REG_B] & B_SET) == 0) {
        rtc->seen_second = second;
        fill(rtc, now);
        rtc->reg[REG_C] |= B_UPDATE;
        if (alarm_matches(rtc))
            rtc->reg[REG_C] |= B_ALARM;
    }
    uint64_t length = period(rtc);
    if (length != 0 && now / length != rtc->seen_period) {
        rtc->seen_period = now / length;
        rtc->reg[REG_C] |= B_PERIODIC;
    }
    update_line(rtc);
}

uint64_t rtc_next(const struct rtc *rtc, uint64_t now)
{
    uint64_t next = 0;
    if ((rtc->reg[REG_B] & (B_ALARM | B_UPDATE)) != 0)
        next = (now / SECOND + 1) * SECOND;
    uint64_t length = period(rtc);
    if ((rtc->reg[REG_B] & B_PERIODIC) != 0 && length != 0) {
        uint64_t tick = (now / length + 1) * length;
        if (next == 0 || tick < next)
            next = tick;
    }
    return next;
}

void rtc_reset(struct rtc *rtc, uint64_t now, void (*set_line)(void *, bool), void *opaque)
{
    bool line = rtc->line;
    memset(rtc, 0, sizeof(*rtc));
    rtc->reg[REG_A] = A_DEFAULT;
    rtc->reg[REG_B] = B_24H;
    rtc->reg[REG_D] = D_VALID;
    rtc->seen_second = now / SECOND;
    rtc->seen_period = now / period(rtc);
    rtc->set_line = set_line;
    rtc->opaque = opaque;
    rtc->line = line;
    update_line(rtc);
}

uint8_t rtc_read(struct rtc *rtc, uint64_t now)
{
    uint8_t value;
    switch (rtc->index) {
    case REG_C: /* reading clears the flags */
        rtc_tick(rtc, now);
        value = rtc->reg[REG_C];
        rtc->reg[REG_C] = 0;
        update_line(rtc);
        return value;
    default:
        fill(rtc, now);
        return rtc->reg[rtc->index];
    }
}

static bool is_time(unsigned index)
{
    return index == REG_SECOND || index == REG_MINUTE || index == REG_HOUR ||
           (index >= REG_WEEKDAY && index <= REG_YEAR) || index == RTC_CENTURY;
}

void rtc_write(struct rtc *rtc, uint8_t value, uint64_t now)
{
    uint8_t old = rtc->reg[REG_B];
    switch (rtc->index) {
    case REG_C:
    case REG_D:
        return;
    case REG_A:
        rtc->reg[REG_A] = value & 0x7fu;
        break;
    case REG_B:
        fill(rtc, now); /* in the old format, and for the last time when SET comes */
        rtc->reg[REG_B] = value;
        if ((old & B_SET) != 0 && (value & B_SET) == 0)
            take(rtc, now);
        rtc_tick(rtc, now);
        break;
    default:
        fill(rtc, now);
        rtc->reg[rtc->index] = value;
        if (is_time(rtc->index) && (old & B_SET) == 0)
            take(rtc, now);
        break;
    }
}
