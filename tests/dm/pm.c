/* ACPI fixed hardware: pm.h. */
#include "pm.h"

#include <string.h>

enum {
    STATUS_MASK = 0x8731, /* TMR, BM, GBL, PWRBTN, SLPBTN, RTC, WAK: written ones clear */
    ENABLE_MASK = 0x0721,
    CONTROL_SCI_EN = 0x0001,
    CONTROL_SLP_TYP_SHIFT = 10,
    CONTROL_SLP_EN = 0x2000,
    CONTROL_KEPT = 0x1c02,
};

void pm_reset(struct pm *pm)
{
    memset(pm, 0, sizeof(*pm));
    pm->control = CONTROL_SCI_EN; /* ACPI mode from the start: the FADT has no SMI_CMD */
}

static uint32_t timer(uint64_t now)
{
    return (uint32_t)(now / 1000000000u * PM_TIMER_HZ + now % 1000000000u * PM_TIMER_HZ / 1000000000u);
}

/* The register block as bytes. */
static uint8_t read_byte(const struct pm *pm, unsigned port, uint32_t ticks)
{
    const uint16_t words[4] = {pm->status, pm->enable, pm->control, 0};
    if (port < PM_TMR_PORT - PM1A_EVT_PORT)
        return (uint8_t)(words[port / 2] >> port % 2 * 8);
    return (uint8_t)(ticks >> (port - (PM_TMR_PORT - PM1A_EVT_PORT)) * 8);
}

uint32_t pm_read(const struct pm *pm, unsigned port, unsigned size, uint64_t now)
{
    uint32_t ticks = timer(now);
    uint32_t value = 0;
    for (unsigned i = 0; i < size && port + i < PM_PORTS; i++)
        value |= (uint32_t)read_byte(pm, port + i, ticks) << i * 8;
    return value;
}

static enum pm_request write_control(struct pm *pm, uint16_t value)
{
    pm->control = (uint16_t)((value & CONTROL_KEPT) | CONTROL_SCI_EN);
    if ((value & CONTROL_SLP_EN) != 0 && ((value >> CONTROL_SLP_TYP_SHIFT) & 7u) == S5_SLEEP_TYPE)
        return PM_POWER_OFF;
    return PM_NOTHING;
}

enum pm_request pm_write(struct pm *pm, unsigned port, unsigned size, uint32_t value)
{
    enum pm_request request = PM_NOTHING;
    for (unsigned i = 0; i < size && port + i < PM_PORTS; i++) {
        unsigned at = port + i, shift = at % 2 * 8;
        uint16_t byte = (uint16_t)((value >> i * 8 & 0xffu) << shift);
        uint16_t keep = (uint16_t)(0xff00u >> shift);
        if (at / 2 == 0)
            pm->status = (uint16_t)(pm->status & ~(byte & STATUS_MASK));
        else if (at / 2 == 1)
            pm->enable = (uint16_t)(((pm->enable & keep) | byte) & ENABLE_MASK);
        else if (at / 2 == 2 && write_control(pm, (uint16_t)((pm->control & keep) | byte)) == PM_POWER_OFF)
            request = PM_POWER_OFF;
    }
    return request;
}
