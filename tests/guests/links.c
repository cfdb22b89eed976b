/*
 * Two VMs joined by a connection and by shared memory (scenarios/links.xml), one program: its command line
 * says whether it is "left" or "right". They go in step by words in the memory that both write. In its second
 * run, after the runner has restarted its VM, "right" only says what it found and greets.
 */
#include "uart.h"

#define SECOND   1000000UL
#define PATIENCE (60 * SECOND)
#define VECTOR   0x45
#define TICK     0x46
#define BYTES    5000u
#define RO_WORDS (0x200000 / 8)

/* In the memory that both write. */
struct both {
    volatile u32 step[2]; /* how far each has come */
    volatile u32 runs[2];
    volatile u64 words[1000];
    volatile u64 untouched[1000];
};

static bool right;
static u16 port;
static volatile struct both *both;
static volatile u64 *from_left;
static volatile u32 irqs, received, good, statuses, thre;

/* Both have come as far as step n. */
static void meet(u32 n)
{
    __atomic_store_n(&both->step[right], n, __ATOMIC_SEQ_CST);
    for (u64 end = rdtsc() + us_to_tsc(PATIENCE); both->step[!right] < n; pause())
        if (rdtsc() >= end)
            bail("the other VM did not come to step %u", n);
}

static void on_uart(struct frame *f)
{
    u8 iir;

    (void)f;
    irqs++;
    while (!((iir = inb(port + U_IIR)) & 1)) {
        if ((iir & 0x0e) == 2)
            thre++;
        else if ((iir & 0x0e) == 0)
            statuses |= inb(port + U_MSR);
        while (inb(port + U_LSR) & LSR_DR)
            good += inb(port + U_DATA) == uart_byte(received++);
    }
    apic_eoi();
}

static void on_tick(struct frame *f)
{
    (void)f;
    apic_eoi();
}

/* Sleeps until an interrupt makes *word equal to value; false: the time is over. */
static bool wait_irq(const volatile u32 *word, u32 value)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);

    apic_timer_start(TICK, true, 10000000);
    while (*word != value && rdtsc() < end) {
        sti_hlt();
        cli();
    }
    apic_timer_stop();
    return *word == value;
}

static u64 word_of(u64 i)
{
    return (i + 1) * 0x9e3779b97f4a7c15;
}

/* ---- shared memory ---- */

static void check_both(void)
{
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(both->untouched); i++)
        wrong += both->untouched[i] != 0;
    check(wrong == 0, "shared memory is clear at first");
    meet(1);
    for (u32 i = right; i < ARRAY_SIZE(both->words); i += 2)
        both->words[i] = word_of(i);
    meet(2);
    for (u32 i = !right; i < ARRAY_SIZE(both->words); i += 2)
        wrong += both->words[i] != word_of(i);
    check(wrong == 0, "what the other VM wrote is there");
    meet(3);
    for (u32 i = 0; i < 20000; i++)
        __atomic_fetch_add(&both->words[0], 1, __ATOMIC_SEQ_CST);
    meet(4);
    check(both->words[0] == word_of(0) + 40000, "atomic additions of two VMs add up");
}

static void check_read_only(void)
{
    u32 wrong = 0;

    if (!right)
        for (u64 i = 0; i < RO_WORDS; i++)
            from_left[i] = word_of(i);
    meet(5);
    for (u64 i = 0; i < RO_WORDS; i += 511)
        wrong += from_left[i] != word_of(i);
    check(wrong == 0, "2 MiB written by one VM are read by both");
    if (right) {
        from_left[0] = 1;
        from_left[RO_WORDS - 1] = 2;
        __asm__ volatile("lock addl $1, (%0)" ::"r"(from_left) : "memory", "cc");
        check(from_left[0] == word_of(0) && from_left[RO_WORDS - 1] == word_of(RO_WORDS - 1),
              "writes of the VM that may only read are dropped");
    }
    meet(6);
    check(from_left[0] == word_of(0) && from_left[RO_WORDS - 1] == word_of(RO_WORDS - 1),
          "and nobody sees them");
    for (u32 i = 0; i < ram_ranges; i++)
        wrong += ram_map[i].base + ram_map[i].size > (u64)both;
    check(wrong == 0, "the memory map does not show it as RAM");
}

/* ---- the connection ---- */

static void check_modem(void)
{
    uart_reset(port);
    meet(10);
    check((inb(port + U_MSR) & 0xf0) == 0, "no carrier while the other end is closed");
    meet(11);
    if (right)
        outb(port + U_MCR, MCR_OPEN);
    meet(12);
    if (!right) {
        u8 msr = inb(port + U_MSR);

        check(msr == (MSR_CABLE | 0x0b), "CTS, DSR, DCD rise when it opens (0x%x)", msr);
        outb(port + U_MCR, MCR_OPEN);
    }
    meet(13);
    check((inb(port + U_MSR) & 0xf0) == MSR_CABLE, "both are open");
}

/* Both send and receive at the same time, polling. */
static void check_duplex(void)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);
    u32 sent = 0, errors = 0;

    received = good = 0;
    meet(20);
    while ((sent < BYTES || received < BYTES) && rdtsc() < end) {
        u8 lsr = inb(port + U_LSR);

        errors += (lsr & 0x1e) != 0;
        if (lsr & LSR_DR)
            good += inb(port + U_DATA) == uart_byte(received++);
        if (lsr & LSR_THRE)
            for (u32 i = 0; i < 16 && sent < BYTES; i++)
                outb(port + U_DATA, uart_byte(sent++));
        pause();
    }
    check(sent == BYTES && received == BYTES, "%u bytes sent, %u received at once", sent, received);
    check(good == BYTES && errors == 0, "all as they were sent (%u), no error (%u)", good, errors);
    meet(21);
}

/* One sends faster than the other takes: nothing is lost, and the transmitter says when there is room. */
static void check_flow(void)
{
    u8 lsr;

    received = good = thre = 0;
    meet(30);
    if (!right) {
        outb(port + U_IER, 2);
        (void)inb(port + U_IIR);
        for (u32 i = 0; i < 30; i++)
            outb(port + U_DATA, uart_byte(i));
        lsr = inb(port + U_LSR);
        check((lsr & LSR_THRE) == 0, "the transmitter is full when the other end is (0x%x)", lsr);
        thre = 0;
        meet(31);
        check(wait_irq(&thre, 1), "and interrupts when what it held has gone");
        outb(port + U_IER, 0);
    } else {
        delay_us(20000);
        meet(31);
        while (received < 30 && uart_until(port, U_LSR, LSR_DR, LSR_DR, PATIENCE))
            good += inb(port + U_DATA) == uart_byte(received++);
        lsr = inb(port + U_LSR);
        check(good == 30 && (lsr & LSR_OE) == 0, "all 30 bytes arrive (%u, 0x%x)", good, lsr);
    }
    meet(32);
}

static void check_interrupts(void)
{
    u32 sent = 0;
    bool came;

    received = good = irqs = 0;
    if (right)
        outb(port + U_IER, 1);
    meet(40);
    if (!right)
        while (sent < 300 && uart_until(port, U_LSR, LSR_THRE, LSR_THRE, PATIENCE))
            outb(port + U_DATA, uart_byte(sent++));
    if (right) {
        came = wait_irq(&received, 300);
        check(came && good == 300 && irqs > 0, "300 bytes arrive by %u interrupts", irqs);
    }
    outb(port + U_IER, 0);
    meet(41);
}

static void check_break(void)
{
    u8 lsr;

    meet(50);
    if (!right) {
        outb(port + U_LCR, LCR_8N1 | LCR_BREAK);
        outb(port + U_LCR, LCR_8N1);
        outb(port + U_DATA, 'k');
    }
    meet(51);
    if (right) {
        lsr = inb(port + U_LSR);
        check((lsr & (LSR_DR | LSR_BI)) == (LSR_DR | LSR_BI), "a break arrives (0x%x)", lsr);
        check(inb(port + U_DATA) == 0 && inb(port + U_LSR) == (LSR_DR | 0x60) && inb(port + U_DATA) == 'k',
              "as a zero byte, and what was sent after it behind it");
    }
    meet(52);
}

/* The runner switches "right" off and on again. */
static void check_power(void)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);
    bool lost;
    u8 msr;

    statuses = 0;
    (void)inb(port + U_MSR);
    outb(port + U_IER, 8);
    printf("left: stop right\n");
    lost = wait_irq(&statuses, 0x0b);
    check(lost, "the other VM's end is an interrupt: carrier lost (0x%x)", statuses);
    outb(port + U_IER, 0);
    for (u32 i = 0; i < 100; i++)
        outb(port + U_DATA, (u8)i);
    check((inb(port + U_LSR) & LSR_THRE) && (inb(port + U_MSR) & 0xf0) == 0,
          "what is sent meanwhile vanishes");
    printf("left: start right\n");
    while (both->runs[1] != 2 && rdtsc() < end)
        pause();
    check(both->runs[1] == 2, "the other VM starts again, and finds the memory as it was");
    check(uart_until(port, U_MSR, 0xf0, MSR_CABLE, PATIENCE), "carrier again");
    msr = uart_until(port, U_LSR, LSR_DR, LSR_DR, PATIENCE) ? inb(port + U_DATA) : 0;
    check(msr == '!', "it says '!' and nothing of old (0x%x)", msr);
}

static void second_run(void)
{
    u32 kept = 0;

    for (u32 i = 1; i < ARRAY_SIZE(both->words); i++)
        kept += both->words[i] == word_of(i);
    uart_reset(port);
    printf("right: again, %u words kept, status 0x%x\n", kept, inb(port + U_LSR));
    both->runs[1] = 2;
    outb(port + U_MCR, MCR_OPEN);
    outb(port + U_DATA, '!');
}

void guest_main(void)
{
    guest_init();
    right = strcmp(guest_cmdline, "right") == 0;
    port = right ? 0x3e8 : 0x2f8;
    both = (volatile struct both *)(right ? 0x18000000UL : 0x10000000UL);
    from_left = (volatile u64 *)0x20000000UL;
    printf("links %s\n", right ? "right" : "left");
    if (right && both->runs[1] == 1) {
        second_run();
        return;
    }
    irq_set(VECTOR, on_uart);
    irq_set(TICK, on_tick);
    ioapic_route(isa_pin(right ? 5 : 3), VECTOR);
    check_both();
    both->runs[right] = 1;
    check_read_only();
    check_modem();
    check_duplex();
    check_flow();
    check_interrupts();
    check_break();
    if (!right)
        check_power();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
