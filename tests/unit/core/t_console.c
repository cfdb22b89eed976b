/* src/core/console.c: framing, what is shown when, fairness, input. VM "a" is channel '1', its console vUART
 * at 0x3f8. */
#include <stdio.h>
#include <core/console.h>
#include <core/vuart.h>
#include <lib/log.h>
#include "../../../src/core/core_impl.h"
#include "core_test.h"

static struct vm *a, *b, *c;

static void start_console(bool mux)
{
    core_setup_mux(mux);
    a = &vms[0];
    b = &vms[1];
    c = &vms[2];
    vms_autostart();
    vm_control(c, VM_WANT_START);
    run_all();
    loglevel = LOG_ERROR;
    fake_set_cpu(0);
    console_start();
    run_cpu(0);
    for (unsigned i = 0; i < 20; i++) {
        pass_time(1000000);
        run_all();
    }
    fake_out_len = 0;
    fake_out[0] = 0;
    memset(fake_kicks, 0, sizeof(fake_kicks));
}

static void setup(void)
{
    start_console(false);
}

static void setup_mux(void)
{
    start_console(true);
}

/* Lets `ms` milliseconds pass with every CPU doing its work. */
static void run_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        pass_time(1000000);
        run_all();
    }
    fake_set_cpu(0);
}

/* A guest of the VM writes to its console; returns how many bytes were taken. */
static unsigned vm_says(struct vm *vm, const char *s)
{
    unsigned n = 0;

    fake_set_cpu(vm->vcpus[0].pcpu);
    for (; *s && console_vm_putc(vm, (u8)*s); s++)
        n++;
    return n;
}

/* Takes the frames in what was sent apart: appends each channel's payload to text[channel]. */
static char text[1 + CFG_VMS][65536];
static unsigned frames;

static void parse_frames(void)
{
    frames = 0;
    memset(text, 0, sizeof(text));
    for (u32 i = 0; i < fake_out_len;) {
        u32 ch, len;

        ck_assert_msg(fake_out[i] == 1, "byte %u is outside of frames: 0x%02x", i, (u8)fake_out[i]);
        if (i + 3 > fake_out_len)
            return; /* the last frame is still on its way */
        ch = (u32)(u8)fake_out[i + 1] - '0';
        len = (u32)(u8)fake_out[i + 2] - 0x80;
        ck_assert_uint_le(ch, CFG_VMS);
        ck_assert_msg(len >= 1 && len <= 120, "frame of %u bytes", len);
        if (i + 3 + len > fake_out_len)
            return;
        strncat(text[ch], fake_out + i + 3, len);
        i += 3 + len;
        frames++;
    }
}

static void type(const char *s)
{
    fake_console_type(s, strlen(s));
    fake_set_cpu(0);
    cpu_request(0, CPU_REQ_CONSOLE);
    run_all();
}

/* What the guest of the VM reads from its vUART. */
static const char *guest_reads(struct vm *vm)
{
    static char got[4096];
    unsigned n = 0;

    while (io_port_read(&vm->vcpus[0], 0x3f8 + 5, 1) & 1)
        got[n++] = (char)io_port_read(&vm->vcpus[0], 0x3f8, 1);
    got[n] = 0;
    return got;
}

/* ---- plain mode ---- */

START_TEST(early_output_is_synchronous)
{
    core_setup();
    console_write("early\n", 6);
    ck_assert_str_eq(fake_out, "early\r\n");
}
END_TEST

START_TEST(output_after_start_is_queued_and_drained_by_the_console_cpu)
{
    fake_set_cpu(3);
    console_write("hello\n", 6);
    ck_assert_str_eq(fake_out, "");
    ck_assert_uint_eq(fake_kicks[0], 1);
    run_all();
    ck_assert_str_eq(fake_out, "hello\r\n");
}
END_TEST

START_TEST(a_producer_wakes_the_console_cpu_once_per_pass)
{
    fake_set_cpu(3);
    for (unsigned i = 0; i < 100; i++)
        console_write("x", 1);
    ck_assert_uint_eq(fake_kicks[0], 1);
    run_all();
    /* The pass just made: more output waits for the timer instead of another wake-up. */
    fake_set_cpu(3);
    console_write("y", 1);
    ck_assert_uint_eq(fake_kicks[0], 1);
    run_ms(1);
    ck_assert_int_eq(fake_out[fake_out_len - 1], 'y');
    run_ms(3);
    fake_set_cpu(3);
    console_write("z", 1);
    ck_assert_uint_eq(fake_kicks[0], 2);
    run_all();
    ck_assert_int_eq(fake_out[fake_out_len - 1], 'z');
}
END_TEST

START_TEST(an_idle_console_leaves_the_timer_off)
{
    run_ms(5);
    ck_assert_uint_eq(fake_armed[0], ~(u64)0);
}
END_TEST

START_TEST(a_pass_is_bounded)
{
    char big[1000];

    memset(big, 'x', sizeof(big));
    console_write(big, sizeof(big));
    run_cpu(0);
    ck_assert_uint_le(fake_out_len, 160);
    ck_assert_uint_gt(fake_out_len, 0);
    ck_assert_uint_le(fake_armed[0], fake_tsc + 1000000);
    run_ms(20);
    ck_assert_uint_eq(fake_out_len, 1000);
}
END_TEST

START_TEST(a_full_uart_is_tried_again_without_loss)
{
    fake_out_room = 3;
    console_write("abcdefgh\n", 9);
    run_ms(1);
    ck_assert_str_eq(fake_out, "abc");
    fake_out_room = 2;
    run_ms(1);
    fake_out_room = ~0u;
    run_ms(1);
    ck_assert_str_eq(fake_out, "abcdefgh\r\n");
}
END_TEST

START_TEST(a_log_flood_keeps_the_newest_whole_lines_and_says_so)
{
    char want[32];
    const char *p;

    for (unsigned i = 0; i < 2000; i++) {
        char line[32];
        int n = snprintf(line, sizeof(line), "line %04u of 2000\n", i);

        console_write(line, (size_t)n);
    }
    run_ms(400);
    ck_assert_ptr_nonnull(strstr(fake_out, " bytes lost]\r\n"));
    p = strstr(fake_out, "lost]\r\n");
    ck_assert_int_eq(strncmp(p, "lost]\r\nline ", 12), 0);
    snprintf(want, sizeof(want), "line 1999 of 2000\r\n");
    ck_assert_ptr_nonnull(strstr(fake_out, want));
}
END_TEST

START_TEST(an_unattached_vm_is_silent_and_keeps_its_newest_bytes)
{
    char big[5001];

    for (unsigned i = 0; i < 5000; i++)
        big[i] = (char)('a' + i % 26);
    big[5000] = 0;
    ck_assert_uint_eq(vm_says(a, big), 5000); /* never refused */
    ck_assert_uint_eq(fake_kicks[0], 0);      /* and nobody was woken */
    run_ms(5);
    ck_assert_str_eq(fake_out, "");
    fake_set_cpu(0);
    console_attach(a);
    run_ms(100);
    ck_assert_ptr_nonnull(strstr(fake_out, big + 5000 - 4096));
    ck_assert_ptr_null(strstr(fake_out, big + 5000 - 4097));
}
END_TEST

START_TEST(attaching_explains_the_escape_key_before_the_guests_text)
{
    vm_says(a, "login: ");
    fake_set_cpu(0);
    type("vm_console a\r");
    run_ms(5);
    ck_assert_ptr_nonnull(strstr(fake_out, "Ctrl-] returns to the hypervisor shell"));
    ck_assert(strstr(fake_out, "Ctrl-]") < strstr(fake_out, "login: "));
    ck_assert(strstr(fake_out, "vm_console a\r\n") < strstr(fake_out, "Ctrl-]"));
    ck_assert_str_eq(fake_out + fake_out_len - 7, "login: ");
}
END_TEST

START_TEST(while_attached_only_that_vm_is_seen_and_heard)
{
    fake_set_cpu(0);
    console_attach(a);
    run_ms(5);
    fake_out_len = 0;
    log_err("hidden for now");
    vm_says(b, "other");
    vm_says(a, "mine\n");
    run_ms(5);
    ck_assert_str_eq(fake_out, "mine\n"); /* guest bytes are not touched */
    type("ls\r");
    ck_assert_str_eq(guest_reads(b), "");
    ck_assert_str_eq(fake_out, "mine\n");
}
END_TEST

START_TEST(the_escape_key_returns_to_the_shell_with_what_was_logged_meanwhile)
{
    fake_set_cpu(0);
    console_attach(a);
    run_ms(5);
    log_err("meanwhile");
    type("x\x1d");
    run_ms(5);
    ck_assert_ptr_nonnull(strstr(fake_out, "meanwhile"));
    ck_assert_str_eq(fake_out + fake_out_len - 10, "bulkhead> ");
    ck_assert(console_shell_shown());
    type("version\r");
    run_ms(5);
    ck_assert_ptr_nonnull(strstr(fake_out, "board fake"));
}
END_TEST

START_TEST(an_attached_guest_is_held_back_not_cut)
{
    static char big[6001];
    unsigned taken;

    memset(big, 'q', 6000);
    fake_set_cpu(0);
    console_attach(a);
    run_ms(5);
    fake_out_len = 0;
    taken = vm_says(a, big);
    ck_assert_uint_lt(taken, 6000);
    ck_assert_uint_ge(taken, 4096);
    run_ms(100);
    ck_assert_uint_eq(fake_out_len, taken);
}
END_TEST

START_TEST(leaving_the_console_frees_a_guest_that_was_held_back)
{
    static char big[4300];
    struct vcpu *v = &a->vcpus[0];

    memset(big, 'q', sizeof(big) - 1);
    fake_set_cpu(0);
    console_attach(a);
    run_ms(5);
    fake_out_room = 0;
    vm_says(a, big);
    fake_set_cpu(1);
    io_port_write(v, 0x3f8, 1, 'z');
    ck_assert_uint_eq(io_port_read(v, 0x3f8 + 5, 1) & 0x20, 0);
    fake_set_cpu(0);
    console_attach(NULL);
    ck_assert_uint_eq(io_port_read(v, 0x3f8 + 5, 1) & 0x20, 0x20);
}
END_TEST

START_TEST(pasted_input_reaches_a_guest_that_reads_slowly)
{
    char paste[1001], got[1100] = "";

    for (unsigned i = 0; i < 1000; i++)
        paste[i] = (char)('A' + i % 53);
    paste[1000] = 0;
    fake_set_cpu(0);
    console_attach(a);
    io_port_write(&a->vcpus[0], 0x3f8 + 2, 1, 1); /* FIFO on */
    type(paste);
    for (unsigned i = 0; i < 100; i++) {
        strcat(got, guest_reads(a));
        run_ms(1);
    }
    strcat(got, guest_reads(a));
    ck_assert_str_eq(got, paste);
}
END_TEST

START_TEST(a_guest_that_never_reads_cannot_block_the_escape_key)
{
    char paste[401];

    memset(paste, 'p', 400);
    paste[400] = 0;
    fake_set_cpu(0);
    console_attach(a);
    type(paste);
    type("\x1d");
    run_ms(50);
    ck_assert(!console_shell_shown()); /* it may just be slow */
    run_ms(100);
    ck_assert(console_shell_shown());
}
END_TEST

START_TEST(input_for_a_vm_that_is_off_is_dropped)
{
    vm_control(c, VM_WANT_STOP);
    run_all();
    fake_set_cpu(0);
    console_attach(c);
    type("rm -rf /\r");
    run_ms(2);
    vm_control(c, VM_WANT_START);
    run_all();
    run_ms(5);
    ck_assert_str_eq(guest_reads(c), "");
}
END_TEST

START_TEST(typed_bytes_interrupt_the_guest)
{
    struct vcpu *v = &a->vcpus[0];

    fake_set_cpu(1);
    io_port_write(v, 0x3f8 + 4, 1, 0x0b);
    io_port_write(v, 0x3f8 + 1, 1, 0x01);
    fake_set_cpu(0);
    console_attach(a);
    type("k");
    ck_assert_uint_eq(fake_vms[0].gsi_level[4], 1);
    ck_assert_str_eq(guest_reads(a), "k");
    ck_assert_uint_eq(fake_vms[0].gsi_level[4], 0);
}
END_TEST

START_TEST(a_log_line_does_not_mix_with_the_command_being_typed)
{
    type("vm_li");
    run_ms(3);
    fake_out_len = 0;
    log_err("interrupting");
    run_ms(3);
    ck_assert_int_eq(strncmp(fake_out, "\r\033[K[", 5), 0);
    ck_assert_ptr_nonnull(strstr(fake_out, "interrupting\r\n\r\033[Kbulkhead> vm_li"));
    type("st\r");
    run_ms(10);
    ck_assert_ptr_nonnull(strstr(fake_out, "pre-launched"));
}
END_TEST

/* ---- mux mode ---- */

START_TEST(early_output_is_framed_too)
{
    core_setup_mux(true);
    console_write("early\n", 6);
    parse_frames();
    ck_assert_str_eq(text[0], "early\n");
}
END_TEST

START_TEST(each_channel_carries_its_own_text_unchanged)
{
    char big[301];

    for (unsigned i = 0; i < 300; i++)
        big[i] = (char)(1 + i % 250); /* includes the frame byte, newlines and high bytes */
    big[300] = 0;
    vm_says(a, big);
    vm_says(b, "from b\n");
    console_write("log line\n", 9);
    run_ms(20);
    parse_frames();
    ck_assert_str_eq(text[1], big);
    ck_assert_str_eq(text[2], "from b\n");
    ck_assert_str_eq(text[0], "log line\n");
    ck_assert_str_eq(text[3], "");
}
END_TEST

START_TEST(frames_survive_a_uart_that_takes_few_bytes_at_a_time)
{
    vm_says(a, "0123456789012345678901234567890123456789");
    vm_says(b, "abc");
    for (unsigned i = 0; i < 60; i++) {
        fake_out_room = i % 4;
        run_ms(1);
        fake_set_cpu(0);
    }
    parse_frames();
    ck_assert_str_eq(text[1], "0123456789012345678901234567890123456789");
    ck_assert_str_eq(text[2], "abc");
}
END_TEST

START_TEST(a_hammering_vm_does_not_starve_its_neighbours_or_the_log)
{
    static char big[4200];
    unsigned ms;

    memset(big, 'h', sizeof(big) - 1);
    vm_says(a, big); /* its ring is full ... */
    vm_says(b, "precious");
    fake_set_cpu(0);
    console_write("log\n", 4);
    for (ms = 0; ms < 10; ms++) {
        run_ms(1);
        vm_says(a, big); /* ... and stays full */
    }
    parse_frames();
    ck_assert_str_eq(text[2], "precious");
    ck_assert_str_eq(text[0], "log\n");
    ck_assert_uint_gt(strlen(text[1]), 100);
}
END_TEST

START_TEST(two_hammering_vms_get_equal_shares)
{
    static char big[4200];

    memset(big, 'h', sizeof(big) - 1);
    for (unsigned ms = 0; ms < 100; ms++) {
        vm_says(a, big);
        vm_says(b, big);
        run_ms(1);
    }
    parse_frames();
    ck_assert_uint_gt(strlen(text[1]), 4000);
    ck_assert_int_le(labs((long)strlen(text[1]) - (long)strlen(text[2])), 64);
}
END_TEST

START_TEST(a_full_channel_holds_the_guest_back_and_lets_it_go_on)
{
    static char big[4200];
    struct vcpu *v = &a->vcpus[0];
    unsigned taken;

    memset(big, 'h', sizeof(big) - 1);
    taken = vm_says(a, big);
    ck_assert_uint_eq(taken, 4096);
    io_port_write(v, 0x3f8, 1, 'T');
    ck_assert_uint_eq(io_port_read(v, 0x3f8 + 5, 1) & 0x60, 0);
    fake_set_cpu(0);
    run_ms(2); /* well below the 10 ms that Linux waits */
    ck_assert_uint_eq(io_port_read(v, 0x3f8 + 5, 1) & 0x60, 0x60);
    run_ms(200);
    parse_frames();
    ck_assert_uint_eq(strlen(text[1]), 4097);
    ck_assert_int_eq(text[1][4096], 'T');
}
END_TEST

START_TEST(framed_input_reaches_its_channel)
{
    type("\x01"
         "1\x84"
         "ls a"
         "junk between frames\r"
         "\x01"
         "2\x81"
         "b");
    run_ms(10);
    for (unsigned i = 0; i < 10; i++)
        run_ms(1);
    /* Without FIFO the vUART gives one byte at a time. */
    io_port_write(&a->vcpus[0], 0x3f8 + 2, 1, 0);
    {
        char got[64] = "";

        for (unsigned i = 0; i < 10; i++) {
            strcat(got, guest_reads(a));
            run_ms(2);
        }
        ck_assert_str_eq(got, "ls a");
    }
    ck_assert_str_eq(guest_reads(b), "b");
    ck_assert_str_eq(guest_reads(c), "");
}
END_TEST

START_TEST(the_escape_byte_is_data_in_frames)
{
    type("\x01"
         "1\x81\x1d");
    run_ms(2);
    ck_assert_str_eq(guest_reads(a), "\x1d");
}
END_TEST

START_TEST(the_shell_answers_on_channel_0_without_echo)
{
    type("\x01"
         "0\x88"
         "vm_list\n");
    run_ms(20);
    parse_frames();
    ck_assert_ptr_nonnull(strstr(text[0], "started"));
    ck_assert_ptr_null(strstr(text[0], "vm_list"));
    ck_assert_str_eq(text[0] + strlen(text[0]) - 10, "bulkhead> ");
}
END_TEST

START_TEST(bad_frames_are_skipped)
{
    type("\x01"
         "9\x81x" /* no such channel */
         "\x01"
         "1\x80x" /* empty */
         "\x01"
         "1\xfax" /* longer than 120 */
         "\x01\x01"
         "2\x82ok" /* a start byte starts anew */
    );
    io_port_write(&b->vcpus[0], 0x3f8 + 2, 1, 1);
    run_ms(5);
    ck_assert_str_eq(guest_reads(a), "");
    ck_assert_ptr_nonnull(strstr("ok", guest_reads(b)));
}
END_TEST

START_TEST(a_vm_that_does_not_read_does_not_hold_up_another_channel)
{
    for (unsigned i = 0; i < 10; i++)
        type("\x01"
             "1\xb4"
             "1234567890123456789012345678901234567890123456789012");
    type("\x01"
         "2\x81"
         "!");
    run_ms(20);
    ck_assert_str_eq(guest_reads(b), "!");
}
END_TEST

START_TEST(panic_finishes_the_frame_that_was_under_way)
{
    vm_says(a, "0123456789");
    fake_out_room = 5;
    run_ms(1);
    fake_out_room = ~0u;
    ck_assert(FAKE_ENDS(panic("broken")));
    parse_frames();
    ck_assert_str_eq(text[1], "0123456789");
    ck_assert_ptr_nonnull(strstr(text[0], "panic: broken\n"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("console");
    TCase *t = tcase_create("plain"), *m = tcase_create("mux");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, early_output_is_synchronous);
    tcase_add_test(t, output_after_start_is_queued_and_drained_by_the_console_cpu);
    tcase_add_test(t, a_producer_wakes_the_console_cpu_once_per_pass);
    tcase_add_test(t, an_idle_console_leaves_the_timer_off);
    tcase_add_test(t, a_pass_is_bounded);
    tcase_add_test(t, a_full_uart_is_tried_again_without_loss);
    tcase_add_test(t, a_log_flood_keeps_the_newest_whole_lines_and_says_so);
    tcase_add_test(t, an_unattached_vm_is_silent_and_keeps_its_newest_bytes);
    tcase_add_test(t, attaching_explains_the_escape_key_before_the_guests_text);
    tcase_add_test(t, while_attached_only_that_vm_is_seen_and_heard);
    tcase_add_test(t, the_escape_key_returns_to_the_shell_with_what_was_logged_meanwhile);
    tcase_add_test(t, an_attached_guest_is_held_back_not_cut);
    tcase_add_test(t, leaving_the_console_frees_a_guest_that_was_held_back);
    tcase_add_test(t, pasted_input_reaches_a_guest_that_reads_slowly);
    tcase_add_test(t, a_guest_that_never_reads_cannot_block_the_escape_key);
    tcase_add_test(t, input_for_a_vm_that_is_off_is_dropped);
    tcase_add_test(t, typed_bytes_interrupt_the_guest);
    tcase_add_test(t, a_log_line_does_not_mix_with_the_command_being_typed);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(m, setup_mux, NULL);
    tcase_set_timeout(m, 30);
    tcase_add_test(m, early_output_is_framed_too);
    tcase_add_test(m, each_channel_carries_its_own_text_unchanged);
    tcase_add_test(m, frames_survive_a_uart_that_takes_few_bytes_at_a_time);
    tcase_add_test(m, a_hammering_vm_does_not_starve_its_neighbours_or_the_log);
    tcase_add_test(m, two_hammering_vms_get_equal_shares);
    tcase_add_test(m, a_full_channel_holds_the_guest_back_and_lets_it_go_on);
    tcase_add_test(m, framed_input_reaches_its_channel);
    tcase_add_test(m, the_escape_byte_is_data_in_frames);
    tcase_add_test(m, the_shell_answers_on_channel_0_without_echo);
    tcase_add_test(m, bad_frames_are_skipped);
    tcase_add_test(m, a_vm_that_does_not_read_does_not_hold_up_another_channel);
    tcase_add_test(m, panic_finishes_the_frame_that_was_under_way);
    suite_add_tcase(s, m);
    return run_suite(s);
}
