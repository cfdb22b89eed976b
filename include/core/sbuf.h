/*
 * Shared buffers: rings in the service VM's memory that the hypervisor fills (hypercall-abi.md sections 2.8,
 * 3.8). The header is the service VM's and hostile: where the hypervisor writes next is its own knowledge.
 * Layer 4.
 */
#ifndef BH_CORE_SBUF_H
#define BH_CORE_SBUF_H

#include <lib/types.h>
#include <config/config.h>

enum sbuf_id { SBUF_TRACE, SBUF_HVLOG, SBUF_SEP, SBUF_SOCWATCH, SBUF_IDS };

/* Takes the ring at the service VM's address gpa (0: gives the ring up) for what `pcpu` produces under `id`.
 * -EINVAL: no such CPU or id, misaligned, not the service VM's RAM as a whole, wrong magic, sizes that do not
 * agree or are too large, element size that the id does not have. Any CPU of the service VM. */
int sbuf_setup(u64 pcpu, u32 id, u64 gpa);
/* The service VM stops: all rings are given up. */
void sbuf_drop_all(void);

/* One element into this CPU's ring of the id, if it has one. len is at most the element's size; the rest is
 * zero. Never blocks; drops and counts as the header's flags say. */
void sbuf_put(enum sbuf_id id, const void *data, size_t len);

/* Non-zero while this CPU has a trace ring: lets trace points cost one test. */
extern u32 sbuf_trace_on[CFG_PCPUS];

/* Events of the trace, 48-bit ids; what their two words of payload are. */
enum trace_event {
    TRACE_HYPERCALL = 0x10,   /* id | vm id << 32, result */
    TRACE_VM_STATE = 0x11,    /* vm id, new state */
    TRACE_IOREQ_SEND = 0x12,  /* vm id | vCPU << 16 | type << 32, address */
    TRACE_IOREQ_DONE = 0x13,  /* vm id | vCPU << 16, value */
    TRACE_UPCALL = 0x14,      /* vector, 0 */
    TRACE_VCPU_STOP = 0x15,   /* vm id | vCPU << 16, state */
    TRACE_GUEST_ERROR = 0x16, /* vm id | vCPU << 16, guest RIP */
};
void trace_write(enum trace_event event, u64 a, u64 b);
static inline void trace(u32 pcpu, enum trace_event event, u64 a, u64 b)
{
    if (CFG_SERVICE && sbuf_trace_on[pcpu])
        trace_write(event, a, b);
}

/* A line of the hypervisor's log, without its newline, for the rings of id SBUF_HVLOG: at most 4 elements. */
void sbuf_log(const char *line, size_t len);

#endif
