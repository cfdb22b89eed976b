/* Hypercalls, and the memory that service-VM programs work with. */
#include "hc.h"

bool hc_amd;
volatile u32 upcalls;
static u64 arena_next, arena_end;

u64 hc_vmcall(u64 id, u64 a, u64 b, int *fault)
{
    register u64 r8 __asm__("r8") = id;
    u64 rax = 0x5a5a5a5a5a5a5a5a;

    probe_start();
    __asm__ volatile(PROBE("vmcall") : "+a"(rax) : "r"(r8), "D"(a), "S"(b) : PROBE_CLOBBER);
    *fault = probe_result();
    return rax;
}

u64 hc_vmmcall(u64 id, u64 a, u64 b, int *fault)
{
    register u64 r8 __asm__("r8") = id;
    u64 rax = 0x5a5a5a5a5a5a5a5a;

    probe_start();
    __asm__ volatile(PROBE("vmmcall") : "+a"(rax) : "r"(r8), "D"(a), "S"(b) : PROBE_CLOBBER);
    *fault = probe_result();
    return rax;
}

long hc(u64 id, u64 a, u64 b)
{
    int fault;
    u64 rax = hc_amd ? hc_vmmcall(id, a, b, &fault) : hc_vmcall(id, a, b, &fault);

    if (fault >= 0)
        bail("hypercall %lx raised exception %d", id, fault);
    return (long)rax;
}

static void on_upcall(struct frame *f)
{
    (void)f;
    __atomic_fetch_add(&upcalls, 1, __ATOMIC_SEQ_CST);
    apic_eoi();
}

void service_init(void)
{
    const u64 big = 0x200000;
    u64 best = 0;
    u32 r[4];

    guest_init();
    cpuid(0, 0, r);
    hc_amd = r[1] != 0x756e6547; /* "Genu" */
    cpuid(0x40000001, 0, r);
    if (!(r[0] & 1))
        bail("this is not a service VM: CPUID 0x40000001 EAX is 0x%x", r[0]);
    irq_set(UPCALL_VECTOR, on_upcall);
    for (u32 i = 0; i < ram_ranges; i++) {
        u64 start = ram_map[i].base, end = ram_map[i].base + ram_map[i].size;

        if (end > BIT(32))
            end = BIT(32);
        if (start <= (u64)image_end && end > (u64)image_end)
            start = (u64)image_end + 0x400000; /* behind what page_alloc() gives out */
        start = (start + big - 1) & ~(big - 1);
        end = (end - 0x10000) & ~(big - 1); /* ram_edge() */
        if (start < end && end - start > best) {
            best = end - start;
            arena_next = start;
            arena_end = end;
        }
    }
    if (best < 64 * big)
        bail("no 128 MiB of RAM in one piece");
}

void *arena(u64 size, u64 align)
{
    u64 p = (arena_next + align - 1) & ~(align - 1);

    if (p + size > arena_end)
        bail("the arena is used up");
    arena_next = p + size;
    return (void *)p;
}

static bool is_ram(u64 a)
{
    for (u32 i = 0; i < ram_ranges; i++)
        if (a >= ram_map[i].base && a < ram_map[i].base + ram_map[i].size)
            return true;
    return false;
}

u8 *ram_edge(u64 size)
{
    u64 best = 0;

    for (u32 i = 0; i < ram_ranges; i++) {
        u64 end = ram_map[i].base + ram_map[i].size;

        if (end % 4096 == 0 && ram_map[i].size > BIT(20) && end < BIT(32) && !is_ram(end))
            best = end;
    }
    if (best == 0)
        bail("no RAM in front of a hole");
    return (u8 *)(best - size);
}

u64 ram_hole(unsigned n)
{
    u64 top = 0;

    for (u32 i = 0; i < ram_ranges; i++) {
        u64 end = ram_map[i].base + ram_map[i].size;

        if (end < BIT(32) && end > top)
            top = end;
    }
    for (u64 a = 0x100000; a < top; a += 0x200000)
        if (!is_ram(a) && n-- == 0)
            return a;
    return 0;
}
