/*
 * Reset by each way that a PC has. The runner types the number of the way; after each reset this program must
 * find clean memory, cold devices, and its image as it was.
 */
#include "guest.h"

#define POISON 0x6b6b6b6b6b6b6b6bUL

static u32 run = 1; /* in .data: the image is loaded again, so a second run sees 1 again */

static u64 dirty_words(void)
{
    u64 dirty = 0;
    u64 start = ((u64)image_end + 4095) & ~(u64)4095;

    for (u64 *p = (u64 *)start; p < (u64 *)ram_end; p++)
        dirty += *p == POISON;
    for (u64 *p = (u64 *)0x10000; p < (u64 *)0x80000; p++)
        dirty += *p == POISON;
    return dirty;
}

static void poison(void)
{
    u64 start = ((u64)image_end + 4095) & ~(u64)4095;

    for (u64 *p = (u64 *)start; p < (u64 *)ram_end; p++)
        *p = POISON;
    for (u64 *p = (u64 *)0x10000; p < (u64 *)0x80000; p++)
        *p = POISON;
}

static void triple_fault(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

void guest_main(void)
{
    u64 dirty = dirty_words(); /* before anything else writes */
    u32 timer = apic_read(APIC_LVT_TIMER), entry = ioapic_read(0x10), count = apic_read(APIC_TMICT);
    bool cold = (timer & LVT_MASKED) && count == 0 && !apic_irr(0x40) && (entry & 0x100ff) == 0x10000;
    int c;

    guest_init();
    printf("reboot: start, run %u, dirty %lu, devices %s, timer %x %x, IOAPIC entry %x\n", run, dirty,
           cold ? "cold" : "warm", timer, count, entry);
    run = 2;
    poison();
    apic_timer_start(0x40, true, 100000000);
    ioapic_route(0, 0x10055);
    printf("reboot: way?\n");
    do
        c = getch();
    while (c < '1' || c > '5');
    printf("reboot: way %c\n", c);
    switch (c) {
    case '1':
        outb(0xcf9, 2);
        outb(0xcf9, 6);
        break;
    case '2':
        outb(0x64, 0xfe); /* keyboard controller: pulse the reset line */
        break;
    case '3':
        outb((u16)acpi_reset_port, acpi_reset_value);
        break;
    case '4':
        outb(0x92, (u8)(inb(0x92) | 1)); /* fast reset of system control port A */
        break;
    default:
        triple_fault();
    }
    delay_us(2000000);
    printf("reboot: still here after way %c\n", c);
}
