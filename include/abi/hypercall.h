/*
 * The hypercall ABI on the wire: identifiers, structures, constants, byte for byte as hypercall-abi.md gives
 * them (sections 2.1 and 3.6). Layer 1. Bytes called reserved or pad are ignored on input and zero on output.
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
/* memory */
#define HC_VM_GPA2HPA            HC_ID(0x41u)
#define HC_VM_SET_MEMORY_REGIONS HC_ID(0x42u)
#define HC_VM_WRITE_PROTECT_PAGE HC_ID(0x43u)
/* pass-through */
#define HC_ASSIGN_PTDEV          HC_ID(0x50u)
#define HC_DEASSIGN_PTDEV        HC_ID(0x51u)
#define HC_VM_PCI_MSIX_REMAP     HC_ID(0x52u)
#define HC_SET_PTDEV_INTR_INFO   HC_ID(0x53u)
#define HC_RESET_PTDEV_INTR_INFO HC_ID(0x54u)
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

/* VM ids on the wire are relative to the service VM (section 1.4). */
#define HC_INVALID_VMID 0xffffu

#define HC_API_MAJOR 1u
#define HC_API_MINOR 0u

/* ---- general and debug structures (section 3.6) ---- */

struct hc_api_version {
    u32 major_version;
    u32 minor_version;
} ALIGNED(8);
_Static_assert(sizeof(struct hc_api_version) == 8, "3.6 hc_api_version");
_Static_assert(_Alignof(struct hc_api_version) == 8, "3.6 hc_api_version");
_Static_assert(offsetof(struct hc_api_version, minor_version) == 4, "3.6 hc_api_version");

struct hc_platform_info {
    u16 cpu_num; /* physical CPUs online */
    u8 reserved0[126];
    u16 max_vcpus_per_vm;
    u8 max_kata_containers;
    u8 reserved1[125];
} ALIGNED(8);
_Static_assert(sizeof(struct hc_platform_info) == 256 && _Alignof(struct hc_platform_info) == 8,
               "3.6 hc_platform_info");
_Static_assert(offsetof(struct hc_platform_info, max_vcpus_per_vm) == 128 &&
                   offsetof(struct hc_platform_info, max_kata_containers) == 130,
               "3.6 hc_platform_info");

struct hc_hw_info {
    u16 cpu_num;
    u16 reserved[3];
} ALIGNED(8);
_Static_assert(sizeof(struct hc_hw_info) == 8, "3.6 acrn_hw_info");
_Static_assert(_Alignof(struct hc_hw_info) == 8, "3.6 acrn_hw_info");

struct hc_sbuf_setup_param {
    u16 pcpu_id;
    u16 reserved;
    u32 sbuf_id;
    u64 gpa;
};
_Static_assert(sizeof(struct hc_sbuf_setup_param) == 16 &&
                   offsetof(struct hc_sbuf_setup_param, sbuf_id) == 4 &&
                   offsetof(struct hc_sbuf_setup_param, gpa) == 8,
               "3.6 sbuf_setup_param");

struct hc_npk_log_param {
    u16 cmd;
    u16 res;
    u16 loglevel;
    u16 reserved;
    u64 mmio_addr;
};
_Static_assert(sizeof(struct hc_npk_log_param) == 16 && offsetof(struct hc_npk_log_param, loglevel) == 4 &&
                   offsetof(struct hc_npk_log_param, mmio_addr) == 8,
               "3.6 hv_npk_log_param");

#endif
