/* Names as Bulkhead takes them, made from names as ACRN takes them. */
#include "import.h"

#include <string.h>

/* ASCII, whatever the locale. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Runs of other characters become one dash; `allowed` are those that may stand beside letters and digits. */
static char *legal(const char *from, const char *allowed, size_t max)
{
    char *out = arena_alloc(1, max + 1);
    size_t n = 0;

    for (; *from && n < max; from++) {
        if (is_letter(*from) || is_digit(*from) || strchr(allowed, *from))
            out[n++] = *from;
        else if (n > 0 && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        out[--n] = '\0';
    return out;
}

const char *file_name_from(const char *path)
{
    const char *last = strrchr(path, '/');
    char *copy = arena_strdup(last ? last + 1 : path), *name;
    size_t len = strlen(copy);

    if (len > 4 && strcmp(copy + len - 4, ".xml") == 0)
        copy[len - 4] = '\0';
    name = legal(copy, "", 63);
    for (char *p = name; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 0x20);
    }
    return *name ? name : "imported";
}

const char *vm_name_from(const char *name)
{
    const char *out = legal(name, "_", MAX_NAME);

    if (!is_letter(*out))
        out = arena_printf("vm-%.*s", MAX_NAME - 3, out);
    return out;
}

const char *module_name_from(const char *tag)
{
    const char *out = legal(tag, "_.", MAX_NAME);

    return *out ? out : "module";
}

/* FNV-1a, 64 bits: the same key on every machine and for good. */
static u64 hash(const char *s, u64 seed)
{
    u64 h = 0xcbf29ce484222325u ^ seed;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

const char *user_key_from(const char *name)
{
    u64 a = hash(name, 0), b = hash(name, 0x9e3779b97f4a7c15u);

    if (strlen(name) <= MAX_KEY_NAME)
        return name;
    /* The form of a UUID made from a name (RFC 4122 section 4.3: version 5, variant 10b). */
    return arena_printf("%08x-%04x-5%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff,
                        (unsigned)a & 0xfff, (unsigned)(0x8000 | ((b >> 48) & 0x3fff)),
                        (unsigned long long)(b & 0xffffffffffffu));
}
