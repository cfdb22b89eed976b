/* Results and flags of alu() against the same instruction executed by the CPU that runs the test. */
#include <check.h>
#include <stdlib.h>
#include "x86/guest/alu.h"
#include "x86/guest/regs.h"

/* One native operation: operands in, result and flags out. flags go in and out through the stack. */
#define NATIVE2(name, text, type)                                                                            \
    static u64 name(u64 a, u64 b, u64 *flags)                                                                \
    {                                                                                                        \
        type x = (type)a, y = (type)b;                                                                       \
        u64 f = *flags;                                                                                      \
                                                                                                             \
        __asm__ volatile("pushq %2\n\tpopfq\n\t" text "\n\tpushfq\n\tpopq %2"                                \
                         : "+r"(x), "+r"(y), "+r"(f)                                                         \
                         :                                                                                   \
                         : "cc", "memory");                                                                  \
        *flags = f;                                                                                          \
        return x;                                                                                            \
    }
#define NATIVE4(n, insn)                                                                                     \
    NATIVE2(n##_1, insn "b %b1, %b0", u8)                                                                    \
    NATIVE2(n##_2, insn "w %w1, %w0", u16)                                                                   \
    NATIVE2(n##_4, insn "l %k1, %k0", u32)                                                                   \
    NATIVE2(n##_8, insn "q %q1, %q0", u64)
#define NATIVE1(n, insn)                                                                                     \
    NATIVE2(n##_1, insn "b %b0", u8)                                                                         \
    NATIVE2(n##_2, insn "w %w0", u16)                                                                        \
    NATIVE2(n##_4, insn "l %k0", u32)                                                                        \
    NATIVE2(n##_8, insn "q %q0", u64)
/* bit instructions have no byte form */
#define NATIVE3(n, insn)                                                                                     \
    NATIVE2(n##_2, insn "w %w1, %w0", u16)                                                                   \
    NATIVE2(n##_4, insn "l %k1, %k0", u32)                                                                   \
    NATIVE2(n##_8, insn "q %q1, %q0", u64)

NATIVE4(n_add, "add")
NATIVE4(n_or, "or")
NATIVE4(n_adc, "adc")
NATIVE4(n_sbb, "sbb")
NATIVE4(n_and, "and")
NATIVE4(n_sub, "sub")
NATIVE4(n_xor, "xor")
NATIVE4(n_cmp, "cmp")
NATIVE4(n_test, "test")
NATIVE1(n_not, "not")
NATIVE1(n_neg, "neg")
NATIVE1(n_inc, "inc")
NATIVE1(n_dec, "dec")
NATIVE3(n_bt, "bt")
NATIVE3(n_bts, "bts")
NATIVE3(n_btr, "btr")
NATIVE3(n_btc, "btc")

typedef u64 (*native_fn)(u64 a, u64 b, u64 *flags);

#define ROW4(op, n)                                                                                          \
    {                                                                                                        \
        op, #op,                                                                                             \
        {                                                                                                    \
            n##_1, n##_2, n##_4, n##_8                                                                       \
        }                                                                                                    \
    }
#define ROW3(op, n)                                                                                          \
    {                                                                                                        \
        op, #op,                                                                                             \
        {                                                                                                    \
            NULL, n##_2, n##_4, n##_8                                                                        \
        }                                                                                                    \
    }

static const struct {
    enum insn_op op;
    const char *name;
    native_fn fn[4];
} ops[] = {
    ROW4(INSN_ADD, n_add),   ROW4(INSN_OR, n_or),   ROW4(INSN_ADC, n_adc), ROW4(INSN_SBB, n_sbb),
    ROW4(INSN_AND, n_and),   ROW4(INSN_SUB, n_sub), ROW4(INSN_XOR, n_xor), ROW4(INSN_CMP, n_cmp),
    ROW4(INSN_TEST, n_test), ROW4(INSN_NOT, n_not), ROW4(INSN_NEG, n_neg), ROW4(INSN_INC, n_inc),
    ROW4(INSN_DEC, n_dec),   ROW3(INSN_BT, n_bt),   ROW3(INSN_BTS, n_bts), ROW3(INSN_BTR, n_btr),
    ROW3(INSN_BTC, n_btc),
};

static u64 seed = 0x123456789abcdefull;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static const u64 edges[] = {0,          1,          2,          0xf,        0x10,       0x7f,
                            0x80,       0x81,       0xff,       0x100,      0x7fff,     0x8000,
                            0xffff,     0x10000,    0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
                            ~0ull >> 1, 1ull << 63, ~0ull - 1,  ~0ull};

/* Undefined for logical instructions and for bit instructions; real CPUs differ or leave them, so compare
 * what is defined. */
static u64 defined_flags(enum insn_op op)
{
    if (op >= INSN_BT)
        return RFLAGS_CF | RFLAGS_ZF;
    if (op == INSN_AND || op == INSN_OR || op == INSN_XOR || op == INSN_TEST)
        return RFLAGS_ARITH & ~RFLAGS_AF;
    return RFLAGS_ARITH;
}

static void check_case(unsigned i, unsigned s, u64 a, u64 b, u64 flags_in)
{
    unsigned size = 1u << s;
    u64 want_flags = flags_in | 2, got_flags = want_flags, want, got;
    u64 mask = defined_flags(ops[i].op);

    if (ops[i].op >= INSN_BT)
        b &= 0xff; /* the register form's wider numbers belong to memory operands */
    want = ops[i].fn[s](a, b, &want_flags);
    got = alu(ops[i].op, size, a, b, &got_flags);
    if (ops[i].op != INSN_CMP && ops[i].op != INSN_TEST && ops[i].op != INSN_BT && got != want)
        ck_abort_msg("%s size %u: %llx, %llx gives %llx, CPU says %llx", ops[i].name, size,
                     (unsigned long long)a, (unsigned long long)b, (unsigned long long)got,
                     (unsigned long long)want);
    if ((got_flags ^ want_flags) & mask)
        ck_abort_msg("%s size %u: %llx, %llx with flags %llx: flags %llx, CPU says %llx", ops[i].name, size,
                     (unsigned long long)a, (unsigned long long)b, (unsigned long long)flags_in,
                     (unsigned long long)got_flags, (unsigned long long)(want_flags));
    if ((got_flags ^ flags_in) & ~(RFLAGS_ARITH | 2))
        ck_abort_msg("%s touches other flags", ops[i].name);
}

START_TEST(results_and_flags_are_those_of_the_cpu)
{
    static const u64 flags[] = {0, RFLAGS_CF, RFLAGS_ARITH, RFLAGS_ARITH & ~RFLAGS_CF};

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        for (unsigned s = 0; s < 4; s++) {
            if (!ops[i].fn[s])
                continue;
            for (unsigned a = 0; a < ARRAY_SIZE(edges); a++)
                for (unsigned b = 0; b < ARRAY_SIZE(edges); b++)
                    for (unsigned f = 0; f < ARRAY_SIZE(flags); f++)
                        check_case(i, s, edges[a], edges[b], flags[f]);
            for (unsigned n = 0; n < 3000; n++)
                check_case(i, s, rnd(), rnd(), rnd() & RFLAGS_ARITH);
        }
}
END_TEST

START_TEST(every_byte_pair_agrees_for_every_byte_operation)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        for (unsigned a = 0; a < 256 && ops[i].fn[0]; a++)
            for (unsigned b = 0; b < 256; b++)
                check_case(i, 0, a, b, (a ^ b) & 1 ? RFLAGS_CF : 0);
}
END_TEST

START_TEST(bits_above_the_operand_do_not_matter)
{
    u64 flags = 2;

    ck_assert_uint_eq(alu(INSN_ADD, 1, 0x1ff, 0x301, &flags), 0);
    ck_assert_uint_eq(flags, 2 | RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF);
    flags = 2;
    ck_assert_uint_eq(alu(INSN_OR, 2, 0xffff0001, ~0ull << 16, &flags), 1);
    ck_assert_uint_eq(flags, 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("alu");
    TCase *t = tcase_create("flags");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, results_and_flags_are_those_of_the_cpu);
    tcase_add_test(t, every_byte_pair_agrees_for_every_byte_operation);
    tcase_add_test(t, bits_above_the_operand_do_not_matter);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
