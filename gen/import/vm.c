/* The VMs: names, kinds, flags, memory. */
#include "import.h"

#include <string.h>

#define MAX_ACRN_VMS MAX_VMS
#define USER_MEMORY  MIB(512)

static const struct {
    const char *word;
    enum vm_kind kind;
    bool rt;
} legacy_types[] = {
    {"SOS_VM", KIND_SERVICE, false},         {"SERVICE_VM", KIND_SERVICE, false},
    {"PRE_STD_VM", KIND_PRELAUNCHED, false}, {"PRE_RT_VM", KIND_PRELAUNCHED, true},
    {"SAFETY_VM", KIND_PRELAUNCHED, false},  {"PRE_LAUNCHED_VM", KIND_PRELAUNCHED, false},
    {"POST_STD_VM", KIND_USER, false},       {"POST_RT_VM", KIND_USER, true},
    {"KATA_VM", KIND_USER, false},
};

static const struct {
    const char *word;
    enum vm_kind kind;
} load_orders[] = {
    {"PRE_LAUNCHED_VM", KIND_PRELAUNCHED},
    {"SERVICE_VM", KIND_SERVICE},
    {"POST_LAUNCHED_VM", KIND_USER},
};

/* v2.7 has kind and type in one word. */
static bool legacy_kind(struct acrn_vm *v, const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(legacy_types); i++) {
        if (strcmp(legacy_types[i].word, type) == 0) {
            v->legacy = true;
            v->vm.kind = legacy_types[i].kind;
            v->rt = legacy_types[i].rt;
            return true;
        }
    }
    return false;
}

static bool read_kind(struct acrn_vm *v)
{
    xmlNode *order = child(v->node, "load_order"), *type_node = child(v->node, "vm_type");
    const char *type = text_of(type_node), *word = text_of(order);

    if (!order && legacy_kind(v, type))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(load_orders); i++) {
        if (strcmp(load_orders[i].word, word) != 0)
            continue;
        v->vm.kind = load_orders[i].kind;
        v->rt = strcmp(type, "RTVM") == 0;
        if (!v->rt && type_node && strcmp(type, "STANDARD_VM") != 0)
            untranslated(at_node(type_node),
                         "<vm_type> %s: trusted and rich execution environments are not built; taken as "
                         "STANDARD_VM",
                         shown(type));
        return true;
    }
    MISTAKE(VM_KIND,
            order       ? at_node(order)
            : type_node ? at_node(type_node)
                        : v->at,
            "the VM has %s \"%s\", which is not known; write PRE_LAUNCHED_VM, SERVICE_VM or POST_LAUNCHED_VM "
            "in <load_order>",
            order ? "<load_order>" : "no <load_order>, and <vm_type>", shown(order ? word : type));
    return false;
}

static void read_name(struct acrn *a, struct acrn_vm *v)
{
    xmlNode *n = child(v->node, "name");
    const char *text = text_of(n);
    const struct acrn_vm *first;

    v->name_at = n ? at_node(n) : v->at;
    v->name = text;
    if (!*text) {
        v->name = arena_printf("%s%llu",
                               v->vm.kind == KIND_SERVICE ? "SERVICE_VM"
                               : v->rt                    ? "RT_VM"
                                                          : "STD_VM",
                               (unsigned long long)v->id);
        guessed(v->at, "the VM with id %llu has no name; '%s' was taken", (unsigned long long)v->id, v->name);
    }
    first = acrn_vm_named(a, v->name);
    if (first)
        MISTAKE(VM_NAME_TWICE, v->name_at,
                "the VM with id %llu is named '%s', but so is the VM with id %llu (line %ld), and "
                "connections, shared memory and the "
                "device model go by the name; give one of them another name",
                (unsigned long long)v->id, shown(v->name), (unsigned long long)first->id,
                first->name_at.line);
}

/* Two names that ACRN tells apart may become one here. */
static void make_legal(struct acrn *a, struct acrn_vm *v)
{
    const char *name = vm_name_from(v->name);

    for (size_t i = 0; i < a->vm_count; i++) {
        if (strcmp(a->vms[i].vm.name, name) == 0 && strcmp(a->vms[i].name, v->name) != 0)
            name = arena_printf("vm-%llu-%.*s", (unsigned long long)v->id, MAX_NAME - 24, name);
    }
    if (strcmp(name, v->name) != 0 && *child_text(v->node, "name"))
        guessed(v->name_at, "the name '%s' became '%s': names have letters, digits, '-' and '_'",
                shown(v->name), name);
    v->vm.name = name;
    v->vm.key = v->vm.kind == KIND_USER ? user_key_from(name) : name;
    v->vm.has_key = true;
    if (v->vm.kind == KIND_USER && strcmp(v->vm.key, name) != 0)
        guessed(v->name_at,
                "the name '%s' is too long for a slot's key; %s, made from it, was written: create the VM "
                "with it",
                name, v->vm.key);
}

static void read_id(struct acrn *a, struct acrn_vm *v)
{
    const char *id = attribute(v->node, "id");
    const struct acrn_vm *first;

    v->id = a->vm_count;
    if (!id || !number_in(id, &v->id)) {
        guessed(v->at, "the VM has no id; its place among the VMs, %zu, was taken", a->vm_count);
        return;
    }
    first = acrn_vm_of_id(a, v->id);
    if (first)
        MISTAKE(VM_ID_TWICE, v->at,
                "two VMs have the id %llu (the other one is at line %ld); give one another id",
                (unsigned long long)v->id, first->at.line);
}

void import_vms(struct acrn *a)
{
    for (xmlNode *n = child(a->root, "vm"); n; n = next(n)) {
        struct acrn_vm v = {.node = n, .at = at_node(n), .vm.at = at_node(n)};
        const struct acrn_vm *service = acrn_service(a);

        if (a->vm_count == MAX_ACRN_VMS) {
            MISTAKE(VM_ID_TWICE, v.at, "there are more than %d VMs; no board holds so many, remove some",
                    MAX_ACRN_VMS);
            return;
        }
        read_id(a, &v);
        if (!read_kind(&v))
            continue;
        read_name(a, &v);
        make_legal(a, &v);
        if (v.vm.kind == KIND_SERVICE && service)
            MISTAKE(SERVICE_TWICE, v.at,
                    "vm '%s' is a second service VM beside '%s' (line %ld); remove one of the two",
                    shown(v.name), shown(service->name), service->at.line);
        *APPEND(a->vms, a->vm_count) = v;
    }
    for (size_t i = 0; i < a->vm_count && !acrn_service(a); i++) {
        if (a->vms[i].vm.kind == KIND_USER) {
            MISTAKE(NO_SERVICE, a->vms[i].at,
                    "vm '%s' is post-launched, but there is no service VM to launch it; add one, or make it "
                    "pre-launched",
                    shown(a->vms[i].name));
            return;
        }
    }
}

/* A flag that only slots have. */
static void slot_flag(struct acrn_vm *v, u32 flag, struct where at, const char *what)
{
    if (v->vm.kind == KIND_USER)
        v->vm.flags |= flag;
    else
        untranslated(at, "%s of vm '%s': built for user VMs only", what, shown(v->name));
}

static void flag_element(struct acrn_vm *v, const char *name, u32 flag)
{
    xmlNode *n = child(v->node, name);

    if (n && is_on(n))
        slot_flag(v, flag, at_node(n), arena_printf("<%s>", name));
}

/* v2.7: <guest_flags> */
static void guest_flag(struct acrn_vm *v, xmlNode *n)
{
    const char *text = text_of(n);

    if (!*text || strcmp(text, "0") == 0 || strcmp(text, "0UL") == 0)
        return;
    if (strcmp(text, "GUEST_FLAG_RT") == 0)
        v->rt = true;
    else if (strcmp(text, "GUEST_FLAG_LAPIC_PASSTHROUGH") == 0)
        slot_flag(v, FLAG_LAPIC_PASSTHROUGH, at_node(n), text);
    else if (strcmp(text, "GUEST_FLAG_IO_COMPLETION_POLLING") == 0)
        slot_flag(v, FLAG_POLLING, at_node(n), text);
    else if (strcmp(text, "GUEST_FLAG_SECURE_WORLD_ENABLED") == 0)
        slot_flag(v, FLAG_SECURE_WORLD, at_node(n), text);
    else
        untranslated(at_node(n), "<guest_flag> %s of vm '%s': not built", shown(text), shown(v->name));
}

static void read_flags(struct acrn_vm *v)
{
    flag_element(v, "lapic_passthrough", FLAG_LAPIC_PASSTHROUGH);
    flag_element(v, "io_completion_polling", FLAG_POLLING);
    flag_element(v, "secure_world_support", FLAG_SECURE_WORLD);
    for (xmlNode *n = child(child(v->node, "guest_flags"), "guest_flag"); n; n = next(n))
        guest_flag(v, n);
    if ((v->vm.flags & FLAG_LAPIC_PASSTHROUGH) && !v->rt) {
        guessed(v->at,
                "vm '%s' has LAPIC pass-through, but is no real-time VM; it was made one: Bulkhead has the "
                "one for the other "
                "only",
                shown(v->name));
        v->rt = true;
    }
    if (v->rt && v->vm.kind == KIND_SERVICE)
        untranslated(v->at, "real time of the service VM '%s': for pre-launched VMs and user VMs only",
                     shown(v->name));
    else if (v->rt)
        v->vm.flags |= FLAG_RT;
    v->vm.flags_at = v->at;
}

/*
 * A size: v3.x writes megabytes in decimal, v2.7 bytes in hexadecimal. mib: what a decimal number counts.
 * False: none, or 0, which means none.
 */
static bool memory_size(struct acrn_vm *v, xmlNode *n, bool mib, u64 *size)
{
    const char *text = text_of(n);
    bool hex = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0;

    if (!number_of(n, hex || !mib ? BIT64(48) : BIT64(28), size) || *size == 0)
        return false;
    if (hex && mib)
        guessed(at_node(n), "<%s> %s of vm '%s' is hexadecimal and was taken as bytes", name_of(n),
                shown(text), shown(v->name));
    if (!hex && mib)
        *size <<= 20;
    if (*size % PAGE_SIZE == 0)
        return true;
    v->memory_trouble = true;
    MISTAKE(VM_MEMORY, at_node(n), "<%s> %s of vm '%s' is not a number of whole 4 KiB pages; make it one",
            name_of(n), shown(text), shown(v->name));
    return false;
}

static void add_ram(struct acrn_vm *v, xmlNode *base_node, u64 size, struct where at)
{
    struct vm_ram r = {.at = at, .size = size};

    r.fixed = number_of(base_node, BIT64(48), &r.base) && r.base != 0;
    if (!r.fixed)
        guessed(at, "%s of RAM of vm '%s' have no host address; bhc places them", size_text(size),
                shown(v->name));
    *APPEND(v->vm.ram, v->vm.ram_count) = r;
}

static void read_own_memory(struct acrn_vm *v, xmlNode *memory)
{
    u64 size, total = 0;

    for (xmlNode *r = child(memory, "hpa_region"); r; r = next(r)) {
        if (memory_size(v, child(r, "size_hpa"), true, &size))
            add_ram(v, child(r, "start_hpa"), size, at_node(r));
    }
    if (v->vm.ram_count == 0 && memory_size(v, child(memory, "size"), !v->legacy, &size))
        add_ram(v, child(memory, "start_hpa"), size, at_node(memory));
    if (memory_size(v, child(memory, "size_hpa2"), !v->legacy, &size))
        add_ram(v, child(memory, "start_hpa2"), size, at_node(memory));
    for (size_t i = 0; i < v->vm.ram_count; i++)
        total += v->vm.ram[i].size;
    if (v->vm.ram_count == 0 && !v->memory_trouble)
        MISTAKE(VM_MEMORY, memory ? at_node(memory) : v->at,
                "pre-launched vm '%s' has no memory; give it <memory> with an <hpa_region> or a <size>",
                shown(v->name));
    v->high_gpa = HIGH_RAM_BASE + (total > LOW_RAM_LIMIT ? total - LOW_RAM_LIMIT : 0);
}

static void read_slot_memory(struct acrn_vm *v, xmlNode *memory)
{
    v->vm.has_limit = true;
    if (!memory_size(v, child(memory, "size"), !v->legacy, &v->vm.mem_limit)) {
        v->vm.mem_limit = USER_MEMORY;
        guessed(memory ? at_node(memory) : v->at,
                "vm '%s' has no memory size: the device model's is not in the file; a limit of "
                "%s was written",
                shown(v->name), size_text(USER_MEMORY));
    }
    v->high_gpa = HIGH_RAM_BASE + v->vm.mem_limit;
}

static void read_memory(struct acrn_vm *v)
{
    xmlNode *memory = child(v->node, "memory");

    v->vm.has_memory = v->vm.kind != KIND_SERVICE;
    v->vm.memory_at = memory ? at_node(memory) : v->at;
    if (v->vm.kind == KIND_PRELAUNCHED)
        read_own_memory(v, memory);
    else if (v->vm.kind == KIND_USER)
        read_slot_memory(v, memory);
}

static void make_service(struct acrn_vm *v)
{
    v->vm.service = (struct vm_service){.present = true,
                                        .at = v->at,
                                        .abi = "hsm",
                                        .upcall_vector = 0xf3,
                                        .debug_hypercalls = true,
                                        .dma = "unprotected"};
    guessed(v->at,
            "the service VM '%s' was given abi=\"hsm\" and upcall-vector=\"0xf3\", which Linux's driver "
            "speaks (5.12 and later, "
            "and ACRN's kernels of v2.7 and later)",
            shown(v->name));
    guessed(v->at,
            "the service VM '%s' was given dma=\"unprotected\": Bulkhead has no IOMMU driver yet, its "
            "devices can reach all "
            "memory",
            shown(v->name));
}

void import_vm_parts(struct acrn *a, struct acrn_vm *v)
{
    read_flags(v);
    read_memory(v);
    import_boot(a, v);
    if (v->vm.kind == KIND_SERVICE)
        make_service(v);
    import_devices(a, v);
}
