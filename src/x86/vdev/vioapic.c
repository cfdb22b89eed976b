/*
 * Virtual IOAPIC (82093AA datasheet; version 0x20 with the EOI register as in later chipsets' IOAPICs), the
 * interrupt lines of a VM, and message-signalled interrupts.
 */
#include <lib/bits.h>
#include <lib/log.h>
#include <lib/string.h>
#include <arch/platform.h>
#include <core/vm.h>
#include "x86/vdev/host.h"
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/vlapic.h"

/* Window layout and indirect registers. */
#define IOA_SELECT 0x00
#define IOA_WINDOW 0x10
#define IOA_EOI    0x40

#define IOR_ID  0x00
#define IOR_VER 0x01
#define IOR_ARB 0x02
#define IOR_RTE 0x10

#define IOAPIC_VERSION 0x20U

#define RTE_RO      (RTE_PENDING | RTE_REMOTE_IRR)
#define RTE_DEFINED 0xff0000000001ffffULL

#define MSI_ADDR_BASE    0xfee00000ULL
#define MSI_ADDR_MASK    0xfffffffffff00000ULL
#define MSI_ADDR_LOGICAL BIT64(2)
#define MSI_ADDR_HINT    BIT64(3)

static struct irqchip chips[CFG_VMS];

struct irqchip *irqchip_of(const struct vm *vm)
{
    return &chips[vm->id];
}

/* Constant where the scenario has pre-launched VMs only. */
static inline unsigned pin_count(const struct irqchip *c)
{
    return CFG_SERVICE ? c->ioapic.pins : PLAT_IOAPIC_PINS;
}

static inline bool line_of(const struct irqchip *c, unsigned pin)
{
    return (c->ioapic.lines[pin / 64] >> (pin % 64)) & 1;
}

/* True for the service VM's pins that follow one of the real IOAPIC. */
static inline bool is_host_pin(const struct irqchip *c, unsigned pin)
{
    return CFG_SERVICE && ((c->ioapic.host_pins[pin / 64] >> (pin % 64)) & 1);
}

void vioapic_entry_msg(u64 rte, struct apic_msg *m)
{
    *m = (struct apic_msg){.dest = (u32)(rte >> 56),
                           .vector = (u8)rte,
                           .mode = RTE_MODE(rte),
                           .level = (rte & RTE_LEVEL) && RTE_MODE(rte) <= APIC_DM_LOWEST,
                           .logical = (rte & RTE_LOGICAL) != 0};
}

/* Sends the entry's message if its state allows one. Edge entries are called on a rising edge only. */
static void pin_service(struct irqchip *c, unsigned pin)
{
    u64 *rte = &c->ioapic.rte[pin];
    struct apic_msg m;
    bool taken;

    if (*rte & (RTE_MASKED | RTE_REMOTE_IRR))
        return;
    vioapic_entry_msg(*rte, &m);
    /* An EOI for it on another CPU waits for the lock that this caller holds. */
    taken = vlapic_deliver(c->vm, &m);
    if (taken && m.level)
        *rte |= RTE_REMOTE_IRR;
}

void vioapic_set_line(struct irqchip *c, unsigned pin, bool level)
{
    u64 bit = BIT64(pin % 64), *lines = &c->ioapic.lines[pin / 64];
    bool rise = !(*lines & bit);

    if (!level) {
        *lines &= ~bit;
        return;
    }
    *lines |= bit;
    if ((c->ioapic.rte[pin] & RTE_LEVEL) || rise)
        pin_service(c, pin);
}

void vioapic_host_irq(struct irqchip *c, unsigned pin)
{
    spin_lock(&c->lock);
    if (c->ioapic.rte[pin] & RTE_LEVEL)
        host_pin_mask(pin);
    pin_service(c, pin);
    spin_unlock(&c->lock);
}

static void eoi_locked(struct irqchip *c, u8 vector)
{
    struct vioapic *io = &c->ioapic;
    unsigned pin;

    for (pin = 0; pin < pin_count(c); pin++) {
        if (!(io->rte[pin] & RTE_REMOTE_IRR) || (u8)io->rte[pin] != vector)
            continue;
        io->rte[pin] &= ~RTE_REMOTE_IRR;
        if (is_host_pin(c, pin))
            host_pin_update(c->vm, pin, io->rte[pin]);
        else if (line_of(c, pin))
            pin_service(c, pin);
    }
}

void vioapic_eoi(struct vm *vm, u8 vector)
{
    struct irqchip *c = irqchip_of(vm);

    spin_lock(&c->lock);
    eoi_locked(c, vector);
    spin_unlock(&c->lock);
}

static u32 reg_read(const struct irqchip *c)
{
    const struct vioapic *io = &c->ioapic;
    unsigned r = io->select, pin = (r - IOR_RTE) / 2;

    switch (r) {
    case IOR_ID:
    case IOR_ARB: /* the arbitration ID is loaded with the ID and there is no arbitration bus to change it */
        return io->id << 24;
    case IOR_VER:
        return IOAPIC_VERSION | (pin_count(c) - 1) << 16;
    default:
        if (r < IOR_RTE || pin >= pin_count(c))
            return ~0U;
        return (u32)(io->rte[pin] >> (r & 1 ? 32 : 0));
    }
}

static void rte_write(struct irqchip *c, unsigned pin, bool high, u32 val)
{
    u64 *rte = &c->ioapic.rte[pin];
    u64 ro = *rte & RTE_RO;

    *rte = (field_set(*rte, high ? 32 : 0, 32, val) & RTE_DEFINED & ~RTE_RO) | ro;
    /* An edge entry has no remote IRR; guests flip the trigger mode to clear a stuck one. */
    if (!(*rte & RTE_LEVEL))
        *rte &= ~RTE_REMOTE_IRR;
    if (is_host_pin(c, pin))
        host_pin_update(c->vm, pin, *rte);
    else if ((*rte & RTE_LEVEL) && line_of(c, pin))
        pin_service(c, pin);
}

static void reg_write(struct irqchip *c, u32 val)
{
    unsigned r = c->ioapic.select, pin = (r - IOR_RTE) / 2;

    if (r == IOR_ID)
        c->ioapic.id = (val >> 24) & 0xf;
    else if (r >= IOR_RTE && pin < pin_count(c))
        rte_write(c, pin, r & 1, val);
}

/* Registers are meant for aligned 32-bit access; bytes and words of the window work too and leave the rest as
 * it is. */
static bool window_access(struct vcpu *v, void *dev, u64 offset, u8 size, bool write, u64 *val)
{
    struct irqchip *c = dev;
    unsigned reg = (unsigned)offset & ~3U, shift = ((unsigned)offset & 3) * 8;
    bool known = true;
    u32 cur;

    (void)v;
    if (size > 4 || (offset & 3) + size > 4)
        return false;
    spin_lock(&c->lock);
    cur = reg == IOA_WINDOW ? reg_read(c) : reg == IOA_SELECT ? c->ioapic.select : 0;
    if (!write)
        *val = (cur >> shift) & size_mask(size);
    else
        cur = (u32)((cur & ~(size_mask(size) << shift)) | *val << shift);
    switch (reg) {
    case IOA_SELECT:
        if (write)
            c->ioapic.select = (u8)cur;
        break;
    case IOA_WINDOW:
        if (write)
            reg_write(c, cur);
        break;
    case IOA_EOI:
        if (write)
            eoi_locked(c, (u8)cur);
        break;
    default:
        known = false;
    }
    spin_unlock(&c->lock);
    return known;
}

void vioapic_reset(struct irqchip *c)
{
    struct vioapic *io = &c->ioapic;
    bool service = CFG_SERVICE && c->vm->cfg->kind == VM_SERVICE;

    io->id = service ? cfg_board.ioapics[0].id : PLAT_IOAPIC_ID;
    io->select = 0;
    memset(io->lines, 0, sizeof(io->lines));
    for (unsigned pin = 0; pin < pin_count(c); pin++)
        io->rte[pin] = RTE_MASKED;
}

void vioapic_init(struct irqchip *c)
{
    struct vioapic *io = &c->ioapic;

    io->base = PLAT_IOAPIC_BASE;
    io->pins = PLAT_IOAPIC_PINS;
    io->pit_pin = PLAT_GSI_PIT;
    if (CFG_SERVICE && c->vm->cfg->kind == VM_USER)
        io->pins = PLAT_USER_PINS;
    if (CFG_SERVICE && c->vm->cfg->kind == VM_SERVICE)
        host_pins_init(c);
    vioapic_reset(c);
    io_register_mmio(c->vm, io->base, PLAT_IOAPIC_SIZE, window_access, c);
}

/* ---- lines and messages ---- */

void arch_vm_set_gsi(struct vm *vm, u32 gsi, bool level)
{
    struct irqchip *c = irqchip_of(vm);
    u32 irq = gsi, pin = gsi;

    if (CFG_SERVICE && vm->cfg->kind == VM_USER)
        irq = gsi == PLAT_GSI_PIT ? PLAT_IRQ_PIT : gsi; /* hypercall-abi.md section 2.4 */
    else if (gsi == PLAT_IRQ_PIT)
        pin = CFG_SERVICE ? c->ioapic.pit_pin : PLAT_GSI_PIT;
    spin_lock(&c->lock);
    if (irq < PLAT_ISA_IRQS && irq != PLAT_IRQ_CASCADE)
        vpic_set_line(c, irq, level);
    if (pin < pin_count(c))
        vioapic_set_line(c, pin, level);
    spin_unlock(&c->lock);
}

/* SDM 10.11: address bits 19:12 destination, 3 redirection hint, 2 destination mode; data 15 trigger, 14
 * level, 10:8 mode, 7:0 vector. */
int arch_vm_inject_msi(struct vm *vm, u64 addr, u64 data)
{
    struct apic_msg m = {.dest = (u32)(addr >> 12) & 0xff,
                         .vector = (u8)data,
                         .mode = (u8)((data >> 8) & 7),
                         .level = false,
                         .logical = (addr & MSI_ADDR_LOGICAL) != 0};

    if ((addr & MSI_ADDR_MASK) != MSI_ADDR_BASE)
        return -EINVAL_;
    /* A redirection hint lets any one processor of the set take it. */
    if ((addr & MSI_ADDR_HINT) && m.mode == APIC_DM_FIXED)
        m.mode = APIC_DM_LOWEST;
    vlapic_deliver(vm, &m);
    return 0;
}

void arch_dump_vioapic(struct vm *vm, void (*print)(const char *fmt, ...))
{
    struct irqchip *c = irqchip_of(vm);
    unsigned pin;

    print("vIOAPIC of %s: id %u, lines 0x%06llx; 8259 imr %02x %02x irr %02x %02x isr %02x %02x\n",
          vm->cfg->name, c->ioapic.id, (unsigned long long)c->ioapic.lines[0], c->pic[0].imr, c->pic[1].imr,
          c->pic[0].irr, c->pic[1].irr, c->pic[0].isr, c->pic[1].isr);
    print("pin  dest mode vector trigger  state\n");
    for (pin = 0; pin < pin_count(c); pin++) {
        u64 r = c->ioapic.rte[pin];

        print("%3u  %s%02x  %u    0x%02x   %s  %s%s%s\n", pin, r & RTE_LOGICAL ? "L" : "P", (u32)(r >> 56),
              RTE_MODE(r), (u32)(r & 0xff), r & RTE_LEVEL ? "level  " : "edge   ",
              r & RTE_MASKED ? "masked" : "open", r & RTE_REMOTE_IRR ? " remote-irr" : "",
              line_of(c, pin) ? " asserted" : "");
    }
}
