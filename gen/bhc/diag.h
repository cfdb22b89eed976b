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

/* How many there were, also of those that are not kept: the first MAX_PER_RULE of each rule are, so that a
 * hostile file cannot fill the memory with them, nor one mistake hide another. */
#define MAX_PER_RULE 500
unsigned diag_count(enum severity severity);
/* Makes diag_print() say that warnings are as bad as errors. They are called warnings as before. */
void diag_warnings_are_errors(void);

/* A diagnostic without the path of its file, for what must not depend on where files lie. */
struct finding {
    const char *rule, *text;
    bool first_file;
    long line;
};

/* The warnings kept so far, in the order in which diag_print() prints them; *out is in the arena. */
size_t diag_warnings(const char *first_file, struct finding **out);

/* Forgets them all, for a program that looks at several inputs; with arena_free_all(), where they live. */
void diag_reset(void);

/*
 * Prints everything collected: as lines "file:line: error: [RULE] text" on stderr, or as one JSON document on
 * stdout,
 *   {"diagnostics":[{"file":..,"line":..,"severity":..,"rule":..,"message":..}],"errors":N,"warnings":N}
 * ordered by file (first_file first), line, then in the order found. The document also has "omitted":N when
 * there were more than are kept, and "warnings_are_errors":true when they are; the lines are then followed by
 * one that says so.
 */
void diag_print(enum diag_format format, const char *first_file);

#endif
