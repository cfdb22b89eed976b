/*
 * The pair of 8259A interrupt controllers of a PC (Intel 8259A datasheet) with the edge/level control
 * registers of later chipsets. The slave's output is the master's input 2; the master's output goes to LINT0
 * of vCPU 0 and, like on chipsets that allow it, to vIOAPIC pin 0.
 */
#include <lib/bits.h>
#include <core/vm.h>
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/vlapic.h"

#define ICW1      0x10
#define ICW1_ICW4 0x01
#define ICW1_SNGL 0x02
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define OCW3      0x08
#define OCW3_POLL 0x04
#define OCW3_RR   0x02
#define OCW3_RIS  0x01
#define OCW3_ESMM 0x40
#define OCW3_SMM  0x20

/* OCW2 commands, bits 7:5. */
enum {
    OCW2_ROT_AEOI_OFF = 0,
    OCW2_EOI = 1,
    OCW2_SEOI = 3,
    OCW2_ROT_AEOI_ON = 4,
    OCW2_ROT_EOI = 5,
    OCW2_SET_PRIO = 6,
    OCW2_ROT_SEOI = 7
};

#define SPURIOUS_INPUT 7

/* Inputs that cannot be level triggered: timer, keyboard, cascade; RTC, coprocessor. */
static const u8 elcr_mask[2] = {0xf8, 0xde};

/* Rank (0 highest) of the best input in `set` under the present rotation; 8: none. */
static unsigned rank(const struct vpic *p, unsigned set)
{
    unsigned rot = (set >> p->first) | (set << (8 - p->first));

    rot &= 0xff;
    return rot ? bit_low32(rot) : 8;
}

static unsigned input_of(const struct vpic *p, unsigned rank_)
{
    return (rank_ + p->first) & 7;
}

/* The input that asks for service now, -1: none. */
static int pic_request(const struct vpic *p, bool master)
{
    unsigned req = rank(p, p->irr & (u8)~p->imr);
    unsigned blocking = p->isr;

    if (req == 8 || p->icw)
        return -1;
    if (p->special_mask)
        blocking &= (u8)~p->imr;
    if (p->special_nested && master)
        blocking &= ~(1U << PLAT_IRQ_CASCADE);
    return req < rank(p, blocking) ? (int)input_of(p, req) : -1;
}

/* Recomputes both outputs after any change. */
static void pic_update(struct irqchip *c)
{
    bool slave = pic_request(&c->pic[1], false) >= 0;
    u8 out;

    if (slave)
        c->pic[0].irr |= 1U << PLAT_IRQ_CASCADE;
    else
        c->pic[0].irr &= (u8) ~(1U << PLAT_IRQ_CASCADE);
    out = pic_request(&c->pic[0], true) >= 0;
    if (out == c->pic_out)
        return;
    atomic_store(&c->pic_out, out);
    if (out)
        vlapic_lint0_rise(c->vm);
    vioapic_set_line(c, 0, out);
}

void vpic_set_line(struct irqchip *c, unsigned irq, bool level)
{
    struct vpic *p = &c->pic[irq >> 3];
    u8 bit = (u8)(1U << (irq & 7));

    if (level == ((p->line & bit) != 0))
        return;
    p->line ^= bit;
    if (level)
        p->irr |= bit;
    else if (p->elcr & bit)
        p->irr &= (u8)~bit;
    pic_update(c);
}

static void pic_take(struct vpic *p, unsigned input)
{
    u8 bit = (u8)(1U << input);

    if (!p->auto_eoi)
        p->isr |= bit;
    else if (p->rotate_auto)
        p->first = (u8)((input + 1) & 7);
    if (!(p->elcr & bit))
        p->irr &= (u8)~bit;
}

bool vpic_output(const struct vm *vm)
{
    return atomic_load(&irqchip_of(vm)->pic_out);
}

int vpic_ack(struct vm *vm)
{
    struct irqchip *c = irqchip_of(vm);
    int in, vec = -1;

    spin_lock(&c->lock);
    in = pic_request(&c->pic[0], true);
    if (in == PLAT_IRQ_CASCADE) {
        int in2 = pic_request(&c->pic[1], false);

        pic_take(&c->pic[0], PLAT_IRQ_CASCADE);
        if (in2 >= 0)
            pic_take(&c->pic[1], (unsigned)in2);
        else
            in2 = SPURIOUS_INPUT;
        vec = c->pic[1].base + in2;
    } else if (in >= 0) {
        pic_take(&c->pic[0], (unsigned)in);
        vec = c->pic[0].base + in;
    }
    /* The output falls and rises again when more is pending, so that LINT0 sees an edge. */
    atomic_store(&c->pic_out, 0);
    vioapic_set_line(c, 0, false);
    pic_update(c);
    spin_unlock(&c->lock);
    return vec;
}

static void ocw2(struct vpic *p, u8 val)
{
    unsigned cmd = val >> 5, input = val & 7, best;

    switch (cmd) {
    case OCW2_ROT_AEOI_OFF:
    case OCW2_ROT_AEOI_ON:
        p->rotate_auto = cmd == OCW2_ROT_AEOI_ON;
        return;
    case OCW2_EOI:
    case OCW2_ROT_EOI:
        /* In special mask mode a masked in-service bit is not the one that a non-specific EOI ends. */
        best = rank(p, p->special_mask ? (u8)(p->isr & ~p->imr) : p->isr);
        if (best == 8)
            return;
        input = input_of(p, best);
        break;
    case OCW2_SEOI:
    case OCW2_ROT_SEOI:
        break;
    case OCW2_SET_PRIO:
        p->first = (u8)((input + 1) & 7);
        return;
    default:
        return;
    }
    p->isr &= (u8) ~(1U << input);
    if (cmd == OCW2_ROT_EOI || cmd == OCW2_ROT_SEOI)
        p->first = (u8)((input + 1) & 7);
}

static void command_write(struct vpic *p, u8 val)
{
    if (val & ICW1) {
        /* Edge requests are forgotten, level ones stay with their line. */
        *p = (struct vpic){.line = p->line,
                           .elcr = p->elcr,
                           .base = p->base,
                           .irr = p->line & p->elcr,
                           .icw = 2,
                           .icw4 = (val & ICW1_ICW4) != 0,
                           .single = (val & ICW1_SNGL) != 0};
    } else if (val & OCW3) {
        if (val & OCW3_POLL)
            p->poll = true;
        else if (val & OCW3_RR)
            p->read_isr = (val & OCW3_RIS) != 0;
        if (val & OCW3_ESMM)
            p->special_mask = (val & OCW3_SMM) != 0;
    } else {
        ocw2(p, val);
    }
}

static void data_write(struct vpic *p, u8 val)
{
    switch (p->icw) {
    case 2:
        p->base = val & 0xf8;
        p->icw = p->single ? (p->icw4 ? 4 : 0) : 3;
        break;
    case 3: /* the wiring of the cascade is fixed */
        p->icw = p->icw4 ? 4 : 0;
        break;
    case 4:
        p->special_nested = (val & ICW4_SFNM) != 0;
        p->auto_eoi = (val & ICW4_AEOI) != 0;
        p->icw = 0;
        break;
    default:
        atomic_store(&p->imr, val);
    }
}

/* Poll command: the next read acknowledges and returns the input with bit 7 set, or 0. */
static u8 poll_read(struct vpic *p, bool master)
{
    int in = pic_request(p, master);

    p->poll = false;
    if (in < 0)
        return 0;
    pic_take(p, (unsigned)in);
    return (u8)(0x80 | in);
}

static NOINLINE bool pic_slow(struct irqchip *c, unsigned which, u16 port, u8 size, bool write, u32 *val)
{
    struct vpic *p = &c->pic[which];

    if (size != 1)
        return false;
    spin_lock(&c->lock);
    if (write && (port & 1))
        data_write(p, (u8)*val);
    else if (write)
        command_write(p, (u8)*val);
    else if (p->poll)
        *val = poll_read(p, which == 0);
    else
        *val = p->read_isr ? p->isr : p->irr;
    pic_update(c);
    spin_unlock(&c->lock);
    return true;
}

/* Reading the mask register needs no lock: it is one byte. */
static inline bool pic_port(struct irqchip *c, unsigned which, u16 port, u8 size, bool write, u32 *val)
{
    struct vpic *p = &c->pic[which];

    if (LIKELY(!write) && (port & 1) && LIKELY(!p->poll)) {
        *val = atomic_load_relaxed(&p->imr);
        return true;
    }
    return pic_slow(c, which, port, size, write, val);
}

static bool master_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    (void)v;
    return pic_port(dev, 0, port, size, write, val);
}

static bool slave_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    (void)v;
    return pic_port(dev, 1, port, size, write, val);
}

static bool elcr_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct irqchip *c = dev;
    unsigned which = port & 1;
    struct vpic *p = &c->pic[which];

    (void)v;
    if (size != 1)
        return false;
    if (!write) {
        *val = p->elcr;
        return true;
    }
    spin_lock(&c->lock);
    p->elcr = (u8)*val & elcr_mask[which];
    p->irr = (u8)((p->irr & ~p->elcr) | (p->line & p->elcr));
    pic_update(c);
    spin_unlock(&c->lock);
    return true;
}

void vpic_reset(struct irqchip *c)
{
    /* As PC firmware leaves them: everything but the cascade masked. */
    c->pic[0] = (struct vpic){.base = 0x08, .imr = (u8) ~(1U << PLAT_IRQ_CASCADE)};
    c->pic[1] = (struct vpic){.base = 0x70, .imr = 0xff};
    c->pic_out = 0;
}

void vpic_init(struct irqchip *c)
{
    vpic_reset(c);
    io_register_ports(c->vm, PLAT_PIC_MASTER, 2, master_port, c);
    io_register_ports(c->vm, PLAT_PIC_SLAVE, 2, slave_port, c);
    io_register_ports(c->vm, PLAT_PIC_ELCR, 2, elcr_port, c);
}
