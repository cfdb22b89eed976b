/*
 * MC146818 real-time clock with 128 bytes of CMOS memory. The time is the boot-time wall clock plus what the
 * TSC has counted since, plus the guest's own correction; a host timer runs only while an interrupt is
 * enabled.
 *
 * Simplification: the alarm flag is found by comparison at the start of each second while the alarm or update
 * interrupt is enabled, and otherwise when register C is read.
 */
#include <abi/hypercall.h>
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/timer.h>
#include <core/user_vm.h>
#include <core/vm.h>
#include <lib/bits.h>
#include "x86/vdev/civil.h"
#include "x86/vdev/platform_map.h"
#include "x86/vdev/rtc.h"

enum rtc_reg {
    R_SEC = 0x00,
    R_SEC_ALARM = 0x01,
    R_MIN = 0x02,
    R_MIN_ALARM = 0x03,
    R_HOUR = 0x04,
    R_HOUR_ALARM = 0x05,
    R_WDAY = 0x06,
    R_MDAY = 0x07,
    R_MONTH = 0x08,
    R_YEAR = 0x09,
    R_A = 0x0a,
    R_B = 0x0b,
    R_C = 0x0c,
    R_D = 0x0d,
    R_CENTURY = PLAT_CMOS_CENTURY,
    R_COUNT = 128,
};

#define A_UIP    0x80
#define A_RATE   0x0f
#define A_RESET  0x26 /* 32768 Hz base, 1024 Hz periodic rate */
#define B_SET    0x80
#define B_PIE    0x40
#define B_AIE    0x20
#define B_UIE    0x10
#define B_BINARY 0x04
#define B_24H    0x02
#define C_IRQF   0x80
#define D_VALID  0x80

#define HOUR_PM      0x80
#define ALARM_ANY    0xc0          /* alarm bytes from here up match every value */
#define DEFAULT_BASE 1767225600ULL /* 2026-01-01 00:00:00 UTC */

struct rtc {
    spinlock_t lock; /* protects everything below but index */
    struct vm *vm;
    struct timer timer;
    u64 correction;  /* guest's time - ours, seconds modulo 2^64 */
    u64 last_second; /* last second whose update and alarm were looked at */
    u64 last_period; /* last periodic tick that was looked at */
    u8 index;
    bool line;
    u8 reg[R_COUNT]; /* time registers are current only while B_SET holds them */
};

static struct rtc rtcs[CFG_VMS];
static u64 base_seconds = DEFAULT_BASE;
static u64 base_tsc;

void rtc_set_base(u64 unix_seconds)
{
    base_seconds = unix_seconds;
    base_tsc = arch_tsc();
}

static u64 second_of(const struct rtc *r, u64 tsc)
{
    return base_seconds + r->correction + (tsc - base_tsc) / arch_tsc_hz();
}

static u8 to_reg(const struct rtc *r, u32 v)
{
    return (u8)(r->reg[R_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static u32 from_reg(const struct rtc *r, u8 v)
{
    return r->reg[R_B] & B_BINARY ? v : (v >> 4) * 10U + (v & 0xf);
}

static u8 hour_to_reg(const struct rtc *r, u32 hour)
{
    u32 h12 = hour % 12 ? hour % 12 : 12;

    if (r->reg[R_B] & B_24H)
        return to_reg(r, hour);
    return (u8)(to_reg(r, h12) | (hour >= 12 ? HOUR_PM : 0));
}

static u32 hour_from_reg(const struct rtc *r, u8 v)
{
    if (r->reg[R_B] & B_24H)
        return from_reg(r, v);
    return from_reg(r, v & 0x7f) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* Writes the time into the registers. */
static void fill_time(struct rtc *r, u64 seconds)
{
    struct civil c;

    civil_from_unix(seconds, &c);
    r->reg[R_SEC] = to_reg(r, c.sec);
    r->reg[R_MIN] = to_reg(r, c.min);
    r->reg[R_HOUR] = hour_to_reg(r, c.hour);
    r->reg[R_WDAY] = to_reg(r, c.wday + 1);
    r->reg[R_MDAY] = to_reg(r, c.day);
    r->reg[R_MONTH] = to_reg(r, c.month);
    r->reg[R_YEAR] = to_reg(r, c.year % 100);
    r->reg[R_CENTURY] = (u8)(c.year / 1000 % 10 << 4 | c.year / 100 % 10); /* always BCD */
}

/* Takes the time from the registers. Values that are no date are brought into range, as a guest may write
 * anything. */
static void take_time(struct rtc *r)
{
    u8 cent = r->reg[R_CENTURY];
    struct civil c = {.sec = from_reg(r, r->reg[R_SEC]) % 60,
                      .min = from_reg(r, r->reg[R_MIN]) % 60,
                      .hour = hour_from_reg(r, r->reg[R_HOUR]) % 24,
                      .day = from_reg(r, r->reg[R_MDAY]),
                      .month = from_reg(r, r->reg[R_MONTH]),
                      .year = ((cent >> 4) * 10U + (cent & 0xf)) * 100 + from_reg(r, r->reg[R_YEAR]) % 100};

    c.day = c.day < 1 ? 1 : MIN(c.day, 31);
    c.month = c.month < 1 ? 1 : MIN(c.month, 12);
    c.year = MAX(c.year, 1970);
    r->correction += civil_to_unix(&c) - second_of(r, arch_tsc());
    r->last_second = second_of(r, arch_tsc());
}

/* ---- interrupts ---- */

/* log2 of the periodic rate's period in 1/32768 s; 0 with rate 0: none. */
static unsigned period_shift(const struct rtc *r)
{
    unsigned rate = r->reg[R_A] & A_RATE;

    return rate == 0 ? 0 : rate <= 2 ? rate + 6 : rate - 1;
}

static u64 period_number(const struct rtc *r, u64 tsc)
{
    return mul_div_u64(tsc - base_tsc, 32768, arch_tsc_hz()) >> period_shift(r);
}

static bool alarm_byte(const struct rtc *r, enum rtc_reg alarm, u8 now)
{
    return r->reg[alarm] >= ALARM_ANY || r->reg[alarm] == now;
}

static bool alarm_match(const struct rtc *r, u64 second)
{
    struct civil c;

    civil_from_unix(second, &c);
    return alarm_byte(r, R_SEC_ALARM, to_reg(r, c.sec)) && alarm_byte(r, R_MIN_ALARM, to_reg(r, c.min)) &&
           alarm_byte(r, R_HOUR_ALARM, hour_to_reg(r, c.hour));
}

/* Brings the flags of register C up to date. */
static void update_flags(struct rtc *r)
{
    u64 now = arch_tsc(), second = second_of(r, now);

    if (period_shift(r)) {
        u64 period = period_number(r, now);

        if (period != r->last_period)
            r->reg[R_C] |= B_PIE;
        r->last_period = period;
    }
    if (!(r->reg[R_B] & B_SET) && second != r->last_second) {
        r->reg[R_C] |= B_UIE;
        if (alarm_match(r, second))
            r->reg[R_C] |= B_AIE;
        r->last_second = second;
    }
    if (r->reg[R_C] & r->reg[R_B] & (B_PIE | B_AIE | B_UIE))
        r->reg[R_C] |= C_IRQF;
}

/* Sets the host timer to the next thing that could interrupt. */
static void arm(struct rtc *r)
{
    u64 now = arch_tsc(), hz = arch_tsc_hz(), due = TIMER_OFF;
    u8 b = r->reg[R_B];

    if ((b & (B_UIE | B_AIE)) && !(b & B_SET))
        due = now + hz - (now - base_tsc) % hz;
    if ((b & B_PIE) && period_shift(r)) {
        u64 next = base_tsc + mul_div_u64((period_number(r, now) + 1) << period_shift(r), hz, 32768) + 1;

        due = MIN(due, next);
    }
    if (due == TIMER_OFF)
        timer_cancel(&r->timer);
    else
        timer_set(&r->timer, due);
}

/* The interrupt line follows IRQF. Called with the lock held; the line lock nests inside. */
static void drive_line(struct rtc *r)
{
    bool want = (r->reg[R_C] & C_IRQF) != 0;

    if (want == r->line)
        return;
    r->line = want;
    arch_vm_set_gsi(r->vm, PLAT_IRQ_RTC, want);
}

static void fired(struct timer *t)
{
    struct rtc *r = CONTAINER_OF(t, struct rtc, timer);

    if (r->vm->state == VM_STATE_OFF)
        return; /* nobody listens; arch_vm_reset() starts from scratch */
    spin_lock(&r->lock);
    update_flags(r);
    drive_line(r);
    arm(r);
    spin_unlock(&r->lock);
}

/* ---- registers ---- */

static bool is_time(u8 i)
{
    return i == R_SEC || i == R_MIN || i == R_HOUR || (i >= R_WDAY && i <= R_YEAR) || i == R_CENTURY;
}

static u8 read_reg(struct rtc *r, u8 i)
{
    u64 now = arch_tsc(), hz = arch_tsc_hz();
    u8 val;

    if (is_time(i) && !(r->reg[R_B] & B_SET))
        fill_time(r, second_of(r, now));
    switch (i) {
    case R_A:
        /* UIP leads the update by 244 us = 1/4096 s; here the update itself takes no time. */
        if (!(r->reg[R_B] & B_SET) && hz - (now - base_tsc) % hz <= hz >> 12)
            return r->reg[R_A] | A_UIP;
        return r->reg[R_A];
    case R_C:
        update_flags(r);
        val = r->reg[R_C];
        r->reg[R_C] = 0;
        drive_line(r);
        return val;
    default:
        return r->reg[i];
    }
}

static void write_b(struct rtc *r, u8 val)
{
    u8 old = r->reg[R_B];

    if ((val & B_SET) && !(old & B_SET))
        fill_time(r, second_of(r, arch_tsc()));
    if (val & B_SET)
        val &= (u8)~B_UIE; /* SET clears the update interrupt enable */
    r->reg[R_B] = val;
    if ((old & B_SET) && !(val & B_SET))
        take_time(r);
    update_flags(r);
    drive_line(r);
    arm(r);
}

static void write_reg(struct rtc *r, u8 i, u8 val)
{
    switch (i) {
    case R_A:
        r->reg[R_A] = val & 0x7f;
        r->last_period = period_number(r, arch_tsc());
        arm(r);
        break;
    case R_B:
        write_b(r, val);
        break;
    case R_C:
    case R_D:
        break; /* read-only */
    default:
        if (is_time(i) && !(r->reg[R_B] & B_SET)) {
            fill_time(r, second_of(r, arch_tsc()));
            r->reg[i] = val;
            take_time(r);
        } else {
            r->reg[i] = val;
        }
    }
}

/* A user VM that is not a real-time one has its device model's clock. */
static bool not_ours(const struct vm *vm)
{
    return CFG_USER_VMS && vm->cfg->kind == VM_USER && !(user_vm_of(vm)->flags & HC_VM_RT);
}

static bool rtc_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct rtc *r = dev;

    if (size != 1 || not_ours(v->vm))
        return false;
    if (!(port & 1)) {
        if (write)
            r->index = *val & 0x7f; /* bit 7, the NMI mask of old, gates nothing */
        else
            *val = r->index;
        return true;
    }
    spin_lock(&r->lock);
    if (write)
        write_reg(r, r->index, (u8)*val);
    else
        *val = read_reg(r, r->index);
    spin_unlock(&r->lock);
    return true;
}

/* The words that PC firmware leaves in CMOS about memory. */
static void fill_memory_size(struct rtc *r)
{
    const struct cfg_vm *cfg = r->vm->cfg;
    u64 low_top = 0, high = 0, kib, blocks;
    u16 i;

    for (i = 0; i < cfg->mem_count; i++) {
        if (cfg->mem[i].gpa < GIB(4))
            low_top = cfg->mem[i].gpa + cfg->mem[i].size;
        else
            high += cfg->mem[i].size;
    }
    r->reg[0x15] = 640 & 0xff;
    r->reg[0x16] = 640 >> 8;
    kib = low_top > MIB(1) ? MIN((low_top - MIB(1)) >> 10, 0xffff) : 0;
    r->reg[0x17] = r->reg[0x30] = (u8)kib;
    r->reg[0x18] = r->reg[0x31] = (u8)(kib >> 8);
    blocks = low_top > MIB(16) ? MIN((low_top - MIB(16)) >> 16, 0xffff) : 0;
    r->reg[0x34] = (u8)blocks;
    r->reg[0x35] = (u8)(blocks >> 8);
    blocks = high >> 16;
    r->reg[0x5b] = (u8)blocks;
    r->reg[0x5c] = (u8)(blocks >> 8);
    r->reg[0x5d] = (u8)(blocks >> 16);
}

void rtc_reset(struct vm *vm)
{
    struct rtc *r = &rtcs[vm->id];
    unsigned i;

    timer_cancel(&r->timer);
    for (i = 0; i < R_COUNT; i++)
        r->reg[i] = 0;
    r->reg[R_A] = A_RESET;
    r->reg[R_B] = B_24H;
    r->reg[R_D] = D_VALID;
    r->reg[R_MDAY] = 1;
    r->index = 0;
    r->line = false;
    r->last_second = second_of(r, arch_tsc());
    r->last_period = period_number(r, arch_tsc());
    fill_memory_size(r);
}

void rtc_init(struct vm *vm)
{
    struct rtc *r = &rtcs[vm->id];

    r->vm = vm;
    timer_init_vcpu(&r->timer, &vm->vcpus[0], fired);
    rtc_reset(vm);
    io_register_ports(vm, PLAT_RTC_BASE, 2, rtc_port, r);
}
