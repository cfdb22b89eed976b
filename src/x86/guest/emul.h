/* What the parts of the instruction emulation share; nobody else includes this. Layer 5. */
#ifndef BH_X86_GUEST_EMUL_H
#define BH_X86_GUEST_EMUL_H

#include <arch/vcpu.h>
#include <core/vcpu.h>
#include "x86/guest/decode.h"
#include "x86/guest/exits.h"

/* Elements of a REP string instruction done in one exit; after that the guest runs into it again, so
 * interrupts get in. */
#define EMUL_REP_MAX 64

/* The two memory operands of string instructions; all others have one. */
enum mem_stream { MEM_SRC, MEM_DST, MEM_STREAMS };

/* Kinds of access that need not try RAM first, because the exit has shown that RAM does not answer them. */
enum mem_known { MEM_NO_READ = 1u << 0, MEM_NO_WRITE = 1u << 1 };

struct page_cache {
    u64 linear; /* page address, 1: empty */
    u64 gpa;
    u8 known;
    bool write; /* translated for writing */
};

struct emul {
    struct vcpu *v;
    u64 *gpr;
    struct guest_paging p; /* control registers, RIP and CS at the exit */
    enum insn_mode mode;
    struct insn in;
    struct guest_event fault; /* valid when a function here returned false and fatal is NULL */
    const char *fatal;        /* set: the VM cannot go on */
    u64 exit_gpa;             /* what the exit reported, valid while exit_known is not 0 */
    u8 exit_known;            /* enum mem_known */
    u64 io_failed;            /* the vCPU's count of accesses without answer when this began */
    struct page_cache cache[MEM_STREAMS];
};

/* A memory operand whose translation is done and permitted, so that access cannot fail any more. */
struct mem_op {
    u64 gpa[2];
    u8 known[2]; /* enum mem_known */
    u8 size;
    u8 first; /* bytes at gpa[0]; the rest, on the next page, at gpa[1] */
};

/*
 * True when an access of this instruction got no answer (core/ioreq.h): the instruction is going to be
 * undone, or the vCPU to stop. Nothing more may be read or written for it.
 */
static inline bool emul_void(const struct emul *e)
{
    return CFG_USER_VMS && e->v->io_failed != e->io_failed;
}

/* fetch.c: sets up e for the vCPU's current instruction. */
void emul_begin(struct emul *e, struct vcpu *v);
/*
 * Gets at least `want` bytes of the instruction into buf, or as many as lie on its first page when want is 0.
 * *have is how many bytes are there already (0 at first) and then are; at most 15. False: e->fault or
 * e->fatal is set.
 */
bool emul_fetch(struct emul *e, u8 buf[INSN_BUF], unsigned want, unsigned *have);
/* Fetches and decodes into e->in. False: e->fault or e->fatal is set. */
bool emul_decode(struct emul *e);
/* After a false: injects e->fault or stops the VM. */
void emul_fail(struct emul *e);

/* mem.c */
/* Effective address of the instruction's ModRM, moffs operand, cut to its address size. */
u64 emul_address(const struct emul *e);
/* Translates [seg:ea, +size) for reading, or for writing (and reading), with the checks that the CPU makes.
 */
bool mem_resolve(struct emul *e, enum mem_stream stream, enum guest_seg seg, u64 ea, unsigned size,
                 bool write, struct mem_op *m);
u64 mem_load(struct emul *e, const struct mem_op *m);
void mem_store(struct emul *e, const struct mem_op *m, u64 val);

/*
 * plain_mov.c: the access of (nearly) every exit, done without the machinery above. False: not that simple,
 * nothing was done.
 */
bool emul_plain_mov(struct vcpu *v, u64 gpa, bool write);

/* string_io.c: carries out the string instruction in e->in, moves RIP on when its count is used up. */
bool emul_string(struct emul *e);

#endif
