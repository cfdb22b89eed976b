/* String instructions: MOVS, STOS, LODS on memory that is not RAM, INS and OUTS; with and without REP. */
#include <lib/bits.h>
#include <core/io.h>
#include <core/vm.h>
#include "x86/guest/emul.h"
#include "x86/guest/regs.h"

/* RCX, RSI, RDI at the instruction's address size. */
static inline u64 read_index(const struct emul *e, enum guest_gpr reg)
{
    return e->gpr[reg] & size_mask(e->in.addr_size);
}

/* Like any register write: 32-bit results clear the upper half, 16-bit results leave it. */
static inline void write_index(struct emul *e, enum guest_gpr reg, u64 val)
{
    if (e->in.addr_size == 2)
        e->gpr[reg] = (e->gpr[reg] & ~(u64)0xffff) | (val & 0xffff);
    else
        e->gpr[reg] = val & size_mask(e->in.addr_size);
}

static void write_rax(struct emul *e, u64 val)
{
    u64 *rax = &e->gpr[GPR_RAX];
    u64 mask = size_mask(e->in.size);

    *rax = e->in.size == 4 ? (u32)val : (*rax & ~mask) | (val & mask);
}

/* One element. The operands are translated before anything is read, so a fault has no side effect. */
static bool one_element(struct emul *e)
{
    const struct insn *in = &e->in;
    bool src = (in->flags & INSN_MEM_READ) != 0;
    bool dst = (in->flags & INSN_MEM_WRITE) != 0;
    u64 step = (e->p.rflags & RFLAGS_DF) ? -(u64)in->size : in->size;
    u64 si = read_index(e, GPR_RSI), di = read_index(e, GPR_RDI), val;
    u16 port = (u16)e->gpr[GPR_RDX];
    struct mem_op from, to;

    if (src && !mem_resolve(e, MEM_SRC, (enum guest_seg)in->seg, si, in->size, false, &from))
        return false;
    if (dst && !mem_resolve(e, MEM_DST, SEG_ES, di, in->size, true, &to))
        return false;

    if (src)
        val = mem_load(e, &from);
    else if (in->op == INSN_INS)
        val = io_port_read(e->v, port, in->size);
    else
        val = e->gpr[GPR_RAX] & size_mask(in->size);

    if (emul_void(e))
        return true;
    if (dst)
        mem_store(e, &to, val);
    else if (in->op == INSN_OUTS)
        io_port_write(e->v, port, in->size, (u32)val);
    else
        write_rax(e, val);

    if (src)
        write_index(e, GPR_RSI, si + step);
    if (dst)
        write_index(e, GPR_RDI, di + step);
    return true;
}

bool emul_string(struct emul *e)
{
    u64 count;

    if (!(e->in.flags & INSN_REP)) {
        if (!one_element(e))
            return false;
        arch_vcpu_skip(e->v, e->in.len);
        return true;
    }
    count = read_index(e, GPR_RCX);
    for (unsigned i = 0; i < EMUL_REP_MAX && count; i++) {
        if (!one_element(e))
            return false;
        if (emul_void(e))
            return true;
        write_index(e, GPR_RCX, --count);
    }
    if (count == 0)
        arch_vcpu_skip(e->v, e->in.len);
    return true;
}

void guest_string_io(struct vcpu *v)
{
    struct emul e;

    emul_begin(&e, v);
    if (!emul_decode(&e)) {
        emul_fail(&e);
        return;
    }
    /* Another vCPU may have rewritten the instruction since it exited: then the guest simply runs it again.
     */
    if (e.in.op != INSN_INS && e.in.op != INSN_OUTS)
        return;
    if (!emul_string(&e))
        emul_fail(&e);
}
