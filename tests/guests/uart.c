/* The 16550A: registers, loopback, FIFO, interrupts of every kind that has one, and bytes typed by the
 * runner. */
#include "guest.h"

#define PORT   0x3f8
#define VECTOR 0x44

static volatile u32 irqs, thre, rx, line;
static volatile u8 last_iir;
static volatile u8 got[64];
static volatile u32 got_count;

static void on_uart(struct frame *f)
{
    (void)f;
    irqs++;
    for (;;) {
        u8 iir = inb(PORT + 2);

        if (iir & 1)
            break;
        last_iir = iir;
        switch (iir & 0x0e) {
        case 2:
            thre++;
            break;
        case 4:
        case 12:
            while (inb(PORT + 5) & 1) {
                u8 c = inb(PORT);

                rx++;
                if (got_count < sizeof(got))
                    got[got_count++] = c;
            }
            break;
        case 6:
            line++;
            (void)inb(PORT + 5);
            break;
        default:
            (void)inb(PORT + 6);
        }
    }
    apic_eoi();
}

static void open_window(u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    do {
        sti();
        __asm__ volatile("nop; nop" ::: "memory");
        cli();
        pause();
    } while (rdtsc() < end);
}

/* While in loopback nothing may be printed; results are collected and reported afterwards. */
static u32 loop_bytes(u32 n)
{
    u32 good = 0;

    for (u32 i = 0; i < n; i++) {
        u64 end = rdtsc() + tsc_hz;

        while (!(inb(PORT + 5) & 0x20) && rdtsc() < end)
            pause();
        outb(PORT, (u8)(i * 7 + 1));
        while (!(inb(PORT + 5) & 1) && rdtsc() < end)
            pause();
        good += inb(PORT) == (u8)(i * 7 + 1);
    }
    return good;
}

static void check_loopback(void)
{
    u32 good;
    u8 msr, after;

    while (!(inb(PORT + 5) & 0x40))
        pause();
    outb(PORT + 4, 0x10 | 0x0f);
    good = loop_bytes(64);
    msr = inb(PORT + 6);
    got_count = 0;
    outb(PORT + 1, 1);
    outb(PORT + 4, 0x10 | 0x0b);
    outb(PORT, 0x5a);
    open_window(50000);
    outb(PORT + 1, 0);
    outb(PORT + 4, 0x10);
    after = inb(PORT + 6);
    while (inb(PORT + 5) & 1) /* where loopback raises no interrupt the byte is still there */
        (void)inb(PORT);
    outb(PORT + 4, 0x0b);
    check(good == 64, "64 bytes come back in loopback (%u)", good);
    check((msr & 0xf0) == 0xf0, "modem status follows modem control in loopback (0x%x)", msr);
    check((after & 0xf0) == 0, "also when all are off (0x%x)", after);
}

static void check_registers(void)
{
    u8 v;

    outb(PORT + 7, 0x5a);
    check(inb(PORT + 7) == 0x5a, "scratch register");
    outb(PORT + 3, 0x83);
    outb(PORT, 0x0c);
    outb(PORT + 1, 0x01);
    v = inb(PORT);
    bool dl = v == 0x0c && inb(PORT + 1) == 0x01;
    outb(PORT, 1);
    outb(PORT + 1, 0);
    outb(PORT + 3, 0x03);
    check(dl, "divisor latch keeps its bytes");
    check(inb(PORT + 3) == 3, "line control keeps what was written");
    outb(PORT + 2, 0x07);
    check((inb(PORT + 2) & 0xc1) == 0xc1, "FIFOs enabled show in IIR, no interrupt waits (0x%x)",
          inb(PORT + 2));
    outb(PORT + 1, 0x0f);
    v = inb(PORT + 1);
    outb(PORT + 1, 0);
    check(v == 0x0f, "interrupt enable keeps four bits (0x%x)", v);
}

static void check_tx_interrupt(void)
{
    static const char text[] = "# sixteen bytes\n";
    u32 sent = 0;
    u64 end = rdtsc() + 5 * tsc_hz;

    thre = 0;
    outb(PORT + 1, 2);
    do /* what was printed last may wait for room */
        open_window(100);
    while (thre == 0 && rdtsc() < end);
    check(thre >= 1, "transmit-empty interrupt comes when it is enabled (IIR 0x%x)", last_iir);
    while (!(inb(PORT + 5) & 0x20))
        pause();
    open_window(1000);
    thre = 0;
    while (sent < sizeof(text) - 1 && rdtsc() < end) {
        u32 before = thre;

        outb(PORT, (u8)text[sent++]);
        while (thre == before && rdtsc() < end)
            open_window(10);
    }
    outb(PORT + 1, 0);
    check(sent == sizeof(text) - 1 && thre >= sent, "one transmit-empty interrupt for each byte (%u)", thre);
}

static void check_rx(void)
{
    static const char want[] = "hello\r";
    u64 end = rdtsc() + 60 * tsc_hz;

    got_count = 0;
    outb(PORT + 1, 1);
    printf("type hello\n");
    while (got_count < sizeof(want) - 1 && rdtsc() < end)
        open_window(1000);
    outb(PORT + 1, 0);
    check(got_count == 6 && memcmp((const void *)got, want, 6) == 0,
          "typed bytes arrive by interrupt, in order (%u)", got_count);
    check((inb(PORT + 5) & 1) == 0, "and none is left");
}

void guest_main(void)
{
    guest_init();
    check_registers();
    irq_set(VECTOR, on_uart);
    ioapic_route(isa_pin(4), VECTOR);
    outb(PORT + 4, 0x0b);
    check_loopback();
    check_tx_interrupt();
    check_rx();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
