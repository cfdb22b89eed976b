/*
 * A tree of named nodes with typed properties, and its two written forms: XML, and a flattened device tree
 * whose reader is gen/manifest/. Names and texts are kept as pointers: they must outlive the tree, which
 * lives in the arena.
 */
#ifndef BHC_NODE_H
#define BHC_NODE_H

#include "util.h"

enum prop_kind {
    PROP_TEXT,
    PROP_DEC,   /* 32 bits, written decimal */
    PROP_HEX,   /* 32 bits, written hexadecimal */
    PROP_DEC64, /* 64 bits */
    PROP_HEX64,
    PROP_BOOL, /* yes or no; 1 or 0 */
};

struct prop {
    struct prop *next;
    const char *name;
    enum prop_kind kind;
    const char *text;
    u64 value;
};

struct node {
    struct node *next; /* sibling */
    const char *name;
    struct prop *props, **props_end;
    struct node *children, **children_end;
};

/* parent NULL: a root. Children of one name must be added one after the other. */
struct node *node_new(struct node *parent, const char *name);
void add_text(struct node *n, const char *name, const char *text);
void add_dec(struct node *n, const char *name, u64 value);
void add_dec64(struct node *n, const char *name, u64 value);
void add_hex(struct node *n, const char *name, u64 value);
void add_hex64(struct node *n, const char *name, u64 value);
void add_bool(struct node *n, const char *name, bool value);

/* emit_xml: resolved.xml; emit_xml_body: the elements without anything before them. */
void emit_xml(const struct node *root, struct buffer *out);
void emit_xml_body(const struct node *root, struct buffer *out);
/* compatible: what the tree is, such as MANIFEST_COMPATIBLE. */
void emit_dtb(const struct node *root, const char *compatible, struct buffer *out);

#define MANIFEST_COMPATIBLE "bulkhead,manifest-1"
#define IMAGE_COMPATIBLE    "bulkhead,image-1"

#endif
