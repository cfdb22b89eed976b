/* guest_mmio() and the small exits: what the differential test cannot reach. String instructions: t_string.c.
 */
#include <stdio.h>
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

static void put32(u64 offset, u32 val)
{
    memcpy(&gt_mmio[offset], &val, 4);
}

START_TEST(a_load_reads_the_device_once_and_clears_the_upper_half)
{
    gt_mode64();
    put32(0x20, 0xcafe1234);
    GPR(RBX) = GT_MMIO;
    GPR(RAX) = ~0ull;
    GT_CODE_IS("\x8b\x43\x20"); /* mov 0x20(%rbx), %eax */
    guest_mmio(gt_v, GT_MMIO + 0x20, false, false);
    moved_on(3);
    one_access(0x20, 4, false, 0xcafe1234);
    ck_assert_uint_eq(GPR(RAX), 0xcafe1234);
}
END_TEST

START_TEST(a_store_writes_the_device_once)
{
    gt_mode64();
    GPR(RDI) = GT_MMIO + 0xb0;
    GPR(RAX) = 0x1122334455667788;
    GT_CODE_IS("\x89\x07"); /* mov %eax, (%rdi) */
    guest_mmio(gt_v, GT_MMIO + 0xb0, true, false);
    moved_on(2);
    one_access(0xb0, 4, true, 0x55667788);
}
END_TEST

START_TEST(the_reported_address_spares_the_walk)
{
    gt_mode64();
    GPR(RBX) = 0x7f0000000020; /* not mapped: only the exit knows where it leads */
    GT_CODE_IS("\x8b\x03");
    guest_mmio(gt_v, GT_MMIO + 0x20, false, false);
    moved_on(2);
    one_access(0x20, 4, false, 0);
}
END_TEST

START_TEST(the_reported_address_is_not_believed_for_another_offset_or_a_write)
{
    gt_mode64();
    GPR(RBX) = 0x7f0000000024;
    GT_CODE_IS("\x8b\x03");
    guest_mmio(gt_v, GT_MMIO + 0x20, false,
               false); /* another address: the instruction was changed meanwhile */
    gt_expect_fault(X86_PF, 0, 0x7f0000000024);
    gt_f->queued = false;
    GPR(RBX) = 0x7f0000000020;
    GT_CODE_IS(
        "\x01\x03"); /* add %eax, (%rbx) after a read exit: the CPU has not checked the right to write */
    guest_mmio(gt_v, GT_MMIO + 0x20, false, false);
    gt_expect_fault(X86_PF, PF_WRITE, 0x7f0000000020);
    ck_assert_uint_eq(gt_logged, 0);
    ck_assert_uint_eq(gt_f->skipped, 0);
}
END_TEST

START_TEST(unowned_memory_reads_ones_drops_writes_and_is_counted)
{
    gt_mode64();
    GPR(RBX) = 0x1f000000;
    GT_CODE_IS("\x0f\xb7\x03"); /* movzwl (%rbx), %eax */
    guest_mmio(gt_v, 0x1f000000, false, false);
    moved_on(3);
    ck_assert_uint_eq(GPR(RAX), 0xffff);
    ck_assert_uint_eq(gt_v->unowned, 1);
    GT_CODE_IS("\xc6\x03\x01");
    guest_mmio(gt_v, 0x1f000000, true, false);
    moved_on(6);
    ck_assert_uint_eq(gt_v->unowned, 2);
}
END_TEST

START_TEST(fs_and_gs_bases_count_in_64_bit_mode_others_do_not)
{
    gt_mode64();
    gt_f->seg[SEG_GS].base = GT_MMIO - 0x1000;
    gt_f->seg[SEG_DS].base = 0x5000;
    put32(0x100, 77);
    GPR(RBX) = 0x1100;
    GT_CODE_IS("\x65\x8b\x03"); /* mov %gs:(%rbx), %eax */
    guest_mmio(gt_v, GT_MMIO + 0x100, false, false);
    ck_assert_uint_eq(GPR(RAX), 77);
    GPR(RBX) = GT_MMIO + 0x100;
    GT_CODE_IS("\x3e\x8b\x0b"); /* %ds */
    guest_mmio(gt_v, GT_MMIO + 0x100, false, false);
    ck_assert_uint_eq(GPR(RCX), 77);
    moved_on(6);
}
END_TEST

START_TEST(rip_relative_counts_from_the_next_instruction)
{
    gt_mode64();
    gt_map(GT_CODE + 10 + 0x2000, GT_MMIO + 0x3000, 0x63);
    GT_CODE_IS("\xc7\x05\x00\x20\x00\x00\x78\x56\x34\x12"); /* movl $0x12345678, 0x2000(%rip) */
    guest_mmio(gt_v, 1, true, false);                       /* wrong offset: must walk */
    moved_on(10);
    one_access(0x3000 + ((GT_CODE + 10) & 0xfff), 4, true, 0x12345678);
}
END_TEST

START_TEST(high_byte_registers_load_and_store)
{
    gt_mode64();
    GPR(RBX) = GT_MMIO;
    GPR(RAX) = 0xaabbccdd;
    GT_CODE_IS("\x88\x23"); /* mov %ah, (%rbx) */
    guest_mmio(gt_v, GT_MMIO, true, false);
    one_access(0, 1, true, 0xcc);
    gt_mmio[0] = 0x11;
    GT_CODE_IS("\x8a\x23");
    guest_mmio(gt_v, GT_MMIO, false, false);
    ck_assert_uint_eq(GPR(RAX), 0xaabb11dd);
}
END_TEST

START_TEST(moffs_takes_an_absolute_address)
{
    gt_mode64();
    put32(0x40, 0x99);
    GT_CODE_IS("\xa1\x40\x00\x00\x10\x00\x00\x00\x00");
    guest_mmio(gt_v, GT_MMIO + 0x40, false, false);
    moved_on(9);
    ck_assert_uint_eq(GPR(RAX), 0x99);
}
END_TEST

START_TEST(compare_sets_flags_and_writes_nothing)
{
    gt_mode64();
    put32(0, 5);
    GPR(RBX) = GT_MMIO;
    GREG(RFLAGS) = 0x202 | RFLAGS_OF;
    GT_CODE_IS("\x83\x3b\x05"); /* cmpl $5, (%rbx) */
    guest_mmio(gt_v, GT_MMIO, false, false);
    one_access(0, 4, false, 5);
    ck_assert_uint_eq(GREG(RFLAGS), 0x202 | RFLAGS_ZF | RFLAGS_PF);
}
END_TEST

START_TEST(read_modify_write_reads_then_writes)
{
    gt_mode64();
    put32(0, 0xf0);
    GPR(RBX) = GT_MMIO;
    GT_CODE_IS("\xf0\x83\x0b\x0f"); /* lock orl $15, (%rbx) */
    guest_mmio(gt_v, GT_MMIO, true, false);
    moved_on(4);
    ck_assert_uint_eq(gt_logged, 2);
    ck_assert(!gt_log[0].write && gt_log[1].write);
    ck_assert_uint_eq(gt_log[1].val, 0xff);
}
END_TEST

START_TEST(an_operand_across_two_device_pages_is_split)
{
    gt_mode64();
    gt_map(0x40000000, GT_MMIO + 0x1000, 0x63);
    gt_map(0x40001000, GT_MMIO + 0x5000, 0x63);
    memcpy(&gt_mmio[0x1ffd], "\x01\x02\x03", 3);
    memcpy(&gt_mmio[0x5000], "\x04\x05\x06\x07\x08", 5);
    GPR(RBX) = 0x40000ffd;
    GT_CODE_IS("\x48\x8b\x03");
    guest_mmio(gt_v, GT_MMIO + 0x1ffd, false, false);
    moved_on(3);
    ck_assert_uint_eq(GPR(RAX), 0x0807060504030201);
    for (unsigned i = 0; i < gt_logged; i++) /* each part aligned, a power of two, on one page */
        ck_assert((gt_log[i].offset & (gt_log[i].size - 1u)) == 0 && gt_log[i].size <= 4);
    gt_logged = 0;
    GPR(RCX) = 0x1817161514131211;
    GT_CODE_IS("\x48\x89\x0b");
    guest_mmio(gt_v, GT_MMIO + 0x1ffd, true, false);
    ck_assert_int_eq(memcmp(&gt_mmio[0x1ffd], "\x11\x12\x13", 3), 0);
    ck_assert_int_eq(memcmp(&gt_mmio[0x5000], "\x14\x15\x16\x17\x18", 5), 0);
}
END_TEST

START_TEST(an_operand_may_begin_in_ram_and_end_in_the_device)
{
    gt_mode64();
    gt_map(0x40000000, 0x300000, 0x63);
    gt_map(0x40001000, GT_MMIO, 0x63);
    gt_write(0x300ffe, "\x01\x02", 2);
    put32(0, 0x0403);
    GPR(RBX) = 0x40000ffe;
    GT_CODE_IS("\x8b\x03");
    guest_mmio(gt_v, GT_MMIO, false, false);
    moved_on(2);
    ck_assert_uint_eq(GPR(RAX), 0x04030201);
    GPR(RAX) = 0xaabbccdd;
    GT_CODE_IS("\x89\x03");
    guest_mmio(gt_v, GT_MMIO, true, false);
    ck_assert_int_eq(memcmp(gt_ram(0x300ffe), "\xdd\xcc", 2), 0);
    ck_assert_uint_eq(gt_mmio[0], 0xbb);
}
END_TEST

START_TEST(a_fault_on_the_second_page_writes_nothing)
{
    gt_mode64();
    gt_map(0x40000000, GT_MMIO, 0x63);
    gt_map(0x40001000, GT_MMIO, 0x61); /* read-only */
    GPR(RBX) = 0x40000ffe;
    GT_CODE_IS("\x89\x03");
    guest_mmio(gt_v, GT_MMIO + 0xffe, true, false);
    gt_expect_fault(X86_PF, PF_PRESENT | PF_WRITE, 0x40001000);
    ck_assert_uint_eq(gt_logged, 0);
    ck_assert_uint_eq(gt_f->skipped, 0);
}
END_TEST

START_TEST(read_only_ram_is_read_and_not_written)
{
    gt_mode64();
    ck_assert_int_eq(arch_s2_map(gt_vm, gpa(0x5000000), hpa(0x2000000), 0x1000, MEM_R), 0);
    memcpy(fake_mem(0x2000000), "\x10\0\0\0", 4);
    GPR(RBX) = 0x5000000;
    GPR(RAX) = 1;
    GT_CODE_IS("\x01\x03"); /* add %eax, (%rbx) */
    guest_mmio(gt_v, 0x5000000, true, false);
    moved_on(2);
    ck_assert_uint_eq(*fake_mem(0x2000000), 0x10);
    GT_CODE_IS("\x87\x03"); /* xchg */
    guest_mmio(gt_v, 0x5000000, true, false);
    ck_assert_uint_eq(GPR(RAX), 0x10);
    ck_assert_uint_eq(*fake_mem(0x2000000), 0x10);
}
END_TEST

/* ---- fetch ---- */

START_TEST(an_instruction_across_pages_is_fetched_from_both)
{
    gt_mode64();
    gt_map(0x40000000, 0x300000, 0x63);
    gt_map(0x40001000, 0x310000, 0x63);
    gt_write(0x300ffe, "\x8b\x83", 2);
    gt_write(0x310000, "\x10\x00\x00\x00", 4);
    GPR(RBX) = GT_MMIO;
    GREG(RIP) = 0x40000ffe;
    guest_mmio(gt_v, GT_MMIO + 0x10, false, false);
    moved_on(6);
    one_access(0x10, 4, false, 0);
}
END_TEST

START_TEST(a_short_instruction_at_the_page_end_needs_no_second_page)
{
    gt_mode64();
    gt_map(0x40000000, 0x300000, 0x63);
    gt_write(0x300ffe, "\x8b\x03", 2);
    GPR(RBX) = GT_MMIO;
    GREG(RIP) = 0x40000ffe;
    guest_mmio(gt_v, GT_MMIO, false, false);
    moved_on(2);
}
END_TEST

START_TEST(a_missing_second_code_page_faults_as_a_fetch)
{
    gt_mode64();
    gt_map(0x40000000, 0x300000, 0x63);
    gt_write(0x300fff, "\x8b", 1);
    GREG(RIP) = 0x40000fff;
    guest_mmio(gt_v, GT_MMIO, false, false);
    gt_expect_fault(X86_PF, PF_FETCH, 0x40001000);
}
END_TEST

START_TEST(bytes_captured_by_the_cpu_are_used_and_completed)
{
    gt_mode64();
    GREG(RIP) = 0x7f0000000000; /* cannot be fetched */
    memcpy(gt_f->insn, "\x8b\x43\x20", 3);
    gt_f->insn_len = 15;
    GPR(RBX) = GT_MMIO;
    guest_mmio(gt_v, GT_MMIO + 0x20, false, false);
    moved_on(3);
    gt_code("\x8b\x83\x30\x00\x00\x00", 6);
    memcpy(gt_f->insn, "\x8b\x83", 2);
    gt_f->insn_len = 2;
    guest_mmio(gt_v, GT_MMIO + 0x30, false, false);
    moved_on(9);
}
END_TEST

START_TEST(jumping_into_nothing_stops_the_vm)
{
    gt_mode64();
    guest_mmio(gt_v, 0x1f000000, false, true);
    ck_assert_ptr_nonnull(gt_fatal);
    ck_assert(!gt_f->queued);
}
END_TEST

START_TEST(an_instruction_without_emulation_stops_the_vm_and_is_named)
{
    gt_mode64();
    GPR(RBX) = GT_MMIO;
    GT_CODE_IS("\x0f\x28\x03"); /* movaps (%rbx), %xmm0 */
    guest_mmio(gt_v, GT_MMIO, false, false);
    ck_assert_ptr_nonnull(gt_fatal);
    ck_assert_ptr_nonnull(strstr(fake_log, "0f 28 03"));
    ck_assert_uint_eq(gt_f->skipped, 0);
}
END_TEST

START_TEST(undefined_instructions_raise_ud_and_overlong_ones_gp)
{
    gt_mode64();
    GPR(RBX) = GT_MMIO;
    GT_CODE_IS("\xf0\x8b\x03");
    guest_mmio(gt_v, GT_MMIO, false, false);
    gt_expect_fault(X86_UD, 0, 0);
    gt_f->queued = false;
    GT_CODE_IS("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x03");
    guest_mmio(gt_v, GT_MMIO, false, false);
    gt_expect_fault(X86_GP, 0, 0);
}
END_TEST

/* ---- 32- and 16-bit modes ---- */

START_TEST(segment_bases_count_in_32_bit_mode)
{
    gt_mode32();
    gt_f->seg[SEG_DS].base = GT_MMIO;
    gt_f->seg[SEG_SS].base = GT_MMIO + 0x1000;
    GT_CODE_IS("\xa3\x10\x00\x00\x00"); /* mov %eax, 0x10 */
    GPR(RAX) = 0xdead;
    guest_mmio(gt_v, GT_MMIO + 0x10, true, false);
    one_access(0x10, 4, true, 0xdead);
    gt_logged = 0;
    GPR(RBP) = 0xffffff0000000020; /* upper half ignored */
    GT_CODE_IS("\x89\x45\x04");    /* mov %eax, 4(%ebp): SS */
    guest_mmio(gt_v, GT_MMIO + 0x1024, true, false);
    one_access(0x1024, 4, true, 0xdead);
}
END_TEST

START_TEST(limits_and_types_are_checked_where_the_exit_does_not_vouch)
{
    gt_mode32();
    gt_f->seg[SEG_ES].limit = 0xfff;
    gt_f->seg[SEG_SS].limit = 0xfff;
    gt_f->seg[SEG_DS].attr = 0xc091; /* read-only */
    gt_f->seg[SEG_FS].attr |= SEG_ATTR_UNUSABLE;
    GPR(RBX) = 0xffe;
    GPR(RBP) = 0xffd;
    GT_CODE_IS("\x26\x8b\x03");
    guest_mmio(gt_v, 0x1f000000, false, false);
    gt_expect_fault(X86_GP, 0, 0);
    gt_f->queued = false;
    GT_CODE_IS("\x8b\x45\x00");
    guest_mmio(gt_v, 0x1f000000, false, false);
    gt_expect_fault(X86_SS, 0, 0);
    gt_f->queued = false;
    GT_CODE_IS("\x89\x03");
    guest_mmio(gt_v, 0x1f000000, true, false);
    gt_expect_fault(X86_GP, 0, 0);
    gt_f->queued = false;
    GT_CODE_IS("\x64\x8b\x03");
    guest_mmio(gt_v, 0x1f000000, false, false);
    gt_expect_fault(X86_GP, 0, 0);
    gt_f->queued = false;
    gt_f->seg[SEG_ES].attr |= SEG_ATTR_DOWN; /* expand-down: valid above the limit */
    GPR(RBX) = 0x1f000000;
    GT_CODE_IS("\x26\x8b\x03");
    guest_mmio(gt_v, 1, false, false);
    gt_expect_none();
    GPR(RBX) = 0xfff;
    GT_CODE_IS("\x26\x8b\x03");
    guest_mmio(gt_v, 1, false, false);
    gt_expect_fault(X86_GP, 0, 0);
}
END_TEST

START_TEST(real_mode_adds_segment_and_offset)
{
    gt_mode16();
    gt_f->seg[SEG_ES].base = 0xb8000;
    ck_assert_int_eq(arch_s2_unmap(gt_vm, gpa(0xb8000), 0x8000), 0);
    GPR(RBX) = 0x1234fff0;
    GPR(RDI) = 0x20;
    GPR(RAX) = 0x0741;
    GT_CODE_IS("\x26\x89\x01"); /* mov %ax, %es:(%bx,%di): wraps at 64 KiB */
    guest_mmio(gt_v, 0xb8010, true, false);
    moved_on(3);
    ck_assert_uint_eq(gt_v->unowned, 1);
    ck_assert_uint_eq(GREG(RIP), 3);
}
END_TEST

/* ---- the small ones ---- */

START_TEST(instruction_length_skips_prefixes_and_compares_the_opcode)
{
    static const u8 vmcall[] = {0x0f, 0x01, 0xc1};

    gt_mode64();
    GT_CODE_IS("\x0f\x01\xc1");
    ck_assert_uint_eq(guest_insn_length(gt_v, vmcall, 3), 3);
    GT_CODE_IS("\x66\x48\x0f\x01\xc1");
    ck_assert_uint_eq(guest_insn_length(gt_v, vmcall, 3), 5);
    GT_CODE_IS("\x0f\x01\xc2");
    ck_assert_uint_eq(guest_insn_length(gt_v, vmcall, 3), 0);
    gt_map(0x40000000, 0x300000, 0x63);
    gt_map(0x40001000, 0x310000, 0x63);
    gt_write(0x300ffe, "\x66\x0f", 2);
    gt_write(0x310000, "\x01\xc1", 2);
    GREG(RIP) = 0x40000ffe;
    ck_assert_uint_eq(guest_insn_length(gt_v, vmcall, 3), 4);
    GREG(RIP) = 0x7f0000000000;
    ck_assert_uint_eq(guest_insn_length(gt_v, vmcall, 3), 0);
    ck_assert(!gt_f->queued);
}
END_TEST

START_TEST(exceptions_are_queued_as_given)
{
    gt_mode64();
    guest_exception(gt_v, X86_PF, true, PF_WRITE, 0x1234);
    gt_expect_fault(X86_PF, PF_WRITE, 0x1234);
    ck_assert_uint_eq(GREG(CR2), 0x1234);
}
END_TEST

START_TEST(xsetbv_refuses_what_the_cpu_would)
{
    static const u64 bad[] = {0, 2, 4, 5, 0x101, 0x27, 0x67, 0xa7, 0xe3, 1ull << 63 | 1, 0x203, 0x19};
    static const u64 good[] = {1, 3, 7, 0xe7};

    gt_mode64();
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        GPR(RCX) = 0;
        GPR(RAX) = (u32)bad[i];
        GPR(RDX) = bad[i] >> 32;
        ck_assert_msg(!guest_xsetbv(gt_v), "%llx accepted", (unsigned long long)bad[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert(guest_xcr0_legal(good[i]));
    GPR(RAX) = 7;
    GPR(RDX) = 0;
    GPR(RCX) = 1;
    ck_assert(!guest_xsetbv(gt_v));
    GPR(RCX) = 0;
    gt_f->cpl = 3;
    ck_assert(!guest_xsetbv(gt_v));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, a_load_reads_the_device_once_and_clears_the_upper_half);
    tcase_add_test(t, a_store_writes_the_device_once);
    tcase_add_test(t, the_reported_address_spares_the_walk);
    tcase_add_test(t, the_reported_address_is_not_believed_for_another_offset_or_a_write);
    tcase_add_test(t, unowned_memory_reads_ones_drops_writes_and_is_counted);
    tcase_add_test(t, fs_and_gs_bases_count_in_64_bit_mode_others_do_not);
    tcase_add_test(t, rip_relative_counts_from_the_next_instruction);
    tcase_add_test(t, high_byte_registers_load_and_store);
    tcase_add_test(t, moffs_takes_an_absolute_address);
    tcase_add_test(t, compare_sets_flags_and_writes_nothing);
    tcase_add_test(t, read_modify_write_reads_then_writes);
    tcase_add_test(t, an_operand_across_two_device_pages_is_split);
    tcase_add_test(t, an_operand_may_begin_in_ram_and_end_in_the_device);
    tcase_add_test(t, a_fault_on_the_second_page_writes_nothing);
    tcase_add_test(t, read_only_ram_is_read_and_not_written);
    tcase_add_test(t, an_instruction_across_pages_is_fetched_from_both);
    tcase_add_test(t, a_short_instruction_at_the_page_end_needs_no_second_page);
    tcase_add_test(t, a_missing_second_code_page_faults_as_a_fetch);
    tcase_add_test(t, bytes_captured_by_the_cpu_are_used_and_completed);
    tcase_add_test(t, jumping_into_nothing_stops_the_vm);
    tcase_add_test(t, an_instruction_without_emulation_stops_the_vm_and_is_named);
    tcase_add_test(t, undefined_instructions_raise_ud_and_overlong_ones_gp);
    tcase_add_test(t, segment_bases_count_in_32_bit_mode);
    tcase_add_test(t, limits_and_types_are_checked_where_the_exit_does_not_vouch);
    tcase_add_test(t, real_mode_adds_segment_and_offset);
    tcase_add_test(t, instruction_length_skips_prefixes_and_compares_the_opcode);
    tcase_add_test(t, exceptions_are_queued_as_given);
    tcase_add_test(t, xsetbv_refuses_what_the_cpu_would);
}

int main(void)
{
    return gt_main("emul", add);
}
