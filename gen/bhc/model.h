/*
 * The typed model of one board and one scenario. read_*.c fill it from XML whose shape the XSD has accepted,
 * rules_*.c judge it, place.c completes it (fields marked "placed"), tree.c turns it into what is emitted.
 * Strings and arrays live in the arena; no string is NULL unless said so.
 */
#ifndef BHC_MODEL_H
#define BHC_MODEL_H

#include "diag.h"
#include "digest.h"

/* Limits of the hypervisor's own encodings, not of memory. */
#define MAX_PCPUS      64 /* CPU sets are one 64-bit word */
#define MAX_VMS        64 /* one console channel byte per VM (core/console.h) */
#define MAX_NAME       31 /* characters of a VM's or module's name */
#define MAX_KEY        63
#define MAX_READY      200
#define MAX_CMDLINE    2047 /* Linux's COMMAND_LINE_SIZE on x86, less its NUL */
#define MAX_RAM_BLOCKS 8    /* the guest memory map (e820) has 16 entries in all */
#define MAX_VUARTS     4    /* as many as PCs have ports for */
#define MAX_MODULES    32   /* what the hypervisor takes from its boot loader (boot/multiboot.h) */
#define MAX_LINKS      (MAX_VMS * MAX_VUARTS / 2)
#define MAX_SHMS       32     /* shared memories of a scenario */
#define MAX_CLASSES    256    /* cache classes: more than two caches have */
#define LOW_RAM_LIMIT  GIB(2) /* guest RAM beyond this continues at HIGH_RAM_BASE */
#define HIGH_RAM_BASE  GIB(4)
#define NO_INDEX       0xffffu
#define NO_GROUP       0xffffffffu /* iommu-group of a function that has none */
#define MAX_PX         20          /* hypercall-abi.md: MAX_PSTATE, MAX_CX_ENTRY */
#define MAX_CX         7
#define MAX_USER_VCPUS 8 /* what the I/O request page and the ABI's CPU maps are used for */
#define KEY_BYTES      16
#define MAX_KEY_NAME   (KEY_BYTES - 1) /* characters of a key that is a name: its last byte stays zero */
#define FIRST_VECTOR   0x20            /* lower ones belong to exceptions */
#define DEFAULT_VECTOR 0xf7            /* hypercall-abi.md section 8 */
#define HOTPLUG_PORTS  12              /* QEMU's CPU hot-plug register block */
/* The service VM's memory map holds its blocks and four more entries (MAX_RAM_BLOCKS above). */
#define MAX_SERVICE_BLOCKS 12
#define MIN_SERVICE_RAM    MIB(64)

struct named {
    struct where at;
    const char *name;
};

struct emulator {
    bool present;
    struct where at;
    const char *kind, *machine, *cpu, *memory, *min_version;
    u64 memory_bytes;
};

struct core {
    struct where at;
    u32 apic_id;
    bool efficient;
};

/* A PCI function by its address, wherever one is named. */
struct pci_name {
    struct where at;
    const char *address; /* bb:dd.f, whatever way the file spells it */
    u16 bdf;
};

struct region {
    struct where at;
    u64 base, size;
    const char *what;
    size_t device_count; /* of <reserved>: functions that firmware lets read and write it (RMRR, IVMD) */
    struct pci_name *devices;
};

/* Intel RDT: a cache that classes of service divide (CPUID leaf 0x10). */
struct cache_alloc {
    struct where at;
    u64 level, ways, classes;
};

struct iommu {
    struct where at;
    const char *kind; /* vtd, amd-vi */
    u64 base;
    bool all;
    size_t device_count;
    struct pci_name *devices;
};

struct ioapic {
    struct where at;
    u8 id, pins;
    u32 gsi_base;
    u64 base;
};

struct mcfg {
    bool present;
    struct where at;
    u64 base;
    u8 start_bus, end_bus;
};

struct acpi_regs {
    struct where at;
    u16 pm_timer_port, pm1a_cnt_port, reset_port, cpu_hotplug_port;
    u8 reset_value, s5_slp_typ;
};

/* Performance and idle states (ACPI _PSS and _CST). */
struct px_state {
    struct where at;
    u64 core_mhz, power_mw, latency_us, bus_master_us, control, status;
};

struct cx_state {
    struct where at;
    u8 type;
    u8 space; /* ACPI address space id */
    u8 width, offset, access;
    u64 address, power_mw;
    u32 latency_us;
};

struct uart {
    struct where at;
    const char *name;
    u16 port;
    u8 gsi;
    u32 baud, clock_hz;
    bool on_pci; /* else a legacy port, and pci is empty */
    struct pci_name pci;
};

struct pci_bar {
    struct where at;
    u8 index;
    bool is_io;
    u64 base, size;
};

struct pci_function {
    struct where at;
    const char *address; /* bb:dd.f, whatever way the file spells it */
    u16 bdf, vendor, device;
    u32 class_code;
    bool has_group, acs;
    u32 iommu_group;
    size_t bar_count;
    struct pci_bar *bars;
    bool has_intx, has_msi, has_msix;
    struct where intx_at, msi_at, msix_at;
    u8 intx_pin; /* 1: INTA# */
    u32 intx_gsi;
    u64 msi_vectors, msix_vectors;
    u8 msix_bar;
    u64 msix_offset;
};

struct board {
    struct where at;
    const char *name, *description;
    struct emulator emulator;
    struct where cpu_at;
    const char *vendor, *extension;
    size_t feature_count;
    struct named *features;
    size_t mitigation_count;
    struct named *mitigations;
    size_t core_count;
    struct core *cores;
    size_t cache_count;
    struct cache_alloc *caches;
    u64 tsc_hz; /* 0: calibrate */
    bool tsc_invariant;
    struct where memory_at;
    u64 trampoline;
    size_t ram_count;
    struct region *ram; /* in the order of the file until placed: then ascending */
    size_t reserved_count;
    struct region *reserved;
    struct where lapic_at;
    u64 lapic_base;
    size_t ioapic_count;
    struct ioapic *ioapics;
    struct mcfg mcfg;
    struct acpi_regs acpi;
    size_t px_count;
    struct px_state *px;
    size_t cx_count;
    struct cx_state *cx;
    size_t uart_count;
    struct uart *uarts;
    size_t iommu_count;
    struct iommu *iommus;
    size_t window_count; /* memory windows of host bridges */
    struct region *windows;
    size_t pci_count;
    struct pci_function *pci;
    const struct pci_function **pci_sorted; /* the same by bdf, file order among equals; of read_board() */
    size_t quirk_count;
    struct named *quirks;
};

struct module {
    struct where at;
    const char *name, *source;
    u64 max_size;
    u64 store_size; /* max_size rounded up to 4 KiB */
};

struct vm_cpu {
    struct where at;
    u64 id;
};

struct vm_ram {
    struct where at;
    bool fixed; /* base was given */
    u64 base;   /* host-physical; placed when not fixed */
    u64 size;
};

/* placed: a piece of guest RAM, ascending gpa */
struct vm_mem {
    u64 gpa, hpa, size;
};

struct vm_vuart {
    struct where at;
    u16 port;
    u8 irq;
    bool console;
    u32 peer; /* placed: index among all VMs' vUARTs of the one it is joined to, or NO_INDEX */
};

struct vm_boot {
    bool present; /* else: kind "none", no modules */
    struct where at;
    const char *kind;     /* bzimage, elf, multiboot, raw */
    const char *protocol; /* auto, 32, 64; NULL: not given */
    const char *kernel;
    const char *initrd; /* NULL: none */
    const char *cmdline;
    bool has_load, has_entry;
    u64 load, entry;
    u32 kernel_index, initrd_index; /* placed */
};

/* In the order in which the hypervisor keeps VMs. */
enum vm_kind { KIND_PRELAUNCHED, KIND_SERVICE, KIND_USER, KIND_COUNT };
extern const char *const kind_names[KIND_COUNT];

/* Bits of vm.flags, in the order of flag_names. A user slot's are what its VM may ask for. */
enum vm_flag {
    FLAG_RT = 1u << 0,
    FLAG_HYPERCALL = 1u << 1,
    FLAG_POLLING = 1u << 2,
    FLAG_LAPIC_PASSTHROUGH = 1u << 3,
    FLAG_SECURE_WORLD = 1u << 4,
};
extern const char *const flag_names[]; /* NULL-terminated */

/* <service>: how the service VM and the hypervisor deal with each other */
struct vm_service {
    bool present;
    struct where at;
    const char *abi; /* v1, hsm */
    u64 upcall_vector;
    bool debug_hypercalls;
    const char *dma; /* unprotected; NULL: not given */
};

/* Where a VM sees a memory BAR of a device. */
struct vm_bar {
    struct where at;
    u8 index;
    u64 gpa;
    u64 size; /* placed */
};

struct vm_device {
    struct where at;
    const char *address; /* bb:dd.f, whatever way the file spells it */
    u16 bdf;
    bool has_vendor, has_device, has_virtual, intx;
    u16 vendor, device;
    const char *virtual_address; /* as address; "" when not given until placed */
    u16 virtual_bdf;             /* placed when not given (VMs of kind pre-launched and user) */
    size_t bar_count;
    struct vm_bar *bars; /* those that the file names; placed: all memory BARs */
};

struct vm_irq {
    struct where at;
    u32 gsi, line;
};

struct vm {
    struct where at;
    enum vm_kind kind;
    const char *name;
    const char *key; /* "" when not given */
    bool has_key, spare;
    bool has_autostart, autostart;
    u32 flags;
    bool has_cpus;
    struct where cpus_at; /* the VM's own place when it has no <cpus> */
    size_t cpu_count;
    struct vm_cpu *cpus; /* a user slot's: the CPUs its vCPUs may be put on */
    bool has_vcpus;
    struct where vcpus_at;
    u64 vcpu_count; /* as many as CPUs, but for user slots */
    bool has_memory, has_limit;
    struct where memory_at;
    u64 mem_limit;
    size_t ram_count;
    struct vm_ram *ram;
    size_t vuart_count;
    struct vm_vuart *vuarts;
    struct vm_boot boot;
    struct vm_service service;
    struct where flags_at, devices_at; /* line 0: not there */
    const char *dma;                   /* unprotected; NULL: not given */
    size_t device_count;
    struct vm_device *devices;
    size_t irq_count;
    struct vm_irq *irqs;
    const char *ready;    /* NULL: none */
    const char *ready_on; /* VM on whose console it appears; NULL: not given */
    struct where ready_at;
    /* placed: */
    size_t mem_count;
    struct vm_mem *mem;
    u32 first_vcpu, first_pcpu, first_mem, first_vuart, first_device, first_s2_page, s2_pages;
    u32 shm_count, first_shm; /* its <user>s of shared memories, VM by VM and in the order of the file */
    u32 clos;                 /* class of service of its CPUs */
};

struct hypervisor {
    struct where at;
    const char *loglevel;
    struct where console_at;
    const char *console_uart;
    const char *console_vm; /* NULL: the shell */
    u64 console_cpu;
    struct where image_at;
    u64 image_base, image_size;
    struct where store_at;
    bool store_base_given, store_size_given;
    u64 store_base, store_size; /* placed when not given; store_init() */
};

struct vm_name {
    struct where at;
    const char *vm;
};

/* Two vUARTs joined; a rule sees to it that there are two ends. */
struct link_end {
    struct where at;
    const char *vm;
    u16 port;
};

struct link {
    struct where at;
    size_t end_count;
    struct link_end *ends;
};

struct shm_user {
    struct where at;
    const char *vm;
    bool has_gpa, writable;
    u64 gpa; /* placed when not given: the host address */
};

struct shm {
    struct where at;
    const char *name;
    u64 id, size;
    bool fixed; /* base was given */
    u64 base;   /* placed when not fixed */
    size_t user_count;
    struct shm_user *users;
};

struct cache_class {
    struct where at;
    u64 id, level, mask;
    size_t user_count;
    struct vm_name *users;
};

/* A device and the VM that is given it. */
struct given {
    const struct vm *vm;
    const struct vm_device *device;
    size_t order; /* in the file */
};

struct scenario {
    struct where at;
    const char *name, *description;
    struct hypervisor hv;
    size_t module_count;
    struct module *modules;
    size_t vm_count;
    struct vm *vms;
    size_t link_count;
    struct link *links;
    size_t shm_count;
    struct shm *shms;
    size_t class_count;
    struct cache_class *classes;
    size_t given_count;
    struct given *given; /* by bdf, file order among equals; of read_scenario(), before placing */
    /* placed: */
    u32 vcpu_total, vcpu_max, pcpu_total, mem_total, vuart_total, device_total, s2_total, shm_user_total;
};

struct config {
    struct board board;
    struct scenario scenario;
    struct input board_input, scenario_input;
};

/* Fills in what both files together imply and rules judge as if it had been written: the CPUs of a service VM
 * without <cpus>. Before the rules of SCOPE_BOTH. */
void complete(struct config *c);

/* Index of the module or VM of that name, or NO_INDEX. */
u32 module_index(const struct scenario *s, const char *name);
u32 vm_index(const struct scenario *s, const char *name);
/* The first service VM, or NULL. */
const struct vm *service_vm(const struct scenario *s);
/* The board's function at that address, or NULL. Bounded by log n. */
const struct pci_function *pci_find(const struct board *b, u16 bdf);
/* The I/O APIC that takes the interrupt, or NULL. */
const struct ioapic *ioapic_of(const struct board *b, u32 gsi);
/* The VM's vUART at that port, or NULL. */
struct vm_vuart *vuart_find(const struct vm *vm, u16 port);
size_t user_vm_count(const struct scenario *s);

/* The 16 bytes that stand for a key in hypercalls: a UUID's in the order it is written, or those of a name of
 * 1 to MAX_KEY_NAME characters, zero-padded. False: it is neither. */
bool key_bytes(const char *key, u8 out[KEY_BYTES]);

/* What the hypervisor knows by name; the enumerators of config.h are these names in capitals. */
extern const char *const feature_names[]; /* NULL-terminated */
extern const char *const quirk_names[];
extern const char *const mitigation_names[];
bool name_known(const char *const *names, const char *name);
/* "a, b, c" for messages. */
const char *names_text(const char *const *names);

#endif
