/*
 * What the service VM gets of the host's ACPI tables. Most stay where they are. The MADT is rebuilt for its
 * CPUs, the FADT loses the SMI port, and what describes CPUs, memory, IOMMUs, timers or consoles that are not
 * the service VM's is left out (ACPI specification 6.4, 5.2).
 */
#include <arch/cpu.h>
#include <core/vm.h>
#include <lib/atomic.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/guest/firmware.h"
#include "x86/guest/host_acpi.h"
#include "x86/hw/acpi.h"
#include "x86/hw/ports.h"

#define HEADER_SIZE  36u
#define FADT_MAX     512u
#define MADT_ENTRIES 44u

/* Offsets in the FADT (table 5-33). */
enum {
    FADT_FACS = 36,
    FADT_DSDT = 40,
    FADT_SMI_CMD = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_ACPI_DISABLE = 53,
    FADT_S4BIOS = 54,
    FADT_PSTATE = 55,
    FADT_CST = 95,
    FADT_X_FACS = 132,
    FADT_X_DSDT = 140,
};

/* Tables not to be shown; DMAR and IVRS are looked into for the IOMMUs' registers. */
static const char hidden[][5] = {
    "HPET", "DMAR", "IVRS", "SRAT", "SLIT", "HMAT", "MSCT", "PMTT", "TPM2", "TCPA", "DBG2", "SPCR", "WDAT",
    "WDRT", "BERT", "EINJ", "ERST", "HEST", "NFIT", "PCCT", "DRTM", "XENV", "VIOT", "CEDT", "LPIT", "ASF!",
};

#define RANGES 16

/* Our own tables, in one piece. */
#define BLOB_RSDP 0u
#define BLOB_XSDT 64u
#define BLOB_RSDT 832u
#define BLOB_FADT 1280u
#define BLOB_MADT (BLOB_FADT + FADT_MAX)
#define BLOB_SIZE (BLOB_MADT + 512u + CFG_PCPUS * 16u)
_Static_assert(BLOB_XSDT + HEADER_SIZE + (ACPI_MAX_TABLES + 2) * 8 <= BLOB_RSDT &&
                   BLOB_RSDT + HEADER_SIZE + (ACPI_MAX_TABLES + 2) * 4 <= BLOB_FADT,
               "room for every table");

static struct {
    u8 blob[BLOB_SIZE];
    u64 rsdp;
    u32 smi_port;
    struct cfg_range facs;
    u32 shown_count;
    struct cfg_range shown[ACPI_MAX_TABLES + 1];
    u32 hidden_count;
    struct cfg_range hidden[RANGES];
} host;

static u64 read_le(u64 addr, u32 n)
{
    u64 v = 0;

    arch_hpa_read(&v, hpa(addr), n);
    return v;
}

static bool is(const struct acpi_table *t, const char *signature)
{
    return memcmp(t->signature, signature, 4) == 0;
}

static void hide_range(u64 base, u64 size)
{
    if (host.hidden_count < RANGES && base)
        host.hidden[host.hidden_count++] = (struct cfg_range){base & ~PAGE_MASK, size};
}

/* ---- what must not be shown ---- */

/* DRHD structures (VT-d specification 4.1, 8.3): 4 KiB of registers each. */
static void note_dmar(const struct acpi_table *t)
{
    for (u32 off = 48; off + 16 <= t->length;) {
        u32 type = (u32)read_le(t->address + off, 2), len = (u32)read_le(t->address + off + 2, 2);

        if (len < 4)
            return;
        if (type == 0)
            hide_range(read_le(t->address + off + 8, 8), PAGE_SIZE);
        off += len;
    }
}

/* IVHD blocks (AMD I/O Virtualization specification 3.0, 5.2.2): up to 512 KiB of registers each. */
static void note_ivrs(const struct acpi_table *t)
{
    for (u32 off = 48; off + 16 <= t->length;) {
        u32 type = (u32)read_le(t->address + off, 1), len = (u32)read_le(t->address + off + 2, 2);
        u64 base = read_le(t->address + off + 8, 8);

        if (len < 4)
            return;
        if (type == 0x10 || type == 0x11 || type == 0x40)
            hide_range(base, IS_ALIGNED(base, KIB(512)) ? KIB(512) : KIB(16));
        off += len;
    }
}

static void note_hidden(const struct acpi_table *t)
{
    if (is(t, "DMAR"))
        note_dmar(t);
    else if (is(t, "IVRS"))
        note_ivrs(t);
    else if (is(t, "HPET") && t->length >= 56)
        hide_range(read_le(t->address + 44, 8), PAGE_SIZE);
}

static bool is_hidden(const struct acpi_table *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
        if (is(t, hidden[i]))
            return true;
    /* Configuration space that the board does not name is not served. */
    return is(t, "MCFG") && cfg_board.mcfg_base == 0;
}

/* Tables in memory that is somebody's RAM would be written over. */
static bool in_ram(u64 base, u64 size)
{
    for (u32 i = 0; i < cfg_board.ram_count; i++) {
        const struct cfg_range *r = &cfg_board.ram[i];

        if (base < r->base + r->size && r->base < base + size)
            return true;
    }
    return false;
}

static bool show(const char *what, u64 base, u64 size)
{
    if (in_ram(base, size)) {
        log_warn("acpi: table %.4s at 0x%llx lies in RAM of board '%s', hidden from the service VM", what,
                 (unsigned long long)base, cfg_board.name);
        return false;
    }
    host.shown[host.shown_count++] = (struct cfg_range){base, size};
    return true;
}

/* ---- tables that are rebuilt ---- */

static bool own_cpu(const struct vm *vm, u32 apic_id)
{
    for (u32 i = 0; i < vm->cfg->vcpu_count; i++)
        if (vm->vcpus[i].apic_id == apic_id)
            return true;
    return false;
}

/* Whether the entry of the host's MADT stays (table 5-45). uids: ACPI ids of the CPUs that stayed. */
static bool keep_entry(const struct vm *vm, const u8 *e, u64 uids[4])
{
    u32 word;

    switch (e[0]) {
    case 0: /* local APIC */
        if (!own_cpu(vm, e[3]) || !(e[4] & 1))
            return false;
        uids[e[2] / 64] |= BIT64(e[2] % 64);
        return true;
    case 1: /* IOAPIC */
        memcpy(&word, e + 4, sizeof(word));
        return e[2] == cfg_board.ioapics[0].id && word == (u32)cfg_board.ioapics[0].base;
    case 2: /* interrupt source override */
        return true;
    case 4: /* local APIC NMI */
        return e[2] == 0xff || (uids[e[2] / 64] >> (e[2] % 64) & 1);
    case 9: /* local x2APIC */
        memcpy(&word, e + 4, sizeof(word));
        return own_cpu(vm, word) && (e[8] & 1);
    case 10: /* local x2APIC NMI */
        memcpy(&word, e + 4, sizeof(word));
        return word == ~0u;
    default:
        return false;
    }
}

static void rebuild_madt(const struct vm *vm, const struct acpi_table *t, struct acpi_buf *b)
{
    u64 uids[4] = {0, 0, 0, 0};
    u8 e[16];

    acpi_begin(b, "APIC", 3);
    acpi_put32(b, 0xfee00000);
    acpi_put32(b, 1); /* PCAT_COMPAT: 8259s as well */
    for (u32 off = MADT_ENTRIES, len; off + 2 <= t->length; off += len) {
        len = (u32)read_le(t->address + off + 1, 1);
        if (len < 2 || len > t->length - off)
            break;
        memset(e, 0, sizeof(e));
        arch_hpa_read(e, hpa(t->address + off), MIN(len, (u32)sizeof(e)));
        if (len <= sizeof(e) && keep_entry(vm, e, uids))
            acpi_put(b, e, len);
    }
    acpi_end(b);
}

static u64 fadt_pointer(const u8 *fadt, u32 len, u32 wide, u32 narrow)
{
    u64 v = 0;

    if (len >= wide + 8)
        memcpy(&v, fadt + wide, 8);
    if (v == 0)
        memcpy(&v, fadt + narrow, 4);
    return v;
}

/* ACPI 6.4 4.8.2.2: the firmware sets SCI_EN, bit 0 of PM1 control. */
static void enter_acpi_mode(u8 command)
{
    const u16 pm1 = cfg_board.pm1a_cnt_port;

    if (!pm1 || (port_in(pm1, 2) & 1))
        return;
    port_out((u16)host.smi_port, 1, command);
    for (u32 i = 0; i < 100000 && !(port_in(pm1, 2) & 1); i++)
        cpu_relax();
}

/* Copies the FADT without what would raise SMIs; notes what it points to. */
static void rebuild_fadt(const struct acpi_table *t, struct acpi_buf *b)
{
    u8 *f = b->data;
    u32 len = MIN(t->length, b->cap);
    u64 dsdt, facs;

    if (len < 116) /* ACPI 1.0's */
        return;
    arch_hpa_read(f, hpa(t->address), len);
    b->len = len;
    dsdt = fadt_pointer(f, len, FADT_X_DSDT, FADT_DSDT);
    facs = fadt_pointer(f, len, FADT_X_FACS, FADT_FACS);
    memcpy(&host.smi_port, f + FADT_SMI_CMD, sizeof(host.smi_port));
    if (host.smi_port && f[FADT_ACPI_ENABLE])
        enter_acpi_mode(f[FADT_ACPI_ENABLE]);
    memset(f + FADT_SMI_CMD, 0, 4);
    f[FADT_ACPI_ENABLE] = f[FADT_ACPI_DISABLE] = f[FADT_S4BIOS] = f[FADT_PSTATE] = f[FADT_CST] = 0;
    if (facs)
        host.facs = (struct cfg_range){facs, MAX(read_le(facs + 4, 4), (u64)64)};
    if (dsdt && !show("DSDT", dsdt, MAX(read_le(dsdt + 4, 4), (u64)HEADER_SIZE)))
        log_err("acpi: without its DSDT the service VM will not find its devices");
    acpi_end(b);
}

/* ---- the whole ---- */

/*
 * Where in the BIOS area our tables go: the first place of one value only, zeros or ones, which nobody can
 * have a use for; the start of the area when there is none.
 */
static u64 find_room(u64 size)
{
    u64 start = HOST_ACPI_BIOS_BASE, run = 0;
    u8 line[16], first = 0;

    for (u64 a = start; a < HOST_ACPI_BIOS_BASE + HOST_ACPI_BIOS_SIZE; a += sizeof(line)) {
        bool same = true;

        arch_hpa_read(line, hpa(a), sizeof(line));
        for (unsigned i = 1; i < sizeof(line); i++)
            same = same && line[i] == line[0];
        same = same && (line[0] == 0 || line[0] == 0xff);
        if (!same || (run && line[0] != first))
            run = 0;
        if (same) {
            first = line[0];
            run += sizeof(line);
        }
        if (run >= size)
            return a + sizeof(line) - run;
    }
    return start;
}

static struct acpi_buf piece(u32 off, u32 room)
{
    return (struct acpi_buf){.data = host.blob + off, .cap = room};
}

/* RSDP, RSDT, XSDT. */
static void build_roots(u64 fadt, u64 madt, const struct acpi_buf *x, const struct acpi_buf *r)
{
    struct acpi_buf xsdt = *x, rsdt = *r, rsdp = piece(BLOB_RSDP, BLOB_XSDT - BLOB_RSDP);
    const u64 own[2] = {fadt, madt};

    acpi_begin(&xsdt, "XSDT", 1);
    acpi_begin(&rsdt, "RSDT", 1);
    for (unsigned i = 0; i < 2; i++) {
        acpi_put(&xsdt, &own[i], sizeof(own[i]));
        acpi_put32(&rsdt, (u32)own[i]);
    }
    for (u32 i = 0; i < acpi_facts.table_count; i++) {
        const struct acpi_table *t = &acpi_facts.tables[i];

        if (is(t, "APIC") || is(t, "FACP") || is_hidden(t) || !show(t->signature, t->address, t->length))
            continue;
        acpi_put(&xsdt, &t->address, sizeof(t->address));
        if (t->address >> 32 == 0)
            acpi_put32(&rsdt, (u32)t->address);
    }
    acpi_end(&xsdt);
    acpi_end(&rsdt);
    acpi_build_root_pointer(&rsdp, (u32)(host.rsdp + BLOB_RSDT), host.rsdp + BLOB_XSDT);
}

void host_acpi_init(const struct vm *vm)
{
    struct acpi_buf fadt = piece(BLOB_FADT, FADT_MAX), madt = piece(BLOB_MADT, BLOB_SIZE - BLOB_MADT);
    struct acpi_buf xsdt = piece(BLOB_XSDT, BLOB_RSDT - BLOB_XSDT);
    struct acpi_buf rsdt = piece(BLOB_RSDT, BLOB_FADT - BLOB_RSDT);

    memset(&host, 0, sizeof(host));
    host.rsdp = find_room(BLOB_SIZE);
    for (u32 i = 0; i < acpi_facts.table_count; i++) {
        const struct acpi_table *t = &acpi_facts.tables[i];

        note_hidden(t);
        if (is(t, "APIC") && madt.len == 0)
            rebuild_madt(vm, t, &madt);
        else if (is(t, "FACP") && fadt.len == 0)
            rebuild_fadt(t, &fadt);
    }
    if (madt.overflow || madt.len == 0 || fadt.len == 0)
        log_err("acpi: the host's MADT or FADT cannot be given to the service VM");
    build_roots(host.rsdp + BLOB_FADT, host.rsdp + BLOB_MADT, &xsdt, &rsdt);
}

/* The host's own RSDP and MP floating pointer must not be found in the copy. Both stand on 16-byte boundaries
 * (ACPI 6.4 5.2.5.1; MP specification 1.4 section 4). */
static void wipe_pointers(hpa_t to)
{
    static const u8 nothing[8] = {0};
    u8 line[16];

    for (u64 off = 0; off < HOST_ACPI_BIOS_SIZE; off += sizeof(line)) {
        arch_hpa_read(line, hpa_add(to, off), sizeof(line));
        if (memcmp(line, "RSD PTR ", 8) == 0 || memcmp(line, "_MP_", 4) == 0)
            arch_hpa_write(hpa_add(to, off), nothing, sizeof(nothing));
    }
}

void host_acpi_build(hpa_t to)
{
    arch_hpa_copy(to, hpa(HOST_ACPI_BIOS_BASE), HOST_ACPI_BIOS_SIZE);
    wipe_pointers(to);
    arch_hpa_write(hpa_add(to, host.rsdp - HOST_ACPI_BIOS_BASE), host.blob, sizeof(host.blob));
}

u64 host_acpi_rsdp(void)
{
    return host.rsdp;
}

u16 host_acpi_smi_port(void)
{
    return (u16)host.smi_port;
}

bool host_acpi_table(unsigned i, struct cfg_range *out)
{
    if (i >= host.shown_count)
        return false;
    *out = host.shown[i];
    return true;
}

void host_acpi_facs(struct cfg_range *out)
{
    *out = host.facs;
}

bool host_acpi_hidden(unsigned i, struct cfg_range *out)
{
    if (i >= host.hidden_count)
        return false;
    *out = host.hidden[i];
    return true;
}
