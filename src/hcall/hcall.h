/* Inside src/hcall: the dispatch table's row and what a handler gets. */
#ifndef BH_SRC_HCALL_H
#define BH_SRC_HCALL_H

#include <core/vm.h>

/* Who may call, by what its configuration says. */
enum hcall_callers {
    HCALL_BY_SERVICE = 1u << 0, /* the service VM */
    HCALL_BY_FLAGGED = 1u << 1, /* a VM with VM_FLAG_HYPERCALL */
};

enum hcall_lock {
    HCALL_LOCK_NONE,
    HCALL_LOCK_TARGET, /* the lock of the VM that the call names */
};

struct hcall {
    struct vcpu *v;    /* the caller */
    struct vm *target; /* the VM that RDI names, NULL where the row has no states */
    u64 p1, p2;        /* RDI, RSI */
};

struct hcall_row {
    u32 id;
    u8 callers; /* enum hcall_callers */
    u8 states;  /* BIT32(enum vm_state): RDI names a user VM, which must be in one of these; 0: the call names
                   no VM */
    u8 lock;    /* enum hcall_lock */
    s32 (*fn)(struct hcall *h);
};

/* Carries out one call of a caller that may call: decodes the target, checks its state, takes the lock. The
 * result for RAX. */
s32 hcall_invoke(const struct hcall_row *row, struct hcall *h);

/* general.c */
s32 hc_get_api_version(struct hcall *h);
s32 hc_get_platform_info(struct hcall *h);
s32 hc_get_hw_info(struct hcall *h);

#endif
