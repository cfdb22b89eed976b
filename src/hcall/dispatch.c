/* The way into the hypercalls: who may call, what is copied in, which VM is meant, what its state says. */
#include <arch/cpu.h>
#include <arch/vcpu.h>
#include <lib/bits.h>
#include <core/cpu.h>
#include <core/hcall.h>
#include <core/sbuf.h>
#include <core/user_vm.h>
#include "hcall.h"

struct vm *hcall_user_vm(const struct hcall *h, u64 vmid)
{
    const struct vm *caller = h->v->vm;

    /* What follows the service VM in the table is user-VM slots and nothing else. */
    if (caller->cfg->kind != VM_SERVICE || vmid == 0 || vmid >= CFG_VMS - (u64)caller->id)
        return NULL;
    return &vms[caller->id + vmid];
}

s32 hcall_put(const struct hcall *h, u64 addr, const void *src, size_t len)
{
    return vm_gpa_write(h->v->vm, gpa(addr), src, len) ? -EPERM_ : 0;
}

static bool copy_in(const struct hcall_row *row, struct hcall *h)
{
    u64 addr = row->param == HCALL_PARAM_RDI ? h->p1 : h->p2;

    if (row->param == HCALL_PARAM_RSI_NOT_0 && addr == 0)
        return false;
    return vm_gpa_read(h->v->vm, gpa(addr), &h->in, row->param_size) == 0;
}

static struct vm *find_target(const struct hcall_row *row, struct hcall *h)
{
    switch (row->target) {
    case HCALL_VM_IN_PARAM:
        return hcall_user_vm(h, h->in.vmid);
    case HCALL_VM_PM:
        return hcall_user_vm(h, field_get(h->p1, HC_PMCMD_VMID));
    case HCALL_SLOT_BY_KEY:
        return hc_slot_by_key(h);
    default:
        return hcall_user_vm(h, h->p1);
    }
}

/* What the life-cycle table says about the VM as it is now. */
static s32 state_answer(const struct hcall_row *row, const struct vm *vm)
{
    u32 state = atomic_load(&vm->state);

    if (state == VM_STATE_STARTED && (user_vm_of(vm)->flags & HC_VM_RT))
        state = HCALL_STARTED_RT;
    return row->states[state];
}

/* Whoever holds the lock may be waiting for this CPU to leave guest mode, or for its timers. */
static NOINLINE void wait_for_lock(struct vm *vm)
{
    while (!spin_trylock(&vm->lock))
        cpu_wait();
}

static void lock_target(const struct hcall_row *row, struct vm *vm)
{
    if (row->lock == HCALL_LOCK_WAITS) {
        arch_wait_begin();
        wait_for_lock(vm);
    } else if (row->lock == HCALL_LOCK_TARGET && !spin_trylock(&vm->lock)) {
        arch_wait_begin();
        wait_for_lock(vm);
        arch_wait_end();
    }
}

static void unlock_target(const struct hcall_row *row, struct vm *vm)
{
    if (row->lock != HCALL_LOCK_NONE)
        spin_unlock(&vm->lock);
    if (row->lock == HCALL_LOCK_WAITS)
        arch_wait_end();
}

static s32 failure(s8 answer)
{
    return answer ? answer : -EPERM_;
}

static s32 invoke_on_vm(const struct hcall_row *row, struct hcall *h)
{
    struct vm *vm;
    s32 ret;

    if (row->target == HCALL_VM_OR_SELF_RDI && h->p1 == 0) {
        h->target = h->v->vm;
        return row->fn(h);
    }
    vm = find_target(row, h);
    if (!vm)
        return failure(row->no_vm);
    h->target = vm;
    lock_target(row, vm);
    ret = state_answer(row, vm);
    if (ret == HCALL_GO)
        ret = row->fn(h);
    unlock_target(row, vm);
    return ret;
}

s32 hcall_invoke(const struct hcall_row *row, struct hcall *h)
{
    h->target = NULL;
    h->in.vmid = 0;
    if (CFG_SERVICE && row->debug && !cfg_scenario.debug_hypercalls)
        return -EPERM_;
    if (row->param != HCALL_PARAM_NONE && !copy_in(row, h))
        return failure(row->fault);
    return CFG_SERVICE && row->target != HCALL_NO_VM ? invoke_on_vm(row, h) : row->fn(h);
}

static const struct hcall_row *find_row(u64 index)
{
    const struct hcall_group *g = &(CFG_SERVICE ? hcall_service_calls : hcall_basic_calls)[index / 16];

    return index % 16 < g->count && g->rows[index % 16].fn ? &g->rows[index % 16] : NULL;
}

/* Apart from hcall_dispatch() so that the way of an unserved id needs no stack frame. */
static NOINLINE s32 serve(struct vcpu *v, u64 index)
{
    const struct hcall_row *row = find_row(index);
    const struct cfg_vm *cfg = v->vm->cfg;
    u32 who = HCALL_BY_ANY;
    struct hcall h;
    s32 ret;

    if (cfg->kind == VM_SERVICE)
        who |= HCALL_BY_SERVICE;
    else if (cfg->flags & VM_FLAG_HYPERCALL)
        who |= HCALL_BY_FLAGGED;
    if (!row || !(row->callers & who))
        return -EPERM_;
    h.v = v;
    h.p1 = v->regs->gpr[GPR_RDI];
    h.p2 = v->regs->gpr[GPR_RSI];
    ret = hcall_invoke(row, &h);
    trace(v->pcpu, TRACE_HYPERCALL, HC_ID(index) | (u64)v->vm->id << 32, (u64)(s64)ret);
    return ret;
}

/* The calls of the secure world, which any VM may issue. */
static inline bool open_to_all(u64 index)
{
    return index - (HC_INITIALIZE_TRUSTY - HC_ID(0)) <= HC_SAVE_RESTORE_SWORLD_CTX - HC_INITIALIZE_TRUSTY;
}

enum hcall_outcome hcall_dispatch(struct vcpu *v)
{
    const struct cfg_vm *cfg = v->vm->cfg;
    u64 index = v->regs->gpr[GPR_R8] - HC_ID(0); /* all 64 bits count (section 1.1) */
    s32 ret = -EPERM_;

    if (cfg->kind != VM_SERVICE && !(cfg->flags & VM_FLAG_HYPERCALL) && !open_to_all(index))
        return HCALL_UD;
    if (arch_vcpu_cpl(v) != 0)
        return HCALL_GP;
    if (index < HCALL_GROUPS * 16)
        ret = serve(v, index);
    v->regs->gpr[GPR_RAX] = (u64)(s64)ret;
    return HCALL_DONE;
}
