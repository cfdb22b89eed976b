/* Helpers of the guest page walk beside guest_gva_to_gpa() of exits.h. Layer 5. */
#ifndef BH_X86_GUEST_WALK_H
#define BH_X86_GUEST_WALK_H

#include <core/vcpu.h>
#include "x86/guest/exits.h"

/* guest_gva_to_gpa() for who has asked for the paging state already. */
bool guest_walk(struct vcpu *v, const struct guest_paging *p, u64 gva, enum gva_access access, u64 *gpa_out,
                struct guest_event *fault);

/* True when addr is canonical in the guest's paging mode: 48 bits, 57 with CR4.LA57 (SDM vol. 1 3.3.7.1). */
bool guest_canonical(const struct guest_paging *p, u64 addr);

/*
 * Where the instruction at gva lies that the CPU has just executed in 4-level 64-bit mode: a walk without
 * checks. False when the full walk must judge.
 */
bool walk_fetched64(struct vcpu *v, u64 cr3, u64 gva, u64 *gpa_out);

#endif
