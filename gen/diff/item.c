#include "item.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

/* The property that tells siblings apart. Nodes of other names go by their place. */
static const char *const identities[][2] = {
    {"vm", "name"},       {"module", "name"}, {"flag", "name"},       {"may-ask", "name"},
    {"feature", "name"},  {"quirk", "name"},  {"mitigation", "name"}, {"uart", "name"},
    {"shm", "name"},      {"vuart", "port"},  {"device", "address"},  {"function", "address"},
    {"irq", "gsi"},       {"bar", "index"},   {"vbar", "index"},      {"ram", "base"},
    {"reserved", "base"}, {"window", "base"}, {"iommu", "base"},      {"ioapic", "id"},
    {"cache", "level"},   {"pcpu", "id"},     {"mem", "gpa"},         {"user", "vm"},
    {"cpu", "apic-id"},   {"file", "path"},
};

static const char *value_text(const struct prop *p)
{
    switch (p->kind) {
    case PROP_TEXT:
        return p->text;
    case PROP_BOOL:
        return p->value ? "yes" : "no";
    case PROP_DEC:
    case PROP_DEC64:
        return arena_printf("%" PRIu64, p->value);
    default:
        if (strcmp(p->name, "size") == 0 || strcmp(p->name, "max-size") == 0 ||
            strcmp(p->name, "mem-limit") == 0)
            return size_text(p->value);
        return arena_printf("0x%" PRIx64, p->value);
    }
}

const char *item_fact(const struct item *n, const char *name)
{
    for (size_t i = 0; i < n->fact_count; i++) {
        if (strcmp(n->facts[i].name, name) == 0)
            return n->facts[i].value;
    }
    return NULL;
}

const struct item *item_child(const struct item *n, const char *name, const char *id)
{
    for (size_t i = 0; i < n->child_count; i++) {
        const struct item *c = &n->children[i];

        if (strcmp(c->name, name) == 0 && (!id || strcmp(c->id, id) == 0))
            return c;
    }
    return NULL;
}

/* What a manifest lacks reads as "?": another version's. */
static const char *fact_or(const struct item *n, const char *name)
{
    const char *value = item_fact(n, name);

    return value ? value : "?";
}

/* "service port 0x2f8 and rtos0 port 0x2f8" */
static const char *ends_text(const struct item *link)
{
    const char *text = "";

    for (size_t i = 0; i < link->child_count; i++)
        text = arena_printf("%s%s%s port %s", text, i ? " and " : "", fact_or(&link->children[i], "vm"),
                            fact_or(&link->children[i], "port"));
    return text;
}

static const char *identity(const struct item *n, const char *place)
{
    if (strcmp(n->name, "cache-class") == 0)
        return arena_printf("%s, level %s", fact_or(n, "id"), fact_or(n, "level"));
    if (strcmp(n->name, "link") == 0)
        return ends_text(n);
    for (size_t i = 0; i < ARRAY_SIZE(identities); i++) {
        if (strcmp(n->name, identities[i][0]) == 0)
            return fact_or(n, identities[i][1]);
    }
    return place;
}

/* The tree is at most MAX_DEPTH deep (manifest.h). NOLINTNEXTLINE(misc-no-recursion) */
static void convert(const struct node *from, struct item *to)
{
    size_t i = 0;

    to->name = from->name;
    for (const struct prop *p = from->props; p; p = p->next)
        to->fact_count++;
    to->facts = arena_alloc(to->fact_count, sizeof(*to->facts));
    for (const struct prop *p = from->props; p; p = p->next)
        to->facts[i++] = (struct fact){p->name, value_text(p)};
    for (const struct node *c = from->children; c; c = c->next)
        to->child_count++;
    to->children = arena_alloc(to->child_count, sizeof(*to->children));
    i = 0;
    for (const struct node *c = from->children; c; c = c->next)
        convert(c, &to->children[i++]);
}

/* The name of the nth child of that kind. */
static const char *name_of(const struct item *scenario, const char *kind, const char *index)
{
    unsigned long left = strtoul(index, NULL, 0);

    for (size_t i = 0; i < scenario->child_count; i++) {
        const struct item *c = &scenario->children[i];

        if (strcmp(c->name, kind) == 0 && left-- == 0)
            return fact_or(c, "name");
    }
    return "none";
}

/* References become names, and every item gets its identity. Depth as in convert().
 * NOLINTNEXTLINE(misc-no-recursion) */
static void identify(const struct item *scenario, struct item *n)
{
    const char *last = "";
    unsigned place = 0;

    for (size_t i = 0; i < n->fact_count; i++) {
        struct fact *f = &n->facts[i];

        if (strcmp(f->name, "vm") == 0)
            f->value = name_of(scenario, "vm", f->value);
        else if (strcmp(n->name, "boot") == 0 &&
                 (strcmp(f->name, "kernel") == 0 || strcmp(f->name, "initrd") == 0))
            f->value = name_of(scenario, "module", f->value);
    }
    for (size_t i = 0; i < n->child_count; i++) {
        struct item *c = &n->children[i];

        place = strcmp(c->name, last) == 0 ? place + 1 : 0;
        last = c->name;
        identify(scenario, c);
        c->id = identity(c, place ? arena_printf("%u", place) : "");
    }
}

struct item *items_read(const char *path)
{
    struct item *root = arena_alloc(1, sizeof(*root));
    const struct item *scenario;
    struct buffer fdt = {0}, kept;

    tree_load(path, &fdt);
    /* Names and texts go on lying in it. */
    kept = (struct buffer){memcpy(arena_alloc(fdt.len, 1), fdt.data, fdt.len), fdt.len, fdt.len};
    buffer_free(&fdt);
    convert(tree_read(&kept), root);
    scenario = item_child(root, "scenario", NULL);
    if (strcmp(root->name, "image") != 0 && (!scenario || !item_child(root, "board", NULL)))
        cannot_run("%s holds no board and scenario: it is no manifest of Bulkhead's", path);
    identify(scenario ? scenario : root, root);
    root->id = "";
    return root;
}
