/* AMD's IOMMUs: ACPI table IVRS (AMD I/O Virtualization Technology Specification 3.07, chapter 5). */
#include "inspect.h"

#include <inttypes.h>

#define ENTRIES 48u

/* Blocks (section 5.2): IVHD describes a unit, IVMD memory that functions may reach. */
enum { IVHD_10 = 0x10, IVHD_11 = 0x11, IVMD_ALL = 0x20, IVMD_ONE = 0x21, IVMD_RANGE = 0x22, IVHD_40 = 0x40 };
#define IVHD_10_SIZE 24u
#define IVHD_11_SIZE 40u
#define IVMD_SIZE    32u
#define IVMD_EXCLUDE (1u << 3)

/* Device entries (section 5.2.2.1) */
enum {
    DEV_ALL = 1,
    DEV_SELECT = 2,
    DEV_RANGE = 3,
    DEV_RANGE_END = 4,
    DEV_ALIAS = 0x42,
    DEV_ALIAS_RANGE = 0x43,
    DEV_EXT_SELECT = 0x46,
    DEV_EXT_RANGE = 0x47,
    DEV_ACPI = 0xf0,
};
#define DEV_ACPI_SIZE 22u

/* Bytes of an entry: its two top bits say 4, 8, 16 or 32, but entries for ACPI names end in a text. */
static size_t entry_size(const u8 *p, size_t len)
{
    if (p[0] == DEV_ACPI)
        return len >= DEV_ACPI_SIZE ? DEV_ACPI_SIZE + (size_t)p[DEV_ACPI_SIZE - 1] : len + 1;
    return (size_t)4 << (p[0] >> 6);
}

/* The functions that a unit's device entries name. *all: every one. */
static void read_entries(const u8 *p, size_t len, struct bdf_set *out, bool *all)
{
    bool open = false;
    u16 first = 0;

    while (len >= 4 && entry_size(p, len) <= len) {
        size_t size = entry_size(p, len);
        u16 id = get16(p + 1);

        switch (p[0]) {
        case DEV_ALL:
            *all = true;
            break;
        case DEV_SELECT:
        case DEV_ALIAS:
        case DEV_EXT_SELECT:
            bdf_set_range(out, id, id);
            break;
        case DEV_RANGE:
        case DEV_ALIAS_RANGE:
        case DEV_EXT_RANGE:
            first = id;
            open = true;
            break;
        case DEV_RANGE_END:
            if (open && first <= id)
                bdf_set_range(out, first, id);
            open = false;
            break;
        default: /* padding, I/O APICs, HPETs, ACPI names: no PCI functions */
            break;
        }
        p += size;
        len -= size;
    }
}

static size_t ivhd_header(u8 type)
{
    return type == IVHD_10 ? IVHD_10_SIZE : type == IVHD_11 || type == IVHD_40 ? IVHD_11_SIZE : 0;
}

/* The same unit may be described by blocks of several types, for software of different age: the highest type
 * tells most. */
static bool better_block(const struct table *t, const u8 *block)
{
    for (size_t at = ENTRIES; at + IVHD_10_SIZE <= t->len;) {
        const u8 *e = t->data + at;
        size_t len = get16(e + 2);

        if (len < 4 || len > t->len - at)
            return false;
        if (ivhd_header(e[0]) && len >= ivhd_header(e[0]) && get16(e + 4) == get16(block + 4) &&
            get16(e + 16) == get16(block + 16) && (e[0] > block[0] || (e[0] == block[0] && e < block)))
            return true;
        at += len;
    }
    return false;
}

static void read_ivhd(struct inspection *in, const struct table *t, const u8 *e, size_t len)
{
    size_t header = ivhd_header(e[0]);
    struct board *b = &in->board;
    struct bdf_set *set;
    struct iommu *u;
    bool all = false;

    if (len < header || b->iommu_count == MAX_IOMMUS || better_block(t, e))
        return;
    if (get16(e + 16) != 0) {
        note(in, "IVRS: the unit at 0x%" PRIx64 " belongs to segment %u; it is left out", get64(e + 8),
             get16(e + 16));
        return;
    }
    set = arena_alloc(1, sizeof(*set));
    read_entries(e + header, len - header, set, &all);
    set->bits[get16(e + 4) / 64] &= ~BIT64(get16(e + 4) & 63); /* itself */
    b->iommus = list_grow(b->iommus, b->iommu_count, sizeof(*b->iommus));
    u = &b->iommus[b->iommu_count++];
    *u = (struct iommu){.kind = "amd-vi", .base = get64(e + 8), .all = all};
    u->devices = functions_in(in, set, &u->device_count);
}

static void read_ivmd(struct inspection *in, const u8 *e)
{
    u16 first = get16(e + 4), last = get16(e + 6);
    u64 base = get64(e + 16), size = get64(e + 24);
    struct bdf_set *set;

    if (size == 0 || range_wraps(base, size) || base + size > BIT64(52) ||
        in->board.reserved_count > MAX_IOMMUS) {
        note(in, "IVRS: the IVMD at 0x%" PRIx64 ", 0x%" PRIx64 " bytes, is left out", base, size);
        return;
    }
    set = arena_alloc(1, sizeof(*set));
    if (e[0] == IVMD_ALL)
        bdf_set_range(set, 0, UINT16_MAX);
    else if (e[0] == IVMD_ONE || last >= first)
        bdf_set_range(set, first, e[0] == IVMD_ONE ? first : last);
    add_reserved(in, base, size, e[1] & IVMD_EXCLUDE ? "IVMD exclusion range" : "IVMD", set);
}

void inspect_ivrs(struct inspection *in)
{
    unsigned blocks = 0;
    struct table t;

    if (!acpi_table(in, "IVRS", ENTRIES, &t))
        return;
    for (size_t at = ENTRIES; at + 4 <= t.len && blocks < 4 * MAX_IOMMUS; blocks++) {
        const u8 *e = t.data + at;
        size_t len = get16(e + 2);

        if (len < 4 || len > t.len - at) {
            note(in, "ACPI table IVRS ends in a damaged block");
            break;
        }
        if (ivhd_header(e[0]))
            read_ivhd(in, &t, e, len);
        else if (e[0] >= IVMD_ALL && e[0] <= IVMD_RANGE && len >= IVMD_SIZE)
            read_ivmd(in, e);
        at += len;
    }
}
