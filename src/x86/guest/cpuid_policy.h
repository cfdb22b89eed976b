/* The CPUID policy table, shared by cpuid_policy.c and cpuid.c only. Layer 5. */
#ifndef BH_X86_GUEST_CPUID_POLICY_H
#define BH_X86_GUEST_CPUID_POLICY_H

#include <lib/types.h>

struct vm;

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};

/* Whose policy a row is. */
enum cpuid_vendor { CPUID_ANY, CPUID_AMD, CPUID_INTEL };

/*
 * One leaf and subleaf: the guest sees (host & pass) | force, and then what fix makes of it. Leaves without a
 * row read as zero.
 */
struct cpuid_policy {
    u32 leaf, subleaf;
    enum cpuid_vendor vendor;
    struct cpuid_regs pass, force;
    void (*fix)(const struct vm *vm, struct cpuid_regs *r);
};

extern const struct cpuid_policy cpuid_policies[];
extern const unsigned cpuid_policy_count;

/* Highest leaves that guests see; AMD processors return zeros beyond them (APM vol. 3 E.3). */
#define CPUID_MAX_BASIC    0x0dU
#define CPUID_MAX_EXTENDED 0x8000001eU
#define CPUID_HYPERVISOR   0x40000000U
#define CPUID_HV_FEATURES  0x40000001U
#define CPUID_HV_TSC       0x40000010U

/* XCR0 components that guests may use: x87, SSE, AVX, AVX-512 (SDM vol. 1 13.1). PKRU, MPX, AMX are not
 * shown. */
#define CPUID_XCR0 0xe7U

/* CPUID.1 bits that depend on live state. */
#define CPUID1_ECX_OSXSAVE BIT32(27)
#define CPUID1_EDX_APIC    BIT32(9)

#endif
