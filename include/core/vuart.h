/* Virtual 16550A UARTs. */
#ifndef BH_CORE_VUART_H
#define BH_CORE_VUART_H

#include <lib/types.h>

struct vm;

/* Boot: registers the ports of all vUARTs of the VM. */
void vuart_init(struct vm *vm);
/* Power-on state of all vUARTs of the VM; no vCPU of it runs. */
void vuart_reset(struct vm *vm);
/* The VM is off until vuart_reset(): what its vUARTs are joined to sees an unplugged cable. No vCPU of it
 * runs. */
void vuart_off(struct vm *vm);
/* True when the interrupt line is one of the VM's vUARTs'. */
bool vuart_has_gsi(const struct vm *vm, u32 gsi);
/* A byte for the guest's console vUART; false when its FIFO is full. Any CPU. */
bool vuart_console_rx(struct vm *vm, u8 c);
/* True when vuart_console_rx() would take a byte. */
bool vuart_console_rx_room(struct vm *vm);
/* The console multiplexer has room for this VM's output again. Any CPU. */
void vuart_console_tx_ready(struct vm *vm);

#endif
