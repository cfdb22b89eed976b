/*
 * Service VM that reads the hypervisor's shared buffers (hypercall-abi.md sections 2.8, 3.8): trace and log
 * of what it does itself, wrapping, overruns with each flag, and what its own tampering does.
 */
#include "hc.h"

/* Events and what their two words are: include/core/sbuf.h has them; numbers are part of what a reader knows.
 */
enum { EV_HYPERCALL = 0x10, EV_VM_STATE = 0x11, EV_IOREQ_SEND = 0x12, EV_IOREQ_DONE = 0x13 };

#define TRACE_ELEMENTS 512
#define LOG_ELEMENTS   128
#define LOG_BYTES      80

static struct uvm vm = {.base = 8};
static u8 *scratch;

static void format(struct sbuf *s, u32 elements, u32 size, u32 flags)
{
    memset(s, 0, sizeof(*s));
    s->magic = SBUF_MAGIC;
    s->ele_num = elements;
    s->ele_size = size;
    s->size = elements * size;
    s->flags = flags;
}

static struct sbuf *ring(u32 elements, u32 size, u32 flags)
{
    struct sbuf *s = arena(sizeof(*s) + elements * size, 4096);

    format(s, elements, size, flags);
    return s;
}

static long setup(u32 pcpu, u32 id, const volatile void *s)
{
    struct sbuf_setup p = {(u16)pcpu, 0, id, (u64)s};

    return hc(HC_SETUP_SBUF, (u64)&p, 0);
}

/* The next element, or NULL; what it points to stays until the next call. */
static const void *take(struct sbuf *s)
{
    static u8 element[LOG_BYTES];
    u32 head = s->head, tail = __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE);

    if (head == tail)
        return NULL;
    memcpy(element, (u8 *)(s + 1) + head, s->ele_size);
    head += s->ele_size;
    __atomic_store_n(&s->head, head == s->size ? 0 : head, __ATOMIC_RELEASE);
    return element;
}

/* Takes elements until one has this event and first word under the mask; NULL: there is none. */
static const struct trace_entry *find(struct sbuf *s, u64 event, u64 mask, u64 first)
{
    const struct trace_entry *e;

    while ((e = take(s)) != NULL)
        if ((e->id & 0xffffffffffff) == event && (e->payload[0] & mask) == first)
            return e;
    return NULL;
}

/* The same, for an entry that another CPU writes: waits for it. */
static const struct trace_entry *find_soon(struct sbuf *s, u64 event, u64 mask, u64 first)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);
    const struct trace_entry *e;

    while ((e = find(s, event, mask, first)) == NULL && rdtsc() < end)
        pause();
    return e;
}

static void check_setup(u32 cpus)
{
    struct sbuf *s = ring(16, 32, 0);
    long bad = 0;

    check(setup(cpus, SBUF_TRACE, s) == -EINVAL && setup(0xffff, SBUF_TRACE, s) == -EINVAL,
          "SETUP_SBUF for a CPU that does not exist: -EINVAL");
    check(setup(0, 4, s) == -EINVAL && setup(0, ~0u, s) == -EINVAL, "for an id that does not exist: -EINVAL");
    check(setup(0, SBUF_TRACE, (void *)BIT(39)) == -EINVAL, "without memory: -EINVAL");
    for (unsigned n = 0; ram_hole(n) != 0; n++)
        if (setup(0, SBUF_TRACE, (void *)ram_hole(n)) != -EINVAL)
            bad = (long)ram_hole(n);
    check(bad == 0 && setup(0, SBUF_TRACE, (void *)0xfee00000) == -EINVAL,
          "in memory of the hypervisor or of others: -EINVAL (not 0x%lx)", bad);
#define BAD(what, change)                                                                                    \
    format(s, 16, 32, 0);                                                                                    \
    change;                                                                                                  \
    check(setup(0, SBUF_TRACE, s) == -EINVAL, what ": -EINVAL")
    BAD("wrong magic", s->magic++);
    BAD("a size that is not elements by size", s->size -= 32);
    BAD("elements of another size", s->ele_size = 64; s->size = 16 * 64);
    BAD("a product that overflows", s->ele_num = 0x8000001; s->size = 32);
    BAD("more than 4 MiB", s->ele_num = 0x20001; s->size = 0x400020);
    BAD("no elements", s->ele_num = s->size = 0);
    format(s, 16, 32, 0);
    memcpy(ram_edge(256), s, sizeof(*s));
    check(setup(0, SBUF_TRACE, ram_edge(256)) == -EINVAL, "a ring that runs out of RAM: -EINVAL");
    check(hc(HC_SETUP_SBUF, BIT(39), 0) < 0, "a parameter that cannot be read: refused");
    check(setup(0, SBUF_TRACE, NULL) == 0, "giving up what there is not: 0");
}

static void user_port(void)
{
    outb(0x500, 0x5a);
}

static void check_trace(void)
{
    struct sbuf *mine = ring(TRACE_ELEMENTS, 32, 0), *user = ring(TRACE_ELEMENTS, 32, 0);
    const struct trace_entry *e;
    u64 last = 0, wrong = 0, n = 0;

    check(setup(0, SBUF_TRACE, mine) == 0 && setup(3, SBUF_TRACE, user) == 0, "rings for CPU 0 and CPU 3");
    hc(HC_VERSION, (u64)scratch, 0);
    e = find(mine, EV_HYPERCALL, 0xffffffff, HC_VERSION);
    check(e != NULL && e->payload[1] == 0, "a hypercall leaves an entry with its result");
    check(e != NULL && e->id >> 56 == 0 && (e->id >> 48 & 0xff) == 2,
          "that names its CPU and two words of data");
    hc(HC_CALLBACK_VECTOR, 0, 0);
    e = find(mine, EV_HYPERCALL, 0xffffffff, HC_CALLBACK_VECTOR);
    check(e != NULL && e->payload[1] == (u64)-EINVAL, "so does one that fails");
    uvm_make(&vm, key_uvm0, 0, 1, user_port);
    uvm_start(&vm);
    check(uvm_slot_is(&vm, 0, ST_PENDING, PATIENCE), "a user VM sends a request");
    e = find_soon(user, EV_IOREQ_SEND, 0, 0); /* is written when the slot is PENDING already */
    check(e != NULL && e->payload[1] == 0x500 && e->id >> 56 == 3, "its CPU's ring has it, with the port");
    uvm_serve(&vm);
    uvm_pause(&vm); /* done is written on the user VM's CPU, which has stopped now */
    e = find(user, EV_IOREQ_DONE, 0, 0);
    check(e != NULL, "and its end");
    uvm_destroy(&vm);
    check(find(mine, EV_VM_STATE, 0, 0) != NULL, "changes of the VM's state are in the service VM's ring");
    while (find(mine, EV_VM_STATE, 0, 0) != NULL)
        ;
    for (u32 i = 0; i < 2 * TRACE_ELEMENTS; i++) { /* twice around */
        hc(HC_HW_INFO, (u64)scratch, 0);
        while ((e = take(mine)) != NULL) {
            wrong += e->tsc < last || (e->id & 0xffffffffffff) != EV_HYPERCALL;
            last = e->tsc;
            n++;
        }
    }
    check(n == 2 * TRACE_ELEMENTS && wrong == 0, "%lu entries in order, around the ring", n);
    check(mine->overrun_cnt == 0 && user->overrun_cnt == 0, "none was lost");
    check(setup(0, SBUF_TRACE, NULL) == 0 && setup(3, SBUF_TRACE, NULL) == 0, "given up");
    while (take(mine) != NULL)
        ;
    hc(HC_HW_INFO, (u64)scratch, 0);
    check(take(mine) == NULL, "no more entries come");
}

/* Eleven calls, told apart by their ids, into a ring of four, which holds three. */
static void check_overrun(u32 flags, const char *what)
{
    static const u32 ids[11] = {HC_START_VM,    HC_PAUSE_VM,      HC_RESET_VM,        HC_DESTROY_VM,
                                HC_CREATE_VCPU, HC_GPA2HPA,       HC_SET_VCPU_REGS,   HC_INJECT_MSI,
                                HC_SET_IRQLINE, HC_NOTIFY_FINISH, HC_SET_IOREQ_BUFFER};
    struct sbuf *s = ring(4, 32, flags);
    const struct trace_entry *e;
    u32 n = 0, first = 99, last = 99, lost;

    memset(s + 1, 0, 128);
    setup(0, SBUF_TRACE, s);
    while (take(s) != NULL)
        ; /* the set-up's own entry */
    for (u32 i = 0; i < 11; i++)
        hc(ids[i], 0xffff, (u64)scratch);
    lost = s->overrun_cnt;
    while ((e = take(s)) != NULL) {
        u32 i = 0;

        while (i < 11 && ids[i] != (u32)e->payload[0])
            i++;
        first = n++ == 0 ? i : first;
        last = i;
    }
    setup(0, SBUF_TRACE, NULL);
    check(n == 3, "%s: a ring of four holds three (%u)", what, n);
    check(flags & SBUF_OVERWRITE ? first == 8 && last == 10 : first == 0 && last == 2,
          "%s: the right ones are kept (%u to %u)", what, first, last);
    check(lost == (flags & SBUF_COUNT_OVERRUN ? 8 : 0), "%s: lost entries counted: %u", what, lost);
}

static void check_tampering(void)
{
    static const u32 values[] = {1, 31, 33, 0x7fffffff, 0x80000000, 0xffffffe0, 0xffffffff};
    struct sbuf *s = ring(16, 32, SBUF_OVERWRITE | SBUF_COUNT_OVERRUN);
    u8 *guard = arena(8192, 4096);
    u32 wrong = 0;

    memset(guard, 0x77, 8192);
    setup(0, SBUF_TRACE, s);
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        for (unsigned field = 0; field < 6; field++) {
            u32 *fields[6] = {&s->head, &s->tail, &s->size, &s->ele_size, &s->ele_num, &s->flags};

            *fields[field] = values[i];
            for (u32 n = 0; n < 20; n++)
                hc(HC_HW_INFO, (u64)scratch, 0);
            s->magic = values[i];
        }
    for (u32 i = 0; i < 8192; i++)
        wrong += guard[i] != 0x77;
    check(wrong == 0, "whatever the header says, nothing is written behind the ring");
    check(setup(0, SBUF_TRACE, NULL) == 0, "the ring is given up");
    format(s, 16, 32, 0);
    check(setup(0, SBUF_TRACE, s) == 0 && hc(HC_HW_INFO, (u64)scratch, 0) == 0 &&
              find(s, EV_HYPERCALL, 0xffffffff, HC_HW_INFO) != NULL,
          "set up again, it works");
    setup(0, SBUF_TRACE, NULL);
}

static void user_triple(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

/* What a text that the hypervisor logs about a user VM looks like: printable, up to a zero or the end. */
static u32 log_lines(struct sbuf *s, u32 *odd)
{
    const u8 *e;
    u32 n = 0;

    while ((e = take(s)) != NULL) {
        u32 i = 0;

        while (i < LOG_BYTES && e[i] >= 32 && e[i] < 127)
            i++;
        *odd += i == 0 || (i < LOG_BYTES && e[i] != 0);
        if (n++ == 0)
            printf("# log: %s\n", i < LOG_BYTES ? (const char *)e : "(a whole element)");
    }
    return n;
}

static void check_log(u32 cpus)
{
    struct sbuf *s[16];
    u32 n = 0, odd = 0, wrong = 0;

    for (u32 i = 0; i < cpus && i < 16; i++) {
        s[i] = ring(LOG_ELEMENTS, LOG_BYTES, 0);
        wrong += setup(i, SBUF_HVLOG, s[i]) != 0;
    }
    check(wrong == 0, "log rings for all CPUs");
    uvm_make(&vm, key_uvm0, 0, 1, user_triple);
    uvm_start(&vm);
    uvm_slot_is(&vm, 0, ST_PENDING, PATIENCE);
    uvm_serve(&vm);
    uvm_destroy(&vm);
    for (u32 i = 0; i < cpus && i < 16; i++) {
        n += log_lines(s[i], &odd);
        setup(i, SBUF_HVLOG, NULL);
    }
    check(n > 0 && odd == 0, "a user VM's triple fault is in the log, as text (%u elements)", n);
}

void guest_main(void)
{
    struct hw_info h;

    service_init();
    scratch = arena(4096, 4096);
    hc(HC_HW_INFO, (u64)&h, 0);
    check_setup(h.cpu_num);
    check_trace();
    check_overrun(0, "no flags");
    check_overrun(SBUF_COUNT_OVERRUN, "count");
    check_overrun(SBUF_OVERWRITE, "overwrite");
    check_overrun(SBUF_OVERWRITE | SBUF_COUNT_OVERRUN, "overwrite and count");
    check_tampering();
    check_log(h.cpu_num);
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
