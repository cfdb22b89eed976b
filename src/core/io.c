/* Port and MMIO dispatch: the two-level port index makes the owner of a port two loads and no branch away. */
#include <lib/bits.h>
#include <lib/log.h>
#include <core/io.h>
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

/* The range that the first byte belongs to; ports[0], which is empty, when that is nobody's. */
static inline const struct port_range *find_port(const struct io_space *io, u32 port)
{
    size_t row = io->page_of[port >> 8];
    size_t owner = io->owner[row][port & 0xff];

    return &io->ports[owner];
}

/* True when all `size` bytes from `port` are the range's. */
static inline bool covers(const struct port_range *r, u32 port, u32 size)
{
    return port - r->base + size <= r->count;
}

/* All ones in the low 1, 2 or 4 bytes. */
static inline u32 port_mask(u32 size)
{
    return (2u << (8u * size - 1u)) - 1u;
}

static NOINLINE u32 unowned_port_read(struct vcpu *v, u8 size)
{
    v->unowned++;
    return port_mask(size);
}

u32 io_port_read(struct vcpu *v, u16 port, u8 size)
{
    const struct port_range *r = find_port(&v->vm->io, port);
    u32 val = 0;

    if (UNLIKELY(!covers(r, port, size)) || UNLIKELY(!r->fn(v, r->dev, port, size, false, &val)))
        return unowned_port_read(v, size);
    if (LIKELY(size == 1))
        return (u8)val;
    return val & port_mask(size);
}

void io_port_write(struct vcpu *v, u16 port, u8 size, u32 val)
{
    const struct port_range *r = find_port(&v->vm->io, port);

    val &= port_mask(size);
    if (LIKELY(covers(r, port, size)) && LIKELY(r->fn(v, r->dev, port, size, true, &val)))
        return;
    v->unowned++;
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
    v->unowned++;
    return mask;
}

void io_mmio_write(struct vcpu *v, u64 addr, u8 size, u64 val)
{
    const struct mmio_range *r = find_mmio(&v->vm->io, addr, size);

    val &= size_mask(size);
    if (LIKELY(r != NULL) && LIKELY(r->fn(v, r->dev, addr - r->base, size, true, &val)))
        return;
    v->unowned++;
}
