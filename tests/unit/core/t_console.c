/* src/core/console.c, plain mode: what is shown when, input. */
#include "console_test.h"

static void setup(void)
{
    start_console(false);
}

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

int main(void)
{
    Suite *s = suite_create("console");
    TCase *t = tcase_create("console");

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
    return run_suite(s);
}
