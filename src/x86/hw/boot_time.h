/* How long the machine took to its first guest instruction (benchmark boot.first_guest). Layer 4'. */
#ifndef BH_X86_HW_BOOT_TIME_H
#define BH_X86_HW_BOOT_TIME_H

#include <lib/types.h>

/* TSC at the very first instruction of the image, written by boot/entry.S. */
extern u64 boot_tsc_entry;

/* The backend calls it right before a vCPU's first VMRUN (any CPU, any number of times): the first call logs
 * the line "boot.first_guest: N us (image copies M us left out)". */
void boot_first_entry_mark(void);

#endif
