/* Rules about counts: what the hypervisor's tables and its image have room for. */
#include "rules.h"

#include <string.h>

RULE(vm_count)
{
    const struct scenario *s = &config->scenario;

    if (s->vm_count > MAX_VMS)
        MISTAKE(s->at, "the scenario has %zu VMs, but at most %d are supported; remove some", s->vm_count,
                MAX_VMS);
}

RULE(module_count)
{
    const struct scenario *s = &config->scenario;

    if (s->module_count > MAX_MODULES)
        MISTAKE(
            s->modules[MAX_MODULES].at,
            "the scenario has %zu modules, but the hypervisor takes %d at most from its boot loader; let VMs "
            "share some or remove some",
            s->module_count, MAX_MODULES);
}

/*
 * What the image holds beside second-level tables, at least: code and constants, and what there is of each
 * CPU (stack, descriptor tables, save areas), VM and vCPU (with VMX, maps and access pages too). Somewhat
 * less than what was measured over images of 2 to 16 CPUs and 1 to 8 VMs, so that no image is refused that
 * would link; the linker script refuses the rest.
 */
static u64 image_least(const struct config *c)
{
    const struct scenario *s = &c->scenario;
    u64 vcpu = strcmp(c->board.extension, "vmx") == 0 ? KIB(12) : KIB(5);

    return KIB(208) + (service_vm(s) ? KIB(180) : 0) + c->board.core_count * KIB(40) + s->vm_count * KIB(10) +
           s->vcpu_total * vcpu;
}

RULE(hv_image_holds)
{
    const struct scenario *s = &config->scenario;
    u64 tables = s->s2_total * PAGE_SIZE, least = image_least(config);

    if (least + tables > s->hv.image_size)
        MISTAKE(
            s->hv.image_at,
            "the hypervisor's image of %s is too small for the %zu CPUs of board '%s' (line %ld), %zu VMs "
            "and %u vCPUs, which need %s at least, and %s of second-level tables; enlarge <image size>",
            size_text(s->hv.image_size), config->board.core_count, config->board.name,
            config->board.cpu_at.line, s->vm_count, s->vcpu_total, size_text(least), size_text(tables));
}

/* Host memory that the service VM does not see as device windows (src/x86/vdev/host_mem.c): RAM, I/O APICs,
 * the MCFG window, and up to 16 ranges that its copy of the ACPI tables hides. */
#define MAX_HIDDEN (64 - 1 - 16)

RULE(service_machine_ranges)
{
    const struct board *b = &config->board;
    const struct vm *service = service_vm(&config->scenario);

    if (service && b->ram_count + b->ioapic_count > MAX_HIDDEN)
        MISTAKE(
            service->at,
            "service vm '%s' is to see the machine of board '%s' (line %ld), but its map holds %d ranges of "
            "RAM and I/O APICs and the board has %zu; join <ram> ranges that touch, or leave small ones out",
            service->name, b->name, b->memory_at.line, MAX_HIDDEN, b->ram_count + b->ioapic_count);
}
