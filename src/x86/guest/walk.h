/* Helpers of the guest page walk beside guest_gva_to_gpa() of exits.h. Layer 5. */
#ifndef BH_X86_GUEST_WALK_H
#define BH_X86_GUEST_WALK_H

#include <core/vcpu.h>

/* True when addr is canonical in the guest's paging mode: 48 bits, 57 with CR4.LA57 (SDM vol. 1 3.3.7.1). */
bool guest_canonical(struct vcpu *v, u64 addr);

#endif
