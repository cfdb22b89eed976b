/* Boot modules: from where the boot loader dropped them into the module store, where they stay for every
 * later start. */
#include <arch/cpu.h>
#include <config/config.h>
#include <core/load.h>
#include <lib/log.h>
#include <lib/string.h>
#include "load_priv.h"

u64 load_copy_ticks;

/* Written once by modules_init() on the BSP before any VM exists, read-only after. The extra entry keeps the
 * arrays non-empty in a scenario without modules. */
static struct module_image store[CFG_MODULES + 1];
static u8 bounce[PAGE_SIZE];

bool module_image_get(u16 index, struct module_image *out)
{
    if (index >= CFG_MODULES || store[index].size == 0)
        return false;
    *out = store[index];
    return true;
}

static bool word_is(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(word, name, len) == 0;
}

/* True when a word of the module's command line, or the file name at the end of its first word, is `name`. */
static bool args_name(const char *args, size_t size, const char *name)
{
    size_t len = strnlen(args, size);
    bool first = true;

    for (size_t i = 0; i < len;) {
        size_t start, base;

        while (i < len && (args[i] == ' ' || args[i] == '\t'))
            i++;
        start = base = i;
        while (i < len && args[i] != ' ' && args[i] != '\t') {
            if (first && args[i] == '/')
                base = i + 1;
            i++;
        }
        if (i > start && (word_is(args + start, i - start, name) || word_is(args + base, i - base, name)))
            return true;
        if (i > start)
            first = false;
    }
    return false;
}

/* Index into list of the module that answers to `name` and is not taken yet, or count. */
static unsigned find_module(const struct boot_module *list, unsigned count, const char *name,
                            const u16 *owner)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (owner[i] == CFG_NO_MODULE && args_name(list[i].args, sizeof(list[i].args), name))
            break;
    }
    return i;
}

/* Checks one configured module against what the boot loader gave. Returns whether it can be used; reports
 * otherwise. */
static bool check_module(const struct cfg_module *m, const struct boot_module *b)
{
    if (b->size == 0) {
        log_err("module '%s' is empty; give the file that the scenario names for it", m->name);
        return false;
    }
    if (b->size > m->max_size) {
        log_err("module '%s' has %llu bytes, more than the %llu that the scenario keeps for it; raise its "
                "max-size",
                m->name, (unsigned long long)b->size, (unsigned long long)m->max_size);
        return false;
    }
    if (b->base.v + b->size < b->base.v) {
        log_err(
            "module '%s' at 0x%llx runs past the end of the address space; the boot loader's list is damaged",
            m->name, (unsigned long long)b->base.v);
        return false;
    }
    return true;
}

/* Sorts by base address, owners alongside; insertion sort: a scenario has a handful of modules. */
static void sort_modules(struct boot_module *list, u16 *owner, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct boot_module b = list[i];
        u16 o = owner[i];
        unsigned j = i;

        for (; j > 0 && list[j - 1].base.v > b.base.v; j--) {
            list[j] = list[j - 1];
            owner[j] = owner[j - 1];
        }
        list[j] = b;
        owner[j] = o;
    }
}

/* memmove for host-physical memory: arch_hpa_copy() promises nothing for overlapping ranges, so no piece of
 * it may overlap. */
static void move_hpa(u64 dst, u64 src, u64 len)
{
    u64 dist = dst > src ? dst - src : src - dst;
    bool small = dist < PAGE_SIZE;
    u64 step = small ? PAGE_SIZE : dist;

    if (dist == 0)
        return;
    for (u64 done = 0; done < len;) {
        u64 n = MIN(step, len - done);
        u64 off = dst < src ? done : len - done - n;

        if (small) {
            arch_hpa_read(bounce, hpa(src + off), (size_t)n);
            arch_hpa_write(hpa(dst + off), bounce, (size_t)n);
        } else {
            arch_hpa_copy(hpa(dst + off), hpa(src + off), (size_t)n);
        }
        done += n;
    }
}

/*
 * Moves the owned modules, sorted by source, to ascending places in the store. Sources are disjoint, so are
 * the places, and both are in the same order: then one that moves down can never meet one that moves up,
 * those that move down are safe in ascending order and those that move up in descending order, wherever the
 * sources lie.
 */
static void move_modules(const struct boot_module *list, const u16 *owner, unsigned count)
{
    u64 start = arch_tsc();

    for (unsigned i = 0; i < count; i++) {
        if (owner[i] != CFG_NO_MODULE && store[owner[i]].base.v < list[i].base.v)
            move_hpa(store[owner[i]].base.v, list[i].base.v, list[i].size);
    }
    for (unsigned i = count; i-- > 0;) {
        if (owner[i] != CFG_NO_MODULE && store[owner[i]].base.v > list[i].base.v)
            move_hpa(store[owner[i]].base.v, list[i].base.v, list[i].size);
    }
    load_copy_ticks += arch_tsc() - start;
}

/* Gives each owned module its place, in the order of the sources. Returns the number of problems, each
 * reported. */
static unsigned place_modules(const struct boot_module *list, const u16 *owner, unsigned count)
{
    u64 next = CFG_MODULE_BASE;
    u64 end = 0;
    unsigned bad = 0;

    for (unsigned i = 0; i < count; i++) {
        struct module_image *m;
        u64 room;

        if (owner[i] == CFG_NO_MODULE)
            continue;
        m = &store[owner[i]];
        room = ALIGN_UP(list[i].size, PAGE_SIZE);
        if (list[i].base.v < end) {
            log_err("module '%s' overlaps the module before it in memory; the boot loader's list is damaged",
                    cfg_modules[owner[i]].name);
            bad++;
        }
        end = list[i].base.v + list[i].size;
        if (room > CFG_MODULE_BASE + (u64)CFG_MODULE_SIZE - next) {
            log_err("module '%s' does not fit the module store of %llu KiB any more; lower the max-size of "
                    "others",
                    cfg_modules[owner[i]].name, (unsigned long long)CFG_MODULE_SIZE >> 10);
            bad++;
            continue;
        }
        *m = (struct module_image){
            .name = cfg_modules[owner[i]].name, .base = hpa(next), .size = list[i].size};
        next += room;
    }
    return bad;
}

unsigned modules_init(struct boot_module *list, unsigned count)
{
    u16 owner[64];
    unsigned bad = 0;

    if (count > ARRAY_SIZE(owner)) {
        log_warn("boot loader gave %u modules, only the first %zu are looked at", count, ARRAY_SIZE(owner));
        count = ARRAY_SIZE(owner);
    }
    memset(store, 0, sizeof(store));
    memset(owner, 0xff, sizeof(owner)); /* all CFG_NO_MODULE */
    for (u16 m = 0; m < CFG_MODULES; m++) {
        unsigned i = find_module(list, count, cfg_modules[m].name, owner);

        if (i == count) {
            log_err(
                "module '%s' is missing; give it with QEMU's -initrd \"FILE %s\" or GRUB's module2 FILE %s",
                cfg_modules[m].name, cfg_modules[m].name, cfg_modules[m].name);
            bad++;
            continue;
        }
        owner[i] = m;
        if (!check_module(&cfg_modules[m], &list[i]))
            bad++;
    }
    if (bad)
        return bad;
    for (unsigned i = 0; i < count; i++) {
        if (owner[i] == CFG_NO_MODULE)
            log_warn("boot module '%.100s' belongs to no module of the scenario; ignored", list[i].args);
    }
    sort_modules(list, owner, count);
    bad = place_modules(list, owner, count);
    if (bad) {
        memset(store, 0, sizeof(store));
        return bad;
    }
    move_modules(list, owner, count);
    return 0;
}
