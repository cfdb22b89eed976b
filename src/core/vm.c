/*
 * The life of a VM. One CPU, the control CPU (pCPU of vCPU 0), owns its state; everyone else says what he
 * wants through the bits of vm->want. Stopping is a sequence of events: the control CPU asks every vCPU to
 * stop, each leaves its CPU, the last one calls the control CPU again. So no CPU ever waits for another. (The
 * life of user VMs is in user_vm.c: there it is the service VM's hypercalls that decide, and wait.)
 *
 * Lock order, outermost first: vm->lock; vUART; console channel. Virtual interrupt controllers' locks come
 * after the vUART's.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/s2.h>
#include <lib/bits.h>
#include <lib/log.h>
#include <lib/string.h>
#include <core/cpu.h>
#include <core/ioreq.h>
#include <core/load.h>
#include <core/sbuf.h>
#include <core/shm.h>
#include <core/user_vm.h>
#include <core/vm.h>
#include <core/vpci.h>
#include <core/vuart.h>
#include "core_impl.h"

struct vm vms[CFG_VMS];

/* How much of a VM's memory is scrubbed between two looks at what else the CPU has to do. */
#define SCRUB_CHUNK MIB(1)

static struct {
    bool dirty;      /* control CPU only: something was loaded into its memory since the last scrub */
    bool guest_turn; /* atomic: the guest asked for the restart that is under way, its log lines are rationed
                      */
} life[CFG_VMS];

static void vcpu_init_one(struct vm *vm, u16 i)
{
    const struct cfg_vm *cfg = vm->cfg;
    struct vcpu *v = &vm->vcpus[i];

    v->vm = vm;
    v->id = i;
    v->index = (u16)(cfg->first_vcpu + i);
    v->pcpu = cfg->pcpus[i];
    v->apic_id = cfg->kind == VM_SERVICE ? cfg_board.cpus[v->pcpu].apic_id : i;
    v->state = VCPU_OFFLINE;
    arch_vcpu_init(v);
    if (cfg->kind != VM_USER && !cpu_claim(v->pcpu, v))
        panic("CPU %u has two vCPUs", v->pcpu);
}

static void vm_init_one(u16 id)
{
    struct vm *vm = &vms[id];
    const struct cfg_vm *cfg = &cfg_vms[id];

    vm->id = id;
    vm->cfg = cfg;
    vm->vcpus = &vcpus[cfg->first_vcpu];
    vm->vcpu_count = cfg->vcpu_count;
    vm->state = VM_STATE_OFF;
    arch_s2_init(vm);
    for (u32 i = 0; i < cfg->mem_count; i++) {
        const struct cfg_mem *m = &cfg->mem[i];

        if (arch_s2_map(vm, gpa(m->gpa), hpa(m->hpa), m->size, MEM_RWX))
            panic("vm %s: %u pages of second-level tables do not reach", cfg->name, cfg->s2_pages);
    }
    for (u16 i = 0; i < cfg->vcpu_count; i++)
        vcpu_init_one(vm, i);
    arch_vm_init(vm);
    vuart_init(vm);
    if (cfg->kind == VM_PRELAUNCHED)
        vpci_init(vm);
    if (CFG_SHMS && cfg->kind != VM_USER && shm_map(vm))
        panic("vm %s: %u pages of second-level tables do not reach for shared memory", cfg->name,
              cfg->s2_pages);
    /* A user slot has no vCPU before the service VM makes one. */
    if (cfg->kind == VM_USER)
        vm->vcpu_count = 0;
}

void vms_init(void)
{
    memset(life, 0, sizeof(life));
    if (CFG_SHMS)
        shm_init();
    for (u16 i = 0; i < CFG_VMS; i++)
        vm_init_one(i);
}

void vms_autostart(void)
{
    for (u32 i = 0; i < CFG_VMS; i++)
        if (cfg_vms[i].flags & VM_FLAG_AUTOSTART)
            vm_control(&vms[i], VM_WANT_START);
}

static void call_control_cpu(struct vm *vm)
{
    cpu_request(vm->vcpus[0].pcpu, CPU_REQ_VM);
}

void vm_control(struct vm *vm, u32 want)
{
    /* Who stops a VM means it: an earlier wish to start it is void, and the guest cannot add one
     * (guest_wants()). */
    u32 is_void = (want & VM_WANT_STOP) ? VM_WANT_START | VM_WANT_RESTART : 0;
    u32 old;

    do {
        old = atomic_load(&vm->want);
    } while (!atomic_cas(&vm->want, old, (old & ~is_void) | want));
    call_control_cpu(vm);
}

/* The wish of the guest itself; a restart loses against a stop that someone else asked for. */
static void guest_wants(struct vcpu *v, u32 want)
{
    struct vm *vm = v->vm;
    u32 old;

    do {
        old = atomic_load(&vm->want);
        if (want == VM_WANT_RESTART && (old & VM_WANT_STOP))
            break;
    } while (!atomic_cas(&vm->want, old, old | want));
    vcpu_request(v, VCPU_REQ_STOP);
    call_control_cpu(vm);
}

void vm_vcpu_stopped(struct vcpu *v)
{
    trace(v->pcpu, TRACE_VCPU_STOP, v->vm->id | (u64)v->id << 16, v->state);
    atomic_store(&v->state, VCPU_STOPPED);
    /* Whoever stops a user VM waits for `active` himself. */
    if (atomic_sub(&v->vm->active, 1) == 1 && v->vm->cfg->kind != VM_USER)
        call_control_cpu(v->vm);
}

void vm_s2_commit(struct vm *vm)
{
    u64 pcpus = 0;

    if (!arch_s2_stale(vm))
        return;
    if (atomic_load(&vm->active)) {
        arch_s2_flush(vm);
        for (u16 i = 0; i < vm->vcpu_count; i++)
            pcpus |= BIT64(vm->vcpus[i].pcpu);
        cpu_sync(pcpus);
    }
    arch_s2_settle(vm);
}

static void begin_stop(struct vm *vm)
{
    atomic_store(&vm->state, VM_STATE_POWERING_OFF);
    for (u32 i = 0; i < vm->cfg->vcpu_count; i++)
        vcpu_request(&vm->vcpus[i], VCPU_REQ_STOP);
}

/* Zeroes all memory of the VM, serving this CPU's console and timers in between. */
static void scrub(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->mem_count; i++) {
        const struct cfg_mem *m = &vm->cfg->mem[i];

        for (u64 done = 0; done < m->size;) {
            u64 n = MIN(m->size - done, SCRUB_CHUNK);

            arch_hpa_zero(hpa(m->hpa + done), n);
            done += n;
            cpu_breathe();
        }
    }
    life[vm->id].dirty = false;
}

/* What a service VM needs beyond what every VM does: its CPUs back from user VMs, which are gone, and the
 * vector that its driver expects. */
static void prepare_service(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];

        if (atomic_load(&cpu_get(v->pcpu)->owner) != v && !cpu_claim(v->pcpu, v))
            panic("CPU %u was not given back to vm %s", v->pcpu, vm->cfg->name);
    }
    ioreq_set_vector(cfg_scenario.upcall_vector);
}

/* It can no longer answer for what it gave to others. */
static void end_service(struct vm *vm)
{
    user_vms_destroy_all();
    arch_host_quiesce(vm);
    sbuf_drop_all();
}

static void start(struct vm *vm)
{
    struct vcpu_boot_state boot;
    int r;

    if (CFG_SERVICE && vm->cfg->kind == VM_SERVICE)
        prepare_service(vm);

    if (life[vm->id].dirty)
        scrub(vm);
    for (u32 i = 0; i < vm->cfg->vcpu_count; i++)
        atomic_store(&vm->vcpus[i].requests, 0);
    arch_vm_reset(vm);
    vuart_reset(vm);
    if (vm->cfg->kind == VM_PRELAUNCHED)
        vpci_reset(vm);
    memset(&boot, 0, sizeof(boot));
    life[vm->id].dirty = true;
    r = vm_load(vm, &boot);
    if (r) {
        log_err("vm %s: not started: its image could not be loaded (error %d)", vm->cfg->name, -r);
        if (CFG_LINKS)
            vuart_off(vm);
        return;
    }
    arch_s2_flush(vm);
    arch_vcpu_set_boot_state(&vm->vcpus[0], &boot);
    for (u32 i = 1; i < vm->cfg->vcpu_count; i++)
        atomic_store(&vm->vcpus[i].state, VCPU_WAIT_SIPI);
    atomic_store(&vm->active, vm->cfg->vcpu_count);
    vm->starts++;
    atomic_store(&vm->state, VM_STATE_STARTED);
    atomic_store(&vm->vcpus[0].state, VCPU_RUNNING);
    if (atomic_xchg(&life[vm->id].guest_turn, false))
        log_guest(vm->id, LOG_INFO, "started");
    else
        log_info("vm %s: started", vm->cfg->name);
}

/* STARTED: looks whether someone wants it to end. True: the state changed. */
static bool service_started(struct vm *vm)
{
    u32 want = atomic_load(&vm->want);

    if (want & (VM_WANT_STOP | VM_WANT_RESTART)) {
        begin_stop(vm);
        return true;
    }
    if (want & VM_WANT_START) {
        atomic_and(&vm->want, ~(u32)VM_WANT_START);
        log_info("vm %s: already started", vm->cfg->name);
    }
    return false;
}

/* All vCPUs have stopped, or the VM is off: does the rest of what is wanted. */
static void service_off(struct vm *vm)
{
    bool stopped = vm->state == VM_STATE_POWERING_OFF;
    u32 want = atomic_xchg(&vm->want, 0);

    if (CFG_SERVICE && stopped && vm->cfg->kind == VM_SERVICE)
        end_service(vm);
    if (CFG_LINKS && stopped)
        vuart_off(vm);
    atomic_store(&vm->state, VM_STATE_OFF);
    if (want & (VM_WANT_START | VM_WANT_RESTART)) {
        start(vm);
    } else if (stopped) {
        atomic_store(&life[vm->id].guest_turn, false);
        log_info("vm %s: off", vm->cfg->name);
    } else if (want & VM_WANT_STOP) {
        log_info("vm %s: already off", vm->cfg->name);
    }
}

void vm_service(struct vm *vm)
{
    switch (vm->state) {
    case VM_STATE_STARTED:
        if (!service_started(vm))
            return;
        break;
    case VM_STATE_POWERING_OFF:
        break;
    case VM_STATE_OFF:
        if (atomic_load(&vm->want))
            service_off(vm);
        return;
    default:
        panic("vm %s: state %u", vm->cfg->name, vm->state);
    }
    if (atomic_load(&vm->active) == 0)
        service_off(vm);
}

void vm_guest_poweroff(struct vcpu *v)
{
    log_guest(v->vm->id, LOG_INFO, "powered off");
    guest_wants(v, VM_WANT_STOP);
}

void vm_guest_reset(struct vcpu *v)
{
    log_guest(v->vm->id, LOG_INFO, "restart (guest reset)");
    atomic_store(&life[v->vm->id].guest_turn, true);
    guest_wants(v, VM_WANT_RESTART);
}

void vm_guest_fatal(struct vcpu *v, const char *why)
{
    if (CFG_USER_VMS && v->vm->cfg->kind == VM_USER) {
        user_vm_guest_died(v, why);
        return;
    }
    /* At most once per start and vCPU: it does not run again before an operator starts the VM. */
    log_err("vm %s: stopped: %s at rip 0x%llx on vcpu %u", v->vm->cfg->name, why,
            (unsigned long long)arch_vcpu_get(v, REG_RIP), v->id);
    lines_begin(LOG_ERROR);
    arch_dump_vcpu(v, lines_print);
    lines_end();
    guest_wants(v, VM_WANT_STOP);
}

struct vm *vm_by_name(const char *name)
{
    for (u32 i = 0; i < CFG_VMS; i++)
        if (strcmp(cfg_vms[i].name, name) == 0)
            return &vms[i];
    return NULL;
}

const char *vm_state_name(u32 state)
{
    static const char *const names[] = {"off", "created", "started", "powering-off", "paused"};

    return state < ARRAY_SIZE(names) ? names[state] : "?";
}
