/* DMA remapping units: the macros of DRHD_INFO. */
#include "import.h"

#include <string.h>

#define DRHD_MAX       64
#define INCLUDE_ALL    1 /* flag of a DRHD (VT-d 4.0 section 8.3) */
#define SCOPE_ENDPOINT 1
#define SCOPE_BRIDGE   2

static u64 drhd_value(struct macros *m, const char *name, bool *have)
{
    u64 value = 0;

    *have = macro_number(m, name, &value);
    return value;
}

static void read_scope(struct macros *m, const struct board *b, struct iommu *unit, unsigned long long drhd,
                       unsigned long long scope)
{
    const char *prefix = arena_printf("DRHD%llu_DEVSCOPE%llu", drhd, scope);
    const char *path_name = arena_printf("%s_PATH", prefix);
    bool have_type, have_bus, have_path;
    u64 type = drhd_value(m, arena_printf("%s_TYPE", prefix), &have_type);
    u64 bus = drhd_value(m, arena_printf("%s_BUS", prefix), &have_bus);
    u64 path = drhd_value(m, path_name, &have_path);
    const struct macro *at = macro_find(m, path_name);
    u16 bdf;

    macro_find(m, arena_printf("%s_ID", prefix));
    if (!have_type || !have_bus || !have_path || bus > 0xff || path > 0xff) {
        untranslated(at ? at->at : m->at, "%s lacks its type, bus or path", prefix);
        return;
    }
    bdf = (u16)(bus << 8 | path);
    if (type != SCOPE_ENDPOINT && type != SCOPE_BRIDGE) {
        untranslated(at->at, "%s: scope type %llu (%s) names no PCI function of the board", prefix,
                     (unsigned long long)type,
                     type == 3   ? "I/O APIC"
                     : type == 4 ? "HPET"
                                 : "ACPI device");
        return;
    }
    if (!pci_find(b, bdf)) {
        untranslated(at->at, "%s: %s is not among the board's PCI functions", prefix, bdf_text(bdf));
        return;
    }
    if (type == SCOPE_BRIDGE)
        untranslated(
            at->at,
            "%s: of the functions behind bridge %s only the bridge itself is named in the unit's scope",
            prefix, bdf_text(bdf));
    *APPEND(unit->devices, unit->device_count) = (struct pci_name){at->at, bdf_text(bdf), bdf};
}

static void read_drhd(struct macros *m, struct board *b, unsigned long long i)
{
    const char *base_name = arena_printf("DRHD%llu_REG_BASE", i);
    const struct macro *at = macro_find(m, base_name),
                       *ignore = macro_find(m, arena_printf("DRHD%llu_IGNORE", i));
    bool have_base, have_flags, have_count, have_segment;
    u64 base = drhd_value(m, base_name, &have_base);
    u64 flags = drhd_value(m, arena_printf("DRHD%llu_FLAGS", i), &have_flags);
    u64 segment = drhd_value(m, arena_printf("DRHD%llu_SEGMENT", i), &have_segment);
    u64 scopes = drhd_value(m, arena_printf("DRHD%llu_DEV_CNT", i), &have_count);
    struct iommu *unit;

    if (!have_base || !at || base == 0 || segment != 0) {
        untranslated(at ? at->at : m->at, "DRHD%llu: no register base, or not of PCI segment 0", i);
        return;
    }
    unit = APPEND(b->iommus, b->iommu_count);
    *unit = (struct iommu){.at = at->at, .kind = "vtd", .base = base, .all = (flags & INCLUDE_ALL) != 0};
    if (ignore && strcmp(ignore->value, "true") == 0)
        untranslated(
            ignore->at,
            "DRHD%llu_IGNORE: ACRN leaves this unit switched off; the board lists it like the others", i);
    for (u64 j = 0; have_count && j < scopes && j < 256; j++)
        read_scope(m, b, unit, i, j);
}

void import_iommus(xmlNode *root, struct board *b)
{
    struct macros m = macros_of(child(root, "DRHD_INFO"));
    u64 count = 0;

    macro_number(&m, "DRHD_COUNT", &count);
    if (count > DRHD_MAX) {
        untranslated(m.at, "DRHD_COUNT is %llu: the first %d were read", (unsigned long long)count, DRHD_MAX);
        count = DRHD_MAX;
    }
    for (u64 i = 0; i < count; i++)
        read_drhd(&m, b, i);
    macros_rest(&m, "not part of a DRHD that DRHD_COUNT announces");
}
