/* What CPUID says about the boot CPU, read once. Layer 4'. */
#ifndef BH_X86_HW_FEATURES_H
#define BH_X86_HW_FEATURES_H

#include <lib/types.h>
#include <config/config.h>

struct hw_features {
    enum cpu_vendor vendor; /* meaningful when vendor_known */
    bool vendor_known;
    char vendor_text[13];
    char brand[49];
    u32 max_leaf, max_ext_leaf;
    u32 signature; /* CPUID.1:EAX */
    u32 features;  /* enum board_feature bits that this CPU has */
    u32 phys_bits; /* CPUID.80000008:EAX[7:0] */
    u32 linear_bits;
    u32 svm_asids;      /* CPUID.8000000A:EBX, 0 without SVM */
    u32 svm_edx;        /* CPUID.8000000A:EDX, the SVM feature bits */
    u64 xcr0_valid;     /* CPUID.D.0:EDX:EAX */
    u32 xsave_max;      /* CPUID.D.0:ECX, bytes */
    bool tsc_invariant; /* CPUID.80000007:EDX[8] */
};

extern struct hw_features hw_features;

/* BSP, once the IDT is in place. */
void features_init(void);
/* Name of one enum board_feature bit for messages. */
const char *feature_name(u32 bit);

static inline void hw_cpuid(u32 leaf, u32 subleaf, u32 *a, u32 *b, u32 *c, u32 *d)
{
    __asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(subleaf));
}

#endif
