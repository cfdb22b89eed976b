/* Shell commands about the machine. */
#include <arch/cpu.h>
#include <lib/log.h>
#include <core/console.h>
#include <core/cpu.h>
#include "shell_impl.h"

#ifndef BH_VERSION
#define BH_VERSION "0.1.0"
#endif

void cmd_version(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    shell_printf("bulkhead %s, board %s, scenario %s, %u cpus, %u vms, tsc %llu kHz\n", BH_VERSION,
                 cfg_board.name, cfg_scenario.name, (unsigned)CFG_PCPUS, (unsigned)CFG_VMS,
                 (unsigned long long)(arch_tsc_hz() / 1000));
}

void cmd_dump_host_mem(const struct shell_cmd *cmd, u32 n, char **args)
{
    u64 addr, len;
    u8 row[16];

    (void)n;
    if (!shell_number(cmd, "address", args[1], ~(u64)0, &addr) ||
        !shell_number(cmd, "length", args[2], SHELL_DUMP_MAX, &len))
        return;
    for (u64 done = 0; done < len; done += sizeof(row)) {
        size_t part = MIN(len - done, sizeof(row));

        if (!arch_host_mem_read(addr + done, row, part)) {
            shell_printf("%s: nothing is mapped at 0x%lx\n", cmd->name, addr + done);
            return;
        }
        shell_dump_row(addr + done, row, part);
    }
}

void cmd_int(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    arch_dump_interrupts(shell_printf);
}

void cmd_dump_ioapic(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    arch_dump_ioapic(shell_printf);
}

void cmd_loglevel(const struct shell_cmd *cmd, u32 n, char **args)
{
    u64 level;

    if (n > 1) {
        if (!shell_number(cmd, "level", args[1], LOG_DEBUG, &level))
            return;
        if (level < LOG_FATAL) {
            shell_bad(cmd, "level %s is too small", args[1]);
            return;
        }
        loglevel = (u32)level;
    }
    shell_printf("loglevel %u\n", loglevel);
}

void cmd_cpuid(const struct shell_cmd *cmd, u32 n, char **args)
{
    u64 leaf, sub = 0;
    u32 r[4];

    if (!shell_number(cmd, "leaf", args[1], ~0u, &leaf))
        return;
    if (n > 2 && !shell_number(cmd, "subleaf", args[2], ~0u, &sub))
        return;
    arch_cpuid((u32)leaf, (u32)sub, r);
    shell_printf("cpu%u cpuid 0x%x.%u: eax %08x ebx %08x ecx %08x edx %08x\n", this_cpu()->id, (u32)leaf,
                 (u32)sub, r[0], r[1], r[2], r[3]);
}

void cmd_rdmsr(const struct shell_cmd *cmd, u32 n, char **args)
{
    u64 msr, val;

    (void)n;
    if (!shell_number(cmd, "msr", args[1], ~0u, &msr))
        return;
    if (arch_rdmsr_safe((u32)msr, &val))
        shell_printf("cpu%u msr 0x%x: 0x%016llx\n", this_cpu()->id, (u32)msr, (unsigned long long)val);
    else
        shell_printf("cpu%u msr 0x%x: the CPU raises #GP on a read\n", this_cpu()->id, (u32)msr);
}

void cmd_wrmsr(const struct shell_cmd *cmd, u32 n, char **args)
{
    u64 msr, val;

    (void)n;
    if (!shell_number(cmd, "msr", args[1], ~0u, &msr) || !shell_number(cmd, "value", args[2], ~(u64)0, &val))
        return;
    if (arch_wrmsr_safe((u32)msr, val))
        shell_printf("cpu%u msr 0x%x: written\n", this_cpu()->id, (u32)msr);
    else
        shell_printf("cpu%u msr 0x%x: the CPU raises #GP on this write\n", this_cpu()->id, (u32)msr);
}

void cmd_reboot(const struct shell_cmd *cmd, u32 n, char **args)
{
    (void)cmd;
    (void)n;
    (void)args;
    shell_printf("rebooting\n");
    console_flush();
    arch_reboot();
}
