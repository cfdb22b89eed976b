/* ACPI tables of fixed form: MADT, MCFG, FADT, SRAT (ACPI 6.5 chapter 5.2, PCI Firmware 3.3 section 4.1.2).
 */
#include "inspect.h"

#include <inttypes.h>
#include <string.h>

#define HEADER 36u /* of every table (ACPI 6.5 table 5.4) */

bool acpi_table(struct inspection *in, const char *signature, size_t least, struct table *out)
{
    const struct file *f = collection_findf(in->files, "sys/firmware/acpi/tables/%s", signature);
    u8 sum = 0;
    u32 len;

    if (!f)
        return false;
    if (f->len < HEADER || memcmp(f->data, signature, 4) != 0 ||
        (len = get32(f->data + 4)) < MAX(least, HEADER) || len > f->len) {
        note(in, "ACPI table %s is damaged (%zu bytes): it is not used", signature, f->len);
        return false;
    }
    *out = (struct table){(const u8 *)f->data, len};
    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + out->data[i]);
    if (sum != 0)
        note(in, "the checksum of ACPI table %s is wrong; it is used as it is", signature);
    return true;
}

/* MADT (ACPI 6.5 section 5.2.12) */
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5, MADT_X2APIC = 9 };
#define MADT_ENTRIES 44u
#define CPU_ENABLED  BIT32(0)

/* The next entry of a list of (type u8, length u8) structures that is of one type and has at least `least`
 * bytes; NULL at the end. *at: where to look, 0 at first. */
static const u8 *madt_next(const struct table *t, size_t *at, u8 type, size_t least)
{
    if (*at == 0)
        *at = MADT_ENTRIES;
    while (*at + 2 <= t->len) {
        const u8 *e = t->data + *at;

        if (e[1] < 2 || e[1] > t->len - *at)
            return NULL;
        *at += e[1];
        if (e[0] == type && e[1] >= least)
            return e;
    }
    return NULL;
}

static void add_core(struct inspection *in, u32 apic_id)
{
    struct board *b = &in->board;

    for (size_t i = 0; i < b->core_count; i++) {
        if (b->cores[i].apic_id == apic_id)
            return; /* listed as LAPIC and as x2APIC */
    }
    if (b->core_count == MAX_PCPUS) {
        note(in, "the machine has more than %d CPUs; the board file has the first %d", MAX_PCPUS, MAX_PCPUS);
        return;
    }
    b->cores = list_grow(b->cores, b->core_count, sizeof(*b->cores));
    b->cores[b->core_count++].apic_id = apic_id;
}

static void madt_cores(struct inspection *in, const struct table *t)
{
    const u8 *e;

    for (size_t at = 0; (e = madt_next(t, &at, MADT_LAPIC, 8));) {
        if ((get32(e + 4) & CPU_ENABLED) && e[3] != 0xff)
            add_core(in, e[3]);
    }
    for (size_t at = 0; (e = madt_next(t, &at, MADT_X2APIC, 16));) {
        if (get32(e + 8) & CPU_ENABLED)
            add_core(in, get32(e + 4));
    }
}

/* "IOAPIC[0]: apic_id 0, version 32, address 0xfec00000, GSI 0-23" of the kernel's log; 0: not there. */
static u64 pins_by_log(const struct inspection *in, u64 base, u32 gsi_base)
{
    const struct file *log = collection_find(in->files, "kernel-log");
    char line[256];

    for (const char *at = NULL; log && (at = file_line(log, line, sizeof(line), at));) {
        const char *address = strstr(line, "address 0x"), *gsi = strstr(line, "GSI ");
        u64 a, first, last;

        if (!address || !gsi)
            continue;
        address += strlen("address ");
        gsi += strlen("GSI ");
        if (read_hex(&address, &a) && a == base && read_decimal(&gsi, &first) && first == gsi_base &&
            *gsi++ == '-' && read_decimal(&gsi, &last) && last >= first && last - first < 240)
            return last - first + 1;
    }
    return 0;
}

/* The count of pins stands only in the chip's own version register, which nobody can read beside a running
 * kernel. */
static void ioapic_pins(struct inspection *in)
{
    struct board *b = &in->board;

    for (size_t i = 0; i < b->ioapic_count; i++) {
        struct ioapic *io = &b->ioapics[i];
        u64 pins = pins_by_log(in, io->base, io->gsi_base);
        u32 next = UINT32_MAX;

        for (size_t j = 0; j < b->ioapic_count && pins == 0; j++) {
            if (b->ioapics[j].gsi_base > io->gsi_base)
                next = MIN(next, b->ioapics[j].gsi_base);
        }
        if (pins == 0) {
            pins = next - io->gsi_base < 240 ? next - io->gsi_base : 24;
            note(in,
                 "pins of IOAPIC %u are not known (the kernel's log has lost its IOAPIC lines); %s: %" PRIu64,
                 io->id, next - io->gsi_base < 240 ? "up to the next IOAPIC's first GSI" : "guessed", pins);
        }
        io->pins = (u8)pins;
    }
}

void inspect_madt(struct inspection *in)
{
    struct board *b = &in->board;
    struct table t;
    const u8 *e;

    if (!acpi_table(in, "APIC", MADT_ENTRIES, &t)) {
        lack(in, "no usable ACPI table APIC (MADT): the machine's CPUs and I/O APICs are not known");
        return;
    }
    b->lapic_base = get32(t.data + HEADER);
    for (size_t at = 0; (e = madt_next(&t, &at, MADT_LAPIC_ADDRESS, 12));)
        b->lapic_base = get64(e + 4);
    madt_cores(in, &t);
    for (size_t at = 0; (e = madt_next(&t, &at, MADT_IOAPIC, 12)) && b->ioapic_count < 64;) {
        b->ioapics = list_grow(b->ioapics, b->ioapic_count, sizeof(*b->ioapics));
        b->ioapics[b->ioapic_count++] =
            (struct ioapic){.id = e[2], .base = get32(e + 4), .gsi_base = get32(e + 8)};
    }
    ioapic_pins(in);
    if (b->core_count == 0)
        lack(in, "the MADT names no CPU that is enabled");
    if (b->ioapic_count == 0)
        lack(in, "the MADT names no I/O APIC, and Bulkhead does without the old PICs");
}

u32 gsi_of_isa(struct inspection *in, u64 irq)
{
    struct table t;
    const u8 *e;

    if (irq < 16 && acpi_table(in, "APIC", MADT_ENTRIES, &t)) {
        for (size_t at = 0; (e = madt_next(&t, &at, MADT_OVERRIDE, 10));) {
            if (e[3] == irq)
                return get32(e + 4);
        }
    }
    return (u32)irq;
}

#define MCFG_ENTRIES 44u
#define MCFG_ENTRY   16u

static void inspect_mcfg(struct inspection *in)
{
    struct mcfg *m = &in->board.mcfg;
    struct table t;

    if (!acpi_table(in, "MCFG", MCFG_ENTRIES, &t)) {
        note(in, "there is no MCFG: PCI configuration space is reached by ports 0xcf8 and 0xcfc alone");
        return;
    }
    for (size_t at = MCFG_ENTRIES; at + MCFG_ENTRY <= t.len; at += MCFG_ENTRY) {
        const u8 *e = t.data + at;

        if (get16(e + 8) != 0 || m->present) {
            note(in,
                 "MCFG: segment %u, buses %u to %u is left out; a board file holds one range, of segment 0",
                 get16(e + 8), e[10], e[11]);
            continue;
        }
        *m = (struct mcfg){.present = true, .base = get64(e), .start_bus = e[10], .end_bus = e[11]};
    }
}

/* FADT (ACPI 6.5 section 5.2.9): offsets and flags. */
enum {
    FADT_PM1A_CNT = 64,
    FADT_PM_TMR = 76,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_PM1A_CNT = 172,
    FADT_X_PM_TMR = 208,
};
#define FADT_REV1     116u
#define RESET_REG_SUP BIT32(10)
#define HW_REDUCED    BIT32(20)
#define GAS           12u /* space, width, offset, access, address (ACPI 6.5 table 5.1) */
#define GAS_IO        1u

/* A register block's port: by its generic address when it has one, else by its 32-bit field; 0: there is
 * none. */
static u16 fadt_port(struct inspection *in, const struct table *t, const char *what, size_t field,
                     size_t extended)
{
    u64 address = get32(t->data + field);

    if (extended + GAS <= t->len && get64(t->data + extended + 4) != 0) {
        address = get64(t->data + extended + 4);
        if (t->data[extended] != GAS_IO) {
            note(in, "FADT: the %s is not at a port (address space %u); written as 0, there is none", what,
                 t->data[extended]);
            return 0;
        }
    }
    if (address > UINT16_MAX) {
        note(in, "FADT: the port of the %s, 0x%" PRIx64 ", is none; written as 0", what, address);
        return 0;
    }
    if (address == 0)
        note(in, "FADT: there is no %s", what);
    return (u16)address;
}

static void fadt_reset(struct inspection *in, const struct table *t)
{
    struct acpi_regs *a = &in->board.acpi;
    const u8 *gas = t->data + FADT_RESET_REG;

    if (t->len < FADT_RESET_VALUE + 1 || !(get32(t->data + FADT_FLAGS) & RESET_REG_SUP)) {
        note(in, "FADT: there is no reset register; the hypervisor resets by a triple fault");
        return;
    }
    if (gas[0] != GAS_IO || get64(gas + 4) > UINT16_MAX) {
        note(in,
             "FADT: the reset register is not at a port (address space %u, address 0x%" PRIx64
             "); written as 0",
             gas[0], get64(gas + 4));
        return;
    }
    a->reset_port = (u16)get64(gas + 4);
    a->reset_value = t->data[FADT_RESET_VALUE];
}

static void inspect_fadt(struct inspection *in)
{
    struct acpi_regs *a = &in->board.acpi;
    struct table t;

    if (!acpi_table(in, "FACP", FADT_REV1, &t)) {
        note(in, "there is no usable ACPI table FACP (FADT): ports of PM timer, switch-off and reset are "
                 "written as 0");
        return;
    }
    if (get32(t.data + FADT_FLAGS) & HW_REDUCED)
        note(in, "FADT: the machine is hardware-reduced ACPI; it has no fixed registers");
    a->pm_timer_port = fadt_port(in, &t, "PM timer", FADT_PM_TMR, FADT_X_PM_TMR);
    a->pm1a_cnt_port = fadt_port(in, &t, "PM1a control register", FADT_PM1A_CNT, FADT_X_PM1A_CNT);
    fadt_reset(in, &t);
}

/* SRAT (ACPI 6.5 section 5.2.16): memory affinity structures. */
#define SRAT_ENTRIES  48u
#define SRAT_MEMORY   1u
#define SRAT_ENABLED  BIT32(0)
#define SRAT_HOT_PLUG BIT32(1)

static void inspect_srat(struct inspection *in)
{
    u32 first = 0;
    bool any = false, several = false;
    struct table t;

    if (!acpi_table(in, "SRAT", SRAT_ENTRIES, &t))
        return;
    for (size_t at = SRAT_ENTRIES; at + 2 <= t.len && t.data[at + 1] >= 2 && t.data[at + 1] <= t.len - at;
         at += t.data[at + 1]) {
        const u8 *e = t.data + at;
        u32 flags = e[1] >= 40 ? get32(e + 28) : 0;

        if (e[0] != SRAT_MEMORY || !(flags & SRAT_ENABLED))
            continue;
        if (flags & SRAT_HOT_PLUG)
            note(in,
                 "SRAT: memory at 0x%" PRIx64 ", 0x%" PRIx64
                 " bytes, can be plugged and unplugged; leave it as it is",
                 get64(e + 8), get64(e + 16));
        several |= any && get32(e + 2) != first;
        first = get32(e + 2);
        any = true;
    }
    if (several)
        note(in, "SRAT: memory and CPUs belong to several nodes; a board file does not say which, so give "
                 "VMs memory by base");
}

void inspect_tables(struct inspection *in)
{
    inspect_mcfg(in);
    inspect_fadt(in);
    inspect_srat(in);
}
