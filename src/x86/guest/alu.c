#include "x86/guest/alu.h"

#include <lib/bits.h>
#include "x86/guest/regs.h"

/* ZF, SF and PF of a result of `size` bytes. */
static u64 flags_of(u64 r, unsigned size)
{
    u64 f = 0;

    if (r == 0)
        f |= RFLAGS_ZF;
    if (r >> (size * 8 - 1))
        f |= RFLAGS_SF;
    if (!(__builtin_popcount((u8)r) & 1))
        f |= RFLAGS_PF;
    return f;
}

/* carry: bit n is the carry (or borrow) out of bit n. */
static u64 flags_of_carry(u64 carry, u64 overflow, unsigned size)
{
    unsigned top = size * 8 - 1;

    return (((carry >> top) & 1) ? RFLAGS_CF : 0) | (((carry >> 3) & 1) ? RFLAGS_AF : 0) |
           (((overflow >> top) & 1) ? RFLAGS_OF : 0);
}

static u64 add(u64 a, u64 b, u64 carry_in, unsigned size, u64 *rflags)
{
    u64 r = (a + b + carry_in) & size_mask(size);
    u64 carry = (a & b) | ((a | b) & ~r);

    *rflags = (*rflags & ~RFLAGS_ARITH) | flags_of(r, size) | flags_of_carry(carry, (a ^ r) & (b ^ r), size);
    return r;
}

static u64 sub(u64 a, u64 b, u64 borrow_in, unsigned size, u64 *rflags)
{
    u64 r = (a - b - borrow_in) & size_mask(size);
    u64 borrow = (~a & b) | ((~a | b) & r);

    *rflags = (*rflags & ~RFLAGS_ARITH) | flags_of(r, size) | flags_of_carry(borrow, (a ^ b) & (a ^ r), size);
    return r;
}

static u64 logic(u64 r, unsigned size, u64 *rflags)
{
    *rflags = (*rflags & ~RFLAGS_ARITH) | flags_of(r, size);
    return r;
}

static u64 bit_op(enum insn_op op, unsigned size, u64 dst, u64 src, u64 *rflags)
{
    u64 bit = BIT64(src & (size * 8 - 1));

    *rflags = (*rflags & ~RFLAGS_CF) | ((dst & bit) ? RFLAGS_CF : 0);
    if (op == INSN_BTS)
        return dst | bit;
    if (op == INSN_BTR)
        return dst & ~bit;
    return op == INSN_BTC ? dst ^ bit : dst;
}

u64 alu(enum insn_op op, unsigned size, u64 dst, u64 src, u64 *rflags)
{
    u64 carry = *rflags & RFLAGS_CF, r;

    dst &= size_mask(size);
    src &= size_mask(size);
    switch (op) {
    case INSN_ADD:
        return add(dst, src, 0, size, rflags);
    case INSN_ADC:
        return add(dst, src, carry, size, rflags);
    case INSN_SUB:
    case INSN_CMP:
        return sub(dst, src, 0, size, rflags);
    case INSN_SBB:
        return sub(dst, src, carry, size, rflags);
    case INSN_AND:
    case INSN_TEST:
        return logic(dst & src, size, rflags);
    case INSN_OR:
        return logic(dst | src, size, rflags);
    case INSN_XOR:
        return logic(dst ^ src, size, rflags);
    case INSN_NOT:
        return ~dst & size_mask(size);
    case INSN_NEG:
        return sub(0, dst, 0, size, rflags);
    case INSN_INC: /* INC and DEC leave CF alone */
        r = add(dst, 1, 0, size, rflags);
        *rflags = (*rflags & ~RFLAGS_CF) | carry;
        return r;
    case INSN_DEC:
        r = sub(dst, 1, 0, size, rflags);
        *rflags = (*rflags & ~RFLAGS_CF) | carry;
        return r;
    default:
        return bit_op(op, size, dst, src, rflags);
    }
}
