/* resolved.xml: the tree as XML, one element a line. */
#include "tree.h"

#include <inttypes.h>

/* Attribute text; line ends and tabs as references, because a parser would turn them into blanks. */
static void put_escaped(struct buffer *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&':
            buffer_puts(out, "&amp;");
            break;
        case '<':
            buffer_puts(out, "&lt;");
            break;
        case '>':
            buffer_puts(out, "&gt;");
            break;
        case '"':
            buffer_puts(out, "&quot;");
            break;
        case '\t':
        case '\n':
        case '\r':
            buffer_printf(out, "&#%d;", *s);
            break;
        default:
            buffer_add(out, s, 1);
        }
    }
}

static void put_prop(struct buffer *out, const struct prop *p)
{
    buffer_puts(out, " ");
    buffer_puts(out, p->name);
    buffer_puts(out, "=\"");
    switch (p->kind) {
    case PROP_TEXT:
        put_escaped(out, p->text);
        break;
    case PROP_DEC:
    case PROP_DEC64:
        buffer_printf(out, "%" PRIu64, p->value);
        break;
    case PROP_HEX:
    case PROP_HEX64:
        buffer_printf(out, "0x%" PRIx64, p->value);
        break;
    case PROP_BOOL:
        buffer_puts(out, p->value ? "yes" : "no");
        break;
    }
    buffer_puts(out, "\"");
}

/* The tree is five levels deep, whatever the input. */
static void put_node(struct buffer *out, const struct node *n, int depth)
{
    buffer_printf(out, "%*s<", depth * 2, "");
    buffer_puts(out, n->name);
    for (const struct prop *p = n->props; p; p = p->next)
        put_prop(out, p);
    if (!n->children) {
        buffer_puts(out, "/>\n");
        return;
    }
    buffer_puts(out, ">\n");
    for (const struct node *child = n->children; child; child = child->next)
        put_node(out, child, depth + 1);
    buffer_printf(out, "%*s</", depth * 2, "");
    buffer_puts(out, n->name);
    buffer_puts(out, ">\n");
}

void emit_xml(const struct node *root, struct buffer *out)
{
    buffer_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Made by bhc. The complete model, "
                     "nothing implicit left. -->\n");
    put_node(out, root, 0);
}
