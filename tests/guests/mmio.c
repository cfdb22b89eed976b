/*
 * The instruction forms that reach memory-mapped registers, each against a register of the local APIC (TMICT,
 * 32 bits that keep any value while the timer is masked) or of the IOAPIC, so that a real device answers. The
 * same form is run on ordinary memory: both must leave the same value and the same flags.
 */
#include "guest.h"

#define REG   (APIC_BASE + APIC_TMICT)
#define A     0x89abcdefu
#define B     0x13572468u
#define FLAGS 0x8d5u /* OF SF ZF AF PF CF */
#define NO_AF 0x8c5u /* AF is undefined after the logical operations */

static volatile u32 plain[4] __attribute__((aligned(16)));

struct result {
    u64 reg; /* RAX afterwards */
    u32 mem;
    u64 flags;
};

typedef void (*form_fn)(volatile u32 *m, struct result *r);

/* One form: the text sees the address in RBX (and RSI/RDI where it sets them), B in RAX, 5 in RCX, flags all
 * clear but CF. */
#define FORM(name, text)                                                                                     \
    static void name(volatile u32 *m, struct result *r)                                                      \
    {                                                                                                        \
        u64 a = B, f;                                                                                        \
                                                                                                             \
        *m = A;                                                                                              \
        __asm__ volatile("stc\n\t" text "\n\tpushfq\n\tpop %1"                                               \
                         : "+a"(a), "=&r"(f)                                                                 \
                         : "b"(m), "c"(5UL)                                                                  \
                         : "rdx", "rsi", "rdi", "r8", "r9", "r10", "memory", "cc");                          \
        r->reg = a;                                                                                          \
        r->mem = *m;                                                                                         \
        r->flags = f;                                                                                        \
    }

/* clang-format off */
#define FORMS(X)                                                                     \
    X(mov_load, "mov (%%rbx), %%eax", FLAGS)                                         \
    X(mov_load_high, "mov (%%rbx), %%r9d\n\tmov %%r9, %%rax", FLAGS)                 \
    X(mov_store, "mov %%eax, (%%rbx)", FLAGS)                                        \
    X(mov_store_high, "mov %%eax, %%r10d\n\tmov %%r10d, (%%rbx)", FLAGS)             \
    X(mov_imm, "movl $0x7fedcba9, (%%rbx)", FLAGS)                                   \
    X(mov_imm_neg, "movl $-2, (%%rbx)", FLAGS)                                       \
    X(mov_sib, "mov $4, %%edx\n\tmov -16(%%rbx,%%rdx,4), %%eax", FLAGS)              \
    X(mov_sib_r8, "mov %%rbx, %%r8\n\tmov $2, %%r9d\n\tmov -8(%%r8,%%r9,4), %%eax", FLAGS) \
    X(mov_disp32, "lea -0x12345(%%rbx), %%rdx\n\tmov 0x12345(%%rdx), %%eax", FLAGS)  \
    X(mov_addr32, "mov (%%ebx), %%eax", FLAGS)                                       \
    X(mov_ds_prefix, ".byte 0x3e\n\tmov (%%rbx), %%eax", FLAGS)                      \
    X(mov_fs, "mov %%fs:(%%rbx), %%eax", FLAGS)                                      \
    X(add_store, "add %%eax, (%%rbx)", FLAGS)                                        \
    X(add_load, "add (%%rbx), %%eax", FLAGS)                                         \
    X(add_imm8, "addl $-3, (%%rbx)", FLAGS)                                          \
    X(add_imm32, "addl $0x12345678, (%%rbx)", FLAGS)                                 \
    X(adc_store, "adc %%eax, (%%rbx)", FLAGS)                                        \
    X(sbb_store, "sbb %%eax, (%%rbx)", FLAGS)                                        \
    X(sub_store, "sub %%eax, (%%rbx)", FLAGS)                                        \
    X(sub_load, "sub (%%rbx), %%eax", FLAGS)                                         \
    X(sub_imm8, "subl $0x7f, (%%rbx)", FLAGS)                                        \
    X(and_store, "and %%eax, (%%rbx)", NO_AF)                                        \
    X(and_load, "and (%%rbx), %%eax", NO_AF)                                         \
    X(and_imm8, "andl $-16, (%%rbx)", NO_AF)                                         \
    X(and_imm32, "andl $0x00ffff00, (%%rbx)", NO_AF)                                 \
    X(or_store, "or %%eax, (%%rbx)", NO_AF)                                          \
    X(or_load, "or (%%rbx), %%eax", NO_AF)                                           \
    X(or_imm, "orl $0x100, (%%rbx)", NO_AF)                                          \
    X(xor_store, "xor %%eax, (%%rbx)", NO_AF)                                        \
    X(xor_load, "xor (%%rbx), %%eax", NO_AF)                                         \
    X(cmp_store, "cmp %%eax, (%%rbx)", FLAGS)                                        \
    X(cmp_load, "cmp (%%rbx), %%eax", FLAGS)                                         \
    X(cmp_imm, "cmpl $0x11, (%%rbx)", FLAGS)                                         \
    X(test_reg, "test %%eax, (%%rbx)", NO_AF)                                        \
    X(test_imm, "testl $0x80000000, (%%rbx)", NO_AF)                                 \
    X(xchg, "xchg %%eax, (%%rbx)", FLAGS)                                            \
    X(lock_or, "lock orl $0x10, (%%rbx)", NO_AF)                                     \
    X(bt_imm, "btl $3, (%%rbx)", BIT(0))                                             \
    X(bt_reg, "bt %%ecx, (%%rbx)", BIT(0))                                           \
    X(bts_imm, "btsl $4, (%%rbx)", BIT(0))                                           \
    X(btr_reg, "btr %%ecx, (%%rbx)", BIT(0))                                         \
    X(btc_imm, "btcl $31, (%%rbx)", BIT(0))                                          \
    X(movs_from, "mov %%rbx, %%rsi\n\tlea 8+plain(%%rip), %%rdi\n\tmovsl\n\tmov 8+plain(%%rip), %%eax", FLAGS) \
    X(movs_to, "mov %%rbx, %%rdi\n\tlea 8+plain(%%rip), %%rsi\n\tmovl $0x600d600d, 8+plain(%%rip)\n\tmovsl", FLAGS) \
    X(stos, "mov %%rbx, %%rdi\n\tstosl", FLAGS)                                      \
    X(rep_stos, "mov %%rbx, %%rdi\n\tmov $1, %%ecx\n\trep stosl", FLAGS)             \
    X(lods, "mov %%rbx, %%rsi\n\tlodsl", FLAGS)                                      \
    X(movabs, "movabs $0xfee00380, %%rdx\n\tcmp %%rdx, %%rbx\n\tjne 1f\n\tmovabs 0xfee00380, %%eax\n\tjmp 2f\n1:\tmovabs plain, %%eax\n2:\ttest %%al, %%al", NO_AF)
/* clang-format on */

#define DEFINE(name, text, mask) FORM(form_##name, text)
FORMS(DEFINE)

static const struct {
    const char *name;
    form_fn fn;
    u64 mask;
} forms[] = {
#define ENTRY(name, text, mask) {#name, form_##name, mask},
    FORMS(ENTRY)};

static void check_forms(void)
{
    volatile u32 *reg = (volatile u32 *)REG;

    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        struct result want = {0, 0, 0}, got = {0, 0, 0};

        forms[i].fn(plain, &want);
        forms[i].fn(reg, &got);
        check(want.reg == got.reg && want.mem == got.mem && ((want.flags ^ got.flags) & forms[i].mask) == 0,
              "%s: register 0x%lx memory 0x%x flags 0x%lx", forms[i].name, got.reg, got.mem,
              got.flags & forms[i].mask);
    }
}

/* Byte accesses and zero- and sign-extending loads: IOREGSEL of the IOAPIC takes bytes. */
static void check_bytes(void)
{
    volatile u8 *sel = (volatile u8 *)IOAPIC_BASE;
    u64 v;

    *sel = 1;
    check((*(volatile u32 *)(IOAPIC_BASE + 0x10) >> 16 & 0xff) >= 23, "a byte write selects a register");
    __asm__ volatile("movb $0xf0, (%1)\n\tmovzbl (%1), %k0" : "=&r"(v) : "r"(sel) : "memory");
    check(v == 0xf0, "MOVZX from a byte (0x%lx)", v);
    __asm__ volatile("movsbq (%1), %0" : "=&r"(v) : "r"(sel) : "memory");
    check(v == 0xfffffffffffffff0, "MOVSX from a byte to 64 bits (0x%lx)", v);
    __asm__ volatile("mov $-1, %0\n\tmovzbw (%1), %w0" : "=&r"(v) : "r"(sel) : "memory");
    check(v == 0xffffffffffff00f0, "MOVZX to 16 bits keeps the upper part (0x%lx)", v);
    __asm__ volatile("mov $0x12, %%ah\n\tmov %%ah, (%1)\n\tmov $0, %%eax\n\tmov (%1), %%ah"
                     : "=&a"(v)
                     : "b"(sel)
                     : "memory");
    check(v == 0x1200, "AH as source and destination (0x%lx)", v);
    __asm__ volatile("mov $0x33, %%esi\n\tmov %%sil, (%1)\n\tmov (%1), %b0"
                     : "=&r"(v)
                     : "r"(sel)
                     : "rsi", "memory");
    check((u8)v == 0x33, "SIL as source");
    __asm__ volatile("mov $1, %0\n\ttestb $0x30, (%1)\n\tjnz 1f\n\txor %k0, %k0\n1:"
                     : "=&r"(v)
                     : "r"(sel)
                     : "memory", "cc");
    check(v == 1, "TEST of a byte");
    __asm__ volatile("orb $4, (%1)\n\tmovzbl (%1), %k0" : "=&r"(v) : "r"(sel) : "memory", "cc");
    check(v == 0x37, "OR of a byte (0x%lx)", v);
    *sel = 0;
}

/* Faults that belong to the instruction, not to the device. */
static void check_faults(void)
{
    boot_pd[0xfee00000 >> 21] &= ~(u64)2; /* read-only page */
    invlpg(0xfee00000);
    WRITE_CR(0, READ_CR(0) | BIT(16));
    probe_start();
    __asm__ volatile(PROBE("movl $0, (%0)")::"r"(REG) : PROBE_CLOBBER);
    check(probe_result() == 14 && this()->probe.error == 3 && this()->probe.cr2 == REG,
          "a write through a read-only page raises #PF");
    probe_start();
    __asm__ volatile(PROBE("mov (%0), %%eax")::"r"(REG) : PROBE_CLOBBER, "rax");
    check(probe_result() < 0, "a read through it works");
    boot_pd[0xfee00000 >> 21] |= 2;
    invlpg(0xfee00000);
}

/* The same register from 32-bit code: a far call into a compatibility-mode segment and back. */
static void check_compat(void)
{
    u32 v = 0, w;

    *(volatile u32 *)REG = 0x01020304;
    __asm__ volatile("push %%rbx\n\t"
                     "lea 2f(%%rip), %%rax\n\t"
                     "push $0x18\n\tpush %%rax\n\tlretq\n\t"
                     ".code32\n"
                     "2:\tmovl $0xfee00380, %%ebx\n\t"
                     "movl (%%ebx), %%ecx\n\t"
                     "movl $0xfee00000, %%edx\n\t"
                     "movl $0x55667788, %%eax\n\t"
                     "movl %%eax, 0x380(%%edx)\n\t"
                     "incl %%edx\n\tdecl %%edx\n\t"
                     "addl $0x11111111, 0xfee00380\n\t"
                     "movl 0xfee00380, %%edx\n\t"
                     "ljmp $0x08, $3f\n\t"
                     ".code64\n"
                     "3:\tpop %%rbx\n\t"
                     : "=&c"(v), "=&d"(w)::"rax", "memory", "cc");
    check(v == 0x01020304, "a load in 32-bit code (0x%x)", v);
    check(w == 0x66778899, "a store and an addition in 32-bit code (0x%x)", w);
}

void guest_main(void)
{
    guest_init();
    apic_write(APIC_LVT_TIMER, (u32)LVT_MASKED);
    check_forms();
    check_bytes();
    check_faults();
    check_compat();
    done();
}
