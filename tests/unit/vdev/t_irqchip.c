/* vIOAPIC, the 8259 pair, and how lines reach the vCPUs through both. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "vt.h"

#define IOA PLAT_IOAPIC_BASE

static u32 ioa_read(u8 reg)
{
    vt_write(IOA, 4, reg);
    return (u32)vt_read(IOA + 0x10, 4);
}

static void ioa_write(u8 reg, u32 val)
{
    vt_write(IOA, 4, reg);
    vt_write(IOA + 0x10, 4, val);
}

/* dest 8 bits in the upper half. */
static void rte(unsigned pin, u8 dest, u32 low)
{
    ioa_write((u8)(0x11 + 2 * pin), (u32)dest << 24);
    ioa_write((u8)(0x10 + 2 * pin), low);
}

static void eoi(unsigned id)
{
    vt_on(id);
    vt_apic_set(0xb0, 0);
}

static void gsi(u32 n, bool level)
{
    arch_vm_set_gsi(vt_vm, n, level);
}

/* The usual PC setup: vectors 0x30.., everything unmasked. */
static void pic_setup(u8 icw4)
{
    vt_out(0x20, 0x11);
    vt_out(0x21, 0x30);
    vt_out(0x21, 0x04);
    vt_out(0x21, icw4);
    vt_out(0xa0, 0x11);
    vt_out(0xa1, 0x38);
    vt_out(0xa1, 0x02);
    vt_out(0xa1, icw4);
    vt_out(0x21, 0);
    vt_out(0xa1, 0);
}

/* ---- vIOAPIC ---- */

START_TEST(identity_and_reset_state)
{
    ck_assert_uint_eq(ioa_read(0), 0);
    ck_assert_uint_eq(ioa_read(1), 0x00170020);
    ck_assert_uint_eq(ioa_read(2), 0);
    for (u8 r = 0x10; r < 0x40; r += 2) {
        ck_assert_uint_eq(ioa_read(r), 0x10000);
        ck_assert_uint_eq(ioa_read((u8)(r + 1)), 0);
    }
    ck_assert_uint_eq(ioa_read(0x40), 0xffffffff);
    ioa_write(0, 0xff000000);
    ck_assert_uint_eq(ioa_read(0), 0x0f000000);
    ck_assert_uint_eq(ioa_read(2), 0x0f000000);
}
END_TEST

START_TEST(entries_keep_defined_bits_and_take_bytes)
{
    rte(5, 0xab, 0xffffffff);
    ck_assert_uint_eq(ioa_read(0x1a), 0x0001afff);
    ck_assert_uint_eq(ioa_read(0x1b), 0xab000000);
    rte(5, 0, 0x10000);
    vt_write(IOA, 1, 0x1a);
    ck_assert_uint_eq(vt_read(IOA, 1), 0x1a);
    vt_write(IOA + 0x10, 1, 0x44);
    vt_write(IOA + 0x11, 1, 0x09);
    ck_assert_uint_eq(vt_read(IOA + 0x10, 4), 0x10944);
    ck_assert_uint_eq(vt_read(IOA + 0x11, 1), 0x09);
    ck_assert_uint_eq(vt_read(IOA + 0x12, 2), 0x0001);
    ck_assert_uint_eq(vt_read(IOA + 0x20, 4), 0xffffffff);
    ck_assert_uint_eq(vt_read(IOA + 0x10, 8), ~0ULL);
}
END_TEST

START_TEST(edge_entry_delivers_each_rise_once)
{
    vt_enable_apics();
    rte(5, 1, 0x45);
    gsi(5, true);
    ck_assert_int_eq(vt_enter(1), 0x45);
    eoi(1);
    gsi(5, true);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
    gsi(5, false);
    gsi(5, true);
    ck_assert_int_eq(vt_enter(1), 0x45);
    eoi(1);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
}
END_TEST

START_TEST(masked_edges_are_lost)
{
    vt_enable_apics();
    rte(5, 0, 0x10045);
    gsi(5, true);
    rte(5, 0, 0x45);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(level_entry_sets_remote_irr_and_repeats_until_the_line_falls)
{
    vt_enable_apics();
    rte(10, 0, 0x8000 | 0x55);
    gsi(10, true);
    ck_assert_uint_eq(ioa_read(0x24), 0xc055);
    ck_assert_int_eq(vt_enter(0), 0x55);
    ck_assert_uint_eq(vt_apic(0x1a0), 1u << (0x55 - 0x40));
    gsi(10, true);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    eoi(0);
    ck_assert_int_eq(vt_enter(0), 0x55);
    gsi(10, false);
    ck_assert_uint_eq(ioa_read(0x24), 0xc055);
    eoi(0);
    ck_assert_uint_eq(ioa_read(0x24), 0x8055);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(an_edge_request_clears_the_level_mark_of_its_vector)
{
    vt_enable_apics();
    rte(10, 0, 0x8055);
    gsi(10, true);
    ck_assert_int_eq(vt_enter(0), 0x55);
    gsi(10, false);
    eoi(0);
    ck_assert_uint_eq(vt_apic(0x1a0), 1u << (0x55 - 0x40));
    vt_apic_set(0x300, 0x40055);
    ck_assert_uint_eq(vt_apic(0x1a0), 0);
}
END_TEST

START_TEST(level_line_asserted_while_masked_fires_on_unmask)
{
    vt_enable_apics();
    rte(10, 0, 0x18055);
    gsi(10, true);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    rte(10, 0, 0x8055);
    ck_assert_int_eq(vt_enter(0), 0x55);
}
END_TEST

START_TEST(eoi_on_one_cpu_does_not_end_other_vectors)
{
    vt_enable_apics();
    rte(10, 0, 0x8055);
    rte(11, 0, 0x8066);
    gsi(10, true);
    gsi(11, true);
    ck_assert_int_eq(vt_enter(0), 0x66);
    eoi(0);
    ck_assert_uint_eq(ioa_read(0x24), 0xc055);
}
END_TEST

START_TEST(edge_trick_and_eoi_register_clear_remote_irr)
{
    vt_enable_apics();
    rte(10, 0, 0x8055);
    gsi(10, true);
    gsi(10, false);
    ck_assert_uint_eq(ioa_read(0x24), 0xc055);
    ioa_write(0x24, 0x10055);
    ioa_write(0x24, 0x18055);
    ck_assert_uint_eq(ioa_read(0x24), 0x18055);
    rte(11, 0, 0x8066);
    gsi(11, true);
    gsi(11, false);
    ck_assert_uint_eq(ioa_read(0x26), 0xc066);
    vt_write(IOA + 0x40, 4, 0x66);
    ck_assert_uint_eq(ioa_read(0x26), 0x8066);
}
END_TEST

START_TEST(level_entry_nobody_takes_does_not_wait_for_an_eoi)
{
    rte(10, 1, 0x8055); /* vCPU 1's APIC is still software-disabled */
    gsi(10, true);
    ck_assert_uint_eq(ioa_read(0x24), 0x8055);
    vt_enable_apics();
    ioa_write(0x24, 0x8055);
    ck_assert_int_eq(vt_enter(1), 0x55);
}
END_TEST

START_TEST(logical_lowest_priority_and_nmi_entries)
{
    vt_enable_apics();
    vt_on(1);
    vt_apic_set(0xd0, 0x02000000);
    vt_on(0);
    vt_apic_set(0xd0, 0x01000000);
    vt_apic_set(0x80, 0x20);
    rte(6, 0x03, 0x900 | 0x61); /* logical, lowest priority */
    gsi(6, true);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_int_eq(vt_enter(1), 0x61);
    rte(7, 1, 0x400);
    gsi(7, true);
    ck_assert_int_eq(vt_enter(1), VT_NMI);
}
END_TEST

START_TEST(isa_irq0_arrives_at_pin_2)
{
    vt_enable_apics();
    rte(2, 0, 0x22);
    gsi(0, true);
    ck_assert_int_eq(vt_enter(0), 0x22);
}
END_TEST

START_TEST(lines_outside_the_chip_are_ignored)
{
    gsi(24, true);
    gsi(0xffffffff, true);
}
END_TEST

/* ---- 8259 ---- */

START_TEST(imr_reads_back)
{
    vt_out(0x21, 0x5a);
    vt_out(0xa1, 0xa5);
    ck_assert_uint_eq(vt_in(0x21), 0x5a);
    ck_assert_uint_eq(vt_in(0xa1), 0xa5);
}
END_TEST

START_TEST(pic_interrupt_reaches_vcpu0_through_lint0)
{
    pic_setup(1);
    gsi(4, true);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
    ck_assert_int_eq(vt_enter(0), 0x34);
    vt_out(0x20, 0x0b);
    ck_assert_uint_eq(vt_in(0x20), 0x10);
    vt_out(0x20, 0x0a);
    ck_assert_uint_eq(vt_in(0x20), 0);
    vt_out(0x20, 0x20);
    vt_out(0x20, 0x0b);
    ck_assert_uint_eq(vt_in(0x20), 0);
}
END_TEST

START_TEST(masked_lint0_holds_the_pic_back)
{
    pic_setup(1);
    vt_apic_set(0x350, 0x10700);
    gsi(4, true);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    vt_apic_set(0x350, 0x700);
    ck_assert(arch_vcpu_wake_pending(vt_vcpu(0)));
    ck_assert_int_eq(vt_enter(0), 0x34);
}
END_TEST

START_TEST(disabled_apic_leaves_the_intr_pin)
{
    pic_setup(1);
    ck_assert(vt_wrmsr(MSR_APIC_BASE, 0xfee00000));
    gsi(4, true);
    ck_assert_int_eq(vt_enter(0), 0x34);
}
END_TEST

START_TEST(lint0_as_fixed_vector_and_nmi)
{
    vt_enable_apics();
    pic_setup(1);
    vt_apic_set(0x350, 0x77);
    gsi(4, true);
    ck_assert_int_eq(vt_enter(0), 0x77);
    gsi(4, false);
    vt_out(0x20, 0x0c); /* poll: takes the request off the output */
    ck_assert_uint_eq(vt_in(0x20), 0x84);
    vt_out(0x20, 0x20);
    vt_apic_set(0x350, 0x400);
    gsi(4, true);
    ck_assert_int_eq(vt_enter(0), VT_NMI);
}
END_TEST

START_TEST(slave_interrupt_uses_the_slaves_vector)
{
    pic_setup(1);
    gsi(12, true);
    ck_assert_int_eq(vt_enter(0), 0x3c);
    vt_out(0x20, 0x0b);
    vt_out(0xa0, 0x0b);
    ck_assert_uint_eq(vt_in(0x20), 0x04);
    ck_assert_uint_eq(vt_in(0xa0), 0x10);
    gsi(9, true); /* higher on the slave, but the master's cascade input is in service */
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_out(0xa0, 0x20);
    vt_out(0x20, 0x20);
    ck_assert_int_eq(vt_enter(0), 0x39);
}
END_TEST

START_TEST(priority_and_nesting)
{
    pic_setup(1);
    gsi(5, true);
    gsi(3, true);
    ck_assert_int_eq(vt_enter(0), 0x33);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    gsi(1, true);
    ck_assert_int_eq(vt_enter(0), 0x31);
    vt_out(0x20, 0x20);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_out(0x20, 0x63); /* specific EOI of 3 */
    ck_assert_int_eq(vt_enter(0), 0x35);
}
END_TEST

START_TEST(rotation)
{
    pic_setup(1);
    gsi(3, true);
    ck_assert_int_eq(vt_enter(0), 0x33);
    vt_out(0x20, 0xa0); /* rotate on non-specific EOI: 3 becomes the lowest */
    gsi(3, false);
    gsi(3, true);
    gsi(5, true);
    ck_assert_int_eq(vt_enter(0), 0x35);
    vt_out(0x20, 0xe5); /* rotate on specific EOI of 5 */
    ck_assert_int_eq(vt_enter(0), 0x33);
    vt_out(0x20, 0x20);
    vt_out(0x20, 0xc0); /* set priority: 0 lowest, 1 highest */
    gsi(0, true);
    gsi(1, true);
    ck_assert_int_eq(vt_enter(0), 0x31);
    vt_out(0x20, 0x20);
    ck_assert_int_eq(vt_enter(0), 0x30);
}
END_TEST

START_TEST(auto_eoi_leaves_nothing_in_service)
{
    pic_setup(3);
    gsi(3, true);
    ck_assert_int_eq(vt_enter(0), 0x33);
    vt_out(0x20, 0x0b);
    ck_assert_uint_eq(vt_in(0x20), 0);
    vt_out(0x20, 0x80); /* rotate in automatic EOI mode */
    gsi(4, true);
    ck_assert_int_eq(vt_enter(0), 0x34);
    gsi(3, false);
    gsi(3, true);
    gsi(4, false);
    gsi(4, true);
    gsi(5, true);
    ck_assert_int_eq(vt_enter(0), 0x35);
    vt_out(0x20, 0x00);
}
END_TEST

START_TEST(special_mask_mode_lets_lower_inputs_through)
{
    pic_setup(1);
    gsi(3, true);
    ck_assert_int_eq(vt_enter(0), 0x33);
    gsi(5, true);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_out(0x20, 0x68);
    vt_out(0x21, 0x08);
    ck_assert_int_eq(vt_enter(0), 0x35);
    vt_out(0x20, 0x20); /* non-specific EOI skips the masked bit 3 */
    vt_out(0x20, 0x0b);
    ck_assert_uint_eq(vt_in(0x20), 0x08);
    vt_out(0x20, 0x48);
}
END_TEST

START_TEST(special_fully_nested_mode_nests_the_slave)
{
    pic_setup(0x11);
    gsi(12, true);
    ck_assert_int_eq(vt_enter(0), 0x3c);
    gsi(9, true);
    ck_assert_int_eq(vt_enter(0), 0x39);
}
END_TEST

START_TEST(poll_command)
{
    pic_setup(1);
    vt_apic_set(0x350, 0x10000);
    vt_out(0x20, 0x0c);
    ck_assert_uint_eq(vt_in(0x20), 0);
    gsi(6, true);
    vt_out(0x20, 0x0c);
    ck_assert_uint_eq(vt_in(0x20), 0x86);
    vt_out(0x20, 0x0b);
    ck_assert_uint_eq(vt_in(0x20), 0x40);
}
END_TEST

START_TEST(level_inputs_by_elcr)
{
    pic_setup(1);
    vt_out(0x4d0, 0xff);
    vt_out(0x4d1, 0xff);
    ck_assert_uint_eq(vt_in(0x4d0), 0xf8);
    ck_assert_uint_eq(vt_in(0x4d1), 0xde);
    gsi(10, true);
    ck_assert_int_eq(vt_enter(0), 0x3a);
    vt_out(0xa0, 0x20);
    vt_out(0x20, 0x20);
    ck_assert_int_eq(vt_enter(0), 0x3a); /* still asserted */
    gsi(10, false);
    vt_out(0xa0, 0x20);
    vt_out(0x20, 0x20);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(an_asserted_line_requests_when_it_becomes_level_triggered)
{
    gsi(10, true);
    pic_setup(1);
    ck_assert_int_eq(vt_enter(0), VT_NONE); /* ICW1 forgot the edge */
    vt_out(0x4d1, 0x04);
    ck_assert_int_eq(vt_enter(0), 0x3a);
}
END_TEST

START_TEST(withdrawn_level_request_injects_nothing)
{
    pic_setup(1);
    vt_out(0x4d1, 0x04);
    gsi(10, true);
    gsi(10, false);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(icw1_resets_the_controller)
{
    pic_setup(1);
    vt_out(0x21, 0xff);
    gsi(4, true);
    vt_out(0x20, 0x11);
    ck_assert_uint_eq(vt_in(0x21), 0);
    vt_out(0x20, 0x0a);
    ck_assert_uint_eq(vt_in(0x20), 0);
}
END_TEST

START_TEST(lapic_interrupt_beats_extint_and_leaves_a_window)
{
    struct fake_vcpu *f = &fake_vcpus[vt_vcpu(0)->index];

    vt_enable_apics();
    pic_setup(1);
    gsi(4, true);
    vt_apic_set(0x300, 0x40055);
    ck_assert_int_eq(vt_enter(0), 0x55);
    ck_assert(f->irq_window);
    vcpu_request(vt_vcpu(0), VCPU_REQ_EVENT);
    ck_assert_int_eq(vt_enter(0), 0x34);
    ck_assert(!f->irq_window);
}
END_TEST

START_TEST(extint_through_vioapic_pin_0)
{
    vt_enable_apics();
    pic_setup(1);
    vt_apic_set(0x350, 0x10000);
    rte(0, 1, 0x700);
    gsi(4, true);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_int_eq(vt_enter(1), 0x34);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
}
END_TEST

START_TEST(reset_brings_everything_back)
{
    vt_enable_apics();
    pic_setup(1);
    rte(10, 0, 0x8055);
    gsi(10, true);
    arch_vcpu_set_tsc_offset(vt_vcpu(1), 1234);
    arch_vm_reset(vt_vm);
    ck_assert_uint_eq(arch_vcpu_tsc_offset(vt_vcpu(1)), 0);
    ck_assert_uint_eq(vt_msr_resets[vt_vcpu(1)->index], 2);
    ck_assert_uint_eq(ioa_read(0x24), 0x10000);
    ck_assert_uint_eq(vt_in(0x21), 0xfb);
    ck_assert_uint_eq(vt_in(0xa1), 0xff);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

static char dump[8192];
static size_t dump_len;

static void PRINTF(1, 2) collect(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    dump_len += (size_t)vsnprintf(dump + dump_len, sizeof(dump) - dump_len, fmt, ap);
    va_end(ap);
}

START_TEST(dumps_name_the_state)
{
    vt_enable_apics();
    rte(10, 1, 0x8055);
    gsi(10, true);
    dump_len = 0;
    arch_dump_vioapic(vt_vm, collect);
    ck_assert_ptr_nonnull(strstr(dump, " 10  P01  0    0x55   level    open remote-irr asserted"));
    dump_len = 0;
    vt_vcpu(1)->regs->gpr[GPR_R9] = 0x123456789abcdef0;
    arch_dump_vcpu(vt_vcpu(1), collect);
    ck_assert_ptr_nonnull(strstr(dump, "r9  123456789abcdef0"));
    ck_assert_ptr_nonnull(strstr(dump, "vLAPIC xAPIC"));
    ck_assert_ptr_nonnull(strstr(dump, "a vcpu 1 on cpu 2: running"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {identity_and_reset_state,
                                  entries_keep_defined_bits_and_take_bytes,
                                  edge_entry_delivers_each_rise_once,
                                  masked_edges_are_lost,
                                  level_entry_sets_remote_irr_and_repeats_until_the_line_falls,
                                  an_edge_request_clears_the_level_mark_of_its_vector,
                                  level_line_asserted_while_masked_fires_on_unmask,
                                  eoi_on_one_cpu_does_not_end_other_vectors,
                                  edge_trick_and_eoi_register_clear_remote_irr,
                                  level_entry_nobody_takes_does_not_wait_for_an_eoi,
                                  logical_lowest_priority_and_nmi_entries,
                                  isa_irq0_arrives_at_pin_2,
                                  lines_outside_the_chip_are_ignored,
                                  imr_reads_back,
                                  pic_interrupt_reaches_vcpu0_through_lint0,
                                  masked_lint0_holds_the_pic_back,
                                  disabled_apic_leaves_the_intr_pin,
                                  lint0_as_fixed_vector_and_nmi,
                                  slave_interrupt_uses_the_slaves_vector,
                                  priority_and_nesting,
                                  rotation,
                                  auto_eoi_leaves_nothing_in_service,
                                  special_mask_mode_lets_lower_inputs_through,
                                  special_fully_nested_mode_nests_the_slave,
                                  poll_command,
                                  level_inputs_by_elcr,
                                  an_asserted_line_requests_when_it_becomes_level_triggered,
                                  withdrawn_level_request_injects_nothing,
                                  icw1_resets_the_controller,
                                  lapic_interrupt_beats_extint_and_leaves_a_window,
                                  extint_through_vioapic_pin_0,
                                  reset_brings_everything_back,
                                  dumps_name_the_state,
                                  NULL};

    return vt_main("interrupt controllers", tests);
}
