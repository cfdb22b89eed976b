/*
 * manifest.dtb: the tree as a flattened device tree. A node becomes name-N, N counting siblings of its name;
 * a property keeps its name, except "name", which device trees give another meaning and is called "label".
 * Text is a string, numbers are one or two cells, booleans one cell.
 */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

static void check(int result)
{
    if (result < 0 && result != -FDT_ERR_NOSPACE)
        cannot_run("cannot build manifest.dtb: %s", fdt_strerror(result));
}

/* Input files are at most 1 MiB, so no text is longer than an int can say. */
static int put_text(void *fdt, const char *name, const char *text)
{
    return fdt_property(fdt, name, text, (int)strlen(text) + 1);
}

static int put_prop(void *fdt, const struct prop *p)
{
    const char *name = strcmp(p->name, "name") == 0 ? "label" : p->name;

    switch (p->kind) {
    case PROP_TEXT:
        return put_text(fdt, name, p->text);
    case PROP_DEC64:
    case PROP_HEX64:
        return fdt_property_u64(fdt, name, p->value);
    default:
        return fdt_property_u32(fdt, name, (u32)p->value);
    }
}

static int put_node(void *fdt, const struct node *n, const char *name)
{
    const char *last = "";
    unsigned index = 0;
    int result = fdt_begin_node(fdt, name);

    for (const struct prop *p = n->props; p && result == 0; p = p->next)
        result = put_prop(fdt, p);
    /* tree.c keeps siblings of one name together. */
    for (const struct node *child = n->children; child && result == 0; child = child->next) {
        index = strcmp(child->name, last) == 0 ? index + 1 : 0;
        last = child->name;
        result = put_node(fdt, child, arena_printf("%s-%x", child->name, index));
    }
    return result == 0 ? fdt_end_node(fdt) : result;
}

static int put_tree(void *fdt, int size, const struct node *root)
{
    int result = fdt_create(fdt, size);

    if (result == 0)
        result = fdt_finish_reservemap(fdt);
    if (result == 0)
        result = fdt_begin_node(fdt, "");
    if (result == 0)
        result = put_text(fdt, "compatible", "bulkhead,manifest-1");
    if (result == 0)
        result = put_node(fdt, root, root->name);
    if (result == 0)
        result = fdt_end_node(fdt);
    return result == 0 ? fdt_finish(fdt) : result;
}

void emit_dtb(const struct node *root, struct buffer *out)
{
    for (int size = 16 * 1024;; size *= 2) {
        void *fdt = calloc(1, (size_t)size);
        int result;

        if (!fdt || size > 256 * 1024 * 1024)
            cannot_run("out of memory");
        result = put_tree(fdt, size, root);
        check(result);
        if (result == 0)
            buffer_add(out, fdt, fdt_totalsize(fdt));
        free(fdt);
        if (result == 0)
            return;
    }
}
