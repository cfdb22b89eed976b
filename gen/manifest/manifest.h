/*
 * bhmanifest: reads the manifests that bhc puts into every hypervisor image and that disk images carry, and
 * writes the latter. Whatever it reads may be hostile: nothing is used before its bounds are known, and text
 * is escaped when it is printed.
 */
#ifndef MANIFEST_H
#define MANIFEST_H

#include "node.h"

#define MAX_IMAGE   MIB(64) /* a hypervisor image with its debug information takes 2 */
#define MAX_TREE    MIB(32) /* 64 VMs with 256 devices each take 8 */
#define MAX_STRINGS KIB(16) /* bhc's property names take 2; bounds what looking them up can cost */
#define MAX_DEPTH   8       /* of nodes; bhc's own trees have 6 levels */

/* The file's bytes (freed by buffer_free()); what cannot be read, or is larger than max, ends the program. */
void file_read(const char *path, size_t max, struct buffer *out);

/*
 * The device tree that the file at path holds or is: an ELF (32 or 64 bits, little-endian) with a section
 * .manifest, or the tree itself. Copied to *out, whose length is exactly the tree's, and checked:
 * fdt_check_full(), compatible with one of ours, no deeper than MAX_DEPTH. Anything else ends the program.
 */
void tree_load(const char *path, struct buffer *out);

/* The nodes of a tree from tree_load(), whose buffer must outlive them. */
struct node *tree_read(const struct buffer *fdt);

/* What a property of that name holds in a node of that name; value and len: its bytes in the device tree,
 * which decide for names that this program does not know. */
enum prop_kind prop_kind_of(const char *node, const char *prop, const void *value, size_t len);

/* The first property or child of that name, or NULL. */
const struct prop *prop_find(const struct node *n, const char *name);
const struct node *child_find(const struct node *n, const char *name);
/* The property's text; "" where it is none or there is no such property. */
const char *text_of(const struct node *n, const char *name);
/* The property's number; 0 where it is none or there is no such property. */
u64 number_of(const struct node *n, const char *name);

/* All of a tree on stdout: {"name": .., "properties": {..}, "nodes": [..]}. Hexadecimal numbers become
 * strings. */
void print_json(const struct node *root);
/* What a person wants to know, on stdout. */
void print_text(const struct node *root);

/* One file or other part of a disk image. */
struct part {
    const char *kind; /* hypervisor, module, config, loader or region */
    const char *name; /* its path in the image; of a region NAME@OFFSET */
    const char *file; /* where its bytes are now */
};

/* A disk image's manifest as a device tree. elf: the hypervisor; identity: what the image is known by. */
void image_manifest(const char *elf, const char *identity, const struct part *parts, size_t count,
                    struct buffer *out);

#endif
