/* The two control words that change while a guest runs. Their copies in memory spare a VMREAD. */
#include "x86/vmx/vmx.h"

void vmx_set_proc(struct vmx_vcpu *s, u32 set, u32 clear)
{
    u32 val = (s->proc & ~clear) | set;

    if (val == s->proc)
        return;
    s->proc = val;
    vmwrite(VMCS_PROC_CTLS, val);
}

void vmx_set_proc2(struct vmx_vcpu *s, u32 set, u32 clear)
{
    u32 val = (s->proc2 & ~clear) | set;

    if (val == s->proc2)
        return;
    s->proc2 = val;
    vmwrite(VMCS_PROC_CTLS2, val);
}
