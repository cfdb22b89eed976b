/* The device model's command line. */
#include <string.h>

#include "dmt.h"
#include "options.h"

static struct options options;
static char error[200];

/* Parses words after the program's name. */
static int parse(const char *text)
{
    static char line[400];
    char *argv[32] = {"dm"};
    int argc = 1;
    strcpy(line, text);
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    error[0] = '\0';
    return options_parse(&options, argc, argv, error, sizeof(error));
}

static void refused(const char *text, const char *why)
{
    ck_assert_msg(parse(text) == -1, "'%s' is accepted", text);
    ck_assert_msg(strstr(error, why) != NULL, "'%s' is refused with: %s", text, error);
}

START_TEST(defaults)
{
    ck_assert_msg(parse("--name uvm0 --kernel k") == 0, "%s", error);
    ck_assert_int_eq(options.mode, MODE_RUN);
    ck_assert_uint_eq(options.cpus, 0);
    ck_assert_uint_eq(options.memory, 128u << 20);
    ck_assert_int_eq(options.console, CONSOLE_NONE);
    ck_assert_str_eq(options.cmdline, "");
    ck_assert_ptr_null(options.initrd);
    ck_assert_uint_eq(options.affinity, 0);
    ck_assert_int_eq(memcmp(options.key, "uvm0\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0);
}
END_TEST

START_TEST(everything_given)
{
    ck_assert_msg(parse("--name a --kernel k --initrd i --cmdline c --cpus 2 --memory 1G --small-pages "
                        "--console socket:/run/x "
                        "--relay p --control /run/y --affinity 0x30 --apic-ids 4,5 --polling") == 0,
                  "%s", error);
    ck_assert_uint_eq(options.memory, 1u << 30);
    ck_assert_int_eq(options.console, CONSOLE_SOCKET);
    ck_assert_str_eq(options.console_path, "/run/x");
    ck_assert_uint_eq(options.affinity, 0x30);
    ck_assert_uint_eq(options.apic_ids[0], 4);
    ck_assert_uint_eq(options.apic_ids[1], 5);
    ck_assert(options.polling && options.small_pages);
}
END_TEST

START_TEST(affinity_and_apic_ids_say_how_many_cpus)
{
    ck_assert_msg(parse("--name a --kernel k --affinity 0x15") == 0, "%s", error);
    ck_assert_uint_eq(options.cpus, 3);
    ck_assert_msg(parse("--name a --kernel k --apic-ids 4,6") == 0, "%s", error);
    ck_assert_uint_eq(options.cpus, 2);
    refused("--name a --kernel k --affinity 0x1ff", "more than 8 CPUs");
    refused("--name a --kernel k --affinity 0x15 --apic-ids 4,6", "--apic-ids has 2 ids for 3 CPUs");
}
END_TEST

START_TEST(uuid_is_taken_in_the_order_of_its_text)
{
    static const uint8_t wanted[16] = {0x0b, 0x1c, 0x2d, 0x30, 0, 6, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xFf};
    ck_assert_int_eq(parse("--name 0b1c2d30-0006-4000-8000-0000000000Ff --kernel k"), 0);
    ck_assert_int_eq(memcmp(options.key, wanted, 16), 0);
}
END_TEST

START_TEST(wrong_values_are_named)
{
    refused("--kernel k", "--name and --kernel are needed");
    refused("--name a", "--name and --kernel are needed");
    refused("--name sixteen-letters- --kernel k", "1 to 15 characters");
    refused("--name 0b1c2d30-0006-4000-8000-0000000000fg --kernel k", "1 to 15 characters");
    refused("--name a --kernel k --cpus 0", "--cpus 0");
    refused("--name a --kernel k --cpus 9", "--cpus 9");
    refused("--name a --kernel k --cpus 2x", "--cpus 2x");
    refused("--name a --kernel k --memory 15M", "--memory 15M");
    refused("--name a --kernel k --memory 17M", "--memory 17M");
    refused("--name a --kernel k --memory 4G", "--memory 4G");
    refused("--name a --kernel k --memory 16777216G", "--memory");
    refused("--name a --kernel k --memory 64MB", "--memory 64MB");
    refused("--name a --kernel k --memory -64M", "--memory -64M");
    refused("--name a --kernel k --console tcp", "--console tcp");
    refused("--name a --kernel k --console socket:", "--console socket:");
    refused("--name a --kernel k --affinity 0", "--affinity 0");
    refused("--name a --kernel k --cpus 1 --affinity 3", "another number of CPUs than --cpus 1");
    refused("--name a --kernel k --cpus 1 --apic-ids 1,2", "--apic-ids has 2 ids for 1 CPUs");
    refused("--name a --kernel k --apic-ids 1,", "--apic-ids 1,");
    refused("--name a --kernel k --apic-ids 255", "--apic-ids 255");
    refused("--name a --kernel k --apic-ids 0,1,2,3,4,5,6,7,8", "--apic-ids");
    refused("--name a --kernel", "--kernel needs a value");
    refused("--frob 1", "there is no option --frob");
    refused("frob", "'frob' is no option");
    refused("--send /run/x", "--send needs a command");
}
END_TEST

START_TEST(client_modes_and_help)
{
    ck_assert_int_eq(parse("--help"), 0);
    ck_assert_int_eq(options.mode, MODE_HELP);
    ck_assert_int_eq(parse("--attach /run/x"), 0);
    ck_assert_int_eq(options.mode, MODE_ATTACH);
    ck_assert_int_eq(parse("--send /run/x reset"), 0);
    ck_assert_int_eq(options.mode, MODE_SEND);
    ck_assert_str_eq(options.command, "reset");
    ck_assert_ptr_nonnull(strstr(options_help, "--apic-ids"));
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_test(t, defaults);
    tcase_add_test(t, everything_given);
    tcase_add_test(t, affinity_and_apic_ids_say_how_many_cpus);
    tcase_add_test(t, uuid_is_taken_in_the_order_of_its_text);
    tcase_add_test(t, wrong_values_are_named);
    tcase_add_test(t, client_modes_and_help);
}

int main(void)
{
    return run_case("options", fill);
}
