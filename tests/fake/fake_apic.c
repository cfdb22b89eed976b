/* Fake CPU that carries out part of the local APIC (include/arch/vcpu.h): the test says how much. */
#include <string.h>
#include <core/vcpu.h>
#include <lib/atomic.h>
#include <fake.h>

u32 fake_apic_help;
struct fake_apic fake_apics[CFG_VCPUS];

/* Word i of eight at the byte offset `first` of an xAPIC page. */
#define WORD(page, first, i) ((page)[(first) / 4 + (i)*4])

void fake_reset_apic(void);

void fake_reset_apic(void)
{
    fake_apic_help = 0;
    memset(fake_apics, 0, sizeof(fake_apics));
}

FAKE u32 arch_vcpu_apic_mode(struct vcpu *v, u32 mode, const void *page, bool reset)
{
    struct fake_apic *a = &fake_apics[v->index];

    a->mode = mode;
    a->page = (u32 *)(uintptr_t)page;
    if (reset)
        memset(a->posted, 0, sizeof(a->posted));
    a->modes++;
    return mode ? fake_apic_help : fake_apic_help & APIC_HELP_TPR;
}

FAKE void arch_vcpu_apic_post(struct vcpu *v, u8 vector, bool fresh)
{
    struct fake_apic *a = &fake_apics[v->index];

    a->posted[vector / 32] |= BIT32(vector & 31);
    a->fresh += fresh;
    vcpu_request(v, VCPU_REQ_EVENT);
}

FAKE void arch_vcpu_apic_pull(struct vcpu *v)
{
    struct fake_apic *a = &fake_apics[v->index];

    for (unsigned i = 0; i < 8; i++) {
        WORD(a->page, 0x200, i) |= a->posted[i];
        a->posted[i] = 0;
    }
}

FAKE void arch_vcpu_apic_push(struct vcpu *v)
{
    fake_apics[v->index].pushes++;
}

FAKE void arch_vcpu_apic_threshold(struct vcpu *v, u32 priority_class)
{
    fake_apics[v->index].threshold = priority_class;
}

FAKE void arch_vm_apic_window(struct vm *vm, u64 gpa)
{
    (void)vm;
    (void)gpa;
}
