/* Interrupt messages between vCPUs: delivery modes, destinations, shorthands, lowest priority, MSI. */
#include "vt.h"

#define NMI_MODE  0x400
#define INIT_MODE 0x500
#define SIPI_MODE 0x600
#define LOGICAL   0x800
#define SH_SELF   0x40000
#define SH_ALL    0x80000
#define SH_OTHERS 0xc0000

static void ipi(u8 dest, u32 low)
{
    vt_apic_set(0x310, (u32)dest << 24);
    vt_apic_set(0x300, low);
}

/* What both vCPUs get, as a pair. */
static void expect(int on0, int on1)
{
    ck_assert_int_eq(vt_enter(0), on0);
    ck_assert_int_eq(vt_enter(1), on1);
    for (unsigned id = 2; id-- > 0;) {
        vt_on(id);
        vt_apic_set(0xb0, 0);
    }
}

static void logical_setup(u32 dfr, u8 ldr0, u8 ldr1)
{
    vt_enable_apics();
    vt_on(1);
    vt_apic_set(0xe0, dfr);
    vt_apic_set(0xd0, (u32)ldr1 << 24);
    vt_on(0);
    vt_apic_set(0xe0, dfr);
    vt_apic_set(0xd0, (u32)ldr0 << 24);
}

static void both_x2(void)
{
    vt_enable_apics();
    for (unsigned id = 2; id-- > 0;) {
        vt_on(id);
        ck_assert(vt_wrmsr(MSR_APIC_BASE, vt_rdmsr(MSR_APIC_BASE) | 0x400));
    }
}

START_TEST(physical_destination_names_one_vcpu)
{
    vt_enable_apics();
    ipi(1, 0x55);
    expect(VT_NONE, 0x55);
    ipi(0, 0x56);
    expect(0x56, VT_NONE);
    ipi(2, 0x57);
    expect(VT_NONE, VT_NONE);
}
END_TEST

START_TEST(physical_broadcast_reaches_all_including_self)
{
    vt_enable_apics();
    ipi(0xff, 0x58);
    expect(0x58, 0x58);
}
END_TEST

START_TEST(icr_reads_back_without_pending_bit)
{
    vt_enable_apics();
    vt_apic_set(0x310, 0x01ffffff);
    ck_assert_uint_eq(vt_apic(0x310), 0x01000000);
    vt_apic_set(0x300, 0xffffd858); /* reserved bits and the pending bit set */
    ck_assert_uint_eq(vt_apic(0x300), 0x000cc858);
}
END_TEST

START_TEST(sending_kicks_the_other_cpu_and_not_this_one)
{
    u32 k0, k1;

    vt_enable_apics();
    k0 = fake_kicks[vt_vcpu(0)->pcpu];
    k1 = fake_kicks[vt_vcpu(1)->pcpu];
    ipi(0, 0x55);
    ck_assert_uint_eq(fake_kicks[vt_vcpu(0)->pcpu], k0);
    ipi(1, 0x55);
    ck_assert_uint_eq(fake_kicks[vt_vcpu(1)->pcpu], k1 + 1);
}
END_TEST

START_TEST(shorthands)
{
    vt_enable_apics();
    ipi(0, SH_SELF | 0x60);
    expect(0x60, VT_NONE);
    ipi(0, SH_ALL | 0x61);
    expect(0x61, 0x61);
    ipi(0, SH_OTHERS | 0x62);
    expect(VT_NONE, 0x62);
}
END_TEST

START_TEST(flat_logical_destination_is_a_bit_set)
{
    logical_setup(0xffffffff, 0x01, 0x02);
    ipi(0x01, LOGICAL | 0x70);
    expect(0x70, VT_NONE);
    ipi(0x02, LOGICAL | 0x71);
    expect(VT_NONE, 0x71);
    ipi(0x03, LOGICAL | 0x72);
    expect(0x72, 0x72);
    ipi(0xfc, LOGICAL | 0x73);
    expect(VT_NONE, VT_NONE);
    ipi(0xff, LOGICAL | 0x74);
    expect(0x74, 0x74);
}
END_TEST

START_TEST(cluster_logical_destination_is_cluster_and_set)
{
    logical_setup(0x0fffffff, 0x12, 0x21);
    ipi(0x13, LOGICAL | 0x70);
    expect(0x70, VT_NONE);
    ipi(0x2f, LOGICAL | 0x71);
    expect(VT_NONE, 0x71);
    ipi(0x11, LOGICAL | 0x72);
    expect(VT_NONE, VT_NONE);
    ipi(0xff, LOGICAL | 0x73);
    expect(0x73, 0x73);
}
END_TEST

START_TEST(lowest_priority_goes_to_one_with_the_lowest_ppr)
{
    logical_setup(0xffffffff, 0x01, 0x02);
    ipi(0x03, LOGICAL | 0x100 | 0x90);
    expect(0x90, VT_NONE);
    vt_apic_set(0x80, 0x20);
    ipi(0x03, LOGICAL | 0x100 | 0x91);
    expect(VT_NONE, 0x91);
    vt_on(1);
    vt_apic_set(0x80, 0x30);
    vt_on(0);
    ipi(0x03, LOGICAL | 0x100 | 0x92);
    expect(0x92, VT_NONE);
    vt_apic_set(0xf0, 0xff); /* software-disabled: not a candidate */
    vt_apic_set(0x310, 0x03000000);
    vt_apic_set(0x300, LOGICAL | 0x100 | 0x93);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_int_eq(vt_enter(1), 0x93);
}
END_TEST

START_TEST(nmi_init_and_startup)
{
    vt_enable_apics();
    ipi(1, NMI_MODE);
    ck_assert_int_eq(vt_enter(1), VT_NMI);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ipi(1, INIT_MODE | 0x4000);
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 1);
    ipi(1, INIT_MODE | 0x8000); /* level de-assert: ignored */
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 1);
    ipi(1, INIT_MODE | 0xc000); /* level assert */
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 2);
    ipi(1, SIPI_MODE | 0x9a);
    ck_assert_uint_eq(vt_sipis[vt_vcpu(1)->index], 1);
    ck_assert_uint_eq(vt_sipi_vector, 0x9a);
    ipi(0, SH_OTHERS | INIT_MODE | 0x4000);
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 3);
    ck_assert_uint_eq(vt_inits[vt_vcpu(0)->index], 0);
}
END_TEST

START_TEST(no_message_leaves_the_vm)
{
    vt_enable_apics();
    ipi(0xff, INIT_MODE | 0x4000);
    ipi(0xff, NMI_MODE);
    ipi(0, SH_OTHERS | SIPI_MODE | 1);
    for (unsigned dest = 2; dest < 255; dest++)
        ipi((u8)dest, 0x50);
    for (unsigned i = 2; i < CFG_VCPUS; i++) {
        ck_assert_uint_eq(vcpus[i].requests, 0);
        ck_assert_uint_eq(vt_inits[i], 0);
        ck_assert_uint_eq(vt_sipis[i], 0);
    }
}
END_TEST

START_TEST(smi_remote_read_and_extint_ipis_do_nothing)
{
    vt_enable_apics();
    vt_vcpu(0)->requests = vt_vcpu(1)->requests = 0;
    ipi(1, 0x200);
    ipi(1, 0x300);
    ipi(1, 0x700);
    ipi(0, SH_ALL | NMI_MODE);
    ipi(0, SH_SELF | NMI_MODE);
    ck_assert_uint_eq(vt_vcpu(1)->requests, 0);
    ck_assert_uint_eq(vt_vcpu(0)->requests, 0);
}
END_TEST

START_TEST(illegal_vectors_are_errors_at_the_sender)
{
    vt_enable_apics();
    ipi(1, 0x0f);
    vt_apic_set(0x280, 0);
    ck_assert_uint_eq(vt_apic(0x280), 0x20);
    expect(VT_NONE, VT_NONE);
}
END_TEST

START_TEST(software_disabled_apic_takes_init_sipi_nmi_but_no_vectors)
{
    ipi(1, 0x55);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
    ipi(1, NMI_MODE);
    ck_assert_int_eq(vt_enter(1), VT_NMI);
    ipi(1, INIT_MODE | 0x4000);
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 1);
}
END_TEST

START_TEST(globally_disabled_apic_takes_nothing)
{
    vt_enable_apics();
    vt_on(1);
    ck_assert(vt_wrmsr(MSR_APIC_BASE, 0xfee00000));
    vt_on(0);
    vt_vcpu(1)->requests = 0;
    ipi(1, 0x55);
    ipi(1, NMI_MODE);
    ipi(1, INIT_MODE | 0x4000);
    ck_assert_uint_eq(vt_vcpu(1)->requests, 0);
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 0);
}
END_TEST

START_TEST(x2apic_physical_and_broadcast)
{
    both_x2();
    ck_assert(vt_wrmsr(0x830, 1ULL << 32 | 0x55));
    ck_assert_uint_eq(vt_rdmsr(0x830), 1ULL << 32 | 0x55);
    ck_assert_int_eq(vt_enter(1), 0x55);
    ck_assert(vt_wrmsr(0x830, 0xffULL << 32 | 0x66)); /* not a broadcast in x2APIC mode */
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert(vt_wrmsr(0x830, 0xffffffffULL << 32 | 0x67));
    ck_assert_int_eq(vt_enter(0), 0x67);
    ck_assert_int_eq(vt_enter(1), 0x67);
}
END_TEST

START_TEST(x2apic_logical_is_cluster_and_set)
{
    both_x2();
    ck_assert(vt_wrmsr(0x830, 2ULL << 32 | LOGICAL | 0x55));
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_int_eq(vt_enter(1), 0x55);
    ck_assert(vt_wrmsr(0x830, 3ULL << 32 | LOGICAL | 0x66));
    ck_assert_int_eq(vt_enter(0), 0x66);
    ck_assert_int_eq(vt_enter(1), 0x66);
    ck_assert(vt_wrmsr(0x830, 0x10003ULL << 32 | LOGICAL | 0x77));
    ck_assert_int_eq(vt_enter(0), VT_NONE);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
}
END_TEST

START_TEST(x2apic_init_sipi_nmi)
{
    both_x2();
    ck_assert(vt_wrmsr(0x830, 1ULL << 32 | INIT_MODE | 0x4000));
    ck_assert(vt_wrmsr(0x830, 1ULL << 32 | SIPI_MODE | 0x10));
    ck_assert(vt_wrmsr(0x830, 1ULL << 32 | NMI_MODE));
    ck_assert_uint_eq(vt_inits[vt_vcpu(1)->index], 1);
    ck_assert_uint_eq(vt_sipi_vector, 0x10);
    ck_assert_int_eq(vt_enter(1), VT_NMI);
}
END_TEST

START_TEST(mixed_modes_reach_each_other_physically)
{
    vt_enable_apics();
    vt_on(1);
    ck_assert(vt_wrmsr(MSR_APIC_BASE, vt_rdmsr(MSR_APIC_BASE) | 0x400));
    vt_on(0);
    ipi(1, 0x55);
    ck_assert_int_eq(vt_enter(1), 0x55);
    vt_on(1);
    ck_assert(vt_wrmsr(0x830, 0x66));
    ck_assert_int_eq(vt_enter(0), 0x66);
}
END_TEST

START_TEST(msi_physical_logical_and_lowest_priority)
{
    logical_setup(0xffffffff, 0x01, 0x02);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfee01000, 0x45), 0);
    expect(VT_NONE, 0x45);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfee01004, 0x46), 0);
    expect(0x46, VT_NONE);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfee03004, 0x47), 0);
    expect(0x47, 0x47);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfee0300c, 0x48), 0);
    expect(0x48, VT_NONE);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfee01000, 0x400), 0);
    ck_assert_int_eq(vt_enter(1), VT_NMI);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfec01000, 0x45), -EINVAL_);
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0x1fee01000ULL, 0x45), -EINVAL_);
    expect(VT_NONE, VT_NONE);
}
END_TEST

START_TEST(dead_destination_does_not_hang_or_deliver)
{
    vt_enable_apics();
    ck_assert_int_eq(arch_vm_inject_msi(vt_vm, 0xfee77000, 0x45), 0);
    expect(VT_NONE, VT_NONE);
}
END_TEST

START_TEST(reset_and_startup_states)
{
    struct vcpu_boot_state s;

    arch_reset_state(&s);
    ck_assert_uint_eq(s.rip, 0xfff0);
    ck_assert_uint_eq(s.cr0, 0x60000010);
    ck_assert_uint_eq(s.rflags, 2);
    ck_assert_uint_eq(s.seg[SEG_CS].sel, 0xf000);
    ck_assert_uint_eq(s.seg[SEG_CS].base, 0xffff0000);
    ck_assert_uint_eq(s.seg[SEG_DS].attr, 0x93);
    ck_assert_uint_eq(s.seg[SEG_TR].attr, 0x8b);
    ck_assert_uint_eq(s.seg[SEG_IDTR].limit, 0xffff);
    arch_sipi_state(0x9f, &s);
    ck_assert_uint_eq(s.rip, 0);
    ck_assert_uint_eq(s.seg[SEG_CS].sel, 0x9f00);
    ck_assert_uint_eq(s.seg[SEG_CS].base, 0x9f000);
    ck_assert_uint_eq(s.seg[SEG_CS].limit, 0xffff);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {physical_destination_names_one_vcpu,
                                  physical_broadcast_reaches_all_including_self,
                                  icr_reads_back_without_pending_bit,
                                  sending_kicks_the_other_cpu_and_not_this_one,
                                  shorthands,
                                  flat_logical_destination_is_a_bit_set,
                                  cluster_logical_destination_is_cluster_and_set,
                                  lowest_priority_goes_to_one_with_the_lowest_ppr,
                                  nmi_init_and_startup,
                                  no_message_leaves_the_vm,
                                  smi_remote_read_and_extint_ipis_do_nothing,
                                  illegal_vectors_are_errors_at_the_sender,
                                  software_disabled_apic_takes_init_sipi_nmi_but_no_vectors,
                                  globally_disabled_apic_takes_nothing,
                                  x2apic_physical_and_broadcast,
                                  x2apic_logical_is_cluster_and_set,
                                  x2apic_init_sipi_nmi,
                                  mixed_modes_reach_each_other_physically,
                                  msi_physical_logical_and_lowest_priority,
                                  dead_destination_does_not_hang_or_deliver,
                                  reset_and_startup_states,
                                  NULL};

    return vt_main("ipi", tests);
}
