/* ELF, multiboot and raw images: placement, entry state, information structure; and images that lie. */
#include <stdio.h>
#include <elf.h>
#include <arch/platform.h>
#include "load_test.h"
#include "core/load_priv.h"

#define FILE_SIZE 0x3000

static u8 image[FILE_SIZE];
static u8 initrd[0x2345];
static struct vcpu_boot_state st;

/* Two segments of an ELF64: text at 2 MiB, data with bss at 3 MiB; linked 0xffffffff80000000 higher. The C
 * library's <elf.h> is the other opinion on the layout. */
#define VIRT 0xffffffff80000000ULL
static Elf64_Ehdr *const eh = (Elf64_Ehdr *)image;
static Elf64_Phdr *const ph = (Elf64_Phdr *)(image + 0x100);

static void fill(void)
{
    t_setup();
    for (unsigned i = 0; i < sizeof(image); i++)
        image[i] = (u8)(i * 13 + 3);
    for (unsigned i = 0; i < sizeof(initrd); i++)
        initrd[i] = (u8)(i * 11 + 1);
}

static void elf64_image(void)
{
    fill();
    *eh = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_entry = VIRT + 0x200010,
                       .e_phoff = 0x100,
                       .e_ehsize = sizeof(*eh),
                       .e_phentsize = sizeof(*ph),
                       .e_phnum = 3};
    ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                         .p_offset = 0x1000,
                         .p_vaddr = VIRT + 0x200000,
                         .p_paddr = 0x200000,
                         .p_filesz = 0x1000,
                         .p_memsz = 0x1000};
    ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                         .p_offset = 0x2000,
                         .p_vaddr = VIRT + 0x300000,
                         .p_paddr = 0x300000,
                         .p_filesz = 0x800,
                         .p_memsz = 0x20800};
    ph[2] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = ~0ULL, .p_filesz = ~0ULL, .p_memsz = ~0ULL};
    t_cfg.boot.kind = BOOT_ELF;
}

static void elf32_image(void)
{
    Elf32_Ehdr *h = (Elf32_Ehdr *)image;
    Elf32_Phdr *p = (Elf32_Phdr *)(image + 0x100);

    fill();
    *h = (Elf32_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                      .e_type = ET_EXEC,
                      .e_machine = EM_386,
                      .e_version = EV_CURRENT,
                      .e_entry = 0x200004,
                      .e_phoff = 0x100,
                      .e_ehsize = sizeof(*h),
                      .e_phentsize = sizeof(*p),
                      .e_phnum = 1};
    *p = (Elf32_Phdr){.p_type = PT_LOAD,
                      .p_offset = 0x1000,
                      .p_vaddr = 0x200000,
                      .p_paddr = 0x200000,
                      .p_filesz = 0x1234,
                      .p_memsz = 0x2000};
    t_cfg.boot.kind = BOOT_ELF;
}

static void put32(unsigned at, u32 v)
{
    memcpy(image + at, &v, 4);
}

static void mb_header(unsigned at, u32 flags)
{
    put32(at, 0x1badb002);
    put32(at + 4, flags);
    put32(at + 8, 0u - 0x1badb002u - flags);
}

/* Multiboot by its own addresses: header at 0x40 of the file, the file goes to 1 MiB whole, bss behind it. */
static void mb_image(void)
{
    fill();
    mb_header(0x40, 0x10003);
    put32(0x4c, 0x100040); /* header_addr */
    put32(0x50, 0x100000); /* load_addr */
    put32(0x54, 0);        /* load_end_addr: to the end of the file */
    put32(0x58, 0x104000); /* bss_end_addr */
    put32(0x5c, 0x100100); /* entry_addr */
    t_cfg.boot.kind = BOOT_MULTIBOOT;
    t_cfg.boot.cmdline = "hello there";
}

static int load(void)
{
    return t_load(image, FILE_SIZE, &st);
}

static void check_flat(u64 entry)
{
    ck_assert_uint_eq(st.rip, entry);
    ck_assert_uint_eq(st.cr0, 0x31);
    ck_assert(st.cr3 == 0 && st.cr4 == 0 && st.efer == 0 && st.rflags == 2);
    ck_assert(st.seg[SEG_CS].sel == 0x10 && st.seg[SEG_CS].attr == 0xc09b &&
              st.seg[SEG_CS].limit == 0xffffffff);
    ck_assert(st.seg[SEG_SS].sel == 0x18 && st.seg[SEG_SS].attr == 0xc093);
    ck_assert_uint_eq(t_guest64(st.seg[SEG_GDTR].base + 0x10), 0x00cf9b000000ffffULL);
    ck_assert_uint_eq(t_guest64(st.seg[SEG_GDTR].base + 0x18), 0x00cf93000000ffffULL);
}

START_TEST(elf64_segments_go_to_their_physical_addresses_and_bss_is_zero)
{
    elf64_image();
    ck_assert_int_eq(load(), 0);
    check_flat(0x200010);
    ck_assert_mem_eq(t_guest(0x200000), image + 0x1000, 0x1000);
    ck_assert_mem_eq(t_guest(0x300000), image + 0x2000, 0x800);
    t_all(0x300800, 0x320800, 0, true);
    ck_assert_uint_eq(*t_guest(0x201000), 0xa5); /* nothing beyond is touched */
    for (unsigned i = 0; i < GPR_COUNT; i++)
        ck_assert_uint_eq(st.gpr[i], 0);
}
END_TEST

START_TEST(elf32_is_loaded_too)
{
    elf32_image();
    ck_assert_int_eq(load(), 0);
    check_flat(0x200004);
    ck_assert_mem_eq(t_guest(0x200000), image + 0x1000, 0x1234);
    t_all(0x201234, 0x202000, 0, true);
}
END_TEST

static void refused(int n, const char *says)
{
    ck_assert_msg(load() < 0, "case %d was loaded", n);
    t_log_has("vm 'b': module 'kernel': ");
    t_log_has(says);
}

#define ELF_CASE(change, says)                                                                               \
    do {                                                                                                     \
        elf64_image();                                                                                       \
        change;                                                                                              \
        refused(__LINE__, says);                                                                             \
    } while (0)

START_TEST(elf_files_that_lie_are_refused_in_words)
{
    ELF_CASE(image[0] = 0, "is not an ELF file");
    ELF_CASE(eh->e_type = ET_DYN, "only little-endian executables");
    ELF_CASE(eh->e_ident[EI_DATA] = ELFDATA2MSB, "only little-endian executables");
    ELF_CASE(eh->e_machine = EM_AARCH64, "neither i386 nor x86-64");
    ELF_CASE(eh->e_ident[EI_CLASS] = ELFCLASS32, "neither i386 nor x86-64");
    ELF_CASE(eh->e_ident[EI_CLASS] = 9, "neither i386 nor x86-64");
    ELF_CASE(eh->e_phnum = 0, "program headers");
    ELF_CASE(eh->e_phnum = 33, "program headers");
    ELF_CASE(eh->e_phnum = 0xffff, "program headers");
    ELF_CASE(eh->e_phentsize = 57, "program headers");
    ELF_CASE(eh->e_phoff = ~0ULL - 20, "program header 0 lies outside");
    ELF_CASE(eh->e_phoff = FILE_SIZE - 56 - 55, "lies outside the file");
    ELF_CASE(eh->e_phoff = ~0ULL - 55 - 20, "lies outside the file");
    ELF_CASE(ph[0].p_filesz = 0x1001, "more bytes in the file");
    ELF_CASE(ph[0].p_offset = 0x2001, "segment 0");
    ELF_CASE(ph[0].p_offset = ~0ULL, "segment 0");
    ELF_CASE((ph[0].p_filesz = ~0ULL, ph[0].p_memsz = ~0ULL), "segment 0");
    ELF_CASE(ph[0].p_memsz = ~0ULL, "not in the VM's RAM");
    ELF_CASE(ph[0].p_paddr = ~0ULL - 0xfff, "not in the VM's RAM");
    ELF_CASE(ph[0].p_paddr = 0x3fff001, "not in the VM's RAM");
    ELF_CASE(ph[0].p_paddr = 0x4000000, "not in the VM's RAM");
    ELF_CASE(ph[0].p_paddr = 0x100200000, "not in the VM's RAM");
    ELF_CASE(ph[0].p_paddr = 0x9f000, "not in the VM's RAM"); /* runs into the EBDA */
    ELF_CASE(ph[0].p_paddr = 0xf0000, "not in the VM's RAM"); /* the firmware tables are there */
    ELF_CASE(ph[1].p_paddr = 0x200fff, "overlaps ELF segment at 0x200000");
    ELF_CASE(eh->e_entry = 0x200010, "entry 0x200010 is in none");
    ELF_CASE(eh->e_entry = VIRT + 0x201000, "is in none");
}
END_TEST

START_TEST(ram_above_4_gib_is_no_place_to_load)
{
    static const struct cfg_mem high[] = {{.gpa = 0, .hpa = 0xa000000, .size = 0x1000000},
                                          {.gpa = 0xfff00000, .hpa = 0xb000000, .size = 0x200000}};
    static const u64 bad[] = {0x100000000, 0xfffff001};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        elf64_image();
        t_memory(high, 2);
        ph[1].p_paddr = bad[i];
        refused((int)i, "is not in the VM's RAM below 4 GiB");
    }
    elf64_image();
    t_memory(high, 2);
    ph[1].p_paddr = 0xfffdf800; /* ends at 4 GiB */
    ck_assert_int_eq(load(), 0);
}
END_TEST

START_TEST(short_elf_files_are_refused)
{
    t_keep_memory = true;
    for (size_t len = 1; len < 0x27ff; len += len < 0x200 ? 1 : 111) {
        elf64_image();
        ck_assert_msg(t_load(image, len, &st) < 0, "0x%zx bytes were loaded", len);
        elf32_image();
        if (len < 0x2234)
            ck_assert_msg(t_load(image, len, &st) < 0, "0x%zx bytes were loaded", len);
    }
}
END_TEST

START_TEST(multiboot_by_addresses)
{
    mb_image();
    ck_assert_int_eq(load(), 0);
    check_flat(0x100100);
    ck_assert_uint_eq(st.gpr[GPR_RAX], 0x2badb002);
    ck_assert_mem_eq(t_guest(0x100000), image, FILE_SIZE);
    t_all(0x100000 + FILE_SIZE, 0x104000, 0, true);
}
END_TEST

START_TEST(multiboot_information_is_complete)
{
    struct e820_entry map[PLATFORM_E820_MAX];
    u32 mbi, mods, at, n;

    mb_image();
    t_cfg.boot.initrd_module = T_INITRD;
    t_module(T_INITRD, initrd, sizeof(initrd));
    ck_assert_int_eq(load(), 0);
    mbi = (u32)st.gpr[GPR_RBX];
    ck_assert_uint_eq(t_guest32(mbi), 0x24d); /* memory, command line, modules, memory map, loader name */
    ck_assert_uint_eq(t_guest32(mbi + 4), 639);
    ck_assert_uint_eq(t_guest32(mbi + 8), 63 * 1024);
    ck_assert_str_eq((char *)t_guest(t_guest32(mbi + 16)), "hello there");
    ck_assert_uint_eq(t_guest32(mbi + 20), 1);
    mods = t_guest32(mbi + 24);
    ck_assert_uint_eq(t_guest32(mods + 4) - t_guest32(mods), sizeof(initrd));
    ck_assert(IS_ALIGNED(t_guest32(mods), PAGE_SIZE));
    ck_assert_mem_eq(t_guest(t_guest32(mods)), initrd, sizeof(initrd));
    ck_assert_str_eq((char *)t_guest(t_guest32(mods + 8)), "initrd");
    ck_assert_str_eq((char *)t_guest(t_guest32(mbi + 64)), "Bulkhead");
    n = arch_vm_e820(t_vm, map);
    ck_assert_uint_eq(t_guest32(mbi + 44), n * 24);
    at = t_guest32(mbi + 48);
    for (unsigned i = 0; i < n; i++, at += 24)
        ck_assert(t_guest32(at) == 20 && t_guest64(at + 4) == map[i].base &&
                  t_guest64(at + 12) == map[i].size && t_guest32(at + 20) == map[i].type);
}
END_TEST

START_TEST(multiboot_without_addresses_is_elf)
{
    elf64_image();
    mb_header(0x800, 3);
    t_cfg.boot.kind = BOOT_MULTIBOOT;
    ck_assert_int_eq(load(), 0);
    check_flat(0x200010);
    ck_assert_uint_eq(st.gpr[GPR_RAX], 0x2badb002);
    ck_assert_uint_eq(t_guest32((u32)st.gpr[GPR_RBX]), 0x245);
}
END_TEST

START_TEST(multiboot_header_counts_in_the_first_8_kib_only)
{
    elf64_image();
    t_cfg.boot.kind = BOOT_MULTIBOOT;
    mb_header(8192 - 12, 0);
    ck_assert_int_eq(load(), 0);
    elf64_image();
    t_cfg.boot.kind = BOOT_MULTIBOOT;
    mb_header(8192 - 8, 0);
    refused(0, "no multiboot header");
    elf64_image();
    t_cfg.boot.kind = BOOT_MULTIBOOT;
    mb_header(0x802, 0); /* not aligned to 4 */
    refused(1, "no multiboot header");
    elf64_image();
    t_cfg.boot.kind = BOOT_MULTIBOOT;
    mb_header(0x800, 0);
    put32(0x808, 0);
    refused(2, "no multiboot header");
}
END_TEST

#define MB_CASE(change, says)                                                                                \
    do {                                                                                                     \
        mb_image();                                                                                          \
        change;                                                                                              \
        refused(__LINE__, says);                                                                             \
    } while (0)

START_TEST(multiboot_files_that_lie_are_refused_in_words)
{
    static char longline[0xfc00];

    MB_CASE(mb_header(0x40, 0x10007), "demands features");
    MB_CASE(mb_header(0x40, 0x18000), "demands features");
    MB_CASE(put32(0x4c, 0xfffff), "does not fit header_addr");
    MB_CASE(put32(0x4c, 0x100041), "does not fit header_addr"); /* would start before the file */
    MB_CASE(put32(0x54, 0x103001), "reaches past the file");
    MB_CASE(put32(0x54, 0xfffff), "reaches past the file");
    MB_CASE(put32(0x58, 0x102fff), "before the end of the data");
    MB_CASE(put32(0x58, 1), "before the end of the data");
    MB_CASE(put32(0x58, 0xffffffff), "not in the VM's RAM");
    MB_CASE(put32(0x5c, 0xfffff), "entry_addr");
    MB_CASE(put32(0x5c, 0x104000), "entry_addr");
    MB_CASE((put32(0x4c, 0x90040), put32(0x50, 0x90000), put32(0x58, 0), put32(0x5c, 0x90100)),
            "multiboot information at 0x90000"); /* loads where the information goes */
    memset(longline, 'x', sizeof(longline) - 1);
    MB_CASE(t_cfg.boot.cmdline = longline, "command line does not fit 2048 bytes");
    mb_image();
    ck_assert_int_lt(t_load(image, 0x50, &st), 0); /* the header announces addresses that are cut off */
    t_log_has("is cut off");
}
END_TEST

START_TEST(random_headers_never_reach_outside_ram)
{
    u64 seed = 3;
    unsigned loaded = 0;

    t_keep_memory = true;
    for (unsigned n = 0; n < 600; n++) {
        bool elf = t_random(&seed) % 2;
        unsigned at = elf ? (t_random(&seed) % 2 ? 0x100 : 0) : 0x4c;
        unsigned changes = 1 + (unsigned)(t_random(&seed) % 3);

        if (elf)
            elf64_image();
        else
            mb_image();
        while (changes--)
            image[at + t_random(&seed) % (elf ? 0x78 : 20)] = (u8)t_random(&seed);
        if (load())
            continue;
        loaded++;
        ck_assert_uint_lt(st.rip, 0x4000000);
    }
    ck_assert_uint_gt(loaded, 50);
}
END_TEST

static void raw_image(u64 at, u64 entry)
{
    fill();
    t_cfg.boot.kind = BOOT_RAW;
    t_cfg.boot.load_addr = at;
    t_cfg.boot.entry = entry;
}

START_TEST(raw_images_start_flat_from_1_mib_and_real_below)
{
    raw_image(0x180000, 0x180123);
    ck_assert_int_eq(load(), 0);
    check_flat(0x180123);
    ck_assert_mem_eq(t_guest(0x180000), image, FILE_SIZE);
    raw_image(0x7c00, 0x7c05);
    ck_assert_int_eq(load(), 0);
    ck_assert_mem_eq(t_guest(0x7c00), image, FILE_SIZE);
    ck_assert_uint_eq(st.cr0 & 1, 0);
    ck_assert_uint_eq(st.seg[SEG_CS].base + st.rip, 0x7c05);
    ck_assert_uint_eq(st.seg[SEG_CS].sel, 0x7c0);
    ck_assert_uint_eq(st.seg[SEG_CS].limit, 0xffff);
    ck_assert_uint_eq(st.seg[SEG_IDTR].limit, 0x3ff);
}
END_TEST

START_TEST(raw_images_outside_ram_or_with_a_stray_entry_are_refused)
{
    raw_image(0x3ffe000, 0x3ffe000);
    refused(0, "raw image at 0x3ffe000, size 0x3000, is not in the VM's RAM");
    raw_image(~0ULL - 0x10, ~0ULL - 0x10);
    refused(1, "is not in the VM's RAM");
    raw_image(0x9e000, 0x9e000);
    refused(2, "is not in the VM's RAM");
    raw_image(0x200000, 0x203000);
    refused(3, "entry 0x203000 is outside the image");
    raw_image(0x200000, 0x1fffff);
    refused(4, "is outside the image");
}
END_TEST

START_TEST(a_vm_without_a_kernel_is_refused)
{
    raw_image(0x200000, 0x200000);
    t_cfg.boot.kind = BOOT_NONE;
    ck_assert_int_lt(load(), 0);
    t_log_has("vm 'b' has no kernel");
    raw_image(0x200000, 0x200000);
    t_cfg.boot.kernel_module = CFG_NO_MODULE;
    ck_assert_int_lt(load(), 0);
    t_log_has("kernel module 65535 is not in the module store");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        elf64_segments_go_to_their_physical_addresses_and_bss_is_zero,
        elf32_is_loaded_too,
        elf_files_that_lie_are_refused_in_words,
        ram_above_4_gib_is_no_place_to_load,
        short_elf_files_are_refused,
        multiboot_by_addresses,
        multiboot_information_is_complete,
        multiboot_without_addresses_is_elf,
        multiboot_header_counts_in_the_first_8_kib_only,
        multiboot_files_that_lie_are_refused_in_words,
        random_headers_never_reach_outside_ram,
        raw_images_start_flat_from_1_mib_and_real_below,
        raw_images_outside_ram_or_with_a_stray_entry_are_refused,
        a_vm_without_a_kernel_is_refused,
    };

    return t_main("elf, multiboot, raw", tests, ARRAY_SIZE(tests));
}
