/*
 * PROFILING_OPS: its commands, their structures, and the records that the collectors write into the sbufs of
 * a CPU, byte for byte as hypercall-abi.md section 3.9 gives them; the behaviour is its section 2.8. Layer 1.
 */
#ifndef BH_ABI_PROFILING_H
#define BH_ABI_PROFILING_H

#include <abi/hypercall.h>
#include <lib/types.h>

/* RDI: what is asked for; RSI: GPA of the structure named here, in and out unless it says otherwise. */
enum hc_prof_cmd {
    HC_PROF_MSR_OPS,            /* struct hc_prof_msr_ops_list, one per physical CPU */
    HC_PROF_GET_VMINFO,         /* struct hc_prof_vm_info_list, out */
    HC_PROF_GET_VERSION,        /* struct hc_prof_version_info, out */
    HC_PROF_GET_CONTROL_SWITCH, /* struct hc_prof_control */
    HC_PROF_SET_CONTROL_SWITCH, /* struct hc_prof_control */
    HC_PROF_CONFIG_PMI,         /* struct hc_prof_pmi_config */
    HC_PROF_CONFIG_VMSWITCH,    /* struct hc_prof_vmsw_config */
    HC_PROF_GET_PCPUID,         /* struct hc_prof_pcpuid */
    HC_PROF_GET_STATUS,         /* struct hc_prof_status, one per physical CPU, out */
};

enum hc_prof_collector { HC_PROF_SEP, HC_PROF_SOCWATCH };

#define HC_PROF_MAJOR 1
#define HC_PROF_MINOR 0

/* What SEP can do: bits of the version's features and of its control switch, and the data_type of its
 * records. */
enum hc_prof_feature {
    HC_PROF_CORE_SAMPLING = 1u << 0,
    HC_PROF_CORE_COUNTING = 1u << 1,
    HC_PROF_PEBS = 1u << 2,
    HC_PROF_LBR = 1u << 3,
    HC_PROF_UNCORE = 1u << 4,
    HC_PROF_VM_SWITCH = 1u << 5,
    HC_PROF_FEATURES = HC_PROF_CORE_SAMPLING | HC_PROF_CORE_COUNTING | HC_PROF_LBR | HC_PROF_VM_SWITCH,
};

/* Control switch of SoCWatch. */
#define HC_PROF_SOCWATCH_COMMAND   0x1u
#define HC_PROF_SOCWATCH_VM_SWITCH 0x2u

struct hc_prof_version_info {
    s32 major;
    s32 minor;
    s64 supported_features; /* enum hc_prof_feature */
    s64 reserved;
};
HC_SIZE(struct hc_prof_version_info, 24, 8);
HC_AT(struct hc_prof_version_info, minor, 4);
HC_AT(struct hc_prof_version_info, supported_features, 8);

struct hc_prof_pcpuid {
    u32 leaf;
    u32 subleaf;
    u32 eax; /* this and what follows: out */
    u32 ebx;
    u32 ecx;
    u32 edx;
};
HC_SIZE(struct hc_prof_pcpuid, 24, 4);
HC_AT(struct hc_prof_pcpuid, subleaf, 4);
HC_AT(struct hc_prof_pcpuid, eax, 8);
HC_AT(struct hc_prof_pcpuid, edx, 20);

struct hc_prof_control {
    s32 collector_id; /* enum hc_prof_collector */
    s32 reserved;
    u64 switches;
};
HC_SIZE(struct hc_prof_control, 16, 8);
HC_AT(struct hc_prof_control, switches, 8);

/* ---- which vCPU runs where ---- */

#define HC_PROF_VCPUS  8u
#define HC_PROF_HV_VM  0xffffu /* vm_id_num of the entry that stands for the hypervisor */
#define HC_PROF_HV_VMS 1u      /* entries beyond those of VMs */

struct hc_prof_cpu_map {
    s16 vcpu_id;
    s16 pcpu_id;
    u32 apic_id;
};
HC_SIZE(struct hc_prof_cpu_map, 8, 4);
HC_AT(struct hc_prof_cpu_map, pcpu_id, 2);
HC_AT(struct hc_prof_cpu_map, apic_id, 4);

struct hc_prof_vm_info {
    u16 vm_id_num;
    u8 uuid[16];
    char vm_name[16];
    u16 num_vcpus;
    struct hc_prof_cpu_map cpu_map[HC_PROF_VCPUS];
};
HC_SIZE(struct hc_prof_vm_info, 100, 4);
HC_AT(struct hc_prof_vm_info, uuid, 2);
HC_AT(struct hc_prof_vm_info, vm_name, 18);
HC_AT(struct hc_prof_vm_info, num_vcpus, 34);
HC_AT(struct hc_prof_vm_info, cpu_map, 36);

/* Its length depends on the build: as many entries as the VM table has slots, and HC_PROF_HV_VMS. */
struct hc_prof_vm_info_list {
    u16 num_vms; /* entries that are filled */
    u8 hole[2];
    struct hc_prof_vm_info vm_list[];
};
HC_SIZE(struct hc_prof_vm_info_list, 4, 4);
HC_AT(struct hc_prof_vm_info_list, vm_list, 4);
#define HC_PROF_VM_INFO_BYTES(vms)                                                                           \
    (sizeof(struct hc_prof_vm_info_list) + ((vms) + HC_PROF_HV_VMS) * sizeof(struct hc_prof_vm_info))
_Static_assert(HC_PROF_VM_INFO_BYTES(2) == 304, "hypercall-abi.md 3.9: list of a build with two slots");

/* ---- lists of MSR accesses ---- */

#define HC_PROF_MSR_OPS_MAX     15u         /* cells of a list */
#define HC_PROF_MSR_OPS_ENTRIES 14u         /* that MSR_OPS accepts */
#define HC_PROF_MSR_END         0xffffffffu /* msr_id: the list ends here */
#define HC_PROF_GROUPS          1u          /* num_groups */

enum hc_prof_msr_op_type { HC_PROF_MSR_NONE, HC_PROF_MSR_READ, HC_PROF_MSR_WRITE, HC_PROF_MSR_READ_CLEAR };
enum hc_prof_msr_op_state { HC_PROF_MSR_READY, HC_PROF_MSR_REQUESTED, HC_PROF_MSR_HANDLED };

struct hc_prof_msr_op {
    u64 value;
    u32 msr_id;
    u16 param;      /* SoCWatch, first entry: not 0 asks for a record with this data_type */
    u8 msr_op_type; /* enum hc_prof_msr_op_type */
    u8 reg_type;
};
HC_SIZE(struct hc_prof_msr_op, 16, 8);
HC_AT(struct hc_prof_msr_op, msr_id, 8);
HC_AT(struct hc_prof_msr_op, param, 12);
HC_AT(struct hc_prof_msr_op, msr_op_type, 14);
HC_AT(struct hc_prof_msr_op, reg_type, 15);

struct hc_prof_msr_ops_list {
    s32 collector_id;
    u32 num_entries;
    s32 msr_op_state; /* enum hc_prof_msr_op_state */
    u8 hole[4];
    struct hc_prof_msr_op entries[HC_PROF_MSR_OPS_MAX];
};
HC_SIZE(struct hc_prof_msr_ops_list, 256, 8);
HC_AT(struct hc_prof_msr_ops_list, num_entries, 4);
HC_AT(struct hc_prof_msr_ops_list, msr_op_state, 8);
HC_AT(struct hc_prof_msr_ops_list, entries, 16);

/* What each CPU does with its counters when sampling is set up, starts, stops, and around the interrupt. */
struct hc_prof_pmi_config {
    u32 num_groups;
    u32 trigger_count;
    struct hc_prof_msr_op initial_list[HC_PROF_GROUPS][HC_PROF_MSR_OPS_MAX];
    struct hc_prof_msr_op start_list[HC_PROF_GROUPS][HC_PROF_MSR_OPS_MAX];
    struct hc_prof_msr_op stop_list[HC_PROF_GROUPS][HC_PROF_MSR_OPS_MAX];
    struct hc_prof_msr_op entry_list[HC_PROF_GROUPS][HC_PROF_MSR_OPS_MAX];
    struct hc_prof_msr_op exit_list[HC_PROF_GROUPS][HC_PROF_MSR_OPS_MAX];
};
HC_SIZE(struct hc_prof_pmi_config, 1208, 8);
HC_AT(struct hc_prof_pmi_config, trigger_count, 4);
HC_AT(struct hc_prof_pmi_config, initial_list, 8);
HC_AT(struct hc_prof_pmi_config, start_list, 248);
HC_AT(struct hc_prof_pmi_config, stop_list, 488);
HC_AT(struct hc_prof_pmi_config, entry_list, 728);
HC_AT(struct hc_prof_pmi_config, exit_list, 968);

/* What each CPU does at VM entry and VM exit. */
struct hc_prof_vmsw_config {
    s32 collector_id;
    u8 hole[4];
    struct hc_prof_msr_op initial_list[HC_PROF_MSR_OPS_MAX];
    struct hc_prof_msr_op entry_list[HC_PROF_MSR_OPS_MAX];
    struct hc_prof_msr_op exit_list[HC_PROF_MSR_OPS_MAX];
};
HC_SIZE(struct hc_prof_vmsw_config, 728, 8);
HC_AT(struct hc_prof_vmsw_config, initial_list, 8);
HC_AT(struct hc_prof_vmsw_config, entry_list, 248);
HC_AT(struct hc_prof_vmsw_config, exit_list, 488);

struct hc_prof_status {
    u32 samples_logged;
    u32 samples_dropped;
};
HC_SIZE(struct hc_prof_status, 8, 4);
HC_AT(struct hc_prof_status, samples_dropped, 4);

/* ---- records in the sbufs ACRN_SEP and ACRN_SOCWATCH: a header, then the payload ---- */

#define HC_PROF_SEP_MARK 0x99999988u /* `reserved` of SEP's headers */

struct hc_data_header {
    s32 collector_id; /* enum hc_prof_collector */
    u16 cpu_id;
    u16 data_type; /* SEP: enum hc_prof_feature; SoCWatch: number of the feature, or `param` of the list */
    u64 tsc;
    u64 payload_size; /* bytes behind the header */
    u64 reserved;
} ALIGNED(32);
HC_SIZE(struct hc_data_header, 32, 32);
HC_AT(struct hc_data_header, cpu_id, 4);
HC_AT(struct hc_data_header, data_type, 6);
HC_AT(struct hc_data_header, tsc, 8);
HC_AT(struct hc_data_header, payload_size, 16);
HC_AT(struct hc_data_header, reserved, 24);

struct hc_core_pmu_sample { /* payload of HC_PROF_CORE_SAMPLING */
    u16 os_id;
    u16 reserved;
    u32 task_id;
    u64 rip;
    char task[16];
    u32 cpu_id;
    u32 process_id;
    u64 overflow_status;
    u32 rflags;
    u32 cs;
    u8 pad[8];
} ALIGNED(32);
HC_SIZE(struct hc_core_pmu_sample, 64, 32);
HC_AT(struct hc_core_pmu_sample, task_id, 4);
HC_AT(struct hc_core_pmu_sample, rip, 8);
HC_AT(struct hc_core_pmu_sample, task, 16);
HC_AT(struct hc_core_pmu_sample, cpu_id, 32);
HC_AT(struct hc_core_pmu_sample, process_id, 36);
HC_AT(struct hc_core_pmu_sample, overflow_status, 40);
HC_AT(struct hc_core_pmu_sample, rflags, 48);
HC_AT(struct hc_core_pmu_sample, cs, 52);

#define HC_PROF_LBRS 32u

struct hc_lbr_pmu_sample { /* payload of HC_PROF_LBR */
    u64 lbr_tos;
    u64 lbr_from_ip[HC_PROF_LBRS];
    u64 lbr_to_ip[HC_PROF_LBRS];
    u64 lbr_info[HC_PROF_LBRS];
    u8 pad[24];
} ALIGNED(32);
HC_SIZE(struct hc_lbr_pmu_sample, 800, 32);
HC_AT(struct hc_lbr_pmu_sample, lbr_from_ip, 8);
HC_AT(struct hc_lbr_pmu_sample, lbr_to_ip, 264);
HC_AT(struct hc_lbr_pmu_sample, lbr_info, 520);

struct hc_vm_switch_trace { /* payload of HC_PROF_VM_SWITCH */
    u64 vm_enter_tsc;
    u64 vm_exit_tsc;
    u64 vm_exit_reason;
    u16 os_id;
    u16 reserved;
    u8 pad[4];
} ALIGNED(32);
HC_SIZE(struct hc_vm_switch_trace, 32, 32);
HC_AT(struct hc_vm_switch_trace, vm_exit_tsc, 8);
HC_AT(struct hc_vm_switch_trace, vm_exit_reason, 16);
HC_AT(struct hc_vm_switch_trace, os_id, 24);

#endif
