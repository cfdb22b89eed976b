/* The way of an exit: from entry.S to the handler of its reason and back to the guest. */
#include <arch/cpu.h>
#include <core/cpu.h>
#include <core/io.h>
#include <lib/log.h>
#include "x86/guest/exits.h"
#include "x86/hw/boot_time.h"
#include "x86/svm/svm.h"

/* Reasons as the statistics and the shell name them. */
enum reason {
    R_INTR,
    R_CPUID,
    R_MSR,
    R_IO,
    R_NPF,
    R_HYPERCALL,
    R_HLT,
    R_WINDOW,
    R_NMI,
    R_IRET,
    R_CR8,
    R_EXCEPTION,
    R_SHUTDOWN,
    R_CACHE,
    R_XSETBV,
    R_REFUSED,
    R_OTHER,
    R_COUNT
};

_Static_assert(R_COUNT <= VCPU_EXIT_REASONS, "core keeps the counters");

_Static_assert(PERCPU_VA == 0xffffffffc0000000, "entry.S");

static const char *const reason_names[R_COUNT] = {
    "interrupt", "cpuid", "msr",       "port",     "npf",   "hypercall", "hlt",     "window", "nmi",
    "iret",      "cr8",   "exception", "shutdown", "cache", "xsetbv",    "refused", "other",
};

const char *arch_vcpu_exit_name(unsigned i)
{
    return i < R_COUNT ? reason_names[i] : NULL;
}

/* Moves RIP on by the length that the CPU reports, or by the known one where it reports none. */
static inline void skip(struct svm_vcpu *s, unsigned len)
{
    struct vmcb *c = s->vmcb;

    c->int_shadow = 0;
    if (UNLIKELY(c->rflags & RFLAGS_TF))
        svm_single_step(s);
    if (svm_features & SVM_FEAT_NRIPS) {
        c->rip = c->nrip;
        return;
    }
    c->rip += len;
}

/* Handlers that may look at RSP, which VMRUN keeps in the VMCB, stand between these two; the short ones go
 * without. */
static inline void rsp_in(struct svm_vcpu *s)
{
    s->regs.gpr[GPR_RSP] = s->vmcb->rsp;
}
static inline void rsp_out(struct svm_vcpu *s)
{
    s->vmcb->rsp = s->regs.gpr[GPR_RSP];
}

static void exit_cpuid(struct svm_vcpu *s)
{
    skip(s, 2);
    guest_cpuid(s->v);
}

static NOINLINE void exit_wrmsr(struct svm_vcpu *s)
{
    const u64 *g = s->regs.gpr;

    if (guest_wrmsr(s->v, (u32)g[GPR_RCX], (u32)g[GPR_RAX] | (g[GPR_RDX] << 32)))
        skip(s, 2);
    else
        guest_gp(s->v);
}

static void exit_msr(struct svm_vcpu *s)
{
    u64 *g = s->regs.gpr;
    union {
        u64 val;
        u32 half[2];
    } m;

    if (UNLIKELY(s->vmcb->exitinfo1 & 1)) {
        exit_wrmsr(s);
        return;
    }
    if (UNLIKELY(!guest_rdmsr(s->v, (u32)g[GPR_RCX], &m.val))) {
        guest_gp(s->v);
        return;
    }
    g[GPR_RAX] = m.half[0];
    g[GPR_RDX] = m.half[1];
    skip(s, 2);
}

/* Partial registers keep their upper bits, 32-bit results clear them, as in hardware (APM vol. 1 3.1.2). */
static inline void set_rax(struct svm_vcpu *s, u8 size, u32 val)
{
    u64 *rax = &s->regs.gpr[GPR_RAX];

    if (LIKELY(size == 1))
        *rax = (*rax & ~(u64)0xff) | (u8)val;
    else if (size == 2)
        *rax = (*rax & ~(u64)0xffff) | (u16)val;
    else
        *rax = val;
}

static void exit_io(struct svm_vcpu *s)
{
    struct vmcb *c = s->vmcb;
    u64 info = c->exitinfo1;
    u8 size = IOIO_SIZE(info);

    if (UNLIKELY(info & IOIO_STR)) {
        rsp_in(s);
        guest_string_io(s->v);
        rsp_out(s);
        return;
    }
    /* RIP moves on after the access, which may be refused. */
    if (LIKELY(info & IOIO_IN))
        set_rax(s, size, io_port_read(s->v, IOIO_PORT(info), size));
    else
        io_port_write(s->v, IOIO_PORT(info), size, (u32)(s->regs.gpr[GPR_RAX] & size_mask(size)));
    /* EXITINFO2 is the address behind the instruction (APM vol. 2 15.10.2). */
    c->int_shadow = 0;
    c->rip = c->exitinfo2;
    if (UNLIKELY(c->rflags & RFLAGS_TF))
        svm_single_step(s);
}

static void exit_npf(struct svm_vcpu *s)
{
    u64 info = s->vmcb->exitinfo1;

    rsp_in(s);
    guest_mmio(s->v, s->vmcb->exitinfo2, (info & NPF_WRITE) != 0, (info & NPF_FETCH) != 0);
    rsp_out(s);
}

static void exit_hypercall(struct svm_vcpu *s)
{
    guest_hypercall(s->v);
}

static void exit_hlt(struct svm_vcpu *s)
{
    skip(s, 1);
    vcpu_halt(s->v);
    atomic_or(&s->v->requests, SVM_REQ_ENTRY);
}

/* With IF set, the pending interrupt is taken between STGI and CLGI by the host's own handler. */
static void exit_intr(struct svm_vcpu *s)
{
    __asm__ volatile("stgi; nop; clgi" : : : "memory");
    svm_nmi_retry(s);
}

static void exit_nmi(struct svm_vcpu *s)
{
    (void)s;
    __asm__ volatile("stgi; nop; clgi" : : : "memory");
}

static void exit_window(struct svm_vcpu *s)
{
    arch_vcpu_irq_window(s->v, false);
    atomic_or(&s->v->requests, VCPU_REQ_EVENT | (s->redeliver.valid ? SVM_REQ_ENTRY : 0));
}

static void exit_iret(struct svm_vcpu *s)
{
    svm_iret_exit(s);
}

/* MOV to and from CR8: without decode assists the register number is in the instruction bytes. */
static void exit_cr8(struct svm_vcpu *s)
{
    struct vmcb *c = s->vmcb;
    bool write = (c->exitcode & 0xff) == VMEXIT_CR8_WRITE;
    unsigned reg = 0, len = svm_decode_mov_cr8(s->v, &reg);

    if (!len) {
        guest_ud(s->v);
        return;
    }
    rsp_in(s);
    if (write && (s->regs.gpr[reg] >> 4)) {
        guest_gp(s->v);
        return;
    }
    if (write)
        guest_cr8_write(s->v, s->regs.gpr[reg]);
    else
        s->regs.gpr[reg] = guest_cr8_read(s->v);
    rsp_out(s);
    arch_vcpu_skip(s->v, len);
}

static void exit_exception(struct svm_vcpu *s)
{
    static const u8 vmcall[] = {0x0f, 0x01, 0xc1};
    struct vmcb *c = s->vmcb;
    u8 vector = (u8)(c->exitcode & 31);

    switch (vector) {
    case X86_UD:
        /* The in-tree Linux driver uses VMCALL on AMD too. */
        if (guest_insn_length(s->v, vmcall, sizeof(vmcall)) == sizeof(vmcall))
            guest_hypercall(s->v);
        else
            guest_ud(s->v);
        break;
    case X86_DB:
        if (!svm_debug_exit(s))
            guest_exception(s->v, X86_DB, false, 0, 0);
        break;
    case X86_MC:
        panic("machine check on CPU %u while vm '%s' ran", this_cpu()->id, s->v->vm->cfg->name);
    default:
        guest_exception(s->v, vector, vector == X86_AC, 0, 0);
        break;
    }
}

static void exit_shutdown(struct svm_vcpu *s)
{
    rsp_in(s);
    vm_guest_fatal(s->v, "triple fault");
}

/* No device of the VM needs its caches written back or thrown away, and doing either would stall its
 * neighbours. */
static void exit_cache(struct svm_vcpu *s)
{
    skip(s, 2);
}

static void exit_xsetbv(struct svm_vcpu *s)
{
    if (guest_xsetbv(s->v))
        skip(s, 3);
    else
        guest_gp(s->v);
}

/* Instructions of features that the guest's CPUID does not show. */
static void exit_refused(struct svm_vcpu *s)
{
    guest_ud(s->v);
}

static void exit_rdpmc(struct svm_vcpu *s)
{
    guest_gp(s->v);
}

static COLD void exit_other(struct svm_vcpu *s)
{
    struct vmcb *c = s->vmcb;

    rsp_in(s);
    /* The low half: QUIRK_VMEXIT_INVALID_32 leaves the upper one clear. */
    if ((u32)c->exitcode == 0xffffffffu) {
        log_err("VMRUN refused the control block of vm '%s' vCPU %u: cr0 %llx cr4 %llx efer %llx rflags %llx "
                "cs.attr %x",
                s->v->vm->cfg->name, s->v->id, (unsigned long long)c->cr0, (unsigned long long)c->cr4,
                (unsigned long long)c->efer, (unsigned long long)c->rflags, c->cs.attr);
        vm_guest_fatal(s->v, "invalid guest state");
        return;
    }
    log_guest(s->v->vm->id, LOG_ERROR, "vm '%s': exit 0x%llx has no handler", s->v->vm->cfg->name,
              (unsigned long long)c->exitcode);
    vm_guest_fatal(s->v, "unexpected exit");
}

/*
 * entry.S calls svm_exit_fn[exit code] and counts at byte offset svm_exit_stat[exit code] of struct vcpu. The
 * two slots behind the last code are the nested page fault and everything else.
 */
#define SLOT_NPF   (VMEXIT_RDPRU + 1)
#define SLOT_OTHER (VMEXIT_RDPRU + 2)
_Static_assert(VMEXIT_RDPRU == 0x8e, "EXIT_LAST in entry.S");

#define STAT(r) ((u32)offsetof(struct vcpu, exits) + (u32)sizeof(struct vcpu_stat) * (r))

/* One line a reason; X-macro, because function and counter stand in two tables. */
#define EXITS(X)                                                                                             \
    X(VMEXIT_CR8_READ, exit_cr8, R_CR8)                                                                      \
    X(VMEXIT_CR8_WRITE, exit_cr8, R_CR8)                                                                     \
    X(VMEXIT_EXCP + X86_DB, exit_exception, R_EXCEPTION)                                                     \
    X(VMEXIT_EXCP + X86_UD, exit_exception, R_EXCEPTION)                                                     \
    X(VMEXIT_EXCP + X86_AC, exit_exception, R_EXCEPTION)                                                     \
    X(VMEXIT_EXCP + X86_MC, exit_exception, R_EXCEPTION)                                                     \
    X(VMEXIT_INTR, exit_intr, R_INTR)                                                                        \
    X(VMEXIT_NMI, exit_nmi, R_NMI)                                                                           \
    X(VMEXIT_VINTR, exit_window, R_WINDOW)                                                                   \
    X(VMEXIT_RDPMC, exit_rdpmc, R_REFUSED)                                                                   \
    X(VMEXIT_CPUID, exit_cpuid, R_CPUID)                                                                     \
    X(VMEXIT_RSM, exit_refused, R_REFUSED)                                                                   \
    X(VMEXIT_IRET, exit_iret, R_IRET)                                                                        \
    X(VMEXIT_INVD, exit_cache, R_CACHE)                                                                      \
    X(VMEXIT_HLT, exit_hlt, R_HLT)                                                                           \
    X(VMEXIT_INVLPGA, exit_refused, R_REFUSED)                                                               \
    X(VMEXIT_IOIO, exit_io, R_IO)                                                                            \
    X(VMEXIT_MSR, exit_msr, R_MSR)                                                                           \
    X(VMEXIT_SHUTDOWN, exit_shutdown, R_SHUTDOWN)                                                            \
    X(VMEXIT_VMRUN, exit_refused, R_REFUSED)                                                                 \
    X(VMEXIT_VMMCALL, exit_hypercall, R_HYPERCALL)                                                           \
    X(VMEXIT_VMLOAD, exit_refused, R_REFUSED)                                                                \
    X(VMEXIT_VMSAVE, exit_refused, R_REFUSED)                                                                \
    X(VMEXIT_STGI, exit_refused, R_REFUSED)                                                                  \
    X(VMEXIT_CLGI, exit_refused, R_REFUSED)                                                                  \
    X(VMEXIT_SKINIT, exit_refused, R_REFUSED)                                                                \
    X(VMEXIT_WBINVD, exit_cache, R_CACHE)                                                                    \
    X(VMEXIT_MONITOR, exit_refused, R_REFUSED)                                                               \
    X(VMEXIT_MWAIT, exit_refused, R_REFUSED)                                                                 \
    X(VMEXIT_XSETBV, exit_xsetbv, R_XSETBV)                                                                  \
    X(VMEXIT_RDPRU, exit_refused, R_REFUSED)                                                                 \
    X(SLOT_NPF, exit_npf, R_NPF)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#define X_FN(code, fn, reason)   [code] = fn,
#define X_STAT(code, fn, reason) [code] = STAT(reason),
const exit_fn svm_exit_fn[SLOT_OTHER + 1] = {[0 ... SLOT_OTHER] = exit_other, EXITS(X_FN)};
const u32 svm_exit_stat[SLOT_OTHER + 1] = {[0 ... SLOT_OTHER] = STAT(R_OTHER), EXITS(X_STAT)};
#pragma GCC diagnostic pop

/* Everything that the fast path found a request bit for. Runs with GIF set and interrupts off, like the rest
 * of core. */
static NOINLINE bool before_entry(struct svm_vcpu *s)
{
    struct vcpu *v = s->v;

    if (s->flush_armed) {
        s->flush_armed = false;
        s->vmcb->tlb_control = 0;
    }
    if (UNLIKELY(s->refused))
        svm_take_refusal(s);
    for (;;) {
        u32 mine = atomic_and(&v->requests, ~(u32)(SVM_REQ_ENTRY | VCPU_REQ_FLUSH));

        if (mine & VCPU_REQ_FLUSH) {
            s->vmcb->tlb_control = (svm_features & SVM_FEAT_FLUSH_BY_ASID) ? 3 : 1;
            s->flush_armed = true;
        }
        if (s->state_fresh) {
            __asm__ volatile("vmload %0" : : "a"(s->vmcb_pa) : "memory");
            s->state_fresh = false;
            s->state_live = true;
        }
        if (!vcpu_pre_entry(v)) {
            if (s->flush_armed)
                atomic_or(&v->requests, VCPU_REQ_FLUSH);
            return false;
        }
        if (!(atomic_load(&v->requests) & ~(u32)SVM_REQ_ENTRY) && !s->state_fresh)
            break;
    }
    svm_flush_event(s);
    if (s->flush_armed)
        atomic_or(&v->requests, SVM_REQ_ENTRY);
    return true;
}

void arch_wait_begin(void)
{
    __asm__ volatile("cli; stgi" : : : "memory");
}

void arch_wait_end(void)
{
    __asm__ volatile("clgi; sti" : : : "memory");
}

bool svm_before_entry(struct svm_vcpu *s)
{
    bool run;

    arch_wait_begin();
    run = before_entry(s);
    arch_wait_end();
    return run;
}

void arch_vcpu_run(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    boot_first_entry_mark();
    __asm__ volatile("clgi; sti" : : : "memory");
    if (svm_before_entry(s))
        svm_enter(s);
    __asm__ volatile("cli; stgi" : : : "memory");
}
