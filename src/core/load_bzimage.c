/* Linux bzImage by the x86 boot protocol, version 2.10 or later (Linux Documentation/arch/x86/boot.rst,
 * zero-page.rst). */
#include <lib/log.h>
#include <lib/string.h>
#include "load_priv.h"

/* The setup header: at 0x1f1 in the file and, copied, in the zero page (boot.rst, "The Real-Mode Kernel
 * Header"). */
struct setup_header {
    u8 setup_sects;
    u16 root_flags;
    u32 syssize; /* protected-mode code in 16-byte units */
    u16 ram_size, vid_mode, root_dev, boot_flag;
    u8 jump[2]; /* the second byte + 0x202 is the end of the header */
    u32 magic;
    u16 version;
    u32 realmode_switch;
    u16 start_sys_seg, kernel_version;
    u8 type_of_loader, loadflags;
    u16 setup_move_size;
    u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
    u16 heap_end_ptr;
    u8 ext_loader_ver, ext_loader_type;
    u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
    u8 relocatable_kernel, min_alignment;
    u16 xloadflags;
    u32 cmdline_size, hardware_subarch;
    u64 hardware_subarch_data;
    u32 payload_offset, payload_length;
    u64 setup_data, pref_address;
    u32 init_size, handover_offset, kernel_info_offset;
    u8 room[0x290 - 0x26c]; /* later protocol versions */
} PACKED;
#define HDR_OFF   0x1f1u
#define HDR_AT(m) (HDR_OFF + offsetof(struct setup_header, m))
_Static_assert(HDR_AT(boot_flag) == 0x1fe && HDR_AT(magic) == 0x202 && HDR_AT(loadflags) == 0x211 &&
                   HDR_AT(cmd_line_ptr) == 0x228 && HDR_AT(xloadflags) == 0x236 &&
                   HDR_AT(cmdline_size) == 0x238 && HDR_AT(pref_address) == 0x258 &&
                   HDR_AT(init_size) == 0x260 && HDR_AT(room) == 0x26c,
               "boot.rst");

struct boot_e820 {
    u64 base, size;
    u32 type;
} PACKED;

/* The zero page (zero-page.rst), as far as this loader fills it. */
struct boot_params {
    u8 screen_info[0x40]; /* zero: no VGA */
    u8 apm[0x30];
    u64 acpi_rsdp_addr; /* protocol 2.14; kernels before it search 0xe0000 */
    u8 gap1[0x1e8 - 0x78];
    u8 e820_entries;
    u8 gap2[0x1f1 - 0x1e9]; /* holds "sentinel" at 0x1ef, which must stay zero */
    struct setup_header hdr;
    u8 gap3[0x2d0 - 0x290];
    struct boot_e820 e820[128];
    u8 gap4[0x1000 - 0x2d0 - 128 * 20];
} PACKED;
_Static_assert(sizeof(struct boot_params) == 4096 && offsetof(struct boot_params, acpi_rsdp_addr) == 0x70 &&
                   offsetof(struct boot_params, hdr) == HDR_OFF &&
                   offsetof(struct boot_params, e820) == 0x2d0,
               "zero-page.rst");

#define BOOT_FLAG       0xaa55u
#define HDRS_MAGIC      0x53726448u /* "HdrS" */
#define LOADED_HIGH     BIT32(0)
#define XLF_KERNEL_64   BIT32(0)
#define ENTRY_64_OFFSET 0x200u

struct bz_plan {
    u64 code_off, code_len; /* protected-mode code in the file */
    u64 load;               /* where it goes */
    bool entry64;
};

static int bz_header(const struct load_ctx *c, struct setup_header *h)
{
    size_t len;

    memset(h, 0, sizeof(*h));
    if (!load_read(c, HDR_OFF, h, HDR_AT(realmode_switch) - HDR_OFF) || h->boot_flag != BOOT_FLAG ||
        h->magic != HDRS_MAGIC)
        return load_fail(c, "is not a Linux bzImage");
    if (h->version < 0x020a)
        return load_fail(c, "boot protocol %u.%02u is too old, 2.10 is needed", h->version >> 8,
                         h->version & 0xff);
    /* The header ends where its jump goes; what lies behind is code and must not reach the zero page. */
    len = MIN(0x202u + h->jump[1] - HDR_OFF, sizeof(*h));
    if (len < HDR_AT(handover_offset) - HDR_OFF || !load_read(c, HDR_OFF, h, len))
        return load_fail(c, "setup header is cut off (0x%zx bytes)", len);
    if (!(h->loadflags & LOADED_HIGH))
        return load_fail(c, "is a zImage, not a bzImage");
    return 0;
}

/* Where the code lies in the file, and which entry to take. */
static int bz_layout(const struct load_ctx *c, const struct setup_header *h, struct bz_plan *p)
{
    u64 setup = ((u64)(h->setup_sects ? h->setup_sects : 4) + 1) * 512;
    u64 code = (u64)h->syssize * 16;
    bool has64 = h->version >= 0x020c && (h->xloadflags & XLF_KERNEL_64);

    if (setup >= c->kernel.size || code == 0)
        return load_fail(c, "has no protected-mode code");
    /* syssize is rounded up to 16; what follows it (a signature) is not loaded. */
    if (code > ALIGN_UP(c->kernel.size - setup, (u64)16))
        return load_fail(c, "is cut off: 0x%llx bytes of code announced, 0x%llx there",
                         (unsigned long long)code, (unsigned long long)(c->kernel.size - setup));
    p->code_off = setup;
    p->code_len = MIN(code, c->kernel.size - setup);
    p->entry64 = has64 && c->boot->protocol != BOOT_PROTO_32;
    if (!has64 && c->boot->protocol == BOOT_PROTO_64)
        return load_fail(c, "offers no 64-bit entry, which the scenario demands");
    if (p->entry64 && p->code_len <= ENTRY_64_OFFSET)
        return load_fail(c, "is too short for its 64-bit entry");
    return 0;
}

/* The lowest place at or above `from`, aligned, where need bytes of RAM follow below 4 GiB; 0: none. */
static u64 bz_find(const struct load_ctx *c, u64 from, u64 align, u64 need)
{
    for (unsigned i = 0; i < c->e820_count; i++) {
        const struct e820_entry *e = &c->e820[i];
        u64 base = ALIGN_UP(MAX(e->base, from), align);

        if (e->type == 1 && base >= from && need <= GIB(4) && base <= GIB(4) - need &&
            load_is_ram(c, base, need))
            return base;
    }
    return 0;
}

/*
 * Chooses the load address and claims what the kernel uses before it looks at the memory map: init_size bytes
 * from its run-time start (boot.rst, "init_size"). A relocatable kernel runs where it is loaded, but never
 * below pref_address.
 */
static int bz_place(struct load_ctx *c, const struct setup_header *h, struct bz_plan *p)
{
    u64 need = MAX((u64)h->init_size, p->code_len);
    u64 align = h->kernel_alignment;

    if (!h->relocatable_kernel) {
        u64 end;

        p->load = MIB(1);
        if (h->pref_address < MIB(1) || h->pref_address > GIB(4))
            return load_fail(c, "pref_address 0x%llx is not between 1 MiB and 4 GiB",
                             (unsigned long long)h->pref_address);
        end = MAX(p->load + p->code_len, h->pref_address + h->init_size);
        return load_claim(c, p->load, end - p->load, "kernel");
    }
    if (align < PAGE_SIZE || (align & (align - 1)) != 0)
        return load_fail(c, "kernel_alignment 0x%llx is not a power of two from 4 KiB up",
                         (unsigned long long)align);
    p->load = 0;
    if (h->pref_address < GIB(4))
        p->load = bz_find(c, MAX(h->pref_address, MIB(1)), align, need);
    if (p->load == 0)
        return load_fail(c, "needs 0x%llx bytes of RAM from 0x%llx up, below 4 GiB; give the VM more memory",
                         (unsigned long long)need, (unsigned long long)h->pref_address);
    return load_claim(c, p->load, need, "kernel");
}

static int bz_cmdline(struct load_ctx *c, const struct setup_header *h)
{
    const char *text = c->cmdline;
    size_t len = strlen(text);
    u64 max = MIN((u64)h->cmdline_size, LOAD_CMDLINE_MAX - 1);
    int err;

    if (len > max)
        return load_fail(c, "command line has %zu bytes, the kernel takes %llu", len,
                         (unsigned long long)max);
    err = load_claim(c, LOAD_CMDLINE, len + 1, "command line");
    return err ? err : load_write(c, LOAD_CMDLINE, text, len + 1);
}

/* Identity map of the first 4 GiB with 2 MiB pages (SDM vol. 3A 4.5): the kernel, the zero page and the
 * command line lie in it. */
static int bz_page_tables(struct load_ctx *c)
{
    u64 entry[64];
    const u64 flags = 3; /* present, writable */
    int err = load_claim(c, LOAD_PAGE_TABLES, 6 * PAGE_SIZE, "page tables");

    if (!err)
        err = load_zero(c, LOAD_PAGE_TABLES, 2 * PAGE_SIZE);
    entry[0] = (LOAD_PAGE_TABLES + PAGE_SIZE) | flags;
    if (!err)
        err = load_write(c, LOAD_PAGE_TABLES, entry, 8);
    for (u64 i = 0; i < 4; i++)
        entry[i] = (LOAD_PAGE_TABLES + (2 + i) * PAGE_SIZE) | flags;
    if (!err)
        err = load_write(c, LOAD_PAGE_TABLES + PAGE_SIZE, entry, 32);
    for (u64 i = 0; !err && i < 2048; i += ARRAY_SIZE(entry)) {
        for (u64 k = 0; k < ARRAY_SIZE(entry); k++)
            entry[k] = ((i + k) * SIZE_2M) | flags | BIT64(7); /* PS: a 2 MiB page */
        err = load_write(c, LOAD_PAGE_TABLES + 2 * PAGE_SIZE + i * 8, entry, sizeof(entry));
    }
    return err;
}

/* Fills in the header's fields that belong to the loader and writes the zero page, piece by piece: it is
 * larger than a stack frame should be. */
static int bz_boot_params(struct load_ctx *c, struct setup_header *h, const struct bz_plan *p, u64 initrd)
{
    struct boot_e820 map[PLATFORM_E820_MAX];
    const u8 count = (u8)c->e820_count;
    const u64 rsdp = arch_vm_rsdp(c->vm);
    int err = load_claim(c, LOAD_BOOT_PARAMS, sizeof(struct boot_params), "boot parameters");

    if (err)
        return err;
    h->type_of_loader = 0xff; /* a loader without an assigned number */
    h->loadflags = LOADED_HIGH;
    h->vid_mode = 0xffff; /* "normal" */
    h->code32_start = (u32)p->load;
    h->ramdisk_image = (u32)initrd;
    h->ramdisk_size = (u32)c->initrd.size;
    h->cmd_line_ptr = LOAD_CMDLINE;
    h->heap_end_ptr = 0;
    h->setup_data = 0;
    for (unsigned i = 0; i < c->e820_count; i++)
        map[i] = (struct boot_e820){c->e820[i].base, c->e820[i].size, c->e820[i].type};
    err = load_zero(c, LOAD_BOOT_PARAMS, sizeof(struct boot_params));
    if (!err)
        err = load_write(c, LOAD_BOOT_PARAMS + offsetof(struct boot_params, acpi_rsdp_addr), &rsdp,
                         sizeof(rsdp));
    if (!err)
        err = load_write(c, LOAD_BOOT_PARAMS + offsetof(struct boot_params, e820_entries), &count, 1);
    if (!err)
        err = load_write(c, LOAD_BOOT_PARAMS + HDR_OFF, h, sizeof(*h));
    if (!err)
        err =
            load_write(c, LOAD_BOOT_PARAMS + offsetof(struct boot_params, e820), map, count * sizeof(map[0]));
    return err;
}

static int bz_enter(struct load_ctx *c, const struct bz_plan *p)
{
    int err;

    if (p->entry64) {
        err = bz_page_tables(c);
        if (!err)
            err = load_enter_long(c, p->load + ENTRY_64_OFFSET);
    } else {
        err = load_enter_flat(c, p->load);
    }
    c->out->gpr[GPR_RSI] = LOAD_BOOT_PARAMS;
    return err;
}

int load_bzimage(struct load_ctx *c)
{
    struct setup_header h;
    struct bz_plan p = {0};
    u64 initrd = 0;
    int err = bz_header(c, &h);

    if (!err)
        err = bz_layout(c, &h, &p);
    if (!err)
        err = bz_place(c, &h, &p);
    if (!err)
        err = bz_cmdline(c, &h);
    if (!err && c->initrd.size)
        err = load_initrd(c, (u64)h.initrd_addr_max + 1, &initrd);
    if (!err)
        err = bz_boot_params(c, &h, &p, initrd);
    if (!err)
        err = load_copy(c, p.load, p.code_off, p.code_len);
    return err ? err : bz_enter(c, &p);
}
