/* What the VMX backend's unit tests share: one vCPU whose VMCS is an array, and the core functions it calls.
 */
#ifndef BH_TEST_VMX_TEST_H
#define BH_TEST_VMX_TEST_H

#include <check.h>
#include "x86/vmx/vmx.h"

extern struct vm test_vm;
extern struct vcpu *const test_vcpu;
extern struct vmx_vcpu *const test_vmx;
extern unsigned test_fatal; /* calls of vm_guest_fatal() */

/* Flat 64-bit guest, interrupts on, that passes every check of an entry. */
void test_vmx_setup(void);
int test_vmx_main(Suite *s);

#endif
