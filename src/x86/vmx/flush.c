/* Cached translations (SDM vol. 3C 28.3): what must be dropped, and when. */
#include <lib/log.h>
#include "x86/hw/s2_format.h"
#include "x86/vmx/vmx.h"

u64 vmx_eptp(const struct vm *vm)
{
    return s2_root(vm).v | EPTP_WB | EPTP_LEVELS | ((vmx_caps.ept_vpid & EPT_CAP_AD) ? EPTP_AD : 0);
}

/* The second-level tables changed: with EPT on, everything that is cached comes from them (28.3.1). */
void vmx_flush_s2(const struct vm *vm)
{
    bool one = (vmx_caps.ept_vpid & EPT_CAP_INVEPT_ONE) != 0;

    if (!invept(one ? VMX_FLUSH_ONE : VMX_FLUSH_ALL, one ? vmx_eptp(vm) : 0))
        panic("INVEPT fails for VM '%s'", vm->cfg->name);
}

/* The guest's own paging changed behind its back, or another vCPU with this VPID may have run here. */
void vmx_flush_vpid(const struct vcpu *v)
{
    bool one = (vmx_caps.ept_vpid & EPT_CAP_INVVPID_ONE) != 0;

    if (!invvpid(one ? VMX_FLUSH_ONE : VMX_FLUSH_ALL, one ? (u16)(v->index + 1) : 0))
        panic("INVVPID fails for VM '%s'", v->vm->cfg->name);
}

/* After VMXON: nothing that the firmware or a hypervisor before left may be used. */
COLD void vmx_flush_everything(void)
{
    if (vmx_caps.ept_vpid & EPT_CAP_INVEPT_ALL)
        (void)invept(VMX_FLUSH_ALL, 0);
    if (vmx_caps.ept_vpid & EPT_CAP_INVVPID_ALL)
        (void)invvpid(VMX_FLUSH_ALL, 0);
}
