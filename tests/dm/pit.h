/*
 * An 8254's three counters, as far as kernels measure time with them: they count and can be read and latched;
 * counter 2 has its gate and output in port 0x61. None interrupts: a guest of this hypervisor has the local
 * APIC's timer.
 */
#ifndef DM_PIT_H
#define DM_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_PORT      0x40u /* counters 0 to 2, then the command register */
#define PIT_PORTS     4u
#define PIT_GATE_PORT 0x61u
#define PIT_HZ        1193182u

struct pit_counter {
    uint64_t start; /* when the count was loaded or the gate rose, nanoseconds */
    uint16_t reload;
    uint8_t mode;
    uint8_t access; /* 1 low byte, 2 high byte, 3 both */
    bool second_write, second_read, latched;
    uint8_t low; /* first byte of a count that is being written */
    uint16_t latch;
};

struct pit {
    struct pit_counter counter[3];
    uint8_t gate; /* port 0x61 as written, bits 0 and 1 */
};

void pit_reset(struct pit *pit);
/* port is PIT_PORT to PIT_PORT + 3, or PIT_GATE_PORT; now in nanoseconds of a steady clock. */
uint8_t pit_read(struct pit *pit, unsigned port, uint64_t now);
void pit_write(struct pit *pit, unsigned port, uint8_t value, uint64_t now);

#endif
