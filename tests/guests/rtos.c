/*
 * The demonstration of a bare-metal guest: a periodic task on the local APIC's timer, a line on the console
 * every few seconds, and a few commands. Its name is the first word of its command line.
 */
#include "guest.h"

#define VECTOR  0x40
#define TICK_HZ 100

static volatile u64 ticks;
static volatile u64 worst_ns, last_tsc;
static char name[32] = "rtos";

static void on_tick(struct frame *f)
{
    u64 now = rdtsc();
    u64 ns;

    (void)f;
    if (last_tsc != 0) {
        ns = (now - last_tsc) * 1000 / (tsc_hz / 1000000);
        if (ns > worst_ns)
            worst_ns = ns;
    }
    last_tsc = now;
    ticks++;
    apic_eoi();
}

static void command(const char *line)
{
    if (line[0] == 0)
        return;
    if (strcmp(line, "ticks") == 0)
        printf("%s: %lu ticks at %u Hz\n", name, ticks, TICK_HZ);
    else if (strcmp(line, "worst") == 0)
        printf("%s: longest time between two ticks %lu us\n", name, worst_ns / 1000);
    else if (strcmp(line, "cpu") == 0)
        printf("%s: APIC id %u, TSC %lu kHz, APIC timer %lu kHz\n", name, apic_id(), tsc_hz / 1000,
               apic_timer_hz / 1000);
    else if (strcmp(line, "poweroff") == 0)
        poweroff();
    else if (strcmp(line, "reboot") == 0)
        outb((u16)acpi_reset_port, acpi_reset_value);
    else
        printf("%s: commands are ticks, worst, cpu, poweroff, reboot\n", name);
}

static void set_name(void)
{
    unsigned n = 0;

    for (const char *s = guest_cmdline; *s > ' ' && n < sizeof(name) - 1; s++)
        name[n++] = *s;
    if (n > 0)
        name[n] = 0;
}

void guest_main(void)
{
    char line[64];
    unsigned len = 0;
    u64 said = 0;

    guest_init();
    set_name();
    irq_set(VECTOR, on_tick);
    apic_timer_start(VECTOR, true, 1000000000 / TICK_HZ);
    printf("%s ready\n", name);
    for (;;) {
        int c;

        sti_hlt();
        cli();
        if (ticks - said >= 5 * TICK_HZ) {
            said = ticks;
            printf("%s: %lu ticks\n", name, said);
        }
        while ((c = getch()) >= 0) {
            if (c == '\r' || c == '\n') {
                line[len] = 0;
                len = 0;
                printf("\n");
                command(line);
            } else if ((c == 8 || c == 127) && len > 0) {
                len--;
                printf("\b \b");
            } else if (c >= ' ' && len < sizeof(line) - 1) {
                line[len++] = (char)c;
                putch((char)c);
            }
        }
    }
}
