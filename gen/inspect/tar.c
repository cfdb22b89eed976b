/* The archive format: POSIX.1-2017, utility pax, "ustar Interchange Format". */
#include "collection.h"

#include <string.h>

#define BLOCK 512u

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "POSIX pax, ustar header block");

static u32 checksum(const struct header *h)
{
    const u8 *bytes = (const u8 *)h;
    size_t at = offsetof(struct header, checksum);
    u32 sum = 0;

    for (size_t i = 0; i < sizeof(*h); i++)
        sum += i >= at && i < at + sizeof(h->checksum) ? ' ' : bytes[i];
    return sum;
}

static void pad(struct buffer *out)
{
    static const char zeros[BLOCK];

    if (out->len % BLOCK)
        buffer_add(out, zeros, BLOCK - out->len % BLOCK);
}

void tar_write(const struct collection *c, struct buffer *out)
{
    static const char zeros[2 * BLOCK];

    for (size_t i = 0; i < c->count; i++) {
        const struct file *f = &c->files[i];
        struct header h = {.mode = "0000644",
                           .uid = "0000000",
                           .gid = "0000000",
                           .mtime = "00000000000",
                           .type = '0',
                           .magic = "ustar",
                           .version = {'0', '0'},
                           .major = "0000000",
                           .minor = "0000000"};
        char number[32];

        /* Names come from collect.c and are short. */
        if (strlen(f->name) >= sizeof(h.name))
            continue;
        memcpy(h.name, f->name, strlen(f->name));
        snprintf(number, sizeof(number), "%011llo", (unsigned long long)f->len);
        memcpy(h.size, number, sizeof(h.size));
        snprintf(number, sizeof(number), "%06o", checksum(&h));
        memcpy(h.checksum, number, 7);
        h.checksum[7] = ' ';
        buffer_add(out, &h, sizeof(h));
        buffer_add(out, f->data, f->len);
        pad(out);
    }
    buffer_add(out, zeros, sizeof(zeros));
}

/* An octal field: leading spaces, digits, then a space or NUL or the end. */
static bool octal(const char *field, size_t size, u64 *out)
{
    size_t i = 0;

    *out = 0;
    while (i < size && field[i] == ' ')
        i++;
    if (i == size || field[i] < '0' || field[i] > '7')
        return false;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out << 3 | (u64)(field[i] - '0'); /* at most 12 digits */
    return i == size || field[i] == ' ' || field[i] == '\0';
}

static const char *full_name(const struct header *h)
{
    size_t prefix = strnlen(h->prefix, sizeof(h->prefix)), len = strnlen(h->name, sizeof(h->name));
    char *name;

    /* GNU archives keep other things where ustar has the prefix. */
    if (memcmp(h->magic, "ustar\0", 6) != 0)
        prefix = 0;
    name = arena_alloc(prefix + len + 2, 1);
    memcpy(name, h->prefix, prefix);
    if (prefix)
        name[prefix++] = '/';
    memcpy(name + prefix, h->name, len);
    return strncmp(name, "./", 2) == 0 ? name + 2 : name;
}

const char *tar_read(const void *data, size_t len, struct collection *out)
{
    const char *bytes = data;
    const char *twice;

    if (len == 0)
        return "it is empty";
    for (size_t at = 0;;) {
        struct header h;
        u64 size, sum;

        if (len - at < BLOCK)
            return "it is cut short";
        if (bytes[at] == '\0') /* the end: blocks of zeros */
            break;
        memcpy(&h, bytes + at, sizeof(h));
        if (memcmp(h.magic, "ustar", 5) != 0)
            return "it is not a tar archive (ustar)";
        if (!octal(h.checksum, sizeof(h.checksum), &sum) || sum != checksum(&h))
            return "it is damaged: the checksum of a header is wrong";
        if (!octal(h.size, sizeof(h.size), &size))
            return "it is damaged: the size of a file is not a number";
        at += BLOCK;
        if (size > len - at)
            return "it is cut short";
        if (h.type == '0' || h.type == '\0') {
            if (size > MAX_FILE)
                return "it holds a file of more than 4 MiB";
            if (out->count == MAX_FILES)
                return "it holds too many files";
            collection_add(out, full_name(&h), bytes + at, size);
        }
        at += MIN(ALIGN_UP(size, (u64)BLOCK), len - at);
    }
    if (!collection_sort(out, &twice))
        return arena_printf("it holds %s twice", twice);
    if (!collection_find(out, FORMAT_FILE))
        return "it is not a collection of bh-inspect --collect (file " FORMAT_FILE " is missing)";
    if (strcmp(collection_find(out, FORMAT_FILE)->data, FORMAT_TEXT) != 0)
        return "another version of bh-inspect wrote it: collect anew with this one";
    return NULL;
}
