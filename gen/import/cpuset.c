/* Which VM runs on which CPU: <cpu_affinity>. */
#include "import.h"

#include <string.h>

static bool has_cpu(const struct vm *vm, u64 cpu)
{
    for (size_t i = 0; i < vm->cpu_count; i++) {
        if (vm->cpus[i].id == cpu)
            return true;
    }
    return false;
}

static void add_cpu(struct acrn *a, struct acrn_vm *v, xmlNode *n)
{
    u64 pcpu, cpu;

    if (!*text_of(n))
        return;
    v->cpu_trouble = true;
    if (!number_of(n, UINT16_MAX, &pcpu))
        return;
    if (!core_of_pcpu(pcpu, &cpu)) {
        MISTAKE(VM_CPU, at_node(n),
                "vm '%s' runs on CPU %llu, but board '%s' has CPU 0 to %zu; choose one of these",
                shown(v->name), (unsigned long long)pcpu, a->board->name, a->board->core_count - 1);
        return;
    }
    if (has_cpu(&v->vm, cpu)) {
        MISTAKE(VM_CPU_TWICE, at_node(n), "vm '%s' lists CPU %llu twice; remove one of the two",
                shown(v->name), (unsigned long long)pcpu);
        return;
    }
    v->cpu_trouble = false;
    *APPEND(v->vm.cpus, v->vm.cpu_count) = (struct vm_cpu){at_node(n), cpu};
}

/* v3.x: <pcpu> with <pcpu_id> and <real_time_vcpu>; v2.7: <pcpu_id> alone. */
static void read_affinity(struct acrn *a, struct acrn_vm *v)
{
    xmlNode *affinity = child(v->node, "cpu_affinity");

    v->vm.cpus_at = affinity ? at_node(affinity) : v->at;
    for (xmlNode *p = child(affinity, "pcpu"); p; p = next(p)) {
        xmlNode *rt = child(p, "real_time_vcpu");

        add_cpu(a, v, child(p, "pcpu_id"));
        if (rt && *text_of(rt) && is_on(rt) != v->rt)
            untranslated(at_node(rt),
                         "<real_time_vcpu> %s of vm '%s': real time is a property of the whole VM here",
                         shown(text_of(rt)), shown(v->name));
    }
    for (xmlNode *p = child(affinity, "pcpu_id"); p; p = next(p))
        add_cpu(a, v, p);
    v->vm.has_cpus = v->vm.cpu_count > 0;
}

/* The pre-launched VM that owns the CPU, other than v. */
static const struct acrn_vm *owner_of(const struct acrn *a, const struct acrn_vm *v, u64 cpu)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        if (&a->vms[i] != v && a->vms[i].vm.kind == KIND_PRELAUNCHED && has_cpu(&a->vms[i].vm, cpu))
            return &a->vms[i];
    }
    return NULL;
}

static void check_owned(struct acrn *a, struct acrn_vm *v)
{
    for (size_t i = 0; i < v->vm.cpu_count; i++) {
        const struct acrn_vm *owner = owner_of(a, v, v->vm.cpus[i].id);

        /* Of two pre-launched VMs, only the later one is told. */
        if (owner && (v->vm.kind != KIND_PRELAUNCHED || owner < v))
            MISTAKE(VM_CPU_TWICE, v->vm.cpus[i].at,
                    "vm '%s' runs on CPU %llu, which the pre-launched vm '%s' owns (line %ld); choose "
                    "another CPU",
                    shown(v->name), (unsigned long long)v->vm.cpus[i].id, shown(owner->name),
                    owner->vm.cpus_at.line);
    }
    if (v->vm.kind == KIND_PRELAUNCHED && v->vm.cpu_count == 0 && !v->cpu_trouble)
        MISTAKE(VM_NO_CPU, v->vm.cpus_at, "pre-launched vm '%s' has no CPU; list its CPUs in <cpu_affinity>",
                shown(v->name));
}

/* The CPUs of the service VM in its order: those that it lists, or all that no pre-launched VM owns. */
static size_t service_cpus(const struct acrn *a, const struct acrn_vm *service, u64 *cpus)
{
    size_t count = 0;

    if (service->vm.cpu_count > 0) {
        for (size_t i = 0; i < service->vm.cpu_count && count < MAX_PCPUS; i++)
            cpus[count++] = service->vm.cpus[i].id;
        return count;
    }
    for (u64 cpu = 0; cpu < a->board->core_count && count < MAX_PCPUS; cpu++) {
        if (!owner_of(a, NULL, cpu))
            cpus[count++] = cpu;
    }
    return count;
}

/* True when a real-time slot other than v uses the CPU. */
static bool rt_uses(const struct acrn *a, const struct acrn_vm *v, u64 cpu)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        if (&a->vms[i] != v && a->vms[i].rt && has_cpu(&a->vms[i].vm, cpu))
            return true;
    }
    return false;
}

static void use_service_cpus(struct acrn *a, struct acrn_vm *v, const u64 *cpus, size_t count, size_t most)
{
    for (size_t i = count; i-- > 1 && v->vm.cpu_count < most;) {
        if (!rt_uses(a, v, cpus[i]))
            *APPEND(v->vm.cpus, v->vm.cpu_count) = (struct vm_cpu){v->vm.cpus_at, cpus[i]};
    }
}

/* A slot may not use the service VM's first CPU, which stays with it (rule CPU-006). */
static void drop_first(struct acrn_vm *v, u64 first)
{
    size_t kept = 0;

    for (size_t i = 0; i < v->vm.cpu_count; i++) {
        if (v->vm.cpus[i].id == first)
            guessed(
                v->vm.cpus[i].at,
                "CPU %llu was taken from vm '%s': it is the service VM's first, which no user VM can share",
                (unsigned long long)first, shown(v->name));
        else
            v->vm.cpus[kept++] = v->vm.cpus[i];
    }
    v->vm.cpu_count = kept;
}

static void make_slot(struct acrn *a, struct acrn_vm *v, const struct acrn_vm *service)
{
    u64 cpus[MAX_PCPUS];
    size_t count = service_cpus(a, service, cpus);
    bool listed = v->vm.cpu_count > 0;

    if (count > 0)
        drop_first(v, cpus[0]);
    if (v->vm.cpu_count == 0 && count > 0 && !v->cpu_trouble) {
        use_service_cpus(a, v, cpus, count, listed ? 1 : MAX_USER_VCPUS);
        if (v->vm.cpu_count > 0)
            guessed(v->vm.cpus_at,
                    "vm '%s' has no CPU %s; it was given %zu of the service VM's, CPU %llu first",
                    shown(v->name), listed ? "left" : "in the file", v->vm.cpu_count,
                    (unsigned long long)v->vm.cpus[0].id);
    }
    if (v->vm.cpu_count == 0 && !v->cpu_trouble)
        MISTAKE(VM_NO_CPU, v->vm.cpus_at,
                "vm '%s' has no CPU that it can use: the service VM '%s' keeps its first CPU to itself, and "
                "no other is free of "
                "real-time VMs; list one in <cpu_affinity>, or take one from a pre-launched VM",
                shown(v->name), shown(service->name));
    v->vm.has_cpus = true;
    v->vm.has_vcpus = true;
    v->vm.vcpus_at = v->vm.cpus_at;
    v->vm.vcpu_count = MIN(v->vm.cpu_count, MAX_USER_VCPUS);
}

void import_cpu_sets(struct acrn *a)
{
    const struct acrn_vm *service = acrn_service(a);

    for (size_t i = 0; i < a->vm_count; i++)
        read_affinity(a, &a->vms[i]);
    for (size_t i = 0; i < a->vm_count; i++)
        check_owned(a, &a->vms[i]);
    for (size_t i = 0; service && i < a->vm_count; i++) {
        if (a->vms[i].vm.kind == KIND_USER)
            make_slot(a, &a->vms[i], service);
    }
    if (service && !service->vm.has_cpus)
        guessed(service->vm.cpus_at,
                "the service VM '%s' lists no CPUs: it gets all that no pre-launched VM owns",
                shown(service->name));
}
