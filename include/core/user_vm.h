/*
 * The dynamic life of user VMs, on behalf of the service VM's hypercalls (hypercall-abi.md sections 2.3, 2.5,
 * 5). Unless said otherwise the functions run on a pCPU of the service VM (or, when that ends, on its control
 * CPU), the caller holds vm->lock, and the VM's state is one that the life-cycle table allows. They return 0
 * or a negative errno and then have changed nothing. Layer 4.
 */
#ifndef BH_CORE_USER_VM_H
#define BH_CORE_USER_VM_H

#include <core/vm.h>

struct user_vm {
    u8 key[CFG_KEY_BYTES]; /* the key it was created with */
    u32 flags;             /* enum hc_vm_flag in force */
    u64 affinity; /* pCPUs its vCPUs run on, in ascending order; 0: those of the slot, lowest-numbered free
                     first */
    u64 mapped;   /* bytes mapped now */
};

/* Of a VM of kind VM_USER. */
struct user_vm *user_vm_of(const struct vm *vm);

/*
 * The slot that a CREATE_VM with this key selects: the slot with the same fixed key, else the first spare
 * slot that is OFF, unless a spare VM with this key lives. NULL: none. Takes no lock: the caller looks at the
 * state again under the slot's.
 */
struct vm *user_vm_find(const u8 key[CFG_KEY_BYTES]);

/*
 * OFF -> CREATED: nothing but shared memory in its memory map, no vCPU, platform reset. flags: what the slot
 * permits of what was asked, checked by the caller. affinity: subset of the slot's CPUs or 0. -ENOMEM: the
 * slot's tables do not reach for the shared memory.
 */
int user_vm_create(struct vm *vm, const u8 key[CFG_KEY_BYTES], u32 flags, u64 affinity);
/*
 * Adds the next vCPU: on the lowest-numbered CPU of the slot that belongs to nobody, or, with affinity, on
 * the next CPU of that set. -EINVAL: the slot's maximum is reached. -EBUSY: no CPU free.
 */
int user_vm_add_vcpu(struct vm *vm);
/* The state in which vCPU `id` starts. -EINVAL: there is no such vCPU. */
int user_vm_set_regs(struct vm *vm, u32 id, const struct vcpu_boot_state *s);
/* CREATED -> STARTED. -EINVAL: no vCPU. */
int user_vm_start(struct vm *vm);
/* Any but OFF -> PAUSED: returns when no vCPU of it runs any more. */
void user_vm_pause(struct vm *vm);
/* PAUSED -> CREATED: vCPUs, interrupt controllers and request slots as after creation, memory map kept. */
void user_vm_reset(struct vm *vm);
/* Any but OFF -> OFF: pauses, gives CPUs back, empties the memory map; nothing refers to its memory any more.
 */
void user_vm_destroy(struct vm *vm);
/* The control CPU of the service VM, which has stopped: destroys all. Takes the locks itself. */
void user_vms_destroy_all(void);

/*
 * Maps [gpa, gpa+size) to the memory that the service VM sees at its [src, src+size). Page by page the source
 * must be the service VM's RAM. -EINVAL: misaligned, size 0, wraps, beyond the address-space ceiling, meets
 * the windows of the interrupt controllers or shared memory. -EFAULT: a source page is not the service VM's
 * own RAM. -ENOMEM: the slot's memory limit or its tables are used up. prot: enum mem_prot. Everything is
 * checked before the first change, but for the tables. The caller commits (vm_s2_commit()) once after the
 * last.
 */
int user_vm_map(struct vm *vm, gpa_t gpa, gpa_t src, u64 size, u32 prot);
/* Removes what is mapped in the range. Same checks of gpa and size. */
int user_vm_unmap(struct vm *vm, gpa_t gpa, u64 size);
/* Takes (or gives) write permission of one mapped page. -EINVAL: misaligned, not mapped, or shared memory. */
int user_vm_write_protect(struct vm *vm, gpa_t gpa, bool protect);

/* First guest-physical address beyond what may be mapped. */
#define USER_GPA_LIMIT BIT64(39)

/* The guest's processor died (triple fault) or cannot go on: told to the device model as the power-off that a
 * PC's chipset would see (section 4.6); the vCPU waits to be stopped. Own pCPU. */
void user_vm_guest_died(struct vcpu *v, const char *why);

/*
 * SOS_OFFLINE_CPU: takes the service vCPU with this local APIC id off its CPU, for good (until the service VM
 * restarts). 0 also when there is none. -EPERM: vCPU 0, or the caller itself. -EBUSY: another such call is
 * under way. Caller: any service vCPU, no lock held.
 */
int service_offline_cpu(struct vcpu *caller, u64 apic_id);

/* Called by the CPU that takes VCPU_REQ_BOOT (src/core/vcpu.c). */
void user_vm_take_boot(struct vcpu *v);

#endif
