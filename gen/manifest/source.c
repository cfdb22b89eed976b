/* From a file to a device tree that is safe to walk. */
#include "manifest.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libfdt.h>

#define MANIFEST_SECTION ".manifest"

void file_read(const char *path, size_t max, struct buffer *out)
{
    static char piece[65536];
    struct stat st;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0)
        cannot_run("cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        cannot_run("cannot read %s: not a regular file", path);
    buffer_add(out, "", 0);
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        buffer_add(out, piece, (size_t)got);
        if (out->len > max)
            cannot_run("%s is larger than %s", path, size_text(max));
    }
    if (got < 0)
        cannot_run("cannot read %s: %s", path, strerror(errno));
    close(fd);
}

/* A section header of either class, what is needed of it. */
struct section {
    u64 name, offset, size;
    u32 type;
};

/* An ELF file whose section header table lies within it. */
struct elf {
    const struct buffer *file;
    bool wide;
    u64 table, count, names; /* names: index of the section that holds the sections' names */
};

static bool within(u64 offset, u64 size, u64 room)
{
    return offset <= room && size <= room - offset;
}

/* ELF format, chapter "ELF Header". False: not a little-endian ELF file with sections, or a damaged one. */
static bool elf_open(const struct buffer *file, struct elf *elf)
{
    Elf64_Ehdr wide;
    Elf32_Ehdr narrow;
    size_t entry;

    if (file->len < sizeof(narrow) || memcmp(file->data, ELFMAG, SELFMAG) != 0 ||
        file->data[EI_DATA] != ELFDATA2LSB)
        return false;
    *elf = (struct elf){.file = file, .wide = file->data[EI_CLASS] == ELFCLASS64};
    if (elf->wide && file->len >= sizeof(wide)) {
        memcpy(&wide, file->data, sizeof(wide));
        elf->table = wide.e_shoff;
        elf->count = wide.e_shnum;
        elf->names = wide.e_shstrndx;
        entry = wide.e_shentsize;
    } else if (!elf->wide && file->data[EI_CLASS] == ELFCLASS32) {
        memcpy(&narrow, file->data, sizeof(narrow));
        elf->table = narrow.e_shoff;
        elf->count = narrow.e_shnum;
        elf->names = narrow.e_shstrndx;
        entry = narrow.e_shentsize;
    } else {
        return false;
    }
    return entry == (elf->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) &&
           within(elf->table, elf->count * entry, file->len);
}

static struct section elf_section(const struct elf *elf, u64 index)
{
    Elf64_Shdr wide;
    Elf32_Shdr narrow;

    if (elf->wide) {
        memcpy(&wide, elf->file->data + elf->table + index * sizeof(wide), sizeof(wide));
        return (struct section){wide.sh_name, wide.sh_offset, wide.sh_size, wide.sh_type};
    }
    memcpy(&narrow, elf->file->data + elf->table + index * sizeof(narrow), sizeof(narrow));
    return (struct section){narrow.sh_name, narrow.sh_offset, narrow.sh_size, narrow.sh_type};
}

/* Index of the section .manifest, whose bytes lie within the file; the number of sections when there is none.
 */
static u64 elf_find(const struct elf *elf, struct section *found)
{
    struct section names;
    u64 i = 0;

    if (elf->names >= elf->count)
        return elf->count;
    names = elf_section(elf, elf->names);
    if (names.type == SHT_NOBITS || !within(names.offset, names.size, elf->file->len))
        return elf->count;
    for (; i < elf->count; i++) {
        *found = elf_section(elf, i);
        if (within(found->name, sizeof(MANIFEST_SECTION), names.size) &&
            memcmp(elf->file->data + names.offset + found->name, MANIFEST_SECTION,
                   sizeof(MANIFEST_SECTION)) == 0 &&
            found->type != SHT_NOBITS && within(found->offset, found->size, elf->file->len))
            break;
    }
    return i;
}

static bool known_compatible(const void *fdt)
{
    int len = 0;
    const char *text = fdt_getprop(fdt, 0, "compatible", &len);

    return text && ((len == (int)sizeof(MANIFEST_COMPATIBLE) &&
                     memcmp(text, MANIFEST_COMPATIBLE, sizeof(MANIFEST_COMPATIBLE)) == 0) ||
                    (len == (int)sizeof(IMAGE_COMPATIBLE) &&
                     memcmp(text, IMAGE_COMPATIBLE, sizeof(IMAGE_COMPATIBLE)) == 0));
}

static bool too_deep(const void *fdt)
{
    int depth = 0;

    for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(fdt, node, &depth)) {
        if (depth > MAX_DEPTH)
            return true;
    }
    return false;
}

/* What is wrong with the len bytes at fdt as a manifest, or NULL. */
static const char *tree_complaint(const void *fdt, size_t len)
{
    int error;

    if (len < FDT_V17_SIZE || len > MAX_TREE || fdt_totalsize(fdt) > len)
        return "it is cut short or too large";
    error = fdt_check_header(fdt);
    if (error == 0 && (fdt_version(fdt) < 17 || fdt_size_dt_strings(fdt) > MAX_STRINGS))
        return "it is not in the form that bhc writes";
    if (error == 0)
        error = fdt_check_full(fdt, len);
    if (error != 0)
        return fdt_strerror(error);
    if (!known_compatible(fdt))
        return "its compatible property is not " MANIFEST_COMPATIBLE " or " IMAGE_COMPATIBLE;
    return too_deep(fdt) ? "its nodes lie too deep" : NULL;
}

void tree_load(const char *path, struct buffer *out)
{
    struct buffer file = {0};
    struct elf elf;
    const char *complaint;

    file_read(path, MAX_IMAGE, &file);
    if (elf_open(&file, &elf)) {
        struct section section;

        if (elf_find(&elf, &section) == elf.count)
            cannot_run("%s is an ELF file without a section %s: not an image of this hypervisor", path,
                       MANIFEST_SECTION);
        buffer_add(out, file.data + section.offset, section.size);
    } else {
        if (file.len < sizeof(fdt32_t) || fdt_magic(file.data) != FDT_MAGIC)
            cannot_run("%s is neither a hypervisor image (ELF) nor a manifest (device tree)", path);
        buffer_add(out, file.data, file.len);
    }
    buffer_free(&file);
    complaint = tree_complaint(out->data, out->len);
    if (complaint)
        cannot_run("the manifest of %s is damaged: %s", path, complaint);
    out->len = fdt_totalsize(out->data);
}
