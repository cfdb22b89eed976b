/* What a VM boots: <os_config>, and the modules that it names. */
#include "import.h"

#include <string.h>

#define KERNEL_MAX MIB(32)
#define INITRD_MAX MIB(128)

static const struct {
    const char *theirs, *ours;
} kernels[] = {
    {"KERNEL_BZIMAGE", "bzimage"},
    {"KERNEL_RAWIMAGE", "raw"},
    {"KERNEL_ELF", "elf"},
};

/* Bytes of RAM that the kernel and initramfs must fit; the service VM's are not known. */
static u64 room_of(const struct acrn_vm *v)
{
    u64 total = 0;

    for (size_t i = 0; i < v->vm.ram_count; i++)
        total += v->vm.ram[i].size;
    return v->vm.kind == KIND_PRELAUNCHED ? MIN(total, LOW_RAM_LIMIT) : LOW_RAM_LIMIT;
}

/* A part of the room, in whole MiB, or in pages of a small VM. */
static u64 part_of(u64 room, u64 most)
{
    u64 part = room / 4;

    part = part >= MIB(1) ? ALIGN_DOWN(part, MIB(1)) : MAX(ALIGN_DOWN(part, PAGE_SIZE), PAGE_SIZE);
    return MIN(part, most);
}

/* The module's name. A tag that several VMs name is one module. */
static const char *module_of(struct acrn *a, struct acrn_vm *v, xmlNode *tag_node, u64 most)
{
    const char *tag = text_of(tag_node), *name = module_name_from(tag);
    const char *source = arena_printf("file:%s", tag);
    struct scenario *s = a->s;
    u64 size = part_of(room_of(v), most);

    for (size_t i = 0; i < s->module_count; i++) {
        struct module *m = &s->modules[i];

        if (strcmp(m->source, source) == 0) {
            m->max_size = MIN(m->max_size, size);
            return m->name;
        }
        if (strcmp(m->name, name) == 0)
            name = arena_printf("module-%zu", s->module_count);
    }
    *APPEND(s->modules, s->module_count) =
        (struct module){.at = at_node(tag_node), .name = name, .source = source, .max_size = size};
    guessed(at_node(tag_node),
            "<%s> %s became module '%s', read from the file '%s' beside the scenario; at most %s was written "
            "for its "
            "size",
            name_of(tag_node), shown(tag), name, shown(tag), size_text(size));
    return name;
}

/* Runs of blanks and line ends become one blank. */
static const char *one_line(const char *text)
{
    char *out = arena_alloc(1, strlen(text) + 1), *p = out;

    for (; *text; text++) {
        bool blank = *text == ' ' || *text == '\t' || *text == '\n' || *text == '\r';

        if (!blank)
            *p++ = *text;
        else if (p > out && p[-1] != ' ')
            *p++ = ' ';
    }
    if (p > out && p[-1] == ' ')
        *--p = '\0';
    return out;
}

static bool is_macro(const char *text)
{
    size_t len = strlen(text), tail = strlen("BOOTARGS");

    return len >= tail && strcmp(text + len - tail, "BOOTARGS") == 0 && !strpbrk(text, " =\t\n");
}

/* v2.7 writes a macro for the service VM's, made of what <board_private> holds. */
static const char *command_line(struct acrn_vm *v, xmlNode *os)
{
    xmlNode *args = child(os, "bootargs"), *board = child(v->node, "board_private"),
            *rootfs = child(board, "rootfs"), *more = child(board, "bootargs");
    const char *text = one_line(text_of(args)), *root = text_of(rootfs), *own = one_line(text_of(more));

    if (is_macro(text)) {
        const char *line = one_line(arena_printf("%s%s %s", *root ? "root=" : "", root, own));

        guessed(at_node(args),
                "<bootargs> of vm '%s' is the macro %s; the command line was put together from "
                "<board_private>: \"%s\"",
                shown(v->name), shown(text), shown(line));
        return line;
    }
    if (*root || *own)
        untranslated(at_node(board), "<board_private> of vm '%s': <bootargs> is no macro that would use it",
                     shown(v->name));
    return text;
}

static void raw_addresses(struct acrn_vm *v, xmlNode *os)
{
    xmlNode *load = child(os, "kern_load_addr"), *entry = child(os, "kern_entry_addr");
    struct vm_boot *boot = &v->vm.boot;

    if (strcmp(boot->kind, "raw") != 0)
        return;
    boot->has_load = number_of(load, BIT64(40), &boot->load);
    boot->has_entry = number_of(entry, BIT64(40), &boot->entry);
    if (!boot->has_load || !boot->has_entry)
        MISTAKE(VM_KERNEL, at_node(os),
                "the raw kernel of vm '%s' lacks <kern_load_addr> or <kern_entry_addr>; give both "
                "guest-physical addresses",
                shown(v->name));
}

void import_boot(struct acrn *a, struct acrn_vm *v)
{
    xmlNode *os = child(v->node, "os_config"), *type = child(os, "kern_type"),
            *kernel = child(os, "kern_mod"), *initrd = child(os, "ramdisk_mod");
    struct vm_boot *boot = &v->vm.boot;

    if (v->vm.kind == KIND_USER) {
        if (kernel && *text_of(kernel))
            untranslated(at_node(os), "<os_config> of vm '%s': the device model loads what a user VM boots",
                         shown(v->name));
        return;
    }
    boot->at = os ? at_node(os) : v->at;
    for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
        if (strcmp(text_of(type), kernels[i].theirs) == 0)
            boot->kind = kernels[i].ours;
    }
    if (!boot->kind || !*text_of(kernel)) {
        MISTAKE(VM_KERNEL, type && !boot->kind ? at_node(type) : boot->at,
                "vm '%s' boots a \"%s\" named \"%s\"; write KERNEL_BZIMAGE, KERNEL_ELF or KERNEL_RAWIMAGE in "
                "<kern_type> and the module's "
                "tag in <kern_mod>",
                shown(v->name), shown(text_of(type)), shown(text_of(kernel)));
        return;
    }
    boot->present = true;
    boot->kernel = module_of(a, v, kernel, KERNEL_MAX);
    if (initrd && *text_of(initrd)) {
        if (strcmp(boot->kind, "bzimage") == 0)
            boot->initrd = module_of(a, v, initrd, INITRD_MAX);
        else
            untranslated(at_node(initrd), "<ramdisk_mod> of vm '%s': only a bzImage takes one",
                         shown(v->name));
    }
    boot->cmdline = command_line(v, os);
    if (*boot->cmdline && strcmp(boot->kind, "bzimage") != 0) {
        untranslated(at_node(child(os, "bootargs")),
                     "<bootargs> of vm '%s': a kernel of kind '%s' takes none", shown(v->name), boot->kind);
        boot->cmdline = "";
    }
    raw_addresses(v, os);
}
