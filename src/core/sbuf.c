/*
 * Shared buffers (hypercall-abi.md sections 2.8, 3.8). Each ring has one producer, the CPU that it was set up
 * for; the service VM consumes. Of its header only head, flags and the overrun count are read after the
 * set-up, and none of them decides which memory is written: geometry and tail are the hypervisor's own.
 */
#include <abi/sbuf.h>
#include <arch/cpu.h>
#include <arch/s2.h>
#include <lib/atomic.h>
#include <lib/spinlock.h>
#include <lib/string.h>
#include <core/cpu.h>
#include <core/sbuf.h>
#include <core/shm.h>
#include <core/vm.h>

struct ring {
    spinlock_t lock; /* protects the rest; the producer only tries it, and drops when somebody sets up */
    u32 ele_size;    /* 0: there is no ring */
    u32 size;
    u32 tail;
    u64 header; /* host address */
};

static struct ring rings[CFG_PCPUS][SBUF_IDS];
u32 sbuf_trace_on[CFG_PCPUS];

/* What each id's elements measure. SoCWatch treats its ring as a stream of bytes, but makes it of 32-byte
 * elements.
 */
static const u32 ele_sizes[SBUF_IDS] = {
    [SBUF_TRACE] = SBUF_TRACE_BYTES,
    [SBUF_HVLOG] = SBUF_HVLOG_BYTES,
    [SBUF_SEP] = SBUF_SAMPLE_BYTES,
    [SBUF_SOCWATCH] = SBUF_SAMPLE_BYTES,
};

/* The service VM's RAM does not move while the hypervisor runs and is mapped at its own address, so a range
 * that is its RAM now stays so, and is contiguous. */
static bool service_ram(u64 addr, u64 len)
{
    struct s2_leaf leaf;

    if (len > ~addr)
        return false;
    for (u64 n; len; len -= n, addr += n) {
        if (!arch_s2_translate(service_vm(), gpa(addr), &leaf) || leaf.hpa.v != addr ||
            (leaf.prot & (MEM_R | MEM_W | MEM_DEV)) != (MEM_R | MEM_W) || shm_holds(leaf.hpa))
            return false;
        n = MIN(len, leaf.left);
    }
    return true;
}

static bool header_ok(const struct sbuf_header *h, u32 id)
{
    if (h->magic != SBUF_MAGIC || h->ele_size != ele_sizes[id])
        return false;
    /* One element stays empty, so a ring of one could hold nothing. */
    if (h->ele_num < 2 || (u64)h->ele_num * h->ele_size != h->size || h->size > SBUF_MAX_SIZE)
        return false;
    return h->tail < h->size && h->tail % h->ele_size == 0;
}

static void set_ring(u32 pcpu, u32 id, const struct ring *with)
{
    struct ring *r = &rings[pcpu][id];

    spin_lock(&r->lock);
    r->ele_size = with->ele_size;
    r->size = with->size;
    r->tail = with->tail;
    r->header = with->header;
    spin_unlock(&r->lock);
    if (id == SBUF_TRACE)
        atomic_store(&sbuf_trace_on[pcpu], with->ele_size != 0);
}

int sbuf_setup(u64 pcpu, u32 id, u64 addr)
{
    static const struct ring none;
    struct sbuf_header h;

    if (pcpu >= CFG_PCPUS || id >= SBUF_IDS)
        return -EINVAL_;
    if (addr == 0) {
        set_ring((u32)pcpu, id, &none);
        return 0;
    }
    if (!IS_ALIGNED(addr, _Alignof(struct sbuf_header)) || !service_ram(addr, sizeof(h)))
        return -EINVAL_;
    arch_hpa_read(&h, hpa(addr), sizeof(h));
    if (!header_ok(&h, id) || !service_ram(addr, sizeof(h) + h.size))
        return -EINVAL_;
    set_ring((u32)pcpu, id,
             &(struct ring){.ele_size = h.ele_size, .size = h.size, .tail = h.tail, .header = addr});
    return 0;
}

void sbuf_drop_all(void)
{
    static const struct ring none;

    for (u32 pcpu = 0; pcpu < CFG_PCPUS; pcpu++)
        for (u32 id = 0; id < SBUF_IDS; id++)
            set_ring(pcpu, id, &none);
}

static u32 next(const struct ring *r, u32 at)
{
    at += r->ele_size;
    return at == r->size ? 0 : at;
}

static hpa_t field(const struct ring *r, size_t offset)
{
    return hpa(r->header + offset);
}

#define FIELD(r, name) field((r), offsetof(struct sbuf_header, name))

/* Writes one element at the tail, which the consumer does not look at before the tail moves. */
static void write_element(const struct ring *r, const void *data, u32 len)
{
    hpa_t at = field(r, sizeof(struct sbuf_header) + r->tail);

    arch_hpa_write(at, data, len);
    if (len < r->ele_size)
        arch_hpa_zero(hpa_add(at, len), r->ele_size - len);
}

/* Lock held, there is a ring. */
static void put(struct ring *r, const void *data, u32 len)
{
    u32 head = arch_hpa_load32(FIELD(r, head));
    u32 flags = arch_hpa_load32(FIELD(r, flags));
    /* A head that is none cannot be moved on either: the element is dropped until the consumer has mended it.
     */
    bool bad = head >= r->size || head % r->ele_size != 0;
    bool full = bad || next(r, r->tail) == head;

    if (full && (flags & SBUF_COUNT_OVERRUNS))
        arch_hpa_store32(FIELD(r, overrun_cnt), arch_hpa_load32(FIELD(r, overrun_cnt)) + 1);
    if (bad || (full && !(flags & SBUF_OVERWRITE)))
        return;
    write_element(r, data, MIN(len, r->ele_size));
    if (full)
        arch_hpa_store32(FIELD(r, head), next(r, head));
    r->tail = next(r, r->tail);
    arch_hpa_store32(FIELD(r, tail), r->tail);
}

/* This CPU's ring of the id, locked; NULL when there is none, or it is being set up. */
static struct ring *take_ring(enum sbuf_id id)
{
    struct ring *r = &rings[this_cpu()->id][id];

    if (!atomic_load_relaxed(&r->ele_size) || !spin_trylock(&r->lock))
        return NULL;
    if (r->ele_size)
        return r;
    spin_unlock(&r->lock);
    return NULL;
}

void sbuf_put(enum sbuf_id id, const void *data, size_t len)
{
    struct ring *r = take_ring(id);

    if (!r)
        return;
    put(r, data, (u32)MIN(len, (size_t)r->ele_size));
    spin_unlock(&r->lock);
}

void trace_write(enum trace_event event, u64 a, u64 b)
{
    const struct sbuf_trace t = {
        .tsc = arch_tsc(),
        .what = (u64)event | (u64)ARRAY_SIZE(t.data) << 48 | (u64)this_cpu()->id << 56,
        .data = {a, b},
    };

    sbuf_put(SBUF_TRACE, &t, sizeof(t));
}

void sbuf_log(const char *line, size_t len)
{
    struct ring *r = take_ring(SBUF_HVLOG);

    if (!r)
        return;
    len = MIN(len, (size_t)SBUF_LOG_ELEMENTS * SBUF_HVLOG_BYTES);
    while (len) {
        u32 n = (u32)MIN(len, (size_t)SBUF_HVLOG_BYTES);

        put(r, line, n);
        line += n;
        len -= n;
    }
    spin_unlock(&r->lock);
}
