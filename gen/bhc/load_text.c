/*
 * What is looked at before and after libxml2 reads a file: encodings, sizes that would cost it time or memory
 * without bound, and characters that have no business in a configuration.
 */
#include "load.h"

#include <string.h>
#include <strings.h>

/* ---- the encoding ---- */

/* How files begin that are not UTF-8, by their mark or by "<?xm" (XML 1.0, appendix F). Longer ones first. */
static const struct {
    const char *bytes;
    size_t len;
    const char *name;
} beginnings[] = {
    {"\0\0\xfe\xff", 4, "UTF-32"},     {"\xff\xfe\0\0", 4, "UTF-32"}, {"\0\0\0<", 4, "UTF-32"},
    {"<\0\0\0", 4, "UTF-32"},          {"\0\0\xff\xfe", 4, "UTF-32"}, {"\xfe\xff\0\0", 4, "UTF-32"},
    {"\0\0<\0", 4, "UTF-32"},          {"\0<\0\0", 4, "UTF-32"},      {"\xfe\xff", 2, "UTF-16"},
    {"\xff\xfe", 2, "UTF-16"},         {"\0<", 2, "UTF-16"},          {"<\0", 2, "UTF-16"},
    {"\x4c\x6f\xa7\x94", 4, "EBCDIC"}, {"+ADw", 4, "UTF-7"},          {"+/v", 3, "UTF-7"},
};

static bool refuse_encoding(const char *path, long line, const char *found)
{
    diag_add(SEV_ERROR, "XML-005", (struct where){path, line},
             "the file is not UTF-8 text: %s; save it as UTF-8 (and declare no other encoding)", found);
    return false;
}

/* The value of encoding= in the XML declaration that the file begins with, "" when it has none. */
static const char *declared_encoding(const char *data, size_t len)
{
    const char *end = len > 5 && memcmp(data, "<?xml", 5) == 0 && strchr(" \t\r\n", data[5])
                          ? memmem(data, MIN(len, 1000u), "?>", 2)
                          : NULL;
    const char *at = end ? memmem(data, (size_t)(end - data), "encoding", 8) : NULL;
    const char *close;
    char *copy;

    if (!at)
        return "";
    for (at += 8; at < end && strchr(" \t\r\n=", *at);)
        at++;
    close = at < end && (*at == '"' || *at == '\'') ? memchr(at + 1, *at, (size_t)(end - at - 1)) : NULL;
    if (!close)
        return "";
    copy = arena_alloc((size_t)(close - at), 1);
    memcpy(copy, at + 1, (size_t)(close - at - 1));
    return copy;
}

static bool encoding_acceptable(const char *path, const char *data, size_t len)
{
    const char *declared;

    for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
        if (len >= beginnings[i].len && memcmp(data, beginnings[i].bytes, beginnings[i].len) == 0)
            return refuse_encoding(path, 1, arena_printf("it begins as %s does", beginnings[i].name));
    }
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        len -= 3;
    }
    declared = declared_encoding(data, len);
    if (*declared && strcasecmp(declared, "UTF-8") != 0 && strcasecmp(declared, "US-ASCII") != 0)
        return refuse_encoding(path, 1, arena_printf("it says encoding=\"%s\"", declared));
    return true;
}

/* ---- the bytes ---- */

/* What has been counted so far. A '<' cannot stand in an attribute's value, so that what follows one that
 * begins a tag, up to the next, holds all attributes of that tag. */
struct counts {
    size_t tags, attributes, of_element, namespaces;
    bool in_tag;
};

static bool refuse_amount(const char *path, long line, const char *what, unsigned most)
{
    diag_add(SEV_ERROR, "XML-006", (struct where){path, line},
             "the file holds more than %u %s; no board or scenario needs as many, remove some", most, what);
    return false;
}

/* True at '=' that a quote follows: an attribute, or something in a comment or value that looks like one. */
static bool begins_value(const char *s, size_t room)
{
    size_t i = 1;

    while (i < room && strchr(" \t\r\n", s[i]) && s[i])
        i++;
    return i < room && (s[i] == '"' || s[i] == '\'');
}

/* Counts what begins at s. False after a diagnostic. */
static bool count(struct counts *n, const char *path, long line, const char *s, size_t room)
{
    switch (*s) {
    case '<':
        n->in_tag = room > 1 && s[1] != '!' && s[1] != '?';
        n->of_element = 0;
        return ++n->tags <= MAX_TAGS || refuse_amount(path, line, "tags", MAX_TAGS);
    case '=':
        if (!n->in_tag || !begins_value(s, MIN(room, (size_t)MAX_VALUE)))
            return true;
        if (++n->of_element > MAX_OF_ELEMENT)
            return refuse_amount(path, line, "attributes on one element", MAX_OF_ELEMENT);
        return ++n->attributes <= MAX_ATTRIBUTES || refuse_amount(path, line, "attributes", MAX_ATTRIBUTES);
    case 'x':
        n->namespaces += room > 5 && memcmp(s, "xmlns", 5) == 0;
        return n->namespaces <= MAX_NAMESPACES ||
               refuse_amount(path, line, "namespace declarations", MAX_NAMESPACES);
    default:
        return true;
    }
}

bool text_acceptable(const char *path, const char *data, size_t len)
{
    struct counts n = {0};
    long line = 1;

    if (!encoding_acceptable(path, data, len))
        return false;
    for (size_t i = 0; i < len;) {
        u32 c = 0;
        size_t step = (unsigned char)data[i] < 0x80 ? 1 : utf8_length(data + i, len - i, &c);

        if (step == 0)
            return refuse_encoding(
                path, line,
                arena_printf("byte 0x%02x here begins no character", (unsigned)(unsigned char)data[i]));
        if (data[i] == '\n')
            line++;
        else if (!count(&n, path, line, data + i, len - i))
            return false;
        i += step;
    }
    return true;
}

/* ---- the values ---- */

/* The first character of the text that may not stand there, or 0. In text, line ends and tabs are layout; in
 * attributes they come only by reference. */
static u32 forbidden(const char *text, size_t len, bool attribute)
{
    while (len > 0) {
        u32 c = (unsigned char)*text;
        size_t step = c < 0x80 ? 1 : utf8_length(text, len, &c);

        if (is_unprintable(c) && (attribute || !strchr("\t\r\n", (int)c)))
            return c;
        text += MAX(step, 1u);
        len -= MAX(step, 1u);
    }
    return 0;
}

/* attribute NULL: the text is the element's. */
static bool value_acceptable(const char *path, const xmlNode *element, const char *attribute,
                             const char *text)
{
    struct where at = {path, node_line(element)};
    const char *name = (const char *)element->name, *what = "";
    size_t len = strlen(text);
    u32 bad = len > MAX_VALUE ? 0 : forbidden(text, len, attribute != NULL);

    if (len <= MAX_VALUE && bad == 0)
        return true;
    what = attribute ? arena_printf("<%s %s>", name, attribute) : arena_printf("the text of <%s>", name);
    if (bad == 0)
        diag_add(SEV_ERROR, "XML-006", at, "%s has %zu bytes; write at most %u", what, len, MAX_VALUE);
    else
        diag_add(SEV_ERROR, "XML-007", at,
                 "%s holds the character U+%04X, which controls or reorders what a reader sees; remove it",
                 what, (unsigned)bad);
    return false;
}

/* libxml2 has refused what is nested deeper than 256. */
static bool element_acceptable(const char *path, const xmlNode *element)
{
    bool ok = true;

    for (const xmlAttr *a = element->properties; a; a = a->next) {
        for (const xmlNode *text = a->children; text; text = text->next)
            ok &= !text->content ||
                  value_acceptable(path, element, (const char *)a->name, (const char *)text->content);
    }
    for (const xmlNode *n = element->children; n; n = n->next) {
        if (n->type == XML_ELEMENT_NODE)
            ok &= element_acceptable(path, n);
        else if (n->content)
            ok &= value_acceptable(path, element, NULL, (const char *)n->content);
    }
    return ok;
}

bool values_acceptable(const char *path, xmlDocPtr doc)
{
    const xmlNode *root = xmlDocGetRootElement(doc);

    return !root || element_acceptable(path, root);
}
