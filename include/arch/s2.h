/*
 * Arch contract, part 2: second-level translation (NPT or EPT). Implemented by the linked backend and by
 * tests/fake. Tables come from the pool slice that the configuration gives each VM. Layer 3.
 */
#ifndef BH_ARCH_S2_H
#define BH_ARCH_S2_H

#include <lib/types.h>
#include <config/config.h>

struct vm;

/* Empties the VM's tables. The VM must not run. */
void arch_s2_init(struct vm *vm);

/*
 * Maps [gpa, gpa+size) to [hpa, hpa+size) with prot (enum mem_prot), with the largest leaves that alignment
 * allows. All three must be multiples of 4 KiB. Existing mappings in the range are replaced. -ENOMEM when the
 * VM's pool is used up (nothing beyond what fitted is mapped). Caller holds the VM's lock or is its only
 * user, and flushes.
 */
int arch_s2_map(struct vm *vm, gpa_t gpa, hpa_t hpa, u64 size, u32 prot);
/* Changes rights and memory type of what is mapped in the range, keeping where it leads; what is unmapped
 * stays so. -ENOMEM as above. */
int arch_s2_protect(struct vm *vm, gpa_t gpa, u64 size, u32 prot);
/* Bytes of the range that are mapped. */
u64 arch_s2_mapped(struct vm *vm, gpa_t gpa, u64 size);
/* Removes every mapping in the range. -ENOMEM when a large leaf must be split and the pool is used up. */
int arch_s2_unmap(struct vm *vm, gpa_t gpa, u64 size);

struct s2_leaf {
    hpa_t hpa; /* host address of the byte asked for */
    u64 left;  /* bytes from there to the end of the leaf */
    u32 prot;  /* enum mem_prot */
};
/* Looks one guest-physical address up. False when unmapped. Lock-free, safe against concurrent map and unmap.
 */
bool arch_s2_translate(struct vm *vm, gpa_t gpa, struct s2_leaf *out);

/* Makes all CPUs drop cached translations of the VM before it runs again. */
void arch_s2_flush(struct vm *vm);

/* True when a mapping that some CPU may hold in its TLB was changed or removed since the last
 * arch_s2_settle(). */
bool arch_s2_stale(const struct vm *vm);
/* After every CPU has left the guest since the flush: the tables that became empty go back to the VM's pool.
 */
void arch_s2_settle(struct vm *vm);

#endif
