/* Command line of the device model. */
#ifndef DM_OPTIONS_H
#define DM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_VCPUS 8u
#define KEY_BYTES 16u

enum mode { MODE_RUN, MODE_ATTACH, MODE_SEND, MODE_HELP };
enum console_kind { CONSOLE_STDIO, CONSOLE_PTY, CONSOLE_SOCKET, CONSOLE_NONE };

struct options {
    enum mode mode;
    const char *name;
    uint8_t key[KEY_BYTES]; /* what CREATE_VM names: the name padded with zeros, or the bytes of a UUID */
    unsigned cpus;          /* 0: as many as the slot gives */
    uint64_t memory;        /* bytes, a multiple of 2 MiB */
    const char *kernel;
    const char *initrd;  /* or NULL */
    const char *cmdline; /* never NULL */
    enum console_kind console;
    const char *console_path;     /* CONSOLE_SOCKET */
    const char *relay;            /* prefix of console lines on stdout, or NULL */
    const char *control;          /* socket, or NULL: stdin unless the console is there */
    uint64_t affinity;            /* bitmap of physical CPUs, 0: the slot's own order */
    uint32_t apic_ids[MAX_VCPUS]; /* ids for the MADT: vCPU ids, or what --apic-ids says */
    bool polling;
    bool small_pages;    /* ordinary memory, not huge pages */
    const char *target;  /* MODE_ATTACH, MODE_SEND: the socket */
    const char *command; /* MODE_SEND */
};

/* Fills options from the command line; strings point into argv. Returns 0, or -1 with what is wrong in error.
 */
int options_parse(struct options *options, int argc, char **argv, char *error, size_t size);
extern const char options_help[];

#endif
