/* Log and panic. One call is one line; the console keeps lines whole. */
#include <stdarg.h>
#include <arch/cpu.h>
#include <config/config.h>
#include <lib/atomic.h>
#include <lib/fmt.h>
#include <lib/log.h>
#include <lib/spinlock.h>
#include <lib/string.h>
#include <core/console.h>
#include <core/cpu.h>
#include <core/sbuf.h>
#include <core/timer.h>
#include "core_impl.h"

#define LINE_MAX    240
#define GUEST_LINES 10 /* lines per second that one VM may cause */

u32 loglevel = LOG_INFO;
static u64 boot_tsc;

static const char *const level_names[] = {"", "FATAL", "ERROR", "WARN", "INFO", "DEBUG"};

/*
 * What each VM may still log. `start` opens a window of one second; all three are atomic, since any CPU of
 * the VM logs. The counters may be off by a line when two CPUs meet at the end of a window, which does no
 * harm.
 */
static struct budget {
    u64 start;
    u32 lines;
    u32 dropped;
} budgets[CFG_VMS];

void log_init(void)
{
    boot_tsc = arch_tsc();
    memset(budgets, 0, sizeof(budgets));
    loglevel = cfg_scenario.loglevel;
}

/* "[seconds.micros] cpuN LEVEL: ". Before the TSC rate is known the time reads 0. */
static int prefix(char *buf, size_t size, u32 level)
{
    u64 hz = arch_tsc_hz();
    u64 us = hz ? mul_div_u64(arch_tsc() - boot_tsc, 1000000, hz) : 0;

    return bh_snprintf(buf, size, "[%5llu.%06llu] cpu%u %s: ", (unsigned long long)(us / 1000000),
                       (unsigned long long)(us % 1000000), this_cpu()->id, level_names[level]);
}

static void PRINTF(2, 0) log_line(u32 level, const char *fmt, va_list ap)
{
    char line[LINE_MAX + 2];
    size_t n = (size_t)prefix(line, sizeof(line), level);

    n += (size_t)bh_vsnprintf(line + n, LINE_MAX + 1 - n, fmt, ap);
    n = MIN(n, (size_t)LINE_MAX);
    if (CFG_SERVICE)
        sbuf_log(line, n);
    line[n++] = '\n';
    console_write_log(line, n);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    if (level > loglevel || level < LOG_FATAL || level > LOG_DEBUG)
        return;
    va_start(ap, fmt);
    log_line(level, fmt, ap);
    va_end(ap);
}

static struct timer report_timer;

/* Opens a new window when the old one is over, and reports what the old one dropped. */
static void budget_roll(u16 vm_id, u64 now)
{
    struct budget *b = &budgets[vm_id];
    u64 start = atomic_load_relaxed(&b->start);
    u32 dropped;

    /* Signed: another CPU's TSC may be a little behind. */
    if (start != 0 && (s64)(now - start) < (s64)arch_tsc_hz())
        return;
    if (!atomic_cas(&b->start, start, now | 1))
        return;
    atomic_store(&b->lines, 0);
    dropped = atomic_xchg(&b->dropped, 0);
    if (dropped)
        log_printf(LOG_WARN, "vm %s: %u more lines not shown", cfg_vms[vm_id].name, dropped);
}

static void report(struct timer *t)
{
    u64 now = arch_tsc();
    bool again = false;

    for (u16 i = 0; i < CFG_VMS; i++) {
        if (atomic_load_relaxed(&budgets[i].dropped) == 0)
            continue;
        budget_roll(i, now);
        again |= atomic_load_relaxed(&budgets[i].dropped) != 0;
    }
    if (again)
        timer_set(t, now + arch_tsc_hz() / 4);
}

void log_start(void)
{
    timer_init(&report_timer, cfg_board.console_cpu, report);
}

void log_guest(u16 vm_id, enum log_level level, const char *fmt, ...)
{
    u64 now = arch_tsc();
    char text[LINE_MAX];
    va_list ap;

    if (level > loglevel)
        return;
    budget_roll(vm_id, now);
    if (atomic_add(&budgets[vm_id].lines, 1) >= GUEST_LINES) {
        /* One report per window is enough, so only its first dropped line wakes the console CPU. */
        if (atomic_add(&budgets[vm_id].dropped, 1) == 0 && report_timer.fn)
            timer_set(&report_timer, now + arch_tsc_hz());
        return;
    }
    va_start(ap, fmt);
    bh_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_printf(level, "vm %s: %s", cfg_vms[vm_id].name, text);
}

NORETURN COLD void panic(const char *fmt, ...)
{
    static u32 entered;
    char line[LINE_MAX + 2];
    va_list ap;
    size_t n;

    /* The first CPU speaks. One that panics later, or inside its own panic, just stops. */
    if (atomic_xchg(&entered, 1))
        arch_halt_forever();
    n = (size_t)prefix(line, sizeof(line), LOG_FATAL);
    n += (size_t)bh_snprintf(line + n, LINE_MAX + 1 - n, "panic: ");
    va_start(ap, fmt);
    n += (size_t)bh_vsnprintf(line + n, LINE_MAX + 1 - n, fmt, ap);
    va_end(ap);
    n = MIN(n, (size_t)LINE_MAX);
    line[n++] = '\n';
    console_panic_write(line, n);
    arch_stop_others();
    arch_halt_forever();
}

/* Line maker for dumps. lock protects the other three. */
static struct {
    spinlock_t lock;
    u32 level;
    u32 len;
    char text[LINE_MAX];
} lines;

static void lines_flush(void)
{
    if (lines.level)
        log_printf((enum log_level)lines.level, "%.*s", (int)lines.len, lines.text);
    else {
        lines.text[lines.len++] = '\n';
        console_write_log(lines.text, lines.len);
    }
    lines.len = 0;
}

void lines_begin(u32 level)
{
    spin_lock(&lines.lock);
    lines.level = level;
    lines.len = 0;
}

void lines_print(const char *fmt, ...)
{
    char text[LINE_MAX];
    va_list ap;

    va_start(ap, fmt);
    bh_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (const char *s = text; *s; s++) {
        if (*s == '\n' || lines.len == LINE_MAX - 1)
            lines_flush();
        if (*s != '\n')
            lines.text[lines.len++] = *s;
    }
}

void lines_end(void)
{
    if (lines.len)
        lines_flush();
    spin_unlock(&lines.lock);
}
