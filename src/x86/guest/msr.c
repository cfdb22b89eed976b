/*
 * MSR policy: one line for each MSR that guests may touch; every other raises #GP(0) and is counted. SDM vol.
 * 4 ch. 2; APM vol. 2 app. A. What stock Linux touches on AMD without a fault handler must be here.
 */
#include <lib/log.h>
#include <lib/string.h>
#include <arch/cpu.h>
#include <core/vm.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/cpuid_policy.h"
#include "x86/guest/exits.h"
#include "x86/guest/msr.h"
#include "x86/guest/regs.h"
#include "x86/vdev/vlapic_state.h"

struct guest_msrs guest_msrs[CFG_VCPUS];

/* Handlers: line is the register's line in the table. False: #GP. */
typedef bool (*msr_read_fn)(struct vcpu *v, u32 msr, u64 *val, u32 line);
typedef bool (*msr_write_fn)(struct vcpu *v, u32 msr, u64 val, u32 line);

/* Accesses that guests do without an exit; the backends build their bitmaps from this. */
enum msr_direct { RD = 1u << 0, WR = 1u << 1 };

/* The table's argument column. */
static const u64 args[];

/* ---- handlers ---- */

static COLD bool refuse(struct vcpu *v, u32 msr, const char *what)
{
    v->unowned++;
    log_guest(v->vm->id, LOG_DEBUG, "vCPU %u: %s of MSR 0x%x refused", v->id, what, msr);
    return false;
}

/* Not in the table: x2APIC, an MTRR, or refused. */
static NOINLINE bool rdmsr_rest(struct vcpu *v, u32 msr, u64 *val)
{
    if (msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST)
        return vlapic_msr_read(v, msr, val);
    if (msr - MTRR_FIRST <= MTRR_LAST - MTRR_FIRST && mtrr_read(v, msr, val))
        return true;
    return refuse(v, msr, "read");
}

static NOINLINE bool wrmsr_rest(struct vcpu *v, u32 msr, u64 val)
{
    if (msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST)
        return vlapic_msr_write(v, msr, val);
    if (msr - MTRR_FIRST <= MTRR_LAST - MTRR_FIRST && mtrr_write(v, msr, val))
        return true;
    return refuse(v, msr, "write");
}

static bool r_none(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)line;
    return rdmsr_rest(v, msr, val);
}

static bool w_none(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)line;
    return wrmsr_rest(v, msr, val);
}

static bool r_const(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)v;
    (void)msr;
    *val = args[line];
    return true;
}

static bool w_drop(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)v;
    (void)msr;
    (void)val;
    (void)line;
    return true;
}

static bool r_slot(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)msr;
    *val = guest_msrs[v->index].slot[args[line]];
    return true;
}

static bool w_slot(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)msr;
    guest_msrs[v->index].slot[args[line]] = val;
    return true;
}

/* Registers that the CPU holds for the guest; an access exits only where a bitmap is missing. */
static bool r_live(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)line;
    return arch_vcpu_live_msr(v, msr, false, val);
}

/* argument 1: addresses, which must be canonical */
static bool w_live(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    if (args[line] && (u64)((s64)(val << 16) >> 16) != val)
        return false;
    return arch_vcpu_live_msr(v, msr, true, &val);
}

/* The hypervisor never uses TSC_AUX and no other vCPU shares the CPU: the register itself is the guest's. */
static bool r_own(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)v;
    (void)line;
    return arch_rdmsr_safe(msr, val);
}

static bool w_own(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)v;
    (void)line;
    return arch_wrmsr_safe(msr, val);
}

/* The one that is read most, straight from the local APIC's state. */
static bool r_apic_base(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)msr;
    (void)line;
    *val = vlapic_of(v)->base_msr;
    return true;
}

static bool r_lapic(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)line;
    return vlapic_msr_read(v, msr, val);
}

static bool w_lapic(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)line;
    return vlapic_msr_write(v, msr, val);
}

static bool r_tsc(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)msr;
    (void)line;
    *val = arch_tsc() + arch_vcpu_tsc_offset(v);
    return true;
}

static bool w_tsc(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)msr;
    (void)line;
    arch_vcpu_set_tsc_offset(v, val - arch_tsc());
    vlapic_tsc_moved(v);
    return true;
}

static bool r_efer(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)msr;
    (void)line;
    *val = arch_vcpu_get(v, REG_EFER) & ~EFER_SVME;
    return true;
}

/* LMA follows LME and CR0.PG and ignores writes; LME may not change while paging is on (APM vol. 2 3.1.7, SDM
 * vol. 3A 9.8.5). */
static bool w_efer(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    u64 old = arch_vcpu_get(v, REG_EFER);

    (void)msr;
    (void)line;
    if (val & ~guest_cpu.efer)
        return false;
    if (((val ^ old) & EFER_LME) && (arch_vcpu_get(v, REG_CR0) & CR0_PG))
        return false;
    arch_vcpu_set(v, REG_EFER, (val & ~EFER_LMA) | (old & EFER_LMA));
    return true;
}

static bool r_pat(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)msr;
    (void)line;
    *val = arch_vcpu_get(v, REG_PAT);
    return true;
}

static bool w_pat(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)msr;
    (void)line;
    if (!pat_legal(val))
        return false;
    arch_vcpu_set(v, REG_PAT, val);
    return true;
}

/* Indirect branch prediction barrier: a command without state, passed on (CPUID 80000008 EBX[12]). */
static bool w_pred_cmd(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)v;
    (void)line;
    if (val & ~(u64)1)
        return false;
    return val ? arch_wrmsr_safe(msr, val) : true;
}

/* Microcode level of the real CPU: Linux compares it with lists of errata. */
static bool r_ucode(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)v;
    (void)line;
    if (!arch_rdmsr_safe(msr, val))
        *val = 0;
    return true;
}

/*
 * What the CPU is not vulnerable to (SDM vol. 4 table 2-2, IA32_ARCH_CAPABILITIES): RDCL_NO, RSBA,
 * SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO,
 * PBRSB_NO, GDS_NO, RFDS_NO. Hidden: what stands for registers that are not virtualised (IBRS_ALL, TSX_CTRL,
 * MISC_PACKAGE_CTLS, ...).
 */
#define ARCH_CAPS_SHOWN                                                                                      \
    (BIT64(0) | BIT64(2) | BIT64(3) | BIT64(4) | BIT64(5) | BIT64(6) | BIT64(8) | BIT64(13) | BIT64(14) |    \
     BIT64(15) | BIT64(20) | BIT64(24) | BIT64(26) | BIT64(27))

static bool r_arch_caps(struct vcpu *v, u32 msr, u64 *val, u32 line)
{
    (void)line;
    if (!arch_rdmsr_safe(msr, val))
        return refuse(v, msr, "read");
    *val &= ARCH_CAPS_SHOWN;
    return true;
}

/* Bit 24 says that the TSC counts at P0 frequency; Linux calls the firmware broken without it. */
#define HWCR_TSC_FREQ_SEL BIT64(24)

static bool w_hwcr(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    return w_slot(v, msr, val | HWCR_TSC_FREQ_SEL, line);
}

/* Only zero: neither branch tracing nor last-branch records are virtualised, but Linux writes BTF when it
 * single-steps. */
static bool w_debugctl(struct vcpu *v, u32 msr, u64 val, u32 line)
{
    (void)msr;
    (void)line;
    if (val & ~(u64)0x3)
        return false;
    if (val)
        v->unowned++;
    return true;
}

/* ---- the table ---- */

/* MISC_ENABLE: fast strings, no BTS, no PEBS. VM_CR: SVM disabled and locked. DE_CFG: LFENCE serialises. */
#define MISC_ENABLE_RESET 0x1801U
#define VM_CR_DISABLED    0x18U
#define DE_CFG_RESET      0x2U

/* Four stretches of MSR space. Columns: index, name, whose processors have it, read, write, argument, direct.
 */
#define LOW_MSRS(X)                                                                                          \
    X(0x00000010, TSC, FOR_ANY, r_tsc, w_tsc, 0, 0)                                                          \
    X(0x00000017, PLATFORM_ID, FOR_INTEL, r_const, w_none, 0, 0)                                             \
    X(0x0000001b, APIC_BASE, FOR_ANY, r_apic_base, w_lapic, 0, 0)                                            \
    X(0x0000003a, FEATURE_CONTROL, FOR_INTEL, r_const, w_none, 1, 0) /* locked, VMX off */                   \
    X(0x00000049, PRED_CMD, FOR_ANY, r_none, w_pred_cmd, 0, 0)                                               \
    X(0x00000079, UCODE_WRITE, FOR_INTEL, r_none, w_drop, 0, 0)                                              \
    X(0x0000008b, UCODE_REV, FOR_ANY, r_ucode, w_drop, 0, 0)                                                 \
    X(0x000000ce, PLATFORM_INFO, FOR_INTEL, r_const, w_none, 0, 0)                                           \
    X(0x000000fe, MTRRCAP, FOR_ANY, r_const, w_none, MTRR_CAP, 0)                                            \
    X(0x0000010a, ARCH_CAPABILITIES, FOR_INTEL, r_arch_caps, w_none, 0, 0)                                   \
    X(0x00000174, SYSENTER_CS, FOR_ANY, r_live, w_live, 0, RD | WR)                                          \
    X(0x00000175, SYSENTER_ESP, FOR_ANY, r_live, w_live, 1, RD | WR)                                         \
    X(0x00000176, SYSENTER_EIP, FOR_ANY, r_live, w_live, 1, RD | WR)                                         \
    X(0x00000179, MCG_CAP, FOR_ANY, r_const, w_none, 0, 0) /* no banks */                                    \
    X(0x0000017a, MCG_STATUS, FOR_ANY, r_slot, w_slot, SLOT_MCG_STATUS, 0)                                   \
    X(0x000001a0, MISC_ENABLE, FOR_INTEL, r_slot, w_slot, SLOT_MISC_ENABLE, 0)                               \
    X(0x000001d9, DEBUGCTL, FOR_ANY, r_const, w_debugctl, 0, 0)                                              \
    X(0x000001db, LBR_FROM, FOR_AMD, r_const, w_none, 0, 0)                                                  \
    X(0x000001dc, LBR_TO, FOR_AMD, r_const, w_none, 0, 0)                                                    \
    X(0x000001dd, LER_FROM, FOR_AMD, r_const, w_none, 0, 0)                                                  \
    X(0x000001de, LER_TO, FOR_AMD, r_const, w_none, 0, 0)                                                    \
    X(0x00000277, PAT, FOR_ANY, r_pat, w_pat, 0, 0)
#define EXT_MSRS(X)                                                                                          \
    X(0xc0000080, EFER, FOR_ANY, r_efer, w_efer, 0, 0)                                                       \
    X(0xc0000081, STAR, FOR_ANY, r_live, w_live, 0, RD | WR)                                                 \
    X(0xc0000082, LSTAR, FOR_ANY, r_live, w_live, 1, RD | WR)                                                \
    X(0xc0000083, CSTAR, FOR_ANY, r_live, w_live, 1, RD | WR)                                                \
    X(0xc0000084, SFMASK, FOR_ANY, r_live, w_live, 0, RD | WR)                                               \
    X(0xc0000100, FS_BASE, FOR_ANY, r_live, w_live, 1, RD | WR)                                              \
    X(0xc0000101, GS_BASE, FOR_ANY, r_live, w_live, 1, RD | WR)                                              \
    X(0xc0000102, KERNEL_GS_BASE, FOR_ANY, r_live, w_live, 1, RD | WR)                                       \
    X(0xc0000103, TSC_AUX, FOR_ANY, r_own, w_own, 0, RD | WR)
#define AMD_MSRS(X)                                                                                          \
    X(0xc0010010, SYSCFG, FOR_AMD, r_const, w_drop, 0, 0)                                                    \
    X(0xc0010015, HWCR, FOR_AMD, r_slot, w_hwcr, SLOT_HWCR, 0)                                               \
    X(0xc001001a, TOP_MEM, FOR_AMD, r_const, w_none, 0, 0)                                                   \
    X(0xc001001d, TOM2, FOR_AMD, r_const, w_none, 0, 0)                                                      \
    X(0xc001001f, NB_CFG, FOR_AMD, r_slot, w_slot, SLOT_NB_CFG, 0)                                           \
    X(0xc0010020, PATCH_LOADER, FOR_AMD, r_none, w_drop, 0, 0)                                               \
    X(0xc0010055, INT_PENDING, FOR_AMD, r_const, w_drop, 0, 0)                                               \
    X(0xc0010058, MMIO_CONF_BASE, FOR_AMD, r_const, w_none, 0, 0) /* disabled */                             \
    X(0xc0010114, VM_CR, FOR_AMD, r_const, w_drop, VM_CR_DISABLED, 0)
#define OTHER_MSRS(X)                                                                                        \
    X(0x000006e0, TSC_DEADLINE, FOR_ANY, r_lapic, w_lapic, 0, 0)                                             \
    X(0xc0011029, DE_CFG, FOR_AMD, r_slot, w_slot, SLOT_DE_CFG, 0)

#define ALL_MSRS(X) LOW_MSRS(X) EXT_MSRS(X) AMD_MSRS(X) OTHER_MSRS(X)

#define LOW_END   0x278U
#define EXT_FIRST 0xc0000080U
#define EXT_END   0xc0000104U
#define AMD_FIRST 0xc0010010U
#define AMD_END   0xc0010115U

enum {
    POL_UNKNOWN,
#define X(index, name, who, read, write, arg, direct) POL_##name,
    ALL_MSRS(X)
#undef X
};

#define X(index, name, who, read, write, arg, direct) read,
static const msr_read_fn reads[] = {r_none, ALL_MSRS(X)};
#undef X
#define X(index, name, who, read, write, arg, direct) write,
static const msr_write_fn writes[] = {w_none, ALL_MSRS(X)};
#undef X
#define X(index, name, who, read, write, arg, direct) arg,
static const u64 args[] = {0, ALL_MSRS(X)};
#undef X
#define X(index, name, who, read, write, arg, direct) direct,
static const u8 direct_of[] = {0, ALL_MSRS(X)};
#undef X

#define X(index, name, who, read, write, arg, direct) {index, who},
static const struct {
    u32 index;
    enum policy_for who;
} rows[] = {{0, 0}, ALL_MSRS(X)};
#undef X
_Static_assert(ARRAY_SIZE(rows) <= 256, "a line is a u8");

/* MSR to line, so that finding the policy costs a handful of instructions; those of the board's processor are
 * filled in at boot. */
static u8 low_line[LOW_END], ext_line[EXT_END - EXT_FIRST], amd_line[AMD_END - AMD_FIRST], de_cfg_line;

static inline u32 find(u32 msr)
{
    if (LIKELY(msr < LOW_END))
        return low_line[msr];
    if (msr == MSR_TSC_DEADLINE)
        return POL_TSC_DEADLINE;
    if (msr - EXT_FIRST < EXT_END - EXT_FIRST)
        return ext_line[msr - EXT_FIRST];
    if (msr - AMD_FIRST < AMD_END - AMD_FIRST)
        return amd_line[msr - AMD_FIRST];
    return msr == MSR_DE_CFG ? de_cfg_line : POL_UNKNOWN;
}

void guest_msr_init(void)
{
    memset(low_line, 0, sizeof(low_line));
    memset(ext_line, 0, sizeof(ext_line));
    memset(amd_line, 0, sizeof(amd_line));
    de_cfg_line = 0;
    for (u32 i = 1; i < ARRAY_SIZE(rows); i++) {
        u8 line = (u8)i;
        u32 index = rows[i].index;

        if (!policy_applies(rows[i].who))
            continue;
        if (index < LOW_END)
            low_line[index] = line;
        else if (index - EXT_FIRST < EXT_END - EXT_FIRST)
            ext_line[index - EXT_FIRST] = line;
        else if (index - AMD_FIRST < AMD_END - AMD_FIRST)
            amd_line[index - AMD_FIRST] = line;
        else if (index == MSR_DE_CFG)
            de_cfg_line = line;
        else
            ASSERT(index == MSR_TSC_DEADLINE);
    }
}

bool guest_rdmsr(struct vcpu *v, u32 msr, u64 *val)
{
    u32 line = find(msr);

    return reads[line](v, msr, val, line);
}

bool guest_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
    u32 line = find(msr);

    return writes[line](v, msr, val, line);
}

bool guest_msr_direct_read(u32 msr)
{
    return (direct_of[find(msr)] & RD) != 0;
}

bool guest_msr_direct_write(u32 msr)
{
    return (direct_of[find(msr)] & WR) != 0;
}

void guest_msrs_reset(struct vcpu *v)
{
    u64 *slot = guest_msrs[v->index].slot;

    memset(slot, 0, sizeof(guest_msrs[0].slot));
    slot[SLOT_MISC_ENABLE] = MISC_ENABLE_RESET;
    slot[SLOT_HWCR] = HWCR_TSC_FREQ_SEL;
    slot[SLOT_DE_CFG] = DE_CFG_RESET;
    mtrr_reset(v);
}
