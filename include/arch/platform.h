/*
 * Arch contract, part 4: the virtual platform of a VM (interrupt controllers, timers, firmware tables).
 * Implemented by src/x86/guest and src/x86/vdev, and for core's own tests by tests/fake. Layer 3.
 */
#ifndef BH_ARCH_PLATFORM_H
#define BH_ARCH_PLATFORM_H

#include <arch/vcpu.h>
#include <config/config.h>

struct vm;
struct vcpu;

/* Once per VM at boot: registers the platform's port and MMIO handlers and timers with core. */
void arch_vm_init(struct vm *vm);
/* All virtual devices and every vCPU's local APIC to power-on state. No vCPU of the VM runs. */
void arch_vm_reset(struct vm *vm);

/* Sets the level of a guest interrupt line (GSI); drives vIOAPIC and, below 16, vPIC. Any CPU; takes the line
 * lock. */
void arch_vm_set_gsi(struct vm *vm, u32 gsi, bool level);
/* Delivers an edge interrupt with the vector (16..255) to the vCPU's local APIC. Any CPU, no lock. */
void arch_vcpu_send_vector(struct vcpu *v, u8 vector);
/* Delivers a message-signalled interrupt to the VM (address 0xFEExxxxx, data). Any CPU. -EINVAL: not an MSI
 * address. */
int arch_vm_inject_msi(struct vm *vm, u64 addr, u64 data);

/* Called from vcpu_pre_entry() with the event bits it took: delivers vLAPIC/vPIC interrupts and NMIs through
 * arch_vcpu_inject(), or opens a window. */
void arch_vcpu_deliver_events(struct vcpu *v, u32 reqs);
/* True when a halted vCPU has something that ends HLT (interrupt deliverable, NMI) or its doze. */
bool arch_vcpu_wake_pending(struct vcpu *v);
/* INIT to the vCPU: local APIC state as after INIT. SIPI start state for `vector`. */
void arch_vcpu_init_ipi(struct vcpu *v);
void arch_sipi_state(u8 vector, struct vcpu_boot_state *out);
/* Architectural RESET state (CS F000:FFF0). */
void arch_reset_state(struct vcpu_boot_state *out);

/*
 * Writes the firmware's view into guest memory: ACPI tables, MP-free, at fixed addresses below 1 MiB, and
 * reports the memory map. Called by the loaders after guest RAM was cleared.
 */
#define PLATFORM_E820_MAX ((CFG_SERVICE ? 48 : 16) + CFG_SHMS)
struct e820_entry {
    u64 base, size;
    u32 type; /* 1 RAM, 2 reserved, 3 ACPI reclaimable, 4 NVS */
};
int arch_vm_build_firmware(struct vm *vm);
unsigned arch_vm_e820(struct vm *vm, struct e820_entry out[PLATFORM_E820_MAX]);
/* Guest-physical address of the RSDP that arch_vm_build_firmware() wrote. */
u64 arch_vm_rsdp(struct vm *vm);

/*
 * The service VM's accesses to ports that no virtual device owns: the real machine's, where they belong to
 * nobody else. False: nobody's, the default of core/io.h applies. The vCPU's pCPU.
 */
bool arch_host_port(struct vcpu *v, u16 port, u8 size, bool write, u32 *val);
/* The service VM stopped: its devices must neither write memory nor interrupt any more. Control CPU. */
void arch_host_quiesce(struct vm *vm);
/* CPU_REQ_IRQ: interrupts of real devices arrived on this CPU. */
void arch_host_irqs(void);

/* Shell output. */
void arch_dump_vioapic(struct vm *vm, void (*print)(const char *fmt, ...) PRINTF(1, 2));
void arch_dump_vcpu(struct vcpu *v, void (*print)(const char *fmt, ...) PRINTF(1, 2));

#endif
