/* The service VM's hold on the real machine: pins, MSI, MSI-X tables, configuration space, ports. */
#include "hw.h"
#include "vt.h"
#include "x86/hw/hostirq.h"
#include "x86/hw/ioapic.h"
#include "x86/vdev/host.h"

#define SVC      3
#define WINDOW   0x10
#define PIN      20
#define MSI_ADDR 0xfee00000u

static u32 id_of(unsigned vcpu)
{
    return vms[SVC].vcpus[vcpu].apic_id;
}

static void setup(void)
{
    vt_setup();
    vt_vm = &vms[SVC];
    vt_on(0);
    vt_enable_apics();
}

static void rte(unsigned pin, u64 entry)
{
    vt_write(PLAT_IOAPIC_BASE, 4, 0x11 + 2 * pin);
    vt_write(PLAT_IOAPIC_BASE + WINDOW, 4, entry >> 32);
    vt_write(PLAT_IOAPIC_BASE, 4, 0x10 + 2 * pin);
    vt_write(PLAT_IOAPIC_BASE + WINDOW, 4, (u32)entry);
}

static u32 cfg_read(u16 bdf, u32 off)
{
    vt_out_n(0xcf8, 4, 0x80000000u | (u32)bdf << 8 | off);
    return vt_in_n(0xcfc, 4);
}

static void cfg_write(u16 bdf, u32 off, u8 size, u32 val)
{
    vt_out_n(0xcf8, 4, 0x80000000u | (u32)bdf << 8 | (off & ~3u));
    vt_out_n((u16)(0xcfc + (off & 3)), size, val);
}

static void arrive(u8 vector)
{
    hw_raise(vector);
    arch_host_irqs();
}

static bool mapped(u64 addr)
{
    struct s2_leaf leaf;

    return arch_s2_translate(&vms[SVC], gpa(addr), &leaf);
}

/* ---- platform ---- */

START_TEST(apic_ids_are_those_of_the_cpus)
{
    ck_assert_uint_eq(vt_apic(0x20) >> 24, cfg_board.cpus[6].apic_id);
    vt_on(2);
    ck_assert_uint_eq(vt_apic(0x20) >> 24, cfg_board.cpus[8].apic_id);
    /* a message to a physical id goes by that, not by the vCPU's number */
    vt_on(0);
    vt_apic_set(0x310, id_of(1) << 24);
    vt_apic_set(0x300, 0x4040);
    ck_assert_int_eq(vt_enter(1), 0x40);
    vt_apic_set(0x310, 1 << 24);
    vt_apic_set(0x300, 0x4040);
    ck_assert_int_eq(vt_enter(1), VT_NONE);
}
END_TEST

START_TEST(offline_vcpu_takes_no_interrupt)
{
    vms[SVC].vcpus[1].state = VCPU_OFFLINE;
    vt_apic_set(0x310, id_of(1) << 24);
    vt_apic_set(0x300, 0x4040);
    vt_apic_set(0x300, 0xc4041); /* all but self */
    ck_assert_int_eq(vt_enter(1), VT_NONE);
    ck_assert_int_eq(vt_enter(2), 0x41);
}
END_TEST

START_TEST(user_vm_has_48_pins_and_gsi_2_is_pic_irq_0)
{
    vt_vm = &vms[4];
    vt_vm->vcpu_count = 1;
    vt_on(0);
    vt_apic_set(0xf0, 0x1ff);
    vt_write(PLAT_IOAPIC_BASE, 4, 1);
    ck_assert_uint_eq(vt_read(PLAT_IOAPIC_BASE + WINDOW, 4) >> 16, 47);
    rte(47, 0x60);
    arch_vm_set_gsi(vt_vm, 47, true);
    ck_assert_int_eq(vt_enter(0), 0x60);
    arch_vm_set_gsi(vt_vm, 48, true); /* no such pin: nothing happens */
    arch_vm_set_gsi(vt_vm, 2, true);
    vt_out(0x20, 0x0a); /* read IRR */
    ck_assert_uint_eq(vt_in(0x20) & 1, 1);
}
END_TEST

/* ---- pins ---- */

START_TEST(open_entry_opens_the_real_pin_towards_its_cpu)
{
    rte(PIN, (u64)id_of(2) << 56 | 0x70 | BIT64(15) | BIT64(13));
    ck_assert(hw_pins[PIN].open);
    ck_assert_uint_eq(hw_pins[PIN].pcpu, 8);
    ck_assert_uint_eq(hw_pins[PIN].flags, IOAPIC_LEVEL | IOAPIC_LOW);
    ck_assert_uint_ge(hw_pins[PIN].vector, HOSTIRQ_FIRST);
    ck_assert(hw_level[hw_pins[PIN].vector]);
    rte(PIN, 0x10070 | BIT64(15));
    ck_assert(!hw_pins[PIN].open);
}
END_TEST

START_TEST(level_interrupt_stays_masked_until_its_end)
{
    rte(PIN, (u64)id_of(0) << 56 | 0x70 | BIT64(15));
    arrive(hw_pins[PIN].vector);
    ck_assert(!hw_pins[PIN].open);
    ck_assert_uint_eq(hw_ends, 1);
    ck_assert_int_eq(vt_enter(0), 0x70);
    ck_assert(!hw_pins[PIN].open);
    vt_apic_set(0xb0, 0);
    ck_assert(hw_pins[PIN].open);
    /* the device is quiet now: nothing comes by itself */
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(level_interrupt_ended_while_masked_opens_with_the_entry)
{
    rte(PIN, (u64)id_of(0) << 56 | 0x70 | BIT64(15));
    arrive(hw_pins[PIN].vector);
    ck_assert_int_eq(vt_enter(0), 0x70);
    rte(PIN, (u64)id_of(0) << 56 | 0x10070 | BIT64(15));
    vt_apic_set(0xb0, 0);
    ck_assert(!hw_pins[PIN].open);
    rte(PIN, (u64)id_of(0) << 56 | 0x70 | BIT64(15));
    ck_assert(hw_pins[PIN].open);
}
END_TEST

START_TEST(edge_interrupt_is_never_masked)
{
    rte(8, (u64)id_of(1) << 56 | 0x71);
    ck_assert(!hw_level[hw_pins[8].vector]);
    for (unsigned i = 0; i < 3; i++) {
        arrive(hw_pins[8].vector);
        ck_assert(hw_pins[8].open);
        ck_assert_int_eq(vt_enter(1), 0x71);
        vt_on(1);
        vt_apic_set(0xb0, 0);
    }
}
END_TEST

START_TEST(pins_of_console_timer_and_8259_are_not_the_real_ones)
{
    static const unsigned own[] = {0, 2, 4};

    for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
        unsigned before = hw_pins[own[i]].writes;

        rte(own[i], (u64)id_of(0) << 56 | 0x72);
        ck_assert_uint_eq(hw_pins[own[i]].writes, before);
        ck_assert(!hw_pins[own[i]].open);
    }
    arch_vm_set_gsi(&vms[SVC], 0, true); /* the virtual PIT, at pin 2 */
    ck_assert_int_eq(vt_enter(0), 0x72);
}
END_TEST

START_TEST(vector_that_nobody_has_is_ignored)
{
    arrive(0xdf);
    ck_assert_uint_eq(hw_ends, 1);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(vt_enter(i), VT_NONE);
}
END_TEST

/* ---- configuration space ---- */

START_TEST(functions_behind_bridges_are_found_and_others_are_not_there)
{
    ck_assert_uint_eq(host_fn_count, 6);
    ck_assert_uint_eq(cfg_read(HW_BEHIND, 0), 0x10d38086);
    ck_assert_uint_eq(cfg_read(0x0030, 0), ~0u);
    vt_out_n(0xcf8, 4, 0); /* without the enable bit */
    ck_assert_uint_eq(vt_in_n(0xcfc, 4), ~0u);
}
END_TEST

START_TEST(function_of_a_prelaunched_vm_is_hidden_and_switched_off)
{
    ck_assert_uint_eq(cfg_read(HW_ASIDE, 0), ~0u);
    ck_assert_uint_eq(hw_cfg(HW_ASIDE, 4, 2), PCI_CMD_INTX_OFF);
    cfg_write(HW_ASIDE, 4, 2, 7);
    ck_assert_uint_eq(hw_cfg(HW_ASIDE, 4, 2), PCI_CMD_INTX_OFF);
}
END_TEST

START_TEST(chipset_registers_and_bus_numbers_cannot_be_written)
{
    cfg_write(0, 0x60, 4, 0x12345678);
    ck_assert_uint_eq(hw_cfg(0, 0x60, 4), 0);
    cfg_write(HW_ISA, 0x40, 4, 0xb000);
    ck_assert_uint_eq(hw_cfg(HW_ISA, 0x40, 4), 0);
    cfg_write(HW_ISA, 0x60, 1, 0x0b); /* interrupt routing is the guest's */
    ck_assert_uint_eq(hw_cfg(HW_ISA, 0x60, 1), 0x0b);
    cfg_write(HW_BRIDGE, 0x18, 4, 0);
    ck_assert_uint_eq(hw_cfg(HW_BRIDGE, 0x18, 4), 0x00010100);
}
END_TEST

START_TEST(byte_write_does_not_touch_its_neighbours)
{
    cfg_write(HW_MSI, 0x3c, 4, 0x11223344);
    cfg_write(HW_MSI, 0x3d, 1, 0xee);
    ck_assert_uint_eq(hw_cfg(HW_MSI, 0x3c, 4), 0x1122ee44);
    vt_out_n(0xcf8, 4, 0x80000000u | HW_MSI << 8 | 0x3c);
    ck_assert_uint_eq(vt_in_n(0xcfe, 2), 0x1122);
}
END_TEST

/* ---- MSI ---- */

static void set_msi64(u32 addr, u32 data, bool on)
{
    cfg_write(HW_MSI, HW_CAP + 4, 4, addr);
    cfg_write(HW_MSI, HW_CAP + 8, 4, 0);
    cfg_write(HW_MSI, HW_CAP + 12, 2, data);
    cfg_write(HW_MSI, HW_CAP + 2, 2, 0x80u | on);
}

START_TEST(msi_is_translated_and_reads_back_as_written)
{
    u32 vector;

    set_msi64(MSI_ADDR | id_of(1) << 12, 0x4055, true);
    vector = hw_cfg(HW_MSI, HW_CAP + 12, 2);
    ck_assert_uint_eq(hw_cfg(HW_MSI, HW_CAP + 4, 4), MSI_ADDR | cfg_board.cpus[7].apic_id << 12);
    ck_assert(vector >= HOSTIRQ_FIRST && vector < HOSTIRQ_FIRST + HOSTIRQ_COUNT);
    ck_assert_uint_eq(hw_cfg(HW_MSI, HW_CAP + 2, 2) & 1, 1);
    ck_assert_uint_eq(cfg_read(HW_MSI, HW_CAP + 4), MSI_ADDR | id_of(1) << 12);
    ck_assert_uint_eq(cfg_read(HW_MSI, HW_CAP + 12) & 0xffff, 0x4055);
    ck_assert_uint_eq(cfg_read(HW_MSI, HW_CAP) >> 16 & 0x7f, 1); /* on, and one message only */
    arrive((u8)vector);
    ck_assert_int_eq(vt_enter(1), 0x55);
}
END_TEST

START_TEST(msi_that_is_off_or_goes_elsewhere_is_off_in_the_hardware)
{
    set_msi64(MSI_ADDR, 0x55, false);
    ck_assert_uint_eq(hw_cfg(HW_MSI, HW_CAP + 2, 2) & 1, 0);
    set_msi64(0x1000, 0x55, true); /* an address that is memory */
    ck_assert_uint_eq(hw_cfg(HW_MSI, HW_CAP + 2, 2) & 1, 0);
    ck_assert_uint_ne(hw_cfg(HW_MSI, HW_CAP + 4, 4), 0x1000);
    ck_assert_uint_eq(cfg_read(HW_MSI, HW_CAP + 4), 0x1000);
}
END_TEST

START_TEST(msi_in_flight_when_switched_off_is_dropped)
{
    set_msi64(MSI_ADDR | id_of(0) << 12, 0x55, true);
    cfg_write(HW_MSI, HW_CAP + 2, 2, 0x80);
    arrive((u8)hw_cfg(HW_MSI, HW_CAP + 12, 2));
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

START_TEST(msi_of_the_32_bit_kind_has_its_data_at_8)
{
    cfg_write(HW_BEHIND, HW_CAP + 4, 4, MSI_ADDR | id_of(2) << 12);
    cfg_write(HW_BEHIND, HW_CAP + 8, 2, 0x66);
    cfg_write(HW_BEHIND, HW_CAP + 2, 2, 1);
    arrive((u8)hw_cfg(HW_BEHIND, HW_CAP + 8, 2));
    ck_assert_int_eq(vt_enter(2), 0x66);
}
END_TEST

/* ---- MSI-X ---- */

static void set_entry(u64 table, unsigned i, u32 addr, u32 data, u32 control)
{
    vt_write(table + i * 16, 8, addr);
    vt_write(table + i * 16 + 8, 4, data);
    vt_write(table + i * 16 + 12, 4, control);
}

START_TEST(msix_table_is_not_mapped_and_its_entries_are_translated)
{
    u32 vector;

    ck_assert(!mapped(HW_TABLE) && mapped(HW_BAR) && mapped(HW_BAR + 0x2000));
    ck_assert_uint_eq(vt_read(HW_TABLE + 12, 4), 1); /* masked after reset */
    set_entry(HW_TABLE, 2, MSI_ADDR | id_of(1) << 12, 0x77, 0);
    vector = hw_mem32(HW_TABLE + 2 * 16 + 8);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 2 * 16), MSI_ADDR | cfg_board.cpus[7].apic_id << 12);
    ck_assert(vector >= HOSTIRQ_FIRST && vector < HOSTIRQ_FIRST + HOSTIRQ_COUNT);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 2 * 16 + 12), 0);
    ck_assert_uint_eq(vt_read(HW_TABLE + 2 * 16, 8), MSI_ADDR | id_of(1) << 12);
    ck_assert_uint_eq(vt_read(HW_TABLE + 2 * 16 + 8, 8), 0x77);
    arrive((u8)vector);
    ck_assert_int_eq(vt_enter(1), 0x77);
}
END_TEST

START_TEST(masked_msix_entry_is_masked_in_the_hardware_and_keeps_its_vector)
{
    u32 vector;

    set_entry(HW_TABLE, 0, MSI_ADDR | id_of(0) << 12, 0x78, 0);
    vector = hw_mem32(HW_TABLE + 8);
    vt_write(HW_TABLE + 12, 4, 1);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 12), 1);
    set_entry(HW_TABLE, 0, MSI_ADDR | id_of(2) << 12, 0x79, 0);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 8), vector);
    ck_assert_uint_eq(hw_mem32(HW_TABLE), MSI_ADDR | cfg_board.cpus[8].apic_id << 12);
    arrive((u8)vector);
    ck_assert_int_eq(vt_enter(2), 0x79);
}
END_TEST

START_TEST(msix_entry_with_a_foreign_address_stays_masked)
{
    set_entry(HW_TABLE, 0, 0x100000, 0x78, 0);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 12), 1);
    ck_assert_uint_eq(hw_mem32(HW_TABLE), 0);
}
END_TEST

START_TEST(registers_beside_the_table_are_the_real_ones)
{
    vt_write(HW_TABLE + HW_ENTRIES * 16, 4, 0xabcd1234);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + HW_ENTRIES * 16), 0xabcd1234);
    ck_assert_uint_eq(vt_read(HW_TABLE + HW_ENTRIES * 16 + 1, 1), 0x12);
    /* across the end of the table: nobody's */
    ck_assert_uint_eq(vt_read(HW_TABLE + HW_ENTRIES * 16 - 4, 8), ~(u64)0);
    /* too narrow for the table: no effect */
    vt_write(HW_TABLE, 2, 0xffff);
    ck_assert_uint_eq(vt_read(HW_TABLE, 4), 0);
}
END_TEST

START_TEST(table_is_followed_when_its_bar_moves)
{
    cfg_write(HW_MSIX, 4, 2, 0);
    cfg_write(HW_MSIX, 0x10, 4, ~0u); /* sizing */
    ck_assert_uint_eq(cfg_read(HW_MSIX, 0x10), ~(HW_MEM_SIZE - 1));
    ck_assert(!mapped(HW_TABLE));
    cfg_write(HW_MSIX, 0x10, 4, 0xd0000000);
    cfg_write(HW_MSIX, 4, 2, 6);
    ck_assert(mapped(HW_TABLE) && !mapped(0xd0001000));
    set_entry(0xd0001000, 1, MSI_ADDR | id_of(0) << 12, 0x7a, 0);
    arrive((u8)hw_mem32(0xd0001000 + 16 + 8));
    ck_assert_int_eq(vt_enter(0), 0x7a);
    /* and when it moves while memory is decoded */
    cfg_write(HW_MSIX, 0x10, 4, 0xd1000000);
    ck_assert(mapped(0xd0001000) && !mapped(0xd1001000));
    ck_assert_uint_eq(hw_cfg(HW_MSIX, 4, 2), 6);
}
END_TEST

START_TEST(bar_over_ram_or_another_window_takes_nothing_away)
{
    cfg_write(HW_MSIX, 0x10, 4, 0x12000000);
    ck_assert(mapped(HW_TABLE));
    cfg_write(HW_MSIX, 0x10, 4, 0xfec00000);
    cfg_write(HW_MSIX, 0x10, 4, HW_BAR);
    ck_assert(!mapped(HW_TABLE));
}
END_TEST

START_TEST(vectors_run_out_with_everything_masked)
{
    for (unsigned i = 0; i < HOSTIRQ_COUNT; i++)
        host_vector_alloc(HOST_IRQ_MSI, 0, 0);
    set_entry(HW_TABLE, 0, MSI_ADDR | id_of(0) << 12, 0x78, 0);
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 12), 1);
    set_msi64(MSI_ADDR | id_of(0) << 12, 0x55, true);
    ck_assert_uint_eq(hw_cfg(HW_MSI, HW_CAP + 2, 2) & 1, 0);
    rte(PIN, 0x70);
    ck_assert(!hw_pins[PIN].open);
}
END_TEST

START_TEST(quiesce_stops_everything)
{
    rte(PIN, (u64)id_of(0) << 56 | 0x70);
    set_msi64(MSI_ADDR | id_of(0) << 12, 0x55, true);
    set_entry(HW_TABLE, 0, MSI_ADDR | id_of(0) << 12, 0x78, 0);
    cfg_write(HW_MSIX, HW_CAP + 2, 2, 0x8003);
    cfg_write(HW_MSIX, 0x10, 4, 0xd0000000);
    arch_host_quiesce(&vms[SVC]);
    ck_assert(!hw_pins[PIN].open);
    ck_assert_uint_eq(hw_cfg(HW_MSI, HW_CAP + 2, 2) & 1, 0);
    ck_assert_uint_eq(hw_cfg(HW_MSIX, HW_CAP + 2, 2) & 0x8000, 0);
    ck_assert_uint_eq(hw_cfg(HW_MSIX, 4, 2), 2); /* memory, no bus master */
    ck_assert_uint_eq(hw_cfg(HW_BEHIND, 4, 2), 2);
    ck_assert_uint_eq(hw_cfg(HW_BRIDGE, 4, 2), 6);
    ck_assert_uint_eq(hw_cfg(HW_MSIX, 0x10, 4), HW_BAR);
    ck_assert(!mapped(HW_TABLE) && mapped(0xd0001000));
    ck_assert_uint_eq(hw_mem32(HW_TABLE + 12), 1);
    arch_vm_reset(&vms[SVC]);
    for (u8 v = HOSTIRQ_FIRST; v < HOSTIRQ_FIRST + 8; v++)
        arrive(v);
    ck_assert_int_eq(vt_enter(0), VT_NONE);
}
END_TEST

/* ---- device memory ---- */

START_TEST(windows_leave_out_ram_and_what_is_not_the_vms)
{
    struct s2_leaf leaf;

    ck_assert(!mapped(0x9e000) && mapped(0x9f000));
    ck_assert(arch_s2_translate(&vms[SVC], gpa(0xa0000), &leaf) &&
              leaf.prot == (MEM_R | MEM_W | MEM_UC | MEM_DEV));
    ck_assert(arch_s2_translate(&vms[SVC], gpa(0xc0000), &leaf) && leaf.prot == (MEM_R | MEM_DEV));
    ck_assert(arch_s2_translate(&vms[SVC], gpa(0xe0000), &leaf) && leaf.prot == MEM_RWX &&
              leaf.hpa.v != 0xe0000);
    ck_assert(!mapped(0x4000000)); /* RAM of vm "a" */
    ck_assert(mapped(FAKE_HOST_MEM) && mapped(0xfebff000));
    ck_assert(!mapped(0xfec00000) && !mapped(0xfee00000) && !mapped(0xffff0000));
    ck_assert(mapped(GIB(4)) && mapped(BIT64(40) - 1) && !mapped(BIT64(40)));
}
END_TEST

/* ---- ports ---- */

static bool real(u16 port, u8 size, u32 val)
{
    u32 before = hw_port_writes;

    arch_host_port(vt_vcpu(0), port, size, true, &val);
    return hw_port_writes != before && hw_port_written == port;
}

START_TEST(ports_are_real_but_for_those_of_others)
{
    u32 val = 0;

    ck_assert(real(0x1234, 2, 0x55aa) && hw_port_value == 0x55aa);
    ck_assert(arch_host_port(vt_vcpu(0), 0x70, 1, false, &val) && val == (0x5a000000u | 0x70));
    ck_assert(!arch_host_port(vt_vcpu(0), 0x3fa, 1, false, &val)); /* console */
    ck_assert(!real(0x3f6, 4, 0));                                 /* reaches into it */
    ck_assert(!real(0x1f, 2, 0));                                  /* reaches into the 8259 */
    ck_assert(!real(0xcf6, 4, 0));
    ck_assert(!real(0xffff, 2, 0));
}
END_TEST

START_TEST(power_off_and_reset_reach_the_vm_only)
{
    u32 off = 0x2000 | (u32)cfg_board.s5_slp_typ << 10, other = 0x2000 | 1u << 10;

    arch_host_port(vt_vcpu(0), cfg_board.pm1a_cnt_port, 2, true, &other);
    ck_assert_uint_eq(vt_poweroffs, 0);
    ck_assert_uint_eq(hw_port_value & 0x2000, 0);
    arch_host_port(vt_vcpu(0), cfg_board.pm1a_cnt_port, 2, true, &off);
    ck_assert_uint_eq(vt_poweroffs, 1);
    ck_assert_uint_eq(hw_port_value, 1u | (u32)cfg_board.s5_slp_typ << 10);
    off >>= 8;
    arch_host_port(vt_vcpu(0), cfg_board.pm1a_cnt_port + 1, 1, true, &off);
    ck_assert_uint_eq(vt_poweroffs, 2);
    ck_assert_uint_eq(hw_port_value & 0x20, 0);
    vt_out(0xcf9, 6);
    ck_assert_uint_eq(vt_resets, 1);
    ck_assert(!real(0x64, 1, 0xfe) && vt_resets == 2);
    ck_assert(!real(0x92, 1, 1) && vt_resets == 3);
    ck_assert(real(0x64, 1, 0xd1));
    ck_assert(real(0x60, 1, 0) && vt_resets == 4 && hw_port_value == 3);
    ck_assert(real(0x60, 1, 0xf4) && vt_resets == 4 && hw_port_value == 0xf4);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        apic_ids_are_those_of_the_cpus,
        offline_vcpu_takes_no_interrupt,
        user_vm_has_48_pins_and_gsi_2_is_pic_irq_0,
        open_entry_opens_the_real_pin_towards_its_cpu,
        level_interrupt_stays_masked_until_its_end,
        level_interrupt_ended_while_masked_opens_with_the_entry,
        edge_interrupt_is_never_masked,
        pins_of_console_timer_and_8259_are_not_the_real_ones,
        vector_that_nobody_has_is_ignored,
        functions_behind_bridges_are_found_and_others_are_not_there,
        function_of_a_prelaunched_vm_is_hidden_and_switched_off,
        chipset_registers_and_bus_numbers_cannot_be_written,
        byte_write_does_not_touch_its_neighbours,
        msi_is_translated_and_reads_back_as_written,
        msi_that_is_off_or_goes_elsewhere_is_off_in_the_hardware,
        msi_in_flight_when_switched_off_is_dropped,
        msi_of_the_32_bit_kind_has_its_data_at_8,
        msix_table_is_not_mapped_and_its_entries_are_translated,
        masked_msix_entry_is_masked_in_the_hardware_and_keeps_its_vector,
        msix_entry_with_a_foreign_address_stays_masked,
        registers_beside_the_table_are_the_real_ones,
        table_is_followed_when_its_bar_moves,
        bar_over_ram_or_another_window_takes_nothing_away,
        vectors_run_out_with_everything_masked,
        quiesce_stops_everything,
        windows_leave_out_ram_and_what_is_not_the_vms,
        ports_are_real_but_for_those_of_others,
        power_off_and_reset_reach_the_vm_only,
        NULL,
    };

    return vt_main_setup("host", setup, tests);
}
