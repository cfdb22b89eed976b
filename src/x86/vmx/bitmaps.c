/*
 * Permission maps, shared by all VMs (SDM vol. 3C 24.6.4, 24.6.9): every port exits; every MSR does, but for
 * those that the policy in src/x86/guest lets the guest hold live and, in x2APIC mode, those that the CPU
 * virtualises.
 */
#include <lib/string.h>
#include "x86/guest/exits.h"
#include "x86/hw/paging.h"
#include "x86/vmx/vmx.h"

static u8 io_map[2 * 4096] ALIGNED(4096);
/* [0] plain, [1] with the virtualised x2APIC registers open. */
static u8 msr_maps[2][4096] ALIGNED(4096);
static bool built;

/* Where the map of a range starts for reads; that for writes is WRITES behind it. */
#define LOW_MSRS  0u
#define HIGH_MSRS 1024u
#define WRITES    2048u

/* The policy passes only these stretches through; scanning all 16384 indices would cost boot time. */
static const struct {
    u32 first, count;
    u32 byte;
    u32 base;
} ranges[] = {
    {0x0, 0x400, LOW_MSRS, 0x0},
    {0xc0000080, 0x100, HIGH_MSRS, 0xc0000000},
};

static COLD void open_bit(u8 *map, u32 start, u32 bit)
{
    map[start + bit / 8] &= (u8) ~(1u << (bit & 7));
}

static COLD void open_policy(u8 *map)
{
    for (unsigned r = 0; r < ARRAY_SIZE(ranges); r++) {
        for (u32 i = 0; i < ranges[r].count; i++) {
            u32 msr = ranges[r].first + i, bit = msr - ranges[r].base;

            if (guest_msr_direct_read(msr))
                open_bit(map, ranges[r].byte, bit);
            if (guest_msr_direct_write(msr))
                open_bit(map, ranges[r].byte + WRITES, bit);
        }
    }
}

/* The x2APIC registers that the CPU carries out (SDM vol. 3C 29.5): reads of what stands in the page as it
 * reads, not the current count, nor the ICR, whose halves lie elsewhere; writes that change nothing but the
 * page. */
static COLD void open_x2apic(u8 *map)
{
    static const u8 readable[] = {0x02, 0x03, 0x0d, 0x0f, 0x28, 0x32, 0x33,
                                  0x34, 0x35, 0x36, 0x37, 0x38, 0x3e};

    open_bit(map, LOW_MSRS, 0x808);
    open_bit(map, LOW_MSRS + WRITES, 0x808);
    if (!(vmx_caps.proc2 & PROC2_APIC_REGISTERS))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(readable); i++)
        open_bit(map, LOW_MSRS, 0x800u + readable[i]);
    if (!(vmx_caps.proc2 & PROC2_VIRTUAL_INTR))
        return;
    open_bit(map, LOW_MSRS, 0x80a); /* PPR */
    for (u32 msr = 0x810; msr < 0x828; msr++)
        open_bit(map, LOW_MSRS, msr);        /* ISR, TMR, IRR: the IRR may lag behind what was posted */
    open_bit(map, LOW_MSRS + WRITES, 0x80b); /* EOI */
    open_bit(map, LOW_MSRS + WRITES, 0x83f); /* SELF IPI */
}

static COLD void build(void)
{
    memset(io_map, 0xff, sizeof(io_map));
    memset(msr_maps, 0xff, sizeof(msr_maps));
    open_policy(msr_maps[0]);
    open_policy(msr_maps[1]);
    open_x2apic(msr_maps[1]);
    built = true;
}

COLD hpa_t vmx_io_bitmap(void)
{
    if (!built)
        build();
    return va_to_hpa(io_map);
}

COLD hpa_t vmx_msr_bitmap(bool x2apic)
{
    if (!built)
        build();
    return va_to_hpa(msr_maps[x2apic]);
}
