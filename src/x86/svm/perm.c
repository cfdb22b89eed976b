/*
 * Permission maps (APM vol. 2 15.10.1 and 15.11): every port is intercepted; every MSR is, but for those that
 * the policy in src/x86/guest lets the guest hold live.
 */
#include <lib/string.h>
#include "x86/guest/exits.h"
#include "x86/hw/paging.h"
#include "x86/svm/perm.h"

static u8 iopm[3 * 4096] ALIGNED(4096);
static u8 msrpm[2 * 4096] ALIGNED(4096);
static bool built;

/* The policy passes only these stretches through; scanning all 24576 indices would cost a tenth of the boot
 * budget. */
static const struct {
    u32 first, count;
    u32 byte; /* where the map of this range starts: two bits an MSR */
    u32 base;
} ranges[] = {
    {0x0, 0x400, 0, 0x0},
    {0xc0000080, 0x100, 0x800, 0xc0000000},
};

static void build(void)
{
    memset(iopm, 0xff, sizeof(iopm));
    memset(msrpm, 0xff, sizeof(msrpm));
    for (unsigned r = 0; r < ARRAY_SIZE(ranges); r++) {
        for (u32 i = 0; i < ranges[r].count; i++) {
            u32 msr = ranges[r].first + i, bit = (msr - ranges[r].base) * 2;
            u8 *p = &msrpm[ranges[r].byte + bit / 8];

            if (guest_msr_direct_read(msr))
                *p &= (u8) ~(1u << (bit & 7));
            if (guest_msr_direct_write(msr))
                *p &= (u8) ~(2u << (bit & 7));
        }
    }
    built = true;
}

hpa_t svm_iopm(void)
{
    if (!built)
        build();
    return va_to_hpa(iopm);
}

hpa_t svm_msrpm(void)
{
    if (!built)
        build();
    return va_to_hpa(msrpm);
}
