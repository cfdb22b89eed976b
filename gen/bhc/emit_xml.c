/* resolved.xml: the tree as XML, one element a line. */
#include "node.h"

#include <string.h>

/* Attribute text; line ends and tabs as references, because a parser would turn them into blanks. */
static void put_escaped(struct buffer *out, const char *s)
{
    for (;;) {
        size_t plain = strcspn(s, "&<>\"\t\n\r");

        buffer_add(out, s, plain);
        s += plain;
        switch (*s++) {
        case '\0':
            return;
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
            buffer_printf(out, "&#%d;", s[-1]);
            break;
        default:
            break;
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
        buffer_number(out, p->value, 10);
        break;
    case PROP_HEX:
    case PROP_HEX64:
        buffer_puts(out, "0x");
        buffer_number(out, p->value, 16);
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

void emit_xml_body(const struct node *root, struct buffer *out)
{
    put_node(out, root, 0);
}

void emit_xml(const struct node *root, struct buffer *out)
{
    buffer_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Made by bhc. The complete model, "
                     "nothing implicit left. -->\n");
    emit_xml_body(root, out);
}
