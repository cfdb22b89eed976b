/*
 * The hypercall ABI as the guest programs see it: written from the fact sheet (hypercall-abi.md, section
 * numbers below), not from the hypervisor's headers, so that a mistake there is not repeated here.
 */
#ifndef GUEST_HCABI_H
#define GUEST_HCABI_H

#include "guest.h"

/* Section 2.1. */
enum {
    HC_VERSION = 0x80000000u,
    HC_OFFLINE_CPU = 0x80000001u,
    HC_CALLBACK_VECTOR = 0x80000002u,
    HC_PLATFORM_INFO = 0x80000003u,
    HC_CREATE_VM = 0x80000010u,
    HC_DESTROY_VM = 0x80000011u,
    HC_START_VM = 0x80000012u,
    HC_PAUSE_VM = 0x80000013u,
    HC_CREATE_VCPU = 0x80000014u,
    HC_RESET_VM = 0x80000015u,
    HC_SET_VCPU_REGS = 0x80000016u,
    HC_INJECT_MSI = 0x80000023u,
    HC_INTR_MONITOR = 0x80000024u,
    HC_SET_IRQLINE = 0x80000025u,
    HC_SET_IOREQ_BUFFER = 0x80000030u,
    HC_NOTIFY_FINISH = 0x80000031u,
    HC_GPA2HPA = 0x80000041u,
    HC_MEMORY_REGIONS = 0x80000042u,
    HC_WRITE_PROTECT = 0x80000043u,
    HC_ASSIGN_PTDEV = 0x80000050u,
    HC_DEASSIGN_PTDEV = 0x80000051u,
    HC_MSIX_REMAP = 0x80000052u,
    HC_SET_PTDEV_INTR = 0x80000053u,
    HC_RESET_PTDEV_INTR = 0x80000054u,
    HC_ASSIGN_PCIDEV = 0x80000055u,
    HC_CREATE_VDEV = 0x80000059u,
    HC_SETUP_SBUF = 0x80000060u,
    HC_NPK_LOG = 0x80000061u,
    HC_PROFILING = 0x80000062u,
    HC_HW_INFO = 0x80000063u,
    HC_TRUSTY_INIT = 0x80000070u,
    HC_WORLD_SWITCH = 0x80000071u,
    HC_TRUSTY_SAVE = 0x80000072u,
    HC_PM_STATE = 0x80000080u,
};

/* Section 0: errno values as they come, negated. */
enum { EPERM = 1, EIO = 5, ENOMEM = 12, EFAULT = 14, EBUSY = 16, ENODEV = 19, EINVAL = 22, ETIMEDOUT = 110 };

#define VMID_NONE 0xffffu

/* ---- section 3.6 ---- */
struct abi_version {
    u32 major, minor;
};
struct platform_info {
    u16 cpu_num;
    u8 reserved0[126];
    u16 max_vcpus;
    u8 max_kata;
    u8 reserved1[125];
};
_Static_assert(sizeof(struct platform_info) == 256, "3.6");
struct hw_info {
    u16 cpu_num;
    u16 reserved[3];
};
struct sbuf_setup {
    u16 pcpu;
    u16 reserved;
    u32 id;
    u64 gpa;
};
_Static_assert(sizeof(struct sbuf_setup) == 16, "3.6");

/* ---- section 3.2 ---- */
struct create_vm {
    u16 vmid;
    u16 reserved0;
    u16 vcpu_num;
    u16 reserved1;
    u8 key[16];
    u64 flags;
    u64 req_buf;
    u64 affinity; /* flavour hsm; reserved in v1 */
    u8 reserved2[8];
};
_Static_assert(sizeof(struct create_vm) == 56 && offsetof(struct create_vm, affinity) == 40, "3.2");
#define CREATE_VM_HSM_SIZE 48

struct create_vcpu {
    u16 vcpu, pcpu;
    u32 pad;
};
_Static_assert(sizeof(struct create_vcpu) == 8, "3.2");

struct gprs {
    u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};
struct table_reg {
    u16 limit;
    u64 base;
    u16 reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct table_reg) == 16, "3.2");

struct vcpu_regs {
    u16 vcpu;
    u16 reserved0[3];
    struct gprs gprs;
    struct table_reg gdt, idt;
    u64 rip, cs_base, cr0, cr4, cr3, efer, rflags;
    u64 reserved_64[4];
    u32 cs_ar, cs_limit, reserved_32[3];
    u16 cs, ss, ds, es, fs, gs, ldt, tr;
    u16 reserved_16[4];
    u32 tail;
};
_Static_assert(sizeof(struct vcpu_regs) == 304, "3.2");
_Static_assert(offsetof(struct vcpu_regs, rip) == 168 && offsetof(struct vcpu_regs, cr4) == 192 &&
                   offsetof(struct vcpu_regs, rflags) == 216 && offsetof(struct vcpu_regs, cs_ar) == 256 &&
                   offsetof(struct vcpu_regs, cs) == 276 && offsetof(struct vcpu_regs, tr) == 290,
               "3.2, each plus 8");
#define VCPU_REGS_USED 292 /* the bytes that have a meaning */

/* Flags in flavour v1's numbering; flavour hsm has RT at bit 4 (section 6.4). */
enum { VM_SECURE = 1, VM_LAPIC_PT = 2, VM_POLLING = 4, VM_RT = 0x20, VM_RT_HSM = 0x10 };

/* ---- section 3.3 ---- */
struct msi_entry {
    u64 addr, data;
};
struct intr_monitor {
    u32 cmd, buf_cnt;
    u64 buffer[48];
};
_Static_assert(sizeof(struct intr_monitor) == 392, "3.3");
struct ptdev_irq {
    u32 type;
    u16 virt_bdf, phys_bdf;
    u32 virt_pin, phys_pin, pic_pin, pad;
};
_Static_assert(sizeof(struct ptdev_irq) == 24, "3.3");
enum { LINE_HIGH, LINE_LOW, LINE_PULSE_UP, LINE_PULSE_DOWN };

/* ---- section 3.4 ---- */
struct memory_region {
    u32 type, prot;
    u64 gpa, src, size;
};
_Static_assert(sizeof(struct memory_region) == 32, "3.4");
struct set_regions {
    u16 vmid;
    u16 reserved0;
    u32 reserved1;
    u32 count;
    u32 hole;
    u64 regions;
};
_Static_assert(sizeof(struct set_regions) == 24 && offsetof(struct set_regions, regions) == 16, "3.4");
struct wp_data {
    u8 set, pad[7];
    u64 gpa;
};
_Static_assert(sizeof(struct wp_data) == 16, "3.4");
struct gpa2hpa {
    u64 gpa, hpa;
};
enum { MR_ADD = 0, MR_DEL = 2, MR_MODIFY = 3 };
enum {
    MEM_R = 1,
    MEM_W = 2,
    MEM_X = 4,
    MEM_RWX = 7,
    MEM_WB = 0x40,
    MEM_WT = 0x80,
    MEM_UC = 0x100,
    MEM_WC = 0x200
};
#define REGIONS_PER_PAGE 128

/* ---- sections 3.1, 4 ---- */
struct io_request {
    u32 type, completion_polling;
    u32 reserved0[14];
    u32 direction, pad0;
    u64 address; /* port number or guest-physical address */
    u64 size, value;
    u32 pad1[8];
    u32 reserved1, client;
    u32 processed;
    u32 pad2[29];
};
_Static_assert(sizeof(struct io_request) == 256 && offsetof(struct io_request, direction) == 64 &&
                   offsetof(struct io_request, address) == 72 && offsetof(struct io_request, value) == 88 &&
                   offsetof(struct io_request, client) == 132 &&
                   offsetof(struct io_request, processed) == 136,
               "3.1");
/* The union's other form (type REQ_PCICFG), at offset 64: its value has 32 bits, at the same place. */
struct pci_request {
    u32 direction, reserved[3];
    u64 size;
    u32 value, bus, dev, func, reg, pad;
};
_Static_assert(sizeof(struct pci_request) == 48 && offsetof(struct pci_request, value) == 24, "3.1");
enum { REQ_PORTIO, REQ_MMIO, REQ_PCICFG, REQ_WP };
enum { ST_PENDING, ST_COMPLETE, ST_PROCESSING, ST_FREE };
enum { DIR_READ, DIR_WRITE };
#define REQ_SLOTS 16

/* ---- section 3.5 ---- */
enum { PM_PX_CNT, PM_PX_DATA, PM_CX_CNT, PM_CX_DATA };

/* ---- section 3.8 ---- */
#define SBUF_MAGIC 0x5aa57aa71aa13aa3UL
struct sbuf {
    u64 magic;
    u32 ele_num, ele_size, head, tail, flags, reserved, overrun_cnt, size;
    u32 padding[6];
};
_Static_assert(sizeof(struct sbuf) == 64, "3.8");
enum { SBUF_TRACE, SBUF_HVLOG, SBUF_SEP, SBUF_SOCWATCH };
enum { SBUF_COUNT_OVERRUN = 1, SBUF_OVERWRITE = 2 };
struct trace_entry {
    u64 tsc;
    u64 id; /* 48 bits of event, 8 of count, 8 of CPU */
    u64 payload[2];
};
_Static_assert(sizeof(struct trace_entry) == 32, "3.8");

#endif
