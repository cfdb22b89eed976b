/* Command line: options.h. */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_PAGE    (2ull << 20)
#define MEMORY_MIN   (16ull << 20)
#define MEMORY_MAX   (3ull << 30) /* below the PCI hole and the interrupt controllers */
#define UUID_LENGTH  36u
#define DEFAULT_SIZE (128ull << 20)

const char options_help[] =
    "usage: dm --name KEY --kernel FILE [OPTIONS]    makes the user VM KEY and runs it\n"
    "       dm --attach SOCKET                       a terminal on the console of a running dm; Ctrl-\\ ends "
    "it\n"
    "       dm --send SOCKET COMMAND                 a command for a running dm: status, pause, reset, stop, "
    "start, quit\n"
    "\n"
    "  --name KEY          the slot's key: a name of 1 to 15 characters, or a UUID\n"
    "  --kernel FILE       a bzImage, or an ELF program that starts in 32-bit protected mode (multiboot)\n"
    "  --initrd FILE       initial RAM disk, or the module of a multiboot program\n"
    "  --cmdline TEXT      the kernel's command line; @tsc_khz@ in it becomes the TSC's rate\n"
    "  --cpus N            vCPUs, 1 to 8 (left out: what the slot gives)\n"
    "  --memory SIZE       such as 128M (left out: that); a multiple of 2M, at most 3G\n"
    "  --small-pages       memory from ordinary pages; else from huge pages, which must be reserved\n"
    "  --console KIND      stdio, pty, socket:PATH or none (left out: none)\n"
    "  --relay PREFIX      also prints each line of the console on stdout, with PREFIX before it\n"
    "  --control PATH      a socket for commands (left out: commands come from stdin, unless the console is "
    "there)\n"
    "  --affinity MASK     physical CPUs for the vCPUs, in order (left out: the slot's)\n"
    "  --apic-ids A,B,...  the vCPUs' APIC ids, when --affinity makes them other than 0, 1, ...\n"
    "  --polling           the hypervisor polls for the completion of I/O requests\n"
    "  --help              this text\n";

__attribute__((format(printf, 3, 4))) static int refuse(char *error, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, size, format, args);
    va_end(args);
    return -1;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *found;
    if (c >= 'A' && c <= 'F')
        c = (char)(c - 'A' + 'a');
    found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx: the bytes in the order of the text. */
static bool parse_uuid(const char *text, uint8_t key[KEY_BYTES])
{
    unsigned count = 0;
    if (strlen(text) != UUID_LENGTH)
        return false;
    for (unsigned i = 0; i < UUID_LENGTH;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-')
                return false;
            continue;
        }
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[count++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return true;
}

static bool parse_key(const char *text, uint8_t key[KEY_BYTES])
{
    size_t length = strlen(text);
    memset(key, 0, KEY_BYTES);
    if (parse_uuid(text, key))
        return true;
    memset(key, 0, KEY_BYTES);
    if (length == 0 || length >= KEY_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        key[i] = (uint8_t)text[i];
    return true;
}

static bool parse_number(const char *text, const char *after, uint64_t *value, const char **end)
{
    char *stop;
    errno = 0;
    unsigned long long number = strtoull(text, &stop, 0);
    if (errno != 0 || stop == text || text[0] == '-' || strchr(after, *stop) == NULL)
        return false;
    *value = number;
    *end = stop;
    return true;
}

static bool parse_size(const char *text, uint64_t *value)
{
    const char *end;
    unsigned shift;
    if (!parse_number(text, "KMG", value, &end))
        return false;
    shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (*value > MEMORY_MAX || (*end != '\0' && end[1] != '\0'))
        return false;
    *value <<= shift;
    return true;
}

static bool parse_console(struct options *options, const char *text)
{
    if (strcmp(text, "stdio") == 0)
        options->console = CONSOLE_STDIO;
    else if (strcmp(text, "pty") == 0)
        options->console = CONSOLE_PTY;
    else if (strcmp(text, "none") == 0)
        options->console = CONSOLE_NONE;
    else if (strncmp(text, "socket:", 7) == 0 && text[7] != '\0')
        options->console = CONSOLE_SOCKET;
    else
        return false;
    options->console_path = options->console == CONSOLE_SOCKET ? text + 7 : NULL;
    return true;
}

static bool parse_apic_ids(struct options *options, const char *text, unsigned *count)
{
    for (*count = 0; *count < MAX_VCPUS; text++) {
        uint64_t id;
        if (!parse_number(text, ",", &id, &text) || id > 254)
            return false;
        options->apic_ids[(*count)++] = (uint32_t)id;
        if (*text == '\0')
            return true;
    }
    return false;
}

/* Options with a value. */
static int take_value(struct options *options, const char *name, const char *value, unsigned *ids,
                      char *error, size_t size)
{
    const char *end;
    uint64_t number = 0;
    if (strcmp(name, "--name") == 0) {
        if (!parse_key(value, options->key))
            return refuse(error, size, "--name %s: give 1 to 15 characters, or a UUID", value);
        options->name = value;
    } else if (strcmp(name, "--kernel") == 0) {
        options->kernel = value;
    } else if (strcmp(name, "--initrd") == 0) {
        options->initrd = value;
    } else if (strcmp(name, "--cmdline") == 0) {
        options->cmdline = value;
    } else if (strcmp(name, "--cpus") == 0) {
        if (!parse_number(value, "", &number, &end) || number < 1 || number > MAX_VCPUS)
            return refuse(error, size, "--cpus %s: give 1 to %u", value, MAX_VCPUS);
        options->cpus = (unsigned)number;
    } else if (strcmp(name, "--memory") == 0) {
        if (!parse_size(value, &options->memory) || options->memory < MEMORY_MIN ||
            options->memory > MEMORY_MAX || options->memory % HUGE_PAGE != 0)
            return refuse(error, size, "--memory %s: give 16M to 3G, a multiple of 2M", value);
    } else if (strcmp(name, "--console") == 0) {
        if (!parse_console(options, value))
            return refuse(error, size, "--console %s: give stdio, pty, socket:PATH or none", value);
    } else if (strcmp(name, "--relay") == 0) {
        options->relay = value;
    } else if (strcmp(name, "--control") == 0) {
        options->control = value;
    } else if (strcmp(name, "--affinity") == 0) {
        if (!parse_number(value, "", &options->affinity, &end) || options->affinity == 0)
            return refuse(error, size, "--affinity %s: give a bitmap of CPUs such as 0x6", value);
    } else if (strcmp(name, "--apic-ids") == 0) {
        if (!parse_apic_ids(options, value, ids))
            return refuse(error, size, "--apic-ids %s: give numbers from 0 to 254 with commas between",
                          value);
    } else if (strcmp(name, "--attach") == 0) {
        options->mode = MODE_ATTACH;
        options->target = value;
    } else if (strcmp(name, "--send") == 0) {
        options->mode = MODE_SEND;
        options->target = value;
    } else {
        return refuse(error, size, "there is no option %s; --help lists them", name);
    }
    return 0;
}

static bool take_switch(struct options *options, const char *name)
{
    if (strcmp(name, "--help") == 0)
        options->mode = MODE_HELP;
    else if (strcmp(name, "--polling") == 0)
        options->polling = true;
    else if (strcmp(name, "--small-pages") == 0)
        options->small_pages = true;
    else
        return false;
    return true;
}

static int check(struct options *options, unsigned ids, char *error, size_t size)
{
    if (options->name == NULL || options->kernel == NULL)
        return refuse(error, size, "--name and --kernel are needed; --help explains them");
    if (options->cpus == 0)
        options->cpus = options->affinity != 0 ? (unsigned)__builtin_popcountll(options->affinity) : ids;
    if (options->cpus > MAX_VCPUS)
        return refuse(error, size, "--affinity 0x%llx has more than %u CPUs",
                      (unsigned long long)options->affinity, MAX_VCPUS);
    if (options->affinity != 0 && (unsigned)__builtin_popcountll(options->affinity) != options->cpus)
        return refuse(error, size, "--affinity 0x%llx has another number of CPUs than --cpus %u",
                      (unsigned long long)options->affinity, options->cpus);
    if (ids != 0 && ids != options->cpus)
        return refuse(error, size, "--apic-ids has %u ids for %u CPUs", ids, options->cpus);
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, char *error, size_t size)
{
    unsigned ids = 0;
    memset(options, 0, sizeof(*options));
    options->memory = DEFAULT_SIZE;
    options->cmdline = "";
    options->console = CONSOLE_NONE;
    for (unsigned i = 0; i < MAX_VCPUS; i++)
        options->apic_ids[i] = i;
    for (int i = 1; i < argc; i++) {
        if (take_switch(options, argv[i])) {
            if (options->mode == MODE_HELP)
                return 0;
            continue;
        }
        if (options->mode == MODE_SEND && options->command == NULL && argv[i][0] != '-') {
            options->command = argv[i];
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return refuse(error, size, "'%s' is no option; --help lists them", argv[i]);
        if (i + 1 == argc)
            return refuse(error, size, "%s needs a value; --help lists the options", argv[i]);
        if (take_value(options, argv[i], argv[i + 1], &ids, error, size) != 0)
            return -1;
        i++;
    }
    if (options->mode == MODE_SEND && options->command == NULL)
        return refuse(error, size, "--send needs a command");
    return options->mode == MODE_RUN ? check(options, ids, error, size) : 0;
}
