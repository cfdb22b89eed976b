/* Hypercalls about the machine as a whole, and answers for what this hypervisor does not have
 * (hypercall-abi.md sections 2.2, 2.8, 6.2). */
#include <arch/cpu.h>
#include <core/ioreq.h>
#include <core/sbuf.h>
#include <core/user_vm.h>
#include "hcall.h"

/* HC_GET_API_VERSION: RDI = GPA of struct hc_api_version. -EPERM when it cannot be written. */
s32 hc_get_api_version(struct hcall *h)
{
    const struct hc_api_version out = {.major_version = HC_API_MAJOR, .minor_version = HC_API_MINOR};

    return hcall_put(h, h->p1, &out, sizeof(out));
}

/* HC_GET_PLATFORM_INFO: RDI = GPA of struct hc_platform_info. Every CPU of the board is online once a VM
 * runs. */
s32 hc_get_platform_info(struct hcall *h)
{
    const struct hc_platform_info out = {.cpu_num = CFG_PCPUS, .max_vcpus_per_vm = CFG_MAX_VCPUS_PER_VM};

    return hcall_put(h, h->p1, &out, sizeof(out));
}

/* HC_GET_HW_INFO: RDI = GPA of struct hc_hw_info. -EINVAL when it cannot be written (section 2.8). */
s32 hc_get_hw_info(struct hcall *h)
{
    const struct hc_hw_info out = {.cpu_num = CFG_PCPUS};

    return hcall_put(h, h->p1, &out, sizeof(out)) ? -EINVAL_ : 0;
}

/* HC_SOS_OFFLINE_CPU: RDI = local APIC id, all 64 bits. 0 also when no vCPU has it. */
s32 hc_sos_offline_cpu(struct hcall *h)
{
    s32 ret;

    arch_wait_begin();
    ret = service_offline_cpu(h->v, h->p1);
    arch_wait_end();
    return ret;
}

/* HC_SET_CALLBACK_VECTOR: RDI = vector. */
s32 hc_set_callback_vector(struct hcall *h)
{
    if (h->p1 < 0x20 || h->p1 > 0xff)
        return -EINVAL_;
    ioreq_set_vector((u8)h->p1);
    return 0;
}

/* HC_SETUP_SBUF: RDI = GPA of struct hc_sbuf_setup_param. */
s32 hc_setup_sbuf(struct hcall *h)
{
    return sbuf_setup(h->in.sbuf.pcpu_id, h->in.sbuf.sbuf_id, h->in.sbuf.gpa);
}

/* The same call at its later place (section 6.2): RDI names a VM, which matters only for the ids of a VM's
 * own buffers. Those (64 asynchronous I/O, 65 events) are not built: -ENODEV. */
s32 hc_setup_sbuf_v3(struct hcall *h)
{
    if (h->p1 != 0 && !hcall_user_vm(h, h->p1))
        return -EPERM_;
    if (h->in.sbuf.sbuf_id == HC_SBUF_ASYNCIO || h->in.sbuf.sbuf_id == HC_SBUF_VM_EVENT)
        return -ENODEV_;
    return hc_setup_sbuf(h);
}

/* HC_VM_PCI_MSIX_REMAP: deprecated, does nothing whatever the arguments (section 2.6). */
s32 hc_deprecated(struct hcall *h)
{
    (void)h;
    return 0;
}

/* Pass-through, virtual devices, asynchronous I/O: there is no device to be had. */
s32 hc_no_device(struct hcall *h)
{
    (void)h;
    return -ENODEV_;
}

/* What a build without the feature answers: trace hub and profiling (section 1.3), secure world
 * (section 2.7).
 */
s32 hc_not_supported(struct hcall *h)
{
    (void)h;
    return -EPERM_;
}
