#include <stdarg.h>
#include <arch/cpu.h>
#include <core/console.h>
#include <lib/atomic.h>
#include <lib/fmt.h>
#include <lib/log.h>
#include "x86/hw/hostirq.h"
#include "x86/hw/lapic.h"
#include "x86/hw/percpu.h"
#include "x86/hw/regs.h"
#include "x86/hw/smp.h"
#include "x86/hw/traps.h"

struct idt_gate idt[256] ALIGNED(4096);

/* nmi_range.h */
struct nmi_range {
    s32 start, end, landing;
};
_Static_assert(sizeof(struct nmi_range) == 12, "nmi_range.h");

/* traps_entry.S */
extern const u8 trap_stubs[], irq_timer[], irq_kick[], irq_uart[], irq_error[], irq_spurious[],
    irq_unexpected[];
/* layout.ld.j2 */
extern const struct extable_entry ld_extable_start[], ld_extable_end[];
extern const struct nmi_range ld_nmi_ranges_start[], ld_nmi_ranges_end[];

#define TRAP_STUB_SIZE 16
#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */

enum { VECTOR_NMI = 2, VECTOR_UD = 6, VECTOR_SS = 12, VECTOR_GP = 13, VECTOR_PF = 14 };

static void set_gate(u32 vector, const u8 *entry)
{
    u64 a = (u64)entry;

    idt[vector] = (struct idt_gate){
        .offset_lo = (u16)a,
        .selector = SEL_CODE,
        .type = GATE_INTERRUPT,
        .offset_mid = (u16)(a >> 16),
        .offset_hi = (u32)(a >> 32),
    };
}

COLD void idt_build(void)
{
    for (u32 v = 0; v < 256; v++)
        set_gate(v, v < 32 ? &trap_stubs[(size_t)v * TRAP_STUB_SIZE] : irq_unexpected);
    set_gate(VEC_TIMER, irq_timer);
    set_gate(VEC_KICK, irq_kick);
    set_gate(VEC_UART, irq_uart);
    if (CFG_APIC_ASSIST)
        set_gate(VEC_POSTED, irq_kick);
    set_gate(VEC_ERROR, irq_error);
    set_gate(VEC_SPURIOUS, irq_spurious);
    for (u32 i = 0; CFG_SERVICE && i < HOSTIRQ_COUNT; i++)
        set_gate(HOSTIRQ_FIRST + i, &hostirq_stubs[(size_t)i * HOSTIRQ_STUB_SIZE]);
}

void idt_load(void)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED idtr = {sizeof(idt) - 1, (u64)idt};

    __asm__ volatile("lidt %0" : : "m"(idtr));
}

bool safe_read64(u64 va, u64 *val)
{
    u64 v = 0;
    u32 ok = 0;

    __asm__ volatile("1: movq (%2), %0\n\t"
                     "movl $1, %1\n"
                     "2:\n\t" EXTABLE("1b", "2b")
                     : "+r"(v), "+r"(ok)
                     : "r"(va)
                     : "memory");
    *val = v;
    return ok != 0;
}

bool safe_read8(u64 va, u8 *val)
{
    u32 v = 0, ok = 0;

    __asm__ volatile("1: movzbl (%2), %0\n\t"
                     "movl $1, %1\n"
                     "2:\n\t" EXTABLE("1b", "2b")
                     : "+r"(v), "+r"(ok)
                     : "r"(va)
                     : "memory");
    *val = (u8)v;
    return ok != 0;
}

/* ---- the dump ---- */

static const char *const vector_names[32] = {
    [0] = "#DE divide error",
    [1] = "#DB debug",
    [2] = "NMI",
    [3] = "#BP breakpoint",
    [4] = "#OF overflow",
    [5] = "#BR bound range",
    [6] = "#UD invalid opcode",
    [7] = "#NM device not available",
    [8] = "#DF double fault",
    [10] = "#TS invalid TSS",
    [11] = "#NP segment not present",
    [12] = "#SS stack fault",
    [13] = "#GP general protection",
    [14] = "#PF page fault",
    [16] = "#MF x87 error",
    [17] = "#AC alignment check",
    [18] = "#MC machine check",
    [19] = "#XM SIMD error",
    [21] = "#CP control protection",
    [29] = "#VC VMM communication",
    [30] = "#SX security",
};

static PRINTF(1, 2) void dump_line(const char *fmt, ...)
{
    char buf[128];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = bh_vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    console_panic_write(buf, MIN((size_t)n, sizeof(buf) - 1));
}

typedef unsigned long long ull;

extern const u8 ld_text_start[], ld_text_end[];

static void dump_pf(u64 error)
{
    dump_line("  %s of %s page, %s; cr2 %016llx\n",
              error & BIT64(4) ? "instruction fetch" : (error & BIT64(1) ? "write" : "read"),
              error & BIT64(0) ? "a present" : "an unmapped",
              error & BIT64(3) ? "reserved bit set" : (error & BIT64(2) ? "user mode" : "supervisor mode"),
              (ull)read_cr2());
}

/*
 * The code keeps no frame pointers (they would cost every exit some two dozen instructions), so callers are
 * what on the stack points into the text: a few of them may be left over from earlier calls.
 */
static void dump_stack(const struct trap_frame *f)
{
    u32 callers = 0;
    u64 v;

    dump_line("  stack:");
    for (u32 i = 0; i < 24; i++) {
        if (!safe_read64(f->rsp + (u64)i * 8, &v))
            break;
        dump_line("%s %016llx", i % 4 == 0 ? "\n   " : "", (ull)v);
    }
    dump_line("\n  called from, as far as the stack tells:");
    for (u32 i = 0; i < 256 && callers < 12; i++) {
        if (!safe_read64(f->rsp + (u64)i * 8, &v))
            break;
        if (v >= (u64)ld_text_start && v < (u64)ld_text_end) {
            dump_line(" %016llx", (ull)v);
            callers++;
        }
    }
    dump_line("\n");
}

static void dump_frame(const struct trap_frame *f)
{
    const char *name = f->vector < 32 ? vector_names[f->vector] : NULL;

    dump_line("\nhypervisor exception on CPU %u: %s, vector %llu, error code 0x%llx\n", this_cpu()->id,
              name ? name : "reserved", (ull)f->vector, (ull)f->error);
    if (f->vector == VECTOR_PF)
        dump_pf(f->error);
    dump_line("  rip %04llx:%016llx rflags %016llx rsp %04llx:%016llx\n", (ull)f->cs, (ull)f->rip,
              (ull)f->rflags, (ull)f->ss, (ull)f->rsp);
    dump_line("  rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", (ull)f->rax, (ull)f->rbx, (ull)f->rcx,
              (ull)f->rdx);
    dump_line("  rsi %016llx rdi %016llx rbp %016llx r8  %016llx\n", (ull)f->rsi, (ull)f->rdi, (ull)f->rbp,
              (ull)f->r8);
    dump_line("  r9  %016llx r10 %016llx r11 %016llx r12 %016llx\n", (ull)f->r9, (ull)f->r10, (ull)f->r11,
              (ull)f->r12);
    dump_line("  r13 %016llx r14 %016llx r15 %016llx\n", (ull)f->r13, (ull)f->r14, (ull)f->r15);
    dump_line("  cr0 %016llx cr3 %016llx cr4 %016llx\n", (ull)read_cr0(), (ull)read_cr3(), (ull)read_cr4());
    dump_stack(f);
}

/* ---- dispatch ---- */

static u64 from_here(const s32 *offset)
{
    return (u64)offset + (u64)(s64)*offset;
}

static bool fixup(struct trap_frame *f)
{
    if (f->vector != VECTOR_GP && f->vector != VECTOR_PF && f->vector != VECTOR_UD && f->vector != VECTOR_SS)
        return false;
    for (const struct extable_entry *e = ld_extable_start; (u64)e < (u64)ld_extable_end; e++) {
        if (from_here(&e->insn) == f->rip) {
            f->rip = from_here(&e->landing);
            return true;
        }
    }
    return false;
}

/* A kick or a call to stop: arriving is the point, unless it came where it would be lost. */
static void handle_nmi(struct trap_frame *f)
{
    if (smp_stopping())
        arch_halt_forever();
    this_percpu()->nmis++;
    for (const struct nmi_range *r = ld_nmi_ranges_start; (u64)r < (u64)ld_nmi_ranges_end; r++) {
        if (f->rip >= from_here(&r->start) && f->rip < from_here(&r->end))
            f->rip = from_here(&r->landing);
    }
}

void trap_dispatch(struct trap_frame *f)
{
    if (f->vector == VECTOR_NMI) {
        handle_nmi(f);
        return;
    }
    if (fixup(f))
        return;
    if (this_percpu()->in_trap++) /* the dump itself faulted: what was printed has to do */
        arch_halt_forever();
    arch_stop_others();
    dump_frame(f);
    panic("exception %llu in the hypervisor at %016llx", (ull)f->vector, (ull)f->rip);
}

void irq_dispatch(u32 vector)
{
    struct percpu *p = this_percpu();

    switch (vector) {
    case VEC_TIMER:
        p->irqs[HW_IRQ_TIMER]++;
        lapic_timer_fired();
        break;
    case VEC_KICK:
        p->irqs[HW_IRQ_KICK]++;
        break;
    case VEC_UART:
        p->irqs[HW_IRQ_UART]++;
        atomic_or(&p->cpu.requests, CPU_REQ_CONSOLE);
        break;
    case VEC_ERROR:
        p->irqs[HW_IRQ_ERROR]++;
        lapic_clear_error();
        break;
    case VEC_SPURIOUS: /* never in service: no EOI (SDM vol. 3A 10.9) */
        p->irqs[HW_IRQ_SPURIOUS]++;
        return;
    default:
        p->irqs[HW_IRQ_UNEXPECTED]++;
        break;
    }
    lapic_eoi();
}
