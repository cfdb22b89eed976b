/*
 * Multiboot 1 (specification 0.6.96 section 3.3) and Multiboot 2 (2.0 section 3.6) information. Physical
 * addresses in it are read through the memory windows; lengths are bounded by what our tables take.
 */
#include <arch/cpu.h>
#include <lib/string.h>
#include "x86/boot/multiboot.h"

struct boot_info boot_info;

#define MB1_BOOT_MAGIC 0x2badb002U
#define MB2_BOOT_MAGIC 0x36d76289U

struct mb1_info {
    u32 flags;
    u32 mem_lower, mem_upper;
    u32 boot_device;
    u32 cmdline;
    u32 mods_count, mods_addr;
    u32 syms[4];
    u32 mmap_length, mmap_addr;
};
_Static_assert(sizeof(struct mb1_info) == 52, "Multiboot 0.6.96 section 3.3");

enum { MB1_HAS_CMDLINE = 1u << 2, MB1_HAS_MODS = 1u << 3, MB1_HAS_MMAP = 1u << 6 };

struct mb1_module {
    u32 start, end, string, reserved;
};
_Static_assert(sizeof(struct mb1_module) == 16, "Multiboot 0.6.96 section 3.3");

struct mb1_mmap {
    u32 size; /* of what follows */
    u64 base, length;
    u32 type;
} PACKED;
_Static_assert(sizeof(struct mb1_mmap) == 24, "Multiboot 0.6.96 section 3.3");

struct mb2_tag {
    u32 type, size;
};
_Static_assert(sizeof(struct mb2_tag) == 8, "Multiboot 2.0 section 3.4");

struct mb2_mmap_entry {
    u64 base, length;
    u32 type, reserved;
};
_Static_assert(sizeof(struct mb2_mmap_entry) == 24, "Multiboot 2.0 section 3.6.8");

enum {
    MB2_TAG_END = 0,
    MB2_TAG_CMDLINE = 1,
    MB2_TAG_MODULE = 3,
    MB2_TAG_MMAP = 6,
    MB2_TAG_RSDP_V1 = 14,
    MB2_TAG_RSDP_V2 = 15,
};

#define MEMORY_AVAILABLE 1
#define MB2_MAX_SIZE     MIB(1)

/* Copies a string of at most max bytes (0 included); longer ones are cut. */
static void read_string(char *dst, size_t size, u64 src, u64 max)
{
    size_t n = 0;

    while (n < size - 1 && n < max) {
        arch_hpa_read(&dst[n], hpa(src + n), 1);
        if (dst[n] == 0)
            return;
        n++;
    }
    dst[n] = 0;
}

static void add_range(u64 base, u64 size, u32 type)
{
    if (type != MEMORY_AVAILABLE || size == 0)
        return;
    if (boot_info.range_count == BOOT_MAX_RANGES) {
        boot_info.dropped_ranges++;
        return;
    }
    boot_info.ram[boot_info.range_count++] = (struct boot_range){base, size};
}

static void add_module(u32 start, u32 end, u64 string, u64 max)
{
    struct boot_module *m = &boot_info.modules[boot_info.module_count];

    if (end < start || boot_info.module_count == BOOT_MAX_MODULES) {
        boot_info.dropped_modules++;
        return;
    }
    m->base = hpa(start);
    m->size = end - start;
    m->args[0] = 0;
    if (string)
        read_string(m->args, sizeof(m->args), string, max);
    boot_info.module_count++;
}

static void parse_mb1(u64 addr)
{
    struct mb1_info mbi;

    arch_hpa_read(&mbi, hpa(addr), sizeof(mbi));
    if (mbi.flags & MB1_HAS_CMDLINE)
        read_string(boot_info.cmdline, sizeof(boot_info.cmdline), mbi.cmdline, ~(u64)0);
    if (mbi.flags & MB1_HAS_MODS) {
        for (u32 i = 0; i < MIN(mbi.mods_count, 256U); i++) {
            struct mb1_module m;

            arch_hpa_read(&m, hpa(mbi.mods_addr + (u64)i * sizeof(m)), sizeof(m));
            add_module(m.start, m.end, m.string, ~(u64)0);
        }
    }
    if (mbi.flags & MB1_HAS_MMAP) {
        u64 length = MIN(mbi.mmap_length, 0x10000U);

        for (u64 off = 0; off + sizeof(struct mb1_mmap) <= length;) {
            struct mb1_mmap e;

            arch_hpa_read(&e, hpa(mbi.mmap_addr + off), sizeof(e));
            add_range(e.base, e.length, e.type);
            off += (u64)e.size + 4;
        }
    }
}

static void parse_mb2_mmap(u64 tag, u32 size)
{
    u32 head[4]; /* type, size, entry size, entry version */

    arch_hpa_read(head, hpa(tag), sizeof(head));
    if (head[2] < sizeof(struct mb2_mmap_entry))
        return;
    for (u64 off = sizeof(head); off + head[2] <= size; off += head[2]) {
        struct mb2_mmap_entry e;

        arch_hpa_read(&e, hpa(tag + off), sizeof(e));
        add_range(e.base, e.length, e.type);
    }
}

static void parse_mb2_tag(u64 tag, struct mb2_tag t)
{
    const u32 head = sizeof(struct mb2_tag);
    u32 bounds[2];

    switch (t.type) {
    case MB2_TAG_CMDLINE:
        read_string(boot_info.cmdline, sizeof(boot_info.cmdline), tag + head, t.size - head);
        break;
    case MB2_TAG_MODULE:
        if (t.size < head + sizeof(bounds))
            break;
        arch_hpa_read(bounds, hpa(tag + head), sizeof(bounds));
        add_module(bounds[0], bounds[1], tag + head + sizeof(bounds), t.size - head - sizeof(bounds));
        break;
    case MB2_TAG_MMAP:
        parse_mb2_mmap(tag, t.size);
        break;
    case MB2_TAG_RSDP_V1:
        if (boot_info.rsdp == 0)
            boot_info.rsdp = tag + head;
        break;
    case MB2_TAG_RSDP_V2:
        boot_info.rsdp = tag + head;
        break;
    default:
        break;
    }
}

static const char *parse_mb2(u64 addr)
{
    u32 total[2];
    struct mb2_tag t;

    arch_hpa_read(total, hpa(addr), sizeof(total));
    if (total[0] < 16 || total[0] > MB2_MAX_SIZE)
        return "the multiboot2 information has no believable size";
    for (u64 off = 8; off + sizeof(t) <= total[0]; off += ALIGN_UP((u64)t.size, (u64)8)) {
        arch_hpa_read(&t, hpa(addr + off), sizeof(t));
        if (t.type == MB2_TAG_END)
            return NULL;
        if (t.size < sizeof(t) || t.size > total[0] - off)
            break;
        parse_mb2_tag(addr + off, t);
    }
    return "the multiboot2 information is damaged";
}

const char *multiboot_parse(u32 magic, u32 info)
{
    if (magic == MB1_BOOT_MAGIC) {
        boot_info.protocol = "multiboot1";
        parse_mb1(info);
        return NULL;
    }
    if (magic == MB2_BOOT_MAGIC) {
        boot_info.protocol = "multiboot2";
        return parse_mb2(info);
    }
    return "not started by a multiboot loader";
}

bool boot_option(const char *name, char *buf, size_t size)
{
    const char *s = boot_info.cmdline;
    size_t len = strlen(name);

    while (*s) {
        size_t word = 0;

        while (s[word] && s[word] != ' ')
            word++;
        if (word > len && strncmp(s, name, len) == 0 && s[len] == '=') {
            size_t n = MIN(word - len - 1, size - 1);

            memcpy(buf, s + len + 1, n);
            buf[n] = 0;
            return true;
        }
        s += word;
        while (*s == ' ')
            s++;
    }
    return false;
}

/* Entries may touch or overlap, in any order: from the start, go on with whichever entry covers the next
 * byte. */
bool boot_range_is_ram(u64 base, u64 size)
{
    u64 at = base, end = base + size;
    bool moved = true;

    while (at < end && moved) {
        moved = false;
        for (u32 i = 0; i < boot_info.range_count; i++) {
            const struct boot_range *r = &boot_info.ram[i];

            if (at >= r->base && at - r->base < r->size) {
                at = r->base + r->size;
                moved = true;
            }
        }
    }
    return at >= end;
}
