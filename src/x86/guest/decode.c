#include "x86/guest/decode.h"

#include <arch/vcpu.h>

/*
 * Opcode descriptors: the operation in bits 4:0 and what follows the opcode in the flags above. Entries that
 * stay 0 are not supported (ADD has the number 0, but its forms have D_MODRM).
 */
enum {
    D_OP = 0x1f,
    D_MODRM = 1u << 5,
    D_BYTE = 1u << 6,   /* operands are one byte */
    D_LOAD = 1u << 7,   /* memory is the source */
    D_IMM8 = 1u << 8,   /* one immediate byte, sign-extended */
    D_IMMZ = 1u << 9,   /* immediate of operand size, at most 4 bytes */
    D_MOFFS = 1u << 10, /* address of address size instead of ModRM; the register is rAX */
    D_STRING = 1u << 11,
    D_GROUP = 1u << 12,  /* ModRM.reg chooses the operation */
    D_PREFIX = 1u << 13, /* legacy prefix */
    D_NARROW = 1u << 14, /* MOVZX, MOVSX, MOVSXD: memory operand narrower than the register */
    D_MODE = 1u << 15,   /* not in every mode */
};

#define ALU(base, op)                                                                                        \
    [(base)] = (op) | D_MODRM | D_BYTE, [(base) + 1] = (op) | D_MODRM,                                       \
    [(base) + 2] = (op) | D_MODRM | D_BYTE | D_LOAD, [(base) + 3] = (op) | D_MODRM | D_LOAD

/* One-byte opcodes, SDM vol. 2D table A-2. */
static const u16 one_byte[256] = {
    ALU(0x00, INSN_ADD),
    ALU(0x08, INSN_OR),
    ALU(0x10, INSN_ADC),
    ALU(0x18, INSN_SBB),
    ALU(0x20, INSN_AND),
    ALU(0x28, INSN_SUB),
    ALU(0x30, INSN_XOR),
    ALU(0x38, INSN_CMP),
    [0x26] = D_PREFIX,
    [0x2e] = D_PREFIX,
    [0x36] = D_PREFIX,
    [0x3e] = D_PREFIX,
    [0x64] = D_PREFIX,
    [0x65] = D_PREFIX,
    [0x66] = D_PREFIX,
    [0x67] = D_PREFIX,
    [0xf0] = D_PREFIX,
    [0xf2] = D_PREFIX,
    [0xf3] = D_PREFIX,
    [0x63] = INSN_MOVSX | D_MODRM | D_LOAD | D_NARROW | D_MODE,
    [0x6c] = INSN_INS | D_STRING | D_BYTE,
    [0x6d] = INSN_INS | D_STRING,
    [0x6e] = INSN_OUTS | D_STRING | D_BYTE,
    [0x6f] = INSN_OUTS | D_STRING,
    [0x80] = D_GROUP | D_MODRM | D_BYTE | D_IMM8,
    [0x81] = D_GROUP | D_MODRM | D_IMMZ,
    [0x82] = D_GROUP | D_MODRM | D_BYTE | D_IMM8 | D_MODE,
    [0x83] = D_GROUP | D_MODRM | D_IMM8,
    [0x84] = INSN_TEST | D_MODRM | D_BYTE,
    [0x85] = INSN_TEST | D_MODRM,
    [0x86] = INSN_XCHG | D_MODRM | D_BYTE,
    [0x87] = INSN_XCHG | D_MODRM,
    [0x88] = INSN_MOV | D_MODRM | D_BYTE,
    [0x89] = INSN_MOV | D_MODRM,
    [0x8a] = INSN_MOV | D_MODRM | D_BYTE | D_LOAD,
    [0x8b] = INSN_MOV | D_MODRM | D_LOAD,
    [0xa0] = INSN_MOV | D_MOFFS | D_BYTE | D_LOAD,
    [0xa1] = INSN_MOV | D_MOFFS | D_LOAD,
    [0xa2] = INSN_MOV | D_MOFFS | D_BYTE,
    [0xa3] = INSN_MOV | D_MOFFS,
    [0xa4] = INSN_MOVS | D_STRING | D_BYTE,
    [0xa5] = INSN_MOVS | D_STRING,
    [0xaa] = INSN_STOS | D_STRING | D_BYTE,
    [0xab] = INSN_STOS | D_STRING,
    [0xac] = INSN_LODS | D_STRING | D_BYTE,
    [0xad] = INSN_LODS | D_STRING,
    [0xc6] = INSN_MOV | D_GROUP | D_MODRM | D_BYTE | D_IMM8,
    [0xc7] = INSN_MOV | D_GROUP | D_MODRM | D_IMMZ,
    [0xf6] = D_GROUP | D_MODRM | D_BYTE,
    [0xf7] = D_GROUP | D_MODRM,
    [0xfe] = D_GROUP | D_MODRM | D_BYTE,
    [0xff] = D_GROUP | D_MODRM,
};

/* The few of the two-byte opcodes (0F xx) that count, SDM vol. 2D table A-3. */
static u32 two_byte(u8 opcode)
{
    switch (opcode) {
    case 0xa3:
        return INSN_BT | D_MODRM;
    case 0xab:
        return INSN_BTS | D_MODRM;
    case 0xb3:
        return INSN_BTR | D_MODRM;
    case 0xbb:
        return INSN_BTC | D_MODRM;
    case 0xba:
        return INSN_BT | D_GROUP | D_MODRM | D_IMM8;
    case 0xb6:
        return INSN_MOVZX | D_MODRM | D_LOAD | D_NARROW | D_BYTE;
    case 0xb7:
        return INSN_MOVZX | D_MODRM | D_LOAD | D_NARROW;
    case 0xbe:
        return INSN_MOVSX | D_MODRM | D_LOAD | D_NARROW | D_BYTE;
    case 0xbf:
        return INSN_MOVSX | D_MODRM | D_LOAD | D_NARROW;
    default:
        return 0;
    }
}

/* How an instruction treats its destination when that is the memory operand. Order of enum insn_op. */
static const u8 mem_use[INSN_NONE] = {
    [INSN_ADD] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_OR] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_ADC] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_SBB] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_AND] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_SUB] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_XOR] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_CMP] = INSN_MEM_READ,
    [INSN_TEST] = INSN_MEM_READ,
    [INSN_MOV] = INSN_MEM_WRITE,
    [INSN_MOVZX] = INSN_MEM_READ,
    [INSN_MOVSX] = INSN_MEM_READ,
    [INSN_XCHG] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_NOT] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_NEG] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_INC] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_DEC] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_BT] = INSN_MEM_READ,
    [INSN_BTS] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_BTR] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    [INSN_BTC] = INSN_MEM_READ | INSN_MEM_WRITE | INSN_LOCK,
    /* which of their two operands is which is the string emulation's matter */
    [INSN_MOVS] = INSN_MEM_READ | INSN_MEM_WRITE,
    [INSN_STOS] = INSN_MEM_WRITE,
    [INSN_LODS] = INSN_MEM_READ,
    [INSN_INS] = INSN_MEM_WRITE,
    [INSN_OUTS] = INSN_MEM_READ,
};

struct prefixes {
    u8 rex;
    u8 seg; /* enum guest_seg or INSN_NO_REG */
    u8 lock;
    u8 rep;
    u8 opsize;
    u8 addrsize;
};

static void note_prefix(struct prefixes *p, u8 b, enum insn_mode mode)
{
    switch (b) {
    case 0x66:
        p->opsize = 1;
        break;
    case 0x67:
        p->addrsize = 1;
        break;
    case 0xf0:
        p->lock = 1;
        break;
    case 0xf2:
    case 0xf3:
        p->rep = 1;
        break;
    case 0x64:
        p->seg = SEG_FS;
        break;
    case 0x65:
        p->seg = SEG_GS;
        break;
    default:
        /* 26 2E 36 3E are ES CS SS DS in this order; in 64-bit mode they are ignored (SDM vol. 1 3.3.7.1). */
        if (mode != INSN_MODE_64)
            p->seg = (u8)((b >> 3) & 3);
        break;
    }
}

/* Reads prefixes from b on; returns their number, at most INSN_MAX_LEN. */
static unsigned read_prefixes(struct prefixes *p, const u8 *b, enum insn_mode mode)
{
    unsigned n;

    for (n = 0; n < INSN_MAX_LEN; n++) {
        if (mode == INSN_MODE_64 && (b[n] & 0xf0) == 0x40) {
            p->rex = b[n];
        } else if (one_byte[b[n]] & D_PREFIX) {
            p->rex = 0; /* counts only directly before the opcode (SDM vol. 2A 2.2.1) */
            note_prefix(p, b[n], mode);
        } else {
            break;
        }
    }
    return n;
}

unsigned insn_prefix_len(const u8 *b, unsigned avail, enum insn_mode mode)
{
    unsigned n = 0;

    while (n < avail && ((mode == INSN_MODE_64 && (b[n] & 0xf0) == 0x40) || (one_byte[b[n]] & D_PREFIX)))
        n++;
    return n;
}

static inline s32 load_s32(const u8 *p)
{
    s32 v;

    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}

static inline s16 load_s16(const u8 *p)
{
    s16 v;

    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}

/* 16-bit addressing, SDM vol. 2A table 2-1. Returns the bytes used after ModRM. */
static unsigned modrm16(struct insn *in, const u8 *p, u8 mod, u8 rm)
{
    static const u8 base[8] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
    static const u8 index[4] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI};

    if (mod == 0 && rm == 6) {
        in->disp = (u64)(s64)load_s16(p);
        return 2;
    }
    in->base = base[rm];
    if (rm < 4)
        in->index = index[rm];
    if (base[rm] == GPR_RBP)
        in->seg = SEG_SS;
    if (mod == 1) {
        in->disp = (u64)(s64)(s8)p[0];
        return 1;
    }
    if (mod == 2) {
        in->disp = (u64)(s64)load_s16(p);
        return 2;
    }
    return 0;
}

/* 32- and 64-bit addressing, SDM vol. 2A tables 2-2, 2-3 and 2.2.1.6. Returns the bytes used after ModRM. */
static inline unsigned modrm32(struct insn *in, const u8 *p, u8 mod, u8 rm, u8 rex, enum insn_mode mode)
{
    unsigned n = 0;
    u8 base = rm;

    if (rm == 4) {
        u8 sib = p[n++];
        u8 index = (u8)(((sib >> 3) & 7) | ((rex & 2) << 2));

        base = sib & 7;
        if (index != GPR_RSP) {
            in->index = index;
            in->scale = sib >> 6;
        }
    }
    if (mod == 0 && base == 5) {
        /* no base: disp32, relative to the next instruction in 64-bit mode when there is no SIB byte */
        if (mode == INSN_MODE_64 && rm == 5)
            in->base = INSN_RIP;
        in->disp = (u64)(s64)load_s32(p + n);
        return n + 4;
    }
    in->base = base | (u8)((rex & 1) << 3);
    if (in->base == GPR_RSP || in->base == GPR_RBP)
        in->seg = SEG_SS;
    if (mod == 1) {
        in->disp = (u64)(s64)(s8)p[n];
        return n + 1;
    }
    if (mod == 2) {
        in->disp = (u64)(s64)load_s32(p + n);
        return n + 4;
    }
    return n;
}

/* Group opcodes: the descriptor that ModRM.reg chooses, or 0. */
static u32 group(u32 d, u8 opcode, u8 reg, enum decode_result *why)
{
    u32 keep = d & ~(u32)D_OP;

    switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83:
        return keep | reg;
    case 0xc6:
    case 0xc7:
        return reg == 0 ? d : 0;
    case 0xba: /* group 8: /0 to /3 are undefined */
        if (reg < 4)
            *why = DECODE_UNDEFINED;
        return reg < 4 ? 0 : (keep | (INSN_BT + (u32)reg - 4));
    case 0xf6:
    case 0xf7: /* /1 is an alias of TEST that all processors execute (APM vol. 3 app. A.2) */
        if (reg <= 1)
            return keep | INSN_TEST | (opcode == 0xf6 ? D_IMM8 : D_IMMZ);
        return reg <= 3 ? keep | (reg == 2 ? INSN_NOT : INSN_NEG) : 0;
    default: /* FE, FF */
        return reg <= 1 ? keep | (reg == 0 ? INSN_INC : INSN_DEC) : 0;
    }
}

/* Refusal, unless bytes were looked at that were not given. */
static enum decode_result refuse(enum decode_result r, unsigned used, unsigned avail)
{
    if (used > avail && avail < INSN_MAX_LEN)
        return DECODE_TRUNCATED;
    return used > INSN_MAX_LEN ? DECODE_TOO_LONG : r;
}

static unsigned read_imm(struct insn *in, const u8 *p, u32 d)
{
    in->flags |= INSN_IMM;
    if (d & (D_IMM8 | D_BYTE)) {
        in->imm = (u64)(s64)(s8)p[0];
        return 1;
    }
    if (in->size == 2) {
        in->imm = (u64)(s64)load_s16(p);
        return 2;
    }
    in->imm = (u64)(s64)load_s32(p);
    return 4;
}

static unsigned read_moffs(struct insn *in, const u8 *p)
{
    in->disp = 0;
    __builtin_memcpy(&in->disp, p, in->addr_size);
    return in->addr_size;
}

static void set_sizes(struct insn *in, u32 d, u8 opcode, const struct prefixes *px, enum insn_mode mode)
{
    u8 size = mode == INSN_MODE_16 ? 2 : 4;

    if (px->opsize)
        size ^= 6;
    if (px->rex & 8)
        size = 8;
    in->reg_size = size;
    if (d & D_NARROW)
        in->size = (d & D_BYTE) ? 1 : opcode == 0x63 ? 4 : 2; /* 63 is MOVSXD */
    else if (d & D_BYTE)
        in->size = in->reg_size = 1;
    else
        in->size = size;

    in->addr_size = (u8)mode;
    if (px->addrsize)
        in->addr_size = mode == INSN_MODE_32 ? 2 : 4;
}

static enum decode_result finish(struct insn *in, u32 d, unsigned pos, unsigned avail,
                                 const struct prefixes *px)
{
    u8 use = mem_use[in->op];

    if (px->lock) {
        if (!(use & INSN_LOCK) || (d & D_LOAD))
            return refuse(DECODE_UNDEFINED, pos, avail);
        in->flags |= INSN_LOCK;
    }
    if (d & D_LOAD)
        in->flags |= INSN_LOAD | INSN_MEM_READ;
    else
        in->flags |= use & (INSN_MEM_READ | INSN_MEM_WRITE);
    if (px->seg != INSN_NO_REG)
        in->seg = px->seg;
    if (pos > avail || pos > INSN_MAX_LEN)
        return refuse(DECODE_TOO_LONG, pos, avail);
    in->len = (u8)pos;
    return DECODE_OK;
}

static enum decode_result decode_string(struct insn *in, u32 d, unsigned pos, unsigned avail,
                                        const struct prefixes *px)
{
    if (px->rep)
        in->flags |= INSN_REP;
    /* port accesses have no 64-bit form (SDM vol. 2A INS) */
    if ((in->op == INSN_INS || in->op == INSN_OUTS) && in->size == 8)
        in->size = in->reg_size = 4;
    return finish(in, d, pos, avail, px);
}

/* ModRM and what follows it, for the descriptor d. */
static inline enum decode_result decode_modrm(struct insn *in, u32 d, u8 opcode, const u8 *b, unsigned pos,
                                              unsigned avail, const struct prefixes *px, enum insn_mode mode)
{
    enum decode_result why = DECODE_UNSUPPORTED;
    u8 modrm = b[pos++];
    u8 mod = modrm >> 6;
    u8 reg = (modrm >> 3) & 7;

    if (d & D_GROUP) {
        d = group(d, opcode, reg, &why);
        if (!d)
            return refuse(why, pos, avail);
        in->op = d & D_OP;
    } else if (in->reg_size == 1 && px->rex == 0 && reg >= 4) {
        in->flags |= INSN_HIGH8;
        in->reg = reg & 3;
    } else {
        in->reg = reg | (u8)((px->rex & 4) << 1);
    }
    if (mod == 3)
        return refuse(why, pos, avail);
    if (LIKELY(in->addr_size != 2))
        pos += modrm32(in, b + pos, mod, modrm & 7, px->rex, mode);
    else
        pos += modrm16(in, b + pos, mod, modrm & 7);
    if (d & (D_IMM8 | D_IMMZ))
        pos += read_imm(in, b + pos, d);
    return finish(in, d, pos, avail, px);
}

enum decode_result insn_decode(struct insn *in, const u8 b[INSN_BUF], unsigned avail, enum insn_mode mode)
{
    struct prefixes px = {.seg = INSN_NO_REG};
    unsigned pos = 0;
    u8 opcode;
    u32 d;

    if ((one_byte[b[0]] & D_PREFIX) || (b[0] & 0xf0) == 0x40)
        pos = read_prefixes(&px, b, mode);
    if (pos >= INSN_MAX_LEN)
        return refuse(DECODE_TOO_LONG, pos + 1, avail);
    opcode = b[pos++];
    d = one_byte[opcode];
    if (UNLIKELY(opcode == 0x0f)) {
        opcode = b[pos++];
        d = two_byte(opcode);
    }
    if (UNLIKELY(d & D_MODE)) {
        if (opcode == 0x63 && mode != INSN_MODE_64) /* ARPL */
            d = 0;
        if (opcode == 0x82 && mode == INSN_MODE_64)
            return refuse(DECODE_UNDEFINED, pos, avail);
    }
    if (!d)
        return refuse(DECODE_UNSUPPORTED, pos, avail);

    in->op = d & D_OP;
    in->flags = 0;
    in->seg = SEG_DS;
    in->reg = GPR_RAX;
    in->base = in->index = INSN_NO_REG;
    in->scale = 0;
    in->disp = 0;
    in->imm = 0;
    set_sizes(in, d, opcode, &px, mode);

    if (LIKELY(d & D_MODRM))
        return decode_modrm(in, d, opcode, b, pos, avail, &px, mode);
    if (d & D_STRING)
        return decode_string(in, d, pos, avail, &px);
    pos += read_moffs(in, b + pos);
    return finish(in, d, pos, avail, &px);
}
