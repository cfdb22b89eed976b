/* From a device tree back to the nodes and properties that it was written from (gen/bhc/emit_dtb.c). */
#include "manifest.h"

#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

/* Properties whose kind is not decimal number. The first row that fits decides; node NULL: of any node. */
static const struct {
    const char *node, *prop;
    enum prop_kind kind;
} kinds[] = {
    {"function", "vendor", PROP_HEX},
    {"console", "cpu", PROP_DEC},
    {"cx", "address", PROP_HEX},
    {"cx", "offset", PROP_DEC},
    {NULL, "abi", PROP_TEXT},
    {NULL, "address", PROP_TEXT},
    {NULL, "cmdline", PROP_TEXT},
    {NULL, "core", PROP_TEXT},
    {NULL, "cpu", PROP_TEXT},
    {NULL, "description", PROP_TEXT},
    {NULL, "dma", PROP_TEXT},
    {NULL, "extension", PROP_TEXT},
    {NULL, "file", PROP_TEXT},
    {NULL, "key", PROP_TEXT},
    {NULL, "key-bytes", PROP_TEXT},
    {NULL, "kind", PROP_TEXT},
    {NULL, "loglevel", PROP_TEXT},
    {NULL, "machine", PROP_TEXT},
    {NULL, "memory", PROP_TEXT},
    {NULL, "min-version", PROP_TEXT},
    {NULL, "name", PROP_TEXT},
    {NULL, "path", PROP_TEXT},
    {NULL, "pci", PROP_TEXT},
    {NULL, "project", PROP_TEXT},
    {NULL, "protocol", PROP_TEXT},
    {NULL, "ready", PROP_TEXT},
    {NULL, "ready-on", PROP_TEXT},
    {NULL, "rule", PROP_TEXT},
    {NULL, "sha256", PROP_TEXT},
    {NULL, "source", PROP_TEXT},
    {NULL, "text", PROP_TEXT},
    {NULL, "uart", PROP_TEXT},
    {NULL, "vendor", PROP_TEXT},
    {NULL, "virtual", PROP_TEXT},
    {NULL, "what", PROP_TEXT},
    {NULL, "apic-id", PROP_HEX},
    {NULL, "base", PROP_HEX},
    {NULL, "bdf", PROP_HEX},
    {NULL, "class", PROP_HEX},
    {NULL, "control", PROP_HEX},
    {NULL, "cpu-hotplug-port", PROP_HEX},
    {NULL, "device", PROP_HEX},
    {NULL, "entry", PROP_HEX},
    {NULL, "gpa", PROP_HEX},
    {NULL, "hpa", PROP_HEX},
    {NULL, "initrd", PROP_HEX},
    {NULL, "iommu-group", PROP_HEX},
    {NULL, "kernel", PROP_HEX},
    {NULL, "load", PROP_HEX},
    {NULL, "mask", PROP_HEX},
    {NULL, "max-size", PROP_HEX},
    {NULL, "mem-limit", PROP_HEX},
    {NULL, "offset", PROP_HEX},
    {NULL, "peer", PROP_HEX},
    {NULL, "pm-timer-port", PROP_HEX},
    {NULL, "pm1a-cnt-port", PROP_HEX},
    {NULL, "port", PROP_HEX},
    {NULL, "reset-port", PROP_HEX},
    {NULL, "reset-value", PROP_HEX},
    {NULL, "size", PROP_HEX},
    {NULL, "space", PROP_HEX},
    {NULL, "status", PROP_HEX},
    {NULL, "trampoline", PROP_HEX},
    {NULL, "upcall-vector", PROP_HEX},
    {NULL, "virtual-bdf", PROP_HEX},
    {NULL, "vm", PROP_HEX},
    {NULL, "acs", PROP_BOOL},
    {NULL, "all", PROP_BOOL},
    {NULL, "console", PROP_BOOL},
    {NULL, "debug-hypercalls", PROP_BOOL},
    {NULL, "intx", PROP_BOOL},
    {NULL, "invariant", PROP_BOOL},
    {NULL, "io", PROP_BOOL},
    {NULL, "writable", PROP_BOOL},
};

static bool is_text(const char *value, size_t len)
{
    return len > 0 && value[len - 1] == '\0' && strlen(value) == len - 1;
}

enum prop_kind prop_kind_of(const char *node, const char *prop, const void *value, size_t len)
{
    enum prop_kind kind = len == 4 || len == 8 ? PROP_DEC : PROP_TEXT;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if ((!kinds[i].node || strcmp(kinds[i].node, node) == 0) && strcmp(kinds[i].prop, prop) == 0) {
            kind = kinds[i].kind;
            break;
        }
    }
    /* What another program put there, or another version of bhc. */
    if (kind == PROP_TEXT)
        return is_text(value, len) || (len != 4 && len != 8) ? PROP_TEXT : PROP_HEX;
    if (len == 8)
        return kind == PROP_DEC ? PROP_DEC64 : PROP_HEX64;
    return len == 4 ? kind : PROP_TEXT;
}

/* Text as it is; anything else as the hexadecimal digits of its bytes. */
static const char *text_value(const char *value, size_t len)
{
    char *digits;

    if (is_text(value, len))
        return value;
    digits = arena_alloc(2 * len + 1, 1);
    for (size_t i = 0; i < len; i++)
        snprintf(digits + 2 * i, 3, "%02x", (unsigned)(u8)value[i]);
    return digits;
}

static void read_prop(struct node *n, const void *fdt, int at)
{
    const char *name, *value;
    int len = 0;
    enum prop_kind kind;

    value = fdt_getprop_by_offset(fdt, at, &name, &len);
    if (!value) /* not after fdt_check_full() */
        cannot_run("a property of the manifest cannot be read");
    if (strcmp(name, "label") == 0)
        name = "name";
    kind = prop_kind_of(n->name, name, value, (size_t)len);
    switch (kind) {
    case PROP_TEXT:
        add_text(n, name, text_value(value, (size_t)len));
        break;
    case PROP_DEC64:
        add_dec64(n, name, fdt64_ld((const fdt64_t *)(const void *)value));
        break;
    case PROP_HEX64:
        add_hex64(n, name, fdt64_ld((const fdt64_t *)(const void *)value));
        break;
    case PROP_HEX:
        add_hex(n, name, fdt32_ld((const fdt32_t *)(const void *)value));
        break;
    case PROP_BOOL:
        add_bool(n, name, fdt32_ld((const fdt32_t *)(const void *)value) != 0);
        break;
    case PROP_DEC:
        add_dec(n, name, fdt32_ld((const fdt32_t *)(const void *)value));
        break;
    }
}

/* "vm-1f" is the name vm; a name without such an end stands for itself. */
static const char *plain_name(const char *name)
{
    const char *dash = strrchr(name, '-');
    char *plain;

    if (!dash || dash == name || dash[1] == '\0' || strspn(dash + 1, "0123456789abcdef") != strlen(dash + 1))
        return name;
    plain = arena_strdup(name);
    plain[dash - name] = '\0';
    return plain;
}

/* No deeper than MAX_DEPTH, says tree_load(). */
static void read_node(struct node *parent, const void *fdt, int at) /* NOLINT(misc-no-recursion) */
{
    struct node *n = node_new(parent, plain_name(fdt_get_name(fdt, at, NULL)));

    for (int p = fdt_first_property_offset(fdt, at); p >= 0; p = fdt_next_property_offset(fdt, p))
        read_prop(n, fdt, p);
    for (int child = fdt_first_subnode(fdt, at); child >= 0; child = fdt_next_subnode(fdt, child))
        read_node(n, fdt, child);
}

struct node *tree_read(const struct buffer *fdt)
{
    struct node *top = node_new(NULL, "");
    int at = fdt_first_subnode(fdt->data, 0);

    if (at < 0)
        cannot_run("the manifest is empty");
    read_node(top, fdt->data, at);
    return top->children;
}

const struct prop *prop_find(const struct node *n, const char *name)
{
    const struct prop *p = n ? n->props : NULL;

    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    return p;
}

const struct node *child_find(const struct node *n, const char *name)
{
    const struct node *child = n ? n->children : NULL;

    while (child && strcmp(child->name, name) != 0)
        child = child->next;
    return child;
}

const char *text_of(const struct node *n, const char *name)
{
    const struct prop *p = prop_find(n, name);

    return p && p->kind == PROP_TEXT ? p->text : "";
}

u64 number_of(const struct node *n, const char *name)
{
    const struct prop *p = prop_find(n, name);

    return p && p->kind != PROP_TEXT ? p->value : 0;
}
