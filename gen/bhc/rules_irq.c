/* Rules about interrupts: who takes which, and where it arrives. */
#include "owners.h"

#include <inttypes.h>
#include <stdlib.h>

#include "x86/hw/hostirq.h"
#include "x86/vdev/platform_map.h"

/* A loop over every <irq> `irq` of every VM `vm`; both are declared by it. */
/* NOLINTBEGIN(bugprone-macro-parentheses): names that a macro declares cannot stand in parentheses */
#define FOR_EACH_IRQ(config, vm, irq)                                                                        \
    for (const struct vm *vm = (config)->scenario.vms, *vm##_end = vm + (config)->scenario.vm_count;         \
         vm < vm##_end; vm++)                                                                                \
        for (const struct vm_irq *irq = vm->irqs, *irq##_end = irq + vm->irq_count; irq < irq##_end; irq++)
/* NOLINTEND(bugprone-macro-parentheses) */

RULE(irq_exists)
{
    FOR_EACH_IRQ(config, vm, irq)
    {
        if (!ioapic_of(&config->board, irq->gsi))
            MISTAKE(irq->at,
                    "%s GSI %" PRIu32
                    ", which no I/O APIC of board '%s' takes; correct gsi or add the <ioapic>",
                    grant_text(vm), irq->gsi, config->board.name);
    }
}

/* The board's function when the VM takes its legacy interrupt, and the board knows it; else NULL. */
static const struct pci_function *legacy_source(const struct board *b, const struct vm_device *d)
{
    const struct pci_function *f = d->intx ? pci_find(b, d->bdf) : NULL;

    return f && f->has_intx ? f : NULL;
}

RULE(irq_intx_known)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->given_count; i++) {
        const struct vm_device *d = s->given[i].device;
        const struct pci_function *f = d->intx ? pci_find(&config->board, d->bdf) : NULL;

        if (f && !f->has_intx)
            MISTAKE(d->at,
                    "vm '%s' takes the legacy interrupt of PCI device %s, but board '%s' gives it none (line "
                    "%ld); "
                    "remove intx or describe <intx>",
                    s->given[i].vm->name, d->address, config->board.name, f->at.line);
    }
}

RULE(irq_console)
{
    const struct scenario *s = &config->scenario;
    const struct uart *console = console_uart(config);

    if (!console)
        return; /* CON-001 */
    FOR_EACH_IRQ(config, vm, irq)
    {
        if (irq->gsi == console->gsi)
            MISTAKE(irq->at,
                    "%s GSI %" PRIu32 ", which is that of the console's UART '%s' (line %ld); choose another "
                    "console or remove the <irq>",
                    grant_text(vm), irq->gsi, console->name, s->hv.console_at.line);
    }
    for (size_t i = 0; i < s->given_count; i++) {
        const struct pci_function *f = legacy_source(&config->board, s->given[i].device);

        if (f && f->intx_gsi == console->gsi)
            MISTAKE(s->given[i].device->at,
                    "%s PCI device %s with its legacy interrupt, GSI %" PRIu32
                    ", which is that of the console's UART '%s' (line %ld) too; leave intx out, or choose "
                    "another "
                    "console",
                    grant_text(s->given[i].vm), f->address, f->intx_gsi, console->name,
                    s->hv.console_at.line);
    }
}

/*
 * Everything that raises a GSI for a VM: <irq>s, devices given with intx, and those that are left to the
 * service VM, which takes what interrupts they raise.
 */
static struct share *gsi_shares(const struct config *c, size_t *count)
{
    const struct board *b = &c->board;
    struct owners o = owners_of(c);
    struct share *shares;
    size_t room = b->pci_count, n = 0;

    for (size_t i = 0; i < c->scenario.vm_count; i++)
        room += c->scenario.vms[i].irq_count;
    shares = arena_alloc(room, sizeof(*shares));
    FOR_EACH_IRQ(c, vm, irq)
    shares[n++] = (struct share){
        .key = irq->gsi, .owner = {OWNER_VM, vm, NULL}, .at = irq->at, .given = true, .irq = irq};
    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = b->pci_sorted[i];
        struct share s = share_function(&o, f->intx_gsi, f, NULL);

        if (f->has_intx && s.owner.kind == OWNER_VM && (!s.given || s.owner.device->intx))
            shares[n++] = s;
    }
    *count = n;
    return shares;
}

static const char *source_text(const struct share *s)
{
    return s->irq ? arena_printf("<irq> of vm '%s' (line %ld)", s->owner.vm->name, s->at.line)
                  : arena_printf("PCI device %s of %s", s->f->address, owner_text(&s->owner));
}

static void report_gsi(const struct rule *rule, const struct config *c, const struct share *mine,
                       const struct share *other)
{
    (void)c;
    MISTAKE(mine->at, "%s GSI %" PRIu64 "%s, which is that of %s too; %s", grant_text(mine->owner.vm),
            mine->key, mine->irq ? "" : arena_printf(" with PCI device %s", mine->f->address),
            source_text(other),
            mine->irq ? "remove the <irq>, or give both to one VM"
                      : "leave intx out, so that it uses messages only, or give both to one VM");
}

RULE(irq_once)
{
    size_t count;
    struct share *shares = gsi_shares(config, &count);

    shares_check(rule, config, shares, count, false, report_gsi);
}

RULE(irq_lapic)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->given_count; i++) {
        const struct given *g = &s->given[i];

        if (g->device->intx && (g->vm->flags & FLAG_LAPIC_PASSTHROUGH))
            MISTAKE(g->device->at,
                    "%s PCI device %s with its legacy interrupt and <lapic-passthrough/> (line %ld), but a "
                    "VM with "
                    "its CPUs' own local APICs takes messages only; leave intx out or remove the flag",
                    grant_text(g->vm), g->device->address, g->vm->flags_at.line);
    }
}

/* Pre-launched VMs': no others have an <irq> (VM-008). */
static void check_lines(const struct rule *rule, const struct vm *vm)
{
    const struct vm_irq *first[PLAT_IOAPIC_PINS] = {NULL};
    const struct vm_vuart *uarts[PLAT_IOAPIC_PINS] = {NULL};

    for (size_t i = 0; i < vm->vuart_count; i++) {
        if (vm->vuarts[i].irq < PLAT_IOAPIC_PINS)
            uarts[vm->vuarts[i].irq] = &vm->vuarts[i];
    }
    for (size_t i = 0; i < vm->irq_count; i++) {
        const struct vm_irq *irq = &vm->irqs[i];
        const char *seen =
            arena_printf("vm '%s' sees GSI %" PRIu32 " at line %" PRIu32, vm->name, irq->gsi, irq->line);

        if (irq->line >= PLAT_IOAPIC_PINS)
            MISTAKE(irq->at, "%s, but its virtual I/O APIC has %d pins; use a line below that", seen,
                    PLAT_IOAPIC_PINS);
        else if (platform_irq(irq->line))
            MISTAKE(irq->at, "%s, which is that of %s; use another line", seen, platform_irq(irq->line));
        else if (uarts[irq->line])
            MISTAKE(irq->at, "%s, which its vUART 0x%x has (line %ld); use another line", seen,
                    (unsigned)uarts[irq->line]->port, uarts[irq->line]->at.line);
        else if (first[irq->line])
            MISTAKE(irq->at, "%s, where it sees GSI %" PRIu32 " (line %ld); use another line", seen,
                    first[irq->line]->gsi, first[irq->line]->at.line);
        else
            first[irq->line] = irq;
    }
}

RULE(irq_lines)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].kind == KIND_PRELAUNCHED)
            check_lines(rule, &s->vms[i]);
    }
}

static int compare_gsis(const void *a, const void *b)
{
    const struct vm_irq *x = *(const struct vm_irq *const *)a, *y = *(const struct vm_irq *const *)b;

    if (x->gsi != y->gsi)
        return x->gsi < y->gsi ? -1 : 1;
    return x < y ? -1 : x > y;
}

RULE(irq_named_once)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const struct vm_irq **sorted = arena_alloc(vm->irq_count, sizeof(struct vm_irq *));

        for (size_t j = 0; j < vm->irq_count; j++)
            sorted[j] = &vm->irqs[j];
        if (vm->irq_count > 0)
            qsort(sorted, vm->irq_count, sizeof(struct vm_irq *), compare_gsis);
        for (size_t j = 1; j < vm->irq_count; j++) {
            if (sorted[j]->gsi == sorted[j - 1]->gsi)
                MISTAKE(sorted[j]->at, "%s GSI %" PRIu32 " twice (line %ld); remove one <irq>",
                        grant_text(vm), sorted[j]->gsi, sorted[j - 1]->at.line);
        }
    }
}

/* Host vectors that a device may use: one for each MSI-X entry, or one for MSI, of which the hypervisor gives
 * a function one message; and one for its legacy interrupt. */
static u64 vectors_of(const struct board *b, const struct vm_device *d)
{
    const struct pci_function *f = pci_find(b, d->bdf);

    if (!f)
        return 0;
    return (f->has_msix ? f->msix_vectors : f->has_msi) + (d->intx && f->has_intx);
}

/*
 * src/x86/hw/hostirq.h: interrupts of devices arrive at HOSTIRQ_COUNT vectors from HOSTIRQ_FIRST on, and a
 * vector stands for the same source on every CPU (src/x86/vdev/host_irq.c, host_vector_alloc()): they are the
 * machine's, not a CPU's or VM's.
 */
RULE(irq_vectors)
{
    const struct scenario *s = &config->scenario;
    u64 need = 0;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        struct where at = vm->devices_at;

        for (size_t j = 0; j < vm->device_count && need <= HOSTIRQ_COUNT; j++) {
            need += vectors_of(&config->board, &vm->devices[j]);
            at = vm->devices[j].at;
        }
        if (need <= HOSTIRQ_COUNT && vm->irq_count > 0) {
            need += vm->irq_count;
            at = vm->irqs[vm->irq_count - 1].at;
        }
        if (need > HOSTIRQ_COUNT) {
            MISTAKE(at,
                    "the interrupts of the devices that VMs are given up to here, vm '%s' the last, may need "
                    "%" PRIu64 " host vectors, but there are %u for devices (0x%x to 0x%x, the same on every "
                    "CPU); give fewer "
                    "devices, or describe fewer <msix vectors> than the table has",
                    vm->name, need, HOSTIRQ_COUNT, HOSTIRQ_FIRST, HOSTIRQ_FIRST + HOSTIRQ_COUNT - 1);
            return;
        }
    }
}
