/* Memory, text and fatal errors of bhc. It is a short-lived program: everything is taken from one arena and
 * freed at the end. */
#ifndef BHC_UTIL_H
#define BHC_UTIL_H

#include <lib/types.h>

enum exit_code { EXIT_OK = 0, EXIT_MISTAKES = 1, EXIT_CANNOT_RUN = 2 };

/* Prints "bhc: ..." and ends with EXIT_CANNOT_RUN. For what is not a mistake in the XML: missing files, no
 * memory, no disk. */
NORETURN void cannot_run(const char *fmt, ...) PRINTF(1, 2);

/* Zeroed room for n objects of `size` bytes (n may be 0: a valid pointer to nothing). Never returns NULL. */
void *arena_alloc(size_t n, size_t size);
char *arena_strdup(const char *s);
char *arena_printf(const char *fmt, ...) PRINTF(1, 2);
void arena_free_all(void);

/* A text that grows. */
struct buffer {
    char *data;
    size_t len;
    size_t room;
};
void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_puts(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF(2, 3);
void buffer_free(struct buffer *b);

/* "256M", "4K", "0x9f000": the shortest exact way to write a size. */
const char *size_text(u64 size);
/* "0x40000000+256M" */
const char *range_text(u64 base, u64 size);

/* A number as the XML holds it: decimal or 0x hexadecimal, with an optional K, M or G. False: not one, or
 * beyond 64 bits. */
bool parse_number(const char *s, u64 *out);

/* True when base + size does not fit 64 bits (a range that ends exactly at 2^64 does fit). */
static inline bool range_wraps(u64 base, u64 size)
{
    return size != 0 && base + (size - 1) < base;
}

/* Both ranges non-empty and not wrapping. */
static inline bool ranges_meet(u64 a, u64 asize, u64 b, u64 bsize)
{
    return asize != 0 && bsize != 0 && a <= b + (bsize - 1) && b <= a + (asize - 1);
}

#endif
