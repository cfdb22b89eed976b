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
/* Bits 59:52 mean nothing to either format as the hypervisor uses them (no protection keys, no sub-page
 * features): a leaf keeps its enum mem_prot there, so that a lookup need not decode attributes. */
#define S2_PROT_SHIFT 52
#define S2_PROT_MASK  (0xffULL << S2_PROT_SHIFT)

/* Attribute bits of a leaf with rights and type prot (enum mem_prot), without address, S2_LARGE and the copy
 * of prot; 0 when no access is allowed. */
u64 s2_leaf_bits(u32 prot);

/* The VM's top table. */
hpa_t s2_root(const struct vm *vm);

#endif
