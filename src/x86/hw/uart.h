/* The board's console UART, a 16550. The three functions of <arch/cpu.h> do the transfers. Layer 4'. */
#ifndef BH_X86_HW_UART_H
#define BH_X86_HW_UART_H

#include <lib/types.h>

/* First thing at boot: 8n1 at the board's rate, FIFOs on, no interrupts. */
void uart_init(void);
/* Waits until everything written has left the FIFO, at most about a second. */
void uart_drain(void);

#endif
