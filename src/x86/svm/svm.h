/* Private to the SVM backend. */
#ifndef BH_X86_SVM_SVM_H
#define BH_X86_SVM_SVM_H

#include <lib/bits.h>
#include <arch/cpu.h>
#include <arch/s2.h>
#include <core/cpu.h>
#include <core/vcpu.h>
#include <core/vm.h>
#include "x86/svm/vmcb.h"

/*
 * The backend's own bit in vcpu->requests: something has to be done before the next entry (an event to
 * deliver again, a TLB flush to take back, a halt to notice). It shares the word with enum vcpu_req so that
 * the hot path tests one word.
 */
#define SVM_REQ_ENTRY BIT32(31)

/* An event whose delivery an exit interrupted, or that had to make way for an exception. */
struct svm_redeliver {
    bool valid;
    u8 type; /* enum evt_type */
    u8 vector;
    bool has_error;
    u32 error;
};

struct svm_vcpu {
    struct guest_regs regs; /* offset 0: entry.S counts on it */
    u64 vmcb_pa;            /* entry.S loads RAX from here */
    struct vmcb *vmcb;
    struct vcpu *v;
    struct svm_redeliver redeliver;
    bool nmi_blocked; /* an NMI was injected and its IRET has not been seen */
    bool nmi_window;  /* wanted by the caller of arch_vcpu_nmi_window() */
    bool nmi_step;    /* single-stepping over the IRET that ends an NMI handler */
    bool irq_window;
    bool flush_armed; /* tlb_control is set for the coming entry only */
    bool state_fresh; /* VMLOAD the VMCB before the next entry */
    bool state_live;  /* FS, GS, TR, LDTR and the syscall MSRs are in the CPU, not in the VMCB */
    bool refused;     /* arch_vcpu_refuse(): at the next entry go back to `before` and raise #GP(0) */
    struct {
        u64 gpr[GPR_COUNT];
        u64 rip, rflags, rsp;
    } before;
};

_Static_assert(offsetof(struct svm_vcpu, regs) == 0, "entry.S");
_Static_assert(offsetof(struct svm_vcpu, vmcb_pa) == 128, "entry.S");
_Static_assert(offsetof(struct svm_vcpu, vmcb) == 136, "entry.S");
_Static_assert(offsetof(struct svm_vcpu, v) == 144, "entry.S");
_Static_assert(offsetof(struct vcpu, requests) == 0, "entry.S");
_Static_assert(offsetof(struct cpu, requests) == 0, "entry.S");
_Static_assert(offsetof(struct vcpu_stat, count) == 0 && offsetof(struct vcpu_stat, cycles) == 8, "entry.S");

extern struct svm_vcpu svm_vcpus[CFG_VCPUS];

static inline struct svm_vcpu *svm_of(const struct vcpu *v)
{
    return &svm_vcpus[v->index];
}

/* CPUID 8000_000A EDX of the boot CPU. */
extern u32 svm_features;

/* Carries out what arch_vcpu_refuse() asked for; before entry. */
void svm_take_refusal(struct svm_vcpu *s);

/* entry.S: enters the guest until svm_exit() returns false. GIF is clear and IF set on entry and return. */
void svm_enter(struct svm_vcpu *s);
/* The handler of each exit code and where its counters stand in struct vcpu (exit.c, used by entry.S). */
typedef void (*exit_fn)(struct svm_vcpu *s);
extern const exit_fn svm_exit_fn[];
extern const u32 svm_exit_stat[];
/* Called with GIF clear when a request word is non-zero; true: enter (again). */
bool svm_before_entry(struct svm_vcpu *s);

#define RFLAGS_TF BIT64(8)

/* events.c */
void svm_collect_interrupted(struct svm_vcpu *s, u64 info);
void svm_flush_event(struct svm_vcpu *s);
void svm_nmi_retry(struct svm_vcpu *s);
void svm_iret_exit(struct svm_vcpu *s);
bool svm_debug_exit(struct svm_vcpu *s);
void svm_single_step(struct svm_vcpu *s);
void svm_events_reset(struct svm_vcpu *s);

/* insn.c */
unsigned svm_decode_mov_cr8(struct vcpu *v, unsigned *reg);

#endif
