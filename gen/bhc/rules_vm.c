/* Rules about VMs, their names, their boot images and the modules. */
#include "rules.h"

#include <inttypes.h>
#include <string.h>

#include "x86/guest/firmware.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool well_named(const char *s, size_t max, const char *others, bool letter_first)
{
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++) {
        if (!is_letter(s[i]) && !is_digit(s[i]) && !strchr(others, s[i]))
            return false;
    }
    return len >= 1 && len <= max && (!letter_first || is_letter(s[0]));
}

/* Index of the first character that is not printable ASCII, or -1. */
static long unprintable(const char *s)
{
    for (long i = 0; s[i]; i++) {
        if (s[i] < 0x20 || s[i] > 0x7e)
            return i;
    }
    return -1;
}

RULE(vm_names_unique)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        size_t j = vm_index(s, s->vms[i].name);

        if (j < i)
            MISTAKE(s->vms[i].at, "vm name '%s' is used twice (line %ld); give each VM its own",
                    s->vms[i].name, s->vms[j].at.line);
    }
}

/* UUIDs are the same whatever the case of their digits. */
static bool same_key(const struct vm *a, const struct vm *b)
{
    u8 x[KEY_BYTES], y[KEY_BYTES];

    if (!a->has_key || !b->has_key)
        return false;
    return strcmp(a->key, b->key) == 0 ||
           (key_bytes(a->key, x) && key_bytes(b->key, y) && memcmp(x, y, KEY_BYTES) == 0);
}

RULE(vm_keys_unique)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (same_key(&s->vms[i], &s->vms[j])) {
                MISTAKE(s->vms[i].at,
                        "vm '%s' has key '%s', which vm '%s' has too (line %ld); give each VM its own, for "
                        "example by uuidgen",
                        s->vms[i].name, s->vms[i].key, s->vms[j].name, s->vms[j].at.line);
                break;
            }
        }
    }
}

RULE(vm_name_form)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        if (!well_named(s->vms[i].name, MAX_NAME, "-_", true))
            MISTAKE(
                s->vms[i].at,
                "vm name '%s' is not 1 to %d letters, digits, '-' or '_' with a letter first; choose another",
                s->vms[i].name, MAX_NAME);
    }
}

RULE(vm_key_form)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        /* VM-005 reports a key that is missing. */
        if (s->vms[i].has_key && !well_named(s->vms[i].key, MAX_KEY, "-_.:", false))
            MISTAKE(s->vms[i].at,
                    "vm '%s' has key '%s', which is not 1 to %d letters, digits, '-', '_', '.' or ':'; use a "
                    "UUID",
                    s->vms[i].name, s->vms[i].key, MAX_KEY);
    }
}

RULE(vm_ready_text)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const char *ready = s->vms[i].ready;

        if (ready && (strlen(ready) == 0 || strlen(ready) > MAX_READY || unprintable(ready) >= 0))
            MISTAKE(s->vms[i].ready_at,
                    "the ready text of vm '%s' is not 1 to %d printable ASCII characters in one line; change "
                    "it or remove <ready>",
                    s->vms[i].name, MAX_READY);
    }
}

RULE(module_names_unique)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < MIN(s->module_count, MAX_MODULES); i++) { /* MOD-006 reports more */
        size_t j = module_index(s, s->modules[i].name);

        if (j < i)
            MISTAKE(s->modules[i].at, "module name '%s' is used twice (line %ld); give each module its own",
                    s->modules[i].name, s->modules[j].at.line);
    }
}

RULE(module_name_form)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->module_count; i++) {
        if (!well_named(s->modules[i].name, MAX_NAME, "-_.", false) || s->modules[i].name[0] == '.')
            MISTAKE(s->modules[i].at,
                    "module name '%s' is not 1 to %d letters, digits, '-', '_' or '.', no '.' first (it is a "
                    "file's name on the boot medium and a word of a command line); choose another",
                    s->modules[i].name, MAX_NAME);
    }
}

RULE(module_size)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->module_count; i++) {
        if (s->modules[i].max_size == 0)
            MISTAKE(s->modules[i].at,
                    "module '%s' has max-size 0; give the most that the file may occupy, such as 16M",
                    s->modules[i].name);
    }
}

static bool module_has_user(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;

        if (strcmp(boot->kernel, name) == 0 || (boot->initrd && strcmp(boot->initrd, name) == 0))
            return true;
    }
    return false;
}

RULE(module_used)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->module_count && s->module_count <= MAX_MODULES; i++) {
        if (!module_has_user(s, s->modules[i].name))
            MISTAKE(s->modules[i].at, "module '%s' is used by no VM, yet keeps %s of memory; remove it",
                    s->modules[i].name, size_text(s->modules[i].store_size));
    }
}

/* Names of programs and packages become parts of paths; file: is followed by a path as it is. */
static bool source_ok(const char *source)
{
    static const char *const kinds[] = {"debian:", "guest:", "hsm:", "file:"};

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        size_t len = strlen(kinds[k]);
        const char *rest = source + len;

        if (strncmp(source, kinds[k], len) != 0)
            continue;
        if (strcmp(kinds[k], "file:") == 0)
            return *rest && unprintable(rest) < 0;
        return well_named(rest, MAX_NAME, "-_.", false) && *rest != '.';
    }
    return false;
}

RULE(module_source)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->module_count; i++) {
        if (!source_ok(s->modules[i].source))
            MISTAKE(s->modules[i].at,
                    "module '%s' has source '%s'; write debian:NAME, guest:NAME, hsm:NAME or file:PATH",
                    s->modules[i].name, s->modules[i].source);
    }
}

static const char *module_list(const struct scenario *s)
{
    const char *text = s->module_count ? s->modules[0].name : "none";

    for (size_t i = 1; i < s->module_count && i < 16; i++)
        text = arena_printf("%s, %s", text, s->modules[i].name);
    return text;
}

RULE(boot_modules_exist)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;

        if (!boot->present)
            continue;
        if (module_index(s, boot->kernel) == NO_INDEX)
            MISTAKE(boot->at,
                    "vm '%s' boots kernel '%s', but there is no such module (there are: %s); add a <module> "
                    "or correct the name",
                    s->vms[i].name, boot->kernel, module_list(s));
        if (boot->initrd && module_index(s, boot->initrd) == NO_INDEX)
            MISTAKE(boot->at,
                    "vm '%s' has initrd '%s', but there is no such module (there are: %s); add a <module> or "
                    "correct the name",
                    s->vms[i].name, boot->initrd, module_list(s));
    }
}

static bool is_kind(const struct vm_boot *boot, const char *kind)
{
    return strcmp(boot->kind, kind) == 0;
}

RULE(boot_kind_needs)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;

        if (is_kind(boot, "raw") && (!boot->has_load || !boot->has_entry))
            MISTAKE(boot->at, "vm '%s' boots a raw image without saying %s; add the attribute%s",
                    s->vms[i].name,
                    boot->has_load    ? "entry"
                    : boot->has_entry ? "load"
                                      : "load and entry",
                    boot->has_load || boot->has_entry ? "" : "s");
    }
}

RULE(boot_kind_excludes)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;
        const struct {
            const char *attribute;
            bool wrong;
        } given[] = {
            {"protocol", boot->protocol && !is_kind(boot, "bzimage")},
            {"load", boot->has_load && !is_kind(boot, "raw")},
            {"entry", boot->has_entry && !is_kind(boot, "raw")},
            {"initrd", boot->initrd && (is_kind(boot, "raw") || is_kind(boot, "elf"))},
            {"cmdline", boot->cmdline[0] && (is_kind(boot, "raw") || is_kind(boot, "elf"))},
        };

        for (size_t j = 0; j < ARRAY_SIZE(given); j++) {
            if (given[j].wrong)
                MISTAKE(boot->at, "vm '%s' has %s, which a boot image of kind '%s' does not use; remove it",
                        s->vms[i].name, given[j].attribute, boot->kind);
        }
    }
}

/* RAM that the guest sees in one piece from address 0. */
static u64 low_ram(const struct vm *vm)
{
    u64 total = 0;

    for (size_t i = 0; i < vm->ram_count; i++) {
        if (__builtin_add_overflow(total, vm->ram[i].size, &total))
            return LOW_RAM_LIMIT;
    }
    return MIN(total, LOW_RAM_LIMIT);
}

RULE(boot_fits_ram)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;
        u32 kernel = module_index(s, boot->kernel),
            initrd = boot->initrd ? module_index(s, boot->initrd) : NO_INDEX;
        u64 need = 0, have = low_ram(&s->vms[i]);

        /* The service VM's RAM is known when all else is placed: SVC-007. */
        if (kernel == NO_INDEX || is_kind(boot, "raw") || s->vms[i].kind != KIND_PRELAUNCHED)
            continue;
        need = s->modules[kernel].store_size + (initrd == NO_INDEX ? 0 : s->modules[initrd].store_size);
        /* MEM-001 reports RAM of size 0. */
        if (have > 0 && MIB(1) + need > have)
            MISTAKE(boot->at,
                    "vm '%s' has %s of RAM, but needs %s: the first MiB and at most %s of boot modules; "
                    "enlarge <ram> or lower the modules' "
                    "max-size",
                    s->vms[i].name, size_text(have), size_text(MIB(1) + need), size_text(need));
    }
}

RULE(boot_raw_addresses)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;
        u32 kernel = module_index(s, boot->kernel);
        u64 have = low_ram(&s->vms[i]), size;

        if (!is_kind(boot, "raw") || kernel == NO_INDEX || !boot->has_load || !boot->has_entry)
            continue;
        size = s->modules[kernel].max_size;
        /* The service VM's RAM is known when all else is placed: SVC-007. */
        if (s->vms[i].kind == KIND_PRELAUNCHED && (boot->load >= have || size > have - boot->load))
            MISTAKE(boot->at,
                    "vm '%s' loads its image at %s, beyond its RAM of %s; lower load, enlarge <ram> or lower "
                    "max-size of module '%s'",
                    s->vms[i].name, range_text(boot->load, size), size_text(have), boot->kernel);
        else if (s->vms[i].kind == KIND_PRELAUNCHED &&
                 ranges_meet(boot->load, size, FW_EBDA, FW_HIGH_MEM - FW_EBDA))
            MISTAKE(boot->at,
                    "vm '%s' loads its image at %s, over the firmware's tables (EBDA, ACPI) from 0x%x to 1 "
                    "MiB; give "
                    "another load or lower max-size of module '%s'",
                    s->vms[i].name, range_text(boot->load, size), FW_EBDA, boot->kernel);
        else if (boot->entry < boot->load || boot->entry - boot->load >= size)
            MISTAKE(boot->at, "vm '%s' enters its image at 0x%" PRIx64 ", outside of it (%s); correct entry",
                    s->vms[i].name, boot->entry, range_text(boot->load, size));
    }
}

/* What the hypervisor replaces in a command line when it loads the VM (src/core/load.c), and the most
 * characters it puts there. */
static const struct {
    const char *token;
    size_t longest;
} placeholders[] = {
    {"@tsc_khz@", 10}, /* the TSC's rate, up to 9.9 THz */
};

/* Length of the placeholder's text at s, both '@' included; 0: there is none. */
static size_t placeholder_length(const char *s)
{
    size_t len = *s == '@' ? strspn(s + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;

    return len > 0 && s[1 + len] == '@' ? len + 2 : 0;
}

static bool placeholder_known(const char *s, size_t len, size_t *longest)
{
    for (size_t i = 0; i < ARRAY_SIZE(placeholders); i++) {
        if (strlen(placeholders[i].token) == len && strncmp(s, placeholders[i].token, len) == 0) {
            *longest = placeholders[i].longest;
            return true;
        }
    }
    return false;
}

static size_t expanded_length(const char *s)
{
    size_t total = 0;

    while (*s) {
        size_t len = placeholder_length(s), longest = 1;

        s += placeholder_known(s, len, &longest) ? len : 1;
        total += longest;
    }
    return total;
}

RULE(boot_cmdline_length)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        size_t len = expanded_length(s->vms[i].boot.cmdline);

        if (len > MAX_CMDLINE)
            MISTAKE(s->vms[i].boot.at,
                    "vm '%s' has a command line of %zu characters, but at most %d are supported; shorten it",
                    s->vms[i].name, len, MAX_CMDLINE);
    }
}

RULE(boot_cmdline_quotes)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        const struct vm_boot *boot = &s->vms[i].boot;
        const char *last = NULL;
        bool open = false;

        for (const char *p = boot->cmdline; (p = strchr(p, '"')); p++) {
            open = !open;
            last = p;
        }
        if (open && is_kind(boot, "bzimage"))
            MISTAKE(boot->at,
                    "vm '%s' has a double quote at position %ld of its command line that no other closes, so "
                    "Linux takes all that follows for one parameter; add a second quote or remove it",
                    s->vms[i].name, (long)(last - boot->cmdline) + 1);
    }
}

RULE(boot_placeholders)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        size_t len, longest;

        for (const char *p = s->vms[i].boot.cmdline; *p; p += len > 0 ? len : 1) {
            len = placeholder_length(p);
            if (len > 0 && !placeholder_known(p, len, &longest))
                MISTAKE(s->vms[i].boot.at,
                        "vm '%s' has the placeholder %.*s in its command line, which nothing replaces; the "
                        "known one is %s",
                        s->vms[i].name, (int)MIN(len, 64), p, placeholders[0].token);
        }
    }
}

RULE(boot_cmdline_characters)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->vm_count; i++) {
        long at = unprintable(s->vms[i].boot.cmdline);

        if (at >= 0)
            MISTAKE(s->vms[i].boot.at,
                    "vm '%s' has byte 0x%02x at position %ld of its command line; use printable ASCII only",
                    s->vms[i].name, (unsigned)(unsigned char)s->vms[i].boot.cmdline[at], at + 1);
    }
}
