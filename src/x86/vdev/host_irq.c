/*
 * Interrupts of real devices on their way to the service VM. A device raises a host vector on some CPU; the
 * handler notes it; arch_host_irqs() finds out what the vector stands for and hands it to the vIOAPIC or, for
 * MSI, to the local APICs. Level-triggered pins stay masked in the real IOAPIC until the guest ends the
 * interrupt.
 */
#include <arch/platform.h>
#include <lib/bits.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/hw/acpi.h"
#include "x86/hw/hostirq.h"
#include "x86/hw/ioapic.h"
#include "x86/vdev/host.h"
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/vlapic.h"

spinlock_t host_lock = SPINLOCK_INIT;

/* What each host vector stands for; protected by host_lock. */
static struct {
    u8 kind; /* enum host_irq_kind */
    u16 fn, index;
} sources[HOSTIRQ_COUNT];

/* Of each pin: the index of its host vector + 1; 0: none yet. It keeps the vector until the VM is reset. */
static u8 pin_vector[VIOAPIC_MAX_PINS];

int host_vector_alloc(enum host_irq_kind kind, u16 fn, u16 index)
{
    for (u32 i = 0; i < HOSTIRQ_COUNT; i++) {
        if (sources[i].kind != HOST_IRQ_FREE)
            continue;
        sources[i].kind = (u8)kind;
        sources[i].fn = fn;
        sources[i].index = index;
        return (int)i;
    }
    return -1;
}

u32 host_target(struct vm *vm, const struct apic_msg *m)
{
    const struct vcpu *v = vlapic_first_match(vm, m);

    return v ? v->pcpu : vm->vcpus[0].pcpu;
}

static u32 gsi_of(unsigned pin)
{
    return cfg_board.ioapics[0].gsi_base + pin;
}

/* ---- pins ---- */

static void forget_pin(struct irqchip *c, u32 pin)
{
    if (pin < c->ioapic.pins)
        c->ioapic.host_pins[pin / 64] &= ~BIT64(pin % 64);
}

/*
 * All pins of the board's first IOAPIC, but for those whose source is not the real machine's: the output of
 * the 8259s and the timer, which are virtual, the console's, which is the hypervisor's, and those that vUARTs
 * drive.
 */
void host_pins_init(struct irqchip *c)
{
    const struct cfg_vm *cfg = c->vm->cfg;
    struct vioapic *io = &c->ioapic;

    io->base = cfg_board.ioapics[0].base;
    io->pins = (u8)MIN((u32)cfg_board.ioapics[0].pins, (u32)VIOAPIC_MAX_PINS);
    io->pit_pin = (u8)(acpi_facts.isa_gsi[PLAT_IRQ_PIT] - cfg_board.ioapics[0].gsi_base);
    for (u32 pin = 0; pin < io->pins; pin++)
        io->host_pins[pin / 64] |= BIT64(pin % 64);
    if (io->pit_pin != 0)
        forget_pin(c, 0);
    forget_pin(c, io->pit_pin);
    forget_pin(c, cfg_board.console.gsi - cfg_board.ioapics[0].gsi_base);
    for (u32 i = 0; i < cfg->vuart_count; i++)
        forget_pin(c, cfg->vuarts[i].gsi);
}

/* The pin's vector index, or -1. */
static int vector_of_pin(unsigned pin)
{
    int index;

    if (pin_vector[pin])
        return pin_vector[pin] - 1;
    spin_lock(&host_lock);
    index = host_vector_alloc(HOST_IRQ_PIN, 0, (u16)pin);
    spin_unlock(&host_lock);
    if (index >= 0)
        pin_vector[pin] = (u8)(index + 1);
    return index;
}

void host_pin_mask(unsigned pin)
{
    ioapic_mask(gsi_of(pin));
}

void host_pin_update(struct vm *vm, unsigned pin, u64 rte)
{
    u32 flags = (rte & RTE_LEVEL ? IOAPIC_LEVEL : 0) | (rte & RTE_LOW ? IOAPIC_LOW : 0);
    struct apic_msg m;
    int index;

    if ((rte & (RTE_MASKED | RTE_REMOTE_IRR)) || RTE_MODE(rte) > APIC_DM_LOWEST) {
        host_pin_mask(pin);
        return;
    }
    index = vector_of_pin(pin);
    if (index < 0) {
        host_pin_mask(pin);
        log_guest(vm->id, LOG_WARN, "no host vector left for IOAPIC pin %u", pin);
        return;
    }
    vioapic_entry_msg(rte, &m);
    hostirq_set_level((u32)index, (rte & RTE_LEVEL) != 0);
    ioapic_route(gsi_of(pin), (u8)(HOSTIRQ_FIRST + (u32)index), host_target(vm, &m), flags);
}

/* ---- delivery ---- */

static void deliver(struct vm *vm, u32 index)
{
    enum host_irq_kind kind;
    u64 addr = 0;
    u32 data = 0;
    u16 fn, sub;
    bool message;

    spin_lock(&host_lock);
    kind = (enum host_irq_kind)sources[index].kind;
    fn = sources[index].fn;
    sub = sources[index].index;
    message =
        (kind == HOST_IRQ_MSI || kind == HOST_IRQ_MSIX) && host_msi_message(kind, fn, sub, &addr, &data);
    spin_unlock(&host_lock);
    if (message)
        arch_vm_inject_msi(vm, addr, data);
    else if (kind == HOST_IRQ_PIN)
        vioapic_host_irq(irqchip_of(vm), sub);
}

void arch_host_irqs(void)
{
    struct vm *vm = service_vm();
    u32 index;

    while (hostirq_take(&index))
        deliver(vm, index);
    hostirq_end();
}

void host_irq_quiesce(struct vm *vm)
{
    struct irqchip *c = irqchip_of(vm);

    for (unsigned pin = 0; pin < c->ioapic.pins; pin++) {
        if (c->ioapic.host_pins[pin / 64] & BIT64(pin % 64))
            host_pin_mask(pin);
    }
    spin_lock(&host_lock);
    memset(sources, 0, sizeof(sources));
    memset(pin_vector, 0, sizeof(pin_vector));
    spin_unlock(&host_lock);
}

void arch_host_quiesce(struct vm *vm)
{
    host_pci_quiesce(vm);
    host_irq_quiesce(vm);
}
