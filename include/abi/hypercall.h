/*
 * The hypercall ABI on the wire: identifiers, structures, constants, byte for byte as hypercall-abi.md gives
 * them (sections 2.1, 3.2 to 3.9, 6.2, 6.3; without 3.1, which is abi/ioreq.h, and 3.8, which is abi/sbuf.h).
 * Layer 1. Bytes called reserved or pad are ignored on input and zero on output.
 */
#ifndef BH_ABI_HYPERCALL_H
#define BH_ABI_HYPERCALL_H

#include <lib/types.h>

/* Register convention (section 1.1): id in R8, parameters in RDI and RSI, result in RAX: 32 bits,
 * sign-extended. */

#define HC_ID(low) (0x80000000u | (low))

/* general */
#define HC_GET_API_VERSION     HC_ID(0x00u)
#define HC_SOS_OFFLINE_CPU     HC_ID(0x01u)
#define HC_SET_CALLBACK_VECTOR HC_ID(0x02u)
#define HC_GET_PLATFORM_INFO   HC_ID(0x03u)
/* VM and vCPU life cycle */
#define HC_CREATE_VM     HC_ID(0x10u)
#define HC_DESTROY_VM    HC_ID(0x11u)
#define HC_START_VM      HC_ID(0x12u)
#define HC_PAUSE_VM      HC_ID(0x13u)
#define HC_CREATE_VCPU   HC_ID(0x14u)
#define HC_RESET_VM      HC_ID(0x15u)
#define HC_SET_VCPU_REGS HC_ID(0x16u)
/* interrupts */
#define HC_INJECT_MSI      HC_ID(0x23u)
#define HC_VM_INTR_MONITOR HC_ID(0x24u)
#define HC_SET_IRQLINE     HC_ID(0x25u)
/* I/O requests */
#define HC_SET_IOREQ_BUFFER      HC_ID(0x30u)
#define HC_NOTIFY_REQUEST_FINISH HC_ID(0x31u)
#define HC_ASYNCIO_ASSIGN        HC_ID(0x32u) /* section 6.2 */
#define HC_ASYNCIO_DEASSIGN      HC_ID(0x33u)
/* memory */
#define HC_VM_GPA2HPA            HC_ID(0x41u)
#define HC_VM_SET_MEMORY_REGIONS HC_ID(0x42u)
#define HC_VM_WRITE_PROTECT_PAGE HC_ID(0x43u)
#define HC_SETUP_SBUF_V3         HC_ID(0x44u) /* section 6.2: HC_SETUP_SBUF of later editions */
/* pass-through */
#define HC_ASSIGN_PTDEV          HC_ID(0x50u)
#define HC_DEASSIGN_PTDEV        HC_ID(0x51u)
#define HC_VM_PCI_MSIX_REMAP     HC_ID(0x52u)
#define HC_SET_PTDEV_INTR_INFO   HC_ID(0x53u)
#define HC_RESET_PTDEV_INTR_INFO HC_ID(0x54u)
/* section 6.2 */
#define HC_ASSIGN_PCIDEV       HC_ID(0x55u)
#define HC_DEASSIGN_PCIDEV     HC_ID(0x56u)
#define HC_ASSIGN_MMIODEV      HC_ID(0x57u)
#define HC_DEASSIGN_MMIODEV    HC_ID(0x58u)
#define HC_ADD_VDEV            HC_ID(0x59u)
#define HC_REMOVE_VDEV         HC_ID(0x5au)
#define HC_ASSIGN_PIO_REGION   HC_ID(0x5bu)
#define HC_DEASSIGN_PIO_REGION HC_ID(0x5cu)
/* debug */
#define HC_SETUP_SBUF       HC_ID(0x60u)
#define HC_SETUP_HV_NPK_LOG HC_ID(0x61u)
#define HC_PROFILING_OPS    HC_ID(0x62u)
#define HC_GET_HW_INFO      HC_ID(0x63u)
/* trusty */
#define HC_INITIALIZE_TRUSTY       HC_ID(0x70u)
#define HC_WORLD_SWITCH            HC_ID(0x71u)
#define HC_SAVE_RESTORE_SWORLD_CTX HC_ID(0x72u)
/* power management */
#define HC_PM_GET_CPU_STATE HC_ID(0x80u)

/* Static assertions on a structure: size, alignment; offset of a member. */
#define HC_SIZE(type, size, align)                                                                           \
    _Static_assert(sizeof(type) == (size) && _Alignof(type) == (align), "hypercall-abi.md: " #type)
#define HC_AT(type, member, offset)                                                                          \
    _Static_assert(offsetof(type, member) == (offset), "hypercall-abi.md: " #type "." #member)

/* VM ids on the wire are relative to the service VM (section 1.4). */
#define HC_INVALID_VMID 0xffffu

/*
 * What a VM may be created with (section 3.2), in the numbering of flavour v1, which is also the hypervisor's
 * own; flavour hsm numbers HIDE_MTRR and RT differently on the wire (section 6.4).
 */
enum hc_vm_flag {
    HC_VM_SECURE_WORLD = 1u << 0,
    HC_VM_LAPIC_PASSTHROUGH = 1u << 1,
    HC_VM_IO_POLLING = 1u << 2,
    HC_VM_CLOS = 1u << 3,
    HC_VM_HIDE_MTRR = 1u << 4,
    HC_VM_RT = 1u << 5,
    HC_VM_HIGHEST_SEVERITY = 1u << 6,
    HC_VM_FLAGS_FROM_DM = HC_VM_SECURE_WORLD | HC_VM_LAPIC_PASSTHROUGH | HC_VM_IO_POLLING | HC_VM_RT,
};

/* The bits of flavour hsm that mean something else in flavour v1. */
#define HC_VM_HSM_HIDE_MTRR 0x08u
#define HC_VM_HSM_RT        0x10u

#define HC_API_MAJOR 1u
#define HC_API_MINOR 0u

/* ---- VMs and vCPUs (sections 3.2, 6.3) ---- */

/* CREATE_VM. The first 40 bytes are common; behind them flavour v1 has 16 reserved bytes and flavour hsm 8
 * bytes of affinity, and nothing behind those belongs to the caller's structure. */
struct hc_create_vm {
    u16 vmid; /* out */
    u16 reserved0;
    u16 vcpu_num; /* out in flavour hsm */
    u16 reserved1;
    u8 key[16]; /* v1: UUID; hsm: name */
    u64 vm_flag;
    u64 req_buf;      /* bookkeeping of the caller's */
    u64 cpu_affinity; /* hsm: bit per physical CPU; v1: reserved */
};
HC_SIZE(struct hc_create_vm, 48, 8);
HC_AT(struct hc_create_vm, vcpu_num, 4);
HC_AT(struct hc_create_vm, key, 8);
HC_AT(struct hc_create_vm, vm_flag, 24);
HC_AT(struct hc_create_vm, req_buf, 32);
HC_AT(struct hc_create_vm, cpu_affinity, 40);

/* As callers of flavour v1 know it: 16 reserved bytes where the affinity is. */
struct hc_create_vm_v1 {
    struct hc_create_vm common;
    u8 reserved2[8]; /* the second half of them */
};
HC_SIZE(struct hc_create_vm_v1, 56, 8);
HC_AT(struct hc_create_vm_v1, reserved2, 48);

struct hc_create_vcpu {
    u16 vcpu_id;
    u16 pcpu_id;
    u8 pad[4];
} ALIGNED(8);
HC_SIZE(struct hc_create_vcpu, 8, 8);
HC_AT(struct hc_create_vcpu, pcpu_id, 2);

struct hc_descriptor_ptr {
    u16 limit;
    u64 base;
    u16 reserved[3];
} PACKED;
HC_SIZE(struct hc_descriptor_ptr, 16, 1);
HC_AT(struct hc_descriptor_ptr, base, 2);
HC_AT(struct hc_descriptor_ptr, reserved, 10);

/* SET_VCPU_REGS up to the last member that means something (offset 8 + 283): editions differ in what follows,
 * so nothing behind it is read. */
struct hc_vcpu_regs {
    u64 gprs[16]; /* in the order of enum guest_gpr */
    struct hc_descriptor_ptr gdt;
    struct hc_descriptor_ptr idt;
    u64 rip;
    u64 cs_base;
    u64 cr0;
    u64 cr4; /* before cr3 */
    u64 cr3;
    u64 ia32_efer;
    u64 rflags;
    u64 reserved_64[4];
    u32 cs_ar;
    u32 cs_limit;
    u32 reserved_32[3];
    u16 cs_sel;
    u16 ss_sel;
    u16 ds_sel;
    u16 es_sel;
    u16 fs_sel;
    u16 gs_sel;
    u16 ldt_sel;
    u16 tr_sel;
};
HC_SIZE(struct hc_vcpu_regs, 288, 8); /* with padding */
HC_AT(struct hc_vcpu_regs, gdt, 128);
HC_AT(struct hc_vcpu_regs, idt, 144);
HC_AT(struct hc_vcpu_regs, rip, 160);
HC_AT(struct hc_vcpu_regs, cs_base, 168);
HC_AT(struct hc_vcpu_regs, cr0, 176);
HC_AT(struct hc_vcpu_regs, cr4, 184);
HC_AT(struct hc_vcpu_regs, cr3, 192);
HC_AT(struct hc_vcpu_regs, ia32_efer, 200);
HC_AT(struct hc_vcpu_regs, rflags, 208);
HC_AT(struct hc_vcpu_regs, cs_ar, 248);
HC_AT(struct hc_vcpu_regs, cs_limit, 252);
HC_AT(struct hc_vcpu_regs, reserved_64, 216);
HC_AT(struct hc_vcpu_regs, reserved_32, 256);
HC_AT(struct hc_vcpu_regs, cs_sel, 268);
HC_AT(struct hc_vcpu_regs, ss_sel, 270);
HC_AT(struct hc_vcpu_regs, ds_sel, 272);
HC_AT(struct hc_vcpu_regs, es_sel, 274);
HC_AT(struct hc_vcpu_regs, fs_sel, 276);
HC_AT(struct hc_vcpu_regs, gs_sel, 278);
HC_AT(struct hc_vcpu_regs, ldt_sel, 280);
HC_AT(struct hc_vcpu_regs, tr_sel, 282);

struct hc_set_vcpu_regs {
    u16 vcpu_id;
    u16 reserved0[3];
    struct hc_vcpu_regs regs;
};
HC_SIZE(struct hc_set_vcpu_regs, 296, 8); /* as in flavour hsm */
HC_AT(struct hc_set_vcpu_regs, regs, 8);
/* What is copied in: the wrapper and the registers, without the padding at the end. */
#define HC_SET_VCPU_REGS_BYTES (8u + 284u)
_Static_assert(offsetof(struct hc_vcpu_regs, tr_sel) + 2 == 284, "hypercall-abi.md 3.2: last member");

/* As callers of flavour v1 know it: with four reserved words and more padding, none of which is read. */
struct hc_set_vcpu_regs_v1 {
    struct hc_set_vcpu_regs common;
    u8 reserved[8];
};
HC_SIZE(struct hc_set_vcpu_regs_v1, 304, 8);

struct hc_set_ioreq_buffer {
    u64 req_buf;
};
HC_SIZE(struct hc_set_ioreq_buffer, 8, 8);

/* ---- interrupts (section 3.3) ---- */

struct hc_irqline_ops { /* travels by value in RSI */
    u32 gsi;
    u32 op;
} ALIGNED(8);
HC_SIZE(struct hc_irqline_ops, 8, 8);
HC_AT(struct hc_irqline_ops, op, 4);

enum hc_irqline_op { HC_GSI_SET_HIGH, HC_GSI_SET_LOW, HC_GSI_RAISING_PULSE, HC_GSI_FALLING_PULSE };

struct hc_msi_entry {
    u64 msi_addr;
    u64 msi_data;
};
HC_SIZE(struct hc_msi_entry, 16, 8);
HC_AT(struct hc_msi_entry, msi_data, 8);

struct hc_nmi_entry { /* no call uses it */
    u16 vcpu_id;
    u16 reserved0;
    u32 reserved1;
} ALIGNED(8);
HC_SIZE(struct hc_nmi_entry, 8, 8);
HC_AT(struct hc_nmi_entry, reserved1, 4);

struct hc_pci_msix_remap { /* no call reads it */
    u16 virt_bdf;
    u16 phys_bdf;
    u16 msi_ctl;
    u16 reserved;
    u64 msi_addr;
    u32 msi_data;
    s32 msix;
    u32 msix_entry_index;
    u32 vector_ctl;
};
HC_SIZE(struct hc_pci_msix_remap, 32, 8);
HC_AT(struct hc_pci_msix_remap, phys_bdf, 2);
HC_AT(struct hc_pci_msix_remap, msi_ctl, 4);
HC_AT(struct hc_pci_msix_remap, msi_addr, 8);
HC_AT(struct hc_pci_msix_remap, msi_data, 16);
HC_AT(struct hc_pci_msix_remap, msix, 20);
HC_AT(struct hc_pci_msix_remap, msix_entry_index, 24);
HC_AT(struct hc_pci_msix_remap, vector_ctl, 28);

#define HC_VIOAPIC_PINS     48u /* of a user VM's I/O APIC */
#define HC_INTR_MONITOR_MAX 48u

enum hc_intr_cmd { HC_INTR_GET_DATA, HC_INTR_DELAY };

struct hc_intr_monitor {
    u32 cmd; /* enum hc_intr_cmd */
    u32 buf_cnt;
    u64 buffer[HC_INTR_MONITOR_MAX];
};
HC_SIZE(struct hc_intr_monitor, 392, 8);
HC_AT(struct hc_intr_monitor, buf_cnt, 4);
HC_AT(struct hc_intr_monitor, buffer, 8);

#define HC_MAX_PTDEV 24u

enum hc_ptdev_irq_type { HC_IRQ_INTX, HC_IRQ_MSI, HC_IRQ_MSIX };

struct hc_ptdev_irq {
    u32 type; /* enum hc_ptdev_irq_type */
    u16 virt_bdf;
    u16 phys_bdf;
    union {
        struct {
            u32 virt_pin;
            u32 phys_pin;
            u8 pic_pin; /* callers write 32 bits, only the low byte counts */
            u8 reserved[3];
        } intx;
        struct {
            u32 vector_cnt;
        } msix;
    } is;
    u8 pad[4];
} ALIGNED(8);
HC_SIZE(struct hc_ptdev_irq, 24, 8);
HC_AT(struct hc_ptdev_irq, virt_bdf, 4);
HC_AT(struct hc_ptdev_irq, phys_bdf, 6);
HC_AT(struct hc_ptdev_irq, is.intx.virt_pin, 8);
HC_AT(struct hc_ptdev_irq, is.intx.phys_pin, 12);
HC_AT(struct hc_ptdev_irq, is.intx.pic_pin, 16);
HC_AT(struct hc_ptdev_irq, is.msix.vector_cnt, 8);

/* ---- memory (section 3.4) ---- */

struct hc_memory_region {
    u32 type; /* enum hc_mr_type */
    u32 prot; /* HC_MEM_* */
    u64 gpa;
    u64 sos_vm_gpa;
    u64 size;
};
HC_SIZE(struct hc_memory_region, 32, 8);
HC_AT(struct hc_memory_region, prot, 4);
HC_AT(struct hc_memory_region, gpa, 8);
HC_AT(struct hc_memory_region, sos_vm_gpa, 16);
HC_AT(struct hc_memory_region, size, 24);

enum hc_mr_type { HC_MR_ADD = 0, HC_MR_DEL = 2, HC_MR_MODIFY = 3 };

#define HC_MEM_READ    0x1u
#define HC_MEM_WRITE   0x2u
#define HC_MEM_EXEC    0x4u
#define HC_MEM_RWX     0x7u
#define HC_MEM_TYPE_WB 0x40u
#define HC_MEM_TYPE_WT 0x80u
#define HC_MEM_TYPE_UC 0x100u
#define HC_MEM_TYPE_WC 0x200u
#define HC_MEM_TYPE_WP 0x400u

struct hc_set_regions {
    u16 vmid;
    u16 reserved0;
    u32 reserved1;
    u32 mr_num;
    u8 hole[4];
    u64 regions_gpa; /* of mr_num struct hc_memory_region */
};
HC_SIZE(struct hc_set_regions, 24, 8);
HC_AT(struct hc_set_regions, mr_num, 8);
HC_AT(struct hc_set_regions, regions_gpa, 16);

struct hc_wp_data {
    u8 set;
    u8 pad[7];
    u64 gpa;
};
HC_SIZE(struct hc_wp_data, 16, 8);
HC_AT(struct hc_wp_data, gpa, 8);

struct hc_gpa2hpa {
    u64 gpa;
    u64 hpa; /* out */
};
HC_SIZE(struct hc_gpa2hpa, 16, 8);
HC_AT(struct hc_gpa2hpa, hpa, 8);

/* ---- power management (sections 3.5, 6.3) ---- */

enum hc_acpi_space {
    HC_SPACE_MEMORY = 0,
    HC_SPACE_IO = 1,
    HC_SPACE_PCI_CONFIG = 2,
    HC_SPACE_EMBEDDED_CONTROL = 3,
    HC_SPACE_SMBUS = 4,
    HC_SPACE_PLATFORM_COMM = 10,
    HC_SPACE_FIXED_HW = 0x7f,
};

struct hc_acpi_address { /* not the 12 bytes of ACPI's own structure: see hc_acpi_address_hsm */
    u8 space_id;         /* enum hc_acpi_space */
    u8 bit_width;
    u8 bit_offset;
    u8 access_size;
    u8 hole[4];
    u64 address;
};
HC_SIZE(struct hc_acpi_address, 16, 8);
HC_AT(struct hc_acpi_address, access_size, 3);
HC_AT(struct hc_acpi_address, address, 8);

struct hc_cx_data { /* flavour v1 */
    struct hc_acpi_address cx_reg;
    u8 type;
    u8 hole[3];
    u32 latency;
    u64 power;
};
HC_SIZE(struct hc_cx_data, 32, 8);
HC_AT(struct hc_cx_data, type, 16);
HC_AT(struct hc_cx_data, latency, 20);
HC_AT(struct hc_cx_data, power, 24);

struct hc_acpi_address_hsm {
    u8 space_id;
    u8 bit_width;
    u8 bit_offset;
    u8 access_size;
    u64 address;
} PACKED;
HC_SIZE(struct hc_acpi_address_hsm, 12, 1);
HC_AT(struct hc_acpi_address_hsm, address, 4);

struct hc_cx_data_hsm { /* flavour hsm */
    struct hc_acpi_address_hsm cx_reg;
    u8 type;
    u8 hole[3];
    u32 latency;
    u8 hole2[4];
    u64 power;
};
HC_SIZE(struct hc_cx_data_hsm, 32, 8);
HC_AT(struct hc_cx_data_hsm, type, 12);
HC_AT(struct hc_cx_data_hsm, latency, 16);
HC_AT(struct hc_cx_data_hsm, power, 24);

struct hc_px_data {
    u64 core_frequency;     /* MHz */
    u64 power;              /* mW */
    u64 transition_latency; /* us */
    u64 bus_master_latency; /* us */
    u64 control;
    u64 status;
};
HC_SIZE(struct hc_px_data, 48, 8);
HC_AT(struct hc_px_data, power, 8);
HC_AT(struct hc_px_data, transition_latency, 16);
HC_AT(struct hc_px_data, bus_master_latency, 24);
HC_AT(struct hc_px_data, control, 32);
HC_AT(struct hc_px_data, status, 40);

struct hc_sx_pkg {
    u8 val_pm1a;
    u8 val_pm1b;
    u16 reserved;
    u8 pad[4];
} ALIGNED(8);
HC_SIZE(struct hc_sx_pkg, 8, 8);
HC_AT(struct hc_sx_pkg, val_pm1b, 1);
HC_AT(struct hc_sx_pkg, reserved, 2);

struct hc_pm_s_state_data { /* no call carries it */
    struct hc_acpi_address pm1a_evt;
    struct hc_acpi_address pm1b_evt;
    struct hc_acpi_address pm1a_cnt;
    struct hc_acpi_address pm1b_cnt;
    struct hc_sx_pkg s3_pkg;
    struct hc_sx_pkg s5_pkg;
    u64 wake_vector_32; /* pointers */
    u64 wake_vector_64;
};
HC_SIZE(struct hc_pm_s_state_data, 96, 8);
HC_AT(struct hc_pm_s_state_data, pm1b_evt, 16);
HC_AT(struct hc_pm_s_state_data, pm1a_cnt, 32);
HC_AT(struct hc_pm_s_state_data, pm1b_cnt, 48);
HC_AT(struct hc_pm_s_state_data, s3_pkg, 64);
HC_AT(struct hc_pm_s_state_data, s5_pkg, 72);
HC_AT(struct hc_pm_s_state_data, wake_vector_32, 80);
HC_AT(struct hc_pm_s_state_data, wake_vector_64, 88);

/* RDI of PM_GET_CPU_STATE: fields as (shift, width). */
#define HC_PMCMD_VMID  24, 8
#define HC_PMCMD_VCPU  16, 8
#define HC_PMCMD_STATE 8, 8
#define HC_PMCMD_TYPE  0, 8

enum hc_pm_type { HC_PM_PX_CNT, HC_PM_PX_DATA, HC_PM_CX_CNT, HC_PM_CX_DATA };

#define HC_MAX_PSTATE   20u
#define HC_MAX_CSTATE   8u /* C0 too */
#define HC_MAX_CX_ENTRY 7u

/* ---- general and debug (section 3.6) ---- */

struct hc_api_version {
    u32 major_version;
    u32 minor_version;
} ALIGNED(8);
HC_SIZE(struct hc_api_version, 8, 8);
HC_AT(struct hc_api_version, minor_version, 4);

struct hc_platform_info {
    u16 cpu_num; /* physical CPUs online */
    u8 reserved0[126];
    u16 max_vcpus_per_vm;
    u8 max_kata_containers;
    u8 reserved1[125];
} ALIGNED(8);
HC_SIZE(struct hc_platform_info, 256, 8);
HC_AT(struct hc_platform_info, reserved0, 2);
HC_AT(struct hc_platform_info, max_vcpus_per_vm, 128);
HC_AT(struct hc_platform_info, max_kata_containers, 130);
HC_AT(struct hc_platform_info, reserved1, 131);

struct hc_hw_info {
    u16 cpu_num;
    u16 reserved[3];
} ALIGNED(8);
HC_SIZE(struct hc_hw_info, 8, 8);
HC_AT(struct hc_hw_info, reserved, 2);

struct hc_sbuf_setup_param { /* also acrn_sbuf_param of section 6.3 */
    u16 pcpu_id;
    u16 reserved;
    u32 sbuf_id;
    u64 gpa;
};
HC_SIZE(struct hc_sbuf_setup_param, 16, 8);
HC_AT(struct hc_sbuf_setup_param, sbuf_id, 4);
HC_AT(struct hc_sbuf_setup_param, gpa, 8);

enum hc_npk_cmd { HC_NPK_INVALID, HC_NPK_CONF, HC_NPK_ENABLE, HC_NPK_DISABLE, HC_NPK_QUERY };
enum hc_npk_res { HC_NPK_RES_INVALID, HC_NPK_RES_OK, HC_NPK_RES_KO, HC_NPK_RES_ENABLED, HC_NPK_RES_DISABLED };
#define HC_NPK_KEEP_LEVEL 0xffffu

struct hc_npk_log_param {
    u16 cmd; /* enum hc_npk_cmd */
    u16 res; /* out: enum hc_npk_res */
    u16 loglevel;
    u16 reserved;
    u64 mmio_addr;
};
HC_SIZE(struct hc_npk_log_param, 16, 8);
HC_AT(struct hc_npk_log_param, res, 2);
HC_AT(struct hc_npk_log_param, loglevel, 4);
HC_AT(struct hc_npk_log_param, mmio_addr, 8);

/* sbuf_id of a VM's own buffers (section 6.2); 0 to 3 belong to a physical CPU (core/sbuf.h). */
#define HC_SBUF_ASYNCIO  64u
#define HC_SBUF_VM_EVENT 65u

#endif
