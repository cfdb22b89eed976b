/* The device model's loaders. Files are copied to buffers of their exact size, so that the sanitizer sees a
 * byte read beyond them. */
#include <elf.h>
#include <string.h>

#include "dmt.h"
#include "load.h"

#define MEMORY (64u << 20)
#define RSDP   0xe0000u

static struct guest_mem memory;
static struct entry entry;
static char error[200];

static void setup(void)
{
    memory = (struct guest_mem){calloc(1, MEMORY), MEMORY};
    memset(&entry, 0, sizeof(entry));
    error[0] = '\0';
}

static void teardown(void)
{
    free(memory.base);
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint32_t at32(uint64_t gpa)
{
    uint32_t value;
    memcpy(&value, memory.base + gpa, sizeof(value));
    return value;
}

/* A bzImage of one setup sector, protocol 2.15, with code bytes behind it. */
static size_t make_bzimage(uint8_t *out, size_t code)
{
    size_t size = 1024 + code;
    memset(out, 0, size);
    out[0x1f1] = 1;
    out[0x1fe] = 0x55;
    out[0x1ff] = 0xaa;
    out[0x200] = 0xeb;
    out[0x201] = 0x66;
    memcpy(out + 0x202, "HdrS", 4);
    out[0x206] = 0x0f;
    out[0x207] = 0x02;
    out[0x211] = 1;
    put32(out + 0x22c, 0x7fffffff);
    put32(out + 0x238, 255);
    put32(out + 0x258, 16u << 20); /* preferred address */
    put32(out + 0x260, 8u << 20);  /* what it needs there */
    for (size_t i = 0; i < code; i++)
        out[1024 + i] = (uint8_t)(i + 1);
    return size;
}

static int load(const uint8_t *file, size_t size, const char *initrd, const char *cmdline)
{
    size_t initrd_size = initrd != NULL ? strlen(initrd) : 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, file, size);
    memset(memory.base, 0, memory.size);
    int result = load_guest(&memory, copy, size, (const uint8_t *)initrd, initrd_size, cmdline, RSDP, &entry,
                            error, sizeof(error));
    free(copy);
    return result;
}

START_TEST(bzimage_lies_at_one_mebibyte_and_finds_its_zero_page)
{
    uint8_t file[4096];
    size_t size = make_bzimage(file, 3000);
    ck_assert_msg(load(file, size, "initrd", "console=ttyS0") == 0, "%s", error);
    ck_assert_uint_eq(entry.rip, 0x100000);
    ck_assert_uint_eq(entry.rsi, GUEST_ZERO_PAGE);
    ck_assert_uint_eq(entry.rax, 0);
    ck_assert_int_eq(memcmp(memory.base + 0x100000, file + 1024, 3000), 0);
    uint64_t zero = GUEST_ZERO_PAGE;
    ck_assert_int_eq(memcmp(memory.base + zero + 0x202, "HdrS", 4), 0);
    ck_assert_str_eq((char *)memory.base + at32(zero + 0x228), "console=ttyS0");
    ck_assert_uint_eq(at32(zero + 0x21c), 6);
    ck_assert_int_eq(memcmp(memory.base + at32(zero + 0x218), "initrd", 6), 0);
    ck_assert_uint_ge(at32(zero + 0x218), 24u << 20);
    ck_assert_uint_eq(at32(zero + 0x070), RSDP);
    ck_assert_uint_eq(at32(zero + 0x214), 0x100000);
}
END_TEST

START_TEST(memory_map_covers_all_but_the_bios_area)
{
    uint8_t file[4096];
    ck_assert_int_eq(load(file, make_bzimage(file, 100), NULL, ""), 0);
    uint64_t map = GUEST_ZERO_PAGE + 0x2d0;
    ck_assert_uint_eq(memory.base[GUEST_ZERO_PAGE + 0x1e8], 3);
    ck_assert_uint_eq(at32(map), 0);
    ck_assert_uint_eq(at32(map + 8), GUEST_LOW_END);
    ck_assert_uint_eq(at32(map + 16), 1);
    ck_assert_uint_eq(at32(map + 20), GUEST_ACPI);
    ck_assert_uint_eq(at32(map + 36), 2);
    ck_assert_uint_eq(at32(map + 40), GUEST_HIGH);
    ck_assert_uint_eq(at32(map + 48), MEMORY - GUEST_HIGH);
}
END_TEST

START_TEST(gdt_has_flat_code_and_data_where_linux_wants_them)
{
    uint8_t file[4096];
    ck_assert_int_eq(load(file, make_bzimage(file, 100), NULL, ""), 0);
    ck_assert_uint_eq(at32(GUEST_GDT + SEL_CODE + 4), 0x00cf9b00);
    ck_assert_uint_eq(at32(GUEST_GDT + SEL_DATA + 4), 0x00cf9300);
    ck_assert_uint_eq(at32(GUEST_GDT + SEL_CODE), 0x0000ffff);
}
END_TEST

START_TEST(bzimage_that_does_not_fit_is_refused)
{
    uint8_t file[4096];
    char line[300];
    size_t size = make_bzimage(file, 100);
    memory.size = 20u << 20;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    ck_assert_ptr_nonnull(strstr(error, "needs memory up to 0x1800000"));
    memory.size = (24u << 20) + 2;
    ck_assert_int_eq(load(file, size, "initrd", ""), -1);
    ck_assert_ptr_nonnull(strstr(error, "does not fit beside the kernel"));
    memory.size = MEMORY;
    memset(line, 'x', sizeof(line));
    line[256] = '\0';
    ck_assert_int_eq(load(file, size, NULL, line), -1);
    ck_assert_ptr_nonnull(strstr(error, "the kernel takes 255"));
    put32(file + 0x260, 0xffffffff);
    put32(file + 0x25c, 0xffffffff);
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
}
END_TEST

START_TEST(old_low_and_cut_bzimages_are_refused)
{
    uint8_t file[4096];
    size_t size = make_bzimage(file, 100);
    file[0x206] = 0x05;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    ck_assert_ptr_nonnull(strstr(error, "boot protocol 2.05"));
    make_bzimage(file, 100);
    file[0x211] = 0;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_bzimage(file, 100);
    file[0x1f1] = 40;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    ck_assert_ptr_nonnull(strstr(error, "cut short"));
    make_bzimage(file, 100);
    for (size_t cut = 0; cut < size; cut += 101)
        ck_assert_int_eq(load(file, cut == 0 ? 1 : cut, NULL, ""), cut > 1024 ? 0 : -1);
}
END_TEST

/* An ELF32 executable with one segment of code bytes at 2 MiB and as much zero memory behind. */
static size_t make_elf(uint8_t *out, size_t code)
{
    Elf32_Ehdr header = {
        .e_type = ET_EXEC, .e_machine = EM_386, .e_entry = 0x200010, .e_phoff = sizeof(header), .e_phnum = 1};
    Elf32_Phdr segment = {.p_type = PT_LOAD, .p_offset = 128, .p_paddr = 0x200000, .p_vaddr = 0x200000};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS32;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_phentsize = sizeof(segment);
    segment.p_filesz = (uint32_t)code;
    segment.p_memsz = (uint32_t)code * 2;
    memset(out, 0, 128 + code);
    memcpy(out, &header, sizeof(header));
    memcpy(out + sizeof(header), &segment, sizeof(segment));
    memset(out + 128, 0x90, code);
    return 128 + code;
}

START_TEST(elf_starts_by_multiboot_with_its_module)
{
    uint8_t file[1024];
    ck_assert_msg(load(file, make_elf(file, 500), "module", "rtos x") == 0, "%s", error);
    ck_assert_uint_eq(entry.rip, 0x200010);
    ck_assert_uint_eq(entry.rax, 0x2badb002);
    ck_assert_uint_eq(entry.rbx, GUEST_ZERO_PAGE);
    ck_assert_int_eq(memory.base[0x200000 + 499], 0x90);
    ck_assert_int_eq(memory.base[0x200000 + 500], 0);
    uint64_t info = entry.rbx;
    ck_assert_uint_eq(at32(info) & 0x4d, 0x4d);
    ck_assert_str_eq((char *)memory.base + at32(info + 16), "rtos x");
    ck_assert_uint_eq(at32(info + 20), 1);
    uint32_t module = at32(info + 24);
    ck_assert_uint_eq(at32(module + 4) - at32(module), 6);
    ck_assert_int_eq(memcmp(memory.base + at32(module), "module", 6), 0);
    ck_assert_uint_eq(at32(at32(info + 48)), 20);
}
END_TEST

START_TEST(damaged_elf_files_are_refused)
{
    uint8_t file[1024];
    Elf32_Phdr *segment = (Elf32_Phdr *)(file + sizeof(Elf32_Ehdr));
    Elf32_Ehdr *header = (Elf32_Ehdr *)file;
    size_t size = make_elf(file, 500);
    segment->p_filesz = 501;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_elf(file, 500);
    segment->p_paddr = 0x1000;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_elf(file, 500);
    segment->p_memsz = 0xffffffff;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_elf(file, 500);
    header->e_phnum = 100;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_elf(file, 500);
    header->e_phoff = 0xfffffff0;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_elf(file, 500);
    header->e_entry = MEMORY;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    make_elf(file, 500);
    segment->p_type = PT_NULL;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
    ck_assert_str_eq(error, "the ELF file has nothing to load");
    make_elf(file, 500);
    file[EI_CLASS] = 7;
    ck_assert_int_eq(load(file, size, NULL, ""), -1);
}
END_TEST

START_TEST(what_is_no_kernel_is_refused)
{
    uint8_t file[2048] = {1, 2, 3};
    ck_assert_int_eq(load(file, sizeof(file), NULL, ""), -1);
    ck_assert_str_eq(error, "the kernel is neither a bzImage nor an ELF file");
}
END_TEST

START_TEST(ranges_outside_the_memory_have_no_address)
{
    ck_assert_ptr_nonnull(guest_at(&memory, MEMORY - 4, 4));
    ck_assert_ptr_null(guest_at(&memory, MEMORY - 4, 5));
    ck_assert_ptr_null(guest_at(&memory, UINT64_MAX, 2));
    ck_assert_ptr_null(guest_at(&memory, 4, UINT64_MAX));
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, bzimage_lies_at_one_mebibyte_and_finds_its_zero_page);
    tcase_add_test(t, memory_map_covers_all_but_the_bios_area);
    tcase_add_test(t, gdt_has_flat_code_and_data_where_linux_wants_them);
    tcase_add_test(t, bzimage_that_does_not_fit_is_refused);
    tcase_add_test(t, old_low_and_cut_bzimages_are_refused);
    tcase_add_test(t, elf_starts_by_multiboot_with_its_module);
    tcase_add_test(t, damaged_elf_files_are_refused);
    tcase_add_test(t, what_is_no_kernel_is_refused);
    tcase_add_test(t, ranges_outside_the_memory_have_no_address);
}

int main(void)
{
    return run_case("load", fill);
}
