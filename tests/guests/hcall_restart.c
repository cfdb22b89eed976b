/*
 * Service VM that is restarted, by the hypervisor's shell or by its own reset, while its user VMs run and
 * have requests outstanding. The runner says by a key what to do: 1 makes user VMs and leaves them in the
 * middle of things, r resets, 2 checks that everything works as if nothing had been.
 */
#include "hc.h"

#define POISON 0x6b6b6b6b6b6b6b6bUL
#define WORDS  (16 * 0x100000UL / 8)

static struct uvm a = {.base = 8}, b = {.base = 4};
static u32 run = 1; /* the image is loaded again, so a second run sees 1 again */
static volatile u32 steps, ap_runs;

static void user_asks(void)
{
    for (;;) {
        inb(0x555);
        steps++;
    }
}

static void user_polls(void)
{
    for (;;)
        *(volatile u32 *)MODEL_MMIO = 1;
}

static void ap_body(void)
{
    ap_runs++;
    for (;;)
        pause();
}

static void leave_outstanding(void)
{
    struct sbuf *s = arena(0x10000, 4096);
    struct sbuf_setup p = {0, 0, SBUF_TRACE, (u64)s};
    u32 n;

    *s = (struct sbuf){
        .magic = SBUF_MAGIC, .ele_num = 64, .ele_size = 32, .size = 2048, .flags = SBUF_OVERWRITE};
    hc(HC_SETUP_SBUF, (u64)&p, 0);
    hc(HC_CALLBACK_VECTOR, 0xe0, 0);
    smp_start(acpi_cpus.apic_id[1], ap_body);
    hc(HC_OFFLINE_CPU, acpi_cpus.apic_id[2], 0);
    uvm_make(&a, key_uvm0, 0, 2, user_asks);
    uvm_make(&b, key_rt, VM_POLLING, 1, user_polls);
    uvm_start(&a);
    uvm_start(&b);
    n = uvm_slot_is(&a, 0, ST_PENDING, PATIENCE) && uvm_slot_is(&b, 0, ST_PENDING, PATIENCE);
    printf("restart: outstanding %u\n", n);
}

static void check_all(void)
{
    check(acpi_cpus.count == 3, "three CPUs again");
    for (u32 i = 1; i < acpi_cpus.count; i++)
        check(smp_start(acpi_cpus.apic_id[i], ap_body), "CPU %u starts", i);
    uvm_make(&a, key_uvm0, 0, 1, user_asks);
    check(a.id == 1, "the user VM's slot is free again");
    uvm_make(&b, key_rt, VM_POLLING, 1, user_polls);
    check(uvm_start(&a) == 0 && uvm_start(&b) == 0, "user VMs start");
    check(uvm_until(&a, &steps, 100, PATIENCE), "requests are answered");
    check(upcalls > 0, "and announced by the default vector");
    check(uvm_slot_is(&b, 0, ST_PENDING, PATIENCE), "in the other, too");
    uvm_complete(&b, 0);
    check(uvm_slot_is(&b, 0, ST_PENDING, PATIENCE), "and goes on");
    check(uvm_destroy(&a) == 0 && uvm_destroy(&b) == 0, "both are destroyed");
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}

void guest_main(void)
{
    u64 *mem, dirty = 0;
    int c;

    service_init();
    mem = arena(WORDS * 8, 0x200000);
    for (u64 i = 0; i < WORDS; i++)
        dirty += mem[i] == POISON;
    printf("restart: start, run %u, dirty %lu\n", run, dirty);
    run = 2;
    for (u64 i = 0; i < WORDS; i++)
        mem[i] = POISON;
    for (;;) {
        printf("restart: what?\n");
        do {
            pause();
            c = getch();
        } while (c != '1' && c != '2' && c != 'r');
        if (c == '1')
            leave_outstanding();
        else if (c == '2')
            break;
        else
            outb(0xcf9, 6);
    }
    check_all();
}
