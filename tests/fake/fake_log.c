/* Log sink for tests that do not link src/core/log.c: keeps the text; panic ends the test or jumps to who
 * expects it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <lib/log.h>
#include <fake.h>

char fake_log[65536];
u32 fake_log_len, fake_log_lines;
char fake_panic_text[512];

void fake_reset_log(void);

void fake_reset_log(void)
{
    fake_log_len = fake_log_lines = 0;
    fake_log[0] = 0;
    fake_panic_text[0] = 0;
}

static void PRINTF(2, 0) sink(const char *prefix, const char *fmt, va_list ap)
{
    char line[400];
    int n = snprintf(line, sizeof(line), "%s", prefix);
    size_t len;

    vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    strcat(line, "\n");
    len = strlen(line);
    if (fake_log_len + len < sizeof(fake_log)) {
        memcpy(fake_log + fake_log_len, line, len + 1);
        fake_log_len += (u32)len;
    }
    fake_log_lines++;
    if (getenv("FAKE_LOG"))
        fputs(line, stderr);
}

FAKE void log_printf(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    sink("", fmt, ap);
    va_end(ap);
}

FAKE void log_guest(u16 vm_id, enum log_level level, const char *fmt, ...)
{
    char prefix[16];
    va_list ap;

    (void)level;
    snprintf(prefix, sizeof(prefix), "vm%u: ", vm_id);
    va_start(ap, fmt);
    sink(prefix, fmt, ap);
    va_end(ap);
}

FAKE void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fake_panic_text, sizeof(fake_panic_text), fmt, ap);
    va_end(ap);
    if (!fake_end_jmp)
        fprintf(stderr, "panic: %s\n", fake_panic_text);
    fake_end("panic()");
}
