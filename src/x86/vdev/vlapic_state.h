/*
 * State of one virtual local APIC and the short helpers that all of its files use. Private to the vlapic
 * files, events.c and dump.c; guest/msr.c reads base_msr.
 *
 * Who may touch what: IRR, TMR, irr_words, esr_pending, nmi and extint take atomic updates from any CPU;
 * everything else is written on the vCPU's own pCPU only (or while the VM does not run). Other CPUs read id,
 * LDR, DFR, SVR, LVT, PPR and mode without a lock when they match destinations; like on the interrupt bus, a
 * message that races with a change sees the one or the other.
 */
#ifndef BH_X86_VDEV_VLAPIC_STATE_H
#define BH_X86_VDEV_VLAPIC_STATE_H

#include <core/timer.h>
#include <core/vm.h>
#include <lib/atomic.h>
#include <lib/bits.h>
#include "x86/vdev/vlapic.h"

/* Register numbers: offset in the xAPIC page / 16, which is also the x2APIC MSR number - 0x800 (SDM tables
 * 10-1, 10-6). */
enum lapic_reg {
    LR_ID = 0x02,
    LR_VERSION = 0x03,
    LR_TPR = 0x08,
    LR_APR = 0x09,
    LR_PPR = 0x0a,
    LR_EOI = 0x0b,
    LR_RRD = 0x0c,
    LR_LDR = 0x0d,
    LR_DFR = 0x0e,
    LR_SVR = 0x0f,
    LR_ISR = 0x10, /* 8 words each */
    LR_TMR = 0x18,
    LR_IRR = 0x20,
    LR_ESR = 0x28,
    LR_ICR = 0x30,
    LR_ICR_HI = 0x31,
    LR_LVT_TIMER = 0x32,
    LR_LVT_THERMAL = 0x33,
    LR_LVT_PERF = 0x34,
    LR_LVT_LINT0 = 0x35,
    LR_LVT_LINT1 = 0x36,
    LR_LVT_ERROR = 0x37,
    LR_TIMER_INIT = 0x38,
    LR_TIMER_CUR = 0x39,
    LR_TIMER_DIV = 0x3e,
    LR_SELF_IPI = 0x3f,
    LR_COUNT = 0x40,
};

#define LAPIC_VERSION 0x00050014U /* integrated APIC, 6 LVT entries, no EOI-broadcast suppression */

#define APIC_BASE_BSP  BIT64(8)
#define APIC_BASE_EXTD BIT64(10)
#define APIC_BASE_EN   BIT64(11)

#define SVR_ENABLE BIT32(8)

#define LVT_MASKED     BIT32(16)
#define LVT_LEVEL      BIT32(15)
#define LVT_REMOTE_IRR BIT32(14)
#define LVT_PENDING    BIT32(12)
#define LVT_MODE(r)    (((r) >> 8) & 7)

#define LVT_TIMER_MODE(r) (((r) >> 17) & 3)
enum lapic_timer_mode { TIMER_ONESHOT = 0, TIMER_PERIODIC = 1, TIMER_DEADLINE = 2 };

/* ESR bits (SDM 10.5.3). */
#define ESR_SEND_REDIRECTABLE BIT32(4)
#define ESR_SEND_VECTOR       BIT32(5)
#define ESR_RECV_VECTOR       BIT32(6)
#define ESR_REGISTER          BIT32(7)

enum lapic_state { LAPIC_DISABLED = 0, LAPIC_XAPIC = 1, LAPIC_X2APIC = 2 };

/*
 * Where the CPU may carry out part of the local APIC (arch_vcpu_apic_mode()), the register file has the
 * layout of the xAPIC page: it is the page that the CPU works on. What lies beyond the registers in that page
 * is no register of it.
 */
#define LAPIC_STRIDE  (CFG_APIC_ASSIST ? 4U : 1U)
#define LREG(l, r)    ((l)->file[(r)*LAPIC_STRIDE])
#define LAPIC_ALIGNED (CFG_APIC_ASSIST ? 4096 : 64)

struct vlapic {
#if CFG_APIC_ASSIST
    u32 file[LR_COUNT * LAPIC_STRIDE]; /* the registers as they read; special cases in vlapic.c */
#endif
    /* What interrupt delivery and EOI touch. */
    u32 irr_words; /* bit i: IRR word i may be non-zero (never clear while it is, except under way) */
    u32 isr_words; /* bit i: ISR word i is non-zero */
    u32 state;     /* enum lapic_state */
    u32 isrv;      /* highest vector in service, 0: none */
    u32 esr_pending;
    u32 nmi;     /* an NMI was taken from the request word and not injected yet */
    u32 extint;  /* an ExtINT message arrived: take a vector from the 8259 pair */
    bool window; /* interrupt window asked for */
    bool nmi_window;

#if !CFG_APIC_ASSIST
    u32 file[LR_COUNT * LAPIC_STRIDE];
#endif
    u32 help;      /* enum arch_apic_help that the CPU gives in the present mode */
    u32 shift;     /* log2 of the timer's divider */
    u32 svr, lvtt; /* SVR and LVT timer as they were last acted upon: the CPU may write the file first */

    u64 base_msr;
    struct vcpu *vcpu;

    /* Timer: TSC values are the host's. */
    u64 start;        /* when the count was last loaded or rescaled */
    u64 expiry;       /* when the count reaches zero (next time, if periodic); TIMER_OFF when stopped */
    u64 period;       /* ticks of one full count */
    u64 tsc_deadline; /* guest's IA32_TSC_DEADLINE, 0: disarmed */
    struct timer timer;
} ALIGNED(LAPIC_ALIGNED);

extern struct vlapic vlapics[CFG_VCPUS];

static inline struct vlapic *vlapic_of(const struct vcpu *v)
{
    return &vlapics[v->index];
}

/* Highest requested vector regardless of priority, 0: none. */
static inline u32 vlapic_irrv(const struct vlapic *l)
{
    u32 words = atomic_load(&l->irr_words);

    while (words) {
        u32 w = bit_high32(words);
        u32 bits = atomic_load(&LREG(l, LR_IRR + w));

        if (bits)
            return w * 32 + bit_high32(bits);
        words &= ~BIT32(w);
    }
    return 0;
}

/* Highest requested vector that the processor priority lets through, 0: none. */
static inline u32 vlapic_deliverable(const struct vlapic *l)
{
    u32 vec = vlapic_irrv(l);

    return (vec & 0xf0) > (LREG(l, LR_PPR) & 0xf0) ? vec : 0;
}

/* PPR from TPR and the highest vector in service (SDM 10.8.3.1). */
static inline void vlapic_update_ppr(struct vlapic *l)
{
    u32 tpr = LREG(l, LR_TPR), isr = l->isrv & 0xf0;

    LREG(l, LR_PPR) = (tpr & 0xf0) >= isr ? tpr : isr;
}

/* Own pCPU, after the priority went down. */
static inline void vlapic_recheck(struct vlapic *l)
{
    bool tpr_in_cpu = CFG_APIC_ASSIST && l->help == APIC_HELP_TPR; /* the threshold may have to change */

    if (atomic_load(&l->irr_words) && (tpr_in_cpu || vlapic_deliverable(l)))
        vcpu_request(l->vcpu, VCPU_REQ_EVENT);
}

/* The CPU takes interrupts from the page itself: what is requested and in service stands there alone. */
static inline bool vlapic_irqs_in_cpu(const struct vlapic *l)
{
    return CFG_APIC_ASSIST && (atomic_load_relaxed(&l->help) & APIC_HELP_IRQ);
}
/* Brings irr_words, isr_words, isrv and PPR in line with a page that the CPU works on. Own pCPU; no effect
 * without help. */
void vlapic_catch_up(struct vlapic *l);

/* Moves a deliverable vector from IRR to ISR: the CPU acknowledged it. Own pCPU. */
void vlapic_ack(struct vlapic *l, u32 vec);
/* Puts a vector (16..255) into the IRR. Any CPU. */
void vlapic_accept(struct vlapic *l, u32 vec, bool level);
/* Raises a local interrupt through an LVT entry. Any CPU. False: masked or not acceptable. */
bool vlapic_lvt_fire(struct vlapic *l, enum lapic_reg lvt);
/* Records an error for the ESR and raises the error interrupt. Any CPU. */
void vlapic_error(struct vlapic *l, u32 bit);

/* Sends what the ICR says. icr: bits 31:0 as in the register; dest 8 or 32 bits wide by the APIC's state. Own
 * pCPU. */
void vlapic_send_ipi(struct vlapic *l, u32 icr, u32 dest);
void vlapic_self_ipi(struct vlapic *l, u32 vec);

/* vlapic_timer.c; own pCPU. */
void vlapic_timer_init(struct vlapic *l);
void vlapic_timer_reset(struct vlapic *l);
void vlapic_timer_set_count(struct vlapic *l, u32 count);
u32 vlapic_timer_count(struct vlapic *l);
void vlapic_timer_set_divider(struct vlapic *l, u32 div);
/* The LVT timer entry changed from `old` to its present value. */
void vlapic_timer_lvt_changed(struct vlapic *l, u32 old);
void vlapic_timer_set_deadline(struct vlapic *l, u64 guest_tsc);
u64 vlapic_timer_deadline(struct vlapic *l);

#endif
