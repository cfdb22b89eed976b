/* Starting and stopping the other CPUs. Layer 4'. */
#ifndef BH_X86_HW_SMP_H
#define BH_X86_HW_SMP_H

#include <lib/types.h>

/*
 * BSP: starts every other CPU of the board at once and waits until each has called ap_main() on its own stack
 * and tables, at most about a second. Each missing one is logged with its APIC id; returns how many are
 * missing. Overwrites the page cfg_board.trampoline.
 */
u32 smp_start(NORETURN void (*ap_main)(void));
/* Each CPU, BSP included, when it has initialised itself. */
void smp_check_in(void);
/* True once a panic is stopping the machine; the NMI handler asks. */
bool smp_stopping(void);

#endif
