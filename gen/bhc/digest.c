#include "digest.h"

#include <nettle/sha2.h>

void digest(const void *data, size_t len, struct input *out)
{
    static const char digits[] = "0123456789abcdef";
    struct sha256_ctx ctx;
    u8 hash[SHA256_BYTES];

    sha256_init(&ctx);
    sha256_update(&ctx, len, data);
    sha256_digest(&ctx, sizeof(hash), hash);
    out->size = len;
    for (size_t i = 0; i < sizeof(hash); i++) {
        out->sha256[2 * i] = digits[hash[i] >> 4];
        out->sha256[2 * i + 1] = digits[hash[i] & 15];
    }
    out->sha256[2 * sizeof(hash)] = '\0';
}
