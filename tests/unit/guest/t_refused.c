/* Emulation in a user VM: what goes to the device model, and what happens when it gives no answer. */
#include <core/ioreq.h>
#include "gt.h"

#define DEV 0x18000000ull /* no RAM, no device of the hypervisor */

static struct cfg_vm cfg;

static struct {
    bool port, write;
    u8 size;
    u64 addr, val;
} asked[128];
static unsigned asks, answers; /* how many are answered before one is refused */
static u64 answer;

static u64 on_request(struct vcpu *v, bool port, u64 addr, u8 size, bool write, u64 val)
{
    ck_assert_ptr_eq(v, gt_v);
    ck_assert_uint_lt(asks, ARRAY_SIZE(asked));
    asked[asks].port = port;
    asked[asks].write = write;
    asked[asks].size = size;
    asked[asks].addr = addr;
    asked[asks].val = val;
    asks++;
    if (answers) {
        answers--;
        return answer;
    }
    v->io_failed++;
    arch_vcpu_refuse(v);
    return ~(u64)0;
}

static void setup(unsigned how_many)
{
    gt_mode64();
    cfg = *gt_vm->cfg;
    cfg.kind = VM_USER;
    gt_vm->cfg = &cfg;
    asks = 0;
    answers = how_many;
    answer = 0x1122334455667788ULL;
    fake_ioreq = on_request;
    memset(gt_ram(0x300000), 0xee, 0x2000);
}

static void mmio(u64 at, bool write)
{
    guest_mmio(gt_v, at, write, false);
}

/* The guest is back where it was, with #GP(0), and asked the device model n times. */
static void refused(unsigned n)
{
    ck_assert_uint_eq(asks, n);
    ck_assert_uint_eq(gt_f->refused, 1);
    fake_enter(gt_v);
    ck_assert_uint_eq(GREG(RIP), GT_CODE);
    ck_assert_uint_eq(gt_f->event_count, 1);
    ck_assert_uint_eq(gt_f->events[0].vector, X86_GP);
    ck_assert_uint_eq(gt_f->events[0].error, 0);
    ck_assert_ptr_null(gt_fatal);
}

static void answered(unsigned n)
{
    ck_assert_uint_eq(asks, n);
    ck_assert_uint_eq(gt_f->refused, 0);
    gt_expect_none();
    ck_assert_uint_gt(gt_f->skipped, 0);
}

START_TEST(loads_and_stores_are_requests)
{
    setup(4);
    GPR(RBX) = DEV + 8;
    GT_CODE_IS("\x8b\x03"); /* mov (%rbx),%eax */
    mmio(DEV + 8, false);
    ck_assert_uint_eq(GPR(RAX), 0x55667788);
    GT_CODE_IS("\x48\x89\x03"); /* mov %rax,(%rbx) */
    GPR(RAX) = 0xabcdef0123456789ULL;
    mmio(DEV + 8, true);
    GT_CODE_IS("\x0f\xbe\x03"); /* movsbl (%rbx),%eax */
    mmio(DEV + 8, false);
    ck_assert_uint_eq(GPR(RAX), 0xffffff88);
    answered(3);
    ck_assert_uint_eq(asked[0].size, 4);
    ck_assert_uint_eq(asked[1].size, 8);
    ck_assert_uint_eq(asked[1].val, 0xabcdef0123456789ULL);
    ck_assert_uint_eq(asked[2].size, 1);
    ck_assert_uint_eq(asked[2].addr, DEV + 8);
}
END_TEST

START_TEST(a_refused_load_leaves_the_register)
{
    setup(0);
    GPR(RBX) = DEV;
    GPR(RAX) = 5;
    GT_CODE_IS("\x8b\x03");
    mmio(DEV, false);
    refused(1);
    ck_assert_uint_eq(GPR(RAX), 5);
}
END_TEST

START_TEST(read_modify_write_asks_twice_and_writes_nothing_when_the_read_was_refused)
{
    setup(2);
    GPR(RBX) = DEV;
    GT_CODE_IS("\xf0\x83\x0b\x01"); /* lock orl $1,(%rbx) */
    mmio(DEV, true);
    answered(2);
    ck_assert_uint_eq(asked[1].val, 0x55667789);
    setup(0);
    GREG(RFLAGS) |= RFLAGS_CF;
    GT_CODE_IS("\xf0\x83\x0b\x01");
    mmio(DEV, true);
    refused(1);
    ck_assert(GREG(RFLAGS) & RFLAGS_CF);
}
END_TEST

START_TEST(an_exchange_whose_read_was_refused_does_not_write)
{
    setup(0);
    GPR(RBX) = DEV;
    GPR(RCX) = 7;
    GT_CODE_IS("\x87\x0b"); /* xchg %ecx,(%rbx) */
    mmio(DEV, true);
    refused(1);
    ck_assert_uint_eq(GPR(RCX), 7);
}
END_TEST

START_TEST(the_parts_of_a_split_access_end_with_the_first_refusal)
{
    setup(100);
    GPR(RBX) = DEV + 0xfff;
    GT_CODE_IS("\x48\x8b\x03"); /* 8 bytes across a page: 1 and 7 bytes, which are 4, 2, 1 */
    mmio(DEV + 0xfff, false);
    answered(4);
    setup(1);
    GT_CODE_IS("\x48\x8b\x03");
    mmio(DEV + 0xfff, false);
    refused(2);
    setup(0);
    gt_f->event_count = 0;
    gt_f->queued = false;
    gt_f->refused = 0;
    GT_CODE_IS("\x48\x89\x03");
    mmio(DEV + 0xfff, true);
    refused(1);
}
END_TEST

START_TEST(a_repeat_ends_with_the_refusal_and_keeps_what_was_done)
{
    setup(3);
    GPR(RDI) = DEV;
    GPR(RCX) = 10;
    GPR(RAX) = 0x5a;
    GT_CODE_IS("\xf3\xaa"); /* rep stosb */
    mmio(DEV, true);
    refused(4);
    ck_assert_uint_eq(GPR(RCX), 7);
    ck_assert_uint_eq(GPR(RDI), DEV + 3);
}
END_TEST

START_TEST(what_a_refused_read_would_have_moved_is_not_moved)
{
    setup(1);
    GPR(RSI) = DEV;
    GPR(RDI) = 0x300000;
    GPR(RCX) = 4;
    GT_CODE_IS("\xf3\xa5"); /* rep movsl from the device into RAM */
    mmio(DEV, false);
    refused(2);
    ck_assert_uint_eq(gt_read64(0x300000), 0xeeeeeeee55667788ULL);
    ck_assert_uint_eq(GPR(RCX), 3);
    ck_assert_uint_eq(GPR(RDI), 0x300004);
}
END_TEST

START_TEST(string_ports_are_requests_and_end_with_a_refusal)
{
    setup(2);
    GPR(RDX) = 0x1f0;
    GPR(RDI) = 0x300000;
    GPR(RCX) = 5;
    GT_CODE_IS("\xf3\x66\x6d"); /* rep insw */
    guest_string_io(gt_v);
    refused(3);
    ck_assert_uint_eq(gt_read64(0x300000), 0xeeeeeeee77887788ULL);
    ck_assert_uint_eq(GPR(RCX), 3);
    ck_assert_uint_eq(GPR(RDI), 0x300004);
    ck_assert(asked[2].port);
    ck_assert_uint_eq(asked[2].addr, 0x1f0);
    ck_assert_uint_eq(asked[2].size, 2);
}
END_TEST

START_TEST(outs_from_a_device_that_gives_no_answer_sends_nothing)
{
    setup(0);
    GPR(RDX) = 0x1f0;
    GPR(RSI) = DEV;
    GPR(RCX) = 5;
    GT_CODE_IS("\xf3\x6f"); /* rep outsl */
    guest_string_io(gt_v);
    refused(1);
    ck_assert(!asked[0].port);
    ck_assert_uint_eq(GPR(RCX), 5);
}
END_TEST

START_TEST(a_long_repeat_of_requests_is_done_in_bounded_pieces)
{
    setup(100);
    GPR(RDI) = DEV;
    GPR(RCX) = 100;
    GT_CODE_IS("\xf3\xaa");
    mmio(DEV, true);
    gt_expect_none();
    ck_assert_uint_le(asks, 64);
    ck_assert_uint_eq(GPR(RCX), 100 - asks);
}
END_TEST

START_TEST(a_write_to_a_page_without_write_permission_is_a_request_a_read_is_not)
{
    setup(1);
    ck_assert_int_eq(arch_s2_map(gt_vm, gpa(0x300000), hpa(GT_RAM_HPA + 0x300000), PAGE_SIZE, MEM_R | MEM_X),
                     0);
    GPR(RBX) = 0x300010;
    GT_CODE_IS("\x83\x03\x01"); /* addl $1,(%rbx) */
    mmio(0x300010, true);
    answered(1);
    ck_assert(asked[0].write);
    ck_assert_uint_eq(asked[0].val, 0xeeeeeeef);
    ck_assert_uint_eq(gt_read64(0x300010), 0xeeeeeeeeeeeeeeeeULL);
}
END_TEST

START_TEST(an_instruction_without_emulation_is_a_general_protection_fault)
{
    setup(0);
    GPR(RBX) = DEV;
    GT_CODE_IS("\x0f\x28\x03"); /* movaps (%rbx),%xmm0 */
    mmio(DEV, false);
    gt_expect_fault(X86_GP, 0, 0);
    ck_assert_uint_eq(asks, 0);
    ck_assert_uint_eq(gt_f->skipped, 0);
}
END_TEST

START_TEST(a_fetch_from_where_there_is_no_memory_is_the_guests_end)
{
    setup(0);
    guest_mmio(gt_v, DEV, false, true);
    ck_assert_ptr_nonnull(gt_fatal);
    ck_assert_uint_eq(asks, 0);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, loads_and_stores_are_requests);
    tcase_add_test(t, a_refused_load_leaves_the_register);
    tcase_add_test(t, read_modify_write_asks_twice_and_writes_nothing_when_the_read_was_refused);
    tcase_add_test(t, an_exchange_whose_read_was_refused_does_not_write);
    tcase_add_test(t, the_parts_of_a_split_access_end_with_the_first_refusal);
    tcase_add_test(t, a_repeat_ends_with_the_refusal_and_keeps_what_was_done);
    tcase_add_test(t, what_a_refused_read_would_have_moved_is_not_moved);
    tcase_add_test(t, string_ports_are_requests_and_end_with_a_refusal);
    tcase_add_test(t, outs_from_a_device_that_gives_no_answer_sends_nothing);
    tcase_add_test(t, a_long_repeat_of_requests_is_done_in_bounded_pieces);
    tcase_add_test(t, a_write_to_a_page_without_write_permission_is_a_request_a_read_is_not);
    tcase_add_test(t, an_instruction_without_emulation_is_a_general_protection_fault);
    tcase_add_test(t, a_fetch_from_where_there_is_no_memory_is_the_guests_end);
}

int main(void)
{
    return gt_main("refused", add);
}
