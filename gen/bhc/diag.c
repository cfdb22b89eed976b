#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct diag {
    enum severity severity;
    const char *rule;
    struct where at;
    const char *text;
    size_t order;
    bool first_file;
};

static struct diag *diags;
static size_t diag_used, diag_room;
static unsigned counts[2];

void diag_add(enum severity severity, const char *rule, struct where at, const char *fmt, ...)
{
    va_list ap, again;
    char *text;
    int len;

    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        cannot_run("cannot format a message");
    text = arena_alloc(1, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);

    if (diag_used == diag_room) {
        size_t room = diag_room ? diag_room * 2 : 64;
        struct diag *grown = arena_alloc(room, sizeof(*grown));

        if (diag_used > 0)
            memcpy(grown, diags, diag_used * sizeof(*grown));
        diags = grown;
        diag_room = room;
    }
    diags[diag_used] = (struct diag){severity, rule, at, text, diag_used, false};
    diag_used++;
    counts[severity]++;
}

unsigned diag_count(enum severity severity)
{
    return counts[severity];
}

static int diag_compare(const void *a, const void *b)
{
    const struct diag *x = a, *y = b;

    if (x->first_file != y->first_file)
        return x->first_file ? -1 : 1;
    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Bytes that would move the cursor or recolour the reader's terminal: C0, DEL, and C1 in UTF-8. */
static bool is_control(const char *s)
{
    unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];

    return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

static void put_text(FILE *f, const char *s)
{
    for (; *s; s++) {
        if (is_control(s))
            fprintf(f, "\\x%02x", (unsigned)(unsigned char)*s);
        else
            fputc(*s, f);
    }
}

static void put_json_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            fprintf(f, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            fputc(*s, f);
    }
    fputc('"', f);
}

static const char *severity_name(enum severity s)
{
    return s == SEV_ERROR ? "error" : "warning";
}

static void print_text(const struct diag *d)
{
    put_text(stderr, d->at.file);
    if (d->at.line > 0)
        fprintf(stderr, ":%ld", d->at.line);
    fprintf(stderr, ": %s: [%s] ", severity_name(d->severity), d->rule);
    put_text(stderr, d->text);
    fputc('\n', stderr);
}

static void print_json(const struct diag *d)
{
    fputs("{\"file\":", stdout);
    put_json_string(stdout, d->at.file);
    printf(",\"line\":%ld,\"severity\":\"%s\",\"rule\":\"%s\",\"message\":", d->at.line,
           severity_name(d->severity), d->rule);
    put_json_string(stdout, d->text);
    fputc('}', stdout);
}

void diag_print(enum diag_format format, const char *first_file)
{
    for (size_t i = 0; i < diag_used; i++)
        diags[i].first_file = strcmp(diags[i].at.file, first_file) == 0;
    if (diag_used > 0)
        qsort(diags, diag_used, sizeof(*diags), diag_compare);
    if (format == DIAG_TEXT) {
        for (size_t i = 0; i < diag_used; i++)
            print_text(&diags[i]);
        return;
    }
    fputs("{\"diagnostics\":[", stdout);
    for (size_t i = 0; i < diag_used; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        print_json(&diags[i]);
    }
    printf("],\"errors\":%u,\"warnings\":%u}\n", counts[SEV_ERROR], counts[SEV_WARNING]);
}
