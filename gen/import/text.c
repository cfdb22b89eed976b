/*
 * The text sections of board files: lines of lspci, of /proc/iomem, and C macros. They are data: names and
 * numbers are read, nothing is expanded or evaluated.
 */
#include "import.h"

#include <stdlib.h>
#include <string.h>

struct lines lines_of(const xmlNode *n)
{
    xmlChar *content = n ? xmlNodeGetContent(n) : NULL;
    struct lines l = {.rest = content ? arena_strdup((const char *)content) : ""};

    if (n) {
        l.at = at_node(n);
        l.next = l.at.line;
    }
    xmlFree(content);
    return l;
}

static char *trimmed(const char *from, const char *to)
{
    char *copy;

    while (from < to && (*from == ' ' || *from == '\t' || *from == '\r'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    copy = arena_alloc(1, (size_t)(to - from) + 1);
    memcpy(copy, from, (size_t)(to - from));
    return copy;
}

char *next_line(struct lines *l)
{
    while (*l->rest) {
        const char *end = strchr(l->rest, '\n');
        const char *to = end ? end : l->rest + strlen(l->rest);
        char *line = trimmed(l->rest, to);

        l->at.line = l->next;
        if (end)
            l->next++;
        l->rest = end ? end + 1 : to;
        if (*line)
            return line;
    }
    return NULL;
}

/* Takes C comments that begin and end in this line out of it. */
static void drop_comments(char *line)
{
    char *out = line;

    while (*line) {
        char *end = line[0] == '/' && line[1] == '*' ? strstr(line + 2, "*/") : NULL;

        if (end) {
            line = end + 2;
            continue;
        }
        /* No other comment of this line ends either. */
        if (line[0] == '/' && line[1] == '*') {
            memmove(out, line, strlen(line) + 1);
            return;
        }
        *out++ = *line++;
    }
    *out = '\0';
}

/* "#define NAME VALUE" */
static bool macro_line(char *line, struct macro *m)
{
    static const char blanks[] = " \t";
    char *name, *value;
    size_t len;

    if (strncmp(line, "#define", 7) != 0)
        return false;
    name = line + 7 + strspn(line + 7, blanks);
    len = strcspn(name, blanks);
    if (name == line + 7 || len == 0)
        return false;
    value = name + len;
    m->value = trimmed(value, value + strlen(value));
    name[len] = '\0';
    m->name = name;
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct macro *x = a, *y = b;
    int names = strcmp(x->name, y->name);

    return names != 0 ? names : x->order < y->order ? -1 : x->order > y->order;
}

struct macros macros_of(const xmlNode *n)
{
    struct macros m = {0};
    struct lines l = lines_of(n);
    char *line;

    m.at = l.at;
    while ((line = next_line(&l))) {
        struct macro one = {.at = l.at, .order = m.count};

        drop_comments(line);
        if (!*trimmed(line, line + strlen(line)))
            continue;
        if (macro_line(line, &one))
            *APPEND(m.list, m.count) = one;
        else
            untranslated(l.at, "<%s>: \"%s\" is not a line of the form #define NAME VALUE", shown(name_of(n)),
                         shown(line));
    }
    if (m.count > 0)
        qsort(m.list, m.count, sizeof(*m.list), by_name);
    return m;
}

const struct macro *macro_find(struct macros *m, const char *name)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(m->list[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == m->count || strcmp(m->list[low].name, name) != 0)
        return NULL;
    m->list[low].used = true;
    return &m->list[low];
}

bool macro_number(struct macros *m, const char *name, u64 *out)
{
    const struct macro *found = macro_find(m, name);

    if (!found)
        return false;
    if (number_in(found->value, out))
        return true;
    untranslated(found->at, "%s: \"%s\" is not a number", shown(name), shown(found->value));
    return false;
}

void macros_rest(const struct macros *m, const char *why)
{
    for (size_t i = 0; i < m->count; i++) {
        if (!m->list[i].used)
            untranslated(m->list[i].at, "%s %s: %s", shown(m->list[i].name), shown(m->list[i].value), why);
    }
}
