/*
 * I/O requests of user VMs to the device model in the service VM (hypercall-abi.md section 4). The request
 * page is the service VM's and hostile: it is read once, after completion, and only the value. Layer 4.
 */
#ifndef BH_CORE_IOREQ_H
#define BH_CORE_IOREQ_H

#include <core/vm.h>

/* The vector with which vCPU 0 of the service VM is told of requests (0x20..0xff). Set anew at every start of
 * the service VM. Any CPU. */
void ioreq_set_vector(u8 vector);

/* CREATED: takes the page at host address `page` (RAM of the service VM, page aligned) as the VM's buffer and
 * sets all its slots FREE. vm->lock held. */
void ioreq_set_buffer(struct vm *vm, hpa_t page);
bool ioreq_has_buffer(const struct vm *vm);
/* All slots FREE; no vCPU of the VM runs. */
void ioreq_reset(struct vm *vm);
/* Forgets the page; slots are left as they are. No vCPU of the VM runs. */
void ioreq_drop(struct vm *vm);

/*
 * One access of a user VM's vCPU that no virtual device of the hypervisor owns, on the vCPU's pCPU: sends the
 * request and waits until it is complete or the vCPU must stop. size 1, 2, 4 (port) or 1, 2, 4, 8 (memory).
 * Reads return the value of `size` bytes, zero-extended. When the request cannot be sent (no buffer, slot not
 * FREE) the vCPU is refused (arch_vcpu_refuse()) and the value has no meaning; nor has it when the vCPU must
 * stop. Both are counted in v->io_failed, by which an emulation of several accesses knows that it must end.
 */
u32 ioreq_port_read(struct vcpu *v, u16 port, u8 size);
void ioreq_port_write(struct vcpu *v, u16 port, u8 size, u32 val);
u64 ioreq_mmio_read(struct vcpu *v, u64 addr, u8 size);
/* A write to a page that is mapped readable and executable only becomes REQ_WP. */
void ioreq_mmio_write(struct vcpu *v, u64 addr, u8 size, u64 val);

/* True while the vCPU waits for the answer to a request. Any CPU. */
bool ioreq_waiting(const struct vcpu *v);

/* NOTIFY_REQUEST_FINISH: lets the vCPU look at its slot. -EINVAL (as -1, section 2.5): no buffer, no such
 * vCPU. Any CPU. */
int ioreq_notify(struct vm *vm, u64 vcpu_id);

#endif
