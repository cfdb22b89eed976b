/*
 * I/O requests of user VMs (hypercall-abi.md section 4). A request is synchronous: the vCPU's CPU publishes
 * it in the slot of the vCPU's id, tells the service VM, and stays in the exit handler until the answer is
 * there, serving what else is asked of the CPU. The page is hostile memory: one word of it decides when the
 * wait ends, one value is read after that, and everything else is the hypervisor's own copy.
 */
#include <abi/hypercall.h>
#include <abi/ioreq.h>
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/s2.h>
#include <arch/vcpu.h>
#include <lib/atomic.h>
#include <lib/bits.h>
#include <lib/log.h>
#include <core/cpu.h>
#include <core/ioreq.h>
#include <core/sbuf.h>
#include <core/user_vm.h>

/* Host address of each user VM's request page, bit 0 set; 0: none. One more than there are, so that a
 * scenario without any has no empty array. */
static u64 pages[CFG_USER_VMS + 1];
static u32 waiting[CFG_VCPUS]; /* by vCPU index, atomic */
static u8 upcall_vector;

void ioreq_set_vector(u8 vector)
{
    atomic_store(&upcall_vector, vector);
}

static u64 *page_word(const struct vm *vm)
{
    return &pages[vm->id - (CFG_VMS - CFG_USER_VMS)];
}

static hpa_t slot_of(u64 word, u64 id)
{
    return hpa((word & ~PAGE_MASK) + id * sizeof(struct ioreq_slot));
}

static hpa_t state_of(hpa_t slot)
{
    return hpa_add(slot, offsetof(struct ioreq_slot, processed));
}

void ioreq_set_buffer(struct vm *vm, hpa_t page)
{
    ASSERT(IS_ALIGNED(page.v, PAGE_SIZE));
    atomic_store(page_word(vm), page.v | 1);
    ioreq_reset(vm);
}

bool ioreq_has_buffer(const struct vm *vm)
{
    return atomic_load(page_word(vm)) != 0;
}

void ioreq_reset(struct vm *vm)
{
    u64 word = atomic_load(page_word(vm));

    for (u32 i = 0; word && i < IOREQ_SLOTS; i++)
        arch_hpa_store32(state_of(slot_of(word, i)), IOREQ_FREE);
}

void ioreq_drop(struct vm *vm)
{
    atomic_store(page_word(vm), 0);
}

bool ioreq_waiting(const struct vcpu *v)
{
    return CFG_USER_VMS && atomic_load(&waiting[v->index]);
}

static bool must_stop(const struct vcpu *v)
{
    return (atomic_load(&v->requests) & VCPU_REQ_STOP) != 0;
}

/* Polling VM: watches the slot itself. False: the vCPU must stop. */
static bool wait_polling(struct vcpu *v, hpa_t state)
{
    struct cpu *c = this_cpu();

    while (arch_hpa_load32(state) != IOREQ_COMPLETE) {
        if (must_stop(v))
            return false;
        arch_irq_window();
        if (atomic_load(&c->requests))
            cpu_service();
        cpu_relax();
    }
    return true;
}

/*
 * Notification mode: the CPU idles until VCPU_REQ_IOREQ comes and the slot is complete. What else arrives for
 * the vCPU is put aside, for it would keep the CPU from idling, and given back when the wait is over. False:
 * the vCPU must stop.
 */
static bool wait_notified(struct vcpu *v, hpa_t state)
{
    struct cpu *c = this_cpu();
    bool complete = false, stop = false;
    u32 held = 0;

    while (!complete && !stop) {
        u32 got = atomic_and(&v->requests, (u32)VCPU_REQ_STOP);

        /* An INIT voids the SIPI before it (vcpu_send_init()), also one that was put aside. */
        if (got & VCPU_REQ_INIT)
            held &= ~(u32)VCPU_REQ_SIPI;
        held |= got & ~(u32)(VCPU_REQ_STOP | VCPU_REQ_IOREQ);
        stop = (got & VCPU_REQ_STOP) != 0;
        complete = (got & VCPU_REQ_IOREQ) && arch_hpa_load32(state) == IOREQ_COMPLETE;
        if (complete || stop)
            break;
        if (atomic_load(&c->requests))
            cpu_service();
        else
            arch_cpu_idle(&c->requests, &v->requests);
    }
    if (held)
        atomic_or(&v->requests, held);
    return complete;
}

static void publish(struct vcpu *v, hpa_t slot, const struct ioreq_head *head)
{
    u8 vector = atomic_load(&upcall_vector);

    arch_hpa_write(slot, head, sizeof(*head));
    /* Before the service VM can see the request, so that a notification that comes at once is not lost. */
    atomic_store(&waiting[v->index], 1);
    arch_hpa_store32(state_of(slot), IOREQ_PENDING);
    trace(v->pcpu, TRACE_IOREQ_SEND, v->vm->id | (u64)v->id << 16 | (u64)head->type << 32,
          head->reqs.mmio.address);
    trace(v->pcpu, TRACE_UPCALL, vector, 0);
    arch_vcpu_send_vector(&service_vm()->vcpus[0], vector);
}

/* Sends the request and waits for its end. False: abandoned, because the vCPU must stop; the slot stays as it
 * is until the VM is reset. */
static bool carry_out(struct vcpu *v, hpa_t slot, const struct ioreq_head *head)
{
    bool complete;
    u64 start;

    publish(v, slot, head);
    start = arch_tsc();
    arch_wait_begin();
    if (head->completion_polling)
        complete = wait_polling(v, state_of(slot));
    else
        complete = wait_notified(v, state_of(slot));
    arch_wait_end();
    atomic_store(&waiting[v->index], 0);
    v->wait_ticks += arch_tsc() - start;
    v->ioreqs++;
    return complete;
}

/* One access. The value that a read yields, or all ones when there is none. */
static u64 request(struct vcpu *v, u32 type, u32 direction, u64 addr, u8 size, u64 val)
{
    u64 word = atomic_load(page_word(v->vm));
    hpa_t slot = slot_of(word, v->id);
    /* Port requests have a shorter value field at the same place, the rest being zero. */
    struct ioreq_head head = {
        .type = type,
        .completion_polling = (user_vm_of(v->vm)->flags & HC_VM_IO_POLLING) != 0,
        .reqs.mmio = {.direction = direction, .address = addr, .size = size, .value = val},
    };

    if (must_stop(v)) {
        v->io_failed++;
        return size_mask(size);
    }
    if (!word || v->id >= IOREQ_SLOTS || arch_hpa_load32(state_of(slot)) != IOREQ_FREE) {
        v->io_failed++;
        arch_vcpu_refuse(v);
        return size_mask(size);
    }
    if (!carry_out(v, slot, &head)) {
        v->io_failed++;
        return size_mask(size);
    }
    val = size_mask(size);
    if (direction == IOREQ_READ)
        val &= arch_hpa_read64(hpa_add(slot, IOREQ_VALUE_AT));
    arch_hpa_store32(state_of(slot), IOREQ_FREE);
    trace(v->pcpu, TRACE_IOREQ_DONE, v->vm->id | (u64)v->id << 16, val);
    return val;
}

/* Section 4.6: the writes with which a real-time VM ends its own run. From then on the service VM may pause
 * it. */
static void observe_rt(struct vcpu *v, u16 port, u8 size, u32 val)
{
    struct vm *vm = v->vm;
    bool ends;

    switch (port) {
    case 0x64: /* keyboard controller: pulse the reset line */
        ends = val == 0xfe;
        break;
    case 0xcf9: /* reset control register: reset on the rising edge of bit 2 */
        ends = size == 1 && (val & 4);
        break;
    case PM1A_CNT_PORT:
        ends = size >= 2 && (val & (PM1A_SLP_EN | PM1A_SLP_TYP_MASK)) == (PM1A_SLP_EN | PM1A_S5);
        break;
    default:
        return;
    }
    /* Without the VM's lock, for which this CPU must not wait: nobody else takes a running real-time VM out
     * of STARTED. */
    if (!ends || !atomic_cas(&vm->state, (u32)VM_STATE_STARTED, (u32)VM_STATE_POWERING_OFF))
        return;
    trace(v->pcpu, TRACE_VM_STATE, vm->id, VM_STATE_POWERING_OFF);
    log_guest(vm->id, LOG_INFO, "asks for power-off or reset (port 0x%x)", port);
}

/* The board's idle states that are entered by reading a port are told to device models (PM_GET_CPU_STATE),
 * who put them into the ACPI tables of their VMs but do not serve the ports (section 4.6). */
static bool enters_idle_state(u16 port)
{
    for (u32 i = 0; i < cfg_board.cx_count; i++)
        if (cfg_board.cx[i].reg.space == HC_SPACE_IO && cfg_board.cx[i].reg.address == port)
            return true;
    return false;
}

u32 ioreq_port_read(struct vcpu *v, u16 port, u8 size)
{
    if (size == 1 && enters_idle_state(port)) {
        vcpu_doze(v);
        return 0;
    }
    return (u32)request(v, IOREQ_PORTIO, IOREQ_READ, port, size, 0);
}

void ioreq_port_write(struct vcpu *v, u16 port, u8 size, u32 val)
{
    if (user_vm_of(v->vm)->flags & HC_VM_RT)
        observe_rt(v, port, size, val);
    request(v, IOREQ_PORTIO, IOREQ_WRITE, port, size, val);
}

u64 ioreq_mmio_read(struct vcpu *v, u64 addr, u8 size)
{
    return request(v, IOREQ_MMIO, IOREQ_READ, addr, size, 0);
}

void ioreq_mmio_write(struct vcpu *v, u64 addr, u8 size, u64 val)
{
    struct s2_leaf leaf;
    u32 type = IOREQ_MMIO;

    if (arch_s2_translate(v->vm, gpa(addr), &leaf) && (leaf.prot & MEM_RWX) == (MEM_R | MEM_X))
        type = IOREQ_WP;
    request(v, type, IOREQ_WRITE, addr, size, val);
}

int ioreq_notify(struct vm *vm, u64 vcpu_id)
{
    u64 word = atomic_load(page_word(vm));
    struct vcpu *v;

    if (!word || vcpu_id >= vm->vcpu_count || vcpu_id >= IOREQ_SLOTS)
        return -EINVAL_;
    v = &vm->vcpus[vcpu_id];
    if (user_vm_of(vm)->flags & HC_VM_IO_POLLING)
        return 0;
    if (atomic_load(&waiting[v->index]) &&
        arch_hpa_load32(state_of(slot_of(word, vcpu_id))) == IOREQ_COMPLETE)
        vcpu_request(v, VCPU_REQ_IOREQ);
    return 0;
}
