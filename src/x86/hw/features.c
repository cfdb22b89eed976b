#include <arch/cpu.h>
#include <lib/string.h>
#include "x86/hw/features.h"
#include "x86/hw/msr.h"

struct hw_features hw_features;

struct feature_bit {
    u32 feature;
    u32 leaf;
    u8 reg; /* 0 EAX .. 3 EDX, subleaf 0 */
    u8 bit;
    const char *name;
};

/* SDM vol. 2A table 3-8; APM vol. 3 appendix E.  EPT, VPID and unrestricted guest are not in CPUID: see
 * vmx_features(). */
static const struct feature_bit feature_bits[] = {
    {FEAT_VMX, 1, 2, 5, "vmx"},
    {FEAT_X2APIC, 1, 2, 21, "x2apic"},
    {FEAT_TSC_DEADLINE, 1, 2, 24, "tsc-deadline"},
    {FEAT_XSAVE, 1, 2, 26, "xsave"},
    {FEAT_SMEP, 7, 1, 7, "smep"},
    {FEAT_SMAP, 7, 1, 20, "smap"},
    {FEAT_SVM, 0x80000001, 2, 2, "svm"},
    {FEAT_NX, 0x80000001, 3, 20, "nx"},
    {FEAT_PAGE1G, 0x80000001, 3, 26, "page1g"},
    {FEAT_RDTSCP, 0x80000001, 3, 27, "rdtscp"},
    {FEAT_NPT, 0x8000000a, 3, 0, "npt"},
    {FEAT_NRIPS, 0x8000000a, 3, 3, "nrips"},
    {FEAT_DECODE_ASSISTS, 0x8000000a, 3, 7, "decode-assists"},
    {FEAT_EPT, 0, 0, 0, "ept"},
    {FEAT_VPID, 0, 0, 0, "vpid"},
    {FEAT_UNRESTRICTED_GUEST, 0, 0, 0, "unrestricted-guest"},
};

const char *feature_name(u32 bit)
{
    for (unsigned i = 0; i < ARRAY_SIZE(feature_bits); i++) {
        if (feature_bits[i].feature == bit)
            return feature_bits[i].name;
    }
    return "unknown";
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    hw_cpuid(leaf, subleaf, &out[0], &out[1], &out[2], &out[3]);
}

static bool leaf_exists(u32 leaf)
{
    return leaf >= 0x80000000U ? leaf <= hw_features.max_ext_leaf : leaf <= hw_features.max_leaf;
}

/* Secondary processor-based controls that may be set (SDM vol. 3D A.3.3): the high half of the capability
 * MSR. */
static u32 vmx_features(void)
{
    u64 cap;
    u32 f = 0;

    if (!arch_rdmsr_safe(MSR_VMX_PROCBASED2, &cap))
        return 0;
    if (cap & BIT64(32 + 1))
        f |= FEAT_EPT;
    if (cap & BIT64(32 + 5))
        f |= FEAT_VPID;
    if (cap & BIT64(32 + 7))
        f |= FEAT_UNRESTRICTED_GUEST;
    return f;
}

static void read_brand(void)
{
    struct hw_features *h = &hw_features;

    if (!leaf_exists(0x80000004U))
        return;
    for (u32 i = 0; i < 3; i++) {
        u32 r[4];

        arch_cpuid(0x80000002U + i, 0, r);
        memcpy(&h->brand[(size_t)i * 16], r, 16);
    }
    h->brand[48] = 0;
}

void features_init(void)
{
    struct hw_features *h = &hw_features;
    u32 r[4];

    arch_cpuid(0, 0, r);
    h->max_leaf = r[0];
    memcpy(&h->vendor_text[0], &r[1], 4);
    memcpy(&h->vendor_text[4], &r[3], 4);
    memcpy(&h->vendor_text[8], &r[2], 4);
    if (memcmp(h->vendor_text, "AuthenticAMD", 12) == 0 || memcmp(h->vendor_text, "HygonGenuine", 12) == 0) {
        h->vendor = CPU_VENDOR_AMD;
        h->vendor_known = true;
    } else if (memcmp(h->vendor_text, "GenuineIntel", 12) == 0) {
        h->vendor = CPU_VENDOR_INTEL;
        h->vendor_known = true;
    }
    arch_cpuid(0x80000000U, 0, r);
    h->max_ext_leaf = r[0] >= 0x80000000U ? r[0] : 0;
    arch_cpuid(1, 0, r);
    h->signature = r[0];

    for (unsigned i = 0; i < ARRAY_SIZE(feature_bits); i++) {
        const struct feature_bit *f = &feature_bits[i];

        if (f->leaf == 0 || !leaf_exists(f->leaf))
            continue;
        arch_cpuid(f->leaf, 0, r);
        if (r[f->reg] & BIT32(f->bit))
            h->features |= f->feature;
    }
    if (!(h->features & FEAT_SVM))
        h->features &= ~(u32)(FEAT_NPT | FEAT_NRIPS | FEAT_DECODE_ASSISTS);
    if (h->features & FEAT_VMX)
        h->features |= vmx_features();

    h->phys_bits = 36;
    h->linear_bits = 48;
    if (leaf_exists(0x80000008U)) {
        arch_cpuid(0x80000008U, 0, r);
        h->phys_bits = r[0] & 0xff;
        h->linear_bits = (r[0] >> 8) & 0xff;
    }
    if ((h->features & FEAT_SVM) && leaf_exists(0x8000000aU)) {
        arch_cpuid(0x8000000aU, 0, r);
        h->svm_asids = r[1];
        h->svm_edx = r[3];
    }
    if (h->features & FEAT_XSAVE) {
        arch_cpuid(0xd, 0, r);
        h->xcr0_valid = ((u64)r[3] << 32) | r[0];
        h->xsave_max = r[2];
    }
    if (leaf_exists(0x80000007U)) {
        arch_cpuid(0x80000007U, 0, r);
        h->tsc_invariant = (r[3] & BIT32(8)) != 0;
    }
    read_brand();
}
