/* Formatted text without a heap. */
#include <lib/fmt.h>

struct out {
    char *buf;
    size_t size;
    size_t len; /* of the whole text, kept or not */
};

struct spec {
    bool left, zero;
    int width;
    int precision; /* -1: none */
    int length;    /* bytes of the integer argument: 1, 2, 4 or 8 */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, int n)
{
    for (; n > 0; n--)
        put(o, c);
}

static void put_text(struct out *o, const struct spec *sp, const char *s, int len)
{
    if (!sp->left)
        pad(o, ' ', sp->width - len);
    for (int i = 0; i < len; i++)
        put(o, s[i]);
    if (sp->left)
        pad(o, ' ', sp->width - len);
}

static void put_number(struct out *o, const struct spec *sp, u64 v, unsigned base, bool upper,
                       const char *sign)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24];
    int n = 0, prefix = 0, zeros;

    do {
        text[n++] = digits[v % base];
        v /= base;
    } while (v);
    while (sign[prefix])
        prefix++;
    zeros = sp->zero && !sp->left ? sp->width - n - prefix : 0;
    if (!sp->left && !sp->zero)
        pad(o, ' ', sp->width - n - prefix);
    for (int i = 0; i < prefix; i++)
        put(o, sign[i]);
    pad(o, '0', zeros);
    while (n)
        put(o, text[--n]), prefix++;
    if (sp->left)
        pad(o, ' ', sp->width - prefix);
}

/* The argument as C's integer promotions passed it, cut to the length the format names. */
static u64 cut_unsigned(u64 v, int length)
{
    return length == 8 ? v : v & (BIT64(length * 8) - 1);
}

static s64 cut_signed(u64 v, int length)
{
    switch (length) {
    case 1:
        return (s8)v;
    case 2:
        return (s16)v;
    case 4:
        return (s32)v;
    default:
        return (s64)v;
    }
}

/* A decimal number in the format; keeps absurd widths within int. */
static int parse_count(const char **p)
{
    int n = 0;

    while (**p >= '0' && **p <= '9') {
        if (n < 10000)
            n = n * 10 + (**p - '0');
        (*p)++;
    }
    return n;
}

static void parse_flags(const char **p, struct spec *sp)
{
    for (;; (*p)++) {
        if (**p == '-')
            sp->left = true;
        else if (**p == '0')
            sp->zero = true;
        else
            return;
    }
}

static void parse_length(const char **p, struct spec *sp)
{
    for (;; (*p)++) {
        if (**p == 'h')
            sp->length /= 2;
        else if (**p == 'l' || **p == 'z')
            sp->length = 8;
        else
            return;
    }
}

int bh_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};

    for (; *fmt; fmt++) {
        struct spec sp = {.precision = -1, .length = 4};
        const char *s;
        s64 d;
        u64 u;
        char c;

        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        fmt++;
        parse_flags(&fmt, &sp);
        if (*fmt == '*') {
            sp.width = va_arg(ap, int);
            if (sp.width < 0) {
                sp.left = true;
                sp.width = -sp.width;
            }
            fmt++;
        } else {
            sp.width = parse_count(&fmt);
        }
        if (*fmt == '.') {
            fmt++;
            if (*fmt == '*') {
                sp.precision = va_arg(ap, int);
                fmt++;
            } else {
                sp.precision = parse_count(&fmt);
            }
        }
        parse_length(&fmt, &sp);
        switch (*fmt) {
        case 'd':
        case 'i':
            d = cut_signed(sp.length == 8 ? va_arg(ap, u64) : va_arg(ap, unsigned), sp.length);
            put_number(&o, &sp, d < 0 ? 0 - (u64)d : (u64)d, 10, false, d < 0 ? "-" : "");
            break;
        case 'u':
        case 'x':
        case 'X':
            u = cut_unsigned(sp.length == 8 ? va_arg(ap, u64) : va_arg(ap, unsigned), sp.length);
            put_number(&o, &sp, u, *fmt == 'u' ? 10 : 16, *fmt == 'X', "");
            break;
        case 'p':
            put_number(&o, &sp, (u64)(uintptr_t)va_arg(ap, void *), 16, false, "0x");
            break;
        case 's':
            s = va_arg(ap, const char *);
            if (!s)
                s = "(null)";
            for (sp.length = 0; (sp.precision < 0 || sp.length < sp.precision) && s[sp.length]; sp.length++)
                ;
            put_text(&o, &sp, s, sp.length);
            break;
        case 'c':
            c = (char)va_arg(ap, int);
            put_text(&o, &sp, &c, 1);
            break;
        case 0:
            fmt--;
            break;
        default:
            put(&o, *fmt);
            break;
        }
    }
    if (size > 0)
        buf[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int bh_snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = bh_vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

bool bh_parse_u64(const char *s, u64 *out)
{
    u64 v = 0;
    unsigned base = 10;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    if (!*s)
        return false;
    for (; *s; s++) {
        unsigned d;

        if (*s >= '0' && *s <= '9')
            d = (unsigned)(*s - '0');
        else if (*s >= 'a' && *s <= 'f')
            d = (unsigned)(*s - 'a') + 10;
        else if (*s >= 'A' && *s <= 'F')
            d = (unsigned)(*s - 'A') + 10;
        else
            return false;
        if (d >= base || v > (~(u64)0 - d) / base)
            return false;
        v = v * base + d;
    }
    *out = v;
    return true;
}
