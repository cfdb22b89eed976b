/* Lists, numbers and lines. */
#include "inspect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NOTES 500u /* a hostile archive must not fill the board file */

void *list_grow(void *items, size_t count, size_t size)
{
    void *grown;

    /* Room is doubled when count reaches a power of two. */
    if (count != 0 && (count & (count - 1)) != 0)
        return items;
    grown = arena_alloc(count ? count * 2 : 1, size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

PRINTF(3, 0) static void add_line(const char ***list, size_t *count, const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof(text), fmt, ap);
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*list)[i], text) == 0)
            return;
    }
    if (*count == MAX_NOTES)
        return;
    *list = list_grow(*list, *count, sizeof(**list));
    (*list)[(*count)++] = arena_strdup(text);
}

void note(struct inspection *in, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_line(&in->notes, &in->note_count, fmt, ap);
    va_end(ap);
}

void lack(struct inspection *in, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_line(&in->lacks, &in->lack_count, fmt, ap);
    va_end(ap);
}

/* Copies the line at `at` (NULL: the first), shortened to `size`; where the next begins, or NULL at the end.
 */
const char *file_line(const struct file *f, char *line, size_t size, const char *at)
{
    const char *end = f->data + f->len, *stop;
    size_t len;

    if (!at)
        at = f->data;
    if (at >= end)
        return NULL;
    stop = memchr(at, '\n', (size_t)(end - at));
    len = (size_t)((stop ? stop : end) - at);
    memcpy(line, at, MIN(len, size - 1));
    line[MIN(len, size - 1)] = '\0';
    return stop ? stop + 1 : end;
}

static bool read_digits(const char **at, unsigned base, u64 *out)
{
    const char *digits = "0123456789abcdef", *found;
    u64 value = 0;
    bool any = false;

    for (;; (*at)++) {
        char c = **at;

        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        found = c ? strchr(digits, c) : NULL;
        if (!found || (unsigned)(found - digits) >= base)
            break;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (u64)(found - digits), &value))
            return false;
        any = true;
    }
    *out = value;
    return any;
}

bool read_hex(const char **at, u64 *out)
{
    if (strncmp(*at, "0x", 2) == 0 || strncmp(*at, "0X", 2) == 0)
        *at += 2;
    return read_digits(at, 16, out);
}

bool read_decimal(const char **at, u64 *out)
{
    return read_digits(at, 10, out);
}

bool file_number(const struct file *f, u64 *out)
{
    const char *at;

    if (!f)
        return false;
    at = f->data;
    return strncmp(at, "0x", 2) == 0 || strncmp(at, "0X", 2) == 0 ? read_hex(&at, out)
                                                                  : read_decimal(&at, out);
}

bool parse_address(const char *text, u32 *segment, u16 *bdf)
{
    const char *colon = strchr(text, ':');
    u64 seg, bus, dev, func;

    /* A segment has four digits at least: "00:00:0.0" names a port of a serial bus. */
    if (!colon || colon - text < 4 || strlen(colon) != strlen(":00:00.0"))
        return false;
    if (!read_hex(&text, &seg) || *text++ != ':' || !read_hex(&text, &bus) || *text++ != ':' ||
        !read_hex(&text, &dev) || *text++ != '.' || !read_hex(&text, &func) || *text != '\0')
        return false;
    if (seg > UINT32_MAX || bus > 0xff || dev > 0x1f || func > 7)
        return false;
    *segment = (u32)seg;
    *bdf = BDF_MAKE(bus, dev, func);
    return true;
}

const char *bdf_name(u16 bdf)
{
    return arena_printf("%02x:%02x.%x", BDF_BUS(bdf), bdf >> 3 & 0x1f, bdf & 7);
}

u16 get16(const void *p)
{
    u16 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

u32 get32(const void *p)
{
    u32 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

u64 get64(const void *p)
{
    u64 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

void bdf_set_range(struct bdf_set *set, u16 first, u16 last)
{
    for (u32 bdf = first; bdf <= last; bdf++) {
        if ((bdf & 63) == 0 && bdf + 63 <= last) {
            set->bits[bdf / 64] = UINT64_MAX;
            bdf += 63;
        } else {
            set->bits[bdf / 64] |= BIT64(bdf & 63);
        }
    }
}

struct pci_name *functions_in(const struct inspection *in, const struct bdf_set *set, size_t *count)
{
    const struct board *b = &in->board;
    struct pci_name *list = NULL;

    *count = 0;
    for (size_t i = 0; i < b->pci_count; i++) {
        u16 bdf = b->pci[i].bdf;

        if (!(set->bits[bdf / 64] & BIT64(bdf & 63)))
            continue;
        list = list_grow(list, *count, sizeof(*list));
        list[(*count)++] = (struct pci_name){.address = b->pci[i].address, .bdf = bdf};
    }
    return list;
}

void add_reserved(struct inspection *in, u64 base, u64 size, const char *what, const struct bdf_set *devices)
{
    struct board *b = &in->board;
    struct region *r;

    b->reserved = list_grow(b->reserved, b->reserved_count, sizeof(*b->reserved));
    r = &b->reserved[b->reserved_count++];
    *r = (struct region){.base = base, .size = size, .what = what};
    if (devices)
        r->devices = functions_in(in, devices, &r->device_count);
}
