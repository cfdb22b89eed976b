/* Multiboot 1 (Multiboot Specification version 0.6.96). */
#include <lib/log.h>
#include <lib/string.h>
#include "load_priv.h"

#define MB_SEARCH       8192u /* 3.1: the header lies wholly within the first 8192 bytes */
#define MB_MAGIC        0x1badb002u
#define MB_LOADER_MAGIC 0x2badb002u

/* Header flags (3.1.2). Bits 15:0 are demands that a loader must refuse when it cannot meet them. */
#define MB_PAGE_ALIGN BIT32(0)
#define MB_MEMORY     BIT32(1)
#define MB_ADDRESSES  BIT32(16)

struct mb_header {
    u32 magic, flags, checksum;
    u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* valid with MB_ADDRESSES */
};
_Static_assert(sizeof(struct mb_header) == 32, "Multiboot 3.1.1");

/* Information structure (3.3), as far as this loader fills it. */
struct mb_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length,
        mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
};
_Static_assert(offsetof(struct mb_info, mmap_length) == 44 &&
                   offsetof(struct mb_info, boot_loader_name) == 64 && sizeof(struct mb_info) == 72,
               "Multiboot 3.3");
#define MBI_MEM     BIT32(0)
#define MBI_CMDLINE BIT32(2)
#define MBI_MODS    BIT32(3)
#define MBI_MMAP    BIT32(6)
#define MBI_NAME    BIT32(9)

struct mb_module {
    u32 start, end, string, reserved;
};
_Static_assert(sizeof(struct mb_module) == 16, "Multiboot 3.3");

struct mb_mmap {
    u32 size; /* of the rest */
    u64 base, length;
    u32 type;
} PACKED;
_Static_assert(sizeof(struct mb_mmap) == 24, "Multiboot 3.3");

/* The fixed-size part of what goes to LOAD_MB_INFO; strings follow. */
struct mb_block {
    struct mb_info info;
    struct mb_module module;
    struct mb_mmap mmap[PLATFORM_E820_MAX];
    char loader[16];
};

/* Finds the header; *where is its offset. */
static int find_header(const struct load_ctx *c, struct mb_header *h, u64 *where)
{
    u64 limit = MIN(c->kernel.size, MB_SEARCH);

    for (u64 off = 0; off + 12 <= limit; off += 4) {
        u32 w[3];

        if (!load_read(c, off, w, sizeof(w)) || w[0] != MB_MAGIC || w[0] + w[1] + w[2] != 0)
            continue;
        memset(h, 0, sizeof(*h));
        if (!load_read(c, off, h, (w[1] & MB_ADDRESSES) ? sizeof(*h) : sizeof(w)))
            return load_fail(c, "multiboot header at offset 0x%llx is cut off", (unsigned long long)off);
        *where = off;
        return 0;
    }
    return load_fail(c, "has no multiboot header in its first 8 KiB");
}

/* Loads by the header's own addresses (3.1.3). */
static int load_by_addresses(struct load_ctx *c, const struct mb_header *h, u64 where, u64 *entry)
{
    u64 before = (u64)h->header_addr - h->load_addr;
    u64 off, len, mem;
    int err;

    if (h->header_addr < h->load_addr || before > where)
        return load_fail(c, "multiboot load_addr 0x%x does not fit header_addr 0x%x", h->load_addr,
                         h->header_addr);
    off = where - before;
    len = h->load_end_addr ? (u64)h->load_end_addr - h->load_addr : c->kernel.size - off;
    if ((h->load_end_addr && h->load_end_addr < h->load_addr) || len > c->kernel.size - off)
        return load_fail(c, "multiboot load_end_addr 0x%x reaches past the file", h->load_end_addr);
    mem = h->bss_end_addr ? (u64)h->bss_end_addr - h->load_addr : len;
    if (h->bss_end_addr && (h->bss_end_addr < h->load_addr || mem < len))
        return load_fail(c, "multiboot bss_end_addr 0x%x lies before the end of the data", h->bss_end_addr);
    if (h->entry_addr < h->load_addr || h->entry_addr - h->load_addr >= mem)
        return load_fail(c, "multiboot entry_addr 0x%x is outside what is loaded", h->entry_addr);
    *entry = h->entry_addr;
    err = load_claim(c, h->load_addr, mem, "multiboot image");
    if (!err)
        err = load_copy(c, h->load_addr, off, len);
    return err ? err : load_zero(c, h->load_addr + len, mem - len);
}

/* KiB of RAM from 1 MiB up to the first hole. */
static u32 mem_upper_kib(const struct load_ctx *c)
{
    for (unsigned i = 0; i < c->e820_count; i++) {
        const struct e820_entry *e = &c->e820[i];

        if (e->type == 1 && e->base <= MIB(1) && e->base + e->size > MIB(1))
            return (u32)MIN((e->base + e->size - MIB(1)) >> 10, 0xffffffffu);
    }
    return 0;
}

/* Appends a string behind the fixed part; *at moves on. The room was checked by the caller's claim. */
static int put_string(const struct load_ctx *c, u64 *at, const char *s, u32 *field)
{
    size_t len = strlen(s) + 1;

    *field = (u32)*at;
    *at += len;
    return load_write(c, *field, s, len);
}

/* Writes the information structure; the module list names the initramfs when there is one. */
static int write_info(struct load_ctx *c)
{
    const char *cmdline = c->cmdline;
    u64 strings = LOAD_MB_INFO + sizeof(struct mb_block);
    u64 room = strlen(cmdline) + 1 + (c->initrd.size ? strlen(c->initrd.name) + 1 : 0);
    struct mb_block b = {.info = {.flags = MBI_MEM | MBI_CMDLINE | MBI_MMAP | MBI_NAME},
                         .loader = "Bulkhead"};
    u64 initrd = 0;
    int err;

    if (room > LOAD_MB_INFO_END - strings)
        return load_fail(c, "command line has %zu bytes, more than fit", strlen(cmdline));
    err = load_claim(c, LOAD_MB_INFO, strings + room - LOAD_MB_INFO, "multiboot information");
    if (err)
        return err;
    if (c->initrd.size) {
        err = load_initrd(c, GIB(4), &initrd);
        if (!err)
            err = put_string(c, &strings, c->initrd.name, &b.module.string);
        if (err)
            return err;
        b.module.start = (u32)initrd;
        b.module.end = (u32)(initrd + c->initrd.size);
        b.info.mods_count = 1;
        b.info.mods_addr = LOAD_MB_INFO + offsetof(struct mb_block, module);
        b.info.flags |= MBI_MODS;
    }
    for (unsigned i = 0; i < c->e820_count; i++)
        b.mmap[i] =
            (struct mb_mmap){sizeof(b.mmap[i]) - 4, c->e820[i].base, c->e820[i].size, c->e820[i].type};
    b.info.mmap_length = c->e820_count * (u32)sizeof(b.mmap[0]);
    b.info.mmap_addr = LOAD_MB_INFO + offsetof(struct mb_block, mmap);
    b.info.boot_loader_name = LOAD_MB_INFO + offsetof(struct mb_block, loader);
    b.info.mem_lower = (u32)(c->e820[0].size >> 10);
    b.info.mem_upper = mem_upper_kib(c);
    err = put_string(c, &strings, cmdline, &b.info.cmdline);
    return err ? err : load_write(c, LOAD_MB_INFO, &b, sizeof(b));
}

int load_multiboot(struct load_ctx *c)
{
    struct mb_header h = {0};
    u64 where = 0, entry = 0;
    int err = find_header(c, &h, &where);

    if (err)
        return err;
    if (h.flags & 0xffffu & ~(MB_PAGE_ALIGN | MB_MEMORY))
        return load_fail(c, "multiboot header demands features that this platform lacks (flags 0x%x)",
                         h.flags);
    if (h.flags & MB_ADDRESSES)
        err = load_by_addresses(c, &h, where, &entry);
    else
        err = load_elf_segments(c, &entry);
    if (!err)
        err = write_info(c);
    if (!err)
        err = load_enter_flat(c, entry);
    if (err)
        return err;
    c->out->gpr[GPR_RAX] = MB_LOADER_MAGIC;
    c->out->gpr[GPR_RBX] = LOAD_MB_INFO;
    return 0;
}
