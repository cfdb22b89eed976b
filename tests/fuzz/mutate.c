/*
 * Changes that keep an input XML, most of the time: bytes changed at random rarely get past the parser. All
 * of them work on the text, by '"' and '<', so that they also work on what is no XML any more.
 */
#include "mutate.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEPARATOR "\n%%\n"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* Numbers at the edges of fields, sizes, addresses and names, and texts that some language would take for its
 * own. */
static const char *const interesting[] = {
    "0",
    "1",
    "2",
    "3",
    "4",
    "7",
    "8",
    "15",
    "16",
    "23",
    "24",
    "31",
    "32",
    "63",
    "64",
    "65",
    "127",
    "128",
    "240",
    "255",
    "256",
    "4095",
    "4096",
    "65535",
    "65536",
    "0x1f",
    "0x20",
    "0xff",
    "0xcf8",
    "0x3f8",
    "0x2f8",
    "0xfff",
    "0x1000",
    "0x9f000",
    "0xa0000",
    "0x100000",
    "0x200000",
    "0x7fffffff",
    "0x80000000",
    "0xfec00000",
    "0xfee00000",
    "0xffffffff",
    "0x100000000",
    "0xfffffffffffff",
    "0x10000000000000",
    "0x7fffffffffffffff",
    "0x8000000000000000",
    "0xfffffffffffff000",
    "0xffffffffffffffff",
    "0x10000000000000000",
    "18446744073709551615",
    "18446744073709551616",
    "4K",
    "2M",
    "64M",
    "1G",
    "4G",
    "4194304G",
    "17179869183G",
    "00:00.0",
    "00:1f.7",
    "ff:1f.7",
    "0000:00:1f.2",
    "0:1.0",
    "01:00.1",
    "yes",
    "no",
    "",
    "svc",
    "rt0",
    "pre-launched",
    "service",
    "user",
    "vtd",
    "amd-vi",
    "mem",
    "io",
    "raw",
    "elf",
    "bzimage",
    "multiboot",
    "@tsc_khz@",
    "a b",
    "%n%s",
    "&quot;*/",
    "&lt;",
    "&#10;",
    "&#x202e;",
    "ä",
};

struct random {
    uint64_t state;
};

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"): below n, which is
 * not 0. */
static size_t pick(struct random *r, size_t n)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (size_t)((r->state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

struct halves halves_of(const char *data, size_t size)
{
    const char *at = memmem(data, size, SEPARATOR, sizeof(SEPARATOR) - 1);
    size_t first = at ? (size_t)(at - data) : size, skip = at ? first + sizeof(SEPARATOR) - 1 : size;

    return (struct halves){data, data + skip, first, size - skip};
}

struct piece {
    size_t at, len;
};

/* Replaces a piece by text of len bytes, which lies elsewhere. The new size, or 0 when that would not fit. */
static size_t replace(uint8_t *data, size_t size, size_t max, struct piece old, const char *text, size_t len)
{
    if (size - old.len + len > max)
        return 0;
    memmove(data + old.at + len, data + old.at + old.len, size - old.at - old.len);
    memcpy(data + old.at, text, len);
    return size - old.len + len;
}

/* A value between quotes after '=', the first at or after a random place. False: there is none. */
static bool any_value(struct random *r, const uint8_t *data, size_t size, struct piece *out)
{
    size_t from = pick(r, size);

    for (size_t n = 0; n + 1 < size; n++) {
        size_t i = (from + n) % size;
        const uint8_t *end;

        if (data[i] != '=' || i + 1 >= size || data[i + 1] != '"')
            continue;
        end = memchr(data + i + 2, '"', size - i - 2);
        if (!end)
            continue;
        *out = (struct piece){i + 2, (size_t)(end - data) - i - 2};
        return true;
    }
    return false;
}

/* Where the element that begins at `at` ends; 0: it does not. */
static size_t element_end(const uint8_t *data, size_t size, size_t at)
{
    size_t depth = 0;

    for (size_t i = at; i < size; i++) {
        if (data[i] == '<')
            depth += i + 1 < size && data[i + 1] == '/' ? 0 : 1;
        if (data[i] != '>' || depth == 0)
            continue;
        if (data[i - 1] == '/') {
            depth--;
        } else {
            size_t open = i;

            while (open > at && data[open] != '<')
                open--;
            if (data[open + 1] == '/')
                depth--;
        }
        if (depth == 0)
            return i + 1;
    }
    return 0;
}

static bool any_element(struct random *r, const uint8_t *data, size_t size, struct piece *out)
{
    size_t from = pick(r, size);

    for (size_t n = 0; n + 1 < size; n++) {
        size_t i = (from + n) % size, end;

        if (data[i] != '<' || i + 1 >= size || data[i + 1] < 'a' || data[i + 1] > 'z')
            continue;
        end = element_end(data, size, i);
        if (end == 0 || end - i > size / 2)
            continue;
        *out = (struct piece){i, end - i};
        return true;
    }
    return false;
}

/* A value becomes one of the interesting ones, or another of the same input. */
static size_t change_value(struct random *r, uint8_t *data, size_t size, size_t max)
{
    char copy[256];
    struct piece old, other;
    const char *text = interesting[pick(r, sizeof(interesting) / sizeof(interesting[0]))];
    size_t len = strlen(text);

    if (!any_value(r, data, size, &old))
        return 0;
    if (pick(r, 3) == 0 && any_value(r, data, size, &other) && other.len <= sizeof(copy)) {
        memcpy(copy, data + other.at, other.len);
        text = copy;
        len = other.len;
    }
    return replace(data, size, max, old, text, len);
}

/* A digit of a value becomes another. */
static size_t change_digit(struct random *r, uint8_t *data, size_t size)
{
    struct piece old;
    size_t at;

    if (!any_value(r, data, size, &old) || old.len == 0)
        return 0;
    at = old.at + pick(r, old.len);
    data[at] = (uint8_t) "0123456789abcdefKMG"[pick(r, 19)];
    return size;
}

static size_t remove_attribute(struct random *r, uint8_t *data, size_t size, size_t max)
{
    struct piece value;
    size_t from;

    if (!any_value(r, data, size, &value))
        return 0;
    from = value.at;
    while (from > 0 && data[from] != ' ' && data[from] != '<')
        from--;
    return replace(data, size, max, (struct piece){from, value.at + value.len + 1 - from}, "", 0);
}

/* An element goes, comes twice, or is put beside another. */
static size_t change_element(struct random *r, uint8_t *data, size_t size, size_t max)
{
    static char copy[65536];
    struct piece element, place;

    if (!any_element(r, data, size, &element) || element.len > sizeof(copy))
        return 0;
    memcpy(copy, data + element.at, element.len);
    switch (pick(r, 3)) {
    case 0:
        return replace(data, size, max, element, "", 0);
    case 1:
        return replace(data, size, max, (struct piece){element.at, 0}, copy, element.len);
    default:
        return any_element(r, data, size, &place)
                   ? replace(data, size, max, (struct piece){place.at, pick(r, 2) ? 0 : place.len}, copy,
                             element.len)
                   : 0;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct random r = {seed * 0x9e3779b97f4a7c15ull + 1};
    size_t changes = 1 + pick(&r, 4);

    for (size_t i = 0; i < changes && size > 0; i++) {
        size_t changed = 0;

        switch (pick(&r, 10)) {
        case 0:
        case 1:
        case 2:
        case 3:
            changed = change_value(&r, data, size, max);
            break;
        case 4:
        case 5:
            changed = change_digit(&r, data, size);
            break;
        case 6:
            changed = remove_attribute(&r, data, size, max);
            break;
        case 7:
        case 8:
            changed = change_element(&r, data, size, max);
            break;
        default:
            changed = LLVMFuzzerMutate(data, size, max);
        }
        size = changed ? changed : size;
    }
    return size ? size : LLVMFuzzerMutate(data, size, max);
}
