/* Memory, text and fatal errors of bhc. It is a short-lived program: everything is taken from one arena and
 * freed at the end. */
#ifndef BHC_UTIL_H
#define BHC_UTIL_H

#include <stdarg.h>
#include <stdio.h>

#include <lib/types.h>

enum exit_code { EXIT_OK = 0, EXIT_MISTAKES = 1, EXIT_CANNOT_RUN = 2 };

/* What cannot_run() begins its line with; a program other than bhc sets it first. */
extern const char *program_name;

/* Prints "bhc: ..." on stderr and ends with EXIT_CANNOT_RUN. For what is not a mistake in the XML: missing
 * files, no memory, no disk. After cannot_run_in_json() it prints a JSON document on stdout instead:
 *   {"diagnostics":[],"errors":0,"warnings":0,"cannot_run":"text"} */
NORETURN void cannot_run(const char *fmt, ...) PRINTF(1, 2);
void cannot_run_in_json(void);

/* Prints text that comes from a file or the command line: what would move the cursor, recolour the terminal
 * or reorder what the reader sees is written as \xNN, byte by byte. */
void print_escaped(FILE *f, const char *s);
/* The same as a JSON string, in quotes. Bytes that are not UTF-8 become U+FFFD. */
void print_json_string(FILE *f, const char *s);

/* Length of the UTF-8 sequence at s (Unicode 15, table 3-7), of which `room` bytes are there, and the
 * character in *c; 0 when it is none. */
size_t utf8_length(const char *s, size_t room, u32 *c);
/* Control characters (C0, DEL, C1) and characters that reorder or hide text: line and paragraph separators,
 * directional marks, embeddings, overrides and isolates, zero-width characters. */
bool is_unprintable(u32 c);

/* Zeroed room for n objects of `size` bytes (n may be 0: a valid pointer to nothing). Never returns NULL. */
void *arena_alloc(size_t n, size_t size);
char *arena_strdup(const char *s);
char *arena_printf(const char *fmt, ...) PRINTF(1, 2);
char *arena_vprintf(const char *fmt, va_list ap) PRINTF(1, 0);
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
/* Digits, in a radix of 10 to 16. */
void buffer_number(struct buffer *b, u64 value, unsigned radix);
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
