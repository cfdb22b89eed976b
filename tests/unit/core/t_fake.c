/* The fake machine keeps the promises of include/arch that other tests rely on. */
#include "core_test.h"

static struct vm *vm;
static struct vcpu *v;

static void setup(void)
{
    core_setup();
    vm = &vms[2];
    v = &vm->vcpus[0];
    arch_s2_init(vm);
}

START_TEST(mappings_are_replaced_split_and_removed)
{
    struct s2_leaf l;

    ck_assert_int_eq(arch_s2_map(vm, gpa(0), hpa(0x10000000), SIZE_2M, MEM_RWX), 0);
    ck_assert(arch_s2_translate(vm, gpa(0x1234), &l));
    ck_assert_uint_eq(l.hpa.v, 0x10001234);
    ck_assert_uint_eq(l.left, SIZE_2M - 0x1234);
    ck_assert_int_eq(arch_s2_map(vm, gpa(0x3000), hpa(0x20000000), 0x1000, MEM_R), 0);
    ck_assert(arch_s2_translate(vm, gpa(0x3010), &l));
    ck_assert_uint_eq(l.hpa.v, 0x20000010);
    ck_assert_uint_eq(l.left, 0xff0);
    ck_assert_uint_eq(l.prot, MEM_R);
    ck_assert(arch_s2_translate(vm, gpa(0x2fff), &l));
    ck_assert_uint_eq(l.hpa.v, 0x10002fff);
    ck_assert_uint_eq(l.left, 1);
    ck_assert(arch_s2_translate(vm, gpa(0x4000), &l));
    ck_assert_uint_eq(l.hpa.v, 0x10004000);
    ck_assert_int_eq(arch_s2_unmap(vm, gpa(0x5000), 0x2000), 0);
    ck_assert(!arch_s2_translate(vm, gpa(0x5000), &l));
    ck_assert(!arch_s2_translate(vm, gpa(0x6fff), &l));
    ck_assert(arch_s2_translate(vm, gpa(0x7000), &l));
    ck_assert(!arch_s2_translate(vm, gpa(SIZE_2M), &l));
}
END_TEST

START_TEST(the_pool_runs_out)
{
    fake_s2_limit = 2;
    ck_assert_int_eq(arch_s2_map(vm, gpa(0), hpa(0), SIZE_2M, MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_map(vm, gpa(SIZE_2M), hpa(0), SIZE_2M, MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_map(vm, gpa(2 * SIZE_2M), hpa(0), SIZE_2M, MEM_RWX), -ENOMEM_);
    ck_assert_int_eq(arch_s2_unmap(vm, gpa(0x1000), 0x1000), -ENOMEM_);
}
END_TEST

static void inject(enum event_kind kind, u8 vector)
{
    struct guest_event e = {.kind = kind, .vector = vector};

    arch_vcpu_inject(v, &e);
}

START_TEST(exceptions_combine_as_the_manual_says)
{
    struct fake_vcpu *f = &fake_vcpus[v->index];
    static const struct {
        u8 first, second, result;
    } t[] = {{13, 13, 8}, {13, 14, 14}, {14, 13, 8}, {14, 14, 8}, {6, 13, 13}, {13, 6, 6}, {3, 14, 14}};

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        f->queued = false;
        inject(EVENT_EXCEPTION, t[i].first);
        inject(EVENT_EXCEPTION, t[i].second);
        ck_assert_uint_eq(f->queued_event.vector, t[i].result);
    }
    f->queued = false;
    inject(EVENT_EXCEPTION, 8);
    inject(EVENT_EXCEPTION, 13);
    ck_assert(f->triple_fault);
}
END_TEST

START_TEST(readiness_follows_if_shadow_and_queue)
{
    struct fake_vcpu *f = &fake_vcpus[v->index];

    arch_vcpu_set(v, REG_RFLAGS, 2);
    ck_assert(!arch_vcpu_irq_ready(v));
    ck_assert(arch_vcpu_nmi_ready(v));
    arch_vcpu_set(v, REG_RFLAGS, 0x202);
    ck_assert(arch_vcpu_irq_ready(v));
    f->shadow = true;
    ck_assert(!arch_vcpu_irq_ready(v));
    ck_assert(!arch_vcpu_nmi_ready(v));
    arch_vcpu_skip(v, 2);
    inject(EVENT_NMI, 2);
    ck_assert(arch_vcpu_event_queued(v));
    ck_assert(!arch_vcpu_irq_ready(v));
    ck_assert(FAKE_ENDS(inject(EVENT_INTR, 32)));
    fake_enter(v);
    ck_assert(arch_vcpu_irq_ready(v));
    ck_assert(!arch_vcpu_nmi_ready(v));
    ck_assert_uint_eq(f->event_count, 1);
}
END_TEST

START_TEST(host_memory_has_bounds)
{
    u64 x = 5;

    arch_hpa_write(hpa(FAKE_HOST_MEM - 8), &x, 8);
    ck_assert(FAKE_ENDS(arch_hpa_write(hpa(FAKE_HOST_MEM - 7), &x, 8)));
    ck_assert(FAKE_ENDS(arch_hpa_zero(hpa(~(u64)0 - 3), 8)));
    fake_reset();
    arch_hpa_read(&x, hpa(FAKE_HOST_MEM - 8), 8);
    ck_assert_uint_eq(x, 0);
}
END_TEST

START_TEST(a_panic_nobody_expects_fails_the_test)
{
    ck_assert(!FAKE_ENDS((void)0));
    ck_assert(FAKE_ENDS(arch_halt_forever()));
    ck_assert(FAKE_ENDS(arch_reboot()));
    ck_assert_ptr_null(fake_end_jmp);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fake");
    TCase *t = tcase_create("fake");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, mappings_are_replaced_split_and_removed);
    tcase_add_test(t, the_pool_runs_out);
    tcase_add_test(t, exceptions_combine_as_the_manual_says);
    tcase_add_test(t, readiness_follows_if_shadow_and_queue);
    tcase_add_test(t, host_memory_has_bounds);
    tcase_add_test(t, a_panic_nobody_expects_fails_the_test);
    suite_add_tcase(s, t);
    return run_suite(s);
}
