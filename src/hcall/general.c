/* Hypercalls that name no VM (hypercall-abi.md sections 2.2 and 2.8). */
#include <abi/hypercall.h>
#include "hcall.h"

static s32 put(const struct hcall *h, const void *src, size_t len)
{
    return vm_gpa_write(h->v->vm, gpa(h->p1), src, len) ? -EPERM_ : 0;
}

/* HC_GET_API_VERSION: RDI = GPA of struct hc_api_version. -EPERM when it cannot be written. */
s32 hc_get_api_version(struct hcall *h)
{
    const struct hc_api_version out = {.major_version = HC_API_MAJOR, .minor_version = HC_API_MINOR};

    return put(h, &out, sizeof(out));
}

/* HC_GET_PLATFORM_INFO: RDI = GPA of struct hc_platform_info. Every CPU of the board is online once a VM
 * runs. */
s32 hc_get_platform_info(struct hcall *h)
{
    const struct hc_platform_info out = {.cpu_num = CFG_PCPUS, .max_vcpus_per_vm = CFG_MAX_VCPUS_PER_VM};

    return put(h, &out, sizeof(out));
}

/* HC_GET_HW_INFO: RDI = GPA of struct hc_hw_info. */
s32 hc_get_hw_info(struct hcall *h)
{
    const struct hc_hw_info out = {.cpu_num = CFG_PCPUS};

    return put(h, &out, sizeof(out));
}
