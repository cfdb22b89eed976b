/* A tree as JSON: nothing left out, every value typed. */
#include "manifest.h"

#include <inttypes.h>

static void put_value(const struct prop *p)
{
    switch (p->kind) {
    case PROP_TEXT:
        print_json_string(stdout, p->text);
        break;
    case PROP_BOOL:
        fputs(p->value ? "true" : "false", stdout);
        break;
    case PROP_DEC:
    case PROP_DEC64:
        printf("%" PRIu64, p->value);
        break;
    case PROP_HEX:
    case PROP_HEX64:
        printf("\"0x%" PRIx64 "\"", p->value);
        break;
    }
}

static void put_node(const struct node *n,
                     int depth) /* NOLINT(misc-no-recursion): no deeper than MAX_DEPTH */
{
    printf("%*s{\"name\": ", depth * 2, "");
    print_json_string(stdout, n->name);
    fputs(", \"properties\": {", stdout);
    for (const struct prop *p = n->props; p; p = p->next) {
        print_json_string(stdout, p->name);
        fputs(": ", stdout);
        put_value(p);
        fputs(p->next ? ", " : "", stdout);
    }
    fputs("}, \"nodes\": [", stdout);
    for (const struct node *child = n->children; child; child = child->next) {
        putchar('\n');
        put_node(child, depth + 1);
        fputs(child->next ? "," : "", stdout);
    }
    fputs("]}", stdout);
}

void print_json(const struct node *root)
{
    put_node(root, 0);
    putchar('\n');
}
