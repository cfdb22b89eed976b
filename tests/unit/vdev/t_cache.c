/* src/x86/hw/cache.c: what CPUID says of cache allocation, and the MSRs that follow from the tables. The fake
 * board has level 3 with 11 ways and 16 classes, and level 2 with 8 and 4. */
#include <check.h>
#include <string.h>
#include <fake.h>
#include "x86/hw/cache.h"

#define PQR_ASSOC 0xc8f
#define L3_MASK   0xc90
#define L2_MASK   0xd10
#define L3_CFG    0xc81
#define L2_CFG    0xc82

/* CPUID of the machine: ways and classes by level; 0: cannot be divided. */
static struct {
    u32 max_leaf, leaf7_ebx;
    u32 ways[4], classes[4], ecx[4];
} cpu;

static void cpuid(u32 leaf, u32 sub, u32 out[4])
{
    u32 level = 4 - sub;

    if (leaf == 0)
        out[0] = cpu.max_leaf;
    else if (leaf == 7 && sub == 0)
        out[1] = cpu.leaf7_ebx;
    else if (leaf == 0x10 && sub == 0)
        out[1] = (cpu.ways[3] ? 2u : 0) | (cpu.ways[2] ? 4u : 0) | 8u; /* and memory bandwidth */
    else if (leaf == 0x10 && (sub == 1 || sub == 2)) {
        out[0] = cpu.ways[level] - 1;
        out[1] = 0x600; /* ways that devices fill too */
        out[2] = cpu.ecx[level];
        out[3] = cpu.classes[level] - 1;
    }
}

static void setup(void)
{
    fake_reset();
    memset(&cpu, 0, sizeof(cpu));
    cpu.max_leaf = 0x16;
    cpu.leaf7_ebx = BIT32(15);
    cpu.ways[3] = 11;
    cpu.classes[3] = 16;
    cpu.ways[2] = 8;
    cpu.classes[2] = 4;
    fake_cpuid_hook = cpuid;
    fake_msr_set(PQR_ASSOC, 0x5a00000003ff);
    for (u32 i = 0; i < 16; i++)
        fake_msr_set(L3_MASK + i, 0x1);
    for (u32 i = 0; i < 4; i++)
        fake_msr_set(L2_MASK + i, 0x1);
}

static u64 msr(u32 index)
{
    u64 val = 0;

    ck_assert(arch_rdmsr_safe(index, &val));
    return val;
}

START_TEST(facts_are_what_cpuid_says)
{
    struct cache_facts f = cache_facts(3);

    ck_assert_uint_eq(f.ways, 11);
    ck_assert_uint_eq(f.classes, 16);
    f = cache_facts(2);
    ck_assert_uint_eq(f.ways, 8);
    ck_assert_uint_eq(f.classes, 4);
}
END_TEST

START_TEST(a_cpu_without_it_has_no_ways)
{
    cpu.ways[2] = 0;
    ck_assert_uint_eq(cache_facts(2).ways, 0);
    ck_assert_uint_eq(cache_facts(3).ways, 11);
    cpu.leaf7_ebx = ~BIT32(15);
    ck_assert_uint_eq(cache_facts(3).ways, 0);
    cpu.leaf7_ebx = BIT32(15);
    cpu.max_leaf = 0xf;
    ck_assert_uint_eq(cache_facts(3).ways, 0);
}
END_TEST

START_TEST(every_class_gets_its_mask_and_the_rest_all_ways)
{
    cache_cpu_init();
    ck_assert_uint_eq(msr(PQR_ASSOC), 0);
    for (u32 i = 0; i < 16; i++)
        ck_assert_uint_eq(msr(L3_MASK + i), i == 1 ? 0x7 : i == 2 ? 0x7f8 : 0x7ff);
    for (u32 i = 0; i < 4; i++)
        ck_assert_uint_eq(msr(L2_MASK + i), i == 2 ? 0xc0 : 0xff);
}
END_TEST

START_TEST(a_class_of_service_is_the_upper_half)
{
    arch_cache_class(2);
    ck_assert_uint_eq(msr(PQR_ASSOC), 2ULL << 32);
    arch_cache_class(0);
    ck_assert_uint_eq(msr(PQR_ASSOC), 0);
}
END_TEST

START_TEST(masks_for_code_and_data_apart_are_switched_off)
{
    fake_msr_set(L3_CFG, 1);
    fake_msr_set(L2_CFG, 1);
    cpu.ecx[3] = BIT32(2);
    cache_cpu_init();
    ck_assert_uint_eq(msr(L3_CFG), 0);
    ck_assert_uint_eq(msr(L2_CFG), 1); /* not there by CPUID: not touched */
}
END_TEST

START_TEST(more_classes_than_the_board_says_are_left_alone)
{
    cpu.classes[2] = 8;
    for (u32 i = 4; i < 8; i++)
        fake_msr_set(L2_MASK + i, 0x1);
    cache_cpu_init();
    ck_assert_uint_eq(msr(L2_MASK + 3), 0xff);
    ck_assert_uint_eq(msr(L2_MASK + 4), 0x1);
}
END_TEST

START_TEST(a_cpu_that_differs_stops_the_boot)
{
    cpu.ways[2] = 10;
    ck_assert(FAKE_ENDS(cache_cpu_init()));
    ck_assert(strstr(fake_panic_text, "10 ways and 4 classes in the level 2 cache") != NULL);
    cpu.ways[2] = 8;
    cpu.classes[3] = 8;
    ck_assert(FAKE_ENDS(cache_cpu_init()));
    cpu.classes[3] = 16;
    cpu.leaf7_ebx = 0;
    ck_assert(FAKE_ENDS(cache_cpu_init()));
}
END_TEST

START_TEST(a_register_that_refuses_stops_the_boot)
{
    fake_reset(); /* no MSR exists */
    fake_cpuid_hook = cpuid;
    ck_assert(FAKE_ENDS(cache_cpu_init()));
    ck_assert(strstr(fake_panic_text, "0xc8f") != NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache");
    TCase *t = tcase_create("cache");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, facts_are_what_cpuid_says);
    tcase_add_test(t, a_cpu_without_it_has_no_ways);
    tcase_add_test(t, every_class_gets_its_mask_and_the_rest_all_ways);
    tcase_add_test(t, a_class_of_service_is_the_upper_half);
    tcase_add_test(t, masks_for_code_and_data_apart_are_switched_off);
    tcase_add_test(t, more_classes_than_the_board_says_are_left_alone);
    tcase_add_test(t, a_cpu_that_differs_stops_the_boot);
    tcase_add_test(t, a_register_that_refuses_stops_the_boot);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
