/* Subject: every CPU of the VM spins with interrupts off and without PAUSE. */
#include "guest.h"

static void spin(void)
{
    cli();
    for (;;)
        __asm__ volatile("" ::: "memory");
}

void guest_main(void)
{
    guest_init();
    for (unsigned i = 1; i < acpi_cpus.count; i++)
        smp_start(acpi_cpus.apic_id[i], spin);
    printf("irq_off_spin: %u CPUs spin\n", cpus_online);
    spin();
}
