/* The user VM's memory, and what is put into it before it starts. */
#ifndef DM_LOAD_H
#define DM_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Guest-physical [0, size) at host address base. */
struct guest_mem {
    uint8_t *base;
    uint64_t size;
};

/* Where things lie below 1 MiB. */
enum {
    GUEST_GDT = 0x1000,
    GUEST_ZERO_PAGE = 0x2000, /* struct boot_params of Linux, or multiboot information */
    GUEST_CMDLINE = 0x4000,   /* up to CMDLINE_MAX bytes with the end */
    GUEST_LOW_END = 0x9fc00,  /* end of the memory below 640 KiB that the guest may use */
    GUEST_ACPI = 0xe0000,     /* ACPI tables; the RSDP comes first, where a BIOS has it too */
    GUEST_HIGH = 0x100000,
    CMDLINE_MAX = 2048,
};

/* How vCPU 0 starts: 32-bit protected mode, no paging, flat segments. */
struct entry {
    uint64_t rip, rax, rbx, rsi;
};

enum {
    SEL_CODE = 0x10,
    SEL_DATA = 0x18,
    GDT_BYTES = 0x20
}; /* Linux boot protocol 1.10: __BOOT_CS, __BOOT_DS */

/* The guest's bytes [gpa, gpa + length), or NULL when they are not all memory. */
void *guest_at(const struct guest_mem *memory, uint64_t gpa, uint64_t length);

/*
 * Puts a kernel (bzImage by the 32-bit boot protocol 2.06 or later, or an ELF executable by multiboot) with
 * its initrd (NULL: none), command line, memory map, GDT and start state into memory, which must be all zero.
 * rsdp is where the ACPI tables are. Returns 0, or -1 with what is wrong in error.
 */
int load_guest(const struct guest_mem *memory, const uint8_t *kernel, size_t kernel_size,
               const uint8_t *initrd, size_t initrd_size, const char *cmdline, uint64_t rsdp,
               struct entry *entry, char *error, size_t size);

#endif
