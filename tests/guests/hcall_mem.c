/*
 * Service VM and user VM: the memory of user VMs (hypercall-abi.md sections 2.5, 7): what may be mapped and
 * what never, large pages and small ones, and that a running user VM sees each change when the call has
 * returned.
 */
#include "hc.h"

#define WIN   0x90000000UL /* guest-physical window of the user VM that is mapped anew all the time */
#define MIB   0x100000UL
#define PAGE  4096UL
#define LARGE 0x200000UL

#define ROUNDS 50

static struct uvm vm;
static struct memory_region *list; /* one page of entries */

static long regions(u64 count)
{
    struct set_regions s = {.vmid = vm.id, .count = (u32)count, .regions = (u64)list};

    return hc(HC_MEMORY_REGIONS, (u64)&s, 0);
}

static struct memory_region add(u64 gpa, u64 src, u64 size, u32 prot)
{
    return (struct memory_region){MR_ADD, prot | MEM_WB, gpa, src, size};
}

static u64 hpa_of(u64 gpa)
{
    struct gpa2hpa g = {gpa, 0x1234567};

    if (hcp(HC_GPA2HPA, vm.id, &g) != 0)
        return g.hpa == 0x1234567 ? 0 : 1; /* a failure must leave it as it was */
    return g.hpa;
}

/* ---- the running user VM ---- */

static volatile u64 gen, offset, seen_gen, seen;

/* Reads one word of the window and says in which generation it did. */
static void user_reader(void)
{
    for (;;) {
        u64 g = gen;
        u64 v = *(volatile u64 *)(WIN + offset);

        seen = v;
        __atomic_store_n(&seen_gen, g, __ATOMIC_RELEASE);
        pause();
    }
}

/* What the user VM reads at `off` of the window from now on. */
static u64 now_sees(u64 off)
{
    u64 want = gen + 1, end = rdtsc() + us_to_tsc(PATIENCE);

    offset = off;
    __atomic_store_n(&gen, want, __ATOMIC_RELEASE);
    sti();
    while (__atomic_load_n(&seen_gen, __ATOMIC_ACQUIRE) != want && rdtsc() < end) {
        uvm_serve(&vm);
        pause();
    }
    cli();
    return seen_gen == want ? seen : 0xdead;
}

static void check_visible(void)
{
    u64 *big[2] = {arena(LARGE, LARGE), arena(LARGE, LARGE)};
    u32 wrong = 0;

    for (u64 b = 0; b < 2; b++)
        for (u64 i = 0; i < LARGE / 8; i += 512)
            big[b][i] = b << 32 | i;
    uvm_start(&vm);
    check(now_sees(0) == ~(u64)0, "the window is empty: reads become requests");
    for (u64 n = 0; n < ROUNDS && wrong == 0; n++) {
        u64 page = n * 37 % 512, b = n & 1;

        wrong += uvm_map(&vm, WIN, big[b], LARGE, MEM_RWX) != 0;
        wrong += now_sees(page * PAGE) != (b << 32 | page * 512);
    }
    check(wrong == 0, "a 2 MiB page replaced 50 times: the running user VM reads the new one at once");
    for (u64 n = 0; n < ROUNDS && wrong == 0; n++) {
        u64 page = n * 37 % 512, b = n & 1;

        wrong += uvm_map(&vm, WIN + page * PAGE, &big[b][page * 512], PAGE, MEM_RWX) != 0;
        wrong += now_sees(page * PAGE) != (b << 32 | page * 512);
        wrong += now_sees((page ^ 1) * PAGE) == ~(u64)0;
    }
    check(wrong == 0, "pages of it replaced one by one, likewise");
    for (u64 n = 0; n < ROUNDS && wrong == 0; n++) {
        u64 page = n * 37 % 512;

        wrong += uvm_unmap(&vm, WIN + page * PAGE, PAGE) != 0;
        wrong += now_sees(page * PAGE) != ~(u64)0;
        wrong += now_sees((page + 1) % 512 * PAGE) == ~(u64)0 && n < 2;
    }
    check(wrong == 0, "pages taken away: the next read is a request");
    check(uvm_unmap(&vm, WIN, LARGE) == 0 && now_sees(LARGE - 8) == ~(u64)0, "the rest at once");
}

static void check_fragments(void)
{
    u64 *mem = arena(LARGE, LARGE);
    u32 wrong = 0;

    for (u64 i = 0; i < 512; i++)
        mem[i * 512] = i;
    for (u64 part = 0; part < 4; part++) { /* pages in reverse order, 128 in a call */
        for (u64 i = 0; i < REGIONS_PER_PAGE; i++) {
            u64 page = part * REGIONS_PER_PAGE + i;

            list[i] = add(WIN + (511 - page) * PAGE, (u64)mem + page * PAGE, PAGE, MEM_RWX);
        }
        wrong += regions(REGIONS_PER_PAGE) != 0;
    }
    check(wrong == 0, "512 pages in four batches of 128");
    for (u64 i = 0; i < 512; i += 7)
        wrong +=
            now_sees(i * PAGE) != 511 - i || hpa_of(WIN + i * PAGE + 5) != (u64)mem + (511 - i) * PAGE + 5;
    check(wrong == 0, "each where it was put");
    check(uvm_map(&vm, WIN, mem, LARGE, MEM_RWX) == 0 && now_sees(511 * PAGE) == 511 && now_sees(0) == 0,
          "replaced by one 2 MiB page");
    check(hpa_of(WIN + LARGE - 1) == (u64)mem + LARGE - 1, "GPA2HPA of its last byte");
    check(uvm_unmap(&vm, WIN + PAGE, LARGE - 2 * PAGE) == 0 && now_sees(0) == 0 &&
              now_sees(PAGE) == ~(u64)0 && now_sees(510 * PAGE) == ~(u64)0 && now_sees(511 * PAGE) == 511,
          "its middle taken out: both ends stay");
    check(uvm_unmap(&vm, WIN, LARGE) == 0 && hpa_of(WIN) == 0, "GPA2HPA of what is unmapped fails");
    check(uvm_unmap(&vm, WIN, LARGE) == 0, "removing what is not there: 0");
}

static long protect(u64 gpa, bool on)
{
    struct wp_data d = {.set = on, .gpa = gpa};

    return hcp(HC_WRITE_PROTECT, vm.id, &d);
}

static void check_rights(void)
{
    u64 *mem = arena(LARGE, LARGE);

    mem[0] = 0x11;
    mem[512] = 0x22;
    uvm_map(&vm, WIN, mem, LARGE, MEM_RWX);
    check(protect(WIN + PAGE, true) == 0 && now_sees(PAGE) == 0x22 && now_sees(0) == 0x11,
          "a page of a 2 MiB page write-protected stays readable");
    check(protect(WIN + PAGE, false) == 0 && now_sees(PAGE) == 0x22, "and back");
    list[0] = (struct memory_region){MR_MODIFY, MEM_R | MEM_WB, WIN, (u64)mem, LARGE};
    check(regions(1) == 0 && now_sees(512 * 8) == 0x22, "MODIFY of the rights keeps the memory");
    for (u32 type = MEM_WB; type <= MEM_WC; type <<= 1) {
        list[0] = (struct memory_region){MR_ADD, MEM_RWX | type, WIN, (u64)mem, LARGE};
        check(regions(1) == 0 && now_sees(0) == 0x11, "memory type 0x%x", type);
    }
    list[0] = (struct memory_region){MR_ADD, MEM_RWX, WIN, (u64)mem, LARGE};
    check(regions(1) == 0 && now_sees(0) == 0x11, "no memory type at all");
    uvm_unmap(&vm, WIN, LARGE);
}

/* ---- refusals ---- */

static void refused(const char *what, struct memory_region r, long want)
{
    long ret;

    list[0] = r;
    ret = regions(1);
    check(want == 0 ? ret < 0 : ret == want, "%s: refused (%ld)", what, ret);
}

static void check_refusals(void)
{
    u64 src = (u64)arena(LARGE, LARGE);
    u64 edge = (u64)ram_edge(PAGE);
    struct set_regions s = {.vmid = vm.id, .count = 1, .regions = (u64)list};
    u64 bad = 0;

    refused("size 0", add(WIN, src, 0, MEM_RWX), -EINVAL);
    refused("half a page", add(WIN, src, 0x800, MEM_RWX), -EINVAL);
    refused("a page and a half", add(WIN, src, 0x1800, MEM_RWX), -EINVAL);
    refused("odd guest address", add(WIN + 0x800, src, PAGE, MEM_RWX), -EINVAL);
    refused("odd source", add(WIN, src + 8, PAGE, MEM_RWX), -EINVAL);
    refused("size that wraps the guest address", add(WIN, src, ~(PAGE - 1), MEM_RWX), -EINVAL);
    refused("size that wraps the source", add(0, ~(u64)0 - 0xfff, 2 * PAGE, MEM_RWX), 0);
    refused("guest address above the ceiling", add(BIT(39), src, PAGE, MEM_RWX), -EINVAL);
    refused("range that crosses the ceiling", add(BIT(39) - PAGE, src, 2 * PAGE, MEM_RWX), -EINVAL);
    refused("guest address at the top of all", add(~(PAGE - 1), src, PAGE, MEM_RWX), -EINVAL);
    refused("the user VM's IOAPIC as target", add(0xfec00000, src, PAGE, MEM_RWX), -EINVAL);
    refused("its local APIC as target", add(0xfee00000, src, PAGE, MEM_RWX), -EINVAL);
    refused("both within a larger target", add(0xfe000000, src, LARGE * 8, MEM_RWX), -EINVAL);
    refused("removal of half a page", (struct memory_region){.type = MR_DEL, .gpa = WIN, .size = 0x800},
            -EINVAL);
    refused("removal above the ceiling", (struct memory_region){.type = MR_DEL, .gpa = BIT(40), .size = PAGE},
            -EINVAL);
    refused("the machine's local APIC as source", add(WIN, 0xfee00000, PAGE, MEM_RWX), 0);
    refused("its IOAPIC as source", add(WIN, 0xfec00000, PAGE, MEM_RWX), 0);
    refused("a PCI window as source", add(WIN, 0xfebd4000, PAGE, MEM_RWX), 0);
    refused("PCI configuration space as source", add(WIN, 0xb0000000, PAGE, MEM_RWX), 0);
    refused("nothing as source", add(WIN, BIT(39), PAGE, MEM_RWX), 0);
    refused("a source that runs out of RAM", add(WIN, edge, 2 * PAGE, MEM_RWX), 0);
    for (unsigned n = 0; ram_hole(n) != 0; n++)
        for (u64 size = PAGE; size <= LARGE; size *= 512) {
            list[0] = add(WIN, ram_hole(n) & ~(size - 1), size, MEM_RWX);
            if (regions(1) >= 0 || hpa_of(WIN) != 0)
                bad = ram_hole(n);
        }
    check(bad == 0, "no memory of the hypervisor or the neighbour can be mapped (not 0x%lx)", bad);
    check(hpa_of(WIN) == 0 && hpa_of(BIT(39) - PAGE) == 0, "and nothing was");
    check(regions(0) == -1, "no entry: -1");
    check(regions(REGIONS_PER_PAGE + 1) == -EINVAL, "129 entries: -EINVAL");
    check(regions(0xffffffff) == -EINVAL, "2^32 - 1 entries: -EINVAL");
    list[0] = add(WIN, src, PAGE, MEM_RWX);
    s.regions = BIT(39);
    check(hc(HC_MEMORY_REGIONS, (u64)&s, 0) < 0, "entries that cannot be read: refused");
    s.regions = edge + PAGE - 16;
    check(hc(HC_MEMORY_REGIONS, (u64)&s, 0) < 0, "an entry that can be read by half: refused");
    check(hc(HC_MEMORY_REGIONS, BIT(39), 0) < 0, "a header that cannot be read: refused");
    for (u64 i = 0; i < 5; i++)
        list[i] = add(WIN + i * PAGE, src + i * PAGE, i == 2 ? 0x800 : PAGE, MEM_RWX);
    check(regions(5) < 0, "five entries of which the third is bad: refused");
    check(hpa_of(WIN + 2 * PAGE) == 0 && hpa_of(WIN + 3 * PAGE) == 0,
          "nothing of it and what follows is mapped");
    uvm_unmap(&vm, WIN, LARGE);
}

/* The slot's limit is 64 MiB: image and low memory are mapped already. */
static void check_limit(void)
{
    u64 src = (u64)arena(64 * MIB, LARGE);

    refused("more than the slot's limit", add(WIN, src, 64 * MIB, MEM_RWX), -ENOMEM);
    check(hpa_of(WIN) == 0, "nothing of it is mapped");
    check(uvm_map(&vm, WIN, (void *)src, 60 * MIB, MEM_RWX) == 0, "60 MiB within it");
    refused("4 MiB more", add(WIN + 64 * MIB, src, 4 * MIB, MEM_RWX), -ENOMEM);
    check(uvm_map(&vm, WIN, (void *)(src + LARGE), 32 * MIB, MEM_RWX) == 0, "remapping counts nothing twice");
    check(uvm_unmap(&vm, WIN, 60 * MIB) == 0, "removed");
    check(uvm_map(&vm, WIN, (void *)src, 60 * MIB, MEM_RWX) == 0, "there is room again");
    check(uvm_unmap(&vm, WIN, 60 * MIB) == 0, "removed");
    /* one page each, far apart: the tables of the slot must suffice or the call must say no */
    for (u64 n = 0; n < 64; n++) {
        long ret = uvm_map(&vm, 0x100000000 + n * 0x40000000, (void *)src, PAGE, MEM_RWX);

        if (ret != 0) {
            check(ret == -ENOMEM, "%lu pages in as many GiB, then -ENOMEM (%ld)", n, ret);
            break;
        }
    }
    check(uvm_unmap(&vm, 0x100000000, 0x1000000000) == 0, "all removed");
    check(uvm_map(&vm, WIN, (void *)src, LARGE, MEM_RWX) == 0 && now_sees(0) == *(u64 *)src,
          "and the tables serve again");
}

static void check_after_destroy(void)
{
    check(uvm_destroy(&vm) == 0, "DESTROY_VM with all of it mapped");
    check(uvm_create(&vm, key_uvm0, 0) == 0 && hpa_of(WIN) == 0 && hpa_of(0x100000) == 0,
          "created again, it has no memory");
    check(hpa_of(0) == 0, "none at 0");
    check(uvm_destroy(&vm) == 0, "and goes");
}

void guest_main(void)
{
    service_init();
    vm.base = 8;
    list = arena(2 * PAGE, PAGE);
    uvm_make(&vm, key_uvm0, 0, 1, user_reader);
    check_refusals();
    check_visible();
    check_fragments();
    check_rights();
    check_limit();
    check_after_destroy();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
