/* Virtual machines: state, life cycle, memory access. */
#ifndef BH_CORE_VM_H
#define BH_CORE_VM_H

#include <lib/spinlock.h>
#include <config/config.h>
#include <core/io.h>
#include <core/vcpu.h>

/* The states and numbers of hypercall-abi.md section 5. */
enum vm_state { VM_STATE_OFF, VM_STATE_CREATED, VM_STATE_STARTED, VM_STATE_POWERING_OFF, VM_STATE_PAUSED };

/* Bits of vm->want, set through vm_control(). */
enum vm_want {
    VM_WANT_START = 1u << 0,
    VM_WANT_STOP = 1u << 1,    /* stop and switch off */
    VM_WANT_RESTART = 1u << 2, /* stop, scrub, reload, start */
};

struct vm {
    u16 id;
    u16 vcpu_count; /* vCPUs that exist: all of the configuration's, or of a user VM those created so far */
    u16 ram_hint;   /* block of cfg->mem that was accessed last; atomic, any value below mem_count will do */
    const struct cfg_vm *cfg;
    struct vcpu *vcpus; /* &vcpus[cfg->first_vcpu] */
    u32 state;          /* enum vm_state; written by the control CPU (pCPU of vCPU 0) only, or for a user VM
                           under its lock */
    u32 want;           /* enum vm_want, atomic */
    u32 active;         /* vCPUs that have not yet reached STOPPED/OFFLINE; atomic */
    u32 starts;         /* how often it was started */
    spinlock_t lock;    /* protects: second-level tables while the VM is not OFF; of a user VM also state and
                           everything in core/user_vm.h */
    struct io_space io; /* filled at boot, read-only after */
};

extern struct vm vms[CFG_VMS];

/* The service VM, or NULL; constant NULL where the scenario has none, so that what serves it is left out of
 * the image. */
static inline struct vm *service_vm(void)
{
    return CFG_SERVICE ? &vms[cfg_scenario.service_vm] : NULL;
}

/* After changes to the second-level tables, lock held: when a CPU may have cached what changed, flushes and
 * waits until every vCPU of the VM has left guest mode. */
void vm_s2_commit(struct vm *vm);

/* Boot: builds all VMs and vCPUs from the tables (no memory loaded, state OFF). BSP only. */
void vms_init(void);
/* Boot, after modules_init(): asks for the start of all VMs flagged AUTOSTART. Each is loaded and started by
 * its own control CPU once that is in cpu_loop(). */
void vms_autostart(void);

/* Asks the VM's control CPU for a change. Any CPU, returns at once; the outcome is logged. */
void vm_control(struct vm *vm, u32 want);
/* Control CPU: carries out vm->want as far as it can; called for CPU_REQ_VM. */
void vm_service(struct vm *vm);
/* A guest asked for power-off or reset through its virtual platform, or died. v is the vCPU that did it. */
void vm_guest_poweroff(struct vcpu *v);
void vm_guest_reset(struct vcpu *v);
/* Stops the VM after a guest error that cannot be given back to the guest (triple fault, lost decode): logs
 * why, with registers. The VM stays off until vm_start or vm_restart. */
void vm_guest_fatal(struct vcpu *v, const char *why);

struct vm *vm_by_name(const char *name); /* NULL: none */
const char *vm_state_name(u32 state);

/*
 * Guest-physical memory of a VM (RAM only) through the second-level tables. Ranges may cross pages. -EFAULT
 * when a byte is unmapped or, for writes, not writable; bytes before it may have been transferred.
 */
int vm_gpa_read(struct vm *vm, gpa_t src, void *dst, size_t len);
/* The 8 bytes at an aligned address, read at once. False when they are not the VM's RAM. */
bool vm_gpa_read64(struct vm *vm, gpa_t src, u64 *val);
int vm_gpa_write(struct vm *vm, gpa_t dst, const void *src, size_t len);
int vm_gpa_zero(struct vm *vm, gpa_t dst, u64 len);
/* From host memory (a boot module) into the guest. */
int vm_gpa_copy_in(struct vm *vm, gpa_t dst, hpa_t src, u64 len);

#endif
