/*
 * The resolved model as a tree of named nodes with typed properties. It is built once and then written as
 * resolved.xml and as manifest.dtb, so that the two cannot differ.
 */
#ifndef BHC_TREE_H
#define BHC_TREE_H

#include "model.h"

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

/* From a placed model. */
struct node *tree_build(const struct config *c);

void emit_xml(const struct node *root, struct buffer *out);
void emit_dtb(const struct node *root, struct buffer *out);

#endif
