/* Shared by the image loaders (src/core/load*.c, modules.c); nobody else includes it. Layer 4. */
#ifndef BH_SRC_CORE_LOAD_PRIV_H
#define BH_SRC_CORE_LOAD_PRIV_H

#include <arch/platform.h>
#include <core/load.h>
#include <core/vm.h>

/* A boot module in the module store. Guests never see these bytes' home, but who built them is not trusted:
 * every field that a loader takes from an image is checked against the image's size and the VM's memory. */
struct module_image {
    const char *name;
    hpa_t base;
    u64 size;
};

/* The module `index` of cfg_modules where modules_init() put it. False: no such module, or it is not there.
 */
bool module_image_get(u16 index, struct module_image *out);

/* What the loaders put into low guest RAM. All of it lies in e820 RAM except the GDT, which sits in the
 * reserved EBDA so that no image can want its place. */
#define LOAD_GDT         0x9fd00u
#define LOAD_BOOT_PARAMS 0x7000u  /* bzImage: the zero page */
#define LOAD_PAGE_TABLES 0x9000u  /* bzImage, 64-bit entry: PML4, PDPT, 4 page directories */
#define LOAD_CMDLINE     0x20000u /* bzImage: command line, at most LOAD_CMDLINE_MAX bytes with its NUL */
#define LOAD_CMDLINE_MAX 0x10000u
#define LOAD_MB_INFO     0x90000u /* multiboot: information structure, memory map, strings */
#define LOAD_MB_INFO_END 0x9fc00u

#define LOAD_CLAIMS 40

/* A range of guest memory that something already lies in. */
struct load_claim {
    u64 base, end;
    const char *what;
};

struct load_ctx {
    struct vm *vm;
    const struct cfg_boot *boot;
    const char *cmdline; /* of the configuration, with "@tsc_khz@" replaced by the TSC rate */
    struct module_image kernel;
    struct module_image initrd; /* size 0: none */
    struct vcpu_boot_state *out;
    unsigned e820_count;
    unsigned claim_count;
    struct e820_entry e820[PLATFORM_E820_MAX];
    struct load_claim claims[LOAD_CLAIMS];
};

/* One error line naming VM and kernel module; returns -EINVAL. */
int load_fail(const struct load_ctx *c, const char *fmt, ...) PRINTF(2, 3);

/* Reads len bytes at byte `off` of the kernel image. False when the image does not hold all of them. */
bool load_read(const struct load_ctx *c, u64 off, void *dst, size_t len);

/* True when [base, base+size) is guest RAM that the e820 map offers, in one piece; size > 0. */
bool load_is_ram(const struct load_ctx *c, u64 base, u64 size);

/*
 * Takes [base, base+size) for `what`. Fails, with an error line, when it is not RAM, meets an earlier claim
 * or ends above 4 GiB (no loader here can enter or describe memory above). size 0 claims nothing.
 */
int load_claim(struct load_ctx *c, u64 base, u64 size, const char *what);

/* The highest page-aligned place for size bytes in RAM, unclaimed, from 1 MiB up and ending at or below limit
 * (at most 4 GiB). 0: there is none. */
u64 load_place_high(const struct load_ctx *c, u64 size, u64 limit);

/* Guest memory writes; an error line and a negative error when the guest's memory is not mapped. load_copy()
 * takes bytes [off, off+len) of the kernel image, which the caller has checked to be there; its time counts
 * as load_copy_ticks. */
int load_copy(const struct load_ctx *c, u64 dst, u64 off, u64 len);
int load_write(const struct load_ctx *c, u64 dst, const void *src, size_t len);
int load_zero(const struct load_ctx *c, u64 dst, u64 len);

/* Claims a place for the initramfs below limit, copies it there and zeroes the rest of its last page. */
int load_initrd(struct load_ctx *c, u64 limit, u64 *base_out);

/* Entry states: 32-bit protected mode or 64-bit mode, flat segments CS 0x10 and DS/ES/SS/FS/GS 0x18 from a
 * GDT at LOAD_GDT, interrupts off, general registers 0. load_enter_long() expects the page tables at
 * LOAD_PAGE_TABLES. */
int load_enter_flat(struct load_ctx *c, u64 entry);
int load_enter_long(struct load_ctx *c, u64 entry);

/* Loads the segments of an ELF executable (ELF32 or ELF64, x86) by their physical addresses; *entry is its
 * physical entry. */
int load_elf_segments(struct load_ctx *c, u64 *entry);

/* One per boot kind. */
int load_bzimage(struct load_ctx *c);
int load_elf(struct load_ctx *c);
int load_multiboot(struct load_ctx *c);
int load_raw(struct load_ctx *c);

#endif
