/* CREATE_VM and CREATE_VCPU (hypercall-abi.md sections 2.3, 6.3, 6.4). */
#include <core/user_vm.h>
#include <lib/bits.h>
#include "hcall.h"

/* What a VM could be given that this hypervisor does not have: asking for it fails, whatever the slot says.
 */
#define NOT_BUILT (HC_VM_SECURE_WORLD | HC_VM_LAPIC_PASSTHROUGH)

static s32 put_vmid(const struct hcall *h, u16 vmid)
{
    return hcall_put(h, h->p1 + offsetof(struct hc_create_vm, vmid), &vmid, sizeof(vmid));
}

/* The slot that the structure's key selects. None: the caller gets vmid 0xffff, and -ENODEV from the table
 * (section 8, 2). */
struct vm *hc_slot_by_key(struct hcall *h)
{
    struct vm *vm = user_vm_find(h->in.create_vm.key);

    if (!vm)
        put_vmid(h, HC_INVALID_VMID);
    return vm;
}

/* The flags asked for in the hypervisor's numbering; bits that a device model may not set are dropped. */
static u32 wanted_flags(u64 wire)
{
    u32 flags = (u32)wire;

    if (hcall_hsm()) {
        flags &= ~(u32)(HC_VM_RT | HC_VM_HIDE_MTRR);
        if (wire & HC_VM_HSM_RT)
            flags |= HC_VM_RT;
    }
    return flags & HC_VM_FLAGS_FROM_DM;
}

static s32 check_flags(const struct vm *vm, u32 flags)
{
    if ((flags & ~vm->cfg->user_flags) ||
        (flags & (HC_VM_LAPIC_PASSTHROUGH | HC_VM_RT)) == HC_VM_LAPIC_PASSTHROUGH)
        return -EPERM_;
    return flags & NOT_BUILT ? -ENODEV_ : 0;
}

/* The CPUs that the vCPUs shall run on, 0: the slot's own choice. They must be the slot's, and no more than
 * it may have vCPUs. */
static s32 check_affinity(const struct vm *vm, u64 affinity)
{
    const struct cfg_vm *cfg = vm->cfg;
    u64 allowed = 0;
    u32 count = 0;

    for (u16 i = 0; i < cfg->pcpu_count; i++)
        allowed |= BIT64(cfg->pcpus[i]);
    if (affinity & ~allowed)
        return -EPERM_;
    for (u64 left = affinity; left; left &= left - 1)
        count++;
    return count > cfg->vcpu_count ? -EINVAL_ : 0;
}

/* Flavour hsm: a vCPU for each CPU of the affinity, or, without, for each free CPU of the slot up to its
 * maximum; at least one. */
static s32 add_vcpus(struct vm *vm, u64 affinity)
{
    u32 want = vm->cfg->vcpu_count;

    if (affinity)
        for (want = 0; affinity; affinity &= affinity - 1)
            want++;
    while (vm->vcpu_count < want)
        if (user_vm_add_vcpu(vm))
            break;
    return vm->vcpu_count == 0 || (user_vm_of(vm)->affinity && vm->vcpu_count < want) ? -EPERM_ : 0;
}

/* Tells the caller what it got, and nothing but that: editions differ in the length of their structure. */
static s32 write_back(const struct hcall *h, const struct vm *vm)
{
    if (hcall_hsm() && hcall_put(h, h->p1 + offsetof(struct hc_create_vm, vcpu_num), &vm->vcpu_count,
                                 sizeof(vm->vcpu_count)))
        return -EPERM_;
    return put_vmid(h, hcall_wire_id(h, vm));
}

/* HC_CREATE_VM: RDI = GPA of struct hc_create_vm. A failure after the slot was chosen and the request found
 * legal leaves vmid 0xffff behind and the slot as it was. */
s32 hc_create_vm(struct hcall *h)
{
    const struct hc_create_vm *in = &h->in.create_vm;
    u64 affinity = hcall_hsm() ? in->cpu_affinity : 0;
    u32 flags = wanted_flags(in->vm_flag);
    struct vm *vm = h->target;
    s32 ret = check_flags(vm, flags);

    if (ret == 0)
        ret = check_affinity(vm, affinity);
    if (ret)
        return ret;
    if (user_vm_create(vm, in->key, flags, affinity)) {
        put_vmid(h, HC_INVALID_VMID);
        return -EPERM_;
    }
    if (hcall_hsm())
        ret = add_vcpus(vm, affinity);
    if (ret == 0 && write_back(h, vm) == 0)
        return 0;
    user_vm_destroy(vm);
    put_vmid(h, HC_INVALID_VMID);
    return -EPERM_;
}

/* HC_CREATE_VCPU: RSI = GPA of struct hc_create_vcpu, of which flavour v1 uses nothing: ids are given out in
 * order. In flavour hsm CREATE_VM has made all vCPUs, so the call only confirms that one exists. */
s32 hc_create_vcpu(struct hcall *h)
{
    s32 ret;

    if (hcall_hsm())
        return h->in.create_vcpu.vcpu_id < h->target->vcpu_count ? 0 : -EINVAL_;
    ret = user_vm_add_vcpu(h->target);
    return ret == -EBUSY_ ? -EPERM_ : ret; /* "no free CPU" is the generic failure */
}
