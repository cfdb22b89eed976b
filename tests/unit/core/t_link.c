/* src/core/vuart.c: two vUARTs joined by a cable. Vm "a" has its end at 0x2f8 on line 3, vm "b" at 0x3e8 on
 * line 5. */
#include <core/console.h>
#include <core/vuart.h>
#include "core_test.h"

enum { DATA, IER, IIR, FCR = IIR, LCR, MCR, LSR, MSR };

#define THRE     0x60 /* with TEMT */
#define DR       0x01
#define OE       0x02
#define BI       0x10
#define ERR_FIFO 0x80
#define BREAK    0x40
#define DTR      0x01
#define RTS      0x02
#define OUT2     0x08
#define LOOP     0x10

struct vm vms[CFG_VMS];
struct vcpu vcpus[CFG_VCPUS];

struct end {
    struct vm *vm;
    struct vcpu *v;
    u16 port;
    u8 gsi;
};
static struct end a, b;

/* Neither of the two is a console. */
bool console_vm_putc(struct vm *m, u8 c)
{
    ck_abort_msg("vm %u sends 0x%x to the console", m->id, c);
    return false;
}

static u8 in(const struct end *e, u16 reg)
{
    return (u8)io_port_read(e->v, (u16)(e->port + reg), 1);
}

static void out(const struct end *e, u16 reg, u8 val)
{
    io_port_write(e->v, (u16)(e->port + reg), 1, val);
}

static bool line(const struct end *e)
{
    return fake_vms[e->vm->id].gsi_level[e->gsi];
}

static void make(struct end *e, u16 vm, u16 vcpu, u16 port, u8 gsi)
{
    *e = (struct end){&vms[vm], &vcpus[vcpu], port, gsi};
    e->vm->id = vm;
    e->vm->cfg = &cfg_vms[vm];
    e->v->vm = e->vm;
    vuart_init(e->vm);
}

static void setup(void)
{
    fake_reset();
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    make(&a, 0, 0, 0x2f8, 3);
    make(&b, 1, 2, 0x3e8, 5);
    vuart_reset(a.vm);
    vuart_reset(b.vm);
}

/* As a driver opens a port: FIFOs on, DTR RTS OUT2. */
static void open_port(const struct end *e, u8 ier)
{
    out(e, FCR, 0x07);
    out(e, LCR, 0x03);
    out(e, MCR, DTR | RTS | OUT2);
    in(e, MSR);
    out(e, IER, ier);
    in(e, IIR);
}

static void send(const struct end *e, const char *s)
{
    for (; *s; s++)
        out(e, DATA, (u8)*s);
}

static void expect(const struct end *e, const char *s)
{
    for (; *s; s++) {
        ck_assert_uint_eq(in(e, LSR) & DR, DR);
        ck_assert_uint_eq(in(e, DATA), (u8)*s);
    }
    ck_assert_uint_eq(in(e, LSR) & DR, 0);
}

START_TEST(what_one_end_sends_the_other_receives)
{
    open_port(&a, 0);
    open_port(&b, 0);
    send(&a, "to b");
    send(&b, "to a");
    ck_assert_uint_eq(in(&a, LSR), THRE | DR);
    expect(&b, "to b");
    expect(&a, "to a");
}
END_TEST

START_TEST(modem_inputs_are_the_other_end_s_outputs)
{
    static const struct {
        u8 mcr, msr;
    } t[] = {{0, 0}, {RTS, 0x10}, {DTR, 0xa0}, {DTR | RTS, 0xb0}, {OUT2 | 0x04, 0}, {DTR | RTS | LOOP, 0}};

    in(&a, MSR);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        out(&b, MCR, t[i].mcr);
        ck_assert_uint_eq(in(&a, MSR) & 0xf0, t[i].msr);
        ck_assert_uint_eq(in(&a, MSR) & 0x0f, 0);
    }
    out(&b, MCR, DTR);
    out(&b, MCR, RTS);
    ck_assert_uint_eq(in(&a, MSR), 0x10 | 0x0b); /* CTS rose, DSR and DCD changed twice */
}
END_TEST

START_TEST(a_modem_change_interrupts_the_other_end)
{
    open_port(&a, 0x08);
    ck_assert(!line(&a));
    out(&b, MCR, DTR);
    ck_assert(line(&a));
    ck_assert_uint_eq(in(&a, IIR) & 0x0f, 0x00);
    ck_assert_uint_eq(in(&a, MSR), 0xaa);
    ck_assert(!line(&a));
}
END_TEST

START_TEST(received_data_interrupts_and_kicks_no_more_than_needed)
{
    open_port(&b, 0x01);
    send(&a, "x");
    ck_assert(line(&b));
    ck_assert(!line(&a));
    send(&a, "yz");
    ck_assert_uint_eq(fake_vms[1].gsi_rises[5], 1);
    expect(&b, "xyz");
    ck_assert(!line(&b));
}
END_TEST

START_TEST(a_full_receiver_holds_the_transmitter_back_and_nothing_is_lost)
{
    open_port(&a, 0x02);
    open_port(&b, 0);
    send(&a, "0123456789abcdef");
    ck_assert_uint_eq(in(&a, LSR), THRE);
    send(&a, "ghij");
    ck_assert_uint_eq(in(&a, LSR), 0);
    in(&a, IIR);
    ck_assert(!line(&a));
    ck_assert_uint_eq(in(&b, DATA), '0'); /* 'g' follows */
    ck_assert_uint_eq(in(&a, LSR), 0);
    ck_assert(!line(&a));
    ck_assert_uint_eq(in(&b, DATA), '1');
    ck_assert_uint_eq(in(&b, DATA), '2');
    ck_assert_uint_eq(in(&b, DATA), '3'); /* makes room for the last */
    ck_assert_uint_eq(in(&a, LSR), THRE);
    ck_assert(line(&a));
    ck_assert_uint_eq(in(&a, IIR) & 0x0f, 0x02);
    ck_assert(!line(&a));
    expect(&b, "456789abcdefghij");
}
END_TEST

START_TEST(without_fifos_one_byte_at_a_time_is_passed_on)
{
    out(&b, MCR, DTR);
    send(&a, "x");
    ck_assert_uint_eq(in(&a, LSR), THRE);
    send(&a, "y");
    ck_assert_uint_eq(in(&a, LSR), 0);
    send(&a, "z"); /* overruns the transmitter */
    ck_assert_uint_eq(in(&b, DATA), 'x');
    ck_assert_uint_eq(in(&a, LSR), THRE);
    expect(&b, "y");
}
END_TEST

START_TEST(clearing_the_receiver_lets_the_rest_follow)
{
    open_port(&a, 0);
    open_port(&b, 0);
    send(&a, "0123456789abcdefgh");
    out(&b, FCR, 0x03);
    ck_assert_uint_eq(in(&a, LSR), THRE);
    expect(&b, "gh");
}
END_TEST

START_TEST(without_dtr_what_does_not_fit_is_an_overrun_and_the_sender_goes_on)
{
    open_port(&a, 0);
    out(&b, FCR, 0x01);
    send(&a, "0123456789abcdef");
    ck_assert_uint_eq(in(&b, LSR), THRE | DR);
    send(&a, "ghi");
    ck_assert_uint_eq(in(&a, LSR), THRE);
    ck_assert_uint_eq(in(&b, LSR), THRE | DR | OE);
    expect(&b, "0123456789abcdef");
}
END_TEST

START_TEST(dropping_dtr_lets_go_of_what_is_held_back)
{
    open_port(&a, 0);
    open_port(&b, 0x04);
    send(&a, "0123456789abcdefghi");
    ck_assert_uint_eq(in(&a, LSR), 0);
    out(&b, MCR, OUT2);
    ck_assert_uint_eq(in(&a, LSR), THRE);
    ck_assert(line(&b));
    ck_assert_uint_eq(in(&b, IIR) & 0x0f, 0x06);
    ck_assert_uint_eq(in(&b, LSR), THRE | DR | OE);
    ck_assert(!line(&b));
}
END_TEST

START_TEST(a_break_is_a_marked_zero_in_its_place)
{
    open_port(&a, 0);
    open_port(&b, 0x04);
    send(&a, "x");
    out(&a, LCR, 0x03 | BREAK);
    out(&a, LCR, 0x03 | BREAK); /* goes on */
    send(&a, "lost");
    out(&a, LCR, 0x03);
    send(&a, "y");
    ck_assert(!line(&b)); /* 'x' comes first */
    ck_assert_uint_eq(in(&b, LSR), THRE | DR | ERR_FIFO);
    ck_assert_uint_eq(in(&b, DATA), 'x');
    ck_assert(line(&b));
    ck_assert_uint_eq(in(&b, IIR) & 0x0f, 0x06);
    ck_assert_uint_eq(in(&b, LSR), THRE | DR | BI | ERR_FIFO);
    ck_assert_uint_eq(in(&b, LSR), THRE | DR);
    ck_assert(!line(&b));
    ck_assert_uint_eq(in(&b, DATA), 0);
    expect(&b, "y");
}
END_TEST

START_TEST(a_break_that_finds_no_room_is_seen_all_the_same)
{
    open_port(&b, 0);
    out(&b, FCR, 0x00);
    out(&b, MCR, DTR);
    send(&a, "x");
    out(&a, LCR, BREAK);
    ck_assert_uint_eq(in(&b, LSR), THRE | DR | OE | BI);
    expect(&b, "x");
    out(&a, LCR, 0);
    out(&a, LCR, BREAK);
    ck_assert_uint_eq(in(&b, LSR), THRE | DR | BI);
    out(&b, FCR, 0x01); /* a change of mode empties it */
    ck_assert_uint_eq(in(&b, LSR), THRE);
}
END_TEST

START_TEST(an_end_in_loopback_is_off_the_cable)
{
    open_port(&a, 0);
    open_port(&b, 0);
    out(&b, MCR, DTR | RTS | LOOP);
    ck_assert_uint_eq(in(&a, MSR) & 0xf0, 0);
    send(&a, "gone");
    out(&a, LCR, BREAK);
    out(&a, LCR, 0);
    ck_assert_uint_eq(in(&b, LSR), THRE);
    send(&b, "own");
    out(&b, LCR, BREAK);
    out(&b, LCR, 0);
    ck_assert_uint_eq(in(&a, LSR), THRE);
    expect(&b, "own");
    out(&b, MCR, DTR | RTS);
    send(&a, "back");
    expect(&b, "back");
}
END_TEST

START_TEST(an_end_that_is_off_is_an_unplugged_cable)
{
    open_port(&a, 0x08);
    open_port(&b, 0x01);
    send(&a, "0123456789abcdefgh");
    in(&a, MSR);
    vuart_off(b.vm);
    ck_assert_uint_eq(in(&a, LSR), THRE); /* what was held back is gone */
    ck_assert(line(&a));
    ck_assert_uint_eq(in(&a, MSR), 0x0b);
    send(&a, "more");
    ck_assert_uint_eq(in(&a, LSR), THRE);
    /* On again: nothing of old, and a cable. */
    vuart_reset(b.vm);
    ck_assert(!line(&b));
    ck_assert_uint_eq(in(&b, LSR), THRE);
    ck_assert_uint_eq(in(&b, MSR), 0xb0);
    ck_assert_uint_eq(in(&a, MSR), 0);
    send(&a, "!");
    expect(&b, "!");
}
END_TEST

START_TEST(what_the_first_end_holds_back_for_itself_is_its_own_when_it_goes)
{
    open_port(&a, 0);
    open_port(&b, 0);
    send(&b, "0123456789abcdefgh");
    ck_assert_uint_eq(in(&b, LSR), 0);
    vuart_off(b.vm);
    expect(&a, "0123456789abcdef");
    vuart_reset(b.vm);
    ck_assert_uint_eq(in(&b, LSR), THRE);
    ck_assert_uint_eq(in(&a, LSR), THRE);
}
END_TEST

START_TEST(other_vuarts_of_the_vm_are_not_on_the_cable)
{
    vuart_off(a.vm);
    io_port_write(a.v, 0x3f8 + 7, 1, 0x5a);
    ck_assert_uint_eq(io_port_read(a.v, 0x3f8 + 7, 1), 0x5a);
    ck_assert(vuart_has_gsi(a.vm, 3) && vuart_has_gsi(a.vm, 4) && !vuart_has_gsi(a.vm, 5));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link");
    TCase *t = tcase_create("link");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, what_one_end_sends_the_other_receives);
    tcase_add_test(t, modem_inputs_are_the_other_end_s_outputs);
    tcase_add_test(t, a_modem_change_interrupts_the_other_end);
    tcase_add_test(t, received_data_interrupts_and_kicks_no_more_than_needed);
    tcase_add_test(t, a_full_receiver_holds_the_transmitter_back_and_nothing_is_lost);
    tcase_add_test(t, without_fifos_one_byte_at_a_time_is_passed_on);
    tcase_add_test(t, clearing_the_receiver_lets_the_rest_follow);
    tcase_add_test(t, without_dtr_what_does_not_fit_is_an_overrun_and_the_sender_goes_on);
    tcase_add_test(t, dropping_dtr_lets_go_of_what_is_held_back);
    tcase_add_test(t, a_break_is_a_marked_zero_in_its_place);
    tcase_add_test(t, a_break_that_finds_no_room_is_seen_all_the_same);
    tcase_add_test(t, an_end_in_loopback_is_off_the_cable);
    tcase_add_test(t, an_end_that_is_off_is_an_unplugged_cable);
    tcase_add_test(t, what_the_first_end_holds_back_for_itself_is_its_own_when_it_goes);
    tcase_add_test(t, other_vuarts_of_the_vm_are_not_on_the_cable);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
