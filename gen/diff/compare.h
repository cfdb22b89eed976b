#ifndef DIFF_COMPARE_H
#define DIFF_COMPARE_H

#include "item.h"

/* Notes (changes.h) what changes from the one manifest's machine to the other's. */
void compare(const struct item *a, const struct item *b);

#endif
