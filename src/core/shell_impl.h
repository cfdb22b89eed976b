/* What the files of the shell share. */
#ifndef BH_CORE_SHELL_IMPL_H
#define BH_CORE_SHELL_IMPL_H

#include <lib/types.h>
#include "core_impl.h"

#define SHELL_MAX_ARGS 5

/* One command. args[0] is its name; n counts it. The function reports bad arguments through shell_bad(). */
struct shell_cmd {
    const char *name;
    const char *args; /* as the usage line shows them */
    const char *help;
    u32 min, max; /* how many arguments after the name */
    void (*fn)(const struct shell_cmd *cmd, u32 n, char **args);
};

/* One line: what is wrong, and the usage. */
void shell_bad(const struct shell_cmd *cmd, const char *fmt, ...) PRINTF(2, 3);
/* Reads a number from an argument; on failure reports it with the name of the thing and returns false. */
bool shell_number(const struct shell_cmd *cmd, const char *what, const char *text, u64 max, u64 *out);
/* The VM of that name or number; NULL after a report. */
struct vm *shell_vm(const struct shell_cmd *cmd, const char *text);
/* One row of a memory dump: up to 16 bytes. */
void shell_dump_row(u64 addr, const u8 *bytes, size_t n);

#define SHELL_DUMP_MAX 4096 /* bytes that one dump command shows */

void cmd_vm_list(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vcpu_list(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vcpu_dumpreg(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_dump_guest_mem(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vm_console(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vm_start(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vm_stop(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vm_restart(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vioapic(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_vmexit(const struct shell_cmd *cmd, u32 n, char **args);

void cmd_version(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_dump_host_mem(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_int(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_dump_ioapic(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_loglevel(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_cpuid(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_rdmsr(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_wrmsr(const struct shell_cmd *cmd, u32 n, char **args);
void cmd_reboot(const struct shell_cmd *cmd, u32 n, char **args);

#endif
