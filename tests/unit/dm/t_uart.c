/* The device model's 16550. */
#include <string.h>

#include "dmt.h"
#include "uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
enum { OUT2 = 0x08, RX_INT = 0x01, TX_INT = 0x02, LINE_INT = 0x04, FIFO_ON = 0x01, TRIGGER_8 = 0x80 };

static struct uart uart;
static struct ring output;
static bool line;
static unsigned changes;

static void set_line(void *opaque, bool level)
{
    ck_assert_ptr_eq(opaque, &uart);
    ck_assert(level != line); /* only changes are told */
    line = level;
    changes++;
}

static void setup(void)
{
    memset(&uart, 0, sizeof(uart));
    ring_clear(&output);
    line = false;
    changes = 0;
    uart_reset(&uart, &output, set_line, &uart);
    uart_write(&uart, MCR, OUT2);
}

START_TEST(transmitted_bytes_reach_the_output_in_order)
{
    uint8_t byte;
    for (const char *c = "hello"; *c != '\0'; c++)
        uart_write(&uart, DATA, (uint8_t)*c);
    for (const char *c = "hello"; *c != '\0'; c++) {
        ck_assert(ring_take(&output, &byte));
        ck_assert_int_eq(byte, *c);
    }
    ck_assert(!ring_take(&output, &byte));
}
END_TEST

START_TEST(transmitter_is_busy_while_the_output_is_full)
{
    uint8_t byte;
    ck_assert_int_eq(uart_read(&uart, LSR), 0x60);
    for (unsigned i = 0; i < RING_SIZE; i++)
        uart_write(&uart, DATA, (uint8_t)i);
    ck_assert_int_eq(uart_read(&uart, LSR), 0);
    uart_write(&uart, IER, TX_INT);
    ck_assert(!line);
    ring_take(&output, &byte);
    uart_output_taken(&uart);
    ck_assert(line);
    ck_assert_int_eq(uart_read(&uart, IIR), 0x02);
    ck_assert(!line);
    ck_assert_int_eq(uart_read(&uart, LSR), 0x60);
}
END_TEST

START_TEST(enabling_the_transmit_interrupt_raises_it_and_iir_clears_it)
{
    uart_write(&uart, IER, TX_INT);
    ck_assert(line);
    ck_assert_int_eq(uart_read(&uart, IIR), 0x02);
    ck_assert(!line);
    ck_assert_int_eq(uart_read(&uart, IIR), 0x01);
    uart_write(&uart, DATA, 'x');
    ck_assert(line);
}
END_TEST

START_TEST(received_byte_interrupts_until_it_is_read)
{
    uart_write(&uart, IER, RX_INT);
    uart_receive(&uart, 'a');
    ck_assert(line);
    ck_assert_int_eq(uart_read(&uart, IIR), 0x04);
    ck_assert_int_eq(uart_read(&uart, LSR), 0x61);
    ck_assert_int_eq(uart_read(&uart, DATA), 'a');
    ck_assert(!line);
    ck_assert_int_eq(uart_read(&uart, LSR), 0x60);
}
END_TEST

START_TEST(fifo_holds_sixteen_and_tells_trigger_from_timeout)
{
    uart_write(&uart, IIR, FIFO_ON | TRIGGER_8);
    uart_write(&uart, IER, RX_INT);
    for (unsigned i = 0; i < UART_FIFO; i++) {
        ck_assert_uint_eq(uart_room(&uart), UART_FIFO - i);
        uart_receive(&uart, (uint8_t)i);
        ck_assert_int_eq(uart_read(&uart, IIR), i + 1 >= 8 ? 0xc4 : 0xcc);
    }
    ck_assert_uint_eq(uart_room(&uart), 0);
    for (unsigned i = 0; i < UART_FIFO; i++)
        ck_assert_uint_eq(uart_read(&uart, DATA), i);
    ck_assert_int_eq(uart_read(&uart, IIR), 0xc1);
}
END_TEST

START_TEST(byte_too_many_is_an_overrun_reported_once)
{
    uart_write(&uart, IER, LINE_INT);
    uart_receive(&uart, 1);
    uart_receive(&uart, 2);
    ck_assert_int_eq(uart_read(&uart, IIR), 0x06);
    ck_assert_int_eq(uart_read(&uart, LSR) & 0x02, 0x02);
    ck_assert_int_eq(uart_read(&uart, LSR) & 0x02, 0);
    ck_assert_int_eq(uart_read(&uart, DATA), 1);
    ck_assert(!line);
}
END_TEST

START_TEST(clearing_the_fifo_forgets_what_was_received)
{
    uart_write(&uart, IIR, FIFO_ON);
    uart_receive(&uart, 1);
    uart_write(&uart, IIR, FIFO_ON | 0x02);
    ck_assert_int_eq(uart_read(&uart, LSR) & 1, 0);
    ck_assert_uint_eq(uart_room(&uart), UART_FIFO);
}
END_TEST

START_TEST(no_interrupt_without_out2)
{
    uart_write(&uart, MCR, 0);
    uart_write(&uart, IER, RX_INT | TX_INT);
    uart_receive(&uart, 1);
    ck_assert(!line);
    uart_write(&uart, MCR, OUT2);
    ck_assert(line);
}
END_TEST

START_TEST(loopback_gives_bytes_and_modem_lines_back)
{
    uart_write(&uart, MCR, 0x10 | 0x0a); /* loop, RTS, OUT2: what Linux probes with */
    ck_assert_int_eq(uart_read(&uart, MSR) & 0xf0, 0x90);
    uart_write(&uart, DATA, 0x55);
    ck_assert_uint_eq(ring_used(&output), 0);
    ck_assert_int_eq(uart_read(&uart, DATA), 0x55);
    uart_write(&uart, MCR, OUT2);
    ck_assert_int_eq(uart_read(&uart, MSR), 0xb0);
}
END_TEST

START_TEST(divisor_latch_hides_data_and_ier)
{
    uart_write(&uart, LCR, 0x83);
    uart_write(&uart, DATA, 0x34);
    uart_write(&uart, IER, 0x12);
    ck_assert_int_eq(uart_read(&uart, DATA), 0x34);
    ck_assert_int_eq(uart_read(&uart, IER), 0x12);
    uart_write(&uart, LCR, 0x03);
    ck_assert_int_eq(uart_read(&uart, IER), 0);
    ck_assert_uint_eq(ring_used(&output), 0);
    uart_write(&uart, SCR, 0xa5);
    ck_assert_int_eq(uart_read(&uart, SCR), 0xa5);
}
END_TEST

START_TEST(reset_lowers_the_line)
{
    uart_write(&uart, IER, TX_INT);
    ck_assert(line);
    uart_reset(&uart, &output, set_line, &uart);
    ck_assert(!line);
    ck_assert_uint_eq(changes, 2);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, transmitted_bytes_reach_the_output_in_order);
    tcase_add_test(t, transmitter_is_busy_while_the_output_is_full);
    tcase_add_test(t, enabling_the_transmit_interrupt_raises_it_and_iir_clears_it);
    tcase_add_test(t, received_byte_interrupts_until_it_is_read);
    tcase_add_test(t, fifo_holds_sixteen_and_tells_trigger_from_timeout);
    tcase_add_test(t, byte_too_many_is_an_overrun_reported_once);
    tcase_add_test(t, clearing_the_fifo_forgets_what_was_received);
    tcase_add_test(t, no_interrupt_without_out2);
    tcase_add_test(t, loopback_gives_bytes_and_modem_lines_back);
    tcase_add_test(t, divisor_latch_hides_data_and_ier);
    tcase_add_test(t, reset_lowers_the_line);
}

int main(void)
{
    return run_case("uart", fill);
}
