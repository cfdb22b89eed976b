/*
 * What hypercalls, I/O requests and a VM's life cost, in guest-visible TSC ticks (see bench.c for the rules).
 * The polling figure is not this program's: the runner reads the hypervisor's own account of the requests
 * made here.
 */
#include "hc.h"

#define RUNS     200
#define GIB      0x40000000UL
#define LARGE    0x200000UL
#define CYCLE_MB 0x4000000UL
#define BATCHES  (GIB / LARGE / REGIONS_PER_PAGE)

static const u8 key_poll[16] = "poll0", key_notify[16] = "notify0";
static struct uvm vm = {.base = 8}, poll = {.base = 9};
static struct gpa2hpa param;

/* The minimum of RUNS for an instruction with id and parameters in their registers. */
#define MEASURE(fn, insn)                                                                                    \
    static u64 fn(u64 id, u64 a, u64 b)                                                                      \
    {                                                                                                        \
        u64 best = ~(u64)0;                                                                                  \
                                                                                                             \
        for (int i = 0; i < RUNS; i++) {                                                                     \
            register u64 r8 __asm__("r8") = id;                                                              \
            u64 t, lo, hi;                                                                                   \
                                                                                                             \
            __asm__ volatile("rdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n\tmov %%rax, %0\n\t" insn          \
                             "\n\trdtsc"                                                                     \
                             : "=&r"(t), "=&a"(lo), "=&d"(hi)                                                \
                             : "r"(r8), "D"(a), "S"(b)                                                       \
                             : "memory", "cc");                                                              \
            t = (hi << 32 | lo) - t;                                                                         \
            if (t < best)                                                                                    \
                best = t;                                                                                    \
        }                                                                                                    \
        return best;                                                                                         \
    }

MEASURE(run_empty, "")
MEASURE(run_vmmcall, "vmmcall")
MEASURE(run_vmcall, "vmcall")

static void bench_gpa2hpa(u64 empty)
{
    u64 v;

    uvm_make(&vm, key_notify, 0, 1, NULL);
    param.gpa = 0x100000;
    v = hc_amd ? run_vmmcall(HC_GPA2HPA, vm.id, (u64)&param) : run_vmcall(HC_GPA2HPA, vm.id, (u64)&param);
    if (param.hpa != 0x100000)
        bail("GPA2HPA gives 0x%lx", param.hpa);
    printf("BENCH hcall.gpa_to_hpa %lu\n", v - empty);
    uvm_destroy(&vm);
}

static void bench_regions(u64 memory, u64 empty)
{
    struct memory_region *list = arena(BATCHES * 4096, 4096);
    u64 best = ~(u64)0;

    for (u64 i = 0; i < GIB / LARGE; i++)
        list[i] =
            (struct memory_region){MR_ADD, MEM_RWX | MEM_WB, GIB + i * LARGE, memory + i * LARGE, LARGE};
    for (int n = 0; n < 5; n++) {
        u64 t;
        long bad = 0;

        uvm_create(&vm, key_notify, 0);
        t = rdtsc();
        for (u64 i = 0; i < BATCHES; i++) {
            struct set_regions s = {
                .vmid = vm.id, .count = REGIONS_PER_PAGE, .regions = (u64)(list + i * REGIONS_PER_PAGE)};

            bad |= hc(HC_MEMORY_REGIONS, (u64)&s, 0);
        }
        t = rdtsc() - t - empty;
        if (bad != 0)
            bail("SET_MEMORY_REGIONS: %ld", bad);
        if (t < best)
            best = t;
        uvm_destroy(&vm);
    }
    printf("BENCH hcall.memory_region %lu\n", best / (GIB / LARGE));
}

/* ---- requests ---- */

static volatile u64 user_best;
static volatile u32 user_done;

static void user_requests(void)
{
    u64 best = ~(u64)0;

    for (int i = 0; i < RUNS; i++) {
        u64 t = rdtsc();

        inb(0x500);
        t = rdtsc() - t;
        if (t < best)
            best = t;
    }
    user_best = best;
    user_done = 1;
    inb(0x501); /* wakes the service VM */
}

/* The service VM sleeps until the upcall, as a driver does. */
static void serve_by_upcall(void)
{
    u32 seen = upcalls;

    while (!user_done) {
        cli();
        if (upcalls == seen && vm.slot[0].processed != ST_PENDING)
            sti_hlt();
        sti();
        seen = upcalls;
        uvm_serve(&vm);
    }
    cli();
}

static void bench_requests(u64 empty)
{
    uvm_make(&vm, key_notify, 0, 1, user_requests);
    uvm_start(&vm);
    serve_by_upcall();
    printf("BENCH ioreq.roundtrip %lu\n", user_best - empty);
    uvm_destroy(&vm);
    user_done = 0;
    uvm_make(&poll, key_poll, VM_POLLING, 1, user_requests);
    uvm_start(&poll);
    if (!uvm_until(&poll, &user_done, 1, PATIENCE))
        bail("the polling VM does not come to its end");
    printf("polling requests %u\n", poll.served);
    uvm_pause(&poll);
}

/* ---- a VM's life ---- */

static void bench_cycle(u64 memory, u64 empty)
{
    static struct vcpu_regs r;
    u64 best = ~(u64)0;

    *(u32 *)memory = 0xfdebf4fa; /* cli, hlt, back to it */
    r.cr0 = 0x31;
    r.cs = 8;
    r.cs_ar = 0xc09b;
    r.cs_limit = 0xffffffff;
    for (int n = 0; n < 20; n++) {
        u64 t = rdtsc();
        long bad = uvm_create(&vm, key_notify, 0);

        bad |= uvm_buffer(&vm);
        bad |= uvm_map(&vm, 0, (void *)memory, CYCLE_MB, MEM_RWX);
        bad |= uvm_vcpu(&vm);
        bad |= hcp(HC_SET_VCPU_REGS, vm.id, &r);
        bad |= uvm_start(&vm);
        bad |= uvm_destroy(&vm);
        t = rdtsc() - t - empty;
        if (bad != 0)
            bail("a step of the cycle fails: %ld", bad);
        if (t < best)
            best = t;
    }
    printf("BENCH vm.cycle %lu\n", best);
}

void guest_main(void)
{
    u64 empty, memory;

    service_init();
    memory = (u64)arena(GIB, LARGE);
    empty = run_empty(0, 0, 0);
    printf("BENCH empty %lu\n", empty);
    bench_gpa2hpa(empty);
    bench_regions(memory, empty);
    bench_cycle(memory, empty);
    bench_requests(empty);
    printf("bench done\n");
}
