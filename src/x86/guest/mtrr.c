/* Memory type range registers (SDM vol. 3A 11.11, APM vol. 2 7.7): kept and checked, without effect. */
#include <core/vcpu.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/msr.h"

#define MTRR_VAR_END   0x210U
#define MTRR_DEF_TYPE  0x2ffU
#define MTRR_DEF_FE    BIT64(10)
#define MTRR_DEF_E     BIT64(11)
#define MTRR_MASK_V    BIT64(11)
#define MTRR_ALL_WB    0x0606060606060606ULL
#define MTRR_TYPE_WB   6U
#define MTRR_FIXED_VGA 2U /* slot of A0000-BFFFF */

/* Slot of a register, or -1. */
static int slot_of(u32 msr)
{
    if (msr < MTRR_VAR_END)
        return (int)(SLOT_MTRR_VAR + msr - MTRR_FIRST);
    if (msr >= 0x268 && msr <= 0x26f)
        return (int)(SLOT_MTRR_FIXED + 3 + msr - 0x268);
    switch (msr) {
    case 0x250:
        return SLOT_MTRR_FIXED;
    case 0x258:
        return SLOT_MTRR_FIXED + 1;
    case 0x259:
        return SLOT_MTRR_FIXED + MTRR_FIXED_VGA;
    case MTRR_DEF_TYPE:
        return SLOT_MTRR_DEF;
    default:
        return -1;
    }
}

/* UC, WC, WT, WP, WB */
static bool type_legal(u64 type)
{
    return type < 8 && ((0x73u >> type) & 1);
}

static bool fixed_legal(u64 val)
{
    for (unsigned i = 0; i < 64; i += 8)
        if (!type_legal((val >> i) & 0xff))
            return false;
    return true;
}

bool mtrr_read(struct vcpu *v, u32 msr, u64 *val)
{
    int slot = slot_of(msr);

    if (slot < 0)
        return false;
    *val = guest_msrs[v->index].slot[slot];
    return true;
}

bool mtrr_write(struct vcpu *v, u32 msr, u64 val)
{
    int slot = slot_of(msr);
    u64 beyond = guest_cpu.phys_rsvd | ~(BIT64(52) - 1);

    if (slot < 0)
        return false;
    if (msr == MTRR_DEF_TYPE) {
        if (!type_legal(val & 0xff) || (val & ~(0xffULL | MTRR_DEF_FE | MTRR_DEF_E)))
            return false;
    } else if (msr >= MTRR_VAR_END) {
        if (!fixed_legal(val))
            return false;
    } else if (msr & 1) {
        if (val & (beyond | 0x7ff))
            return false;
    } else if ((val & (beyond | 0xf00)) || !type_legal(val & 0xff)) {
        return false;
    }
    guest_msrs[v->index].slot[slot] = val;
    return true;
}

void mtrr_reset(struct vcpu *v)
{
    u64 *slot = guest_msrs[v->index].slot;

    slot[SLOT_MTRR_DEF] = MTRR_DEF_E | MTRR_DEF_FE | MTRR_TYPE_WB;
    for (unsigned i = 0; i < 11; i++)
        slot[SLOT_MTRR_FIXED + i] = i == MTRR_FIXED_VGA ? 0 : MTRR_ALL_WB;
    for (unsigned i = 0; i < 16; i++)
        slot[SLOT_MTRR_VAR + i] = 0;
    slot[SLOT_MTRR_VAR] = 0xf0000000; /* UC */
    slot[SLOT_MTRR_VAR + 1] = (BIT64(52) - 1) & ~guest_cpu.phys_rsvd & ~(u64)0x0fffffff & ~(u64)0xfff;
    slot[SLOT_MTRR_VAR + 1] |= MTRR_MASK_V;
}

bool pat_legal(u64 val)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u64 type = (val >> i) & 0xff;

        if (type != 7 && !type_legal(type)) /* 7 is UC-, which MTRRs lack */
            return false;
    }
    return true;
}
