/*
 * Service-VM programs: hypercalls, and user VMs that run functions of the same program. A user VM sees the
 * program's own image at the same guest-physical addresses, with the same page tables: its vCPUs are as
 * further CPUs of the program (numbers from uvm.base on) that share all its variables, but have another
 * platform.
 */
#ifndef GUEST_HC_H
#define GUEST_HC_H

#include "hcabi.h"

#define UPCALL_VECTOR 0xf7
#define SECOND        1000000UL /* in microseconds */
#define PATIENCE      (20 * SECOND)

/* Hypercall with the instruction that this CPU has (VMMCALL on AMD). */
long hc(u64 id, u64 a, u64 b);
/* With one encoding; the result in RAX, or the exception's vector in *fault (-1: none). */
u64 hc_vmcall(u64 id, u64 a, u64 b, int *fault);
u64 hc_vmmcall(u64 id, u64 a, u64 b, int *fault);
extern bool hc_amd;
static inline long hcp(u64 id, u64 a, const volatile void *p)
{
    return hc(id, a, (u64)p);
}

/* guest_init(), the upcall's handler, the arena. Bails out when this is not a service VM. */
void service_init(void);
extern volatile u32 upcalls;

/* 2 MiB-aligned RAM that nothing else uses, mapped one to one; taken in order, never given back, not cleared.
 */
void *arena(u64 size, u64 align);
/* RAM that ends where no RAM follows: the last `size` bytes in front of a hole. */
u8 *ram_edge(u64 size);
/* The n-th address (page aligned) below 4 GiB, above 1 MiB, that lies between RAM ranges, 0: no more. */
u64 ram_hole(unsigned n);

struct uvm {
    u16 id; /* on the wire; 0: does not exist */
    bool polling;
    u32 base;                         /* percpu number of its vCPU 0 */
    u32 vcpus;                        /* created so far */
    u8 *low;                          /* its memory at guest-physical 0, 64 KiB */
    volatile struct io_request *slot; /* shared with the hypervisor: no access may move across another one */
    /* Gives the request its answer (r->value); NULL: the model of model_default(). */
    void (*model)(struct uvm *vm, u32 vcpu, volatile struct io_request *r);
    u32 served;
    struct io_request last[REQ_SLOTS]; /* each vCPU's last request as it came */
};

/* The keys of the slots in scenarios hcall-test, hcall-test-hsm and so on; key_other fits a spare slot only.
 */
extern const u8 key_uvm0[16], key_uvm1[16], key_rt[16], key_other[16];

/* CREATE_VM; sets vm->id. */
long uvm_create(struct uvm *vm, const u8 key[16], u64 flags);
long uvm_buffer(struct uvm *vm);
long uvm_vcpu(struct uvm *vm);
/* SET_MEMORY_REGIONS with one entry. */
long uvm_region(const struct uvm *vm, u32 type, u64 gpa, u64 src, u64 size, u32 prot);
static inline long uvm_map(const struct uvm *vm, u64 gpa, const void *src, u64 size, u32 prot)
{
    return uvm_region(vm, MR_ADD, gpa, (u64)src, size, prot | MEM_WB);
}
static inline long uvm_unmap(const struct uvm *vm, u64 gpa, u64 size)
{
    return uvm_region(vm, MR_DEL, gpa, 0, size, 0);
}
/* The image and the low 64 KiB. */
long uvm_map_image(struct uvm *vm);
/* 64-bit start state of vCPU 0 in fn(), as CPU number vm->base; `r` may be changed before it is set. */
void uvm_regs(const struct uvm *vm, void (*fn)(void), struct vcpu_regs *r);
long uvm_entry(const struct uvm *vm, void (*fn)(void));
static inline long uvm_op(const struct uvm *vm, u32 id)
{
    return hc(id, vm->id, 0);
}
#define uvm_start(vm) uvm_op(vm, HC_START_VM)
#define uvm_pause(vm) uvm_op(vm, HC_PAUSE_VM)
#define uvm_reset(vm) uvm_op(vm, HC_RESET_VM)
long uvm_destroy(struct uvm *vm);
/* All of the above up to the start state of vCPU 0; bails out when a step fails. fn NULL: no start state. */
void uvm_make(struct uvm *vm, const u8 key[16], u64 flags, unsigned vcpus, void (*fn)(void));
/* Does everything that is due: answers the pending requests. */
void uvm_serve(struct uvm *vm);
/* Answers one slot: completes and notifies. */
void uvm_complete(struct uvm *vm, u32 vcpu);
void uvm_notify(struct uvm *vm, u32 vcpu);
/* SET_IRQLINE and INJECT_MSI. */
long uvm_line(const struct uvm *vm, u32 gsi, u32 op);
long uvm_msi(const struct uvm *vm, u64 addr, u64 data);
/* Serves until *word has reached value (true; what is served may take it further) or the time is over. */
bool uvm_until(struct uvm *vm, volatile u32 *word, u32 value, u64 us);
/* Waits for a slot to be in the state, serving nothing. */
bool uvm_slot_is(struct uvm *vm, u32 vcpu, u32 state, u64 us);

/* The default model: 256 bytes of registers at ports 0x500.., 4 KiB at MODEL_MMIO, COM1's output goes to the
 * service VM's, all else reads as ones. */
#define MODEL_PORT 0x500
#define MODEL_MMIO 0xd0000000UL
extern u8 model_ports[256], model_mmio[4096];
void model_default(struct uvm *vm, u32 vcpu, volatile struct io_request *r);

/* In a user VM: starts its vCPU with local APIC id `apic` as CPU number `index` in fn; false: it never came.
 */
bool uvm_ap_start(u32 apic, u32 index, void (*fn)(void));

#endif
