/* Private to the VMX backend. */
#ifndef BH_X86_VMX_VMX_H
#define BH_X86_VMX_VMX_H

#include <lib/bits.h>
#include <arch/cpu.h>
#include <arch/s2.h>
#include <core/cpu.h>
#include <core/vcpu.h>
#include <core/vm.h>
#include "x86/vmx/caps.h"
#include "x86/vmx/insn.h"
#include "x86/vmx/vmcs.h"

/*
 * The backend's own bit in vcpu->requests: something has to be done before the next entry (an event to
 * deliver again, a value that another CPU left). It shares the word with enum vcpu_req so that the hot path
 * tests one word.
 */
#define VMX_REQ_ENTRY BIT32(31)

/* An event whose delivery an exit interrupted, or that had to make way for an exception. */
struct vmx_redeliver {
    bool valid;
    u8 type; /* enum intr_type */
    u8 vector;
    bool has_error;
    u32 error;
};

struct vmx_vcpu {
    struct guest_regs regs; /* offset 0: entry.S counts on it */
    struct vcpu *v;
    u32 entry_intr; /* what stands in VMCS_ENTRY_INTR for the next entry; the CPU clears it there, entry.S
                       here */
    u32 proc;       /* what stands in the two processor-based control fields */
    u32 proc2;
    bool loaded; /* arch_vcpu_load() was called and its CPU's current VMCS is this one */
    struct vmx_redeliver redeliver;
    bool irq_window; /* wanted by the caller of arch_vcpu_irq_window() */
    bool nmi_window;
    bool refused;    /* arch_vcpu_refuse(): what follows is put back at the next entry */
    u32 tsc_changed; /* atomic: tsc_offset is to be written before the next entry */
    u64 tsc_offset;
    u64 vmcs_pa;
    u64 refused_gpr[GPR_COUNT], refused_rip, refused_rflags;
    struct vcpu_boot_state boot;
};

_Static_assert(offsetof(struct vmx_vcpu, regs) == 0, "entry.S");
_Static_assert(offsetof(struct vmx_vcpu, v) == 128, "entry.S");
_Static_assert(offsetof(struct vmx_vcpu, entry_intr) == 136, "entry.S");
_Static_assert(offsetof(struct vcpu, requests) == 0, "entry.S");
_Static_assert(offsetof(struct cpu, requests) == 0, "entry.S");
_Static_assert(offsetof(struct vcpu_stat, count) == 0 && offsetof(struct vcpu_stat, cycles) == 8, "entry.S");

extern struct vmx_vcpu vmx_vcpus[CFG_VCPUS];

static inline struct vmx_vcpu *vmx_of(const struct vcpu *v)
{
    return &vmx_vcpus[v->index];
}

#define RFLAGS_TF BIT64(8)

/*
 * entry.S: enters the guest until vmx_before_entry() returns false: 0. Otherwise the VM-instruction error
 * with which the CPU refused the entry, or ~0 when it knows no current VMCS.
 */
u32 vmx_enter(struct vmx_vcpu *s);
/* Where exits arrive; goes into the host-state area. */
extern const u8 vmx_exit_entry[];
/* Calls the handler of an interrupt gate, which ends in IRET. Interrupts are off. */
void vmx_call_gate(u64 handler);
/* The handler of each basic exit reason and where its counters stand in struct vcpu (exit.c, used by
 * entry.S). */
typedef void (*exit_fn)(struct vmx_vcpu *s);
extern const exit_fn vmx_exit_fn[];
extern const u32 vmx_exit_stat[];
/* Called when a request word is non-zero; true: enter (again), once both words are zero. */
bool vmx_before_entry(struct vmx_vcpu *s);

/* setup.c: all control fields and the host state, for the calling CPU. The VMCS is current. */
void vmx_setup_controls(struct vmx_vcpu *s);
/* controls.c */
void vmx_set_proc(struct vmx_vcpu *s, u32 set, u32 clear);
void vmx_set_proc2(struct vmx_vcpu *s, u32 set, u32 clear);

/* exit.c: the time until the next VMX_PREEMPTION exit, where the board's quirks want one. */
void vmx_set_timer(bool irqs_on);

/* vcpu.c: the rare cases of the following. */
void vmx_end_shadow(void);
void vmx_single_step(void);
u64 vmx_wrapped_rip(u64 rip);

/* Moves RIP on and ends the interrupt shadow; part of nearly every exit, hence inline. */
static inline void vmx_skip_bytes(u64 len)
{
    u64 rip = vmread(VMCS_GUEST_RIP) + len;

    if (UNLIKELY((u32)rip < (u32)len))
        rip = vmx_wrapped_rip(rip);
    vmwrite(VMCS_GUEST_RIP, rip);
    if (UNLIKELY(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)))
        vmx_end_shadow();
    if (UNLIKELY(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF))
        vmx_single_step();
}
static inline void vmx_skip(void)
{
    vmx_skip_bytes(vmread(VMCS_EXIT_INSN_LEN));
}

/* The same as a function: for exits that are rare, or long in any case. */
void vmx_skip_call(void);

void vmx_put_back_refused(struct vmx_vcpu *s);

/* cr.c: control registers. Guest values are what the guest reads, shadows included. */
#define CR0_ALWAYS (CR0_NE | CR0_ET)
u64 vmx_guest_cr0(void);
u64 vmx_guest_cr4(void);
void vmx_load_cr0(u64 val);
void vmx_load_cr4(u64 val);
void vmx_load_efer(u64 val);
void vmx_setup_cr_masks(void);
void vmx_exit_cr(struct vmx_vcpu *s);
/* With PAE paging, the four entries from guest memory at CR3. False: one of them is illegal, or not RAM. */
bool vmx_load_pdptes(struct vmx_vcpu *s, u64 cr0, u64 cr3, u64 cr4, u64 efer);

/* events.c */
void vmx_collect_interrupted(struct vmx_vcpu *s);
void vmx_flush_event(struct vmx_vcpu *s);
void vmx_events_reset(struct vmx_vcpu *s);
void vmx_nmi_blocked_again(void);
void vmx_window_exit(struct vmx_vcpu *s, bool nmi);

/* flush.c: drops what this CPU has cached of the VM's second-level tables; of the vCPU's own paging; of all.
 */
void vmx_flush_s2(const struct vm *vm);
void vmx_flush_vpid(const struct vcpu *v);
void vmx_flush_everything(void);
u64 vmx_eptp(const struct vm *vm);

/* bitmaps.c: host-physical addresses of the permission maps. */
hpa_t vmx_io_bitmap(void);
hpa_t vmx_msr_bitmap(bool x2apic);

/* vapic.c. What of the local APIC the CPU carries out in a mode: enum arch_apic_help. */
u32 vmx_apic_help(u32 mode);
/* The VMCS was set up anew. */
void vmx_apic_reload(struct vmx_vcpu *s);
/* Before an entry: puts a change of mode into the VMCS. */
void vmx_apic_update(struct vmx_vcpu *s);
void vmx_exit_apic_access(struct vmx_vcpu *s);
void vmx_exit_apic_write(struct vmx_vcpu *s);
void vmx_exit_eoi(struct vmx_vcpu *s);
void vmx_exit_tpr(struct vmx_vcpu *s);

/* checks.c: after an entry that the CPU refused for the guest's state: which of the checks of SDM vol. 3C
 * 26.3.1 fails, by field and manual section. */
const char *vmx_check_guest_state(void);

#endif
