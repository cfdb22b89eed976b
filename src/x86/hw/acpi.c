/* Reads RSDP, RSDT or XSDT, MADT, FADT and MCFG (ACPI 6.5 section 5.2). Lengths are not believed beyond what
 * they can be. */
#include <lib/string.h>
#include <arch/cpu.h>
#include "x86/hw/acpi.h"
#include "x86/hw/features.h"
#include "x86/hw/ioapic.h"

struct acpi_facts acpi_facts;

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 ext_checksum;
    u8 reserved[3];
} PACKED;
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.5 table 5.3");

struct table_header {
    char signature[4];
    u32 length;
    u8 revision;
    u8 checksum;
    char oem[6];
    char oem_table[8];
    u32 oem_revision;
    u32 creator;
    u32 creator_revision;
} PACKED;
_Static_assert(sizeof(struct table_header) == 36, "ACPI 6.5 table 5.4");

#define RSDP_V1_LENGTH   20
#define TABLE_MAX_LENGTH MIB(1)
#define MAX_TABLES       256
#define MADT_ENTRIES     44 /* first entry: header, local APIC address, flags */
#define MCFG_ENTRIES     44 /* first entry: header, eight reserved bytes */

/* Physical memory in small pieces, each read bounded by the table's end. */
static bool read_field(u64 table, u32 length, u32 off, void *dst, u32 n)
{
    memset(dst, 0, n);
    if (off > length || n > length - off)
        return false;
    arch_hpa_read(dst, hpa(table + off), n);
    return true;
}

static bool checksum_ok(u64 addr, u32 length)
{
    u8 buf[256], sum = 0;

    for (u32 off = 0; off < length; off += sizeof(buf)) {
        u32 n = MIN((u32)sizeof(buf), length - off);

        arch_hpa_read(buf, hpa(addr + off), n);
        for (u32 i = 0; i < n; i++)
            sum = (u8)(sum + buf[i]);
    }
    return sum == 0;
}

static bool rsdp_at(u64 addr, struct rsdp *out)
{
    memset(out, 0, sizeof(*out));
    if (addr >> hw_features.phys_bits)
        return false;
    arch_hpa_read(out, hpa(addr), RSDP_V1_LENGTH);
    if (memcmp(out->signature, "RSD PTR ", 8) != 0 || !checksum_ok(addr, RSDP_V1_LENGTH))
        return false;
    if (out->revision >= 2) {
        arch_hpa_read(out, hpa(addr), sizeof(*out));
        if (out->length < sizeof(*out) || out->length > PAGE_SIZE || !checksum_ok(addr, out->length))
            return false;
    }
    return true;
}

static bool rsdp_scan(u64 start, u64 end, struct rsdp *out)
{
    char buf[512];

    for (u64 a = start; a < end; a += sizeof(buf)) {
        arch_hpa_read(buf, hpa(a), sizeof(buf));
        for (u32 i = 0; i < sizeof(buf); i += 16) {
            if (buf[i] == 'R' && memcmp(&buf[i], "RSD PTR ", 8) == 0 && rsdp_at(a + i, out))
                return true;
        }
    }
    return false;
}

/* ACPI 6.5 section 5.2.5.1: the first KiB of the EBDA, then the BIOS area. */
static bool rsdp_find(struct rsdp *out)
{
    u16 segment;
    u64 ebda;

    arch_hpa_read(&segment, hpa(0x40e), sizeof(segment));
    ebda = (u64)segment << 4;
    if (ebda >= 0x80000 && ebda < 0xa0000 && rsdp_scan(ebda, ebda + 1024, out))
        return true;
    return rsdp_scan(0xe0000, 0x100000, out);
}

/* ---- MADT (ACPI 6.5 section 5.2.12) ---- */

static void add_cpu(u32 apic_id, u32 flags)
{
    if (!(flags & 1)) /* not enabled; "online capable" is for hot-plug */
        return;
    if (acpi_facts.cpu_count < ACPI_MAX_CPUS)
        acpi_facts.apic_ids[acpi_facts.cpu_count] = apic_id;
    acpi_facts.cpu_count++;
}

static u32 le32(const u8 *p)
{
    u32 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static void madt_entry(const u8 *e, u32 len)
{
    switch (e[0]) {
    case 0: /* processor local APIC */
        if (len >= 8)
            add_cpu(e[3], le32(e + 4));
        break;
    case 1: /* IOAPIC */
        if (len >= 12 && acpi_facts.ioapic_count < ACPI_MAX_IOAPICS)
            acpi_facts.ioapics[acpi_facts.ioapic_count++] =
                (struct acpi_ioapic){e[2], le32(e + 4), le32(e + 8)};
        break;
    case 2: /* interrupt source override */
        if (len >= 10 && e[2] == 0 && e[3] < ACPI_ISA_IRQS) {
            acpi_facts.isa_gsi[e[3]] = le32(e + 4);
            acpi_facts.isa_flags[e[3]] = (u16)(e[8] | e[9] << 8);
        }
        break;
    case 9: /* processor local x2APIC */
        if (len >= 16)
            add_cpu(le32(e + 4), le32(e + 8));
        break;
    default:
        break;
    }
}

static void parse_madt(u64 table, u32 length)
{
    u8 e[16];
    u32 off = MADT_ENTRIES;

    while (read_field(table, length, off, e, 2) && e[1] >= 2) {
        u32 len = e[1];

        if (!read_field(table, length, off, e, MIN(len, (u32)sizeof(e))))
            return;
        madt_entry(e, len);
        off += len;
    }
}

/* ACPI 6.5 table 5.9: fixed offsets. */
static void parse_fadt(u64 table, u32 length)
{
    read_field(table, length, 64, &acpi_facts.pm1a_cnt_port, 4);
    read_field(table, length, 76, &acpi_facts.pm_timer_port, 4);
}

/* PCI Firmware Specification 3.3 table 4-3. */
static void parse_mcfg(u64 table, u32 length)
{
    u8 e[16];

    for (u32 off = MCFG_ENTRIES; read_field(table, length, off, e, sizeof(e)); off += sizeof(e)) {
        if (e[8] || e[9])
            continue; /* another segment */
        acpi_facts.mcfg_base = (u64)le32(e + 4) << 32 | le32(e);
        acpi_facts.mcfg_start_bus = e[10];
        acpi_facts.mcfg_end_bus = e[11];
        return;
    }
}

static const struct {
    char signature[5];
    void (*parse)(u64 table, u32 length);
} parsers[] = {{"APIC", parse_madt}, {"FACP", parse_fadt}, {"MCFG", parse_mcfg}};

/* Reads and checks a table's header; 0 when it is not believable. */
static u32 table_length(u64 addr, struct table_header *h)
{
    memset(h, 0, sizeof(*h));
    if (addr >> hw_features.phys_bits)
        return 0;
    arch_hpa_read(h, hpa(addr), sizeof(*h));
    return h->length >= sizeof(*h) && h->length <= TABLE_MAX_LENGTH ? h->length : 0;
}

static void note_table(const struct table_header *h, u64 addr, u32 length)
{
    struct acpi_table *t = &acpi_facts.tables[acpi_facts.table_count];

    if (length == 0 || acpi_facts.table_count == ACPI_MAX_TABLES)
        return;
    memcpy(t->signature, h->signature, sizeof(t->signature));
    t->length = length;
    t->address = addr;
    acpi_facts.table_count++;
}

static const char *parse_table(u64 addr)
{
    struct table_header h;
    u32 length = table_length(addr, &h);

    if (CFG_SERVICE)
        note_table(&h, addr, length);
    for (u32 i = 0; i < ARRAY_SIZE(parsers); i++) {
        if (memcmp(h.signature, parsers[i].signature, 4) != 0)
            continue;
        if (length == 0 || !checksum_ok(addr, length))
            return "an ACPI table has a wrong length or checksum";
        parsers[i].parse(addr, length);
    }
    return NULL;
}

const char *acpi_init(u64 rsdp_addr)
{
    struct rsdp rsdp;
    struct table_header h;
    bool wide;
    u64 root;
    u32 length, width;

    for (u32 i = 0; i < ACPI_ISA_IRQS; i++)
        acpi_facts.isa_gsi[i] = i;
    if (rsdp_addr ? !rsdp_at(rsdp_addr, &rsdp) : !rsdp_find(&rsdp))
        return "no ACPI tables found (RSDP)";
    wide = rsdp.revision >= 2 && rsdp.xsdt != 0;
    root = wide ? rsdp.xsdt : rsdp.rsdt;
    width = wide ? 8 : 4;
    length = table_length(root, &h);
    if (length == 0 || memcmp(h.signature, wide ? "XSDT" : "RSDT", 4) != 0 || !checksum_ok(root, length))
        return "the ACPI root table (RSDT or XSDT) is damaged";
    for (u32 i = 0, off = sizeof(h); i < MAX_TABLES && off + width <= length; i++, off += width) {
        u64 addr = 0;
        const char *err;

        arch_hpa_read(&addr, hpa(root + off), width);
        if (addr == 0)
            continue;
        err = parse_table(addr);
        if (err)
            return err;
    }
    return acpi_facts.cpu_count ? NULL : "ACPI lists no processors (MADT)";
}

u32 acpi_gsi_flags(u32 gsi)
{
    for (u32 irq = 0; irq < ACPI_ISA_IRQS; irq++) {
        u32 flags = 0;

        if (acpi_facts.isa_gsi[irq] != gsi)
            continue;
        if ((acpi_facts.isa_flags[irq] & 3) == 3)
            flags |= IOAPIC_LOW;
        if ((acpi_facts.isa_flags[irq] >> 2 & 3) == 3)
            flags |= IOAPIC_LEVEL;
        return flags;
    }
    return gsi < ACPI_ISA_IRQS ? 0 : IOAPIC_LEVEL | IOAPIC_LOW;
}
