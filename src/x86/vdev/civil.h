/* Calendar arithmetic: the proleptic Gregorian calendar, UTC, years 1970 and later. Layer 5. */
#ifndef BH_X86_VDEV_CIVIL_H
#define BH_X86_VDEV_CIVIL_H

#include <lib/types.h>

struct civil {
    u32 sec, min, hour;   /* 0..59, 0..59, 0..23 */
    u32 day, month, year; /* 1..31, 1..12, 1970.. */
    u32 wday;             /* 0 Sunday */
};

#define CIVIL_400_YEARS 146097U /* days */

/* Days before the month in a year that begins in March, so that the leap day is the last: 153 days in any 5
 * months from March or August. */
static inline u32 civil_days_before(u32 march_month)
{
    return (153 * march_month + 2) / 5;
}

static inline void civil_from_unix(u64 seconds, struct civil *c)
{
    u64 days = seconds / 86400 + 719468; /* days since 0000-03-01 */
    u32 tod = (u32)(seconds % 86400), rest, years, month;

    c->sec = tod % 60;
    c->min = tod / 60 % 60;
    c->hour = tod / 3600;
    c->wday = (u32)((seconds / 86400 + 4) % 7);
    rest = (u32)(days % CIVIL_400_YEARS);
    /* Take out the leap days so that every year has 365. */
    years = (rest - rest / 1460 + rest / 36524 - rest / (CIVIL_400_YEARS - 1)) / 365;
    rest -= years * 365 + years / 4 - years / 100;
    month = (5 * rest + 2) / 153;
    c->day = rest - civil_days_before(month) + 1;
    c->month = month < 10 ? month + 3 : month - 9;
    c->year = (u32)(days / CIVIL_400_YEARS) * 400 + years + (c->month <= 2);
}

/* Inverse; a day past the month's end counts on into the next. */
static inline u64 civil_to_unix(const struct civil *c)
{
    u32 year = c->year - (c->month <= 2), in400 = year % 400;
    u32 month = c->month > 2 ? c->month - 3 : c->month + 9;
    u64 days = (u64)(year / 400) * CIVIL_400_YEARS + in400 * 365 + in400 / 4 - in400 / 100 +
               civil_days_before(month) + c->day - 1;

    return (days - 719468) * 86400 + c->hour * 3600 + c->min * 60 + c->sec;
}

#endif
