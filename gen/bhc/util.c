#include "util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The arena: pieces of blocks that are freed together. Under AddressSanitizer each piece is a block of its
 * own, so that nothing can reach beyond it unseen.
 */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_BLOCK 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_BLOCK 0
#endif
#endif
#ifndef ARENA_BLOCK
#define ARENA_BLOCK KIB(64)
#endif

struct block {
    struct block *next;
    max_align_t data[];
};

static char *arena_next; /* what is left of the newest block, zeroed */
static size_t arena_left;
static struct block *blocks;

const char *program_name = "bhc";

static bool json;

void cannot_run_in_json(void)
{
    json = true;
}

void cannot_run(const char *fmt, ...)
{
    char text[1024]; /* not from the arena: memory may be what is lacking; a longer text is cut */
    va_list ap;

    va_start(ap, fmt);
    if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
        text[0] = '\0';
    va_end(ap);
    if (json) {
        fputs("{\"diagnostics\":[],\"errors\":0,\"warnings\":0,\"cannot_run\":", stdout);
        print_json_string(stdout, text);
        fputs("}\n", stdout);
    } else {
        fprintf(stderr, "%s: ", program_name);
        print_escaped(stderr, text);
        fputc('\n', stderr);
    }
    exit(EXIT_CANNOT_RUN);
}

size_t utf8_length(const char *s, size_t room, u32 *c)
{
    static const u32 least[] = {0, 0, 0x80, 0x800, 0x10000}; /* of a sequence of that length */
    const unsigned char *b = (const unsigned char *)s;
    size_t len = 4;
    u32 value;

    if (room == 0)
        return 0;
    if (b[0] < 0x80) {
        *c = b[0];
        return 1;
    }
    if (b[0] < 0xf0)
        len = b[0] < 0xe0 ? 2 : 3;
    if (b[0] < 0xc2 || b[0] > 0xf4 || len > room)
        return 0;
    value = b[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (b[i] & 0x3f);
    }
    if (value < least[len] || (value >= 0xd800 && value < 0xe000) || value > 0x10ffff)
        return 0;
    *c = value;
    return len;
}

bool is_unprintable(u32 c)
{
    if (c < 0x7f)
        return c < 0x20;
    return c < 0xa0 || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

void print_escaped(FILE *f, const char *s)
{
    size_t left = strlen(s);

    while (left > 0) {
        u32 c = 0;
        size_t len = utf8_length(s, left, &c), take = len ? len : 1;

        if (len > 0 && !is_unprintable(c)) {
            fwrite(s, 1, len, f);
        } else {
            for (size_t i = 0; i < take; i++)
                fprintf(f, "\\x%02x", (unsigned)(unsigned char)s[i]);
        }
        s += take;
        left -= take;
    }
}

void print_json_string(FILE *f, const char *s)
{
    size_t left = strlen(s);

    fputc('"', f);
    while (left > 0) {
        u32 c = 0xfffd;
        size_t len = utf8_length(s, left, &c), take = len ? len : 1;

        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", (char)c);
        else if (len == 0 || is_unprintable(c))
            fprintf(f, "\\u%04" PRIx32, c);
        else
            fwrite(s, 1, len, f);
        s += take;
        left -= take;
    }
    fputc('"', f);
}

void *arena_alloc(size_t n, size_t size)
{
    struct block *b;
    size_t bytes;
    void *piece;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
        cannot_run("out of memory");
    if (ARENA_BLOCK > 0)
        bytes = ALIGN_UP(bytes, sizeof(max_align_t));
    if (arena_next && bytes <= arena_left) {
        piece = arena_next;
        arena_next += bytes;
        arena_left -= bytes;
        return piece;
    }
    /* What is larger than a quarter of a block gets one of its own, and the newest stays in use. */
    b = calloc(1, sizeof(*b) + MAX(bytes, bytes > ARENA_BLOCK / 4 ? 0 : (size_t)ARENA_BLOCK));
    if (!b)
        cannot_run("out of memory");
    b->next = blocks;
    blocks = b;
    if (bytes <= ARENA_BLOCK / 4) {
        arena_next = (char *)b->data + bytes;
        arena_left = ARENA_BLOCK - bytes;
    }
    return b->data;
}

char *arena_strdup(const char *s)
{
    size_t len = strlen(s) + 1;

    return memcpy(arena_alloc(1, len), s, len);
}

char *arena_vprintf(const char *fmt, va_list ap)
{
    char *text, *copy;
    int len = vasprintf(&text, fmt, ap);

    if (len < 0)
        cannot_run("cannot format a message");
    copy = memcpy(arena_alloc(1, (size_t)len + 1), text, (size_t)len + 1);
    free(text);
    return copy;
}

char *arena_printf(const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = arena_vprintf(fmt, ap);
    va_end(ap);
    return text;
}

void arena_free_all(void)
{
    arena_next = NULL;
    arena_left = 0;
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

void buffer_number(struct buffer *b, u64 value, unsigned radix)
{
    char digits[20]; /* of 2^64 in decimal */
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value % radix];
        value /= radix;
    } while (value > 0);
    buffer_add(b, digits + at, sizeof(digits) - at);
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
