/*
 * Posted-interrupt descriptor (SDM vol. 3C 29.6). Any CPU sets requests and then the outstanding-notification
 * bit; who finds that bit clear must notify. Without posted-interrupt processing in the CPU the owner of the
 * descriptor does the CPU's part. Layer 6.
 */
#ifndef BH_X86_VMX_POSTED_H
#define BH_X86_VMX_POSTED_H

#include <lib/atomic.h>
#include <lib/types.h>

#define POSTED_ON           1ULL /* a notification is on its way */
#define POSTED_VECTOR_SHIFT 16
#define POSTED_DEST_SHIFT   32

struct vmx_posted {
    u64 requests[4]; /* a bit for each vector */
    u64 control;     /* POSTED_ON; notification vector in bits 23:16, its APIC id in 63:32 */
    u64 rsvd[3];
} ALIGNED(64);
_Static_assert(sizeof(struct vmx_posted) == 64, "SDM vol. 3C table 29-1");
_Static_assert(offsetof(struct vmx_posted, control) == 32, "SDM vol. 3C table 29-1");

/* The owner: where notifications go. The destination is the APIC id as the host's APIC mode has it in its
 * ICR. */
static inline void posted_address(struct vmx_posted *d, u8 vector, u32 apic_id, bool x2apic)
{
    u64 dest = x2apic ? apic_id : (apic_id & 0xff) << 8;
    u64 addr = (u64)vector << POSTED_VECTOR_SHIFT | dest << POSTED_DEST_SHIFT;

    /* Others may set POSTED_ON meanwhile. */
    atomic_and(&d->control, POSTED_ON);
    atomic_or(&d->control, addr);
}

/* Any CPU: requests a vector. True: the caller must notify the vCPU's CPU. */
static inline bool posted_set(struct vmx_posted *d, u8 vector)
{
    atomic_or(&d->requests[vector / 64], BIT64(vector & 63));
    return !(atomic_or(&d->control, POSTED_ON) & POSTED_ON);
}

/*
 * The owner: takes all requests, 32 vectors a word. The notification counts as received before the requests
 * are looked at, so that one made meanwhile notifies again. False: there was nothing.
 */
static inline bool posted_take(struct vmx_posted *d, u32 words[8])
{
    bool any = false;

    if (!(atomic_load_relaxed(&d->control) & POSTED_ON))
        return false;
    atomic_and(&d->control, ~POSTED_ON);
    for (unsigned i = 0; i < 4; i++) {
        u64 w = atomic_load_relaxed(&d->requests[i]) ? atomic_xchg(&d->requests[i], 0) : 0;

        words[2 * i] = (u32)w;
        words[2 * i + 1] = (u32)(w >> 32);
        any |= w != 0;
    }
    return any;
}

#endif
