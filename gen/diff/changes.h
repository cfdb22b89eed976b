/* The list of differences, in the order found. */
#ifndef DIFF_CHANGES_H
#define DIFF_CHANGES_H

#include "util.h"

/* subject: what changes ("vm rt0"). before and after: NULL where there is none. The text is one sentence. */
void change(const char *subject, const char *before, const char *after, const char *fmt, ...) PRINTF(4, 5);
/* Prints all of them as lines or as one JSON document; how many there are. */
size_t changes_print(bool json);

#endif
