/* String instructions: MOVS, STOS and LODS on device memory, INS and OUTS. */
#include "gt.h"

static void one_access(u64 offset, u8 size, bool write, u64 val)
{
    ck_assert_uint_eq(gt_logged, 1);
    ck_assert_uint_eq(gt_log[0].offset, offset);
    ck_assert_uint_eq(gt_log[0].size, size);
    ck_assert_int_eq(gt_log[0].write, write);
    ck_assert_uint_eq(gt_log[0].val, val);
}

static void moved_on(unsigned len)
{
    gt_expect_none();
    ck_assert_uint_eq(gt_f->skipped, len);
}

/* ---- strings ---- */

START_TEST(movs_copies_between_ram_and_device_in_both_directions)
{
    gt_mode64();
    gt_write(0x300000, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    GPR(RSI) = 0x300000;
    GPR(RDI) = GT_MMIO + 0x100;
    GPR(RCX) = 2;
    GT_CODE_IS("\xf3\xa5");
    guest_mmio(gt_v, GT_MMIO + 0x100, true, false);
    moved_on(2);
    ck_assert_int_eq(memcmp(&gt_mmio[0x100], "\x01\x02\x03\x04\x05\x06\x07\x08", 8), 0);
    ck_assert_uint_eq(GPR(RCX), 0);
    ck_assert_uint_eq(GPR(RSI), 0x300008);
    GPR(RSI) = GT_MMIO + 0x100;
    GPR(RDI) = 0x310000;
    GT_CODE_IS("\x48\xa5");
    guest_mmio(gt_v, GT_MMIO + 0x100, false, false);
    moved_on(4);
    ck_assert_uint_eq(gt_read64(0x310000), 0x0807060504030201);
}
END_TEST

START_TEST(a_long_repeat_is_done_in_bounded_pieces)
{
    gt_mode64();
    GPR(RDI) = GT_MMIO;
    GPR(RCX) = 1000;
    GPR(RAX) = 0x5a;
    GT_CODE_IS("\xf3\xaa");
    guest_mmio(gt_v, GT_MMIO, true, false);
    gt_expect_none();
    ck_assert_uint_eq(gt_f->skipped, 0);
    ck_assert_uint_gt(GPR(RCX), 0);
    ck_assert_uint_lt(GPR(RCX), 1000);
    ck_assert_uint_le(1000 - GPR(RCX), 256);
    ck_assert_uint_eq(GPR(RDI) - GT_MMIO, 1000 - GPR(RCX));
    for (int i = 0; i < 100 && !gt_f->skipped; i++)
        guest_mmio(gt_v, GPR(RDI), true, false);
    moved_on(2);
    ck_assert_uint_eq(GPR(RCX), 0);
    ck_assert_uint_eq(gt_mmio[999], 0x5a);
    ck_assert_uint_eq(gt_mmio[1000], 0);
}
END_TEST

START_TEST(a_repeat_stops_at_a_fault_with_the_registers_so_far)
{
    gt_mode64();
    gt_map(0x40000000, GT_MMIO, 0x63);
    GPR(RDI) = 0x40000ffc;
    GPR(RCX) = 10;
    GT_CODE_IS("\xf3\xaa");
    guest_mmio(gt_v, GT_MMIO + 0xffc, true, false);
    gt_expect_fault(X86_PF, PF_WRITE, 0x40001000);
    ck_assert_uint_eq(GPR(RDI), 0x40001000);
    ck_assert_uint_eq(GPR(RCX), 6);
    ck_assert_uint_eq(gt_logged, 4);
}
END_TEST

START_TEST(addresses_of_string_instructions_wrap_at_their_size)
{
    gt_mode16();
    gt_f->seg[SEG_ES].base = GT_MMIO;
    GPR(RDI) = 0x1234ffff;
    GPR(RAX) = 0x77;
    GT_CODE_IS("\xaa"); /* stosb at ES:FFFF */
    guest_mmio(gt_v, GT_MMIO + 0xffff, true, false);
    gt_expect_none();
    ck_assert_uint_eq(GPR(RDI), 0x12340000);
}
END_TEST

/* ---- ports ---- */

static u32 port_vals[256];
static unsigned port_count;
static u8 port_size;

static bool port_dev(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    (void)v;
    (void)dev;
    ck_assert_uint_eq(port, 0x1f0);
    port_size = size;
    if (write)
        port_vals[port_count % 256] = *val;
    else
        *val = 0x01010101 * (port_count + 1);
    port_count++;
    return true;
}

static void port_setup(void)
{
    port_count = 0;
    io_register_ports(gt_vm, 0x1f0, 4, port_dev, NULL);
    GPR(RDX) = 0xabcd01f0;
}

START_TEST(ins_stores_what_the_port_gives)
{
    gt_mode64();
    port_setup();
    GPR(RDI) = 0x300ffe; /* across a page */
    GPR(RCX) = 3;
    GT_CODE_IS("\xf3\x66\x6d"); /* rep insw */
    guest_string_io(gt_v);
    moved_on(3);
    ck_assert_uint_eq(port_size, 2);
    ck_assert_int_eq(memcmp(gt_ram(0x300ffe), "\x01\x01\x02\x02\x03\x03", 6), 0);
    ck_assert_uint_eq(GPR(RDI), 0x301004);
    ck_assert_uint_eq(GPR(RCX), 0);
}
END_TEST

START_TEST(outs_sends_memory_downwards_with_df_and_segment)
{
    gt_mode64();
    port_setup();
    gt_f->seg[SEG_FS].base = 0x300000;
    gt_write(0x300100, "\x01\0\0\0\x02\0\0\0", 8);
    GPR(RSI) = 0x104;
    GPR(RCX) = 2;
    GREG(RFLAGS) |= RFLAGS_DF;
    GT_CODE_IS("\x64\xf3\x6f"); /* rep outsl %fs:(%rsi) */
    guest_string_io(gt_v);
    moved_on(3);
    ck_assert_uint_eq(port_vals[0], 2);
    ck_assert_uint_eq(port_vals[1], 1);
    ck_assert_uint_eq(GPR(RSI), 0x100 - 4);
}
END_TEST

START_TEST(a_fault_of_ins_leaves_the_port_alone)
{
    gt_mode64();
    port_setup();
    GPR(RDI) = 0x7f0000000000;
    GT_CODE_IS("\x6c");
    guest_string_io(gt_v);
    gt_expect_fault(X86_PF, PF_WRITE, 0x7f0000000000);
    ck_assert_uint_eq(port_count, 0);
}
END_TEST

START_TEST(a_repeat_count_of_zero_does_nothing_and_moves_on)
{
    gt_mode64();
    port_setup();
    GPR(RCX) = 0;
    GT_CODE_IS("\xf3\x6c");
    guest_string_io(gt_v);
    moved_on(2);
    ck_assert_uint_eq(port_count, 0);
}
END_TEST

START_TEST(a_changed_instruction_is_run_again_by_the_guest)
{
    gt_mode64();
    GT_CODE_IS("\x8b\x03");
    guest_string_io(gt_v);
    gt_expect_none();
    ck_assert_uint_eq(gt_f->skipped, 0);
}
END_TEST

START_TEST(ins_and_outs_reach_device_memory)
{
    gt_mode64();
    port_setup();
    GPR(RDI) = GT_MMIO + 8;
    GT_CODE_IS("\x6d");
    guest_string_io(gt_v);
    moved_on(1);
    one_access(8, 4, true, 0x01010101);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, movs_copies_between_ram_and_device_in_both_directions);
    tcase_add_test(t, a_long_repeat_is_done_in_bounded_pieces);
    tcase_add_test(t, a_repeat_stops_at_a_fault_with_the_registers_so_far);
    tcase_add_test(t, addresses_of_string_instructions_wrap_at_their_size);
    tcase_add_test(t, ins_stores_what_the_port_gives);
    tcase_add_test(t, outs_sends_memory_downwards_with_df_and_segment);
    tcase_add_test(t, a_fault_of_ins_leaves_the_port_alone);
    tcase_add_test(t, a_repeat_count_of_zero_does_nothing_and_moves_on);
    tcase_add_test(t, a_changed_instruction_is_run_again_by_the_guest);
    tcase_add_test(t, ins_and_outs_reach_device_memory);
}

int main(void)
{
    return gt_main("string", add);
}
