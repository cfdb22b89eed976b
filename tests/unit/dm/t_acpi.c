/* The device model's ACPI tables. With a folder as argument: writes each table to a file there, for iasl. */
#include <stdio.h>
#include <string.h>

#include "acpi.h"
#include "dmt.h"

#define AT 0xe0000u

static uint8_t bytes[0x20000];
static const uint32_t ids[8] = {4, 5, 0, 1, 2, 3, 6, 7};

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint8_t sum(const uint8_t *at, size_t length)
{
    unsigned total = 0;
    while (length-- > 0)
        total += *at++;
    return (uint8_t)total;
}

/* The table that entry i of the XSDT names. */
static const uint8_t *table(unsigned i)
{
    return bytes + get32(bytes + get32(bytes + 24) - AT + 36 + i * 8) - AT;
}

static void setup(void)
{
    memset(bytes, 0, sizeof(bytes));
    ck_assert_uint_gt(acpi_build(bytes, sizeof(bytes), AT, 2, ids), 0);
}

START_TEST(every_table_has_its_checksum_and_place)
{
    ck_assert_int_eq(memcmp(bytes, "RSD PTR ", 8), 0);
    ck_assert_uint_eq(sum(bytes, 20), 0);
    ck_assert_uint_eq(sum(bytes, 36), 0);
    const uint8_t *xsdt = bytes + get32(bytes + 24) - AT;
    ck_assert_int_eq(memcmp(xsdt, "XSDT", 4), 0);
    ck_assert_uint_eq(get32(xsdt + 4), 36 + 2 * 8);
    ck_assert_uint_eq(sum(xsdt, get32(xsdt + 4)), 0);
    ck_assert_int_eq(memcmp(table(0), "FACP", 4), 0);
    ck_assert_int_eq(memcmp(table(1), "APIC", 4), 0);
    ck_assert_uint_eq(sum(table(0), get32(table(0) + 4)), 0);
    ck_assert_uint_eq(sum(table(1), get32(table(1) + 4)), 0);
    const uint8_t *dsdt = bytes + get32(table(0) + 40) - AT, *facs = bytes + get32(table(0) + 36) - AT;
    ck_assert_int_eq(memcmp(dsdt, "DSDT", 4), 0);
    ck_assert_uint_eq(sum(dsdt, get32(dsdt + 4)), 0);
    ck_assert_int_eq(memcmp(facs, "FACS", 4), 0);
    ck_assert_uint_eq((unsigned)(facs - bytes) % 64, 0);
}
END_TEST

START_TEST(madt_lists_the_vcpus_by_apic_id_and_one_ioapic)
{
    const uint8_t *madt = table(1);
    unsigned cpus = 0, ioapics = 0;
    for (const uint8_t *at = madt + 44; at < madt + get32(madt + 4); at += at[1]) {
        if (at[0] == 0)
            ck_assert_uint_eq(at[3], ids[cpus++]);
        if (at[0] == 1) {
            ck_assert_uint_eq(get32(at + 4), 0xfec00000u);
            ioapics++;
        }
        ck_assert_uint_gt(at[1], 0);
    }
    ck_assert_uint_eq(cpus, 2);
    ck_assert_uint_eq(ioapics, 1);
}
END_TEST

START_TEST(fadt_names_the_ports_that_the_fact_sheet_fixes)
{
    const uint8_t *fadt = table(0);
    ck_assert_uint_eq(get32(fadt + 56), 0x400);
    ck_assert_uint_eq(get32(fadt + 64), 0x404); /* section 4.6: a triple fault writes 0x3400 there */
    ck_assert_uint_eq(get32(fadt + 120), 0xcf9);
    ck_assert_uint_eq(get32(fadt + 4), 244);
}
END_TEST

START_TEST(too_little_room_is_noticed_at_every_length)
{
    size_t used = acpi_build(bytes, sizeof(bytes), AT, 8, ids);
    for (size_t size = 0; size < used; size++) {
        uint8_t *small = calloc(1, size + 1);
        ck_assert_uint_eq(acpi_build(small, size, AT, 8, ids), 0);
        free(small);
    }
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, every_table_has_its_checksum_and_place);
    tcase_add_test(t, madt_lists_the_vcpus_by_apic_id_and_one_ioapic);
    tcase_add_test(t, fadt_names_the_ports_that_the_fact_sheet_fixes);
    tcase_add_test(t, too_little_room_is_noticed_at_every_length);
}

static int write_table(const char *folder, const uint8_t *at)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%.4s.aml", folder, (const char *)at);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return 1;
    size_t done = fwrite(at, 1, get32(at + 4), file);
    return fclose(file) != 0 || done != get32(at + 4);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return run_case("acpi", fill);
    acpi_build(bytes, sizeof(bytes), AT, 2, ids);
    const uint8_t *fadt = table(0);
    return write_table(argv[1], fadt) | write_table(argv[1], table(1)) |
           write_table(argv[1], bytes + get32(fadt + 40) - AT) |
           write_table(argv[1], bytes + get32(fadt + 36) - AT);
}
