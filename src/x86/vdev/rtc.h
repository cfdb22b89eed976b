/* Real-time clock and CMOS memory (MC146818). Layer 5. */
#ifndef BH_X86_VDEV_RTC_H
#define BH_X86_VDEV_RTC_H

#include <lib/types.h>

struct vm;

/* Boot: what the wall clock says now, in seconds since 1970-01-01 UTC. Without it guests see 2026-01-01 at
 * boot. */
void rtc_set_base(u64 unix_seconds);

/* Boot: registers the ports and homes the timer on the VM's control CPU. */
void rtc_init(struct vm *vm);
/* Power-on state of registers and CMOS memory; the time goes on. No vCPU of the VM runs. */
void rtc_reset(struct vm *vm);

#endif
