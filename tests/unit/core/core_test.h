/* Common ground of core's unit tests: a machine of fake CPUs that run the real CPU loop. */
#ifndef BH_CORE_TEST_H
#define BH_CORE_TEST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <core/cpu.h>
#include <core/vm.h>
#include <fake.h>

/* Power-on: fake machine, core's data, all VMs built and off. */
void core_setup(void);
/* The same with the console in frame mode, or started. */
void core_setup_mux(bool mux);

/* Runs cpu_loop() on a CPU until it idles. */
void run_cpu(u32 pcpu);
/* Runs every CPU in turn until none has a request left. Fails the test when that does not end. */
void run_all(void);
/* Moves time and, like the hardware, sets CPU_REQ_TIMER where a timer is due. */
void pass_time(u64 ticks);

/* vm_load() of these tests: counts, checks that memory is clean, leaves a mark in it, returns load_result. */
extern unsigned loads[CFG_VMS];
extern int load_result;
extern unsigned dirty_loads; /* loads that found the mark of an earlier run */

int run_suite(Suite *s);

#endif
