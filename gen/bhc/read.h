/* From XML of the right shape to the typed model. */
#ifndef BHC_READ_H
#define BHC_READ_H

#include <libxml/tree.h>

#include "model.h"

/* Both fill *out completely and return false after VAL-001 diagnostics when a value does not fit its field.
 * path must live on. */
bool read_board(xmlDocPtr doc, const char *path, struct board *out);
bool read_scenario(xmlDocPtr doc, const char *path, struct scenario *out);

/* Helpers of the two readers. */
struct reader {
    const char *path;
    bool ok;
};

struct where reader_where(const struct reader *r, xmlNode *n);
/* The child elements of that name, one after the other; prev NULL begins. */
xmlNode *reader_next(xmlNode *parent, xmlNode *prev, const char *name);
size_t reader_count(xmlNode *parent, const char *name);
/* The attribute's text, or `missing` (which may be NULL) when it is not there. */
const char *reader_text(xmlNode *n, const char *attribute, const char *missing);
/* The attribute's number, at most max; 0 when it is not there. */
u64 reader_number(struct reader *r, xmlNode *n, const char *attribute, u64 max);
bool reader_has(xmlNode *n, const char *attribute);
/* A PCI address, whose form the schema has checked, as PCI has it: bus << 8 | device << 3 | function. */
u16 reader_bdf(const char *address);
/* The one way in which messages and results spell an address: bb:dd.f. */
const char *bdf_text(u16 bdf);
/* The function that an element's attribute names. */
struct pci_name reader_pci(const struct reader *r, xmlNode *n, const char *attribute);
/* All children of that name with an attribute `address`. */
struct pci_name *reader_pci_list(const struct reader *r, xmlNode *parent, const char *name, size_t *count);
bool reader_yes(xmlNode *n, const char *attribute, bool missing);

#endif
