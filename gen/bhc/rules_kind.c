/* Rules about what goes with which kind of VM: pre-launched, service, user slots. */
#include "ranges.h"
#include "rules.h"

#include <inttypes.h>
#include <string.h>

#define PRELAUNCHED BIT32(KIND_PRELAUNCHED)
#define SERVICE     BIT32(KIND_SERVICE)
#define USER        BIT32(KIND_USER)

/* Something that a VM has or lacks, and the kinds that use it. */
struct part {
    const char *what;
    struct where at; /* when given */
    u32 kinds;
    bool given;
};

RULE(vm_kind_needs)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const struct part parts[] = {
            {"key=\"...\"", vm->at, PRELAUNCHED | SERVICE, vm->has_key},
            {"key=\"...\", or spare=\"yes\"", vm->at, USER, vm->has_key || vm->spare},
            {"<cpus>", vm->at, PRELAUNCHED | USER, vm->has_cpus},
            {"<vcpus max=\"...\"/>", vm->at, USER, vm->has_vcpus},
            {"<memory> with a <ram>", vm->at, PRELAUNCHED, vm->ram_count > 0},
            {"<memory limit=\"...\"/>", vm->at, USER, vm->has_limit},
            {"<boot>", vm->at, PRELAUNCHED | SERVICE, vm->boot.present},
            {"<service>", vm->at, SERVICE, vm->service.present},
            {"on=\"...\" in <ready>, because it has no console of its own", vm->at, USER,
             !vm->ready || vm->ready_on},
        };

        for (size_t j = 0; j < ARRAY_SIZE(parts); j++) {
            if ((parts[j].kinds & BIT32(vm->kind)) && !parts[j].given)
                MISTAKE(parts[j].at, "vm '%s' is of kind '%s', which needs %s; add it", vm->name,
                        kind_names[vm->kind], parts[j].what);
        }
    }
}

static const char *users_of(u32 kinds)
{
    switch (kinds) {
    case PRELAUNCHED:
        return "only pre-launched VMs have";
    case SERVICE:
        return "only the service VM has";
    case USER:
        return "only user slots have";
    case PRELAUNCHED | SERVICE:
        return "user slots do not have";
    default:
        return "the service VM does not have";
    }
}

RULE(vm_kind_excludes)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const struct part parts[] = {
            {"spare=\"yes\"", vm->at, USER, vm->spare},
            {"autostart", vm->at, PRELAUNCHED | SERVICE, vm->has_autostart},
            {"<vcpus>", vm->vcpus_at, USER, vm->has_vcpus},
            {"<memory> (it gets what nobody else was given)", vm->memory_at, PRELAUNCHED | USER,
             vm->has_memory},
            {"limit in <memory>", vm->memory_at, USER, vm->has_limit && vm->kind != KIND_SERVICE},
            {"<ram>", vm->ram_count > 0 ? vm->ram[0].at : vm->at, PRELAUNCHED,
             vm->ram_count > 0 && vm->kind != KIND_SERVICE},
            {"<boot>", vm->boot.at, PRELAUNCHED | SERVICE, vm->boot.present},
            {"<service>", vm->service.at, SERVICE, vm->service.present},
            {"<rt/>", vm->flags_at, PRELAUNCHED | USER, vm->flags & FLAG_RT},
            {"<hypercall/>", vm->flags_at, PRELAUNCHED, vm->flags & FLAG_HYPERCALL},
            {"<polling/>", vm->flags_at, USER, vm->flags & FLAG_POLLING},
            {"<lapic-passthrough/>", vm->flags_at, USER, vm->flags & FLAG_LAPIC_PASSTHROUGH},
            {"<secure-world/>", vm->flags_at, USER, vm->flags & FLAG_SECURE_WORLD},
            {"<devices>", vm->devices_at, PRELAUNCHED | USER, vm->devices_at.line > 0},
            {"<irq> in <devices>", vm->irq_count > 0 ? vm->irqs[0].at : vm->at, PRELAUNCHED,
             vm->irq_count > 0 && vm->kind != KIND_SERVICE},
            {"on=\"...\" in <ready>", vm->ready_at, USER, vm->ready_on != NULL},
        };

        for (size_t j = 0; j < ARRAY_SIZE(parts); j++) {
            if (parts[j].given && !(parts[j].kinds & BIT32(vm->kind)))
                MISTAKE(parts[j].at, "vm '%s' is of kind '%s', but has %s, which %s; remove it", vm->name,
                        kind_names[vm->kind], parts[j].what, users_of(parts[j].kinds));
        }
    }
}

RULE(vm_ready_on)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        u32 on = vm->ready_on ? vm_index(s, vm->ready_on) : 0;

        if (!vm->ready_on)
            continue;
        if (on == NO_INDEX)
            MISTAKE(
                vm->ready_at,
                "the ready text of vm '%s' is awaited on the console of vm '%s', but there is no such VM; "
                "correct the name",
                vm->name, vm->ready_on);
        else if (s->vms[on].kind == KIND_USER)
            MISTAKE(vm->ready_at,
                    "the ready text of vm '%s' is awaited on the console of vm '%s', a user slot without "
                    "console; name the service VM",
                    vm->name, vm->ready_on);
    }
}

RULE(service_single)
{
    const struct scenario *s = &config->scenario;
    const struct vm *first = service_vm(s);

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        if (vm->kind == KIND_SERVICE && vm != first)
            MISTAKE(
                vm->at,
                "vm '%s' is a second service VM beside vm '%s' (line %ld); make it pre-launched or remove it",
                vm->name, first->name, first->at.line);
    }
}

RULE(service_dma)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        if (vm->kind == KIND_SERVICE && vm->service.present && !vm->service.dma)
            MISTAKE(vm->service.at,
                    "the devices of service vm '%s' can reach the memory of every VM and of the hypervisor, "
                    "because no IOMMU driver is built yet; accept that with dma=\"unprotected\"",
                    vm->name);
    }
}

RULE(service_vector)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_service *service = &s->vms[i].service;

        if (service->upcall_vector < FIRST_VECTOR || service->upcall_vector > 0xff)
            MISTAKE(service->at,
                    "vm '%s' has upcall-vector 0x%" PRIx64
                    ", which is not between 0x%x and 0xff; use 0xf3 for Linux, or leave it out",
                    s->vms[i].name, service->upcall_vector, FIRST_VECTOR);
    }
}

struct ports {
    const char *what;
    u32 base, count;
};

static void check_machine_port(const struct rule *rule, const struct vm *vm, const struct vm_vuart *u,
                               const struct ports *p)
{
    if (p->base != 0 && ranges_meet(u->port, 8, p->base, p->count))
        MISTAKE(u->at,
                "service vm '%s' has a vUART at port 0x%x, which hides %s of the machine at port 0x%" PRIx32
                "; use another port",
                vm->name, (unsigned)u->port, p->what, p->base);
}

/* The service VM drives the machine's own registers; its vUARTs may stand before UARTs only. */
RULE(service_vuart_ports)
{
    const struct board *b = &config->board;
    const struct vm *vm = service_vm(&config->scenario);
    const struct ports fixed[] = {
        {"the PM timer", b->acpi.pm_timer_port, 4},
        {"PM1a_CNT", b->acpi.pm1a_cnt_port, 2},
        {"the reset port", b->acpi.reset_port, 1},
        {"the CPU hot-plug registers", b->acpi.cpu_hotplug_port, HOTPLUG_PORTS},
    };

    for (size_t i = 0; vm && i < vm->vuart_count; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(fixed); j++)
            check_machine_port(rule, vm, &vm->vuarts[i], &fixed[j]);
        for (size_t j = 0; j < b->pci_count; j++) {
            for (size_t k = 0; k < b->pci[j].bar_count; k++) {
                const struct pci_bar *bar = &b->pci[j].bars[k];

                if (bar->is_io)
                    check_machine_port(
                        rule, vm, &vm->vuarts[i],
                        &(struct ports){arena_printf("BAR %u of %s", (unsigned)bar->index, b->pci[j].address),
                                        (u32)bar->base, (u32)bar->size});
            }
        }
    }
}

RULE(user_needs_service)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count && !service_vm(s); i++) {
        if (s->vms[i].kind == KIND_USER)
            MISTAKE(s->vms[i].at,
                    "user slot '%s' has no service VM that could use it; add a <vm kind=\"service\"> or "
                    "remove it",
                    s->vms[i].name);
    }
}

RULE(user_key)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        u8 bytes[KEY_BYTES];

        if (vm->kind != KIND_USER || !vm->has_key)
            continue;
        if (vm->spare)
            MISTAKE(vm->at,
                    "user slot '%s' is spare, so it takes any key, but has key '%s'; remove one of the two",
                    vm->name, vm->key);
        else if (!key_bytes(vm->key, bytes))
            MISTAKE(
                vm->at,
                "user slot '%s' has key '%s', which is neither a UUID (8-4-4-4-12 hexadecimal digits) nor a "
                "name of 1 to %d characters, as hypercalls hold 16 bytes; use uuidgen or shorten it",
                vm->name, vm->key, MAX_KEY_NAME);
    }
}

RULE(user_vcpus)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        if (vm->kind != KIND_USER || !vm->has_vcpus)
            continue;
        if (vm->vcpu_count == 0 || vm->vcpu_count > MAX_USER_VCPUS)
            MISTAKE(vm->vcpus_at, "user slot '%s' may have %" PRIu64 " vCPUs; give 1 to %d", vm->name,
                    vm->vcpu_count, MAX_USER_VCPUS);
        else if (vm->has_cpus && vm->vcpu_count > vm->cpu_count)
            MISTAKE(vm->vcpus_at,
                    "user slot '%s' may have %" PRIu64
                    " vCPUs, but only %zu CPUs, and each vCPU runs on one of its own; lower max or add CPUs",
                    vm->name, vm->vcpu_count, vm->cpu_count);
    }
}

RULE(user_memory)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        if (vm->kind == KIND_USER && vm->has_limit &&
            (vm->mem_limit == 0 || !IS_ALIGNED(vm->mem_limit, PAGE_SIZE)))
            MISTAKE(
                vm->memory_at,
                "user slot '%s' has a memory limit of %s, which is not a whole number of 4 KiB pages above "
                "zero; give a limit such as 256M",
                vm->name, size_text(vm->mem_limit));
    }
}

RULE(user_lapic_rt)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        if (vm->kind == KIND_USER && (vm->flags & FLAG_LAPIC_PASSTHROUGH) && !(vm->flags & FLAG_RT))
            MISTAKE(
                vm->flags_at,
                "user slot '%s' may ask for <lapic-passthrough/>, which only real-time VMs can have, but not "
                "for <rt/>; add <rt/> or remove it",
                vm->name);
    }
}

RULE(user_not_built)
{
    static const struct {
        u32 flag;
        const char *name;
    } missing[] = {{FLAG_LAPIC_PASSTHROUGH, "lapic-passthrough"}, {FLAG_SECURE_WORLD, "secure-world"}};
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        for (size_t j = 0; j < ARRAY_SIZE(missing); j++) {
            if (vm->kind == KIND_USER && (vm->flags & missing[j].flag))
                MISTAKE(
                    vm->flags_at,
                    "user slot '%s' (line %ld) may ask for <%s/>, which is not built yet: CREATE_VM with it "
                    "answers -ENODEV; remove it unless that answer is wanted",
                    vm->name, vm->at.line, missing[j].name);
        }
    }
}
