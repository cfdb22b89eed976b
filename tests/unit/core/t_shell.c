/* src/core/shell*.c: line editing, parsing, and each command's answer. */
#include <stdio.h>
#include <core/console.h>
#include <core/user_vm.h>
#include <lib/log.h>
#include "core/core_impl.h"
#include "core_test.h"

#define UP   "\033[A"
#define DOWN "\033[B"

static void drain(void)
{
    for (unsigned i = 0; i < 600; i++) {
        pass_time(1000000);
        run_all();
        if (fake_armed[0] == ~(u64)0)
            break;
    }
    fake_set_cpu(0);
}

static void setup(void)
{
    core_setup();
    vms_autostart();
    run_all();
    fake_set_cpu(0);
    console_start();
    run_cpu(0);
    drain();
    fake_out_len = 0;
    fake_out[0] = 0;
}

/* Types keys and returns all that came back. */
static const char *type(const char *keys)
{
    fake_out_len = 0;
    fake_out[0] = 0;
    fake_console_type(keys, strlen(keys));
    fake_set_cpu(0);
    cpu_request(0, CPU_REQ_CONSOLE);
    run_all();
    drain();
    return fake_out;
}

/* The answer to a command, without its echo and the prompt after it. */
static const char *answer(const char *command)
{
    static char text[65536];
    char line[256];
    size_t n;

    snprintf(line, sizeof(line), "%s\r", command);
    type(line);
    snprintf(line, sizeof(line), "%s\r\n", command);
    ck_assert_msg(strncmp(fake_out, line, strlen(line)) == 0, "no echo of '%s' in '%s'", command, fake_out);
    n = strlen(fake_out) - strlen(line);
    ck_assert_uint_ge(n, 10);
    memcpy(text, fake_out + strlen(line), n - 10);
    text[n - 10] = 0;
    ck_assert_str_eq(fake_out + strlen(fake_out) - 10, "bulkhead> ");
    return text;
}

#define ck_contains(text, part)                                                                              \
    ck_assert_msg(strstr((text), (part)) != NULL, "no '%s' in '%s'", (part), (text))

START_TEST(an_empty_line_gives_a_new_prompt)
{
    ck_assert_str_eq(type("\r"), "\r\nbulkhead> ");
    ck_assert_str_eq(type("   \r"), "   \r\nbulkhead> ");
}
END_TEST

START_TEST(cr_lf_is_one_line_end_and_lf_alone_is_one_too)
{
    ck_assert_str_eq(type("\r\n"), "\r\nbulkhead> ");
    ck_assert_str_eq(type("\n"), "\r\nbulkhead> ");
    ck_assert_str_eq(type("\n\n"), "\r\nbulkhead> \r\nbulkhead> ");
}
END_TEST

START_TEST(backspace_and_delete_remove_a_character)
{
    ck_assert_str_eq(type("abc\x7f\x08"), "abc\b \b\b \b");
    type("\x15");
    ck_contains(type("\b\b\bversx\bion\r"), "bulkhead 0.");
}
END_TEST

START_TEST(ctrl_u_and_ctrl_c_drop_the_line)
{
    type("vm_stop a\x15");
    ck_assert_ptr_null(strstr(type("\r"), "off"));
    type("vm_stop a\x03");
    type("\r");
    ck_assert_uint_eq(vms[0].state, VM_STATE_STARTED);
}
END_TEST

START_TEST(the_arrow_keys_walk_through_old_lines)
{
    type("loglevel 2\r");
    type("loglevel 3\r");
    ck_contains(type(UP "\r"), "loglevel 3\r\nbulk");
    ck_contains(type(UP UP "\r"), "loglevel 2\r\nbulk");
    /* Newest first: 2, 3, 2. */
    ck_contains(type(UP UP UP DOWN "\r"), "loglevel 3\r\nbulk");
    ck_assert_uint_eq(loglevel, 3);
    ck_assert_str_eq(type(UP DOWN "\r") + fake_out_len - 12, "\r\nbulkhead> ");
    ck_assert_uint_eq(loglevel, 3);
}
END_TEST

START_TEST(history_keeps_the_last_lines_only_and_never_runs_off_the_end)
{
    char line[32];

    for (unsigned i = 0; i < 20; i++) {
        snprintf(line, sizeof(line), "help cmd%u\r", i);
        type(line);
    }
    ck_contains(type(UP UP UP UP UP UP UP UP UP UP UP UP "\r"), "'cmd12'");
}
END_TEST

START_TEST(unknown_escape_sequences_and_control_bytes_do_nothing)
{
    ck_contains(type("\033[1;5Cver\033OPsion\001\002\t\r"), "bulkhead 0.");
}
END_TEST

START_TEST(an_overlong_line_is_cut_not_overrun)
{
    char line[300];

    memset(line, 'x', sizeof(line) - 2);
    line[298] = '\r';
    line[299] = 0;
    ck_contains(type(line), ": no such command");
}
END_TEST

START_TEST(help_lists_every_command_of_the_issue)
{
    static const char *const names[] = {
        "help",       "version",  "vm_list", "vcpu_list",  "vcpu_dumpreg", "dump_host_mem", "dump_guest_mem",
        "vm_console", "vm_start", "vm_stop", "vm_restart", "int",          "vioapic",       "dump_ioapic",
        "loglevel",   "cpuid",    "rdmsr",   "wrmsr",      "vmexit",       "reboot"};
    const char *text = answer("help");

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        char want[32];

        snprintf(want, sizeof(want), "\n  %s ", names[i]);
        if (i)
            ck_contains(text, want);
    }
    ck_contains(answer("help wrmsr"), "wrmsr MSR VALUE: ");
    ck_contains(answer("help nonsense"), "there is no command 'nonsense'");
}
END_TEST

START_TEST(wrong_arguments_get_one_line_with_the_usage)
{
    static const char *const lines[][2] = {
        {"nonsense", "nonsense: no such command; 'help' lists them\r\n"},
        {"vm_start", "vm_start: arguments are missing; usage: vm_start VM\r\n"},
        {"vm_start a b", "vm_start: too many arguments; usage: vm_start VM\r\n"},
        {"vm_start x", "vm_start: there is no vm 'x' (vm_list shows them); usage: vm_start VM\r\n"},
        {"vm_start 8", "vm_start: there is no vm '8' (vm_list shows them); usage: vm_start VM\r\n"},
        {"help a b c d e f g h", "help: too many arguments; usage: help [COMMAND]\r\n"},
        {"vcpu_dumpreg a 2",
         "vcpu_dumpreg: vcpu 2 is too large, at most 0x1; usage: vcpu_dumpreg VM VCPU\r\n"},
        {"rdmsr foo",
         "rdmsr: msr 'foo' is not a number (decimal, or hexadecimal with 0x); usage: rdmsr MSR\r\n"},
        {"rdmsr 0x100000000",
         "rdmsr: msr 0x100000000 is too large, at most 0xffffffff; usage: rdmsr MSR\r\n"},
        {"loglevel 9", "loglevel: level 9 is too large, at most 0x5; usage: loglevel [1..5]\r\n"},
        {"loglevel 0", "loglevel: level 0 is too small; usage: loglevel [1..5]\r\n"},
        {"version 1", "version: too many arguments; usage: version\r\n"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        ck_assert_str_eq(answer(lines[i][0]), lines[i][1]);
}
END_TEST

START_TEST(words_are_split_at_any_white_space)
{
    ck_contains(type("  loglevel    4  \r"), "loglevel 4\r\n");
}
END_TEST

START_TEST(version_names_board_and_scenario)
{
    ck_contains(answer("version"), "board fake, scenario fake, 12 cpus, 8 vms, tsc 1000000 kHz");
}
END_TEST

START_TEST(vm_list_shows_state_and_memory)
{
    const char *t = answer("vm_list");

    ck_contains(t, "0   a                pre-launched  started       2      64     MiB 1\r\n");
    ck_contains(t, "2   c                pre-launched  off           1      16     MiB 0\r\n");
}
END_TEST

START_TEST(vcpu_list_shows_cpu_and_state)
{
    const char *t;

    vcpus[2].exits[1].count = 5;
    vcpus[2].exits[3].count = 6;
    vcpus[2].unowned = 7;
    t = answer("vcpu_list");
    ck_contains(t, "b                0     3    halted     11            7\r\n");
    ck_contains(t, "a                1     2    wait-sipi  0             0\r\n");
}
END_TEST

START_TEST(vm_commands_control_the_named_or_numbered_vm_only)
{
    answer("vm_start c");
    ck_assert_uint_eq(vms[2].state, VM_STATE_STARTED);
    answer("vm_stop 0");
    ck_assert_uint_eq(vms[0].state, VM_STATE_OFF);
    ck_assert_uint_eq(vms[1].state, VM_STATE_STARTED);
    answer("vm_restart b");
    ck_assert_uint_eq(vms[1].starts, 2);
    ck_assert_uint_eq(vms[0].starts, 1);
}
END_TEST

START_TEST(registers_of_a_vcpu_are_printed_by_its_own_cpu)
{
    const char *t;

    arch_vcpu_set(&vcpus[3], REG_RIP, 0xabcdef);
    t = type("vcpu_dumpreg b 1\r");
    ck_contains(t, "vm b vcpu 1 on cpu 4:\r\n");
    ck_contains(t, "rip 0000000000abcdef\r\n");
    ck_assert_uint_eq(fake_kicks[4], 1);
}
END_TEST

/* ---- service VM and user VMs ---- */

/* As after the hypercalls that give the slot u1 two vCPUs and some memory. */
static struct vm *with_user(void)
{
    static const u8 key[CFG_KEY_BYTES] = FAKE_KEY_U1;
    struct vm *vm = &vms[FAKE_U1];

    ck_assert_int_eq(user_vm_create(vm, key, 0, 0), 0);
    ck_assert_int_eq(user_vm_add_vcpu(vm), 0);
    ck_assert_int_eq(user_vm_add_vcpu(vm), 0);
    user_vm_of(vm)->mapped = MIB(24);
    run_all();
    return vm;
}

START_TEST(vm_list_shows_what_service_and_user_vms_have_now)
{
    const char *t = answer("vm_list");

    ck_contains(t, "3   svc              service       off           3      48     MiB 0\r\n");
    ck_contains(t, "4   u1               user          off           0      0      MiB 0\r\n");
    with_user();
    ck_contains(answer("vm_list"),
                "4   u1               user          created       2      24     MiB 0\r\n");
    /* One vCPU of the service VM is offline. */
    vms[FAKE_SERVICE].state = VM_STATE_STARTED;
    for (u32 i = 0; i < 3; i++)
        vms[FAKE_SERVICE].vcpus[i].state = i == 1 ? VCPU_OFFLINE : VCPU_HALTED;
    ck_contains(answer("vm_list"),
                "3   svc              service       started       2      48     MiB 0\r\n");
}
END_TEST

START_TEST(vcpus_that_are_not_created_are_not_listed)
{
    struct vm *vm;
    const char *t = answer("vcpu_list");

    ck_assert_ptr_null(strstr(t, "u1"));
    ck_contains(t, "svc              2     8    offline ");
    vm = with_user();
    vm->vcpus[1].unowned = 3;
    ck_contains(answer("vcpu_list"), "u1               1     10   offline    0             3\r\n");
}
END_TEST

START_TEST(the_shell_does_not_control_user_vms)
{
    static const char *const commands[] = {"vm_start", "vm_stop", "vm_restart"};
    struct vm *vm = with_user();
    char line[64], want[128];

    for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
        snprintf(line, sizeof(line), "%s u1", commands[i]);
        snprintf(want, sizeof(want), "%s: vm u1 belongs to vm svc, which creates, starts and stops it",
                 commands[i]);
        ck_contains(answer(line), want);
    }
    ck_assert_uint_eq(vm->want, 0);
    ck_assert_uint_eq(vm->state, VM_STATE_CREATED);
    ck_contains(answer("vm_console u1"),
                "vm u1 has no console of its own; the device model in vm svc shows it\r\n");
    ck_assert(console_shell_shown());
}
END_TEST

START_TEST(the_shell_controls_the_service_vm)
{
    answer("vm_start svc");
    ck_assert_uint_eq(vms[FAKE_SERVICE].state, VM_STATE_STARTED);
    answer("vm_restart 3");
    ck_assert_uint_eq(vms[FAKE_SERVICE].starts, 2);
    answer("vm_stop svc");
    ck_assert_uint_eq(vms[FAKE_SERVICE].state, VM_STATE_OFF);
}
END_TEST

START_TEST(registers_of_a_vcpu_without_cpu_are_not_anothers)
{
    ck_contains(answer("vcpu_dumpreg u1 0"), "vm u1 vcpu 0 is on no cpu\r\n");
    with_user();
    arch_vcpu_set(&vms[FAKE_U1].vcpus[1], REG_RIP, 0xfedcba);
    ck_contains(type("vcpu_dumpreg u1 1\r"), "rip 0000000000fedcba\r\n");
    ck_contains(answer("vcpu_dumpreg u1 2"), "vcpu 2 is too large, at most 0x1");
}
END_TEST

START_TEST(vmexit_shows_what_was_spent_waiting)
{
    struct vm *vm = with_user();

    vm->vcpus[1].exits[1].count = 10;
    vm->vcpus[1].exits[1].cycles = 60000;
    vm->vcpus[1].ioreqs = 8;
    vm->vcpus[1].wait_ticks = 40004;
    ck_contains(answer("vmexit u1"),
                "u1               1     port                       10       6000\r\n"
                "u1               1       io-wait                   8       5000  (40004 in all)\r\n");
    ck_assert_ptr_null(strstr(answer("vmexit a"), "io-wait"));
}
END_TEST

START_TEST(guest_memory_is_dumped_in_rows)
{
    const char *t;

    memcpy(fake_mem(0xa003000), "Bulkhead\x01\xff", 10);
    t = answer("dump_guest_mem b 0x3000 20");
    ck_contains(t,
                "0000000000003000  42 75 6c 6b 68 65 61 64  01 ff 00 00 00 00 00 00  |Bulkhead........|\r\n");
    ck_contains(t, "0000000000003010  00 00 00 00                                       |....|\r\n");
    ck_contains(answer("dump_guest_mem b 0x4000000 16"), "vm b has no memory at 0x4000000");
    ck_contains(answer("dump_guest_mem b 0 5000"), "too large, at most 0x1000");
}
END_TEST

START_TEST(host_memory_is_dumped_and_holes_are_named)
{
    memcpy(fake_mem(0x100000), "host", 4);
    ck_contains(answer("dump_host_mem 0x100000 4"), "|host|");
    ck_contains(answer("dump_host_mem 0xfffffffffffffff0 16"), "nothing is mapped at 0xfffffffffffffff0");
}
END_TEST

START_TEST(a_long_answer_is_not_cut)
{
    const char *t = answer("dump_guest_mem a 0 4096");
    unsigned lines = 0;

    for (const char *p = t; *p; p++)
        lines += *p == '\n';
    ck_assert_uint_eq(lines, 256);
    ck_assert_ptr_null(strstr(t, "lost"));
}
END_TEST

static void leaf(u32 l, u32 s, u32 out[4])
{
    out[0] = l + 1;
    out[1] = s;
    out[2] = 0xcc;
    out[3] = 0xdddddddd;
}

START_TEST(cpuid_and_msrs_of_the_console_cpu)
{
    fake_cpuid_hook = leaf;
    fake_msr_set(0xc0000080, 0xd01);
    ck_assert_str_eq(answer("cpuid 0x80000001 2"),
                     "cpu0 cpuid 0x80000001.2: eax 80000002 ebx 00000002 ecx 000000cc edx dddddddd\r\n");
    ck_assert_str_eq(answer("rdmsr 0xc0000080"), "cpu0 msr 0xc0000080: 0x0000000000000d01\r\n");
    ck_contains(answer("rdmsr 0x1234"), "raises #GP");
    ck_contains(answer("wrmsr 0xc0000080 0x500"), "written");
    ck_contains(answer("rdmsr 0xc0000080"), "0x0000000000000500");
    ck_contains(answer("wrmsr 0x1234 1"), "raises #GP");
}
END_TEST

START_TEST(vmexit_shows_counts_and_average_cost)
{
    const char *t;

    vcpus[0].exits[0].count = 4;
    vcpus[0].exits[0].cycles = 1000;
    vcpus[2].exits[2].count = 1;
    vcpus[2].exits[2].cycles = 7;
    t = answer("vmexit");
    ck_contains(t, "a                0     cpuid                       4        250\r\n");
    ck_contains(t, "b                0     msr                         1          7\r\n");
    ck_assert_ptr_null(strstr(t, "hlt"));
    ck_assert_ptr_null(strstr(answer("vmexit a"), "msr"));
}
END_TEST

START_TEST(machine_dumps_come_from_the_arch)
{
    ck_contains(answer("int"), "fake interrupts");
    ck_contains(answer("dump_ioapic"), "fake ioapic");
    ck_contains(answer("vioapic b"), "fake vioapic of b");
}
END_TEST

START_TEST(reboot_sends_its_last_words_first)
{
    fake_console_type("reboot\r", 7);
    fake_set_cpu(0);
    cpu_request(0, CPU_REQ_CONSOLE);
    ck_assert(FAKE_ENDS(run_cpu(0)));
    ck_assert_uint_eq(fake_reboots, 1);
    ck_contains(fake_out, "rebooting\r\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell");
    TCase *t = tcase_create("shell");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, an_empty_line_gives_a_new_prompt);
    tcase_add_test(t, cr_lf_is_one_line_end_and_lf_alone_is_one_too);
    tcase_add_test(t, backspace_and_delete_remove_a_character);
    tcase_add_test(t, ctrl_u_and_ctrl_c_drop_the_line);
    tcase_add_test(t, the_arrow_keys_walk_through_old_lines);
    tcase_add_test(t, history_keeps_the_last_lines_only_and_never_runs_off_the_end);
    tcase_add_test(t, unknown_escape_sequences_and_control_bytes_do_nothing);
    tcase_add_test(t, an_overlong_line_is_cut_not_overrun);
    tcase_add_test(t, help_lists_every_command_of_the_issue);
    tcase_add_test(t, wrong_arguments_get_one_line_with_the_usage);
    tcase_add_test(t, words_are_split_at_any_white_space);
    tcase_add_test(t, version_names_board_and_scenario);
    tcase_add_test(t, vm_list_shows_state_and_memory);
    tcase_add_test(t, vcpu_list_shows_cpu_and_state);
    tcase_add_test(t, vm_commands_control_the_named_or_numbered_vm_only);
    tcase_add_test(t, registers_of_a_vcpu_are_printed_by_its_own_cpu);
    tcase_add_test(t, vm_list_shows_what_service_and_user_vms_have_now);
    tcase_add_test(t, vcpus_that_are_not_created_are_not_listed);
    tcase_add_test(t, the_shell_does_not_control_user_vms);
    tcase_add_test(t, the_shell_controls_the_service_vm);
    tcase_add_test(t, registers_of_a_vcpu_without_cpu_are_not_anothers);
    tcase_add_test(t, vmexit_shows_what_was_spent_waiting);
    tcase_add_test(t, guest_memory_is_dumped_in_rows);
    tcase_add_test(t, host_memory_is_dumped_and_holes_are_named);
    tcase_add_test(t, a_long_answer_is_not_cut);
    tcase_add_test(t, cpuid_and_msrs_of_the_console_cpu);
    tcase_add_test(t, vmexit_shows_counts_and_average_cost);
    tcase_add_test(t, machine_dumps_come_from_the_arch);
    tcase_add_test(t, reboot_sends_its_last_words_first);
    suite_add_tcase(s, t);
    return run_suite(s);
}
