#include "util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every allocation carries this header, so that arena_free_all() finds it. */
struct block {
    struct block *next;
    max_align_t data[];
};

static struct block *blocks;

void cannot_run(const char *fmt, ...)
{
    va_list ap;

    fputs("bhc: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(EXIT_CANNOT_RUN);
}

void *arena_alloc(size_t n, size_t size)
{
    struct block *b;
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - sizeof(*b))
        cannot_run("out of memory");
    b = calloc(1, sizeof(*b) + bytes);
    if (!b)
        cannot_run("out of memory");
    b->next = blocks;
    blocks = b;
    return b->data;
}

char *arena_strdup(const char *s)
{
    size_t len = strlen(s) + 1;

    return memcpy(arena_alloc(1, len), s, len);
}

char *arena_printf(const char *fmt, ...)
{
    va_list ap;
    char *text;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        cannot_run("cannot format a message");
    text = arena_alloc(1, (size_t)len + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

void arena_free_all(void)
{
    while (blocks) {
        struct block *b = blocks;

        blocks = b->next;
        free(b);
    }
}

void buffer_add(struct buffer *b, const void *data, size_t len)
{
    if (len > SIZE_MAX / 4 - b->len)
        cannot_run("out of memory");
    if (b->len + len + 1 > b->room) {
        size_t room = (b->len + len + 1) * 2;
        char *grown = realloc(b->data, room);

        if (!grown)
            cannot_run("out of memory");
        b->data = grown;
        b->room = room;
    }
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buffer_puts(struct buffer *b, const char *s)
{
    buffer_add(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof(text))
        cannot_run("a formatted piece of output is too long");
    buffer_add(b, text, (size_t)len);
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

const char *size_text(u64 size)
{
    static const struct {
        u64 unit;
        char suffix;
    } units[] = {{GIB(1), 'G'}, {MIB(1), 'M'}, {KIB(1), 'K'}};

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        u64 n = size / units[i].unit;

        /* 636K reads better than 0x9f000, but 268434432K does not. */
        if (size % units[i].unit == 0 && n > 0 && n < 10000000)
            return arena_printf("%" PRIu64 "%c", n, units[i].suffix);
    }
    return size < 1024 ? arena_printf("%" PRIu64, size) : arena_printf("0x%" PRIx64, size);
}

const char *range_text(u64 base, u64 size)
{
    return arena_printf("0x%" PRIx64 "+%s", base, size_text(size));
}

bool parse_number(const char *s, u64 *out)
{
    bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    unsigned long long value;
    unsigned shift = 0;
    char *end;

    /* strtoull would also take signs and leading blanks. */
    if (s[0] < '0' || s[0] > '9')
        return false;
    errno = 0;
    value = strtoull(s, &end, hex ? 16 : 10);
    if (errno != 0)
        return false;
    if (!hex && *end == 'K')
        shift = 10;
    else if (!hex && *end == 'M')
        shift = 20;
    else if (!hex && *end == 'G')
        shift = 30;
    if (shift != 0)
        end++;
    if (*end != '\0' || value > (UINT64_MAX >> shift))
        return false;
    *out = (u64)value << shift;
    return true;
}
