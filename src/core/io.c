/*
 * Port and MMIO dispatch: the two-level port index makes the owner of a port two loads and no branch away.
 * What nobody owns is a request to the device model in a user VM, and the machine's own port in the service
 * VM.
 */
#include <arch/platform.h>
#include <lib/bits.h>
#include <lib/log.h>
#include <core/io.h>
#include <core/ioreq.h>
#include <core/shm.h>
#include <core/vm.h>

static void index_port(struct vm *vm, u32 port, u32 range)
{
    struct io_space *io = &vm->io;
    u8 *page = &io->page_of[port >> 8];
    u8 *owner;

    if (*page == 0) {
        if (io->page_count == IO_MAX_PORT_PAGES)
            panic("vm %s: more than %d pages of I/O ports have owners", vm->cfg->name, IO_MAX_PORT_PAGES);
        *page = (u8)++io->page_count;
    }
    owner = &io->owner[*page][port & 0xff];
    if (*owner)
        panic("vm %s: I/O port 0x%x has two owners", vm->cfg->name, port);
    *owner = (u8)range;
}

void io_register_ports(struct vm *vm, u16 base, u16 count, port_fn fn, void *dev)
{
    struct io_space *io = &vm->io;
    u32 range = io->port_count + 1;

    if (range > IO_MAX_PORT_RANGES)
        panic("vm %s: more than %d ranges of I/O ports", vm->cfg->name, IO_MAX_PORT_RANGES);
    ASSERT(count > 0 && (u32)base + count <= 0x10000);
    for (u32 i = 0; i < count; i++)
        index_port(vm, (u32)base + i, range);
    io->ports[range] = (struct port_range){base, count, fn, dev};
    io->port_count = range;
}

void io_register_mmio(struct vm *vm, u64 base, u64 size, mmio_fn fn, void *dev)
{
    struct io_space *io = &vm->io;

    if (io->mmio_count == IO_MAX_MMIO_RANGES)
        panic("vm %s: more than %d MMIO ranges", vm->cfg->name, IO_MAX_MMIO_RANGES);
    ASSERT(size > 0 && size - 1 <= ~base);
    for (u32 i = 0; i < io->mmio_count; i++) {
        const struct mmio_range *r = &io->mmio[i];

        if (base - r->base < r->size || r->base - base < size)
            panic("vm %s: MMIO 0x%lx+0x%lx has two owners", vm->cfg->name, base, size);
    }
    io->mmio[io->mmio_count++] = (struct mmio_range){base, size, fn, dev};
}

/* All ones in the low 1, 2 or 4 bytes. */
static inline u32 port_mask(u32 size)
{
    return (2u << (8u * size - 1u)) - 1u;
}

static inline bool is_kind(const struct vcpu *v, enum vm_kind kind)
{
    return v->vm->cfg->kind == kind;
}

u32 io_port_unowned_read(struct vcpu *v, u16 port, u8 size)
{
    u32 val = 0;

    if (CFG_USER_VMS && is_kind(v, VM_USER))
        return ioreq_port_read(v, port, size);
    if (CFG_SERVICE && is_kind(v, VM_SERVICE) && arch_host_port(v, port, size, false, &val))
        return val & port_mask(size);
    v->unowned++;
    return port_mask(size);
}

static NOINLINE void unowned_port_write(struct vcpu *v, u16 port, u8 size, u32 val)
{
    if (CFG_USER_VMS && is_kind(v, VM_USER))
        ioreq_port_write(v, port, size, val);
    else if (!CFG_SERVICE || !is_kind(v, VM_SERVICE) || !arch_host_port(v, port, size, true, &val))
        v->unowned++;
}

u32 io_port_read(struct vcpu *v, u16 port, u8 size)
{
    const struct port_range *r = io_port_range(&v->vm->io, port);
    u32 val = 0;

    if (UNLIKELY(!io_port_covers(r, port, size)) || UNLIKELY(!r->fn(v, r->dev, port, size, false, &val)))
        return io_port_unowned_read(v, port, size);
    if (LIKELY(size == 1))
        return (u8)val;
    return val & port_mask(size);
}

void io_port_write(struct vcpu *v, u16 port, u8 size, u32 val)
{
    const struct port_range *r = io_port_range(&v->vm->io, port);

    val &= port_mask(size);
    if (LIKELY(io_port_covers(r, port, size)) && LIKELY(r->fn(v, r->dev, port, size, true, &val)))
        return;
    unowned_port_write(v, port, size, val);
}

static inline const struct mmio_range *find_mmio(const struct io_space *io, u64 addr, u8 size)
{
    for (u32 i = 0; i < io->mmio_count; i++) {
        const struct mmio_range *r = &io->mmio[i];
        u64 off = addr - r->base;

        if (off < r->size)
            return size <= r->size - off ? r : NULL;
    }
    return NULL;
}

u64 io_mmio_read(struct vcpu *v, u64 addr, u8 size)
{
    const struct mmio_range *r = find_mmio(&v->vm->io, addr, size);
    u64 mask = size_mask(size);
    u64 val = 0;

    if (LIKELY(r != NULL) && LIKELY(r->fn(v, r->dev, addr - r->base, size, false, &val)))
        return val & mask;
    if (CFG_USER_VMS && is_kind(v, VM_USER))
        return ioreq_mmio_read(v, addr, size);
    v->unowned++;
    return mask;
}

void io_mmio_write(struct vcpu *v, u64 addr, u8 size, u64 val)
{
    const struct mmio_range *r = find_mmio(&v->vm->io, addr, size);

    val &= size_mask(size);
    if (LIKELY(r != NULL) && LIKELY(r->fn(v, r->dev, addr - r->base, size, true, &val)))
        return;
    /* Only writes to shared memory that is read-only here end up there: they are nobody's. */
    if (CFG_USER_VMS && is_kind(v, VM_USER) && !shm_meets(v->vm, addr, size))
        ioreq_mmio_write(v, addr, size, val);
    else
        v->unowned++;
}
