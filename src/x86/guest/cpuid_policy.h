/* The CPUID policy table, shared by cpuid_policy.c and cpuid.c only, and for whom rows of any policy table
 * are. Layer 5. */
#ifndef BH_X86_GUEST_CPUID_POLICY_H
#define BH_X86_GUEST_CPUID_POLICY_H

#include <config/config.h>
#include <lib/bits.h>
#include <lib/types.h>

struct vm;

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};

/* Whose processors a row of a policy table is for: a set, one bit for each vendor. The tables alone know
 * vendors; code selects rows by policy_applies(). */
enum policy_for {
    FOR_AMD = 1u << CPU_VENDOR_AMD,
    FOR_INTEL = 1u << CPU_VENDOR_INTEL,
    FOR_ANY = FOR_AMD | FOR_INTEL,
};
static inline bool policy_applies(enum policy_for who)
{
    return ((u32)who & BIT32(cfg_board.vendor)) != 0;
}

/*
 * One leaf and subleaf: the guest sees (host & pass) | force, and then what fix makes of it. Leaves without a
 * row read as zero.
 */
struct cpuid_policy {
    u32 leaf, subleaf;
    enum policy_for who;
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
