/* Log and panic. Layer 0 declares, src/core/log.c defines. */
#ifndef BH_LIB_LOG_H
#define BH_LIB_LOG_H

#include <lib/types.h>

enum log_level { LOG_FATAL = 1, LOG_ERROR = 2, LOG_WARN = 3, LOG_INFO = 4, LOG_DEBUG = 5 };

/* Lines of a higher level are not printed. From the scenario at log_init(); the boot command line and the
 * shell set it later. */
extern u32 loglevel;
/* Boot, BSP, after console_init(). */
void log_init(void);

/*
 * One call is one line (no trailing newline in fmt); at most 240 characters are kept. Any CPU, any time after
 * log_init(), no lock may be held that the console takes (none of the core's or x86's are).
 */
void log_printf(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_err(...)  log_printf(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_printf(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_printf(LOG_INFO, __VA_ARGS__)
#define log_dbg(...)  log_printf(LOG_DEBUG, __VA_ARGS__)

/*
 * What a guest did wrong is logged through this: each VM owns a budget of lines per second, the rest is
 * counted and reported as one line, so that no guest can log without bound. vm_id indexes cfg_vms.
 */
void log_guest(u16 vm_id, enum log_level level, const char *fmt, ...) PRINTF(3, 4);

/* A broken invariant of the hypervisor's own: prints, stops every CPU. Never for what a guest did. */
NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);

#define ASSERT(c)                                                                                            \
    do {                                                                                                     \
        if (UNLIKELY(!(c)))                                                                                  \
            panic("%s:%d: broken invariant: %s", __FILE__, __LINE__, #c);                                    \
    } while (0)

#endif
