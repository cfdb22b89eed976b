/* Is this machine the board that the image was built for? Layer 7. */
#ifndef BH_X86_BOOT_BOARD_H
#define BH_X86_BOOT_BOARD_H

#include <lib/types.h>

/*
 * Compares the machine with cfg_board and with what the scenario uses of it: one log line per difference.
 * Returns the number of differences. BSP, after features_init() and acpi_init(); acpi_error is what
 * acpi_init() returned.
 */
u32 board_check(const char *acpi_error);

#endif
