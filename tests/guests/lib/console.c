/* Console on COM1, formatted text, TAP lines, and the C library functions that compilers call. */
#include "guest.h"
#include <stdarg.h>

#define COM1 0x3f8

static volatile u32 print_lock;
static unsigned tap_count;

static void lock(void)
{
    while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE) != 0)
        pause();
}

static void unlock(void)
{
    __atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
}

void putch(char c)
{
    while (!(inb(COM1 + 5) & 0x20))
        pause();
    outb(COM1, (u8)c);
}

int getch(void)
{
    return inb(COM1 + 5) & 1 ? inb(COM1) : -1;
}

static void put_number(u64 v, unsigned base, bool neg, int width, char pad)
{
    char buf[24];
    int n = 0;

    do {
        buf[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v != 0);
    if (neg)
        buf[n++] = '-';
    while (n < width && n < (int)sizeof(buf))
        buf[n++] = pad;
    while (n > 0)
        putch(buf[--n]);
}

/* %d %u %x %s %c %%, with 0, a width and l. */
static void vprint(const char *fmt, va_list ap)
{
    for (; *fmt != 0; fmt++) {
        int width = 0;
        bool lng = false;
        char pad = ' ';

        if (*fmt != '%') {
            if (*fmt == '\n')
                putch('\r');
            putch(*fmt);
            continue;
        }
        fmt++;
        if (*fmt == '0')
            pad = '0';
        while (*fmt >= '0' && *fmt <= '9')
            width = width * 10 + (*fmt++ - '0');
        while (*fmt == 'l') {
            lng = true;
            fmt++;
        }
        switch (*fmt) {
        case 'd': {
            long v = lng ? va_arg(ap, long) : va_arg(ap, int);

            put_number(v < 0 ? -(u64)v : (u64)v, 10, v < 0, width, pad);
            break;
        }
        case 'u':
        case 'x':
            put_number(lng ? va_arg(ap, u64) : va_arg(ap, u32), *fmt == 'u' ? 10 : 16, false, width, pad);
            break;
        case 's':
            for (const char *s = va_arg(ap, const char *); *s != 0; s++)
                putch(*s);
            break;
        case 'c':
            putch((char)va_arg(ap, int));
            break;
        default:
            putch(*fmt);
        }
    }
}

void printf(const char *fmt, ...)
{
    va_list ap;

    lock();
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    unlock();
}

bool check(bool ok, const char *fmt, ...)
{
    va_list ap;

    lock();
    tap_count++;
    for (const char *s = ok ? "ok " : "not ok "; *s != 0; s++)
        putch(*s);
    put_number(tap_count, 10, false, 0, ' ');
    putch(' ');
    putch('-');
    putch(' ');
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    putch('\r');
    putch('\n');
    unlock();
    return ok;
}

void done(void)
{
    printf("1..%u\n", tap_count);
}

NORETURN void bail(const char *fmt, ...)
{
    va_list ap;

    print_lock = 0;
    for (const char *s = "Bail out! "; *s != 0; s++)
        putch(*s);
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    putch('\r');
    putch('\n');
    halt();
}

void *memset(void *d, int c, size_t n)
{
    void *r = d;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return r;
}

void *memcpy(void *d, const void *s, size_t n)
{
    void *r = d;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return r;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;

    for (; n > 0; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n] != 0)
        n++;
    return n;
}
