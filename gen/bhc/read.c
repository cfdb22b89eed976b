#include "read.h"
#include "load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct where reader_where(const struct reader *r, xmlNode *n)
{
    return (struct where){r->path, node_line(n)};
}

xmlNode *reader_next(xmlNode *parent, xmlNode *prev, const char *name)
{
    xmlNode *n = prev ? prev->next : parent ? parent->children : NULL;

    while (n && (n->type != XML_ELEMENT_NODE || strcmp((const char *)n->name, name) != 0))
        n = n->next;
    return n;
}

size_t reader_count(xmlNode *parent, const char *name)
{
    size_t count = 0;

    for (xmlNode *n = NULL; (n = reader_next(parent, n, name));)
        count++;
    return count;
}

/* The schema's xs:token values may stand between blanks; numbers and names are wanted without. */
static const char *trimmed(const char *s)
{
    char *copy = arena_strdup(s + strspn(s, " \t\r\n"));
    size_t len = strlen(copy);

    while (len > 0 && strchr(" \t\r\n", copy[len - 1]))
        copy[--len] = '\0';
    return copy;
}

/* The attribute without a namespace, or NULL, as for n NULL. */
static const xmlAttr *attribute_of(const xmlNode *n, const char *name)
{
    const xmlAttr *a = n ? n->properties : NULL;

    while (a && (a->ns || strcmp((const char *)a->name, name) != 0))
        a = a->next;
    return a;
}

const char *reader_text(xmlNode *n, const char *attribute, const char *missing)
{
    const xmlAttr *a = attribute_of(n, attribute);

    if (!a)
        return missing;
    /* The parser has made one piece of text of it: no document of ours declares entities. */
    return trimmed(a->children && a->children->content ? (const char *)a->children->content : "");
}

bool reader_has(xmlNode *n, const char *attribute)
{
    return attribute_of(n, attribute) != NULL;
}

u64 reader_number(struct reader *r, xmlNode *n, const char *attribute, u64 max)
{
    const char *text = reader_text(n, attribute, NULL);
    u64 value = 0;

    if (text && (!parse_number(text, &value) || value > max)) {
        diag_add(SEV_ERROR, "VAL-001", reader_where(r, n), "<%s %s=\"%s\"> is too large; write at most %s",
                 (const char *)n->name, attribute, text,
                 max > 0xffff ? arena_printf("0x%" PRIx64, max)
                              : arena_printf("%" PRIu64 " (0x%" PRIx64 ")", max, max));
        r->ok = false;
        return 0;
    }
    return value;
}

u16 reader_bdf(const char *address)
{
    const char *colon = strchr(address, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
    unsigned long bus, device, function;
    char *end;

    bus = strtoul(second ? colon + 1 : address, &end, 16);
    device = strtoul(end + 1, &end, 16);
    function = strtoul(end + 1, &end, 16);
    return (u16)((bus & 0xff) << 8 | (device & 0x1f) << 3 | (function & 7));
}

const char *bdf_text(u16 bdf)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(1, sizeof("bb:dd.f"));

    /* Not by printf(): a large board has tens of thousands. */
    text[0] = digits[bdf >> 12];
    text[1] = digits[bdf >> 8 & 0xf];
    text[2] = ':';
    text[3] = digits[bdf >> 7 & 1];
    text[4] = digits[bdf >> 3 & 0xf];
    text[5] = '.';
    text[6] = digits[bdf & 7];
    return text;
}

struct pci_name reader_pci(const struct reader *r, xmlNode *n, const char *attribute)
{
    u16 bdf = reader_bdf(reader_text(n, attribute, "0:0.0"));

    return (struct pci_name){reader_where(r, n), bdf_text(bdf), bdf};
}

struct pci_name *reader_pci_list(const struct reader *r, xmlNode *parent, const char *name, size_t *count)
{
    struct pci_name *list;
    size_t i = 0;

    *count = reader_count(parent, name);
    list = arena_alloc(*count, sizeof(*list));
    for (xmlNode *n = NULL; parent && (n = reader_next(parent, n, name));)
        list[i++] = reader_pci(r, n, "address");
    return list;
}

bool reader_yes(xmlNode *n, const char *attribute, bool missing)
{
    const char *text = reader_text(n, attribute, missing ? "yes" : "no");

    return strcmp(text, "yes") == 0;
}
