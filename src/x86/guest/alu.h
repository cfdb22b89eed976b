/* Results and RFLAGS of the arithmetic instructions that the decoder knows, as the CPU computes them. Pure.
 * Layer 5. */
#ifndef BH_X86_GUEST_ALU_H
#define BH_X86_GUEST_ALU_H

#include "x86/guest/decode.h"

/*
 * dst op src on operands of `size` bytes (1, 2, 4, 8); bits above are ignored and zero in the result. op:
 * INSN_ADD to INSN_TEST, INSN_NOT to INSN_DEC (src ignored), INSN_BT to INSN_BTC (src is the bit number,
 * taken modulo the size). CMP, TEST and BT return a result too, which the caller drops. Updates the flags
 * that the instruction defines in *rflags; AF after logical instructions, undefined by SDM vol. 1 app. A,
 * becomes 0 as on all processors; BT and its kin leave all but CF alone.
 */
u64 alu(enum insn_op op, unsigned size, u64 dst, u64 src, u64 *rflags);

#endif
