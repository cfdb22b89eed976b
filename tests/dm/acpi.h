/* ACPI tables of the user VM, built in its memory. */
#ifndef DM_ACPI_H
#define DM_ACPI_H

#include <stddef.h>
#include <stdint.h>

#define IOAPIC_BASE 0xfec00000u
#define LAPIC_BASE  0xfee00000u

/* Builds RSDP, XSDT, FADT, FACS, MADT and DSDT for address at in the size bytes at out, which must be zero.
 * The RSDP comes first. Returns the bytes used, or 0 when there is not room enough. */
size_t acpi_build(uint8_t *out, size_t size, uint64_t at, unsigned cpus, const uint32_t *apic_ids);

#endif
