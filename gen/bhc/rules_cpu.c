/* Rules about who owns which CPU. */
#include "rules.h"

#include <inttypes.h>

static bool is_user(const struct vm *vm)
{
    return vm->kind == KIND_USER;
}

/* VM-008 reports a service VM that has the flag. */
static bool is_rt(const struct vm *vm)
{
    return (vm->flags & FLAG_RT) && vm->kind != KIND_SERVICE;
}

RULE(cpu_exists)
{
    const struct board *b = &config->board;
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].cpu_count; j++) {
            const struct vm_cpu *cpu = &s->vms[i].cpus[j];

            if (cpu->id >= b->core_count)
                MISTAKE(cpu->at,
                        "vm '%s' is given CPU %" PRIu64 ", but board '%s' has %zu CPUs; use 0 to %zu",
                        s->vms[i].name, cpu->id, b->name, b->core_count, b->core_count - 1);
        }
    }
}

/* CPUs of user slots may be the service VM's too, and those of other slots: they run on them in turns. */
static bool may_share(const struct vm *a, const struct vm *b)
{
    return (is_user(a) && b->kind != KIND_PRELAUNCHED) || (is_user(b) && a->kind != KIND_PRELAUNCHED);
}

/* The CPU before CPU `j` of VM `i` that is the same and must not be: true, its VM and its place there. */
static bool earlier_owner(const struct scenario *s, size_t i, size_t j, size_t *vm, size_t *vcpu)
{
    for (size_t k = 0; k <= i; k++) {
        if (k != i && may_share(&s->vms[k], &s->vms[i]))
            continue;
        for (size_t l = 0; l < (k == i ? j : s->vms[k].cpu_count); l++) {
            if (s->vms[k].cpus[l].id == s->vms[i].cpus[j].id) {
                *vm = k;
                *vcpu = l;
                return true;
            }
        }
    }
    return false;
}

RULE(cpu_owned_once)
{
    const struct scenario *s = &config->scenario;
    size_t owner = 0, vcpu = 0;

    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].cpu_count > MAX_PCPUS)
            continue; /* CPU-003 says so; nobody reads hundreds of lines more */
        for (size_t j = 0; j < s->vms[i].cpu_count; j++) {
            const struct vm_cpu *cpu = &s->vms[i].cpus[j];

            if (!earlier_owner(s, i, j, &owner, &vcpu))
                continue;
            if (owner == i)
                MISTAKE(cpu->at,
                        "vm '%s' is given CPU %" PRIu64 " twice, in places %zu and %zu; name each CPU once",
                        s->vms[i].name, cpu->id, vcpu, j);
            else
                MISTAKE(cpu->at,
                        "vm '%s' is given CPU %" PRIu64
                        ", which vm '%s' %s (line %ld); only user slots share CPUs, with each other and "
                        "with the service VM: give it another",
                        s->vms[i].name, cpu->id, s->vms[owner].name,
                        is_user(&s->vms[owner]) ? "may use" : "owns", s->vms[owner].cpus[vcpu].at.line);
        }
    }
}

RULE(cpu_first_of_service)
{
    const struct scenario *s = &config->scenario;
    const struct vm *service = service_vm(s);

    /* CPU-007 reports a service VM without CPUs; they are not known when the board could not be read. */
    if (!service || service->cpu_count == 0)
        return;
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; is_user(&s->vms[i]) && j < s->vms[i].cpu_count; j++) {
            if (s->vms[i].cpus[j].id == service->cpus[0].id)
                MISTAKE(s->vms[i].cpus[j].at,
                        "user slot '%s' may use CPU %" PRIu64
                        ", the first of service vm '%s' (line %ld), which never gives it up; remove it",
                        s->vms[i].name, s->vms[i].cpus[j].id, service->name, service->cpus[0].at.line);
        }
    }
}

RULE(cpu_count)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].cpu_count > MAX_PCPUS)
            MISTAKE(s->vms[i].cpus_at, "vm '%s' has %zu CPUs, but at most %d are supported; give it fewer",
                    s->vms[i].name, s->vms[i].cpu_count, MAX_PCPUS);
    }
}

RULE(cpu_console_exists)
{
    const struct board *b = &config->board;
    const struct hypervisor *hv = &config->scenario.hv;

    if (hv->console_cpu >= b->core_count)
        MISTAKE(hv->console_at,
                "the console is served by CPU %" PRIu64 ", but board '%s' has %zu CPUs; use 0 to %zu",
                hv->console_cpu, b->name, b->core_count, b->core_count - 1);
}

RULE(cpu_console_not_rt)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; is_rt(&s->vms[i]) && j < s->vms[i].cpu_count; j++) {
            if (s->vms[i].cpus[j].id == s->hv.console_cpu)
                MISTAKE(s->vms[i].cpus[j].at,
                        "CPU %" PRIu64
                        " of real-time vm '%s' also serves the console, which will disturb it; let another "
                        "CPU serve the console",
                        s->hv.console_cpu, s->vms[i].name);
        }
    }
}

RULE(cpu_left_for_service)
{
    const struct board *b = &config->board;
    const struct vm *service = service_vm(&config->scenario);

    if (service && service->cpu_count == 0)
        MISTAKE(
            service->cpus_at,
            "service vm '%s' has no <cpus>, so it gets the CPUs that no pre-launched VM owns, but none of "
            "the %zu CPUs of board '%s' (line %ld) is left; take one from another VM",
            service->name, b->core_count, b->name, b->cpu_at.line);
}

/* Bit n: CPU n. Ids beyond 63 are CPU-001's or BRD-002's. */
static u64 cpu_set(const struct vm *vm)
{
    u64 set = 0;

    for (size_t i = 0; i < vm->cpu_count; i++) {
        if (vm->cpus[i].id < MAX_PCPUS)
            set |= BIT64(vm->cpus[i].id);
    }
    return set;
}

/* Where the VM names the CPU; it does. */
static struct where cpu_place(const struct vm *vm, u64 id)
{
    size_t i = 0;

    while (i + 1 < vm->cpu_count && vm->cpus[i].id != id)
        i++;
    return vm->cpus[i].at;
}

/* What a VM of kind service or user slot is called in a message. */
static const char *kind_title(const struct vm *vm)
{
    return is_user(vm) ? "user slot" : "service vm";
}

RULE(cpu_rt_slot_alone)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        if (!is_user(vm) || !is_rt(vm))
            continue;
        for (size_t j = 0; j < s->vm_count; j++) {
            const struct vm *other = &s->vms[j];
            u64 both = cpu_set(vm) & cpu_set(other), id = both ? (u64)__builtin_ctzll(both) : 0;

            /* CPU-002 is about pre-launched VMs; of two such slots the later one is told. */
            if (i == j || !both || other->kind == KIND_PRELAUNCHED || (is_rt(other) && j > i))
                continue;
            MISTAKE(
                cpu_place(vm, id),
                "user slot '%s' may have a real-time VM, but its CPU %" PRIu64
                " is one of %s '%s' too (line %ld), and whoever claims a CPU first keeps it; give the slot "
                "CPUs of its own",
                vm->name, id, kind_title(other), other->name, cpu_place(other, id).line);
        }
    }
}

/* The first CPU of the VM whose core is of another kind than its first one's, or NULL. */
static const struct vm_cpu *odd_cpu(const struct board *b, const struct vm *vm)
{
    for (size_t i = 1; i < vm->cpu_count; i++) {
        if (vm->cpus[0].id < b->core_count && vm->cpus[i].id < b->core_count &&
            b->cores[vm->cpus[i].id].efficient != b->cores[vm->cpus[0].id].efficient)
            return &vm->cpus[i];
    }
    return NULL;
}

static const char *core_kind(const struct core *core)
{
    return core->efficient ? "an efficient" : "a performance";
}

/* VMs with the flag rt, or those without. */
static void check_core_kinds(const struct rule *rule, const struct config *config, bool rt)
{
    const struct board *b = &config->board;
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];
        const struct vm_cpu *odd = odd_cpu(b, vm);

        if (!odd || rt != is_rt(vm))
            continue;
        MISTAKE(odd->at,
                "%svm '%s' is given CPU %" PRIu64 ", %s core (board line %ld), beside CPU %" PRIu64
                ", %s core (board line %ld), which %s; give it cores of one kind",
                rt ? "real-time " : "", vm->name, odd->id, core_kind(&b->cores[odd->id]),
                b->cores[odd->id].at.line, vm->cpus[0].id, core_kind(&b->cores[vm->cpus[0].id]),
                b->cores[vm->cpus[0].id].at.line,
                rt ? "makes its times depend on where a task runs" : "its scheduler takes to be alike");
    }
}

RULE(cpu_one_kind_rt)
{
    check_core_kinds(rule, config, true);
}

RULE(cpu_one_kind)
{
    check_core_kinds(rule, config, false);
}

RULE(cpu_zero_not_rt)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm *vm = &s->vms[i];

        /* CPU-005 is about the console's. */
        if (is_rt(vm) && s->hv.console_cpu != 0 && vm->cpu_count > 0 && (cpu_set(vm) & 1))
            MISTAKE(cpu_place(vm, 0),
                    "CPU 0 of real-time vm '%s' is the one that firmware booted on and keeps for itself: its "
                    "management interrupts go there first; use another CPU",
                    vm->name);
    }
}
