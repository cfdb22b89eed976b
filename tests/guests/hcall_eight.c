/*
 * Service VM and a user VM with eight vCPUs that all have requests at once (hypercall-abi.md section 4.1). It
 * needs twelve CPUs and so runs on QEMU only: Bochs has at most eight.
 */
#include "hc.h"

#define VCPUS  8
#define ROUNDS 100

static struct uvm vm = {.base = 8};
static volatile u32 started, finished, round, wrong; /* round: the one that may begin */
static u32 latch[VCPUS];
static u32 odd_requests;

static u32 answer(u32 vcpu, u32 v)
{
    return v * 3 + vcpu;
}

/* One latch for each vCPU: what a vCPU reads depends on what it wrote and on which it is. */
static void model(struct uvm *u, u32 vcpu, volatile struct io_request *r)
{
    if (r->type != REQ_PORTIO || r->address != 0x700 + vcpu * 4 || r->size != 4) {
        odd_requests++;
        model_default(u, vcpu, r);
    } else if (r->direction == DIR_WRITE) {
        latch[vcpu] = (u32)r->value;
    } else {
        r->value = answer(vcpu, latch[vcpu]);
    }
}

static void user_work(void)
{
    u32 me = this()->index - vm.base;
    u16 port = (u16)(0x700 + me * 4);

    __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
    for (u32 mine = 1;; mine++) {
        while (round != mine)
            pause();
        for (u32 n = 0; n < ROUNDS; n++) {
            u32 v = n * 0x01010101 + me * 0x10000000;

            outl(port, v);
            if (inl(port) != answer(me, v))
                __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        }
        __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    }
}

static void user_first(void)
{
    for (u32 i = 1; i < vm.vcpus; i++)
        if (!uvm_ap_start(i, vm.base + i, user_work))
            break;
    user_work();
}

/* All vCPUs have a request; nothing is served before. */
static bool all_pending(void)
{
    for (u32 i = 0; i < VCPUS; i++)
        if (!uvm_slot_is(&vm, i, ST_PENDING, 3 * PATIENCE))
            return false;
    return true;
}

static void run(u64 flags, const char *mode)
{
    u32 before;

    started = finished = round = wrong = odd_requests = 0;
    uvm_make(&vm, key_uvm0, flags, VCPUS, user_first);
    vm.model = model;
    check(vm.vcpus == VCPUS && uvm_vcpu(&vm) == -EINVAL, "%u vCPUs are created, a ninth is not (%s)", VCPUS,
          mode);
    uvm_start(&vm);
    if (!check(uvm_until(&vm, &started, VCPUS, 6 * PATIENCE), "vCPU 0 starts seven others (%s)", mode))
        bail("%u started", started);
    vm.served = 0;
    before = upcalls;
    round = 1;
    check(all_pending(), "all eight have a request at the same time (%s)", mode);
    sti();
    delay_us(10000);
    cli();
    check(upcalls != before, "and raised the upcall (%u times, %s)", upcalls - before, mode);
    for (u32 i = VCPUS; i > 0; i--)
        uvm_complete(&vm, i - 1);
    check(uvm_until(&vm, &finished, VCPUS, 6 * PATIENCE), "all do %u pairs of them (%s)", ROUNDS, mode);
    check(wrong == 0 && odd_requests == 0 && vm.served == VCPUS * ROUNDS * 2,
          "each got its own answers (%u wrong, %u odd, %u served, %s)", wrong, odd_requests, vm.served, mode);
    round = 2;
    check(all_pending(), "all eight have a request again (%s)", mode);
    check(uvm_destroy(&vm) == 0, "destroyed with eight requests outstanding (%s)", mode);
}

void guest_main(void)
{
    service_init();
    run(0, "notification");
    run(VM_POLLING, "polling");
    run(0, "notification once more");
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
