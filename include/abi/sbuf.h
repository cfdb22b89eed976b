/* The header of a shared buffer and the elements in it (hypercall-abi.md section 3.8). Layer 1. */
#ifndef BH_ABI_SBUF_H
#define BH_ABI_SBUF_H

#include <lib/types.h>

#define SBUF_MAGIC        0x5aa57aa71aa13aa3ULL
#define SBUF_MAX_SIZE     MIB(4) /* data area */
#define SBUF_TRACE_BYTES  32u
#define SBUF_HVLOG_BYTES  80u
#define SBUF_SAMPLE_BYTES 32u
#define SBUF_LOG_ELEMENTS 4u /* of one message */

enum sbuf_flag {
    SBUF_COUNT_OVERRUNS = 1u << 0, /* overrun_cnt counts what was dropped or overwritten */
    SBUF_OVERWRITE = 1u << 1,      /* when full the oldest element goes, else the newest */
};

/* Set up by the consumer; the data area follows at once. Offsets count bytes from its start. */
struct sbuf_header {
    u64 magic;
    u32 ele_num;
    u32 ele_size;
    u32 head; /* where the consumer reads next */
    u32 tail; /* where the producer writes next; equal to head: empty */
    u32 flags;
    u32 reserved;
    u32 overrun_cnt;
    u32 size; /* ele_num * ele_size */
    u32 padding[6];
};
_Static_assert(sizeof(struct sbuf_header) == 64 && _Alignof(struct sbuf_header) == 8, "3.8 shared_buf");
_Static_assert(offsetof(struct sbuf_header, ele_num) == 8 && offsetof(struct sbuf_header, ele_size) == 12 &&
                   offsetof(struct sbuf_header, head) == 16 && offsetof(struct sbuf_header, tail) == 20 &&
                   offsetof(struct sbuf_header, flags) == 24 &&
                   offsetof(struct sbuf_header, overrun_cnt) == 32 &&
                   offsetof(struct sbuf_header, size) == 36,
               "3.8 shared_buf");

struct sbuf_trace {
    u64 tsc;
    u64 what; /* bits 47:0 event id, 55:48 how many words of data, 63:56 CPU */
    u64 data[2];
};
_Static_assert(sizeof(struct sbuf_trace) == SBUF_TRACE_BYTES, "3.8 ACRN_TRACE");
_Static_assert(offsetof(struct sbuf_trace, what) == 8 && offsetof(struct sbuf_trace, data) == 16,
               "3.8 ACRN_TRACE");

#endif
