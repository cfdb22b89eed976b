/* A CPU that carries out part of the local APIC: what the vLAPIC leaves to it, and takes up from it. */
#include "vt.h"
#include "x86/vdev/vlapic_state.h"

/* The CPU writes the page by itself. */
static void cpu_writes(u32 offset, u32 val)
{
    fake_apics[vt_vcpu(0)->index].page[offset / 4] = val;
}

static u32 page(u32 offset)
{
    return fake_apics[vt_vcpu(0)->index].page[offset / 4];
}

static struct fake_apic *apic(void)
{
    return &fake_apics[vt_vcpu(0)->index];
}

static void self_ipi(u8 vec)
{
    vt_apic_set(0x300, 0x40000 | vec);
}

static void with_help(u32 help)
{
    fake_apic_help = help;
    vlapic_reset(vt_vcpu(0));
    vt_apic_set(0xf0, 0x1ff);
}

static void setup_irq(void)
{
    vt_setup();
    with_help(APIC_HELP_TPR | APIC_HELP_IRQ);
}

static void setup_tpr(void)
{
    vt_setup();
    with_help(APIC_HELP_TPR);
}

/* ---- the CPU delivers interrupts ---- */

START_TEST(requests_are_posted_and_not_injected)
{
    self_ipi(0x41);
    ck_assert_uint_eq(apic()->posted[2], BIT32(1));
    ck_assert_uint_eq(page(0x220), 0);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_uint_eq(page(0x220), BIT32(1));
    ck_assert_uint_ne(apic()->pushes, 0);
}
END_TEST

START_TEST(level_requests_are_fresh_once)
{
    struct apic_msg m = {.dest = 0, .vector = 0x61, .mode = APIC_DM_FIXED, .level = true};

    vlapic_deliver(vt_vm, &m);
    ck_assert_uint_eq(apic()->fresh, 1);
    vlapic_deliver(vt_vm, &m);
    ck_assert_uint_eq(apic()->fresh, 1);
    m.level = false;
    vlapic_deliver(vt_vm, &m);
    ck_assert_uint_eq(apic()->fresh, 2);
    ck_assert_uint_eq(page(0x1b0), 0);
}
END_TEST

START_TEST(halted_vcpu_wakes_for_what_was_posted_and_may_go_in)
{
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    self_ipi(0x41);
    ck_assert(arch_vcpu_wake_pending(vt_vcpu(0)));
    cpu_writes(0x80, 0x50);
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    cpu_writes(0x80, 0);
    cpu_writes(0x120, BIT32(1)); /* 0x41 already in service */
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
}
END_TEST

START_TEST(emulated_end_of_interrupt_works_from_the_page)
{
    cpu_writes(0x120, BIT32(1));
    cpu_writes(0x140, BIT32(3));
    ck_assert_uint_eq(vt_apic(0xa0), 0x80);
    vt_apic_set(0xb0, 0);
    ck_assert_uint_eq(page(0x140), 0);
    ck_assert_uint_eq(page(0x120), BIT32(1));
    ck_assert_uint_eq(vt_apic(0xa0), 0x40);
    ck_assert_uint_ne(apic()->pushes, 0);
}
END_TEST

START_TEST(nmi_is_still_injected)
{
    vcpu_request(vt_vcpu(0), VCPU_REQ_NMI);
    ck_assert_int_eq(vt_enter(0), VT_NMI);
}
END_TEST

START_TEST(ipi_that_the_cpu_does_not_send_is_sent)
{
    vt_on(1);
    vt_apic_set(0xf0, 0x1ff);
    vt_on(0);
    cpu_writes(0x310, 1u << 24);
    cpu_writes(0x300, 0x4051);
    vlapic_page_written(vt_vcpu(0), 0x300);
    ck_assert_uint_eq(fake_apics[vt_vcpu(1)->index].posted[2] | LREG(vlapic_of(vt_vcpu(1)), LR_IRR + 2),
                      BIT32(0x11));
}
END_TEST

START_TEST(written_registers_keep_their_reserved_and_read_only_bits)
{
    cpu_writes(0x20, 0x7f000000);
    vlapic_page_written(vt_vcpu(0), 0x20);
    ck_assert_uint_eq(page(0x20), 0);
    cpu_writes(0xd0, 0x12345678);
    vlapic_page_written(vt_vcpu(0), 0xd0);
    ck_assert_uint_eq(page(0xd0), 0x12000000);
    cpu_writes(0x350, 0xffffffff);
    vlapic_page_written(vt_vcpu(0), 0x350);
    ck_assert_uint_eq(page(0x350), 0x1a7ff);
}
END_TEST

START_TEST(software_disable_by_the_page_masks_the_lvt)
{
    cpu_writes(0x320, 0x30);
    vlapic_page_written(vt_vcpu(0), 0x320);
    ck_assert_uint_eq(page(0x320), 0x30);
    cpu_writes(0xf0, 0xff);
    vlapic_page_written(vt_vcpu(0), 0xf0);
    ck_assert_uint_eq(page(0x320), 0x10030);
}
END_TEST

START_TEST(timer_mode_change_by_the_page_disarms)
{
    cpu_writes(0x320, 0x30);
    vlapic_page_written(vt_vcpu(0), 0x320);
    cpu_writes(0x380, 1000000);
    vlapic_page_written(vt_vcpu(0), 0x380);
    ck_assert_uint_ne(vt_apic(0x390), 0);
    cpu_writes(0x320, 0x40030); /* TSC deadline */
    vlapic_page_written(vt_vcpu(0), 0x320);
    ck_assert_uint_eq(vt_apic(0x390), 0);
    cpu_writes(0x380, 77);
    vlapic_page_written(vt_vcpu(0), 0x380);
    ck_assert_uint_eq(page(0x380), 0);
}
END_TEST

START_TEST(apic_switched_off_gets_no_help)
{
    ck_assert(vt_wrmsr(MSR_APIC_BASE, vt_rdmsr(MSR_APIC_BASE) & ~0x800ULL));
    ck_assert_uint_eq(apic()->mode, 0);
    ck_assert_uint_eq(vlapic_of(vt_vcpu(0))->help, APIC_HELP_TPR);
}
END_TEST

START_TEST(mode_change_keeps_what_was_posted)
{
    self_ipi(0x41);
    ck_assert(vt_wrmsr(MSR_APIC_BASE, vt_rdmsr(MSR_APIC_BASE) | 0x400));
    ck_assert_uint_eq(apic()->mode, 2);
    vt_enter(0);
    ck_assert_uint_eq(page(0x220), BIT32(1));
}
END_TEST

/* ---- the CPU keeps the task priority only ---- */

START_TEST(priority_that_the_cpu_changed_counts)
{
    cpu_writes(0x80, 0x60);
    self_ipi(0x51);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_uint_eq(apic()->threshold, 5);
    cpu_writes(0x80, 0x40);
    vlapic_tpr_fell(vt_vcpu(0));
    ck_assert_int_eq(vt_enter(0), 0x51);
    ck_assert_uint_eq(apic()->threshold, 0);
}
END_TEST

START_TEST(threshold_is_found_again_at_the_end_of_an_interrupt)
{
    self_ipi(0x71);
    ck_assert_int_eq(vt_enter(0), 0x71);
    self_ipi(0x51);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    cpu_writes(0x80, 0x60); /* in the handler, without an exit */
    vt_apic_set(0xb0, 0);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_uint_eq(apic()->threshold, 5);
}
END_TEST

int main(void)
{
    const TTest *const irq[] = {requests_are_posted_and_not_injected,
                                level_requests_are_fresh_once,
                                halted_vcpu_wakes_for_what_was_posted_and_may_go_in,
                                emulated_end_of_interrupt_works_from_the_page,
                                nmi_is_still_injected,
                                ipi_that_the_cpu_does_not_send_is_sent,
                                written_registers_keep_their_reserved_and_read_only_bits,
                                software_disable_by_the_page_masks_the_lvt,
                                timer_mode_change_by_the_page_disarms,
                                apic_switched_off_gets_no_help,
                                mode_change_keeps_what_was_posted,
                                NULL};
    const TTest *const tpr[] = {priority_that_the_cpu_changed_counts,
                                threshold_is_found_again_at_the_end_of_an_interrupt, NULL};
    int failed = vt_main_setup("vlapic-assist-irq", setup_irq, irq);

    return vt_main_setup("vlapic-assist-tpr", setup_tpr, tpr) | failed;
}
