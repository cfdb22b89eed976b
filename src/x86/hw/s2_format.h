/*
 * What second-level tables of the two vendors do not have in common: the attribute bits of a leaf. Supplied
 * by the linked backend. Common to both are four levels of 512 entries, the address field, bit 7 for a large
 * leaf, bits 2:0 all set in an entry that leads to a table (P, W, U; or R, W, X) and some of them in every
 * leaf that is present (APM vol. 2 5.3, 15.25; SDM vol. 3C 28.3.2). Layer 4'.
 */
#ifndef BH_X86_HW_S2_FORMAT_H
#define BH_X86_HW_S2_FORMAT_H

#include <lib/types.h>
#include <config/config.h>

struct vm;

#define S2_LARGE   BIT64(7)
#define S2_TABLE   7ULL
#define S2_PRESENT 7ULL
#define S2_ADDR    0x000ffffffffff000ULL
#define S2_SW_DEV  BIT64(52) /* free for software in both formats: MEM_DEV */

/* Attribute bits of a leaf with rights and type prot (enum mem_prot), without address and S2_LARGE; 0 when no
 * access is allowed. */
u64 s2_leaf_bits(u32 prot);
/* The way back; S2_SW_DEV is the caller's business. */
u32 s2_leaf_prot(u64 entry);

/* The VM's top table. */
hpa_t s2_root(const struct vm *vm);

#endif
