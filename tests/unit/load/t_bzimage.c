/* Linux images by the boot protocol: entry state, zero page, placement; and images that lie. */
#include <stdio.h>
#include <arch/platform.h>
#include "load_test.h"
#include "core/load_priv.h"

#define SETUP     (3 * 512)
#define CODE      0x5000
#define FILE_SIZE (SETUP + CODE)

static u8 image[FILE_SIZE + 256];
static u8 initrd[0x12345];
static struct vcpu_boot_state st;

static void put16(unsigned at, u16 v)
{
    memcpy(image + at, &v, 2);
}

static void put32(unsigned at, u32 v)
{
    memcpy(image + at, &v, 4);
}

static void put64(unsigned at, u64 v)
{
    memcpy(image + at, &v, 8);
}

/* A relocatable kernel with both entries, as Linux 6 builds them; field offsets are boot.rst's. */
static void good_image(void)
{
    t_setup();
    for (unsigned i = 0; i < sizeof(image); i++)
        image[i] = (u8)(i * 7 + 1);
    for (unsigned i = 0; i < sizeof(initrd); i++)
        initrd[i] = (u8)(i * 3 + 5);
    image[0x1f1] = 2;        /* setup_sects */
    put32(0x1f4, CODE / 16); /* syssize */
    put16(0x1fe, 0xaa55);    /* boot_flag */
    image[0x200] = 0xeb;     /* jump */
    image[0x201] = 0x6a;
    memcpy(image + 0x202, "HdrS", 4);
    put16(0x206, 0x020f);     /* version */
    image[0x211] = 1;         /* loadflags */
    put32(0x22c, 0x7fffffff); /* initrd_addr_max */
    put32(0x230, 0x200000);   /* kernel_alignment */
    image[0x234] = 1;         /* relocatable_kernel */
    put16(0x236, 0x7f);       /* xloadflags */
    put32(0x238, 255);        /* cmdline_size */
    put64(0x250, 0xdeadbeef); /* setup_data */
    put64(0x258, 0x1000000);  /* pref_address */
    put32(0x260, 0x1800000);  /* init_size */
    t_cfg.boot.kind = BOOT_BZIMAGE;
    t_cfg.boot.cmdline = "console=ttyS0 panic=-1";
}

static int load(void)
{
    return t_load(image, FILE_SIZE, &st);
}

static int load_with_initrd(size_t size)
{
    t_cfg.boot.initrd_module = T_INITRD;
    t_module(T_INITRD, initrd, size);
    return load();
}

static void check_gdt(unsigned code_index_attr)
{
    u64 gdt = st.seg[SEG_GDTR].base;

    ck_assert_uint_eq(st.seg[SEG_GDTR].limit, 31);
    ck_assert_uint_eq(t_guest64(gdt), 0);
    ck_assert_uint_eq(t_guest64(gdt + 0x10) >> 40 & 0xf0ff, code_index_attr);
    ck_assert_uint_eq(t_guest64(gdt + 0x18) >> 40 & 0xf0ff, 0xc093);
    ck_assert_uint_eq(st.seg[SEG_CS].sel, 0x10);
    ck_assert_uint_eq(st.seg[SEG_CS].attr, code_index_attr);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        ck_assert_uint_eq(st.seg[i].base, 0);
        ck_assert_uint_eq(st.seg[i].limit, 0xffffffff);
        if (i != SEG_CS)
            ck_assert(st.seg[i].sel == 0x18 && st.seg[i].attr == 0xc093);
    }
}

START_TEST(entry_64_is_taken_when_offered)
{
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(st.rip, 0x1000200);
    ck_assert_uint_eq(st.cr0, 0x80000031);
    ck_assert_uint_eq(st.cr4, 0x20);
    ck_assert_uint_eq(st.efer, 0x500);
    ck_assert_uint_eq(st.rflags, 2);
    ck_assert_uint_eq(st.gpr[GPR_RSI], 0x7000);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        ck_assert(i == GPR_RSI || st.gpr[i] == 0);
    check_gdt(0xa09b);
    ck_assert_mem_eq(t_guest(0x1000000), image + SETUP, CODE);
}
END_TEST

START_TEST(page_tables_map_the_first_4_gib_to_themselves)
{
    ck_assert_int_eq(load(), 0);
    for (u64 va = 0; va < GIB(8); va += SIZE_2M) {
        u64 pml4e = t_guest64(st.cr3 + (va >> 39) * 8);
        u64 pdpte, pde;

        ck_assert_uint_eq(pml4e & 0xfff, 3);
        pdpte = t_guest64((pml4e & ~PAGE_MASK) + (va >> 30 & 511) * 8);
        if (va >= GIB(4)) {
            ck_assert_uint_eq(pdpte, 0);
            continue;
        }
        ck_assert_uint_eq(pdpte & 0xfff, 3);
        pde = t_guest64((pdpte & ~PAGE_MASK) + (va >> 21 & 511) * 8);
        ck_assert_uint_eq(pde, va | 0x83);
    }
    for (unsigned i = 1; i < 512; i++)
        ck_assert_uint_eq(t_guest64(st.cr3 + i * 8), 0);
}
END_TEST

START_TEST(entry_32_on_demand_and_when_nothing_else_is_offered)
{
    t_cfg.boot.protocol = BOOT_PROTO_32;
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(st.rip, 0x1000000);
    ck_assert_uint_eq(st.cr0, 0x31);
    ck_assert(st.cr3 == 0 && st.cr4 == 0 && st.efer == 0);
    ck_assert_uint_eq(st.gpr[GPR_RSI], 0x7000);
    check_gdt(0xc09b);
    good_image();
    put16(0x236, 0);
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(st.rip, 0x1000000);
    good_image();
    put16(0x206, 0x020b); /* xloadflags came with 2.12 */
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(st.rip, 0x1000000);
    good_image();
    put16(0x236, 0);
    t_cfg.boot.protocol = BOOT_PROTO_64;
    ck_assert_int_lt(load(), 0);
    t_log_has("vm 'b': module 'kernel': offers no 64-bit entry");
}
END_TEST

START_TEST(zero_page_holds_what_the_protocol_asks_for_and_nothing_else)
{
    struct e820_entry map[PLATFORM_E820_MAX];
    unsigned n;
    u8 *zp;

    ck_assert_int_eq(load_with_initrd(sizeof(initrd)), 0);
    zp = t_guest(0x7000);
    ck_assert_uint_eq(t_guest64(0x7070), arch_vm_rsdp(t_vm));
    n = arch_vm_e820(t_vm, map);
    ck_assert_uint_eq(zp[0x1e8], n);
    for (unsigned i = 0; i < n; i++)
        ck_assert(t_guest64(0x72d0 + i * 20) == map[i].base && t_guest64(0x72d8 + i * 20) == map[i].size &&
                  t_guest32(0x72e0 + i * 20) == map[i].type);
    ck_assert_uint_eq(zp[0x1ef], 0); /* sentinel */
    ck_assert_uint_eq(zp[0x210], 0xff);
    ck_assert_uint_eq(zp[0x211], 1);
    ck_assert_uint_eq(t_guest32(0x7228), 0x20000);
    ck_assert_uint_eq(t_guest64(0x7250), 0); /* setup_data of the file must not be followed */
    ck_assert_uint_eq(t_guest32(0x7260), 0x1800000);
    ck_assert_str_eq((char *)t_guest(0x20000), "console=ttyS0 panic=-1");
    for (unsigned i = 0; i < 0x1000; i++) {
        if ((i >= 0x70 && i < 0x78) || i == 0x1e8 || (i >= 0x1f1 && i < 0x26c) ||
            (i >= 0x2d0 && i < 0x2d0 + n * 20))
            continue;
        ck_assert_msg(zp[i] == 0, "zero page byte 0x%x is 0x%02x", i, zp[i]);
    }
}
END_TEST

START_TEST(initramfs_lies_high_whole_and_apart_from_the_kernel)
{
    u32 base;

    ck_assert_int_eq(load_with_initrd(sizeof(initrd)), 0);
    base = t_guest32(0x7218);
    ck_assert_uint_eq(base, 0x4000000 - ALIGN_UP(sizeof(initrd), PAGE_SIZE));
    ck_assert_uint_eq(t_guest32(0x721c), sizeof(initrd));
    ck_assert_mem_eq(t_guest(base), initrd, sizeof(initrd));
    t_all(base + sizeof(initrd), base + ALIGN_UP(sizeof(initrd), PAGE_SIZE), 0, true);
}
END_TEST

START_TEST(initramfs_obeys_initrd_addr_max)
{
    put32(0x22c, 0x2ffffff);
    ck_assert_int_eq(load_with_initrd(0x2000), 0);
    ck_assert_uint_eq(t_guest32(0x7218), 0x3000000 - 0x2000);
    /* kernel at 16..40 MiB: below 32 MiB only the part under the kernel is left */
    good_image();
    put32(0x22c, 0x1ffffff);
    ck_assert_int_eq(load_with_initrd(0x2000), 0);
    ck_assert_uint_eq(t_guest32(0x7218), 0x1000000 - 0x2000);
    good_image();
    put32(0x22c, 0x100fff);
    ck_assert_int_lt(load_with_initrd(0x2000), 0);
    t_log_has("no room for initramfs 'initrd' (0x2000 bytes) below 0x101000");
}
END_TEST

START_TEST(a_signature_after_the_code_is_not_loaded)
{
    t_cfg.boot.kind = BOOT_BZIMAGE;
    ck_assert_int_eq(t_load(image, FILE_SIZE + 200, &st), 0);
    ck_assert_mem_eq(t_guest(0x1000000), image + SETUP, CODE);
    ck_assert_uint_eq(*t_guest(0x1000000 + CODE), 0); /* never written: RAM behind the first MiB of garbage */
}
END_TEST

START_TEST(a_kernel_that_cannot_move_goes_to_1_mib)
{
    image[0x234] = 0;
    put64(0x258, 0x100000);
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(st.rip, 0x100200);
    good_image();
    image[0x234] = 0;
    put64(0x258, 0x3f00000); /* runs there, 24 MiB: past the end of RAM */
    ck_assert_int_lt(load(), 0);
    t_log_has("kernel at 0x100000");
}
END_TEST

START_TEST(a_relocatable_kernel_moves_up_past_a_hole)
{
    static const struct cfg_mem holed[] = {{.gpa = 0, .hpa = 0xa000000, .size = 0x1800000},
                                           {.gpa = 0x2100000, .hpa = 0xc000000, .size = 0x2000000}};

    t_memory(holed, 2);
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(st.rip, 0x2200200); /* aligned to 2 MiB, 24 MiB free from there */
    ck_assert_uint_eq(t_guest32(0x7214), 0x2200000);
}
END_TEST

struct hostile {
    unsigned at, bytes;
    u64 val;
    const char *says;
};

START_TEST(images_that_lie_are_refused_in_words)
{
    static const struct hostile list[] = {
        {0x1fe, 2, 0, "is not a Linux bzImage"},
        {0x202, 4, 0, "is not a Linux bzImage"},
        {0x206, 2, 0x0209, "boot protocol 2.09 is too old"},
        {0x201, 1, 0x10, "setup header is cut off"},
        {0x211, 1, 0, "is a zImage"},
        {0x1f1, 1, 255, "has no protected-mode code"},
        {0x1f4, 4, 0, "has no protected-mode code"},
        {0x1f4, 4, CODE / 16 + 1, "is cut off"},
        {0x1f4, 4, 0xffffffff, "is cut off"},
        {0x1f4, 4, 1, "too short for its 64-bit entry"},
        {0x230, 4, 0, "kernel_alignment"},
        {0x230, 4, 0x300000, "kernel_alignment"},
        {0x230, 4, 0x80000000, "needs 0x1800000 bytes of RAM"},
        {0x258, 8, ~(u64)0, "needs 0x1800000 bytes of RAM"},
        {0x258, 8, 0xfffff000, "needs 0x1800000 bytes of RAM"},
        {0x258, 8, 0x3000000, "needs 0x1800000 bytes of RAM"},
        {0x260, 4, 0xffffffff, "needs 0xffffffff bytes of RAM"},
        {0x238, 4, 5, "command line has 22 bytes, the kernel takes 5"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        good_image();
        memcpy(image + list[i].at, &list[i].val, list[i].bytes);
        ck_assert_msg(load() < 0, "case %u was loaded", i);
        t_log_has("vm 'b': module 'kernel': ");
        t_log_has(list[i].says);
    }
}
END_TEST

START_TEST(files_cut_at_any_length_are_refused)
{
    t_keep_memory = true;
    for (size_t len = 1; len < FILE_SIZE; len += len < 0x300 ? 1 : 97) {
        good_image();
        if (len + 15 >= FILE_SIZE)
            break;
        ck_assert_msg(t_load(image, len, &st) < 0, "0x%zx bytes were loaded", len);
    }
}
END_TEST

START_TEST(random_headers_never_reach_outside_ram)
{
    u64 seed = 7;
    unsigned loaded = 0;

    t_keep_memory = true;
    for (unsigned n = 0; n < 400; n++) {
        unsigned changes = 1 + (unsigned)(t_random(&seed) % 4);

        good_image();
        while (changes--)
            image[0x1f1 + t_random(&seed) % 0x90] = (u8)t_random(&seed);
        t_cfg.boot.protocol = (enum boot_protocol)(t_random(&seed) % 3);
        if (load_with_initrd(1 + t_random(&seed) % sizeof(initrd)))
            continue;
        loaded++;
        ck_assert_mem_eq(t_guest(st.rip & ~(u64)0xfff), image + ((image[0x1f1] ? image[0x1f1] : 4) + 1) * 512,
                         1);
        ck_assert_uint_lt(st.rip, 0x4000000);
    }
    ck_assert_uint_gt(loaded, 100);
}
END_TEST

START_TEST(a_vm_without_mapped_memory_gets_an_error)
{
    arch_s2_init(t_vm);
    ck_assert_int_lt(load(), 0);
    t_log_has("firmware tables could not be written");
}
END_TEST

START_TEST(copy_time_counts_for_the_first_start_only)
{
    load_copy_ticks = 5;
    t_vm->starts = 1;
    ck_assert_int_eq(load(), 0);
    ck_assert_uint_eq(load_copy_ticks, 5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        entry_64_is_taken_when_offered,
        page_tables_map_the_first_4_gib_to_themselves,
        entry_32_on_demand_and_when_nothing_else_is_offered,
        zero_page_holds_what_the_protocol_asks_for_and_nothing_else,
        initramfs_lies_high_whole_and_apart_from_the_kernel,
        initramfs_obeys_initrd_addr_max,
        a_signature_after_the_code_is_not_loaded,
        a_kernel_that_cannot_move_goes_to_1_mib,
        a_relocatable_kernel_moves_up_past_a_hole,
        images_that_lie_are_refused_in_words,
        files_cut_at_any_length_are_refused,
        random_headers_never_reach_outside_ram,
        a_vm_without_mapped_memory_gets_an_error,
        copy_time_counts_for_the_first_start_only,
    };

    return t_main_setup("bzimage", good_image, tests, ARRAY_SIZE(tests));
}
