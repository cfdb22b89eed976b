/*
 * x86 instruction decoder for MMIO and string I/O: bytes and mode in, struct insn out. Pure: no guest access,
 * no state. It knows the instructions that have a memory operand and that compilers and drivers use on device
 * memory (enum insn_op); forms without a memory operand cannot fault on memory and are refused. SDM vol. 2
 * ch. 2 and app. A; APM vol. 3 ch. 1.
 */
#ifndef BH_X86_GUEST_DECODE_H
#define BH_X86_GUEST_DECODE_H

#include <lib/types.h>

/* Default address size of the code segment in bytes. */
enum insn_mode { INSN_MODE_16 = 2, INSN_MODE_32 = 4, INSN_MODE_64 = 8 };

/* The first eight are in the order of the opcode map (bits 5:3 of the opcode, ModRM.reg of group 1). */
enum insn_op {
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_TEST,
    INSN_MOV,
    INSN_MOVZX,
    INSN_MOVSX, /* MOVSXD too */
    INSN_XCHG,
    INSN_NOT,
    INSN_NEG,
    INSN_INC,
    INSN_DEC,
    INSN_BT, /* these four in the order of group 8 */
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_MOVS, /* string instructions from here on */
    INSN_STOS,
    INSN_LODS,
    INSN_INS,
    INSN_OUTS,
    INSN_NONE,
};

enum insn_flag {
    INSN_LOAD = 1u << 0, /* memory is the source operand; otherwise it is the destination (first) operand */
    INSN_IMM = 1u << 1,  /* the other operand is imm, not reg */
    INSN_MEM_READ = 1u << 2,  /* the memory operand is read */
    INSN_MEM_WRITE = 1u << 3, /* the memory operand is written */
    INSN_LOCK = 1u << 4,
    INSN_REP = 1u << 5,   /* F3 or F2 before a string instruction */
    INSN_HIGH8 = 1u << 6, /* reg is AH, CH, DH or BH (0..3) */
};

/* Values of insn.base and insn.index beside register numbers. */
#define INSN_NO_REG 0xff
#define INSN_RIP    0xfe

struct insn {
    u8 op;        /* enum insn_op */
    u8 len;       /* whole instruction, bytes */
    u8 size;      /* memory operand, bytes: 1, 2, 4 or 8; for string instructions that of one element */
    u8 reg_size;  /* register operand, bytes; differs from size for MOVZX and MOVSX */
    u8 addr_size; /* 2, 4 or 8: effective addresses wrap at it, and RCX, RSI, RDI of string instructions have
                     it */
    u8 flags;     /* enum insn_flag */
    u8 seg;       /* segment of the memory operand, enum guest_seg; for string instructions that of RSI */
    u8 reg;       /* register operand, general register number */
    u8 base;      /* register, INSN_RIP (address of the next instruction) or INSN_NO_REG */
    u8 index;     /* register or INSN_NO_REG */
    u8 scale;     /* index is shifted left by this */
    u64 disp;     /* sign-extended displacement, or the absolute address of a moffs form */
    u64 imm;      /* sign-extended to 64 bits; only the low `size` bytes matter */
};

enum decode_result {
    DECODE_OK,
    DECODE_TRUNCATED,   /* more bytes are needed than were given */
    DECODE_TOO_LONG,    /* more than 15 bytes: the CPU raises #GP(0) */
    DECODE_UNDEFINED,   /* the CPU raises #UD */
    DECODE_UNSUPPORTED, /* an instruction, or a form without a memory operand, that is not in enum insn_op */
};

#define INSN_MAX_LEN 15
/* The decoder reads this many bytes at most, so the buffer must have them; what lies at and after `avail` has
 * no effect. */
#define INSN_BUF 32

/* Decodes the instruction in the first `avail` (1..15) bytes of b. *in is valid for DECODE_OK only. */
enum decode_result insn_decode(struct insn *in, const u8 b[INSN_BUF], unsigned avail, enum insn_mode mode);

/* Number of prefix bytes, legacy and REX, at the start of b; at most avail. */
unsigned insn_prefix_len(const u8 *b, unsigned avail, enum insn_mode mode);

#endif
