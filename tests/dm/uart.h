/* A 16550A as a PC's COM1 has it: registers, FIFOs, interrupt conditions (PC16550D data sheet, section 8). */
#ifndef DM_UART_H
#define DM_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

#define UART_PORT  0x3f8u
#define UART_PORTS 8u
#define UART_FIFO  16u

struct uart {
    uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
    uint8_t fifo[UART_FIFO];
    unsigned fifo_head, fifo_count;
    bool overrun;
    bool thre_pending; /* transmitter became empty, and nobody read that from IIR yet */
    bool line;         /* interrupt line as last told */
    struct ring *output;
    void (*set_line)(void *opaque, bool level);
    void *opaque;
};

/* Power-on state. What the guest transmits goes to output; while that is full the transmitter is busy. */
void uart_reset(struct uart *uart, struct ring *output, void (*set_line)(void *, bool), void *opaque);
uint8_t uart_read(struct uart *uart, unsigned reg);
void uart_write(struct uart *uart, unsigned reg, uint8_t value);
/* How many bytes uart_receive() can take now. */
unsigned uart_room(const struct uart *uart);
void uart_receive(struct uart *uart, uint8_t byte);
/* To be called after bytes were taken from the output ring. */
void uart_output_taken(struct uart *uart);

#endif
