/* The hypercall table and the way into it. */
#include <abi/hypercall.h>
#include <arch/vcpu.h>
#include <core/hcall.h>
#include "hcall.h"

#define ANY_CALLER (HCALL_BY_SERVICE | HCALL_BY_FLAGGED)

/* Rows sit at the low part of their id; the last group of section 2.1 is 0x80. */
#define ROWS 0x90u
#define ROW(i, who, legal, held, handler)                                                                    \
    [(i)-HC_ID(0)] = {.id = (i), .callers = (who), .states = (legal), .lock = (held), .fn = (handler)}

/* Every hypercall that is served. What is not here answers -EPERM, like an id that does not exist
 * (section 1.3). */
static const struct hcall_row table[ROWS] = {
    ROW(HC_GET_API_VERSION, ANY_CALLER, 0, HCALL_LOCK_NONE, hc_get_api_version),
    ROW(HC_GET_PLATFORM_INFO, ANY_CALLER, 0, HCALL_LOCK_NONE, hc_get_platform_info),
    ROW(HC_GET_HW_INFO, ANY_CALLER, 0, HCALL_LOCK_NONE, hc_get_hw_info),
};

/* The user VM that RDI names relative to the service VM (section 1.4), or NULL. */
static struct vm *find_target(const struct hcall *h)
{
    const struct vm *caller = h->v->vm;

    if (caller->cfg->kind != VM_SERVICE || h->p1 == 0 || h->p1 >= CFG_VMS - (u64)caller->id)
        return NULL;
    return &vms[caller->id + h->p1];
}

s32 hcall_invoke(const struct hcall_row *row, struct hcall *h)
{
    s32 ret = -EPERM_;

    h->target = NULL;
    if (!row->states)
        return row->fn(h);
    h->target = find_target(h);
    if (!h->target || h->target->cfg->kind != VM_USER)
        return -EPERM_;
    if (row->lock == HCALL_LOCK_TARGET)
        spin_lock(&h->target->lock);
    if (row->states & BIT32(atomic_load(&h->target->state)))
        ret = row->fn(h);
    if (row->lock == HCALL_LOCK_TARGET)
        spin_unlock(&h->target->lock);
    return ret;
}

/* Apart from hcall_dispatch() so that the way of an unserved id needs no stack frame. */
static NOINLINE s32 serve(struct vcpu *v, u64 index)
{
    struct hcall h = {.v = v, .p1 = v->regs->gpr[GPR_RDI], .p2 = v->regs->gpr[GPR_RSI]};
    u32 who = v->vm->cfg->kind == VM_SERVICE ? HCALL_BY_SERVICE : HCALL_BY_FLAGGED;

    if (!(table[index].callers & who))
        return -EPERM_;
    return hcall_invoke(&table[index], &h);
}

enum hcall_outcome hcall_dispatch(struct vcpu *v)
{
    const struct cfg_vm *cfg = v->vm->cfg;
    s32 ret = -EPERM_;
    u64 index;

    if (cfg->kind != VM_SERVICE && !(cfg->flags & VM_FLAG_HYPERCALL))
        return HCALL_UD;
    if (arch_vcpu_cpl(v) != 0)
        return HCALL_GP;
    index = v->regs->gpr[GPR_R8] - HC_ID(0); /* all 64 bits count (section 1.1) */
    if (index < ROWS)
        ret = serve(v, index);
    v->regs->gpr[GPR_RAX] = (u64)(s64)ret;
    return HCALL_DONE;
}
