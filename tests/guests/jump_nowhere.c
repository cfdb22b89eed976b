/* Subject: runs into guest-physical memory that nobody backs. */
#include "guest.h"

void guest_main(void)
{
    u64 nowhere = (ram_end + 0x3fffffff) & ~(u64)0x3fffffff;

    guest_init();
    printf("jump_nowhere: to 0x%lx\n", nowhere);
    irq_set(14, NULL);
    __asm__ volatile("jmp *%0" ::"r"(nowhere));
}
