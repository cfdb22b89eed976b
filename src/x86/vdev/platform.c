/* The virtual platform of a VM as a whole: what it consists of, reset, and the states that vCPUs start in. */
#include <abi/hypercall.h>
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/vm.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"
#include "x86/guest/host_acpi.h"
#include "x86/vdev/host.h"
#include "x86/vdev/ioapic_pic.h"
#include "x86/vdev/pit.h"
#include "x86/vdev/pm.h"
#include "x86/vdev/rtc.h"
#include "x86/vdev/vlapic.h"

/* Constants where all VMs are pre-launched. */
static inline bool is_prelaunched(const struct vm *vm)
{
    return !CFG_SERVICE || vm->cfg->kind == VM_PRELAUNCHED;
}
static inline bool is_service(const struct vm *vm)
{
    return CFG_SERVICE && vm->cfg->kind == VM_SERVICE;
}
static inline bool has_timer(const struct vm *vm)
{
    return !CFG_SERVICE || vm->cfg->kind != VM_USER;
}
/* A real-time user VM reads the clock without its device model (hypercall-abi.md section 4.6); whether a
 * slot's VM is one turns out when it is created. */
static inline bool has_rtc(const struct vm *vm)
{
    return is_prelaunched(vm) || (vm->cfg->user_flags & HC_VM_RT);
}

void arch_vm_init(struct vm *vm)
{
    struct irqchip *c = irqchip_of(vm);

    guest_cpuid_init(vm);
    /* MMIO ranges are searched in this order: the local APIC is what guests touch most. */
    vlapic_init(vm);
    c->vm = vm;
    vioapic_init(c);
    vpic_init(c);
    /* A user VM's other devices are its device model's. The service VM's are the real machine's, but for the
     * timer and the interrupt controllers, which the hypervisor uses itself. */
    if (has_timer(vm))
        pit_init(vm);
    if (is_service(vm)) {
        host_acpi_init(vm);
        host_pci_init(vm);
        host_mem_init(vm);
    }
    if (has_rtc(vm))
        rtc_init(vm);
    if (is_prelaunched(vm))
        pm_init(vm);
}

void arch_vm_reset(struct vm *vm)
{
    struct irqchip *c = irqchip_of(vm);
    u16 i;

    if (is_service(vm))
        arch_host_quiesce(vm);
    if (CFG_APIC_ASSIST)
        arch_vm_apic_window(vm, PLAT_LAPIC_BASE);
    for (i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = &vm->vcpus[i];

        /* Before the local APIC: its TSC deadline is in guest time. */
        arch_vcpu_set_tsc_offset(v, 0);
        guest_msrs_reset(v);
        vlapic_reset(v);
    }
    if (vm->vcpu_count)
        vlapic_virtual_wire(&vm->vcpus[0]);
    vioapic_reset(c);
    vpic_reset(c);
    if (has_timer(vm))
        pit_reset(vm);
    if (is_service(vm))
        host_ports_reset();
    if (has_rtc(vm))
        rtc_reset(vm);
    if (is_prelaunched(vm))
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
