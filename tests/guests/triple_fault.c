/* Subject: an interrupt with an empty interrupt table shuts this VM's CPU down. */
#include "guest.h"

void guest_main(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none = {0, 0};

    guest_init();
    printf("triple_fault: now\n");
    __asm__ volatile("lidt %0; int3" ::"m"(none));
    printf("triple_fault: still here\n");
}
