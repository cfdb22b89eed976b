/*
 * The virtual machine control block, AMD64 APM vol. 2 (24593) appendix B, and the constants that go with it.
 * Layer 6.
 */
#ifndef BH_X86_SVM_VMCB_H
#define BH_X86_SVM_VMCB_H

#include <lib/types.h>

struct vmcb_seg {
    u16 sel;
    u16 attr; /* descriptor bits 47:40 and 55:52, squeezed to 12 bits */
    u32 limit;
    u64 base;
};

struct vmcb {
    /* control area */
    u16 cr_read;
    u16 cr_write;
    u16 dr_read;
    u16 dr_write;
    u32 exceptions;
    u32 intercept1; /* enum vmcb_intercept1 */
    u32 intercept2; /* enum vmcb_intercept2 */
    u32 intercept3; /* enum vmcb_intercept3 */
    u8 rsvd1[0x3c - 0x18];
    u16 pause_threshold;
    u16 pause_count;
    u64 iopm_base;
    u64 msrpm_base;
    u64 tsc_offset;
    u32 asid;
    u8 tlb_control;
    u8 rsvd2[3];
    u64 vintr; /* VINTR_* */
    u64 int_shadow;
    u64 exitcode;
    u64 exitinfo1;
    u64 exitinfo2;
    u64 exitintinfo;
    u64 np_enable;
    u8 rsvd3[0xa8 - 0x98];
    u64 eventinj;
    u64 n_cr3;
    u64 lbr_virt;
    u32 clean;
    u32 rsvd4;
    u64 nrip;
    u8 insn_len;
    u8 insn[15];
    u8 rsvd5[0x400 - 0xe0];

    /* state save area */
    struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 rsvd6[0x4cb - 0x4a0];
    u8 cpl;
    u32 rsvd7;
    u64 efer;
    u8 rsvd8[0x548 - 0x4d8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 rsvd9[0x5d8 - 0x580];
    u64 rsp;
    u8 rsvd10[0x5f8 - 0x5e0];
    u64 rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 rsvd11[0x668 - 0x648];
    u64 g_pat;
    u64 dbgctl;
    u8 rsvd12[0x1000 - 0x678];
} ALIGNED(4096);

_Static_assert(sizeof(struct vmcb) == 4096, "APM vol. 2 15.5: a VMCB is one page");
_Static_assert(offsetof(struct vmcb, intercept1) == 0x00c, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, intercept3) == 0x014, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, iopm_base) == 0x040, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, asid) == 0x058, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, vintr) == 0x060, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, exitcode) == 0x070, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, exitintinfo) == 0x088, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, eventinj) == 0x0a8, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, clean) == 0x0c0, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, nrip) == 0x0c8, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, insn) == 0x0d1, "APM vol. 2 table B-1");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, tr) == 0x490, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM vol. 2 table B-2");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM vol. 2 table B-2");

enum vmcb_intercept1 {
    I1_INTR = 1u << 0,
    I1_NMI = 1u << 1,
    I1_INIT = 1u << 3,
    I1_VINTR = 1u << 4,
    I1_RDPMC = 1u << 15,
    I1_CPUID = 1u << 18,
    I1_RSM = 1u << 19,
    I1_IRET = 1u << 20,
    I1_INVD = 1u << 22,
    I1_HLT = 1u << 24,
    I1_INVLPGA = 1u << 26,
    I1_IOIO = 1u << 27,
    I1_MSR = 1u << 28,
    I1_FERR_FREEZE = 1u << 30,
    I1_SHUTDOWN = 1u << 31,
};

enum vmcb_intercept2 {
    I2_VMRUN = 1u << 0,
    I2_VMMCALL = 1u << 1,
    I2_VMLOAD = 1u << 2,
    I2_VMSAVE = 1u << 3,
    I2_STGI = 1u << 4,
    I2_CLGI = 1u << 5,
    I2_SKINIT = 1u << 6,
    I2_WBINVD = 1u << 9,
    I2_MONITOR = 1u << 10,
    I2_MWAIT = 1u << 11,
    I2_XSETBV = 1u << 13,
    I2_RDPRU = 1u << 14,
};

enum vmcb_intercept3 {
    I3_INVLPGB = 1u << 0,
    I3_INVLPGB_ILLEGAL = 1u << 1,
    I3_MCOMMIT = 1u << 3,
    I3_TLBSYNC = 1u << 4,
};

#define VINTR_V_IRQ        BIT64(8)
#define VINTR_PRIO_SHIFT   16
#define VINTR_IGN_TPR      BIT64(20)
#define VINTR_INTR_MASKING BIT64(24)
#define VINTR_VECTOR_SHIFT 32

/* EVENTINJ and EXITINTINFO, APM vol. 2 15.20 and 15.7.2. */
#define EVT_VALID      BIT64(31)
#define EVT_ERROR      BIT64(11)
#define EVT_TYPE_SHIFT 8
enum evt_type { EVT_INTR = 0, EVT_NMI = 2, EVT_EXCEPTION = 3, EVT_SOFT_INT = 4 };

/* Exit codes, APM vol. 2 appendix C. */
enum vmexit_code {
    VMEXIT_CR8_READ = 0x008,
    VMEXIT_CR8_WRITE = 0x018,
    VMEXIT_EXCP = 0x040, /* + vector */
    VMEXIT_INTR = 0x060,
    VMEXIT_NMI = 0x061,
    VMEXIT_INIT = 0x063,
    VMEXIT_VINTR = 0x064,
    VMEXIT_RDPMC = 0x06f,
    VMEXIT_CPUID = 0x072,
    VMEXIT_RSM = 0x073,
    VMEXIT_IRET = 0x074,
    VMEXIT_INVD = 0x076,
    VMEXIT_HLT = 0x078,
    VMEXIT_INVLPGA = 0x07a,
    VMEXIT_IOIO = 0x07b,
    VMEXIT_MSR = 0x07c,
    VMEXIT_SHUTDOWN = 0x07f,
    VMEXIT_VMRUN = 0x080,
    VMEXIT_VMMCALL = 0x081,
    VMEXIT_VMLOAD = 0x082,
    VMEXIT_VMSAVE = 0x083,
    VMEXIT_STGI = 0x084,
    VMEXIT_CLGI = 0x085,
    VMEXIT_SKINIT = 0x086,
    VMEXIT_WBINVD = 0x089,
    VMEXIT_MONITOR = 0x08a,
    VMEXIT_MWAIT = 0x08b,
    VMEXIT_XSETBV = 0x08d,
    VMEXIT_RDPRU = 0x08e,
    VMEXIT_NPF = 0x400,
};

/* IOIO EXITINFO1, APM vol. 2 15.10.2. */
#define IOIO_IN  BIT64(0)
#define IOIO_STR BIT64(2)
#define IOIO_SIZE(info)                                                                                      \
    ((u8)(((info) >> 4) & 7)) /* one of SZ8, SZ16, SZ32 set: the value is the size in bytes */
#define IOIO_PORT(info) ((u16)((info) >> 16))

/* NPF EXITINFO1, APM vol. 2 15.25.6. */
#define NPF_PRESENT BIT64(0)
#define NPF_WRITE   BIT64(1)
#define NPF_FETCH   BIT64(4)

/* Model-specific registers beyond those of x86/hw/msr.h, APM vol. 2 15.30. */
#define VM_CR_SVMDIS BIT64(4)
#define MSR_TSC_AUX  0xc0000103u

/* CPUID 8000_000A EDX. */
#define SVM_FEAT_NPT            BIT32(0)
#define SVM_FEAT_NRIPS          BIT32(3)
#define SVM_FEAT_FLUSH_BY_ASID  BIT32(6)
#define SVM_FEAT_DECODE_ASSISTS BIT32(7)

#endif
