/* Boot modules and guest image loaders. */
#ifndef BH_CORE_LOAD_H
#define BH_CORE_LOAD_H

#include <lib/types.h>
#include <arch/vcpu.h>

struct vm;

/* A boot module as the boot loader placed it. args: its command line, whose words are matched against module
 * names. */
struct boot_module {
    hpa_t base;
    u64 size;
    char args[128];
};

/*
 * Boot, before anything writes to guest memory: finds each configured module among those that the boot loader
 * gave (a word of its command line, or the file name of its first word, equals the module's name) and moves
 * all of them into the module store, where they stay. Reports every missing or oversized module by name, one
 * line each, and returns how many. list is reordered.
 */
unsigned modules_init(struct boot_module *list, unsigned count);
/* TSC ticks that modules_init() and first loads spent copying images (left out of boot.first_guest). */
extern u64 load_copy_ticks;

/* Places the VM's kernel, initramfs, command line and firmware tables into its (zeroed) memory and says where
 * vCPU 0 starts. 0, or a negative error after a log line that names what is wrong. Control CPU; the VM does
 * not run. */
int vm_load(struct vm *vm, struct vcpu_boot_state *out);

#endif
