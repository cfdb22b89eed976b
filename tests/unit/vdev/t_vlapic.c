/* Local APIC registers, modes, priorities, EOI, errors. */
#include "vt.h"

#define X2(reg) (0x800 + (reg))

static void to_x2(unsigned id)
{
    vt_on(id);
    ck_assert(vt_wrmsr(MSR_APIC_BASE, vt_rdmsr(MSR_APIC_BASE) | 0x400));
}

/* Puts a vector into the current vCPU's IRR through a self IPI. */
static void self_ipi(u8 vec)
{
    vt_apic_set(0x300, 0x40000 | vec);
}

START_TEST(reset_values_are_those_of_the_manual)
{
    vt_on(1);
    ck_assert_uint_eq(vt_apic(0x20), 1u << 24);
    ck_assert_uint_eq(vt_apic(0x30), 0x00050014);
    ck_assert_uint_eq(vt_apic(0x80), 0);
    ck_assert_uint_eq(vt_apic(0xd0), 0);
    ck_assert_uint_eq(vt_apic(0xe0), 0xffffffff);
    ck_assert_uint_eq(vt_apic(0xf0), 0xff);
    for (u32 off = 0x320; off <= 0x370; off += 0x10)
        ck_assert_uint_eq(vt_apic(off), 0x10000);
    ck_assert_uint_eq(vt_apic(0x380), 0);
    ck_assert_uint_eq(vt_apic(0x390), 0);
    ck_assert_uint_eq(vt_apic(0x3e0), 0);
    ck_assert_uint_eq(vt_rdmsr(MSR_APIC_BASE), 0xfee00800);
    vt_on(0);
    ck_assert_uint_eq(vt_rdmsr(MSR_APIC_BASE), 0xfee00900);
}
END_TEST

START_TEST(boot_cpu_starts_in_virtual_wire_mode)
{
    ck_assert_uint_eq(vt_apic(0xf0), 0x1ff);
    ck_assert_uint_eq(vt_apic(0x350), 0x700);
    ck_assert_uint_eq(vt_apic(0x360), 0x400);
}
END_TEST

START_TEST(each_vcpu_sees_its_own_apic)
{
    vt_apic_set(0x80, 0x30);
    vt_on(1);
    ck_assert_uint_eq(vt_apic(0x80), 0);
    vt_apic_set(0x80, 0x50);
    vt_on(0);
    ck_assert_uint_eq(vt_apic(0x80), 0x30);
}
END_TEST

START_TEST(id_version_and_bitmaps_cannot_be_written)
{
    vt_apic_set(0x20, 0x55000000);
    vt_apic_set(0x30, 0);
    vt_apic_set(0x100, 0xffffffff);
    vt_apic_set(0x200, 0xffffffff);
    ck_assert_uint_eq(vt_apic(0x20), 0);
    ck_assert_uint_eq(vt_apic(0x30), 0x00050014);
    ck_assert_uint_eq(vt_apic(0x100), 0);
    ck_assert_uint_eq(vt_apic(0x200), 0);
}
END_TEST

START_TEST(narrow_reads_give_the_bytes_and_odd_writes_are_dropped)
{
    ck_assert_uint_eq(vt_read(PLAT_LAPIC_BASE + 0x30, 1), 0x14);
    ck_assert_uint_eq(vt_read(PLAT_LAPIC_BASE + 0x32, 2), 0x0005);
    ck_assert_uint_eq(vt_read(PLAT_LAPIC_BASE + 0x34, 4), 0);
    ck_assert_uint_eq(vt_read(PLAT_LAPIC_BASE + 0x30, 8), 0x00050014);
    vt_write(PLAT_LAPIC_BASE + 0x80, 1, 0x20);
    vt_write(PLAT_LAPIC_BASE + 0x84, 4, 0x20);
    ck_assert_uint_eq(vt_apic(0x80), 0);
}
END_TEST

START_TEST(unknown_registers_set_the_illegal_register_error)
{
    ck_assert_uint_eq(vt_apic(0x40), 0);
    vt_apic_set(0x280, 0);
    ck_assert_uint_eq(vt_apic(0x280), 0x80);
    vt_apic_set(0x280, 0);
    ck_assert_uint_eq(vt_apic(0x280), 0);
    vt_apic_set(0x390, 1); /* current count is read-only */
    vt_apic_set(0x280, 0);
    ck_assert_uint_eq(vt_apic(0x280), 0x80);
    ck_assert_uint_eq(vt_apic(0xff0), 0);
}
END_TEST

START_TEST(interrupt_goes_irr_isr_eoi)
{
    vt_enable_apics();
    self_ipi(0x61);
    ck_assert_uint_eq(vt_apic(0x230), 0x2);
    ck_assert_int_eq(vt_enter(0), 0x61);
    ck_assert_uint_eq(vt_apic(0x230), 0);
    ck_assert_uint_eq(vt_apic(0x130), 0x2);
    ck_assert_uint_eq(vt_apic(0xa0), 0x60);
    vt_apic_set(0xb0, 0);
    ck_assert_uint_eq(vt_apic(0x130), 0);
    ck_assert_uint_eq(vt_apic(0xa0), 0);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(higher_class_preempts_and_equal_class_waits_for_eoi)
{
    vt_enable_apics();
    self_ipi(0x61);
    ck_assert_int_eq(vt_enter(0), 0x61);
    self_ipi(0x6f);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    self_ipi(0x82);
    ck_assert_int_eq(vt_enter(0), 0x82);
    ck_assert_uint_eq(vt_apic(0xa0), 0x80);
    vt_apic_set(0xb0, 0);
    ck_assert_uint_eq(vt_apic(0xa0), 0x60);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_apic_set(0xb0, 0);
    ck_assert_int_eq(vt_enter(0), 0x6f);
    vt_apic_set(0xb0, 0);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(pending_vectors_come_highest_first)
{
    static const u8 vecs[] = {0x31, 0xfe, 0x10, 0x7f, 0x80, 0x20};
    static const u8 order[] = {0xfe, 0x80, 0x7f, 0x31, 0x20, 0x10};

    vt_enable_apics();
    for (unsigned i = 0; i < sizeof(vecs); i++)
        self_ipi(vecs[i]);
    for (unsigned i = 0; i < sizeof(order); i++) {
        ck_assert_int_eq(vt_enter(0), order[i]);
        vt_apic_set(0xb0, 0);
    }
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(every_legal_vector_is_delivered)
{
    vt_enable_apics();
    for (unsigned vec = 16; vec < 256; vec++) {
        self_ipi((u8)vec);
        ck_assert_int_eq(vt_enter(0), (int)vec);
        ck_assert_uint_eq(vt_apic(0x100 + vec / 32 * 16), 1u << (vec & 31));
        vt_apic_set(0xb0, 0);
    }
}
END_TEST

START_TEST(tpr_holds_back_and_lowering_it_lets_through)
{
    vt_enable_apics();
    vt_apic_set(0x80, 0x60);
    ck_assert_uint_eq(vt_apic(0xa0), 0x60);
    self_ipi(0x65);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    self_ipi(0x71);
    ck_assert_int_eq(vt_enter(0), 0x71);
    vt_apic_set(0xb0, 0);
    vt_apic_set(0x80, 0x5f);
    ck_assert_int_eq(vt_enter(0), 0x65);
    ck_assert_uint_eq(vt_apic(0xa0), 0x60);
}
END_TEST

START_TEST(ppr_takes_the_subclass_from_tpr_only)
{
    vt_enable_apics();
    vt_apic_set(0x80, 0x6b);
    self_ipi(0x75);
    ck_assert_uint_eq(vt_apic(0xa0), 0x6b);
    ck_assert_int_eq(vt_enter(0), 0x75);
    ck_assert_uint_eq(vt_apic(0xa0), 0x70);
    vt_apic_set(0x80, 0x7c);
    ck_assert_uint_eq(vt_apic(0xa0), 0x7c);
}
END_TEST

START_TEST(apr_follows_the_arbitration_formula)
{
    vt_enable_apics();
    vt_apic_set(0x80, 0x5a);
    ck_assert_uint_eq(vt_apic(0x90), 0x5a);
    vt_if(0, false);
    self_ipi(0x71);
    ck_assert_uint_eq(vt_apic(0x90), 0x70);
}
END_TEST

START_TEST(cr8_is_the_upper_half_of_tpr)
{
    vt_enable_apics();
    vlapic_set_cr8(vt_vcpu(0), 9);
    ck_assert_uint_eq(vt_apic(0x80), 0x90);
    vt_apic_set(0x80, 0x47);
    ck_assert_uint_eq(vlapic_get_cr8(vt_vcpu(0)), 4);
    self_ipi(0x41);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vlapic_set_cr8(vt_vcpu(0), 3);
    ck_assert_int_eq(vt_enter(0), 0x41);
}
END_TEST

START_TEST(closed_interrupt_flag_opens_a_window_and_delivers_later)
{
    struct fake_vcpu *f = &fake_vcpus[vt_vcpu(0)->index];

    vt_enable_apics();
    vt_if(0, false);
    self_ipi(0x40);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert(f->irq_window);
    vt_if(0, true);
    vcpu_request(vt_vcpu(0), VCPU_REQ_EVENT);
    ck_assert_int_eq(vt_enter(0), 0x40);
    ck_assert(!f->irq_window);
}
END_TEST

START_TEST(nmi_comes_before_interrupts_and_keeps_a_window_for_them)
{
    struct fake_vcpu *f = &fake_vcpus[vt_vcpu(0)->index];

    vt_enable_apics();
    self_ipi(0x40);
    vcpu_request(vt_vcpu(0), VCPU_REQ_NMI);
    ck_assert_int_eq(vt_enter(0), VT_NMI);
    ck_assert(f->irq_window);
    vcpu_request(vt_vcpu(0), VCPU_REQ_EVENT);
    ck_assert_int_eq(vt_enter(0), 0x40);
}
END_TEST

START_TEST(blocked_nmi_waits_for_its_window)
{
    struct fake_vcpu *f = &fake_vcpus[vt_vcpu(0)->index];

    f->nmi_blocked = true;
    vcpu_request(vt_vcpu(0), VCPU_REQ_NMI);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert(f->nmi_window);
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    f->nmi_blocked = false;
    ck_assert(arch_vcpu_wake_pending(vt_vcpu(0)));
    vcpu_request(vt_vcpu(0), VCPU_REQ_EVENT);
    ck_assert_int_eq(vt_enter(0), VT_NMI);
    ck_assert(!f->nmi_window);
    f->nmi_blocked = false;
    vcpu_request(vt_vcpu(0), VCPU_REQ_EVENT);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(halt_wakes_only_for_what_could_be_delivered)
{
    vt_enable_apics();
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    vt_apic_set(0x80, 0x50);
    self_ipi(0x45);
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    self_ipi(0x61);
    ck_assert(arch_vcpu_wake_pending(vt_vcpu(0)));
    vt_if(0, false);
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    /* An interrupt that is masked in the flags alone ends the idle states beyond HLT. */
    vt_vcpu(0)->doze = true;
    ck_assert(arch_vcpu_wake_pending(vt_vcpu(0)));
    vt_apic_set(0x80, 0x60);
    ck_assert(!arch_vcpu_wake_pending(vt_vcpu(0)));
    vt_vcpu(0)->doze = false;
    vcpu_request(vt_vcpu(0), VCPU_REQ_NMI);
    ck_assert(arch_vcpu_wake_pending(vt_vcpu(0)));
}
END_TEST

START_TEST(software_disable_masks_lvt_and_refuses_fixed)
{
    vt_enable_apics();
    vt_apic_set(0x320, 0x20030);
    vt_apic_set(0x370, 0x31);
    vt_apic_set(0xf0, 0xff);
    ck_assert_uint_eq(vt_apic(0x320), 0x30030);
    ck_assert_uint_eq(vt_apic(0x370), 0x10031);
    vt_apic_set(0x370, 0x31);
    ck_assert_uint_eq(vt_apic(0x370), 0x10031);
    self_ipi(0x40);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_apic_set(0xf0, 0x1ff);
    vt_apic_set(0x370, 0x31);
    ck_assert_uint_eq(vt_apic(0x370), 0x31);
}
END_TEST

START_TEST(lvt_keeps_only_defined_bits)
{
    static const struct {
        u32 off, mask;
    } lvt[] = {{0x320, 0x700ff}, {0x330, 0x107ff}, {0x340, 0x107ff},
               {0x350, 0x1a7ff}, {0x360, 0x1a7ff}, {0x370, 0x100ff}};

    vt_enable_apics();
    for (unsigned i = 0; i < ARRAY_SIZE(lvt); i++) {
        vt_apic_set(lvt[i].off, 0xffffffff);
        ck_assert_uint_eq(vt_apic(lvt[i].off), lvt[i].mask);
    }
}
END_TEST

START_TEST(error_interrupt_comes_once_per_new_error)
{
    vt_enable_apics();
    vt_apic_set(0x370, 0x33);
    vt_apic_set(0x300, 0x40005); /* self IPI with vector 5 */
    ck_assert_int_eq(vt_enter(0), 0x33);
    vt_apic_set(0xb0, 0);
    vt_apic_set(0x300, 0x40005);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    vt_apic_set(0x280, 0);
    ck_assert_uint_eq(vt_apic(0x280), 0x60);
    vt_apic_set(0x300, 0x40005);
    ck_assert_int_eq(vt_enter(0), 0x33);
}
END_TEST

START_TEST(x2apic_transitions_follow_the_state_diagram)
{
    u64 base = vt_rdmsr(MSR_APIC_BASE);

    ck_assert(vt_rdmsr_gp(0x802));
    ck_assert(!vt_wrmsr(MSR_APIC_BASE, (base & ~0xc00ULL) | 0x400)); /* EXTD without EN */
    ck_assert(!vt_wrmsr(MSR_APIC_BASE, base | 1));                   /* reserved */
    ck_assert(!vt_wrmsr(MSR_APIC_BASE, base + 0x1000));              /* no other base */
    ck_assert(vt_wrmsr(MSR_APIC_BASE, base | 0x400));
    ck_assert_uint_eq(vt_rdmsr(MSR_APIC_BASE), base | 0x400);
    ck_assert(!vt_wrmsr(MSR_APIC_BASE, base)); /* back to xAPIC */
    ck_assert_uint_eq(vt_read(PLAT_LAPIC_BASE + 0x20, 4), 0xffffffff);
    ck_assert(vt_wrmsr(MSR_APIC_BASE, base & ~0xc00ULL));
    ck_assert(!vlapic_enabled(vt_vcpu(0)));
    ck_assert(!vt_wrmsr(MSR_APIC_BASE, base | 0x400)); /* from disabled only to xAPIC */
    ck_assert(vt_wrmsr(MSR_APIC_BASE, base));
    ck_assert(vlapic_enabled(vt_vcpu(0)));
    ck_assert_uint_eq(vt_apic(0xf0), 0xff);
}
END_TEST

START_TEST(x2apic_keeps_state_and_derives_ldr)
{
    vt_on(1);
    vt_apic_set(0xf0, 0x1ff);
    vt_apic_set(0x80, 0x20);
    vt_apic_set(0x380, 0);
    to_x2(1);
    ck_assert_uint_eq(vt_rdmsr(0x802), 1);
    ck_assert_uint_eq(vt_rdmsr(0x80d), 2);
    ck_assert_uint_eq(vt_rdmsr(0x80f), 0x1ff);
    ck_assert_uint_eq(vt_rdmsr(0x808), 0x20);
    ck_assert_uint_eq(vt_rdmsr(0x803), 0x00050014);
}
END_TEST

START_TEST(x2apic_faults_on_what_does_not_exist)
{
    static const u16 no_read[] = {0x800, 0x801, 0x804, 0x809, 0x80b, 0x80c, 0x80e,
                                  0x829, 0x82f, 0x831, 0x83a, 0x83f, 0x840, 0x8ff};
    static const u16 no_write[] = {0x800, 0x802, 0x803, 0x80a, 0x80d, 0x80e, 0x810,
                                   0x818, 0x820, 0x82f, 0x831, 0x839, 0x840, 0x8ff};

    to_x2(0);
    for (unsigned i = 0; i < ARRAY_SIZE(no_read); i++)
        ck_assert_msg(vt_rdmsr_gp(no_read[i]), "%x", no_read[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(no_write); i++)
        ck_assert_msg(!vt_wrmsr(no_write[i], 0), "%x", no_write[i]);
    ck_assert(!vt_wrmsr(0x80b, 1));
    ck_assert(!vt_wrmsr(0x828, 1));
    ck_assert(!vt_wrmsr(0x808, 0x100));
    ck_assert(!vt_wrmsr(0x80f, 0x1000));
    ck_assert(!vt_wrmsr(0x83f, 0x100));
    ck_assert(!vt_wrmsr(0x830, 0x100000));
    ck_assert(!vt_wrmsr(0x832, 1ULL << 32));
    ck_assert(!vt_wrmsr(0x832, 0x100));
    ck_assert(!vt_wrmsr(0x83e, 0x4));
    ck_assert(vt_wrmsr(0x832, 0x31030));
}
END_TEST

START_TEST(x2apic_self_ipi_and_eoi)
{
    to_x2(0);
    ck_assert(vt_wrmsr(0x83f, 0x91));
    ck_assert_uint_eq(vt_rdmsr(X2(0x24)), 1u << 17);
    ck_assert_int_eq(vt_enter(0), 0x91);
    ck_assert_uint_eq(vt_rdmsr(X2(0x14)), 1u << 17);
    ck_assert_uint_eq(vt_rdmsr(0x80a), 0x90);
    ck_assert(vt_wrmsr(0x80b, 0));
    ck_assert_uint_eq(vt_rdmsr(X2(0x14)), 0);
    ck_assert(vt_wrmsr(0x83f, 0x0f));
    ck_assert(vt_wrmsr(0x828, 0));
    ck_assert_uint_eq(vt_rdmsr(0x828), 0x60);
}
END_TEST

START_TEST(init_keeps_the_mode_and_clears_the_rest)
{
    vt_on(1);
    vt_apic_set(0xf0, 0x1ff);
    to_x2(1);
    vt_wrmsr(0x83f, 0x91);
    vt_wrmsr(0x808, 0x20);
    arch_vcpu_init_ipi(vt_vcpu(1));
    ck_assert_uint_eq(vt_rdmsr(MSR_APIC_BASE), 0xfee00c00);
    ck_assert_uint_eq(vt_rdmsr(0x802), 1);
    ck_assert_uint_eq(vt_rdmsr(0x80d), 2);
    ck_assert_uint_eq(vt_rdmsr(0x808), 0);
    ck_assert_uint_eq(vt_rdmsr(0x80f), 0xff);
    ck_assert_uint_eq(vt_rdmsr(X2(0x24)), 0);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
}
END_TEST

START_TEST(eoi_without_service_does_nothing)
{
    vt_enable_apics();
    vt_apic_set(0xb0, 0);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_uint_eq(vt_apic(0xa0), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {reset_values_are_those_of_the_manual,
                                  boot_cpu_starts_in_virtual_wire_mode,
                                  each_vcpu_sees_its_own_apic,
                                  id_version_and_bitmaps_cannot_be_written,
                                  narrow_reads_give_the_bytes_and_odd_writes_are_dropped,
                                  unknown_registers_set_the_illegal_register_error,
                                  interrupt_goes_irr_isr_eoi,
                                  higher_class_preempts_and_equal_class_waits_for_eoi,
                                  pending_vectors_come_highest_first,
                                  every_legal_vector_is_delivered,
                                  tpr_holds_back_and_lowering_it_lets_through,
                                  ppr_takes_the_subclass_from_tpr_only,
                                  apr_follows_the_arbitration_formula,
                                  cr8_is_the_upper_half_of_tpr,
                                  closed_interrupt_flag_opens_a_window_and_delivers_later,
                                  nmi_comes_before_interrupts_and_keeps_a_window_for_them,
                                  blocked_nmi_waits_for_its_window,
                                  halt_wakes_only_for_what_could_be_delivered,
                                  software_disable_masks_lvt_and_refuses_fixed,
                                  lvt_keeps_only_defined_bits,
                                  error_interrupt_comes_once_per_new_error,
                                  x2apic_transitions_follow_the_state_diagram,
                                  x2apic_keeps_state_and_derives_ldr,
                                  x2apic_faults_on_what_does_not_exist,
                                  x2apic_self_ipi_and_eoi,
                                  init_keeps_the_mode_and_clears_the_rest,
                                  eoi_without_service_does_nothing,
                                  NULL};

    return vt_main("vlapic", tests);
}
