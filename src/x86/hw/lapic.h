/* The physical local APIC of the calling CPU. Layer 4'. */
#ifndef BH_X86_HW_LAPIC_H
#define BH_X86_HW_LAPIC_H

#include <lib/types.h>

/* ICR low word: delivery mode with level = assert (SDM vol. 3A figure 10-12). */
#define ICR_FIXED 0x4000U
#define ICR_NMI   0x4400U
#define ICR_INIT  0x4500U
#define ICR_SIPI  0x4600U

/* BSP, after features_init(): chooses x2APIC mode when board and CPU have it or the firmware left it on. */
void lapic_choose_mode(void);
/* Every CPU: enables its local APIC with everything but NMI on LINT1 masked. */
void lapic_cpu_init(void);

void lapic_eoi(void);
/* Writes the task priority (0) again: the APIC looks anew at what is requested. */
void lapic_reconsider(void);
void lapic_clear_error(void);
/* Leaves an interrupt pending for the calling CPU. */
void lapic_kick_self(void);
/* Sends to one APIC id; waits for an earlier send to have been accepted. */
void lapic_send(u32 apic_id, u32 icr_low);
/* Sends to every other CPU of the machine. */
void lapic_send_others(u32 icr_low);

/* Timer in one-shot mode, divide by 1. Count 0 stops it. */
void lapic_timer_set(u32 count);
u32 lapic_timer_current(void);
/* Every CPU: timer LVT in one-shot or TSC-deadline mode. */
void lapic_timer_mode(bool tsc_deadline);

/* Boot: interrupts every `count` timer clocks until lapic_timer_mode() is called. */
void lapic_timer_periodic(u32 count);

/* time.c: the timer interrupt. */
void lapic_timer_fired(void);

#endif
