/* Intel's DMA remapping units: ACPI table DMAR (VT-d 4.1 chapter 8). */
#include "inspect.h"

#include <inttypes.h>

#define ENTRIES 48u

enum { DRHD = 0, RMRR = 1 };
#define DRHD_SCOPES 16u
#define RMRR_SCOPES 24u
#define INCLUDE_ALL (1u << 0)

/* Device scope structure (section 8.3.1) */
enum { SCOPE_ENDPOINT = 1, SCOPE_BRIDGE = 2 };
#define SCOPE_PATH 6u

static const struct pci_detail *detail(const struct inspection *in, u16 bdf)
{
    const struct pci_function *f = pci_find(&in->board, bdf);

    return f ? &in->pci[f - in->board.pci] : NULL;
}

/* The path leads from the start bus through bridges: each step but the last names one, whose secondary bus
 * the next step is on. False: there is no such bridge. */
static bool follow(const struct inspection *in, const u8 *scope, u16 *bdf)
{
    u8 bus = scope[5];
    size_t steps = (scope[1] - SCOPE_PATH) / 2;

    for (size_t i = 0; i < steps; i++) {
        const u8 *step = scope + SCOPE_PATH + 2 * i;
        const struct pci_detail *d;

        if (step[0] > 0x1f || step[1] > 7)
            return false;
        *bdf = BDF_MAKE(bus, step[0], step[1]);
        if (i + 1 == steps)
            return true;
        d = detail(in, *bdf);
        if (!d || !d->bridge)
            return false;
        bus = d->secondary;
    }
    return false;
}

/* The functions that a list of scopes names: endpoints, and bridges with all that is behind them. */
static void read_scopes(struct inspection *in, const char *what, const u8 *p, size_t len, struct bdf_set *out)
{
    while (len >= SCOPE_PATH && p[1] >= SCOPE_PATH && p[1] <= len) {
        u16 bdf;

        if (p[0] == SCOPE_ENDPOINT || p[0] == SCOPE_BRIDGE) {
            if (!follow(in, p, &bdf)) {
                note(in, "DMAR: a path of the %s does not lead to a function that is there; it is left out",
                     what);
            } else {
                const struct pci_detail *d = detail(in, bdf);

                bdf_set_range(out, bdf, bdf);
                if (p[0] == SCOPE_BRIDGE && d && d->bridge && d->secondary <= d->subordinate)
                    bdf_set_range(out, BDF_MAKE(d->secondary, 0, 0), BDF_MAKE(d->subordinate, 0x1f, 7));
                if (!d)
                    note(in, "DMAR: the %s names %s, which is not there (hidden by the firmware?)", what,
                         bdf_name(bdf));
            }
        }
        len -= p[1];
        p += p[1];
    }
}

static void read_drhd(struct inspection *in, const u8 *e, size_t len)
{
    struct board *b = &in->board;
    struct bdf_set *set;
    struct iommu *u;

    if (b->iommu_count == MAX_IOMMUS)
        return;
    if (get16(e + 6) != 0) {
        note(in, "DMAR: the unit at 0x%" PRIx64 " belongs to segment %u; it is left out", get64(e + 8),
             get16(e + 6));
        return;
    }
    set = arena_alloc(1, sizeof(*set));
    read_scopes(in, arena_printf("unit at 0x%" PRIx64, get64(e + 8)), e + DRHD_SCOPES, len - DRHD_SCOPES,
                set);
    b->iommus = list_grow(b->iommus, b->iommu_count, sizeof(*b->iommus));
    u = &b->iommus[b->iommu_count++];
    *u = (struct iommu){.kind = "vtd", .base = get64(e + 8), .all = (e[4] & INCLUDE_ALL) != 0};
    u->devices = functions_in(in, set, &u->device_count);
}

static void read_rmrr(struct inspection *in, const u8 *e, size_t len)
{
    u64 base = get64(e + 8), limit = get64(e + 16);
    struct bdf_set *set;

    if (get16(e + 6) != 0 || limit < base || limit >= BIT64(52) || in->board.reserved_count > MAX_IOMMUS) {
        note(in, "DMAR: the RMRR 0x%" PRIx64 " to 0x%" PRIx64 " of segment %u is left out", base, limit,
             get16(e + 6));
        return;
    }
    set = arena_alloc(1, sizeof(*set));
    read_scopes(in, arena_printf("RMRR at 0x%" PRIx64, base), e + RMRR_SCOPES, len - RMRR_SCOPES, set);
    add_reserved(in, base, limit - base + 1, "RMRR", set);
}

void inspect_dmar(struct inspection *in)
{
    struct table t;

    if (!acpi_table(in, "DMAR", ENTRIES, &t))
        return;
    for (size_t at = ENTRIES; at + 4 <= t.len;) {
        const u8 *e = t.data + at;
        size_t len = get16(e + 2);

        if (len < 4 || len > t.len - at) {
            note(in, "ACPI table DMAR ends in a damaged structure");
            break;
        }
        if (get16(e) == DRHD && len >= DRHD_SCOPES)
            read_drhd(in, e, len);
        else if (get16(e) == RMRR && len >= RMRR_SCOPES)
            read_rmrr(in, e, len);
        at += len;
    }
}
