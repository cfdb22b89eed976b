/* src/core/ioreq.c: requests that cannot be sent or are abandoned, real-time VMs; src/core/io.c: who asks. */
#include "ioreq_test.h"

/* ---- refusals ---- */

START_TEST(an_access_without_buffer_is_refused)
{
    ioreq_drop(vm);
    memset(fake_mem(page), 0xff, PAGE_SIZE);
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 0xff);
    ioreq_port_write(v, 0x60, 4, 0);
    ioreq_mmio_read(v, 0xd0000000, 8);
    ioreq_mmio_write(v, 0xd0000000, 8, 0);
    ck_assert_uint_eq(refused, 4);
    ck_assert_uint_eq(v->io_failed, 4);
    ck_assert_uint_eq(upcalls, 0);
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        ck_assert_uint_eq(*fake_mem(page + i), 0xff);
}
END_TEST

START_TEST(an_access_whose_slot_is_not_free_is_refused)
{
    static const u32 states[] = {IOREQ_PENDING, IOREQ_COMPLETE, IOREQ_PROCESSING, 4, 7, 0x103, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        slot(0)->processed = states[i];
        ck_assert_uint_eq(ioreq_mmio_read(v, 0xd0000000, 4), 0xffffffff);
        ck_assert_uint_eq(refused, i + 1);
        ck_assert_uint_eq(v->io_failed, i + 1);
        ck_assert_uint_eq(slot(0)->processed, states[i]);
        ck_assert_uint_eq(slot(0)->head.type, 0xa5a5a5a5);
    }
    ck_assert_uint_eq(upcalls, 0);
    ck_assert_uint_eq(v->ioreqs, 0);
}
END_TEST

/* ---- stop, reset, destroy ---- */

static void service_stops(unsigned n)
{
    ck_assert_uint_eq(n, 0);
    slot(v->id)->processed = IOREQ_PROCESSING;
    vcpu_request(v, VCPU_REQ_STOP);
}

START_TEST(a_stop_abandons_the_request_and_a_late_answer_revives_nobody)
{
    service = service_stops;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 2), 0xffff);
    ck_assert_uint_eq(slot(0)->processed, IOREQ_PROCESSING);
    ck_assert_uint_eq(v->requests & VCPU_REQ_STOP, VCPU_REQ_STOP);
    ck_assert_uint_eq(v->io_failed, 1);
    ck_assert_uint_eq(refused, 0);
    ck_assert(!ioreq_waiting(v));
    complete(1);
    notify();
    ck_assert_uint_eq(v->requests & VCPU_REQ_IOREQ, 0);
    ck_assert_uint_eq(slot(0)->processed, IOREQ_COMPLETE);
    /* Reset makes the slot usable again. */
    v->requests = 0;
    ioreq_reset(vm);
    ck_assert_uint_eq(slot(0)->processed, IOREQ_FREE);
    service = answers;
    answer = 0x5678;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 2), 0x5678);
}
END_TEST

START_TEST(a_vcpu_that_must_stop_sends_nothing)
{
    v->requests = VCPU_REQ_STOP;
    ck_assert_uint_eq(ioreq_port_read(v, 0x60, 1), 0xff);
    ioreq_mmio_write(v, 0xd0000000, 4, 1);
    ck_assert_uint_eq(upcalls, 0);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_eq(v->io_failed, 2);
    ck_assert_uint_eq(slot(0)->processed, IOREQ_FREE);
}
END_TEST

START_TEST(reset_frees_all_slots_and_drop_leaves_them)
{
    for (unsigned i = 0; i < IOREQ_SLOTS; i++)
        slot(i)->processed = i;
    ioreq_reset(vm);
    for (unsigned i = 0; i < IOREQ_SLOTS; i++)
        ck_assert_uint_eq(slot(i)->processed, IOREQ_FREE);
    slot(4)->processed = IOREQ_PENDING;
    ioreq_drop(vm);
    ck_assert_uint_eq(slot(4)->processed, IOREQ_PENDING);
    ioreq_reset(vm); /* there is nothing to free */
    ck_assert_uint_eq(slot(4)->processed, IOREQ_PENDING);
}
END_TEST

/* ---- real-time VMs ---- */

static const struct {
    u16 port;
    u8 size;
    u32 val;
    bool ends;
} rt_writes[] = {
    {0x64, 1, 0xfe, true},     {0x64, 1, 0xff, false},    {0xcf9, 1, 0x06, true},    {0xcf9, 1, 0x0e, true},
    {0xcf9, 1, 0x02, false},   {0xcf8, 4, 0xffff, false}, {0x404, 2, 0x3400, true},  {0x404, 4, 0x3401, true},
    {0x404, 2, 0x1400, false}, {0x404, 2, 0x2000, false}, {0x404, 2, 0x2c00, false}, {0x404, 1, 0x00, false},
    {0x60, 1, 0xfe, false},
};

START_TEST(a_real_time_vm_that_ends_its_run_is_powering_off_and_the_request_goes_out)
{
    service = answers;
    for (unsigned i = 0; i < ARRAY_SIZE(rt_writes); i++) {
        vm->state = VM_STATE_STARTED;
        user_vm_of(vm)->flags = HC_VM_RT;
        upcalls = 0;
        ioreq_port_write(v, rt_writes[i].port, rt_writes[i].size, rt_writes[i].val);
        ck_assert_msg((vm->state == VM_STATE_POWERING_OFF) == rt_writes[i].ends, "write %u", i);
        ck_assert_uint_eq(upcalls, 1);
    }
}
END_TEST

START_TEST(other_vms_and_other_states_are_not_changed_by_such_writes)
{
    service = answers;
    for (unsigned i = 0; i < ARRAY_SIZE(rt_writes); i++) {
        vm->state = VM_STATE_STARTED;
        user_vm_of(vm)->flags = 0;
        ioreq_port_write(v, rt_writes[i].port, rt_writes[i].size, rt_writes[i].val);
        ck_assert_uint_eq(vm->state, VM_STATE_STARTED);
        vm->state = VM_STATE_PAUSED;
        user_vm_of(vm)->flags = HC_VM_RT;
        ioreq_port_write(v, rt_writes[i].port, rt_writes[i].size, rt_writes[i].val);
        ck_assert_uint_eq(vm->state, VM_STATE_PAUSED);
    }
}
END_TEST

/* ---- src/core/io.c ---- */

static bool owned(struct vcpu *c, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    (void)c;
    (void)dev;
    (void)port;
    if (!write)
        *val = 0xaa;
    return size == 1;
}

static bool owned_mmio(struct vcpu *c, void *dev, u64 off, u8 size, bool write, u64 *val)
{
    (void)c;
    (void)dev;
    (void)off;
    if (!write)
        *val = 0xbb;
    return size == 4;
}

START_TEST(what_no_device_of_a_user_vm_serves_becomes_a_request)
{
    service = answers;
    answer = 0x55443322;
    io_register_ports(vm, 0x9000, 2, owned, NULL);
    io_register_mmio(vm, 0xd0000000, 0x1000, owned_mmio, NULL);
    ck_assert_uint_eq(io_port_read(v, 0x9000, 1), 0xaa);
    ck_assert_uint_eq(io_mmio_read(v, 0xd0000000, 4), 0xbb);
    ck_assert_uint_eq(upcalls, 0);
    ck_assert_uint_eq(io_port_read(v, 0x9000, 2), 0x3322); /* the device has no such register */
    ck_assert_uint_eq(io_port_read(v, 0x9002, 4), 0x55443322);
    ck_assert_uint_eq(io_mmio_read(v, 0xd0000000, 2), 0x3322);
    ck_assert_uint_eq(io_mmio_read(v, 0xd0001000, 4), 0x55443322);
    expect(IOREQ_PORTIO, IOREQ_WRITE, 0x9002, 2, 0xbeef);
    io_port_write(v, 0x9002, 2, 0xdeadbeef);
    expect(IOREQ_MMIO, IOREQ_WRITE, 0xd0001000, 2, 0xbeef);
    io_mmio_write(v, 0xd0001000, 2, 0xdeadbeef);
    ck_assert_uint_eq(v->unowned, 0);
    ck_assert_uint_eq(v->ioreqs, 6);
}
END_TEST

START_TEST(reading_an_idle_state_s_port_puts_the_vcpu_to_sleep_and_asks_nobody)
{
    const u16 port = (u16)cfg_board.cx[1].reg.address;

    ck_assert_uint_eq(cfg_board.cx[1].reg.space, HC_SPACE_IO);
    service = answers;
    answer = 0x55;
    ck_assert_uint_eq(io_port_read(v, port, 1), 0);
    ck_assert_uint_eq(upcalls, 0);
    ck_assert_uint_eq(v->state, VCPU_HALTED);
    ck_assert(v->doze);
    /* HLT again is HLT. */
    vcpu_halt(v);
    ck_assert(!v->doze);
    v->state = VCPU_RUNNING;
    v->requests = 0;
    /* Nothing else of it is ours: wider reads, the next port, writes, a register that is not a port. */
    ck_assert_uint_eq(io_port_read(v, port + 1, 1), 0x55);
    ck_assert_uint_eq(io_port_read(v, port, 2), 0x55);
    io_port_write(v, port, 1, 0x33);
    ck_assert_uint_eq(io_port_read(v, (u16)cfg_board.cx[0].reg.address, 1), 0x55);
    ck_assert_uint_eq(upcalls, 4);
    ck_assert_uint_eq(v->state, VCPU_RUNNING);
}
END_TEST

START_TEST(what_no_device_of_the_service_vm_serves_is_the_machines_port)
{
    struct vcpu *s = &svc->vcpus[0];

    io_register_ports(svc, 0x9000, 2, owned, NULL);
    host.mine = true;
    host.val = 0x12345678;
    ck_assert_uint_eq(io_port_read(s, 0x9000, 1), 0xaa);
    ck_assert_uint_eq(host.calls, 0);
    ck_assert_uint_eq(io_port_read(s, 0x9004, 2), 0x5678);
    ck_assert_uint_eq(host.port, 0x9004);
    ck_assert_uint_eq(host.size, 2);
    ck_assert(!host.write);
    io_port_write(s, 0x9004, 1, 0xfff);
    ck_assert(host.write);
    ck_assert_uint_eq(host.val, 0xff);
    ck_assert_uint_eq(s->unowned, 0);
    host.mine = false;
    ck_assert_uint_eq(io_port_read(s, 0x9004, 2), 0xffff);
    io_port_write(s, 0x9004, 1, 0);
    ck_assert_uint_eq(io_mmio_read(s, 0xd0000000, 4), 0xffffffff);
    io_mmio_write(s, 0xd0000000, 4, 0);
    ck_assert_uint_eq(s->unowned, 4);
    ck_assert_uint_eq(upcalls, 0);
}
END_TEST

START_TEST(a_pre_launched_vm_reaches_neither)
{
    struct vcpu *p = &vms[0].vcpus[0];

    ck_assert_int_eq(vms[0].cfg->kind, VM_PRELAUNCHED);
    host.mine = true;
    ck_assert_uint_eq(io_port_read(p, 0x9004, 2), 0xffff);
    io_port_write(p, 0x9004, 1, 0);
    ck_assert_uint_eq(io_mmio_read(p, 0xd0000000, 4), 0xffffffff);
    io_mmio_write(p, 0xd0000000, 4, 0);
    ck_assert_uint_eq(p->unowned, 4);
    ck_assert_uint_eq(host.calls, 0);
    ck_assert_uint_eq(upcalls, 0);
}
END_TEST

static TCase *ends(void)
{
    TCase *t = tcase_create("refusal, stop, other kinds of VM");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, an_access_without_buffer_is_refused);
    tcase_add_test(t, an_access_whose_slot_is_not_free_is_refused);
    tcase_add_test(t, a_stop_abandons_the_request_and_a_late_answer_revives_nobody);
    tcase_add_test(t, a_vcpu_that_must_stop_sends_nothing);
    tcase_add_test(t, reset_frees_all_slots_and_drop_leaves_them);
    tcase_add_test(t, a_real_time_vm_that_ends_its_run_is_powering_off_and_the_request_goes_out);
    tcase_add_test(t, other_vms_and_other_states_are_not_changed_by_such_writes);
    tcase_add_test(t, what_no_device_of_a_user_vm_serves_becomes_a_request);
    tcase_add_test(t, reading_an_idle_state_s_port_puts_the_vcpu_to_sleep_and_asks_nobody);
    tcase_add_test(t, what_no_device_of_the_service_vm_serves_is_the_machines_port);
    tcase_add_test(t, a_pre_launched_vm_reaches_neither);
    return t;
}

static TCase *polling_stops(void)
{
    TCase *t = tcase_create("polling");

    tcase_add_checked_fixture(t, polling_setup, NULL);
    tcase_add_test(t, a_stop_abandons_the_request_and_a_late_answer_revives_nobody);
    tcase_add_test(t, a_vcpu_that_must_stop_sends_nothing);
    return t;
}

int main(void)
{
    Suite *s = suite_create("ioreq_ends");

    suite_add_tcase(s, ends());
    suite_add_tcase(s, polling_stops());
    return run_suite(s);
}
