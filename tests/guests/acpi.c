/* The firmware tables: found where they must be, checksums, and contents that agree with the machine. */
#include "guest.h"

static u32 get32(const u8 *p)
{
    u32 v;

    memcpy(&v, p, 4);
    return v;
}

static void check_table(const char *name, const u8 *t)
{
    u32 len;

    if (!check(t != NULL, "%s is there", name))
        return;
    len = get32(t + 4);
    check(len >= 36 && len < 0x20000 && acpi_checksum(t, len), "%s: length %u and checksum", name, len);
}

static void check_madt(const u8 *m)
{
    unsigned lapics = 0, ioapics = 0, unknown = 0;
    u32 len = get32(m + 4), o;

    check(get32(m + 36) == APIC_BASE, "MADT: local APIC at 0x%x", get32(m + 36));
    for (o = 44; o + 2 <= len && m[o + 1] >= 2; o += m[o + 1]) {
        switch (m[o]) {
        case 0:
            check(m[o + 1] == 8, "MADT: local APIC entry, id %u, flags %u", m[o + 3], get32(m + o + 4));
            lapics += get32(m + o + 4) & 1;
            break;
        case 1:
            check(m[o + 1] == 12 && get32(m + o + 4) == IOAPIC_BASE && get32(m + o + 8) == 0,
                  "MADT: IOAPIC at 0x%x, GSI base %u", get32(m + o + 4), get32(m + o + 8));
            ioapics++;
            break;
        case 2:
            check(m[o + 1] == 10 && m[o + 3] < 16 && get32(m + o + 4) < 24,
                  "MADT: ISA interrupt %u is GSI %u", m[o + 3], get32(m + o + 4));
            break;
        case 4:
        case 9:
        case 10:
            break;
        default:
            unknown++;
        }
    }
    check(o == len, "MADT: entries fill the table");
    check(unknown == 0, "MADT: only known entry types");
    check(lapics >= 1 && ioapics == 1, "MADT: %u CPUs, %u IOAPIC", lapics, ioapics);
    printf("# acpi cpus %u\n", lapics);
}

void guest_main(void)
{
    const u8 *r, *fadt;

    guest_init();
    r = acpi_rsdp();
    if (!check(r != NULL, "RSDP is found by the search that ACPI prescribes")) {
        done();
        return;
    }
    if (r[15] >= 2)
        check(get32(r + 20) >= 36 && acpi_checksum(r, get32(r + 20)), "RSDP: extended checksum over %u bytes",
              get32(r + 20));
    check_table("root table", acpi_table("ROOT", 0));
    check_table("FACP", acpi_table("FACP", 0));
    check_table("DSDT", acpi_table("DSDT", 0));
    check_table("APIC", acpi_table("APIC", 0));
    if (acpi_table("MCFG", 0) != NULL)
        check_table("MCFG", acpi_table("MCFG", 0));
    fadt = acpi_table("FACP", 0);
    if (fadt != NULL) {
        check(acpi_pm1a_port != 0 && fadt[89] == 2, "FADT: PM1a control at 0x%x, 2 bytes", acpi_pm1a_port);
        check(acpi_pm_timer_port != 0 && fadt[91] == 4, "FADT: PM timer at 0x%x, 4 bytes",
              acpi_pm_timer_port);
        check(fadt[88] >= 4 && acpi_pm1a_evt_port != 0, "FADT: PM1a events at 0x%x", acpi_pm1a_evt_port);
        check(acpi_reset_port != 0, "FADT: reset register at 0x%x, value 0x%x", acpi_reset_port,
              acpi_reset_value);
        check((get32(fadt + 112) & BIT(20)) == 0, "FADT: not the hardware-reduced profile");
        if (get32(fadt + 36) != 0)
            check(memcmp((const void *)(u64)get32(fadt + 36), "FACS", 4) == 0, "FADT: FACS at 0x%x",
                  get32(fadt + 36));
    }
    if (acpi_table("APIC", 0) != NULL)
        check_madt(acpi_table("APIC", 0));
    check(acpi_s5_typ <= 7, "DSDT: _S5_ sleep type %u", acpi_s5_typ);
    done();
}
