/* A 16550 at any port, for programs whose VM is joined to another by one. */
#ifndef GUEST_UART_H
#define GUEST_UART_H

#include "guest.h"

enum { U_DATA, U_IER, U_IIR, U_FCR = U_IIR, U_LCR, U_MCR, U_LSR, U_MSR };

#define LSR_DR    0x01
#define LSR_OE    0x02
#define LSR_BI    0x10
#define LSR_THRE  0x20
#define LCR_8N1   0x03
#define LCR_BREAK 0x40
#define MCR_OPEN  0x0b /* DTR, RTS, OUT2 */
#define MSR_CABLE 0xb0 /* CTS, DSR, DCD: the other end is open */

/* FIFOs on, 8N1, no interrupts, modem outputs off. */
static inline void uart_reset(u16 port)
{
    outb(port + U_IER, 0);
    outb(port + U_LCR, LCR_8N1);
    outb(port + U_FCR, 0x07);
    outb(port + U_MCR, 0);
    (void)inb(port + U_LSR);
    (void)inb(port + U_MSR);
    (void)inb(port + U_IIR);
}

/* Waits until the bits of a register that are in `mask` are `want`; false: the time is over. */
static inline bool uart_until(u16 port, u16 reg, u8 mask, u8 want, u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    while ((inb(port + reg) & mask) != want) {
        if (rdtsc() >= end)
            return false;
        pause();
    }
    return true;
}

/* What byte number i is, in either direction. */
static inline u8 uart_byte(u32 i)
{
    return (u8)(i * 31 + (i >> 8) + 7);
}

#endif
