/* The guest's own paging on top of the second-level tables: page sizes, rights, fault codes, accessed and
 * dirty bits, TLB. */
#include "guest.h"

#define P  BIT(0)
#define W  BIT(1)
#define U  BIT(2)
#define A  BIT(5)
#define D  BIT(6)
#define PS BIT(7)
#define NX BIT(63)

#define VA_4K 0x8000000000UL /* PML4 slot 1: 512 GiB */
#define VA_1G 0x8040000000UL
#define VA_2M 0x8080000000UL

static u64 *pdpt, *pd, *pt;
static u8 *page;

static int read_probe(u64 va, u64 *v)
{
    u64 x = 0;

    probe_start();
    __asm__ volatile(PROBE("mov (%1), %0") : "+r"(x) : "r"(va) : PROBE_CLOBBER);
    *v = x;
    return probe_result();
}

static int write_probe(u64 va, u64 v)
{
    probe_start();
    __asm__ volatile(PROBE("mov %0, (%1)")::"r"(v), "r"(va) : PROBE_CLOBBER);
    return probe_result();
}

/* Calls the byte at va (a RET). The stack pointer is put back because a fault at the target leaves the return
 * address on the stack. */
static int exec_probe(u64 va)
{
    probe_start();
    __asm__ volatile("mov %%rsp, %%r12\n\t" PROBE("call *%0") "\n\tmov %%r12, %%rsp" ::"r"(va)
                     : PROBE_CLOBBER, "r12");
    return probe_result();
}

static bool faulted(int vector, u32 error, u64 va)
{
    return vector == 14 && this()->probe.error == error && this()->probe.cr2 == va;
}

static void set_pt(unsigned i, u64 v)
{
    *(volatile u64 *)&pt[i] = v;
    invlpg(VA_4K + i * 4096);
}

static void build(void)
{
    pdpt = page_alloc();
    pd = page_alloc();
    pt = page_alloc();
    page = page_alloc();
    boot_pml4[1] = (u64)pdpt | P | W | U;
    pdpt[0] = (u64)pd | P | W | U;
    pd[0] = (u64)pt | P | W | U;
    pdpt[2] = (u64)page_alloc() | P | W | U;
    *(u64 *)page = 0x1122334455667788;
}

static void check_small(void)
{
    u64 v;

    set_pt(0, (u64)page | P | W);
    check(read_probe(VA_4K, &v) < 0 && v == 0x1122334455667788, "a 4 KiB page reads");
    check((pt[0] & (A | D)) == A, "a read sets A and not D");
    check(write_probe(VA_4K + 8, 7) < 0 && *(u64 *)(page + 8) == 7, "and writes");
    check((pt[0] & (A | D)) == (A | D), "a write sets D");
    check(faulted(read_probe(VA_4K + 0x1000, &v), 0, VA_4K + 0x1000),
          "a page that is not present raises #PF(0) with its address");
    check(faulted(write_probe(VA_4K + 0x1ff8, 0), 2, VA_4K + 0x1ff8), "a write to one raises #PF(2)");
    set_pt(0, (u64)page | P);
    WRITE_CR(0, READ_CR(0) & ~BIT(16));
    check(write_probe(VA_4K, 8) < 0, "without CR0.WP the kernel writes read-only pages");
    WRITE_CR(0, READ_CR(0) | BIT(16));
    check(faulted(write_probe(VA_4K, 9), 3, VA_4K), "with CR0.WP it raises #PF(3)");
    set_pt(0, (u64)page | P | W | NX);
    check(exec_probe(VA_4K) == 14 && this()->probe.error == 0x11 && this()->probe.cr2 == VA_4K,
          "execution of an NX page raises #PF(0x11)");
    set_pt(0, (u64)page | P | W | BIT(51));
    /* P must be set too (SDM vol. 3A 4.7); QEMU's emulation leaves it out, so it is not checked. */
    check(read_probe(VA_4K, &v) == 14 && (this()->probe.error & 8),
          "a reserved address bit raises #PF with RSVD");
    set_pt(0, (u64)page | P | W);
    page[0x100] = 0xc3; /* RET */
    check(exec_probe(VA_4K + 0x100) < 0, "execution of a plain page works");
}

static void check_large(void)
{
    u32 r[4];
    u64 v;
    u64 *pd2 = (u64 *)(pdpt[2] & ~(u64)0xfff);

    pd2[1] = 0 | P | W | PS;
    check(read_probe(VA_2M + 0x200000 + (u64)page, &v) == ((u64)page < 0x200000 ? -1 : 14),
          "a 2 MiB page maps the first 2 MiB");
    check((pd2[1] & A) || (u64)page >= 0x200000, "and gets its A bit");
    cpuid(0x80000001, 0, r);
    if (r[3] & BIT(26)) {
        pdpt[1] = 0 | P | W | PS;
        check(read_probe(VA_1G + (u64)page, &v) < 0 && v == *(u64 *)page, "a 1 GiB page reads (0x%lx)", v);
        check(write_probe(VA_1G + (u64)page + 16, 0x55aa) < 0 && *(u64 *)(page + 16) == 0x55aa, "and writes");
        check((pdpt[1] & (A | D)) == (A | D), "and gets its A and D bits");
    }
    check(read_probe(0x0000900000000000, &v) == 13, "a non-canonical address raises #GP");
}

static void check_smap_smep(void)
{
    u32 r[4];
    u64 v;

    cpuid(7, 0, r);
    set_pt(1, (u64)page | P | W | U);
    if (r[1] & BIT(7)) {
        WRITE_CR(4, READ_CR(4) | BIT(20));
        check(exec_probe(VA_4K + 0x1100) == 14 && this()->probe.error == 0x11,
              "SMEP stops the kernel from running user pages");
        WRITE_CR(4, READ_CR(4) & ~BIT(20));
    }
    if (r[1] & BIT(20)) {
        WRITE_CR(4, READ_CR(4) | BIT(21));
        check(faulted(read_probe(VA_4K + 0x1000, &v), 1, VA_4K + 0x1000),
              "SMAP stops the kernel from reading user pages");
        __asm__ volatile("stac" ::: "cc");
        check(read_probe(VA_4K + 0x1000, &v) < 0, "unless STAC allows it");
        __asm__ volatile("clac" ::: "cc");
        WRITE_CR(4, READ_CR(4) & ~BIT(21));
    }
}

static void check_tlb(void)
{
    u8 *other = page_alloc();
    u64 v;

    *(u64 *)other = 0xfeedface;
    set_pt(2, (u64)page | P | W);
    (void)read_probe(VA_4K + 0x2000, &v);
    set_pt(2, (u64)other | P | W);
    check(read_probe(VA_4K + 0x2000, &v) < 0 && v == 0xfeedface, "INVLPG makes a changed entry visible");
    *(volatile u64 *)&pt[2] = (u64)page | P | W;
    WRITE_CR(3, READ_CR(3));
    check(read_probe(VA_4K + 0x2000, &v) < 0 && v == *(u64 *)page, "so does a write to CR3");
    WRITE_CR(4, READ_CR(4) | BIT(7));
    set_pt(3, (u64)page | P | W | BIT(8));
    (void)read_probe(VA_4K + 0x3000, &v);
    *(volatile u64 *)&pt[3] = (u64)other | P | W | BIT(8);
    WRITE_CR(4, READ_CR(4) & ~BIT(7));
    check(read_probe(VA_4K + 0x3000, &v) < 0 && v == 0xfeedface, "a change of CR4.PGE drops global entries");
}

static void check_tables_at_end(void)
{
    u64 *last = (u64 *)(ram_end - 4096);
    u64 v;

    memset(last, 0, 4096);
    last[0] = (u64)page | P | W;
    pd[1] = (u64)last | P | W;
    check(read_probe(VA_4K + 0x200000, &v) < 0 && v == *(u64 *)page,
          "a page table in the last page of RAM works");
    check(last[0] & A, "and gets its A bit");
}

void guest_main(void)
{
    guest_init();
    build();
    check_small();
    check_large();
    check_tlb();
    check_tables_at_end();
    check_smap_smep();
    done();
}
