/*
 * Types of the generated tables. gen/ renders one set of constants of these types for a board and a scenario;
 * the hypervisor holds no other configuration. Every table is const and lives in read-only memory. Layer 2.
 *
 * The generated header <config/sizes.h> gives the array sizes (see below); host unit tests bring their own.
 */
#ifndef BH_CONFIG_CONFIG_H
#define BH_CONFIG_CONFIG_H

#include <lib/types.h>
#include <config/sizes.h>

/*
 * sizes.h defines, all as plain integers:
 *   CFG_PCPUS            physical CPUs of the board that the hypervisor brings up
 *   CFG_VMS              VMs of the scenario
 *   CFG_VCPUS            vCPUs of all VMs together
 *   CFG_MAX_VCPUS_PER_VM largest vCPU count of one VM
 *   CFG_MODULES          boot modules
 *   CFG_VUARTS           vUARTs of all VMs together
 *   CFG_S2_PAGES         4 KiB pages for second-level tables, all VMs together
 *   CFG_HV_BASE          host-physical address of the image (2 MiB aligned)
 *   CFG_HV_SIZE          size of the region that belongs to the image (link fails if the image is larger)
 *   CFG_MODULE_BASE      host-physical address of the module store (page aligned)
 *   CFG_MODULE_SIZE      its size
 *   CFG_SERVICE          1 when the scenario has a service VM, else 0
 *   CFG_USER_VMS         user-VM slots: the last ones of cfg_vms
 *   CFG_APIC_ASSIST      1 when the board's CPUs may carry out part of a guest's local APIC, else 0
 *   CFG_LINKS            pairs of vUARTs that are joined
 *   CFG_USER_VUARTS      vUARTs of user-VM slots
 *   CFG_SHMS             shared memories
 *   CFG_SHM_USERS        places at which VMs see them, all together
 *   CFG_CACHES           caches of the board that classes of service can divide
 *   CFG_CACHE_CLASSES    masks that the scenario gives to classes
 */

/* ---- board ---- */

enum cpu_vendor { CPU_VENDOR_AMD, CPU_VENDOR_INTEL };

/* Emulator faults that a board may have (platform-notes.md); real hardware sets none. */
enum board_quirk {
    QUIRK_VIRQ_CR8_ABORT = 1u << 0,    /* QEMU SVM 1: CR8 write while V_IRQ is pending aborts the emulator */
    QUIRK_VMEXIT_INVALID_32 = 1u << 1, /* QEMU SVM 2: invalid-VMCB exit code has only its low 32 bits set */
    QUIRK_EXITINTINFO_TYPE3 = 1u << 2, /* QEMU SVM 4: V_IRQ interrupted by NPF is recorded with type 3 */
    QUIRK_SHADOW_NOT_LOADED = 1u << 3, /* QEMU SVM 5: interrupt shadow is not loaded at VMRUN */
    QUIRK_NO_XSETBV_EXIT = 1u << 4,    /* QEMU SVM 3: XSETBV and RDTSCP intercepts never fire */
    QUIRK_IOIO_NO_STRING_INFO = 1u << 5, /* QEMU SVM 7: IOIO info lacks address-size and segment bits */
    QUIRK_NPF_RSV_NO_P = 1u << 6,        /* QEMU SVM 7: reserved-bit NPF lacks the P bit */
    QUIRK_IF0_NO_EXTINT_EXIT = 1u << 7,  /* Bochs VMX 1 */
    QUIRK_NMI_BLOCK_STUCK = 1u << 8,     /* Bochs VMX 2 */
    QUIRK_VMEXIT_DROPS_INTR = 1u << 9,   /* QEMU SVM: an interrupt that another emulator thread raises during
                                            #VMEXIT may   stay in the APIC without reaching the CPU */
    QUIRK_XSAVEC_SIZE = 1u << 10,        /* Bochs: CPUID.D.1 EBX is not the compacted format's size */
};

/* How ACPI names a register (ACPI 5.2.3.2); the wire formats of the hypercall ABI are in abi/. */
struct cfg_acpi_reg {
    u8 space; /* address space id: 0 memory, 1 I/O, 0x7f fixed hardware */
    u8 bit_width;
    u8 bit_offset;
    u8 access_size;
    u64 address;
};

/* One performance state (ACPI _PSS), at most 20. */
struct cfg_px {
    u64 core_mhz, power_mw, latency_us, bus_master_us, control, status;
};

/* One idle state (ACPI _CST), at most 7; C1 first. */
struct cfg_cx {
    struct cfg_acpi_reg reg;
    u8 type;
    u32 latency_us;
    u64 power_mw;
};

/* CPU features the board promises and the boot check compares with CPUID. */
enum board_feature {
    FEAT_SVM = 1u << 0,
    FEAT_NPT = 1u << 1,
    FEAT_VMX = 1u << 2,
    FEAT_EPT = 1u << 3,
    FEAT_PAGE1G = 1u << 4,
    FEAT_NX = 1u << 5,
    FEAT_X2APIC = 1u << 6,
    FEAT_TSC_DEADLINE = 1u << 7,
    FEAT_XSAVE = 1u << 8,
    FEAT_SMEP = 1u << 9,
    FEAT_SMAP = 1u << 10,
    FEAT_RDTSCP = 1u << 11,
    FEAT_NRIPS = 1u << 12,
    FEAT_DECODE_ASSISTS = 1u << 13,
    FEAT_VPID = 1u << 14,
    FEAT_UNRESTRICTED_GUEST = 1u << 15,
};

/* What a board asks for at each VM entry, against leaks between what shares a core (SDM vol. 4 table 2-2:
 * IA32_ARCH_CAPABILITIES says which CPUs need neither). */
enum board_mitigation {
    MITIGATE_L1D_FLUSH = 1u << 0, /* L1 terminal fault: IA32_FLUSH_CMD */
    MITIGATE_MDS_CLEAR = 1u << 1, /* microarchitectural data sampling: VERW */
};

struct cfg_cpu {
    u32 apic_id;
};

struct cfg_range {
    u64 base;
    u64 size;
};

struct cfg_ioapic {
    u8 id;
    u8 pins;
    u32 gsi_base;
    u64 base;
};

struct cfg_pci_bar {
    u8 index;
    u8 is_io;
    u64 base;
    u64 size;
};

struct cfg_pci_fn {
    u16 bdf;
    u16 vendor;
    u16 device;
    u16 bar_count;
    u32 class_code;
    const struct cfg_pci_bar *bars;
};

/* A cache whose ways are given to classes of service (Intel RDT; SDM vol. 3B 17.19, APM vol. 2 19.4). */
struct cfg_cache {
    u8 level;    /* 2 or 3 */
    u8 ways;     /* bits of a class's mask, at most 32 */
    u16 classes; /* classes 0 to classes - 1 have masks */
};

struct cfg_uart {
    u16 port; /* I/O port base of a 16550 */
    u8 gsi;   /* its interrupt */
    u32 baud;
    u32 clock_hz; /* input clock, 1843200 on a PC */
};

struct cfg_board {
    const char *name;
    const char *description;
    enum cpu_vendor vendor;
    u32 features;    /* enum board_feature */
    u32 quirks;      /* enum board_quirk */
    u32 mitigations; /* enum board_mitigation */
    u32 cpu_count;   /* CFG_PCPUS */
    const struct cfg_cpu *cpus;
    u32 ram_count;
    const struct cfg_range *ram; /* usable RAM as the board declares it, ascending */
    u32 ioapic_count;
    const struct cfg_ioapic *ioapics;
    u64 lapic_base;
    u64 mcfg_base; /* 0: no memory-mapped configuration space */
    u8 mcfg_start_bus;
    u8 mcfg_end_bus;
    u16 pm_timer_port; /* 0: none */
    u16 pm1a_cnt_port;
    u16 reset_port;       /* 0xcf9 on a PC */
    u16 cpu_hotplug_port; /* 12 ports that report CPUs to the host's ACPI code; 0: none */
    u8 reset_value;
    u8 s5_slp_typ;
    u64 tsc_hz;         /* 0: calibrate at boot */
    bool tsc_invariant; /* board promises a constant, synchronised TSC even where CPUID does not say so */
    u32 trampoline;     /* page below 640 KiB for starting the other CPUs */
    struct cfg_uart console;
    u32 console_cpu; /* pCPU that serves the physical console and its interrupt */
    u32 pci_count;
    const struct cfg_pci_fn *pci;
    u32 px_count;
    const struct cfg_px *px;
    u32 cx_count;
    const struct cfg_cx *cx;
    const struct cfg_cache *caches; /* CFG_CACHES */
};

/* ---- scenario ---- */

enum vm_kind { VM_PRELAUNCHED, VM_SERVICE, VM_USER };

enum vm_flag {
    VM_FLAG_RT = 1u << 0,        /* real time */
    VM_FLAG_HYPERCALL = 1u << 1, /* may issue hypercalls (service VMs always may) */
    VM_FLAG_AUTOSTART = 1u << 2, /* started at boot */
    VM_FLAG_SPARE = 1u << 3,     /* user slot: takes any key that is not in use */
};

enum boot_kind { BOOT_NONE, BOOT_BZIMAGE, BOOT_ELF, BOOT_MULTIBOOT, BOOT_RAW };

enum boot_protocol { BOOT_PROTO_AUTO, BOOT_PROTO_32, BOOT_PROTO_64 };

#define CFG_NO_MODULE 0xffffu

struct cfg_boot {
    enum boot_kind kind;
    enum boot_protocol protocol; /* bzImage only */
    u16 kernel_module;           /* index into cfg_modules */
    u16 initrd_module;           /* or CFG_NO_MODULE */
    u64 load_addr;               /* raw: guest-physical load address; otherwise 0 */
    u64 entry;                   /* raw: guest-physical entry, real mode when below 1 MiB, else 32-bit flat */
    const char *cmdline;
};

/*
 * What a second-level mapping allows. Memory types: write-back unless one of the others is given. MEM_DEV
 * marks what is not RAM: the hypervisor never reads or writes it on a guest's behalf.
 */
enum mem_prot {
    MEM_R = 1u << 0,
    MEM_W = 1u << 1,
    MEM_X = 1u << 2,
    MEM_RWX = 7u,
    MEM_UC = 1u << 3,
    MEM_WT = 1u << 4,
    MEM_WC = 1u << 5,
    MEM_WP = 1u << 6,
    MEM_TYPES = MEM_UC | MEM_WT | MEM_WC | MEM_WP,
    MEM_DEV = 1u << 7,
};

/* A block of RAM that the VM owns. gpa, hpa and size are multiples of 4 KiB (2 MiB where placed by bhc). */
struct cfg_mem {
    u64 gpa;
    u64 hpa;
    u64 size;
};

struct cfg_vuart {
    u16 port;     /* guest I/O port base */
    u8 gsi;       /* guest interrupt line */
    bool console; /* backed by the hypervisor's console multiplexer; at most one per VM may say so */
    u16 peer; /* the vUART it is joined to, as an index among all VMs' (first_vuart + i), or CFG_NO_VUART */
};

#define CFG_NO_VUART 0xffffu

/* Memory that several VMs see. It belongs to none of them: no VM's mem contains it. */
struct cfg_shm {
    const char *name;
    u32 id;
    u64 hpa;
    u64 size; /* multiple of 4 KiB, as hpa */
};

/* A VM's view of one: gpa (multiple of 4 KiB) to gpa + its size, outside the VM's memory and devices. */
struct cfg_shm_view {
    u64 gpa;
    u16 shm; /* index into cfg_shms */
    bool writable;
};

/* The ways of one cache that a class of service may fill (bit n: way n). */
struct cfg_cache_class {
    u16 id;
    u8 level;
    u32 mask;
};

#define CFG_KEY_BYTES 16

/*
 * cfg_vms holds the pre-launched VMs first, then the service VM, then the user-VM slots. The service VM's
 * memory blocks have gpa == hpa. A user slot has no memory, console or boot image of its own: the service VM
 * brings them.
 */
struct cfg_vm {
    const char *name;
    const char *key; /* UUID text or any unique string; empty for a spare slot */
    enum vm_kind kind;
    u32 flags;      /* enum vm_flag */
    u16 vcpu_count; /* user slot: the most that it may have */
    u16 first_vcpu; /* index of vCPU 0 among all vCPUs: struct vcpu and tables are indexed by first_vcpu + id
                     */
    u16 pcpu_count;
    u16 mem_count;
    u16 vuart_count;
    u16 first_vuart;
    u16 dev_count;
    u16 shm_count;
    u16 clos;         /* class of service of the CPUs that run it; 0 when the scenario gives it none */
    const u16 *pcpus; /* pCPU of each vCPU; a user slot's may be more than its vCPUs: the CPUs it may use */
    const struct cfg_mem *mem; /* ascending gpa, never overlapping; mem[0].gpa is 0, and covers at least 2 MiB
                                  but for the service VM, where it ends below the EBDA */
    const struct cfg_vuart *vuarts;
    const u16 *devs; /* user slot: BDFs that it may be given */
    const struct cfg_shm_view *shms;
    struct cfg_boot boot;
    u32 s2_pages;                /* how many pages of the second-level pool belong to this VM ... */
    u32 first_s2_page;           /* ... and the first of them */
    u64 mem_limit;               /* user slot: bytes that may be mapped at one time, multiple of 4 KiB */
    u32 user_flags;              /* user slot: enum hc_vm_flag (abi/hypercall.h) that CREATE_VM may ask for */
    u8 key_bytes[CFG_KEY_BYTES]; /* the key as CREATE_VM names it; all zero for a spare slot, and where the
                                    key is neither a UUID nor a short name */
};

struct cfg_module {
    const char *name;
    u64 max_size; /* room that the module store keeps for it, multiple of 4 KiB */
};

/* Which of two incompatible editions of the hypercall ABI is spoken where they differ (hypercall-abi.md
 * section 6.4). */
enum hcall_abi { HCALL_ABI_V1, HCALL_ABI_HSM };

struct cfg_scenario {
    const char *name;
    const char *description;
    u32 loglevel;   /* initial, enum log_level */
    u16 console_vm; /* VM whose console is attached at boot, or CFG_NO_VM: the hypervisor shell */
    u16 service_vm; /* index in cfg_vms, or CFG_NO_VM */
    enum hcall_abi abi;
    u8 upcall_vector;      /* until the service VM sets another; 0x20..0xff */
    bool debug_hypercalls; /* the debug group answers */
};

#define CFG_NO_VM 0xffffu

extern const struct cfg_board cfg_board;
extern const struct cfg_scenario cfg_scenario;
extern const struct cfg_vm cfg_vms[CFG_VMS];
extern const struct cfg_module cfg_modules[CFG_MODULES + 1]; /* last entry is all zero */
/* One entry more than is used, so that none is an empty array. */
extern const struct cfg_shm cfg_shms[CFG_SHMS + 1];
extern const struct cfg_cache_class cfg_cache_classes[CFG_CACHE_CLASSES + 1];

#endif
