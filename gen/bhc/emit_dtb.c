/*
 * A tree as a flattened device tree. A node becomes name-N, N counting siblings of its name;
 * a property keeps its name, except "name", which device trees give another meaning and is called "label".
 * Text is a string, numbers are one or two cells, booleans one cell.
 *
 * libfdt could write it too, but looks each property's name up by comparing it with every byte of the names
 * so far, which for a board of many devices takes longer than everything else. Layout: Devicetree
 * Specification v0.4, chapter 5; libfdt reads what is written here (gen/manifest, tests/fuzz).
 */
#include "node.h"

#include <string.h>

#include <libfdt.h>

#define NAME_SLOTS 1024 /* a power of two, several times the number of property names there are */

struct name_slot {
    const char *name;
    u32 offset;
};

struct writer {
    struct buffer structure, strings;
    struct name_slot names[NAME_SLOTS];
    size_t name_count;
};

static void put_cell(struct buffer *b, u32 value)
{
    fdt32_t cell = cpu_to_fdt32(value);

    buffer_add(b, &cell, sizeof(cell));
}

static void pad(struct buffer *b)
{
    buffer_add(b, "\0\0\0", (4 - b->len % 4) % 4);
}

/* Where a property's name lies among the strings. FNV-1a picks the slot. */
static u32 name_offset(struct writer *w, const char *name)
{
    u32 hash = 2166136261u;
    size_t i;

    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (i = hash % NAME_SLOTS; w->names[i].name; i = (i + 1) % NAME_SLOTS) {
        if (strcmp(w->names[i].name, name) == 0)
            return w->names[i].offset;
    }
    if (++w->name_count == NAME_SLOTS)
        cannot_run("a device tree has more than %d names of properties", NAME_SLOTS - 1);
    w->names[i] = (struct name_slot){name, (u32)w->strings.len};
    buffer_add(&w->strings, name, strlen(name) + 1);
    return w->names[i].offset;
}

static void put_bytes(struct writer *w, const char *name, const void *data, size_t len)
{
    put_cell(&w->structure, FDT_PROP);
    put_cell(&w->structure, (u32)len);
    put_cell(&w->structure, name_offset(w, name));
    buffer_add(&w->structure, data, len);
    pad(&w->structure);
}

static void put_prop(struct writer *w, const struct prop *p)
{
    const char *name = strcmp(p->name, "name") == 0 ? "label" : p->name;
    fdt32_t cell = cpu_to_fdt32((u32)p->value);
    fdt64_t cells = cpu_to_fdt64(p->value);

    switch (p->kind) {
    case PROP_TEXT:
        put_bytes(w, name, p->text, strlen(p->text) + 1);
        break;
    case PROP_DEC64:
    case PROP_HEX64:
        put_bytes(w, name, &cells, sizeof(cells));
        break;
    default:
        put_bytes(w, name, &cell, sizeof(cell));
    }
}

/* index < 0: the name alone. */
static void put_node(struct writer *w, const struct node *n, long index)
{
    const char *last = "";
    long count = 0;

    put_cell(&w->structure, FDT_BEGIN_NODE);
    buffer_puts(&w->structure, n->name);
    if (index >= 0)
        buffer_printf(&w->structure, "-%lx", (unsigned long)index);
    buffer_add(&w->structure, "", 1);
    pad(&w->structure);
    for (const struct prop *p = n->props; p; p = p->next)
        put_prop(w, p);
    /* node_new() is called so that siblings of one name stay together. */
    for (const struct node *child = n->children; child; child = child->next) {
        count = strcmp(child->name, last) == 0 ? count + 1 : 0;
        last = child->name;
        put_node(w, child, count);
    }
    put_cell(&w->structure, FDT_END_NODE);
}

void emit_dtb(const struct node *root, const char *compatible, struct buffer *out)
{
    struct writer *w = arena_alloc(1, sizeof(*w));
    const struct fdt_reserve_entry no_more = {0};
    struct fdt_header header = {.magic = cpu_to_fdt32(FDT_MAGIC),
                                .off_mem_rsvmap = cpu_to_fdt32(sizeof(header)),
                                .off_dt_struct = cpu_to_fdt32(sizeof(header) + sizeof(no_more)),
                                .version = cpu_to_fdt32(17),
                                .last_comp_version = cpu_to_fdt32(16)};
    size_t total;

    put_cell(&w->structure, FDT_BEGIN_NODE);
    put_cell(&w->structure, 0); /* the root's empty name */
    put_bytes(w, "compatible", compatible, strlen(compatible) + 1);
    put_node(w, root, -1);
    put_cell(&w->structure, FDT_END_NODE);
    put_cell(&w->structure, FDT_END);

    total = sizeof(header) + sizeof(no_more) + w->structure.len + w->strings.len;
    if (total > INT32_MAX)
        cannot_run("a device tree would be larger than 2 GiB");
    header.off_dt_strings = cpu_to_fdt32((u32)(total - w->strings.len));
    header.size_dt_struct = cpu_to_fdt32((u32)w->structure.len);
    header.size_dt_strings = cpu_to_fdt32((u32)w->strings.len);
    header.totalsize = cpu_to_fdt32((u32)total);
    buffer_add(out, &header, sizeof(header));
    buffer_add(out, &no_more, sizeof(no_more));
    buffer_add(out, w->structure.data, w->structure.len);
    buffer_add(out, w->strings.data, w->strings.len);
    buffer_free(&w->structure);
    buffer_free(&w->strings);
}
