/* Bits of guest control registers and flags that emulation looks at, beyond those of x86/hw/regs.h. Layer 5.
 */
#ifndef BH_X86_GUEST_REGS_H
#define BH_X86_GUEST_REGS_H

#include "x86/hw/msr.h"
#include "x86/hw/regs.h"

/* SDM vol. 3A 2.5 */
#define CR4_LA57 BIT64(12)

/* APM vol. 2 3.1.7 */
#define EFER_FFXSR BIT64(14)

/* SDM vol. 1 3.4.3 */
#define RFLAGS_CF BIT64(0)
#define RFLAGS_PF BIT64(2)
#define RFLAGS_AF BIT64(4)
#define RFLAGS_ZF BIT64(6)
#define RFLAGS_SF BIT64(7)
#define RFLAGS_DF BIT64(10)
#define RFLAGS_OF BIT64(11)
#define RFLAGS_VM BIT64(17)
#define RFLAGS_AC BIT64(18)

/* Arithmetic flags that ADD and its kin define. */
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* #PF error code, SDM vol. 3A 4.7 */
enum pf_error {
    PF_PRESENT = 1u << 0,
    PF_WRITE = 1u << 1,
    PF_USER = 1u << 2,
    PF_RSVD = 1u << 3,
    PF_FETCH = 1u << 4,
};

/* struct segment.attr, SDM vol. 3C 24.4.1 */
enum seg_attr {
    SEG_ATTR_WRITE = 1u << 1, /* data: writable; code: readable */
    SEG_ATTR_DOWN = 1u << 2,  /* data: expand-down */
    SEG_ATTR_CODE = 1u << 3,
    SEG_ATTR_P = 1u << 7,
    SEG_ATTR_L = 1u << 13,
    SEG_ATTR_DB = 1u << 14,
    SEG_ATTR_UNUSABLE = 1u << 16,
};

#endif
