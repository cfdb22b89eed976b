/*
 * Virtual 16550A UARTs (National Semiconductor PC16550D data sheet, tables II and III).
 *
 * Time is not modelled: a byte written leaves at once as long as the console takes it, and a byte in the
 * receive FIFO below the trigger level counts as timed out.
 *
 * What is sent goes to the console, or through a null-modem cable to the vUART that it is joined to, or, with
 * neither (carrier absent), nowhere. The cable joins RTS to CTS, DTR to DSR and DCD. Nothing is lost on it
 * while the driver at its other end has DTR set: what does not fit there waits in the transmitter, whose THRE
 * stays clear. Without DTR nobody is at home: what does not fit is an overrun there, as on hardware, so that
 * a VM which never reads cannot hold up the other. An end whose VM is off is an unplugged cable.
 */
#include <arch/platform.h>
#include <lib/log.h>
#include <lib/spinlock.h>
#include <core/console.h>
#include <core/vm.h>
#include <core/vuart.h>

enum uart_reg { R_DATA, R_IER, R_IIR_FCR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };

#define IER_RDA  0x01
#define IER_THRE 0x02
#define IER_RLS  0x04
#define IER_MS   0x08

#define IIR_NONE    0x01
#define IIR_MS      0x00
#define IIR_THRE    0x02
#define IIR_RDA     0x04
#define IIR_RLS     0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO_ON 0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04

#define LCR_BREAK 0x40
#define LCR_DLAB  0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_BI   0x10
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_FIFO 0x80 /* an error waits behind other characters */

#define MSR_DCTS   0x01
#define MSR_DDSR   0x02
#define MSR_TERI   0x04
#define MSR_DDCD   0x08
#define MSR_DELTAS 0x0f
#define MSR_CTS    0x10
#define MSR_DSR    0x20
#define MSR_RI     0x40
#define MSR_DCD    0x80

#define FIFO 16

struct fifo {
    u8 byte[FIFO];
    u8 first;
    u8 count;
};

static struct vuart {
    spinlock_t lock; /* protects everything below except vm and cfg; both ends of a cable are under the lock
                        of the one that comes first */
    struct vm *vm;
    const struct cfg_vuart *cfg;
    struct fifo rx, tx; /* tx holds bytes only while the other side has no room */
    u16 breaks;         /* characters of rx.byte that stand for a break, by their place */
    u8 ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    u8 errors;       /* error bits of LSR */
    bool thre_latch; /* THRE interrupt pending: transmitter ran empty, or was empty when the interrupt was
                        enabled */
    bool line;       /* last level given to the interrupt line */
    bool on;         /* its VM is not off */
} vuarts[CFG_VUARTS];

static void fifo_push(struct fifo *f, u8 c)
{
    f->byte[(f->first + f->count) % FIFO] = c;
    f->count++;
}

static u8 fifo_pop(struct fifo *f)
{
    u8 c = f->byte[f->first];

    f->first = (u8)((f->first + 1) % FIFO);
    f->count--;
    return c;
}

/* The other end of its cable, or NULL. */
static inline struct vuart *peer_of(const struct vuart *u)
{
    return CFG_LINKS && u->cfg->peer != CFG_NO_VUART ? &vuarts[u->cfg->peer] : NULL;
}

static spinlock_t *lock_of(struct vuart *u)
{
    struct vuart *peer = peer_of(u);

    return peer && peer < u ? &peer->lock : &u->lock;
}

static inline unsigned depth(const struct vuart *u)
{
    return (u->fcr & FCR_ENABLE) ? FIFO : 1;
}

static unsigned rx_trigger(const struct vuart *u)
{
    static const u8 level[] = {1, 4, 8, 14};

    return (u->fcr & FCR_ENABLE) ? level[u->fcr >> 6] : 1;
}

/* The pending interrupt of the highest priority, as IIR shows it. */
static u8 pending(const struct vuart *u)
{
    if ((u->ier & IER_RLS) && u->errors)
        return IIR_RLS;
    if ((u->ier & IER_RDA) && u->rx.count)
        return u->rx.count >= rx_trigger(u) ? IIR_RDA : IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_latch)
        return IIR_THRE;
    if ((u->ier & IER_MS) && (u->msr & MSR_DELTAS))
        return IIR_MS;
    return IIR_NONE;
}

/* On a PC, OUT2 connects the interrupt output to the bus; in loopback all modem outputs are inactive. */
static void update_line(struct vuart *u)
{
    bool level = pending(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    if (level != u->line) {
        u->line = level;
        arch_vm_set_gsi(u->vm, u->cfg->gsi, level);
    }
}

/* Sets the modem inputs, recording what changed since MSR was read. */
static void set_modem(struct vuart *u, u8 inputs)
{
    u8 changed = (u8)((u->msr ^ inputs) & (MSR_CTS | MSR_DSR | MSR_DCD));
    u8 deltas = (u8)((changed & MSR_CTS ? MSR_DCTS : 0) | (changed & MSR_DSR ? MSR_DDSR : 0) |
                     (changed & MSR_DCD ? MSR_DDCD : 0));

    if ((u->msr & MSR_RI) && !(inputs & MSR_RI))
        deltas |= MSR_TERI;
    u->msr = (u8)((u->msr & MSR_DELTAS) | deltas | inputs);
}

/* True when what is sent to this end of a cable arrives: it is on, and its receiver is connected. */
static bool hears(const struct vuart *u)
{
    return u->on && !(u->mcr & MCR_LOOP);
}

static u8 inputs_from(const struct vuart *peer)
{
    if (!hears(peer))
        return 0; /* in loopback all modem outputs are inactive */
    return (u8)((peer->mcr & MCR_RTS ? MSR_CTS : 0) | (peer->mcr & MCR_DTR ? MSR_DSR | MSR_DCD : 0));
}

static void update_modem(struct vuart *u)
{
    if (u->mcr & MCR_LOOP)
        set_modem(u, (u8)((u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0)));
    else if (peer_of(u))
        set_modem(u, inputs_from(peer_of(u)));
    else
        set_modem(u, u->cfg->console ? MSR_CTS | MSR_DSR | MSR_DCD : 0);
}

static void receive(struct vuart *u, u8 c)
{
    if (u->rx.count >= depth(u))
        u->errors |= LSR_OE;
    else
        fifo_push(&u->rx, c);
}

/* A break belongs to its character: LSR shows it when that is the next to be read. */
static void show_break(struct vuart *u)
{
    if (CFG_LINKS && u->rx.count && (u->breaks & 1u << u->rx.first)) {
        u->breaks &= (u16) ~(1u << u->rx.first);
        u->errors |= LSR_BI;
    }
}

/* The other end's line goes to spacing: one zero character that is marked. */
static void receive_break(struct vuart *u)
{
    if (u->rx.count >= depth(u))
        u->errors |= LSR_BI;
    else
        u->breaks |= (u16)(1u << (u->rx.first + u->rx.count) % FIFO);
    receive(u, 0);
    show_break(u);
}

/* One byte leaves. False: the other side has no room, but will have. */
static bool send(struct vuart *u, u8 c)
{
    struct vuart *peer = peer_of(u);

    if (u->cfg->console)
        return console_vm_putc(u->vm, c);
    if (!peer || !hears(peer) || (u->lcr & LCR_BREAK))
        return true;
    if (peer->rx.count >= depth(peer) && (peer->mcr & MCR_DTR))
        return false;
    receive(peer, c);
    return true;
}

/* Moves what waits in the transmit FIFO on; THRE latches when that empties it. */
static void drain_tx(struct vuart *u)
{
    while (u->tx.count) {
        if (!send(u, u->tx.byte[u->tx.first]))
            return;
        fifo_pop(&u->tx);
    }
    u->thre_latch = true;
}

static void transmit(struct vuart *u, u8 c)
{
    u->thre_latch = false;
    if (u->mcr & MCR_LOOP) {
        receive(u, c);
        u->thre_latch = true;
        return;
    }
    /* A guest that writes without looking at THRE overruns the transmitter, as on hardware. */
    if (u->tx.count < depth(u))
        fifo_push(&u->tx, c);
    drain_tx(u);
}

static void write_fcr(struct vuart *u, u8 val)
{
    /* Switching FIFO mode on or off empties both. */
    if ((u->fcr ^ val) & FCR_ENABLE)
        val |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    if (val & FCR_CLEAR_RX) {
        u->rx.count = 0;
        u->breaks = 0;
    }
    if ((val & FCR_CLEAR_TX) && u->tx.count) {
        u->tx.count = 0;
        u->thre_latch = true;
    }
    u->fcr = (val & FCR_ENABLE) ? val & (FCR_ENABLE | 0xc0) : 0;
}

static void write_lcr(struct vuart *u, u8 val)
{
    u8 set = val & (u8)~u->lcr;

    u->lcr = val;
    if ((set & LCR_BREAK) && peer_of(u) && !(u->mcr & MCR_LOOP) && hears(peer_of(u)))
        receive_break(peer_of(u));
}

static void write_ier(struct vuart *u, u8 val)
{
    u8 old = u->ier;

    u->ier = val & 0x0f;
    /* Enabling the interrupt while the transmitter is empty raises it: drivers start sending that way. */
    if ((u->ier & ~old & IER_THRE) && u->tx.count == 0)
        u->thre_latch = true;
}

static void write_reg(struct vuart *u, unsigned reg, u8 val)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case R_DATA:
        if (dlab)
            u->dll = val;
        else
            transmit(u, val);
        break;
    case R_IER:
        if (dlab)
            u->dlm = val;
        else
            write_ier(u, val);
        break;
    case R_IIR_FCR:
        write_fcr(u, val);
        break;
    case R_LCR:
        write_lcr(u, val);
        break;
    case R_MCR:
        u->mcr = val & MCR_MASK;
        update_modem(u);
        break;
    case R_SCR:
        u->scr = val;
        break;
    default: /* LSR and MSR are for reading */
        break;
    }
}

static u8 read_lsr(struct vuart *u)
{
    u8 val = u->errors;

    if (u->rx.count)
        val |= LSR_DR;
    if (u->tx.count == 0)
        val |= LSR_THRE | LSR_TEMT;
    if (CFG_LINKS && (u->fcr & FCR_ENABLE) && ((u->errors & LSR_BI) || u->breaks))
        val |= LSR_FIFO;
    u->errors = 0;
    return val;
}

static u8 read_iir(struct vuart *u)
{
    u8 val = pending(u);

    /* Reading IIR as the THRE interrupt acknowledges that. */
    if (val == IIR_THRE)
        u->thre_latch = false;
    return (u->fcr & FCR_ENABLE) ? val | IIR_FIFO_ON : val;
}

static u8 read_data(struct vuart *u)
{
    u8 val;

    if (!u->rx.count)
        return 0;
    val = fifo_pop(&u->rx);
    show_break(u);
    return val;
}

static u8 read_reg(struct vuart *u, unsigned reg)
{
    bool dlab = u->lcr & LCR_DLAB;
    u8 val;

    switch (reg) {
    case R_DATA:
        return dlab ? u->dll : read_data(u);
    case R_IER:
        return dlab ? u->dlm : u->ier;
    case R_IIR_FCR:
        return read_iir(u);
    case R_LCR:
        return u->lcr;
    case R_MCR:
        return u->mcr;
    case R_LSR:
        return read_lsr(u);
    case R_MSR:
        val = u->msr;
        u->msr &= (u8)~MSR_DELTAS;
        return val;
    default:
        return u->scr;
    }
}

/* After a change: what it means at the other end of the cable, then the interrupt lines. */
static void settle(struct vuart *u)
{
    struct vuart *peer = peer_of(u);

    if (peer && peer->on) {
        if (peer->tx.count)
            drain_tx(peer);
        update_modem(peer);
        update_line(peer);
    }
    update_line(u);
}

static bool vuart_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct vuart *u = dev;
    unsigned reg = (port - u->cfg->port) & 7u;

    (void)v;
    if (size != 1)
        return false; /* an 8-bit device */
    spin_lock(lock_of(u));
    if (write)
        write_reg(u, reg, (u8)*val);
    else
        *val = read_reg(u, reg);
    settle(u);
    spin_unlock(lock_of(u));
    return true;
}

void vuart_init(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->vuart_count; i++) {
        struct vuart *u = &vuarts[vm->cfg->first_vuart + i];

        u->vm = vm;
        u->cfg = &vm->cfg->vuarts[i];
        io_register_ports(vm, u->cfg->port, 8, vuart_port, u);
    }
}

static void clear(struct vuart *u)
{
    u->rx.count = u->tx.count = 0;
    u->breaks = 0;
    u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->dll = u->dlm = u->errors = 0;
    u->line = false;
}

void vuart_reset(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->vuart_count; i++) {
        struct vuart *u = &vuarts[vm->cfg->first_vuart + i];

        spin_lock(lock_of(u));
        clear(u);
        u->thre_latch = u->on = true;
        update_modem(u);
        u->msr &= (u8)~MSR_DELTAS;
        /* The virtual interrupt controllers were reset too, so their idea of the line is low whatever this
         * one's is. */
        arch_vm_set_gsi(vm, u->cfg->gsi, false);
        spin_unlock(lock_of(u));
    }
}

void vuart_off(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->vuart_count; i++) {
        struct vuart *u = &vuarts[vm->cfg->first_vuart + i];

        if (!peer_of(u))
            continue;
        spin_lock(lock_of(u));
        clear(u);
        u->on = false;
        settle(u);
        spin_unlock(lock_of(u));
    }
}

bool vuart_has_gsi(const struct vm *vm, u32 gsi)
{
    for (u32 i = 0; i < vm->cfg->vuart_count; i++)
        if (vm->cfg->vuarts[i].gsi == gsi)
            return true;
    return false;
}

/* The console vUART of the VM, or NULL. */
static struct vuart *console_of(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->vuart_count; i++)
        if (vm->cfg->vuarts[i].console)
            return &vuarts[vm->cfg->first_vuart + i];
    return NULL;
}

/* In loopback the receiver hears the transmitter only; what comes from outside waits. */
static bool rx_room(const struct vuart *u)
{
    return !(u->mcr & MCR_LOOP) && u->rx.count < depth(u);
}

bool vuart_console_rx(struct vm *vm, u8 c)
{
    struct vuart *u = console_of(vm);
    bool room;

    if (!u)
        return false;
    spin_lock(&u->lock);
    room = rx_room(u);
    if (room) {
        fifo_push(&u->rx, c);
        update_line(u);
    }
    spin_unlock(&u->lock);
    return room;
}

bool vuart_console_rx_room(struct vm *vm)
{
    struct vuart *u = console_of(vm);
    bool room;

    if (!u)
        return false;
    spin_lock(&u->lock);
    room = rx_room(u);
    spin_unlock(&u->lock);
    return room;
}

void vuart_console_tx_ready(struct vm *vm)
{
    struct vuart *u = console_of(vm);

    if (!u)
        return;
    spin_lock(&u->lock);
    if (u->tx.count) {
        drain_tx(u);
        update_line(u);
    }
    spin_unlock(&u->lock);
}
