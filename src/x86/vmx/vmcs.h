/*
 * VMCS fields, control bits, exit reasons and capability MSRs: SDM vol. 3C chapters 24 to 30 and vol. 3D
 * appendices A, B and C. Layer 6.
 */
#ifndef BH_X86_VMX_VMCS_H
#define BH_X86_VMX_VMCS_H

#include <lib/types.h>

/* SDM vol. 3D appendix B. */
enum vmcs_field {
    /* 16 bits */
    VMCS_VPID = 0x0000,
    VMCS_POSTED_VECTOR = 0x0002,
    VMCS_GUEST_ES_SEL = 0x0800, /* ES CS SS DS FS GS LDTR TR: 2 apart */
    VMCS_GUEST_INTR_STATUS = 0x0810,
    VMCS_HOST_ES_SEL = 0x0c00,
    VMCS_HOST_CS_SEL = 0x0c02,
    VMCS_HOST_SS_SEL = 0x0c04,
    VMCS_HOST_DS_SEL = 0x0c06,
    VMCS_HOST_FS_SEL = 0x0c08,
    VMCS_HOST_GS_SEL = 0x0c0a,
    VMCS_HOST_TR_SEL = 0x0c0c,

    /* 64 bits */
    VMCS_IO_BITMAP_A = 0x2000,
    VMCS_IO_BITMAP_B = 0x2002,
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VAPIC_PAGE = 0x2012,
    VMCS_APIC_ACCESS = 0x2014,
    VMCS_POSTED_DESC = 0x2016,
    VMCS_EPT_POINTER = 0x201a,
    VMCS_EOI_EXIT0 = 0x201c, /* four fields, 2 apart */
    VMCS_XSS_EXITING = 0x202c,
    VMCS_ENCLS_EXITING = 0x202e,
    VMCS_GUEST_PHYS = 0x2400,
    VMCS_LINK_POINTER = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PDPTE0 = 0x280a, /* four fields, 2 apart */
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,

    /* 32 bits */
    VMCS_PIN_CTLS = 0x4000,
    VMCS_PROC_CTLS = 0x4002,
    VMCS_EXCEPTIONS = 0x4004,
    VMCS_PF_MASK = 0x4006,
    VMCS_PF_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400a,
    VMCS_EXIT_CTLS = 0x400c,
    VMCS_EXIT_MSR_STORES = 0x400e,
    VMCS_EXIT_MSR_LOADS = 0x4010,
    VMCS_ENTRY_CTLS = 0x4012,
    VMCS_ENTRY_MSR_LOADS = 0x4014,
    VMCS_ENTRY_INTR = 0x4016,
    VMCS_ENTRY_ERROR = 0x4018,
    VMCS_ENTRY_INSN_LEN = 0x401a,
    VMCS_TPR_THRESHOLD = 0x401c,
    VMCS_PROC_CTLS2 = 0x401e,
    VMCS_INSN_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_INTR = 0x4404,
    VMCS_EXIT_INTR_ERROR = 0x4406,
    VMCS_IDT_VECTORING = 0x4408,
    VMCS_IDT_VECTORING_ERROR = 0x440a,
    VMCS_EXIT_INSN_LEN = 0x440c,
    VMCS_EXIT_INSN_INFO = 0x440e,
    VMCS_GUEST_ES_LIMIT = 0x4800,  /* ES CS SS DS FS GS LDTR TR GDTR IDTR: 2 apart */
    VMCS_GUEST_ES_ACCESS = 0x4814, /* ES .. TR: 2 apart */
    VMCS_GUEST_SS_ACCESS = 0x4818,
    VMCS_GUEST_CS_ACCESS = 0x4816,
    VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
    VMCS_GUEST_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a,
    VMCS_PREEMPTION_TIMER = 0x482e,
    VMCS_HOST_SYSENTER_CS = 0x4c00,

    /* natural width */
    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_QUALIFICATION = 0x6400,
    VMCS_GUEST_LINEAR = 0x640a,
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806, /* ES CS SS DS FS GS LDTR TR GDTR IDTR: 2 apart */
    VMCS_GUEST_CS_BASE = 0x6808,
    VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c,
    VMCS_GUEST_RIP = 0x681e,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RSP = 0x6c14,
    VMCS_HOST_RIP = 0x6c16,
};

/* Pin-based controls (SDM vol. 3C 24.6.1). */
#define PIN_EXTINT_EXIT BIT32(0)
#define PIN_NMI_EXIT    BIT32(3)
#define PIN_VIRTUAL_NMI BIT32(5)
#define PIN_PREEMPTION  BIT32(6)
#define PIN_POSTED      BIT32(7)

/* Primary processor-based controls (SDM vol. 3C 24.6.2). */
#define PROC_IRQ_WINDOW   BIT32(2)
#define PROC_TSC_OFFSET   BIT32(3)
#define PROC_HLT_EXIT     BIT32(7)
#define PROC_INVLPG_EXIT  BIT32(9)
#define PROC_MWAIT_EXIT   BIT32(10)
#define PROC_RDPMC_EXIT   BIT32(11)
#define PROC_RDTSC_EXIT   BIT32(12)
#define PROC_CR3_LOAD     BIT32(15)
#define PROC_CR3_STORE    BIT32(16)
#define PROC_CR8_LOAD     BIT32(19)
#define PROC_CR8_STORE    BIT32(20)
#define PROC_TPR_SHADOW   BIT32(21)
#define PROC_NMI_WINDOW   BIT32(22)
#define PROC_MOV_DR_EXIT  BIT32(23)
#define PROC_IO_EXIT      BIT32(24)
#define PROC_IO_BITMAPS   BIT32(25)
#define PROC_MTF          BIT32(27)
#define PROC_MSR_BITMAPS  BIT32(28)
#define PROC_MONITOR_EXIT BIT32(29)
#define PROC_PAUSE_EXIT   BIT32(30)
#define PROC_SECONDARY    BIT32(31)

/* Secondary processor-based controls (SDM vol. 3C 24.6.2). */
#define PROC2_APIC_ACCESS    BIT32(0)
#define PROC2_EPT            BIT32(1)
#define PROC2_RDTSCP         BIT32(3)
#define PROC2_X2APIC         BIT32(4)
#define PROC2_VPID           BIT32(5)
#define PROC2_WBINVD_EXIT    BIT32(6)
#define PROC2_UNRESTRICTED   BIT32(7)
#define PROC2_APIC_REGISTERS BIT32(8)
#define PROC2_VIRTUAL_INTR   BIT32(9)
#define PROC2_INVPCID        BIT32(12)
#define PROC2_ENCLS_EXIT     BIT32(15)
#define PROC2_XSAVES         BIT32(20)

/* VM-exit controls (SDM vol. 3C 24.7.1). */
#define EXIT_SAVE_DEBUG BIT32(2)
#define EXIT_HOST_64    BIT32(9)
#define EXIT_ACK_INTR   BIT32(15)
#define EXIT_SAVE_PAT   BIT32(18)
#define EXIT_LOAD_PAT   BIT32(19)
#define EXIT_SAVE_EFER  BIT32(20)
#define EXIT_LOAD_EFER  BIT32(21)
#define EXIT_SAVE_TIMER BIT32(22)

/* VM-entry controls (SDM vol. 3C 24.8.1). */
#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_IA32E      BIT32(9)
#define ENTRY_LOAD_PAT   BIT32(14)
#define ENTRY_LOAD_EFER  BIT32(15)

/* VM-entry and VM-exit interruption information, IDT-vectoring information (SDM vol. 3C 24.8.3, 24.9.2). */
#define INTR_VALID      BIT32(31)
#define INTR_ERROR      BIT32(11)
#define INTR_TYPE_SHIFT 8
enum intr_type {
    INTR_EXTERNAL = 0,
    INTR_NMI = 2,
    INTR_EXCEPTION = 3,
    INTR_SOFT_INT = 4,
    INTR_PRIV_SOFT = 5,
    INTR_SOFT_EXCEPTION = 6,
};

/* Interruptibility state (SDM vol. 3C table 24-3). */
#define BLOCK_STI    BIT32(0)
#define BLOCK_MOV_SS BIT32(1)
#define BLOCK_SMI    BIT32(2)
#define BLOCK_NMI    BIT32(3)

/* Pending debug exceptions (SDM vol. 3C table 24-4). */
#define PENDING_BS BIT64(14)

/* Basic exit reasons (SDM vol. 3D table C-1). */
enum vmx_exit {
    VMX_EXCEPTION = 0,
    VMX_EXTINT = 1,
    VMX_TRIPLE = 2,
    VMX_INIT = 3,
    VMX_SIPI = 4,
    VMX_IRQ_WINDOW = 7,
    VMX_NMI_WINDOW = 8,
    VMX_TASK_SWITCH = 9,
    VMX_CPUID = 10,
    VMX_GETSEC = 11,
    VMX_HLT = 12,
    VMX_INVD = 13,
    VMX_INVLPG = 14,
    VMX_RDPMC = 15,
    VMX_RDTSC = 16,
    VMX_RSM = 17,
    VMX_VMCALL = 18,
    VMX_VMCLEAR = 19, /* to VMXON: the VMX instructions */
    VMX_VMLAUNCH = 20,
    VMX_VMPTRLD = 21,
    VMX_VMPTRST = 22,
    VMX_VMREAD = 23,
    VMX_VMRESUME = 24,
    VMX_VMWRITE = 25,
    VMX_VMXOFF = 26,
    VMX_VMXON = 27,
    VMX_CR = 28,
    VMX_DR = 29,
    VMX_IO = 30,
    VMX_RDMSR = 31,
    VMX_WRMSR = 32,
    VMX_BAD_GUEST = 33,
    VMX_BAD_MSR_LOAD = 34,
    VMX_MWAIT = 36,
    VMX_MTF = 37,
    VMX_MONITOR = 39,
    VMX_PAUSE = 40,
    VMX_ENTRY_MCE = 41,
    VMX_TPR_THRESHOLD = 43,
    VMX_APIC_ACCESS = 44,
    VMX_EOI = 45,
    VMX_DESC_TABLE = 46,
    VMX_DESC_TABLE_TR = 47,
    VMX_EPT_VIOLATION = 48,
    VMX_EPT_MISCONFIG = 49,
    VMX_INVEPT = 50,
    VMX_RDTSCP = 51,
    VMX_PREEMPTION = 52,
    VMX_INVVPID = 53,
    VMX_WBINVD = 54,
    VMX_XSETBV = 55,
    VMX_APIC_WRITE = 56,
    VMX_RDRAND = 57,
    VMX_INVPCID = 58,
    VMX_VMFUNC = 59,
    VMX_ENCLS = 60,
    VMX_RDSEED = 61,
    VMX_PML_FULL = 62,
    VMX_XSAVES = 63,
    VMX_XRSTORS = 64,
    VMX_EXITS, /* reasons beyond are answered as unknown */
};
#define EXIT_ENTRY_FAILED BIT32(31)

/* VM-exit interruption information, bit 12: the IRET that ended NMI blocking faulted (SDM vol. 3C 27.2.3). */
#define EXIT_NMI_UNBLOCK BIT32(12)

/* VM-instruction errors that are told apart (SDM vol. 3C 30.4). */
#define VMX_ERR_LAUNCH_NOT_CLEAR    4
#define VMX_ERR_RESUME_NOT_LAUNCHED 5
#define VMX_ERR_CONTROLS            7
#define VMX_ERR_HOST_STATE          8

/* Exit qualification of control-register accesses (SDM vol. 3C table 27-3). */
#define CRQ_REG(q)       ((unsigned)(q)&15)
#define CRQ_TYPE(q)      (((unsigned)(q) >> 4) & 3)
#define CRQ_GPR(q)       (((unsigned)(q) >> 8) & 15)
#define CRQ_LMSW_MEM     BIT64(6)
#define CRQ_LMSW_DATA(q) ((u16)((q) >> 16))
enum cr_access { CR_WRITE = 0, CR_READ = 1, CR_CLTS = 2, CR_LMSW = 3 };

/* ... of I/O instructions (table 27-5). */
#define IOQ_SIZE(q) ((u8)(((unsigned)(q)&7) + 1))
#define IOQ_IN      BIT64(3)
#define IOQ_STRING  BIT64(4)
#define IOQ_PORT(q) ((u16)((q) >> 16))

/* ... of EPT violations (table 27-7). */
#define EPTQ_READ        BIT64(0)
#define EPTQ_WRITE       BIT64(1)
#define EPTQ_FETCH       BIT64(2)
#define EPTQ_NMI_UNBLOCK BIT64(12)

/* ... of APIC accesses (table 27-6). */
#define APICQ_OFFSET(q) ((u32)(q)&0xfff)
#define APICQ_TYPE(q)   (((unsigned)(q) >> 12) & 15)
enum apic_access { APIC_READ = 0, APIC_WRITE = 1, APIC_FETCH = 2, APIC_EVENT = 3 };

/* Capability MSRs (SDM vol. 3D appendix A). */
#define MSR_VMX_BASIC      0x480U
#define MSR_VMX_PIN        0x481U
#define MSR_VMX_PROC       0x482U
#define MSR_VMX_EXIT       0x483U
#define MSR_VMX_ENTRY      0x484U
#define MSR_VMX_MISC       0x485U
#define MSR_VMX_CR0_FIXED0 0x486U
#define MSR_VMX_CR0_FIXED1 0x487U
#define MSR_VMX_CR4_FIXED0 0x488U
#define MSR_VMX_CR4_FIXED1 0x489U
#define MSR_VMX_PROC2      0x48bU
#define MSR_VMX_EPT_VPID   0x48cU
#define MSR_VMX_TRUE_PIN   0x48dU
#define MSR_VMX_TRUE_PROC  0x48eU
#define MSR_VMX_TRUE_EXIT  0x48fU
#define MSR_VMX_TRUE_ENTRY 0x490U
#define VMX_BASIC_WB(b)    (((b) >> 50 & 15) == 6)
#define VMX_BASIC_TRUE     BIT64(55)
#define VMX_MISC_TIMER(m)  ((unsigned)(m)&31) /* preemption timer counts TSC >> this */

/* IA32_VMX_EPT_VPID_CAP (SDM vol. 3D A.10). */
#define EPT_CAP_4_LEVELS    BIT64(6)
#define EPT_CAP_UC          BIT64(8)
#define EPT_CAP_WB          BIT64(14)
#define EPT_CAP_2M          BIT64(16)
#define EPT_CAP_1G          BIT64(17)
#define EPT_CAP_INVEPT      BIT64(20)
#define EPT_CAP_AD          BIT64(21)
#define EPT_CAP_INVEPT_ONE  BIT64(25)
#define EPT_CAP_INVEPT_ALL  BIT64(26)
#define EPT_CAP_INVVPID     BIT64(32)
#define EPT_CAP_INVVPID_ONE BIT64(41)
#define EPT_CAP_INVVPID_ALL BIT64(42)

/* IA32_FEATURE_CONTROL (SDM vol. 3C 23.7). */
#define FEATURE_LOCKED BIT64(0)
#define FEATURE_VMX    BIT64(2)

#define MSR_ARCH_CAPABILITIES 0x10aU

/* EPT pointer (SDM vol. 3C 24.6.11). */
#define EPTP_WB     6ULL
#define EPTP_LEVELS (3ULL << 3)
#define EPTP_AD     BIT64(6)

#endif
