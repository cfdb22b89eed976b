/* I/O and MSR permission maps, shared by all VMs. */
#ifndef BH_X86_SVM_PERM_H
#define BH_X86_SVM_PERM_H

#include <lib/types.h>

/* Host-physical addresses for the VMCB; built on first use, during boot on one CPU. */
hpa_t svm_iopm(void);
hpa_t svm_msrpm(void);

#endif
