/* Shell output: one vCPU's registers and local APIC. */
#include <arch/platform.h>
#include "x86/vdev/vlapic_state.h"

static const char *state_name(u32 state)
{
    switch (state) {
    case VCPU_OFFLINE:
        return "offline";
    case VCPU_WAIT_SIPI:
        return "waits for SIPI";
    case VCPU_RUNNING:
        return "running";
    case VCPU_HALTED:
        return "halted";
    default:
        return "stopped";
    }
}

static void dump_segments(struct vcpu *v, void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    static const char name[SEG_COUNT][3] = {"es", "cs", "ss", "ds", "fs", "gs", "ld", "tr", "gd", "id"};
    struct segment s;
    unsigned i;

    for (i = 0; i < SEG_COUNT; i++) {
        arch_vcpu_get_seg(v, (enum guest_seg)i, &s);
        print("%s %04x base %016lx limit %08x attr %05x\n", name[i], s.sel, s.base, s.limit, s.attr);
    }
}

/* One 256-bit LAPIC register, highest vector first. */
static void dump_bits(const struct vlapic *l, const char *what, u32 r,
                      void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    print("  %s %08x %08x %08x %08x %08x %08x %08x %08x\n", what, LREG(l, r + 7), LREG(l, r + 6),
          LREG(l, r + 5), LREG(l, r + 4), LREG(l, r + 3), LREG(l, r + 2), LREG(l, r + 1), LREG(l, r));
}

static void dump_lapic(struct vcpu *v, void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    static const char *const mode[] = {"disabled", "xAPIC", "x2APIC"};
    const struct vlapic *l = vlapic_of(v);

    print("vLAPIC %s base %lx id %x ldr %08x dfr %08x svr %03x tpr %02x ppr %02x in service %02x esr %02x\n",
          mode[l->state], l->base_msr, LREG(l, LR_ID), LREG(l, LR_LDR), LREG(l, LR_DFR), LREG(l, LR_SVR),
          LREG(l, LR_TPR), LREG(l, LR_PPR), l->isrv, LREG(l, LR_ESR) | l->esr_pending);
    print("  lvt timer %05x lint0 %05x lint1 %05x error %05x, count %u, deadline %lx, host timer %lx\n",
          LREG(l, LR_LVT_TIMER), LREG(l, LR_LVT_LINT0), LREG(l, LR_LVT_LINT1), LREG(l, LR_LVT_ERROR),
          LREG(l, LR_TIMER_INIT), l->tsc_deadline, l->timer.deadline);
    dump_bits(l, "isr", LR_ISR, print);
    dump_bits(l, "irr", LR_IRR, print);
    dump_bits(l, "tmr", LR_TMR, print);
}

void arch_dump_vcpu(struct vcpu *v, void (*print)(const char *fmt, ...))
{
    static const char name[GPR_COUNT][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                            "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15"};
    const struct guest_regs *r = arch_vcpu_regs(v);
    unsigned i;

    print("%s vcpu %u on cpu %u: %s, requests %x, cpl %u%s\n", v->vm->cfg->name, v->id, v->pcpu,
          state_name(v->state), v->requests, arch_vcpu_cpl(v),
          arch_vcpu_event_queued(v) ? ", event queued" : "");
    print("rip %016lx rflags %08lx cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx\n",
          arch_vcpu_get(v, REG_RIP), arch_vcpu_get(v, REG_RFLAGS), arch_vcpu_get(v, REG_CR0),
          arch_vcpu_get(v, REG_CR2), arch_vcpu_get(v, REG_CR3), arch_vcpu_get(v, REG_CR4),
          arch_vcpu_get(v, REG_EFER));
    for (i = 0; i < GPR_COUNT; i += 4)
        print("%s %016lx %s %016lx %s %016lx %s %016lx\n", name[i], r->gpr[i], name[i + 1], r->gpr[i + 1],
              name[i + 2], r->gpr[i + 2], name[i + 3], r->gpr[i + 3]);
    dump_segments(v, print);
    dump_lapic(v, print);
}
