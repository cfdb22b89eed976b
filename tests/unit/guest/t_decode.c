/*
 * The decoder against Zydis, over generated encodings: what it accepts it must understand as Zydis does, and
 * it must accept every instruction of its list that has a memory operand, and nothing else.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>
#include <arch/vcpu.h>
#include "x86/guest/decode.h"

static ZydisDecoder decoders[9]; /* by enum insn_mode */
static unsigned long cases, accepted;

static void setup_decoders(void)
{
    ZydisDecoderInit(&decoders[INSN_MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[INSN_MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[INSN_MODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

static const char *hex(const u8 *b)
{
    static char s[64];

    for (int i = 0; i < INSN_MAX_LEN; i++)
        snprintf(s + i * 3, 4, "%02x ", b[i]);
    return s;
}

#define EXPECT(cond, what)                                                                                   \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            ck_abort_msg("mode %d, %s: %s", mode, hex(b), what);                                             \
    } while (0)

static int simple_op(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_ADD:
        return INSN_ADD;
    case ZYDIS_MNEMONIC_OR:
        return INSN_OR;
    case ZYDIS_MNEMONIC_ADC:
        return INSN_ADC;
    case ZYDIS_MNEMONIC_SBB:
        return INSN_SBB;
    case ZYDIS_MNEMONIC_AND:
        return INSN_AND;
    case ZYDIS_MNEMONIC_SUB:
        return INSN_SUB;
    case ZYDIS_MNEMONIC_XOR:
        return INSN_XOR;
    case ZYDIS_MNEMONIC_CMP:
        return INSN_CMP;
    case ZYDIS_MNEMONIC_TEST:
        return INSN_TEST;
    case ZYDIS_MNEMONIC_MOV:
        return INSN_MOV;
    case ZYDIS_MNEMONIC_MOVZX:
        return INSN_MOVZX;
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
        return INSN_MOVSX;
    case ZYDIS_MNEMONIC_XCHG:
        return INSN_XCHG;
    case ZYDIS_MNEMONIC_NOT:
        return INSN_NOT;
    case ZYDIS_MNEMONIC_NEG:
        return INSN_NEG;
    case ZYDIS_MNEMONIC_INC:
        return INSN_INC;
    case ZYDIS_MNEMONIC_DEC:
        return INSN_DEC;
    case ZYDIS_MNEMONIC_BT:
        return INSN_BT;
    case ZYDIS_MNEMONIC_BTS:
        return INSN_BTS;
    case ZYDIS_MNEMONIC_BTR:
        return INSN_BTR;
    case ZYDIS_MNEMONIC_BTC:
        return INSN_BTC;
    default:
        return -1;
    }
}

static int string_op(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
        return INSN_MOVS;
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
        return INSN_STOS;
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:
        return INSN_LODS;
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
        return INSN_INS;
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
        return INSN_OUTS;
    default:
        return -1;
    }
}

/* General register number of a Zydis register of any width, INSN_RIP, INSN_NO_REG; *high for AH..BH. */
static int reg_number(ZydisRegister r, bool *high)
{
    *high = false;
    if (r == ZYDIS_REGISTER_NONE)
        return INSN_NO_REG;
    if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
        return INSN_RIP;
    if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_R15B) {
        int n = (int)(r - ZYDIS_REGISTER_AL);

        *high = n >= 4 && n < 8;
        return n < 4 ? n : n - 4;
    }
    if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W)
        return (int)(r - ZYDIS_REGISTER_AX);
    if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D)
        return (int)(r - ZYDIS_REGISTER_EAX);
    if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15)
        return (int)(r - ZYDIS_REGISTER_RAX);
    return -1;
}

static int seg_number(ZydisRegister r)
{
    return (int)(r - ZYDIS_REGISTER_ES); /* ES CS SS DS FS GS in both */
}

static const ZydisDecodedOperand *memory_operand(const ZydisDecodedInstruction *z,
                                                 const ZydisDecodedOperand *op)
{
    for (int i = 0; i < z->operand_count; i++)
        if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return &op[i];
    return NULL;
}

/* Zydis 4.0 takes R13D for the base where mod 0 and SIB base 5 mean none, under prefix 67 with REX.B. LEA
 * shows that CPUs do not. */
static bool zydis_misreads(int mode, const struct insn *in, const ZydisDecodedInstruction *z)
{
    return mode == INSN_MODE_64 && in->addr_size == 4 && z->raw.rex.B && z->raw.modrm.mod == 0 &&
           z->raw.modrm.rm == 4 && z->raw.sib.base == 5;
}

static void compare_memory(const u8 *b, int mode, const struct insn *in, const ZydisDecodedInstruction *z,
                           const ZydisDecodedOperand *m)
{
    u64 mask = in->addr_size == 8 ? ~0ull : in->addr_size == 4 ? 0xffffffffull : 0xffffull;
    bool high;

    EXPECT(in->size * 8 == m->size, "memory operand size");
    if (zydis_misreads(mode, in, z)) {
        EXPECT(in->base == INSN_NO_REG && in->disp == (u64)z->raw.disp.value, "disp32 without base");
    } else {
        EXPECT(in->base == reg_number(m->mem.base, &high), "base");
        EXPECT((in->disp & mask) == ((u64)m->mem.disp.value & mask), "displacement");
    }
    EXPECT(in->index == reg_number(m->mem.index, &high), "index");
    if (in->index != INSN_NO_REG)
        EXPECT(1 << in->scale == m->mem.scale, "scale");
    EXPECT(in->seg == seg_number(m->mem.segment), "segment");
    EXPECT(((in->flags & INSN_MEM_READ) != 0) == ((m->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0),
           "memory read");
    EXPECT(((in->flags & INSN_MEM_WRITE) != 0) == ((m->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0),
           "memory written");
}

static void compare_simple(const u8 *b, int mode, const struct insn *in, const ZydisDecodedInstruction *z,
                           const ZydisDecodedOperand *op)
{
    const ZydisDecodedOperand *m = memory_operand(z, op), *other = NULL;
    u64 mask = in->size == 8 ? ~0ull : (1ull << in->size * 8) - 1;
    bool high;

    EXPECT(in->op == simple_op(z->mnemonic), "operation");
    compare_memory(b, mode, in, z, m);
    EXPECT(((in->flags & INSN_LOAD) != 0) == (m != &op[0]), "which operand is memory");
    for (int i = 0; i < z->operand_count_visible; i++)
        if (&op[i] != m)
            other = &op[i];
    if (!other) {
        EXPECT(in->op >= INSN_NOT && in->op <= INSN_DEC, "second operand");
        return;
    }
    EXPECT(((in->flags & INSN_IMM) != 0) == (other->type == ZYDIS_OPERAND_TYPE_IMMEDIATE),
           "immediate or register");
    if (in->flags & INSN_IMM) {
        if (in->op >= INSN_BT)
            mask = 0xff; /* a bit number: not extended */
        EXPECT((in->imm & mask) == (other->imm.value.u & mask), "immediate value");
        return;
    }
    EXPECT(in->reg == reg_number(other->reg.value, &high), "register");
    EXPECT(((in->flags & INSN_HIGH8) != 0) == high, "high byte register");
    EXPECT(in->reg_size * 8 == other->size, "register size");
}

static void compare_string(const u8 *b, int mode, const struct insn *in, const ZydisDecodedInstruction *z,
                           const ZydisDecodedOperand *op)
{
    bool rep = false, high;

    EXPECT(in->op == string_op(z->mnemonic), "operation");
    for (int i = 0; i < z->raw.prefix_count; i++)
        rep |= z->raw.prefixes[i].value == 0xf3 || z->raw.prefixes[i].value == 0xf2;
    EXPECT(((in->flags & INSN_REP) != 0) == rep, "REP");
    for (int i = 0; i < z->operand_count; i++) {
        if (op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        EXPECT(in->size * 8 == op[i].size, "element size");
        if (reg_number(op[i].mem.base, &high) == GPR_RSI)
            EXPECT(in->seg == seg_number(op[i].mem.segment), "segment of RSI");
        else
            EXPECT(op[i].mem.segment == ZYDIS_REGISTER_ES || mode == INSN_MODE_64, "segment of RDI");
    }
}

static bool is_string(const ZydisDecodedInstruction *z)
{
    return z->meta.category == ZYDIS_CATEGORY_STRINGOP || z->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

/* Is this one of the instructions that the decoder's header lists? */
static bool on_the_list(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (is_string(z))
        return string_op(z->mnemonic) >= 0;
    if (simple_op(z->mnemonic) < 0 || !memory_operand(z, op))
        return false;
    for (int i = 0; i < z->operand_count_visible; i++)
        if (op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(op[i].reg.value) == ZYDIS_REGCLASS_SEGMENT)
            return false; /* MOV to and from segment registers */
    return true;
}

static void check_truncated(const u8 *b, int mode, unsigned len)
{
    struct insn in;
    u8 cut[INSN_BUF];

    for (unsigned n = 1; n < len; n++) {
        memset(cut, 0xcc, sizeof(cut)); /* nothing behind `avail` may matter */
        memcpy(cut, b, n);
        EXPECT(insn_decode(&in, cut, n, (enum insn_mode)mode) == DECODE_TRUNCATED, "cut short, not noticed");
    }
    memset(cut, 0x0f, sizeof(cut));
    memcpy(cut, b, len);
    EXPECT(insn_decode(&in, cut, len, (enum insn_mode)mode) == DECODE_OK && in.len == len,
           "exact length refused");
}

static void check_one(const u8 *b, int mode)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    struct insn in;
    enum decode_result r = insn_decode(&in, b, INSN_MAX_LEN, (enum insn_mode)mode);
    ZyanStatus s = ZydisDecoderDecodeFull(&decoders[mode], b, INSN_MAX_LEN, &z, op);

    cases++;
    EXPECT(r != DECODE_TRUNCATED, "15 bytes must be enough to judge");
    if (ZYAN_FAILED(s)) {
        EXPECT(r != DECODE_OK, "Zydis refuses it");
        return;
    }
    EXPECT(r != DECODE_UNDEFINED && r != DECODE_TOO_LONG, "called undefined, Zydis knows it");
    if (!on_the_list(&z, op)) {
        EXPECT(r == DECODE_UNSUPPORTED, "not on the list, accepted");
        return;
    }
    EXPECT(r == DECODE_OK, "on the list, refused");
    EXPECT(in.len == z.length, "length");
    EXPECT(in.addr_size * 8 == z.address_width, "address size");
    EXPECT(((in.flags & INSN_LOCK) != 0) == ((z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0), "LOCK");
    if (is_string(&z))
        compare_string(b, mode, &in, &z, op);
    else
        compare_simple(b, mode, &in, &z, op);
    if (++accepted % 37 == 0)
        check_truncated(b, mode, in.len);
}

/* xorshift: the same cases in every run */
static u64 seed;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void fill_random(u8 *b, unsigned from)
{
    for (unsigned i = from; i < INSN_BUF; i++)
        b[i] = (u8)rnd();
}

static const char *const prefix_sets[] = {
    "",         "\x66",         "\x67",         "\x66\x67",     "\x48",     "\x41",     "\x42",
    "\x44",     "\x4f",         "\x40",         "\x66\x48",     "\x66\x44", "\x67\x48", "\x67\x4d",
    "\x48\x66", "\x26",         "\x2e",         "\x36",         "\x3e",     "\x64",     "\x65",
    "\x65\x48", "\x64\x3e",     "\x3e\x65",     "\x36\x67\x66", "\xf0",     "\xf0\x48", "\xf0\x66",
    "\xf2",     "\xf3",         "\xf3\x48",     "\xf2\x66",     "\xf3\x67", "\xf3\x65", "\xf3\x67\x66",
    "\xf2\xf3", "\xf0\xf3\x41", "\x2e\x64\x43", "\x66\x66\x45", "\x47\x47",
};

static const u8 sibs[] = {0x00, 0x25, 0x65, 0xe4, 0x8b, 0x4d, 0xff, 0x24, 0xbc, 0x1d};

static bool interesting(bool two, u8 opcode)
{
    u8 b[INSN_BUF] = {0};
    struct insn in;
    unsigned n = 0;

    if (two)
        b[n++] = 0x0f;
    b[n++] = opcode;
    for (int m = 0; m < 64; m += 8) {
        b[n] = (u8)m;
        if (insn_decode(&in, b, INSN_MAX_LEN, INSN_MODE_64) == DECODE_OK ||
            insn_decode(&in, b, INSN_MAX_LEN, INSN_MODE_32) == DECODE_OK)
            return true;
    }
    return false;
}

static void sweep_opcode(int mode, const char *prefix, bool two, u8 opcode)
{
    unsigned n = (unsigned)strlen(prefix), step = interesting(two, opcode) ? 1 : 23;
    u8 b[INSN_BUF];

    memcpy(b, prefix, n);
    if (two)
        b[n++] = 0x0f;
    b[n++] = opcode;
    for (unsigned m = 0; m < 256; m += step) {
        unsigned variants = (m & 7) == 4 && m < 0xc0 && step == 1 ? ARRAY_SIZE(sibs) : 1;

        for (unsigned s = 0; s < variants; s++) {
            fill_random(b, n);
            b[n] = (u8)m;
            if (variants > 1)
                b[n + 1] = sibs[s];
            check_one(b, mode);
        }
    }
}

/* Every opcode with every ModRM byte under every prefix set. */
START_TEST(agrees_with_zydis_over_all_opcodes_and_modrm)
{
    static const int modes[] = {INSN_MODE_16, INSN_MODE_32, INSN_MODE_64};
    int mode = modes[_i];

    seed = 0x9e3779b97f4a7c15ull + (unsigned)_i;
    cases = accepted = 0;
    for (unsigned p = 0; p < ARRAY_SIZE(prefix_sets); p++)
        for (int two = 0; two < 2; two++)
            for (unsigned op = 0; op < 256; op++)
                sweep_opcode(mode, prefix_sets[p], two, (u8)op);
    ck_assert_uint_gt(cases, 500000);
    ck_assert_uint_gt(accepted, 200000);
}
END_TEST

/* Runs of prefixes of any length and order before supported and other opcodes. */
START_TEST(agrees_with_zydis_over_random_prefix_runs)
{
    static const u8 prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67,
                                  0xf0, 0xf2, 0xf3, 0x40, 0x41, 0x48, 0x4f};
    static const u8 opcodes[] = {0x00, 0x03, 0x09, 0x31, 0x39, 0x80, 0x81, 0x83, 0x84, 0x87,
                                 0x88, 0x8b, 0xa1, 0xa3, 0xa4, 0xa5, 0xaa, 0xab, 0xad, 0x6c,
                                 0x6f, 0xc6, 0xc7, 0xf6, 0xf7, 0xff, 0xfe, 0x63, 0x82, 0x90};
    static const int modes[] = {INSN_MODE_16, INSN_MODE_32, INSN_MODE_64};
    u8 b[INSN_BUF];

    seed = 42 + (unsigned)_i;
    cases = accepted = 0;
    for (unsigned i = 0; i < 400000; i++) {
        unsigned n = (unsigned)(rnd() % 4 ? rnd() % 5 : rnd() % 16);

        for (unsigned k = 0; k < n; k++)
            b[k] = prefixes[rnd() % ARRAY_SIZE(prefixes)];
        fill_random(b, n);
        if (rnd() & 1)
            b[n] = opcodes[rnd() % ARRAY_SIZE(opcodes)];
        check_one(b, modes[_i]);
    }
    ck_assert_uint_gt(accepted, 50000);
}
END_TEST

START_TEST(agrees_with_zydis_over_random_bytes)
{
    static const int modes[] = {INSN_MODE_16, INSN_MODE_32, INSN_MODE_64};
    u8 b[INSN_BUF];

    seed = 7 + (unsigned)_i;
    for (unsigned i = 0; i < 500000; i++) {
        fill_random(b, 0);
        check_one(b, modes[_i]);
    }
}
END_TEST

START_TEST(fifteen_bytes_are_accepted_and_sixteen_are_not)
{
    u8 b[INSN_BUF];
    struct insn in;

    memset(b, 0x66, sizeof(b));
    memcpy(b + 12, "\x8b\x43\x20", 3);
    ck_assert_int_eq(insn_decode(&in, b, 15, INSN_MODE_64), DECODE_OK);
    ck_assert_uint_eq(in.len, 15);
    memset(b, 0x66, sizeof(b));
    memcpy(b + 13, "\x8b\x43\x20", 3);
    ck_assert_int_eq(insn_decode(&in, b, 15, INSN_MODE_64), DECODE_TOO_LONG);
    memset(b, 0x66, sizeof(b));
    ck_assert_int_eq(insn_decode(&in, b, 15, INSN_MODE_64), DECODE_TOO_LONG);
    ck_assert_int_eq(insn_decode(&in, b, 14, INSN_MODE_64), DECODE_TRUNCATED);
}
END_TEST

START_TEST(what_the_cpu_refuses_is_undefined)
{
    static const struct {
        const char *bytes;
        int mode;
    } list[] = {
        {"\xf0\x8b\x03", INSN_MODE_64},                                         /* LOCK MOV */
        {"\xf0\x03\x03", INSN_MODE_64},                                         /* LOCK ADD r, m */
        {"\xf0\x39\x03", INSN_MODE_64},                                         /* LOCK CMP */
        {"\xf0\x0f\xa3\x03", INSN_MODE_64},                                     /* LOCK BT */
        {"\x82\x03\x01", INSN_MODE_64},     {"\x0f\xba\x03\x01", INSN_MODE_32}, /* group 8 /0 */
    };
    struct insn in;

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        u8 b[INSN_BUF] = {0};

        memcpy(b, list[i].bytes, strlen(list[i].bytes));
        ck_assert_int_eq(insn_decode(&in, b, 15, (enum insn_mode)list[i].mode), DECODE_UNDEFINED);
    }
}
END_TEST

START_TEST(prefix_length_counts_legacy_and_rex_prefixes)
{
    const u8 b[] = {0x66, 0xf3, 0x48, 0x0f, 0xa2};

    ck_assert_uint_eq(insn_prefix_len(b, 5, INSN_MODE_64), 3);
    ck_assert_uint_eq(insn_prefix_len(b, 5, INSN_MODE_32), 2);
    ck_assert_uint_eq(insn_prefix_len(b, 1, INSN_MODE_32), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("decode");
    TCase *t = tcase_create("zydis");
    SRunner *r;
    int failed;

    setup_decoders();
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, agrees_with_zydis_over_all_opcodes_and_modrm, 0, 3);
    tcase_add_loop_test(t, agrees_with_zydis_over_random_prefix_runs, 0, 3);
    tcase_add_loop_test(t, agrees_with_zydis_over_random_bytes, 0, 3);
    tcase_add_test(t, fifteen_bytes_are_accepted_and_sixteen_are_not);
    tcase_add_test(t, what_the_cpu_refuses_is_undefined);
    tcase_add_test(t, prefix_length_counts_legacy_and_rex_prefixes);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
