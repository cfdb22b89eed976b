/*
 * A service VM that wants to harm: random calls with random parameters (mostly near to valid ones) from two
 * CPUs, user VMs that run wild, request slots and rings rewritten at any moment. Repeatable up to the CPUs'
 * interleaving by its seed. The runner types "SEED SECONDS". All that may be overwritten lies in the
 * playground: the program itself is never given away, so that it can tell at the end whether the hypervisor
 * still keeps its word.
 */
#include "hc.h"

#define PLAY   0x100000UL /* what addresses are taken from */
#define BEHIND 0x800000UL /* rings may reach behind it */
#define SLOTS  4          /* VM ids 1.. of the scenario */
#define PAGES  8          /* request pages, at the end of the playground */

struct chance {
    u64 state;
    u8 *params; /* this CPU's structures: a page of the playground */
    u64 calls, good, slowest;
    u32 slowest_id;
};

static u8 *play;
static struct chance chance[2];
static volatile u32 stop, stopped;

static u64 dice(struct chance *c)
{
    u64 x = c->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    c->state = x;
    return x * 0x2545f4914f6cdd1d;
}

static u64 below(struct chance *c, u64 n)
{
    return (dice(c) >> 16) % n;
}

/* An address: mostly in the playground, else one that must be refused, or just any. */
static u64 address(struct chance *c)
{
    u64 page = (u64)play + below(c, PLAY / 4096) * 4096;

    switch (below(c, 16)) {
    case 0:
        return ram_hole((unsigned)below(c, 8)) + below(c, 4096);
    case 1:
        return (below(c, 2) ? 0xfee00000 : 0xfec00000) + below(c, 0x2000);
    case 2:
        return ~below(c, 8192);
    case 3:
        return (u64)ram_edge(below(c, 300) + 1);
    case 4:
        return BIT(below(c, 64)) | BIT(63 - below(c, 12));
    case 5:
        return 0xfd000000 + below(c, 0x2000) * 4096;
    case 6:
        return page + 4096 - below(c, 64);
    case 7:
        return page + below(c, 4096);
    default:
        return page;
    }
}

/* A guest-physical address of a user VM. */
static u64 target(struct chance *c)
{
    switch (below(c, 8)) {
    case 0:
        return address(c);
    case 1:
        return 0xfec00000 + below(c, 0x300) * 4096;
    case 2:
        return BIT(39) - below(c, 4) * 4096;
    default:
        return below(c, 0x200) * 4096;
    }
}

static u64 vmid(struct chance *c)
{
    static const u16 odd[] = {0, 5, 6, 7, 63, 0x7fff, 0x8000, 0xfffe, 0xffff};

    if (below(c, 8) != 0)
        return 1 + below(c, SLOTS);
    return below(c, 4) != 0 ? odd[below(c, ARRAY_SIZE(odd))] : dice(c);
}

static void key_for(struct chance *c, u8 *out)
{
    static const u8 *const keys[] = {key_uvm0, key_uvm1, key_rt, key_other};

    memcpy(out, keys[below(c, 4)], 16);
    if (below(c, 8) == 0)
        out[below(c, 16)] = (u8)dice(c);
}

static void some_region(struct chance *c, struct memory_region *r)
{
    static const u64 sizes[] = {4096, 4096, 8192, 0x10000, 0x100000, 0x200000, 0, 0x800, 0x1800, 0x40000000};

    r->type = below(c, 4) != 0 ? MR_ADD : (u32)below(c, 5);
    r->prot = (u32)(below(c, 4) != 0 ? MEM_RWX | MEM_WB : dice(c));
    r->gpa = target(c);
    r->src = address(c);
    r->size = below(c, 20) != 0 ? sizes[below(c, ARRAY_SIZE(sizes))] : dice(c);
}

/* A 32-bit start state in the wild code at `rip`, or nonsense. */
static void some_regs(struct chance *c, struct vcpu_regs *r)
{
    u8 *raw = (u8 *)r;

    memset(r, 0, sizeof(*r));
    r->cr0 = 0x31;
    r->cs = 8;
    r->cs_ar = 0xc09b;
    r->cs_limit = 0xffffffff;
    r->rip = below(c, 16) * 4096;
    r->gprs.rbx = dice(c);
    for (u64 n = below(c, 3) == 0 ? below(c, 6) : 0; n > 0; n--)
        raw[below(c, sizeof(*r))] = (u8)dice(c);
    if (below(c, 30) == 0)
        for (unsigned i = 0; i < sizeof(*r); i++)
            raw[i] = (u8)dice(c);
}

/* What a call of this id could get: fills the page of structures; the parameters in *a and *b. */
static void parameters(struct chance *c, u32 id, u64 *a, u64 *b)
{
    u64 *w = (u64 *)c->params;

    *a = vmid(c);
    *b = (u64)c->params;
    for (unsigned i = 0; i < 8; i++)
        w[i] = below(c, 3) != 0 ? address(c) : dice(c);
    switch (id) {
    case HC_OFFLINE_CPU:
        *a = below(c, 4) == 0 ? 2 : 3 + below(c, 300);
        break;
    case HC_CALLBACK_VECTOR:
        *a = below(c, 4) == 0 ? dice(c) : 0x40 + below(c, 0xa0);
        break;
    case HC_CREATE_VM:
        memset(w, 0, sizeof(struct create_vm));
        key_for(c, ((struct create_vm *)w)->key);
        ((struct create_vm *)w)->flags = below(c, 3) == 0 ? dice(c) & 0x27 : below(c, 2) * VM_POLLING;
        *a = (u64)c->params;
        break;
    case HC_SET_VCPU_REGS:
        some_regs(c, (struct vcpu_regs *)w);
        break;
    case HC_SET_IRQLINE:
        *b = below(c, 64) | below(c, 5) << 32;
        break;
    case HC_INJECT_MSI:
        w[0] = 0xfee00000 | (dice(c) & 0xffffc);
        w[1] = dice(c) & 0x7ff;
        break;
    case HC_SET_IOREQ_BUFFER:
        w[0] = below(c, 6) != 0 ? (u64)play + PLAY - (1 + below(c, PAGES)) * 4096 : address(c);
        break;
    case HC_NOTIFY_FINISH:
        *b = below(c, 4);
        break;
    case HC_MEMORY_REGIONS:
        ((struct set_regions *)w)->vmid = (u16)vmid(c);
        ((struct set_regions *)w)->count = (u32)(below(c, 8) != 0 ? 1 + below(c, 4) : below(c, 140));
        ((struct set_regions *)w)->regions = below(c, 8) != 0 ? (u64)(c->params + 64) : address(c);
        for (unsigned i = 0; i < 4; i++)
            some_region(c, (struct memory_region *)(c->params + 64) + i);
        *a = (u64)c->params;
        break;
    case HC_WRITE_PROTECT:
        w[0] = below(c, 2);
        w[1] = target(c);
        break;
    case HC_GPA2HPA:
        w[0] = target(c);
        break;
    case HC_SETUP_SBUF: {
        struct sbuf *s = (struct sbuf *)(play + below(c, PLAY / 4096) * 4096);
        u32 size = below(c, 2) ? 32 : 80, n = (u32)below(c, 1000);

        *s = (struct sbuf){.magic = SBUF_MAGIC, .ele_num = n, .ele_size = size, .size = n * size};
        s->flags = (u32)below(c, 4);
        *(struct sbuf_setup *)w = (struct sbuf_setup){(u16)below(c, 8), 0, size == 80, (u64)s};
        *a = (u64)c->params;
        break;
    }
    case HC_PM_STATE:
        *a = vmid(c) << 24 | (dice(c) & 0xff0f);
        break;
    default:
        break;
    }
    if (below(c, 12) == 0)
        *a = below(c, 2) != 0 ? address(c) : dice(c);
    if (below(c, 12) == 0)
        *b = below(c, 2) != 0 ? address(c) : dice(c);
}

static const u32 ids[] = {
    HC_VERSION,          HC_OFFLINE_CPU,      HC_CALLBACK_VECTOR, HC_PLATFORM_INFO,    HC_CREATE_VM,
    HC_CREATE_VM,        HC_DESTROY_VM,       HC_START_VM,        HC_START_VM,         HC_PAUSE_VM,
    HC_CREATE_VCPU,      HC_CREATE_VCPU,      HC_RESET_VM,        HC_SET_VCPU_REGS,    HC_SET_VCPU_REGS,
    HC_INJECT_MSI,       HC_INJECT_MSI,       HC_INTR_MONITOR,    HC_SET_IRQLINE,      HC_SET_IRQLINE,
    HC_SET_IOREQ_BUFFER, HC_SET_IOREQ_BUFFER, HC_NOTIFY_FINISH,   HC_NOTIFY_FINISH,    HC_GPA2HPA,
    HC_MEMORY_REGIONS,   HC_MEMORY_REGIONS,   HC_MEMORY_REGIONS,  HC_WRITE_PROTECT,    HC_ASSIGN_PTDEV,
    HC_DEASSIGN_PTDEV,   HC_MSIX_REMAP,       HC_SET_PTDEV_INTR,  HC_RESET_PTDEV_INTR, HC_ASSIGN_PCIDEV,
    HC_CREATE_VDEV,      HC_SETUP_SBUF,       HC_NPK_LOG,         HC_PROFILING,        HC_HW_INFO,
    HC_TRUSTY_INIT,      HC_WORLD_SWITCH,     HC_TRUSTY_SAVE,     HC_PM_STATE,
};

static long call(struct chance *c, u64 id, u64 a, u64 b)
{
    u64 t = rdtsc();
    long ret = hc(id, a, b);

    t = rdtsc() - t;
    c->calls++;
    c->good += ret == 0;
    if (t > c->slowest) {
        c->slowest = t;
        c->slowest_id = (u32)id;
    }
    return ret;
}

static void random_call(struct chance *c)
{
    u64 id = ids[below(c, ARRAY_SIZE(ids))], a, b;

    parameters(c, (u32)id, &a, &b);
    if (below(c, 30) == 0)
        id = below(c, 2) != 0 ? 0x80000000 | below(c, 256) : dice(c);
    if ((u32)id == HC_OFFLINE_CPU && a <= 1)
        return; /* CPU 1 is needed to the end */
    call(c, id, a, b);
}

/* Answers, or spoils, a slot of some request page. */
static void spoil(struct chance *c)
{
    volatile struct io_request *page = (void *)(play + PLAY - (1 + below(c, PAGES)) * 4096);
    volatile struct io_request *r = &page[below(c, 4)];
    u64 n = below(c, 16);

    if (n < 6) {
        r->value = dice(c);
        __atomic_store_n(&r->processed, ST_COMPLETE, __ATOMIC_RELEASE);
        call(c, HC_NOTIFY_FINISH, vmid(c), below(c, 3));
    } else if (n < 9) {
        r->processed = (u32)below(c, 5);
    } else if (n < 10) {
        r->processed = (u32)dice(c);
    } else if (n < 13) {
        ((volatile u32 *)r)[below(c, 34)] = (u32)dice(c);
    }
}

/* Wild code for user VMs: 32-bit, anywhere, EBX is its chance. */
__asm__(
    ".text\n.balign 16\n.code32\n"
    "wild:\n\t"
    "imull $0x41c64e6d, %ebx, %ebx\n\taddl $12345, %ebx\n\t"
    "movl %ebx, %edx\n\tshrl $8, %edx\n\t"
    "movl %ebx, %ecx\n\tshrl $27, %ecx\n\tandl $15, %ecx\n\t"
    "movl %ebx, %eax\n\trorl $13, %eax\n\t"
    "cmpl $4, %ecx\n\tja 1f\n\tinb %dx, %al\n\tjmp wild\n"
    "1:\tcmpl $7, %ecx\n\tja 1f\n\toutl %eax, %dx\n\tjmp wild\n"
    "1:\tcmpl $8, %ecx\n\tja 1f\n\torl $0x80000000, %eax\n\tmovl (%eax), %ecx\n\tjmp wild\n"
    "1:\tcmpl $9, %ecx\n\tja 1f\n\torl $0x40000000, %eax\n\tmovl %ebx, (%eax)\n\tjmp wild\n"
    "1:\tcmpl $10, %ecx\n\tja 1f\n\tandl $0xfffff, %eax\n\tmovb %bl, (%eax)\n\tjmp wild\n"
    "1:\tcmpl $11, %ecx\n\tja 1f\n\tandl $0xf0cff, %eax\n\tmovl %edx, 0xfee00310\n\tmovl %eax, 0xfee00300\n\t"
    "jmp wild\n"
    "1:\tcmpl $12, %ecx\n\tja 1f\n\tandl $0x1f, %eax\n\tmovl %eax, 0xfec00000\n\tmovl %ebx, 0xfec00010\n\t"
    "jmp wild\n"
    "1:\tcmpl $13, %ecx\n\tja 1f\n\tmovl $3, %ecx\n\tmovl %eax, %edi\n\trep insw\n\tjmp wild\n"
    "1:\tcmpl $14, %ecx\n\tja 1f\n\tcpuid\n\tmovl %eax, %ebx\n\tjmp wild\n"
    "1:\ttestl $0x700, %ebx\n\tjnz wild\n\tvmmcall\n\tjmp wild\n"
    "wild_end:\n"
    ".code64\n");
extern const u8 wild[], wild_end[];

/* A user VM as it should be made, but for what it runs; so that the calls meet living ones, too. */
static void make_wild(struct chance *c)
{
    struct create_vm *v = (struct create_vm *)c->params;
    struct create_vcpu *p = (struct create_vcpu *)c->params;
    struct vcpu_regs *r = (struct vcpu_regs *)c->params;
    struct memory_region *m = (struct memory_region *)(c->params + 64);
    u64 id;

    memset(v, 0, sizeof(*v));
    key_for(c, v->key);
    v->flags = below(c, 4) == 0 ? VM_POLLING : 0;
    if (call(c, HC_CREATE_VM, (u64)v, 0) != 0)
        return;
    id = v->vmid;
    *(u64 *)c->params = (u64)play + PLAY - (1 + below(c, PAGES)) * 4096;
    call(c, HC_SET_IOREQ_BUFFER, id, (u64)c->params);
    *m = (struct memory_region){MR_ADD, MEM_RWX | MEM_WB, 0, (u64)play, PLAY};
    *(struct set_regions *)c->params = (struct set_regions){.vmid = (u16)id, .count = 1, .regions = (u64)m};
    call(c, HC_MEMORY_REGIONS, (u64)c->params, 0);
    for (u64 n = 1 + below(c, 3); n > 0; n--)
        call(c, HC_CREATE_VCPU, id, (u64)p);
    for (u64 n = 0; n < 16; n++)
        memcpy(play + n * 4096, wild, (size_t)(wild_end - wild));
    some_regs(c, r);
    r->vcpu = 0;
    call(c, HC_SET_VCPU_REGS, id, (u64)r);
    call(c, HC_START_VM, id, 0);
}

static void step(struct chance *c)
{
    u64 n = below(c, 64);

    if (n < 30)
        random_call(c);
    else if (n < 60)
        spoil(c);
    else if (n < 62)
        make_wild(c);
    else
        call(c, n & 1 ? HC_DESTROY_VM : HC_PAUSE_VM, vmid(c), 0);
}

static void second_cpu(void)
{
    sti();
    while (!stop)
        step(&chance[1]);
    cli();
    stopped = 1;
}

static u64 ask_number(void)
{
    u64 v = 0;
    bool any = false;

    for (;;) {
        int c = getch();

        pause();
        if (c >= '0' && c <= '9') {
            v = v * 10 + (u64)(c - '0');
            any = true;
        } else if (c >= 0 && any) {
            return v;
        }
    }
}

static volatile u32 sound;

static void user_sound(void)
{
    if (inb(0x555) == 0x77)
        sound = 1;
}

/* All that is left is destroyed; then the slot must work as on the first day. */
static void check_order(void)
{
    static struct uvm vm = {.base = 8};
    u32 left = 0;

    for (u64 id = 1; id <= SLOTS; id++) {
        long ret = hc(HC_DESTROY_VM, id, 0);

        left += ret != 0 && ret != -1 && id != 4; /* a real-time VM may go on running */
    }
    check(left == 0, "what was left could be destroyed");
    hc(HC_CALLBACK_VECTOR, UPCALL_VECTOR, 0);
    upcalls = 0;
    model_ports[0x55] = 0x77;
    uvm_make(&vm, key_uvm0, 0, 1, user_sound);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &sound, 1, PATIENCE), "a user VM works as it should");
    check(upcalls > 0, "and its request was announced");
    check(uvm_destroy(&vm) == 0, "and is destroyed");
}

void guest_main(void)
{
    u64 seed, seconds, end, next, calls, good;

    service_init();
    play = arena(PLAY + BEHIND, 0x200000);
    memset(play, 0, PLAY + BEHIND);
    printf("hostile: seed and seconds?\n");
    seed = ask_number();
    seconds = ask_number();
    for (unsigned i = 0; i < 2; i++) {
        chance[i].state = (seed + i) * 0x9e3779b97f4a7c15 + 1;
        chance[i].params = play + (i + 20) * 4096;
    }
    if (!smp_start(acpi_cpus.apic_id[1], second_cpu))
        bail("CPU 1 did not start");
    end = rdtsc() + seconds * tsc_hz;
    next = rdtsc() + 10 * tsc_hz;
    sti();
    while (rdtsc() < end) {
        step(&chance[0]);
        if (rdtsc() > next) {
            next += 10 * tsc_hz;
            printf("# %lu calls\n", chance[0].calls + chance[1].calls);
        }
    }
    stop = 1;
    check(wait_for(&stopped, 1, PATIENCE), "both CPUs got all their answers");
    cli();
    calls = chance[0].calls + chance[1].calls;
    good = chance[0].good + chance[1].good;
    printf("# seed %lu: %lu calls, %lu of them did something; slowest %lu us (0x%x) and %lu us (0x%x)\n",
           seed, calls, good, chance[0].slowest / (tsc_hz / 1000000), chance[0].slowest_id,
           chance[1].slowest / (tsc_hz / 1000000), chance[1].slowest_id);
    check(calls > 100 && good > 10 && good < calls, "many calls were made, some succeeded");
    check_order();
    done();
}
