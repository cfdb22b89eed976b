/* Formatted text without a heap (src/core/fmt.c). Layer 0. */
#ifndef BH_LIB_FMT_H
#define BH_LIB_FMT_H

#include <stdarg.h>
#include <lib/types.h>

/*
 * Supports %d %i %u %x %X %p %s %c %% with flags '-', '0', width, '*', precision for %s, and length hh h l ll
 * z. Always terminates buf when size > 0. Returns the length that the whole text would have had, like C's
 * snprintf. The names carry a prefix because the host unit tests link the C library too.
 */
int bh_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) PRINTF(3, 0);
int bh_snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

/* Parses an unsigned number: decimal, or hexadecimal after 0x. False on empty text, junk or overflow. */
bool bh_parse_u64(const char *s, u64 *out);

#endif
