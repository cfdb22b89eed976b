/*
 * 8254 programmable interval timer: channel 0 is ISA IRQ 0, channel 1 the refresh timer of old, channel 2 the
 * speaker with its gate and output in port 0x61 (Intel 8254 datasheet). Nothing ticks: counts and outputs are
 * computed from the TSC when they are read, and one host timer stands for channel 0's next rising output. A
 * new count takes effect at once, not at the end of the period.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/timer.h>
#include <core/vm.h>
#include <lib/bits.h>
#include "x86/vdev/pit.h"
#include "x86/vdev/platform_map.h"

#define PIT_HZ 1193182ULL
/* Refresh requests toggle port 0x61 bit 4 every 18 PIT ticks (15.1 us). */
#define REFRESH_TICKS 18

/* Channel 0 interrupts come at most this often, whatever the guest programs. */
#define MAX_IRQ_HZ 100000U

enum pit_access { RW_LATCH = 0, RW_LOW = 1, RW_HIGH = 2, RW_BOTH = 3 };

struct pit_channel {
    u64 start;  /* TSC when the present count was loaded or triggered */
    u64 frozen; /* ticks counted when the gate went low */
    u32 count;  /* 1..65536 (10000 in BCD) */
    u8 mode;    /* 0..5 */
    u8 rw;      /* enum pit_access */
    bool bcd;
    bool gate;
    bool loaded;                /* a count was written since the control word */
    bool running;               /* counting began (modes 1 and 5 wait for the gate) */
    bool write_high, read_high; /* RW_BOTH: the high byte is next */
    u8 low_byte;
    u8 latched; /* bytes of the latched count still to be read */
    u16 latch;
    bool status_latched;
    u8 status;
};

struct pit {
    spinlock_t lock; /* protects the channels and port_b */
    struct pit_channel ch[3];
    u8 port_b;
    struct vm *vm;
    struct timer timer;
};

static struct pit pits[CFG_VMS];

static u64 ticks_since(u64 start, u64 now)
{
    return mul_div_u64(now - start, PIT_HZ, arch_tsc_hz());
}

/* Rounded up, so that ticks_since() at that time has reached the tick. */
static u64 ticks_to_tsc(u64 ticks)
{
    return mul_div_u64(ticks, arch_tsc_hz(), PIT_HZ) + 1;
}

static bool periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static u64 elapsed(const struct pit_channel *c)
{
    if (!c->running)
        return 0;
    return c->gate || c->mode == 1 || c->mode == 5 ? ticks_since(c->start, arch_tsc()) : c->frozen;
}

static bool output(const struct pit_channel *c)
{
    u64 t = elapsed(c);

    if (!c->running)
        return c->mode != 0;
    switch (c->mode) {
    case 0:
    case 1:
        return t >= c->count;
    case 2:
        return !c->gate || t % c->count != c->count - 1;
    case 3:
        return !c->gate || t % c->count < (c->count + 1) / 2;
    default:
        return t != c->count;
    }
}

/* The counting element as the guest reads it. */
static u16 counter(const struct pit_channel *c)
{
    u32 modulus = c->bcd ? 10000 : 65536, v;
    u64 t = elapsed(c);

    if (c->mode == 3)
        v = c->count - (u32)(2 * t % c->count);
    else if (c->mode == 2)
        v = c->count - (u32)(t % c->count);
    else
        v = (c->count + modulus - (u32)(t % modulus)) % modulus;
    v %= modulus;
    if (c->bcd)
        v = v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 << 12;
    return (u16)v;
}

/* Sets the host timer to channel 0's next rising output. */
static void arm(struct pit *p)
{
    const struct pit_channel *c = &p->ch[0];
    u64 now = arch_tsc(), due, floor = now + arch_tsc_hz() / MAX_IRQ_HZ;

    if (!c->running || c->mode == 1 || c->mode == 5) {
        timer_cancel(&p->timer);
        return;
    }
    due = c->count;
    if (periodic(c))
        due *= ticks_since(c->start, now) / c->count + 1;
    due = c->start + ticks_to_tsc(due);
    timer_set(&p->timer, periodic(c) ? MAX(due, floor) : due);
}

static void fired(struct timer *t)
{
    struct pit *p = CONTAINER_OF(t, struct pit, timer);

    if (p->vm->state == VM_STATE_OFF)
        return; /* nobody listens; arch_vm_reset() starts from scratch */
    spin_lock(&p->lock);
    if (periodic(&p->ch[0]))
        arm(p);
    spin_unlock(&p->lock);
    arch_vm_set_gsi(p->vm, PLAT_IRQ_PIT, true);
    arch_vm_set_gsi(p->vm, PLAT_IRQ_PIT, false);
}

static void load(struct pit *p, unsigned n, u32 val)
{
    struct pit_channel *c = &p->ch[n];

    if (c->bcd)
        val = (val & 0xf) + (val >> 4 & 0xf) * 10 + (val >> 8 & 0xf) * 100 + (val >> 12 & 0xf) * 1000;
    c->count = val ? val : c->bcd ? 10000 : 65536;
    c->loaded = true;
    if (c->mode != 1 && c->mode != 5) {
        c->start = arch_tsc();
        c->frozen = 0;
        c->running = true;
    }
    if (n == 0)
        arm(p);
}

static void latch_count(struct pit_channel *c)
{
    if (c->latched)
        return; /* a latched count stays until it is read */
    c->latch = counter(c);
    c->latched = c->rw == RW_BOTH ? 2 : 1;
}

static void latch_status(struct pit_channel *c)
{
    if (c->status_latched)
        return;
    c->status =
        (u8)((output(c) ? 0x80 : 0) | (c->loaded ? 0 : 0x40) | c->rw << 4 | c->mode << 1 | (c->bcd ? 1 : 0));
    c->status_latched = true;
}

static void control_write(struct pit *p, u8 val)
{
    unsigned n = val >> 6, mode = (val >> 1) & 7;
    struct pit_channel *c;

    if (n == 3) { /* read-back command */
        for (n = 0; n < 3; n++) {
            if (!(val & (2U << n)))
                continue;
            if (!(val & 0x20))
                latch_count(&p->ch[n]);
            if (!(val & 0x10))
                latch_status(&p->ch[n]);
        }
        return;
    }
    c = &p->ch[n];
    if (((val >> 4) & 3) == RW_LATCH) {
        latch_count(c);
        return;
    }
    *c = (struct pit_channel){.mode = (u8)(mode > 5 ? mode & 3 : mode),
                              .rw = (val >> 4) & 3,
                              .bcd = val & 1,
                              .gate = c->gate,
                              .count = c->count};
    if (n == 0)
        arm(p);
}

static void data_write(struct pit *p, unsigned n, u8 val)
{
    struct pit_channel *c = &p->ch[n];

    switch (c->rw) {
    case RW_LOW:
        load(p, n, val);
        break;
    case RW_HIGH:
        load(p, n, (u32)val << 8);
        break;
    default:
        if (!c->write_high)
            c->low_byte = val;
        else
            load(p, n, (u32)val << 8 | c->low_byte);
        c->write_high = !c->write_high;
    }
}

static u8 data_read(struct pit_channel *c)
{
    u16 v;
    bool high;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    v = c->latched ? c->latch : counter(c);
    high = c->rw == RW_HIGH || (c->rw == RW_BOTH && c->read_high);
    if (c->rw == RW_BOTH)
        c->read_high = !c->read_high;
    if (c->latched)
        c->latched--;
    return (u8)(high ? v >> 8 : v);
}

static bool pit_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct pit *p = dev;
    unsigned n = port & 3;
    bool ok = true;

    (void)v;
    if (size != 1)
        return false;
    spin_lock(&p->lock);
    if (!write && n == 3)
        ok = false; /* the control word cannot be read */
    else if (!write)
        *val = data_read(&p->ch[n]);
    else if (n == 3)
        control_write(p, (u8)*val);
    else
        data_write(p, n, (u8)*val);
    spin_unlock(&p->lock);
    return ok;
}

/* The gate input of channel 2 changes. */
static void set_gate(struct pit_channel *c, bool on)
{
    if (on == c->gate)
        return;
    if (!on) {
        c->frozen = elapsed(c);
        c->gate = false;
        return;
    }
    c->gate = true;
    if (!c->loaded)
        return;
    if (c->mode == 0 || c->mode == 4)
        c->start = arch_tsc() - (c->frozen ? ticks_to_tsc(c->frozen) : 0); /* goes on where it stopped */
    else
        c->start = arch_tsc(); /* a rising gate (re)starts the count */
    c->running = true;
}

static bool port_b(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct pit *p = dev;
    (void)v;
    (void)port;
    if (size != 1)
        return false;
    spin_lock(&p->lock);
    if (write) {
        p->port_b = *val & 0xf;
        set_gate(&p->ch[2], *val & 1);
    } else {
        u64 refresh = ticks_since(0, arch_tsc()) / REFRESH_TICKS;

        *val = (u32)(p->port_b | (refresh & 1) << 4 | (output(&p->ch[2]) ? 0x20 : 0));
    }
    spin_unlock(&p->lock);
    return true;
}

void pit_reset(struct vm *vm)
{
    struct pit *p = &pits[vm->id];
    unsigned n;

    timer_cancel(&p->timer);
    p->port_b = 0;
    for (n = 0; n < 3; n++)
        p->ch[n] = (struct pit_channel){.mode = 3, .rw = RW_BOTH, .gate = n != 2, .count = 65536};
}

void pit_init(struct vm *vm)
{
    struct pit *p = &pits[vm->id];

    p->vm = vm;
    timer_init(&p->timer, vm->vcpus[0].pcpu, fired);
    pit_reset(vm);
    io_register_ports(vm, PLAT_PIT_BASE, 4, pit_port, p);
    io_register_ports(vm, PLAT_PORT_B, 1, port_b, p);
}
