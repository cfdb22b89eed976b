/*
 * User VMs: slots that the configuration validated and the service VM fills. State changes are made by the
 * CPU that carries out the hypercall, under vm->lock, and it waits until the VM's vCPUs have followed: their
 * CPUs never wait for a service CPU, so the wait ends.
 */
#include <abi/ioreq.h>
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/s2.h>
#include <lib/bits.h>
#include <lib/log.h>
#include <lib/string.h>
#include <core/cpu.h>
#include <core/ioreq.h>
#include <core/sbuf.h>
#include <core/shm.h>
#include <core/user_vm.h>
#include <core/vuart.h>
#include "core_impl.h"

/* One more than there are, so that a scenario without any has no empty array. */
static struct user_vm users[CFG_USER_VMS + 1];
/* Where each vCPU starts: by vCPU index. */
static struct vcpu_boot_state boots[CFG_USER_VMS ? CFG_VCPUS : 1];

/* What is emulated inside every user VM: mapping memory there would only hide it. */
static const struct {
    u64 base, size;
} windows[] = {
    {0xfec00000, 0x1000},   /* vIOAPIC */
    {0xfee00000, 0x100000}, /* local APIC and message-signalled interrupts */
};

struct user_vm *user_vm_of(const struct vm *vm)
{
    return &users[vm->id - (CFG_VMS - CFG_USER_VMS)];
}

static void set_state(struct vm *vm, enum vm_state state)
{
    atomic_store(&vm->state, (u32)state);
    trace(this_cpu()->id, TRACE_VM_STATE, vm->id, state);
}

struct vm *user_vm_find(const u8 key[CFG_KEY_BYTES])
{
    struct vm *spare = NULL;

    /* The keys of VMs that the service VM does not make are taken, for spare slots too. */
    for (u32 i = 0; i < CFG_VMS - CFG_USER_VMS; i++)
        if (memcmp(cfg_vms[i].key_bytes, key, CFG_KEY_BYTES) == 0)
            return NULL;
    for (u32 i = CFG_VMS - CFG_USER_VMS; i < CFG_VMS; i++) {
        struct vm *vm = &vms[i];
        bool off = atomic_load(&vm->state) == VM_STATE_OFF;

        if (!(vm->cfg->flags & VM_FLAG_SPARE)) {
            if (memcmp(vm->cfg->key_bytes, key, CFG_KEY_BYTES) == 0)
                return vm;
        } else if (!off && memcmp(user_vm_of(vm)->key, key, CFG_KEY_BYTES) == 0) {
            return vm;
        } else if (off && !spare) {
            spare = vm;
        }
    }
    return spare;
}

/* The state in which a vCPU waits for its start. Nothing of the VM runs. */
static void reset_vcpu(struct vcpu *v)
{
    atomic_store(&v->requests, 0);
    atomic_store(&v->state, VCPU_OFFLINE);
    arch_reset_state(&boots[v->index]);
}

static void reset_vcpus(struct vm *vm)
{
    for (u16 i = 0; i < vm->vcpu_count; i++)
        reset_vcpu(&vm->vcpus[i]);
    arch_vm_reset(vm);
}

int user_vm_create(struct vm *vm, const u8 key[CFG_KEY_BYTES], u32 flags, u64 affinity)
{
    struct user_vm *u = user_vm_of(vm);

    memset(u, 0, sizeof(*u));
    memcpy(u->key, key, CFG_KEY_BYTES);
    u->flags = flags;
    u->affinity = affinity;
    vm->vcpu_count = 0;
    vm->starts = 0;
    if (CFG_SHMS && shm_map(vm)) {
        arch_s2_init(vm);
        return -ENOMEM_;
    }
    reset_vcpus(vm);
    set_state(vm, VM_STATE_CREATED);
    return 0;
}

static bool take_cpu(struct vm *vm, struct vcpu *v)
{
    const struct user_vm *u = user_vm_of(vm);
    const struct cfg_vm *cfg = vm->cfg;
    u64 set = u->affinity;

    if (set) {
        for (u16 i = 0; i < v->id; i++)
            set &= set - 1;
        return set && cpu_claim(bit_low64(set), v);
    }
    for (u16 i = 0; i < cfg->pcpu_count; i++)
        set |= BIT64(cfg->pcpus[i]);
    for (; set; set &= set - 1)
        if (cpu_claim(bit_low64(set), v))
            return true;
    return false;
}

int user_vm_add_vcpu(struct vm *vm)
{
    struct vcpu *v;

    if (vm->vcpu_count == vm->cfg->vcpu_count)
        return -EINVAL_;
    v = &vm->vcpus[vm->vcpu_count];
    if (!take_cpu(vm, v))
        return -EBUSY_;
    v->apic_id = user_vm_of(vm)->affinity ? cfg_board.cpus[v->pcpu].apic_id : v->id;
    v->wait_ticks = 0;
    v->ioreqs = 0;
    v->unowned = 0;
    memset(v->exits, 0, sizeof(v->exits));
    vm->vcpu_count++;
    /* The others keep what user_vm_set_regs() gave them. */
    reset_vcpu(v);
    arch_vm_reset(vm);
    return 0;
}

int user_vm_set_regs(struct vm *vm, u32 id, const struct vcpu_boot_state *s)
{
    if (id >= vm->vcpu_count)
        return -EINVAL_;
    boots[vm->vcpus[id].index] = *s;
    return 0;
}

int user_vm_start(struct vm *vm)
{
    if (vm->vcpu_count == 0 || !ioreq_has_buffer(vm))
        return -EINVAL_;
    if (CFG_USER_VUARTS)
        vuart_reset(vm);
    for (u16 i = 0; i < vm->vcpu_count; i++)
        atomic_store(&vm->vcpus[i].state, VCPU_WAIT_SIPI);
    atomic_store(&vm->active, vm->vcpu_count);
    vm->starts++;
    set_state(vm, VM_STATE_STARTED);
    vcpu_request(&vm->vcpus[0], VCPU_REQ_BOOT);
    return 0;
}

void user_vm_take_boot(struct vcpu *v)
{
    arch_vcpu_set_boot_state(v, &boots[v->index]);
    atomic_store(&v->state, VCPU_RUNNING);
}

void user_vm_pause(struct vm *vm)
{
    if (atomic_load(&vm->active)) {
        for (u16 i = 0; i < vm->vcpu_count; i++)
            vcpu_request(&vm->vcpus[i], VCPU_REQ_STOP);
        while (atomic_load(&vm->active))
            cpu_wait();
    }
    set_state(vm, VM_STATE_PAUSED);
}

void user_vm_reset(struct vm *vm)
{
    reset_vcpus(vm);
    if (CFG_LINKS)
        vuart_off(vm);
    ioreq_reset(vm);
    set_state(vm, VM_STATE_CREATED);
}

void user_vm_destroy(struct vm *vm)
{
    user_vm_pause(vm);
    for (u16 i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];

        atomic_store(&v->state, VCPU_OFFLINE);
        cpu_release(v->pcpu, v);
    }
    /* The timers of its platform must not fire for whoever gets the CPUs. */
    reset_vcpus(vm);
    if (CFG_LINKS)
        vuart_off(vm);
    vm->vcpu_count = 0;
    arch_s2_init(vm);
    user_vm_of(vm)->mapped = 0;
    ioreq_drop(vm);
    set_state(vm, VM_STATE_OFF);
}

void user_vms_destroy_all(void)
{
    for (u32 i = CFG_VMS - CFG_USER_VMS; i < CFG_VMS; i++) {
        struct vm *vm = &vms[i];

        spin_lock(&vm->lock);
        if (vm->state != VM_STATE_OFF)
            user_vm_destroy(vm);
        spin_unlock(&vm->lock);
    }
}

/* What the service VM may map or unmap: shared memory stays as it is configured. */
static bool range_ok(const struct vm *vm, u64 base, u64 size)
{
    if (!IS_ALIGNED(base | size, PAGE_SIZE) || size == 0 || size > USER_GPA_LIMIT ||
        base > USER_GPA_LIMIT - size)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
        if (base < windows[i].base + windows[i].size && windows[i].base < base + size)
            return false;
    return !shm_meets(vm, base, size);
}

/* The leaf of the service VM's tables that addr lies in, when it is RAM of the service VM's own that it may
 * itself use in the ways of `prot`. */
static bool source_leaf(u64 addr, u32 prot, struct s2_leaf *leaf)
{
    u32 need = prot & MEM_RWX;

    return arch_s2_translate(service_vm(), gpa(addr), leaf) && !(leaf->prot & MEM_DEV) &&
           (leaf->prot & need) == need && !shm_holds(leaf->hpa);
}

static bool source_ok(u64 addr, u64 size, u32 prot)
{
    struct s2_leaf leaf;

    if (addr + size < addr)
        return false;
    for (u64 n; size; size -= n, addr += n) {
        if (!source_leaf(addr, prot, &leaf))
            return false;
        n = MIN(size, leaf.left);
    }
    return true;
}

int user_vm_map(struct vm *vm, gpa_t dst, gpa_t src, u64 size, u32 prot)
{
    struct user_vm *u = user_vm_of(vm);
    struct s2_leaf leaf;
    u64 n, before;

    if (!range_ok(vm, dst.v, size) || !IS_ALIGNED(src.v, PAGE_SIZE))
        return -EINVAL_;
    if (!source_ok(src.v, size, prot))
        return -EFAULT_;
    before = arch_s2_mapped(vm, dst, size);
    if (u->mapped + (size - before) > vm->cfg->mem_limit)
        return -ENOMEM_;
    for (u64 done = 0; done < size; done += n) {
        int r;

        /* The service VM's tables cannot have changed: its memory is its own for as long as it runs. */
        ASSERT(source_leaf(src.v + done, prot, &leaf));
        n = MIN(size - done, leaf.left);
        r = arch_s2_map(vm, gpa_add(dst, done), leaf.hpa, n, prot);
        if (r) {
            u->mapped += arch_s2_mapped(vm, dst, size) - before;
            return r;
        }
    }
    u->mapped += size - ((prot & MEM_RWX) ? before : size + before);
    return 0;
}

int user_vm_unmap(struct vm *vm, gpa_t dst, u64 size)
{
    u64 before;
    int r;

    if (!range_ok(vm, dst.v, size))
        return -EINVAL_;
    before = arch_s2_mapped(vm, dst, size);
    r = arch_s2_unmap(vm, dst, size);
    user_vm_of(vm)->mapped -= before - (r ? arch_s2_mapped(vm, dst, size) : 0);
    return r;
}

int user_vm_write_protect(struct vm *vm, gpa_t addr, bool protect)
{
    struct s2_leaf leaf;

    if (!IS_ALIGNED(addr.v, PAGE_SIZE) || shm_meets(vm, addr.v, PAGE_SIZE) ||
        !arch_s2_translate(vm, addr, &leaf))
        return -EINVAL_;
    return arch_s2_protect(vm, addr, PAGE_SIZE, protect ? leaf.prot & ~(u32)MEM_W : leaf.prot | MEM_W);
}

void user_vm_guest_died(struct vcpu *v, const char *why)
{
    trace(v->pcpu, TRACE_GUEST_ERROR, v->vm->id | (u64)v->id << 16, arch_vcpu_get(v, REG_RIP));
    log_guest(v->vm->id, LOG_ERROR, "%s at rip 0x%llx on vcpu %u", why,
              (unsigned long long)arch_vcpu_get(v, REG_RIP), v->id);
    ioreq_port_write(v, PM1A_CNT_PORT, 2, PM1A_SLP_EN | PM1A_S5);
    /* A processor in shutdown does nothing until it is reset; INIT and SIPI may still revive it. */
    v->state = VCPU_WAIT_SIPI;
    atomic_or(&v->requests, (u32)VCPU_REQ_EVENT);
}

static struct vcpu *online_by_apic_id(const struct vm *vm, u64 apic_id)
{
    for (u16 i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i].apic_id == apic_id && atomic_load(&vm->vcpus[i].state) != VCPU_OFFLINE)
            return &vm->vcpus[i];
    return NULL;
}

int service_offline_cpu(struct vcpu *caller, u64 apic_id)
{
    static spinlock_t one_at_a_time;
    struct vcpu *v = online_by_apic_id(caller->vm, apic_id);

    if (!v)
        return 0;
    if (v->id == 0 || v == caller)
        return -EPERM_;
    /* Two vCPUs that take each other off would wait for ever. */
    if (!spin_trylock(&one_at_a_time))
        return -EBUSY_;
    if (atomic_load(&v->state) != VCPU_OFFLINE) {
        vcpu_request(v, VCPU_REQ_STOP);
        while (atomic_load(&v->state) != VCPU_STOPPED)
            cpu_wait();
        atomic_store(&v->state, VCPU_OFFLINE);
        cpu_release(v->pcpu, v);
        atomic_store(&v->requests, 0);
    }
    spin_unlock(&one_at_a_time);
    return 0;
}
