/*
 * Control registers (SDM vol. 3C 24.6.6, 25.1.3, 26.3.1.1). The guest owns every bit whose effect stays in
 * the guest. The rest keep a value that the host needs, and the guest reads what it wrote from the shadows:
 * CR0.NE (VMX operation wants it), CD and NW (an entry and an exit leave them alone, so the host would run
 * uncached), CR4.VMXE, MCE, and whatever CPUID does not offer.
 */
#include <arch/cpu.h>
#include <core/vm.h>
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"
#include "x86/vmx/vmx.h"

#define CR0_HOST_OWNED (CR0_NE | CR0_CD | CR0_NW)
#define CR0_DEFINED                                                                                          \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* VME, PVI, TSD, DE, PSE, PAE, PGE, PCE, OSFXSR, OSXMMEXCPT, UMIP, FSGSBASE, OSXSAVE, SMEP, SMAP. */
#define CR4_GUEST_OWNED                                                                                      \
    (0x3fULL | BIT64(7) | BIT64(8) | BIT64(9) | BIT64(10) | BIT64(11) | BIT64(16) | BIT64(18) | BIT64(20) |  \
     BIT64(21))
#define CR4_SHADOWED CR4_MCE /* host-owned, but the guest may write it */

#define PDPTE_P        BIT64(0)
#define PDPTE_RESERVED 0x1e6ULL /* bits 8:5, 2:1 (SDM vol. 3A table 4-8) */

static u64 cr4_guest_owned(void)
{
    return CR4_GUEST_OWNED & vmx_caps.cr4_fixed1;
}

void vmx_setup_cr_masks(void)
{
    vmwrite(VMCS_CR0_MASK, CR0_HOST_OWNED);
    vmwrite(VMCS_CR4_MASK, ~cr4_guest_owned());
}

u64 vmx_guest_cr0(void)
{
    return (vmread(VMCS_GUEST_CR0) & ~CR0_HOST_OWNED) | (vmread(VMCS_CR0_SHADOW) & CR0_HOST_OWNED);
}

u64 vmx_guest_cr4(void)
{
    u64 owned = cr4_guest_owned();

    return (vmread(VMCS_GUEST_CR4) & owned) | (vmread(VMCS_CR4_SHADOW) & ~owned);
}

void vmx_load_cr0(u64 val)
{
    vmwrite(VMCS_GUEST_CR0, (val & ~CR0_HOST_OWNED) | CR0_NE | CR0_ET);
    vmwrite(VMCS_CR0_SHADOW, val);
}

void vmx_load_cr4(u64 val)
{
    vmwrite(VMCS_GUEST_CR4, (val & cr4_guest_owned()) | CR4_VMXE | CR4_MCE);
    vmwrite(VMCS_CR4_SHADOW, val);
}

void vmx_load_efer(u64 val)
{
    u64 entry = vmread(VMCS_ENTRY_CTLS) & ~(u64)ENTRY_IA32E;

    vmwrite(VMCS_GUEST_EFER, val);
    vmwrite(VMCS_ENTRY_CTLS, entry | ((val & EFER_LMA) ? ENTRY_IA32E : 0));
}

bool vmx_load_pdptes(struct vmx_vcpu *s, u64 cr0, u64 cr3, u64 cr4, u64 efer)
{
    u64 e[4];

    if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (efer & EFER_LMA))
        return true;
    for (unsigned i = 0; i < 4; i++)
        if (!vm_gpa_read64(s->v->vm, gpa((cr3 & 0xffffffe0u) + (u64)i * 8), &e[i]) ||
            ((e[i] & PDPTE_P) && (e[i] & PDPTE_RESERVED)))
            return false;
    for (unsigned i = 0; i < 4; i++)
        vmwrite(VMCS_GUEST_PDPTE0 + 2 * (u64)i, e[i]);
    return true;
}

/* MOV to CR0 as SDM vol. 2B describes it. False: #GP. */
static COLD bool move_to_cr0(struct vmx_vcpu *s, u64 val)
{
    u64 old = vmx_guest_cr0(), cr4 = vmread(VMCS_GUEST_CR4), efer = vmread(VMCS_GUEST_EFER);
    bool code64 = (efer & EFER_LMA) && (vmread(VMCS_GUEST_CS_ACCESS) & SEG_ATTR_L);

    if (val >> 32)
        return false;
    val = (val & CR0_DEFINED) | CR0_ET;
    if (((val & CR0_PG) && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD)))
        return false;
    if (!(old & CR0_PG) && (val & CR0_PG) && (efer & EFER_LME)) {
        if (!(cr4 & CR4_PAE) || (vmread(VMCS_GUEST_CS_ACCESS) & SEG_ATTR_L))
            return false;
        efer |= EFER_LMA;
    }
    if ((old & CR0_PG) && !(val & CR0_PG)) {
        if (code64)
            return false;
        efer &= ~EFER_LMA;
    }
    if (((old ^ val) & (CR0_PG | CR0_CD | CR0_NW)) &&
        !vmx_load_pdptes(s, val, vmread(VMCS_GUEST_CR3), cr4, efer))
        return false;
    vmx_load_efer(efer);
    vmx_load_cr0(val);
    vmx_flush_vpid(s->v);
    return true;
}

/* MOV to CR4 with a change in a bit that the guest does not own. False: #GP. */
static COLD bool move_to_cr4(struct vmx_vcpu *s, u64 val)
{
    u64 old = vmx_guest_cr4(), efer = vmread(VMCS_GUEST_EFER);

    if (val & ~(cr4_guest_owned() | CR4_SHADOWED))
        return false;
    if ((efer & EFER_LMA) && !(val & CR4_PAE))
        return false;
    if (((old ^ val) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
        !vmx_load_pdptes(s, vmread(VMCS_GUEST_CR0), vmread(VMCS_GUEST_CR3), val, efer))
        return false;
    vmx_load_cr4(val);
    vmx_flush_vpid(s->v);
    return true;
}

static COLD bool move_to_cr8(struct vmx_vcpu *s, u64 val)
{
    if (val >> 4)
        return false;
    guest_cr8_write(s->v, val);
    return true;
}

static COLD bool move_to(struct vmx_vcpu *s, unsigned cr, u64 val)
{
    if (cr == 0)
        return move_to_cr0(s, val);
    return cr == 4 ? move_to_cr4(s, val) : move_to_cr8(s, val);
}

/* CLTS and LMSW exit only when they change bits that the guest does not own, and neither can. */
void vmx_exit_cr(struct vmx_vcpu *s)
{
    u64 q = vmread(VMCS_QUALIFICATION), *gpr = &s->regs.gpr[CRQ_GPR(q)];
    bool ok = true;

    s->regs.gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
    switch (CRQ_TYPE(q)) {
    case CR_WRITE:
        ok = move_to(s, CRQ_REG(q), *gpr);
        break;
    case CR_READ:
        *gpr = guest_cr8_read(s->v);
        vmwrite(VMCS_GUEST_RSP, s->regs.gpr[GPR_RSP]);
        break;
    case CR_CLTS:
        vmx_load_cr0(vmx_guest_cr0() & ~CR0_TS);
        break;
    default: /* LMSW sets PE, MP, EM, TS and cannot clear PE */
        ok = move_to_cr0(s, (vmx_guest_cr0() & ~0xeULL) | (CRQ_LMSW_DATA(q) & 0xf));
        break;
    }
    if (ok)
        vmx_skip_call();
    else
        guest_gp(s->v);
}
