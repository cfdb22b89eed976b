/* The hypervisor shell: line editing, history, and the table of commands. Runs on the console CPU only. */
#include <stdarg.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <core/console.h>
#include <core/vm.h>
#include "shell_impl.h"

#define PROMPT   "bulkhead> "
#define LINE_MAX 120u
#define HISTORY  8u

#define KEY_CTRL_C 0x03
#define KEY_BS     0x08
#define KEY_CTRL_U 0x15
#define KEY_ESC    0x1b
#define KEY_DEL    0x7f

static void cmd_help(const struct shell_cmd *cmd, u32 n, char **args);

static const struct shell_cmd commands[] = {
    {"help", "[COMMAND]", "list the commands, or explain one", 0, 1, cmd_help},
    {"version", "", "version, board and scenario", 0, 0, cmd_version},
    {"vm_list", "", "all VMs and their states", 0, 0, cmd_vm_list},
    {"vcpu_list", "", "all vCPUs, their CPUs and states", 0, 0, cmd_vcpu_list},
    {"vm_console", "VM", "attach this terminal to a VM's console; Ctrl-] comes back", 1, 1, cmd_vm_console},
    {"vm_start", "VM", "start a VM that is off", 1, 1, cmd_vm_start},
    {"vm_stop", "VM", "stop a VM at once, as by its power switch", 1, 1, cmd_vm_stop},
    {"vm_restart", "VM", "stop a VM, scrub its memory and start it", 1, 1, cmd_vm_restart},
    {"vmexit", "[VM]", "exit counts and average cost in TSC ticks by reason", 0, 1, cmd_vmexit},
    {"vcpu_dumpreg", "VM VCPU", "registers of a vCPU", 2, 2, cmd_vcpu_dumpreg},
    {"dump_guest_mem", "VM GPA LEN", "guest-physical memory of a VM", 3, 3, cmd_dump_guest_mem},
    {"dump_host_mem", "ADDR LEN", "host memory", 2, 2, cmd_dump_host_mem},
    {"vioapic", "VM", "virtual IOAPIC of a VM", 1, 1, cmd_vioapic},
    {"int", "", "host interrupt counts", 0, 0, cmd_int},
    {"dump_ioapic", "", "physical IOAPIC entries", 0, 0, cmd_dump_ioapic},
    {"loglevel", "[1..5]", "show or set the log level: 1 fatal .. 5 debug", 0, 1, cmd_loglevel},
    {"cpuid", "LEAF [SUBLEAF]", "CPUID of the console CPU", 1, 2, cmd_cpuid},
    {"rdmsr", "MSR", "read an MSR of the console CPU, fault-safe", 1, 1, cmd_rdmsr},
    {"wrmsr", "MSR VALUE", "write an MSR of the console CPU, fault-safe", 2, 2, cmd_wrmsr},
    {"reboot", "", "reset the machine", 0, 0, cmd_reboot},
};

static struct {
    char line[LINE_MAX + 1];
    u32 len;
    char history[HISTORY][LINE_MAX + 1];
    u32 stored;  /* lines ever stored; the last HISTORY of them are kept */
    u32 recall;  /* how many lines back the arrow keys went, 0: the line being typed */
    u32 escape;  /* bytes of an escape sequence so far */
    bool was_cr; /* the last byte was a carriage return: a line feed right after it belongs to it */
} sh;

void shell_printf(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = bh_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    console_write_wait(text, MIN((size_t)n, sizeof(text) - 1));
}

void shell_bad(const struct shell_cmd *cmd, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    bh_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    shell_printf("%s: %s; usage: %s%s%s\n", cmd->name, text, cmd->name, *cmd->args ? " " : "", cmd->args);
}

bool shell_number(const struct shell_cmd *cmd, const char *what, const char *text, u64 max, u64 *out)
{
    if (!bh_parse_u64(text, out)) {
        shell_bad(cmd, "%s '%s' is not a number (decimal, or hexadecimal with 0x)", what, text);
        return false;
    }
    if (*out > max) {
        shell_bad(cmd, "%s %s is too large, at most 0x%llx", what, text, (unsigned long long)max);
        return false;
    }
    return true;
}

struct vm *shell_vm(const struct shell_cmd *cmd, const char *text)
{
    struct vm *vm = vm_by_name(text);
    u64 id;

    if (!vm && bh_parse_u64(text, &id) && id < CFG_VMS)
        vm = &vms[id];
    if (!vm)
        shell_bad(cmd, "there is no vm '%s' (vm_list shows them)", text);
    return vm;
}

void shell_dump_row(u64 addr, const u8 *bytes, size_t n)
{
    char hex[16 * 3 + 2], text[17];
    size_t h = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 8)
            hex[h++] = ' ';
        if (i < n)
            h += (size_t)bh_snprintf(hex + h, sizeof(hex) - h, "%02x ", bytes[i]);
        else
            h += (size_t)bh_snprintf(hex + h, sizeof(hex) - h, "   ");
        text[i] = '.';
        if (i < n && bytes[i] >= 0x20 && bytes[i] < 0x7f)
            text[i] = (char)bytes[i];
    }
    text[MIN(n, (size_t)16)] = 0;
    shell_printf("%016llx  %s |%s|\n", (unsigned long long)addr, hex, text);
}

static const struct shell_cmd *find(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void cmd_help(const struct shell_cmd *cmd, u32 n, char **args)
{
    if (n > 1) {
        const struct shell_cmd *c = find(args[1]);

        if (!c)
            shell_bad(cmd, "there is no command '%s'", args[1]);
        else
            shell_printf("%s %s: %s\n", c->name, c->args, c->help);
        return;
    }
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct shell_cmd *c = &commands[i];

        shell_printf("  %-15s%-16s%s\n", c->name, c->args, c->help);
    }
}

/* Cuts the line into words in place. Returns how many there are; one more than fit means too many. */
static u32 split(char *line, char **words)
{
    u32 n = 0;

    for (char *p = line; *p;) {
        while (*p == ' ' || *p == '\t')
            *p++ = 0;
        if (!*p)
            break;
        if (n == SHELL_MAX_ARGS)
            return SHELL_MAX_ARGS + 1;
        words[n++] = p;
        while (*p && *p != ' ' && *p != '\t')
            p++;
    }
    return n;
}

static void execute(char *line)
{
    char *words[SHELL_MAX_ARGS];
    u32 n = split(line, words);
    const struct shell_cmd *c;

    if (n == 0)
        return;
    c = find(words[0]);
    if (!c) {
        shell_printf("%s: no such command; 'help' lists them\n", words[0]);
    } else if (n - 1 < c->min) {
        shell_bad(c, "arguments are missing");
    } else if (n - 1 > c->max) {
        shell_bad(c, "too many arguments");
    } else {
        c->fn(c, n, words);
    }
}

void shell_prompt(void)
{
    shell_printf(PROMPT "%s", sh.line);
}

static void set_line(const char *text)
{
    sh.len = (u32)strnlen(text, LINE_MAX);
    memcpy(sh.line, text, sh.len);
    sh.line[sh.len] = 0;
}

void shell_redraw(void)
{
    shell_printf("\r\033[K");
    shell_prompt();
}

/* Up and down: the line `back` steps before the newest, or an empty one. */
static void show_history(u32 back)
{
    if (back > MIN(sh.stored, HISTORY))
        return;
    sh.recall = back;
    set_line(back ? sh.history[(sh.stored - back) % HISTORY] : "");
    shell_redraw();
}

static void store_history(void)
{
    if (sh.len == 0 || (sh.stored && strcmp(sh.history[(sh.stored - 1) % HISTORY], sh.line) == 0))
        return;
    memcpy(sh.history[sh.stored % HISTORY], sh.line, sh.len + 1);
    sh.stored++;
}

static void enter(void)
{
    char line[LINE_MAX + 1];

    if (!console_is_mux())
        shell_printf("\n");
    store_history();
    memcpy(line, sh.line, sh.len + 1);
    sh.recall = 0;
    set_line("");
    execute(line);
    /* vm_console leaves the shell; its prompt comes when the console is left. */
    if (console_shell_shown())
        shell_prompt();
}

/* Escape sequences: only the arrow keys up and down mean something. */
static void escape_input(u8 c)
{
    if (sh.escape == 1) {
        sh.escape = c == '[' || c == 'O' ? 2 : 0;
        return;
    }
    if (c >= '0' && c <= ';')
        return; /* parameters */
    sh.escape = 0;
    if (c == 'A')
        show_history(sh.recall + 1);
    else if (c == 'B' && sh.recall)
        show_history(sh.recall - 1);
}

static void edit(u8 c)
{
    switch (c) {
    case KEY_ESC:
        sh.escape = 1;
        break;
    case KEY_BS:
    case KEY_DEL:
        if (sh.len) {
            sh.line[--sh.len] = 0;
            if (!console_is_mux())
                shell_printf("\b \b");
        }
        break;
    case KEY_CTRL_U:
        set_line("");
        if (!console_is_mux())
            shell_redraw();
        break;
    case KEY_CTRL_C:
        set_line("");
        sh.recall = 0;
        shell_printf("^C\n");
        shell_prompt();
        break;
    default:
        if (c < 0x20 || c >= 0x7f || sh.len == LINE_MAX)
            break;
        sh.line[sh.len++] = (char)c;
        sh.line[sh.len] = 0;
        if (!console_is_mux())
            shell_printf("%c", c);
        break;
    }
}

void shell_input(u8 c)
{
    bool was_cr = sh.was_cr;

    sh.was_cr = c == '\r';
    if (sh.escape)
        escape_input(c);
    else if (c == '\r' || (c == '\n' && !was_cr))
        enter();
    else if (c != '\n')
        edit(c);
}

void shell_init(void)
{
    memset(&sh, 0, sizeof(sh));
}
