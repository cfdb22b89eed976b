/* The physical IOAPICs of the board. Layer 4'. */
#ifndef BH_X86_HW_IOAPIC_H
#define BH_X86_HW_IOAPIC_H

#include <lib/types.h>

/* BSP, before lapic_cpu_init(): masks both 8259 PICs and every pin of every IOAPIC. The PICs come first so
 * that an interrupt which the firmware left pending at LINT0 is withdrawn while LINT0 is still open to it. */
void ioapic_init(void);
/* What IOAPIC i (index into cfg_board.ioapics) says about itself; pins is 0 when nothing answers at its
 * address. */
void ioapic_identify(u32 i, u32 *id, u32 *pins);

enum ioapic_flags { IOAPIC_LEVEL = 1u << 0, IOAPIC_LOW = 1u << 1 };
/* Sends a GSI to one CPU as a fixed interrupt. False when no IOAPIC of the board has that GSI. Any CPU. */
bool ioapic_route(u32 gsi, u8 vector, u32 pcpu, u32 flags);
/* Masks the pin of a GSI and leaves the rest of its entry as it is, so that an end of interrupt still finds
 * it. Any CPU. */
void ioapic_mask(u32 gsi);

#endif
