/*
 * APIC virtualisation (SDM vol. 3C chapter 29): the vLAPIC's register page is the virtual-APIC page. What the
 * CPU has of it decides what the vLAPIC leaves to the CPU; the vLAPIC in software is the rest.
 */
#include <lib/atomic.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/guest/exits.h"
#include "x86/hw/lapic.h"
#include "x86/hw/msr.h"
#include "x86/hw/paging.h"
#include "x86/hw/traps.h"
#include "x86/vdev/platform_map.h"
#include "x86/vdev/vlapic.h"
#include "x86/vmx/posted.h"
#include "x86/vmx/vmx.h"

enum mode { MODE_OFF = 0, MODE_XAPIC = 1, MODE_X2APIC = 2 };

/* Words of IRR, ISR and TMR in the page: eight each, 16 bytes apart (SDM vol. 3A table 10-1). */
#define PAGE_WORD(p, first, i) ((p)[(first) / 4 + (i)*4])
#define PAGE_ISR               0x100u
#define PAGE_TMR               0x180u
#define PAGE_IRR               0x200u

#define PROC2_APIC (PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR)

static struct vapic {
    struct vmx_posted desc;
    struct vmx_posted
        fresh; /* requests that must not go in before the EOI-exit bitmap was brought up to date */
    u32 *page;
    u32 mode;
    u32 changed; /* atomic: mode and page are to be put into the VMCS */
    bool posting;
    u64 eoi_exit[4]; /* as in the VMCS */
} vapics[CFG_VCPUS];

/* What accesses to the xAPIC page lead to. The CPU looks at the address only; a vCPU whose APIC is off or in
 * x2APIC mode sees a blank page of its VM's. */
static u8 access_pages[CFG_VMS][4096] ALIGNED(4096);

static struct vapic *vapic_of(const struct vcpu *v)
{
    return &vapics[v->index];
}

u32 vmx_apic_help(u32 mode)
{
    if (!(vmx_caps.proc & PROC_TPR_SHADOW))
        return 0;
    if (mode != MODE_OFF && (vmx_caps.proc2 & PROC2_VIRTUAL_INTR))
        return APIC_HELP_TPR | APIC_HELP_IRQ;
    return APIC_HELP_TPR;
}

COLD u32 arch_vcpu_apic_mode(struct vcpu *v, u32 mode, const void *page, bool reset)
{
    struct vapic *a = vapic_of(v);

    if (reset) {
        memset(a->desc.requests, 0, sizeof(a->desc.requests));
        memset(a->fresh.requests, 0, sizeof(a->fresh.requests));
    }
    a->page = (u32 *)(u64)page;
    a->mode = mode;
    atomic_store(&a->changed, 1);
    atomic_or(&v->requests, VMX_REQ_ENTRY);
    return vmx_apic_help(mode);
}

void vmx_apic_reload(struct vmx_vcpu *s)
{
    memset(vapic_of(s->v)->eoi_exit, 0, sizeof(vapics[0].eoi_exit));
    atomic_store(&vapic_of(s->v)->changed, 1);
}

static COLD void set_posting(struct vmx_vcpu *s, struct vapic *a, bool on)
{
    u64 pin = vmread(VMCS_PIN_CTLS) & ~(u64)PIN_POSTED;

    a->posting = on;
    if (!(vmx_caps.pin & PIN_POSTED))
        return;
    if (on) {
        u64 base;
        bool x2 = arch_rdmsr_safe(MSR_IA32_APIC_BASE, &base) && (base & APIC_BASE_X2);

        posted_address(&a->desc, VEC_POSTED, cfg_board.cpus[this_cpu()->id].apic_id, x2);
        vmwrite(VMCS_POSTED_VECTOR, VEC_POSTED);
        vmwrite(VMCS_POSTED_DESC, va_to_hpa(&a->desc).v);
        pin |= PIN_POSTED;
    }
    vmwrite(VMCS_PIN_CTLS, pin);
    (void)s;
}

static COLD void change_mode(struct vmx_vcpu *s, struct vapic *a)
{
    u32 on = 0;

    if (!(vmx_caps.proc & PROC_TPR_SHADOW) || !a->page)
        return;
    if (a->mode != MODE_OFF)
        on = vmx_caps.proc2 & (PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR);
    if (a->mode == MODE_XAPIC)
        on |= vmx_caps.proc2 & PROC2_APIC_ACCESS;
    else if (a->mode == MODE_X2APIC)
        on |= vmx_caps.proc2 & PROC2_X2APIC;
    vmwrite(VMCS_VAPIC_PAGE, va_to_hpa(a->page).v);
    vmwrite(VMCS_TPR_THRESHOLD, 0);
    if (vmx_caps.proc2 & PROC2_APIC_ACCESS)
        vmwrite(VMCS_APIC_ACCESS, va_to_hpa(access_pages[s->v->vm->id]).v);
    vmwrite(VMCS_MSR_BITMAP, vmx_msr_bitmap((on & PROC2_X2APIC) != 0).v);
    vmx_set_proc(s, PROC_TPR_SHADOW, PROC_CR8_LOAD | PROC_CR8_STORE);
    vmx_set_proc2(s, on, PROC2_APIC & ~on);
    set_posting(s, a, (on & PROC2_VIRTUAL_INTR) != 0 && (vmx_caps.pin & PIN_POSTED));
    if (on & PROC2_VIRTUAL_INTR) {
        arch_vcpu_apic_pull(s->v);
        arch_vcpu_apic_push(s->v);
    }
    /* Translations made with the old settings may lead past the CPU's look at the address (29.5). */
    vmx_flush_vpid(s->v);
    vmx_flush_s2(s->v->vm);
}

void vmx_apic_update(struct vmx_vcpu *s)
{
    struct vapic *a = vapic_of(s->v);

    if (UNLIKELY(atomic_load_relaxed(&a->changed)) && atomic_xchg(&a->changed, 0)) {
        change_mode(s, a);
        /* What waits for a lower task priority needs its threshold again. */
        atomic_or(&s->v->requests, (u32)VCPU_REQ_EVENT);
    }
}

void arch_vcpu_apic_post(struct vcpu *v, u8 vector, bool fresh)
{
    struct vapic *a = vapic_of(v);

    if (!a->posting || fresh) {
        /* The owner looks at the words in this order too (arch_vcpu_apic_pull()). */
        if (posted_set(a->posting ? &a->fresh : &a->desc, vector))
            vcpu_request(v, VCPU_REQ_EVENT);
        return;
    }
    if (!posted_set(&a->desc, vector))
        return;
    /* A CPU in guest mode takes it without an exit. The request bit is for one that is not, and wakes it. */
    atomic_or(&v->requests, (u32)VCPU_REQ_EVENT);
    if (v->pcpu != this_cpu()->id)
        lapic_send(cfg_board.cpus[v->pcpu].apic_id, ICR_FIXED | VEC_POSTED);
}

void arch_vcpu_apic_pull(struct vcpu *v)
{
    struct vapic *a = vapic_of(v);
    struct vmx_posted *from[] = {&a->desc, &a->fresh};
    u32 words[8];

    for (unsigned k = 0; k < ARRAY_SIZE(from); k++) {
        if (!posted_take(from[k], words))
            continue;
        for (unsigned i = 0; i < 8; i++)
            PAGE_WORD(a->page, PAGE_IRR, i) |= words[i];
    }
}

static u32 highest(const u32 *page, u32 first)
{
    for (unsigned i = 8; i-- > 0;)
        if (PAGE_WORD(page, first, i))
            return i * 32 + bit_high32(PAGE_WORD(page, first, i));
    return 0;
}

/* Guest interrupt status: what is requested in bits 7:0, in service in 15:8 (24.4.2). */
void arch_vcpu_apic_push(struct vcpu *v)
{
    struct vapic *a = vapic_of(v);

    vmwrite(VMCS_GUEST_INTR_STATUS, highest(a->page, PAGE_IRR) | (u64)highest(a->page, PAGE_ISR) << 8);
    for (unsigned i = 0; i < 4; i++) {
        u64 tmr = PAGE_WORD(a->page, PAGE_TMR, 2 * i) | (u64)PAGE_WORD(a->page, PAGE_TMR, 2 * i + 1) << 32;

        if (UNLIKELY(tmr != a->eoi_exit[i])) {
            a->eoi_exit[i] = tmr;
            vmwrite(VMCS_EOI_EXIT0 + 2 * (u64)i, tmr);
        }
    }
}

void arch_vcpu_apic_threshold(struct vcpu *v, u32 priority_class)
{
    (void)v;
    vmwrite(VMCS_TPR_THRESHOLD, priority_class);
}

COLD void arch_vm_apic_window(struct vm *vm, u64 gpa_)
{
    struct s2_leaf leaf;

    if (!(vmx_caps.proc2 & PROC2_APIC_ACCESS) || !(vmx_caps.proc & PROC_TPR_SHADOW) ||
        arch_s2_translate(vm, gpa(gpa_), &leaf))
        return;
    if (arch_s2_map(vm, gpa(gpa_), va_to_hpa(access_pages[vm->id]), PAGE_SIZE, MEM_R | MEM_W | MEM_DEV))
        panic("vm %s: %u pages of second-level tables do not reach for the local APIC", vm->cfg->name,
              vm->cfg->s2_pages);
}

/* ---- exits ---- */

/* An access that the CPU does not carry out, at an offset of the xAPIC page (29.4). */
void vmx_exit_apic_access(struct vmx_vcpu *s)
{
    u64 q = vmread(VMCS_QUALIFICATION);

    if (vmread(VMCS_IDT_VECTORING) & INTR_VALID)
        vmx_collect_interrupted(s);
    s->regs.gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
    guest_mmio(s->v, PLAT_LAPIC_BASE + APICQ_OFFSET(q), APICQ_TYPE(q) == APIC_WRITE,
               APICQ_TYPE(q) == APIC_FETCH);
    vmwrite(VMCS_GUEST_RSP, s->regs.gpr[GPR_RSP]);
}

void vmx_exit_apic_write(struct vmx_vcpu *s)
{
    vlapic_page_written(s->v, APICQ_OFFSET(vmread(VMCS_QUALIFICATION)));
}

void vmx_exit_eoi(struct vmx_vcpu *s)
{
    vlapic_ended(s->v, (u8)vmread(VMCS_QUALIFICATION));
}

void vmx_exit_tpr(struct vmx_vcpu *s)
{
    vlapic_tpr_fell(s->v);
}
