/* An MC146818 clock: time of day, alarm, update and periodic interrupts, 114 bytes of memory. Times are
 * nanoseconds since 1970, UTC. */
#ifndef DM_RTC_H
#define DM_RTC_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_INDEX_PORT 0x70u
#define RTC_DATA_PORT  0x71u
#define RTC_REGISTERS  128u
#define RTC_CENTURY    0x32u

struct rtc {
    uint8_t index;
    uint8_t reg[RTC_REGISTERS];
    int64_t correction;   /* guest's clock less ours, seconds */
    uint64_t seen_second; /* last second of the guest's clock that was looked at for update and alarm */
    uint64_t seen_period; /* last periodic tick looked at */
    bool line;
    void (*set_line)(void *opaque, bool level);
    void *opaque;
};

void rtc_reset(struct rtc *rtc, uint64_t now, void (*set_line)(void *, bool), void *opaque);
uint8_t rtc_read(struct rtc *rtc, uint64_t now);
void rtc_write(struct rtc *rtc, uint8_t value, uint64_t now);
/* Raises the interrupts that are due. */
void rtc_tick(struct rtc *rtc, uint64_t now);
/* When rtc_tick() must be called next; 0 while no interrupt is enabled. */
uint64_t rtc_next(const struct rtc *rtc, uint64_t now);

#endif
