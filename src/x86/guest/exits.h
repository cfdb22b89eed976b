/*
 * What the CPU backends call when a guest exits, and what these handlers may rely on: all run on the vCPU's
 * own pCPU, outside guest mode, interrupts off, guest registers current in v->regs. Layer 5.
 */
#ifndef BH_X86_GUEST_EXITS_H
#define BH_X86_GUEST_EXITS_H

#include <core/vcpu.h>

/* Exception vectors (SDM vol. 3A table 6-1). */
enum x86_vector {
    X86_DE = 0,
    X86_DB = 1,
    X86_BP = 3,
    X86_OF = 4,
    X86_BR = 5,
    X86_UD = 6,
    X86_NM = 7,
    X86_DF = 8,
    X86_TS = 10,
    X86_NP = 11,
    X86_SS = 12,
    X86_GP = 13,
    X86_PF = 14,
    X86_MF = 16,
    X86_AC = 17,
    X86_MC = 18,
    X86_XM = 19,
};

/* SDM vol. 3A table 6-5, APM vol. 2 table 8-5: exceptions of which two in a row make a double fault. */
static inline bool exception_is_contributory(u8 vector)
{
    return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}
/* Whether `second`, raised while `first` was being delivered, makes a double fault; else it takes its place.
 */
static inline bool exceptions_make_double_fault(u8 first, u8 second)
{
    if (exception_is_contributory(first))
        return exception_is_contributory(second);
    return first == X86_PF && (exception_is_contributory(second) || second == X86_PF);
}

/* Queues an exception for the guest; cr2 matters for #PF only. */
void guest_exception(struct vcpu *v, u8 vector, bool has_error, u32 error, u64 cr2);
static inline void guest_ud(struct vcpu *v)
{
    guest_exception(v, X86_UD, false, 0, 0);
}
static inline void guest_gp(struct vcpu *v)
{
    guest_exception(v, X86_GP, true, 0, 0);
}

/* CPUID with leaf and subleaf in RAX, RCX: writes RAX..RDX. The caller moves RIP on. */
void guest_cpuid(struct vcpu *v);

/* RDMSR/WRMSR by policy. False: the caller injects #GP(0). True: the caller moves RIP on. */
bool guest_rdmsr(struct vcpu *v, u32 msr, u64 *val);
bool guest_wrmsr(struct vcpu *v, u32 msr, u64 val);
/* Boot, before any vCPU is initialised: chooses the registers that the board's processor has. */
void guest_msr_init(void);
/* True when the policy lets the guest read / write the MSR without an exit; the backends build their bitmaps
 * from it. */
bool guest_msr_direct_read(u32 msr);
bool guest_msr_direct_write(u32 msr);
/* Per-vCPU MSR state to RESET values. */
void guest_msrs_reset(struct vcpu *v);

/* XSETBV of XCR0 (ECX in RCX, value in EDX:EAX): checks as the CPU would, then executes it. False: inject
 * #GP(0). */
bool guest_xsetbv(struct vcpu *v);

/*
 * A guest access to a guest-physical address that is not mapped RAM (or lacks a right). Fetches and decodes
 * the instruction at RIP, performs it against the MMIO handlers, and moves RIP on; or injects the fault that
 * the instruction deserves; or stops the VM when it cannot be decoded (fetch access from unmapped memory
 * included).
 */
void guest_mmio(struct vcpu *v, u64 gpa, bool write, bool fetch);

/* INS/OUTS, REP forms included, by decoding at RIP: at most a bounded number of items per exit. Moves RIP on
 * when done. */
void guest_string_io(struct vcpu *v);

/* Length of the instruction at RIP if its bytes, prefixes skipped, are the given opcode bytes; 0 otherwise.
 * For exits on CPUs without next-RIP reporting. */
unsigned guest_insn_length(struct vcpu *v, const u8 *opcode, unsigned opcode_len);

/* The bytes at RIP, by the guest's own tables: as many of 15 as can be fetched. */
unsigned guest_fetch(struct vcpu *v, u8 out[15]);

/* CR8, the task priority, 0..15: the caller has refused reserved bits and moves RIP on. */
void guest_cr8_write(struct vcpu *v, u64 val);
u64 guest_cr8_read(struct vcpu *v);

/* VMCALL/VMMCALL at RIP: dispatches to hcall_dispatch(), injects #UD / #GP or moves RIP on by 3. */
void guest_hypercall(struct vcpu *v);

/* Guest linear address to guest-physical by the guest's own tables (SDM vol. 3A 4.5, APM vol. 2 ch. 5),
 * honouring CR0.WP, SMEP, SMAP, NX and CPL as the access demands. False: *fault is the exception to inject.
 * Sets A/D bits like the CPU. */
enum gva_access { GVA_READ = 0, GVA_WRITE = 1, GVA_FETCH = 2 };
bool guest_gva_to_gpa(struct vcpu *v, u64 gva, enum gva_access access, u64 *gpa_out,
                      struct guest_event *fault);

#endif
