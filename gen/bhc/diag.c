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
static unsigned counts[2]; /* also those that are not kept */
static unsigned left_out;
static bool warnings_are_errors;

/* How many of each rule are kept. */
static struct tally {
    const char *rule;
    unsigned kept;
} tallies[256];
static size_t tally_count;

/* Counts one more of the rule. */
static bool room_for(const char *rule)
{
    size_t i = 0;

    while (i < tally_count && strcmp(tallies[i].rule, rule) != 0)
        i++;
    if (i == tally_count) {
        if (tally_count == ARRAY_SIZE(tallies))
            cannot_run("there are more rules than %zu", ARRAY_SIZE(tallies));
        tallies[tally_count++] = (struct tally){rule, 0};
    }
    return tallies[i].kept++ < MAX_PER_RULE;
}

void diag_add(enum severity severity, const char *rule, struct where at, const char *fmt, ...)
{
    va_list ap;
    char *text;

    counts[severity]++;
    if (!room_for(rule)) {
        left_out++;
        return;
    }
    va_start(ap, fmt);
    text = arena_vprintf(fmt, ap);
    va_end(ap);

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

static const char *severity_name(enum severity s)
{
    return s == SEV_ERROR ? "error" : "warning";
}

static void print_text(const struct diag *d)
{
    print_escaped(stderr, d->at.file);
    if (d->at.line > 0)
        fprintf(stderr, ":%ld", d->at.line);
    fprintf(stderr, ": %s: [%s] ", severity_name(d->severity), d->rule);
    print_escaped(stderr, d->text);
    fputc('\n', stderr);
}

static void print_json(const struct diag *d)
{
    fputs("{\"file\":", stdout);
    print_json_string(stdout, d->at.file);
    printf(",\"line\":%ld,\"severity\":\"%s\",\"rule\":\"%s\",\"message\":", d->at.line,
           severity_name(d->severity), d->rule);
    print_json_string(stdout, d->text);
    fputc('}', stdout);
}

void diag_warnings_are_errors(void)
{
    warnings_are_errors = true;
}

void diag_reset(void)
{
    diags = NULL;
    diag_used = diag_room = 0;
    counts[SEV_ERROR] = counts[SEV_WARNING] = left_out = 0;
    tally_count = 0;
}

static void diag_sort(const char *first_file)
{
    for (size_t i = 0; i < diag_used; i++)
        diags[i].first_file = strcmp(diags[i].at.file, first_file) == 0;
    if (diag_used > 0)
        qsort(diags, diag_used, sizeof(*diags), diag_compare);
}

size_t diag_warnings(const char *first_file, struct finding **out)
{
    size_t count = 0;

    diag_sort(first_file);
    *out = arena_alloc(counts[SEV_WARNING], sizeof(**out));
    for (size_t i = 0; i < diag_used; i++) {
        if (diags[i].severity == SEV_WARNING)
            (*out)[count++] =
                (struct finding){diags[i].rule, diags[i].text, diags[i].first_file, diags[i].at.line};
    }
    return count;
}

static void print_lines(void)
{
    for (size_t i = 0; i < diag_used; i++)
        print_text(&diags[i]);
    if (left_out > 0)
        fprintf(stderr, "bhc: %u more errors and warnings, of rules that are shown %d times, are not shown\n",
                left_out, MAX_PER_RULE);
    if (warnings_are_errors && counts[SEV_WARNING] > 0)
        fprintf(stderr, "bhc: %u warning%s count%s as errors (--warnings-as-errors)\n", counts[SEV_WARNING],
                counts[SEV_WARNING] == 1 ? "" : "s", counts[SEV_WARNING] == 1 ? "s" : "");
}

void diag_print(enum diag_format format, const char *first_file)
{
    diag_sort(first_file);
    if (format == DIAG_TEXT) {
        print_lines();
        return;
    }
    fputs("{\"diagnostics\":[", stdout);
    for (size_t i = 0; i < diag_used; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        print_json(&diags[i]);
    }
    printf("],\"errors\":%u,\"warnings\":%u", counts[SEV_ERROR], counts[SEV_WARNING]);
    if (left_out > 0)
        printf(",\"omitted\":%u", left_out);
    if (warnings_are_errors)
        fputs(",\"warnings_are_errors\":true", stdout);
    fputs("}\n", stdout);
}
