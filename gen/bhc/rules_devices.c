/* Rules about the machine's devices: interrupt controllers, register windows, ports, PCI. */
#include "rules.h"
#include "windows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void check_apic_window(const struct rule *rule, struct where at, const char *what, u64 base)
{
    if (!IS_ALIGNED(base, PAGE_SIZE) || base == 0 || base > GIB(4) - PAGE_SIZE)
        MISTAKE(at,
                "%s base 0x%" PRIx64
                " is not a page below 4 GiB; give the address that the machine's ACPI MADT reports",
                what, base);
}

static void check_ioapic_pairs(const struct rule *rule, const struct board *b)
{
    const struct ioapic *by_id[UINT8_MAX + 1] = {NULL};
    struct extents gsis = extents_new(b->ioapic_count);
    struct overlap *pairs;
    size_t count;

    for (size_t i = 0; i < b->ioapic_count; i++) {
        const struct ioapic *io = &b->ioapics[i];

        if (by_id[io->id])
            MISTAKE(io->at,
                    "I/O APIC id %u is used twice (line %ld); give each the id that the machine's ACPI MADT "
                    "reports",
                    (unsigned)io->id, by_id[io->id]->at.line);
        else
            by_id[io->id] = io;
        extents_add(&gsis, io->gsi_base, io->pins, i);
    }
    extents_sort(&gsis);
    count = extents_overlaps(&gsis, &pairs);
    for (size_t i = 0; i < count; i++) {
        const struct ioapic *x = &b->ioapics[pairs[i].later], *y = &b->ioapics[pairs[i].earlier];

        MISTAKE(x->at,
                "I/O APIC %u takes GSI %" PRIu32 " to %" PRIu64
                ", which I/O APIC %u takes in part (line %ld); correct gsi-base or pins",
                (unsigned)x->id, x->gsi_base, (u64)x->gsi_base + x->pins - 1, (unsigned)y->id, y->at.line);
    }
}

RULE(board_apics)
{
    const struct board *b = &config->board;

    check_apic_window(rule, b->lapic_at, "local APIC", b->lapic_base);
    for (size_t i = 0; i < b->ioapic_count; i++) {
        const struct ioapic *io = &b->ioapics[i];

        check_apic_window(rule, io->at, arena_printf("I/O APIC %u", (unsigned)io->id), io->base);
        if (io->pins < 1 || io->pins > 240)
            MISTAKE(io->at, "I/O APIC %u has %u pins; give 1 to 240, usually 24", (unsigned)io->id,
                    (unsigned)io->pins);
    }
    check_ioapic_pairs(rule, b);
}

RULE(board_mcfg)
{
    const struct mcfg *m = &config->board.mcfg;

    if (!m->present)
        return;
    if (m->end_bus < m->start_bus)
        MISTAKE(m->at, "MCFG ends at bus %u, before its start-bus %u; swap them", (unsigned)m->end_bus,
                (unsigned)m->start_bus);
    if (m->base == 0 || !IS_ALIGNED(m->base, MIB(1)) || !range_sane(m->base, MIB(256)))
        MISTAKE(m->at,
                "MCFG base 0x%" PRIx64
                " is not a multiple of 1 MiB below 2^52; give the base that the machine's ACPI MCFG reports",
                m->base);
}

static void report_window_overlaps(const struct rule *rule, const struct board *b, const struct window *w,
                                   const struct extents *x)
{
    struct overlap *pairs;
    size_t count = extents_overlaps(x, &pairs);

    for (size_t i = 0; i < count; i++) {
        const struct window *later = &w[pairs[i].later], *earlier = &w[pairs[i].earlier];

        MISTAKE(later->at, "%s overlaps %s (line %ld); correct one of the two", window_text(b, later),
                window_text(b, earlier), earlier->at.line);
    }
}

/* Windows first to last lie outside RAM and apart from each other. */
static void check_windows(const struct rule *rule, const struct board *b, const struct window *w,
                          size_t first, size_t last)
{
    struct extents ram = extents_of(b->ram, b->ram_count), x = extents_new(last - first);

    for (size_t i = first; i < last; i++) {
        const struct extent *e = extents_find(&ram, w[i].base, w[i].size);

        if (e)
            MISTAKE(w[i].at, "%s lies in RAM %s (line %ld); correct one of the two", window_text(b, &w[i]),
                    range_text(e->base, e->size), b->ram[e->index].at.line);
        extents_add(&x, w[i].base, w[i].size, i);
    }
    extents_sort(&x);
    report_window_overlaps(rule, b, w, &x);
}

RULE(board_windows_outside_ram)
{
    const struct board *b = &config->board;
    size_t registers, count;
    const struct window *w = board_windows(b, &registers, &count);

    check_windows(rule, b, w, 0, registers);
}

RULE(board_bridge_windows)
{
    const struct board *b = &config->board;
    size_t registers, count;
    const struct window *w = board_windows(b, &registers, &count);

    for (size_t i = 0; i < b->window_count; i++) {
        const struct region *r = &b->windows[i];

        if (r->size == 0 || !IS_ALIGNED(r->base | r->size, PAGE_SIZE))
            MISTAKE(
                r->at,
                "the PCI window %s is empty or does not consist of whole 4 KiB pages; give base and size as "
                "_CRS of the machine's host bridge does",
                range_text(r->base, r->size));
        else if (!range_sane(r->base, r->size))
            MISTAKE(
                r->at,
                "the PCI window %s reaches beyond 2^52, the end of physical addresses; correct base or size",
                range_text(r->base, r->size));
    }
    check_windows(rule, b, w, registers, count);
}

static int compare_uarts(const void *a, const void *b)
{
    const struct uart *x = *(const struct uart *const *)a, *y = *(const struct uart *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : x < y ? -1 : x > y;
}

static void check_uart_names(const struct rule *rule, const struct board *b)
{
    const struct uart **sorted = arena_alloc(b->uart_count, sizeof(struct uart *));
    size_t first = 0;

    for (size_t i = 0; i < b->uart_count; i++)
        sorted[i] = &b->uarts[i];
    if (b->uart_count > 0)
        qsort(sorted, b->uart_count, sizeof(struct uart *), compare_uarts);
    for (size_t i = 1; i < b->uart_count; i++) {
        if (strcmp(sorted[i]->name, sorted[first]->name) != 0)
            first = i;
        else
            MISTAKE(sorted[i]->at, "UART name '%s' is used twice (line %ld); give each its own",
                    sorted[i]->name, sorted[first]->at.line);
    }
}

RULE(board_uarts)
{
    const struct board *b = &config->board;

    check_uart_names(rule, b);
    for (size_t i = 0; i < b->uart_count; i++) {
        const struct uart *u = &b->uarts[i];

        /* The divisor is clock / (16 * baud), 1 to 65535. */
        if (u->baud == 0 || u->clock_hz / 16 / u->baud < 1 || u->clock_hz / 16 / u->baud > 0xffff)
            MISTAKE(u->at,
                    "UART '%s' cannot make %" PRIu32 " baud from a clock of %" PRIu32
                    " Hz; a PC's clock is 1843200, its fastest rate 115200",
                    u->name, u->baud, u->clock_hz);
        if (!ioapic_of(b, u->gsi))
            MISTAKE(
                u->at,
                "UART '%s' interrupts by GSI %u, which no I/O APIC takes; correct gsi or add the <ioapic>",
                u->name, (unsigned)u->gsi);
    }
}

struct ports {
    struct where at;
    const char *what;
    u32 base, count;
};

/* What every PC has at fixed ports and the hypervisor drives: 8259 pair, PIT, port 61h, RTC, ELCR, PCI
 * configuration. */
static const struct {
    const char *what;
    u16 base, count;
} legacy_ports[] = {
    {"the interrupt controller (PIC)", 0x20, 2},
    {"the interval timer (PIT)", 0x40, 4},
    {"port 61h", 0x61, 1},
    {"the clock (RTC)", 0x70, 2},
    {"the interrupt controller (PIC)", 0xa0, 2},
    {"the PIC's edge/level register", 0x4d0, 2},
};

static size_t collect_ports(const struct board *b, struct ports *p)
{
    const struct acpi_regs *a = &b->acpi;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(legacy_ports); i++)
        p[n++] = (struct ports){b->at, legacy_ports[i].what, legacy_ports[i].base, legacy_ports[i].count};
    /* The reset port 0xcf9 of a PC lies between the two dwords of PCI configuration and answers to byte
     * accesses only. */
    p[n++] = (struct ports){b->at, "PCI configuration", 0xcfc, 4};
    if (a->pm_timer_port)
        p[n++] = (struct ports){a->at, "the PM timer", a->pm_timer_port, 4};
    if (a->pm1a_cnt_port)
        p[n++] = (struct ports){a->at, "PM1a_CNT", a->pm1a_cnt_port, 2};
    if (a->cpu_hotplug_port)
        p[n++] = (struct ports){a->at, "CPU hot-plug", a->cpu_hotplug_port, HOTPLUG_PORTS};
    if (a->reset_port)
        p[n++] = (struct ports){a->at, "the reset port", a->reset_port, 1};
    for (size_t i = 0; i < b->uart_count; i++)
        p[n++] =
            (struct ports){b->uarts[i].at, arena_printf("UART '%s'", b->uarts[i].name), b->uarts[i].port, 8};
    return n;
}

RULE(board_ports)
{
    const struct board *b = &config->board;
    struct ports *p = arena_alloc(ARRAY_SIZE(legacy_ports) + 5 + b->uart_count, sizeof(*p));
    size_t count = collect_ports(b, p), found;
    struct extents x = extents_new(count);
    struct overlap *pairs;

    for (size_t i = 0; i < count; i++) {
        if (p[i].base + p[i].count > 0x10000)
            MISTAKE(p[i].at, "%s (port 0x%" PRIx32 ") reaches beyond port 0xffff; correct its port",
                    p[i].what, p[i].base);
        extents_add(&x, p[i].base, p[i].count, i);
    }
    extents_sort(&x);
    found = extents_overlaps(&x, &pairs);
    for (size_t i = 0; i < found; i++) {
        const struct ports *later = &p[pairs[i].later], *earlier = &p[pairs[i].earlier];

        MISTAKE(later->at, "%s (port 0x%" PRIx32 ") overlaps %s (port 0x%" PRIx32 "); correct one of the two",
                later->what, later->base, earlier->what, earlier->base);
    }
}

RULE(board_power_states)
{
    const struct board *b = &config->board;

    if (b->px_count > MAX_PX)
        MISTAKE(b->px[MAX_PX].at,
                "the board has %zu performance states, but at most %d are supported; remove some",
                b->px_count, MAX_PX);
    for (size_t i = 1; i < b->px_count; i++) {
        if (b->px[i].core_mhz >= b->px[i - 1].core_mhz)
            MISTAKE(b->px[i].at,
                    "performance state P%zu has %" PRIu64 " MHz, not less than the one before (%" PRIu64
                    " MHz); give the fastest first",
                    i, b->px[i].core_mhz, b->px[i - 1].core_mhz);
    }
    if (b->cx_count > MAX_CX)
        MISTAKE(b->cx[MAX_CX].at, "the board has %zu idle states, but at most %d are supported; remove some",
                b->cx_count, MAX_CX);
    for (size_t i = 0; i < b->cx_count; i++) {
        if (b->cx[i].type < (i ? b->cx[i - 1].type : 1) || (i == 0 && b->cx[i].type != 1))
            MISTAKE(b->cx[i].at, "idle state %zu has type %u; give C1 first and types in ascending order",
                    i + 1, (unsigned)b->cx[i].type);
    }
}
