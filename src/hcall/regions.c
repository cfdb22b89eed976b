/*
 * SET_MEMORY_REGIONS (hypercall-abi.md section 2.5). The entries lie in the caller's memory, which changes
 * under our hands: each is checked in the copy that is then carried out. A batch is looked through as a whole
 * before its first entry takes effect, so that a mistake in an entry costs nothing; what then still fails
 * (the source is not the service VM's, limits, tables) leaves the entries before it in force, as the ABI
 * says.
 */
#include <arch/s2.h>
#include <core/cpu.h>
#include <core/shm.h>
#include <core/user_vm.h>
#include "hcall.h"

/* Flavour v1: the array fills at most one page. */
#define MAX_V1 (PAGE_SIZE / sizeof(struct hc_memory_region))
/* Entries that are copied in at a time. */
#define CHUNK 16u

enum action { MAP, UNMAP, MODIFY };

static enum action action_of(const struct hc_memory_region *r)
{
    if (hcall_hsm())
        return r->type == HC_MR_ADD ? MAP : UNMAP;
    if (r->type == HC_MR_DEL)
        return UNMAP;
    return r->type == HC_MR_MODIFY ? MODIFY : MAP;
}

/* Rights and memory type (section 3.4), the first that is named: write-back, write-through, write-combining,
 * write-protected, else uncached. */
static u32 prot_of(u32 wire)
{
    u32 prot = (wire & HC_MEM_READ ? MEM_R : 0) | (wire & HC_MEM_WRITE ? MEM_W : 0) |
               (wire & HC_MEM_EXEC ? MEM_X : 0);

    if (wire & HC_MEM_TYPE_WB)
        return prot;
    if (wire & HC_MEM_TYPE_WT)
        return prot | MEM_WT;
    if (wire & HC_MEM_TYPE_WC)
        return prot | MEM_WC;
    return prot | (wire & HC_MEM_TYPE_WP ? MEM_WP : MEM_UC);
}

static bool entry_ok(const struct vm *vm, const struct hc_memory_region *r)
{
    enum action action = action_of(r);

    if (r->size == 0 || !IS_ALIGNED(r->gpa | r->size, PAGE_SIZE) || r->size > USER_GPA_LIMIT ||
        r->gpa > USER_GPA_LIMIT - r->size || shm_meets(vm, r->gpa, r->size))
        return false;
    if (action == MAP && (!IS_ALIGNED(r->sos_vm_gpa, PAGE_SIZE) || r->sos_vm_gpa + r->size < r->sos_vm_gpa))
        return false;
    /* Processors cannot express memory that is writable or executable and not readable. */
    return action == UNMAP || (r->prot & HC_MEM_READ);
}

/* The memory behind an address is not the service VM's: -EFAULT when it is the hypervisor's own. */
static s32 source_error(u64 addr)
{
    return addr - CFG_HV_BASE < CFG_HV_SIZE ? -EFAULT_ : -EINVAL_;
}

static s32 apply(struct vm *vm, const struct hc_memory_region *r)
{
    struct s2_leaf leaf;
    s32 ret;

    switch (action_of(r)) {
    case UNMAP:
        return user_vm_unmap(vm, gpa(r->gpa), r->size);
    case MODIFY:
        if (!arch_s2_translate(vm, gpa(r->gpa), &leaf))
            return -EINVAL_;
        return arch_s2_protect(vm, gpa(r->gpa), r->size, prot_of(r->prot));
    default:
        ret = user_vm_map(vm, gpa(r->gpa), gpa(r->sos_vm_gpa), r->size, prot_of(r->prot));
        return ret == -EFAULT_ ? source_error(r->sos_vm_gpa) : ret;
    }
}

/* One pass over the batch, checking only or carrying out too. */
static s32 each_region(const struct hcall *h, bool carry_out)
{
    const struct hc_set_regions *in = &h->in.regions;
    struct hc_memory_region chunk[CHUNK];
    u32 n;

    for (u32 done = 0; done < in->mr_num; done += n) {
        n = MIN(in->mr_num - done, CHUNK);
        if (vm_gpa_read(h->v->vm, gpa(in->regions_gpa + (u64)done * sizeof(chunk[0])), chunk,
                        n * sizeof(chunk[0])))
            return -EPERM_;
        for (u32 i = 0; i < n; i++) {
            s32 ret = entry_ok(h->target, &chunk[i]) ? 0 : -EINVAL_;

            if (ret == 0 && carry_out)
                ret = apply(h->target, &chunk[i]);
            if (ret)
                return ret;
        }
        if (n < CHUNK)
            continue;
        cpu_wait(); /* a long batch must not keep this CPU from its timers */
        /* Nor the service VM from being stopped: nobody will see the result. */
        if (atomic_load(&h->v->requests) & VCPU_REQ_STOP)
            return -EPERM_;
    }
    return 0;
}

/* HC_VM_SET_MEMORY_REGIONS: RDI = GPA of struct hc_set_regions. */
s32 hc_set_memory_regions(struct hcall *h)
{
    s32 ret;

    if (h->in.regions.mr_num == 0)
        return -EPERM_;
    if (!hcall_hsm() && h->in.regions.mr_num > MAX_V1)
        return -EINVAL_;
    ret = each_region(h, false);
    if (ret)
        return ret;
    ret = each_region(h, true);
    vm_s2_commit(h->target);
    return ret;
}
