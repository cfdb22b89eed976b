/* What a file was, in a form that fits into a manifest. */
#ifndef BHC_DIGEST_H
#define BHC_DIGEST_H

#include <lib/types.h>

#define SHA256_BYTES 32

struct input {
    u64 size;                          /* bytes */
    char sha256[2 * SHA256_BYTES + 1]; /* FIPS 180-4, as lower-case hexadecimal digits */
};

/* Size and hash of data. */
void digest(const void *data, size_t len, struct input *out);

#endif
