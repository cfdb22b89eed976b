/* src/core/console.c, mux mode: framing, fairness, input. */
#include "console_test.h"

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

static void setup(void)
{
    start_console(true);
}

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
    Suite *s = suite_create("console_mux");
    TCase *t = tcase_create("console_mux");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, early_output_is_framed_too);
    tcase_add_test(t, each_channel_carries_its_own_text_unchanged);
    tcase_add_test(t, frames_survive_a_uart_that_takes_few_bytes_at_a_time);
    tcase_add_test(t, a_hammering_vm_does_not_starve_its_neighbours_or_the_log);
    tcase_add_test(t, two_hammering_vms_get_equal_shares);
    tcase_add_test(t, a_full_channel_holds_the_guest_back_and_lets_it_go_on);
    tcase_add_test(t, framed_input_reaches_its_channel);
    tcase_add_test(t, the_escape_byte_is_data_in_frames);
    tcase_add_test(t, the_shell_answers_on_channel_0_without_echo);
    tcase_add_test(t, bad_frames_are_skipped);
    tcase_add_test(t, a_vm_that_does_not_read_does_not_hold_up_another_channel);
    tcase_add_test(t, panic_finishes_the_frame_that_was_under_way);
    suite_add_tcase(s, t);
    return run_suite(s);
}
