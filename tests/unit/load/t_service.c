/* The service VM's firmware view and memory map: the host's, without what is not its own; and images placed
 * in memory with holes. */
#include <arch/platform.h>
#include "load_test.h"
#include "x86/guest/host_acpi.h"
#include "x86/hw/acpi.h"
#include "x86/vdev/host.h"

/* Host tables lie where the fake board has no RAM. */
#define HOST_RSDP 0xf5000u
#define HOST_DSDT 0xc8000u
#define HOST_FACS 0xc9000u
#define HOST_FADT 0xca000u
#define HOST_MADT 0xcb000u
#define HOST_MCFG 0xcc000u
#define HOST_HPET 0xcd000u
#define HOST_IVRS 0xce000u
#define HOST_SSDT 0xcf000u
#define SMI_PORT  0xb2u

/* CPUs 6 and 7 of the fake board: APIC ids 12 and 14. */
static struct vcpu cpus[2];
static const struct cfg_mem holes[] = {
    {.gpa = 0, .hpa = 0, .size = 0x9f000},
    {.gpa = 0x100000, .hpa = 0x100000, .size = 0xf00000},
    {.gpa = 0x4000000, .hpa = 0x4000000, .size = 0x2000000},
    {.gpa = 0x8000000, .hpa = 0x8000000, .size = 0x4000000},
};

static void table(u64 at, const char *signature, const void *body, u32 len)
{
    u8 *p = fake_mem(at), sum = 0;
    u32 total = 36 + len;

    memset(p, 0, total);
    memcpy(p, signature, 4);
    memcpy(p + 4, &total, 4);
    if (len)
        memcpy(p + 36, body, len);
    for (u32 i = 0; i < total; i++)
        sum = (u8)(sum + p[i]);
    p[9] = (u8)(0 - sum);
    acpi_facts.tables[acpi_facts.table_count++] = (struct acpi_table){.length = total, .address = at};
    memcpy(acpi_facts.tables[acpi_facts.table_count - 1].signature, signature, 4);
}

static void host_madt(void)
{
    static const u8 body[] = {
        0, 0,  0xe0, 0xfe, 1,  0,    0,    0,                              /* LAPIC address, flags */
        0, 8,  0,    0,    1,  0,    0,    0,                              /* CPU 0: another VM's */
        0, 8,  6,    12,   1,  0,    0,    0,                              /* ours */
        0, 8,  7,    14,   1,  0,    0,    0,                              /* ours */
        0, 8,  9,    14,   0,  0,    0,    0,                              /* not enabled */
        1, 12, 0,    0,    0,  0,    0xc0, 0xfe, 0,  0, 0, 0,              /* the IOAPIC */
        1, 12, 1,    0,    0,  0x10, 0xc0, 0xfe, 24, 0, 0, 0,              /* another */
        2, 10, 0,    0,    2,  0,    0,    0,    0,  0,                    /* ISA 0 -> 2 */
        2, 10, 0,    9,    9,  0,    0,    0,    13, 0,                    /* ISA 9, level */
        4, 6,  0,    0,    0,  1,                                          /* LINT1 of CPU 0 */
        4, 6,  0xff, 0,    0,  1,                                          /* of all */
        9, 16, 0,    0,    12, 0,    0,    0,    1,  0, 0, 0, 6,  0, 0, 0, /* ours, as x2APIC */
        9, 16, 0,    0,    99, 0,    0,    0,    1,  0, 0, 0, 99, 0, 0, 0, /* not ours */
        5, 12, 0,    0,    0,  0,    0,    0,    0,  0, 0, 0,              /* address override */
    };

    table(HOST_MADT, "APIC", body, sizeof(body));
}

static void host_fadt(void)
{
    u8 body[244 - 36] = {0};
    u32 v;

    v = HOST_FACS, memcpy(body, &v, 4);
    v = HOST_DSDT, memcpy(body + 4, &v, 4);
    v = SMI_PORT, memcpy(body + 48 - 36, &v, 4);
    body[52 - 36] = 2;
    body[53 - 36] = 3;
    body[116 - 36] = 0x77; /* reset register: stays */
    table(HOST_FADT, "FACP", body, sizeof(body));
}

static void setup(void)
{
    static const u8 mcfg[24] = {0};
    static const u16 pcpus[] = {6, 7};
    u8 hpet[20] = {0}, ivrs[12 + 24] = {0};
    u64 a;

    t_setup();
    memset(&acpi_facts, 0, sizeof(acpi_facts));
    memset(cpus, 0, sizeof(cpus));
    for (unsigned i = 0; i < 2; i++) {
        cpus[i].id = (u16)i;
        cpus[i].apic_id = cfg_board.cpus[6 + i].apic_id;
    }
    t_cfg.kind = VM_SERVICE;
    t_cfg.pcpus = pcpus;
    t_cfg.pcpu_count = 2;
    t_vm->vcpus = cpus;
    t_vm->vcpu_count = 2;
    t_memory(holes, ARRAY_SIZE(holes));
    ck_assert_int_eq(arch_s2_map(t_vm, gpa(HOST_EBDA_PAGE), host_bios_page(), PAGE_SIZE, MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_map(t_vm, gpa(HOST_ACPI_BIOS_BASE), hpa_add(host_bios_page(), PAGE_SIZE),
                                 HOST_ACPI_BIOS_SIZE, MEM_RWX),
                     0);
    memset(fake_mem(HOST_ACPI_BIOS_BASE), 0x90, HOST_ACPI_BIOS_SIZE);
    memset(fake_mem(0xe4000), 0, 0x4000); /* room */
    memcpy(fake_mem(HOST_RSDP), "RSD PTR ", 8);
    memcpy(fake_mem(0xf6000), "_MP_", 4);
    memcpy(fake_mem(0xf7000), "_SM_", 4);
    a = 0xfed00000, memcpy(hpet + 8, &a, 8);
    ivrs[12] = 0x10, ivrs[14] = 24;
    a = 0xfeb80000, memcpy(ivrs + 12 + 8, &a, 8);
    host_madt();
    host_fadt();
    table(HOST_MCFG, "MCFG", mcfg, sizeof(mcfg));
    table(HOST_HPET, "HPET", hpet, sizeof(hpet));
    table(HOST_IVRS, "IVRS", ivrs, sizeof(ivrs));
    table(HOST_SSDT, "SSDT", NULL, 0);
    table(HOST_DSDT, "DSDT", NULL, 0);
    acpi_facts.table_count--; /* the FADT leads to it, no list does */
    memcpy(fake_mem(HOST_FACS), "FACS\x40\0\0", 8);
    host_acpi_init(t_vm);
    ck_assert_int_eq(arch_vm_build_firmware(t_vm), 0);
}

static u8 sum(u64 at, u32 len)
{
    u8 s = 0;

    for (u32 i = 0; i < len; i++)
        s = (u8)(s + *t_guest(at + i));
    return s;
}

/* Guest address of a table that the XSDT lists, 0: none. */
static u64 listed(const char *signature)
{
    u64 xsdt = t_guest64(arch_vm_rsdp(t_vm) + 24);

    for (u32 off = 36; off < t_guest32(xsdt + 4); off += 8) {
        u64 at = t_guest64(xsdt + off);
        const u8 *p = at >= HOST_ACPI_BIOS_BASE ? t_guest(at) : fake_mem(at);

        if (memcmp(p, signature, 4) == 0)
            return at;
    }
    return 0;
}

START_TEST(tables_are_the_hosts_but_for_what_is_not_the_vms)
{
    u64 rsdp = arch_vm_rsdp(t_vm), xsdt = t_guest64(rsdp + 24), rsdt = t_guest32(rsdp + 16);

    ck_assert_uint_eq(rsdp, 0xe4000);
    ck_assert(memcmp(t_guest(rsdp), "RSD PTR ", 8) == 0 && sum(rsdp, 20) == 0 && sum(rsdp, 36) == 0);
    ck_assert(memcmp(t_guest(xsdt), "XSDT", 4) == 0 && sum(xsdt, t_guest32(xsdt + 4)) == 0);
    ck_assert(memcmp(t_guest(rsdt), "RSDT", 4) == 0 && sum(rsdt, t_guest32(rsdt + 4)) == 0);
    ck_assert_uint_eq(listed("SSDT"), HOST_SSDT);
    ck_assert_uint_eq(listed("HPET") | listed("IVRS") | listed("DSDT"), 0);
    ck_assert_uint_eq(listed("MCFG"), 0); /* the board names no such space */
    ck_assert_uint_eq((t_guest32(rsdt + 4) - 36) / 4, (t_guest32(xsdt + 4) - 36) / 8);
}
END_TEST

START_TEST(madt_has_the_vms_cpus_only)
{
    static const u8 want[] = {
        0, 8, 6,    12, 1, 0,  0, 0,  0, 8, 7,  14, 1, 0, 0, 0,  1, 12, 0, 0, 0, 0, 0xc0, 0xfe,
        0, 0, 0,    0,  2, 10, 0, 0,  2, 0, 0,  0,  0, 0, 2, 10, 0, 9,  9, 0, 0, 0, 13,   0,
        4, 6, 0xff, 0,  0, 1,  9, 16, 0, 0, 12, 0,  0, 0, 1, 0,  0, 0,  6, 0, 0, 0,
    };
    u64 at = listed("APIC");

    ck_assert(at >= HOST_ACPI_BIOS_BASE);
    ck_assert_uint_eq(t_guest32(at + 4), 44 + sizeof(want));
    ck_assert_uint_eq(sum(at, t_guest32(at + 4)), 0);
    ck_assert_mem_eq(t_guest(at + 44), want, sizeof(want));
}
END_TEST

START_TEST(fadt_names_no_smi_port_and_keeps_the_rest)
{
    u64 at = listed("FACP");

    ck_assert(at >= HOST_ACPI_BIOS_BASE);
    ck_assert_uint_eq(t_guest32(at + 48), 0);
    ck_assert_uint_eq(t_guest32(at + 52), 0);
    ck_assert_uint_eq(t_guest32(at + 40), HOST_DSDT);
    ck_assert_uint_eq(t_guest32(at + 36), HOST_FACS);
    ck_assert_uint_eq(*t_guest(at + 116), 0x77);
    ck_assert_uint_eq(sum(at, t_guest32(at + 4)), 0);
    ck_assert_uint_eq(host_acpi_smi_port(), SMI_PORT);
}
END_TEST

START_TEST(iommu_and_timer_registers_are_named_as_hidden)
{
    struct cfg_range r;
    bool hpet = false, iommu = false;

    for (unsigned i = 0; host_acpi_hidden(i, &r); i++) {
        hpet |= r.base == 0xfed00000 && r.size == PAGE_SIZE;
        iommu |= r.base == 0xfeb80000 && r.size == KIB(512);
    }
    ck_assert(hpet && iommu);
}
END_TEST

START_TEST(bios_area_is_a_copy_without_the_hosts_pointers)
{
    unsigned rsdps = 0;

    for (u64 a = HOST_ACPI_BIOS_BASE; a < 0x100000; a += 16) {
        rsdps += memcmp(t_guest(a), "RSD PTR ", 8) == 0;
        ck_assert(memcmp(t_guest(a), "_MP_", 4) != 0);
    }
    ck_assert_uint_eq(rsdps, 1);
    ck_assert(memcmp(t_guest(0xf7000), "_SM_", 4) == 0);
    ck_assert_uint_eq(*t_guest(0xf8000), 0x90);
    ck_assert(memcmp(fake_mem(HOST_RSDP), "RSD PTR ", 8) == 0); /* the host's own is untouched */
    ck_assert_int_eq(*t_guest(0x40e) | *t_guest(0x40f) << 8, 0x9fc0);
}
END_TEST

START_TEST(bios_area_is_written_anew_at_each_start)
{
    u64 rsdp = arch_vm_rsdp(t_vm);

    memset(t_guest(HOST_ACPI_BIOS_BASE), 0, HOST_ACPI_BIOS_SIZE);
    memset(t_guest(HOST_EBDA_PAGE), 0xaa, PAGE_SIZE);
    ck_assert_int_eq(arch_vm_build_firmware(t_vm), 0);
    ck_assert(memcmp(t_guest(rsdp), "RSD PTR ", 8) == 0);
    ck_assert_uint_eq(*t_guest(0xf8000), 0x90);
    ck_assert_uint_eq(*t_guest(HOST_EBDA_PAGE), 0);
}
END_TEST

START_TEST(damaged_host_madt_does_no_harm)
{
    u8 *p = fake_mem(HOST_MADT);

    for (unsigned len = 0; len < 256; len++) {
        p[36 + 8 + 1] = (u8)len; /* length of the first entry */
        host_acpi_init(t_vm);
        ck_assert_int_eq(arch_vm_build_firmware(t_vm), 0);
    }
}
END_TEST

START_TEST(memory_map_has_the_holes)
{
    struct e820_entry e[PLATFORM_E820_MAX];
    unsigned n = arch_vm_e820(t_vm, e);
    u64 ram = 0, end = 0;

    for (unsigned i = 0; i < n; i++) {
        ck_assert_uint_ge(e[i].base, end); /* ascending, none overlaps */
        end = e[i].base + e[i].size;
        if (e[i].type == 1)
            ram += e[i].size;
        /* what is not the VM's is not RAM */
        if (e[i].type == 1)
            for (u64 a = e[i].base; a < end; a += MIB(1))
                t_guest(a);
    }
    ck_assert_uint_eq(ram, 0x9f000 + 0xf00000 + 0x2000000 + 0x4000000);
    /* the hypervisor and the memory of others is reserved */
    for (unsigned i = 0, found = 0; i < n; i++) {
        found += e[i].type == 2 && e[i].base == 0x1000000 && e[i].size == 0x3000000;
        found += e[i].type == 2 && e[i].base == 0xc000000;
        if (i == n - 1)
            ck_assert_uint_eq(found, 2);
    }
}
END_TEST

/* ---- placement ---- */

static u8 image[0x6000];

static void put(unsigned at, u64 v, unsigned len)
{
    memcpy(image + at, &v, len);
}

/* A relocatable bzImage (field offsets: boot.rst). */
static void make_kernel(u64 pref, u32 init_size)
{
    memset(image, 0x5a, sizeof(image));
    put(0x1f1, 2, 1);
    put(0x1f4, 0x4000 / 16, 4);
    put(0x1fe, 0xaa55, 2);
    put(0x200, 0x6aeb, 2);
    memcpy(image + 0x202, "HdrS", 4);
    put(0x206, 0x020f, 2);
    put(0x211, 1, 1);
    put(0x22c, 0x7fffffff, 4);
    put(0x230, 0x200000, 4);
    put(0x234, 1, 1);
    put(0x236, 0x7f, 2);
    put(0x238, 255, 4);
    put(0x250, 0, 8);
    put(0x258, pref, 8);
    put(0x260, init_size, 4);
    t_cfg.boot.kind = BOOT_BZIMAGE;
}

START_TEST(kernel_goes_to_the_first_piece_that_holds_it)
{
    struct vcpu_boot_state st;

    make_kernel(0x1000000, 0x1800000); /* prefers the hypervisor's place; 24 MiB */
    ck_assert_int_eq(t_load(image, sizeof(image), &st), 0);
    ck_assert_uint_eq(st.rip, 0x4000200);
    ck_assert_uint_eq(t_guest64(0x7070), arch_vm_rsdp(t_vm)); /* boot_params.acpi_rsdp_addr */
    make_kernel(0x1000000, 0x3000000);                        /* 48 MiB: the next piece */
    ck_assert_int_eq(t_load(image, sizeof(image), &st), 0);
    ck_assert_uint_eq(st.rip, 0x8000200);
    make_kernel(0x1000000, 0x5000000); /* nowhere */
    ck_assert_int_lt(t_load(image, sizeof(image), &st), 0);
    t_log_has("give the VM more memory");
}
END_TEST

START_TEST(initramfs_goes_to_the_highest_piece_beside_the_kernel)
{
    static u8 initrd[0x10000];
    struct vcpu_boot_state st;

    make_kernel(0x1000000, 0x3000000);
    t_cfg.boot.initrd_module = T_INITRD;
    t_module(T_INITRD, initrd, sizeof(initrd));
    ck_assert_int_eq(t_load(image, sizeof(image), &st), 0);
    ck_assert_uint_eq(t_guest32(0x7000 + 0x218), 0xc000000 - sizeof(initrd));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tables_are_the_hosts_but_for_what_is_not_the_vms,
        madt_has_the_vms_cpus_only,
        fadt_names_no_smi_port_and_keeps_the_rest,
        iommu_and_timer_registers_are_named_as_hidden,
        bios_area_is_a_copy_without_the_hosts_pointers,
        bios_area_is_written_anew_at_each_start,
        damaged_host_madt_does_no_harm,
        memory_map_has_the_holes,
        kernel_goes_to_the_first_piece_that_holds_it,
        initramfs_goes_to_the_highest_piece_beside_the_kernel,
    };

    return t_main_setup("service VM", setup, tests, ARRAY_SIZE(tests));
}
