/* From two documents to a judged, placed model: what bhc does between reading and writing. */
#ifndef BHC_JUDGE_H
#define BHC_JUDGE_H

#include "load.h"
#include "model.h"

/* A file as far as it has come. path must live on. */
struct source {
    const char *path;
    const struct schema *schema;
    xmlDocPtr doc; /* NULL: it was refused already */
};

/*
 * Shape, values, rules and placement; each file is judged as far as it goes, rules about both need both.
 * Fills *c and frees the documents. True when there is no error: then *c is placed.
 */
bool judge(const struct source *board, const struct source *scenario, struct config *c);

#endif
