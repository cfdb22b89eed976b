/*
 * Service VM and a user VM joined by a connection and by shared memory that only the service VM writes
 * (scenarios/links.xml). The user VM has them because its slot has: the service VM can neither take them away
 * nor hand them on, and its device model hears nothing of them.
 */
#include "hc.h"
#include "uart.h"

#define PORT      0x2e8 /* of the service VM */
#define USER_PORT 0x2f8
#define USER_PIN  3
#define VECTOR    0x45
#define SHARED    0x30000000UL
#define AT_USER   0xa0000000UL
#define SIZE      0x2000UL
#define PAGE      4096UL
#define BYTES     400u

static struct uvm vm;
static volatile u64 *const mine = (volatile u64 *)SHARED, *const theirs = (volatile u64 *)AT_USER;

/* ---- the user VM ---- */

static volatile u32 user_irqs, user_ready, user_end;
static volatile u64 user_saw[3];

/* Sends back what it receives, plus one. */
static void on_user_uart(struct frame *f)
{
    (void)f;
    user_irqs++;
    while (!(inb(USER_PORT + U_IIR) & 1))
        while (inb(USER_PORT + U_LSR) & LSR_DR) {
            u8 c = inb(USER_PORT + U_DATA);

            while (!(inb(USER_PORT + U_LSR) & LSR_THRE))
                pause();
            outb(USER_PORT + U_DATA, (u8)(c + 1));
        }
    apic_eoi();
}

static void user_body(void)
{
    user_saw[0] = theirs[1];
    theirs[1] = 0x666;
    user_saw[1] = theirs[1];
    user_saw[2] = theirs[SIZE / 8 - 1];
    uart_reset(USER_PORT);
    irq_set(VECTOR, on_user_uart);
    ioapic_route(USER_PIN, VECTOR);
    outb(USER_PORT + U_MCR, MCR_OPEN);
    outb(USER_PORT + U_IER, 1);
    __atomic_store_n(&user_ready, 1, __ATOMIC_SEQ_CST);
    while (!user_end) {
        sti_hlt();
        cli();
    }
    outb(MODEL_PORT, 1); /* the one access that is the device model's */
    for (;;)
        pause();
}

/* ---- the service VM ---- */

static void refused(const char *what, u32 type, u64 gpa, u64 src, u64 size, u32 prot)
{
    long ret = uvm_region(&vm, type, gpa, src, size, prot);

    check(ret == -EINVAL, "%s: refused (%ld)", what, ret);
}

static u64 hpa_of(u64 gpa)
{
    struct gpa2hpa g = {gpa, 0};

    return hcp(HC_GPA2HPA, vm.id, &g) == 0 ? g.hpa : 0;
}

static void check_refusals(void)
{
    u64 src = (u64)arena(4 * PAGE, PAGE), page;
    struct wp_data wp = {.set = 0, .gpa = AT_USER};
    long ret;

    check(hpa_of(AT_USER) == SHARED && hpa_of(AT_USER + SIZE - 1) == SHARED + SIZE - 1,
          "a created VM has the shared memory");
    check(hpa_of(AT_USER + SIZE) == 0 && hpa_of(AT_USER - 1) == 0, "and nothing beside it");
    refused("memory mapped over it", MR_ADD, AT_USER, src, PAGE, MEM_RWX | MEM_WB);
    refused("over its last page and beyond", MR_ADD, AT_USER + PAGE, src, 2 * PAGE, MEM_RWX | MEM_WB);
    refused("over all and more", MR_ADD, AT_USER - PAGE, src, 4 * PAGE, MEM_RWX | MEM_WB);
    refused("its removal", MR_DEL, AT_USER, 0, SIZE, 0);
    refused("removal of a page", MR_DEL, AT_USER + PAGE, 0, PAGE, 0);
    refused("other rights", MR_MODIFY, AT_USER, 0, PAGE, MEM_RWX | MEM_WB);
    check(hcp(HC_WRITE_PROTECT, vm.id, &wp) == -EINVAL, "write permission: refused");
    refused("shared memory as a source", MR_ADD, 0x40000000, SHARED, PAGE, MEM_RWX | MEM_WB);
    page = SHARED;
    ret = hcp(HC_SET_IOREQ_BUFFER, vm.id, &page);
    check(ret < 0, "shared memory as request buffer: refused (%ld)", ret);
    check(uvm_buffer(&vm) == 0, "the old buffer again");
    check(hpa_of(AT_USER) == SHARED && hpa_of(AT_USER + PAGE) == SHARED + PAGE, "it is as it was");
    ret = hc(HC_SET_IRQLINE, vm.id, USER_PIN);
    check(ret == -EINVAL, "the line of the slot's vUART: refused (%ld)", ret);
    check(hc(HC_SET_IRQLINE, vm.id, USER_PIN + 1) == 0, "another line: 0");
}

static void check_running(void)
{
    u32 good = 0, got = 0, sent = 0, served;
    u64 end;

    mine[1] = 0x1234567890abcdef;
    mine[SIZE / 8 - 1] = ~mine[1];
    uart_reset(PORT);
    outb(PORT + U_MCR, MCR_OPEN);
    check((inb(PORT + U_MSR) & 0xf0) == 0, "no carrier before the user VM starts");
    user_ready = user_end = user_irqs = 0;
    uvm_start(&vm);
    check(uvm_until(&vm, &user_ready, 1, PATIENCE), "the user VM runs");
    check(user_saw[0] == mine[1] && user_saw[2] == mine[SIZE / 8 - 1], "it reads the shared memory");
    check(user_saw[1] == user_saw[0] && mine[1] == 0x1234567890abcdef, "what it writes there is dropped");
    check(uart_until(PORT, U_MSR, 0xf0, MSR_CABLE, PATIENCE), "carrier: its end is open");
    for (end = rdtsc() + us_to_tsc(3 * PATIENCE); got < BYTES && rdtsc() < end; pause()) {
        u8 lsr = inb(PORT + U_LSR);

        if ((lsr & LSR_THRE) && sent < BYTES && sent < got + 8)
            outb(PORT + U_DATA, uart_byte(sent++));
        if (lsr & LSR_DR)
            good += inb(PORT + U_DATA) == (u8)(uart_byte(got++) + 1);
        uvm_serve(&vm);
    }
    check(good == BYTES, "%u bytes went there and back, by %u of its interrupts", good, user_irqs);
    served = vm.served;
    check(served == 0, "its device model was asked nothing (%u)", served);
    user_end = 1;
    outb(PORT + U_DATA, 0); /* wakes it */
    check(uvm_until(&vm, &vm.served, 1, PATIENCE) && vm.last[0].address == MODEL_PORT,
          "but for what is its own");
}

static void check_end(void)
{
    (void)inb(PORT + U_MSR);
    check(uvm_pause(&vm) == 0 && (inb(PORT + U_MSR) & 0xf0) == MSR_CABLE, "paused: the cable stays");
    check(uvm_reset(&vm) == 0 && inb(PORT + U_MSR) == 0x0b, "reset: carrier lost");
    outb(PORT + U_FCR, 0x07);
    for (u32 i = 0; i < 100; i++)
        outb(PORT + U_DATA, (u8)i);
    check((inb(PORT + U_LSR) & (LSR_THRE | LSR_DR)) == LSR_THRE, "what is sent meanwhile vanishes");
    check(hpa_of(AT_USER) == SHARED, "the shared memory stays");
    check(uvm_destroy(&vm) == 0, "destroyed");
}

static void make(void)
{
    vm.served = 0;
    uvm_make(&vm, key_uvm1, VM_POLLING, 1, user_body);
}

void guest_main(void)
{
    u32 wrong = 0;

    service_init();
    printf("links service\n");
    for (u32 i = 0; i < SIZE / 8; i++)
        wrong += mine[i] != 0;
    check(wrong == 0, "shared memory is clear at first");
    for (u32 i = 0; i < ram_ranges; i++)
        wrong += ram_map[i].base < SHARED + SIZE && SHARED < ram_map[i].base + ram_map[i].size;
    check(wrong == 0, "the memory map does not show it as RAM");
    vm.base = 8;
    make();
    check_refusals();
    check_running();
    check_end();
    make();
    check(hpa_of(AT_USER) == SHARED && mine[1] == 0x1234567890abcdef, "made again: it has the same memory");
    check_running();
    check(uvm_destroy(&vm) == 0 && (inb(PORT + U_MSR) & 0xf0) == 0, "destroyed while it runs: carrier lost");
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
