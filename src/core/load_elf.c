/* ELF executables for x86, loaded by physical address (System V gABI, chapters "ELF Header" and "Program
 * Header"). */
#include <lib/log.h>
#include <lib/string.h>
#include "load_priv.h"

#define ELF_MAGIC   0x464c457fu /* 7f 'E' 'L' 'F' */
#define CLASS_32    1
#define CLASS_64    2
#define DATA_LSB    1
#define TYPE_EXEC   2
#define MACH_386    3
#define MACH_X86_64 62
#define PT_LOAD     1
#define MAX_PHDRS   32

struct elf_ident {
    u32 magic;
    u8 class, data, version, osabi;
    u8 pad[8];
    u16 type, machine;
    u32 version2;
};

struct elf32_header {
    struct elf_ident id;
    u32 entry, phoff, shoff, flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf32_header) == 52 && offsetof(struct elf32_header, phnum) == 44,
               "gABI ELF header");

struct elf64_header {
    struct elf_ident id;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf64_header) == 64 && offsetof(struct elf64_header, phnum) == 56,
               "gABI ELF header");

struct elf32_phdr {
    u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
_Static_assert(sizeof(struct elf32_phdr) == 32, "gABI program header");

struct elf64_phdr {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_phdr) == 56 && offsetof(struct elf64_phdr, filesz) == 32,
               "gABI program header");

/* The header fields that matter, whatever the class. */
struct elf_info {
    u64 entry, phoff;
    u16 phnum, phentsize, machine;
    bool is64;
};

static int elf_header(const struct load_ctx *c, struct elf_info *out)
{
    struct elf_ident id;
    struct elf32_header h32;
    struct elf64_header h64;

    if (!load_read(c, 0, &id, sizeof(id)) || id.magic != ELF_MAGIC)
        return load_fail(c, "is not an ELF file");
    if (id.data != DATA_LSB || id.type != TYPE_EXEC)
        return load_fail(c,
                         "ELF type %u, byte order %u: only little-endian executables (type 2) can be loaded",
                         id.type, id.data);
    if (id.class == CLASS_32 && id.machine == MACH_386) {
        if (!load_read(c, 0, &h32, sizeof(h32)))
            return load_fail(c, "ELF header is cut off");
        *out = (struct elf_info){h32.entry, h32.phoff, h32.phnum, h32.phentsize, id.machine, false};
    } else if (id.class == CLASS_64 && id.machine == MACH_X86_64) {
        if (!load_read(c, 0, &h64, sizeof(h64)))
            return load_fail(c, "ELF header is cut off");
        *out = (struct elf_info){h64.entry, h64.phoff, h64.phnum, h64.phentsize, id.machine, true};
    } else {
        return load_fail(c, "ELF class %u, machine %u is neither i386 nor x86-64", id.class, id.machine);
    }
    if (out->phnum == 0 || out->phnum > MAX_PHDRS ||
        out->phentsize != (out->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)))
        return load_fail(
            c, "ELF has %u program headers of %u bytes each; 1 to %u of the standard size can be loaded",
            out->phnum, out->phentsize, MAX_PHDRS);
    return 0;
}

static int elf_phdr(const struct load_ctx *c, const struct elf_info *e, unsigned i, struct elf64_phdr *out)
{
    struct elf32_phdr p;
    u64 off = e->phoff + (u64)i * e->phentsize;

    if (off < e->phoff || !load_read(c, off, e->is64 ? (void *)out : (void *)&p, e->phentsize))
        return load_fail(c, "program header %u lies outside the file", i);
    if (!e->is64)
        *out = (struct elf64_phdr){.type = p.type,
                                   .flags = p.flags,
                                   .offset = p.offset,
                                   .vaddr = p.vaddr,
                                   .paddr = p.paddr,
                                   .filesz = p.filesz,
                                   .memsz = p.memsz,
                                   .align = p.align};
    return 0;
}

/* Loads one segment. *entry becomes physical when the segment holds the (virtual) entry point; says so in
 * *found. */
static int elf_segment(struct load_ctx *c, const struct elf_info *e, unsigned i, u64 *entry, bool *found)
{
    struct elf64_phdr p = {0};
    int err = elf_phdr(c, e, i, &p);

    if (err || p.type != PT_LOAD || p.memsz == 0)
        return err;
    if (p.filesz > p.memsz)
        return load_fail(c, "segment %u has more bytes in the file (0x%llx) than in memory (0x%llx)", i,
                         (unsigned long long)p.filesz, (unsigned long long)p.memsz);
    if (p.offset > c->kernel.size || p.filesz > c->kernel.size - p.offset)
        return load_fail(c, "segment %u (0x%llx bytes at offset 0x%llx) lies outside the file", i,
                         (unsigned long long)p.filesz, (unsigned long long)p.offset);
    err = load_claim(c, p.paddr, p.memsz, "ELF segment");
    if (!err)
        err = load_copy(c, p.paddr, p.offset, p.filesz);
    if (!err)
        err = load_zero(c, p.paddr + p.filesz, p.memsz - p.filesz);
    if (!*found && e->entry >= p.vaddr && e->entry - p.vaddr < p.memsz) {
        *found = true;
        *entry = p.paddr + (e->entry - p.vaddr);
    }
    return err;
}

int load_elf_segments(struct load_ctx *c, u64 *entry)
{
    struct elf_info e = {0};
    bool found = false;
    int err = elf_header(c, &e);

    for (unsigned i = 0; !err && i < e.phnum; i++)
        err = elf_segment(c, &e, i, entry, &found);
    if (!err && !found)
        return load_fail(c, "entry 0x%llx is in none of the loaded segments", (unsigned long long)e.entry);
    return err;
}

int load_elf(struct load_ctx *c)
{
    u64 entry = 0;
    int err = load_elf_segments(c, &entry);

    return err ? err : load_enter_flat(c, entry);
}
