#include "ioreq_test.h"

#define VECTOR 0xf3

struct vm *svc, *vm;
struct vcpu *v;
u64 page, answer;
unsigned refused, upcalls, turns;
void (*on_upcall)(void);
void (*service)(unsigned turn);
struct host_ports host;

static struct ioreq_head expected;

void arch_vcpu_refuse(struct vcpu *c)
{
    ck_assert_ptr_eq(c, v);
    refused++;
}

void arch_vcpu_send_vector(struct vcpu *c, u8 vector)
{
    ck_assert_ptr_eq(c, &svc->vcpus[0]);
    ck_assert_uint_eq(vector, VECTOR);
    upcalls++;
    if (on_upcall)
        on_upcall();
}

bool arch_host_port(struct vcpu *c, u16 port, u8 size, bool write, u32 *val)
{
    ck_assert_ptr_eq(c->vm, svc);
    host.calls++;
    host.port = port;
    host.size = size;
    host.write = write;
    if (write)
        host.val = *val;
    else
        *val = host.val;
    return host.mine;
}

struct ioreq_slot *slot(unsigned id)
{
    return (struct ioreq_slot *)(void *)fake_mem(page + id * sizeof(struct ioreq_slot));
}

static void turn(void)
{
    ck_assert_msg(service && turns < 100, "nobody ends the wait");
    service(turns++);
}

void on_cpu_of(struct vcpu *c)
{
    v = c;
    fake_set_cpu(c->pcpu);
}

void setup(void)
{
    core_setup();
    svc = service_vm();
    vm = &vms[CFG_VMS - CFG_USER_VMS];
    ck_assert_int_eq(vm->cfg->kind, VM_USER);
    vm->state = VM_STATE_STARTED;
    vm->vcpu_count = vm->cfg->vcpu_count;
    ck_assert_uint_ge(vm->vcpu_count, 2);
    for (u16 i = 0; i < vm->vcpu_count; i++) {
        vm->vcpus[i].pcpu = (u16)(i + 1);
        vm->vcpus[i].state = VCPU_RUNNING;
        vm->vcpus[i].requests = 0;
        fake_cpus[i + 1].requests = 0;
    }
    memset(user_vm_of(vm), 0, sizeof(*user_vm_of(vm)));
    on_cpu_of(&vm->vcpus[0]);
    refused = upcalls = turns = 0;
    on_upcall = NULL;
    service = NULL;
    memset(&host, 0, sizeof(host));
    fake_idle_hook = turn;
    fake_irq_hook = NULL;
    page = svc->cfg->mem[0].hpa + 0x3000;
    memset(fake_mem(page), 0xa5, PAGE_SIZE);
    ioreq_set_vector(VECTOR);
    ioreq_set_buffer(vm, hpa(page));
}

void polling_setup(void)
{
    setup();
    user_vm_of(vm)->flags = HC_VM_IO_POLLING;
    fake_idle_hook = NULL;
    fake_irq_hook = turn;
}

void complete(u64 value)
{
    memcpy(fake_mem(page + v->id * 256u + 88), &value, 8);
    slot(v->id)->processed = IOREQ_COMPLETE;
}

void notify(void)
{
    ck_assert_int_eq(ioreq_notify(vm, v->id), 0);
}

void answers(unsigned n)
{
    (void)n;
    complete(answer);
    notify();
}

static void check_slot(void)
{
    ck_assert_mem_eq(&slot(v->id)->head, &expected, sizeof(expected));
    for (unsigned i = 128; i < 136; i++)
        ck_assert_uint_eq(*fake_mem(page + v->id * 256u + i), 0xa5); /* the driver's own */
    ck_assert_uint_eq(slot(v->id)->processed, IOREQ_PENDING);
    ck_assert(ioreq_waiting(v));
}

void expect(u32 type, u32 direction, u64 addr, u64 size, u64 val)
{
    expected = (struct ioreq_head){.type = type};
    expected.reqs.mmio = (struct ioreq_mmio){direction, 0, addr, size, val};
    expected.completion_polling = (user_vm_of(vm)->flags & HC_VM_IO_POLLING) != 0;
    upcalls = 0;
    on_upcall = check_slot;
    service = answers;
}

void check_end(u64 n)
{
    ck_assert_uint_eq(upcalls, 1);
    ck_assert_uint_eq(slot(v->id)->processed, IOREQ_FREE);
    ck_assert(!ioreq_waiting(v));
    ck_assert_uint_eq(v->ioreqs, n);
    ck_assert_uint_eq(v->io_failed, 0);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_eq(v->requests, 0);
}
