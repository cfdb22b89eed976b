/* Time: the TSC's rate and the one-shot timer. Layer 4'. */
#ifndef BH_X86_HW_TIME_H
#define BH_X86_HW_TIME_H

#include <lib/types.h>

/* BSP, after lapic_cpu_init(): takes the TSC rate from the board, or measures it for 2 ms against the PM
 * timer or, without one, the PIT; measures the local APIC timer in the same interval unless TSC-deadline mode
 * replaces it. Panics when no clock moves. */
void arch_time_init(void);
/* Every CPU, after lapic_cpu_init() and arch_time_init(). */
void time_cpu_init(void);

#endif
