#include "node.h"

struct node *node_new(struct node *parent, const char *name)
{
    struct node *n = arena_alloc(1, sizeof(*n));

    n->name = name;
    n->props_end = &n->props;
    n->children_end = &n->children;
    if (parent) {
        *parent->children_end = n;
        parent->children_end = &n->next;
    }
    return n;
}

static void add(struct node *n, enum prop_kind kind, const char *name, const char *text, u64 value)
{
    struct prop *p = arena_alloc(1, sizeof(*p));

    *p = (struct prop){.name = name, .kind = kind, .text = text, .value = value};
    *n->props_end = p;
    n->props_end = &p->next;
}

void add_text(struct node *n, const char *name, const char *text)
{
    add(n, PROP_TEXT, name, text, 0);
}

void add_dec(struct node *n, const char *name, u64 value)
{
    add(n, PROP_DEC, name, NULL, value);
}

void add_dec64(struct node *n, const char *name, u64 value)
{
    add(n, PROP_DEC64, name, NULL, value);
}

void add_hex(struct node *n, const char *name, u64 value)
{
    add(n, PROP_HEX, name, NULL, value);
}

void add_hex64(struct node *n, const char *name, u64 value)
{
    add(n, PROP_HEX64, name, NULL, value);
}

void add_bool(struct node *n, const char *name, bool value)
{
    add(n, PROP_BOOL, name, NULL, value);
}
