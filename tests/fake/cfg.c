/*
 * The fake board and scenario. APIC ids are not the CPU indices, and vm "a" has two blocks of memory with a
 * hole of host memory between them, so that code which mixes these up fails.
 */
#include <config/config.h>
#include <fake.h>

static const struct cfg_cpu cpus[CFG_PCPUS] = {{0}, {2}, {4}, {6}, {8}, {10}};
static const struct cfg_range ram[] = {{0, 0x9f000}, {0x100000, FAKE_HOST_MEM - 0x100000}};
static const struct cfg_ioapic ioapics[] = {{.id = 0, .pins = 24, .gsi_base = 0, .base = 0xfec00000}};
static const struct cfg_pci_fn pci[] = {
    {.bdf = 0, .vendor = 0x8086, .device = 0x29c0, .class_code = 0x060000}};

extern const struct cfg_board cfg_board FAKE;
const struct cfg_board cfg_board = {
    .name = "fake",
    .description = "host unit tests",
    .vendor = CPU_VENDOR_AMD,
    .features = FEAT_SVM | FEAT_NPT | FEAT_NX,
    .cpu_count = CFG_PCPUS,
    .cpus = cpus,
    .ram_count = ARRAY_SIZE(ram),
    .ram = ram,
    .ioapic_count = ARRAY_SIZE(ioapics),
    .ioapics = ioapics,
    .lapic_base = 0xfee00000,
    .pm_timer_port = 0x608,
    .pm1a_cnt_port = 0x604,
    .reset_port = 0xcf9,
    .reset_value = 0x0f,
    .tsc_hz = 1000000000,
    .tsc_invariant = true,
    .trampoline = 0x8000,
    .console = {.port = 0x3f8, .gsi = 4, .baud = 115200, .clock_hz = 1843200},
    .console_cpu = 0,
    .pci_count = ARRAY_SIZE(pci),
    .pci = pci,
};

extern const struct cfg_scenario cfg_scenario FAKE;
const struct cfg_scenario cfg_scenario = {
    .name = "fake",
    .description = "host unit tests",
    .loglevel = 4,
    .console_vm = CFG_NO_VM,
};

static const u16 pcpus_a[] = {1, 2};
static const u16 pcpus_b[] = {3, 4};
static const u16 pcpus_c[] = {5};
static const struct cfg_mem mem_a[] = {
    {.gpa = 0, .hpa = 0x4000000, .size = 0x1000000},
    {.gpa = 0x1000000, .hpa = 0x6000000, .size = 0x3000000},
};
static const struct cfg_mem mem_b[] = {{.gpa = 0, .hpa = 0xa000000, .size = 0x4000000}};
static const struct cfg_mem mem_c[] = {{.gpa = 0, .hpa = 0x10000000, .size = 0x1000000}};
static const struct cfg_vuart vuarts_a[] = {
    {.port = 0x3f8, .gsi = 4, .console = true},
    {.port = 0x2f8, .gsi = 3, .console = false},
};
static const struct cfg_vuart vuarts_b[] = {{.port = 0x3f8, .gsi = 4, .console = true}};
static const struct cfg_vuart vuarts_c[] = {{.port = 0x3f8, .gsi = 4, .console = true}};

extern const struct cfg_vm cfg_vms[CFG_VMS] FAKE;
const struct cfg_vm cfg_vms[CFG_VMS] = {
    {
        .name = "a",
        .key = "00000000-0000-4000-8000-00000000000a",
        .kind = VM_PRELAUNCHED,
        .flags = VM_FLAG_AUTOSTART,
        .vcpu_count = 2,
        .first_vcpu = 0,
        .pcpus = pcpus_a,
        .mem_count = ARRAY_SIZE(mem_a),
        .mem = mem_a,
        .vuart_count = ARRAY_SIZE(vuarts_a),
        .first_vuart = 0,
        .vuarts = vuarts_a,
        .boot = {.kind = BOOT_BZIMAGE, .kernel_module = 0, .initrd_module = 1, .cmdline = "console=ttyS0"},
        .s2_pages = 24,
        .first_s2_page = 0,
    },
    {
        .name = "b",
        .key = "00000000-0000-4000-8000-00000000000b",
        .kind = VM_PRELAUNCHED,
        .flags = VM_FLAG_AUTOSTART | VM_FLAG_HYPERCALL,
        .vcpu_count = 2,
        .first_vcpu = 2,
        .pcpus = pcpus_b,
        .mem_count = ARRAY_SIZE(mem_b),
        .mem = mem_b,
        .vuart_count = ARRAY_SIZE(vuarts_b),
        .first_vuart = 2,
        .vuarts = vuarts_b,
        .boot = {.kind = BOOT_MULTIBOOT, .kernel_module = 2, .initrd_module = CFG_NO_MODULE, .cmdline = "b"},
        .s2_pages = 24,
        .first_s2_page = 24,
    },
    {
        .name = "c",
        .key = "00000000-0000-4000-8000-00000000000c",
        .kind = VM_PRELAUNCHED,
        .flags = VM_FLAG_RT,
        .vcpu_count = 1,
        .first_vcpu = 4,
        .pcpus = pcpus_c,
        .mem_count = ARRAY_SIZE(mem_c),
        .mem = mem_c,
        .vuart_count = ARRAY_SIZE(vuarts_c),
        .first_vuart = 3,
        .vuarts = vuarts_c,
        .boot = {.kind = BOOT_RAW,
                 .kernel_module = 2,
                 .initrd_module = CFG_NO_MODULE,
                 .load_addr = 0x100000,
                 .entry = 0x100000,
                 .cmdline = ""},
        .s2_pages = 16,
        .first_s2_page = 48,
    },
};

extern const struct cfg_module cfg_modules[CFG_MODULES + 1] FAKE;
const struct cfg_module cfg_modules[CFG_MODULES + 1] = {
    {.name = "kernel", .max_size = 0x800000},
    {.name = "initrd", .max_size = 0x400000},
    {.name = "blob", .max_size = 0x400000},
    {0},
};
