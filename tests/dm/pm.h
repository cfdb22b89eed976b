/* ACPI fixed hardware: PM1 event and control registers, the PM timer, the reset register (ACPI 6.4
 * section 4.8.3). */
#ifndef DM_PM_H
#define DM_PM_H

#include <stdbool.h>
#include <stdint.h>

#define PM1A_EVT_PORT 0x400u
#define PM1A_CNT_PORT 0x404u
#define PM_TMR_PORT   0x408u
#define PM_PORTS      0x00cu /* 0x400 up to the end of the timer */
#define RESET_PORT    0xcf9u
#define RESET_VALUE   0x0eu
#define S5_SLEEP_TYPE 5u
#define PM_TIMER_HZ   3579545u

struct pm {
    uint16_t status, enable, control;
    uint8_t reset_control;
};

/* What a write asked of the machine. */
enum pm_request { PM_NOTHING, PM_POWER_OFF, PM_RESET };

void pm_reset(struct pm *pm);
/* port counts from PM1A_EVT_PORT; size 1, 2 or 4; now in nanoseconds of a steady clock. */
uint32_t pm_read(const struct pm *pm, unsigned port, unsigned size, uint64_t now);
enum pm_request pm_write(struct pm *pm, unsigned port, unsigned size, uint32_t value);

#endif
