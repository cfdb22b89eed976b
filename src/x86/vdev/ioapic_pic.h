/*
 * The interrupt lines of one VM and the two controllers they end in: vIOAPIC (82093AA with the EOI register
 * of later versions) and the 8259A pair. Both see every line change under one lock. Layer 5.
 */
#ifndef BH_X86_VDEV_IOAPIC_PIC_H
#define BH_X86_VDEV_IOAPIC_PIC_H

#include <config/config.h>
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

/* Most pins that one of the vIOAPICs has: the service VM's has as many as the board's first IOAPIC, up to
 * this, a user VM's PLAT_USER_PINS. */
#define VIOAPIC_MAX_PINS (CFG_SERVICE ? 120 : PLAT_IOAPIC_PINS)

struct vioapic {
    u64 base; /* guest-physical */
    u32 id;
    u8 select;
    u8 pins;
    u8 pit_pin; /* where ISA IRQ 0 arrives */
    u64 lines[(VIOAPIC_MAX_PINS + 63) /
              64]; /* input levels: 1 asserted, whatever the polarity bit of the entry says */
    u64 host_pins[CFG_SERVICE ? 2 : 1]; /* service VM: 1: a pin of the real IOAPIC drives this one */
    u64 rte[VIOAPIC_MAX_PINS];
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

/* Bits of a redirection entry (82093AA datasheet 3.2.4). */
#define RTE_MODE(r)    ((u8)(((r) >> 8) & 7))
#define RTE_LOGICAL    BIT64(11)
#define RTE_PENDING    BIT64(12)
#define RTE_LOW        BIT64(13)
#define RTE_REMOTE_IRR BIT64(14)
#define RTE_LEVEL      BIT64(15)
#define RTE_MASKED     BIT64(16)

/* Boot: registers ports and MMIO. Reset: power-on state; no vCPU of the VM runs. */
void vpic_init(struct irqchip *c);
void vpic_reset(struct irqchip *c);
void vioapic_init(struct irqchip *c);
void vioapic_reset(struct irqchip *c);

/* A line changes; caller holds the lock. irq 0..15 but 2; pin 0..pins-1. */
void vpic_set_line(struct irqchip *c, unsigned irq, bool level);
void vioapic_set_line(struct irqchip *c, unsigned pin, bool level);

/* A vCPU ended a level-triggered interrupt: entries with this vector take the next request. Any CPU; takes
 * the lock. */
void vioapic_eoi(struct vm *vm, u8 vector);

/* What the vIOAPIC entry says, as a message; its level field says whether a remote IRR comes with it. */
struct apic_msg;
void vioapic_entry_msg(u64 rte, struct apic_msg *m);
/* Service VM: the real pin of this number raised an interrupt. A level-triggered one is masked until the
 * guest ends it. Any CPU; takes the lock. */
void vioapic_host_irq(struct irqchip *c, unsigned pin);

/* True while the 8259 pair asks for an interrupt. Any CPU, no lock. */
bool vpic_output(const struct vm *vm);
/* Interrupt acknowledge cycle: the vector to inject, or -1 when the request has gone. Takes the lock. */
int vpic_ack(struct vm *vm);

#endif
