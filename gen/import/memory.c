/* The physical memory map: <memory>, IOMEM_INFO (/proc/iomem), <ioapics>. */
#include "import.h"

#include "ranges.h"

#include <stdlib.h>
#include <string.h>

/* The service VM's RAM may consist of MAX_SERVICE_BLOCKS pieces: so many of the board, and the rest for where
 * VMs and the hypervisor split them. */
#define RAM_PIECES (MAX_SERVICE_BLOCKS - 3)
#define LOW_END    KIB(640)

struct piece {
    u64 base, end; /* end exclusive */
    struct where at;
    const char *what;
};

struct pieces {
    struct piece *list;
    size_t count;
};

static int by_base(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    return x->base != y->base ? (x->base < y->base ? -1 : 1) : x->end < y->end ? -1 : x->end > y->end;
}

static void add_piece(struct pieces *p, u64 base, u64 last, struct where at, const char *what)
{
    if (last < base || last >= PHYS_LIMIT)
        untranslated(at, "%s 0x%llx to 0x%llx: the range is empty or beyond 2^52", what,
                     (unsigned long long)base, (unsigned long long)last);
    else
        *APPEND(p->list, p->count) = (struct piece){base, last + 1, at, what};
}

/* Ascending, apart from each other. */
static void sort_and_merge(struct pieces *p)
{
    size_t kept = 0;

    if (p->count == 0)
        return;
    qsort(p->list, p->count, sizeof(*p->list), by_base);
    for (size_t i = 1; i < p->count; i++) {
        struct piece *last = &p->list[kept], *now = &p->list[i];

        if (now->base <= last->end && strcmp(now->what, last->what) == 0)
            last->end = MAX(last->end, now->end);
        else
            p->list[++kept] = *now;
    }
    p->count = kept + 1;
}

/* "000a0000-000bffff : PCI Bus 0000:00" */
static bool iomem_line(const char *line, u64 *base, u64 *last, const char **what)
{
    char *end;

    /* strtoull would take signs and blanks. */
    if (!strchr("0123456789abcdefABCDEF", line[0]) || !line[0])
        return false;
    *base = strtoull(line, &end, 16);
    if (end[0] != '-' || !strchr("0123456789abcdefABCDEF", end[1]) || !end[1])
        return false;
    *last = strtoull(end + 1, &end, 16);
    if (strncmp(end, " : ", 3) != 0)
        return false;
    *what = end + 3;
    return true;
}

struct iomem {
    struct pieces ram, reserved, windows;
    u64 top_end; /* of the last line that lies in no other */
    u64 lapic, ioapic, start_bus, end_bus;
    struct where mcfg_at;
};

/* "PCI MMCONFIG 0000 [bus 00-ff]" */
static void read_mmconfig(struct iomem *m, const char *what, struct where at)
{
    const char *bus = strstr(what, "[bus ");
    char *end;

    if (strncmp(what, "PCI MMCONFIG 0000", 17) != 0 || !bus || m->end_bus > 0)
        return;
    m->start_bus = strtoull(bus + 5, &end, 16);
    m->end_bus = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
    m->mcfg_at = at;
}

static void read_iomem_line(struct iomem *m, u64 base, u64 last, const char *what, struct where at)
{
    bool top = base >= m->top_end;

    if (top && last < PHYS_LIMIT)
        m->top_end = last + 1;
    if (strcmp(what, "System RAM") == 0)
        add_piece(&m->ram, base, last, at, "System RAM");
    else if (top && (strcmp(what, "Reserved") == 0 || strcmp(what, "reserved") == 0 ||
                     strncmp(what, "ACPI ", 5) == 0 || strcmp(what, "Unusable memory") == 0))
        add_piece(&m->reserved, base, last, at, shown(what));
    else if (strcmp(what, "PCI Bus 0000:00") == 0)
        add_piece(&m->windows, base, last, at, "PCI Bus 0000:00");
    else if (strcmp(what, "Local APIC") == 0)
        m->lapic = base;
    else if (strncmp(what, "IOAPIC ", 7) == 0 && m->ioapic == 0)
        m->ioapic = base;
    read_mmconfig(m, what, at);
}

static void read_iomem(xmlNode *section, struct iomem *m)
{
    struct lines l = lines_of(section);
    const char *what;
    u64 base, last;
    char *line;

    while ((line = next_line(&l))) {
        if (iomem_line(line, &base, &last, &what))
            read_iomem_line(m, base, last, what, l.at);
        else
            untranslated(l.at, "<IOMEM_INFO>: \"%s\" is not a line of /proc/iomem", shown(line));
    }
}

/* <range start end size>, as the firmware's memory map has it. */
static void read_ranges(xmlNode *memory, struct pieces *ram)
{
    for (xmlNode *r = child(memory, "range"); r; r = next(r)) {
        const char *start = attribute(r, "start"), *end = attribute(r, "end");
        u64 base, last;

        if (!start || !end || !number_in(start, &base) || !number_in(end, &last))
            MISTAKE(WRONG_VALUE, at_node(r),
                    "<range> of <memory> lacks start or end, or they are not numbers; "
                    "write them as in start=\"0x100000\" end=\"0x1fffff\"");
        else
            add_piece(ram, base, last, at_node(r), "System RAM");
    }
}

static void leave_out(struct pieces *p, size_t i, const char *why)
{
    untranslated(p->list[i].at, "RAM %s is left out: %s",
                 range_text(p->list[i].base, p->list[i].end - p->list[i].base), why);
    memmove(&p->list[i], &p->list[i + 1], (p->count - i - 1) * sizeof(*p->list));
    p->count--;
}

/* The smallest piece above 1 MiB; p->count: there is none. */
static size_t smallest(const struct pieces *p)
{
    size_t least = p->count;

    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].base >= MIB(1) && (least == p->count || p->list[i].end - p->list[i].base <
                                                                   p->list[least].end - p->list[least].base))
            least = i;
    }
    return least;
}

/* Whole pages, one piece below 1 MiB, and no more pieces than a service VM's memory map takes. */
static void whole_pages(struct pieces *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        struct piece one = p->list[i];

        one.base = ALIGN_UP(one.base, PAGE_SIZE);
        one.end = ALIGN_DOWN(one.end, PAGE_SIZE);
        if (one.base < one.end)
            p->list[kept++] = one;
    }
    p->count = kept;
    while (p->count > 1 && p->list[1].base < MIB(1))
        leave_out(p, 1, "a service VM sees one piece of RAM below 1 MiB (rule SVC-006)");
    while (p->count > RAM_PIECES && smallest(p) < p->count)
        leave_out(p, smallest(p), "a service VM's RAM has a few pieces at most (rule SVC-005)");
}

static void write_ram(xmlNode *root, struct iomem *m, struct pieces *ram, struct board *b)
{
    struct where at = ram->count > 0 ? ram->list[0].at : at_node(root);

    sort_and_merge(ram);
    /* Linux calls page 0 reserved; the service VM's RAM must begin at 0 (rule SVC-006). */
    if (ram->count > 0 && ram->list[0].base == PAGE_SIZE && m->ram.count == ram->count &&
        ram->list == m->ram.list) {
        guessed(at, "page 0 was taken for RAM: Linux reserves it for itself");
        ram->list[0].base = 0;
    }
    /* Quadratic in the number of pieces beyond the limit; no machine has thousands. */
    if (ram->count > 1024) {
        MISTAKE(BOARD_LACKS, at, "the board file shows %zu pieces of RAM, which no machine has; correct it",
                ram->count);
        return;
    }
    whole_pages(ram);
    b->memory_at = at;
    for (size_t i = 0; i < ram->count; i++)
        *APPEND(b->ram, b->ram_count) = (struct region){
            .at = ram->list[i].at, .base = ram->list[i].base, .size = ram->list[i].end - ram->list[i].base};
    if (b->ram_count == 0)
        MISTAKE(
            BOARD_LACKS, at,
            "the board file shows no RAM (<memory>, IOMEM_INFO); let ACRN's board inspector make it anew");
}

static void add_reserved(struct board *b, const struct piece *p, u64 base, u64 end)
{
    if (base < end)
        *APPEND(b->reserved, b->reserved_count) =
            (struct region){.at = p->at, .base = base, .size = end - base, .what = p->what};
}

/* Pieces that the firmware calls RAM are reserved by Linux for itself, and free under another hypervisor. */
static void write_reserved(struct pieces *reserved, struct board *b)
{
    size_t j = 0;

    sort_and_merge(reserved);
    for (size_t i = 0; i < reserved->count; i++) {
        const struct piece *p = &reserved->list[i];
        u64 base = p->base;

        while (j < b->ram_count && b->ram[j].base + b->ram[j].size <= base)
            j++;
        for (size_t k = j; k < b->ram_count && b->ram[k].base < p->end; k++) {
            add_reserved(b, p, base, MIN(b->ram[k].base, p->end));
            base = MAX(base, b->ram[k].base + b->ram[k].size);
        }
        add_reserved(b, p, base, p->end);
    }
}

static void choose_trampoline(struct board *b)
{
    for (size_t i = 0; i < b->ram_count; i++) {
        u64 base = MAX(b->ram[i].base, 0x8000), end = MIN(b->ram[i].base + b->ram[i].size, LOW_END);

        if (base + PAGE_SIZE <= end) {
            b->trampoline = base;
            guessed(b->ram[i].at,
                    "0x%llx was chosen for the trampoline page, from which the other CPUs are started",
                    (unsigned long long)base);
            return;
        }
    }
    MISTAKE(BOARD_LACKS, b->memory_at,
            "the board file shows no RAM between 32 KiB and 640 KiB, where the other CPUs must be started "
            "from; correct "
            "<memory>");
}

static void read_ioapics(xmlNode *root, const struct iomem *m, struct board *b)
{
    u64 base, gsi, pins, id;

    for (xmlNode *n = child(child(root, "ioapics"), "ioapic"); n; n = next(n)) {
        const char *text = attribute(n, "id");

        if (!text || !number_in(text, &id) || id > 0xff)
            id = b->ioapic_count;
        gsi = 0;
        pins = 0;
        if (!number_of(child(n, "address"), UINT32_MAX, &base) ||
            !number_of(child(n, "gsi_number"), 240, &pins) || pins == 0) {
            untranslated(at_node(n), "<ioapic>: <address> or <gsi_number> is missing");
            continue;
        }
        number_of(child(n, "gsi_base"), UINT16_MAX, &gsi);
        *APPEND(b->ioapics, b->ioapic_count) = (struct ioapic){at_node(n), (u8)id, (u8)pins, (u32)gsi, base};
    }
    if (b->ioapic_count == 0 && m->ioapic != 0) {
        guessed(at_node(root),
                "the file does not describe the I/O APIC at 0x%llx; 24 pins from GSI 0 on were assumed",
                (unsigned long long)m->ioapic);
        *APPEND(b->ioapics, b->ioapic_count) = (struct ioapic){at_node(root), 0, 24, 0, m->ioapic};
    }
    if (b->ioapic_count == 0)
        MISTAKE(BOARD_LACKS, at_node(root),
                "the board file shows no I/O APIC (<ioapics>, IOMEM_INFO); let ACRN's board inspector make "
                "it anew");
}

static void read_mcfg(xmlNode *root, const struct iomem *m, struct board *b)
{
    struct macros macros = macros_of(child(root, "MMCFG_BASE_INFO"));
    u64 base;

    if (macro_number(&macros, "DEFAULT_PCI_MMCFG_BASE", &base) && base != 0) {
        b->mcfg = (struct mcfg){true, macros.at, base, 0, 255};
        if (m->end_bus > m->start_bus && m->end_bus <= 255) {
            b->mcfg.start_bus = (u8)m->start_bus;
            b->mcfg.end_bus = (u8)m->end_bus;
        } else {
            guessed(macros.at, "the file does not say which buses MCFG covers; 0 to 255 were assumed");
        }
    }
    macros_rest(&macros, "only the base of PCI segment 0 is used");
}

void import_memory(xmlNode *root, struct board *b)
{
    xmlNode *iomem = child(root, "IOMEM_INFO");
    struct pieces ranges = {0};
    struct iomem m = {0};

    if (iomem)
        read_iomem(iomem, &m);
    read_ranges(child(root, "memory"), &ranges);
    write_ram(root, &m, ranges.count > 0 ? &ranges : &m.ram, b);
    write_reserved(&m.reserved, b);
    choose_trampoline(b);
    b->lapic_at = iomem ? at_node(iomem) : at_node(root);
    b->lapic_base = m.lapic;
    if (m.lapic == 0) {
        guessed(b->lapic_at, "the file does not show where the local APIC is; 0xfee00000 was assumed");
        b->lapic_base = 0xfee00000;
    }
    read_ioapics(root, &m, b);
    read_mcfg(root, &m, b);
    sort_and_merge(&m.windows);
    for (size_t i = 0; i < m.windows.count; i++)
        *APPEND(b->windows, b->window_count) =
            (struct region){.at = m.windows.list[i].at,
                            .base = m.windows.list[i].base,
                            .size = m.windows.list[i].end - m.windows.list[i].base};
    guessed(
        b->lapic_at,
        "the file does not show memory that firmware reserved for devices (RMRR); none was written: compare "
        "with the machine's DMAR table before devices are passed through");
}
