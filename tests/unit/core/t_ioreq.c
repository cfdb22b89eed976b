/* src/core/ioreq.c: the life of a request, with a service VM that answers or misbehaves. */
#include "ioreq_test.h"

START_TEST(a_new_buffer_has_free_slots_and_nothing_else_is_touched)
{
    for (unsigned i = 0; i < IOREQ_SLOTS; i++) {
        ck_assert_uint_eq(slot(i)->processed, IOREQ_FREE);
        for (unsigned k = 0; k < 256; k++)
            if (k < 136 || k >= 140)
                ck_assert_uint_eq(*fake_mem(page + i * 256 + k), 0xa5);
    }
    ck_assert(ioreq_has_buffer(vm));
    /* The old page is simply abandoned. */
    memset(fake_mem(page + 0x1000), 0, PAGE_SIZE);
    slot(3)->processed = IOREQ_PROCESSING;
    ioreq_set_buffer(vm, hpa(page + 0x1000));
    ck_assert_uint_eq(slot(3)->processed, IOREQ_PROCESSING);
    ck_assert_uint_eq(slot(16 + 3)->processed, IOREQ_FREE);
}
END_TEST

START_TEST(the_page_at_host_address_0_is_a_buffer_like_any_other)
{
    ioreq_drop(vm);
    ck_assert(!ioreq_has_buffer(vm));
    page = 0;
    ioreq_set_buffer(vm, hpa(0));
    ck_assert(ioreq_has_buffer(vm));
    ck_assert_uint_eq(slot(15)->processed, IOREQ_FREE);
}
END_TEST

START_TEST(port_accesses_become_requests)
{
    u64 n = 0;

    answer = 0x8899aabbccddeeffULL;
    for (u8 size = 1; size <= 4; size *= 2) {
        expect(IOREQ_PORTIO, IOREQ_READ, 0xcfc, size, 0);
        ck_assert_uint_eq(ioreq_port_read(v, 0xcfc, size), answer & ((2ULL << (8 * size - 1)) - 1));
        check_end(++n);
        expect(IOREQ_PORTIO, IOREQ_WRITE, 0xcf8, size, 0x5a);
        ioreq_port_write(v, 0xcf8, size, 0x5a);
        check_end(++n);
    }
}
END_TEST

START_TEST(memory_accesses_become_requests)
{
    u64 n = 0;

    answer = 0x8899aabbccddeeffULL;
    for (u8 size = 1; size <= 8; size *= 2) {
        expect(IOREQ_MMIO, IOREQ_READ, 0xd0000004, size, 0);
        ck_assert_uint_eq(ioreq_mmio_read(v, 0xd0000004, size),
                          size == 8 ? answer : answer & ((1ULL << (8 * size)) - 1));
        check_end(++n);
        expect(IOREQ_MMIO, IOREQ_WRITE, 0x7fffffff0ULL, size, 0x7a);
        ioreq_mmio_write(v, 0x7fffffff0ULL, size, 0x7a);
        check_end(++n);
    }
}
END_TEST

START_TEST(a_write_to_a_read_execute_page_is_a_write_protect_request)
{
    static const struct {
        u32 prot, type;
    } cases[] = {{MEM_R | MEM_X, IOREQ_WP},
                 {MEM_R | MEM_X | MEM_UC, IOREQ_WP},
                 {MEM_R, IOREQ_MMIO},
                 {MEM_X, IOREQ_MMIO},
                 {MEM_RWX, IOREQ_MMIO}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        ck_assert_int_eq(arch_s2_map(vm, gpa(0x5000), hpa(0x7000), PAGE_SIZE, cases[i].prot), 0);
        expect(cases[i].type, IOREQ_WRITE, 0x5ff8, 8, 0x1122334455667788ULL);
        ioreq_mmio_write(v, 0x5ff8, 8, 0x1122334455667788ULL);
        check_end(i + 1);
    }
    /* Reads of such a page are plain ones. */
    ck_assert_int_eq(arch_s2_map(vm, gpa(0x5000), hpa(0x7000), PAGE_SIZE, MEM_X), 0);
    expect(IOREQ_MMIO, IOREQ_READ, 0x5000, 4, 0);
    ioreq_mmio_read(v, 0x5000, 4);
}
END_TEST

START_TEST(each_vcpu_has_the_slot_of_its_id)
{
    on_cpu_of(&vm->vcpus[1]);
    expect(IOREQ_PORTIO, IOREQ_READ, 0x60, 1, 0);
    answer = 0x77;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 0x77);
    check_end(1);
    ck_assert_uint_eq(*fake_mem(page + 64), 0xa5); /* slot 0 was not written */
}
END_TEST

static void service_two(unsigned n)
{
    struct vcpu *first = &vm->vcpus[0], *second = &vm->vcpus[1];

    if (n == 0) {
        /* While the first one waits on its CPU, the second one asks, too. */
        arch_wait_end();
        on_cpu_of(second);
        ck_assert_uint_eq(ioreq_port_read(second, 0x71, 1), 0x22);
        on_cpu_of(first);
        arch_wait_begin();
        complete(0x11);
        ck_assert_int_eq(ioreq_notify(vm, 0), 0);
    } else {
        ck_assert_uint_eq(slot(0)->processed, IOREQ_PENDING);
        complete(0x22);
        ck_assert_int_eq(ioreq_notify(vm, 1), 0);
        ck_assert_uint_eq(first->requests, 0); /* it is not woken for another's answer */
    }
}

START_TEST(vcpus_ask_side_by_side)
{
    service = service_two;
    ck_assert_uint_eq(ioreq_port_read(v, 0x70, 1), 0x11);
    ck_assert_uint_eq(turns, 2);
}
END_TEST

static void service_rewrites(unsigned n)
{
    struct ioreq_slot *s = slot(v->id);

    (void)n;
    s->head.type = IOREQ_PCICFG;
    s->head.reqs.pci.direction = IOREQ_WRITE;
    s->head.reqs.pci.size = 8;
    s->head.reqs.pci.bus = 0x7fffffff;
    s->head.reqs.pci.dev = -1;
    s->client = 5;
    complete(0xffffffff00008086ULL);
    s->head.reqs.pci.bus = -1;
    notify();
}

START_TEST(only_the_value_is_read_back_and_only_in_the_access_width)
{
    service = service_rewrites;
    ck_assert_uint_eq(ioreq_port_read(v, 0xcfc, 2), 0x8086);
    ck_assert_uint_eq(ioreq_port_read(v, 0xcfc, 4), 0x00008086);
    ck_assert_uint_eq(ioreq_port_read(v, 0xcfd, 1), 0x86);
    ck_assert_uint_eq(ioreq_mmio_read(v, 0xe0000000, 4), 0x8086);
    ck_assert_int_eq(slot(0)->client, 5);
    ck_assert_uint_eq(slot(0)->processed, IOREQ_FREE);
}
END_TEST

static void service_through_processing(unsigned n)
{
    if (n == 0)
        slot(v->id)->processed = IOREQ_PROCESSING;
    else
        answers(n);
    if (n == 0)
        v->requests = VCPU_REQ_EVENT; /* the CPU looks, sees nothing, and idles again */
}

START_TEST(a_request_may_pass_through_processing)
{
    service = service_through_processing;
    answer = 9;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 9);
    ck_assert_uint_eq(turns, 2);
    ck_assert_uint_eq(v->requests, VCPU_REQ_EVENT);
}
END_TEST

static void service_wrong_states(unsigned n)
{
    static const u32 states[] = {IOREQ_PENDING, IOREQ_PROCESSING, IOREQ_FREE, 4, 7, 0x101, 0xffffffff};

    if (n < ARRAY_SIZE(states)) {
        slot(v->id)->processed = states[n];
        notify();
        v->requests |= VCPU_REQ_IOREQ; /* even when it is woken */
        return;
    }
    answers(n);
}

START_TEST(only_complete_ends_the_wait)
{
    service = service_wrong_states;
    answer = 0x1234;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 2), 0x1234);
    ck_assert_uint_eq(turns, 8);
    ck_assert_uint_eq(slot(0)->processed, IOREQ_FREE);
}
END_TEST

START_TEST(only_complete_ends_the_wait_of_a_polling_vm)
{
    service = service_wrong_states;
    answer = 0x1234;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 2), 0x1234);
    ck_assert_uint_eq(turns, 8);
}
END_TEST

static void service_notifies_early(unsigned n)
{
    if (n == 0) {
        notify();
        ck_assert_uint_eq(v->requests, 0);
        slot(v->id)->processed = IOREQ_PROCESSING;
        notify();
        ck_assert_uint_eq(v->requests, 0);
        v->requests = VCPU_REQ_EVENT;
    } else if (n == 1) {
        complete(0x42);
        v->requests = VCPU_REQ_EVENT; /* woken by something else */
    } else {
        notify();
        ck_assert_uint_eq(v->requests, VCPU_REQ_IOREQ);
    }
}

START_TEST(the_vcpu_resumes_on_a_notification_after_complete_and_not_before)
{
    service = service_notifies_early;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 0x42);
    ck_assert_uint_eq(turns, 3);
    ck_assert_uint_eq(v->requests, VCPU_REQ_EVENT);
}
END_TEST

static void complete_at_once(void)
{
    complete(0x99);
    notify();
}

START_TEST(an_answer_that_comes_at_once_is_not_lost)
{
    on_upcall = complete_at_once;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 0x99);
    ck_assert_uint_eq(fake_idles, 0);
}
END_TEST

START_TEST(a_second_notification_changes_nothing)
{
    u32 kicks;

    service = answers;
    ioreq_port_read(v, 0x60, 1);
    kicks = fake_kicks[v->pcpu];
    fake_set_cpu(0);
    notify();
    slot(0)->processed = IOREQ_COMPLETE; /* even though it looks like an answer */
    notify();
    ck_assert_uint_eq(v->requests, 0);
    ck_assert_uint_eq(fake_kicks[v->pcpu], kicks);
}
END_TEST

START_TEST(notify_refuses_what_does_not_exist)
{
    static const u64 ids[] = {8, 15, 16, 0xffff, 0x100000000ULL, ~0ULL};

    ck_assert_int_eq(ioreq_notify(vm, vm->vcpu_count - 1), 0);
    ck_assert_int_eq(ioreq_notify(vm, vm->vcpu_count), -EINVAL_);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        ck_assert_int_eq(ioreq_notify(vm, ids[i]), -EINVAL_);
    ioreq_drop(vm);
    ck_assert_int_eq(ioreq_notify(vm, 0), -EINVAL_);
}
END_TEST

static void service_polled(unsigned n)
{
    if (n < 3)
        return;
    ck_assert_int_eq(ioreq_notify(vm, 0), 0);
    complete(0x33);
    ck_assert_int_eq(ioreq_notify(vm, 0), 0);
    ck_assert_uint_eq(v->requests, 0);
}

START_TEST(a_polling_vm_needs_no_notification)
{
    expect(IOREQ_PORTIO, IOREQ_READ, 0x60, 1, 0);
    service = service_polled;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 0x33);
    check_end(1);
    ck_assert_uint_eq(turns, 4);
    ck_assert_uint_eq(fake_idles, 0);
}
END_TEST

static unsigned fired;
static struct timer timer;

static void on_timer(struct timer *t)
{
    ck_assert_ptr_eq(t, &timer);
    fired++;
}

static void service_with_timer(unsigned n)
{
    if (n == 2)
        pass_time(1000);
    if (n == 4)
        answers(n);
    else if (fake_idle_hook)
        v->requests |= VCPU_REQ_EVENT;
}

START_TEST(the_cpu_serves_its_timers_while_it_waits)
{
    fired = 0;
    timer_init(&timer, v->pcpu, on_timer);
    timer_set(&timer, fake_tsc + 500);
    service = service_with_timer;
    ioreq_port_read(v, 0x60, 1);
    ck_assert_uint_eq(fired, 1);
    ck_assert_uint_eq(v->wait_ticks, 1000);
    ck_assert_uint_eq(fake_cpus[v->pcpu].requests, 0);
}
END_TEST

static void service_kicks_about(unsigned n)
{
    switch (n) {
    case 0:
        v->requests |= VCPU_REQ_EVENT;
        break;
    case 1:
        v->requests |= VCPU_REQ_FLUSH | VCPU_REQ_NMI | 0x80000000u;
        break;
    default:
        ck_assert_uint_eq(v->requests, 0); /* put aside, or the CPU could not idle */
        answers(n);
    }
}

START_TEST(what_else_comes_for_the_vcpu_is_kept_and_lets_the_cpu_idle)
{
    service = service_kicks_about;
    ioreq_port_read(v, 0x60, 1);
    ck_assert_uint_eq(fake_idles, 3);
    ck_assert_uint_eq(v->requests, VCPU_REQ_EVENT | VCPU_REQ_FLUSH | VCPU_REQ_NMI | 0x80000000u);
}
END_TEST

static void service_init_sipi(unsigned n)
{
    if (n == 0)
        vcpu_send_sipi(v, 0x10);
    else if (n == 1)
        vcpu_send_init(v);
    else
        answers(n);
}

START_TEST(an_init_voids_the_sipi_that_was_put_aside_before_it)
{
    service = service_init_sipi;
    ioreq_port_read(v, 0x60, 1);
    ck_assert_uint_eq(v->requests, VCPU_REQ_INIT);
}
END_TEST

static void service_init_then_sipi(unsigned n)
{
    if (n == 0) {
        vcpu_send_init(v);
        vcpu_send_sipi(v, 0x10);
    } else {
        answers(n);
    }
}

START_TEST(a_sipi_after_the_init_stays)
{
    service = service_init_then_sipi;
    ioreq_port_read(v, 0x60, 1);
    ck_assert_uint_eq(v->requests, VCPU_REQ_INIT | VCPU_REQ_SIPI);
}
END_TEST

static TCase *protocol(void)
{
    TCase *t = tcase_create("protocol");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_new_buffer_has_free_slots_and_nothing_else_is_touched);
    tcase_add_test(t, the_page_at_host_address_0_is_a_buffer_like_any_other);
    tcase_add_test(t, port_accesses_become_requests);
    tcase_add_test(t, memory_accesses_become_requests);
    tcase_add_test(t, a_write_to_a_read_execute_page_is_a_write_protect_request);
    tcase_add_test(t, each_vcpu_has_the_slot_of_its_id);
    tcase_add_test(t, vcpus_ask_side_by_side);
    tcase_add_test(t, only_the_value_is_read_back_and_only_in_the_access_width);
    tcase_add_test(t, a_request_may_pass_through_processing);
    tcase_add_test(t, only_complete_ends_the_wait);
    tcase_add_test(t, the_vcpu_resumes_on_a_notification_after_complete_and_not_before);
    tcase_add_test(t, an_answer_that_comes_at_once_is_not_lost);
    tcase_add_test(t, a_second_notification_changes_nothing);
    tcase_add_test(t, notify_refuses_what_does_not_exist);
    tcase_add_test(t, the_cpu_serves_its_timers_while_it_waits);
    tcase_add_test(t, what_else_comes_for_the_vcpu_is_kept_and_lets_the_cpu_idle);
    tcase_add_test(t, an_init_voids_the_sipi_that_was_put_aside_before_it);
    tcase_add_test(t, a_sipi_after_the_init_stays);
    return t;
}

static TCase *polling(void)
{
    TCase *t = tcase_create("polling");

    tcase_add_checked_fixture(t, polling_setup, NULL);
    tcase_add_test(t, port_accesses_become_requests);
    tcase_add_test(t, memory_accesses_become_requests);
    tcase_add_test(t, a_polling_vm_needs_no_notification);
    tcase_add_test(t, only_complete_ends_the_wait_of_a_polling_vm);
    tcase_add_test(t, the_cpu_serves_its_timers_while_it_waits);
    return t;
}

int main(void)
{
    Suite *s = suite_create("ioreq");

    suite_add_tcase(s, protocol());
    suite_add_tcase(s, polling());
    return run_suite(s);
}
