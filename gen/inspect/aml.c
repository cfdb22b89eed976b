/* What can be told from AML without executing it (ACPI 6.5 chapter 20): the package \_S5, and whether the
 * machine has QEMU's CPU hot-plug registers. Every step is bounded by the table. */
#include "inspect.h"

#include <string.h>

/* ACPI 6.5 section 20.2: opcodes and prefixes. */
enum {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_WORD = 0x0b,
    AML_DWORD = 0x0c,
    AML_PACKAGE = 0x12,
    AML_EXT = 0x5b,
    AML_ROOT = '\\',
    AML_REGION = 0x80, /* after AML_EXT */
    AML_ONES = 0xff,
};
#define AML_BEGIN   36u
#define SYSTEM_IO   1u
#define MAX_SLP_TYP 7u

/* A constant at *at; false: there is another kind of term. */
static bool constant(const struct table *t, size_t *at, u64 *out)
{
    size_t left = t->len - *at, width;
    u8 op;

    if (left == 0)
        return false;
    op = t->data[*at];
    width = op == AML_BYTE ? 1 : op == AML_WORD ? 2 : op == AML_DWORD ? 4 : 0;
    if (width == 0) {
        *at += 1;
        *out = op == AML_ONES ? UINT64_MAX : op;
        return op == AML_ZERO || op == AML_ONE || op == AML_ONES;
    }
    if (left < 1 + width)
        return false;
    *out = 0;
    memcpy(out, t->data + *at + 1, width);
    *at += 1 + width;
    return true;
}

/* Name (_S5_, Package (N) {SLP_TYPa, ...}) whose name begins at `at`: the first element; false: it is no
 * such. */
static bool s5_package(const struct table *t, size_t at, u64 *out)
{
    bool named = at > 0 && (t->data[at - 1] == AML_NAME ||
                            (at > 1 && t->data[at - 1] == AML_ROOT && t->data[at - 2] == AML_NAME));

    at += 4;
    if (!named || at + 2 > t->len || t->data[at] != AML_PACKAGE)
        return false;
    at++;
    /* PkgLength: the top two bits of its first byte count the bytes that follow it; then the count of
     * elements. */
    at += 1u + (t->data[at] >> 6) + 1u;
    return at < t->len && constant(t, &at, out);
}

static bool find_s5(const struct table *t, u64 *out)
{
    for (size_t at = AML_BEGIN; at + 4 <= t->len; at++) {
        if (memcmp(t->data + at, "_S5_", 4) == 0 && s5_package(t, at, out) && *out <= MAX_SLP_TYP)
            return true;
    }
    return false;
}

/* QEMU (docs/specs/acpi_cpu_hotplug): OperationRegion (PRST, SystemIO, base, 0x0c), in a device whose _UID is
 * the text below. Both together stand in no other firmware. */
static bool find_hotplug(const struct table *t, u64 *out)
{
    static const char uid[] = "CPU Hotplug resources";
    bool marked = memmem(t->data, t->len, uid, sizeof(uid)) != NULL;

    for (size_t at = AML_BEGIN; marked && at + 7 <= t->len; at++) {
        const u8 *p = t->data + at;
        size_t next = at + 7;
        u64 base, size;

        if (p[0] == AML_EXT && p[1] == AML_REGION && memcmp(p + 2, "PRST", 4) == 0 && p[6] == SYSTEM_IO &&
            constant(t, &next, &base) && constant(t, &next, &size) && size == HOTPLUG_PORTS && base != 0 &&
            base <= UINT16_MAX) {
            *out = base;
            return true;
        }
    }
    return false;
}

void inspect_aml(struct inspection *in)
{
    struct acpi_regs *a = &in->board.acpi;
    static const char folder[] = "sys/firmware/acpi/tables/";
    bool s5 = false, hotplug = false;
    size_t at = collection_from(in->files, folder);
    const char *name;
    struct table t;
    u64 value;

    while ((name = collection_next(in->files, folder, &at))) {
        if ((strncmp(name, "DSDT", 4) != 0 && strncmp(name, "SSDT", 4) != 0) || strlen(name) > 8)
            continue;
        if (!acpi_table(in, name, AML_BEGIN, &t))
            continue;
        if (!s5 && find_s5(&t, &value)) {
            a->s5_slp_typ = (u8)value;
            s5 = true;
        }
        if (!hotplug && find_hotplug(&t, &value)) {
            a->cpu_hotplug_port = (u16)value;
            hotplug = true;
        }
    }
    if (!s5)
        note(in, "no package \\_S5 was found in DSDT and SSDTs: s5-slp-typ is written as 0, the machine may "
                 "not switch off");
}
