/*
 * The emulator against the CPU that runs the test: random 64-bit instructions are executed natively on a
 * window of memory and by guest_mmio() on a device with the same contents at the same address; registers,
 * flags and memory must agree.
 */
#include <stdio.h>
#include <sys/mman.h>
#include "gt.h"
#include "x86/guest/decode.h"

#define WIN     GT_MMIO
#define WIN_LEN GT_MMIO_LEN

struct native {
    u64 gpr[16]; /* guest_gpr order; RSP is not loaded */
    u64 rflags;
};

/* Runs the code at `code` (it ends in RET) with the registers in n. */
void native_run(struct native *n, const void *code);
__asm__(".text\n.globl native_run\nnative_run:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "push %rdi\n push %rsi\n"
        "pushq 128(%rdi)\n popfq\n"
        "mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n mov 24(%rdi), %rbx\n"
        "mov 40(%rdi), %rbp\n mov 48(%rdi), %rsi\n mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n"
        "mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n"
        "mov 112(%rdi), %r14\n mov 120(%rdi), %r15\n mov 56(%rdi), %rdi\n"
        "call *(%rsp)\n"
        "xchg %rdi, 8(%rsp)\n"
        "mov %rax, 0(%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n mov %rbx, 24(%rdi)\n"
        "mov %rbp, 40(%rdi)\n mov %rsi, 48(%rdi)\n mov %r8, 64(%rdi)\n mov %r9, 72(%rdi)\n"
        "mov %r10, 80(%rdi)\n mov %r11, 88(%rdi)\n mov %r12, 96(%rdi)\n mov %r13, 104(%rdi)\n"
        "mov %r14, 112(%rdi)\n mov %r15, 120(%rdi)\n"
        "pushfq\n popq 128(%rdi)\n cld\n"
        "mov 8(%rsp), %rax\n mov %rax, 56(%rdi)\n"
        "add $16, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static u8 *window, *code_page;
static u64 seed = 0xfeedfacecafebeefull;
static unsigned long runs;

static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void map_pages(void)
{
    if (window)
        return;
    window = mmap((void *)WIN, WIN_LEN, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_ptr_eq(window, (void *)WIN);
    code_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(code_page, MAP_FAILED);
}

/* Register contents that put the operand at `target` within the window; false when this instruction cannot be
 * steered. */
static bool steer(const struct insn *in, struct native *n, u64 target)
{
    u64 index;

    for (int r = 0; r < 16; r++)
        n->gpr[r] = rnd();
    if (in->base >= GPR_COUNT || in->base == GPR_RSP || in->index == GPR_RSP || in->base == in->index)
        return false;
    if (in->reg == GPR_RSP && !(in->flags & (INSN_IMM | INSN_HIGH8)))
        return false;
    if (in->op >= INSN_BT && !(in->flags & INSN_IMM)) {
        if (in->reg == in->base || in->reg == in->index)
            return false;
        /* bit numbers up to a page to either side, whatever stands above the operand size */
        n->gpr[in->reg] = (n->gpr[in->reg] & ~0x7fffull) | (rnd() & 0x3fff);
        if (rnd() & 1)
            n->gpr[in->reg] = (u64)((s64)(rnd() & 0x7fff) - 0x4000);
        if (in->size > 2)
            n->gpr[in->reg] = (u64)((s64)(rnd() & 0x7fff) - 0x4000);
    }
    index = in->index < GPR_COUNT ? n->gpr[in->index] << in->scale : 0;
    n->gpr[in->base] = target - index - in->disp;
    if (in->addr_size == 4) /* garbage above must not count */
        n->gpr[in->base] = (u32)n->gpr[in->base] | (rnd() << 32);
    return true;
}

static u64 flag_mask(const struct insn *in)
{
    if (in->op >= INSN_BT && in->op <= INSN_BTC)
        return RFLAGS_CF | RFLAGS_ZF;
    if (in->op == INSN_AND || in->op == INSN_OR || in->op == INSN_XOR || in->op == INSN_TEST)
        return RFLAGS_ARITH & ~RFLAGS_AF;
    return RFLAGS_ARITH;
}

static const char *hex(const u8 *b, unsigned len)
{
    static char s[64];

    for (unsigned i = 0; i < len; i++)
        snprintf(s + i * 3, 4, "%02x ", b[i]);
    return s;
}

/* What the CPU reports for a string instruction. */
static u64 string_address(const struct insn *in, const u64 *gpr, bool write)
{
    u64 a = gpr[write ? GPR_RDI : GPR_RSI];

    return in->addr_size == 4 ? (u32)a : a;
}

/* A bit string's operand lies whole operands away from its base, rounded down. */
static u64 bit_address(const struct insn *in, const struct native *n, u64 base)
{
    s64 bits = in->size * 8;
    s64 bit = in->size == 2   ? (s16)n->gpr[in->reg]
              : in->size == 4 ? (s32)n->gpr[in->reg]
                              : (s64)n->gpr[in->reg];
    s64 units = bit >= 0 ? bit / bits : -((bits - 1 - bit) / bits);

    return base + (u64)(units * in->size);
}

static void both(const u8 *b, const struct insn *in, struct native *n, u64 operand)
{
    u64 mask = flag_mask(in) | RFLAGS_DF;
    bool write = (in->flags & INSN_MEM_WRITE) && (!(in->flags & INSN_MEM_READ) || (rnd() & 1));
    unsigned exits = 0;
    u64 at;

    for (u64 i = 0; i < WIN_LEN; i += 8) {
        u64 r = rnd();

        memcpy(window + i, &r, 8);
    }
    memcpy(gt_mmio, window, WIN_LEN);
    for (int r = 0; r < 16; r++)
        gt_f->regs.gpr[r] = n->gpr[r];
    n->rflags |= 0x202;
    GREG(RFLAGS) = n->rflags;
    /* anywhere, also across two pages */
    at = GT_CODE + 0x1000 - 24 + rnd() % 40;
    gt_write(at, b, INSN_BUF);
    GREG(RIP) = at;
    memcpy(code_page, b, in->len);
    code_page[in->len] = 0xc3;

    native_run(n, code_page);
    do {
        gt_logged = 0;
        guest_mmio(gt_v, in->op >= INSN_MOVS ? string_address(in, gt_f->regs.gpr, write) : operand, write,
                   false);
        ck_assert_msg(!gt_f->queued && !gt_fatal, "%s: fault or fatal", hex(b, in->len));
        ck_assert_uint_lt(++exits, 100);
    } while (GREG(RIP) == at);

    ck_assert_uint_eq(GREG(RIP), at + in->len);
    for (int r = 0; r < 16; r++)
        if (r != GPR_RSP && gt_f->regs.gpr[r] != n->gpr[r])
            ck_abort_msg("%s: register %d is %lx, CPU says %lx", hex(b, in->len), r, gt_f->regs.gpr[r],
                         n->gpr[r]);
    if ((GREG(RFLAGS) ^ n->rflags) & mask)
        ck_abort_msg("%s: flags %lx, CPU says %lx", hex(b, in->len), GREG(RFLAGS), n->rflags);
    ck_assert_msg(memcmp(gt_mmio, window, WIN_LEN) == 0, "%s: memory differs", hex(b, in->len));
    runs++;
}

static const u8 one_byte_ops[] = {
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a, 0x1b, 0x20,
    0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b, 0x63, 0x80,
    0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff};
static const u8 two_byte_ops[] = {0xa3, 0xab, 0xb3, 0xbb, 0xba, 0xb6, 0xb7, 0xbe, 0xbf};

static const u8 mov_ops[] = {0x89, 0x8b, 0xc7};

static unsigned random_insn(u8 b[INSN_BUF])
{
    unsigned n = 0;

    for (unsigned i = 0; i < INSN_BUF; i++)
        b[i] = (u8)rnd();
    if (rnd() % 4 == 0)
        b[n++] = 0x66;
    if (rnd() % 6 == 0)
        b[n++] = 0x67;
    if (rnd() % 16 == 0)
        b[n++] = 0xf0;
    if (rnd() % 2)
        b[n++] = (u8)(0x40 | (rnd() & 15));
    if (rnd() % 4 == 0) {
        b[n++] = 0x0f;
        b[n++] = two_byte_ops[rnd() % ARRAY_SIZE(two_byte_ops)];
    } else if (rnd() % 4 == 0) {
        b[n++] = mov_ops[rnd() % ARRAY_SIZE(mov_ops)]; /* the short way (plain_mov.c) */
    } else {
        b[n++] = one_byte_ops[rnd() % ARRAY_SIZE(one_byte_ops)];
    }
    return n;
}

START_TEST(memory_instructions_do_what_the_cpu_does)
{
    struct insn in;
    struct native n;
    u8 b[INSN_BUF];

    map_pages();
    gt_mode64();
    runs = 0;
    for (unsigned i = 0; i < 60000; i++) {
        /* near page boundaries now and then */
        u64 target = WIN + 0x4000 + (rnd() % 3 ? (rnd() & 0xfff) : (rnd() & 15) - 8);

        random_insn(b);
        if (insn_decode(&in, b, 15, INSN_MODE_64) != DECODE_OK || !steer(&in, &n, target))
            continue;
        n.rflags = rnd() & RFLAGS_ARITH;
        if (in.op >= INSN_BT && !(in.flags & INSN_IMM)) /* the operand lies elsewhere */
            both(b, &in, &n, bit_address(&in, &n, target));
        else
            both(b, &in, &n, target);
    }
    ck_assert_uint_gt(runs, 10000);
}
END_TEST

START_TEST(string_instructions_do_what_the_cpu_does)
{
    static const u8 ops[] = {0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad};
    struct insn in;
    struct native n;

    map_pages();
    gt_mode64();
    runs = 0;
    for (unsigned i = 0; i < 6000; i++) {
        u8 b[INSN_BUF] = {0};
        unsigned len = 0;

        if (rnd() % 3)
            b[len++] = (rnd() & 1) ? 0xf3 : 0xf2;
        if (rnd() % 4 == 0)
            b[len++] = 0x66;
        if (rnd() % 4 == 0)
            b[len++] = 0x67;
        if (rnd() % 3 == 0)
            b[len++] = 0x48;
        b[len++] = ops[rnd() % ARRAY_SIZE(ops)];
        ck_assert_int_eq(insn_decode(&in, b, 15, INSN_MODE_64), DECODE_OK);
        for (int r = 0; r < 16; r++)
            n.gpr[r] = rnd();
        n.gpr[GPR_RCX] =
            1 + rnd() % (rnd() % 4 ? 20 : 200); /* 0 is no access, and vendors differ about bits 63:32 then */
        n.gpr[GPR_RSI] = WIN + 0x3000 + (rnd() & 0x1fff);
        n.gpr[GPR_RDI] = WIN + 0x3000 + (rnd() & 0x1fff);
        n.rflags = (rnd() & RFLAGS_ARITH) | (rnd() & RFLAGS_DF);
        if (in.addr_size == 4) {
            n.gpr[GPR_RCX] |= rnd() << 32;
            n.gpr[GPR_RSI] |= rnd() << 32;
            n.gpr[GPR_RDI] |= rnd() << 32;
        }
        both(b, &in, &n, 0);
    }
    ck_assert_uint_eq(runs, 6000);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, memory_instructions_do_what_the_cpu_does);
    tcase_add_test(t, string_instructions_do_what_the_cpu_does);
}

int main(void)
{
    return gt_main("native", add);
}
