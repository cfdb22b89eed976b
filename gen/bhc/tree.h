/*
 * The resolved model as a tree. It is built once and then written as resolved.xml and as manifest.dtb, so
 * that the two cannot differ.
 */
#ifndef BHC_TREE_H
#define BHC_TREE_H

#include "model.h"
#include "node.h"

/* What render.py and gen/manifest/ read; counts up when an old reader would misread a new tree. */
#define MANIFEST_FORMAT 1

/* From a placed model and what bhc warns of. */
struct node *tree_build(const struct config *c, const struct finding *warnings, size_t warning_count);

#endif
