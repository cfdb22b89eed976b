/*
 * The console multiplexer: one physical UART, the hypervisor's own console and one console per VM. All UART
 * access after boot happens on cfg_board.console_cpu.
 *
 * Two modes of the wire:
 *  - plain (default): a person at a terminal. Either the shell or one attached VM console is shown.
 *  - mux ("console=mux" on the hypervisor's command line): for programs. Output is a sequence of frames
 *    0x01 channel length payload...: channel '0' + n as one byte (0 hypervisor, 1 + vm id for VMs),
 * length 1..120 as the byte 0x80 + length. Input uses the same frames. Bytes outside frames are ignored.
 */
#ifndef BH_CORE_CONSOLE_H
#define BH_CORE_CONSOLE_H

#include <lib/types.h>
#include <config/config.h>

struct vm;

/* Boot, BSP: early output works synchronously until console_start(). mux: from the boot command line. */
void console_init(bool mux);
/* On the console CPU, before cpu_loop(): from now on output is queued and drained there. */
void console_start(void);
/* Console CPU, for CPU_REQ_CONSOLE and its timer: moves bytes both ways, at most a bounded number per call.
 */
void console_service(void);

/* Hypervisor output (log and shell). Any CPU. Lines are kept whole. */
void console_write(const char *s, size_t len);
/* Synchronous output for panic: takes no lock, may interleave. */
void console_panic_write(const char *s, size_t len);

/* A byte from a VM's console vUART. Any CPU of that VM; the vUART's lock serialises. False: no room now, the
 * vUART keeps THRE clear; console_room is called back through vuart_tx_ready() when there is. In plain mode
 * old bytes are dropped instead. */
bool console_vm_putc(struct vm *vm, u8 c);

/* Attaches the wire to a VM's console (plain mode) or back to the shell (vm NULL). Console CPU only. */
void console_attach(struct vm *vm);

/* The shell (src/core/shell*.c): one input byte for it; prints through console_write. */
void shell_init(void);
void shell_input(u8 c);
void shell_prompt(void);

#endif
