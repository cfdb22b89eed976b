#include <arch/cpu.h>
#include <config/config.h>
#include <core/cpu.h>
#include <lib/atomic.h>
#include <lib/log.h>
#include "x86/hw/acpi.h"
#include "x86/hw/ioapic.h"
#include "x86/hw/ports.h"
#include "x86/hw/traps.h"
#include "x86/hw/uart.h"

/* 16550D data sheet, table II. */
enum {
    UART_DATA = 0,
    UART_IER = 1,
    UART_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCR = 7,
};

#define IER_RX        0x01
#define FCR_ON_CLEAR  0x07 /* FIFOs on and emptied, receive trigger at one byte */
#define LCR_8N1       0x03
#define LCR_DLAB      0x80
#define MCR_DTR_RTS   0x03
#define MCR_OUT2      0x08 /* gates the interrupt line on a PC */
#define LSR_DATA      0x01
#define LSR_THRE      0x20
#define LSR_IDLE      0x40
#define TX_FIFO_BYTES 16

static bool present;
static u32 tx_room; /* bytes that the transmit FIFO surely still takes */

static u16 reg(u16 r)
{
    return (u16)(cfg_board.console.port + r);
}

void uart_init(void)
{
    u32 divisor = cfg_board.console.clock_hz / 16 / cfg_board.console.baud;

    outb(reg(UART_SCR), 0x5a);
    present = inb(reg(UART_SCR)) == 0x5a;
    if (!present)
        return;
    outb(reg(UART_IER), 0);
    outb(reg(UART_LCR), LCR_DLAB | LCR_8N1);
    outb(reg(UART_DATA), (u8)divisor);
    outb(reg(UART_IER), (u8)(divisor >> 8));
    outb(reg(UART_LCR), LCR_8N1);
    outb(reg(UART_FCR), FCR_ON_CLEAR);
    outb(reg(UART_MCR), MCR_DTR_RTS | MCR_OUT2);
    tx_room = 0;
}

bool arch_console_putc(u8 c)
{
    if (!present)
        return true;
    if (tx_room == 0) {
        if (!(inb(reg(UART_LSR)) & LSR_THRE))
            return false;
        tx_room = TX_FIFO_BYTES;
    }
    tx_room--;
    outb(reg(UART_DATA), c);
    return true;
}

int arch_console_getc(void)
{
    if (!present || !(inb(reg(UART_LSR)) & LSR_DATA))
        return -1;
    return inb(reg(UART_DATA));
}

void uart_drain(void)
{
    if (!present)
        return;
    for (u32 i = 0; i < 1000000 && !(inb(reg(UART_LSR)) & LSR_IDLE); i++)
        cpu_relax();
}

void arch_console_irq_enable(void)
{
    u32 gsi = cfg_board.console.gsi;

    if (!present)
        return;
    if (!ioapic_route(gsi, VEC_UART, cfg_board.console_cpu, acpi_gsi_flags(gsi))) {
        log_warn("uart: no IOAPIC has GSI %u, console input is off", gsi);
        return;
    }
    outb(reg(UART_IER), IER_RX);
    /* An edge that came before the line was routed is lost: look once. */
    atomic_or(&cpu_get(cfg_board.console_cpu)->requests, CPU_REQ_CONSOLE);
    arch_cpu_kick(cfg_board.console_cpu);
}
