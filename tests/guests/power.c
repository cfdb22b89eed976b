/* Power-off by the PM1a control register. The runner sees that this VM is off and its neighbour is not. */
#include "guest.h"

void guest_main(void)
{
    guest_init();
    printf("power: going off by port 0x%x, sleep type %u\n", acpi_pm1a_port, acpi_s5_typ);
    poweroff();
    delay_us(1000000);
    printf("power: still here\n");
}
