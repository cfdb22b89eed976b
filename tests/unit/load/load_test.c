#include <stdio.h>
#include <lib/log.h>
#include "core/core_impl.h"
#include "load_test.h"

struct vm vms[CFG_VMS];
struct vm *const t_vm = &vms[1];
struct cfg_vm t_cfg;

static const struct cfg_mem default_mem[] = {{.gpa = 0, .hpa = 0xa000000, .size = 0x4000000}};
static const u16 pcpus[] = {3, 4};
static const struct cfg_vuart vuarts[] = {{.port = 0x3f8, .gsi = 4, .console = true}};

static struct {
    const void *data;
    size_t size;
} given[CFG_MODULES];

/* Long copies look at other work through this; there is none here. */
void cpu_breathe(void)
{
}

void t_memory(const struct cfg_mem *mem, unsigned count)
{
    t_cfg.mem = mem;
    t_cfg.mem_count = (u16)count;
    arch_s2_init(t_vm);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(arch_s2_map(t_vm, gpa(mem[i].gpa), hpa(mem[i].hpa), mem[i].size, MEM_RWX), 0);
        if (!t_keep_memory)
            memset(fake_mem(mem[i].hpa), 0xa5, MIN(mem[i].size, MIB(4)));
    }
}

bool t_keep_memory;

void t_setup(void)
{
    if (t_keep_memory) {
        fake_log_len = fake_log_lines = 0;
        fake_log[0] = 0;
    } else {
        fake_reset();
    }
    memset(given, 0, sizeof(given));
    load_copy_ticks = 0;
    t_cfg =
        (struct cfg_vm){.name = "b",
                        .kind = VM_PRELAUNCHED,
                        .vcpu_count = 2,
                        .pcpus = pcpus,
                        .vuart_count = 1,
                        .vuarts = vuarts,
                        .boot = {.initrd_module = CFG_NO_MODULE, .kernel_module = T_KERNEL, .cmdline = ""}};
    *t_vm = (struct vm){.id = 1, .cfg = &t_cfg};
    t_memory(default_mem, 1);
}

void t_module(unsigned which, const void *data, size_t size)
{
    given[which].data = data;
    given[which].size = size;
}

void t_commit(void)
{
    static const u8 filler = 0x77;
    struct boot_module list[CFG_MODULES];
    u64 at = 0x12000000;

    memset(list, 0, sizeof(list));
    for (unsigned i = 0; i < CFG_MODULES; i++) {
        if (!given[i].size)
            t_module(i, &filler, 1);
        list[i] = (struct boot_module){.base = hpa(at), .size = given[i].size};
        snprintf(list[i].args, sizeof(list[i].args), "/tmp/file %s", cfg_modules[i].name);
        memcpy(fake_mem(at), given[i].data, given[i].size);
        at += ALIGN_UP(given[i].size, PAGE_SIZE);
    }
    ck_assert_msg(modules_init(list, CFG_MODULES) == 0, "%s", fake_log);
}

int t_load(const void *image, size_t size, struct vcpu_boot_state *out)
{
    t_module(T_KERNEL, image, size);
    t_commit();
    memset(out, 0xee, sizeof(*out));
    return vm_load(t_vm, out);
}

u8 *t_guest(u64 addr)
{
    struct s2_leaf leaf;

    /* A passing ck_assert() costs a system call. */
    if (!arch_s2_translate(t_vm, gpa(addr), &leaf))
        ck_abort_msg("0x%llx is not RAM", (unsigned long long)addr);
    return fake_mem(leaf.hpa.v);
}

void t_all(u64 from, u64 to, u8 byte, bool equal)
{
    for (u64 a = from; a < to; a++)
        if ((*t_guest(a) == byte) != equal)
            ck_abort_msg("0x%llx holds 0x%02x", (unsigned long long)a, *t_guest(a));
}

u32 t_guest32(u64 addr)
{
    u32 v;

    memcpy(&v, t_guest(addr), sizeof(v));
    return v;
}

u64 t_guest64(u64 addr)
{
    u64 v;

    memcpy(&v, t_guest(addr), sizeof(v));
    return v;
}

void t_log_has(const char *text)
{
    ck_assert_msg(strstr(fake_log, text) != NULL, "no \"%s\" in the log:\n%s", text, fake_log);
}

u64 t_random(u64 *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 24;
}

static void (*case_setup)(void);

static void fresh(void)
{
    t_keep_memory = false;
    case_setup();
}

int t_main(const char *name, const TTest *const *tests, unsigned count)
{
    return t_main_setup(name, t_setup, tests, count);
}

int t_main_setup(const char *name, void (*setup)(void), const TTest *const *tests, unsigned count)
{
    Suite *s = suite_create(name);
    TCase *c = tcase_create(name);
    SRunner *r;
    int failed;

    case_setup = setup;
    tcase_add_checked_fixture(c, fresh, NULL);
    tcase_set_timeout(c, 120);
    for (unsigned i = 0; i < count; i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
