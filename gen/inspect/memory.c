/* The memory map: RAM as the firmware reported it, what is reserved inside it, the host bridges' windows. */
#include "inspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REGIONS 1024u
#define LOW_END     MIB(1)
#define BIOS_AREA                                                                                            \
    0xe0000u /* where a BIOS keeps what is searched for there: RSDP (ACPI 6.5 section 5.2.5.1), SMBIOS */
#define END_OF_LOW  0xa0000u
#define ADDRESS_END BIT64(52)

static void add_region(struct region **list, size_t *count, u64 base, u64 size, const char *what)
{
    if (*count == MAX_REGIONS)
        return;
    *list = list_grow(*list, *count, sizeof(**list));
    (*list)[(*count)++] = (struct region){.base = base, .size = size, .what = what};
}

static int by_base(const void *a, const void *b)
{
    const struct region *x = a, *y = b;

    return x->base != y->base ? (x->base < y->base ? -1 : 1) : (x->size > y->size) - (x->size < y->size);
}

/* /sys/firmware/memmap: the map as the firmware gave it (Linux
 * Documentation/ABI/testing/sysfs-firmware-memmap). */
static void ram_by_firmware(struct inspection *in, struct region **ram, size_t *count)
{
    static const char folder[] = "sys/firmware/memmap/";
    size_t at = collection_from(in->files, folder);
    const char *name;

    while ((name = collection_next(in->files, folder, &at))) {
        const struct file *type = collection_findf(in->files, "%s%s/type", folder, name);
        u64 start, end;

        if (!type || !file_number(collection_findf(in->files, "%s%s/start", folder, name), &start) ||
            !file_number(collection_findf(in->files, "%s%s/end", folder, name), &end) || end < start ||
            end >= ADDRESS_END)
            continue;
        if (strcmp(type->data, "System RAM\n") == 0)
            add_region(ram, count, start, end - start + 1, NULL);
        else if (strncmp(type->data, "Soft Reserved", 13) == 0 || strncmp(type->data, "Persistent", 10) == 0)
            note(in,
                 "memory at 0x%" PRIx64 ", 0x%" PRIx64 " bytes, is of type '%.*s': it is not taken for RAM",
                 start, end - start + 1, (int)strcspn(type->data, "\n"), type->data);
    }
}

/* A line of /proc/iomem: "  80000000-afffffff : PCI Bus 0000:00". *depth: how far it is indented. */
static bool iomem_line(char *line, u64 *start, u64 *end, const char **what, size_t *depth)
{
    const char *p = line + strspn(line, " ");

    *depth = (size_t)(p - line) / 2;
    if (!read_hex(&p, start) || *p++ != '-' || !read_hex(&p, end) || strncmp(p, " : ", 3) != 0)
        return false;
    *what = p + 3;
    return *end >= *start && *end < ADDRESS_END;
}

static void ram_by_kernel(struct inspection *in, struct region **ram, size_t *count)
{
    const struct file *f = collection_find(in->files, "proc/iomem");
    char line[256];

    for (const char *at = NULL; f && (at = file_line(f, line, sizeof(line), at));) {
        const char *what;
        u64 start, end;
        size_t depth;

        if (iomem_line(line, &start, &end, &what, &depth) && depth == 0 && strcmp(what, "System RAM") == 0)
            add_region(ram, count, start, end - start + 1, NULL);
    }
    if (*count)
        note(in, "there is no /sys/firmware/memmap: RAM is what the kernel uses (/proc/iomem), which may be "
                 "less than there is");
}

/*
 * Whole pages below 1 MiB; above, each block ends at a whole MiB: firmware keeps its tables behind the end of
 * RAM, and how much they take changes with its version, with the boot loader and with the devices that are
 * plugged in.
 */
static void trim(struct inspection *in, const struct region *r)
{
    struct board *b = &in->board;
    u64 end = r->base + r->size, base = ALIGN_UP(r->base, PAGE_SIZE), whole;

    if (r->base < LOW_END)
        end = MIN(end, (u64)END_OF_LOW);
    whole = ALIGN_DOWN(end, base < LOW_END ? PAGE_SIZE : MIB(1));
    if (whole <= base) {
        note(in, "RAM at 0x%" PRIx64 ", 0x%" PRIx64 " bytes, is left out: it is less than the rest of a MiB",
             r->base, r->size);
        return;
    }
    if (base >= LOW_END && whole != end)
        note(in,
             "RAM at 0x%" PRIx64 " ends at 0x%" PRIx64 "; it is written up to 0x%" PRIx64
             ", a whole MiB, because firmware may need more "
             "of its end another time",
             r->base, end, whole);
    add_region(&b->ram, &b->ram_count, base, whole - base, NULL);
}

static void ram(struct inspection *in)
{
    struct region *list = NULL;
    size_t count = 0, kept = 0;

    ram_by_firmware(in, &list, &count);
    if (count == 0)
        ram_by_kernel(in, &list, &count);
    if (count)
        qsort(list, count, sizeof(*list), by_base);
    for (size_t i = 0; i < count; i++) {
        struct region *last = kept ? &list[kept - 1] : NULL;
        u64 end = list[i].base + list[i].size;

        /* Blocks that touch or overlap are one. */
        if (last && list[i].base <= last->base + last->size)
            last->size = MAX(last->size, end - last->base);
        else
            list[kept++] = list[i];
    }
    for (size_t i = 0; i < kept; i++)
        trim(in, &list[i]);
    if (in->board.ram_count == 0)
        lack(in, "neither /sys/firmware/memmap nor /proc/iomem shows RAM");
}

/* A host bridge's bus has no bridge that leads to it. */
static void windows(struct inspection *in)
{
    const struct file *f = collection_find(in->files, "proc/iomem");
    struct board *b = &in->board;
    char line[256];

    for (const char *at = NULL; f && (at = file_line(f, line, sizeof(line), at));) {
        const char *what, *bus_text;
        u64 start, end, segment, bus;
        size_t depth;

        if (!iomem_line(line, &start, &end, &what, &depth) || strncmp(what, "PCI Bus ", 8) != 0)
            continue;
        bus_text = what + 8;
        if (!read_hex(&bus_text, &segment) || *bus_text++ != ':' || !read_hex(&bus_text, &bus) ||
            segment != 0 || bus > 0xff)
            continue;
        if (!in->has_upstream[bus])
            add_region(&b->windows, &b->window_count, start, end - start + 1, NULL);
    }
    if (b->window_count == 0)
        note(in, "/proc/iomem shows no window of a PCI host bridge");
    else
        qsort(b->windows, b->window_count, sizeof(*b->windows), by_base);
}

void inspect_memory(struct inspection *in)
{
    ram(in);
    add_reserved(in, BIOS_AREA, LOW_END - BIOS_AREA, "firmware", NULL);
    windows(in);
}

static bool free_page(const struct board *b, u64 page)
{
    bool in_ram = false;

    for (size_t i = 0; i < b->ram_count; i++)
        in_ram |= page >= b->ram[i].base && page + PAGE_SIZE <= b->ram[i].base + b->ram[i].size;
    for (size_t i = 0; i < b->reserved_count && in_ram; i++)
        in_ram = !ranges_meet(page, PAGE_SIZE, b->reserved[i].base, b->reserved[i].size);
    return in_ram;
}

/* The first free page from 0x8000 on, then below: lower ones are those that old firmware and boot loaders
 * like best. */
void inspect_trampoline(struct inspection *in)
{
    struct board *b = &in->board;

    for (u64 page = 0x8000; page < END_OF_LOW; page += PAGE_SIZE) {
        if (free_page(b, page)) {
            b->trampoline = page;
            return;
        }
    }
    for (u64 page = 0x7000; page > 0; page -= PAGE_SIZE) {
        if (free_page(b, page)) {
            b->trampoline = page;
            return;
        }
    }
    b->trampoline = 0x8000;
    lack(in, "there is no free page of RAM below 640 KiB, from which the other CPUs could be started");
}
