/* A manifest in words. */
#include "manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NO_INDEX 0xffffu /* bhc's "none" for VMs and modules */

/* One line; what is unprintable in it is escaped. */
static void line(const char *fmt, ...) PRINTF(1, 2);
static void line(const char *fmt, ...)
{
    char *text;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0)
        cannot_run("out of memory");
    print_escaped(stdout, text);
    putchar('\n');
    free(text);
}

static const struct node *next_of(const struct node *n)
{
    const char *name = n->name;

    for (n = n->next; n && strcmp(n->name, name) != 0;)
        n = n->next;
    return n;
}

#define FOR_CHILDREN(child, parent, name)                                                                    \
    for (const struct node *child = child_find(parent, name); child; child = next_of(child))

/* The name of the scenario's VM or module with that index; indexes count nodes of that kind. */
static const char *name_at(const struct node *scenario, const char *kind, u64 index)
{
    FOR_CHILDREN(n, scenario, kind)
    {
        if (index-- == 0)
            return text_of(n, "name");
    }
    return "?";
}

/* The texts that a child of that name has under `prop`, with a blank before each. */
static const char *list_of(const struct node *n, const char *child_name, const char *prop)
{
    struct buffer out = {0};
    const char *text;

    buffer_puts(&out, "");
    FOR_CHILDREN(child, n, child_name)
    {
        const struct prop *p = prop_find(child, prop);

        buffer_puts(&out, " ");
        buffer_puts(&out, !p ? "?" : p->kind == PROP_TEXT ? p->text : arena_printf("%" PRIu64, p->value));
    }
    text = arena_strdup(out.data);
    buffer_free(&out);
    return text;
}

static const char *range_of(const struct node *n)
{
    return range_text(number_of(n, "base"), number_of(n, "size"));
}

static void print_input(const struct node *root, const char *kind)
{
    FOR_CHILDREN(n, root, "input")
    {
        if (strcmp(text_of(n, "kind"), kind) == 0)
            line("            its file: %" PRIu64 " bytes, SHA-256 %s", number_of(n, "bytes"),
                 text_of(n, "sha256"));
    }
}

static void print_origin(const struct node *root)
{
    const struct node *board = child_find(root, "board"), *scenario = child_find(root, "scenario");
    const struct node *versions = child_find(root, "versions");

    line("board       %s: %s", text_of(board, "name"), text_of(board, "description"));
    print_input(root, "board");
    line("scenario    %s: %s", text_of(scenario, "name"), text_of(scenario, "description"));
    print_input(root, "scenario");
    line("made by     bulkhead %s, manifest format %" PRIu64 ", %" PRIu64 " rules",
         versions ? text_of(versions, "project") : "(older than 0.1.0's versions)",
         number_of(root, "version"), number_of(versions, "rules"));
}

static void print_hypervisor(const struct node *root, const struct node *scenario)
{
    const struct node *board = child_find(root, "board"), *sizes = child_find(root, "sizes");
    const struct node *hv = child_find(scenario, "hypervisor"), *console = child_find(hv, "console");

    line("hypervisor  image %s, modules at %s, log level %s", range_of(child_find(hv, "image")),
         range_of(child_find(hv, "module-store")), text_of(hv, "loglevel"));
    line("            console %s (port 0x%" PRIx64 ") on CPU %" PRIu64, text_of(console, "uart"),
         number_of(console, "port"), number_of(console, "cpu"));
    line("            for %" PRIu64 " CPUs by %s with %s", number_of(sizes, "pcpus"),
         text_of(board, "vendor"), text_of(board, "extension"));
}

static void print_devices(const struct node *vm)
{
    FOR_CHILDREN(n, vm, "device")
    {
        const char *virtual = text_of(n, "virtual");

        line("      device  %s%s%s%s", text_of(n, "address"), *virtual ? " as " : "", virtual,
             number_of(n, "intx") ? ", INTx" : "");
        FOR_CHILDREN(bar, n, "vbar")
        line("              BAR %" PRIu64 " at %s", number_of(bar, "index"),
             range_text(number_of(bar, "gpa"), number_of(bar, "size")));
    }
    FOR_CHILDREN(n, vm, "irq")
    line("      irq     GSI %" PRIu64 " as line %" PRIu64, number_of(n, "gsi"), number_of(n, "line"));
}

static void print_boot(const struct node *scenario, const struct node *boot)
{
    u64 kernel = number_of(boot, "kernel"), initrd = number_of(boot, "initrd");

    if (!boot || kernel == NO_INDEX)
        return;
    line("      boot    %s from module %s%s%s", text_of(boot, "kind"), name_at(scenario, "module", kernel),
         initrd == NO_INDEX ? "" : " with ", initrd == NO_INDEX ? "" : name_at(scenario, "module", initrd));
    if (*text_of(boot, "cmdline"))
        line("      command line  %s", text_of(boot, "cmdline"));
}

static void print_vm(const struct node *scenario, const struct node *vm)
{
    line("  %" PRIu64 "  %s: %s, %" PRIu64 " vCPUs on CPUs%s, key %s", number_of(vm, "id"),
         text_of(vm, "name"), text_of(vm, "kind"), number_of(vm, "vcpus"), list_of(vm, "pcpu", "id"),
         text_of(vm, "key"));
    if (child_find(vm, "flag"))
        line("      flags  %s", list_of(vm, "flag", "name"));
    if (child_find(vm, "may-ask"))
        line("      may ask%s", list_of(vm, "may-ask", "name"));
    FOR_CHILDREN(mem, vm, "mem")
    line("      memory  %s at host 0x%" PRIx64, range_text(number_of(mem, "gpa"), number_of(mem, "size")),
         number_of(mem, "hpa"));
    if (number_of(vm, "mem-limit"))
        line("      memory  at most %s", size_text(number_of(vm, "mem-limit")));
    FOR_CHILDREN(uart, vm, "vuart")
    line("      vUART   port 0x%" PRIx64 ", line %" PRIu64 "%s", number_of(uart, "port"),
         number_of(uart, "irq"), number_of(uart, "console") ? ", console" : "");
    print_devices(vm);
    print_boot(scenario, child_find(vm, "boot"));
}

static void print_joints(const struct node *scenario)
{
    FOR_CHILDREN(n, scenario, "link")
    {
        const struct node *a = child_find(n, "end"), *b = a ? next_of(a) : NULL;

        line("  connection     %s port 0x%" PRIx64 " with %s port 0x%" PRIx64,
             name_at(scenario, "vm", number_of(a, "vm")), number_of(a, "port"),
             name_at(scenario, "vm", number_of(b, "vm")), number_of(b, "port"));
    }
    FOR_CHILDREN(n, scenario, "shm")
    {
        line("  shared memory  %s, id %" PRIu64 ", %s", text_of(n, "name"), number_of(n, "id"), range_of(n));
        FOR_CHILDREN(user, n, "user")
        line("                 %s at 0x%" PRIx64 "%s", name_at(scenario, "vm", number_of(user, "vm")),
             number_of(user, "gpa"), number_of(user, "writable") ? "" : ", read only");
    }
    FOR_CHILDREN(n, scenario, "cache-class")
    {
        line("  cache class    %" PRIu64 ", level %" PRIu64 ", mask 0x%" PRIx64, number_of(n, "id"),
             number_of(n, "level"), number_of(n, "mask"));
        FOR_CHILDREN(user, n, "user")
        line("                 %s", name_at(scenario, "vm", number_of(user, "vm")));
    }
}

static void print_manifest(const struct node *root)
{
    const struct node *scenario = child_find(root, "scenario");

    print_origin(root);
    print_hypervisor(root, scenario);
    if (child_find(scenario, "module"))
        line("modules");
    FOR_CHILDREN(n, scenario, "module")
    line("  %s from %s, at most %s", text_of(n, "name"), text_of(n, "source"),
         size_text(number_of(n, "max-size")));
    line("VMs");
    FOR_CHILDREN(vm, scenario, "vm")
    print_vm(scenario, vm);
    if (child_find(scenario, "link") || child_find(scenario, "shm") || child_find(scenario, "cache-class"))
        line("between VMs");
    print_joints(scenario);
    FOR_CHILDREN(n, root, "warning")
    line("warning     [%s] %s", text_of(n, "rule"), text_of(n, "text"));
}

static void print_image(const struct node *root)
{
    line("disk image  format %" PRIu64 ", identity %s", number_of(root, "version"),
         text_of(root, "identity"));
    line("made by     bulkhead %s, %" PRIu64 " rules", text_of(root, "project"), number_of(root, "rules"));
    FOR_CHILDREN(n, root, "input")
    line("%-10s  %s, SHA-256 %s", text_of(n, "kind"), text_of(n, "name"), text_of(n, "sha256"));
    line("files");
    FOR_CHILDREN(n, root, "file")
    line("  %-10s %s: %" PRIu64 " bytes, SHA-256 %s", text_of(n, "kind"), text_of(n, "path"),
         number_of(n, "bytes"), text_of(n, "sha256"));
    FOR_CHILDREN(n, root, "region")
    line("  region     %s at 0x%" PRIx64 ": %" PRIu64 " bytes, SHA-256 %s", text_of(n, "what"),
         number_of(n, "offset"), number_of(n, "bytes"), text_of(n, "sha256"));
}

void print_text(const struct node *root)
{
    if (strcmp(root->name, "image") == 0)
        print_image(root);
    else
        print_manifest(root);
}
