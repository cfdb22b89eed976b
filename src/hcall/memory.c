/* Single pages: I/O request buffer, translation, write protection; and the end of a request
 * (hypercall-abi.md section 2.5). */
#include <arch/s2.h>
#include <core/ioreq.h>
#include <core/shm.h>
#include <core/user_vm.h>
#include "hcall.h"

/* The host page behind a page-aligned address of the caller's, when it is RAM of its own that it may write.
 */
static bool shared_page(const struct hcall *h, u64 addr, hpa_t *out)
{
    struct s2_leaf leaf;

    if (!IS_ALIGNED(addr, PAGE_SIZE) || !arch_s2_translate(h->v->vm, gpa(addr), &leaf))
        return false;
    if ((leaf.prot & (MEM_R | MEM_W | MEM_DEV)) != (MEM_R | MEM_W) || shm_holds(leaf.hpa))
        return false;
    *out = leaf.hpa;
    return true;
}

/* HC_SET_IOREQ_BUFFER: RSI = GPA of struct hc_set_ioreq_buffer. An address that cannot be used leaves the VM
 * without a buffer. */
s32 hc_set_ioreq_buffer(struct hcall *h)
{
    hpa_t page;

    if (!shared_page(h, h->in.ioreq.req_buf, &page)) {
        ioreq_drop(h->target);
        return -EPERM_;
    }
    ioreq_set_buffer(h->target, page);
    return 0;
}

/* HC_NOTIFY_REQUEST_FINISH: RSI = vCPU id, of which 16 bits count. */
s32 hc_notify_request_finish(struct hcall *h)
{
    return ioreq_notify(h->target, (u16)h->p2) ? -EPERM_ : 0;
}

/* HC_VM_GPA2HPA: RSI = GPA of struct hc_gpa2hpa, which is left alone when the address is not mapped. */
s32 hc_gpa2hpa(struct hcall *h)
{
    struct s2_leaf leaf;

    if (!arch_s2_translate(h->target, gpa(h->in.gpa2hpa.gpa), &leaf))
        return -EPERM_;
    h->in.gpa2hpa.hpa = leaf.hpa.v;
    return hcall_put(h, h->p2, &h->in.gpa2hpa, sizeof(h->in.gpa2hpa));
}

/* HC_VM_WRITE_PROTECT_PAGE: RSI = GPA of struct hc_wp_data. */
s32 hc_write_protect_page(struct hcall *h)
{
    s32 ret = user_vm_write_protect(h->target, gpa(h->in.wp.gpa), h->in.wp.set != 0);

    if (ret == 0)
        vm_s2_commit(h->target);
    return ret;
}
