/* What the loader tests share: one VM whose configuration the test may change, modules made of bytes in the
 * test. */
#ifndef BH_TEST_LOAD_TEST_H
#define BH_TEST_LOAD_TEST_H

#include <check.h>
#include <string.h>
#include <core/load.h>
#include <core/vm.h>
#include <fake.h>

enum { T_KERNEL, T_INITRD, T_BLOB };

extern struct cfg_vm
    t_cfg; /* 64 MiB in one block, 2 vCPUs, kernel module T_KERNEL, no initramfs, empty command line */
extern struct vm *const t_vm;

/* Fake machine at power-on, the VM's RAM mapped and full of garbage. */
void t_setup(void);
/* For long loops: t_setup() then leaves memory as it is, which is what takes its time. */
extern bool t_keep_memory;
/* Other memory for the VM: maps it and fills it with garbage. */
void t_memory(const struct cfg_mem *mem, unsigned count);
/* Gives a module its bytes; t_commit() hands all of them to modules_init() and fails the test when that
 * complains. */
void t_module(unsigned which, const void *data, size_t size);
void t_commit(void);
/* vm_load() of an image given as kernel module. */
int t_load(const void *image, size_t size, struct vcpu_boot_state *out);
/* Host pointer to guest memory; the test fails when it is not RAM. */
u8 *t_guest(u64 addr);
u32 t_guest32(u64 addr);
/* The test fails unless every byte of guest memory [from, to) is (equal) or is not (!equal) `byte`. */
void t_all(u64 from, u64 to, u8 byte, bool equal);
u64 t_guest64(u64 addr);
/* The test fails unless the log holds the text. */
void t_log_has(const char *text);
/* Deterministic random numbers. */
u64 t_random(u64 *state);

/* Runs a suite of one case; what main() returns. */
int t_main(const char *name, const TTest *const *tests, unsigned count);
/* The same with another fixture than t_setup(). */
int t_main_setup(const char *name, void (*setup)(void), const TTest *const *tests, unsigned count);

#endif
