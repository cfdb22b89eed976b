/* Inside src/hcall: a row of the dispatch table and what a handler gets. */
#ifndef BH_SRC_HCALL_H
#define BH_SRC_HCALL_H

#include <abi/hypercall.h>
#include <core/vm.h>

/* Who may call. */
enum hcall_callers {
    HCALL_BY_SERVICE = 1u << 0, /* the service VM */
    HCALL_BY_FLAGGED = 1u << 1, /* a VM with VM_FLAG_HYPERCALL */
    HCALL_BY_ANY = 1u << 2,     /* any VM at CPL 0 (section 1.2, row 2) */
};

/* Where the parameter structure lies that is copied in before anything else. */
enum hcall_param {
    HCALL_PARAM_NONE,
    HCALL_PARAM_RDI,
    HCALL_PARAM_RSI,
    HCALL_PARAM_RSI_NOT_0, /* address 0 means "no structure" and fails */
};

/* What names the VM that the call is about. All ids are relative to the service VM (section 1.4). */
enum hcall_target {
    HCALL_NO_VM,
    HCALL_VM_RDI,
    HCALL_VM_OR_SELF_RDI, /* 0 is the service VM itself: no state, no lock */
    HCALL_VM_IN_PARAM,    /* first 16 bits of the structure */
    HCALL_VM_PM,          /* HC_PMCMD_VMID of RDI */
    HCALL_SLOT_BY_KEY,    /* CREATE_VM: the slot that the structure's key selects */
};

enum hcall_lock {
    HCALL_LOCK_NONE,
    HCALL_LOCK_TARGET, /* the named VM's vm->lock, taken before its state is looked at */
    HCALL_LOCK_WAITS,  /* the same, and the handler may wait for other CPUs (arch_wait_begin()) */
};

struct hcall {
    struct vcpu *v;    /* the caller */
    struct vm *target; /* the VM that the call names, else NULL */
    u64 p1, p2;        /* RDI, RSI */
    union {            /* the parameter structure, copied in once */
        u16 vmid;      /* HCALL_VM_IN_PARAM */
        struct hc_create_vm create_vm;
        struct hc_create_vcpu create_vcpu;
        struct hc_set_vcpu_regs regs;
        struct hc_msi_entry msi;
        struct {
            u32 cmd;
            u32 buf_cnt;
        } monitor; /* the head of struct hc_intr_monitor */
        struct hc_set_ioreq_buffer ioreq;
        struct hc_gpa2hpa gpa2hpa;
        struct hc_set_regions regions;
        struct hc_wp_data wp;
        struct hc_sbuf_setup_param sbuf;
    } in;
};

/* What a VM state answers: HCALL_GO on to the handler, else the result (0 or a negative errno). */
#define HCALL_GO 1
/* Columns of the life-cycle table: enum vm_state, then STARTED of a real-time VM. */
#define HCALL_STARTED_RT 5u
#define HCALL_VM_STATES  6u

struct hcall_row {
    s32 (*fn)(struct hcall *h); /* NULL: no such call */
    u16 param_size;
    u8 param;   /* enum hcall_param */
    u8 target;  /* enum hcall_target */
    u8 callers; /* enum hcall_callers */
    u8 lock;    /* enum hcall_lock */
    bool debug; /* a scenario may close it */
    /* Answers, 0 for -EPERM, the ABI's generic failure: */
    s8 fault; /* the structure cannot be read */
    s8 no_vm; /* there is no such VM */
    s8 states[HCALL_VM_STATES];
};

/* The rows of the ids that share their upper bits: row n serves HC_ID(16 * group + n). */
struct hcall_group {
    const struct hcall_row *rows;
    u32 count;
};

#define HCALL_GROUPS 9u /* the last group of section 2.1 is 0x80 */
/* Two tables, of which a scenario uses one: the other, and what only it names, is left out of the image. */
extern const struct hcall_group hcall_service_calls[HCALL_GROUPS];
extern const struct hcall_group hcall_basic_calls[HCALL_GROUPS]; /* no service VM */

/* Carries out one call of a caller that may call: copies the structure in, finds the VM, looks at its state,
 * takes the lock. The result for RAX. */
s32 hcall_invoke(const struct hcall_row *row, struct hcall *h);

/* The user VM with this id on the wire, or NULL. */
struct vm *hcall_user_vm(const struct hcall *h, u64 vmid);
/* The other way round. */
static inline u16 hcall_wire_id(const struct hcall *h, const struct vm *vm)
{
    return (u16)(vm->id - h->v->vm->id);
}
/* Writes a result into the caller's memory. -EPERM when that cannot be. */
s32 hcall_put(const struct hcall *h, u64 addr, const void *src, size_t len);

/* True when the scenario speaks the later edition of the ABI (section 6.4). */
static inline bool hcall_hsm(void)
{
    return cfg_scenario.abi == HCALL_ABI_HSM;
}

/* general.c */
s32 hc_get_api_version(struct hcall *h);
s32 hc_get_platform_info(struct hcall *h);
s32 hc_get_hw_info(struct hcall *h);
s32 hc_sos_offline_cpu(struct hcall *h);
s32 hc_set_callback_vector(struct hcall *h);
s32 hc_setup_sbuf(struct hcall *h);
s32 hc_setup_sbuf_v3(struct hcall *h);
s32 hc_deprecated(struct hcall *h);
s32 hc_no_device(struct hcall *h);
s32 hc_not_supported(struct hcall *h);

/* create.c */
struct vm *hc_slot_by_key(struct hcall *h);
s32 hc_create_vm(struct hcall *h);
s32 hc_create_vcpu(struct hcall *h);

/* life.c */
s32 hc_start_vm(struct hcall *h);
s32 hc_pause_vm(struct hcall *h);
s32 hc_reset_vm(struct hcall *h);
s32 hc_destroy_vm(struct hcall *h);

/* regs.c */
s32 hc_set_vcpu_regs(struct hcall *h);

/* interrupt.c */
s32 hc_inject_msi(struct hcall *h);
s32 hc_set_irqline(struct hcall *h);
s32 hc_vm_intr_monitor(struct hcall *h);

/* memory.c */
s32 hc_set_ioreq_buffer(struct hcall *h);
s32 hc_notify_request_finish(struct hcall *h);
s32 hc_gpa2hpa(struct hcall *h);
s32 hc_write_protect_page(struct hcall *h);

/* regions.c */
s32 hc_set_memory_regions(struct hcall *h);

/* pm.c */
s32 hc_pm_get_cpu_state(struct hcall *h);

#endif
