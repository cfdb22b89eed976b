/* What a VM finds below 1 MiB where a PC's firmware would have left it, and the builders of the ACPI tables.
 * Layer 5. */
#ifndef BH_X86_GUEST_FIRMWARE_H
#define BH_X86_GUEST_FIRMWARE_H

#include <lib/types.h>

struct vm;

enum { E820_RAM = 1, E820_RESERVED = 2 };

#define FW_BDA  0x00400u /* BIOS data area */
#define FW_EBDA 0x9fc00u /* extended BIOS data area, 1 KiB */
#define FW_VGA  0xa0000u /* end of low RAM */
#define FW_TABLES                                                                                            \
    0xe0000u /* cleared from here to 1 MiB, so that a guest which searches finds only what is ours */
#define FW_HIGH_MEM 0x100000ULL
#define FW_RSDP                                                                                              \
    0xf0000u /* each table has its place: a build that outgrows one fails to compile or to build */
#define FW_RSDT     0xf0040u
#define FW_XSDT     0xf0080u
#define FW_FADT     0xf0100u
#define FW_FACS     0xf0280u /* 64-byte aligned (ACPI 6.0 5.2.10) */
#define FW_MADT     0xf0400u
#define FW_DSDT     0xf2000u
#define FW_MADT_MAX (FW_DSDT - FW_MADT)
#define FW_DSDT_MAX 0x1000u

/* A table under construction. Writing past cap sets overflow and drops the bytes. */
struct acpi_buf {
    u8 *data;
    u32 cap, len;
    bool overflow;
};

void acpi_put(struct acpi_buf *b, const void *src, u32 len);
void acpi_put8(struct acpi_buf *b, u8 v);
void acpi_put16(struct acpi_buf *b, u16 v);
void acpi_put32(struct acpi_buf *b, u32 v);
/* Starts a table with its common header (ACPI 6.0 5.2.6); acpi_end() fills in length and checksum. */
void acpi_begin(struct acpi_buf *b, const char signature[4], u8 revision);
void acpi_end(struct acpi_buf *b);

/* Room for the largest table: MADT entries of 8 bytes for each vCPU, or the DSDT with its UARTs. */
#define ACPI_BUF_SIZE 1536u

/* An RSDP that leads to tables at the given addresses. */
void acpi_build_root_pointer(struct acpi_buf *b, u32 rsdt, u64 xsdt);
/* Fixed-address tables: RSDP, RSDT, XSDT, FADT, FACS; each returns the number of bytes put into b (an empty
 * buffer). */
void acpi_build_rsdp(struct acpi_buf *b);
void acpi_build_rsdt(struct acpi_buf *b);
void acpi_build_xsdt(struct acpi_buf *b);
void acpi_build_fadt(struct acpi_buf *b);
void acpi_build_facs(struct acpi_buf *b);
/* Tables that depend on the VM. */
void acpi_build_madt(struct acpi_buf *b, const struct vm *vm);
void acpi_build_dsdt(struct acpi_buf *b, const struct vm *vm);

#endif
