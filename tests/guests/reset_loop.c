/* Subject: resets itself as soon as it runs, for ever. */
#include "guest.h"

void guest_main(void)
{
    acpi_init();
    printf("reset_loop: start\n");
    if (rdtsc() & 0x100)
        outb(0xcf9, 6);
    if (acpi_reset_port != 0)
        outb((u16)acpi_reset_port, acpi_reset_value);
    outb(0x64, 0xfe);
}
