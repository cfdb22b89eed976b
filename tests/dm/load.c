/*
 * Loaders: load.h. Facts from the kernel's Documentation/x86/boot.rst and zero-page.rst, and the Multiboot
 * Specification 0.6.96.
 */
#include "load.h"

#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Setup header, as offsets in the image and, the same, in the zero page. */
enum {
    BZ_SETUP_SECTS = 0x1f1,
    BZ_BOOT_FLAG = 0x1fe,
    BZ_JUMP = 0x200,
    BZ_MAGIC = 0x202,
    BZ_VERSION = 0x206,
    BZ_LOADER = 0x210,
    BZ_LOADFLAGS = 0x211,
    BZ_CODE32 = 0x214,
    BZ_RAMDISK = 0x218,
    BZ_RAMDISK_SIZE = 0x21c,
    BZ_CMDLINE = 0x228,
    BZ_INITRD_MAX = 0x22c,
    BZ_ALIGNMENT = 0x230,
    BZ_RELOCATABLE = 0x234,
    BZ_CMDLINE_SIZE = 0x238,
    BZ_PREF_ADDRESS = 0x258,
    BZ_INIT_SIZE = 0x260,
    BZ_HEADER_END = 0x268,
};
#define BZ_HDRS        0x53726448u
#define BZ_MIN_VERSION 0x0206u
#define BZ_SECTOR      512u

/* Zero page. */
enum {
    ZP_ACPI_RSDP = 0x070,
    ZP_E820_COUNT = 0x1e8,
    ZP_E820 = 0x2d0,
    ZP_SIZE = 0x1000,
    E820_BYTES = 20,
    E820_RAM = 1,
    E820_RESERVED = 2,
};

/* Multiboot information, section 3.3. */
enum { MBI_MEMORY = 1 << 0, MBI_CMDLINE = 1 << 2, MBI_MODULES = 1 << 3, MBI_MAP = 1 << 6, MBI_BYTES = 116 };
#define MULTIBOOT_MAGIC 0x2badb002u

struct range {
    uint64_t base, size;
    uint32_t type;
};

__attribute__((format(printf, 3, 4))) static int refuse(char *error, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, size, format, args);
    va_end(args);
    return -1;
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

void *guest_at(const struct guest_mem *memory, uint64_t gpa, uint64_t length)
{
    if (gpa > memory->size || length > memory->size - gpa)
        return NULL;
    return memory->base + gpa;
}

/* Copies bytes into the guest; false when they do not fit. */
static bool put_bytes(const struct guest_mem *memory, uint64_t gpa, const void *data, uint64_t length)
{
    void *at = guest_at(memory, gpa, length);
    if (at == NULL)
        return false;
    if (length != 0)
        memcpy(at, data, length);
    return true;
}

static void put_gdt(const struct guest_mem *memory)
{
    static const uint64_t gdt[GDT_BYTES / 8] = {0, 0, 0x00cf9b000000ffffull,
                                                0x00cf93000000ffffull}; /* 0x10 code, 0x18 data, 4 GiB */
    put_bytes(memory, GUEST_GDT, gdt, sizeof(gdt));
}

/* The memory map: low memory, the BIOS area with the ACPI tables, the rest. */
static unsigned memory_map(const struct guest_mem *memory, struct range map[3])
{
    map[0] = (struct range){0, GUEST_LOW_END, E820_RAM};
    map[1] = (struct range){GUEST_ACPI, GUEST_HIGH - GUEST_ACPI, E820_RESERVED};
    map[2] = (struct range){GUEST_HIGH, memory->size - GUEST_HIGH, E820_RAM};
    return 3;
}

static int put_cmdline(const struct guest_mem *memory, const char *cmdline, size_t limit, char *error,
                       size_t size)
{
    size_t length = strlen(cmdline);
    if (length > limit || length >= CMDLINE_MAX)
        return refuse(error, size, "the command line has %zu characters, the kernel takes %zu", length,
                      limit < CMDLINE_MAX ? limit : (size_t)CMDLINE_MAX - 1);
    put_bytes(memory, GUEST_CMDLINE, cmdline, length + 1);
    return 0;
}

/* Where an initrd goes: as high as allowed, on a page boundary, above what the kernel needs. 0: it does not
 * fit. */
static uint64_t initrd_place(const struct guest_mem *memory, uint64_t size, uint64_t above, uint64_t limit)
{
    uint64_t end = memory->size < limit ? memory->size : limit;
    uint64_t start = size <= end ? (end - size) & ~0xfffull : 0;
    return start >= above ? start : 0;
}

static void fill_zero_page(const struct guest_mem *memory, const uint8_t *kernel, uint64_t code32,
                           uint64_t rsdp)
{
    uint8_t *zero = guest_at(memory, GUEST_ZERO_PAGE, ZP_SIZE);
    struct range map[3];
    unsigned count = memory_map(memory, map);
    size_t header_end = BZ_MAGIC + kernel[BZ_JUMP + 1]; /* boot.rst: "0x202 + byte value at offset 0x201" */
    if (header_end > ZP_E820)
        header_end = ZP_E820;
    memcpy(zero + BZ_SETUP_SECTS, kernel + BZ_SETUP_SECTS, header_end - BZ_SETUP_SECTS);
    zero[BZ_LOADER] = 0xff; /* no registered id */
    zero[BZ_LOADFLAGS] |= 0x01;
    put32(zero + BZ_CODE32, (uint32_t)code32);
    put32(zero + BZ_CMDLINE, GUEST_CMDLINE);
    put64(zero + ZP_ACPI_RSDP, rsdp);
    zero[ZP_E820_COUNT] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        put64(zero + ZP_E820 + i * E820_BYTES, map[i].base);
        put64(zero + ZP_E820 + i * E820_BYTES + 8, map[i].size);
        put32(zero + ZP_E820 + i * E820_BYTES + 16, map[i].type);
    }
}

/* The protected-mode part of a bzImage: where in the file, and what the header says about where it runs. */
struct bzimage {
    size_t start;
    uint64_t load;    /* where it is put and entered */
    uint64_t run_end; /* end of the memory that it needs before it reads the memory map */
    uint64_t initrd_max;
    size_t cmdline_max;
};

static int read_bzimage(const uint8_t *kernel, size_t kernel_size, struct bzimage *image, char *error,
                        size_t size)
{
    unsigned version = get16(kernel + BZ_VERSION);
    unsigned sectors = kernel[BZ_SETUP_SECTS] != 0 ? kernel[BZ_SETUP_SECTS] : 4;
    uint64_t run, needed;
    if (version < BZ_MIN_VERSION || (kernel[BZ_LOADFLAGS] & 1) == 0)
        return refuse(error, size,
                      "this bzImage has boot protocol %u.%02u%s; 2.06 or later, loaded high, is needed",
                      version >> 8, version & 0xff, (kernel[BZ_LOADFLAGS] & 1) == 0 ? " and loads low" : "");
    image->start = (size_t)(sectors + 1) * BZ_SECTOR;
    if (image->start >= kernel_size)
        return refuse(error, size, "this bzImage is cut short: its setup part alone has %zu of its %zu bytes",
                      image->start, kernel_size);
    image->load = GUEST_HIGH;
    needed = kernel_size - image->start;
    run = image->load;
    if (version >= 0x020a) { /* the kernel moves itself to its preferred address, or an aligned one above
                                where it was put */
        if (get64(kernel + BZ_PREF_ADDRESS) > run)
            run = get64(kernel + BZ_PREF_ADDRESS);
        if (get32(kernel + BZ_INIT_SIZE) > needed)
            needed = get32(kernel + BZ_INIT_SIZE);
    }
    image->run_end = run <= UINT64_MAX - needed ? run + needed : UINT64_MAX;
    image->initrd_max = (uint64_t)get32(kernel + BZ_INITRD_MAX) + 1;
    image->cmdline_max = get32(kernel + BZ_CMDLINE_SIZE);
    return 0;
}

static int load_bzimage(const struct guest_mem *memory, const uint8_t *kernel, size_t kernel_size,
                        const uint8_t *initrd, size_t initrd_size, const char *cmdline, uint64_t rsdp,
                        struct entry *entry, char *error, size_t size)
{
    struct bzimage image = {0};
    if (read_bzimage(kernel, kernel_size, &image, error, size) != 0)
        return -1;
    if (image.run_end > memory->size)
        return refuse(error, size, "the kernel needs memory up to 0x%llx, the VM has 0x%llx",
                      (unsigned long long)image.run_end, (unsigned long long)memory->size);
    if (put_cmdline(memory, cmdline, image.cmdline_max, error, size) != 0)
        return -1;
    put_bytes(memory, image.load, kernel + image.start, kernel_size - image.start);
    fill_zero_page(memory, kernel, image.load, rsdp);
    if (initrd_size != 0) {
        uint64_t place = initrd_place(memory, initrd_size, image.run_end, image.initrd_max);
        uint8_t *zero = guest_at(memory, GUEST_ZERO_PAGE, ZP_SIZE);
        if (place == 0)
            return refuse(error, size,
                          "the initrd of %zu bytes does not fit beside the kernel, which ends at 0x%llx",
                          initrd_size, (unsigned long long)image.run_end);
        put_bytes(memory, place, initrd, initrd_size);
        put32(zero + BZ_RAMDISK, (uint32_t)place);
        put32(zero + BZ_RAMDISK_SIZE, (uint32_t)initrd_size);
    }
    *entry = (struct entry){.rip = image.load, .rsi = GUEST_ZERO_PAGE};
    return 0;
}

/* One loaded segment of an ELF file, from either class. */
struct segment {
    uint64_t offset, paddr, filesz, memsz;
};

/* Segment i of the file; false when the table is damaged. type 0: not to be loaded. */
static bool read_segment(const uint8_t *file, size_t file_size, unsigned i, struct segment *segment,
                         uint32_t *type)
{
    bool wide = file[EI_CLASS] == ELFCLASS64;
    uint64_t table =
        wide ? get64(file + offsetof(Elf64_Ehdr, e_phoff)) : get32(file + offsetof(Elf32_Ehdr, e_phoff));
    unsigned entry =
        get16(file + (wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize)));
    size_t need = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (entry < need || table > file_size || (uint64_t)entry * (i + 1) > file_size - table)
        return false;
    const uint8_t *at = file + table + (size_t)entry * i;
    if (wide) {
        Elf64_Phdr header;
        memcpy(&header, at, sizeof(header));
        *segment = (struct segment){header.p_offset, header.p_paddr, header.p_filesz, header.p_memsz};
        *type = header.p_type;
    } else {
        Elf32_Phdr header;
        memcpy(&header, at, sizeof(header));
        *segment = (struct segment){header.p_offset, header.p_paddr, header.p_filesz, header.p_memsz};
        *type = header.p_type;
    }
    return *type != PT_LOAD ||
           (segment->offset <= file_size && segment->filesz <= file_size - segment->offset &&
            segment->filesz <= segment->memsz);
}

/* Copies the segments; end is the end of the highest. */
static int load_segments(const struct guest_mem *memory, const uint8_t *file, size_t file_size, uint64_t *end,
                         char *error, size_t size)
{
    bool wide = file[EI_CLASS] == ELFCLASS64;
    unsigned count = get16(file + (wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)));
    *end = 0;
    for (unsigned i = 0; i < count; i++) {
        struct segment segment;
        uint32_t type;
        if (!read_segment(file, file_size, i, &segment, &type))
            return refuse(error, size, "program header %u of the ELF file is damaged", i);
        if (type != PT_LOAD || segment.memsz == 0)
            continue;
        if (segment.paddr < GUEST_HIGH || guest_at(memory, segment.paddr, segment.memsz) == NULL)
            return refuse(error, size,
                          "the ELF file wants memory at 0x%llx+0x%llx; the VM has 0x%x to 0x%llx for it",
                          (unsigned long long)segment.paddr, (unsigned long long)segment.memsz, GUEST_HIGH,
                          (unsigned long long)memory->size);
        put_bytes(memory, segment.paddr, file + segment.offset, segment.filesz);
        if (segment.paddr + segment.memsz > *end)
            *end = segment.paddr + segment.memsz;
    }
    return *end != 0 ? 0 : refuse(error, size, "the ELF file has nothing to load");
}

/* Multiboot information at the zero page: the structure, then the memory map and the module entry behind it.
 */
static void fill_multiboot(const struct guest_mem *memory, uint64_t module, size_t module_size)
{
    uint8_t *info = guest_at(memory, GUEST_ZERO_PAGE, ZP_SIZE);
    uint8_t *map_at = info + 128, *module_at = info + 256;
    struct range map[3];
    unsigned count = memory_map(memory, map);
    put32(info, MBI_MEMORY | MBI_CMDLINE | MBI_MAP | (module_size != 0 ? MBI_MODULES : 0));
    put32(info + 4, GUEST_LOW_END >> 10);
    put32(info + 8, (uint32_t)((memory->size - GUEST_HIGH) >> 10));
    put32(info + 16, GUEST_CMDLINE);
    put32(info + 44, count * 24);
    put32(info + 48, GUEST_ZERO_PAGE + 128);
    for (unsigned i = 0; i < count; i++) {
        put32(map_at + i * 24, 20);
        put64(map_at + i * 24 + 4, map[i].base);
        put64(map_at + i * 24 + 12, map[i].size);
        put32(map_at + i * 24 + 20, map[i].type);
    }
    if (module_size != 0) {
        put32(info + 20, 1);
        put32(info + 24, GUEST_ZERO_PAGE + 256);
        put32(module_at, (uint32_t)module);
        put32(module_at + 4, (uint32_t)(module + module_size));
        put32(module_at + 8, GUEST_CMDLINE);
    }
}

static int load_elf(const struct guest_mem *memory, const uint8_t *kernel, size_t kernel_size,
                    const uint8_t *initrd, size_t initrd_size, const char *cmdline, struct entry *entry,
                    char *error, size_t size)
{
    bool wide = kernel[EI_CLASS] == ELFCLASS64;
    uint64_t end, module = 0;
    uint64_t start =
        wide ? get64(kernel + offsetof(Elf64_Ehdr, e_entry)) : get32(kernel + offsetof(Elf32_Ehdr, e_entry));
    if (kernel_size < sizeof(Elf64_Ehdr) || (!wide && kernel[EI_CLASS] != ELFCLASS32) ||
        kernel[EI_DATA] != ELFDATA2LSB)
        return refuse(error, size, "this ELF file is not for x86");
    if (load_segments(memory, kernel, kernel_size, &end, error, size) != 0 ||
        put_cmdline(memory, cmdline, CMDLINE_MAX - 1, error, size) != 0)
        return -1;
    if (start >= memory->size)
        return refuse(error, size, "the ELF file's entry 0x%llx is outside the VM's memory",
                      (unsigned long long)start);
    if (initrd_size != 0) {
        module = initrd_place(memory, initrd_size, end, UINT32_MAX);
        if (module == 0)
            return refuse(error, size, "the module of %zu bytes does not fit above 0x%llx", initrd_size,
                          (unsigned long long)end);
        put_bytes(memory, module, initrd, initrd_size);
    }
    fill_multiboot(memory, module, initrd_size);
    *entry = (struct entry){.rip = start, .rax = MULTIBOOT_MAGIC, .rbx = GUEST_ZERO_PAGE};
    return 0;
}

int load_guest(const struct guest_mem *memory, const uint8_t *kernel, size_t kernel_size,
               const uint8_t *initrd, size_t initrd_size, const char *cmdline, uint64_t rsdp,
               struct entry *entry, char *error, size_t size)
{
    if (memory->size <= GUEST_HIGH)
        return refuse(error, size, "the VM has no memory above 1 MiB");
    put_gdt(memory);
    if (kernel_size >= sizeof(Elf64_Ehdr) && memcmp(kernel, ELFMAG, SELFMAG) == 0)
        return load_elf(memory, kernel, kernel_size, initrd, initrd_size, cmdline, entry, error, size);
    if (kernel_size >= BZ_HEADER_END && get16(kernel + BZ_BOOT_FLAG) == 0xaa55 &&
        get32(kernel + BZ_MAGIC) == BZ_HDRS)
        return load_bzimage(memory, kernel, kernel_size, initrd, initrd_size, cmdline, rsdp, entry, error,
                            size);
    return refuse(error, size, "the kernel is neither a bzImage nor an ELF file");
}
