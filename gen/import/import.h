/*
 * The importer of ACRN's board and scenario XML (v2.7 to v3.x): what its parts share. It fills bhc's typed
 * model from those files and writes that as Bulkhead's XML. Every element of the input is accounted for: a
 * handler reads it (child() and next() mark it as read), or account.c says what becomes of it, or it is
 * listed as unknown.
 */
#ifndef IMPORT_H
#define IMPORT_H

#include <libxml/tree.h>

#include "model.h"

/* report.c: what the user must know about the translation. All text from the files goes through shown(). */

/* Something was translated, but what is written was not in the file: fmt says what and why. */
void guessed(struct where at, const char *fmt, ...) PRINTF(2, 3);
/* Something in the file has no counterpart in the result: fmt says what and why. */
void untranslated(struct where at, const char *fmt, ...) PRINTF(2, 3);
/* An element that Bulkhead has no use for. element and why are constants: equal ones are listed together. */
void unneeded(struct where at, const char *element, const char *why);
/* Text of a file, fit for one line of a message: control characters escaped, shortened. */
const char *shown(const char *text);
/* The report; everything, or what fits a terminal: the third part in one line. */
void report_write(struct buffer *out, bool everything, const char *board);

/* mistakes.c: why a file is refused. */
enum mistake {
    WRONG_ROOT,
    WRONG_VALUE,
    BOARD_LACKS,
    VM_NAME_TWICE,
    VM_ID_TWICE,
    VM_KIND,
    SERVICE_TWICE,
    NO_SERVICE,
    VM_CPU,
    VM_CPU_TWICE,
    VM_NO_CPU,
    VM_MEMORY,
    VM_KERNEL,
    VM_DEVICE,
    VM_DEVICE_TWICE,
    CONSOLE_LACKS,
    LINK_ENDS,
    LINK_VM,
    LINK_PORT,
    SHM_FORM,
    SHM_VM,
    CACHE_FORM,
    CACHE_VM,
    IRQ_FORM,
    MISTAKE_COUNT,
};
const char *mistake_id(enum mistake which);
void mistakes_list(void);
#define MISTAKE(which, at, ...) diag_add(SEV_ERROR, mistake_id(which), at, __VA_ARGS__)

/* xml.c: reading the documents. */
struct where at_node(const xmlNode *n);
const char *name_of(const xmlNode *n);
/* First child element of that name, and the next sibling of the same name; marked as read. NULL: none. n may
 * be NULL. */
xmlNode *child(const xmlNode *n, const char *name);
xmlNode *next(const xmlNode *n);
void mark_read(xmlNode *n);
bool is_read(const xmlNode *n);
/* Content without blanks around it; "" for NULL or nothing. */
const char *text_of(const xmlNode *n);
/* text_of(child(n, name)) */
const char *child_text(const xmlNode *n, const char *name);
/* NULL: not there. */
const char *attribute(const xmlNode *n, const char *name);
/* Decimal or 0x hexadecimal, with C's suffixes U and L in any number. */
bool number_in(const char *text, u64 *out);
/* The number that an element holds. False: no element, nothing in it, or (after a WRONG_VALUE mistake) not
 * one, or more than max. */
bool number_of(const xmlNode *n, u64 max, u64 *out);
/* y, yes, true, Enable, 1 */
bool is_on(const xmlNode *n);
/* "00:1f.2" or "0000:00:1f.2" at the beginning of text; *end is behind it. False: none, or another segment.
 */
bool bdf_in(const char *text, u16 *bdf, const char **end);
const char *bdf_text(u16 bdf);

/* Room for one more element of an array in the arena, zeroed. Earlier pointers into the array go stale. */
void *grow(void *array, size_t count, size_t size);
#define APPEND(array, count) ((array) = grow((array), (count), sizeof(*(array))), &(array)[(count)++])

/* text.c: the text sections of board files, as data. */
struct lines {
    const char *rest;
    struct where at; /* of the line that next_line() gave */
    long next;
};
struct lines lines_of(const xmlNode *n);
/* The next line that is not empty, without blanks around it. NULL: no more. */
char *next_line(struct lines *l);

/* The macros of one section, by name. */
struct macro {
    struct where at;
    const char *name, *value;
    size_t order;
    bool used;
};
struct macros {
    struct where at;
    size_t count;
    struct macro *list;
};
/* Lines that are neither comments nor macros are listed as not translated. n may be NULL. */
struct macros macros_of(const xmlNode *n);
/* Marks it as used. NULL: not there. */
const struct macro *macro_find(struct macros *m, const char *name);
/* False: not there, or not a number (which is listed). */
bool macro_number(struct macros *m, const char *name, u64 *out);
/* Lists what nothing has used. */
void macros_rest(const struct macros *m, const char *why);

/* account.c */
void account(xmlDocPtr board, xmlDocPtr scenario);

/* names.c: names as Bulkhead takes them. */
/* Small letters, digits, dashes: from a path's last part without .xml. */
const char *file_name_from(const char *path);
/* A VM's or module's name: at most MAX_NAME characters of those that its rule allows. */
const char *vm_name_from(const char *name);
const char *module_name_from(const char *tag);
/* A user slot's key: the name itself when it is short enough, else a UUID made from it. */
const char *user_key_from(const char *name);

/* board.c and its parts. Mistakes are collected; what is returned is complete when there was none. */
void import_board(xmlDocPtr doc, const char *name, struct board *b);
void import_cpus(xmlNode *root, struct board *b);
/* Place in the board's list of the CPU that ACRN's files call pcpu. False: the board has none. */
bool core_of_pcpu(u64 pcpu, u64 *index);
void import_memory(xmlNode *root, struct board *b);
void import_platform(xmlNode *root, struct board *b);
void import_power(xmlNode *root, struct board *b);
void import_uarts(xmlNode *root, struct board *b);
void import_iommus(xmlNode *root, struct board *b);
void import_pci(xmlNode *root, struct board *b);

/* scenario.c and its parts. */
struct acrn_vm {
    xmlNode *node;
    struct where at, name_at;
    const char *name; /* as the file has it */
    u64 id;
    bool legacy; /* v2.7: kind and type in one <vm_type> */
    bool rt;
    bool cpu_trouble, memory_trouble; /* a mistake was reported: what is missing now is no second one */
    u64 high_gpa;                     /* where the next thing beyond its RAM goes */
    u32 irq_used;
    struct vm vm;
};
struct acrn {
    struct board *board;
    xmlNode *root, *hv;
    struct scenario *s;
    size_t vm_count;
    struct acrn_vm *vms;
};
void import_scenario(xmlDocPtr doc, const char *name, struct board *b, struct scenario *s);
struct acrn_vm *acrn_vm_named(struct acrn *a, const char *name);
struct acrn_vm *acrn_vm_of_id(struct acrn *a, u64 id);
struct acrn_vm *acrn_service(struct acrn *a);
void import_vms(struct acrn *a);
void import_vm_parts(struct acrn *a, struct acrn_vm *v);
void import_boot(struct acrn *a, struct acrn_vm *v);
void import_cpu_sets(struct acrn *a);
void import_devices(struct acrn *a, struct acrn_vm *v);
void import_consoles(struct acrn *a);
void import_links(struct acrn *a);
void import_shared_memory(struct acrn *a);
void import_cache_classes(struct acrn *a);

/* write.c */
void write_board(const struct board *b, const char *from, struct buffer *out);
void write_scenario(const struct scenario *s, const char *from, struct buffer *out);

#endif
