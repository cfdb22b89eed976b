/* Instruction fetch for the emulator: mode, bytes, decoding, and what becomes of a failure. */
#include <lib/log.h>
#include <lib/string.h>
#include <core/sbuf.h>
#include <core/vm.h>
#include "x86/guest/emul.h"
#include "x86/guest/regs.h"
#include "x86/guest/walk.h"

void emul_begin(struct emul *e, struct vcpu *v)
{
    e->v = v;
    e->gpr = v->regs->gpr;
    e->fatal = NULL;
    e->exit_known = 0;
    if (CFG_USER_VMS)
        e->io_failed = v->io_failed;
    e->cache[MEM_SRC].linear = e->cache[MEM_DST].linear = 1;
    arch_vcpu_paging(v, &e->p);
    if (LIKELY(e->p.cs_attr & SEG_ATTR_L) && LIKELY(e->p.efer & EFER_LMA)) {
        e->mode = INSN_MODE_64;
        e->p.cs_base = 0;
    } else {
        e->mode = (e->p.cs_attr & SEG_ATTR_DB) ? INSN_MODE_32 : INSN_MODE_16;
    }
}

bool emul_fetch(struct emul *e, u8 buf[INSN_BUF], unsigned want, unsigned *have)
{
    do {
        u64 linear = e->p.cs_base + e->p.rip + *have;
        unsigned n = INSN_MAX_LEN - *have;
        u64 at;

        if (e->mode != INSN_MODE_64)
            linear = (u32)linear;
        n = (unsigned)MIN(n, PAGE_SIZE - (linear & PAGE_MASK));
        if (!guest_walk(e->v, &e->p, linear, GVA_FETCH, &at, &e->fault))
            return false;
        if (vm_gpa_read(e->v->vm, gpa(at), buf + *have, n)) {
            e->fatal = "instruction fetch from memory that is not RAM";
            return false;
        }
        *have += n;
    } while (*have < want && *have < INSN_MAX_LEN);
    return true;
}

static COLD void log_undecodable(struct emul *e, const u8 *b)
{
    trace(e->v->pcpu, TRACE_GUEST_ERROR, e->v->vm->id | (u64)e->v->id << 16, e->p.rip);
    log_guest(e->v->vm->id, LOG_ERROR,
              "vCPU %u: no emulation for the instruction at %llx: %02x %02x %02x %02x %02x %02x %02x %02x "
              "(accessed %llx)",
              e->v->id, (unsigned long long)e->p.rip, b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
              (unsigned long long)(e->exit_known ? e->exit_gpa : 0));
}

static bool decode_failed(struct emul *e, enum decode_result r, const u8 *b)
{
    /* A user VM gets its fault (hypercall-abi.md section 4.6). */
    bool user = CFG_USER_VMS && e->v->vm->cfg->kind == VM_USER;

    if (r == DECODE_UNSUPPORTED)
        log_undecodable(e, b);
    if (r == DECODE_UNSUPPORTED && !user) {
        e->fatal = "instruction cannot be emulated";
        return false;
    }
    e->fault = (struct guest_event){.kind = EVENT_EXCEPTION, .vector = X86_UD};
    if (r == DECODE_TOO_LONG || r == DECODE_UNSUPPORTED) {
        e->fault.vector = X86_GP;
        e->fault.has_error = true;
    }
    return false;
}

bool emul_decode(struct emul *e)
{
    u64 space[INSN_BUF / 8] = {0};
    u8 *buf = (u8 *)space;
    unsigned have = arch_vcpu_insn_bytes(e->v, buf);
    enum decode_result r = DECODE_TRUNCATED;

    if (have)
        r = insn_decode(&e->in, buf, have, e->mode);
    if (r == DECODE_TRUNCATED) {
        if (!emul_fetch(e, buf, 0, &have))
            return false;
        r = insn_decode(&e->in, buf, have, e->mode);
    }
    if (r == DECODE_TRUNCATED && have < INSN_MAX_LEN) {
        if (!emul_fetch(e, buf, INSN_MAX_LEN, &have))
            return false;
        r = insn_decode(&e->in, buf, have, e->mode);
    }
    return r == DECODE_OK ? true : decode_failed(e, r, buf);
}

void emul_fail(struct emul *e)
{
    if (e->fatal) {
        vm_guest_fatal(e->v, e->fatal);
        return;
    }
    arch_vcpu_inject(e->v, &e->fault);
}

unsigned guest_fetch(struct vcpu *v, u8 out[15])
{
    u8 buf[INSN_BUF];
    struct emul e;
    unsigned have = 0;

    emul_begin(&e, v);
    (void)emul_fetch(&e, buf, INSN_MAX_LEN, &have); /* what could be had is in buf even when not all could */
    memcpy(out, buf, have);
    return have;
}

unsigned guest_insn_length(struct vcpu *v, const u8 *opcode, unsigned opcode_len)
{
    u8 buf[INSN_BUF] = {0};
    struct emul e;
    unsigned have, n;

    emul_begin(&e, v);
    have = arch_vcpu_insn_bytes(v, buf);
    if (!have && !emul_fetch(&e, buf, 0, &have))
        return 0;
    n = insn_prefix_len(buf, have, e.mode);
    if (n + opcode_len > have && have < INSN_MAX_LEN) {
        if (!emul_fetch(&e, buf, INSN_MAX_LEN, &have))
            return 0;
        n = insn_prefix_len(buf, have, e.mode);
    }
    if (n + opcode_len > have || memcmp(buf + n, opcode, opcode_len) != 0)
        return 0;
    return n + opcode_len;
}
