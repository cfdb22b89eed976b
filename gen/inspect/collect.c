/* Reads a Linux machine: what the analysis needs of /proc and /sys, and nothing that names its users. */
#include "collection.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_LOG_LINES 256u

/* Reads a file whole, whatever size its folder entry says (sysfs says 4096 for all). 0, or errno. */
static int read_whole(const char *path, struct buffer *out)
{
    char part[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;
    ssize_t got;

    if (fd < 0)
        return errno;
    while ((got = read(fd, part, sizeof(part))) > 0) {
        if (out->len + (size_t)got > MAX_FILE) {
            error = EFBIG;
            break;
        }
        buffer_add(out, part, (size_t)got);
    }
    if (got < 0)
        error = errno;
    close(fd);
    return error;
}

/* Takes a file into the collection under its own name. False, and errno: it cannot be read. */
static bool take(struct collection *c, const char *path)
{
    struct buffer data = {0};
    int error = read_whole(path, &data);

    if (error == 0)
        collection_add(c, path + 1, data.data, data.len);
    buffer_free(&data);
    errno = error;
    return error == 0;
}

/* A file without which there is no answer: ends the program when it is there and may not be read. */
static void take_needed(struct collection *c, const char *path)
{
    if (!take(c, path) && errno != ENOENT && errno != ENODEV)
        cannot_run("%s cannot be read: %s; inspect-board needs root", path, strerror(errno));
}

/* Where a link leads to, as a file of that name. */
static void take_link(struct collection *c, const char *path)
{
    char target[PATH_MAX];

    if (realpath(path, target))
        collection_add(c, path + 1, target, strlen(target));
}

/* Calls fn for each entry of a folder but those that begin with a dot; a folder that is not there has none.
 */
static void each(struct collection *c, const char *folder, void (*fn)(struct collection *c, const char *path))
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            fn(c, arena_printf("%s/%s", folder, entry->d_name));
    }
    if (dir)
        closedir(dir);
}

static void take_files(struct collection *c, const char *folder, const char *const *names)
{
    for (; *names; names++)
        take(c, arena_printf("%s/%s", folder, *names));
}

static void take_table(struct collection *c, const char *path)
{
    static const char *const wanted[] = {"APIC", "DMAR", "DSDT", "FACP", "IVRS", "MCFG", "SRAT", "SSDT"};
    const char *name = strrchr(path, '/') + 1;

    /* SSDT2 and the like are further ones of the same signature. */
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        if (strncmp(name, wanted[i], 4) == 0)
            take_needed(c, path);
    }
}

static void take_memory(struct collection *c, const char *path)
{
    static const char *const files[] = {"start", "end", "type", NULL};

    take_files(c, path, files);
}

static void take_function(struct collection *c, const char *path)
{
    static const char *const files[] = {"resource", "irq", "enable", NULL};

    take_needed(c, arena_printf("%s/config", path));
    take_files(c, path, files);
    take_link(c, arena_printf("%s/iommu_group", path));
    take_link(c, arena_printf("%s/physfn", path));
}

/* Once for each interrupt: take_function_enabled() has taken some before. */
static void take_irq(struct collection *c, const char *path)
{
    static const char *const files[] = {"chip_name", "hwirq", NULL};
    const char *first = arena_printf("%s/%s", path + 1, files[0]);

    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->files[i].name, first) == 0)
            return;
    }
    take_files(c, path, files);
}

static void take_tty(struct collection *c, const char *path)
{
    static const char *const files[] = {"port", "irq", "uartclk", "type", "iomem_base", NULL};

    if (strncmp(strrchr(path, '/') + 1, "ttyS", 4) != 0)
        return;
    take_files(c, path, files);
    take_link(c, arena_printf("%s/device", path));
}

/* The kernel's own words on its I/O APICs, which alone tell how many pins one has. */
static void take_kernel_log(struct collection *c)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct buffer kept = {0};
    char record[8192]; /* Linux Documentation/ABI/testing/dev-kmsg: one record for each read() */
    unsigned lines = 0;
    ssize_t got;

    /* EPIPE: records were overwritten meanwhile; the next read goes on behind them. */
    while (fd >= 0 && lines < KERNEL_LOG_LINES &&
           ((got = read(fd, record, sizeof(record) - 1)) > 0 || (got < 0 && errno == EPIPE))) {
        char *text, *end;

        record[MAX(got, 0)] = '\0';
        text = strchr(record, ';');
        if (!text || strncmp(text + 1, "IOAPIC[", 7) != 0)
            continue;
        if ((end = strchr(text, '\n')))
            *end = '\0';
        buffer_puts(&kept, text + 1);
        buffer_puts(&kept, "\n");
        lines++;
    }
    if (fd >= 0)
        close(fd);
    if (kept.len)
        collection_add(c, "kernel-log", kept.data, kept.len);
    buffer_free(&kept);
}

/* The kernel's consoles and their rates. The rest of its command line is nobody's business: it may hold names
 * and keys. */
static void take_consoles(struct collection *c)
{
    struct buffer line = {0}, kept = {0};

    if (read_whole("/proc/cmdline", &line) == 0 && line.len) {
        for (char *rest = line.data, *word; (word = strtok_r(rest, " \n", &rest));) {
            if (strncmp(word, "console=", strlen("console=")) == 0) {
                buffer_puts(&kept, word);
                buffer_puts(&kept, "\n");
            }
        }
    }
    if (kept.len)
        collection_add(c, "proc/cmdline", kept.data, kept.len);
    buffer_free(&line);
    buffer_free(&kept);
}

static void write_one(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        cannot_run("%s cannot be written: %s", path, strerror(errno));
    if (write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "note: %s refuses %s: %s\n", path, text, strerror(errno));
    close(fd);
}

/* Functions that have an interrupt pin and that nobody has enabled: Linux routes an interrupt when a function
 * is enabled, and only then says its number (drivers/pci/pci-sysfs.c, enable). */
static void enable_idle(const char *path, const char *text)
{
    struct buffer enabled = {0}, config = {0};

    if (read_whole(arena_printf("%s/enable", path), &enabled) == 0 && enabled.len && enabled.data[0] == '0' &&
        read_whole(arena_printf("%s/config", path), &config) == 0 && config.len >= 64 &&
        config.data[0x3d] != 0)
        write_one(arena_printf("%s/enable", path), text);
    buffer_free(&enabled);
    buffer_free(&config);
}

static void take_function_enabled(struct collection *c, const char *path)
{
    const char *enable = arena_printf("%s/enable", path);
    struct buffer before = {0}, after = {0};
    size_t first = c->count;

    read_whole(enable, &before);
    enable_idle(path, "1");
    take_function(c, path);
    read_whole(enable, &after);
    /* An interrupt that nobody else uses is gone when the function is idle again. */
    for (size_t i = first; i < c->count; i++) {
        const char *name = c->files[i].name, *last = strrchr(name, '/');

        if (last && strcmp(last, "/irq") == 0 && c->files[i].len > 1)
            take_irq(c, arena_printf("/sys/kernel/irq/%.*s", (int)strcspn(c->files[i].data, "\n"),
                                     c->files[i].data));
    }
    if (before.len && after.len && before.data[0] == '0' && after.data[0] != '0')
        write_one(enable, "0");
    buffer_free(&before);
    buffer_free(&after);
}

void collect_machine(struct collection *c, bool probe_intx)
{
    static const char *const machine[] = {"sys_vendor", "product_name", "board_vendor",
                                          "board_name", "bios_version", NULL};
    static const char *const faults[] = {"l1tf", "mds", NULL};
    const char *twice;

    each(c, "/sys/firmware/acpi/tables", take_table);
    if (geteuid() != 0)
        cannot_run("/proc/iomem shows its addresses to root alone; inspect-board needs root");
    collection_add(c, FORMAT_FILE, FORMAT_TEXT, strlen(FORMAT_TEXT));
    each(c, "/sys/firmware/memmap", take_memory);
    take_needed(c, "/proc/iomem");
    take_needed(c, "/proc/cpuinfo");
    take_consoles(c);
    take_files(c, "/sys/class/dmi/id", machine);
    take_files(c, "/sys/devices/system/cpu/vulnerabilities", faults);
    each(c, "/sys/bus/pci/devices", probe_intx ? take_function_enabled : take_function);
    each(c, "/sys/class/tty", take_tty);
    each(c, "/sys/kernel/irq", take_irq);
    take_kernel_log(c);
    collect_cpus(c);
    if (!collection_sort(c, &twice))
        cannot_run("%s was collected twice", twice);
}
