/*
 * The hypercalls (hypercall-abi.md sections 2.1 and 6.2) and the life-cycle table (section 5). What is not
 * here answers -EPERM like an id that does not exist (section 1.3).
 */
#include "hcall.h"

#define GO  HCALL_GO
#define ONE (-EPERM_) /* the ABI's generic failure, -1 */
#define INV (-EINVAL_)

#define ANY_CALLER (HCALL_BY_SERVICE | HCALL_BY_FLAGGED)
#define EVERYONE   (HCALL_BY_SERVICE | HCALL_BY_FLAGGED | HCALL_BY_ANY)

#define CALL(handler, who) .fn = (handler), .callers = (who)
#define IN(where, size)    .param = HCALL_PARAM_##where, .param_size = (size)
#define BAD(answer)        .fault = (answer), .no_vm = (answer)
/* A call that names a VM and holds its lock; one that also waits for other CPUs. */
#define VM_CALL(handler, by) CALL(handler, HCALL_BY_SERVICE), .target = (by), .lock = HCALL_LOCK_TARGET
#define VM_WAIT(handler, by) CALL(handler, HCALL_BY_SERVICE), .target = (by), .lock = HCALL_LOCK_WAITS
/* The same without the lock: nothing of the VM but its state matters. */
#define VM_LOOK(handler, by) CALL(handler, HCALL_BY_SERVICE), .target = (by)

#define STATES(...)                                                                                          \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
/* Columns: OFF, CREATED, STARTED, POWERING_OFF, PAUSED, STARTED of a real-time VM. */
#define WHEN_OFF         STATES(GO, ONE, ONE, ONE, ONE, ONE)
#define WHEN_CREATED     STATES(ONE, GO, ONE, ONE, ONE, ONE)
#define WHEN_NOT_STARTED STATES(ONE, GO, ONE, GO, GO, ONE)
#define WHEN_ALIVE       STATES(ONE, GO, GO, GO, GO, GO)
#define TO_PAUSED        STATES(ONE, GO, GO, GO, 0, 0)
#define TO_RESET         STATES(ONE, INV, INV, INV, GO, INV)
#define TO_OFF           STATES(ONE, GO, GO, GO, GO, INV)
#define INV_UNLESS_ALIVE STATES(INV, GO, GO, GO, GO, GO)
#define INV_UNLESS_NEW   STATES(INV, GO, INV, INV, INV, INV)
#define INV_WHEN_RUNNING STATES(INV, GO, INV, INV, GO, INV)

#define API_VERSION                                                                                          \
    {                                                                                                        \
        CALL(hc_get_api_version, ANY_CALLER)                                                                 \
    }
#define PLATFORM_INFO                                                                                        \
    {                                                                                                        \
        CALL(hc_get_platform_info, ANY_CALLER)                                                               \
    }
#define HW_INFO                                                                                              \
    {                                                                                                        \
        CALL(hc_get_hw_info, ANY_CALLER), .debug = true                                                      \
    }

static const struct hcall_row general[] = {
    [0x0] = API_VERSION,
    [0x1] = {CALL(hc_sos_offline_cpu, HCALL_BY_SERVICE)},
    [0x2] = {CALL(hc_set_callback_vector, HCALL_BY_SERVICE)},
    [0x3] = PLATFORM_INFO,
};

static const struct hcall_row life[] = {
    [0x0] = {VM_WAIT(hc_create_vm, HCALL_SLOT_BY_KEY), IN(RDI, sizeof(struct hc_create_vm)),
             .no_vm = -ENODEV_, .states = WHEN_OFF},
    [0x1] = {VM_WAIT(hc_destroy_vm, HCALL_VM_RDI), .states = TO_OFF},
    [0x2] = {VM_CALL(hc_start_vm, HCALL_VM_RDI), .states = WHEN_CREATED},
    [0x3] = {VM_WAIT(hc_pause_vm, HCALL_VM_RDI), .states = TO_PAUSED},
    [0x4] = {VM_CALL(hc_create_vcpu, HCALL_VM_RDI), IN(RSI_NOT_0, sizeof(struct hc_create_vcpu)),
             .states = WHEN_CREATED},
    [0x5] = {VM_CALL(hc_reset_vm, HCALL_VM_RDI), .states = TO_RESET},
    [0x6] = {VM_CALL(hc_set_vcpu_regs, HCALL_VM_RDI), IN(RSI_NOT_0, HC_SET_VCPU_REGS_BYTES),
             .states = WHEN_NOT_STARTED},
};

static const struct hcall_row interrupts[] = {
    [0x3] = {VM_CALL(hc_inject_msi, HCALL_VM_RDI), IN(RSI, sizeof(struct hc_msi_entry)),
             .states = WHEN_ALIVE},
    [0x4] = {VM_CALL(hc_vm_intr_monitor, HCALL_VM_RDI), IN(RSI, 8), BAD(INV), .states = INV_UNLESS_ALIVE},
    [0x5] = {VM_CALL(hc_set_irqline, HCALL_VM_RDI), .states = WHEN_ALIVE},
};

static const struct hcall_row requests[] = {
    [0x0] = {VM_CALL(hc_set_ioreq_buffer, HCALL_VM_RDI), IN(RSI, sizeof(struct hc_set_ioreq_buffer)),
             .states = WHEN_CREATED},
    [0x1] = {VM_CALL(hc_notify_request_finish, HCALL_VM_RDI), .states = WHEN_ALIVE},
    [0x2] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), .states = WHEN_ALIVE},
    [0x3] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), .states = WHEN_ALIVE},
};

static const struct hcall_row memory[] = {
    [0x1] = {VM_CALL(hc_gpa2hpa, HCALL_VM_OR_SELF_RDI), IN(RSI, sizeof(struct hc_gpa2hpa)),
             .states = WHEN_ALIVE},
    [0x2] = {VM_WAIT(hc_set_memory_regions, HCALL_VM_IN_PARAM), IN(RDI, sizeof(struct hc_set_regions)),
             .states = WHEN_ALIVE},
    [0x3] = {VM_WAIT(hc_write_protect_page, HCALL_VM_RDI), IN(RSI, sizeof(struct hc_wp_data)),
             .states = WHEN_ALIVE},
    [0x4] = {CALL(hc_setup_sbuf_v3, HCALL_BY_SERVICE), IN(RSI, sizeof(struct hc_sbuf_setup_param)),
             .debug = true},
};

/* Nothing can be passed through or added yet: what the arguments and states demand, then -ENODEV. */
static const struct hcall_row devices[] = {
    [0x0] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_UNLESS_ALIVE}, /* ASSIGN_PTDEV */
    [0x1] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), .states = WHEN_ALIVE},                 /* DEASSIGN_PTDEV */
    [0x2] = {CALL(hc_deprecated, HCALL_BY_SERVICE)},                     /* VM_PCI_MSIX_REMAP */
    [0x3] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), .states = WHEN_ALIVE}, /* SET_PTDEV_INTR_INFO */
    [0x4] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), .states = WHEN_ALIVE}, /* RESET_PTDEV_INTR_INFO */
    [0x5] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_UNLESS_NEW},   /* ASSIGN_PCIDEV */
    [0x6] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_WHEN_RUNNING}, /* DEASSIGN_... */
    [0x7] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_UNLESS_NEW},   /* ASSIGN_MMIODEV */
    [0x8] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_WHEN_RUNNING}, /* DEASSIGN_... */
    [0x9] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_UNLESS_NEW},   /* ADD_VDEV */
    [0xa] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_WHEN_RUNNING}, /* REMOVE_VDEV */
    [0xb] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_UNLESS_NEW},   /* ASSIGN_PIO_... */
    [0xc] = {VM_LOOK(hc_no_device, HCALL_VM_RDI), BAD(INV), .states = INV_WHEN_RUNNING}, /* DEASSIGN_... */
};

static const struct hcall_row debug[] = {
    [0x0] = {CALL(hc_setup_sbuf, HCALL_BY_SERVICE), IN(RDI, sizeof(struct hc_sbuf_setup_param)),
             .debug = true},
    [0x1] = {CALL(hc_not_supported, HCALL_BY_SERVICE), .debug = true}, /* SETUP_HV_NPK_LOG */
    [0x2] = {CALL(hc_not_supported, HCALL_BY_SERVICE), .debug = true}, /* PROFILING_OPS */
    [0x3] = HW_INFO,
};

/* The state of every VM is "secure world not supported" (section 2.7). */
static const struct hcall_row trusty[] = {
    [0x0] = {CALL(hc_not_supported, EVERYONE)},
    [0x1] = {CALL(hc_not_supported, EVERYONE)},
    [0x2] = {CALL(hc_not_supported, EVERYONE)},
};

static const struct hcall_row power[] = {
    [0x0] = {VM_LOOK(hc_pm_get_cpu_state, HCALL_VM_PM), .states = WHEN_ALIVE},
};

#define GROUP(rows)                                                                                          \
    {                                                                                                        \
        (rows), ARRAY_SIZE(rows)                                                                             \
    }

const struct hcall_group hcall_service_calls[HCALL_GROUPS] = {
    [0x0] = GROUP(general),  [0x1] = GROUP(life),   [0x2] = GROUP(interrupts),
    [0x3] = GROUP(requests), [0x4] = GROUP(memory), [0x5] = GROUP(devices),
    [0x6] = GROUP(debug),    [0x7] = GROUP(trusty), [0x8] = GROUP(power),
};

static const struct hcall_row basic_general[] = {[0x0] = API_VERSION, [0x3] = PLATFORM_INFO};
static const struct hcall_row basic_debug[] = {[0x3] = HW_INFO};

const struct hcall_group hcall_basic_calls[HCALL_GROUPS] = {
    [0x0] = GROUP(basic_general),
    [0x6] = GROUP(basic_debug),
    [0x7] = GROUP(trusty),
};
