/* What the SVM backend's unit tests share: one vCPU whose control block is plain memory, and the core
 * functions it calls. */
#ifndef BH_TEST_SVM_TEST_H
#define BH_TEST_SVM_TEST_H

#include <check.h>
#include "x86/svm/svm.h"

extern struct vmcb test_vmcb;
extern struct vm test_vm;
extern struct vcpu *const test_vcpu;
extern struct svm_vcpu *const test_svm;
extern unsigned test_fatal; /* calls of vm_guest_fatal() */
extern unsigned test_kicks; /* calls of arch_cpu_kick() */

void test_svm_setup(void);
int test_svm_main(Suite *s);

#endif
