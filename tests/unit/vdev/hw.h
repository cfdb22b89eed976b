/* A small real machine behind the service VM: PCI functions, an IOAPIC, device memory, ports, host vectors.
 */
#ifndef HW_H
#define HW_H

#include <lib/types.h>

/* 00:00.0 host bridge; 00:03.0 a device with 64-bit MSI; 00:04.0 one with MSI-X, table at BAR 0 + 0x1000;
 * 00:1c.0 a bridge to bus 1; 01:00.0 a device behind it with 32-bit MSI; 00:1f.0 the ISA bridge;
 * 00:05.0 a device of pre-launched VM 'a'. */
#define HW_MSI    0x0018
#define HW_MSIX   0x0020
#define HW_BRIDGE 0x00e0
#define HW_BEHIND 0x0100
#define HW_ISA    0x00f8
#define HW_ASIDE  0x0028

#define HW_CAP      0x50
#define HW_BAR      0xe0000000u
#define HW_TABLE    (HW_BAR + 0x1000)
#define HW_ENTRIES  4u
#define HW_MEM_SIZE 0x4000u

struct hw_pin {
    bool open;
    u8 vector;
    u32 pcpu, flags;
    unsigned writes;
};
extern struct hw_pin hw_pins[24];

void hw_reset(void);
/* Real registers, past what the code under test makes of them. */
u32 hw_cfg(u16 bdf, u32 off, u32 size);
void hw_cfg_set(u16 bdf, u32 off, u32 val);
u32 hw_mem32(u64 addr);
/* An interrupt of the host vector arrives on the current CPU. */
void hw_raise(u8 vector);
extern unsigned hw_ends; /* calls of hostirq_end() */
extern bool hw_level[256];

extern u32 hw_port_written, hw_port_value, hw_port_writes;

#endif
