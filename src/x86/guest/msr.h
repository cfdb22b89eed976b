/* Per-vCPU MSR state that lives neither in the CPU nor in a virtual device. Internal to src/x86/guest.
 * Layer 5. */
#ifndef BH_X86_GUEST_MSR_H
#define BH_X86_GUEST_MSR_H

#include <config/config.h>
#include <lib/types.h>

struct vcpu;

/* Stored values: written by the guest, read back, without effect on the machine. */
enum msr_slot {
    SLOT_MCG_STATUS,
    SLOT_MISC_ENABLE,
    SLOT_HWCR,
    SLOT_NB_CFG,
    SLOT_DE_CFG,
    SLOT_MTRR_DEF,
    SLOT_MTRR_FIXED,
    SLOT_MTRR_VAR = SLOT_MTRR_FIXED + 11,
    SLOT_COUNT = SLOT_MTRR_VAR + 16,
};

struct guest_msrs {
    u64 slot[SLOT_COUNT];
};
extern struct guest_msrs
    guest_msrs[CFG_VCPUS]; /* by vcpu->index; own pCPU, or reset while the vCPU does not run */

/* mtrr.c: 200-20f, 250-26f, 2ff. False: #GP. The types have no effect: memory types come from the guest's PAT
 * alone. */
#define MTRR_CAP   0x508U /* 8 variable ranges, fixed ranges, write combining (SDM vol. 3A 11.11.1) */
#define MTRR_FIRST 0x200U
#define MTRR_LAST  0x2ffU
bool mtrr_read(struct vcpu *v, u32 msr, u64 *val);
bool mtrr_write(struct vcpu *v, u32 msr, u64 val);
/* What firmware leaves behind: everything write-back but for the VGA window and the top 256 MiB below 4 GiB.
 */
void mtrr_reset(struct vcpu *v);

/* Whether all eight fields of a PAT value name a memory type (SDM vol. 3A 11.12.2). */
bool pat_legal(u64 val);

#endif
