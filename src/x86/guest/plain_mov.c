/*
 * The short way through MMIO emulation. What compilers make of readl() and writel() in 64-bit code is MOV of
 * 4 or 8 bytes between a register, or an immediate, and [base + displacement], without prefix but REX:
 * opcodes 89, 8B and C7 with a ModRM byte that has neither SIB nor RIP-relative form (SDM vol. 2A table 2-2).
 * That fits into eight bytes nearly always, so the whole instruction is handled in one register. Everything
 * else goes through the decoder.
 */
#include <lib/bits.h>
#include <core/io.h>
#include <core/vm.h>
#include "x86/guest/emul.h"
#include "x86/guest/regs.h"
#include "x86/guest/walk.h"

/* Length of ModRM and displacement, given their bytes from bit 0 up; 0 for a form that is not handled here.
 */
static inline unsigned modrm_len(u64 b)
{
    unsigned mod = (b >> 6) & 3, rm = b & 7;

    if (mod == 3 || rm == 4 || (mod == 0 && rm == 5))
        return 0;
    return mod == 0 ? 1 : mod == 1 ? 2 : 5;
}

/* The first eight bytes of the instruction at RIP; *have says how many of them are there. False: the long
 * way. */
static inline bool first_bytes(struct vcpu *v, const struct guest_paging *p, u64 *bytes, unsigned *have)
{
    u64 captured[2], at, more;
    unsigned off = p->rip & 7;

    *have = arch_vcpu_insn_bytes(v, (u8 *)captured);
    if (*have) {
        *have = MIN(*have, 8U);
        *bytes = captured[0];
        return true;
    }
    if (UNLIKELY(!walk_fetched64(v, p->cr3, p->rip & ~(u64)7, &at)) ||
        UNLIKELY(!vm_gpa_read64(v->vm, gpa(at), bytes)))
        return false;
    *have = 8 - off;
    *bytes >>= off * 8;
    /* Seven bytes hold every MOV without immediate. */
    if (off < 2 || ((at + 8) & PAGE_MASK) == 0)
        return true;
    if (!vm_gpa_read64(v->vm, gpa(at + 8), &more))
        return false;
    *bytes |= more << (64 - off * 8);
    *have = 8;
    return true;
}

static inline u64 displacement(u64 b)
{
    unsigned mod = (b >> 6) & 3;

    if (mod == 0)
        return 0;
    return mod == 1 ? (u64)(s64)(s8)(b >> 8) : (u64)(s64)(s32)(b >> 8);
}

bool emul_plain_mov(struct vcpu *v, u64 gpa, bool write)
{
    struct guest_paging p;
    u64 b, ea, *gpr = v->regs->gpr, *reg;
    unsigned have, rex = 0, opcode, len;
    u8 size;

    arch_vcpu_paging(v, &p);
    if (UNLIKELY(!(p.cs_attr & SEG_ATTR_L)) || UNLIKELY(!(p.efer & EFER_LMA)) || UNLIKELY(p.cr4 & CR4_LA57))
        return false;
    if (UNLIKELY(!first_bytes(v, &p, &b, &have)))
        return false;
    if ((b & 0xf0) == 0x40) {
        rex = (unsigned)b & 0xff; /* 40, without any bit set, counts too */
        b >>= 8;
        have--;
    }
    opcode = b & 0xff;
    b >>= 8;
    len = modrm_len(b);
    size = (rex & 8) ? 8 : 4;
    ea = gpr[(b & 7) | ((rex & 1) << 3)] + displacement(b);
    /* The exit's address stands for the operand when both agree about the place in the page and about the
     * direction. */
    if (UNLIKELY(len == 0) || UNLIKELY(((ea ^ gpa) & PAGE_MASK) != 0) ||
        UNLIKELY((ea & PAGE_MASK) > PAGE_SIZE - size) || UNLIKELY(len >= have))
        return false;
    reg = &gpr[((b >> 3) & 7) | ((rex & 4) << 1)];
    if (opcode == 0x8b && !write) {
        u64 val = io_mmio_read(v, gpa, size);

        *reg = val;
    } else if (opcode == 0x89 && write) {
        io_mmio_write(v, gpa, size, *reg & size_mask(size));
    } else if (opcode == 0xc7 && write && (b & 0x38) == 0 && len + 4 < have) {
        u64 imm = (u64)(s64)(s32)(b >> (len * 8));

        io_mmio_write(v, gpa, size, imm & size_mask(size));
        len += 4;
    } else {
        return false;
    }
    arch_vcpu_skip(v, len + 1 + (rex != 0));
    return true;
}
