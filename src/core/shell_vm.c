/* Shell commands about VMs and vCPUs. */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/console.h>
#include <core/cpu.h>
#include <core/ioreq.h>
#include <core/user_vm.h>
#include <core/vm.h>
#include "shell_impl.h"

static const char *kind_name(enum vm_kind kind)
{
    static const char *const names[] = {"pre-launched", "service", "user"};

    return (u32)kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

static const char *vcpu_state_name(u32 state)
{
    static const char *const names[] = {"offline", "wait-sipi", "running", "halted", "stopped"};

    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static bool is_user(const struct vm *vm)
{
    return CFG_USER_VMS && vm->cfg->kind == VM_USER;
}

static const char *service_name(void)
{
    return CFG_SERVICE ? cfg_vms[cfg_scenario.service_vm].name : "";
}

/* vCPUs that the VM has now: a service VM's may have been taken offline one by one, a user VM's are created
 * so. */
static u32 vcpus_now(const struct vm *vm)
{
    u32 count = vm->vcpu_count;

    if (!CFG_SERVICE || vm->cfg->kind != VM_SERVICE || atomic_load(&vm->state) != VM_STATE_STARTED)
        return count;
    for (u32 i = 0; i < vm->vcpu_count; i++)
        count -= atomic_load_relaxed(&vm->vcpus[i].state) == VCPU_OFFLINE;
    return count;
}

/* Bytes of RAM: what the configuration gives, or what the service VM has mapped into a user VM. */
static u64 memory_now(const struct vm *vm)
{
    u64 bytes = 0;

    if (is_user(vm))
        return atomic_load_relaxed(&user_vm_of(vm)->mapped);
    for (u32 i = 0; i < vm->cfg->mem_count; i++)
        bytes += vm->cfg->mem[i].size;
    return bytes;
}

void cmd_vm_list(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    shell_printf("ID  NAME             KIND          STATE         VCPUS  MEMORY     STARTS\n");
    for (u32 i = 0; i < CFG_VMS; i++) {
        const struct vm *vm = &vms[i];

        shell_printf("%-3u %-16s %-13s %-13s %-6u %-6llu MiB %u\n", i, vm->cfg->name,
                     kind_name(vm->cfg->kind), vm_state_name(atomic_load(&vm->state)), vcpus_now(vm),
                     (unsigned long long)(memory_now(vm) >> 20), vm->starts);
    }
}

static u64 exits_of(const struct vcpu *v)
{
    u64 sum = 0;

    for (u32 i = 0; i < VCPU_EXIT_REASONS; i++)
        sum += atomic_load_relaxed(&v->exits[i].count);
    return sum;
}

void cmd_vcpu_list(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    shell_printf("VM               VCPU  CPU  STATE      EXITS         UNOWNED\n");
    for (u32 i = 0; i < CFG_VCPUS; i++) {
        const struct vcpu *v = &vcpus[i];

        if (v->id >= v->vm->vcpu_count)
            continue; /* not created yet */
        shell_printf("%-16s %-5u %-4u %-10s %-13llu %llu\n", v->vm->cfg->name, v->id, v->pcpu,
                     CFG_USER_VMS && ioreq_waiting(v) ? "waiting-io"
                                                      : vcpu_state_name(atomic_load_relaxed(&v->state)),
                     (unsigned long long)exits_of(v), (unsigned long long)atomic_load_relaxed(&v->unowned));
    }
}

void cmd_vcpu_dumpreg(const struct shell_cmd *cmd, u32 n, char **args)
{
    struct vm *vm = shell_vm(cmd, args[1]);
    struct vcpu *v;
    u64 id;

    (void)n;
    if (!vm || !shell_number(cmd, "vcpu", args[2], vm->cfg->vcpu_count - 1u, &id))
        return;
    v = &vm->vcpus[id];
    if (id >= vm->vcpu_count || atomic_load(&cpu_get(v->pcpu)->vcpu) != v) {
        shell_printf("vm %s vcpu %u is on no cpu\n", vm->cfg->name, v->id);
        return;
    }
    shell_printf("vm %s vcpu %u on cpu %u:\n", vm->cfg->name, v->id, v->pcpu);
    /* Registers are at hand on the vCPU's own CPU only; another one prints them itself, in a moment. */
    if (v->pcpu == this_cpu()->id)
        arch_dump_vcpu(v, shell_printf);
    else
        cpu_request(v->pcpu, CPU_REQ_DUMP);
}

void cmd_dump_guest_mem(const struct shell_cmd *cmd, u32 n, char **args)
{
    struct vm *vm = shell_vm(cmd, args[1]);
    u64 addr, len;
    u8 row[16];

    (void)n;
    if (!vm || !shell_number(cmd, "address", args[2], ~(u64)0, &addr) ||
        !shell_number(cmd, "length", args[3], SHELL_DUMP_MAX, &len))
        return;
    for (u64 done = 0; done < len; done += sizeof(row)) {
        size_t part = MIN(len - done, sizeof(row));

        if (vm_gpa_read(vm, gpa(addr + done), row, part)) {
            shell_printf("%s: vm %s has no memory at 0x%lx\n", cmd->name, vm->cfg->name, addr + done);
            return;
        }
        shell_dump_row(addr + done, row, part);
    }
}

void cmd_vm_console(const struct shell_cmd *cmd, u32 n, char **args)
{
    struct vm *vm = shell_vm(cmd, args[1]);

    (void)n;
    if (vm && is_user(vm))
        shell_printf("%s: vm %s has no console of its own; the device model in vm %s shows it\n", cmd->name,
                     vm->cfg->name, service_name());
    else if (vm)
        console_attach(vm);
}

static void control(const struct shell_cmd *cmd, char **args, u32 want)
{
    struct vm *vm = shell_vm(cmd, args[1]);

    if (!vm)
        return;
    if (is_user(vm)) {
        shell_printf("%s: vm %s belongs to vm %s, which creates, starts and stops it by hypercalls\n",
                     cmd->name, vm->cfg->name, service_name());
        return;
    }
    vm_control(vm, want);
}

void cmd_vm_start(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)n;
    control(cmd, args, VM_WANT_START);
}

void cmd_vm_stop(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)n;
    control(cmd, args, VM_WANT_STOP);
}

void cmd_vm_restart(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)n;
    control(cmd, args, VM_WANT_RESTART);
}

void cmd_vioapic(const struct shell_cmd *cmd, u32 n, char **args)
{
    struct vm *vm = shell_vm(cmd, args[1]);

    (void)n;
    if (vm)
        arch_dump_vioapic(vm, shell_printf);
}

/* What the exits' own costs are is the difference: sums of the reasons that carry requests (port and memory
 * accesses), which include the waits, less the sum of ticks here. */
static void show_waits(const struct vcpu *v)
{
    u64 count = atomic_load_relaxed(&v->ioreqs);
    u64 ticks = atomic_load_relaxed(&v->wait_ticks);

    if (count)
        shell_printf("%-16s %-5u %-16s %12llu %10llu  (%llu in all)\n", v->vm->cfg->name, v->id, "  io-wait",
                     (unsigned long long)count, (unsigned long long)(ticks / count),
                     (unsigned long long)ticks);
}

static void show_exits(const struct vcpu *v)
{
    const char *name;

    for (u32 i = 0; i < VCPU_EXIT_REASONS && (name = arch_vcpu_exit_name(i)) != NULL; i++) {
        u64 count = atomic_load_relaxed(&v->exits[i].count);

        if (count)
            shell_printf("%-16s %-5u %-16s %12llu %10llu\n", v->vm->cfg->name, v->id, name,
                         (unsigned long long)count,
                         (unsigned long long)(atomic_load_relaxed(&v->exits[i].cycles) / count));
    }
    if (CFG_USER_VMS)
        show_waits(v);
}

void cmd_vmexit(const struct shell_cmd *cmd, u32 n, char **args)
{
    const struct vm *only = NULL;

    if (n > 1) {
        only = shell_vm(cmd, args[1]);
        if (!only)
            return;
    }
    shell_printf("VM               VCPU  REASON                  COUNT  TICKS/EXIT\n");
    for (u32 i = 0; i < CFG_VCPUS; i++)
        if (!only || vcpus[i].vm == only)
            show_exits(&vcpus[i]);
}
