/* Bulkhead's board and scenario XML from the model (gen/schema). */
#include "import.h"
#include "node.h"

#include <string.h>

static void add_size(struct node *n, const char *name, u64 value)
{
    add_text(n, name, size_text(value));
}

/* The words of a list, between blanks. */
static void add_names(struct node *n, const char *name, const struct named *list, size_t count)
{
    struct buffer b = {0};

    buffer_add(&b, "", 0);
    for (size_t i = 0; i < count; i++) {
        buffer_puts(&b, i > 0 ? " " : "");
        buffer_puts(&b, list[i].name);
    }
    add_text(n, name, arena_strdup(b.data));
    buffer_free(&b);
}

static void put_cpu(struct node *board, const struct board *b)
{
    struct node *cpu = node_new(board, "cpu"), *tsc;

    add_text(cpu, "vendor", b->vendor);
    add_text(cpu, "extension", b->extension);
    add_names(cpu, "features", b->features, b->feature_count);
    if (b->mitigation_count > 0)
        add_names(cpu, "mitigations", b->mitigations, b->mitigation_count);
    for (size_t i = 0; i < b->core_count; i++) {
        struct node *core = node_new(cpu, "core");

        add_dec(core, "apic-id", b->cores[i].apic_id);
        if (b->cores[i].efficient)
            add_text(core, "kind", "efficient");
    }
    for (size_t i = 0; i < b->cache_count; i++) {
        struct node *cache = node_new(cpu, "cache-allocation");

        add_dec64(cache, "level", b->caches[i].level);
        add_dec64(cache, "ways", b->caches[i].ways);
        add_dec64(cache, "classes", b->caches[i].classes);
    }
    tsc = node_new(board, "tsc");
    add_text(tsc, "hz", "calibrate");
    add_bool(tsc, "invariant", b->tsc_invariant);
}

static void put_regions(struct node *parent, const char *name, const struct region *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct node *n = node_new(parent, name);

        add_hex64(n, "base", list[i].base);
        add_hex64(n, "size", list[i].size);
        if (list[i].what)
            add_text(n, "what", list[i].what);
    }
}

static void put_memory(struct node *board, const struct board *b)
{
    struct node *memory = node_new(board, "memory");

    add_hex64(memory, "trampoline", b->trampoline);
    put_regions(memory, "ram", b->ram, b->ram_count);
    put_regions(memory, "reserved", b->reserved, b->reserved_count);
    add_hex64(node_new(board, "lapic"), "base", b->lapic_base);
    for (size_t i = 0; i < b->ioapic_count; i++) {
        struct node *n = node_new(board, "ioapic");

        add_dec(n, "id", b->ioapics[i].id);
        add_hex64(n, "base", b->ioapics[i].base);
        add_dec(n, "pins", b->ioapics[i].pins);
        add_dec(n, "gsi-base", b->ioapics[i].gsi_base);
    }
}

static void put_acpi(struct node *board, const struct board *b)
{
    struct node *acpi;

    if (b->mcfg.present) {
        struct node *n = node_new(board, "mcfg");

        add_hex64(n, "base", b->mcfg.base);
        add_dec(n, "start-bus", b->mcfg.start_bus);
        add_dec(n, "end-bus", b->mcfg.end_bus);
    }
    acpi = node_new(board, "acpi");
    add_hex(acpi, "pm-timer-port", b->acpi.pm_timer_port);
    add_hex(acpi, "pm1a-cnt-port", b->acpi.pm1a_cnt_port);
    add_dec(acpi, "s5-slp-typ", b->acpi.s5_slp_typ);
    add_hex(acpi, "reset-port", b->acpi.reset_port);
    add_hex(acpi, "reset-value", b->acpi.reset_value);
    if (b->acpi.cpu_hotplug_port != 0)
        add_hex(acpi, "cpu-hotplug-port", b->acpi.cpu_hotplug_port);
}

static void put_px(struct node *pm, const struct px_state *p)
{
    struct node *n = node_new(pm, "px");

    add_dec64(n, "core-mhz", p->core_mhz);
    add_dec64(n, "power-mw", p->power_mw);
    add_dec64(n, "latency-us", p->latency_us);
    add_dec64(n, "bus-master-us", p->bus_master_us);
    add_hex64(n, "control", p->control);
    add_hex64(n, "status", p->status);
}

static void put_cx(struct node *pm, const struct cx_state *c)
{
    struct node *n = node_new(pm, "cx");

    add_dec(n, "type", c->type);
    add_text(n, "space", c->space == 0 ? "memory" : c->space == 1 ? "io" : "fixed");
    add_dec(n, "width", c->width);
    add_dec(n, "offset", c->offset);
    add_dec(n, "access", c->access);
    add_hex64(n, "address", c->address);
    add_dec(n, "latency-us", c->latency_us);
    add_dec64(n, "power-mw", c->power_mw);
}

static void put_power(struct node *board, const struct board *b)
{
    struct node *pm;

    if (b->px_count + b->cx_count == 0)
        return;
    pm = node_new(board, "pm");
    for (size_t i = 0; i < b->px_count; i++)
        put_px(pm, &b->px[i]);
    for (size_t i = 0; i < b->cx_count; i++)
        put_cx(pm, &b->cx[i]);
}

static void put_iommus(struct node *board, const struct board *b)
{
    for (size_t i = 0; i < b->iommu_count; i++) {
        const struct iommu *u = &b->iommus[i];
        struct node *n = node_new(board, "iommu");

        add_text(n, "kind", u->kind);
        add_hex64(n, "base", u->base);
        if (u->all)
            add_bool(n, "all", true);
        for (size_t j = 0; j < u->device_count; j++)
            add_text(node_new(n, "device"), "address", u->devices[j].address);
    }
}

static void put_uarts(struct node *board, const struct board *b)
{
    for (size_t i = 0; i < b->uart_count; i++) {
        const struct uart *u = &b->uarts[i];
        struct node *n = node_new(board, "uart");

        add_text(n, "name", u->name);
        add_hex(n, "port", u->port);
        add_dec(n, "gsi", u->gsi);
        add_dec(n, "baud", u->baud);
        add_dec(n, "clock-hz", u->clock_hz);
        if (u->on_pci)
            add_text(n, "pci", u->pci.address);
    }
}

static void put_interrupts(struct node *function, const struct pci_function *f)
{
    struct node *n;

    if (f->has_intx) {
        n = node_new(function, "intx");
        add_dec(n, "pin", f->intx_pin);
        add_dec(n, "gsi", f->intx_gsi);
    }
    if (f->has_msi)
        add_dec64(node_new(function, "msi"), "vectors", f->msi_vectors);
    if (f->has_msix) {
        n = node_new(function, "msix");
        add_dec64(n, "vectors", f->msix_vectors);
        add_dec(n, "bar", f->msix_bar);
        add_hex64(n, "offset", f->msix_offset);
    }
}

static void put_function(struct node *pci, const struct pci_function *f)
{
    struct node *function = node_new(pci, "function");

    add_text(function, "address", f->address);
    add_hex(function, "vendor", f->vendor);
    add_hex(function, "device", f->device);
    add_hex(function, "class", f->class_code);
    if (f->has_group)
        add_dec(function, "iommu-group", f->iommu_group);
    if (f->acs)
        add_bool(function, "acs", true);
    for (size_t i = 0; i < f->bar_count; i++) {
        struct node *bar = node_new(function, "bar");

        add_dec(bar, "index", f->bars[i].index);
        add_text(bar, "kind", f->bars[i].is_io ? "io" : "mem");
        add_hex64(bar, "base", f->bars[i].base);
        add_hex64(bar, "size", f->bars[i].size);
    }
    put_interrupts(function, f);
}

/* The file's name without its folder: the result is the same wherever the input lies. "--" may not stand in a
 * comment. */
static void finish(const struct node *root, const char *from, struct buffer *out)
{
    const char *last = strrchr(from, '/');
    char *name = arena_strdup(shown(last ? last + 1 : from));

    for (char *p = name; *p; p++) {
        if (p[0] == '-' && p[1] == '-')
            *p = '_';
    }
    buffer_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Imported from ACRN's ");
    buffer_puts(out, name);
    buffer_puts(out, ". import-report.txt says what was guessed and what was left out. -->\n");
    emit_xml_body(root, out);
}

void write_board(const struct board *b, const char *from, struct buffer *out)
{
    struct node *board = node_new(NULL, "board"), *pci;

    add_text(board, "name", b->name);
    add_text(board, "description", b->description);
    put_cpu(board, b);
    put_memory(board, b);
    put_acpi(board, b);
    put_power(board, b);
    put_iommus(board, b);
    put_uarts(board, b);
    pci = node_new(board, "pci");
    put_regions(pci, "window", b->windows, b->window_count);
    for (size_t i = 0; i < b->pci_count; i++)
        put_function(pci, &b->pci[i]);
    finish(board, from, out);
}

static void put_hypervisor(struct node *scenario, const struct scenario *s)
{
    const struct hypervisor *hv = &s->hv;
    struct node *n = node_new(scenario, "hypervisor"), *modules, *inner;

    add_text(n, "loglevel", hv->loglevel);
    inner = node_new(n, "console");
    add_text(inner, "uart", hv->console_uart);
    add_dec64(inner, "cpu", hv->console_cpu);
    inner = node_new(n, "image");
    add_hex64(inner, "base", hv->image_base);
    add_size(inner, "size", hv->image_size);
    modules = node_new(scenario, "modules");
    for (size_t i = 0; i < s->module_count; i++) {
        inner = node_new(modules, "module");
        add_text(inner, "name", s->modules[i].name);
        add_text(inner, "source", s->modules[i].source);
        add_size(inner, "max-size", s->modules[i].max_size);
    }
}

static void put_vm_memory(struct node *parent, const struct vm *vm)
{
    struct node *memory;

    if (!vm->has_memory)
        return;
    memory = node_new(parent, "memory");
    if (vm->has_limit)
        add_size(memory, "limit", vm->mem_limit);
    for (size_t i = 0; i < vm->ram_count; i++) {
        struct node *ram = node_new(memory, "ram");

        add_size(ram, "size", vm->ram[i].size);
        if (vm->ram[i].fixed)
            add_hex64(ram, "base", vm->ram[i].base);
    }
}

static void put_boot(struct node *parent, const struct vm_boot *boot)
{
    struct node *n;

    if (!boot->present)
        return;
    n = node_new(parent, "boot");
    add_text(n, "kind", boot->kind);
    add_text(n, "kernel", boot->kernel);
    if (boot->initrd)
        add_text(n, "initrd", boot->initrd);
    if (*boot->cmdline)
        add_text(n, "cmdline", boot->cmdline);
    if (boot->has_load)
        add_hex64(n, "load", boot->load);
    if (boot->has_entry)
        add_hex64(n, "entry", boot->entry);
}

static void put_vuarts_and_service(struct node *parent, const struct vm *vm)
{
    struct node *n;

    for (size_t i = 0; i < vm->vuart_count; i++) {
        n = node_new(parent, "vuart");
        add_hex(n, "port", vm->vuarts[i].port);
        add_dec(n, "irq", vm->vuarts[i].irq);
        if (vm->vuarts[i].console)
            add_bool(n, "console", true);
    }
    if (!vm->service.present)
        return;
    n = node_new(parent, "service");
    add_text(n, "abi", vm->service.abi);
    add_hex64(n, "upcall-vector", vm->service.upcall_vector);
    add_text(n, "dma", vm->service.dma);
}

static void put_flags(struct node *parent, u32 flags)
{
    struct node *n = flags ? node_new(parent, "flags") : NULL;

    for (size_t i = 0; n && flag_names[i]; i++) {
        if (flags & BIT32(i))
            node_new(n, flag_names[i]);
    }
}

static void put_devices(struct node *parent, const struct vm *vm)
{
    struct node *devices, *n;

    if (vm->device_count + vm->irq_count == 0)
        return;
    devices = node_new(parent, "devices");
    if (vm->dma)
        add_text(devices, "dma", vm->dma);
    for (size_t i = 0; i < vm->device_count; i++) {
        n = node_new(devices, "pci");
        add_text(n, "address", vm->devices[i].address);
        add_hex(n, "vendor", vm->devices[i].vendor);
        add_hex(n, "device", vm->devices[i].device);
    }
    for (size_t i = 0; i < vm->irq_count; i++) {
        n = node_new(devices, "irq");
        add_dec(n, "gsi", vm->irqs[i].gsi);
        add_dec(n, "line", vm->irqs[i].line);
    }
}

static void put_vm(struct node *scenario, const struct vm *vm)
{
    struct node *n = node_new(scenario, "vm"), *cpus;

    add_text(n, "name", vm->name);
    add_text(n, "key", vm->key);
    add_text(n, "kind", kind_names[vm->kind]);
    cpus = vm->has_cpus ? node_new(n, "cpus") : NULL;
    for (size_t i = 0; cpus && i < vm->cpu_count; i++)
        add_dec64(node_new(cpus, "cpu"), "id", vm->cpus[i].id);
    if (vm->has_vcpus)
        add_dec64(node_new(n, "vcpus"), "max", vm->vcpu_count);
    put_vm_memory(n, vm);
    put_boot(n, &vm->boot);
    put_vuarts_and_service(n, vm);
    put_flags(n, vm->flags);
    put_devices(n, vm);
}

static void put_links(struct node *scenario, const struct scenario *s)
{
    for (size_t i = 0; i < s->link_count; i++) {
        struct node *link = node_new(scenario, "connection");

        for (size_t j = 0; j < s->links[i].end_count; j++) {
            struct node *end = node_new(link, "end");

            add_text(end, "vm", s->links[i].ends[j].vm);
            add_hex(end, "port", s->links[i].ends[j].port);
        }
    }
}

static void put_shared(struct node *scenario, const struct shm *m)
{
    struct node *n = node_new(scenario, "shared-memory");

    add_text(n, "name", m->name);
    add_dec64(n, "id", m->id);
    add_size(n, "size", m->size);
    for (size_t j = 0; j < m->user_count; j++) {
        struct node *user = node_new(n, "user");

        add_text(user, "vm", m->users[j].vm);
        if (m->users[j].has_gpa)
            add_hex64(user, "gpa", m->users[j].gpa);
    }
}

static void put_class(struct node *scenario, const struct cache_class *c)
{
    struct node *n = node_new(scenario, "cache-class");

    add_dec64(n, "id", c->id);
    add_dec64(n, "level", c->level);
    add_hex64(n, "mask", c->mask);
    for (size_t j = 0; j < c->user_count; j++)
        add_text(node_new(n, "user"), "vm", c->users[j].vm);
}

void write_scenario(const struct scenario *s, const char *from, struct buffer *out)
{
    struct node *scenario = node_new(NULL, "scenario");

    add_text(scenario, "name", s->name);
    add_text(scenario, "description", "imported from ACRN");
    put_hypervisor(scenario, s);
    for (size_t i = 0; i < s->vm_count; i++)
        put_vm(scenario, &s->vms[i]);
    put_links(scenario, s);
    for (size_t i = 0; i < s->shm_count; i++)
        put_shared(scenario, &s->shms[i]);
    for (size_t i = 0; i < s->class_count; i++)
        put_class(scenario, &s->classes[i]);
    finish(scenario, from, out);
}
