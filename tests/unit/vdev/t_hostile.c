/* A hostile guest and racing CPUs: random accesses to everything the platform owns. No sanitizer report, no
 * broken invariant, no host timer flood. */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include "vt.h"
#include "x86/vdev/vlapic_state.h"

static u64 seed;

static u32 rnd(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (u32)(seed >> 33);
}

static u32 pick(u32 n)
{
    return rnd() % n;
}

/* Values that matter more often than chance has it. */
static u64 value(void)
{
    switch (pick(6)) {
    case 0:
        return pick(256);
    case 1:
        return BIT64(pick(64));
    case 2:
        return ~(u64)0;
    case 3:
        return fake_tsc + pick(100000);
    case 4:
        return pick(65536);
    default:
        return (u64)rnd() << 32 | rnd();
    }
}

static void port_access(void)
{
    static const u16 base[] = {0x20, 0xa0, 0x4d0, 0x40, 0x61, 0x64, 0x70, 0x80, 0x92, 0x400, 0x404, 0x408};
    u16 port = (u16)(base[pick(ARRAY_SIZE(base))] + pick(4));
    u8 size = (u8)(1 << pick(3));

    if (pick(2))
        vt_out_n(port, size, (u32)value());
    else
        vt_in_n(port, size);
}

static void mmio_access(void)
{
    u64 base = pick(4) ? PLAT_LAPIC_BASE : PLAT_IOAPIC_BASE;
    u64 off = pick(8) ? pick(0x40) * 16 : pick(0x1000);
    u8 size = (u8)(pick(8) ? 4 : 1 << pick(4));

    if (base == PLAT_IOAPIC_BASE)
        off = pick(8) ? pick(2) * 16 : pick(0x50);
    if (pick(2))
        vt_write(base + off, size, value() & size_mask(size));
    else
        vt_read(base + off, size);
}

static void msr_access(unsigned id)
{
    static const u32 msrs[] = {0x1b, 0x6e0, 0x80b, 0x830, 0x832, 0x83f};
    u32 msr = pick(2) ? 0x800 + pick(256) : msrs[pick(ARRAY_SIZE(msrs))];
    u64 val;

    if (pick(3) == 0) {
        vlapic_msr_read(vt_vcpu(id), msr, &val);
    } else if (msr == 0x1b) {
        if (pick(20) == 0)
            vt_wrmsr(msr, 0xfee00000ULL | pick(4) << 10);
    } else {
        vt_wrmsr(msr, pick(2) ? value() : value() & 0xffffffff);
    }
}

/* NULL, or what is wrong. (Not ck_assert: Check writes each passed assertion to a file.) */
static const char *broken(const struct vlapic *l)
{
    u32 top = 0, ppr;

    for (u32 w = 0; w < 8; w++) {
        if (LREG(l, LR_ISR + w))
            top = w * 32 + bit_high32(LREG(l, LR_ISR + w));
        if ((LREG(l, LR_ISR + w) != 0) != ((l->isr_words >> w) & 1))
            return "summary of ISR";
        if (LREG(l, LR_IRR + w) && !((l->irr_words >> w) & 1))
            return "summary of IRR";
    }
    ppr = (LREG(l, LR_TPR) & 0xf0) >= (top & 0xf0) ? LREG(l, LR_TPR) : top & 0xf0;
    if (l->isrv != top)
        return "highest vector in service";
    if (LREG(l, LR_PPR) != ppr)
        return "PPR";
    return LREG(l, LR_IRR) & 0xffff ? "a vector below 16 was requested" : NULL;
}

START_TEST(random_accesses_break_nothing)
{
    u32 arms, taken = 0;
    const char *wrong;

    seed = (u32)_i * 0x9e3779b97f4a7c15ULL + 1;
    vt_enable_apics();
    arms = fake_arms[vt_vcpu(0)->pcpu];
    for (unsigned n = 0; n < 20000; n++) {
        unsigned id = pick(2);

        vt_on(id);
        switch (pick(8)) {
        case 0:
            msr_access(id);
            break;
        case 1:
            arch_vm_set_gsi(vt_vm, pick(26), pick(2));
            break;
        case 2:
            arch_vm_inject_msi(vt_vm, 0xfee00000 | (rnd() & 0xfffff), rnd());
            break;
        case 3:
            port_access();
            break;
        case 4:
            vt_if(id, pick(4));
            vcpu_request(vt_vcpu(id), pick(16) ? VCPU_REQ_EVENT : VCPU_REQ_NMI);
            fake_vcpus[vt_vcpu(id)->index].nmi_blocked = pick(2);
            taken += vt_enter(id) != VT_NONE;
            break;
        case 5:
            vt_run(pick(2000));
            break;
        default:
            mmio_access();
        }
        wrong = broken(&vlapics[vt_vcpu(id)->index]);
        if (wrong)
            ck_abort_msg("after %u accesses: %s", n, wrong);
        if (pick(2000) == 0)
            arch_vcpu_init_ipi(vt_vcpu(id));
        if (pick(5000) == 0)
            arch_vm_reset(vt_vm);
    }
    ck_assert_uint_gt(taken, 10);
    ck_assert_uint_lt(fake_arms[vt_vcpu(0)->pcpu] - arms, 20000);
    for (unsigned i = 2; i < CFG_VCPUS; i++)
        ck_assert_uint_eq(vcpus[i].requests, 0);
}
END_TEST

START_TEST(timers_of_a_vm_that_is_off_die_out)
{
    vt_enable_apics();
    vt_apic_set(0x320, 0x20040);
    vt_apic_set(0x380, 100000);
    vt_out(0x43, 0x34);
    vt_out(0x40, 0xa9);
    vt_out(0x40, 0x04);
    vt_out(0x70, 0x0b);
    vt_out(0x71, 0x72);
    vt_run(10000000);
    vt_vm->state = VM_STATE_OFF;
    vt_run(2000000000);
    for (u32 p = 0; p < CFG_PCPUS; p++)
        for (struct timer *t = cpu_get(p)->timers; t; t = t->next)
            ck_assert_uint_eq(t->deadline, TIMER_OFF);
}
END_TEST

#define SENDERS 3
#define ROUNDS  4000

static u32 handled[256];
static u32 senders_left;

/* Sends one vector after the other and waits until each was handled: a lost request hangs here. */
static void *sender(void *arg)
{
    u32 first = 32 + (u32)(size_t)arg;
    struct vlapic *l = vlapic_of(vt_vcpu(0));

    for (u32 n = 0; n < ROUNDS; n++) {
        u32 vec = first + SENDERS * (n % 70), before = atomic_load(&handled[vec]);

        vlapic_accept(l, vec, false);
        while (atomic_load(&handled[vec]) == before)
            sched_yield();
    }
    atomic_sub(&senders_left, 1);
    return NULL;
}

START_TEST(no_request_is_lost_between_cpus)
{
    struct vlapic *l = vlapic_of(vt_vcpu(0));
    pthread_t t[SENDERS];

    vt_enable_apics();
    memset(handled, 0, sizeof(handled));
    senders_left = SENDERS;
    for (size_t i = 0; i < SENDERS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, sender, (void *)i), 0);
    while (atomic_load(&senders_left)) {
        u32 vec = vlapic_deliverable(l);

        if (!vec) {
            sched_yield();
            continue;
        }
        vlapic_ack(l, vec);
        vt_apic_set(0xb0, 0);
        atomic_add(&handled[vec], 1);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(vlapic_irrv(l), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hostile guest");
    TCase *tc = tcase_create("hostile guest");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, vt_setup, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, random_accesses_break_nothing, 0, 20);
    tcase_add_test(tc, no_request_is_lost_between_cpus);
    tcase_add_test(tc, timers_of_a_vm_that_is_off_die_out);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
