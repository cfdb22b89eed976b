/* Harness of the virtual-platform tests: VM "a" of the fake scenario with its two vCPUs, driven through
 * ports, MMIO and MSRs. */
#ifndef VT_H
#define VT_H

#include <check.h>
#include <arch/platform.h>
#include <arch/s2.h>
#include <core/cpu.h>
#include <core/timer.h>
#include <core/vm.h>
#include <fake.h>
#include "x86/vdev/platform_map.h"
#include "x86/vdev/vlapic.h"

#define VT_NONE (-1)
#define VT_NMI  0x1000 /* vt_enter(): an NMI was injected */

extern struct vm *vt_vm; /* VM a */
extern unsigned vt_poweroffs, vt_resets, vt_cpuid_inits;
extern unsigned vt_msr_resets[CFG_VCPUS];
extern unsigned vt_inits[CFG_VCPUS], vt_sipis[CFG_VCPUS];
extern u8 vt_sipi_vector;

/* Everything to power-on state; vCPU 0 is current, interrupts enabled in all vCPUs. Registered as checked
 * fixture. */
void vt_setup(void);
struct vcpu *vt_vcpu(unsigned id);
/* Makes vCPU `id` the one whose accesses follow. */
void vt_on(unsigned id);
void vt_if(unsigned id, bool on);

void vt_out(u16 port, u8 val);
void vt_out_n(u16 port, u8 size, u32 val);
u8 vt_in(u16 port);
u32 vt_in_n(u16 port, u8 size);
u64 vt_read(u64 addr, u8 size);
void vt_write(u64 addr, u8 size, u64 val);
/* xAPIC register by offset, on the current vCPU. */
u32 vt_apic(u32 offset);
void vt_apic_set(u32 offset, u32 val);
/* MSRs: vt_rdmsr() fails the test on #GP; vt_wrmsr() tells. */
u64 vt_rdmsr(u32 msr);
bool vt_wrmsr(u32 msr, u64 val);
bool vt_rdmsr_gp(u32 msr);

/* What entering vCPU `id` injects: a vector, VT_NMI or VT_NONE. */
int vt_enter(unsigned id);
/* Software-enables the local APICs of both vCPUs. */
void vt_enable_apics(void);
/* Lets the time run until fake_tsc is `tsc`, firing timers on their CPUs when due. */
void vt_run_until(u64 tsc);
static inline void vt_run(u64 ns)
{
    vt_run_until(fake_tsc + ns);
}

/* main() of each test program: runs the NULL-terminated list. */
int vt_main(const char *name, const TTest *const *tests);
/* The same with a setup of its own, which calls vt_setup(). */
int vt_main_setup(const char *name, void (*setup)(void), const TTest *const *tests);

#endif
