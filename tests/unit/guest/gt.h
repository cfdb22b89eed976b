/* What the tests of the guest emulation share: one VM with RAM, page tables in it, and an MMIO device that
 * records. */
#ifndef GT_H
#define GT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <core/vm.h>
#include <fake.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"

#define GT_RAM      0x4000000ull /* guest RAM: 0 .. 64 MiB */
#define GT_RAM_HPA  0xa000000ull
#define GT_CODE     0x100000ull   /* where gt_code() puts instructions, and RIP */
#define GT_MMIO     0x10000000ull /* the recording device */
#define GT_MMIO_LEN 0x8000ull
#define GT_TABLES   0x200000ull /* page tables grow from here */

extern struct vm *const gt_vm;
extern struct vcpu *const gt_v;
extern struct fake_vcpu *const gt_f;
#define GPR(r)  (gt_f->regs.gpr[GPR_##r])
#define GREG(r) (gt_f->reg[REG_##r])

/* Power-on of the fake machine, the VM, CPUID by gt_host_cpuid; mode is then one of: */
void gt_setup(void);
void gt_mode64(void); /* 64-bit, identity mapping of the first 512 MiB with 2 MiB pages */
void gt_mode32(void); /* flat protected mode, no paging */
void gt_mode16(void); /* real mode, all segments at 0 */

u8 *gt_ram(u64 gpa);
void gt_write(u64 gpa, const void *src, size_t len);
u64 gt_read64(u64 gpa);
/* Writes instruction bytes at GT_CODE and sets RIP there. */
void gt_code(const char *bytes, size_t len);
#define GT_CODE_IS(s) gt_code(s, sizeof(s) - 1)
/* 4-level mapping of one 4 KiB page with the given low and high flag bits in the last level; upper levels
 * grant everything. */
void gt_map(u64 gva, u64 gpa, u64 flags);
/* Guest-physical address of the last-level entry of a page mapped by gt_map(). */
u64 gt_pte(u64 gva);

struct gt_access {
    u64 offset, val;
    u8 size;
    bool write;
};
extern u8 gt_mmio[GT_MMIO_LEN]; /* contents of the device */
extern struct gt_access gt_log[512];
extern unsigned gt_logged;
extern const char *gt_fatal; /* why vm_guest_fatal() was called */

/* CPUID of the imitated host: an AMD processor with everything that matters; tests change it through the
 * hook. */
void gt_host_cpuid(u32 leaf, u32 subleaf, u32 out[4]);

/* The exception queued last, checked. */
void gt_expect_fault(u8 vector, u32 error, u64 cr2);
void gt_expect_none(void);

/* Stand-ins for the virtual local APIC. */
extern u64 gt_lapic_val;
extern u32 gt_lapic_msr;
extern bool gt_lapic_ok, gt_lapic_on;
extern unsigned gt_tsc_moves;

int gt_main(const char *name, void (*add)(TCase *t));

#endif
