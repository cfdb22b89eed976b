/* The CPUID that guests see. Layer 5. */
#ifndef BH_X86_GUEST_CPUID_H
#define BH_X86_GUEST_CPUID_H

#include <lib/types.h>

struct vm;
struct vcpu;

/*
 * Boot, once per VM, after arch_time_init(): computes the VM's CPUID from this CPU's and the policy table in
 * cpuid_policy.c. All CPUs of a board are alike (the boot check compares them).
 */
void guest_cpuid_init(struct vm *vm);

/* Facts about the guests' CPU that other emulation needs; equal for all VMs, set by guest_cpuid_init(). */
struct guest_cpu {
    u64 phys_rsvd; /* physical-address bits 51 and below that do not exist */
    u64 xcr0;      /* bits that guests may set in XCR0 */
    u64 efer;      /* bits that guests may set in EFER, LMA included */
    bool page1g;
};
extern struct guest_cpu guest_cpu;

/* Whether XSETBV accepts the value for XCR0 (SDM vol. 1 13.3). */
bool guest_xcr0_legal(u64 val);

#endif
