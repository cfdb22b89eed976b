/* Local APIC timer: one-shot, periodic, TSC deadline, dividers. The fake TSC runs at 1 GHz. */
#include "vt.h"

#define VEC 0xec

static void timer_setup(u32 mode, u32 div)
{
    vt_enable_apics();
    vt_apic_set(0x320, mode << 17 | VEC);
    vt_apic_set(0x3e0, div);
}

/* Ends the interrupt and says whether it was the timer's. */
static bool took(void)
{
    int got = vt_enter(0);

    if (got == VT_NONE)
        return false;
    ck_assert_int_eq(got, VEC);
    vt_apic_set(0xb0, 0);
    return true;
}

START_TEST(input_clock_is_the_tsc)
{
    ck_assert_uint_eq(vlapic_timer_hz(), 1000000000);
}
END_TEST

START_TEST(one_shot_fires_once_at_zero)
{
    timer_setup(0, 0xb);
    vt_apic_set(0x380, 1000);
    ck_assert_uint_eq(vt_apic(0x390), 1000);
    vt_run(400);
    ck_assert_uint_eq(vt_apic(0x390), 600);
    vt_run(599);
    ck_assert_uint_eq(vt_apic(0x390), 1);
    ck_assert(!took());
    vt_run(1);
    ck_assert_uint_eq(vt_apic(0x390), 0);
    ck_assert(took());
    vt_run(100000);
    ck_assert(!took());
    ck_assert_uint_eq(vt_apic(0x380), 1000);
}
END_TEST

START_TEST(every_divider)
{
    static const struct {
        u8 code;
        u32 div;
    } d[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
        timer_setup(0, d[i].code);
        ck_assert_uint_eq(vt_apic(0x3e0), d[i].code);
        vt_apic_set(0x380, 1000);
        vt_run(1000ULL * d[i].div - 1);
        ck_assert(!took());
        vt_run(1);
        ck_assert(took());
    }
}
END_TEST

START_TEST(periodic_keeps_its_pace)
{
    u64 t0;

    timer_setup(1, 0xb);
    t0 = fake_tsc;
    vt_apic_set(0x380, 1000000);
    for (unsigned i = 1; i <= 20; i++) {
        vt_run_until(t0 + i * 1000000ULL - 1);
        ck_assert(!took());
        vt_run_until(t0 + i * 1000000ULL + 300);
        ck_assert(took());
        ck_assert_uint_eq(vt_apic(0x390), 999700);
    }
    vt_apic_set(0x380, 0);
    vt_run(10000000);
    ck_assert(!took());
    ck_assert_uint_eq(vt_apic(0x390), 0);
}
END_TEST

START_TEST(periodic_count_wraps_while_masked)
{
    timer_setup(1, 0xb);
    vt_apic_set(0x320, 0x30000 | VEC);
    vt_apic_set(0x380, 1000);
    vt_run(2300);
    ck_assert_uint_eq(vt_apic(0x390), 700);
    ck_assert(!took());
    vt_apic_set(0x320, 0x20000 | VEC);
    ck_assert(!took());
    vt_run(100000);
    ck_assert(took());
}
END_TEST

START_TEST(tiny_period_cannot_flood_the_host)
{
    u32 fires = 0;
    u64 end;

    timer_setup(1, 0xb);
    vt_apic_set(0x380, 1);
    end = fake_tsc + 1000000;
    while (fake_tsc < end) {
        vt_run(500);
        fires += took();
    }
    ck_assert_uint_le(fires, 201);
    ck_assert_uint_ge(fires, 150);
}
END_TEST

START_TEST(masked_one_shot_runs_silently_and_stays_silent)
{
    timer_setup(0, 0xb);
    vt_apic_set(0x320, 0x10000 | VEC);
    vt_apic_set(0x380, 1000);
    vt_run(500);
    ck_assert_uint_eq(vt_apic(0x390), 500);
    vt_run(1000);
    ck_assert_uint_eq(vt_apic(0x390), 0);
    vt_apic_set(0x320, VEC);
    vt_run(10000);
    ck_assert(!took());
}
END_TEST

START_TEST(unmasking_in_time_still_fires)
{
    timer_setup(0, 0xb);
    vt_apic_set(0x320, 0x10000 | VEC);
    vt_apic_set(0x380, 1000);
    vt_run(500);
    vt_apic_set(0x320, VEC);
    vt_run(500);
    ck_assert(took());
}
END_TEST

START_TEST(rewriting_the_count_restarts)
{
    timer_setup(0, 0xb);
    vt_apic_set(0x380, 1000);
    vt_run(900);
    vt_apic_set(0x380, 1000);
    vt_run(900);
    ck_assert(!took());
    vt_run(100);
    ck_assert(took());
}
END_TEST

START_TEST(changing_the_divider_keeps_the_count)
{
    timer_setup(0, 0xb);
    vt_apic_set(0x380, 1000);
    vt_run(400);
    vt_apic_set(0x3e0, 0);
    ck_assert_uint_eq(vt_apic(0x390), 600);
    vt_run(1199);
    ck_assert(!took());
    vt_run(1);
    ck_assert(took());
}
END_TEST

START_TEST(deadline_fires_once_and_reads_zero_after)
{
    timer_setup(2, 0);
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, fake_tsc + 5000));
    ck_assert_uint_eq(vt_rdmsr(MSR_TSC_DEADLINE), fake_tsc + 5000);
    ck_assert_uint_eq(vt_apic(0x390), 0);
    vt_run(4999);
    ck_assert(!took());
    vt_run(1);
    ck_assert(took());
    ck_assert_uint_eq(vt_rdmsr(MSR_TSC_DEADLINE), 0);
}
END_TEST

START_TEST(deadline_in_the_past_fires_at_once_and_zero_disarms)
{
    timer_setup(2, 0);
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, 1));
    vt_run(0);
    ck_assert(took());
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, fake_tsc + 5000));
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, 0));
    vt_run(10000);
    ck_assert(!took());
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, ~0ULL));
    vt_run(10000);
    ck_assert(!took());
}
END_TEST

START_TEST(deadline_is_in_guest_time)
{
    u64 off = (u64)-3000000000LL;

    timer_setup(2, 0);
    arch_vcpu_set_tsc_offset(vt_vcpu(0), off);
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, fake_tsc + off + 700));
    vt_run(699);
    ck_assert(!took());
    vt_run(1);
    ck_assert(took());
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, fake_tsc + off + 700));
    arch_vcpu_set_tsc_offset(vt_vcpu(0), off + 500); /* the guest moved its TSC on by 500 */
    vlapic_tsc_moved(vt_vcpu(0));
    vt_run(200);
    ck_assert(took());
}
END_TEST

START_TEST(mode_decides_which_register_acts)
{
    timer_setup(2, 0xb);
    vt_apic_set(0x380, 1000);
    vt_run(2000);
    ck_assert(!took());
    vt_apic_set(0x320, VEC);
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, fake_tsc + 10));
    ck_assert_uint_eq(vt_rdmsr(MSR_TSC_DEADLINE), 0);
    vt_run(2000);
    ck_assert(!took());
}
END_TEST

START_TEST(switching_to_deadline_mode_disarms)
{
    timer_setup(0, 0xb);
    vt_apic_set(0x380, 1000);
    vt_apic_set(0x320, 0x40000 | VEC);
    vt_run(2000);
    ck_assert(!took());
    ck_assert(vt_wrmsr(MSR_TSC_DEADLINE, fake_tsc + 1000));
    vt_apic_set(0x320, VEC);
    vt_run(2000);
    ck_assert(!took());
}
END_TEST

START_TEST(timer_runs_on_the_vcpus_own_cpu)
{
    u32 kicks;

    vt_enable_apics();
    vt_on(1);
    vt_apic_set(0x320, VEC);
    vt_apic_set(0x3e0, 0xb);
    kicks = fake_kicks[vt_vcpu(1)->pcpu];
    vt_apic_set(0x380, 1000);
    vt_run(1000);
    ck_assert_uint_eq(fake_kicks[vt_vcpu(1)->pcpu], kicks);
    ck_assert_int_eq(vt_enter(1), VEC);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(reset_and_init_stop_the_timer)
{
    timer_setup(1, 0xb);
    vt_apic_set(0x380, 100000);
    arch_vcpu_init_ipi(vt_vcpu(0));
    vt_apic_set(0xf0, 0x1ff);
    vt_run(1000000);
    ck_assert(!took());
    timer_setup(1, 0xb);
    vt_apic_set(0x380, 100000);
    arch_vm_reset(vt_vm);
    vt_run(1000000);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {input_clock_is_the_tsc,
                                  one_shot_fires_once_at_zero,
                                  every_divider,
                                  periodic_keeps_its_pace,
                                  periodic_count_wraps_while_masked,
                                  tiny_period_cannot_flood_the_host,
                                  masked_one_shot_runs_silently_and_stays_silent,
                                  unmasking_in_time_still_fires,
                                  rewriting_the_count_restarts,
                                  changing_the_divider_keeps_the_count,
                                  deadline_fires_once_and_reads_zero_after,
                                  deadline_in_the_past_fires_at_once_and_zero_disarms,
                                  deadline_is_in_guest_time,
                                  mode_decides_which_register_acts,
                                  switching_to_deadline_mode_disarms,
                                  timer_runs_on_the_vcpus_own_cpu,
                                  reset_and_init_stop_the_timer,
                                  NULL};

    return vt_main("lapic timer", tests);
}
