/* Subject: sends IPIs of every delivery mode to every APIC id there could be, this VM's or not. */
#include "guest.h"

static volatile u32 got;

static void on_irq(struct frame *f)
{
    got++;
    if (f->vector != 2)
        apic_eoi();
}

static const u64 realmode_vectors = 0; /* the table starts at address 0 */

static void bystander(void)
{
    for (;;)
        sti_hlt();
}

static void storm(u32 dest, u32 mode)
{
    ipi(dest, mode);
    __asm__ volatile("sti\n\tnop\n\tcli" ::: "memory");
}

void guest_main(void)
{
    static const u32 modes[] = {ICR_FIXED, ICR_LOWEST, ICR_SMI, 0x4300, ICR_NMI, ICR_INIT, ICR_SIPI, 0x4700};
    /* Where SIPIs of vector 0x99 lead: cli, hlt, back to hlt; behind it IRET for NMIs in real mode. */
    static const u8 park[] = {0xfa, 0xf4, 0xeb, 0xfd, 0xcf};
    static const u32 shorthands[] = {0, ICR_SELF, ICR_ALL, ICR_OTHERS};

    guest_init();
    for (unsigned v = 32; v < 255; v++)
        irq_set(v, on_irq);
    irq_set(2, on_irq);
    for (unsigned i = 1; i < acpi_cpus.count; i++)
        smp_start(acpi_cpus.apic_id[i], bystander);
    memcpy((void *)0x99000, park, sizeof(park));
    *(volatile u32 *)(2 * 4 + realmode_vectors) = 0x99000004;
    printf("ipi_storm: start\n");
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
            u32 low = (modes[m] & 0x700) == 0x600 ? modes[m] | 0x99 : modes[m] | 0x60;

            for (u32 dest = 0; dest < 256; dest++) {
                if ((dest == apic_id() || dest == 0xff) && (low & 0x700) >= 0x500)
                    continue; /* INIT to itself, or to all, would end the storm */
                storm(dest, low);
                if ((low & 0x700) < 0x500) /* a logical destination may name this CPU as well */
                    storm(dest, low | ICR_LOGICAL);
            }
            for (unsigned s = 0; s < ARRAY_SIZE(shorthands); s++)
                if (s == 0 || s == 3 || (low & 0x700) < 0x200)
                    storm(0xfe, low | shorthands[s]);
        }
        for (u32 v = 0; v < 256; v++)
            storm(0xff, ICR_FIXED | v | ICR_OTHERS);
        if (x2apic_on || !x2apic_enable())
            break;
    }
    printf("ipi_storm: sent, %u came back\n", got);
    check(got > 0, "IPIs to itself came back");
    done();
    for (;;) /* and it goes on */
        for (u32 dest = 0; dest < 256; dest++)
            if (dest != apic_id())
                storm(dest, dest & 1 ? ICR_NMI : ICR_INIT);
}
