#include <arch/cpu.h>
#include <config/config.h>
#include <lib/spinlock.h>
#include "x86/hw/ioapic.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/ports.h"

/* 82093AA data sheet, chapter 3. */
enum { IOAPIC_SEL = 0x00, IOAPIC_WIN = 0x10, IOAPIC_REG_ID = 0, IOAPIC_REG_VER = 1, IOAPIC_REG_PINS = 0x10 };

#define RTE_MASKED BIT64(16)
#define RTE_LEVEL  BIT64(15)
#define RTE_LOW    BIT64(13)

/* Protects the pair of registers of every IOAPIC: selector, then window. Interrupt handlers do not take it.
 */
static spinlock_t lock = SPINLOCK_INIT;

static volatile u32 *port(u32 i, u32 off)
{
    return (volatile u32 *)(mmio_va(MMIO_SLOT_IOAPIC + i, cfg_board.ioapics[i].base) + off);
}

static u32 reg_read(u32 i, u32 reg)
{
    *port(i, IOAPIC_SEL) = reg;
    return *port(i, IOAPIC_WIN);
}

static void reg_write(u32 i, u32 reg, u32 val)
{
    *port(i, IOAPIC_SEL) = reg;
    *port(i, IOAPIC_WIN) = val;
}

static u64 rte_read(u32 i, u32 pin)
{
    u64 lo = reg_read(i, IOAPIC_REG_PINS + pin * 2);

    return lo | (u64)reg_read(i, IOAPIC_REG_PINS + pin * 2 + 1) << 32;
}

/* Masked while half-written, so that no mixture of old and new is ever in force. */
static void rte_write(u32 i, u32 pin, u64 rte)
{
    reg_write(i, IOAPIC_REG_PINS + pin * 2, (u32)RTE_MASKED);
    reg_write(i, IOAPIC_REG_PINS + pin * 2 + 1, (u32)(rte >> 32));
    reg_write(i, IOAPIC_REG_PINS + pin * 2, (u32)rte);
}

void ioapic_identify(u32 i, u32 *id, u32 *pins)
{
    u32 ver = reg_read(i, IOAPIC_REG_VER);

    *id = reg_read(i, IOAPIC_REG_ID) >> 24 & 0xf;
    *pins = ver == ~(u32)0 || ver == 0 ? 0 : (ver >> 16 & 0xff) + 1;
}

void ioapic_init(void)
{
    outb(0x21, 0xff); /* OCW1 of both 8259: all lines masked */
    outb(0xa1, 0xff);
    for (u32 i = 0; i < cfg_board.ioapic_count; i++) {
        for (u32 pin = 0; pin < cfg_board.ioapics[i].pins; pin++)
            reg_write(i, IOAPIC_REG_PINS + pin * 2, (u32)RTE_MASKED);
    }
}

static bool find_pin(u32 gsi, u32 *i, u32 *pin)
{
    for (*i = 0; *i < cfg_board.ioapic_count; (*i)++) {
        *pin = gsi - cfg_board.ioapics[*i].gsi_base;
        if (*pin < cfg_board.ioapics[*i].pins)
            return true;
    }
    return false;
}

bool ioapic_route(u32 gsi, u8 vector, u32 pcpu, u32 flags)
{
    u32 i, pin;
    u64 rte = vector | (u64)cfg_board.cpus[pcpu].apic_id << 56; /* fixed, physical, 8-bit destination */

    if (!find_pin(gsi, &i, &pin))
        return false;
    if (flags & IOAPIC_LEVEL)
        rte |= RTE_LEVEL;
    if (flags & IOAPIC_LOW)
        rte |= RTE_LOW;
    spin_lock(&lock);
    rte_write(i, pin, rte);
    spin_unlock(&lock);
    return true;
}

void ioapic_mask(u32 gsi)
{
    u32 i, pin, reg;

    if (!find_pin(gsi, &i, &pin))
        return;
    reg = IOAPIC_REG_PINS + pin * 2;
    spin_lock(&lock);
    reg_write(i, reg, reg_read(i, reg) | (u32)RTE_MASKED);
    spin_unlock(&lock);
}

void arch_dump_ioapic(void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    static const char *const modes[8] = {"fixed", "lowest", "smi", "?", "nmi", "init", "?", "extint"};

    print("ioapic pin gsi  entry             vector mode    dest   trigger polarity state\n");
    for (u32 i = 0; i < cfg_board.ioapic_count; i++) {
        for (u32 pin = 0; pin < cfg_board.ioapics[i].pins; pin++) {
            u64 rte;

            spin_lock(&lock);
            rte = rte_read(i, pin);
            spin_unlock(&lock);

            print("%6u %3u %3u  %016llx  0x%02x   %-7s 0x%02x   %-7s %-8s %s\n", i, pin,
                  cfg_board.ioapics[i].gsi_base + pin, (unsigned long long)rte, (u32)rte & 0xff,
                  modes[rte >> 8 & 7], (u32)(rte >> 56), rte & RTE_LEVEL ? "level" : "edge",
                  rte & RTE_LOW ? "low" : "high", rte & RTE_MASKED ? "masked" : "open");
        }
    }
}
