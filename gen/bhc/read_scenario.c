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

static void read_vm_resources(struct reader *r, xmlNode *vm_node, struct vm *vm)
{
    xmlNode *cpus = reader_next(vm_node, NULL, "cpus"), *memory = reader_next(vm_node, NULL, "memory");
    size_t i = 0;

    vm->cpus_at = reader_where(r, cpus);
    vm->cpu_count = reader_count(cpus, "cpu");
    vm->cpus = arena_alloc(vm->cpu_count, sizeof(*vm->cpus));
    for (xmlNode *n = NULL; (n = reader_next(cpus, n, "cpu"));)
        vm->cpus[i++] = (struct vm_cpu){reader_where(r, n), reader_number(r, n, "id", UINT32_MAX)};

    vm->memory_at = reader_where(r, memory);
    vm->ram_count = reader_count(memory, "ram");
    vm->ram = arena_alloc(vm->ram_count, sizeof(*vm->ram));
    i = 0;
    for (xmlNode *n = NULL; (n = reader_next(memory, n, "ram"));) {
        vm->ram[i++] = (struct vm_ram){
            .at = reader_where(r, n),
            .fixed = reader_has(n, "base"),
            .base = reader_number(r, n, "base", UINT64_MAX),
            .size = reader_number(r, n, "size", UINT64_MAX),
        };
    }

    vm->vuart_count = reader_count(vm_node, "vuart");
    vm->vuarts = arena_alloc(vm->vuart_count, sizeof(*vm->vuarts));
    i = 0;
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

static void read_vm(struct reader *r, xmlNode *n, struct vm *vm)
{
    xmlNode *flags = reader_next(n, NULL, "flags"), *ready = reader_next(n, NULL, "ready");

    *vm = (struct vm){
        .at = reader_where(r, n),
        .name = reader_text(n, "name", ""),
        .key = reader_text(n, "key", ""),
        .kind = reader_text(n, "kind", ""),
        .autostart = reader_yes(n, "autostart", true),
        .rt = flags && reader_next(flags, NULL, "rt"),
        .hypercall = flags && reader_next(flags, NULL, "hypercall"),
    };
    if (ready) {
        xmlChar *text = xmlNodeGetContent(ready);

        if (!text)
            cannot_run("out of memory");
        vm->ready = arena_strdup((const char *)text);
        vm->ready_at = reader_where(r, ready);
        xmlFree(text);
    }
    read_vm_resources(r, n, vm);
    read_boot(r, n, &vm->boot);
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
