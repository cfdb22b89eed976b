/* Boot modules end in the module store, whole, wherever the boot loader left them. */
#include <stdio.h>
#include <stdlib.h>
#include "load_test.h"
#include "core/load_priv.h"

/* Stricter than the fake machine's own: arch_hpa_copy() promises nothing for ranges that overlap. Each call
 * takes ten ticks. */
void arch_hpa_copy(hpa_t dst, hpa_t src, size_t len)
{
    ck_assert_msg(dst.v + len <= src.v || src.v + len <= dst.v,
                  "overlapping copy 0x%llx to 0x%llx, 0x%zx bytes", (unsigned long long)src.v,
                  (unsigned long long)dst.v, len);
    memcpy(fake_mem(dst.v), fake_mem(src.v), len);
    fake_tsc += 10;
}

static struct boot_module mod(u64 base, u64 size, const char *args)
{
    struct boot_module m = {.base = hpa(base), .size = size};

    snprintf(m.args, sizeof(m.args), "%s", args);
    return m;
}

START_TEST(words_and_file_names_select_a_module)
{
    struct boot_module list[] = {mod(0x8000000, 16, "/boot/x86/kernel quiet"),
                                 mod(0x8001000, 32, "initramfs.img\tinitrd"), mod(0x8002000, 48, "unused"),
                                 mod(0x8003000, 64, "  blob")};
    struct module_image m;

    ck_assert_uint_eq(modules_init(list, 4), 0);
    ck_assert(module_image_get(0, &m) && m.size == 16);
    ck_assert(module_image_get(1, &m) && m.size == 32);
    ck_assert(module_image_get(2, &m) && m.size == 64);
    ck_assert_str_eq(m.name, "blob");
    ck_assert(!module_image_get(CFG_MODULES, &m) && !module_image_get(CFG_NO_MODULE, &m));
    t_log_has("'unused' belongs to no module");
}
END_TEST

START_TEST(parts_of_words_and_directories_do_not_select)
{
    struct boot_module list[] = {mod(0x8000000, 16, "kernel2 xkernel kerne /kernel/x a/kernel"),
                                 mod(0x8001000, 32, ""), mod(0x8002000, 16, "x initrd"),
                                 mod(0x8003000, 16, "x blob")};

    ck_assert_uint_eq(modules_init(list, 4), 1);
    t_log_has("module 'kernel' is missing");
}
END_TEST

START_TEST(unterminated_arguments_are_read_to_their_end_only)
{
    struct boot_module list[3] = {mod(0x8000000, 16, "kernel"), mod(0x8001000, 16, "initrd")};

    memset(list[2].args, 'x', sizeof(list[2].args));
    memcpy(list[2].args + sizeof(list[2].args) - 5, " blob", 5);
    list[2].base = hpa(0x8002000);
    list[2].size = 16;
    ck_assert_uint_eq(modules_init(list, 3), 0);
}
END_TEST

START_TEST(each_problem_is_one_line_naming_the_module)
{
    struct boot_module list[] = {mod(0x8000000, 0x800001, "kernel"), mod(0x9000000, 0, "initrd")};
    struct module_image m;

    ck_assert_uint_eq(modules_init(list, 2), 3);
    ck_assert_uint_eq(fake_log_lines, 3);
    t_log_has("module 'kernel' has 8388609 bytes, more than the 8388608");
    t_log_has("module 'initrd' is empty");
    t_log_has(
        "module 'blob' is missing; give it with QEMU's -initrd \"FILE blob\" or GRUB's module2 FILE blob");
    ck_assert(!module_image_get(0, &m));
}
END_TEST

START_TEST(damaged_lists_are_refused)
{
    struct boot_module wrap[] = {mod(~(u64)0 - 3, 16, "kernel"), mod(0x8001000, 16, "initrd"),
                                 mod(0x8002000, 16, "blob")};
    struct boot_module overlap[] = {mod(0x8001fff, 16, "kernel"), mod(0x8001000, 0x1000, "initrd"),
                                    mod(0x8003000, 16, "blob")};
    struct module_image m;

    ck_assert_uint_eq(modules_init(wrap, 3), 1);
    t_log_has("'kernel' at 0xfffffffffffffffc runs past");
    ck_assert_uint_eq(modules_init(overlap, 3), 1);
    t_log_has("module 'kernel' overlaps the module before it");
    ck_assert(!module_image_get(0, &m));
}
END_TEST

START_TEST(copying_time_is_counted)
{
    struct boot_module list[] = {mod(0x8000000, 0x3000, "kernel"), mod(0x9000000, 16, "initrd"),
                                 mod(CFG_MODULE_BASE, 16, "blob")};

    ck_assert_uint_eq(modules_init(list, 3), 0);
    ck_assert_uint_ge(load_copy_ticks, 10);
    ck_assert_uint_eq(load_copy_ticks, fake_tsc);
}
END_TEST

#define LAYOUTS 3000

struct layout {
    struct boot_module list[5];
    u8 *model[3];
};

/* Random disjoint places around the store's start, its middle or its end; five modules of which two belong to
 * nobody. */
static void random_layout(struct layout *l, u64 *seed)
{
    static const char *const names[5] = {"kernel", "initrd", "blob", "other", "none"};
    static const u64 around[3] = {CFG_MODULE_BASE - 0x8000, CFG_MODULE_BASE + 0x4000,
                                  CFG_MODULE_BASE + CFG_MODULE_SIZE - 0x8000};
    u64 at = around[t_random(seed) % 3] + t_random(seed) % 0x3000;
    u64 align = t_random(seed) % 3 ? PAGE_SIZE : 1;
    unsigned order[5] = {0, 1, 2, 3, 4};

    for (unsigned i = 4; i > 0; i--) {
        unsigned j = (unsigned)(t_random(seed) % (i + 1)), t = order[i];

        order[i] = order[j];
        order[j] = t;
    }
    for (unsigned i = 0; i < 5; i++) {
        u64 size = 1 + t_random(seed) % (t_random(seed) % 2 ? 0x5000 : 0x300);
        unsigned which = order[i];

        at = ALIGN_UP(at + (t_random(seed) % 2 ? t_random(seed) % 0x3000 : 0), align);
        l->list[which] = mod(at, size, names[which]);
        for (u64 k = 0; k < size; k++)
            *fake_mem(at + k) = (u8)t_random(seed);
        at += size;
        if (which < 3) {
            l->model[which] = malloc(size);
            memcpy(l->model[which], fake_mem(at - size), size);
        }
    }
}

START_TEST(any_layout_arrives_whole_aligned_and_inside_the_store)
{
    u64 seed = 2;

    for (unsigned n = 0; n < LAYOUTS; n++) {
        struct layout l;
        struct module_image m[3];
        struct boot_module was[5];

        random_layout(&l, &seed);
        memcpy(was, l.list, sizeof(was));
        ck_assert_msg(modules_init(l.list, 5) == 0, "%s", fake_log);
        for (u16 i = 0; i < 3; i++) {
            ck_assert(module_image_get(i, &m[i]));
            ck_assert_uint_eq(m[i].size, was[i].size);
            ck_assert(IS_ALIGNED(m[i].base.v, PAGE_SIZE));
            ck_assert(m[i].base.v >= CFG_MODULE_BASE &&
                      m[i].base.v + m[i].size <= CFG_MODULE_BASE + CFG_MODULE_SIZE);
            ck_assert_msg(memcmp(fake_mem(m[i].base.v), l.model[i], m[i].size) == 0,
                          "layout %u, module %u is damaged", n, i);
            for (u16 k = 0; k < i; k++)
                ck_assert(m[i].base.v >= m[k].base.v + m[k].size || m[k].base.v >= m[i].base.v + m[i].size);
            free(l.model[i]);
        }
        fake_log_len = 0;
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        words_and_file_names_select_a_module,
        parts_of_words_and_directories_do_not_select,
        unterminated_arguments_are_read_to_their_end_only,
        each_problem_is_one_line_naming_the_module,
        damaged_lists_are_refused,
        copying_time_is_counted,
        any_layout_arrives_whole_aligned_and_inside_the_store,
    };

    return t_main("modules", tests, ARRAY_SIZE(tests));
}
