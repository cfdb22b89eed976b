#include "changes.h"

#include <stdarg.h>
#include <stdio.h>

struct entry {
    struct entry *next;
    const char *subject, *before, *after, *text;
};

static struct entry *first, **last = &first;

void change(const char *subject, const char *before, const char *after, const char *fmt, ...)
{
    struct entry *e = arena_alloc(1, sizeof(*e));
    va_list arguments;

    va_start(arguments, fmt);
    *e = (struct entry){NULL, subject, before, after, arena_vprintf(fmt, arguments)};
    va_end(arguments);
    *last = e;
    last = &e->next;
}

/* What a manifest holds is data: nothing of it may steer the terminal or end the string (RFC 8259 section 7).
 */
static void put_text(const char *text, bool json)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f)
            printf(json ? "\\u%04x" : "\\x%02x", c);
        else if (json && (c == '"' || c == '\\'))
            printf("\\%c", c);
        else
            putchar(c);
    }
}

static void put_member(const char *name, const char *value, const char *end)
{
    printf("\"%s\": ", name);
    if (value) {
        putchar('"');
        put_text(value, true);
        putchar('"');
    } else {
        fputs("null", stdout);
    }
    fputs(end, stdout);
}

size_t changes_print(bool json)
{
    size_t count = 0;

    if (json)
        fputs("{\"changes\": [", stdout);
    for (const struct entry *e = first; e; e = e->next) {
        if (!json) {
            put_text(e->text, false);
            putchar('\n');
        } else {
            fputs(count ? ",\n  {" : "\n  {", stdout);
            put_member("subject", e->subject, ", ");
            put_member("before", e->before, ", ");
            put_member("after", e->after, ", ");
            put_member("text", e->text, "}");
        }
        count++;
    }
    if (json)
        printf("%s], \"count\": %zu}\n", count ? "\n" : "", count);
    return count;
}
