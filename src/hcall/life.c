/* The life of a user VM (hypercall-abi.md sections 2.3, 5). What each state answers stands in table.c. */
#include <core/user_vm.h>
#include "hcall.h"

/* HC_START_VM: fails without a buffer for I/O requests or without vCPU 0. */
s32 hc_start_vm(struct hcall *h)
{
    return user_vm_start(h->target) ? -EPERM_ : 0;
}

/* HC_PAUSE_VM. */
s32 hc_pause_vm(struct hcall *h)
{
    user_vm_pause(h->target);
    return 0;
}

/* HC_RESET_VM. */
s32 hc_reset_vm(struct hcall *h)
{
    user_vm_reset(h->target);
    return 0;
}

/* HC_DESTROY_VM. */
s32 hc_destroy_vm(struct hcall *h)
{
    user_vm_destroy(h->target);
    return 0;
}
