/*
 * Port and MMIO dispatch. Every range has one owner, registered at boot. The default is nobody: reads give
 * all ones, writes are dropped, both are counted in vcpu->unowned; but in a user VM it is the device model
 * (core/ioreq.h), and for the service VM's ports the real machine (arch_host_port()).
 */
#ifndef BH_CORE_IO_H
#define BH_CORE_IO_H

#include <lib/types.h>

struct vcpu;
struct vm;

/*
 * Handlers run on the accessing vCPU's pCPU. size is 1, 2 or 4 for ports, 1, 2, 4 or 8 for MMIO. On a write
 * *val holds the value (upper bits zero); on a read the handler sets *val. False: no such register, treated
 * as unowned.
 */
typedef bool (*port_fn)(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val);
typedef bool (*mmio_fn)(struct vcpu *v, void *dev, u64 offset, u8 size, bool write, u64 *val);

#define IO_MAX_PORT_RANGES 24
#define IO_MAX_PORT_PAGES  8 /* distinct values of port >> 8 that have owners */
#define IO_MAX_MMIO_RANGES 8

struct port_range {
    u16 base;
    u16 count;
    port_fn fn;
    void *dev;
};

struct mmio_range {
    u64 base;
    u64 size;
    mmio_fn fn;
    void *dev;
};

struct io_space {
    u8 page_of[256];                                 /* port >> 8 -> row of owner; row 0 is all zero */
    u8 owner[1 + IO_MAX_PORT_PAGES][256];            /* port & 255 -> index into ports */
    struct port_range ports[1 + IO_MAX_PORT_RANGES]; /* ports[0] stands for nobody: it is empty */
    struct mmio_range mmio[IO_MAX_MMIO_RANGES];
    u32 port_count; /* ranges and rows in use, without number 0 */
    u32 page_count;
    u32 mmio_count;
};

/* Boot only. A range that overlaps another or exceeds the tables is a broken invariant (panic): bhc checked
 * it. */
void io_register_ports(struct vm *vm, u16 base, u16 count, port_fn fn, void *dev);
/* MMIO ranges are searched in the order of registration. base and size in bytes, size > 0. */
void io_register_mmio(struct vm *vm, u64 base, u64 size, mmio_fn fn, void *dev);

/* The range that the first byte of an access belongs to; ports[0], which is empty, when that is nobody's. */
static inline const struct port_range *io_port_range(const struct io_space *io, u32 port)
{
    size_t row = io->page_of[port >> 8];
    size_t owner = io->owner[row][port & 0xff];

    return &io->ports[owner];
}
/* True when all `size` bytes from `port` are the range's. */
static inline bool io_port_covers(const struct port_range *r, u32 port, u32 size)
{
    return port - r->base + size <= r->count;
}

/* One access by the guest. The handler is found by the first byte; an access reaching past its range is
 * unowned. Reads return the value zero-extended from `size`. */
u32 io_port_read(struct vcpu *v, u16 port, u8 size);
/* What a read gives that io_port_range() found no owner for, or whose owner refused it. */
u32 io_port_unowned_read(struct vcpu *v, u16 port, u8 size);
void io_port_write(struct vcpu *v, u16 port, u8 size, u32 val);
u64 io_mmio_read(struct vcpu *v, u64 addr, u8 size);
void io_mmio_write(struct vcpu *v, u64 addr, u8 size, u64 val);

#endif
