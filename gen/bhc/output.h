/* Writing results so that nothing half-written is ever seen under its final name. */
#ifndef BHC_OUTPUT_H
#define BHC_OUTPUT_H

#include "util.h"

struct output {
    const char *name; /* within the folder */
    const struct buffer *content;
};

/* Writes all files beside their names first and then renames them. On failure nothing is left behind and the
 * program ends. */
void output_write(const char *dir, const struct output *files, size_t count);

#endif
