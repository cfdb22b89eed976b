/* Interrupts into a user VM (hypercall-abi.md section 2.4). */
#include <arch/platform.h>
#include <core/vuart.h>
#include <lib/bits.h>
#include "hcall.h"

/* Delivery modes of a message (SDM vol. 3A 10.11.2) that are passed on. */
enum { MSI_FIXED = 0, MSI_LOWEST = 1, MSI_EXTINT = 7 };

/* HC_INJECT_MSI: RSI = GPA of struct hc_msi_entry, the upper halves of which mean nothing. The trigger mode
 * is always edge. Other delivery modes than fixed, lowest priority and ExtINT are dropped. */
s32 hc_inject_msi(struct hcall *h)
{
    u32 addr = (u32)h->in.msi.msi_addr, data = (u32)h->in.msi.msi_data & 0x7ffu;
    u64 mode = field_get(data, 8, 3);

    if (addr >> 20 != 0xfee)
        return -EPERM_;
    if (mode != MSI_FIXED && mode != MSI_LOWEST && mode != MSI_EXTINT)
        return 0;
    return arch_vm_inject_msi(h->target, addr, data) ? -EPERM_ : 0;
}

/* HC_SET_IRQLINE: RSI = GSI in its low half, enum hc_irqline_op in its high half. */
s32 hc_set_irqline(struct hcall *h)
{
    u32 gsi = (u32)h->p2;
    u32 op = (u32)(h->p2 >> 32);

    if (gsi >= HC_VIOAPIC_PINS)
        return -EPERM_;
    if (op > HC_GSI_FALLING_PULSE)
        return -EINVAL_;
    /* The line of a vUART that the hypervisor keeps for the VM is not the device model's. */
    if (CFG_USER_VUARTS && vuart_has_gsi(h->target, gsi))
        return -EINVAL_;
    arch_vm_set_gsi(h->target, gsi, op == HC_GSI_SET_HIGH || op == HC_GSI_RAISING_PULSE);
    if (op == HC_GSI_RAISING_PULSE || op == HC_GSI_FALLING_PULSE)
        arch_vm_set_gsi(h->target, gsi, op == HC_GSI_FALLING_PULSE);
    return 0;
}

/* HC_VM_INTR_MONITOR: RSI = GPA of struct hc_intr_monitor. No interrupt is passed through to any VM, so there
 * are no counts to return and none to delay. */
s32 hc_vm_intr_monitor(struct hcall *h)
{
    const u32 cells = 0;

    if (h->in.monitor.buf_cnt > HC_INTR_MONITOR_MAX)
        return -EINVAL_;
    switch (h->in.monitor.cmd) {
    case HC_INTR_GET_DATA:
        return hcall_put(h, h->p2 + offsetof(struct hc_intr_monitor, buf_cnt), &cells, sizeof(cells))
                   ? -EINVAL_
                   : 0;
    case HC_INTR_DELAY:
        return 0;
    default:
        return hcall_hsm() ? -EINVAL_ : 0;
    }
}
