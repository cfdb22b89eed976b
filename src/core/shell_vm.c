/* Shell commands about VMs and vCPUs. */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/console.h>
#include <core/cpu.h>
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

void cmd_vm_list(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    shell_printf("ID  NAME             KIND          STATE         VCPUS  MEMORY     STARTS\n");
    for (u32 i = 0; i < CFG_VMS; i++) {
        const struct cfg_vm *cfg = &cfg_vms[i];
        u64 bytes = 0;

        for (u32 k = 0; k < cfg->mem_count; k++)
            bytes += cfg->mem[k].size;
        shell_printf("%-3u %-16s %-13s %-13s %-6u %-6llu MiB %u\n", i, cfg->name, kind_name(cfg->kind),
                     vm_state_name(atomic_load(&vms[i].state)), cfg->vcpu_count,
                     (unsigned long long)(bytes >> 20), vms[i].starts);
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

        shell_printf("%-16s %-5u %-4u %-10s %-13llu %llu\n", v->vm->cfg->name, v->id, v->pcpu,
                     vcpu_state_name(atomic_load_relaxed(&v->state)), (unsigned long long)exits_of(v),
                     (unsigned long long)atomic_load_relaxed(&v->unowned));
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
    if (vm)
        console_attach(vm);
}

static void control(const struct shell_cmd *cmd, char **args, u32 want)
{
    struct vm *vm = shell_vm(cmd, args[1]);

    if (!vm)
        return;
    if (vm->cfg->kind != VM_PRELAUNCHED) {
        shell_printf("%s: vm %s is a %s vm; the shell controls pre-launched ones only\n", cmd->name,
                     vm->cfg->name, kind_name(vm->cfg->kind));
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
