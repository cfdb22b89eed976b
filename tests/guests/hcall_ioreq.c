/*
 * Service VM and user VM: what becomes an I/O request and how its answer arrives (hypercall-abi.md section
 * 4): ports, memory of all widths, string instructions, PCI configuration, write-protected pages, triple
 * fault, in notification and in polling mode, and a service VM that breaks the protocol.
 */
#include "hc.h"

#define PROT_PAGE 0x90000000UL /* guest-physical address of a page whose rights change */
#define P_WIDE    0x5f0        /* ports whose answers are odd */
#define P_TWIST   0x5f2
#define P_HELD    0x5f4

static struct uvm a, b;

/* ---- the user VM's side: what it saw ---- */

static volatile u32 user_step, user_faults[8];
static volatile u64 seen[64];
static u8 user_buf[64];

static u64 in_keeping(u32 size, u16 port)
{
    u64 v = 0xa5a5a5a5a5a5a5a5;

    if (size == 1)
        __asm__ volatile("inb %1, %%al" : "+a"(v) : "d"(port));
    else if (size == 2)
        __asm__ volatile("inw %1, %%ax" : "+a"(v) : "d"(port));
    else
        __asm__ volatile("inl %1, %%eax" : "+a"(v) : "d"(port));
    return v;
}

static void user_ports(void)
{
    outb(0x500, 0x12);
    outw(0x502, 0x3456);
    outl(0x504, 0x789abcde);
    seen[0] = in_keeping(1, 0x500);
    seen[1] = in_keeping(2, 0x502);
    seen[2] = in_keeping(4, 0x504);
    seen[3] = in_keeping(1, P_WIDE);
    seen[4] = in_keeping(2, P_TWIST);
    seen[5] = in_keeping(2, 0x9999);
    outl(0xcf8, 0x80011a40);
    seen[6] = inl(0xcfc);
    outw(0xcfe, 0x77aa);
    seen[7] = inb(0xcfd);
}

#define MEM_LOAD(i, insn, off)                                                                               \
    do {                                                                                                     \
        u64 v_ = 0xa5a5a5a5a5a5a5a5;                                                                         \
        __asm__ volatile(insn : "+a"(v_) : "b"(MODEL_MMIO + (off)) : "memory");                              \
        seen[i] = v_;                                                                                        \
    } while (0)

static void user_memory(void)
{
    volatile u8 *m = (volatile u8 *)MODEL_MMIO;
    u64 x = 0x1111;

    *(m + 1) = 0x81;
    *(volatile u16 *)(m + 2) = 0x8283;
    *(volatile u32 *)(m + 4) = 0x84858687;
    *(volatile u64 *)(m + 8) = 0x88898a8b8c8d8e8f;
    MEM_LOAD(10, "movb (%%rbx), %%al", 1);
    MEM_LOAD(11, "movw (%%rbx), %%ax", 2);
    MEM_LOAD(12, "movl (%%rbx), %%eax", 4);
    MEM_LOAD(13, "movq (%%rbx), %%rax", 8);
    MEM_LOAD(14, "movzbl (%%rbx), %%eax", 1);
    MEM_LOAD(15, "movzwl (%%rbx), %%eax", 2);
    MEM_LOAD(16, "movsbq (%%rbx), %%rax", 1);
    MEM_LOAD(17, "movswl (%%rbx), %%eax", 2);
    MEM_LOAD(18, "movslq (%%rbx), %%rax", 4);
    MEM_LOAD(19, "movsbw (%%rbx), %%ax", 1);
    *(volatile u64 *)(m + 16) = 0x1000000000000001;
    __asm__ volatile("orb $0x40, (%0)" ::"r"(m + 16) : "memory", "cc");
    __asm__ volatile("incw (%0)" ::"r"(m + 16) : "memory", "cc");
    __asm__ volatile("lock addl $0x10000, (%0)" ::"r"(m + 16) : "memory", "cc");
    __asm__ volatile("xorq $-1, (%0)" ::"r"(m + 16) : "memory", "cc");
    __asm__ volatile("xchgl %k0, (%1)" : "+r"(x) : "r"(m + 4) : "memory");
    seen[20] = x;
    *(volatile u32 *)(m + 24) = 5;
    __asm__ volatile("cmpl $5, (%1)\n\tsete %b0" : "=q"(x) : "r"(m + 24) : "cc");
    seen[21] = x & 0xff;
}

static void user_strings(void)
{
    const u8 *s = user_buf;
    u8 *d = user_buf + 32;
    u64 n = 8;

    for (unsigned i = 0; i < 16; i++)
        user_buf[i] = (u8)(0xc0 + i);
    __asm__ volatile("rep outsb" : "+S"(s), "+c"(n) : "d"(0x510) : "memory");
    seen[30] = (u64)(s - user_buf) | n << 32;
    n = 3;
    __asm__ volatile("rep outsw" : "+S"(s), "+c"(n) : "d"(0x512) : "memory");
    n = 2;
    __asm__ volatile("rep insl" : "+D"(d), "+c"(n) : "d"(0x504) : "memory");
    seen[31] = (u64)(d - user_buf) | n << 32;
    __asm__ volatile("std\n\tinsb\n\tcld" : "+D"(d) : "d"(0x500) : "memory");
    seen[32] = (u64)(d - user_buf);
    memcpy((void *)(MODEL_MMIO + 0x100), user_buf, 12); /* REP MOVSB to and from the device */
    memcpy(user_buf + 48, (void *)(MODEL_MMIO + 0x104), 8);
    memset((void *)(MODEL_MMIO + 0x200), 0x3c, 5);
}

static void user_identity(void)
{
    u32 r[4];
    int fault;

    hc_vmcall(HC_VERSION, (u64)user_buf, 0, &fault);
    user_faults[0] = (u32)fault;
    hc_vmmcall(HC_CREATE_VM, (u64)user_buf, 0, &fault);
    user_faults[1] = (u32)fault;
    cpuid(0x40000000, 0, r);
    seen[40] = r[1];
    cpuid(0x40000001, 0, r);
    seen[41] = r[0];
    cpuid(0x40000010, 0, r);
    seen[42] = r[0];
    cpuid(1, 0, r);
    seen[43] = (r[2] >> 31) | (r[1] >> 24) << 8;
}

static void user_basic(void)
{
    user_ports();
    user_memory();
    user_strings();
    user_identity();
    user_step = 1;
}

/* ---- the service VM's side ---- */

static struct io_request req_log[128];
static u32 logged;
static u32 cf8;
static u32 pci_regs[64];

static void model_pci(struct io_request *r)
{
    struct pci_request *p = (struct pci_request *)&r->direction;
    u32 port = (u32)r->address, size = (u32)r->size, reg = (cf8 & 0xfc) | (port & 3);

    r->type = REQ_PCICFG;
    p->reserved[1] = p->reserved[2] = 0;
    p->bus = cf8 >> 16 & 0xff;
    p->dev = cf8 >> 11 & 0x1f;
    p->func = cf8 >> 8 & 7;
    p->reg = reg;
    if (p->direction == DIR_WRITE)
        memcpy((u8 *)pci_regs + reg, &p->value, size);
    else
        memcpy(&p->value, (u8 *)pci_regs + reg, size);
}

static void model(struct uvm *vm, u32 vcpu, volatile struct io_request *v)
{
    struct io_request *r = (struct io_request *)v;

    if (logged < ARRAY_SIZE(req_log))
        req_log[logged++] = *r;
    if (r->type == REQ_PORTIO && r->address == 0xcf8 && r->size == 4 && r->direction == DIR_WRITE) {
        cf8 = (u32)r->value;
    } else if (r->type == REQ_PORTIO && r->address >= 0xcfc && r->address < 0xd00) {
        model_pci(r);
    } else if (r->type == REQ_PORTIO && r->address == P_WIDE) {
        r->value = 0xfedcba9876543266;
    } else if (r->type == REQ_PORTIO && r->address == P_TWIST) {
        r->value = 0x4455;
        r->type = REQ_MMIO;
        r->direction = DIR_WRITE;
        r->size = 8;
        r->address = 0x100000;
        r->completion_polling = 9;
    } else {
        model_default(vm, vcpu, r);
    }
}

/* The next request of the log is this one. */
static bool logged_is(u32 *i, u32 type, u32 direction, u64 address, u64 size, u64 value)
{
    const struct io_request *r = &req_log[*i];

    if (*i >= logged || r->type != type || r->direction != direction || r->address != address ||
        r->size != size || (direction == DIR_WRITE && r->value != value)) {
        printf("# request %u of %u: type %u direction %u address 0x%lx size %lu value 0x%lx\n", *i, logged,
               r->type, r->direction, r->address, r->size, r->value);
        printf("#         expected: type %u direction %u address 0x%lx size %lu value 0x%lx\n", type,
               direction, address, size, value);
        return false;
    }
    (*i)++;
    return true;
}

static void check_ports(u32 *i)
{
    bool ok = logged_is(i, REQ_PORTIO, DIR_WRITE, 0x500, 1, 0x12) &&
              logged_is(i, REQ_PORTIO, DIR_WRITE, 0x502, 2, 0x3456) &&
              logged_is(i, REQ_PORTIO, DIR_WRITE, 0x504, 4, 0x789abcde);

    check(ok, "OUT of 1, 2, 4 bytes: one request each");
    ok = logged_is(i, REQ_PORTIO, DIR_READ, 0x500, 1, 0) && logged_is(i, REQ_PORTIO, DIR_READ, 0x502, 2, 0) &&
         logged_is(i, REQ_PORTIO, DIR_READ, 0x504, 4, 0);
    check(ok, "IN of 1, 2, 4 bytes: one request each");
    check(seen[0] == 0xa5a5a5a5a5a5a512 && seen[1] == 0xa5a5a5a5a5a53456 && seen[2] == 0x789abcde,
          "IN changes AL, AX, or all of RAX (0x%lx 0x%lx 0x%lx)", seen[0], seen[1], seen[2]);
    check(seen[3] == 0xa5a5a5a5a5a5a566, "an answer that is wider than the access is cut (0x%lx)", seen[3]);
    check(seen[4] == 0xa5a5a5a5a5a54455,
          "what the service VM changes besides the value counts nothing (0x%lx)", seen[4]);
    check(seen[5] == 0xa5a5a5a5a5a5ffff, "a port that the model does not know (0x%lx)", seen[5]);
    *i += 3;
    ok = logged_is(i, REQ_PORTIO, DIR_WRITE, 0xcf8, 4, 0x80011a40) &&
         logged_is(i, REQ_PORTIO, DIR_READ, 0xcfc, 4, 0) &&
         logged_is(i, REQ_PORTIO, DIR_WRITE, 0xcfe, 2, 0x77aa) &&
         logged_is(i, REQ_PORTIO, DIR_READ, 0xcfd, 1, 0);
    check(ok, "0xCF8 and 0xCFC come as port requests");
    check(seen[6] == 0x12345678 && pci_regs[16] == 0x77aa5678 && seen[7] == 0x56,
          "and are answered as PCI configuration (0x%lx 0x%x 0x%lx)", seen[6], pci_regs[16], seen[7]);
}

static void check_memory(u32 *i)
{
    const u64 m = MODEL_MMIO;
    bool ok = logged_is(i, REQ_MMIO, DIR_WRITE, m + 1, 1, 0x81) &&
              logged_is(i, REQ_MMIO, DIR_WRITE, m + 2, 2, 0x8283) &&
              logged_is(i, REQ_MMIO, DIR_WRITE, m + 4, 4, 0x84858687) &&
              logged_is(i, REQ_MMIO, DIR_WRITE, m + 8, 8, 0x88898a8b8c8d8e8f);
    static const u8 sizes[10] = {1, 2, 4, 8, 1, 2, 1, 2, 4, 1}, offsets[10] = {1, 2, 4, 8, 1, 2, 1, 2, 4, 1};
    static const u64 loaded[10] = {
        0xa5a5a5a5a5a5a581, 0xa5a5a5a5a5a58283, 0x84858687,         0x88898a8b8c8d8e8f, 0x81, 0x8283,
        ~(u64)0x7e,         0xffff8283,         0xffffffff84858687, 0xa5a5a5a5a5a5ff81};

    check(ok, "stores of 1, 2, 4, 8 bytes: one request each");
    for (unsigned n = 0; n < 10; n++) {
        ok = logged_is(i, REQ_MMIO, DIR_READ, m + offsets[n], sizes[n], 0);
        check(ok && seen[10 + n] == loaded[n], "load %u of %u bytes gives 0x%lx", n, sizes[n], seen[10 + n]);
    }
    ok = logged_is(i, REQ_MMIO, DIR_WRITE, m + 16, 8, 0x1000000000000001) &&
         logged_is(i, REQ_MMIO, DIR_READ, m + 16, 1, 0) &&
         logged_is(i, REQ_MMIO, DIR_WRITE, m + 16, 1, 0x41) &&
         logged_is(i, REQ_MMIO, DIR_READ, m + 16, 2, 0) &&
         logged_is(i, REQ_MMIO, DIR_WRITE, m + 16, 2, 0x42) &&
         logged_is(i, REQ_MMIO, DIR_READ, m + 16, 4, 0) &&
         logged_is(i, REQ_MMIO, DIR_WRITE, m + 16, 4, 0x10042) &&
         logged_is(i, REQ_MMIO, DIR_READ, m + 16, 8, 0) &&
         logged_is(i, REQ_MMIO, DIR_WRITE, m + 16, 8, ~(u64)0x1000000000010042);
    check(ok, "OR, INC, LOCK ADD, XOR to memory: a read and a write each");
    ok = logged_is(i, REQ_MMIO, DIR_READ, m + 4, 4, 0) && logged_is(i, REQ_MMIO, DIR_WRITE, m + 4, 4, 0x1111);
    check(ok && seen[20] == 0x84858687, "XCHG with memory (0x%lx)", seen[20]);
    ok = logged_is(i, REQ_MMIO, DIR_WRITE, m + 24, 4, 5) && logged_is(i, REQ_MMIO, DIR_READ, m + 24, 4, 0);
    check(ok && seen[21] == 1, "CMP with memory sets the flags");
}

static void check_strings(u32 *i)
{
    bool ok = true;
    static const u8 back[8] = {0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb};

    for (u64 n = 0; n < 8; n++)
        ok = ok && logged_is(i, REQ_PORTIO, DIR_WRITE, 0x510, 1, 0xc0 + n);
    for (u64 n = 0; n < 3; n++)
        ok = ok && logged_is(i, REQ_PORTIO, DIR_WRITE, 0x512, 2, 0xc9c8 + n * 0x202);
    check(ok && seen[30] == 8, "REP OUTS: one request for each element, RSI and RCX at the end");
    ok = logged_is(i, REQ_PORTIO, DIR_READ, 0x504, 4, 0) && logged_is(i, REQ_PORTIO, DIR_READ, 0x504, 4, 0) &&
         logged_is(i, REQ_PORTIO, DIR_READ, 0x500, 1, 0);
    check(ok && seen[31] == 40 && seen[32] == 39 && user_buf[40] == 0x12 && user_buf[32] == 0xde &&
              user_buf[39] == 0x78,
          "REP INS, and INS downwards");
    check(memcmp(model_mmio + 0x100, user_buf, 12) == 0 && memcmp(user_buf + 48, back, 8) == 0,
          "REP MOVSB to the device and back");
    check(model_mmio[0x200] == 0x3c && model_mmio[0x204] == 0x3c && model_mmio[0x205] == 0, "REP STOSB");
}

static void check_identity(void)
{
    check(user_faults[0] == 6 && user_faults[1] == 6, "VMCALL and VMMCALL of a user VM: #UD (vectors %u, %u)",
          user_faults[0], user_faults[1]);
    check(seen[40] == 0x4e524341 && seen[41] == 0 && seen[42] != 0 && (seen[43] & 0xff) == 1,
          "CPUID in a user VM: signature, no privilege, the TSC's rate");
    check(seen[43] >> 8 == 0, "its local APIC id is its vCPU id (%lu)", seen[43] >> 8);
}

static void reset_shared(void)
{
    user_step = 0;
    logged = 0;
    memset((void *)seen, 0, sizeof(seen));
    memset(model_ports, 0, sizeof(model_ports));
    memset(model_mmio, 0, sizeof(model_mmio));
    memset(user_buf, 0, sizeof(user_buf));
    pci_regs[16] = 0x12345678;
}

static void check_basic(struct uvm *vm, const char *mode)
{
    u32 i = 0, before, polling = 0;

    reset_shared();
    sti(); /* the last upcall of what was before may still be pending */
    pause();
    cli();
    before = upcalls;
    printf("# %s\n", mode);
    check(uvm_start(vm) == 0, "a user VM starts (%s)", mode);
    if (!check(uvm_until(vm, &user_step, 1, PATIENCE), "and does all its accesses"))
        return;
    check_ports(&i);
    check_memory(&i);
    check_strings(&i);
    check_identity();
    for (u32 n = 0; n < logged; n++)
        polling += req_log[n].completion_polling;
    check(polling == (vm->polling ? logged : 0), "completion_polling says the mode");
    check(upcalls > before && upcalls - before <= vm->served, "upcalls came (%u for %u requests)",
          upcalls - before, vm->served);
}

/* ---- a service VM that breaks the protocol ---- */

static volatile u32 user_go;

static void user_held(void)
{
    u64 v = 0;

    for (u32 n = 1;; n++) {
        while (user_go < n)
            pause();
        v = 0x99;
        probe_start();
        __asm__ volatile(PROBE("inb %%dx, %%al") : "+a"(v) : "d"(P_HELD) : PROBE_CLOBBER);
        seen[0] = v;
        user_faults[0] = (u32)probe_result();
        user_faults[1] = (u32)this()->probe.error;
        user_step = n;
    }
}

static void hold(u32 n)
{
    user_go = n;
    if (!uvm_slot_is(&a, 0, ST_PENDING, PATIENCE))
        bail("request %u did not come", n);
}

static void finish(u32 value)
{
    a.slot[0].value = value;
    __atomic_store_n(&a.slot[0].processed, ST_COMPLETE, __ATOMIC_RELEASE);
    uvm_notify(&a, 0);
}

static void check_abuse(void)
{
    static const u32 wrong[] = {ST_PROCESSING, ST_FREE, 7, 0xffffffff};
    u64 page = (u64)a.slot;

    user_step = 0;
    uvm_start(&a);
    for (u32 n = 0; n < ARRAY_SIZE(wrong); n++) {
        hold(n + 1);
        uvm_notify(&a, 0);
        a.slot[0].processed = wrong[n];
        uvm_notify(&a, 0);
        uvm_notify(&a, 0);
        delay_us(3000);
        check(user_step == n, "a request whose state becomes %u waits on, notified or not", wrong[n]);
        finish(0x30 + n);
        check(wait_for(&user_step, n + 1, PATIENCE) && seen[0] == 0x30 + n && user_faults[0] == ~0u,
              "until it is COMPLETE");
        check(a.slot[0].processed == ST_FREE, "and the slot is FREE");
    }
    for (u32 n = 0; n < 3; n++) {
        static const u32 busy[] = {ST_COMPLETE, ST_PENDING, 9};

        a.slot[0].processed = busy[n];
        user_go = 5 + n;
        check(wait_for(&user_step, 5 + n, PATIENCE) && user_faults[0] == 13 && user_faults[1] == 0 &&
                  seen[0] == 0x99 && a.slot[0].processed == busy[n],
              "a slot in state %u that the service VM made not FREE: #GP(0), RAX and the slot kept (%u)",
              busy[n], user_faults[0]);
    }
    a.slot[0].processed = ST_FREE;
    hold(8);
    check(hcp(HC_SET_IOREQ_BUFFER, a.id, &page) < 0, "another buffer while it runs: refused");
    a.slot[0].value = 0x41;
    a.slot[0].processed = ST_COMPLETE;
    uvm_notify(&a, 0);
    uvm_notify(&a, 0);
    check(wait_for(&user_step, 8, PATIENCE) && seen[0] == 0x41, "notified twice, it goes on once");
    check(hc(HC_NOTIFY_FINISH, a.id, 8) < 0 && hc(HC_NOTIFY_FINISH, a.id, 0xffff) < 0 &&
              hc(HC_NOTIFY_FINISH, a.id, 1) < 0,
          "NOTIFY for vCPUs that do not exist fails");
    hold(9);
    delay_us(200000);
    check(user_step == 8, "a request stands for 200 ms without answer");
    finish(0x42);
    check(wait_for(&user_step, 9, PATIENCE) && seen[0] == 0x42, "and is answered then");
}

/* ---- write protection ---- */

static volatile u32 wp_round;

static void user_wp(void)
{
    volatile u64 *p = (volatile u64 *)PROT_PAGE;

    for (u32 n = 1;; n++) {
        while (user_go < n)
            pause();
        p[1] = 0x1000 + n;
        __asm__ volatile("movb %b0, (%1)" ::"q"(n), "r"(p + 2) : "memory");
        seen[0] = p[1];
        wp_round = n;
    }
}

static long protect(const struct uvm *vm, u64 gpa, bool on)
{
    struct wp_data d = {.set = on, .gpa = gpa};

    return hcp(HC_WRITE_PROTECT, vm->id, &d);
}

static void wp_step(u32 n, const char *what, u32 type, u32 requests)
{
    u32 i = 0;
    bool ok = true;

    logged = 0;
    user_go = n;
    ok = uvm_until(&a, &wp_round, n, PATIENCE);
    if (ok && requests != 0)
        ok = logged_is(&i, type, DIR_WRITE, PROT_PAGE + 8, 8, 0x1000 + n) &&
             logged_is(&i, type, DIR_WRITE, PROT_PAGE + 16, 1, n);
    check(ok && logged == requests, "%s: %u requests", what, logged);
}

static void check_wp(void)
{
    u64 *page = arena(4096, 4096);

    memset(page, 0, 4096);
    user_go = wp_round = 0;
    uvm_map(&a, PROT_PAGE, page, 4096, MEM_RWX);
    uvm_start(&a);
    wp_step(1, "writes to a writable page", 0, 0);
    check(page[1] == 0x1001 && seen[0] == 0x1001, "land in memory");
    check(protect(&a, PROT_PAGE, true) == 0, "WRITE_PROTECT_PAGE");
    wp_step(2, "writes to it come as REQ_WP", REQ_WP, 2);
    check(page[1] == 0x1001 && seen[0] == 0x1001, "and leave memory alone");
    check(protect(&a, PROT_PAGE, false) == 0, "its protection is taken away");
    wp_step(3, "writes to it", 0, 0);
    check(page[1] == 0x1003 && page[2] == 3, "land in memory again");
    check(uvm_map(&a, PROT_PAGE, page, 4096, MEM_R) == 0, "the page is mapped anew, readable only");
    wp_step(4, "writes to it come as REQ_MMIO", REQ_MMIO, 2);
    check(uvm_map(&a, PROT_PAGE, page, 4096, MEM_R | MEM_X) == 0, "readable and executable");
    wp_step(5, "writes to it come as REQ_WP", REQ_WP, 2);
    check(page[1] == 0x1003, "memory is as it was");
    check(protect(&a, PROT_PAGE + 8, true) == -EINVAL, "WRITE_PROTECT_PAGE of an odd address: -EINVAL");
    check(protect(&a, PROT_PAGE + 4096, true) == -EINVAL, "of an unmapped page: -EINVAL");
    check(hc(HC_WRITE_PROTECT, a.id, BIT(39)) < 0, "with its parameter nowhere: fails");
}

/* ---- the end of a processor ---- */

static void user_triple(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none = {0, 0};

    user_step = 1;
    __asm__ volatile("lidt %0; int3" ::"m"(none));
    user_step = 2;
}

static void check_triple(void)
{
    u32 i = 0;

    logged = user_step = 0;
    uvm_start(&a);
    check(uvm_slot_is(&a, 0, ST_PENDING, PATIENCE), "a triple fault becomes a request");
    uvm_serve(&a);
    check(logged_is(&i, REQ_PORTIO, DIR_WRITE, 0x404, 2, 0x3400), "power-off at port 0x404");
    delay_us(20000);
    check(user_step == 1, "and the processor stands");
}

static void again(void (*fn)(void), const char *what)
{
    if (uvm_pause(&a) != 0 || uvm_reset(&a) != 0 || uvm_entry(&a, fn) != 0)
        bail("cannot restart the user VM for %s", what);
}

void guest_main(void)
{
    service_init();
    a.base = 8;
    a.model = model;
    uvm_make(&a, key_uvm0, 0, 1, user_basic);
    check(a.id == 1, "the first user slot is VM 1 (%u)", a.id);
    check_basic(&a, "notification");
    user_go = 0;
    again(user_held, "abuse");
    check_abuse();
    again(user_wp, "write protection");
    check_wp();
    again(user_triple, "triple fault");
    check_triple();
    again(user_basic, "a second run");
    check_basic(&a, "notification, after reset");
    check(uvm_destroy(&a) == 0, "DESTROY_VM");
    b.base = 4;
    b.model = model;
    uvm_make(&b, key_rt, VM_POLLING, 1, user_basic);
    check_basic(&b, "polling");
    check(hc(HC_NOTIFY_FINISH, b.id, 0) == 0, "NOTIFY for a polling VM: 0");
    check(uvm_destroy(&b) == 0, "DESTROY_VM");
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
