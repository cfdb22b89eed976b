/*
 * Arch contract, part 3: one virtual CPU. Implemented by the linked backend (src/x86/svm or src/x86/vmx) and
 * by tests/fake. Used by core and by the emulation in src/x86/guest and src/x86/vdev. Unless said otherwise a
 * function must be called on the pCPU that the vCPU is pinned to, outside guest mode, and takes no lock.
 * Layer 3.
 */
#ifndef BH_ARCH_VCPU_H
#define BH_ARCH_VCPU_H

#include <lib/types.h>

struct vcpu;
struct vm;

/* General registers in the encoding order of x86 instructions; this is also the layout of struct guest_regs.
 */
enum guest_gpr {
    GPR_RAX,
    GPR_RCX,
    GPR_RDX,
    GPR_RBX,
    GPR_RSP,
    GPR_RBP,
    GPR_RSI,
    GPR_RDI,
    GPR_R8,
    GPR_R9,
    GPR_R10,
    GPR_R11,
    GPR_R12,
    GPR_R13,
    GPR_R14,
    GPR_R15,
    GPR_COUNT
};

/* General registers of a vCPU outside guest mode. RSP is current in those exit handlers that may look at it;
 * at other times a backend may have it in its control block only. */
struct guest_regs {
    u64 gpr[GPR_COUNT];
};

enum guest_reg {
    REG_RIP,
    REG_RFLAGS,
    REG_CR0,
    REG_CR2,
    REG_CR3,
    REG_CR4,
    REG_EFER,
    REG_DR6,
    REG_DR7,
    REG_PAT
};

enum guest_seg {
    SEG_ES,
    SEG_CS,
    SEG_SS,
    SEG_DS,
    SEG_FS,
    SEG_GS,
    SEG_LDTR,
    SEG_TR,
    SEG_GDTR,
    SEG_IDTR,
    SEG_COUNT
};

/* attr: bits 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable (the VMX access-rights
 * layout, SDM vol. 3C 24.4.1; the SVM backend converts). */
struct segment {
    u64 base;
    u32 limit;
    u32 attr;
    u16 sel;
};

/* Everything that defines where a vCPU starts: reset state, loader entry states and SET_VCPU_REGS alike. */
struct vcpu_boot_state {
    u64 gpr[GPR_COUNT];
    u64 rip, rflags, cr0, cr3, cr4, efer;
    struct segment seg[SEG_COUNT];
};

enum event_kind { EVENT_INTR, EVENT_NMI, EVENT_EXCEPTION };

struct guest_event {
    enum event_kind kind;
    u8 vector;
    bool has_error;
    u32 error;
    u64 cr2; /* for #PF */
};

/* Once at boot, for each vCPU, on any CPU, not loaded: builds the control block; guest state as after RESET.
 */
void arch_vcpu_init(struct vcpu *v);
/*
 * The calling CPU takes the vCPU over / gives it up. Between the two the vCPU is loaded there, and only there
 * may it run. Setters of this contract that say so work on a vCPU that is not loaded, too: what they set is
 * in force from the next entry on. After put, another vCPU may be loaded and nothing of this one is left in
 * the CPU; a vCPU that is loaded again is given a boot state before it runs.
 */
void arch_vcpu_load(struct vcpu *v);
void arch_vcpu_put(struct vcpu *v);
/* Puts the vCPU into the given state: control registers, segments, general registers, events cleared, FPU
 * state, debug registers and every pass-through MSR as after INIT/RESET. */
void arch_vcpu_set_boot_state(struct vcpu *v, const struct vcpu_boot_state *s);

/* The registers outside guest mode; the pointer is valid for the life of the vCPU. */
struct guest_regs *arch_vcpu_regs(struct vcpu *v);
u64 arch_vcpu_get(struct vcpu *v, enum guest_reg r);
void arch_vcpu_set(struct vcpu *v, enum guest_reg r, u64 val);
void arch_vcpu_get_seg(struct vcpu *v, enum guest_seg s, struct segment *out);
void arch_vcpu_set_seg(struct vcpu *v, enum guest_seg s, const struct segment *in);
/* What a page walk and an instruction fetch look at, in one call because they are part of every emulated
 * access. */
struct guest_paging {
    u64 cr0, cr3, cr4, efer, rflags, rip;
    u64 cs_base;
    u32 cs_attr; /* as in struct segment */
    unsigned cpl;
};
void arch_vcpu_paging(struct vcpu *v, struct guest_paging *out);
/* Current privilege level 0..3. */
unsigned arch_vcpu_cpl(struct vcpu *v);

/* Moves RIP past the instruction that exited and ends its interrupt shadow. len 1..15. */
void arch_vcpu_skip(struct vcpu *v, unsigned len);
/* Bytes of the exiting instruction that the CPU itself captured (decode assists); 0 when it captured none. */
unsigned arch_vcpu_insn_bytes(struct vcpu *v, u8 out[15]);

/*
 * The access that the vCPU exited for cannot be served: instead of completing, the instruction raises #GP(0).
 * The general registers, RIP and RFLAGS are put back at the next entry to what they are at this call, so the
 * caller's caller may finish its emulation with whatever value the access yields. Own pCPU.
 */
void arch_vcpu_refuse(struct vcpu *v);

/* True when an external interrupt could be injected now: IF set, no shadow, no event already queued for
 * entry. */
bool arch_vcpu_irq_ready(struct vcpu *v);
/* True when an NMI could be injected now: no NMI in service, no shadow, no event already queued. */
bool arch_vcpu_nmi_ready(struct vcpu *v);
/* True while an event is queued for the next entry. */
bool arch_vcpu_event_queued(struct vcpu *v);
/* Queues an event for the next entry. INTR and NMI only when ready. An EXCEPTION while an exception is queued
 * combines into #DF, or into a triple fault of the VM, as SDM vol. 3A 6.15 table 6-5 says; an EXCEPTION while
 * an interrupt is queued requeues the interrupt's delivery by the caller's means (the vLAPIC keeps it
 * pending). */
void arch_vcpu_inject(struct vcpu *v, const struct guest_event *e);
/* Asks for an exit as soon as an interrupt / NMI could be injected; off cancels. */
void arch_vcpu_irq_window(struct vcpu *v, bool on);
void arch_vcpu_nmi_window(struct vcpu *v, bool on);

/*
 * Local APIC that the CPU carries out in part (CFG_APIC_ASSIST; the rest of the boards never call these but
 * for the first). The vLAPIC keeps its registers in one page, laid out as the xAPIC page is.
 */
enum arch_apic_help {
    APIC_HELP_TPR = 1u << 0, /* accesses to the task priority change the page without an exit */
    APIC_HELP_IRQ = 1u << 1, /* the CPU takes interrupts from IRR to ISR, ends them, keeps PPR; implies TPR */
};
/*
 * The local APIC is now in a mode (0 off, 1 xAPIC, 2 x2APIC) with its registers at `page`, 4 KiB aligned;
 * reset also drops what was posted. Own pCPU, or any while the vCPU does not run. Returns the help that the
 * CPU gives from the next entry on.
 */
u32 arch_vcpu_apic_mode(struct vcpu *v, u32 mode, const void *page, bool reset);
/*
 * APIC_HELP_IRQ: asks for a vector. Any CPU. fresh: its trigger mode in the TMR has changed, so the guest
 * must exit before it is delivered. The vCPU sees it by VCPU_REQ_EVENT at the latest.
 */
void arch_vcpu_apic_post(struct vcpu *v, u8 vector, bool fresh);
/* APIC_HELP_IRQ, own pCPU: moves what was posted into the IRR of the page. */
void arch_vcpu_apic_pull(struct vcpu *v);
/* APIC_HELP_IRQ, own pCPU, after pull or when IRR, ISR or TMR were changed here: the CPU works on from the
 * page. */
void arch_vcpu_apic_push(struct vcpu *v);
/* APIC_HELP_TPR alone: an exit is wanted when the task priority class falls below this one; 0: never. Own
 * pCPU. */
void arch_vcpu_apic_threshold(struct vcpu *v, u32 priority_class);
/* The VM does not run: lets the CPU see accesses to the xAPIC page at this guest-physical address, where it
 * can. Again without effect until arch_s2_init(). */
void arch_vm_apic_window(struct vm *vm, u64 gpa);

/* Guest TSC = host TSC + offset. Also for a vCPU that is not loaded, or loaded on another CPU and not
 * running.
 */
void arch_vcpu_set_tsc_offset(struct vcpu *v, u64 offset);
u64 arch_vcpu_tsc_offset(struct vcpu *v);

/* MSRs that the guest holds live in the CPU (STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE, FS_BASE, GS_BASE,
 * SYSENTER_CS/ESP/EIP): read or written on the guest's behalf. False for any other index. */
bool arch_vcpu_live_msr(struct vcpu *v, u32 msr, bool write, u64 *val);

/*
 * Runs the vCPU until vcpu_pre_entry() (core) says it must not run any more. Before every entry the backend
 * calls vcpu_pre_entry() when one of the two request words is non-zero. Interrupts are off before and after.
 */
void arch_vcpu_run(struct vcpu *v);

/* Name of exit reason i, or NULL past the last one; the counters stand in struct vcpu. At most
 * VCPU_EXIT_REASONS. */
const char *arch_vcpu_exit_name(unsigned i);

#endif
