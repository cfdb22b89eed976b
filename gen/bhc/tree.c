#include "tree.h"

#include <string.h>

#include "rules.h"

static void add_range(struct node *n, u64 base, u64 size)
{
    add_hex64(n, "base", base);
    add_hex64(n, "size", size);
}

static void add_names(struct node *parent, const char *element, const struct named *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_text(node_new(parent, element), "name", list[i].name);
}

static void build_input(struct node *root, const char *what, const struct input *input)
{
    struct node *n = node_new(root, "input");

    add_text(n, "kind", what);
    add_dec(n, "bytes", input->size);
    add_text(n, "sha256", input->sha256);
}

/* No dates, paths or versions of tools: equal inputs must give equal bytes. */
static void build_origin(struct node *root, const struct config *c)
{
    struct node *n = node_new(root, "versions");

    add_text(n, "project", PROJECT_VERSION);
    add_dec(n, "rules", rule_count);
    build_input(root, "board", &c->board_input);
    build_input(root, "scenario", &c->scenario_input);
}

static void build_sizes(struct node *root, const struct config *c)
{
    const struct scenario *s = &c->scenario;
    struct node *n = node_new(root, "sizes");

    add_dec(n, "pcpus", c->board.core_count);
    add_dec(n, "vms", s->vm_count);
    add_dec(n, "vcpus", s->vcpu_total);
    add_dec(n, "max-vcpus-per-vm", s->vcpu_max);
    add_dec(n, "modules", s->module_count);
    add_dec(n, "vuarts", s->vuart_total);
    add_dec(n, "service", service_vm(s) != NULL);
    add_dec(n, "user-vms", user_vm_count(s));
    add_dec(n, "s2-pages", s->s2_total);
    add_dec(n, "links", s->link_count);
    add_dec(n, "shms", s->shm_count);
    add_dec(n, "shm-users", s->shm_user_total);
    add_dec(n, "classes", s->class_count);
}

static void add_devices(struct node *parent, const struct pci_name *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct node *n = node_new(parent, "device");

        add_text(n, "address", list[i].address);
        add_hex(n, "bdf", list[i].bdf);
    }
}

static void build_emulator(struct node *board, const struct emulator *e)
{
    struct node *n;

    if (!e->present)
        return;
    n = node_new(board, "emulator");
    add_text(n, "kind", e->kind);
    add_text(n, "machine", e->machine);
    add_text(n, "cpu", e->cpu);
    add_text(n, "memory", e->memory);
    add_text(n, "min-version", e->min_version);
}

static void build_memory(struct node *board, const struct board *b)
{
    for (size_t i = 0; i < b->ram_count; i++)
        add_range(node_new(board, "ram"), b->ram[i].base, b->ram[i].size);
    for (size_t i = 0; i < b->reserved_count; i++) {
        struct node *n = node_new(board, "reserved");

        add_range(n, b->reserved[i].base, b->reserved[i].size);
        add_text(n, "what", b->reserved[i].what);
        add_devices(n, b->reserved[i].devices, b->reserved[i].device_count);
    }
}

static void build_controllers(struct node *board, const struct board *b)
{
    struct node *n;

    add_hex64(node_new(board, "lapic"), "base", b->lapic_base);
    for (size_t i = 0; i < b->ioapic_count; i++) {
        n = node_new(board, "ioapic");
        add_dec(n, "id", b->ioapics[i].id);
        add_hex64(n, "base", b->ioapics[i].base);
        add_dec(n, "pins", b->ioapics[i].pins);
        add_dec(n, "gsi-base", b->ioapics[i].gsi_base);
    }
    /* Base 0 stands for "there is none", as in the tables. */
    n = node_new(board, "mcfg");
    add_hex64(n, "base", b->mcfg.base);
    add_dec(n, "start-bus", b->mcfg.start_bus);
    add_dec(n, "end-bus", b->mcfg.end_bus);
    n = node_new(board, "acpi");
    add_hex(n, "pm-timer-port", b->acpi.pm_timer_port);
    add_hex(n, "pm1a-cnt-port", b->acpi.pm1a_cnt_port);
    add_dec(n, "s5-slp-typ", b->acpi.s5_slp_typ);
    add_hex(n, "reset-port", b->acpi.reset_port);
    add_hex(n, "reset-value", b->acpi.reset_value);
    add_hex(n, "cpu-hotplug-port", b->acpi.cpu_hotplug_port);
    for (size_t i = 0; i < b->iommu_count; i++) {
        n = node_new(board, "iommu");
        add_text(n, "kind", b->iommus[i].kind);
        add_hex64(n, "base", b->iommus[i].base);
        add_bool(n, "all", b->iommus[i].all);
        add_devices(n, b->iommus[i].devices, b->iommus[i].device_count);
    }
    for (size_t i = 0; i < b->uart_count; i++) {
        n = node_new(board, "uart");
        add_text(n, "name", b->uarts[i].name);
        add_hex(n, "port", b->uarts[i].port);
        add_dec(n, "gsi", b->uarts[i].gsi);
        add_dec(n, "baud", b->uarts[i].baud);
        add_dec(n, "clock-hz", b->uarts[i].clock_hz);
        add_text(n, "pci", b->uarts[i].on_pci ? b->uarts[i].pci.address : "");
    }
}

static void build_pm(struct node *board, const struct board *b)
{
    for (size_t i = 0; i < b->px_count; i++) {
        struct node *n = node_new(board, "px");

        add_dec64(n, "core-mhz", b->px[i].core_mhz);
        add_dec64(n, "power-mw", b->px[i].power_mw);
        add_dec64(n, "latency-us", b->px[i].latency_us);
        add_dec64(n, "bus-master-us", b->px[i].bus_master_us);
        add_hex64(n, "control", b->px[i].control);
        add_hex64(n, "status", b->px[i].status);
    }
    for (size_t i = 0; i < b->cx_count; i++) {
        struct node *n = node_new(board, "cx");

        add_dec(n, "type", b->cx[i].type);
        add_hex(n, "space", b->cx[i].space);
        add_dec(n, "width", b->cx[i].width);
        add_dec(n, "offset", b->cx[i].offset);
        add_dec(n, "access", b->cx[i].access);
        add_hex64(n, "address", b->cx[i].address);
        add_dec(n, "latency-us", b->cx[i].latency_us);
        add_dec64(n, "power-mw", b->cx[i].power_mw);
    }
}

static void build_interrupts(struct node *function, const struct pci_function *f)
{
    struct node *n;

    if (f->has_intx) {
        n = node_new(function, "intx");
        add_dec(n, "pin", f->intx_pin);
        add_dec(n, "gsi", f->intx_gsi);
    }
    if (f->has_msi)
        add_dec(node_new(function, "msi"), "vectors", f->msi_vectors);
    if (f->has_msix) {
        n = node_new(function, "msix");
        add_dec(n, "vectors", f->msix_vectors);
        add_dec(n, "bar", f->msix_bar);
        add_hex64(n, "offset", f->msix_offset);
    }
}

static void build_pci(struct node *board, const struct board *b)
{
    size_t first_bar = 0;

    for (size_t i = 0; i < b->window_count; i++)
        add_range(node_new(board, "window"), b->windows[i].base, b->windows[i].size);
    for (size_t i = 0; i < b->pci_count; i++) {
        const struct pci_function *f = &b->pci[i];
        struct node *n = node_new(board, "function");

        add_text(n, "address", f->address);
        add_hex(n, "bdf", f->bdf);
        add_hex(n, "vendor", f->vendor);
        add_hex(n, "device", f->device);
        add_hex(n, "class", f->class_code);
        add_dec(n, "first-bar", first_bar);
        add_dec(n, "bars", f->bar_count);
        add_hex(n, "iommu-group", f->has_group ? f->iommu_group : NO_GROUP);
        add_bool(n, "acs", f->acs);
        first_bar += f->bar_count;
        for (size_t j = 0; j < f->bar_count; j++) {
            struct node *bar = node_new(n, "bar");

            add_dec(bar, "index", f->bars[j].index);
            add_bool(bar, "io", f->bars[j].is_io);
            add_range(bar, f->bars[j].base, f->bars[j].size);
        }
        build_interrupts(n, f);
    }
}

static void build_board(struct node *root, const struct board *b)
{
    struct node *n = node_new(root, "board"), *tsc;

    add_text(n, "name", b->name);
    add_text(n, "description", b->description);
    add_text(n, "vendor", b->vendor);
    add_text(n, "extension", b->extension);
    add_hex(n, "trampoline", b->trampoline);
    build_emulator(n, &b->emulator);
    tsc = node_new(n, "tsc");
    add_dec64(tsc, "hz", b->tsc_hz);
    add_bool(tsc, "invariant", b->tsc_invariant);
    add_names(n, "feature", b->features, b->feature_count);
    add_names(n, "mitigation", b->mitigations, b->mitigation_count);
    add_names(n, "quirk", b->quirks, b->quirk_count);
    for (size_t i = 0; i < b->core_count; i++) {
        struct node *cpu = node_new(n, "cpu");

        add_hex(cpu, "apic-id", b->cores[i].apic_id);
        add_text(cpu, "core", b->cores[i].efficient ? "efficient" : "performance");
    }
    for (size_t i = 0; i < b->cache_count; i++) {
        struct node *cache = node_new(n, "cache");

        add_dec(cache, "level", b->caches[i].level);
        add_dec(cache, "ways", b->caches[i].ways);
        add_dec(cache, "classes", b->caches[i].classes);
    }
    build_memory(n, b);
    build_controllers(n, b);
    build_pm(n, b);
    build_pci(n, b);
}

static void build_hypervisor(struct node *scenario, const struct scenario *s, const struct board *b)
{
    const struct hypervisor *hv = &s->hv;
    struct node *n = node_new(scenario, "hypervisor"), *console = node_new(n, "console");

    add_text(n, "loglevel", hv->loglevel);
    for (size_t i = 0; i < b->uart_count; i++) {
        if (strcmp(b->uarts[i].name, hv->console_uart) == 0) {
            add_text(console, "uart", b->uarts[i].name);
            add_hex(console, "port", b->uarts[i].port);
            add_dec(console, "gsi", b->uarts[i].gsi);
            add_dec(console, "baud", b->uarts[i].baud);
            add_dec(console, "clock-hz", b->uarts[i].clock_hz);
            break;
        }
    }
    add_dec(console, "cpu", hv->console_cpu);
    add_hex(console, "vm", hv->console_vm ? vm_index(s, hv->console_vm) : NO_INDEX);
    add_range(node_new(n, "image"), hv->image_base, hv->image_size);
    add_range(node_new(n, "module-store"), hv->store_base, hv->store_size);
}

/* VM 0xffff: there is no service VM. */
static void build_service(struct node *scenario, const struct scenario *s)
{
    const struct vm *vm = service_vm(s);
    struct node *n = node_new(scenario, "service");

    add_hex(n, "vm", vm ? (u64)(vm - s->vms) : NO_INDEX);
    add_text(n, "abi", vm ? vm->service.abi : "v1");
    add_hex(n, "upcall-vector", vm ? vm->service.upcall_vector : DEFAULT_VECTOR);
    add_bool(n, "debug-hypercalls", vm ? vm->service.debug_hypercalls : true);
}

static void build_boot(struct node *vm, const struct vm_boot *boot)
{
    struct node *n = node_new(vm, "boot");

    add_text(n, "kind", boot->kind);
    add_text(n, "protocol", boot->protocol ? boot->protocol : "auto");
    add_hex(n, "kernel", boot->kernel_index);
    add_hex(n, "initrd", boot->initrd_index);
    add_hex64(n, "load", boot->load);
    add_hex64(n, "entry", boot->entry);
    add_text(n, "cmdline", boot->cmdline);
}

static const char *key_text(const struct vm *vm)
{
    const char *text = "";
    u8 bytes[KEY_BYTES];

    key_bytes(vm->key, bytes); /* all zero where the key is neither a UUID nor a short name */
    for (size_t i = 0; i < KEY_BYTES; i++)
        text = arena_printf("%s%02x", text, (unsigned)bytes[i]);
    return text;
}

static void build_vm_flags(struct node *n, const struct vm *vm)
{
    bool user = vm->kind == KIND_USER;

    for (u32 i = 0; flag_names[i]; i++) {
        if (!user && (vm->flags & BIT32(i)))
            add_text(node_new(n, "flag"), "name", flag_names[i]);
    }
    if (vm->autostart)
        add_text(node_new(n, "flag"), "name", "autostart");
    if (vm->spare)
        add_text(node_new(n, "flag"), "name", "spare");
    for (u32 i = 0; flag_names[i]; i++) {
        if (user && (vm->flags & BIT32(i)))
            add_text(node_new(n, "may-ask"), "name", flag_names[i]);
    }
}

static void build_device(struct node *vm, const struct vm_device *d)
{
    struct node *n = node_new(vm, "device");

    add_text(n, "address", d->address);
    add_hex(n, "bdf", d->bdf);
    add_text(n, "virtual", d->virtual_address);
    add_hex(n, "virtual-bdf", d->virtual_bdf);
    add_bool(n, "intx", d->intx);
    for (size_t i = 0; i < d->bar_count; i++) {
        struct node *bar = node_new(n, "vbar");

        add_dec(bar, "index", d->bars[i].index);
        add_hex64(bar, "gpa", d->bars[i].gpa);
        add_hex64(bar, "size", d->bars[i].size);
    }
}

static void build_vm_resources(struct node *n, const struct vm *vm)
{
    for (size_t i = 0; i < vm->cpu_count; i++)
        add_dec(node_new(n, "pcpu"), "id", vm->cpus[i].id);
    for (size_t i = 0; i < vm->mem_count; i++) {
        struct node *mem = node_new(n, "mem");

        add_hex64(mem, "gpa", vm->mem[i].gpa);
        add_hex64(mem, "hpa", vm->mem[i].hpa);
        add_hex64(mem, "size", vm->mem[i].size);
    }
    for (size_t i = 0; i < vm->vuart_count; i++) {
        struct node *uart = node_new(n, "vuart");

        add_hex(uart, "port", vm->vuarts[i].port);
        add_dec(uart, "irq", vm->vuarts[i].irq);
        add_bool(uart, "console", vm->vuarts[i].console);
        add_hex(uart, "peer", vm->vuarts[i].peer);
    }
    for (size_t i = 0; i < vm->device_count; i++)
        build_device(n, &vm->devices[i]);
    for (size_t i = 0; i < vm->irq_count; i++) {
        struct node *irq = node_new(n, "irq");

        add_dec(irq, "gsi", vm->irqs[i].gsi);
        add_dec(irq, "line", vm->irqs[i].line);
    }
}

static void build_vm(struct node *scenario, const struct vm *vm, size_t id)
{
    struct node *n = node_new(scenario, "vm");

    add_dec(n, "id", id);
    add_text(n, "name", vm->name);
    add_text(n, "key", vm->key);
    add_text(n, "key-bytes", key_text(vm));
    add_text(n, "kind", kind_names[vm->kind]);
    add_dec(n, "vcpus", vm->vcpu_count);
    add_dec(n, "first-vcpu", vm->first_vcpu);
    add_dec(n, "pcpus", vm->cpu_count);
    add_dec(n, "first-pcpu", vm->first_pcpu);
    add_dec(n, "mems", vm->mem_count);
    add_dec(n, "first-mem", vm->first_mem);
    add_hex64(n, "mem-limit", vm->mem_limit);
    add_dec(n, "vuarts", vm->vuart_count);
    add_dec(n, "first-vuart", vm->first_vuart);
    add_dec(n, "devices", vm->device_count);
    add_dec(n, "first-device", vm->first_device);
    add_dec(n, "s2-pages", vm->s2_pages);
    add_dec(n, "first-s2-page", vm->first_s2_page);
    add_dec(n, "shm-users", vm->shm_count);
    add_dec(n, "first-shm-user", vm->first_shm);
    add_dec(n, "clos", vm->clos);
    add_text(n, "dma", vm->dma ? vm->dma : vm->service.dma ? vm->service.dma : "");
    if (vm->ready) {
        add_text(n, "ready", vm->ready);
        add_text(n, "ready-on", vm->ready_on ? vm->ready_on : vm->name);
    }
    build_vm_flags(n, vm);
    build_vm_resources(n, vm);
    build_boot(n, &vm->boot);
}

/* What joins VMs: vUARTs, memory, shares of a cache. */
static void build_joints(struct node *scenario, const struct scenario *s)
{
    for (size_t i = 0; i < s->link_count; i++) {
        struct node *n = node_new(scenario, "link");

        for (size_t j = 0; j < s->links[i].end_count; j++) {
            struct node *end = node_new(n, "end");

            add_hex(end, "vm", vm_index(s, s->links[i].ends[j].vm));
            add_hex(end, "port", s->links[i].ends[j].port);
        }
    }
    for (size_t i = 0; i < s->shm_count; i++) {
        struct node *n = node_new(scenario, "shm");

        add_text(n, "name", s->shms[i].name);
        add_dec(n, "id", s->shms[i].id);
        add_range(n, s->shms[i].base, s->shms[i].size);
        for (size_t j = 0; j < s->shms[i].user_count; j++) {
            struct node *user = node_new(n, "user");

            add_hex(user, "vm", vm_index(s, s->shms[i].users[j].vm));
            add_hex64(user, "gpa", s->shms[i].users[j].gpa);
            add_bool(user, "writable", s->shms[i].users[j].writable);
        }
    }
    for (size_t i = 0; i < s->class_count; i++) {
        struct node *n = node_new(scenario, "cache-class");

        add_dec(n, "id", s->classes[i].id);
        add_dec(n, "level", s->classes[i].level);
        add_hex(n, "mask", s->classes[i].mask);
        for (size_t j = 0; j < s->classes[i].user_count; j++)
            add_hex(node_new(n, "user"), "vm", vm_index(s, s->classes[i].users[j].vm));
    }
}

struct node *tree_build(const struct config *c, const struct finding *warnings, size_t warning_count)
{
    const struct scenario *s = &c->scenario;
    struct node *root = node_new(NULL, "bulkhead"), *n;

    add_dec(root, "version", MANIFEST_FORMAT);
    build_origin(root, c);
    build_sizes(root, c);
    build_board(root, &c->board);
    n = node_new(root, "scenario");
    add_text(n, "name", s->name);
    add_text(n, "description", s->description);
    build_hypervisor(n, s, &c->board);
    build_service(n, s);
    for (size_t i = 0; i < s->module_count; i++) {
        struct node *m = node_new(n, "module");

        add_text(m, "name", s->modules[i].name);
        add_text(m, "source", s->modules[i].source);
        add_hex64(m, "max-size", s->modules[i].store_size);
    }
    for (size_t i = 0; i < s->vm_count; i++)
        build_vm(n, &s->vms[i], i);
    build_joints(n, s);
    for (size_t i = 0; i < warning_count; i++) {
        n = node_new(root, "warning");
        add_text(n, "rule", warnings[i].rule);
        add_text(n, "file", warnings[i].first_file ? "board" : "scenario");
        add_dec(n, "line", (u64)warnings[i].line);
        add_text(n, "text", warnings[i].text);
    }
    if (diag_count(SEV_WARNING) > warning_count)
        add_dec(node_new(root, "warnings-omitted"), "count", diag_count(SEV_WARNING) - warning_count);
    return root;
}
