/* The one door from the CPU backends into the hypercalls (src/hcall). */
#ifndef BH_CORE_HCALL_H
#define BH_CORE_HCALL_H

#include <lib/types.h>

struct vcpu;

enum hcall_outcome {
    HCALL_DONE, /* RAX of the caller holds the result; move RIP on */
    HCALL_UD,   /* this VM may not call: inject #UD */
    HCALL_GP,   /* caller not at CPL 0: inject #GP(0) */
};

/* Serves the hypercall in v's registers (R8 id, RDI, RSI; hypercall-abi.md section 1). Own pCPU. */
enum hcall_outcome hcall_dispatch(struct vcpu *v);

#endif
