/* Nested page tables: what is mapped is what was asked for, with the largest leaves, and nothing else. */
#include <string.h>
#include "svm_test.h"

static void setup(void)
{
    test_svm_setup();
    arch_s2_init(&test_vm);
}

static u32 leaf_prot(u64 addr, u64 *host, u64 *left)
{
    struct s2_leaf l;

    if (!arch_s2_translate(&test_vm, gpa(addr), &l))
        return 0;
    *host = l.hpa.v;
    *left = l.left;
    return l.prot;
}

START_TEST(empty_tables_translate_nothing)
{
    struct s2_leaf l;

    for (u64 a = 0; a < BIT64(48); a += BIT64(40) - 4096)
        ck_assert(!arch_s2_translate(&test_vm, gpa(a), &l));
    ck_assert(!arch_s2_translate(&test_vm, gpa(~(u64)0), &l));
}
END_TEST

START_TEST(aligned_range_uses_large_leaves)
{
    u64 h = 0, left = 0;

    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(GIB(4)), GIB(1) + MIB(4), MEM_RWX), 0);
    ck_assert_uint_eq(leaf_prot(0x1234, &h, &left), MEM_RWX);
    ck_assert_uint_eq(h, GIB(4) + 0x1234);
    ck_assert_uint_eq(left, GIB(1) - 0x1234);
    ck_assert_uint_eq(leaf_prot(GIB(1) + 5, &h, &left), MEM_RWX);
    ck_assert_uint_eq(h, GIB(5) + 5);
    ck_assert_uint_eq(left, MIB(2) - 5);
    ck_assert_uint_eq(leaf_prot(GIB(1) + MIB(4), &h, &left), 0);
}
END_TEST

START_TEST(host_misalignment_forces_small_leaves)
{
    u64 h = 0, left = 0;

    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(MIB(2)), hpa(GIB(1) + 4096), MIB(2), MEM_R | MEM_X), 0);
    ck_assert_uint_eq(leaf_prot(MIB(3) + 7, &h, &left), MEM_R | MEM_X);
    ck_assert_uint_eq(h, GIB(1) + MIB(1) + 4096 + 7);
    ck_assert_uint_eq(left, 4096 - 7);
    ck_assert_uint_eq(leaf_prot(MIB(2) - 1, &h, &left), 0);
    ck_assert_uint_eq(leaf_prot(MIB(4), &h, &left), 0);
}
END_TEST

START_TEST(unmap_of_one_page_splits_a_1g_leaf_and_spares_the_rest)
{
    u64 h = 0, left = 0, hole = MIB(700) + KIB(12);

    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(GIB(8)), GIB(1), MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_unmap(&test_vm, gpa(hole), 4096), 0);
    ck_assert_uint_eq(leaf_prot(hole, &h, &left), 0);
    ck_assert_uint_eq(leaf_prot(hole - 1, &h, &left), MEM_RWX);
    ck_assert_uint_eq(h, GIB(8) + hole - 1);
    ck_assert_uint_eq(leaf_prot(hole + 4096, &h, &left), MEM_RWX);
    ck_assert_uint_eq(h, GIB(8) + hole + 4096);
    ck_assert_uint_eq(leaf_prot(GIB(1) - 1, &h, &left), MEM_RWX);
    ck_assert_uint_eq(h, GIB(9) - 1);
    ck_assert_uint_eq(leaf_prot(MIB(3), &h, &left), MEM_RWX);
    ck_assert_uint_eq(left, MIB(1));
}
END_TEST

START_TEST(unmap_of_unmapped_space_takes_no_tables)
{
    ck_assert_int_eq(arch_s2_unmap(&test_vm, gpa(0), BIT64(47)), 0);
    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(0), MIB(2), MEM_R), 0);
}
END_TEST

START_TEST(exhausted_pool_says_enomem)
{
    int r = 0;
    u64 i;

    for (i = 0; i < 512 && r == 0; i++)
        r = arch_s2_map(&test_vm, gpa(i * GIB(1)), hpa(4096), 4096, MEM_RWX);
    ck_assert_int_eq(r, -ENOMEM_);
    ck_assert_uint_lt(i, 512);
    arch_s2_init(&test_vm);
    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(4096), 4096, MEM_RWX), 0);
}
END_TEST

START_TEST(remap_replaces_and_keeps_rights)
{
    u64 h = 0, left = 0;

    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(MIB(64)), MIB(4), MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(MIB(2)), hpa(MIB(128)), 4096, MEM_R | MEM_UC), 0);
    ck_assert_uint_eq(leaf_prot(MIB(2), &h, &left), MEM_R | MEM_UC);
    ck_assert_uint_eq(h, MIB(128));
    ck_assert_uint_eq(leaf_prot(MIB(2) + 4096, &h, &left), MEM_RWX);
    ck_assert_uint_eq(h, MIB(66) + 4096);
}
END_TEST

/* A model of the address space, page by page, against random maps and unmaps. */
START_TEST(random_operations_agree_with_a_page_model)
{
    enum { PAGES = 4096 };
    static u64 model[PAGES];
    u64 seed = 42;
    unsigned wrong = 0, done = 0;

    memset(model, 0, sizeof(model));
    for (unsigned n = 0; n < 400; n++) {
        u64 first, count, host;

        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        first = (seed >> 33) % PAGES;
        count = 1 + (seed >> 20) % ((n & 3) ? 64 : 1600);
        count = MIN(count, PAGES - first);
        host = ((seed >> 40) % 100000) * 4096 + 4096;
        if (n & 1) {
            first = ALIGN_DOWN(first, 512UL);
            host = ALIGN_UP(host, MIB(2));
        }
        if ((seed >> 7) & 1) {
            if (arch_s2_map(&test_vm, gpa(first * 4096), hpa(host), count * 4096, MEM_RWX) != 0)
                break;
            for (u64 i = 0; i < count; i++)
                model[first + i] = host + i * 4096;
        } else {
            if (arch_s2_unmap(&test_vm, gpa(first * 4096), count * 4096) != 0)
                break;
            memset(&model[first], 0, count * sizeof(model[0]));
        }
        if (n % 3 == 0)
            arch_s2_settle(&test_vm);
        for (u64 i = 0; i < PAGES; i++) {
            u64 h = 0, left = 0;

            wrong += (leaf_prot(i * 4096, &h, &left) ? h : 0) != model[i];
        }
        ck_assert_uint_eq(wrong, 0);
        done++;
    }
    ck_assert_uint_eq(done, 400);
}
END_TEST

START_TEST(only_changes_of_what_was_mapped_are_stale)
{
    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(MIB(64)), MIB(4), MEM_RWX), 0);
    ck_assert(!arch_s2_stale(&test_vm));
    ck_assert_int_eq(arch_s2_unmap(&test_vm, gpa(MIB(8)), MIB(8)), 0);
    ck_assert(!arch_s2_stale(&test_vm));
    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(0), hpa(MIB(64)), MIB(2), MEM_R), 0);
    ck_assert(arch_s2_stale(&test_vm));
    arch_s2_settle(&test_vm);
    ck_assert(!arch_s2_stale(&test_vm));
    ck_assert_int_eq(arch_s2_unmap(&test_vm, gpa(0), 4096), 0);
    ck_assert(arch_s2_stale(&test_vm));
}
END_TEST

/* For ever, from a pool that holds a handful of tables; the tables come back only when the flush is over. */
START_TEST(emptied_tables_return_to_the_pool_after_settling)
{
    int r = 0;

    for (u64 i = 0; i < 2000; i++) {
        u64 at = (i * 7 % 500) * GIB(1) + (i % 512) * MIB(2);

        ck_assert_int_eq(arch_s2_map(&test_vm, gpa(at), hpa(4096), KIB(8), MEM_RWX), 0);
        ck_assert_uint_eq(arch_s2_mapped(&test_vm, gpa(at), MIB(2)), KIB(8));
        ck_assert_int_eq(arch_s2_unmap(&test_vm, gpa(at), KIB(8)), 0);
        arch_s2_settle(&test_vm);
    }
    for (u64 i = 0; i < 500 && r == 0; i++) {
        r = arch_s2_map(&test_vm, gpa(i * GIB(1)), hpa(4096), 4096, MEM_RWX);
        if (r == 0)
            r = arch_s2_unmap(&test_vm, gpa(i * GIB(1)), 4096);
    }
    ck_assert_int_eq(r, -ENOMEM_);
}
END_TEST

START_TEST(removing_a_gigabyte_takes_its_tables_along)
{
    for (unsigned n = 0; n < 100; n++) {
        ck_assert_int_eq(arch_s2_map(&test_vm, gpa(GIB(3) + MIB(6)), hpa(4096), 4096, MEM_RWX), 0);
        ck_assert_int_eq(arch_s2_map(&test_vm, gpa(GIB(3) + MIB(900)), hpa(4096), 4096, MEM_RWX), 0);
        ck_assert_uint_eq(arch_s2_mapped(&test_vm, gpa(0), GIB(512)), 8192);
        ck_assert_int_eq(arch_s2_unmap(&test_vm, gpa(GIB(3)), GIB(1)), 0);
        ck_assert_uint_eq(arch_s2_mapped(&test_vm, gpa(0), GIB(512)), 0);
        arch_s2_settle(&test_vm);
    }
}
END_TEST

START_TEST(protect_keeps_addresses_and_holes)
{
    u64 h = 0, left = 0;

    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(MIB(2)), hpa(MIB(64)), MIB(4), MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_protect(&test_vm, gpa(MIB(2) + 4096), 4096, MEM_R | MEM_X), 0);
    ck_assert_uint_eq(leaf_prot(MIB(2) + 4096 + 5, &h, &left), MEM_R | MEM_X);
    ck_assert_uint_eq(h, MIB(64) + 4096 + 5);
    ck_assert_uint_eq(leaf_prot(MIB(2), &h, &left), MEM_RWX);
    ck_assert_uint_eq(leaf_prot(MIB(2) + 8192, &h, &left), MEM_RWX);
    ck_assert_int_eq(arch_s2_protect(&test_vm, gpa(0), MIB(8), MEM_R), 0);
    ck_assert_uint_eq(leaf_prot(MIB(5), &h, &left), MEM_R);
    ck_assert_uint_eq(h, MIB(67));
    ck_assert_uint_eq(leaf_prot(MIB(1), &h, &left), 0);
    ck_assert_uint_eq(leaf_prot(MIB(6), &h, &left), 0);
}
END_TEST

START_TEST(device_mark_and_memory_types_read_back)
{
    static const u32 prots[] = {MEM_RWX, MEM_R | MEM_W | MEM_UC | MEM_DEV, MEM_R | MEM_WT, MEM_RWX | MEM_DEV};
    u64 h = 0, left = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(prots); i++) {
        ck_assert_int_eq(arch_s2_map(&test_vm, gpa(MIB(2)), hpa(MIB(64)), MIB(2), prots[i]), 0);
        ck_assert_uint_eq(leaf_prot(MIB(2), &h, &left), prots[i]);
        ck_assert_uint_eq(h, MIB(64));
    }
    ck_assert_int_eq(arch_s2_map(&test_vm, gpa(MIB(2)), hpa(MIB(64)), MIB(2), MEM_UC), 0);
    ck_assert_uint_eq(leaf_prot(MIB(2), &h, &left), 0);
}
END_TEST

START_TEST(flush_reaches_every_vcpu)
{
    arch_s2_flush(&test_vm);
    for (unsigned i = 0; i < test_vm.cfg->vcpu_count; i++)
        ck_assert_uint_eq(test_vm.vcpus[i].requests, VCPU_REQ_FLUSH);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("npt");
    TCase *t = tcase_create("npt");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, empty_tables_translate_nothing);
    tcase_add_test(t, aligned_range_uses_large_leaves);
    tcase_add_test(t, host_misalignment_forces_small_leaves);
    tcase_add_test(t, unmap_of_one_page_splits_a_1g_leaf_and_spares_the_rest);
    tcase_add_test(t, unmap_of_unmapped_space_takes_no_tables);
    tcase_add_test(t, exhausted_pool_says_enomem);
    tcase_add_test(t, remap_replaces_and_keeps_rights);
    tcase_add_test(t, random_operations_agree_with_a_page_model);
    tcase_add_test(t, only_changes_of_what_was_mapped_are_stale);
    tcase_add_test(t, emptied_tables_return_to_the_pool_after_settling);
    tcase_add_test(t, removing_a_gigabyte_takes_its_tables_along);
    tcase_add_test(t, protect_keeps_addresses_and_holes);
    tcase_add_test(t, device_mark_and_memory_types_read_back);
    tcase_add_test(t, flush_reaches_every_vcpu);
    suite_add_tcase(s, t);
    return test_svm_main(s);
}
