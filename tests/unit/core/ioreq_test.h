/* What the tests of I/O requests share: a user VM with a request page, and a service VM that is a function.
 */
#ifndef BH_IOREQ_TEST_H
#define BH_IOREQ_TEST_H

#include <abi/hypercall.h>
#include <abi/ioreq.h>
#include <core/io.h>
#include <core/ioreq.h>
#include <core/timer.h>
#include <core/user_vm.h>
#include "core_test.h"

extern struct vm *svc, *vm;
extern struct vcpu *v; /* the vCPU that asks */
extern u64 page;       /* host address of the request page */

/* What the hypervisor did. */
extern unsigned refused, upcalls;
extern void (*on_upcall)(void);

/* What the service VM does each time the waiting CPU halts (notification) or lets interrupts in (polling). */
extern void (*service)(unsigned turn);
extern unsigned turns;

/* The machine's ports: last access, whether it is the service VM's to make, and the value. */
struct host_ports {
    unsigned calls;
    u16 port;
    u8 size;
    bool write, mine;
    u32 val;
};
extern struct host_ports host;

struct ioreq_slot *slot(unsigned id);
void on_cpu_of(struct vcpu *c);

/* Fixtures: in notification mode, polling. */
void setup(void);
void polling_setup(void);

/* The service VM's moves on v's slot. */
void complete(u64 value);
void notify(void);
extern u64 answer;
void answers(unsigned n); /* completes with `answer` and notifies */

/* The next request must look like this in its slot when the service VM hears of it; it is then answered. */
void expect(u32 type, u32 direction, u64 addr, u64 size, u64 val);
/* It was sent and is over, as v's n-th. */
void check_end(u64 n);

#endif
