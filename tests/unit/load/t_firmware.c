/* ACPI tables and e820 of a VM. With a folder as argument the tables are written there instead, for a
 * disassembler. */
#include <stdio.h>
#include <stdlib.h>
#include <arch/platform.h>
#include "load_test.h"
#include "x86/vdev/platform_map.h"

static u8 sum(u64 at, u32 len)
{
    unsigned s = 0;

    for (u32 i = 0; i < len; i++)
        s += *t_guest(at + i);
    return (u8)s;
}

/* Checks signature and checksum of the table at `at`; its length. */
static u32 table(u64 at, const char *signature)
{
    u32 len = t_guest32(at + 4);

    ck_assert_msg(memcmp(t_guest(at), signature, 4) == 0, "no %s at 0x%llx", signature,
                  (unsigned long long)at);
    ck_assert(len >= 36 && len < 0x2000);
    ck_assert_uint_eq(sum(at, len), 0);
    return len;
}

static u64 rsdp(void)
{
    ck_assert_int_eq(arch_vm_build_firmware(t_vm), 0);
    return arch_vm_rsdp(t_vm);
}

static u64 fadt(void)
{
    return t_guest32(t_guest32(rsdp() + 16) + 36);
}

static u64 madt(void)
{
    return t_guest32(t_guest32(rsdp() + 16) + 40);
}

static u64 dsdt(void)
{
    return t_guest32(fadt() + 40);
}

START_TEST(rsdp_is_found_by_search_and_leads_to_both_roots)
{
    u64 at = rsdp();
    u32 rsdt = t_guest32(at + 16);
    u64 xsdt = t_guest64(at + 24);

    ck_assert(at >= 0xe0000 && at < 0x100000 && IS_ALIGNED(at, 16));
    ck_assert_mem_eq(t_guest(at), "RSD PTR ", 8);
    ck_assert_uint_eq(sum(at, 20), 0);
    ck_assert_uint_eq(t_guest32(at + 20), 36);
    ck_assert_uint_eq(sum(at, 36), 0);
    ck_assert_uint_eq(*t_guest(at + 15), 2);
    ck_assert_uint_eq(table(rsdt, "RSDT"), 36 + 8);
    ck_assert_uint_eq(table(xsdt, "XSDT"), 36 + 16);
    ck_assert_uint_eq(t_guest64(xsdt + 36), t_guest32(rsdt + 36));
    ck_assert_uint_eq(t_guest64(xsdt + 44), t_guest32(rsdt + 40));
}
END_TEST

START_TEST(nothing_of_the_garbage_before_is_left_where_guests_search)
{
    u64 at = rsdp();

    ck_assert_uint_eq(t_guest32(0x400) & 0xffff, 0);
    ck_assert_int_eq(*t_guest(0x40e) | *t_guest(0x40f) << 8, 0x9fc0);
    ck_assert_int_eq(*t_guest(0x413) | *t_guest(0x414) << 8, 639);
    t_all(0xe0000, at, 0, true);
    t_all(0x9fc01, 0xa0000, 0, true);
    t_all(0xe0000, 0x100000, 0xa5, false);
}
END_TEST

START_TEST(fadt_names_the_platform_s_registers)
{
    u64 f = fadt();

    ck_assert_uint_eq(table(f, "FACP"), 276);
    ck_assert_uint_eq(t_guest32(f + 44) >> 16, PLAT_GSI_SCI);
    ck_assert_uint_eq(t_guest32(f + 48), 0); /* no SMI command */
    ck_assert_uint_eq(t_guest32(f + 56), PLAT_PM1_EVT);
    ck_assert_uint_eq(t_guest32(f + 64), PLAT_PM1_CNT);
    ck_assert_uint_eq(t_guest32(f + 76), PLAT_PM_TMR);
    ck_assert_uint_eq(t_guest32(f + 88), 4 | 2 << 8 | 4 << 24);
    ck_assert_int_eq(*t_guest(f + 109) | *t_guest(f + 110) << 8,
                     0x0005);                    /* ISA devices, no 8042, no VGA, CMOS */
    ck_assert(t_guest32(f + 112) & 1u << 10);    /* RESET_REG_SUP */
    ck_assert(t_guest32(f + 112) & 1u << 8);     /* 32-bit timer */
    ck_assert(!(t_guest32(f + 112) & 1u << 20)); /* not hardware-reduced */
    ck_assert_uint_eq(t_guest32(f + 116), 0x01000801);
    ck_assert_uint_eq(t_guest64(f + 120), PLAT_RESET_PORT);
    ck_assert_uint_eq(*t_guest(f + 128), PLAT_RESET_VALUE);
    ck_assert_uint_eq(t_guest64(f + 140), t_guest32(f + 40));
    ck_assert_uint_eq(t_guest64(f + 152), PLAT_PM1_EVT);
    ck_assert_uint_eq(t_guest64(f + 176), PLAT_PM1_CNT);
    ck_assert_uint_eq(t_guest64(f + 212), PLAT_PM_TMR);
}
END_TEST

START_TEST(facs_is_aligned_and_64_bytes_long)
{
    u64 at = t_guest32(fadt() + 36);

    ck_assert(IS_ALIGNED(at, 64));
    ck_assert_mem_eq(t_guest(at), "FACS", 4);
    ck_assert_uint_eq(t_guest32(at + 4), 64);
}
END_TEST

START_TEST(madt_lists_every_vcpu_the_ioapic_and_the_overrides)
{
    u64 m = madt(), at = m + 44;
    u32 end = table(m, "APIC");
    unsigned cpus = 0, ioapics = 0, overrides = 0, nmis = 0;

    ck_assert_uint_eq(t_guest32(m + 36), PLAT_LAPIC_BASE);
    ck_assert_uint_eq(t_guest32(m + 40), 1);
    for (; at < m + end; at += *t_guest(at + 1)) {
        ck_assert_uint_ge(*t_guest(at + 1), 6);
        switch (*t_guest(at)) {
        case 0:
            ck_assert_uint_eq(*t_guest(at + 2), cpus);
            ck_assert_uint_eq(*t_guest(at + 3), cpus++);
            ck_assert_uint_eq(t_guest32(at + 4), 1);
            break;
        case 1:
            ck_assert_uint_eq(*t_guest(at + 2), PLAT_IOAPIC_ID);
            ck_assert_uint_eq(t_guest32(at + 4), PLAT_IOAPIC_BASE);
            ck_assert_uint_eq(t_guest32(at + 8), 0);
            ioapics++;
            break;
        case 2:
            ck_assert(*t_guest(at + 3) == 0 ? t_guest32(at + 4) == 2 : t_guest32(at + 4) == 9);
            ck_assert_uint_eq(*t_guest(at + 8), *t_guest(at + 3) == 0 ? 0 : 0xd);
            overrides++;
            break;
        case 4:
            ck_assert(*t_guest(at + 2) == 0xff && *t_guest(at + 5) == 1);
            nmis++;
            break;
        default:
            ck_abort_msg("entry type %u", *t_guest(at));
        }
    }
    ck_assert_uint_eq(at, m + end);
    ck_assert(cpus == 2 && ioapics == 1 && overrides == 2 && nmis == 1);
}
END_TEST

static bool dsdt_holds(const void *bytes, size_t len)
{
    u64 d = dsdt();
    u32 end = table(d, "DSDT");

    for (u32 i = 36; i + len <= end; i++)
        if (memcmp(t_guest(d + i), bytes, len) == 0)
            return true;
    return false;
}

START_TEST(dsdt_names_s5_and_the_vm_s_uarts)
{
    static const struct cfg_vuart uarts[] = {{.port = 0x3f8, .gsi = 4, .console = true},
                                             {.port = 0x2f0, .gsi = 20}};
    static const u8 s5[] = {0x08, '_', 'S', '5', '_', 0x12, 0x49, 0x00, 4, 0x0a, 5, 0x0a, 5, 0, 0};
    static const u8 com0[] = {0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0};
    static const u8 com1[] = {0x47, 1, 0xf0, 2, 0xf0, 2, 1, 8, 0x89, 6, 0, 3, 1, 20, 0, 0, 0, 0x79, 0};

    ck_assert(dsdt_holds(s5, sizeof(s5)));
    ck_assert(dsdt_holds(com0, sizeof(com0)));
    ck_assert(!dsdt_holds("COM1", 4));
    t_cfg.vuarts = uarts;
    t_cfg.vuart_count = 2;
    ck_assert(dsdt_holds(com1, sizeof(com1)));
    ck_assert(dsdt_holds("COM1", 4));
    t_cfg.vuart_count = 0;
    ck_assert(!dsdt_holds("COM0", 4));
}
END_TEST

START_TEST(pci_windows_are_the_bus_the_ports_and_what_lies_behind_ram)
{
    static const struct cfg_mem low[] = {{.gpa = 0, .hpa = 0xa000000, .size = 0x200000},
                                         {.gpa = 0xb0000000, .hpa = 0xb000000, .size = 0x20300000}};
    static const u8 bus[] = {0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    static const u8 ports[] = {0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0, 0x0d, 0xff, 0xff, 0, 0, 0, 0xf3};
    static const u8 from_3g[] = {0, 0, 0, 0xc0, 0xff, 0xff, 0xbf, 0xfe};
    static const u8 from_ram[] = {0, 0, 0x30, 0xd0, 0xff, 0xff, 0xbf, 0xfe, 0, 0, 0, 0, 0, 0, 0x90, 0x2e};

    ck_assert(dsdt_holds(bus, sizeof(bus)));
    ck_assert(dsdt_holds(ports, sizeof(ports)));
    ck_assert(dsdt_holds(from_3g, sizeof(from_3g)));
    t_cfg.mem = low;
    t_cfg.mem_count = 2;
    ck_assert(dsdt_holds(from_ram, sizeof(from_ram)));
}
END_TEST

START_TEST(e820_covers_low_memory_as_a_pc_does_and_joins_blocks)
{
    static const struct cfg_mem mem[] = {{.gpa = 0, .hpa = 0, .size = 0x200000},
                                         {.gpa = 0x200000, .hpa = 0x800000, .size = 0x600000},
                                         {.gpa = 0x1000000, .hpa = 0x1000000, .size = 0x200000},
                                         {.gpa = 0x100000000, .hpa = 0x2000000, .size = 0x40000000}};
    static const struct e820_entry want[] = {{0, 0x9fc00, 1},          {0x9fc00, 0x400, 2},
                                             {0xa0000, 0x60000, 2},    {0x100000, 0x700000, 1},
                                             {0x1000000, 0x200000, 1}, {0x100000000, 0x40000000, 1}};
    struct e820_entry map[PLATFORM_E820_MAX];

    t_cfg.mem = mem;
    t_cfg.mem_count = ARRAY_SIZE(mem);
    ck_assert_uint_eq(arch_vm_e820(t_vm, map), ARRAY_SIZE(want));
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
        ck_assert(map[i].base == want[i].base && map[i].size == want[i].size && map[i].type == want[i].type);
}
END_TEST

START_TEST(e820_reserves_shared_memory_in_its_place)
{
    static const struct cfg_mem mem[] = {{.gpa = 0, .hpa = 0, .size = 0x200000},
                                         {.gpa = 0x1000000, .hpa = 0x1000000, .size = 0x200000}};
    static const struct cfg_shm_view views[] = {{.gpa = 0x8000000, .shm = 1}, {.gpa = 0x800000, .shm = 0}};
    static const struct e820_entry want[] = {
        {0, 0x9fc00, 1},       {0x9fc00, 0x400, 2},      {0xa0000, 0x60000, 2},   {0x100000, 0x100000, 1},
        {0x800000, 0x4000, 2}, {0x1000000, 0x200000, 1}, {0x8000000, 0x200000, 2}};
    struct e820_entry map[PLATFORM_E820_MAX];

    t_cfg.mem = mem;
    t_cfg.mem_count = ARRAY_SIZE(mem);
    t_cfg.shms = views;
    t_cfg.shm_count = ARRAY_SIZE(views);
    ck_assert_uint_eq(arch_vm_e820(t_vm, map), ARRAY_SIZE(want));
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
        ck_assert(map[i].base == want[i].base && map[i].size == want[i].size && map[i].type == want[i].type);
}
END_TEST

START_TEST(e820_stops_at_the_table_s_end)
{
    struct cfg_mem mem[60] = {{.size = 0x200000}};
    struct e820_entry map[PLATFORM_E820_MAX + 1];

    for (unsigned i = 1; i < ARRAY_SIZE(mem); i++)
        mem[i] = (struct cfg_mem){.gpa = i * 0x1000000, .size = 0x200000};
    t_cfg.mem = mem;
    t_cfg.mem_count = ARRAY_SIZE(mem);
    memset(map, 0xee, sizeof(map));
    ck_assert_uint_eq(arch_vm_e820(t_vm, map), PLATFORM_E820_MAX);
    ck_assert_uint_eq(map[PLATFORM_E820_MAX].type, 0xeeeeeeee);
}
END_TEST

static const char *dump_dir;

static void dump(const char *name, u64 at)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.aml", dump_dir, name);
    f = fopen(path, "wb");
    ck_assert_msg(f && fwrite(t_guest(at), 1, t_guest32(at + 4), f) == t_guest32(at + 4) && fclose(f) == 0,
                  "%s", path);
}

START_TEST(tables_are_written_for_a_disassembler)
{
    dump("dsdt", dsdt());
    dump("facp", fadt());
    dump("apic", madt());
    dump("facs", t_guest32(fadt() + 36));
    dump("rsdt", t_guest32(rsdp() + 16));
    dump("xsdt", t_guest64(rsdp() + 24));
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const written[] = {tables_are_written_for_a_disassembler};
    const TTest *const tests[] = {
        rsdp_is_found_by_search_and_leads_to_both_roots,
        nothing_of_the_garbage_before_is_left_where_guests_search,
        fadt_names_the_platform_s_registers,
        facs_is_aligned_and_64_bytes_long,
        madt_lists_every_vcpu_the_ioapic_and_the_overrides,
        dsdt_names_s5_and_the_vm_s_uarts,
        pci_windows_are_the_bus_the_ports_and_what_lies_behind_ram,
        e820_covers_low_memory_as_a_pc_does_and_joins_blocks,
        e820_reserves_shared_memory_in_its_place,
        e820_stops_at_the_table_s_end,
    };

    if (argc < 2)
        return t_main("firmware", tests, ARRAY_SIZE(tests));
    dump_dir = argv[1];
    return t_main("firmware dump", written, 1);
}
