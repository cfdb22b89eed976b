/*
 * The fake board and scenario. APIC ids are not the CPU indices, and vm "a" has two blocks of memory with a
 * hole of host memory between them, so that code which mixes these up fails. Behind the pre-launched VMs "a",
 * "b", "c" come the service VM "svc" and four user slots: "u1" with a UUID, "u2" with a name, a spare one,
 * and "rt". CPU 8 is the service VM's until it gives it up for "u1"; the user slots share CPUs 9 to 11.
 * Second vUARTs of "a" and "b", and of "svc" and "u1", are joined; "a" and "b" share memory, and so do "svc"
 * and "u1", the second of each for reading only. "b" and "u1" have classes of service of their own.
 */
#include <abi/hypercall.h>
#include <config/config.h>
#include <fake.h>

static const struct cfg_cpu cpus[CFG_PCPUS] = {{0},  {2},  {4},  {6},  {8},  {10},
                                               {12}, {14}, {16}, {18}, {20}, {22}};
static const struct cfg_range ram[] = {{0, 0x9f000}, {0x100000, FAKE_HOST_MEM - 0x100000}};
static const struct cfg_ioapic ioapics[] = {{.id = 0, .pins = 24, .gsi_base = 0, .base = 0xfec00000}};
static const struct cfg_pci_fn pci[] = {
    {.bdf = 0, .vendor = 0x8086, .device = 0x29c0, .class_code = 0x060000}};
static const struct cfg_px px[] = {
    {.core_mhz = 2000,
     .power_mw = 15000,
     .latency_us = 10,
     .bus_master_us = 11,
     .control = 0x1400,
     .status = 0x14},
    {.core_mhz = 1000,
     .power_mw = 7000,
     .latency_us = 12,
     .bus_master_us = 13,
     .control = 0xa00,
     .status = 0xa},
};
static const struct cfg_cx cx[] = {
    {.reg = {.space = 0x7f, .bit_width = 1, .bit_offset = 2, .access_size = 1, .address = 0x10},
     .type = 1,
     .latency_us = 2,
     .power_mw = 900},
    {.reg = {.space = 1, .bit_width = 8, .address = 0x415}, .type = 2, .latency_us = 50, .power_mw = 300},
};

static const struct cfg_cache caches[] = {{.level = 3, .ways = 11, .classes = 16},
                                          {.level = 2, .ways = 8, .classes = 4}};

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
    .px_count = ARRAY_SIZE(px),
    .px = px,
    .cx_count = ARRAY_SIZE(cx),
    .cx = cx,
    .caches = caches,
};

extern const struct cfg_cache_class cfg_cache_classes[CFG_CACHE_CLASSES + 1] FAKE;
const struct cfg_cache_class cfg_cache_classes[CFG_CACHE_CLASSES + 1] = {
    {.id = 1, .level = 3, .mask = 0x7},
    {.id = 2, .level = 3, .mask = 0x7f8},
    {.id = 2, .level = 2, .mask = 0xc0},
    {0},
};

extern const struct cfg_shm cfg_shms[CFG_SHMS + 1] FAKE;
const struct cfg_shm cfg_shms[CFG_SHMS + 1] = {
    {.name = "ab", .id = 7, .hpa = 0x3000000, .size = 0x4000},
    {.name = "service", .id = 8, .hpa = 0x3200000, .size = 0x200000},
    {0},
};

/* The tables are constant for the code under test; tests switch the scenario over through fake_scenario. */
const struct cfg_scenario fake_scenario_reset = {
    .name = "fake",
    .description = "host unit tests",
    .loglevel = 4,
    .console_vm = CFG_NO_VM,
    .service_vm = FAKE_SERVICE,
    .abi = HCALL_ABI_V1,
    .upcall_vector = 0xf7,
    .debug_hypercalls = true,
};
struct cfg_scenario fake_scenario;
extern const struct cfg_scenario cfg_scenario __attribute__((weak, alias("fake_scenario")));

void fake_reset_cfg(void);

__attribute__((constructor)) void fake_reset_cfg(void)
{
    fake_scenario = fake_scenario_reset;
}

static const u16 pcpus_a[] = {1, 2};
static const u16 pcpus_b[] = {3, 4};
static const u16 pcpus_c[] = {5};
static const u16 pcpus_svc[] = {6, 7, 8};
static const u16 pcpus_u1[] = {8, 9, 10};
static const u16 pcpus_u2[] = {9, 10, 11};
static const u16 pcpus_spare[] = {10, 11};
static const u16 pcpus_rt[] = {11};
static const struct cfg_mem mem_a[] = {
    {.gpa = 0, .hpa = 0x4000000, .size = 0x1000000},
    {.gpa = 0x1000000, .hpa = 0x6000000, .size = 0x3000000},
};
static const struct cfg_mem mem_b[] = {{.gpa = 0, .hpa = 0xa000000, .size = 0x4000000}};
static const struct cfg_mem mem_c[] = {{.gpa = 0, .hpa = 0x10000000, .size = 0x1000000}};
static const struct cfg_mem mem_svc[] = {
    {.gpa = 0, .hpa = 0, .size = 0x9e000},
    {.gpa = 0x12000000, .hpa = 0x12000000, .size = 0x2000000},
    {.gpa = 0x15000000, .hpa = 0x15000000, .size = 0x1000000},
};
static const struct cfg_vuart vuarts_a[] = {
    {.port = 0x3f8, .gsi = 4, .console = true, .peer = CFG_NO_VUART},
    {.port = 0x2f8, .gsi = 3, .peer = 3},
};
static const struct cfg_vuart vuarts_b[] = {
    {.port = 0x3f8, .gsi = 4, .console = true, .peer = CFG_NO_VUART},
    {.port = 0x3e8, .gsi = 5, .peer = 1},
};
static const struct cfg_vuart vuarts_c[] = {{.port = 0x3f8, .gsi = 4, .console = true, .peer = CFG_NO_VUART}};
static const struct cfg_vuart vuarts_svc[] = {
    {.port = 0x3f8, .gsi = 4, .console = true, .peer = CFG_NO_VUART},
    {.port = 0x2e8, .gsi = 3, .peer = 7},
};
static const struct cfg_vuart vuarts_u1[] = {{.port = 0x2f8, .gsi = 3, .peer = 6}};
static const struct cfg_shm_view shms_a[] = {{.gpa = 0x8000000, .shm = 0, .writable = true}};
static const struct cfg_shm_view shms_b[] = {{.gpa = 0x9000000, .shm = 0, .writable = false}};
static const struct cfg_shm_view shms_svc[] = {{.gpa = 0x3200000, .shm = 1, .writable = true}};
static const struct cfg_shm_view shms_u1[] = {{.gpa = 0x80000000, .shm = 1, .writable = false}};
static const u16 devs_a[] = {0x28};
static const u16 devs_u1[] = {0x10};

extern const struct cfg_vm cfg_vms[CFG_VMS] FAKE;
const struct cfg_vm cfg_vms[CFG_VMS] = {
    {
        .name = "a",
        .key = "00000000-0000-4000-8000-00000000000a",
        .kind = VM_PRELAUNCHED,
        .devs = devs_a,
        .dev_count = 1,
        .flags = VM_FLAG_AUTOSTART,
        .vcpu_count = 2,
        .first_vcpu = 0,
        .pcpus = pcpus_a,
        .pcpu_count = 2,
        .mem_count = ARRAY_SIZE(mem_a),
        .mem = mem_a,
        .vuart_count = ARRAY_SIZE(vuarts_a),
        .first_vuart = 0,
        .vuarts = vuarts_a,
        .shm_count = ARRAY_SIZE(shms_a),
        .shms = shms_a,
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
        .pcpu_count = 2,
        .mem_count = ARRAY_SIZE(mem_b),
        .mem = mem_b,
        .vuart_count = ARRAY_SIZE(vuarts_b),
        .first_vuart = 2,
        .vuarts = vuarts_b,
        .shm_count = ARRAY_SIZE(shms_b),
        .shms = shms_b,
        .clos = 1,
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
        .pcpu_count = 1,
        .mem_count = ARRAY_SIZE(mem_c),
        .mem = mem_c,
        .vuart_count = ARRAY_SIZE(vuarts_c),
        .first_vuart = 4,
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
    {
        .name = "svc",
        .key = "00000000-0000-4000-8000-00000000000d",
        .kind = VM_SERVICE,
        .vcpu_count = 3,
        .first_vcpu = 5,
        .pcpus = pcpus_svc,
        .pcpu_count = 3,
        .mem_count = ARRAY_SIZE(mem_svc),
        .mem = mem_svc,
        .vuart_count = ARRAY_SIZE(vuarts_svc),
        .first_vuart = 5,
        .vuarts = vuarts_svc,
        .shm_count = ARRAY_SIZE(shms_svc),
        .shms = shms_svc,
        .boot = {.kind = BOOT_BZIMAGE, .kernel_module = 0, .initrd_module = 1, .cmdline = "console=ttyS0"},
        .s2_pages = 24,
        .first_s2_page = 64,
    },
    {
        .name = "u1",
        .key = "d2795438-25d6-11e8-864e-cb7a18b34643",
        .key_bytes = FAKE_KEY_U1,
        .kind = VM_USER,
        .vcpu_count = 2,
        .first_vcpu = 8,
        .pcpus = pcpus_u1,
        .pcpu_count = 3,
        .s2_pages = 32,
        .first_s2_page = 88,
        .user_flags = HC_VM_SECURE_WORLD | HC_VM_IO_POLLING,
        .mem_limit = 0x3000000,
        .dev_count = 1,
        .devs = devs_u1,
        .vuart_count = ARRAY_SIZE(vuarts_u1),
        .first_vuart = 7,
        .vuarts = vuarts_u1,
        .shm_count = ARRAY_SIZE(shms_u1),
        .shms = shms_u1,
        .clos = 2,
    },
    {
        .name = "u2",
        .key = "second",
        .key_bytes = FAKE_KEY_U2,
        .kind = VM_USER,
        .vcpu_count = 3,
        .first_vcpu = 10,
        .pcpus = pcpus_u2,
        .pcpu_count = 3,
        .s2_pages = 32,
        .first_s2_page = 120,
        .mem_limit = 0x3000000,
    },
    {
        .name = "spare",
        .key = "",
        .kind = VM_USER,
        .flags = VM_FLAG_SPARE,
        .vcpu_count = 2,
        .first_vcpu = 13,
        .pcpus = pcpus_spare,
        .pcpu_count = 2,
        .s2_pages = 20,
        .first_s2_page = 152,
        .mem_limit = 0x1000000,
    },
    {
        .name = "rt",
        .key = "realtime",
        .key_bytes = FAKE_KEY_RT,
        .kind = VM_USER,
        .vcpu_count = 1,
        .first_vcpu = 15,
        .pcpus = pcpus_rt,
        .pcpu_count = 1,
        .s2_pages = 20,
        .first_s2_page = 172,
        .user_flags = HC_VM_LAPIC_PASSTHROUGH | HC_VM_IO_POLLING | HC_VM_RT,
        .mem_limit = 0x1000000,
    },
};

extern const struct cfg_module cfg_modules[CFG_MODULES + 1] FAKE;
const struct cfg_module cfg_modules[CFG_MODULES + 1] = {
    {.name = "kernel", .max_size = 0x800000},
    {.name = "initrd", .max_size = 0x400000},
    {.name = "blob", .max_size = 0x400000},
    {0},
};
