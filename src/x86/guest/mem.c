/* Memory operands of emulated instructions: addresses, segment and page checks, RAM or MMIO. */
#include <lib/bits.h>
#include <core/io.h>
#include <core/vm.h>
#include "x86/guest/emul.h"
#include "x86/guest/regs.h"
#include "x86/guest/walk.h"

u64 emul_address(const struct emul *e)
{
    const struct insn *in = &e->in;
    u64 ea = in->disp;

    if (in->base < GPR_COUNT)
        ea += e->gpr[in->base];
    else if (in->base == INSN_RIP)
        ea += e->p.rip + in->len;
    if (in->index < GPR_COUNT)
        ea += e->gpr[in->index] << in->scale;
    if (LIKELY(in->addr_size == 8))
        return ea;
    return in->addr_size == 4 ? (u32)ea : (u16)ea;
}

static bool segment_fault(struct emul *e, enum guest_seg seg)
{
    e->fault = (struct guest_event){
        .kind = EVENT_EXCEPTION, .vector = seg == SEG_SS ? X86_SS : X86_GP, .has_error = true};
    return false;
}

/* Limit and type checks outside of 64-bit mode, SDM vol. 3A 5.3 and 5.5. */
static bool segment_allows(const struct segment *s, u64 ea, unsigned size, bool write)
{
    u64 last = ea + size - 1;

    if ((s->attr & SEG_ATTR_UNUSABLE) || !(s->attr & SEG_ATTR_P))
        return false;
    if (s->attr & SEG_ATTR_CODE)
        return !write && (s->attr & SEG_ATTR_WRITE) && last <= s->limit;
    if (write && !(s->attr & SEG_ATTR_WRITE))
        return false;
    if (s->attr & SEG_ATTR_DOWN)
        return ea > s->limit && last <= ((s->attr & SEG_ATTR_DB) ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

/* Linear address of seg:ea. *checked says whether the access passed the segment's checks. */
static u64 linear_address(struct emul *e, enum guest_seg seg, u64 ea, unsigned size, bool write,
                          bool *checked)
{
    struct segment s;

    if (e->mode == INSN_MODE_64) {
        if (UNLIKELY(seg == SEG_FS || seg == SEG_GS)) {
            arch_vcpu_get_seg(e->v, seg, &s);
            ea += s.base;
        }
        *checked = true;
        return ea;
    }
    arch_vcpu_get_seg(e->v, seg, &s);
    *checked = segment_allows(&s, ea, size, write);
    return (u32)(s.base + ea);
}

/* One page's worth of an operand. */
static bool translate(struct emul *e, struct page_cache *c, u64 linear, bool write, u64 *gpa_out, u8 *known)
{
    if (c->linear == (linear & ~PAGE_MASK) && (c->write || !write)) {
        *gpa_out = c->gpa | (linear & PAGE_MASK);
        *known = c->known;
        return true;
    }
    if (!guest_walk(e->v, &e->p, linear, write ? GVA_WRITE : GVA_READ, gpa_out, &e->fault))
        return false;
    *known = 0;
    *c = (struct page_cache){linear & ~PAGE_MASK, *gpa_out & ~PAGE_MASK, 0, write};
    return true;
}

bool mem_resolve(struct emul *e, enum mem_stream stream, enum guest_seg seg, u64 ea, unsigned size,
                 bool write, struct mem_op *m)
{
    struct page_cache *c = &e->cache[stream];
    bool checked;
    u64 linear = linear_address(e, seg, ea, size, write, &checked);
    unsigned left = (unsigned)(PAGE_SIZE - (linear & PAGE_MASK));

    m->size = m->first = (u8)size;
    /*
     * The CPU itself has translated and checked the address that it reported. It is this operand's when the
     * offsets in the page agree and the operand lies on one page; writing additionally needs that the CPU was
     * about to write.
     */
    if (LIKELY(e->exit_known && left >= size && ((linear ^ e->exit_gpa) & PAGE_MASK) == 0 &&
               (e->exit_known == MEM_NO_WRITE) == write)) {
        m->gpa[0] = e->exit_gpa;
        m->known[0] = e->exit_known;
        *c = (struct page_cache){linear & ~PAGE_MASK, e->exit_gpa & ~PAGE_MASK, e->exit_known, write};
        e->exit_known = 0;
        return true;
    }
    if (!checked || (e->mode == INSN_MODE_64 && !guest_canonical(&e->p, linear)) ||
        (e->mode == INSN_MODE_64 && !guest_canonical(&e->p, linear + size - 1)))
        return segment_fault(e, seg);
    if (LIKELY(left >= size))
        return translate(e, c, linear, write, &m->gpa[0], &m->known[0]);
    m->first = (u8)left;
    if (!translate(e, c, linear, write, &m->gpa[0], &m->known[0]))
        return false;
    linear += left;
    if (e->mode != INSN_MODE_64)
        linear = (u32)linear;
    return translate(e, c, linear, write, &m->gpa[1], &m->known[1]);
}

/* Largest access of 1, 2 or 4 bytes at addr that is aligned and no longer than left: the parts of a split
 * operand. */
static u8 part_size(u64 addr, unsigned left)
{
    u8 n = (addr & 1) ? 1 : (addr & 2) ? 2 : 4;

    while (n > left)
        n >>= 1;
    return n;
}

static u64 load_part(struct emul *e, u64 addr, unsigned size, u8 known)
{
    u64 val = 0;

    if (!(known & MEM_NO_READ) && vm_gpa_read(e->v->vm, gpa(addr), &val, size) == 0)
        return val;
    if (LIKELY((size & (size - 1)) == 0))
        return io_mmio_read(e->v, addr, (u8)size);
    val = 0;
    for (unsigned done = 0; done < size && !emul_void(e);) {
        u8 n = part_size(addr + done, size - done);

        val |= io_mmio_read(e->v, addr + done, n) << (done * 8);
        done += n;
    }
    return val;
}

static void store_part(struct emul *e, u64 addr, unsigned size, u8 known, u64 val)
{
    if (!(known & MEM_NO_WRITE) && vm_gpa_write(e->v->vm, gpa(addr), &val, size) == 0)
        return;
    if (LIKELY((size & (size - 1)) == 0)) {
        io_mmio_write(e->v, addr, (u8)size, val & size_mask(size));
        return;
    }
    for (unsigned done = 0; done < size && !emul_void(e);) {
        u8 n = part_size(addr + done, size - done);

        io_mmio_write(e->v, addr + done, n, (val >> (done * 8)) & size_mask(n));
        done += n;
    }
}

u64 mem_load(struct emul *e, const struct mem_op *m)
{
    u64 val = load_part(e, m->gpa[0], m->first, m->known[0]);

    if (UNLIKELY(m->first != m->size) && !emul_void(e))
        val |= load_part(e, m->gpa[1], m->size - m->first, m->known[1]) << (m->first * 8);
    return val;
}

void mem_store(struct emul *e, const struct mem_op *m, u64 val)
{
    /* The value may come from a load without answer. */
    if (emul_void(e))
        return;
    store_part(e, m->gpa[0], m->first, m->known[0], val);
    if (UNLIKELY(m->first != m->size) && !emul_void(e))
        store_part(e, m->gpa[1], m->size - m->first, m->known[1], val >> (m->first * 8));
}
