/* Memory that VMs share (IVSHMEM) and cache that they do not (RDT). */
#include "import.h"

#include <string.h>

/* Only those of more than one VM have the same number in all of them. */
static void add_user(struct acrn *a, struct shm *m, const char *name, struct where at)
{
    struct acrn_vm *v = acrn_vm_named(a, name);
    struct shm_user user = {.at = at, .writable = true};

    if (!v) {
        MISTAKE(SHM_VM, at,
                "shared memory '%s' is for vm '%s', but no VM has that name; correct it or remove the VM",
                m->name, shown(name));
        return;
    }
    user.vm = v->vm.name;
    for (size_t i = 0; i < m->user_count; i++) {
        if (strcmp(m->users[i].vm, user.vm) == 0) {
            MISTAKE(SHM_VM, at, "shared memory '%s' lists vm '%s' twice (line %ld); remove one of the two",
                    m->name, shown(name), m->users[i].at.line);
            return;
        }
    }
    if (v->vm.kind != KIND_SERVICE) {
        user.has_gpa = true;
        user.gpa = ALIGN_UP(v->high_gpa, MAX(m->size, SIZE_2M));
        v->high_gpa = user.gpa + m->size;
        guessed(at,
                "vm '%s' sees shared memory '%s' at 0x%llx, beyond its RAM: ACRN shows it as a PCI device "
                "instead",
                shown(name), m->name, (unsigned long long)user.gpa);
    }
    *APPEND(m->users, m->user_count) = user;
}

/* Megabytes; "hv:/shm_region_0" is "shm_region_0". */
static bool start_region(struct acrn *a, struct shm *m, const char *name, const char *size, struct where at)
{
    u64 mib;

    if (strncmp(name, "hv:/", 4) == 0)
        name += 4;
    *m = (struct shm){.at = at, .name = module_name_from(name), .id = a->s->shm_count};
    if (!*name || !number_in(size, &mib) || mib == 0 || mib > 4096) {
        MISTAKE(SHM_FORM, at,
                "the shared memory region \"%s\" has the size \"%s\"; give it a name and 1 to 4096 megabytes",
                shown(name), shown(size));
        return false;
    }
    m->size = MIB(mib);
    return true;
}

static void end_region(struct acrn *a, const struct shm *m)
{
    if (m->user_count < 2)
        return;
    guessed(m->at, "shared memory '%s' has the id %llu: ACRN numbers regions itself", m->name,
            (unsigned long long)m->id);
    *APPEND(a->s->shms, a->s->shm_count) = *m;
}

static void few_users(const struct shm *m, size_t listed)
{
    if (listed < 2)
        MISTAKE(SHM_FORM, m->at, "shared memory '%s' is for %zu VMs; list two or more", m->name, listed);
}

/* v3.x */
static void read_region(struct acrn *a, xmlNode *n)
{
    xmlNode *provider = child(n, "PROVIDED_BY"), *vms = child(n, "IVSHMEM_VMS");
    struct where at = at_node(n);
    size_t listed = 0;
    struct shm m;
    bool good = start_region(a, &m, child_text(n, "NAME"), child_text(n, "IVSHMEM_SIZE"), at);

    for (xmlNode *u = child(vms, "IVSHMEM_VM"); u; u = next(u)) {
        xmlNode *name = child(u, "VM_NAME"), *vbdf = child(u, "VBDF");

        if (vbdf && *text_of(vbdf))
            untranslated(at_node(vbdf), "<VBDF> %s: shared memory is no PCI device here",
                         shown(text_of(vbdf)));
        if (good && strcmp(text_of(provider), "Device Model") != 0)
            add_user(a, &m, text_of(name), at_node(name ? name : u));
        listed++;
    }
    if (!good)
        return;
    if (strcmp(text_of(provider), "Device Model") == 0) {
        untranslated(at, "shared memory '%s' is the device model's: the hypervisor has no part in it",
                     m.name);
        return;
    }
    few_users(&m, listed);
    end_region(a, &m);
}

/* v2.7: "hv:/shm_region_0, 2, 0:2" (name, megabytes, ids of VMs) */
static void read_region_text(struct acrn *a, xmlNode *n)
{
    char *text = arena_strdup(text_of(n)), *rest = NULL, *name = strtok_r(text, ", \t", &rest),
         *size = strtok_r(NULL, ", \t", &rest), *ids = strtok_r(NULL, " \t", &rest), *more = NULL;
    size_t listed = 0;
    struct shm m;

    if (!name)
        return;
    if (strncmp(name, "dm:/", 4) == 0) {
        untranslated(at_node(n),
                     "shared memory \"%s\" is the device model's: the hypervisor has no part in it",
                     shown(name));
        return;
    }
    if (!start_region(a, &m, name, size ? size : "", at_node(n)))
        return;
    for (char *w = ids ? strtok_r(ids, ":, ", &more) : NULL; w; w = strtok_r(NULL, ":, ", &more)) {
        const struct acrn_vm *v;
        u64 id;

        listed++;
        v = number_in(w, &id) ? acrn_vm_of_id(a, id) : NULL;
        if (v)
            add_user(a, &m, v->name, at_node(n));
        else
            MISTAKE(SHM_VM, at_node(n),
                    "shared memory '%s' is for the VM with id %s, but there is none; correct it", m.name,
                    shown(w));
    }
    few_users(&m, listed);
    end_region(a, &m);
}

void import_shared_memory(struct acrn *a)
{
    xmlNode *ivshmem = child(child(a->hv, "FEATURES"), "IVSHMEM"),
            *enabled = child(ivshmem, "IVSHMEM_ENABLED");

    for (xmlNode *n = child(ivshmem, "IVSHMEM_REGION"); n; n = next(n)) {
        if (enabled && !is_on(enabled)) {
            if (*text_of(n))
                unneeded(at_node(n), "IVSHMEM_REGION", "IVSHMEM is switched off");
        } else if (child(n, "NAME")) {
            read_region(a, n);
        } else {
            read_region_text(a, n);
        }
    }
}

static const struct cache_alloc *board_cache(const struct board *b, u64 level)
{
    for (size_t i = 0; i < b->cache_count; i++) {
        if (level == 0 || b->caches[i].level == level)
            return &b->caches[i];
    }
    return NULL;
}

/* VMs with the same mask are in one class; class 0 is everybody else's. */
static void put_in_class(struct acrn *a, const struct acrn_vm *v, u64 level, u64 mask, struct where at)
{
    struct scenario *s = a->s;
    struct cache_class *c = NULL;

    for (size_t i = 0; i < s->class_count && !c; i++) {
        if (s->classes[i].level == level && s->classes[i].mask == mask)
            c = &s->classes[i];
    }
    if (!c) {
        c = APPEND(s->classes, s->class_count);
        *c = (struct cache_class){.at = at, .id = s->class_count, .level = level, .mask = mask};
    }
    for (size_t i = 0; i < c->user_count; i++) {
        if (strcmp(c->users[i].vm, v->vm.name) == 0)
            return;
    }
    *APPEND(c->users, c->user_count) = (struct vm_name){at, v->vm.name};
}

/* v2.7: <CLOS_MASK> number n is class n's; each VM lists the class of each of its vCPUs. */
static void read_clos_lists(struct acrn *a, xmlNode *rdt, const struct cache_alloc *cache)
{
    u64 masks[128];
    size_t count = 0;

    for (xmlNode *n = child(rdt, "CLOS_MASK"); n; n = next(n)) {
        if (count == ARRAY_SIZE(masks) || !number_of(n, UINT64_MAX, &masks[count]) || masks[count] == 0) {
            MISTAKE(CACHE_FORM, at_node(n),
                    "<CLOS_MASK> \"%s\" of class %zu is empty or not a number; write the ways that the class "
                    "may use",
                    shown(text_of(n)), count);
            return;
        }
        count++;
    }
    for (size_t i = 0; i < a->vm_count; i++) {
        xmlNode *clos = child(a->vms[i].node, "clos"), *first = child(clos, "vcpu_clos");
        u64 id, other;

        if (!number_of(first, UINT16_MAX, &id) || id == 0)
            continue;
        for (xmlNode *n = next(first); n; n = next(n)) {
            if (number_of(n, UINT16_MAX, &other) && other != id)
                untranslated(at_node(n),
                             "<vcpu_clos> %llu of vm '%s': a VM is in one class here, its first vCPU's",
                             (unsigned long long)other, shown(a->vms[i].name));
        }
        if (id >= count)
            MISTAKE(CACHE_FORM, at_node(first),
                    "vm '%s' is in cache class %llu, but there are %zu <CLOS_MASK>; correct one of the two",
                    shown(a->vms[i].name), (unsigned long long)id, count);
        else
            put_in_class(a, &a->vms[i], cache->level, masks[id], at_node(first));
    }
    if (a->s->class_count > 0)
        *APPEND(a->s->classes, a->s->class_count) =
            (struct cache_class){.at = at_node(rdt), .level = cache->level, .mask = masks[0]};
}

/* v3.x: a mask for each vCPU of each VM, by cache. */
static void read_policy(struct acrn *a, xmlNode *policy, u64 level)
{
    xmlNode *name = child(policy, "VM"), *mask_node = child(policy, "CLOS_MASK"),
            *type = child(policy, "TYPE");
    const struct acrn_vm *v = acrn_vm_named(a, text_of(name));
    u64 mask, vcpu = 0;

    if (*text_of(type) && strcmp(text_of(type), "Unified") != 0) {
        untranslated(at_node(type), "<TYPE> %s: code and data are not divided here", shown(text_of(type)));
        return;
    }
    if (!v) {
        MISTAKE(CACHE_VM, at_node(name ? name : policy),
                "the cache policy is for vm '%s', but no VM has that name; correct it", shown(text_of(name)));
        return;
    }
    if (!number_of(mask_node, UINT64_MAX, &mask) || mask == 0) {
        MISTAKE(CACHE_FORM, at_node(mask_node ? mask_node : policy),
                "the cache mask of vm '%s' is empty or missing; write the ways that it "
                "may use",
                shown(v->name));
        return;
    }
    number_of(child(policy, "VCPU"), UINT16_MAX, &vcpu);
    if (vcpu == 0)
        put_in_class(a, v, level, mask, at_node(policy));
    else
        unneeded(at_node(policy), "POLICY", "a VM is in one class here, its first vCPU's");
}

static void read_allocations(struct acrn *a, xmlNode *parent)
{
    for (xmlNode *n = child(parent, "CACHE_ALLOCATION"); n; n = next(n)) {
        u64 level = 0;

        number_of(child(n, "CACHE_LEVEL"), 4, &level);
        if (!board_cache(a->board, level)) {
            untranslated(
                at_node(n),
                "<CACHE_ALLOCATION> of level %llu: the board shows no such cache that can be divided",
                (unsigned long long)level);
            continue;
        }
        for (xmlNode *p = child(n, "POLICY"); p; p = next(p))
            read_policy(a, p, board_cache(a->board, level)->level);
    }
}

void import_cache_classes(struct acrn *a)
{
    xmlNode *features = child(a->hv, "FEATURES"), *rdt = child(features, "RDT"),
            *enabled = child(rdt, "RDT_ENABLED");
    const struct cache_alloc *cache = board_cache(a->board, 0);
    static const char off[] = "cache partitioning is switched off (RDT_ENABLED)";
    static const char *const parts[] = {"CLOS_MASK", "MBA_DELAY", "CACHE_ALLOCATION"};

    if (!rdt || !is_on(enabled)) {
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
            for (xmlNode *n = child(rdt, parts[i]); n; n = next(n))
                unneeded(at_node(n), parts[i], off);
        }
        return;
    }
    if (!cache) {
        untranslated(at_node(enabled), "<RDT_ENABLED> y: the board shows no cache that can be divided "
                                       "(<capability id=\"CAT\">, CLOS_INFO)");
        return;
    }
    if (child(rdt, "CLOS_MASK"))
        read_clos_lists(a, rdt, cache);
    read_allocations(a, rdt);
    for (xmlNode *n = child(a->hv, "CACHE_REGION"); n; n = next(n))
        read_allocations(a, n);
}
