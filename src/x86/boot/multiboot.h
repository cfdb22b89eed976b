/* What the boot loader hands over, copied out of its memory before anything else is written. Layer 7. */
#ifndef BH_X86_BOOT_MULTIBOOT_H
#define BH_X86_BOOT_MULTIBOOT_H

#include <core/load.h>
#include <lib/types.h>

#define BOOT_MAX_MODULES 32
#define BOOT_MAX_RANGES  128

struct boot_range {
    u64 base, size;
};

struct boot_info {
    const char *protocol; /* "multiboot1" or "multiboot2" */
    char cmdline[256];    /* of the hypervisor */
    u32 module_count;
    struct boot_module modules[BOOT_MAX_MODULES];
    u32 range_count;
    struct boot_range ram[BOOT_MAX_RANGES]; /* what the firmware reports as usable RAM, in its own order */
    u64 rsdp;                               /* physical address of a copy of the RSDP, 0: search for it */
    u32 dropped_modules, dropped_ranges;    /* did not fit the tables above */
};

extern struct boot_info boot_info;

/* magic and info as the loader left them in EAX and EBX. NULL, or what is wrong. */
const char *multiboot_parse(u32 magic, u32 info);

/* Value of "name=value" on the hypervisor's command line, copied to buf; false when it is not there. */
bool boot_option(const char *name, char *buf, size_t size);

/* True when every byte of the range is usable RAM in the boot loader's memory map. */
bool boot_range_is_ram(u64 base, u64 size);

#endif
