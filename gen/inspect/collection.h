/* What was collected from a machine: files by name, as they were read. The analysis sees nothing else, so
 * that a saved archive gives the same answer as the machine. */
#ifndef INSPECT_COLLECTION_H
#define INSPECT_COLLECTION_H

#include "../bhc/util.h"

#define MAX_FILE    MIB(4)   /* one file; DSDTs of real machines stay below 1 MiB */
#define MAX_ARCHIVE MIB(128) /* the whole archive */
#define MAX_FILES   100000u

/* Of each archive: says what it is. */
#define FORMAT_FILE "bulkhead-collection"
#define FORMAT_TEXT "1\n"

/* data ends with a NUL that is not counted in len. */
struct file {
    const char *name; /* without a leading slash: proc/iomem */
    const char *data;
    size_t len;
};

struct collection {
    struct file *files; /* ascending by name once sorted; no name twice */
    size_t count, room;
};

/* Adds a file; its contents are copied. Ends the program (status 2) beyond MAX_FILES. */
void collection_add(struct collection *c, const char *name, const void *data, size_t len);
/* Adds a text file made by printf. */
void collection_printf(struct collection *c, const char *name, const char *fmt, ...) PRINTF(3, 4);
/* Puts the files in order. False: two have the same name, which is in *twice. */
bool collection_sort(struct collection *c, const char **twice);

/* The file of that name, or NULL. The collection is sorted. */
const struct file *collection_find(const struct collection *c, const char *name);
/* The same with a name made by printf. */
const struct file *collection_findf(const struct collection *c, const char *fmt, ...) PRINTF(2, 3);
/* Index of the first file whose name is not before `prefix`; those that begin with it follow. */
size_t collection_from(const struct collection *c, const char *prefix);

/*
 * The names right below a folder (which ends with a slash), in order: give *at as collection_from(folder) and
 * call until NULL comes. "sys/bus/pci/devices/" -> "0000:00:00.0", ...
 */
const char *collection_next(const struct collection *c, const char *folder, size_t *at);

/* A ustar archive (POSIX.1-2017, pax: ustar Interchange Format) of the sorted collection. Owner, dates and
 * modes are the same in all, so that equal collections give equal bytes. */
void tar_write(const struct collection *c, struct buffer *out);
/* The regular files of a ustar or GNU archive; a leading "./" of names is dropped, folders and links are
 * skipped. NULL, or what is wrong with the archive. */
const char *tar_read(const void *data, size_t len, struct collection *out);

/* Collects from the machine that this runs on. probe_intx: functions that no driver has enabled are enabled
 * for a moment, so that the kernel routes their interrupt and says where to. Ends the program (status 2),
 * naming the file, when a file that is needed may not be read. */
void collect_machine(struct collection *c, bool probe_intx);
/* Of collect_machine(): CPUID of each CPU as file "cpuid", lines of CPU LEAF SUBLEAF EAX EBX ECX EDX, all
 * hexadecimal but the first; and VMX capability MSRs as file "msr", where the kernel shows them. */
void collect_cpus(struct collection *c);

#endif
