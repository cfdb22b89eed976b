/* Reading untrusted XML, and checking its shape. */
#ifndef BHC_LOAD_H
#define BHC_LOAD_H

#include <libxml/tree.h>

#include "diag.h"
#include "digest.h"

/*
 * Bounds on a file. A board of 16384 PCI functions, 64 full buses, takes 5 MiB and 66000 elements. libxml2
 * needs up to 36 bytes of memory for one of the file, and time that grows with the square of one element's
 * attributes and of the namespaces in scope: so these are counted before it sees the file (XML-004, XML-006).
 */
#define MAX_FILE       MIB(8)
#define MAX_TAGS       400000 /* start and end tags, comments and processing instructions */
#define MAX_ATTRIBUTES 600000
#define MAX_OF_ELEMENT 256   /* attributes */
#define MAX_NAMESPACES 16    /* declarations in the whole file */
#define MAX_VALUE      65536 /* bytes of an attribute or text */

/* Once, before anything else of libxml2 is used: no network, no external entities, no output of its own. */
void load_init(void);

/* Parses the file. NULL after a diagnostic (XML-002 to XML-007) when its content is refused; a file that
 * cannot be read ends the program. Elements know their lines (node_line()); comments and processing
 * instructions are left out. The caller frees the document. input (NULL: not wanted): what the file was; its
 * hash stays empty when the file is too large. */
xmlDocPtr load_document(const char *path, struct input *input);
/* The same for len bytes (at most MAX_FILE) at data. */
xmlDocPtr load_memory(const char *path, const char *data, size_t len);

/* The line on which an element's start tag ends, or that of an attribute's element. From 1, without upper
 * bound. */
long node_line(const xmlNode *n);

/* Checks that come before the parser, on the bytes (load_text.c): XML-005 and XML-006. False after a
 * diagnostic. */
bool text_acceptable(const char *path, const char *data, size_t len);
/* The check after it, on all attributes and text: XML-006 and XML-007. False after diagnostics. */
bool values_acceptable(const char *path, xmlDocPtr doc);

/* A parsed XSD: <dir>/<kind>.xsd; kind is also the name of the root element. Missing or broken schema files
 * end the program. */
struct schema;
struct schema *schema_open(const char *dir, const char *kind);
void schema_close(struct schema *schema);
/* Compares the document's shape with it. False after at least one XML-001 diagnostic. */
bool schema_validate(const struct schema *schema, xmlDocPtr doc, const char *path);
/* All three of these for one document. */
bool schema_check(xmlDocPtr doc, const char *path, const char *dir, const char *kind);

#endif
