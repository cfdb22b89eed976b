/*
 * The console multiplexer. Producers fill rings, the console CPU alone touches the UART.
 *
 * Waking: a producer that finds `scheduled` clear sets it and wakes the console CPU. From then on that CPU
 * looks again every PASS_NS until a pass moves nothing, so that even a guest that writes byte after byte
 * causes one wake-up per pass and no more.
 *
 * Locks: each ring has its own, taken after a vUART's and never held while a vUART is called.
 */
#include <arch/cpu.h>
#include <lib/fmt.h>
#include <lib/log.h>
#include <lib/spinlock.h>
#include <lib/string.h>
#include <core/console.h>
#include <core/cpu.h>
#include <core/timer.h>
#include <core/vm.h>
#include <core/vuart.h>
#include "core_impl.h"

#define HV_RING    16384u
#define VM_RING    4096u
#define INPUT_RING 256u

#define PASS_OUT   128u /* bytes sent per pass */
#define PASS_IN    64u  /* bytes received per pass */
#define QUANTUM    32u  /* bytes of one channel before the next has its turn */
#define PASS_NS    1000000u
#define STALL_NS   100000000u /* how long input waits for a guest that does not read, before it is dropped */
#define SPIN_LIMIT 1000000u   /* tries per byte of synchronous output */

#define LOG_MARK     0x02 /* in the hypervisor's ring: a log line begins */
#define ESCAPE       0x1d /* Ctrl-] */
#define FRAME_START  0x01
#define FRAME_MAX    120u
#define CHANNEL_BASE '0'
#define CHANNELS     (1u + CFG_VMS)
#define HV           0u

_Static_assert(CHANNEL_BASE + CHANNELS <= 0x7f, "a channel is one printable byte");
_Static_assert(QUANTUM <= FRAME_MAX, "one turn is one frame");

/* head and tail run freely; their difference is the fill. size is a power of two. */
struct ring {
    spinlock_t lock; /* protects all of it, including the flags */
    u8 *buf;
    u32 size;
    u32 head;
    u32 tail;
    u32 lost;     /* hypervisor channel: bytes dropped since the last note about it */
    bool blocked; /* VM channel: a putc was refused, the vUART waits to hear of room */
};

static u8 hv_buf[HV_RING];
static u8 vm_buf[CFG_VMS][VM_RING];
static struct ring rings[CHANNELS];

/* Input for a VM that its vUART had no room for. Console CPU only. */
static struct pending {
    u8 buf[INPUT_RING];
    u32 head, tail;
    u64 progress; /* TSC when the guest last took a byte, or the ring began to fill */
} inputs[CFG_VMS];

/* Console CPU only, except where noted. */
static struct {
    bool mux;
    bool started;        /* written once, under the hypervisor ring's lock */
    struct vm *attached; /* plain mode; read by any CPU */
    bool hv_first;       /* plain, attached: the hypervisor's text up to hv_until is still to be shown */
    u32 hv_until;
    u32 turn;      /* channel that is next */
    u32 scheduled; /* atomic, see above */
    struct timer timer;
    /* Bytes on their way to the wire; a frame is never interrupted. */
    u8 stage[3 + 2 * QUANTUM + 8];
    u32 stage_len, stage_pos;
    u32 column;  /* plain: bytes of the hypervisor's text since its last newline */
    bool redraw; /* plain: a log line has wiped the prompt away */
    /* Frame parser: bytes of payload still to come, their channel, what is expected next. */
    enum { IN_IDLE, IN_CHANNEL, IN_LENGTH, IN_PAYLOAD } in_state;
    u32 in_channel, in_left;
} con;

static inline u32 fill(const struct ring *r)
{
    return r->head - r->tail;
}

bool console_is_mux(void)
{
    return con.mux;
}

static struct vm *attached(void)
{
    return atomic_load(&con.attached);
}

bool console_shell_shown(void)
{
    return !attached();
}

/* ---- synchronous output: boot and panic ---- */

static void put_sync(u8 c)
{
    for (u32 i = 0; i < SPIN_LIMIT; i++) {
        if (arch_console_putc(c))
            return;
        cpu_relax();
    }
}

static void write_sync(const char *s, size_t len)
{
    while (len) {
        size_t n = len;

        if (n > FRAME_MAX)
            n = FRAME_MAX;
        if (con.mux) {
            put_sync(FRAME_START);
            put_sync(CHANNEL_BASE);
            put_sync((u8)(0x80 + n));
        }
        for (size_t i = 0; i < n; i++) {
            if (s[i] == '\n' && !con.mux)
                put_sync('\r');
            put_sync((u8)s[i]);
        }
        s += n;
        len -= n;
    }
}

/* ---- producers ---- */

static void wake(void)
{
    /* A locked operation even when the flag is set: the ring's new head must be visible before the flag is
     * looked at. */
    if (atomic_xchg(&con.scheduled, 1) == 0)
        cpu_request(cfg_board.console_cpu, CPU_REQ_CONSOLE);
}

static inline void ring_put(struct ring *r, u8 c)
{
    r->buf[r->head & (r->size - 1)] = c;
    r->head++;
}

/* Makes room for n bytes in the hypervisor's ring by dropping its oldest whole lines. Lock held. */
static void drop_oldest_lines(struct ring *r, u32 n)
{
    u8 c = 0;

    while (fill(r) && (r->size - fill(r) < n || c != '\n')) {
        c = r->buf[r->tail & (r->size - 1)];
        r->tail++;
        r->lost++;
    }
}

static void write_hv(const char *s, size_t len, bool mark)
{
    struct ring *r = &rings[HV];

    spin_lock(&r->lock);
    if (!con.started) {
        write_sync(s, len);
        spin_unlock(&r->lock);
        return;
    }
    if (len > HV_RING / 4)
        len = HV_RING / 4;
    if (HV_RING - fill(r) <= len)
        drop_oldest_lines(r, (u32)len + 1);
    if (mark && !con.mux)
        ring_put(r, LOG_MARK);
    for (size_t i = 0; i < len; i++)
        ring_put(r, (u8)s[i]);
    spin_unlock(&r->lock);
    wake();
}

void console_write(const char *s, size_t len)
{
    write_hv(s, len, false);
}

void console_write_log(const char *s, size_t len)
{
    write_hv(s, len, true);
}

bool console_vm_putc(struct vm *vm, u8 c)
{
    struct ring *r = &rings[1u + vm->id];
    bool ok = true;

    spin_lock(&r->lock);
    if (fill(r) == VM_RING) {
        if (con.mux || attached() == vm) {
            r->blocked = true;
            ok = false;
        } else {
            r->tail++;
        }
    }
    if (ok)
        ring_put(r, c);
    spin_unlock(&r->lock);
    /* Nobody looks at an unattached VM's ring, so nobody needs waking. */
    if (con.mux || attached() == vm)
        wake();
    return ok;
}

void console_panic_write(const char *s, size_t len)
{
    struct ring *r = &rings[HV];

    /* A frame cut short would swallow what follows; what the log still held explains the panic. No lock is
     * taken. */
    while (con.stage_pos < con.stage_len)
        put_sync(con.stage[con.stage_pos++]);
    for (u32 n = fill(r); con.started && n && n <= HV_RING; n--) {
        char c = (char)r->buf[r->tail++ & (HV_RING - 1)];

        if (c != LOG_MARK)
            write_sync(&c, 1);
    }
    write_sync(s, len);
}

/* ---- output, console CPU ---- */

/* Whether a channel's ring may go to the wire now. */
static bool visible(u32 channel)
{
    const struct vm *vm = attached();
    bool hv;

    if (con.mux)
        return true;
    if (con.hv_first && (s32)(con.hv_until - rings[HV].tail) <= 0)
        con.hv_first = false;
    hv = !vm || con.hv_first;
    if (channel == HV)
        return hv;
    return !hv && vm && channel == 1u + vm->id;
}

static void stage_text(const char *s)
{
    while (*s)
        con.stage[con.stage_len++] = (u8)*s++;
}

/* One byte of the hypervisor's text for a terminal. A log line that comes while a command is being typed
 * takes the prompt's place; the prompt is drawn again below it. */
static void stage_hv_byte(u8 c)
{
    if (c == LOG_MARK) {
        if (con.column) {
            stage_text("\r\033[K");
            con.column = 0;
            con.redraw = true;
        }
        return;
    }
    if (c == '\n')
        con.stage[con.stage_len++] = '\r';
    con.stage[con.stage_len++] = c;
    con.column = c == '\n' ? 0 : con.column + 1;
}

/* Notes how much of the hypervisor's text was lost, before the text that follows the gap. */
static void stage_lost_note(struct ring *r)
{
    char note[QUANTUM];

    bh_snprintf(note, sizeof(note), con.mux ? "[%u bytes lost]\n" : "[%u bytes lost]\r\n", r->lost);
    stage_text(note);
    r->lost = 0;
    con.column = 0;
}

/* Takes one turn's worth of a channel into the stage. Returns whether a blocked vUART may go on. */
static bool stage_from(u32 channel)
{
    struct ring *r = &rings[channel];
    u32 head = con.mux ? 3 : 0;
    bool unblocked = false;

    con.stage_pos = 0;
    con.stage_len = head;
    spin_lock(&r->lock);
    if (r->lost)
        stage_lost_note(r);
    else
        for (u32 n = 0; n < QUANTUM && fill(r) && visible(channel); n++) {
            u8 c = r->buf[r->tail++ & (r->size - 1)];

            if (channel == HV && !con.mux)
                stage_hv_byte(c);
            else
                con.stage[con.stage_len++] = c;
            if (con.stage_len >= head + 2 * QUANTUM)
                break;
        }
    /* Soon: Linux waits 10 ms for THRE and then writes regardless. */
    if (r->blocked && r->size - fill(r) >= QUANTUM) {
        r->blocked = false;
        unblocked = true;
    }
    spin_unlock(&r->lock);
    if (con.stage_len == head) {
        con.stage_len = 0;
    } else if (con.mux) {
        con.stage[0] = FRAME_START;
        con.stage[1] = (u8)(CHANNEL_BASE + channel);
        con.stage[2] = (u8)(0x80 + con.stage_len - head);
    }
    return unblocked;
}

/* Fills the empty stage from the next channel in turn that has something to show. False: none has. */
static bool refill(void)
{
    for (u32 i = 0; i < CHANNELS; i++) {
        u32 channel = con.turn;

        con.turn = (con.turn + 1) % CHANNELS;
        if (!fill(&rings[channel]) || !visible(channel))
            continue;
        if (stage_from(channel) && channel != HV)
            vuart_console_tx_ready(&vms[channel - 1]);
        if (con.stage_len)
            return true;
    }
    if (con.redraw && visible(HV) && console_shell_shown()) {
        con.redraw = false;
        shell_redraw();
        stage_from(HV);
        return con.stage_len != 0;
    }
    return false;
}

/* True when something was sent or still waits. */
static bool pass_out(void)
{
    u32 sent = 0;

    while (sent < PASS_OUT) {
        if (con.stage_pos == con.stage_len && !refill())
            break;
        if (!arch_console_putc(con.stage[con.stage_pos]))
            return true;
        con.stage_pos++;
        sent++;
    }
    return sent > 0;
}

/* ---- input, console CPU ---- */

static void pump_input(u32 vm_id)
{
    struct pending *p = &inputs[vm_id];
    struct vm *vm = &vms[vm_id];

    if (p->head == p->tail)
        return;
    if (atomic_load(&vm->state) != VM_STATE_STARTED) {
        p->tail = p->head; /* typed at a VM that is off */
        return;
    }
    while (p->head != p->tail && vuart_console_rx(vm, p->buf[p->tail % INPUT_RING])) {
        p->tail++;
        p->progress = arch_tsc();
    }
}

static void vm_input(u32 vm_id, u8 c)
{
    struct pending *p = &inputs[vm_id];

    if (p->head - p->tail == INPUT_RING)
        return; /* the guest does not read: dropped */
    if (p->head == p->tail)
        p->progress = arch_tsc();
    p->buf[p->head++ % INPUT_RING] = c;
}

static void mux_input(u8 c)
{
    switch (con.in_state) {
    case IN_CHANNEL:
        con.in_channel = (u32)c - CHANNEL_BASE;
        con.in_state = con.in_channel < CHANNELS ? IN_LENGTH : c == FRAME_START ? IN_CHANNEL : IN_IDLE;
        break;
    case IN_LENGTH:
        con.in_left = (u32)c - 0x80;
        con.in_state = con.in_left - 1 < FRAME_MAX ? IN_PAYLOAD : c == FRAME_START ? IN_CHANNEL : IN_IDLE;
        break;
    case IN_PAYLOAD:
        if (con.in_channel == HV)
            shell_input(c);
        else
            vm_input(con.in_channel - 1, c);
        if (--con.in_left == 0)
            con.in_state = IN_IDLE;
        break;
    default:
        if (c == FRAME_START)
            con.in_state = IN_CHANNEL;
        break;
    }
}

static void plain_input(u8 c)
{
    struct vm *vm = attached();

    if (!vm)
        shell_input(c);
    else if (c == ESCAPE)
        console_attach(NULL);
    else
        vm_input(vm->id, c);
}

/*
 * Plain mode: pasted text is left in the UART, whose sender then waits, while the guest is only slow. Once it
 * has not read for STALL_NS, input is read on and dropped, so that the escape key still gets through.
 */
static bool hold_input(void)
{
    struct vm *vm = attached();
    const struct pending *p;

    if (con.mux || !vm)
        return false;
    p = &inputs[vm->id];
    return p->head - p->tail == INPUT_RING && arch_tsc() - p->progress < ns_to_tsc(STALL_NS);
}

/* True when input waits for a guest or in the UART. */
static bool pass_in(void)
{
    bool waiting = false;
    u32 n;

    for (n = 0; n < PASS_IN && !hold_input(); n++) {
        int c = arch_console_getc();

        if (c < 0)
            break;
        if (con.mux)
            mux_input((u8)c);
        else
            plain_input((u8)c);
    }
    waiting = n == PASS_IN || hold_input();
    for (u32 i = 0; i < CFG_VMS; i++) {
        pump_input(i);
        waiting |= inputs[i].head != inputs[i].tail;
    }
    return waiting;
}

void console_service(void)
{
    bool busy;

    if (!con.started)
        return;
    atomic_store(&con.scheduled, 1);
    busy = pass_in();
    busy |= pass_out();
    if (!busy) {
        /* A producer that saw the flag still set filled its ring before this exchange: look once more. */
        atomic_xchg(&con.scheduled, 0);
        for (u32 i = 0; i < CHANNELS; i++)
            busy |= fill(&rings[i]) != 0 && visible(i);
    }
    if (busy) {
        atomic_store(&con.scheduled, 1);
        timer_set(&con.timer, arch_tsc() + ns_to_tsc(PASS_NS));
    }
}

static void timer_fired(struct timer *t)
{
    (void)t;
    console_service();
}

void console_write_wait(const char *s, size_t len)
{
    while (len) {
        u64 end = arch_tsc() + arch_tsc_hz();
        size_t n = MIN(len, 256u);

        /* Only the shell comes here, on the console CPU: sending is this CPU's own work. A dead UART costs
         * text, not more. */
        while (con.started && visible(HV) && HV_RING - fill(&rings[HV]) <= n) {
            if (!pass_out() || arch_tsc() > end)
                break;
            cpu_relax();
        }
        console_write(s, n);
        s += n;
        len -= n;
    }
}

void console_flush(void)
{
    u64 end = arch_tsc() + arch_tsc_hz();

    while (fill(&rings[HV]) || con.stage_pos < con.stage_len) {
        if (!visible(HV) || arch_tsc() > end)
            return;
        pass_out();
        cpu_relax();
    }
}

/* ---- set-up ---- */

void console_init(bool mux)
{
    memset(&con, 0, sizeof(con));
    memset(rings, 0, sizeof(rings));
    memset(inputs, 0, sizeof(inputs));
    con.mux = mux;
    for (u32 i = 0; i < CHANNELS; i++) {
        rings[i].buf = i == HV ? hv_buf : vm_buf[i - 1];
        rings[i].size = i == HV ? HV_RING : VM_RING;
    }
}

void console_start(void)
{
    struct ring *r = &rings[HV];

    timer_init(&con.timer, cfg_board.console_cpu, timer_fired);
    log_start();
    shell_init();
    spin_lock(&r->lock);
    con.started = true;
    spin_unlock(&r->lock);
    if (cfg_scenario.console_vm != CFG_NO_VM && !con.mux)
        console_attach(&vms[cfg_scenario.console_vm]);
    else
        shell_prompt();
    arch_console_irq_enable();
    cpu_request(cfg_board.console_cpu, CPU_REQ_CONSOLE);
}

void console_attach(struct vm *vm)
{
    struct vm *old = attached();

    if (con.mux) {
        shell_printf("every console has its own channel here: vm consoles are '1' and up\n");
        return;
    }
    if (vm)
        shell_printf("[console of vm %s; Ctrl-] returns to the hypervisor shell]\n", vm->cfg->name);
    con.hv_until = rings[HV].head;
    con.hv_first = true;
    atomic_store(&con.attached, vm);
    /* A vUART that waited for room on the wire need not wait any more: its ring now keeps the newest bytes.
     */
    if (old && old != vm) {
        spin_lock(&rings[1u + old->id].lock);
        rings[1u + old->id].blocked = false;
        spin_unlock(&rings[1u + old->id].lock);
        vuart_console_tx_ready(old);
    }
    if (!vm) {
        shell_printf("\n[hypervisor shell]\n");
        shell_prompt();
    }
}
