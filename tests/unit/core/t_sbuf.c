/* src/core/sbuf.c: rings in the service VM's memory, and a service VM that corrupts them. */
#include <stdio.h>
#include <abi/sbuf.h>
#include <core/sbuf.h>
#include <lib/log.h>
#include "core_test.h"

#define CPU 2u

static u64 at; /* guest-physical and host address of the ring under test */

static struct sbuf_header *header(void)
{
    return (struct sbuf_header *)(void *)fake_mem(at);
}

static u8 *data(void)
{
    return fake_mem(at + sizeof(struct sbuf_header));
}

/* What a consumer does before it hands the ring over. */
static void make(u32 ele_num, u32 ele_size, u32 flags)
{
    memset(fake_mem(at), 0, sizeof(struct sbuf_header));
    header()->magic = SBUF_MAGIC;
    header()->ele_num = ele_num;
    header()->ele_size = ele_size;
    header()->size = ele_num * ele_size;
    header()->flags = flags;
    memset(data(), 0xcc, (size_t)ele_num * ele_size + 256);
}

static void setup(void)
{
    core_setup();
    at = service_vm()->cfg->mem[0].gpa + 0x2000;
    ck_assert_uint_eq(service_vm()->cfg->mem[0].gpa, service_vm()->cfg->mem[0].hpa);
    sbuf_drop_all();
    fake_set_cpu(CPU);
}

static void ring(u32 ele_num, u32 flags)
{
    make(ele_num, SBUF_TRACE_BYTES, flags);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, at), 0);
}

/* Puts an element whose bytes all are n. */
static void put(u8 n)
{
    u8 e[SBUF_TRACE_BYTES];

    memset(e, n, sizeof(e));
    sbuf_put(SBUF_TRACE, e, sizeof(e));
}

/* Takes one as a consumer does; -1: empty. */
static int get(void)
{
    struct sbuf_header *h = header();
    u8 *e = data() + h->head;

    if (h->head == h->tail)
        return -1;
    for (u32 i = 1; i < h->ele_size; i++)
        ck_assert_uint_eq(e[i], e[0]);
    h->head = (h->head + h->ele_size) % h->size;
    return e[0];
}

START_TEST(elements_come_out_in_order_and_the_ring_wraps)
{
    ring(5, 0);
    for (u8 n = 0; n < 40; n++) {
        put(n);
        if (n >= 2)
            ck_assert_int_eq(get(), n - 2);
    }
    ck_assert_int_eq(get(), 38);
    ck_assert_int_eq(get(), 39);
    ck_assert_int_eq(get(), -1);
    ck_assert_uint_eq(header()->overrun_cnt, 0);
    for (u32 i = 0; i < 256; i++)
        ck_assert_uint_eq(data()[5 * SBUF_TRACE_BYTES + i], 0xcc);
}
END_TEST

START_TEST(when_full_the_newest_is_dropped_and_counted_if_asked)
{
    for (u32 flags = 0; flags <= SBUF_COUNT_OVERRUNS; flags++) {
        ring(4, flags);
        for (u8 n = 0; n < 10; n++)
            put(n);
        ck_assert_uint_eq(header()->overrun_cnt, flags ? 7 : 0);
        for (int n = 0; n < 3; n++)
            ck_assert_int_eq(get(), n);
        ck_assert_int_eq(get(), -1);
        put(77); /* and goes on */
        ck_assert_int_eq(get(), 77);
    }
}
END_TEST

START_TEST(with_overwrite_the_oldest_goes_and_is_counted_if_asked)
{
    for (u32 count = 0; count <= SBUF_COUNT_OVERRUNS; count++) {
        ring(4, SBUF_OVERWRITE | count);
        for (u8 n = 0; n < 10; n++)
            put(n);
        ck_assert_uint_eq(header()->overrun_cnt, count ? 7 : 0);
        for (int n = 7; n < 10; n++)
            ck_assert_int_eq(get(), n);
        ck_assert_int_eq(get(), -1);
    }
}
END_TEST

START_TEST(flags_may_change_while_the_ring_is_in_use)
{
    ring(3, 0);
    for (u8 n = 0; n < 5; n++)
        put(n);
    header()->flags = SBUF_OVERWRITE | SBUF_COUNT_OVERRUNS;
    put(5);
    ck_assert_uint_eq(header()->overrun_cnt, 1);
    ck_assert_int_eq(get(), 1);
    ck_assert_int_eq(get(), 5);
}
END_TEST

START_TEST(a_short_element_is_filled_up_with_zeroes_and_a_long_one_is_cut)
{
    u8 e[64];

    ring(4, 0);
    memset(e, 9, sizeof(e));
    sbuf_put(SBUF_TRACE, e, 5);
    sbuf_put(SBUF_TRACE, e, sizeof(e));
    for (u32 i = 0; i < 32; i++)
        ck_assert_uint_eq(data()[i], i < 5 ? 9 : 0);
    for (u32 i = 32; i < 64; i++)
        ck_assert_uint_eq(data()[i], 9);
    ck_assert_uint_eq(data()[64], 0xcc);
    ck_assert_uint_eq(header()->tail, 64);
}
END_TEST

START_TEST(a_corrupted_head_costs_elements_and_nothing_else)
{
    static const u32 heads[] = {1,          31,         33,         4 * 32,    4 * 32 + 32,
                                0x7fffffe0, 0x80000000, 0xffffffff, 0xffffffe0};

    for (u32 flags = 0; flags < 4; flags++) {
        for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
            ring(4, flags);
            put(1);
            header()->head = heads[i];
            put(2);
            put(3);
            ck_assert_uint_eq(header()->head, heads[i]);
            ck_assert_uint_eq(header()->tail, 32);
            ck_assert_uint_eq(header()->overrun_cnt, (flags & SBUF_COUNT_OVERRUNS) ? 2 : 0);
            for (u32 k = 32; k < 4 * 32 + 256; k++)
                ck_assert_uint_eq(data()[k], 0xcc);
            header()->head = 0; /* mended */
            put(4);
            ck_assert_int_eq(get(), 1);
            ck_assert_int_eq(get(), 4);
        }
    }
}
END_TEST

START_TEST(where_the_next_element_goes_does_not_depend_on_the_header)
{
    ring(4, 0);
    put(1);
    header()->tail = 0xfffff000;
    header()->size = 0xffffffff;
    header()->ele_size = 0x10000;
    header()->ele_num = 0xffff;
    header()->magic = 0;
    put(2);
    ck_assert_uint_eq(data()[32], 2);
    ck_assert_uint_eq(header()->tail, 64);
    put(3);
    put(4); /* full by the hypervisor's own count */
    ck_assert_uint_eq(header()->tail, 96);
    ck_assert_uint_eq(data()[96], 0xcc);
}
END_TEST

START_TEST(a_ring_that_is_handed_over_again_goes_on_where_it_was)
{
    ring(4, 0);
    put(1);
    put(2);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, 0), 0);
    put(3);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, at), 0);
    put(4);
    ck_assert_int_eq(get(), 1);
    ck_assert_int_eq(get(), 2);
    ck_assert_int_eq(get(), 4);
    ck_assert_int_eq(get(), -1);
}
END_TEST

START_TEST(rings_belong_to_one_cpu_and_one_id)
{
    ring(4, 0);
    fake_set_cpu(CPU + 1);
    put(1);
    fake_set_cpu(CPU);
    sbuf_put(SBUF_SEP, "x", 1);
    sbuf_log("x", 1);
    ck_assert_int_eq(get(), -1);
    for (u32 i = 0; i < CFG_PCPUS; i++)
        ck_assert_uint_eq(sbuf_trace_on[i], i == CPU);
}
END_TEST

START_TEST(giving_a_ring_up_ends_all_writes_to_it)
{
    ring(4, SBUF_OVERWRITE | SBUF_COUNT_OVERRUNS);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, 0), 0);
    put(1);
    ck_assert_uint_eq(sbuf_trace_on[CPU], 0);
    ring(4, SBUF_OVERWRITE | SBUF_COUNT_OVERRUNS);
    sbuf_drop_all();
    put(1);
    ck_assert_uint_eq(sbuf_trace_on[CPU], 0);
    ck_assert_uint_eq(header()->tail, 0);
    ck_assert_uint_eq(header()->overrun_cnt, 0);
    ck_assert_uint_eq(data()[0], 0xcc);
}
END_TEST

/* ---- set-up ---- */

static int try(u32 id)
{
    return sbuf_setup(CPU, id, at);
}

START_TEST(each_id_takes_its_own_element_size_only)
{
    static const u32 sizes[SBUF_IDS] = {32, 80, 32, 32};

    for (u32 id = 0; id < SBUF_IDS; id++) {
        for (u32 size = 0; size <= 160; size += 8) {
            make(4, size, 0);
            ck_assert_int_eq(try(id), size == sizes[id] ? 0 : -EINVAL_);
        }
    }
}
END_TEST

START_TEST(cpu_and_id_must_exist)
{
    make(4, 32, 0);
    ck_assert_int_eq(sbuf_setup(CFG_PCPUS - 1, SBUF_TRACE, at), 0);
    ck_assert_int_eq(sbuf_setup(CFG_PCPUS, SBUF_TRACE, at), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(0x100000000ULL, SBUF_TRACE, at), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_IDS, at), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CPU, 0xffffffff, at), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CFG_PCPUS, SBUF_TRACE, 0), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_IDS, 0), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_SEP, 0), 0); /* there was none: nothing to give up */
}
END_TEST

START_TEST(magic_sizes_and_tail_must_be_right)
{
    make(4, 32, 0);
    header()->magic ^= 1ULL << 63;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    make(4, 32, 0);
    header()->size += 32;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    make(4, 32, 0);
    header()->size = 0;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    make(1, 32, 0);
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    make(0, 32, 0);
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    make(4, 32, 0);
    header()->ele_num = 0x08000004; /* 32 times this is 128 in 32 bits */
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    make(4, 32, 0);
    header()->tail = 128;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    header()->tail = 31;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    header()->head = header()->tail = 96;
    ck_assert_int_eq(try(SBUF_TRACE), 0);
    put(5); /* element 3 is the last */
    ck_assert_uint_eq(data()[96], 5);
    ck_assert_uint_eq(header()->tail, 0);
}
END_TEST

START_TEST(the_data_area_may_measure_4_mib_and_no_more)
{
    at = service_vm()->cfg->mem[service_vm()->cfg->mem_count - 1].gpa;
    ck_assert_uint_gt(service_vm()->cfg->mem[service_vm()->cfg->mem_count - 1].size, MIB(4) + 4096);
    make((u32)(SBUF_MAX_SIZE / 32), 32, 0);
    ck_assert_int_eq(try(SBUF_TRACE), 0);
    make((u32)(SBUF_MAX_SIZE / 32) + 1, 32, 0);
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
}
END_TEST

START_TEST(all_of_it_must_be_the_service_vms_ram)
{
    const struct cfg_mem *m = &service_vm()->cfg->mem[0];
    u64 end = m->gpa + m->size;

    make(4, 32, 0);
    memmove(fake_mem(at + 4), fake_mem(at), sizeof(struct sbuf_header));
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, at + 4), -EINVAL_); /* misaligned */
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, 0x7fffffff0000ULL), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, ~0ULL - 7), -EINVAL_);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, ~0ULL - 63), -EINVAL_);
    /* Ends with the memory, and one element later. */
    at = end - 64 - 4 * 32;
    memset(fake_mem(at), 0, 64);
    *header() = (struct sbuf_header){.magic = SBUF_MAGIC, .ele_num = 4, .ele_size = 32, .size = 128};
    ck_assert_int_eq(try(SBUF_TRACE), 0);
    header()->ele_num = 5;
    header()->size = 160;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
    /* The header itself on the last bytes. */
    at = end - 32;
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
}
END_TEST

START_TEST(pages_that_are_read_only_or_devices_are_not_ram)
{
    static const u32 prots[] = {MEM_R, MEM_RWX | MEM_DEV, MEM_R | MEM_X, MEM_RWX};

    make(1000, 32, 0);
    for (u32 i = 0; i < ARRAY_SIZE(prots); i++) {
        u64 page = ALIGN_UP(at + 1, PAGE_SIZE) + PAGE_SIZE; /* in the middle of the data */

        ck_assert_int_eq(arch_s2_map(service_vm(), gpa(page), hpa(page), PAGE_SIZE, prots[i]), 0);
        ck_assert_int_eq(try(SBUF_TRACE), prots[i] == MEM_RWX ? 0 : -EINVAL_);
    }
}
END_TEST

START_TEST(pages_that_lie_elsewhere_in_the_host_are_refused)
{
    u64 page = ALIGN_UP(at + 1, PAGE_SIZE) + PAGE_SIZE;

    make(1000, 32, 0);
    ck_assert_int_eq(arch_s2_map(service_vm(), gpa(page), hpa(page + PAGE_SIZE), PAGE_SIZE, MEM_RWX), 0);
    ck_assert_int_eq(try(SBUF_TRACE), -EINVAL_);
}
END_TEST

START_TEST(a_refused_ring_does_not_end_the_old_one)
{
    ring(4, 0);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_TRACE, 4), -EINVAL_);
    put(3);
    ck_assert_int_eq(get(), 3);
}
END_TEST

/* ---- producers ---- */

START_TEST(a_trace_element_has_time_event_count_cpu_and_payload)
{
    struct sbuf_trace t;

    ring(4, 0);
    fake_tsc = 0x123456789abcULL;
    trace(CPU, TRACE_VM_STATE, 7, 0xfedcba9876543210ULL);
    memcpy(&t, data(), sizeof(t));
    ck_assert_uint_eq(t.tsc, 0x123456789abcULL);
    ck_assert_uint_eq(t.what, (u64)TRACE_VM_STATE | 2ULL << 48 | (u64)CPU << 56);
    ck_assert_uint_eq(t.data[0], 7);
    ck_assert_uint_eq(t.data[1], 0xfedcba9876543210ULL);
    ck_assert_uint_eq(header()->tail, 32);
}
END_TEST

static void log_ring(u32 ele_num)
{
    make(ele_num, SBUF_HVLOG_BYTES, 0);
    ck_assert_int_eq(sbuf_setup(CPU, SBUF_HVLOG, at), 0);
}

START_TEST(a_log_line_is_cut_into_elements_of_80_bytes)
{
    char line[240];

    log_ring(16);
    for (u32 i = 0; i < sizeof(line); i++)
        line[i] = (char)('a' + i % 26);
    sbuf_log(line, 240);
    ck_assert_uint_eq(header()->tail, 3 * 80);
    ck_assert_mem_eq(data(), line, 240);
    sbuf_log(line, 81);
    ck_assert_uint_eq(header()->tail, 5 * 80);
    ck_assert_mem_eq(data() + 240, line, 81);
    for (u32 i = 321; i < 400; i++)
        ck_assert_uint_eq(data()[i], 0);
    sbuf_log(line, 0);
    ck_assert_uint_eq(header()->tail, 5 * 80);
}
END_TEST

START_TEST(a_message_has_at_most_4_elements)
{
    char line[1000];

    log_ring(16);
    memset(line, 'x', sizeof(line));
    sbuf_log(line, sizeof(line));
    ck_assert_uint_eq(header()->tail, 4 * 80);
    ck_assert_uint_eq(data()[319], 'x');
    ck_assert_uint_eq(data()[320], 0xcc);
}
END_TEST

START_TEST(the_hypervisors_log_goes_to_the_ring_of_the_cpu_that_speaks)
{
    log_ring(16);
    loglevel = LOG_INFO;
    log_dbg("unheard");
    ck_assert_uint_eq(header()->tail, 0);
    log_info("heard %d", 5);
    ck_assert_uint_eq(header()->tail, 80);
    ck_assert_str_eq((char *)data() + strlen((char *)data()) - 7, "heard 5");
    log_guest(0, LOG_WARN, "said");
    ck_assert_uint_eq(header()->tail, 160);
    fake_set_cpu(CPU + 1);
    log_info("elsewhere");
    ck_assert_uint_eq(header()->tail, 160);
}
END_TEST

static TCase *use(void)
{
    TCase *t = tcase_create("use");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, elements_come_out_in_order_and_the_ring_wraps);
    tcase_add_test(t, when_full_the_newest_is_dropped_and_counted_if_asked);
    tcase_add_test(t, with_overwrite_the_oldest_goes_and_is_counted_if_asked);
    tcase_add_test(t, flags_may_change_while_the_ring_is_in_use);
    tcase_add_test(t, a_short_element_is_filled_up_with_zeroes_and_a_long_one_is_cut);
    tcase_add_test(t, a_corrupted_head_costs_elements_and_nothing_else);
    tcase_add_test(t, where_the_next_element_goes_does_not_depend_on_the_header);
    tcase_add_test(t, a_ring_that_is_handed_over_again_goes_on_where_it_was);
    tcase_add_test(t, rings_belong_to_one_cpu_and_one_id);
    tcase_add_test(t, giving_a_ring_up_ends_all_writes_to_it);
    tcase_add_test(t, a_trace_element_has_time_event_count_cpu_and_payload);
    tcase_add_test(t, a_log_line_is_cut_into_elements_of_80_bytes);
    tcase_add_test(t, a_message_has_at_most_4_elements);
    tcase_add_test(t, the_hypervisors_log_goes_to_the_ring_of_the_cpu_that_speaks);
    return t;
}

static TCase *set_up(void)
{
    TCase *t = tcase_create("set-up");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, each_id_takes_its_own_element_size_only);
    tcase_add_test(t, cpu_and_id_must_exist);
    tcase_add_test(t, magic_sizes_and_tail_must_be_right);
    tcase_add_test(t, the_data_area_may_measure_4_mib_and_no_more);
    tcase_add_test(t, all_of_it_must_be_the_service_vms_ram);
    tcase_add_test(t, pages_that_are_read_only_or_devices_are_not_ram);
    tcase_add_test(t, pages_that_lie_elsewhere_in_the_host_are_refused);
    tcase_add_test(t, a_refused_ring_does_not_end_the_old_one);
    return t;
}

int main(void)
{
    Suite *s = suite_create("sbuf");

    suite_add_tcase(s, use());
    suite_add_tcase(s, set_up());
    return run_suite(s);
}
