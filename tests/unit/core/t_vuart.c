/* src/core/vuart.c: register semantics and interrupt sequences of a 16550A, as drivers rely on them. */
#include <core/console.h>
#include <core/vuart.h>
#include "core_test.h"

#define COM  0x3f8
#define DATA (COM + 0)
#define IER  (COM + 1)
#define IIR  (COM + 2)
#define FCR  (COM + 2)
#define LCR  (COM + 3)
#define MCR  (COM + 4)
#define LSR  (COM + 5)
#define MSR  (COM + 6)
#define SCR  (COM + 7)

struct vm vms[CFG_VMS];
struct vcpu vcpus[CFG_VCPUS];
static struct vm *vm;
static struct vcpu *v;

static char sent[4096];
static unsigned sent_len;
static unsigned room; /* bytes the console still takes */

/* Stands in for src/core/console.c's. */
bool console_vm_putc(struct vm *m, u8 c)
{
    ck_assert_ptr_eq(m, vm);
    if (room == 0)
        return false;
    room--;
    sent[sent_len++] = (char)c;
    sent[sent_len] = 0;
    return true;
}

static u8 in(u16 port)
{
    return (u8)io_port_read(v, port, 1);
}

static void out(u16 port, u8 val)
{
    io_port_write(v, port, 1, val);
}

static bool line(void)
{
    return fake_vms[vm->id].gsi_level[4];
}

static unsigned rises(void)
{
    return fake_vms[vm->id].gsi_rises[4];
}

static void setup(void)
{
    fake_reset();
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    vm = &vms[0];
    vm->cfg = &cfg_vms[0];
    v = &vcpus[0];
    v->vm = vm;
    sent_len = 0;
    sent[0] = 0;
    room = ~0u;
    vuart_init(vm);
    vuart_reset(vm);
}

/* What Linux's 8250 driver does at start-up: FIFOs on, 8N1, DTR RTS OUT2, receive interrupts. */
static void driver_start(void)
{
    out(FCR, 0x01);
    out(FCR, 0x07);
    out(FCR, 0x00);
    in(LSR);
    in(DATA);
    in(IIR);
    in(MSR);
    out(LCR, 0x03);
    out(MCR, 0x0b);
    out(IER, 0x05);
    out(FCR, 0x81);
}

START_TEST(power_on_state)
{
    ck_assert_uint_eq(in(IER), 0);
    ck_assert_uint_eq(in(IIR), 0x01);
    ck_assert_uint_eq(in(LCR), 0);
    ck_assert_uint_eq(in(MCR), 0);
    ck_assert_uint_eq(in(LSR), 0x60);
    ck_assert_uint_eq(in(MSR), 0xb0); /* CTS DSR DCD, no deltas */
    ck_assert_uint_eq(in(SCR), 0);
    ck_assert(!line());
}
END_TEST

START_TEST(scratch_and_line_control_hold_any_value_reserved_bits_do_not)
{
    out(SCR, 0xa5);
    ck_assert_uint_eq(in(SCR), 0xa5);
    out(LCR, 0x1b);
    ck_assert_uint_eq(in(LCR), 0x1b);
    out(IER, 0xff);
    ck_assert_uint_eq(in(IER), 0x0f);
    out(MCR, 0xff);
    ck_assert_uint_eq(in(MCR), 0x1f);
    out(LSR, 0xff);
    out(MSR, 0xff);
    ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST(dlab_swaps_in_the_divisor_latch)
{
    out(IER, 0x05);
    out(LCR, 0x83);
    out(DATA, 0x01);
    out(IER, 0x02);
    ck_assert_uint_eq(in(DATA), 0x01);
    ck_assert_uint_eq(in(IER), 0x02);
    ck_assert_uint_eq(sent_len, 0);
    out(LCR, 0x03);
    ck_assert_uint_eq(in(IER), 0x05);
    out(DATA, 'A');
    ck_assert_str_eq(sent, "A");
}
END_TEST

START_TEST(wide_accesses_are_nobodys)
{
    ck_assert_uint_eq(io_port_read(v, COM, 2), 0xffff);
    io_port_write(v, COM, 4, 0x41);
    ck_assert_uint_eq(v->unowned, 2);
    ck_assert_uint_eq(sent_len, 0);
}
END_TEST

START_TEST(fifo_bits_identify_a_16550a)
{
    out(FCR, 0x01);
    ck_assert_uint_eq(in(IIR) >> 6, 3);
    out(FCR, 0x00);
    ck_assert_uint_eq(in(IIR) >> 6, 0);
    /* Not a 16750: the 64-byte bit does not stick, with or without DLAB. */
    out(LCR, 0x80);
    out(FCR, 0x21);
    ck_assert_uint_eq(in(IIR) >> 5, 6);
}
END_TEST

START_TEST(polled_output_works_without_interrupts)
{
    for (const char *p = "hello\n"; *p; p++) {
        ck_assert_uint_eq(in(LSR)&0x60, 0x60);
        out(DATA, (u8)*p);
    }
    ck_assert_str_eq(sent, "hello\n");
    ck_assert_uint_eq(rises(), 0);
}
END_TEST

START_TEST(loopback_reports_modem_outputs_as_inputs)
{
    out(MCR, 0x10 | 0x0a); /* Linux's autoconfig: RTS and OUT2 */
    ck_assert_uint_eq(in(MSR)&0xf0, 0x90);
    out(MCR, 0x10 | 0x05);
    ck_assert_uint_eq(in(MSR)&0xf0, 0x60);
    out(MCR, 0x10);
    ck_assert_uint_eq(in(MSR)&0x0f, 0x06); /* DSR changed, RI fell */
    ck_assert_uint_eq(in(MSR)&0x0f, 0);    /* reading clears */
    out(MCR, 0x00);
    ck_assert_uint_eq(in(MSR)&0xf0, 0xb0);
}
END_TEST

START_TEST(loopback_data_comes_back_and_does_not_go_out)
{
    out(FCR, 0x01);
    out(MCR, 0x10);
    for (u8 i = 0; i < 16; i++)
        out(DATA, (u8)(i + 1));
    ck_assert_uint_eq(sent_len, 0);
    ck_assert_uint_eq(in(LSR), 0x61);
    out(DATA, 99);
    ck_assert_uint_eq(in(LSR), 0x63); /* overrun */
    ck_assert_uint_eq(in(LSR), 0x61); /* reading clears */
    for (u8 i = 0; i < 16; i++)
        ck_assert_uint_eq(in(DATA), i + 1);
    ck_assert_uint_eq(in(LSR), 0x60);
    ck_assert_uint_eq(in(DATA), 0);
}
END_TEST

START_TEST(without_fifo_the_receiver_holds_one_byte)
{
    ck_assert(vuart_console_rx_room(vm));
    ck_assert(vuart_console_rx(vm, 'x'));
    ck_assert(!vuart_console_rx_room(vm));
    ck_assert(!vuart_console_rx(vm, 'y'));
    ck_assert_uint_eq(in(DATA), 'x');
    ck_assert(vuart_console_rx(vm, 'y'));
}
END_TEST

START_TEST(with_fifo_the_receiver_holds_sixteen_in_order)
{
    out(FCR, 0x01);
    for (u8 i = 0; i < 16; i++)
        ck_assert(vuart_console_rx(vm, (u8)('a' + i)));
    ck_assert(!vuart_console_rx(vm, 'z'));
    ck_assert_uint_eq(in(LSR)&0x03, 0x01); /* refused, not overrun: the console keeps it */
    for (u8 i = 0; i < 16; i++)
        ck_assert_uint_eq(in(DATA), 'a' + i);
}
END_TEST

START_TEST(receive_interrupt_stays_until_the_data_is_read)
{
    driver_start();
    ck_assert(!line());
    vuart_console_rx(vm, 'k');
    ck_assert(line());
    ck_assert_uint_eq(in(IIR), 0xcc); /* below the trigger level: timeout */
    ck_assert(line());
    ck_assert_uint_eq(in(DATA), 'k');
    ck_assert(!line());
    ck_assert_uint_eq(in(IIR), 0xc1);
    ck_assert_uint_eq(rises(), 1);
}
END_TEST

START_TEST(trigger_level_decides_between_data_and_timeout)
{
    driver_start(); /* level 8 */
    for (unsigned i = 0; i < 7; i++)
        vuart_console_rx(vm, 'k');
    ck_assert_uint_eq(in(IIR), 0xcc);
    vuart_console_rx(vm, 'k');
    ck_assert_uint_eq(in(IIR), 0xc4);
    in(DATA);
    ck_assert_uint_eq(in(IIR), 0xcc);
}
END_TEST

START_TEST(enabling_thre_on_an_idle_transmitter_interrupts_each_time)
{
    driver_start();
    /* Linux's test for UARTs that do not reassert THRE. */
    out(IER, 0x02);
    ck_assert(line());
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert(!line()); /* reading IIR acknowledged it */
    ck_assert_uint_eq(in(IIR), 0xc1);
    out(IER, 0x00);
    out(IER, 0x02);
    ck_assert(line());
    ck_assert_uint_eq(in(IIR), 0xc2);
    out(IER, 0x00);
    ck_assert(!line());
}
END_TEST

START_TEST(a_driver_sends_a_buffer_by_thre_interrupts)
{
    const char *text = "The quick brown fox jumps over the lazy dog, twice or three times a day.";
    size_t at = 0, len = strlen(text);

    driver_start();
    out(IER, 0x07); /* start_tx */
    for (unsigned guard = 0; at < len; guard++) {
        ck_assert_msg(guard < 100 && line(), "transmission stalled at %zu", at);
        ck_assert_uint_eq(in(IIR), 0xc2);
        ck_assert(in(LSR)&0x20);
        for (unsigned i = 0; i < 16 && at < len; i++)
            out(DATA, (u8)text[at++]);
    }
    out(IER, 0x05); /* stop_tx */
    ck_assert(!line());
    ck_assert_str_eq(sent, text);
}
END_TEST

START_TEST(writing_data_clears_a_pending_thre_until_the_byte_is_gone)
{
    driver_start();
    room = 0;
    out(IER, 0x07);
    ck_assert(line());
    out(DATA, 'x');
    ck_assert(!line());
    ck_assert_uint_eq(in(IIR), 0xc1);
    ck_assert_uint_eq(in(LSR)&0x60, 0);
    room = 1;
    vuart_console_tx_ready(vm);
    ck_assert(line());
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert_uint_eq(in(LSR)&0x60, 0x60);
    ck_assert_str_eq(sent, "x");
}
END_TEST

START_TEST(a_full_console_holds_sixteen_bytes_and_loses_none)
{
    driver_start();
    out(IER, 0x07);
    room = 3;
    for (u8 i = 0; i < 16; i++)
        out(DATA, (u8)('A' + i));
    ck_assert_uint_eq(sent_len, 3);
    ck_assert_uint_eq(in(LSR)&0x60, 0);
    room = 5;
    vuart_console_tx_ready(vm);
    ck_assert_uint_eq(in(LSR)&0x60, 0);
    ck_assert(!line());
    room = 100;
    vuart_console_tx_ready(vm);
    ck_assert_str_eq(sent, "ABCDEFGHIJKLMNOP");
    ck_assert(line());
}
END_TEST

START_TEST(room_that_nobody_waited_for_raises_nothing)
{
    driver_start();
    out(IER, 0x07);
    in(IIR);
    ck_assert(!line());
    vuart_console_tx_ready(vm);
    ck_assert(!line());
}
END_TEST

START_TEST(priorities_are_line_status_data_thre_modem)
{
    driver_start();
    out(MCR, 0x10);
    for (unsigned i = 0; i < 17; i++)
        out(DATA, 'o'); /* overrun by loopback */
    out(MCR, 0x0b);     /* modem inputs change back */
    out(IER, 0x0f);
    ck_assert_uint_eq(in(IIR), 0xc6);
    in(LSR);
    ck_assert_uint_eq(in(IIR), 0xc4);
    for (unsigned i = 0; i < 16; i++)
        in(DATA);
    ck_assert_uint_eq(in(IIR), 0xc2);
    ck_assert_uint_eq(in(IIR), 0xc0);
    ck_assert(line());
    in(MSR);
    ck_assert_uint_eq(in(IIR), 0xc1);
    ck_assert(!line());
}
END_TEST

START_TEST(reading_iir_for_another_reason_keeps_thre)
{
    driver_start();
    vuart_console_rx(vm, 'k');
    out(IER, 0x07);
    ck_assert_uint_eq(in(IIR), 0xcc);
    in(DATA);
    ck_assert(line());
    ck_assert_uint_eq(in(IIR), 0xc2);
}
END_TEST

START_TEST(out2_gates_the_line)
{
    driver_start();
    out(MCR, 0x03);
    vuart_console_rx(vm, 'k');
    ck_assert(!line());
    out(MCR, 0x0b);
    ck_assert(line());
    out(MCR, 0x1b);
    ck_assert(!line()); /* loopback takes the outputs off the bus */
}
END_TEST

START_TEST(fifo_resets_clear_data_and_interrupt)
{
    driver_start();
    vuart_console_rx(vm, 'k');
    out(FCR, 0x83);
    ck_assert(!line());
    ck_assert_uint_eq(in(LSR)&1, 0);
    room = 0;
    out(DATA, 'x');
    out(FCR, 0x85);
    ck_assert_uint_eq(in(LSR)&0x60, 0x60);
    room = 9;
    vuart_console_tx_ready(vm);
    ck_assert_str_eq(sent, "");
}
END_TEST

START_TEST(a_reset_with_the_line_high_leaves_it_low)
{
    driver_start();
    vuart_console_rx(vm, 'k');
    ck_assert(line());
    vuart_reset(vm);
    ck_assert(!line());
    ck_assert_uint_eq(in(LSR), 0x60);
    driver_start();
    vuart_console_rx(vm, 'k');
    ck_assert(line());
}
END_TEST

START_TEST(a_vuart_without_console_is_there_but_not_connected)
{
    io_port_write(v, 0x2f8 + 7, 1, 0x3c);
    ck_assert_uint_eq(io_port_read(v, 0x2f8 + 7, 1), 0x3c);
    io_port_write(v, 0x2f8, 1, 'x');
    ck_assert_uint_eq(io_port_read(v, 0x2f8 + 5, 1), 0x60);
    ck_assert_uint_eq(io_port_read(v, 0x2f8 + 6, 1) & 0xf0, 0);
    ck_assert_uint_eq(sent_len, 0);
}
END_TEST

START_TEST(input_waits_while_the_guest_loops_back)
{
    out(MCR, 0x10);
    ck_assert(!vuart_console_rx_room(vm));
    ck_assert(!vuart_console_rx(vm, 'k'));
    out(MCR, 0x0b);
    ck_assert(vuart_console_rx(vm, 'k'));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vuart");
    TCase *t = tcase_create("vuart");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, power_on_state);
    tcase_add_test(t, scratch_and_line_control_hold_any_value_reserved_bits_do_not);
    tcase_add_test(t, dlab_swaps_in_the_divisor_latch);
    tcase_add_test(t, wide_accesses_are_nobodys);
    tcase_add_test(t, fifo_bits_identify_a_16550a);
    tcase_add_test(t, polled_output_works_without_interrupts);
    tcase_add_test(t, loopback_reports_modem_outputs_as_inputs);
    tcase_add_test(t, loopback_data_comes_back_and_does_not_go_out);
    tcase_add_test(t, without_fifo_the_receiver_holds_one_byte);
    tcase_add_test(t, with_fifo_the_receiver_holds_sixteen_in_order);
    tcase_add_test(t, receive_interrupt_stays_until_the_data_is_read);
    tcase_add_test(t, trigger_level_decides_between_data_and_timeout);
    tcase_add_test(t, enabling_thre_on_an_idle_transmitter_interrupts_each_time);
    tcase_add_test(t, a_driver_sends_a_buffer_by_thre_interrupts);
    tcase_add_test(t, writing_data_clears_a_pending_thre_until_the_byte_is_gone);
    tcase_add_test(t, a_full_console_holds_sixteen_bytes_and_loses_none);
    tcase_add_test(t, room_that_nobody_waited_for_raises_nothing);
    tcase_add_test(t, priorities_are_line_status_data_thre_modem);
    tcase_add_test(t, reading_iir_for_another_reason_keeps_thre);
    tcase_add_test(t, out2_gates_the_line);
    tcase_add_test(t, fifo_resets_clear_data_and_interrupt);
    tcase_add_test(t, a_reset_with_the_line_high_leaves_it_low);
    tcase_add_test(t, a_vuart_without_console_is_there_but_not_connected);
    tcase_add_test(t, input_waits_while_the_guest_loops_back);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
