/* Subject: writes to its console as fast as it can, for ever. */
#include "guest.h"

void guest_main(void)
{
    guest_init();
    printf("console_hammer: now\n");
    for (u32 n = 0;; n++)
        printf("hammer %u 0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n", n);
}
