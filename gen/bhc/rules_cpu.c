/* Rules about who owns which CPU. */
#include "rules.h"

#include <inttypes.h>

static bool is_user(const struct vm *vm)
{
    return vm->kind == KIND_USER;
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

    if (!service)
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
        for (size_t j = 0; (s->vms[i].flags & FLAG_RT) && j < s->vms[i].cpu_count; j++) {
            if (s->vms[i].cpus[j].id == s->hv.console_cpu)
                MISTAKE(s->vms[i].cpus[j].at,
                        "CPU %" PRIu64
                        " of real-time vm '%s' also serves the console, which will disturb it; let another "
                        "CPU serve the console",
                        s->hv.console_cpu, s->vms[i].name);
        }
    }
}
