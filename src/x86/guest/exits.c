/* Exits that need little: exceptions, hypercalls, CR8, XSETBV. */
#include <core/hcall.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"
#include "x86/vdev/vlapic.h"

void guest_exception(struct vcpu *v, u8 vector, bool has_error, u32 error, u64 cr2)
{
    struct guest_event e = {
        .kind = EVENT_EXCEPTION, .vector = vector, .has_error = has_error, .error = error, .cr2 = cr2};

    arch_vcpu_inject(v, &e);
}

void guest_hypercall(struct vcpu *v)
{
    switch (hcall_dispatch(v)) {
    case HCALL_DONE:
        arch_vcpu_skip(v, 3);
        break;
    case HCALL_GP:
        guest_gp(v);
        break;
    default:
        guest_ud(v);
        break;
    }
}

void guest_cr8_write(struct vcpu *v, u64 val)
{
    vlapic_set_cr8(v, val);
}

u64 guest_cr8_read(struct vcpu *v)
{
    return vlapic_get_cr8(v);
}

/* XSETBV needs CR4.OSXSAVE, which the hypervisor, having no use for it, may not have set. */
static void native_xsetbv(u64 val)
{
    u64 cr4 = read_cr4();

    if (!(cr4 & CR4_OSXSAVE))
        write_cr4(cr4 | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
    if (!(cr4 & CR4_OSXSAVE))
        write_cr4(cr4);
}

bool guest_xsetbv(struct vcpu *v)
{
    const u64 *g = v->regs->gpr;
    u64 val = (u32)g[GPR_RAX] | (g[GPR_RDX] << 32);

    if (arch_vcpu_cpl(v) != 0 || (u32)g[GPR_RCX] != 0 || !guest_xcr0_legal(val))
        return false;
    native_xsetbv(val);
    return true;
}
