/* Real-time clock, ACPI fixed hardware, the ways to reset and power off. */
#include <time.h>
#include <abi/hypercall.h>
#include <core/user_vm.h>
#include "vt.h"
#include "x86/vdev/civil.h"
#include "x86/vdev/rtc.h"

static u8 rtc(u8 reg)
{
    vt_out(0x70, reg);
    return vt_in(0x71);
}

static void rtc_set(u8 reg, u8 val)
{
    vt_out(0x70, reg);
    vt_out(0x71, val);
}

/* A little-endian word of CMOS memory. */
static u16 word(u8 reg)
{
    return (u16)(rtc(reg) | rtc((u8)(reg + 1)) << 8);
}

/* Routes ISA line `irq` to vector 0x40 of vCPU 0 through the vIOAPIC. */
static void route(u8 irq, u32 bits)
{
    vt_enable_apics();
    vt_write(PLAT_IOAPIC_BASE, 4, 0x10u + 2u * irq);
    vt_write(PLAT_IOAPIC_BASE + 0x10, 4, 0x40 | bits);
}

static bool took(void)
{
    bool got = vt_enter(0) == 0x40;

    vt_apic_set(0xb0, 0);
    return got;
}

static void at_base(u64 unix_seconds)
{
    rtc_set_base(unix_seconds);
    arch_vm_reset(vt_vm);
}

START_TEST(calendar_agrees_with_the_c_library)
{
    for (u64 s = 0; s < 16000000000ULL; s += 7654321) {
        time_t t = (time_t)s;
        struct tm tm;
        struct civil c;

        gmtime_r(&t, &tm);
        civil_from_unix(s, &c);
        ck_assert_uint_eq(c.year, (u32)tm.tm_year + 1900);
        ck_assert_uint_eq(c.month, (u32)tm.tm_mon + 1);
        ck_assert_uint_eq(c.day, (u32)tm.tm_mday);
        ck_assert_uint_eq(c.wday, (u32)tm.tm_wday);
        ck_assert_uint_eq(c.hour, (u32)tm.tm_hour);
        ck_assert_uint_eq(c.min, (u32)tm.tm_min);
        ck_assert_uint_eq(c.sec, (u32)tm.tm_sec);
        ck_assert_uint_eq(civil_to_unix(&c), s);
    }
}
END_TEST

START_TEST(clock_reads_bcd_and_advances)
{
    at_base(1798761598); /* 2026-12-31 23:59:58, a Thursday */
    ck_assert_uint_eq(rtc(0), 0x58);
    ck_assert_uint_eq(rtc(2), 0x59);
    ck_assert_uint_eq(rtc(4), 0x23);
    ck_assert_uint_eq(rtc(6), 5);
    ck_assert_uint_eq(rtc(7), 0x31);
    ck_assert_uint_eq(rtc(8), 0x12);
    ck_assert_uint_eq(rtc(9), 0x26);
    ck_assert_uint_eq(rtc(0x32), 0x20);
    vt_run(2000000000);
    ck_assert_uint_eq(rtc(0), 0);
    ck_assert_uint_eq(rtc(7), 1);
    ck_assert_uint_eq(rtc(8), 1);
    ck_assert_uint_eq(rtc(9), 0x27);
}
END_TEST

START_TEST(binary_and_12_hour_formats)
{
    at_base(1767225600 + 13 * 3600 + 45 * 60);
    rtc_set(0x0b, 0x06);
    ck_assert_uint_eq(rtc(4), 13);
    ck_assert_uint_eq(rtc(2), 45);
    rtc_set(0x0b, 0x04);
    ck_assert_uint_eq(rtc(4), 0x80 | 1);
    rtc_set(0x0b, 0x00);
    ck_assert_uint_eq(rtc(4), 0x80 | 1);
    vt_run(11 * 3600 * 1000000000ULL);
    ck_assert_uint_eq(rtc(4), 0x12);
}
END_TEST

START_TEST(setting_the_time_with_set_bit)
{
    at_base(1767225600);
    rtc_set(0x0b, 0x82);
    rtc_set(0, 0x30);
    rtc_set(2, 0x20);
    rtc_set(4, 0x10);
    rtc_set(7, 0x29);
    rtc_set(8, 0x02);
    rtc_set(9, 0x28);
    vt_run(5000000000); /* SET stops the clock */
    ck_assert_uint_eq(rtc(0), 0x30);
    rtc_set(0x0b, 0x02);
    vt_run(86400ULL * 1000000000);
    ck_assert_uint_eq(rtc(7), 0x01);
    ck_assert_uint_eq(rtc(8), 0x03);
    ck_assert_uint_eq(rtc(4), 0x10);
    ck_assert_uint_eq(rtc(0), 0x30);
}
END_TEST

START_TEST(set_bit_clears_the_update_interrupt_enable)
{
    rtc_set(0x0b, 0x92);
    ck_assert_uint_eq(rtc(0x0b), 0x82);
}
END_TEST

START_TEST(nonsense_dates_do_no_harm)
{
    rtc_set(0x0b, 0x82);
    for (u8 r = 0; r < 10; r++)
        rtc_set(r, 0xff);
    rtc_set(0x32, 0xff);
    rtc_set(0x0b, 0x02);
    for (u8 r = 0; r < 10; r++)
        rtc(r);
    rtc_set(0x0b, 0x82);
    for (u8 r = 0; r < 10; r++)
        rtc_set(r, 0);
    rtc_set(0x32, 0);
    rtc_set(0x0b, 0x02);
    ck_assert_uint_eq(rtc(8), 1);
}
END_TEST

START_TEST(a_restart_keeps_the_time)
{
    at_base(1767225600);
    rtc_set(4, 0x05);
    vt_run(3000000000);
    arch_vm_reset(vt_vm);
    ck_assert_uint_eq(rtc(4), 0x05);
    ck_assert_uint_eq(rtc(0), 0x03);
}
END_TEST

START_TEST(update_in_progress_precedes_each_second)
{
    at_base(1767225600);
    ck_assert_uint_eq(rtc(0x0a) & 0x80, 0);
    vt_run(999000000);
    ck_assert_uint_eq(rtc(0x0a) & 0x80, 0);
    vt_run(900000);
    ck_assert_uint_eq(rtc(0x0a) & 0x80, 0x80);
    vt_run(100001);
    ck_assert_uint_eq(rtc(0x0a) & 0x80, 0);
    ck_assert_uint_eq(rtc(0x0d), 0x80);
}
END_TEST

START_TEST(periodic_interrupt_at_the_programmed_rate)
{
    unsigned n = 0;

    at_base(1767225600);
    route(8, 0);
    rtc_set(0x0a, 0x2d); /* 8 Hz */
    rtc_set(0x0b, 0x42);
    for (unsigned i = 0; i < 1001; i++) {
        vt_run(1000000);
        if (took()) {
            n++;
            ck_assert_uint_eq(rtc(0x0c) & 0xc0, 0xc0);
            ck_assert_uint_eq(rtc(0x0c), 0);
        }
    }
    ck_assert_uint_eq(n, 8);
}
END_TEST

START_TEST(update_interrupt_each_second_and_line_held_until_c_is_read)
{
    at_base(1767225600);
    route(8, 0);
    rtc_set(0x0b, 0x12);
    vt_run(1000000001);
    ck_assert(took());
    vt_run(1000000001);
    ck_assert(!took());
    ck_assert_uint_eq(rtc(0x0c) & 0x90, 0x90);
    vt_run(1000000001);
    ck_assert(took());
}
END_TEST

START_TEST(alarm_interrupt_at_its_time)
{
    at_base(1767225600);
    route(8, 0);
    rtc_set(1, 0x03);
    rtc_set(3, 0xff);
    rtc_set(5, 0xc0);
    rtc_set(0x0b, 0x22);
    vt_run(2999000000);
    ck_assert(!took());
    vt_run(2000000);
    ck_assert(took());
    ck_assert_uint_eq(rtc(0x0c) & 0xa0, 0xa0);
    vt_run(59000000000);
    ck_assert(!took());
    vt_run(1000000000);
    ck_assert(took());
}
END_TEST

START_TEST(flags_are_seen_by_polling_too)
{
    at_base(1767225600);
    rtc(0x0c);
    vt_run(1500000000);
    ck_assert_uint_eq(rtc(0x0c), 0x50);
    ck_assert_uint_eq(rtc(0x0c), 0);
}
END_TEST

START_TEST(cmos_holds_memory_size_and_keeps_bytes)
{
    /* VM a has 64 MiB. */
    ck_assert_uint_eq(word(0x15), 640);
    ck_assert_uint_eq(word(0x17), 63 * 1024);
    ck_assert_uint_eq(word(0x34), 48 * 16);
    ck_assert_uint_eq(rtc(0x5b), 0);
    rtc_set(0x7f, 0xab);
    ck_assert_uint_eq(rtc(0x7f), 0xab);
    ck_assert_uint_eq(rtc(0xff), 0xab); /* bit 7 is the NMI mask */
    ck_assert_uint_eq(vt_in(0x70), 0x7f);
}
END_TEST

/* ---- ACPI ---- */

START_TEST(pm_timer_runs_at_3579545_hz)
{
    u32 a = vt_in_n(0x408, 4), b;

    vt_run(1000000000);
    b = vt_in_n(0x408, 4);
    ck_assert_uint_ge(b - a, 3579544);
    ck_assert_uint_le(b - a, 3579546);
    ck_assert_uint_eq(vt_in(0x409), b >> 8 & 0xff);
    vt_out_n(0x408, 4, 0);
    ck_assert_uint_eq(vt_in_n(0x408, 4), b);
}
END_TEST

START_TEST(sci_enable_reads_one_and_only_s5_switches_off)
{
    ck_assert_uint_eq(vt_in_n(0x404, 2), 1);
    vt_out_n(0x404, 2, 0x2000 | 1 << 10);
    ck_assert_uint_eq(vt_poweroffs, 0);
    vt_out_n(0x404, 2, 5 << 10);
    ck_assert_uint_eq(vt_poweroffs, 0);
    ck_assert_uint_eq(vt_in_n(0x404, 2), 5 << 10 | 1);
    vt_out_n(0x404, 2, 0x2000 | 5 << 10);
    ck_assert_uint_eq(vt_poweroffs, 1);
    ck_assert_uint_eq(vt_in_n(0x404, 2) & 0x2000, 0);
}
END_TEST

START_TEST(s5_by_byte_writes)
{
    vt_out(0x404, 0);
    vt_out(0x405, 0x20 | 5 << 2);
    ck_assert_uint_eq(vt_poweroffs, 1);
}
END_TEST

START_TEST(pm1_status_is_write_one_to_clear_and_timer_carry_raises_sci)
{
    route(9, 0x8000);
    vt_out_n(0x402, 2, 0x0001);
    ck_assert_uint_eq(vt_in_n(0x402, 2), 1);
    ck_assert(!took());
    vt_run(700ULL * 1000000000); /* bit 31 toggles every 600 s */
    ck_assert_uint_eq(vt_in_n(0x400, 2), 1);
    ck_assert_int_eq(vt_enter(0), 0x40);
    vt_out_n(0x400, 2, 0x0001);
    ck_assert_uint_eq(vt_in_n(0x400, 2), 0);
    vt_apic_set(0xb0, 0);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_uint_eq(vt_in_n(0x400, 4), 0x00010000);
}
END_TEST

START_TEST(accesses_across_registers_have_no_owner)
{
    ck_assert_uint_eq(vt_in_n(0x403, 2), 0xffff);
    ck_assert_uint_eq(vt_in_n(0x406, 4), 0xffffffff);
}
END_TEST

START_TEST(resets_by_keyboard_controller_and_port_92)
{
    ck_assert_uint_eq(vt_in(0x64), 0xff);
    ck_assert_uint_eq(vt_in(0x60), 0xff);
    vt_out(0x64, 0xaa);
    vt_out(0x60, 0xfe);
    ck_assert_uint_eq(vt_resets, 0);
    vt_out(0x64, 0xfe);
    ck_assert_uint_eq(vt_resets, 1);
    ck_assert_uint_eq(vt_in(0x92), 2);
    vt_out(0x92, 2);
    ck_assert_uint_eq(vt_resets, 1);
    vt_out(0x92, 3);
    ck_assert_uint_eq(vt_resets, 2);
    vt_out(0x92, 3);
    ck_assert_uint_eq(vt_resets, 2);
}
END_TEST

START_TEST(delay_port_is_owned_and_empty)
{
    u64 before = vt_vcpu(0)->unowned;

    vt_out(0x80, 0x55);
    ck_assert_uint_eq(vt_in(0x80), 0);
    ck_assert_uint_eq(vt_vcpu(0)->unowned, before);
}
END_TEST

START_TEST(every_vm_has_a_platform_of_its_own)
{
    ck_assert_uint_eq(vt_cpuid_inits, CFG_VMS);
    vt_out(0x21, 0x12);
    rtc_set(0x7f, 0x34);
    ck_assert_uint_ne(io_port_read(&vcpus[2], 0x21, 1), 0x12);
    io_port_write(&vcpus[2], 0x70, 1, 0x7f);
    ck_assert_uint_ne(io_port_read(&vcpus[2], 0x71, 1), 0x34);
}
END_TEST

START_TEST(a_real_time_user_vm_has_its_own_clock_another_one_asks_its_device_model)
{
    vt_vm = &vms[FAKE_RT];
    at_base(1767225600); /* 2026-01-01 */
    vt_on(0);
    user_vm_of(vt_vm)->flags = HC_VM_RT;
    fake_ioreqs = 0;
    ck_assert_uint_eq(rtc(0x09), 0x26);
    ck_assert_uint_eq(fake_ioreqs, 0);
    user_vm_of(vt_vm)->flags = 0;
    ck_assert_uint_eq(rtc(0x09), 0xff);
    ck_assert_uint_eq(fake_ioreqs, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {calendar_agrees_with_the_c_library,
                                  clock_reads_bcd_and_advances,
                                  binary_and_12_hour_formats,
                                  setting_the_time_with_set_bit,
                                  set_bit_clears_the_update_interrupt_enable,
                                  nonsense_dates_do_no_harm,
                                  a_restart_keeps_the_time,
                                  update_in_progress_precedes_each_second,
                                  periodic_interrupt_at_the_programmed_rate,
                                  update_interrupt_each_second_and_line_held_until_c_is_read,
                                  alarm_interrupt_at_its_time,
                                  flags_are_seen_by_polling_too,
                                  cmos_holds_memory_size_and_keeps_bytes,
                                  pm_timer_runs_at_3579545_hz,
                                  sci_enable_reads_one_and_only_s5_switches_off,
                                  s5_by_byte_writes,
                                  pm1_status_is_write_one_to_clear_and_timer_carry_raises_sci,
                                  accesses_across_registers_have_no_owner,
                                  resets_by_keyboard_controller_and_port_92,
                                  delay_port_is_owned_and_empty,
                                  every_vm_has_a_platform_of_its_own,
                                  a_real_time_user_vm_has_its_own_clock_another_one_asks_its_device_model,
                                  NULL};

    return vt_main("rtc and acpi hardware", tests);
}
