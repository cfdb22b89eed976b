/*
 * What guests see of the CPU. Every bit that is shown is listed; the rest is hidden, because new bits of new
 * processors may bring state that the hypervisor does not switch. SDM vol. 2A CPUID; APM vol. 3 app. E.
 */
#include <arch/cpu.h>
#include <core/vm.h>
#include "x86/guest/cpuid_policy.h"

#define ALL 0xffffffffU
#define B   BIT32

/*
 * Leaf 1 ECX: SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX, F16C,
 * RDRAND. Hidden: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA (not
 * virtualised) and PCID (with INVPCID).
 */
#define F1_ECX                                                                                               \
    (B(0) | B(1) | B(9) | B(12) | B(13) | B(19) | B(20) | B(22) | B(23) | B(25) | B(26) | B(28) | B(29) |    \
     B(30))
/* x2APIC and TSC-deadline timer are emulated; bit 31 says that a hypervisor is present. */
#define F1_ECX_FORCE (B(21) | B(24) | B(31))
/*
 * Leaf 1 EDX: FPU, VME, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE-36,
 * CLFSH, MMX, FXSR, SSE, SSE2, SS. MCE and MCA come with no banks. Hidden: PSN, DS, ACPI, TM, PBE. HTT is
 * computed.
 */
#define F1_EDX 0x0f8bfbffU

/*
 * Leaf 7 EBX: FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, AVX512F, AVX512DQ, RDSEED, ADX, SMAP, AVX512-IFMA,
 * CLFLUSHOPT, CLWB, AVX512PF, AVX512ER, AVX512CD, SHA, AVX512BW, AVX512VL. Hidden: TSC_ADJUST (MSR not
 * emulated), SGX, TSX, INVPCID, RDT, MPX, PT.
 */
#define F7_EBX                                                                                               \
    (B(0) | B(3) | B(5) | B(7) | B(8) | B(9) | B(16) | B(17) | B(18) | B(19) | B(20) | B(21) | B(23) |       \
     B(24) | B(26) | B(27) | B(28) | B(29) | B(30) | B(31))
/*
 * Leaf 7 ECX: AVX512_VBMI, UMIP, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ, RDPID, CLDEMOTE,
 * MOVDIRI, MOVDIR64B. Hidden: PKU, WAITPKG, CET, LA57, bus-lock detection, ENQCMD, SGX, PKS.
 */
#define F7_ECX                                                                                               \
    (B(1) | B(2) | B(6) | B(8) | B(9) | B(10) | B(11) | B(12) | B(14) | B(22) | B(25) | B(27) | B(28))
/*
 * Leaf 7 EDX: AVX512_4VNNIW, 4FMAPS, FSRM, VP2INTERSECT, MD_CLEAR, SERIALIZE; Intel: ARCH_CAPABILITIES.
 * Hidden: SPEC_CTRL and its kin, L1D_FLUSH (MSRs not virtualised), AMX, PCONFIG, LBR, hybrid.
 */
#define F7_EDX       (B(2) | B(3) | B(4) | B(8) | B(10) | B(14))
#define F7_EDX_INTEL (F7_EDX | B(29))
/* Subleaf 1 EAX: AVX-VNNI, AVX512_BF16, FZRM, FSRS, FSRC. */
#define F7_1_EAX (B(4) | B(5) | B(10) | B(11) | B(12))

/* XSAVEOPT, XSAVEC, XGETBV with ECX=1. Hidden: XSAVES and IA32_XSS. */
#define FD_1_EAX (B(0) | B(1) | B(2))

/*
 * 80000001 ECX: LAHF, CMP_LEGACY, ABM, SSE4A, misaligned SSE, 3DNow prefetch, XOP, FMA4, TBM, topology
 * extensions. Hidden: SVM, extended APIC space, LOCK MOV CR0, OSVW, IBS, SKINIT, WDT, LWP, TCE, node id MSR,
 * performance counters, data breakpoint extension, MWAITX.
 */
#define FX1_ECX (B(0) | B(1) | B(5) | B(6) | B(7) | B(8) | B(11) | B(16) | B(21) | B(22))
/* 80000001 EDX: leaf 1 again (AMD), and SYSCALL, NX, MMXEXT, FFXSR, 1 GiB pages, RDTSCP, LM, 3DNow. */
#define FX1_EDX (0x0183f3ffU | B(11) | B(20) | B(22) | B(25) | B(26) | B(27) | B(29) | B(30) | B(31))
/* 80000008 EBX: CLZERO, RstrFpErrPtrs, IBPB. Hidden: INVLPGB, RDPRU, WBNOINVD, IBRS, STIBP, SSBD, virtual
 * SSBD. */
#define FX8_EBX (B(0) | B(2) | B(12))

/* Smallest n with 1 << n >= count: bits of the APIC id that count cores take. */
static u32 id_bits(u32 count)
{
    u32 n = 0;

    while ((1u << n) < count)
        n++;
    return n;
}

static u32 cores(const struct vm *vm)
{
    return vm->cfg->vcpu_count;
}

/* Bits that the VM's APIC ids take: numbers of vCPUs, or ids of the board's CPUs for VMs whose vCPUs may have
 * these. */
static u32 vm_id_bits(const struct vm *vm)
{
    u32 span = cores(vm);

    for (u32 i = 0; CFG_SERVICE && vm->cfg->kind != VM_PRELAUNCHED && i < vm->cfg->pcpu_count; i++)
        span = MAX(span, cfg_board.cpus[vm->cfg->pcpus[i]].apic_id + 1);
    return id_bits(span);
}

/* The extended topology leaf is computed and needs nothing of the host, unless the CPU knows no leaf 7
 * either. */
static void fix_max_basic(const struct vm *vm, struct cpuid_regs *r)
{
    u32 top = r->eax;

    (void)vm;
    if (top >= 7 && top < 0x0b)
        top = 0x0b;
    r->eax = MIN(top, CPUID_MAX_BASIC);
}

/* Logical processors of the package; the APIC id in bits 31:24 is the vCPU's. */
static void fix_1(const struct vm *vm, struct cpuid_regs *r)
{
    if (cores(vm) > 1) {
        r->ebx |= cores(vm) << 16;
        r->edx |= B(28);
    }
}

/* Deterministic cache parameters: nobody shares a first or second level cache, all cores share the third. */
static void fix_cache(const struct vm *vm, struct cpuid_regs *r)
{
    u32 level = (r->eax >> 5) & 7;

    r->eax &= 0x3ff;
    if (level >= 3)
        r->eax |= (cores(vm) - 1) << 14;
}

static void fix_intel_cache(const struct vm *vm, struct cpuid_regs *r)
{
    fix_cache(vm, r);
    if (r->eax & 0x1f)
        r->eax |= (BIT32(vm_id_bits(vm)) - 1) << 26;
}

static void fix_7(const struct vm *vm, struct cpuid_regs *r)
{
    (void)vm;
    r->eax = MIN(r->eax, 1U);
}

static void fix_topology_core(const struct vm *vm, struct cpuid_regs *r)
{
    r->eax = vm_id_bits(vm);
    r->ebx = cores(vm);
}

/* The save area's size for everything that guests may enable; EBX, for what is enabled, is read live. */
static void fix_xsave(const struct vm *vm, struct cpuid_regs *r)
{
    u32 size = 512 + 64;

    (void)vm;
    for (u32 i = 2; i < 32; i++) {
        u32 c[4];

        if (!(r->eax & B(i)))
            continue;
        arch_cpuid(0xd, i, c);
        size = MAX(size, c[0] + c[1]);
    }
    r->ecx = r->eax ? size : 0;
}

/* XSAVEC, without whose area's size it is of no use. */
static void fix_xsavec(const struct vm *vm, struct cpuid_regs *r)
{
    (void)vm;
    if (cfg_board.quirks & QUIRK_XSAVEC_SIZE)
        r->eax &= ~B(1);
}

static void fix_hv_features(const struct vm *vm, struct cpuid_regs *r)
{
    /* bit 0: service VM (hypercall-abi.md section 2) */
    r->eax = vm->cfg->kind == VM_SERVICE ? 1 : 0;
}

static void fix_hv_tsc(const struct vm *vm, struct cpuid_regs *r)
{
    (void)vm;
    r->eax = (u32)(arch_tsc_hz() / 1000);
}

static void fix_max_extended(const struct vm *vm, struct cpuid_regs *r)
{
    (void)vm;
    r->eax = MIN(r->eax, CPUID_MAX_EXTENDED);
}

/* CMP_LEGACY: more than one core, and they are cores, not threads. */
static void fix_amd_x1(const struct vm *vm, struct cpuid_regs *r)
{
    r->ecx &= ~B(1);
    if (cores(vm) > 1)
        r->ecx |= B(1);
}

static void fix_x7(const struct vm *vm, struct cpuid_regs *r)
{
    (void)vm;
    if (cfg_board.tsc_invariant)
        r->edx |= B(8);
}

static void fix_amd_x8(const struct vm *vm, struct cpuid_regs *r)
{
    r->ecx = (cores(vm) - 1) | vm_id_bits(vm) << 12;
}

#define SIG_ACRN 0x4e524341U, 0x4e524341U, 0x4e524341U /* "ACRNACRNACRN" */

/* Columns: EAX, EBX, ECX, EDX. */
const struct cpuid_policy cpuid_policies[] = {
    {0x0, 0, FOR_ANY, {ALL, ALL, ALL, ALL}, {0}, fix_max_basic}, /* highest leaf, vendor */
    /* family and model; CLFLUSH size, brand index */
    {0x1, 0, FOR_ANY, {0x0fff3fff, 0x0000ffff, F1_ECX, F1_EDX}, {0, 0, F1_ECX_FORCE, 0}, fix_1},
    {0x2, 0, FOR_INTEL, {ALL, ALL, ALL, ALL}, {0}, NULL}, /* cache descriptors */
    {0x4, 0, FOR_INTEL, {ALL, ALL, ALL, ALL}, {0}, fix_intel_cache},
    {0x4, 1, FOR_INTEL, {ALL, ALL, ALL, ALL}, {0}, fix_intel_cache},
    {0x4, 2, FOR_INTEL, {ALL, ALL, ALL, ALL}, {0}, fix_intel_cache},
    {0x4, 3, FOR_INTEL, {ALL, ALL, ALL, ALL}, {0}, fix_intel_cache},
    /* 0x5 MONITOR: hidden. 0x6: only ARAT, the local APIC timer never stops. */
    {0x6, 0, FOR_ANY, {0}, {B(2), 0, 0, 0}, NULL},
    {0x7, 0, FOR_AMD, {ALL, F7_EBX, F7_ECX, F7_EDX}, {0}, fix_7},
    {0x7, 0, FOR_INTEL, {ALL, F7_EBX, F7_ECX, F7_EDX_INTEL}, {0}, fix_7},
    {0x7, 1, FOR_ANY, {F7_1_EAX, 0, 0, 0}, {0}, NULL},
    /* 0xa performance counters: hidden. 0xb: one thread a core, the APIC id (EDX) is the vCPU's. */
    {0xb, 0, FOR_ANY, {0}, {0, 1, 0x100, 0}, NULL},
    {0xb, 1, FOR_ANY, {0}, {0, 0, 0x201, 0}, fix_topology_core},
    {0xd, 0, FOR_ANY, {CPUID_XCR0, 0, 0, 0}, {0}, fix_xsave},
    {0xd, 1, FOR_ANY, {FD_1_EAX, 0, 0, 0}, {0}, fix_xsavec},
    {0xd, 2, FOR_ANY, {ALL, ALL, ALL, 0}, {0}, NULL}, /* AVX: size, offset, alignment */
    {0xd, 5, FOR_ANY, {ALL, ALL, ALL, 0}, {0}, NULL}, /* AVX-512 */
    {0xd, 6, FOR_ANY, {ALL, ALL, ALL, 0}, {0}, NULL},
    {0xd, 7, FOR_ANY, {ALL, ALL, ALL, 0}, {0}, NULL},

    {CPUID_HYPERVISOR, 0, FOR_ANY, {0}, {CPUID_HV_TSC, SIG_ACRN}, NULL},
    {CPUID_HV_FEATURES, 0, FOR_ANY, {0}, {0}, fix_hv_features},
    {CPUID_HV_TSC, 0, FOR_ANY, {0}, {0}, fix_hv_tsc}, /* TSC rate in kHz */

    {0x80000000, 0, FOR_ANY, {ALL, ALL, ALL, ALL}, {0}, fix_max_extended},
    {0x80000001, 0, FOR_AMD, {ALL, ALL, FX1_ECX, FX1_EDX}, {0}, fix_amd_x1},
    {0x80000001, 0, FOR_INTEL, {ALL, ALL, FX1_ECX & ~B(1), FX1_EDX}, {0}, NULL},
    {0x80000002, 0, FOR_ANY, {ALL, ALL, ALL, ALL}, {0}, NULL}, /* brand string */
    {0x80000003, 0, FOR_ANY, {ALL, ALL, ALL, ALL}, {0}, NULL},
    {0x80000004, 0, FOR_ANY, {ALL, ALL, ALL, ALL}, {0}, NULL},
    {0x80000005, 0, FOR_AMD, {ALL, ALL, ALL, ALL}, {0}, NULL}, /* L1 caches and TLBs */
    {0x80000006, 0, FOR_ANY, {ALL, ALL, ALL, ALL}, {0}, NULL}, /* L2, L3 */
    /* RAS and power management hidden but for the invariant TSC */
    {0x80000007, 0, FOR_ANY, {0, 0, 0, B(8)}, {0}, fix_x7},
    {0x80000008, 0, FOR_AMD, {0xffff, FX8_EBX, 0, 0}, {0}, fix_amd_x8}, /* address widths, core count */
    {0x80000008, 0, FOR_INTEL, {0xffff, 0, 0, 0}, {0}, NULL},
    /* 0x8000000a SVM: hidden */
    {0x80000019, 0, FOR_AMD, {ALL, ALL, 0, 0}, {0}, NULL}, /* TLBs for 1 GiB pages */
    {0x8000001a, 0, FOR_AMD, {0x7, 0, 0, 0}, {0}, NULL},   /* width of the FPU */
    {0x8000001d, 0, FOR_AMD, {ALL, ALL, ALL, 3}, {0}, fix_cache},
    {0x8000001d, 1, FOR_AMD, {ALL, ALL, ALL, 3}, {0}, fix_cache},
    {0x8000001d, 2, FOR_AMD, {ALL, ALL, ALL, 3}, {0}, fix_cache},
    {0x8000001d, 3, FOR_AMD, {ALL, ALL, ALL, 3}, {0}, fix_cache},
    /* APIC id (EAX) and core id (EBX) are the vCPU's; one thread a core, one node. Row only marks the leaf.
     */
    {0x8000001e, 0, FOR_AMD, {0}, {0}, NULL},
};
const unsigned cpuid_policy_count = ARRAY_SIZE(cpuid_policies);
