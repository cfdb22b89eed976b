/*
 * Service VM and user VM: how a vCPU starts (hypercall-abi.md section 2.3, SET_VCPU_REGS), and pause, reset
 * and destruction of a running VM, 1000 times over and with requests in every state (section 4.5).
 */
#include "hc.h"

static struct uvm vm = {.base = 8};

static void fresh(void (*fn)(void))
{
    if (vm.id != 0 && uvm_destroy(&vm) != 0)
        bail("DESTROY_VM fails");
    uvm_make(&vm, key_uvm0, 0, 1, fn);
}

/* ---- every register ---- */

/* Stores all registers as they are at the first instruction, then says so. */
__asm__(".text\n"
        "store_registers:\n\t"
        "mov %rax, stored\n\tmov %rcx, stored+8\n\tmov %rdx, stored+16\n\tmov %rbx, stored+24\n\t"
        "mov %rsp, stored+32\n\tmov %rbp, stored+40\n\tmov %rsi, stored+48\n\tmov %rdi, stored+56\n\t"
        "mov %r8, stored+64\n\tmov %r9, stored+72\n\tmov %r10, stored+80\n\tmov %r11, stored+88\n\t"
        "mov %r12, stored+96\n\tmov %r13, stored+104\n\tmov %r14, stored+112\n\tmov %r15, stored+120\n\t"
        "mov $stored+512, %rsp\n\tpushfq\n\tpopq stored+128\n\t"
        "mov %cr0, %rax\n\tmov %rax, stored+136\n\tmov %cr3, %rax\n\tmov %rax, stored+144\n\t"
        "mov %cr4, %rax\n\tmov %rax, stored+152\n\t"
        "mov $0xc0000080, %ecx\n\trdmsr\n\tmov %eax, stored+160\n\tmov %edx, stored+164\n\t"
        "sgdt stored+176\n\tsidt stored+192\n\t"
        "mov %cs, stored+208\n\tmov %ss, stored+210\n\tmov %ds, stored+212\n\tmov %es, stored+214\n\t"
        "mov %fs, stored+216\n\tmov %gs, stored+218\n\tsldt stored+220\n\tstr stored+222\n\t"
        "movl $1, stored+252\n"
        "1:\thlt\n\tjmp 1b\n");
extern const u8 store_registers[];

static struct {
    struct gprs gprs;
    u64 rflags, cr0, cr3, cr4, efer, pad;
    u8 gdtr[16], idtr[16];
    u16 cs, ss, ds, es, fs, gs, ldtr, tr;
    u32 gap[7];
    volatile u32 done;
    u8 stack[256];
} stored __attribute__((used, aligned(16)));
_Static_assert(offsetof(__typeof__(stored), done) == 252 && sizeof(stored) == 512, "store_registers");

static void test_registers(struct vcpu_regs *r)
{
    u64 *g = (u64 *)&r->gprs;

    uvm_regs(&vm, NULL, r);
    for (u64 i = 0; i < 16; i++)
        g[i] = 0x0123456789abcdef * (i + 1);
    r->rip = (u64)store_registers;
    r->rflags = 0x200cd7; /* ID and DF stay, the status flags go */
    r->gdt = (struct table_reg){.limit = 0x1237, .base = 0xffff800011112000};
    r->idt = (struct table_reg){.limit = 0x4567, .base = 0xffff800022223000};
    r->cs = 0x18;
    r->ss = 0x20;
    r->ds = 0x28;
    r->es = 0x30;
    r->fs = 0x38;
    r->gs = 0x40;
    r->ldt = 0x48;
    r->tr = 0x50;
}

static void check_registers(void)
{
    static struct vcpu_regs r;
    u8 *edge = ram_edge(VCPU_REGS_USED);
    u64 gdt_base, idt_base;

    fresh(NULL);
    test_registers(&r);
    memcpy(edge, &r, VCPU_REGS_USED);
    check(hcp(HC_SET_VCPU_REGS, vm.id, edge) == 0, "SET_VCPU_REGS of which only 292 bytes can be read");
    check(hcp(HC_SET_VCPU_REGS, vm.id, edge + 1) < 0, "291 bytes: refused");
    uvm_start(&vm);
    check(wait_for(&stored.done, 1, PATIENCE), "a 64-bit entry");
    check(memcmp(&stored.gprs, &r.gprs, sizeof(r.gprs)) == 0,
          "all general registers are as set, RSP included");
    check(stored.rflags == 0x200402, "RFLAGS without the status flags (0x%lx)", stored.rflags);
    check(stored.cr0 == r.cr0 && stored.cr3 == r.cr3 && stored.cr4 == r.cr4 && stored.efer == r.efer,
          "CR0, CR3, CR4, EFER (0x%lx 0x%lx 0x%lx 0x%lx)", stored.cr0, stored.cr3, stored.cr4, stored.efer);
    memcpy(&gdt_base, stored.gdtr + 2, 8);
    memcpy(&idt_base, stored.idtr + 2, 8);
    check(*(u16 *)stored.gdtr == r.gdt.limit && gdt_base == r.gdt.base &&
              *(u16 *)stored.idtr == r.idt.limit && idt_base == r.idt.base,
          "GDTR and IDTR");
    check(stored.cs == r.cs && stored.ss == r.ss && stored.ds == r.ds && stored.es == r.es &&
              stored.fs == r.fs && stored.gs == r.gs && stored.ldtr == r.ldt && stored.tr == r.tr,
          "all selectors");
}

static void check_bad_registers(void)
{
    static struct vcpu_regs r;

#define BAD(what, change)                                                                                    \
    uvm_regs(&vm, (void (*)(void))0x100000, &r);                                                             \
    change;                                                                                                  \
    check(hcp(HC_SET_VCPU_REGS, vm.id, &r) == -1, what ": -1")
    fresh(NULL);
    BAD("a vCPU that was never created", r.vcpu = 1);
    BAD("vCPU 8", r.vcpu = 8);
    BAD("vCPU 0xffff", r.vcpu = 0xffff);
    BAD("CR0 with paging and no protection", r.cr0 = 0x80000010);
    BAD("CR0 with NW and no CD", r.cr0 |= 0x20000000);
    BAD("CR0 above 32 bits", r.cr0 |= BIT(40));
    BAD("an undefined bit of CR4", r.cr4 |= BIT(63));
    BAD("an undefined bit of EFER", r.efer |= BIT(20));
    BAD("long mode without PAE", r.cr4 &= ~(u64)0x20);
    BAD("RIP that is not canonical", r.rip = BIT(48));
    check(hc(HC_SET_VCPU_REGS, vm.id, 0) == -1, "no structure: -1");
    check(hc(HC_SET_VCPU_REGS, vm.id, BIT(39)) == -1, "a structure that cannot be read: -1");
    uvm_regs(&vm, (void (*)(void))0x100000, &r);
    r.rflags = 0;
    check(hcp(HC_SET_VCPU_REGS, vm.id, &r) == 0, "RFLAGS 0 is accepted");
}

/* ---- entry in other modes ---- */

/* Both tell by ports where they are: real mode from offset 0 of its segment, protected mode in the image. */
__asm__(".text\n.balign 16\n"
        ".code16\n"
        "real_blob:\n\t"
        "mov $0x5a, %al\n\tmov $0x510, %dx\n\toutb %al, %dx\n\t"
        "mov %cs, %ax\n\tmov $0x512, %dx\n\toutw %ax, %dx\n\t"
        "mov %ds, %ax\n\tmov $0x514, %dx\n\toutw %ax, %dx\n\t"
        "mov %edx, 0x8f8\n\t" /* DS: base 0, whatever its selector */
        "mov %ebp, %eax\n\tmov $0x518, %dx\n\toutl %eax, %dx\n"
        "1:\thlt\n\tjmp 1b\n"
        "real_end:\n"
        ".code32\n"
        "flat_blob:\n\t"
        "mov $0x510, %edx\n\toutl %eax, %dx\n\t"
        "mov %esi, %eax\n\tmov $0x514, %edx\n\toutl %eax, %dx\n\t"
        "mov %cr0, %eax\n\tmov $0x518, %edx\n\toutl %eax, %dx\n"
        "1:\thlt\n\tjmp 1b\n"
        ".code64\n");
extern const u8 real_blob[], real_end[], flat_blob[];

static u32 model32(u32 port)
{
    u32 v;

    memcpy(&v, model_ports + port - MODEL_PORT, 4);
    return v;
}

/* Runs the VM until it has written port 0x518..0x51b. */
static bool entered(u32 writes)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);

    vm.served = 0;
    memset(model_ports, 0, sizeof(model_ports));
    if (uvm_start(&vm) != 0)
        return false;
    sti();
    while (vm.served < writes && rdtsc() < end)
        uvm_serve(&vm);
    cli();
    return vm.served == writes;
}

static void check_entries(void)
{
    static struct vcpu_regs r;
    u8 *low = arena(4096, 4096), *top = arena(4096, 4096);

    memset(low, 0, 4096);
    memcpy(low, real_blob, (size_t)(real_end - real_blob));
    fresh(NULL);
    uvm_map(&vm, 0x20000, low, 4096, MEM_RWX);
    memset(&r, 0, sizeof(r));
    r.cr0 = 0x30;
    r.cs = 0x2000;
    r.cs_base = 0x20000;
    r.cs_limit = 0xffff;
    r.cs_ar = 0x9b;
    r.ds = 0x1234;
    r.gprs.rbp = 0xfeedbeef;
    check(hcp(HC_SET_VCPU_REGS, vm.id, &r) == 0, "a real-mode start state");
    check(entered(4), "real mode runs");
    check((model32(0x510) & 0xff) == 0x5a && model32(0x512) == 0x12342000 && model32(0x518) == 0xfeedbeef,
          "at CS 2000 with DS 1234 (0x%x)", model32(0x512));
    check(*(u32 *)(vm.low + 0x8f8) == 0x514, "the bases of the data segments are 0");

    fresh(NULL);
    memset(top, 0, 4096);
    memcpy(top + 0xf00, real_blob, (size_t)(real_end - real_blob));
    memcpy(top + 0xff0, "\xe9\x0d\xff", 3); /* JMP to 0xff00: 0xfff3 - 0xf3 */
    uvm_map(&vm, 0xfffff000, top, 4096, MEM_RWX);
    check(entered(4), "without a start state a vCPU starts at the reset vector");
    check((model32(0x510) & 0xff) == 0x5a && model32(0x512) == 0xf000, "in segment F000 (0x%x)",
          model32(0x512));

    fresh(NULL);
    memset(&r, 0, sizeof(r));
    r.cr0 = 0x31;
    r.cs = 0x10;
    r.cs_limit = 0xffffffff;
    r.cs_ar = 0xc09b;
    r.ss = r.ds = r.es = 0x18;
    r.rip = (u64)flat_blob;
    r.gprs.rax = 0x2badb002;
    r.gprs.rsi = 0x90000;
    check(hcp(HC_SET_VCPU_REGS, vm.id, &r) == 0, "a 32-bit start state without paging");
    check(entered(3), "32-bit protected mode runs");
    check(model32(0x510) == 0x2badb002 && model32(0x514) == 0x90000 && model32(0x518) == 0x31,
          "with EAX, ESI and CR0 as set (0x%x)", model32(0x518));
}

/* ---- reset and destruction ---- */

static volatile u32 runs, ticks;

static void user_counts(void)
{
    runs++;
    for (;;) {
        ticks++;
        pause();
    }
}

static void user_sleeps(void)
{
    runs++;
    for (;;)
        sti_hlt();
}

static void user_asks(void)
{
    u8 v = inb(0x555);

    ticks = v;
    runs++;
    inb(0x556);
    runs++;
    for (;;)
        pause();
}

#define RESETS 1000
#define BUSY   50 /* of them while the vCPU runs */

static void check_reset_loop(void)
{
    u64 t = rdtsc();
    u32 n, wrong = 0;

    fresh(user_counts);
    runs = 0;
    for (n = 0; n < RESETS && wrong == 0; n++) {
        wrong += uvm_start(&vm) != 0;
        wrong += !wait_for(&runs, n + 1, PATIENCE);
        wrong += uvm_pause(&vm) != 0 || uvm_reset(&vm) != 0;
        wrong += uvm_entry(&vm, n < BUSY ? user_counts : user_sleeps) != 0;
    }
    check(wrong == 0 && runs == RESETS, "%u resets, each followed by a run (%u)", n, runs);
    printf("# %u resets in %lu ms\n", n, (rdtsc() - t) / (tsc_hz / 1000));
}

static void check_cycle(void)
{
    u32 n, wrong = 0;

    runs = 0;
    for (n = 0; n < 100 && wrong == 0; n++) {
        fresh(n < BUSY ? user_counts : user_sleeps);
        wrong += uvm_start(&vm) != 0 || !wait_for(&runs, n + 1, PATIENCE);
    }
    check(wrong == 0, "100 times created, run and destroyed while running");
    fresh(user_counts);
    uvm_start(&vm);
    wait_for(&runs, n + 1, PATIENCE);
    uvm_pause(&vm);
    n = ticks;
    delay_us(1000);
    check(ticks == n, "nothing runs when PAUSE_VM has returned");
}

/* Pause while the slot is in `state`, then completion (which must not revive), reset, and a clean run. */
static void check_pause_in(u32 state, const char *name)
{
    fresh(user_asks);
    runs = 0;
    if (uvm_start(&vm) != 0 || !uvm_slot_is(&vm, 0, ST_PENDING, PATIENCE))
        bail("no request");
    if (state == ST_COMPLETE) /* not notified */
        vm.slot[0].value = 7;
    vm.slot[0].processed = state;
    check(uvm_pause(&vm) == 0, "PAUSE_VM with the request %s", name);
    vm.slot[0].value = 8;
    __atomic_store_n(&vm.slot[0].processed, ST_COMPLETE, __ATOMIC_RELEASE);
    check(hc(HC_NOTIFY_FINISH, vm.id, 0) == 0, "its completion is accepted");
    delay_us(5000);
    /* A vCPU that was told COMPLETE before the pause may have got as far as its next request. */
    check(runs <= (state == ST_COMPLETE ? 1u : 0u), "and does not revive the vCPU");
    check(uvm_reset(&vm) == 0 && vm.slot[0].processed == ST_FREE, "RESET_VM frees the slot");
    runs = 0;
    uvm_entry(&vm, user_asks);
    model_ports[0x55] = 0x77;
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &runs, 2, PATIENCE) && ticks == 0x77,
          "the next run is sound");
}

static void check_destroy_in_request(void)
{
    static u8 page[4096];

    fresh(user_asks);
    if (uvm_start(&vm) != 0 || !uvm_slot_is(&vm, 0, ST_PENDING, PATIENCE))
        bail("no request");
    memcpy(page, (const void *)vm.slot, sizeof(page));
    check(uvm_destroy(&vm) == 0, "DESTROY_VM with a request outstanding");
    delay_us(2000);
    check(memcmp(page, (const void *)vm.slot, sizeof(page)) == 0, "leaves the slots alone");
    vm.slot[0].processed = ST_COMPLETE;
    check(hc(HC_NOTIFY_FINISH, 1, 0) == -1, "NOTIFY for it: -1");
    runs = 0;
    uvm_make(&vm, key_uvm0, 0, 1, user_asks);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &runs, 2, PATIENCE), "created again, it runs");
    check(uvm_pause(&vm) == 0 && uvm_pause(&vm) == 0, "paused twice");
    check(uvm_start(&vm) == -1, "it cannot be started again");
    check(uvm_destroy(&vm) == 0, "destroyed from PAUSED");
}

void guest_main(void)
{
    service_init();
    check_registers();
    check_bad_registers();
    check_entries();
    check_reset_loop();
    check_cycle();
    check_pause_in(ST_PENDING, "PENDING");
    check_pause_in(ST_PROCESSING, "PROCESSING");
    check_pause_in(ST_COMPLETE, "COMPLETE");
    check_pause_in(ST_FREE, "FREE");
    check_destroy_in_request();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
