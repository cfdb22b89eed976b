/*
 * Interrupts of real devices: a range of host vectors, the same on every CPU, whose handler only notes what
 * arrived. What a vector means is its user's business (src/x86/vdev/host_irq.c). Layer 4'.
 */
#ifndef BH_X86_HW_HOSTIRQ_H
#define BH_X86_HW_HOSTIRQ_H

#include <lib/types.h>

/* Below the hypervisor's own vectors in priority: a level interrupt stays in service until hostirq_end(). */
#define HOSTIRQ_FIRST 0x40u
#define HOSTIRQ_COUNT 160u /* 0x40..0xdf */

#define HOSTIRQ_STUB_SIZE 8

/* hostirq_entry.S: one stub of HOSTIRQ_STUB_SIZE bytes per vector. */
extern const u8 hostirq_stubs[];

/* hostirq_entry.S calls it with vector - HOSTIRQ_FIRST. Interrupts are off; no lock is taken. */
void hostirq_dispatch(u32 index);

/* Whether interrupts of the vector come from level-triggered pins: their end is held back until
 * hostirq_end(), so that the pin can be masked before. Before the vector is first put into a pin. */
void hostirq_set_level(u32 index, bool level);

/* Takes one vector that arrived on this CPU since it was last taken. False: none. Interrupts are off. */
bool hostirq_take(u32 *index);
/* Ends the level interrupts that this CPU's hostirq_take() gave out. Interrupts are off. */
void hostirq_end(void);

#endif
