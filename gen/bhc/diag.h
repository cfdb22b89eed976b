/* Diagnostics: collected while bhc works, printed in the order of the files when it ends. */
#ifndef BHC_DIAG_H
#define BHC_DIAG_H

#include "util.h"

enum severity { SEV_ERROR, SEV_WARNING };
enum diag_format { DIAG_TEXT, DIAG_JSON };

/* A place in the XML. line counts from 1; 0 when a file as a whole is meant. */
struct where {
    const char *file;
    long line;
};

/* text says what is wrong, with the offending value and the other party, then "; " and a way to mend it. One
 * line. */
void diag_add(enum severity severity, const char *rule, struct where at, const char *fmt, ...) PRINTF(4, 5);

unsigned diag_count(enum severity severity);

/*
 * Prints everything collected: as lines "file:line: error: [RULE] text" on stderr, or as one JSON document on
 * stdout,
 *   {"diagnostics":[{"file":..,"line":..,"severity":..,"rule":..,"message":..}],"errors":N,"warnings":N}
 * ordered by file (first_file first), line, then in the order found.
 */
void diag_print(enum diag_format format, const char *first_file);

#endif
