/*
 * Arch contract, part 1: the machine's CPUs, time, memory windows, console port. Implemented by src/x86/hw
 * and by tests/fake. Layer 3.
 */
#ifndef BH_ARCH_CPU_H
#define BH_ARCH_CPU_H

#include <lib/types.h>

struct cpu;

/*
 * arch_impl/cpu.h comes from the implementation's include folder and defines, inline:
 *   struct cpu *this_cpu(void);   this CPU's core data (x86: at a fixed virtual address)
 *   u64 arch_tsc(void);           raw time-stamp counter
 */
#include <arch_impl/cpu.h>

/* TSC ticks per second, known after arch_time_init(); never 0 after boot. */
u64 arch_tsc_hz(void);

/* Makes `pcpu` leave guest mode or its idle halt and look at its request words. No effect beyond an early
 * return. */
void arch_cpu_kick(u32 pcpu);

/*
 * Halts until an interrupt or NMI arrives; returns at once when *word is non-zero. The test of *word and the
 * halt are atomic with respect to interrupts, so a kick between them is not lost. word2 may be NULL.
 */
void arch_cpu_idle(const u32 *word, const u32 *word2);

/*
 * Exit handlers run in a state in which some CPUs take no interrupt at all (SVM: GIF clear). A handler that
 * waits for another CPU encloses the wait in these two: between them arch_irq_window() and arch_cpu_idle()
 * work. Not nested.
 */
void arch_wait_begin(void);
void arch_wait_end(void);
/* Lets pending host interrupts in for a moment; long operations call it now and then. */
void arch_irq_window(void);

/* Programs this CPU's one-shot timer to set CPU_REQ_TIMER at the TSC value `deadline`; ~0 stops it. */
void arch_timer_arm(u64 deadline);

/* Host-physical memory through this CPU's private windows: nothing stays mapped after the call.
 * Ranges may have any alignment and length; the caller has checked that they belong to the VM in question. */
void arch_hpa_read(void *dst, hpa_t src, size_t len);
/* The 8 bytes at an 8-byte-aligned address, read at once; the page walk's share of every emulated access. */
u64 arch_hpa_read64(hpa_t src);
/* One aligned 32-bit word, read with acquire order; stored with release order. */
u32 arch_hpa_load32(hpa_t src);
void arch_hpa_store32(hpa_t dst, u32 val);
void arch_hpa_write(hpa_t dst, const void *src, size_t len);
void arch_hpa_copy(hpa_t dst, hpa_t src, size_t len);
void arch_hpa_zero(hpa_t dst, size_t len);

/* The physical console's 16550. Both never block: false / -1 when there is no room / no byte. */
bool arch_console_putc(u8 c);
int arch_console_getc(void);
/* Enables the receive interrupt: it sets CPU_REQ_CONSOLE on the console CPU. */
void arch_console_irq_enable(void);

/* Stops every other CPU for good (panic). Safe in any context. */
void arch_stop_others(void);
NORETURN void arch_halt_forever(void);
NORETURN void arch_reboot(void);

/* Fault-safe MSR access on this CPU: false when the CPU raised #GP. */
bool arch_rdmsr_safe(u32 msr, u64 *val);
bool arch_wrmsr_safe(u32 msr, u64 val);
void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4]);

/* What this CPU runs from now on fills the cache ways of the class of service. Below the smallest
 * cfg_board.caches[].classes; class 0 is the one of CPUs that belong to nobody. */
void arch_cache_class(u32 clos);

/* Prints machine state for the shell: host interrupt counts, physical IOAPIC entries. */
void arch_dump_interrupts(void (*print)(const char *fmt, ...) PRINTF(1, 2));
void arch_dump_ioapic(void (*print)(const char *fmt, ...) PRINTF(1, 2));
/* Copies up to len bytes of host memory at virtual or physical address `addr` for the shell; false when
 * unmapped. */
bool arch_host_mem_read(u64 addr, void *dst, size_t len);

#endif
