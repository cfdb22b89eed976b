/* The way of an exit: from entry.S to the handler of its reason and back to the guest. */
#include <arch/cpu.h>
#include <core/cpu.h>
#include <core/io.h>
#include <lib/log.h>
#include "x86/guest/exits.h"
#include "x86/hw/boot_time.h"
#include "x86/hw/regs.h"
#include "x86/hw/traps.h"
#include "x86/vmx/vmx.h"

/* Reasons as the statistics and the shell name them. */
enum reason {
    R_INTR,
    R_CPUID,
    R_MSR,
    R_IO,
    R_EPT,
    R_HYPERCALL,
    R_HLT,
    R_WINDOW,
    R_NMI,
    R_CR,
    R_EXCEPTION,
    R_SHUTDOWN,
    R_CACHE,
    R_XSETBV,
    R_REFUSED,
    R_APIC,
    R_TIMER,
    R_OTHER,
    R_COUNT
};

_Static_assert(R_COUNT <= VCPU_EXIT_REASONS, "core keeps the counters");
_Static_assert(PERCPU_VA == 0xffffffffc0000000, "entry.S");
_Static_assert(MITIGATE_L1D_FLUSH == 1 && MITIGATE_MDS_CLEAR == 2, "entry.S");

static const char *const reason_names[R_COUNT] = {
    "interrupt", "cpuid",     "msr",      "port",  "ept",    "hypercall", "hlt",  "window", "nmi",
    "cr",        "exception", "shutdown", "cache", "xsetbv", "refused",   "apic", "timer",  "other",
};

const char *arch_vcpu_exit_name(unsigned i)
{
    return i < R_COUNT ? reason_names[i] : NULL;
}

/* Handlers that may look at RSP, which the VMCS keeps, stand between these two; the short ones go without. */
static inline void rsp_in(struct vmx_vcpu *s)
{
    s->regs.gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
}
static inline void rsp_out(struct vmx_vcpu *s)
{
    vmwrite(VMCS_GUEST_RSP, s->regs.gpr[GPR_RSP]);
}

static void exit_cpuid(struct vmx_vcpu *s)
{
    vmx_skip();
    guest_cpuid(s->v);
}

static void exit_wrmsr(struct vmx_vcpu *s)
{
    const u64 *g = s->regs.gpr;

    if (guest_wrmsr(s->v, (u32)g[GPR_RCX], (u32)g[GPR_RAX] | (g[GPR_RDX] << 32)))
        vmx_skip_call();
    else
        guest_gp(s->v);
}

static void exit_rdmsr(struct vmx_vcpu *s)
{
    u64 *g = s->regs.gpr;
    union {
        u64 val;
        u32 half[2];
    } m;

    if (UNLIKELY(!guest_rdmsr(s->v, (u32)g[GPR_RCX], &m.val))) {
        guest_gp(s->v);
        return;
    }
    g[GPR_RAX] = m.half[0];
    g[GPR_RDX] = m.half[1];
    vmx_skip();
}

/* As io_port_read(), here so that the read of a byte, most of all port accesses, stays within one function.
 */
static inline u32 port_in(struct vcpu *v, u16 port, u8 size)
{
    const struct port_range *r = io_port_range(&v->vm->io, port);
    u32 val = 0;

    if (LIKELY(io_port_covers(r, port, size)) && LIKELY(r->fn(v, r->dev, port, size, false, &val)))
        return val;
    return io_port_unowned_read(v, port, size);
}

/* String instructions, writes, and wider reads. Partial registers keep their upper bits, 32-bit results clear
 * them (SDM vol. 1 3.4.1.1). */
static NOINLINE void io_rest(struct vmx_vcpu *s, u64 q)
{
    u64 *rax = &s->regs.gpr[GPR_RAX];
    u8 size = IOQ_SIZE(q);

    if (q & IOQ_STRING) {
        rsp_in(s);
        guest_string_io(s->v);
        rsp_out(s);
        return;
    }
    /* RIP moves on after the access, which may be refused. */
    if (!(q & IOQ_IN))
        io_port_write(s->v, IOQ_PORT(q), size, (u32)(*rax & size_mask(size)));
    else if (size == 4)
        *rax = port_in(s->v, IOQ_PORT(q), size);
    else
        *rax = (*rax & ~size_mask(size)) | (port_in(s->v, IOQ_PORT(q), size) & size_mask(size));
    vmx_skip_call();
}

static void exit_io(struct vmx_vcpu *s)
{
    u64 q = vmread(VMCS_QUALIFICATION);

    if (UNLIKELY((q & (IOQ_STRING | IOQ_IN | 7)) != IOQ_IN)) {
        io_rest(s, q);
        return;
    }
    *(u8 *)&s->regs.gpr[GPR_RAX] = (u8)port_in(s->v, IOQ_PORT(q), 1);
    vmx_skip();
}

static void mmio(struct vmx_vcpu *s, u64 gpa, bool write, bool fetch)
{
    rsp_in(s);
    guest_mmio(s->v, gpa, write, fetch);
    rsp_out(s);
}

static void exit_ept_violation(struct vmx_vcpu *s)
{
    u64 q = vmread(VMCS_QUALIFICATION);
    u32 vectoring = (u32)vmread(VMCS_IDT_VECTORING);

    if (UNLIKELY(vectoring & INTR_VALID))
        vmx_collect_interrupted(s);
    else if (UNLIKELY(q & EPTQ_NMI_UNBLOCK))
        vmx_nmi_blocked_again();
    mmio(s, vmread(VMCS_GUEST_PHYS), (q & EPTQ_WRITE) != 0, (q & EPTQ_FETCH) != 0);
}

static void exit_vmcall(struct vmx_vcpu *s)
{
    guest_hypercall(s->v);
}

static void exit_hlt(struct vmx_vcpu *s)
{
    vmx_skip_call();
    vcpu_halt(s->v);
}

/* The interrupt was acknowledged by the exit: its handler is called as if it came here. */
static void exit_extint(struct vmx_vcpu *s)
{
    const struct idt_gate *g = &idt[vmread(VMCS_EXIT_INTR) & 0xff];

    (void)s;
    vmx_call_gate(g->offset_lo | (u64)g->offset_mid << 16 | (u64)g->offset_hi << 32);
}

static void exit_irq_window(struct vmx_vcpu *s)
{
    vmx_window_exit(s, false);
}

static void exit_nmi_window(struct vmx_vcpu *s)
{
    vmx_window_exit(s, true);
}

/* The exit blocked further NMIs on this CPU; the IRET of the host's own handler lets them in again. */
static void exit_nmi(void)
{
    __asm__ volatile("int $2" : : : "memory");
}

/* The CPU has not recorded the cause in DR6 nor cleared DR7.GD: an exit comes before that (27.1). */
static void debug_exception(struct vmx_vcpu *s, u32 info)
{
    u64 q = vmread(VMCS_QUALIFICATION);
    u64 dr6 = arch_vcpu_get(s->v, REG_DR6);

    if (((info >> INTR_TYPE_SHIFT) & 7) == INTR_PRIV_SOFT) {
        vmx_skip_call(); /* INT1: a trap, and it leaves DR6 alone */
        guest_exception(s->v, X86_DB, false, 0, 0);
        return;
    }
    arch_vcpu_set(s->v, REG_DR6, (dr6 & ~0xfULL) | (q & 0x600f));
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~BIT64(13));
    guest_exception(s->v, X86_DB, false, 0, 0);
}

static void exit_exception(struct vmx_vcpu *s)
{
    static const u8 vmmcall[] = {0x0f, 0x01, 0xd9};
    u32 info = (u32)vmread(VMCS_EXIT_INTR);
    u8 vector = (u8)info;

    if (((info >> INTR_TYPE_SHIFT) & 7) == INTR_NMI) {
        exit_nmi();
        return;
    }
    if (vector == X86_MC)
        panic("machine check on CPU %u while vm '%s' ran", this_cpu()->id, s->v->vm->cfg->name);
    if (vmread(VMCS_IDT_VECTORING) & INTR_VALID)
        vmx_collect_interrupted(s);
    else if (info & EXIT_NMI_UNBLOCK)
        vmx_nmi_blocked_again();
    if (vector == X86_DB)
        debug_exception(s, info);
    else if (vector == X86_UD && guest_insn_length(s->v, vmmcall, sizeof(vmmcall)) == sizeof(vmmcall))
        guest_hypercall(s->v);
    else
        guest_exception(s->v, vector, (info & INTR_ERROR) != 0, (u32)vmread(VMCS_EXIT_INTR_ERROR), 0);
}

static void exit_triple(struct vmx_vcpu *s)
{
    rsp_in(s);
    vm_guest_fatal(s->v, "triple fault");
}

/* No device of the VM needs its caches written back or thrown away, and doing either would stall its
 * neighbours. */
static void exit_cache(struct vmx_vcpu *s)
{
    (void)s;
    vmx_skip_call();
}

static void exit_xsetbv(struct vmx_vcpu *s)
{
    if (guest_xsetbv(s->v))
        vmx_skip_call();
    else
        guest_gp(s->v);
}

/* Instructions of features that the guest's CPUID does not show. */
static void exit_refused(struct vmx_vcpu *s)
{
    guest_ud(s->v);
}

static void exit_rdpmc(struct vmx_vcpu *s)
{
    guest_gp(s->v);
}

/*
 * QUIRK_IF0_NO_EXTINT_EXIT: an interrupt that comes while the guest has IF clear since the entry may be held
 * up until the guest sets IF; kicks are NMIs there. The preemption timer bounds that time. It counts what the
 * guest runs, exits in between or not (EXIT_SAVE_TIMER): else a guest that polls a port with IF clear would
 * never let the UART's or the timer's interrupt through. In ticks of the TSC, many of such a guest's exits.
 */
#define TIMER_IF_SET   50000u
#define TIMER_IF_CLEAR 5000u

COLD void vmx_set_timer(bool irqs_on)
{
    vmwrite(VMCS_PREEMPTION_TIMER,
            (irqs_on ? TIMER_IF_SET : TIMER_IF_CLEAR) >> VMX_MISC_TIMER(vmx_caps.misc));
}

/* Takes what may have been held up. */
static void exit_preemption(struct vmx_vcpu *s)
{
    (void)s;
    arch_irq_window();
    vmx_set_timer((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0);
}

static COLD void entry_refused(struct vmx_vcpu *s, u32 reason)
{
    const char *why = (reason & 0xffff) == VMX_BAD_GUEST ? vmx_check_guest_state() : NULL;

    log_err("vm %s: the CPU refuses to enter vCPU %u (reason %u, qualification %llu): %s",
            s->v->vm->cfg->name, s->v->id, reason & 0xffff, (unsigned long long)vmread(VMCS_QUALIFICATION),
            why ? why : "none of the checks of SDM vol. 3C 26.3.1 that are made here says why");
    vm_guest_fatal(s->v, "invalid guest state");
}

static COLD void exit_other(struct vmx_vcpu *s)
{
    u32 reason = (u32)vmread(VMCS_EXIT_REASON);

    rsp_in(s);
    if (reason & EXIT_ENTRY_FAILED) {
        entry_refused(s, reason);
        return;
    }
    log_guest(s->v->vm->id, LOG_ERROR, "vm '%s': exit %u (qualification 0x%llx) has no handler",
              s->v->vm->cfg->name, reason, (unsigned long long)vmread(VMCS_QUALIFICATION));
    vm_guest_fatal(s->v, "unexpected exit");
}

static void exit_task_switch(struct vmx_vcpu *s)
{
    rsp_in(s);
    vm_guest_fatal(s->v, "hardware task switch");
}

static void exit_misconfig(struct vmx_vcpu *s)
{
    panic("EPT entry for 0x%llx of vm '%s' is malformed", (unsigned long long)vmread(VMCS_GUEST_PHYS),
          s->v->vm->cfg->name);
}

/*
 * entry.S calls vmx_exit_fn[reason] and counts at byte offset vmx_exit_stat[reason] of struct vcpu. The slot
 * behind the last reason is everything else.
 */
_Static_assert(VMX_EXITS == 65, "EXITS in entry.S");

#define STAT(r) ((u32)offsetof(struct vcpu, exits) + (u32)sizeof(struct vcpu_stat) * (r))

/* One line a reason; X-macro, because function and counter stand in two tables. */
#define EXITS(X)                                                                                             \
    X(VMX_EXCEPTION, exit_exception, R_EXCEPTION)                                                            \
    X(VMX_EXTINT, exit_extint, R_INTR)                                                                       \
    X(VMX_TRIPLE, exit_triple, R_SHUTDOWN)                                                                   \
    X(VMX_IRQ_WINDOW, exit_irq_window, R_WINDOW)                                                             \
    X(VMX_NMI_WINDOW, exit_nmi_window, R_WINDOW)                                                             \
    X(VMX_TASK_SWITCH, exit_task_switch, R_OTHER)                                                            \
    X(VMX_CPUID, exit_cpuid, R_CPUID)                                                                        \
    X(VMX_GETSEC, exit_refused, R_REFUSED)                                                                   \
    X(VMX_HLT, exit_hlt, R_HLT)                                                                              \
    X(VMX_INVD, exit_cache, R_CACHE)                                                                         \
    X(VMX_RDPMC, exit_rdpmc, R_REFUSED)                                                                      \
    X(VMX_RSM, exit_refused, R_REFUSED)                                                                      \
    X(VMX_VMCALL, exit_vmcall, R_HYPERCALL)                                                                  \
    X(VMX_VMCLEAR, exit_refused, R_REFUSED)                                                                  \
    X(VMX_VMLAUNCH, exit_refused, R_REFUSED)                                                                 \
    X(VMX_VMPTRLD, exit_refused, R_REFUSED)                                                                  \
    X(VMX_VMPTRST, exit_refused, R_REFUSED)                                                                  \
    X(VMX_VMREAD, exit_refused, R_REFUSED)                                                                   \
    X(VMX_VMRESUME, exit_refused, R_REFUSED)                                                                 \
    X(VMX_VMWRITE, exit_refused, R_REFUSED)                                                                  \
    X(VMX_VMXOFF, exit_refused, R_REFUSED)                                                                   \
    X(VMX_VMXON, exit_refused, R_REFUSED)                                                                    \
    X(VMX_CR, vmx_exit_cr, R_CR)                                                                             \
    X(VMX_IO, exit_io, R_IO)                                                                                 \
    X(VMX_RDMSR, exit_rdmsr, R_MSR)                                                                          \
    X(VMX_WRMSR, exit_wrmsr, R_MSR)                                                                          \
    X(VMX_MWAIT, exit_refused, R_REFUSED)                                                                    \
    X(VMX_MONITOR, exit_refused, R_REFUSED)                                                                  \
    X(VMX_TPR_THRESHOLD, vmx_exit_tpr, R_APIC)                                                               \
    X(VMX_APIC_ACCESS, vmx_exit_apic_access, R_APIC)                                                         \
    X(VMX_EOI, vmx_exit_eoi, R_APIC)                                                                         \
    X(VMX_APIC_WRITE, vmx_exit_apic_write, R_APIC)                                                           \
    X(VMX_EPT_VIOLATION, exit_ept_violation, R_EPT)                                                          \
    X(VMX_EPT_MISCONFIG, exit_misconfig, R_EPT)                                                              \
    X(VMX_INVEPT, exit_refused, R_REFUSED)                                                                   \
    X(VMX_PREEMPTION, exit_preemption, R_TIMER)                                                              \
    X(VMX_INVVPID, exit_refused, R_REFUSED)                                                                  \
    X(VMX_WBINVD, exit_cache, R_CACHE)                                                                       \
    X(VMX_XSETBV, exit_xsetbv, R_XSETBV)                                                                     \
    X(VMX_INVPCID, exit_refused, R_REFUSED)                                                                  \
    X(VMX_VMFUNC, exit_refused, R_REFUSED)                                                                   \
    X(VMX_ENCLS, exit_refused, R_REFUSED)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#define X_FN(code, fn, reason)   [code] = fn,
#define X_STAT(code, fn, reason) [code] = STAT(reason),
const exit_fn vmx_exit_fn[VMX_EXITS + 1] = {[0 ... VMX_EXITS] = exit_other, EXITS(X_FN)};
const u32 vmx_exit_stat[VMX_EXITS + 1] = {[0 ... VMX_EXITS] = STAT(R_OTHER), EXITS(X_STAT)};
#pragma GCC diagnostic pop

/*
 * Everything that the fast path found a request bit for. The shell may read memory that is not there: CR2 is
 * the guest's and kept here.
 */
bool vmx_before_entry(struct vmx_vcpu *s)
{
    struct vcpu *v = s->v;
    u64 cr2;
    bool run;

    if (UNLIKELY(s->refused))
        vmx_put_back_refused(s);
    rsp_in(s);
    for (;;) {
        u32 mine = atomic_and(&v->requests, ~(u32)(VMX_REQ_ENTRY | VCPU_REQ_FLUSH));

        if (mine & VCPU_REQ_FLUSH)
            vmx_flush_s2(v->vm);
        if (atomic_load(&s->tsc_changed) && atomic_xchg(&s->tsc_changed, 0))
            vmwrite(VMCS_TSC_OFFSET, s->tsc_offset);
        vmx_apic_update(s);
        cr2 = read_cr2();
        run = vcpu_pre_entry(v);
        if (!run)
            return false;
        if (read_cr2() != cr2 && !(s->entry_intr & INTR_VALID))
            write_cr2(cr2);
        if (!atomic_load(&v->requests))
            break;
    }
    vmx_flush_event(s);
    return true;
}

void arch_wait_begin(void)
{
}

void arch_wait_end(void)
{
}

void arch_vcpu_run(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);
    u32 error;

    boot_first_entry_mark();
    if (!vmx_before_entry(s))
        return;
    error = vmx_enter(s);
    if (error)
        panic("CPU %u: entry of vm %s vCPU %u fails with VM-instruction error %u", this_cpu()->id,
              v->vm->cfg->name, v->id, error);
}
