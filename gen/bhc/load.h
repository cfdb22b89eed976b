/* Reading untrusted XML, and checking its shape. */
#ifndef BHC_LOAD_H
#define BHC_LOAD_H

#include <libxml/tree.h>

#include "diag.h"

#define MAX_FILE MIB(16)

/* Once, before anything else of libxml2 is used: no network, no external entities, no output of its own. */
void load_init(void);

/* Parses the file. NULL after a diagnostic (XML-002 to XML-004) when its content is refused; a file that
 * cannot be read ends the program. Nodes know their lines. The caller frees the document. */
xmlDocPtr load_document(const char *path);

/* Compares the document's shape with <dir>/<kind>.xsd; kind is also the name of the root element. False after
 * at least one XML-001 diagnostic. Missing or broken schema files end the program. */
bool schema_check(xmlDocPtr doc, const char *path, const char *dir, const char *kind);

#endif
