/* A manifest as it is compared: things with an identity, and what is said of them in words. */
#ifndef DIFF_ITEM_H
#define DIFF_ITEM_H

#include "util.h"

struct fact {
    const char *name;
    const char *value; /* as a person reads it */
};

struct item {
    const char *name; /* the node's */
    const char
        *id; /* what tells it from siblings of its name: an address, a port, a name ...; or its place */
    size_t fact_count, child_count;
    struct fact *facts;
    struct item *children;
};

/*
 * The items of the manifest that a file holds (an ELF) or is: a hypervisor's, or a disk image's, whose root
 * is called "image". References between nodes (index of a VM or module) are replaced by the names they stand
 * for. A file without a manifest ends the program.
 */
struct item *items_read(const char *path);

/* What is said under that name, or NULL. */
const char *item_fact(const struct item *n, const char *name);
/* The child of that name and id, or NULL; id NULL: the first of that name. */
const struct item *item_child(const struct item *n, const char *name, const char *id);

#endif
