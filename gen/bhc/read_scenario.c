#include "read.h"

#include <string.h>

#define DEFAULT_IMAGE_BASE 0x1000000
#define DEFAULT_IMAGE_SIZE MIB(4)

/* The store follows the image and holds every module at its largest, unless the scenario says otherwise. Sums
 * that overflow are left at the top of the address space, where the rules refuse them. */
static void complete_store(struct scenario *s)
{
    struct hypervisor *hv = &s->hv;
    u64 need = 0;

    for (size_t i = 0; i < s->module_count; i++) {
        if (__builtin_add_overflow(need, s->modules[i].store_size, &need))
            need = UINT64_MAX & ~PAGE_MASK;
    }
    if (!hv->store_size_given)
        hv->store_size = need;
    if (!hv->store_base_given && __builtin_add_overflow(hv->image_base, hv->image_size, &hv->store_base))
        hv->store_base = UINT64_MAX & ~PAGE_MASK;
}

static void read_hypervisor(struct reader *r, xmlNode *root, struct hypervisor *hv)
{
    xmlNode *n = reader_next(root, NULL, "hypervisor");
    xmlNode *console = reader_next(n, NULL, "console"), *image = reader_next(n, NULL, "image");
    xmlNode *store = reader_next(n, NULL, "module-store");

    *hv = (struct hypervisor){
        .at = reader_where(r, n),
        .loglevel = reader_text(n, "loglevel", "info"),
        .console_at = reader_where(r, console),
        .console_uart = reader_text(console, "uart", ""),
        .console_vm = reader_text(console, "vm", NULL),
        .console_cpu = reader_number(r, console, "cpu", UINT32_MAX),
        .image_at = reader_where(r, image ? image : n),
        .image_base = image ? reader_number(r, image, "base", UINT64_MAX) : DEFAULT_IMAGE_BASE,
        .image_size = image ? reader_number(r, image, "size", UINT64_MAX) : DEFAULT_IMAGE_SIZE,
        .store_at = reader_where(r, store ? store : n),
    };
    if (store) {
        hv->store_base_given = reader_has(store, "base");
        hv->store_size_given = reader_has(store, "size");
        hv->store_base = reader_number(r, store, "base", UINT64_MAX);
        hv->store_size = reader_number(r, store, "size", UINT64_MAX);
    }
}

static void read_modules(struct reader *r, xmlNode *root, struct scenario *s)
{
    xmlNode *modules = reader_next(root, NULL, "modules");
    size_t i = 0;

    s->module_count = reader_count(modules, "module");
    s->modules = arena_alloc(s->module_count, sizeof(*s->modules));
    for (xmlNode *n = NULL; (n = reader_next(modules, n, "module"));) {
        /* A limit far from 2^64 keeps every later sum of sizes and addresses exact. */
        u64 max_size = reader_number(r, n, "max-size", GIB(1024));

        s->modules[i++] = (struct module){
            .at = reader_where(r, n),
            .name = reader_text(n, "name", ""),
            .source = reader_text(n, "source", ""),
            .max_size = max_size,
            .store_size = ALIGN_UP(max_size, PAGE_SIZE),
        };
    }
}

static void read_cpus(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    xmlNode *cpus = reader_next(vm_node, NULL, "cpus"), *vcpus = reader_next(vm_node, NULL, "vcpus");
    size_t i = 0;

    vm->cpus_at = reader_where(r, cpus);
    vm->cpu_count = reader_count(cpus, "cpu");
    vm->cpus = arena_alloc(vm->cpu_count, sizeof(*vm->cpus));
    for (xmlNode *n = NULL; (n = reader_next(cpus, n, "cpu"));)
        vm->cpus[i++] = (struct vm_cpu){reader_where(r, n), reader_number(r, n, "id", UINT32_MAX)};
    vm->has_vcpus = vcpus != NULL;
    vm->vcpus_at = reader_where(r, vcpus);
    vm->vcpu_count = vcpus ? reader_number(r, vcpus, "max", UINT32_MAX) : vm->cpu_count;
}

static void read_memory(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    xmlNode *memory = reader_next(vm_node, NULL, "memory");
    size_t i = 0;

    vm->has_memory = memory != NULL;
    vm->has_limit = reader_has(memory, "limit");
    vm->memory_at = reader_where(r, memory);
    vm->mem_limit = vm->has_limit ? reader_number(r, memory, "limit", UINT64_MAX) : 0;
    vm->ram_count = reader_count(memory, "ram");
    vm->ram = arena_alloc(vm->ram_count, sizeof(*vm->ram));
    for (xmlNode *n = NULL; memory && (n = reader_next(memory, n, "ram"));) {
        vm->ram[i++] = (struct vm_ram){
            .at = reader_where(r, n),
            .fixed = reader_has(n, "base"),
            .base = reader_number(r, n, "base", UINT64_MAX),
            .size = reader_number(r, n, "size", UINT64_MAX),
        };
    }
}

static void read_vuarts(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    size_t i = 0;

    vm->vuart_count = reader_count(vm_node, "vuart");
    vm->vuarts = arena_alloc(vm->vuart_count, sizeof(*vm->vuarts));
    for (xmlNode *n = NULL; (n = reader_next(vm_node, n, "vuart"));) {
        vm->vuarts[i++] = (struct vm_vuart){
            .at = reader_where(r, n),
            .port = (u16)reader_number(r, n, "port", UINT16_MAX),
            .irq = (u8)reader_number(r, n, "irq", UINT8_MAX),
            .console = reader_yes(n, "console", false),
        };
    }
}

static void read_boot(struct reader *r, xmlNode *vm_node, struct vm_boot *boot)
{
    xmlNode *n = reader_next(vm_node, NULL, "boot");

    *boot = (struct vm_boot){
        .kind = "none", .kernel = "", .cmdline = "", .kernel_index = NO_INDEX, .initrd_index = NO_INDEX};
    if (!n)
        return;
    *boot = (struct vm_boot){
        .present = true,
        .at = reader_where(r, n),
        .kind = reader_text(n, "kind", ""),
        .protocol = reader_text(n, "protocol", NULL),
        .kernel = reader_text(n, "kernel", ""),
        .initrd = reader_text(n, "initrd", NULL),
        .cmdline = reader_text(n, "cmdline", ""),
        .has_load = reader_has(n, "load"),
        .has_entry = reader_has(n, "entry"),
        .load = reader_number(r, n, "load", UINT64_MAX),
        .entry = reader_number(r, n, "entry", UINT64_MAX),
        .kernel_index = NO_INDEX,
        .initrd_index = NO_INDEX,
    };
}

static void read_service(struct reader *r, xmlNode *vm_node, struct vm_service *service)
{
    xmlNode *n = reader_next(vm_node, NULL, "service");

    *service = (struct vm_service){
        .present = n != NULL,
        .at = reader_where(r, n),
        .abi = n ? reader_text(n, "abi", "v1") : "v1",
        .upcall_vector = reader_has(n, "upcall-vector") ? reader_number(r, n, "upcall-vector", UINT32_MAX)
                                                        : DEFAULT_VECTOR,
        .debug_hypercalls = n ? reader_yes(n, "debug-hypercalls", true) : true,
        .dma = n ? reader_text(n, "dma", NULL) : NULL,
    };
}

static void read_grants(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    xmlNode *flags = reader_next(vm_node, NULL, "flags"), *devices = reader_next(vm_node, NULL, "devices");
    size_t i = 0;

    vm->flags_at = reader_where(r, flags);
    for (u32 f = 0; flags && flag_names[f]; f++) {
        if (reader_next(flags, NULL, flag_names[f]))
            vm->flags |= BIT32(f);
    }
    vm->devices_at = reader_where(r, devices);
    vm->device_count = reader_count(devices, "pci");
    vm->devices = arena_alloc(vm->device_count, sizeof(*vm->devices));
    for (xmlNode *n = NULL; devices && (n = reader_next(devices, n, "pci"));) {
        const char *address = reader_text(n, "address", "");

        vm->devices[i++] = (struct vm_device){reader_where(r, n), address, reader_bdf(address)};
    }
}

static void read_ready(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    xmlNode *ready = reader_next(vm_node, NULL, "ready");
    xmlChar *text;

    if (!ready)
        return;
    text = xmlNodeGetContent(ready);
    if (!text)
        cannot_run("out of memory");
    vm->ready = arena_strdup((const char *)text);
    vm->ready_on = reader_text(ready, "on", NULL);
    vm->ready_at = reader_where(r, ready);
    xmlFree(text);
}

/* The schema knows no other words. */
static enum vm_kind kind_of(const char *name)
{
    enum vm_kind kind = KIND_PRELAUNCHED;

    while (kind < KIND_USER && strcmp(kind_names[kind], name) != 0)
        kind++;
    return kind;
}

static void read_vm(struct reader *r, xmlNode *n, struct vm *vm)
{
    *vm = (struct vm){
        .at = reader_where(r, n),
        .kind = kind_of(reader_text(n, "kind", "")),
        .name = reader_text(n, "name", ""),
        .key = reader_text(n, "key", ""),
        .has_key = reader_has(n, "key"),
        .spare = reader_yes(n, "spare", false),
        .has_autostart = reader_has(n, "autostart"),
    };
    /* User VMs are started by the service VM. */
    vm->autostart = vm->kind != KIND_USER && reader_yes(n, "autostart", true);
    read_cpus(r, n, vm);
    read_memory(r, n, vm);
    read_boot(r, n, &vm->boot);
    read_vuarts(r, n, vm);
    read_service(r, n, &vm->service);
    read_grants(r, n, vm);
    read_ready(r, n, vm);
}

bool read_scenario(xmlDocPtr doc, const char *path, struct scenario *out)
{
    struct reader r = {path, true};
    xmlNode *root = xmlDocGetRootElement(doc);
    size_t i = 0;

    *out = (struct scenario){
        .at = reader_where(&r, root),
        .name = reader_text(root, "name", ""),
        .description = reader_text(root, "description", ""),
    };
    read_hypervisor(&r, root, &out->hv);
    read_modules(&r, root, out);
    complete_store(out);
    out->vm_count = reader_count(root, "vm");
    out->vms = arena_alloc(out->vm_count, sizeof(*out->vms));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "vm"));)
        read_vm(&r, n, &out->vms[i++]);
    return r.ok;
}
