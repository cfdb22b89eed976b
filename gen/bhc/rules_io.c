/* Rules about consoles and virtual UARTs. */
#include "rules.h"

#include <inttypes.h>
#include <string.h>

#include "x86/vdev/platform_map.h"

RULE(console_uart_exists)
{
    const struct board *b = &config->board;
    const struct hypervisor *hv = &config->scenario.hv;
    const char *names = b->uart_count ? b->uarts[0].name : "none";

    for (size_t i = 0; i < b->uart_count; i++) {
        if (strcmp(b->uarts[i].name, hv->console_uart) == 0)
            return;
    }
    for (size_t i = 1; i < b->uart_count && i < 16; i++)
        names = arena_printf("%s, %s", names, b->uarts[i].name);
    MISTAKE(hv->console_at, "the console is on UART '%s', which board '%s' does not have; use one of %s",
            hv->console_uart, b->name, names);
}

RULE(console_vm_exists)
{
    const struct scenario *s = &config->scenario;
    const struct hypervisor *hv = &s->hv;
    u32 vm = hv->console_vm ? vm_index(s, hv->console_vm) : 0;

    if (vm == NO_INDEX)
        MISTAKE(hv->console_at,
                "the console shows vm '%s' at boot, but there is no such VM; correct the name or remove "
                "vm=\"...\"",
                hv->console_vm);
    else if (hv->console_vm && s->vms[vm].kind == KIND_USER)
        MISTAKE(
            hv->console_at,
            "the console shows vm '%s' at boot, but a user slot has no console of its own; name the service "
            "VM or remove vm=\"...\"",
            hv->console_vm);
}

RULE(console_vuart)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const struct vm_vuart *first = NULL;

        for (size_t j = 0; j < vm->vuart_count; j++) {
            if (!vm->vuarts[j].console)
                continue;
            if (vm->kind == KIND_USER)
                MISTAKE(
                    vm->vuarts[j].at,
                    "user slot '%s' (line %ld) has a console, vUART 0x%x, but its VM's console is the device "
                    "model's affair; join the vUART by a <connection> instead of console=\"yes\", or remove "
                    "it",
                    vm->name, vm->at.line, (unsigned)vm->vuarts[j].port);
            else if (first)
                MISTAKE(vm->vuarts[j].at,
                        "vm '%s' has a second console, vUART 0x%x, beside vUART 0x%x (line %ld); remove "
                        "console=\"yes\" from one",
                        vm->name, (unsigned)vm->vuarts[j].port, (unsigned)first->port, first->at.line);
            else
                first = &vm->vuarts[j];
        }
        if (!first && vm->kind != KIND_USER)
            MISTAKE(vm->at, "vm '%s' has no console; add <vuart port=\"0x3f8\" irq=\"4\" console=\"yes\"/>",
                    vm->name);
    }
}

RULE(vuart_ports)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        for (size_t j = 0; j < vm->vuart_count; j++) {
            const struct vm_vuart *u = &vm->vuarts[j];

            if (u->port == 0 || u->port % 8 != 0)
                MISTAKE(u->at,
                        "vm '%s' has a vUART at port 0x%x, which is not a multiple of 8; use 0x3f8, 0x2f8, "
                        "0x3e8 or 0x2e8",
                        vm->name, (unsigned)u->port);
            for (size_t k = 0; k < j && j < MAX_VUARTS; k++) { /* UART-004 reports more */
                if (ranges_meet(u->port, 8, vm->vuarts[k].port, 8)) {
                    MISTAKE(u->at,
                            "vm '%s' has a vUART at port 0x%x, which overlaps its vUART 0x%x (line %ld); use "
                            "0x3f8, 0x2f8, 0x3e8 or 0x2e8",
                            vm->name, (unsigned)u->port, (unsigned)vm->vuarts[k].port, vm->vuarts[k].at.line);
                    break;
                }
            }
        }
    }
}

/* Ports of the virtual platform of a pre-launched VM. */
static const struct {
    const char *what;
    u16 base, count;
} platform_ports[] = {
    {"the interrupt controller (PIC)", PLAT_PIC_MASTER, 2},
    {"the interval timer (PIT)", PLAT_PIT_BASE, 4},
    {"port 61h", PLAT_PORT_B, 1},
    {"the keyboard controller's command port", PLAT_KBC_CMD, 1},
    {"the clock (RTC)", PLAT_RTC_BASE, 2},
    {"the POST port", PLAT_POST, 1},
    {"the fast reset port", PLAT_PORT_A, 1},
    {"the interrupt controller (PIC)", PLAT_PIC_SLAVE, 2},
    {"the ACPI registers", PLAT_PM_BASE, PLAT_PM_SIZE},
    {"the PIC's edge/level register", PLAT_PIC_ELCR, 2},
    {"PCI configuration and reset", 0xcf8, 8},
};

RULE(vuart_ports_platform)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].vuart_count; j++) {
            const struct vm_vuart *u = &s->vms[i].vuarts[j];

            for (size_t k = 0; k < ARRAY_SIZE(platform_ports); k++) {
                if (s->vms[i].kind == KIND_SERVICE && platform_ports[k].base == PLAT_PM_BASE)
                    continue; /* it has the machine's: SVC-004 */
                if (ranges_meet(u->port, 8, platform_ports[k].base, platform_ports[k].count))
                    MISTAKE(u->at,
                            "vm '%s' has a vUART at port 0x%x, which overlaps %s at port 0x%x; use 0x3f8, "
                            "0x2f8, 0x3e8 or 0x2e8",
                            s->vms[i].name, (unsigned)u->port, platform_ports[k].what,
                            (unsigned)platform_ports[k].base);
            }
        }
    }
}

const char *platform_irq(unsigned irq)
{
    switch (irq) {
    case PLAT_IRQ_PIT:
        return "the interval timer (PIT)";
    case PLAT_IRQ_CASCADE:
        return "the second interrupt controller (PIC)";
    case PLAT_IRQ_RTC:
        return "the clock (RTC)";
    case PLAT_GSI_SCI:
        return "ACPI (SCI)";
    default:
        return NULL;
    }
}

RULE(vuart_irqs)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const unsigned pins = vm->kind == KIND_USER ? PLAT_USER_PINS : PLAT_IOAPIC_PINS;

        for (size_t j = 0; j < vm->vuart_count; j++) {
            const struct vm_vuart *u = &vm->vuarts[j];

            if (platform_irq(u->irq))
                MISTAKE(u->at, "vm '%s' has a vUART on interrupt line %u, which is that of %s; use 4 or 3",
                        vm->name, (unsigned)u->irq, platform_irq(u->irq));
            else if (u->irq >= pins)
                MISTAKE(
                    u->at,
                    "vm '%s' has a vUART on interrupt line %u, but its virtual I/O APIC has %u; use 4 or 3",
                    vm->name, (unsigned)u->irq, pins);
            for (size_t k = 0; k < j && j < MAX_VUARTS; k++) {
                if (u->irq == vm->vuarts[k].irq) {
                    MISTAKE(u->at,
                            "vm '%s' has a vUART on interrupt line %u, which its vUART 0x%x has (line %ld); "
                            "give each its own",
                            vm->name, (unsigned)u->irq, (unsigned)vm->vuarts[k].port, vm->vuarts[k].at.line);
                    break;
                }
            }
        }
    }
}

RULE(vuart_count)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].vuart_count > MAX_VUARTS)
            MISTAKE(s->vms[i].vuarts[MAX_VUARTS].at,
                    "vm '%s' has %zu vUARTs, but at most %d are supported; remove some", s->vms[i].name,
                    s->vms[i].vuart_count, MAX_VUARTS);
    }
}
