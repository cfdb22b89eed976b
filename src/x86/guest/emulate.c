/* MMIO: carries out the instruction that touched memory which is not the guest's RAM. */
#include <lib/bits.h>
#include <core/vm.h>
#include "x86/guest/alu.h"
#include "x86/guest/emul.h"
#include "x86/guest/regs.h"

/* The register operand, zero-extended from reg_size. */
static inline u64 read_reg(const struct emul *e)
{
    u64 r = e->gpr[e->in.reg];

    if (UNLIKELY(e->in.flags & INSN_HIGH8))
        return (r >> 8) & 0xff;
    return r & size_mask(e->in.reg_size);
}

/* 32-bit results clear the upper half, narrower ones leave the rest alone (SDM vol. 1 3.4.1.1). */
static inline void write_reg(struct emul *e, u64 val)
{
    u64 *r = &e->gpr[e->in.reg];
    u64 mask;

    if (LIKELY(e->in.reg_size == 4)) {
        *r = (u32)val;
        return;
    }
    if (e->in.reg_size == 8) {
        *r = val;
        return;
    }
    mask = size_mask(e->in.reg_size);
    if (e->in.flags & INSN_HIGH8) {
        val <<= 8;
        mask <<= 8;
    }
    *r = (*r & ~mask) | (val & mask);
}

static u64 sign_extend(u64 val, unsigned size)
{
    unsigned unused = 64 - size * 8;

    return (u64)((s64)(val << unused) >> unused);
}

/* MOV, MOVZX, MOVSX, XCHG */
static void emul_move(struct emul *e, const struct mem_op *m)
{
    const struct insn *in = &e->in;
    u64 old, val;

    switch (in->op) {
    case INSN_MOV:
        if (in->flags & INSN_LOAD)
            write_reg(e, mem_load(e, m));
        else
            mem_store(e, m, (in->flags & INSN_IMM) ? in->imm & size_mask(in->size) : read_reg(e));
        break;
    case INSN_MOVZX:
        write_reg(e, mem_load(e, m));
        break;
    case INSN_MOVSX:
        write_reg(e, sign_extend(mem_load(e, m), in->size));
        break;
    default: /* XCHG */
        val = read_reg(e);
        old = mem_load(e, m);
        mem_store(e, m, val);
        write_reg(e, old);
        break;
    }
}

static void emul_alu(struct emul *e, const struct mem_op *m)
{
    const struct insn *in = &e->in;
    u64 flags = e->p.rflags;
    u64 mem = mem_load(e, m);
    u64 other = (in->flags & INSN_IMM) ? in->imm : read_reg(e);
    u64 r;

    if (in->flags & INSN_LOAD)
        r = alu((enum insn_op)in->op, in->size, other, mem, &flags);
    else
        r = alu((enum insn_op)in->op, in->size, mem, other, &flags);
    if (in->flags & INSN_MEM_WRITE)
        mem_store(e, m, r);
    else if ((in->flags & INSN_LOAD) && in->op != INSN_CMP)
        write_reg(e, r);
    arch_vcpu_set(e->v, REG_RFLAGS, flags);
}

/* Bit strings: the register's bit number reaches beyond the operand, to either side (SDM vol. 2A BT). */
static u64 bit_string_address(const struct emul *e, u64 ea)
{
    const struct insn *in = &e->in;
    unsigned shift = bit_low32(in->size) + 3; /* log2 of the operand's bits */
    s64 bit = (s64)sign_extend(e->gpr[in->reg], in->size);

    ea += (u64)(bit >> shift) * in->size;
    if (in->addr_size == 8)
        return ea;
    return in->addr_size == 4 ? (u32)ea : (u16)ea;
}

static bool emul_one(struct emul *e)
{
    const struct insn *in = &e->in;
    u64 ea = emul_address(e);
    struct mem_op m;

    if (in->op >= INSN_BT && !(in->flags & INSN_IMM))
        ea = bit_string_address(e, ea);
    if (!mem_resolve(e, MEM_SRC, (enum guest_seg)in->seg, ea, in->size, (in->flags & INSN_MEM_WRITE) != 0,
                     &m))
        return false;
    if (in->op >= INSN_MOV && in->op <= INSN_XCHG)
        emul_move(e, &m);
    else
        emul_alu(e, &m);
    arch_vcpu_skip(e->v, in->len);
    return true;
}

static NOINLINE void mmio_any(struct vcpu *v, u64 gpa, bool write)
{
    struct emul e;
    bool ok;

    emul_begin(&e, v);
    e.exit_gpa = gpa;
    e.exit_known = write ? MEM_NO_WRITE : MEM_NO_READ | MEM_NO_WRITE;
    ok = emul_decode(&e);
    if (ok)
        ok = e.in.op < INSN_MOVS ? emul_one(&e) : emul_string(&e);
    if (!ok)
        emul_fail(&e);
}

void guest_mmio(struct vcpu *v, u64 gpa, bool write, bool fetch)
{
    if (UNLIKELY(fetch))
        vm_guest_fatal(v, "instruction fetch from memory that is not RAM");
    else if (UNLIKELY(!emul_plain_mov(v, gpa, write)))
        mmio_any(v, gpa, write);
}
