/*
 * The interrupt lines of one VM and the two controllers they end in: vIOAPIC (82093AA with the EOI register
 * of later versions) and the 8259A pair. Both see every line change under one lock. Layer 5.
 */
#ifndef BH_X86_VDEV_IOAPIC_PIC_H
#define BH_X86_VDEV_IOAPIC_PIC_H

#include <lib/spinlock.h>
#include <lib/types.h>
#include "x86/vdev/platform_map.h"

struct vm;
struct vcpu;

struct vpic {
    u8 irr;   /* requests */
    u8 isr;   /* in service */
    u8 imr;   /* masked; read without the lock */
    u8 line;  /* input levels */
    u8 elcr;  /* 1: level triggered */
    u8 base;  /* vector of input 0 (ICW2) */
    u8 first; /* input that has the highest priority */
    u8 icw;   /* next initialisation word: 2, 3, 4; 0: operational */
    bool icw4, single;
    bool read_isr, poll;
    bool special_mask, special_nested;
    bool auto_eoi, rotate_auto;
};

struct vioapic {
    u32 id;
    u8 select;
    u32 lines; /* input levels: 1 asserted, whatever the polarity bit of the entry says */
    u64 rte[PLAT_IOAPIC_PINS];
};

struct irqchip {
    spinlock_t lock; /* protects everything below; taken with no other lock inside. imr and pic_out are also
                        read without it */
    u8 pic_out;      /* INTR output of the master */
    struct vpic pic[2];
    struct vioapic ioapic;
    struct vm *vm;
};

struct irqchip *irqchip_of(const struct vm *vm);

/* Boot: registers ports and MMIO. Reset: power-on state; no vCPU of the VM runs. */
void vpic_init(struct irqchip *c);
void vpic_reset(struct irqchip *c);
void vioapic_init(struct irqchip *c);
void vioapic_reset(struct irqchip *c);

/* A line changes; caller holds the lock. irq 0..15 but 2; pin 0..PLAT_IOAPIC_PINS-1. */
void vpic_set_line(struct irqchip *c, unsigned irq, bool level);
void vioapic_set_line(struct irqchip *c, unsigned pin, bool level);

/* A vCPU ended a level-triggered interrupt: entries with this vector take the next request. Any CPU; takes
 * the lock. */
void vioapic_eoi(struct vm *vm, u8 vector);

/* True while the 8259 pair asks for an interrupt. Any CPU, no lock. */
bool vpic_output(const struct vm *vm);
/* Interrupt acknowledge cycle: the vector to inject, or -1 when the request has gone. Takes the lock. */
int vpic_ack(struct vm *vm);

#endif
