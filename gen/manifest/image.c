/* The manifest of a disk image: what was put where, and what it was made from. */
#include "manifest.h"

#include <string.h>

#include "digest.h"

#define IMAGE_FORMAT 1
#define MAX_PART     GIB(4) /* a FAT holds no larger file */

/* What the hypervisor's own manifest says about its origin. */
static void copy_origin(struct node *root, const struct node *hv, const char *kind)
{
    struct node *n = node_new(root, "input");
    const struct node *input = child_find(hv, "input");

    while (input && strcmp(text_of(input, "kind"), kind) != 0)
        input = input->next;
    if (!input)
        cannot_run("the hypervisor's manifest says nothing about its %s; build it anew", kind);
    add_text(n, "kind", kind);
    add_text(n, "name", text_of(child_find(hv, kind), "name"));
    add_dec(n, "bytes", number_of(input, "bytes"));
    add_text(n, "sha256", text_of(input, "sha256"));
}

static void add_digest(struct node *n, const char *file)
{
    struct input found;
    struct buffer content = {0};

    file_read(file, MAX_PART, &content);
    digest(content.data, content.len, &found);
    buffer_free(&content);
    add_dec64(n, "bytes", found.size);
    add_text(n, "sha256", arena_strdup(found.sha256));
}

static void add_file(struct node *root, const struct part *part)
{
    struct node *n = node_new(root, "file");
    const char *slash = strrchr(part->name, '/');

    add_text(n, "kind", part->kind);
    add_text(n, "path", part->name);
    add_text(n, "name", slash ? slash + 1 : part->name);
    add_digest(n, part->file);
}

static void add_region(struct node *root, const struct part *part)
{
    struct node *n = node_new(root, "region");
    char *what = arena_strdup(part->name), *at = strrchr(what, '@');
    u64 offset;

    if (!at || !parse_number(at + 1, &offset))
        cannot_run("region '%s' is not NAME@OFFSET", part->name);
    *at = '\0';
    add_text(n, "what", what);
    add_hex64(n, "offset", offset);
    add_digest(n, part->file);
}

void image_manifest(const char *elf, const char *identity, const struct part *parts, size_t count,
                    struct buffer *out)
{
    struct buffer fdt = {0};
    struct node *hv, *root = node_new(NULL, "image");

    tree_load(elf, &fdt);
    hv = tree_read(&fdt);
    add_dec(root, "version", IMAGE_FORMAT);
    add_text(root, "identity", identity);
    add_text(root, "project", text_of(child_find(hv, "versions"), "project"));
    add_dec(root, "manifest", number_of(hv, "version"));
    add_dec(root, "rules", number_of(child_find(hv, "versions"), "rules"));
    copy_origin(root, hv, "board");
    copy_origin(root, hv, "scenario");
    /* Siblings of one name must be neighbours. */
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].kind, "region") != 0)
            add_file(root, &parts[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].kind, "region") == 0)
            add_region(root, &parts[i]);
    }
    emit_dtb(root, IMAGE_COMPATIBLE, out);
    buffer_free(&fdt);
}
