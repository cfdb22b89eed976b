/* The import report: guesses, what was not translated, what nobody needs. */
#include "import.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX   72
#define REPORT_WIDE 136

struct note {
    struct where at;
    const char *text;
    size_t order;
};

/* Elements that are alike: same name, same reason. */
struct heap {
    const char *element, *why;
    struct note *notes;
    size_t count;
};

static struct note *guesses, *losses;
static size_t guess_count, loss_count;
static struct heap *heaps;
static size_t heap_count, unneeded_count;

const char *shown(const char *text)
{
    char *out = arena_alloc(1, SHOWN_MAX * 4 + 4), *p = out;
    size_t i;

    for (i = 0; i < SHOWN_MAX && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c >= 0x7f)
            p += sprintf(p, "\\x%02x", (unsigned)c);
        else
            *p++ = text[i];
    }
    strcpy(p, text[i] ? "..." : "");
    return out;
}

void guessed(struct where at, const char *fmt, ...)
{
    size_t order = guess_count;
    va_list ap;

    va_start(ap, fmt);
    *APPEND(guesses, guess_count) = (struct note){at, arena_vprintf(fmt, ap), order};
    va_end(ap);
}

void untranslated(struct where at, const char *fmt, ...)
{
    size_t order = loss_count;
    va_list ap;

    va_start(ap, fmt);
    *APPEND(losses, loss_count) = (struct note){at, arena_vprintf(fmt, ap), order};
    va_end(ap);
}

void unneeded(struct where at, const char *element, const char *why)
{
    struct heap *h = NULL;

    /* As many heaps as account.c has rows: few. */
    for (size_t i = 0; i < heap_count && !h; i++) {
        if (heaps[i].element == element && heaps[i].why == why)
            h = &heaps[i];
    }
    if (!h) {
        h = APPEND(heaps, heap_count);
        *h = (struct heap){.element = element, .why = why};
    }
    *APPEND(h->notes, h->count) = (struct note){at, "", h->count};
    unneeded_count++;
}

static const char *first_file;

static int by_place(const void *a, const void *b)
{
    const struct note *x = a, *y = b;
    int files = strcmp(x->at.file, y->at.file);

    if (files != 0)
        return strcmp(x->at.file, first_file) == 0 ? -1 : strcmp(y->at.file, first_file) == 0 ? 1 : files;
    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void put_notes(struct buffer *out, const char *title, struct note *notes, size_t count)
{
    buffer_printf(out, "\n%s: %zu\n", title, count);
    if (count > 0)
        qsort(notes, count, sizeof(*notes), by_place);
    for (size_t i = 0; i < count; i++) {
        buffer_puts(out, "  ");
        buffer_puts(out, shown(notes[i].at.file));
        buffer_printf(out, ":%ld: ", notes[i].at.line);
        buffer_puts(out, notes[i].text);
        buffer_puts(out, "\n");
    }
}

/* "line 3", "lines 3, 7-9, 12": wrapped. */
static void put_lines(struct buffer *out, struct note *notes, size_t count)
{
    size_t column = 0;

    qsort(notes, count, sizeof(*notes), by_place);
    for (size_t i = 0, j; i < count; i = j) {
        char piece[64];

        for (j = i + 1; j < count && notes[j].at.file == notes[i].at.file &&
                        (notes[j].at.line - notes[j - 1].at.line) <= 1;
             j++)
            ;
        snprintf(piece, sizeof(piece), "%s%ld", i > 0 ? ", " : "", notes[i].at.line);
        if (notes[j - 1].at.line != notes[i].at.line)
            snprintf(piece + strlen(piece), sizeof(piece) - strlen(piece), "-%ld", notes[j - 1].at.line);
        if (column + strlen(piece) > REPORT_WIDE) {
            buffer_puts(out, ",\n     ");
            buffer_puts(out, piece + 1);
            column = 0;
        } else {
            buffer_puts(out, piece);
        }
        column += strlen(piece);
    }
}

static void put_heaps(struct buffer *out)
{
    for (size_t i = 0; i < heap_count; i++) {
        struct heap *h = &heaps[i];

        buffer_puts(out, "  ");
        buffer_puts(out, shown(h->notes[0].at.file));
        buffer_puts(out, ": <");
        buffer_puts(out, h->element);
        buffer_printf(out, "> (%zu): ", h->count);
        buffer_puts(out, h->why);
        buffer_puts(out, h->count > 1 ? "\n    lines " : "\n    line ");
        put_lines(out, h->notes, h->count);
        buffer_puts(out, "\n");
    }
}

void report_write(struct buffer *out, bool everything, const char *board)
{
    first_file = board;
    put_notes(out, "Translated with a guess", guesses, guess_count);
    put_notes(out, "Not translated", losses, loss_count);
    buffer_printf(out, "\nNot needed: %zu elements of %zu sorts%s\n", unneeded_count, heap_count,
                  everything ? "" : "; import-report.txt lists them");
    if (everything)
        put_heaps(out);
}
