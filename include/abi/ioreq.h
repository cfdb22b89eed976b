/*
 * The I/O request page between the hypervisor and the service VM's device model, byte for byte as
 * hypercall-abi.md section 3.1 gives it; the protocol is its section 4. Layer 1.
 */
#ifndef BH_ABI_IOREQ_H
#define BH_ABI_IOREQ_H

#include <lib/types.h>

enum ioreq_type { IOREQ_PORTIO = 0, IOREQ_MMIO = 1, IOREQ_PCICFG = 2, IOREQ_WP = 3 };
enum ioreq_direction { IOREQ_READ = 0, IOREQ_WRITE = 1 };
/* PENDING is 0: a page of zeroes looks like sixteen pending requests. */
enum ioreq_state { IOREQ_PENDING = 0, IOREQ_COMPLETE = 1, IOREQ_PROCESSING = 2, IOREQ_FREE = 3 };

#define IOREQ_SLOTS 16 /* one page; the slot's number is the id of the vCPU that asks */

/* The virtual platform's power register (section 3.5), as device models and real-time guests know it. */
#define PM1A_CNT_PORT     0x404u
#define PM1A_SLP_EN       0x2000u
#define PM1A_SLP_TYP_MASK 0x1c00u
#define PM1A_S5           0x1400u /* SLP_TYP 5: soft off */

struct ioreq_mmio {
    u32 direction;
    u32 reserved;
    u64 address;
    u64 size;
    u64 value;
};
_Static_assert(sizeof(struct ioreq_mmio) == 32 && _Alignof(struct ioreq_mmio) == 8, "3.1 mmio_request");
_Static_assert(offsetof(struct ioreq_mmio, address) == 8 && offsetof(struct ioreq_mmio, size) == 16 &&
                   offsetof(struct ioreq_mmio, value) == 24,
               "3.1 mmio_request");

struct ioreq_pio {
    u32 direction;
    u32 reserved;
    u64 address;
    u64 size;
    u32 value;
    u32 pad;
};
_Static_assert(sizeof(struct ioreq_pio) == 32 && _Alignof(struct ioreq_pio) == 8, "3.1 pio_request");
_Static_assert(offsetof(struct ioreq_pio, address) == 8 && offsetof(struct ioreq_pio, size) == 16 &&
                   offsetof(struct ioreq_pio, value) == 24,
               "3.1 pio_request");

/* What a device model may turn a port request into, in place: direction, size and value keep their offsets.
 */
struct ioreq_pci {
    u32 direction;
    u32 reserved[3];
    s64 size;
    s32 value;
    s32 bus;
    s32 dev;
    s32 func;
    s32 reg;
    s32 pad;
};
_Static_assert(sizeof(struct ioreq_pci) == 48 && _Alignof(struct ioreq_pci) == 8, "3.1 pci_request");
_Static_assert(offsetof(struct ioreq_pci, size) == 16 && offsetof(struct ioreq_pci, value) == 24 &&
                   offsetof(struct ioreq_pci, bus) == 28 && offsetof(struct ioreq_pci, dev) == 32 &&
                   offsetof(struct ioreq_pci, func) == 36 && offsetof(struct ioreq_pci, reg) == 40,
               "3.1 pci_request");

union ioreq_payload {
    struct ioreq_pio pio;
    struct ioreq_pci pci;
    struct ioreq_mmio mmio;
    s64 reserved1[8];
};
_Static_assert(sizeof(union ioreq_payload) == 64 && _Alignof(union ioreq_payload) == 8, "3.1 vhm_io_request");

/* The part of a slot that the hypervisor fills for a request. */
struct ioreq_head {
    u32 type;               /* enum ioreq_type */
    u32 completion_polling; /* 1: the hypervisor watches `processed` and needs no notification */
    u32 reserved0[14];
    union ioreq_payload reqs;
};
_Static_assert(sizeof(struct ioreq_head) == 128, "3.1 vhm_request");
_Static_assert(offsetof(struct ioreq_head, completion_polling) == 4 &&
                   offsetof(struct ioreq_head, reqs) == 64,
               "3.1 vhm_request");

struct ioreq_slot {
    struct ioreq_head head;
    u32 reserved1;
    s32 client;    /* private to the service VM's driver */
    u32 processed; /* enum ioreq_state, one aligned 32-bit atomic */
    u8 pad[116];
} ALIGNED(256);
_Static_assert(sizeof(struct ioreq_slot) == 256 && _Alignof(struct ioreq_slot) == 256, "3.1 vhm_request");
_Static_assert(offsetof(struct ioreq_slot, client) == 132 && offsetof(struct ioreq_slot, processed) == 136,
               "3.1 vhm_request");

union ioreq_page {
    struct ioreq_slot slots[IOREQ_SLOTS];
    s8 reserved[4096];
} ALIGNED(4096);
_Static_assert(sizeof(union ioreq_page) == 4096 && _Alignof(union ioreq_page) == 4096,
               "3.1 vhm_request_buffer");

/* Where the result of a read lies, whatever the type has become: the only field read back (section 4.4). */
#define IOREQ_VALUE_AT (offsetof(struct ioreq_head, reqs) + offsetof(struct ioreq_mmio, value))
_Static_assert(IOREQ_VALUE_AT == 88, "4.4");

#endif
