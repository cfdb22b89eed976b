#include <arch/cpu.h>
#include <config/config.h>
#include <core/cpu.h>
#include <lib/bits.h>
#include <lib/log.h>
#include "x86/hw/cache.h"
#include "x86/hw/msr.h"

/* CPUID 7.0 EBX bit 15: leaf 10H; its subleaf 0 EBX bit n: subleaf n. Subleaf 1 is level 3, subleaf 2 level 2
 * (SDM vol. 2A CPUID, vol. 3B 17.19.4.1). */
#define LEAF          0x10u
#define HAS_LEAF      BIT32(15)
#define SUBLEAF(lvl)  (4u - (lvl))
#define SPLITS_CODE   BIT32(2) /* ECX: code and data may have masks of their own */
#define CODE_DATA_ON  BIT64(0) /* of the configuration register */
#define MASK_MSR(lvl) ((lvl) == 3 ? MSR_L3_QOS_MASK : MSR_L2_QOS_MASK)
#define CFG_MSR(lvl)  ((lvl) == 3 ? MSR_L3_QOS_CFG : MSR_L2_QOS_CFG)

/* False: the calling CPU has no classes for this level. */
static bool read_leaf(u32 level, u32 r[4])
{
    arch_cpuid(0, 0, r);
    if (r[0] < LEAF)
        return false;
    arch_cpuid(7, 0, r);
    if (!(r[1] & HAS_LEAF))
        return false;
    arch_cpuid(LEAF, 0, r);
    if (!(r[1] & BIT32(SUBLEAF(level))))
        return false;
    arch_cpuid(LEAF, SUBLEAF(level), r);
    return true;
}

struct cache_facts cache_facts(u32 level)
{
    u32 r[4];

    if (!read_leaf(level, r))
        return (struct cache_facts){0, 0};
    return (struct cache_facts){(r[0] & 0x1f) + 1, (r[3] & 0xffff) + 1};
}

static void set(u32 msr, u64 val, const char *what)
{
    if (!arch_wrmsr_safe(msr, val))
        panic("CPU %u refuses %s: MSR 0x%x, 0x%llx", this_cpu()->id, what, msr, (unsigned long long)val);
}

/* The scenario's mask, else all ways. */
static u32 mask_of(const struct cfg_cache *c, u32 class)
{
    for (const struct cfg_cache_class *k = cfg_cache_classes; k < &cfg_cache_classes[CFG_CACHE_CLASSES]; k++)
        if (k->level == c->level && k->id == class)
            return k->mask;
    return (2u << (c->ways - 1)) - 1;
}

/* With separate masks for code and data, a class would have two registers: firmware may have left that on. */
static void unite_code_and_data(u32 level)
{
    u32 r[4];
    u64 val;

    if (read_leaf(level, r) && (r[2] & SPLITS_CODE) && arch_rdmsr_safe(CFG_MSR(level), &val) &&
        (val & CODE_DATA_ON))
        set(CFG_MSR(level), val & ~CODE_DATA_ON, "one mask for code and data");
}

void cache_cpu_init(void)
{
    for (const struct cfg_cache *c = cfg_board.caches; c < &cfg_board.caches[CFG_CACHES]; c++) {
        struct cache_facts f = cache_facts(c->level);

        if (f.ways != c->ways || f.classes < c->classes)
            panic("CPU %u: %u ways and %u classes in the level %u cache, where the boot CPU has %u and %u",
                  this_cpu()->id, f.ways, f.classes, c->level, c->ways, c->classes);
        arch_cache_class(0);
        unite_code_and_data(c->level);
        for (u32 i = 0; i < c->classes; i++)
            set(MASK_MSR(c->level) + i, mask_of(c, i), "a class's cache ways");
    }
}

/* No monitoring id, bits 9:0. */
void arch_cache_class(u32 clos)
{
    set(MSR_PQR_ASSOC, (u64)clos << 32, "its class of service");
}
