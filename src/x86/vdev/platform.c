/* The virtual platform of a VM as a whole: what it consists of, reset, and the states that vCPUs start in. */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/vm.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/pit.h"
#include "x86/vdev/pm.h"
#include "x86/vdev/rtc.h"
#include "x86/vdev/vlapic.h"

void arch_vm_init(struct vm *vm)
{
    struct irqchip *c = irqchip_of(vm);

    guest_cpuid_init(vm);
    /* MMIO ranges are searched in this order: the local APIC is what guests touch most. */
    vlapic_init(vm);
    c->vm = vm;
    vioapic_init(c);
    vpic_init(c);
    pit_init(vm);
    rtc_init(vm);
    pm_init(vm);
}

void arch_vm_reset(struct vm *vm)
{
    struct irqchip *c = irqchip_of(vm);
    u16 i;

    for (i = 0; i < vm->cfg->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];

        /* Before the local APIC: its TSC deadline is in guest time. */
        arch_vcpu_set_tsc_offset(v, 0);
        guest_msrs_reset(v);
        vlapic_reset(v);
    }
    vlapic_virtual_wire(&vm->vcpus[0]);
    vioapic_reset(c);
    vpic_reset(c);
    pit_reset(vm);
    rtc_reset(vm);
    pm_reset(vm);
}

/* SDM vol. 3A table 9-1. */
void arch_reset_state(struct vcpu_boot_state *out)
{
    static const struct segment data = {.base = 0, .limit = 0xffff, .attr = 0x93, .sel = 0};
    u32 cpuid[4];
    unsigned i;

    *out = (struct vcpu_boot_state){.rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010};
    for (i = 0; i < SEG_COUNT; i++)
        out->seg[i] = data;
    out->seg[SEG_CS] = (struct segment){.base = 0xffff0000, .limit = 0xffff, .attr = 0x9b, .sel = 0xf000};
    out->seg[SEG_LDTR].attr = 0x82;
    out->seg[SEG_TR].attr = 0x8b;
    /* DX holds the processor signature (SDM vol. 3A 9.1.2). */
    arch_cpuid(1, 0, cpuid);
    out->gpr[GPR_RDX] = cpuid[0];
}

/* A SIPI with vector VV starts at VV00:0000 (SDM vol. 3A 8.4.4). */
void arch_sipi_state(u8 vector, struct vcpu_boot_state *out)
{
    arch_reset_state(out);
    out->rip = 0;
    out->seg[SEG_CS].sel = (u16)(vector << 8);
    out->seg[SEG_CS].base = (u64)vector << 12;
}
