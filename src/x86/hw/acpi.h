/* The few facts that the hypervisor takes from the firmware's ACPI tables, all for comparison with the board.
 * Layer 4'. */
#ifndef BH_X86_HW_ACPI_H
#define BH_X86_HW_ACPI_H

#include <lib/types.h>
#include <config/config.h>

#define ACPI_MAX_CPUS    (CFG_PCPUS + 64)
#define ACPI_MAX_IOAPICS 16
#define ACPI_ISA_IRQS    16

struct acpi_ioapic {
    u8 id;
    u32 base;
    u32 gsi_base;
};

/* One table as the RSDT or XSDT lists it; the service VM is shown those that are its business. */
#define ACPI_MAX_TABLES (CFG_SERVICE ? 64 : 1)
struct acpi_table {
    char signature[4];
    u32 length;
    u64 address;
};

struct acpi_facts {
    u32 cpu_count; /* usable processors, may exceed ACPI_MAX_CPUS; the ids of the first ones follow */
    u32 apic_ids[ACPI_MAX_CPUS];
    u32 ioapic_count;
    struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
    u32 isa_gsi[ACPI_ISA_IRQS];   /* interrupt source overrides */
    u16 isa_flags[ACPI_ISA_IRQS]; /* MPS INTI flags; 0: conforms to the bus */
    u32 pm_timer_port;            /* 0: the FADT names none */
    u32 pm1a_cnt_port;
    u64 mcfg_base; /* segment 0; 0: no MCFG */
    u8 mcfg_start_bus, mcfg_end_bus;
    u32 table_count; /* only where there is a service VM */
    struct acpi_table tables[ACPI_MAX_TABLES];
};

extern struct acpi_facts acpi_facts;

/* rsdp: physical address from the boot loader, or 0: searched as on a BIOS machine. Returns NULL or what is
 * wrong. BSP. */
const char *acpi_init(u64 rsdp);
/* enum ioapic_flags for a GSI: ISA interrupts are edge, active high, unless an override says otherwise; PCI
 * ones level, low. */
u32 acpi_gsi_flags(u32 gsi);

#endif
