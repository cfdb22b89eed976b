#include "read.h"

#include <string.h>

#include "owners.h"

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

    vm->has_cpus = cpus != NULL;
    vm->cpus_at = reader_where(r, cpus ? cpus : vm_node);
    vm->cpu_count = reader_count(cpus, "cpu");
    vm->cpus = arena_alloc(vm->cpu_count, sizeof(*vm->cpus));
    for (xmlNode *n = NULL; cpus && (n = reader_next(cpus, n, "cpu"));)
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
    xmlNode *flags = reader_next(vm_node, NULL, "flags");

    vm->flags_at = reader_where(r, flags);
    for (u32 f = 0; flags && flag_names[f]; f++) {
        if (reader_next(flags, NULL, flag_names[f]))
            vm->flags |= BIT32(f);
    }
}

static void read_device(struct reader *r, xmlNode *n, struct vm_device *d)
{
    struct pci_name name = reader_pci(r, n, "address"), seen = reader_pci(r, n, "virtual");
    size_t i = 0;

    *d = (struct vm_device){
        .at = name.at,
        .address = name.address,
        .bdf = name.bdf,
        .has_vendor = reader_has(n, "vendor"),
        .has_device = reader_has(n, "device"),
        .has_virtual = reader_has(n, "virtual"),
        .intx = reader_yes(n, "intx", false),
        .vendor = (u16)reader_number(r, n, "vendor", UINT16_MAX),
        .device = (u16)reader_number(r, n, "device", UINT16_MAX),
        .virtual_address = reader_has(n, "virtual") ? seen.address : "",
        .virtual_bdf = seen.bdf,
        .bar_count = reader_count(n, "bar"),
    };
    d->bars = arena_alloc(d->bar_count, sizeof(*d->bars));
    for (xmlNode *bar = NULL; (bar = reader_next(n, bar, "bar"));) {
        d->bars[i++] = (struct vm_bar){
            .at = reader_where(r, bar),
            .index = (u8)reader_number(r, bar, "index", UINT8_MAX),
            .gpa = reader_number(r, bar, "gpa", UINT64_MAX),
        };
    }
}

static void read_devices(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    xmlNode *devices = reader_next(vm_node, NULL, "devices");
    size_t i = 0;

    vm->devices_at = reader_where(r, devices);
    vm->dma = devices ? reader_text(devices, "dma", NULL) : NULL;
    vm->device_count = reader_count(devices, "pci");
    vm->devices = arena_alloc(vm->device_count, sizeof(*vm->devices));
    for (xmlNode *n = NULL; devices && (n = reader_next(devices, n, "pci"));)
        read_device(r, n, &vm->devices[i++]);
    vm->irq_count = reader_count(devices, "irq");
    vm->irqs = arena_alloc(vm->irq_count, sizeof(*vm->irqs));
    i = 0;
    for (xmlNode *n = NULL; devices && (n = reader_next(devices, n, "irq"));) {
        vm->irqs[i++] = (struct vm_irq){
            .at = reader_where(r, n),
            .gsi = (u32)reader_number(r, n, "gsi", UINT32_MAX),
            .line = (u32)reader_number(r, n, "line", UINT32_MAX),
        };
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
    read_devices(r, n, vm);
    read_ready(r, n, vm);
}

static void read_links(struct reader *r, xmlNode *root, struct scenario *s)
{
    size_t i = 0;

    s->link_count = reader_count(root, "connection");
    s->links = arena_alloc(s->link_count, sizeof(*s->links));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "connection"));) {
        struct link *l = &s->links[i++];
        size_t j = 0;

        *l = (struct link){.at = reader_where(r, n), .end_count = reader_count(n, "end")};
        l->ends = arena_alloc(l->end_count, sizeof(*l->ends));
        for (xmlNode *end = NULL; (end = reader_next(n, end, "end"));) {
            l->ends[j++] = (struct link_end){
                .at = reader_where(r, end),
                .vm = reader_text(end, "vm", ""),
                .port = (u16)reader_number(r, end, "port", UINT16_MAX),
            };
        }
    }
}

static void read_shared_memory(struct reader *r, xmlNode *root, struct scenario *s)
{
    size_t i = 0;

    s->shm_count = reader_count(root, "shared-memory");
    s->shms = arena_alloc(s->shm_count, sizeof(*s->shms));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "shared-memory"));) {
        struct shm *m = &s->shms[i++];
        size_t j = 0;

        *m = (struct shm){
            .at = reader_where(r, n),
            .name = reader_text(n, "name", ""),
            .id = reader_number(r, n, "id", UINT32_MAX),
            .size = reader_number(r, n, "size", UINT64_MAX),
            .fixed = reader_has(n, "base"),
            .base = reader_number(r, n, "base", UINT64_MAX),
            .user_count = reader_count(n, "user"),
        };
        m->users = arena_alloc(m->user_count, sizeof(*m->users));
        for (xmlNode *user = NULL; (user = reader_next(n, user, "user"));) {
            m->users[j++] = (struct shm_user){
                .at = reader_where(r, user),
                .vm = reader_text(user, "vm", ""),
                .has_gpa = reader_has(user, "gpa"),
                .writable = strcmp(reader_text(user, "access", "read-write"), "read-write") == 0,
                .gpa = reader_number(r, user, "gpa", UINT64_MAX),
            };
        }
    }
}

static void read_classes(struct reader *r, xmlNode *root, struct scenario *s)
{
    size_t i = 0;

    s->class_count = reader_count(root, "cache-class");
    s->classes = arena_alloc(s->class_count, sizeof(*s->classes));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "cache-class"));) {
        struct cache_class *k = &s->classes[i++];
        size_t j = 0;

        *k = (struct cache_class){
            .at = reader_where(r, n),
            .id = reader_number(r, n, "id", UINT32_MAX),
            .level = reader_number(r, n, "level", UINT32_MAX),
            .mask = reader_number(r, n, "mask", UINT64_MAX),
            .user_count = reader_count(n, "user"),
        };
        k->users = arena_alloc(k->user_count, sizeof(*k->users));
        for (xmlNode *user = NULL; (user = reader_next(n, user, "user"));)
            k->users[j++] = (struct vm_name){reader_where(r, user), reader_text(user, "vm", "")};
    }
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
    read_links(&r, root, out);
    read_shared_memory(&r, root, out);
    read_classes(&r, root, out);
    owners_sort(out);
    return r.ok;
}
