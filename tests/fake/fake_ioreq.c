/* User VMs (include/core/ioreq.h, user_vm.h) for tests without core: requests are counted and read as ones,
 * or a function of the test answers them. */
#include <core/ioreq.h>
#include <core/sbuf.h>
#include <core/user_vm.h>
#include <lib/bits.h>
#include <fake.h>

unsigned fake_ioreqs;
u64 (*fake_ioreq)(struct vcpu *v, bool port, u64 addr, u8 size, bool write, u64 val);

void fake_reset_ioreq(void);

void fake_reset_ioreq(void)
{
    fake_ioreqs = 0;
    fake_ioreq = NULL;
}

FAKE struct user_vm *user_vm_of(const struct vm *vm)
{
    static struct user_vm users[CFG_VMS];

    return &users[vm->id];
}

static u64 ask(struct vcpu *v, bool port, u64 addr, u8 size, bool write, u64 val)
{
    fake_ioreqs++;
    return (fake_ioreq ? fake_ioreq(v, port, addr, size, write, val) : ~(u64)0) & size_mask(size);
}

FAKE u32 ioreq_port_read(struct vcpu *v, u16 port, u8 size)
{
    return (u32)ask(v, true, port, size, false, 0);
}

FAKE void ioreq_port_write(struct vcpu *v, u16 port, u8 size, u32 val)
{
    ask(v, true, port, size, true, val);
}

FAKE u64 ioreq_mmio_read(struct vcpu *v, u64 addr, u8 size)
{
    return ask(v, false, addr, size, false, 0);
}

FAKE void ioreq_mmio_write(struct vcpu *v, u64 addr, u8 size, u64 val)
{
    ask(v, false, addr, size, true, val);
}

extern u32 sbuf_trace_on[CFG_PCPUS] FAKE;
u32 sbuf_trace_on[CFG_PCPUS];

FAKE void trace_write(enum trace_event event, u64 a, u64 b)
{
    (void)event;
    (void)a;
    (void)b;
}
