/* The host's ACPI tables as the service VM sees them. Layer 5. */
#ifndef BH_X86_GUEST_HOST_ACPI_H
#define BH_X86_GUEST_HOST_ACPI_H

#include <config/config.h>

struct vm;

/*
 * Boot, once, after acpi_init(): chooses the tables, builds those that are rebuilt, and puts the machine into
 * ACPI mode, because the service VM does not get at the SMI port that would.
 */
void host_acpi_init(const struct vm *vm);

/* Writes the BIOS area as the service VM sees it (a copy of the host's with tables of our own) to host memory
 * at `to`, HOST_ACPI_BIOS_SIZE bytes. */
void host_acpi_build(hpa_t to);
#define HOST_ACPI_BIOS_BASE 0xe0000u
#define HOST_ACPI_BIOS_SIZE 0x20000u

/* Guest-physical address of the RSDP in that area. */
u64 host_acpi_rsdp(void);
/* The port that raises SMIs, 0: none. */
u16 host_acpi_smi_port(void);

/* The i-th of the host's tables that stay where they are, or false. */
bool host_acpi_table(unsigned i, struct cfg_range *out);
/* The FACS, which guests write to; size 0: none. */
void host_acpi_facs(struct cfg_range *out);
/* The i-th range of device memory that belongs to the hypervisor (IOMMUs, HPET), or false. */
bool host_acpi_hidden(unsigned i, struct cfg_range *out);

#endif
