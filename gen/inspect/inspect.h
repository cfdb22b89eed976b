/* The analysis of a collection: facts of the machine in bhc's own model of a board, and what could not be
 * known. */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include "../bhc/model.h"
#include "collection.h"

#define MAX_BDFS   0x10000u
#define MAX_IOMMUS 64u

#define BDF_BUS(bdf)             ((bdf) >> 8)
#define BDF_MAKE(bus, dev, func) ((u16)((bus) << 8 | (dev) << 3 | (func)))

/* What is kept of a PCI function beside the model's facts. */
struct pci_detail {
    const struct file *config; /* never NULL; at least 64 bytes */
    bool bridge;               /* header type 1 */
    bool enabled;              /* a driver, or --probe-intx, has enabled it: its irq is routed */
    u8 secondary, subordinate;
};

struct inspection {
    const struct collection *files;
    struct board board; /* PCI functions are in order of their addresses */
    struct pci_detail *pci;
    u16 upstream[256]; /* the bridge that leads to a bus; itself a function on bus 0 for none */
    bool has_upstream[256];
    size_t note_count, lack_count;
    const char **notes; /* guessed or missing facts */
    const char **lacks; /* what Bulkhead needs and the machine does not have */
};

/* A set of PCI addresses. */
struct bdf_set {
    u64 bits[MAX_BDFS / 64];
};
void bdf_set_range(struct bdf_set *set, u16 first, u16 last);

/* Adds a line to the notes or lacks; a line that is there already is not added again. */
void note(struct inspection *in, const char *fmt, ...) PRINTF(2, 3);
void lack(struct inspection *in, const char *fmt, ...) PRINTF(2, 3);

/* Room for one more at the end of a list in the arena: items as it is then; the new one is zero. */
void *list_grow(void *items, size_t count, size_t size);

/* Text files. Numbers are read up to the first character that does not belong to them. */
const char *file_line(const struct file *f, char *line, size_t size, const char *at);
bool read_hex(const char **at, u64 *out);
bool read_decimal(const char **at, u64 *out);
/* The number in a file of one line, decimal or with 0x; false: no such file, or no number in it. */
bool file_number(const struct file *f, u64 *out);
/* "0000:00:1f.2" and nothing after it. False also for segments other than 0; *segment tells them apart. */
bool parse_address(const char *text, u32 *segment, u16 *bdf);
const char *bdf_name(u16 bdf);

/* Little-endian fields of a table; the caller has seen to it that they are there. */
u16 get16(const void *p);
u32 get32(const void *p);
u64 get64(const void *p);

/* An ACPI table of at least `least` bytes, by its signature: its length as its header says, checked against
 * the file. NULL: there is none (noted when it is damaged). */
struct table {
    const u8 *data;
    size_t len;
};
bool acpi_table(struct inspection *in, const char *signature, size_t least, struct table *out);

/* The parts of the analysis, in the order in which they build on each other. */
void inspect_madt(struct inspection *in);   /* cores, LAPIC, IOAPICs */
void inspect_cpus(struct inspection *in);   /* vendor, features, kinds of core, caches, TSC */
void inspect_tables(struct inspection *in); /* MCFG, FADT, SRAT */
void inspect_aml(struct inspection *in);    /* \_S5, CPU hot-plug registers */
void inspect_memory(struct inspection *in); /* RAM, reserved, host bridges' windows */
void inspect_pci(struct inspection *in);    /* functions, BARs, MSI, MSI-X, ACS, groups */
void inspect_intx(struct inspection *in);
void inspect_dmar(struct inspection *in);
void inspect_ivrs(struct inspection *in);
void inspect_uarts(struct inspection *in);
void inspect_trampoline(struct inspection *in);

/* Of one CPU, as the kernel counts them: registers EAX to EDX of a leaf; false: not collected. */
bool cpuid_leaf(const struct inspection *in, u32 cpu, u32 leaf, u32 subleaf, u32 regs[4]);
/* The GSI of an interrupt by its number in Linux; false: it is not known. */
bool gsi_of_irq(const struct inspection *in, u64 irq, u32 *gsi);
/* The GSI of an ISA interrupt (MADT interrupt source overrides). */
u32 gsi_of_isa(struct inspection *in, u64 irq);
/* Functions of the board that are in the set. */
struct pci_name *functions_in(const struct inspection *in, const struct bdf_set *set, size_t *count);
/* Adds a range that firmware lets devices use (RMRR, IVMD). */
void add_reserved(struct inspection *in, u64 base, u64 size, const char *what, const struct bdf_set *devices);

/* The board file. */
void write_board(const struct inspection *in, struct buffer *out);

#endif
