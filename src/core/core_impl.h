/* What the files of src/core share with each other and with nobody else. */
#ifndef BH_CORE_IMPL_H
#define BH_CORE_IMPL_H

#include <core/vcpu.h>
#include <lib/log.h>

struct vm;

/*
 * Called between the chunks of a long operation (scrubbing, loading): lets interrupts in and serves this
 * CPU's timers and console, nothing else. The caller holds no lock.
 */
void cpu_breathe(void);

/* The vCPU reached STOPPED or starts anew: one vCPU less that the VM waits for; the last one calls the
 * control CPU. */
void vm_vcpu_stopped(struct vcpu *v);

/* Makes the lines of a dump: text up to each newline becomes one log line of the level, or goes to the
 * console as it is (level 0). begin takes a lock that end gives back. */
void lines_begin(u32 level);
void lines_print(const char *fmt, ...) PRINTF(1, 2);
void lines_end(void);

/* Console CPU: reports guest lines that log_guest() dropped. Set up by console_start(). */
void log_start(void);

/* Prints for the shell, on the console CPU: waits for the wire when the buffer is full instead of losing
 * text. */
void shell_printf(const char *fmt, ...) PRINTF(1, 2);
void console_write_wait(const char *s, size_t len);
/* console_write() of one log line: on a terminal it does not mix with the command that is being typed. */
void console_write_log(const char *s, size_t len);
/* Draws prompt and line again, at the start of the line. */
void shell_redraw(void);
/* Console CPU: sends what the hypervisor's channel still holds, for at most a second. */
void console_flush(void);
/* True when the wire shows the shell: always in mux mode, else while no VM console is attached. */
bool console_shell_shown(void);
/* True when a program is at the other end of the wire: the shell then does not echo. */
bool console_is_mux(void);

#endif
