/* Rules about the machine's devices: interrupt controllers, register windows, ports, PCI. */
#include "ranges.h"
#include "rules.h"

#include <inttypes.h>
#include <string.h>

static void check_apic_window(const struct rule *rule, struct where at, const char *what, u64 base)
{
    if (!IS_ALIGNED(base, PAGE_SIZE) || base == 0 || base > GIB(4) - PAGE_SIZE)
        MISTAKE(at,
                "%s base 0x%" PRIx64
                " is not a page below 4 GiB; give the address that the machine's ACPI MADT reports",
                what, base);
}

static void check_ioapic_pair(const struct rule *rule, const struct ioapic *a, const struct ioapic *b)
{
    if (a->id == b->id)
        MISTAKE(
            a->at,
            "I/O APIC id %u is used twice (line %ld); give each the id that the machine's ACPI MADT reports",
            (unsigned)a->id, b->at.line);
    if (ranges_meet(a->gsi_base, a->pins, b->gsi_base, b->pins))
        MISTAKE(a->at,
                "I/O APIC %u takes GSI %" PRIu32 " to %" PRIu64
                ", which I/O APIC %u takes in part (line %ld); correct gsi-base or pins",
                (unsigned)a->id, a->gsi_base, (u64)a->gsi_base + a->pins - 1, (unsigned)b->id, b->at.line);
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
        for (size_t j = 0; j < i; j++)
            check_ioapic_pair(rule, io, &b->ioapics[j]);
    }
}

/* 0 when there is none, or when BRD-013 will say that it is nonsense. */
static u64 mcfg_size(const struct mcfg *m)
{
    return !m->present || m->end_bus < m->start_bus ? 0 : MIB((u64)m->end_bus - m->start_bus + 1);
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

struct window {
    struct where at;
    const char *what;
    u64 base, size;
};

static size_t collect_windows(const struct board *b, struct window *w)
{
    size_t n = 0;

    w[n++] = (struct window){b->lapic_at, "the local APIC", b->lapic_base, PAGE_SIZE};
    for (size_t i = 0; i < b->ioapic_count; i++) {
        const struct ioapic *io = &b->ioapics[i];

        w[n++] = (struct window){io->at, arena_printf("I/O APIC %u", (unsigned)io->id), io->base, PAGE_SIZE};
    }
    if (b->mcfg.present)
        w[n++] = (struct window){b->mcfg.at, "MCFG", b->mcfg.base, mcfg_size(&b->mcfg)};
    for (size_t i = 0; i < b->pci_count; i++) {
        for (size_t j = 0; j < b->pci[i].bar_count; j++) {
            const struct pci_bar *bar = &b->pci[i].bars[j];

            if (!bar->is_io)
                w[n++] = (struct window){
                    bar->at, arena_printf("BAR %u of %s", (unsigned)bar->index, b->pci[i].address), bar->base,
                    bar->size};
        }
    }
    return n;
}

static void check_window(const struct rule *rule, const struct board *b, const struct window *w, size_t i)
{
    for (size_t j = 0; j < b->ram_count; j++) {
        const struct region *r = &b->ram[j];

        if (range_sane(r->base, r->size) && ranges_meet(w[i].base, w[i].size, r->base, r->size)) {
            MISTAKE(w[i].at, "%s (%s) lies in RAM %s; correct one of the two", w[i].what,
                    range_text(w[i].base, w[i].size), range_text(r->base, r->size));
            break;
        }
    }
    for (size_t j = 0; j < i; j++) {
        if (range_sane(w[j].base, w[j].size) && ranges_meet(w[i].base, w[i].size, w[j].base, w[j].size)) {
            MISTAKE(w[i].at, "%s (%s) overlaps %s (%s); correct one of the two", w[i].what,
                    range_text(w[i].base, w[i].size), w[j].what, range_text(w[j].base, w[j].size));
            break;
        }
    }
}

RULE(board_windows_outside_ram)
{
    const struct board *b = &config->board;
    size_t room = 2 + b->ioapic_count, count;
    struct window *windows;

    for (size_t i = 0; i < b->pci_count; i++)
        room += b->pci[i].bar_count;
    windows = arena_alloc(room, sizeof(*windows));
    count = collect_windows(b, windows);
    for (size_t i = 0; i < count; i++) {
        if (range_sane(windows[i].base, windows[i].size))
            check_window(rule, b, windows, i);
    }
}

static bool gsi_taken(const struct board *b, u32 gsi)
{
    for (size_t i = 0; i < b->ioapic_count; i++) {
        if (gsi >= b->ioapics[i].gsi_base && gsi - b->ioapics[i].gsi_base < b->ioapics[i].pins)
            return true;
    }
    return false;
}

RULE(board_uarts)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->uart_count; i++) {
        const struct uart *u = &b->uarts[i];

        for (size_t j = 0; j < i; j++) {
            if (strcmp(u->name, b->uarts[j].name) == 0) {
                MISTAKE(u->at, "UART name '%s' is used twice (line %ld); give each its own", u->name,
                        b->uarts[j].at.line);
                break;
            }
        }
        /* The divisor is clock / (16 * baud), 1 to 65535. */
        if (u->baud == 0 || u->clock_hz / 16 / u->baud < 1 || u->clock_hz / 16 / u->baud > 0xffff)
            MISTAKE(u->at,
                    "UART '%s' cannot make %" PRIu32 " baud from a clock of %" PRIu32
                    " Hz; a PC's clock is 1843200, its fastest rate 115200",
                    u->name, u->baud, u->clock_hz);
        if (!gsi_taken(b, u->gsi))
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
    size_t count = collect_ports(b, p);

    for (size_t i = 0; i < count; i++) {
        if (p[i].base + p[i].count > 0x10000)
            MISTAKE(p[i].at, "%s (port 0x%" PRIx32 ") reaches beyond port 0xffff; correct its port",
                    p[i].what, p[i].base);
        for (size_t j = 0; j < i; j++) {
            if (ranges_meet(p[i].base, p[i].count, p[j].base, p[j].count)) {
                MISTAKE(p[i].at,
                        "%s (port 0x%" PRIx32 ") overlaps %s (port 0x%" PRIx32 "); correct one of the two",
                        p[i].what, p[i].base, p[j].what, p[j].base);
                break;
            }
        }
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

RULE(pci_addresses_unique)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->pci_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (b->pci[i].bdf == b->pci[j].bdf) {
                MISTAKE(b->pci[i].at,
                        "PCI function %s is described twice (line %ld); remove one or correct its address",
                        b->pci[i].address, b->pci[j].at.line);
                break;
            }
        }
    }
}

static void check_bar(const struct rule *rule, const struct pci_function *f, size_t i)
{
    const struct pci_bar *bar = &f->bars[i];
    u64 smallest = bar->is_io ? 4 : 16; /* PCI 3.0 section 6.2.5.1 */
    unsigned index = bar->index;

    if (index > 5)
        MISTAKE(bar->at, "%s has no BAR %u; BARs are numbered 0 to 5", f->address, index);
    for (size_t j = 0; j < i; j++) {
        if (f->bars[j].index == bar->index) {
            MISTAKE(bar->at, "%s has BAR %u twice (line %ld); correct its index", f->address, index,
                    f->bars[j].at.line);
            break;
        }
    }
    if (bar->size < smallest || (bar->size & (bar->size - 1)) != 0)
        MISTAKE(bar->at,
                "BAR %u of %s has size %s, which is not a power of two of at least %" PRIu64
                "; give the size that the BAR decodes",
                index, f->address, size_text(bar->size), smallest);
    else if (!IS_ALIGNED(bar->base, bar->size))
        MISTAKE(bar->at, "BAR %u of %s at 0x%" PRIx64 " is not aligned to its size %s; correct base or size",
                index, f->address, bar->base, size_text(bar->size));
    else if (bar->is_io ? bar->base > 0xffff : !range_sane(bar->base, bar->size))
        MISTAKE(bar->at, "BAR %u of %s at 0x%" PRIx64 " lies beyond the last %s; correct its base", index,
                f->address, bar->base, bar->is_io ? "port, 0xffff" : "physical address, 2^52");
}

RULE(pci_bars)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->pci_count; i++) {
        for (size_t j = 0; j < b->pci[i].bar_count; j++)
            check_bar(rule, &b->pci[i], j);
    }
}

RULE(pci_bus_in_mcfg)
{
    const struct board *b = &config->board;

    for (size_t i = 0; mcfg_size(&b->mcfg) > 0 && i < b->pci_count; i++) {
        unsigned bus = b->pci[i].bdf >> 8;

        if (bus < b->mcfg.start_bus || bus > b->mcfg.end_bus)
            MISTAKE(b->pci[i].at,
                    "PCI function %s lies on bus %u, which MCFG (buses %u to %u) does not cover; correct the "
                    "address or <mcfg>",
                    b->pci[i].address, bus, (unsigned)b->mcfg.start_bus, (unsigned)b->mcfg.end_bus);
    }
}
