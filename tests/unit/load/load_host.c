/* What src/x86/hw and src/x86/vdev/host_mem.c are to the service VM's firmware view. */
#include <arch/cpu.h>
#include "load_test.h"
#include "x86/guest/host_acpi.h"
#include "x86/hw/acpi.h"
#include "x86/hw/ports.h"
#include "x86/vdev/host.h"

struct acpi_facts acpi_facts;

/* SCI_EN is set. */
u32 port_in(u16 port, u32 size)
{
    (void)port;
    (void)size;
    return 1;
}

void port_out(u16 port, u32 size, u32 v)
{
    (void)port;
    (void)size;
    (void)v;
    ck_abort_msg("no SMI is needed");
}

hpa_t host_bios_page(void)
{
    return hpa(CFG_HV_BASE + 0x100000);
}

void host_bios_build(void)
{
    arch_hpa_zero(host_bios_page(), PAGE_SIZE);
    host_acpi_build(hpa_add(host_bios_page(), PAGE_SIZE));
}
