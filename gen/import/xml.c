/* Reading the documents that load.c has parsed. A node's _private tells whether a handler has read it; a
 * document's is the path that messages name. */
#include "import.h"
#include "load.h"

#include <string.h>

#include <libxml/parser.h>

struct where at_node(const xmlNode *n)
{
    return (struct where){n->doc->_private, node_line(n)};
}

const char *name_of(const xmlNode *n)
{
    return (const char *)n->name;
}

void mark_read(xmlNode *n)
{
    n->_private = n;
}

bool is_read(const xmlNode *n)
{
    return n->_private != NULL;
}

static xmlNode *named(xmlNode *n, const char *name)
{
    for (; n; n = n->next) {
        if (n->type == XML_ELEMENT_NODE && strcmp(name_of(n), name) == 0) {
            mark_read(n);
            return n;
        }
    }
    return NULL;
}

xmlNode *child(const xmlNode *n, const char *name)
{
    return n ? named(n->children, name) : NULL;
}

xmlNode *next(const xmlNode *n)
{
    return named(n->next, name_of(n));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *text_of(const xmlNode *n)
{
    xmlChar *content = n ? xmlNodeGetContent(n) : NULL;
    const char *from;
    char *copy;
    size_t len;

    if (!content)
        return "";
    from = (const char *)content;
    while (is_blank(*from))
        from++;
    copy = arena_strdup(from);
    for (len = strlen(copy); len > 0 && is_blank(copy[len - 1]); len--)
        copy[len - 1] = '\0';
    xmlFree(content);
    return copy;
}

const char *child_text(const xmlNode *n, const char *name)
{
    return text_of(child(n, name));
}

const char *attribute(const xmlNode *n, const char *name)
{
    xmlChar *value = n ? xmlGetNoNsProp(n, BAD_CAST name) : NULL;
    const char *copy = value ? arena_strdup((const char *)value) : NULL;

    xmlFree(value);
    return copy;
}

bool number_in(const char *text, u64 *out)
{
    size_t len = strlen(text);
    char *copy;

    if (len > 64)
        return false;
    copy = arena_strdup(text);
    while (len > 1 && strchr("uUlL", copy[len - 1]))
        copy[--len] = '\0';
    /* K, M and G are Bulkhead's suffixes, not ACRN's. */
    return len > 0 && !strchr("KMG", copy[len - 1]) && parse_number(copy, out);
}

bool number_of(const xmlNode *n, u64 max, u64 *out)
{
    const char *text = text_of(n);

    if (!*text)
        return false;
    if (number_in(text, out) && *out <= max)
        return true;
    MISTAKE(WRONG_VALUE, at_node(n), "<%s> holds \"%s\", which is not a number up to 0x%llx; correct it",
            shown(name_of(n)), shown(text), (unsigned long long)max);
    return false;
}

bool is_on(const xmlNode *n)
{
    static const char *const words[] = {"y", "Y", "yes", "true", "Enable", "1"};
    const char *text = text_of(n);

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* At most max hexadecimal digits; how many there were. */
static size_t hex_digits(const char *s, size_t max, u32 *value)
{
    size_t n = strspn(s, "0123456789abcdefABCDEF");

    *value = 0;
    if (n > max)
        return 0;
    for (size_t i = 0; i < n; i++)
        *value = *value << 4 | (u32)(s[i] <= '9' ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
    return n;
}

bool bdf_in(const char *text, u16 *bdf, const char **end)
{
    u32 part[3], function;
    size_t parts = 0, n;

    while (parts < 3 && (n = hex_digits(text, 4, &part[parts])) > 0) {
        text += n;
        parts++;
        if (*text != ':')
            break;
        text++;
    }
    if (parts < 2 || *text != '.' || hex_digits(text + 1, 1, &function) != 1 || function > 7)
        return false;
    if ((parts == 3 && part[0] != 0) || part[parts - 2] > 0xff || part[parts - 1] > 0x1f)
        return false;
    *bdf = (u16)(part[parts - 2] << 8 | part[parts - 1] << 3 | function);
    *end = text + 2;
    return true;
}

const char *bdf_text(u16 bdf)
{
    return arena_printf("%02x:%02x.%x", (unsigned)bdf >> 8, (unsigned)bdf >> 3 & 0x1f, (unsigned)bdf & 7);
}

void *grow(void *array, size_t count, size_t size)
{
    void *grown;

    /* Full when it holds a power of two. */
    if ((count & (count - 1)) != 0)
        return array;
    grown = arena_alloc(count == 0 ? 1 : count * 2, size);
    if (count > 0)
        memcpy(grown, array, count * size);
    return grown;
}
