/* 8254 and port 0x61. The fake TSC runs at 1 GHz; a PIT tick is 838.1 ns. */
#include "vt.h"

#define TICK_NS(n) ((u64)(n)*1000000000ULL / 1193182 + 1)

static void program(unsigned ch, u8 mode, u16 count)
{
    vt_out(0x43, (u8)(ch << 6 | 0x30 | (u32)mode << 1));
    vt_out((u16)(0x40 + ch), (u8)count);
    vt_out((u16)(0x40 + ch), (u8)(count >> 8));
}

static u16 read_count(unsigned ch)
{
    u16 lo;

    vt_out(0x43, (u8)(ch << 6));
    lo = vt_in((u16)(0x40 + ch));
    return (u16)(lo | vt_in((u16)(0x40 + ch)) << 8);
}

/* Counts what IRQ 0 delivers through an edge entry of the vIOAPIC until `tsc`. */
static unsigned irqs_until(u64 tsc)
{
    unsigned n = 0;

    while (fake_tsc < tsc) {
        vt_run_until(MIN(tsc, fake_tsc + 5000));
        if (vt_enter(0) != VT_NONE) {
            n++;
            vt_apic_set(0xb0, 0);
        }
    }
    return n;
}

static void irq_setup(void)
{
    vt_enable_apics();
    vt_write(PLAT_IOAPIC_BASE, 4, 0x14);
    vt_write(PLAT_IOAPIC_BASE + 0x10, 4, 0x30);
}

START_TEST(mode2_counts_down_and_reloads)
{
    program(0, 2, 1000);
    ck_assert_uint_eq(read_count(0), 1000);
    vt_run(TICK_NS(400));
    ck_assert_uint_eq(read_count(0), 600);
    vt_run(TICK_NS(500));
    ck_assert_uint_eq(read_count(0), 100);
    vt_run(TICK_NS(200));
    ck_assert_uint_eq(read_count(0), 900);
}
END_TEST

START_TEST(mode3_counts_by_two)
{
    program(0, 3, 0);
    vt_run(TICK_NS(1000));
    ck_assert_uint_eq(read_count(0), 65536 - 2000);
    vt_run(TICK_NS(32768));
    ck_assert_uint_eq(read_count(0), 65536 - 2000);
}
END_TEST

START_TEST(mode0_wraps_past_zero)
{
    program(0, 0, 100);
    vt_run(TICK_NS(100));
    ck_assert_uint_eq(read_count(0), 0);
    vt_run(TICK_NS(1));
    ck_assert_uint_ge(read_count(0), 0xfffe);
}
END_TEST

START_TEST(bcd_counts)
{
    vt_out(0x43, 0x35); /* channel 0, both bytes, mode 2, BCD */
    vt_out(0x40, 0x00);
    vt_out(0x40, 0x10); /* 1000 */
    ck_assert_uint_eq(read_count(0), 0x1000);
    vt_run(TICK_NS(1));
    ck_assert_uint_eq(read_count(0), 0x0999);
    vt_run(TICK_NS(987));
    ck_assert_uint_eq(read_count(0), 0x0012);
}
END_TEST

START_TEST(single_byte_access_modes)
{
    vt_out(0x43, 0x14); /* low byte only, mode 2 */
    vt_out(0x40, 200);
    ck_assert_uint_eq(vt_in(0x40), 200);
    ck_assert_uint_eq(vt_in(0x40), 200);
    vt_out(0x43, 0x24); /* high byte only */
    vt_out(0x40, 0x12);
    ck_assert_uint_eq(vt_in(0x40), 0x12);
}
END_TEST

START_TEST(latched_count_stands_still_until_read)
{
    u8 lo;

    program(2, 0, 50000);
    vt_out(0x61, 1);
    vt_out(0x43, 0x80);
    vt_run(TICK_NS(1000));
    vt_out(0x43, 0x80); /* a second latch is ignored */
    lo = vt_in(0x42);
    ck_assert_uint_eq((u16)(lo | vt_in(0x42) << 8), 50000);
    lo = vt_in(0x42);
    ck_assert_uint_eq((u16)(lo | vt_in(0x42) << 8), 49000);
}
END_TEST

START_TEST(read_back_gives_status_then_count)
{
    vt_out(0x43, 0x34);
    vt_out(0x43, 0xe2); /* status of channel 0 */
    ck_assert_uint_eq(vt_in(0x40), 0x80 | 0x40 | 0x30 | 2 << 1);
    program(0, 2, 1000);
    vt_out(0x43, 0xc2); /* count and status */
    ck_assert_uint_eq(vt_in(0x40), 0x80 | 0x30 | 2 << 1);
    ck_assert_uint_eq(vt_in(0x40), 1000 & 0xff);
    ck_assert_uint_eq(vt_in(0x40), 1000 >> 8);
}
END_TEST

START_TEST(irq0_is_periodic_without_drift)
{
    u64 t0;

    irq_setup();
    t0 = fake_tsc;
    program(0, 2, 11932); /* 100 Hz */
    ck_assert_uint_eq(irqs_until(t0 + 1000000000ULL + 40000), 100);
    ck_assert_uint_eq(irqs_until(t0 + 2000000000ULL + 40000), 100);
}
END_TEST

START_TEST(one_shot_irq0_fires_once)
{
    irq_setup();
    program(0, 0, 1193);
    ck_assert_uint_eq(irqs_until(fake_tsc + 990000), 0);
    ck_assert_uint_eq(irqs_until(fake_tsc + 9000000), 1);
}
END_TEST

START_TEST(control_word_stops_irq0)
{
    irq_setup();
    program(0, 2, 1193);
    vt_out(0x43, 0x30); /* mode 0, no count yet: how Linux shuts the PIT down */
    ck_assert_uint_eq(irqs_until(fake_tsc + 10000000), 0);
}
END_TEST

START_TEST(tiny_count_cannot_flood_the_host)
{
    irq_setup();
    program(0, 2, 1);
    ck_assert_uint_le(irqs_until(fake_tsc + 1000000), 101);
}
END_TEST

START_TEST(irq0_through_the_8259)
{
    vt_out(0x20, 0x11);
    vt_out(0x21, 0x30);
    vt_out(0x21, 0x04);
    vt_out(0x21, 0x01);
    vt_out(0x21, 0xfe);
    program(0, 2, 1193);
    vt_run(TICK_NS(1193));
    ck_assert_int_eq(vt_enter(0), 0x30);
    vt_run(TICK_NS(1193));
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_out(0x20, 0x20);
    ck_assert_int_eq(vt_enter(0), 0x30);
}
END_TEST

/* The way Linux calibrates the TSC: gate on, mode 0, poll OUT2. */
START_TEST(channel2_output_rises_after_the_count)
{
    vt_out(0x61, (u8)((vt_in(0x61) & ~0x02) | 0x01));
    program(2, 0, 11932);
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0);
    vt_run(TICK_NS(11931));
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0);
    vt_run(TICK_NS(1));
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0x20);
    ck_assert_uint_eq(vt_in(0x61) & 0x0f, 1);
}
END_TEST

/* The way Linux's quick calibration reads: LSB, MSB alternating without a latch. */
START_TEST(unlatched_reads_alternate_bytes)
{
    vt_out(0x61, 1);
    program(2, 0, 0xffff);
    vt_run(TICK_NS(0x100));
    vt_in(0x42);
    ck_assert_uint_eq(vt_in(0x42), 0xfe);
    vt_run(TICK_NS(0x100));
    vt_in(0x42);
    ck_assert_uint_eq(vt_in(0x42), 0xfd);
}
END_TEST

START_TEST(gate_of_channel2_pauses_mode0)
{
    vt_out(0x61, 1);
    program(2, 0, 10000);
    vt_run(TICK_NS(1000));
    vt_out(0x61, 0);
    vt_run(TICK_NS(5000));
    ck_assert_uint_eq(read_count(2), 9000);
    vt_out(0x61, 1);
    vt_run(TICK_NS(1000));
    ck_assert_uint_le(read_count(2), 8000);
    ck_assert_uint_ge(read_count(2), 7998);
}
END_TEST

START_TEST(gate_triggers_mode1)
{
    program(2, 1, 1000);
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0x20);
    vt_run(TICK_NS(5000));
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0x20);
    vt_out(0x61, 1);
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0);
    vt_run(TICK_NS(1000));
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0x20);
}
END_TEST

START_TEST(square_wave_output)
{
    vt_out(0x61, 1);
    program(2, 3, 1000);
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0x20);
    vt_run(TICK_NS(501));
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0);
    vt_run(TICK_NS(500));
    ck_assert_uint_eq(vt_in(0x61) & 0x20, 0x20);
}
END_TEST

START_TEST(refresh_bit_toggles)
{
    unsigned changes = 0;
    u8 last = vt_in(0x61) & 0x10;

    for (unsigned i = 0; i < 1000; i++) {
        u8 now;

        vt_run(1000);
        now = vt_in(0x61) & 0x10;
        changes += now != last;
        last = now;
    }
    ck_assert_uint_ge(changes, 65);
    ck_assert_uint_le(changes, 67);
}
END_TEST

START_TEST(vm_reset_stops_the_pit)
{
    irq_setup();
    program(0, 2, 1193);
    arch_vm_reset(vt_vm);
    irq_setup();
    ck_assert_uint_eq(irqs_until(fake_tsc + 10000000), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {mode2_counts_down_and_reloads,
                                  mode3_counts_by_two,
                                  mode0_wraps_past_zero,
                                  bcd_counts,
                                  single_byte_access_modes,
                                  latched_count_stands_still_until_read,
                                  read_back_gives_status_then_count,
                                  irq0_is_periodic_without_drift,
                                  one_shot_irq0_fires_once,
                                  control_word_stops_irq0,
                                  tiny_count_cannot_flood_the_host,
                                  irq0_through_the_8259,
                                  channel2_output_rises_after_the_count,
                                  unlatched_reads_alternate_bytes,
                                  gate_of_channel2_pauses_mode0,
                                  gate_triggers_mode1,
                                  square_wave_output,
                                  refresh_bit_toggles,
                                  vm_reset_stops_the_pit,
                                  NULL};

    return vt_main("pit", tests);
}
