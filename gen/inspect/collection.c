#include "collection.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void collection_add(struct collection *c, const char *name, const void *data, size_t len)
{
    char *copy;

    if (c->count == MAX_FILES)
        cannot_run("the collection has more than %u files", MAX_FILES);
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 256;
        struct file *files = arena_alloc(room, sizeof(*files));

        if (c->count)
            memcpy(files, c->files, c->count * sizeof(*files));
        c->files = files;
        c->room = room;
    }
    copy = arena_alloc(len + 1, 1);
    if (len)
        memcpy(copy, data, len);
    c->files[c->count++] = (struct file){arena_strdup(name), copy, len};
}

void collection_printf(struct collection *c, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    collection_add(c, name, text, strlen(text));
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

bool collection_sort(struct collection *c, const char **twice)
{
    if (c->count)
        qsort(c->files, c->count, sizeof(*c->files), compare);
    for (size_t i = 1; i < c->count; i++) {
        if (strcmp(c->files[i - 1].name, c->files[i].name) == 0) {
            *twice = c->files[i].name;
            return false;
        }
    }
    return true;
}

size_t collection_from(const struct collection *c, const char *prefix)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(c->files[middle].name, prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct file *collection_find(const struct collection *c, const char *name)
{
    size_t i = collection_from(c, name);

    return i < c->count && strcmp(c->files[i].name, name) == 0 ? &c->files[i] : NULL;
}

const struct file *collection_findf(const struct collection *c, const char *fmt, ...)
{
    char name[512];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    return len >= 0 && (size_t)len < sizeof(name) ? collection_find(c, name) : NULL;
}

const char *collection_next(const struct collection *c, const char *folder, size_t *at)
{
    size_t len = strlen(folder);
    const char *name, *slash;
    char *out;

    if (*at >= c->count || strncmp(c->files[*at].name, folder, len) != 0)
        return NULL;
    name = c->files[*at].name + len;
    slash = strchr(name, '/');
    out = arena_strdup(name);
    if (slash)
        out[slash - name] = '\0';
    /* All names below the same one stand together but for names such as "a-b" between "a" and "a/b"; the
     * folders that are listed so do not have those. */
    do {
        (*at)++;
    } while (*at < c->count && strncmp(c->files[*at].name, folder, len) == 0 &&
             strncmp(c->files[*at].name + len, out, strlen(out)) == 0 &&
             c->files[*at].name[len + strlen(out)] == '/');
    return out;
}
