/* Bit-field accessors and bit searches. Registers are described by shift/mask pairs, never by C bitfields.
 * Layer 0. */
#ifndef BH_LIB_BITS_H
#define BH_LIB_BITS_H

#include <lib/types.h>

/* The field of `w` bits at bit `s`: extract it from v, or return v with it replaced by f. 1 <= w <= 63. */
static inline u64 field_get(u64 v, unsigned s, unsigned w)
{
    return (v >> s) & (BIT64(w) - 1);
}
static inline u64 field_set(u64 v, unsigned s, unsigned w, u64 f)
{
    u64 m = (BIT64(w) - 1) << s;

    return (v & ~m) | ((f << s) & m);
}

/* All-ones value of an access of `size` bytes (1, 2, 4 or 8). */
static inline u64 size_mask(unsigned size)
{
    return size >= 8 ? ~(u64)0 : BIT64(size * 8) - 1;
}

/* Index of the highest / lowest set bit; v must not be 0. */
static inline unsigned bit_high32(u32 v)
{
    return 31U - (unsigned)__builtin_clz(v);
}
static inline unsigned bit_low32(u32 v)
{
    return (unsigned)__builtin_ctz(v);
}
static inline unsigned bit_low64(u64 v)
{
    return (unsigned)__builtin_ctzll(v);
}

#endif
