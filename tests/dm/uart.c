/* The 16550A: uart.h. */
#include "uart.h"

#include <string.h>

/* Registers, by offset from the base port. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

enum {
    IER_RX = 0x01,
    IER_TX = 0x02,
    IER_LINE = 0x04,
    IER_MASK = 0x0f,
    IIR_NONE = 0x01,
    IIR_TX = 0x02,
    IIR_RX = 0x04,
    IIR_LINE = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,
    FCR_ENABLE = 0x01,
    FCR_CLEAR_RX = 0x02,
    LCR_DLAB = 0x80,
    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10,
    MCR_MASK = 0x1f,
    LSR_DATA = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_THRE = 0x20,
    LSR_EMPTY = 0x40,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
};

static bool tx_ready(const struct uart *uart)
{
    return (uart->mcr & MCR_LOOP) != 0 || ring_room(uart->output) > 0;
}

static unsigned rx_depth(const struct uart *uart)
{
    return (uart->fcr & FCR_ENABLE) != 0 ? UART_FIFO : 1;
}

static unsigned rx_trigger(const struct uart *uart)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    return (uart->fcr & FCR_ENABLE) != 0 ? levels[uart->fcr >> 6] : 1;
}

/* The identification of the most urgent interrupt condition. The data sheet's character timeout counts as
 * over at once. */
static uint8_t condition(const struct uart *uart)
{
    if ((uart->ier & IER_LINE) != 0 && uart->overrun)
        return IIR_LINE;
    if ((uart->ier & IER_RX) != 0 && uart->fifo_count >= rx_trigger(uart))
        return IIR_RX;
    if ((uart->ier & IER_RX) != 0 && uart->fifo_count > 0)
        return IIR_TIMEOUT;
    if ((uart->ier & IER_TX) != 0 && uart->thre_pending)
        return IIR_TX;
    return IIR_NONE;
}

/* OUT2 gates the interrupt line on a PC. */
static void update_line(struct uart *uart)
{
    bool level = condition(uart) != IIR_NONE && (uart->mcr & MCR_OUT2) != 0 && (uart->mcr & MCR_LOOP) == 0;
    if (level != uart->line) {
        uart->line = level;
        uart->set_line(uart->opaque, level);
    }
}

void uart_reset(struct uart *uart, struct ring *output, void (*set_line)(void *, bool), void *opaque)
{
    bool line = uart->line;
    memset(uart, 0, sizeof(*uart));
    uart->dll = 12;
    uart->output = output;
    uart->set_line = set_line;
    uart->opaque = opaque;
    uart->line = line;
    update_line(uart);
}

unsigned uart_room(const struct uart *uart)
{
    return uart->fifo_count < rx_depth(uart) ? rx_depth(uart) - uart->fifo_count : 0;
}

static void receive(struct uart *uart, uint8_t byte)
{
    if (uart_room(uart) == 0) {
        uart->overrun = true;
        return;
    }
    uart->fifo[(uart->fifo_head + uart->fifo_count++) % UART_FIFO] = byte;
}

void uart_receive(struct uart *uart, uint8_t byte)
{
    receive(uart, byte);
    update_line(uart);
}

void uart_output_taken(struct uart *uart)
{
    if (!uart->thre_pending && (uart->ier & IER_TX) != 0 && tx_ready(uart) && uart->line == false) {
        uart->thre_pending = true;
        update_line(uart);
    }
}

static uint8_t take_received(struct uart *uart)
{
    if (uart->fifo_count == 0)
        return 0;
    uint8_t byte = uart->fifo[uart->fifo_head];
    uart->fifo_head = (uart->fifo_head + 1) % UART_FIFO;
    uart->fifo_count--;
    return byte;
}

static uint8_t read_iir(struct uart *uart)
{
    uint8_t id = condition(uart);
    if (id == IIR_TX)
        uart->thre_pending = false;
    return (uint8_t)(id | ((uart->fcr & FCR_ENABLE) != 0 ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct uart *uart)
{
    uint8_t value = 0;
    if (uart->fifo_count > 0)
        value |= LSR_DATA;
    if (uart->overrun)
        value |= LSR_OVERRUN;
    if (tx_ready(uart))
        value |= LSR_THRE | LSR_EMPTY;
    uart->overrun = false;
    return value;
}

/* In loopback the four outputs come back as the four inputs; otherwise a terminal is there and ready. */
static uint8_t read_msr(const struct uart *uart)
{
    if ((uart->mcr & MCR_LOOP) == 0)
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)(((uart->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((uart->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
                     ((uart->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) |
                     ((uart->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
}

uint8_t uart_read(struct uart *uart, unsigned reg)
{
    uint8_t value = 0;
    bool divisor = (uart->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case REG_DATA:
        value = divisor ? uart->dll : take_received(uart);
        break;
    case REG_IER:
        value = divisor ? uart->dlm : uart->ier;
        break;
    case REG_IIR_FCR:
        value = read_iir(uart);
        break;
    case REG_LCR:
        value = uart->lcr;
        break;
    case REG_MCR:
        value = uart->mcr;
        break;
    case REG_LSR:
        value = read_lsr(uart);
        break;
    case REG_MSR:
        value = read_msr(uart);
        break;
    default:
        value = uart->scr;
        break;
    }
    update_line(uart);
    return value;
}

static void transmit(struct uart *uart, uint8_t byte)
{
    if ((uart->mcr & MCR_LOOP) != 0)
        receive(uart, byte);
    else
        ring_put(uart->output, byte); /* written while not ready: lost, as on the wire */
    uart->thre_pending = tx_ready(uart);
}

static void write_ier(struct uart *uart, uint8_t value)
{
    /* Enabling the transmitter interrupt while the transmitter is empty raises it (data sheet 8.6.6). */
    if ((value & IER_TX) != 0 && (uart->ier & IER_TX) == 0 && tx_ready(uart))
        uart->thre_pending = true;
    uart->ier = value & IER_MASK;
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    bool switched = ((value ^ uart->fcr) & FCR_ENABLE) != 0;
    if (switched || (value & FCR_CLEAR_RX) != 0)
        uart->fifo_count = 0;
    uart->fcr = (value & FCR_ENABLE) != 0 ? (uint8_t)(value & 0xc9u) : 0;
}

void uart_write(struct uart *uart, unsigned reg, uint8_t value)
{
    bool divisor = (uart->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case REG_DATA:
        if (divisor)
            uart->dll = value;
        else
            transmit(uart, value);
        break;
    case REG_IER:
        if (divisor)
            uart->dlm = value;
        else
            write_ier(uart, value);
        break;
    case REG_IIR_FCR:
        write_fcr(uart, value);
        break;
    case REG_LCR:
        uart->lcr = value;
        break;
    case REG_MCR:
        uart->mcr = value & MCR_MASK;
        break;
    case REG_SCR:
        uart->scr = value;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
    update_line(uart);
}
