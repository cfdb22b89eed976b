/* What this CPU's VMX can do, and the control values that follow from it. Layer 6. */
#ifndef BH_X86_VMX_CAPS_H
#define BH_X86_VMX_CAPS_H

#include <lib/types.h>

struct vmx_caps {
    u64 basic, misc, ept_vpid;
    u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    u32 pin, proc, proc2, exit, entry; /* control values without what depends on a vCPU */
};
extern struct vmx_caps vmx_caps;

/*
 * One control word from its capability MSR (SDM vol. 3D A.2): low half what must be 1, high half what may be.
 * Returns the bits of `need` that the CPU does not have, 0 when *out could be set.
 */
u32 vmx_adjust(u64 cap, u32 need, u32 want, u32 *out);

/*
 * Fills vmx_caps through `read` (rdmsr on the CPU; unit tests bring their own). NULL, or what is missing, in
 * words.
 */
const char *vmx_caps_read(bool (*read)(u32 msr, u64 *val));

/*
 * What the board asks to be cleared before each entry (enum board_mitigation), as far as this CPU needs it,
 * by what it says of itself: CPUID 7 EDX, and IA32_ARCH_CAPABILITIES (0 where it does not exist). *missing:
 * NULL, or what the CPU would need and lacks.
 */
u32 vmx_needed_clears(u32 asked, u32 leaf7_edx, u64 arch_caps, const char **missing);
/* The outcome, for entry.S. */
extern u32 vmx_entry_clears;

/* What IA32_FEATURE_CONTROL says about VMXON: NULL when it is allowed or can still be allowed. */
const char *vmx_feature_control_error(u64 feature_control);

#endif
