/*
 * A service VM that does what ACRN's device model (v2.7) does through Linux's driver, call by call: a VM by
 * name with its CPUs named, memory in huge pages, P- and C-states, the boot states of a bzImage, of an ELF
 * image, of firmware and of a wake-up, requests as the driver turns them, INTx that falls inside a request,
 * reset and suspend with the last notification held back, power-off.
 */
#include "hc.h"

#define BSP     8
#define AP      9
#define HUGE    0x200000UL
#define LOWMEM  (16 * HUGE)
#define BIOS    (BIT(32) - HUGE)
#define HIGH    BIT(32)
#define BAR     BIT(38)
#define ECAM    0xe0000000UL
#define HPET    0xfed00000UL
#define GDT_AT  (LOWMEM - 0x2800)
#define ZERO_AT (LOWMEM - 0x1000)
#define WAKE_AT 0x9a00UL

#define PORT_ACK  0x510 /* our device: ends its interrupt */
#define PORT_SAYS 0x520 /* real-mode code */

enum { VEC_TIMER = 0x51, VEC_LEVEL, VEC_MSI, VEC_WAKE };
enum { RUNS, RESETS, SUSPENDS, POWERS_OFF };

static struct uvm vm = {.base = BSP};
static u8 *low_pages, *bios, *high;
static u16 idle_port;

/* ---- the user VM ---- */

static volatile u32 boots, stage, go, slept, ap_id;
static volatile u32 count[256];
static volatile struct {
    u32 id, leaf1, esi, pins, marker, address, vendor, device, ecam;
    u64 hpet, bar, high;
} seen;
static u64 far_pd[2][512] __attribute__((aligned(4096)));

static void on_irq(struct frame *f)
{
    count[f->vector]++;
    if (f->vector == VEC_LEVEL)
        outb(PORT_ACK, 1);
    apic_eoi();
}

static void wait_go(u32 n)
{
    stage = n;
    while (go < n)
        pause();
}

static void user_ap(void)
{
    ap_id = apic_id();
    for (;;)
        sti_hlt();
}

static void look_around(void)
{
    u32 r[4];

    far_pd[0][0] = HIGH | 0x83;
    far_pd[1][0] = BAR | 0x93;
    boot_pdpt[HIGH >> 30] = (u64)far_pd[0] | 3;
    boot_pdpt[BAR >> 30] = (u64)far_pd[1] | 3;
    WRITE_CR(3, READ_CR(3));
    cpuid(1, 0, r);
    seen.id = apic_id();
    seen.leaf1 = r[1] >> 24;
    seen.pins = (ioapic_read(1) >> 16 & 0xff) + 1;
    seen.marker = *(volatile u32 *)(5 * HUGE + 0x1234);
    seen.high = *(volatile u64 *)(HIGH + 0x100);
    outb(0xcfb, 1);
    outl(0xcf8, 0x80001900);
    seen.address = inl(0xcf8);
    seen.vendor = inw(0xcfc);
    seen.device = inw(0xcfe);
    outl(0xcf8, 0);
    seen.ecam = *(volatile u32 *)(ECAM + 0x19010);
    seen.hpet = *(volatile u64 *)(HPET + 0xf0);
    *(volatile u64 *)(BAR + 0x18) = 0x1020304050607080;
    seen.bar = *(volatile u64 *)(BAR + 0x18);
}

static void kernel(void)
{
    cpu_init(BSP);
    apic_enable();
    if (++boots == 2) { /* after the reset */
        outw(0x404, 0x2c00);
        halt();
    }
    if (boots == 3) {
        outw(0x404, 0x3400);
        halt();
    }
    look_around();
    wait_go(1);
    uvm_ap_start(go, AP, user_ap);
    ioapic_route(2, VEC_TIMER | (u64)seen.id << 56);
    ioapic_route(20, VEC_LEVEL | BIT(13) | BIT(15) | (u64)seen.id << 56);
    sti();
    wait_go(8);
    cli();
    if (idle_port) {
        stage = 9;
        slept = inb(idle_port) + 1u;
        sti();
    }
    wait_go(10);
    outb(0xcf9, 6);
    halt();
}

/* As Linux's startup_32: its own segments from the GDT that it was given, then long mode. */
__asm__(".text\n.code32\n"
        "startup:\n\t"
        "mov $0x18, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n\t"
        "mov %esi, startup_esi\n\t"
        "mov $0x620, %eax\n\tmov %eax, %cr4\n\t"
        "mov $boot_pml4, %eax\n\tmov %eax, %cr3\n\t"
        "mov $0xc0000080, %ecx\n\trdmsr\n\tor $0x900, %eax\n\twrmsr\n\t"
        "lgdt startup_gdtr\n\t"
        "mov $0x80010033, %eax\n\tmov %eax, %cr0\n\t"
        "ljmp $8, $1f\n"
        ".code64\n1:\n\t"
        "mov $0x10, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n\t"
        "mov $stacks + 9 * 16384, %rsp\n\t"
        "call kernel_entry\n\t"
        "ud2\n"
        ".section .rodata\n.balign 8\n"
        "startup_gdt:\t.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
        "startup_gdtr:\t.word 23\n\t.long startup_gdt\n"
        ".data\n.balign 4\nstartup_esi:\t.long 0\n.text\n");
extern const u8 startup[];
extern volatile u32 startup_esi;
void kernel_entry(void) __attribute__((used));
void kernel_entry(void)
{
    kernel();
}
_Static_assert(CPU_STACK == 16384 && BSP == 8, "startup");

/* ---- the driver ---- */

static u32 conf_address, suspend, says, acks, strange;
static long last_notify;
static u64 bar_word;

static void finish(u32 vcpu)
{
    volatile struct io_request *r = &vm.slot[vcpu];
    bool polls = r->completion_polling;

    __atomic_store_n(&r->processed, ST_COMPLETE, __ATOMIC_RELEASE);
    if (!polls)
        last_notify = hc(HC_NOTIFY_FINISH, vm.id, vcpu);
}

/* Configuration mechanism 1: the address stays with the driver, data accesses become another request in
 * place. True: it is answered. */
static bool configuration(volatile struct io_request *r)
{
    volatile struct pci_request *p = (volatile struct pci_request *)&r->direction;
    u32 port = (u32)r->address, dir = r->direction;

    if (r->type != REQ_PORTIO || (port != 0xcf8 && (port & ~3u) != 0xcfc))
        return false;
    if (port == 0xcf8) {
        if (dir == DIR_WRITE)
            conf_address = (u32)r->value;
        else
            r->value = conf_address;
        return true;
    }
    r->type = REQ_PCICFG;
    p->bus = conf_address >> 16 & 0xff;
    p->dev = conf_address >> 11 & 0x1f;
    p->func = conf_address >> 8 & 7;
    p->reg = (conf_address & 0xfc) + (port & 3);
    return false;
}

/* ---- the device model ---- */

static void port_access(volatile struct io_request *r)
{
    u32 v = (u32)r->value;

    if (r->direction == DIR_READ) {
        strange++;
        r->value = ~(u32)0;
    } else if (r->address == PORT_ACK) {
        strange += uvm_line(&vm, 20, LINE_LOW) != 0;
        acks++;
    } else if (r->address == PORT_SAYS) {
        says = v;
    } else if (r->address == 0xcf9 && v == 6) {
        suspend = RESETS;
    } else if (r->address == 0x404 && r->size == 2) {
        suspend = v == 0x3400 ? POWERS_OFF : SUSPENDS;
    } else if (r->address != 0xcfb) {
        strange++;
    }
}

static void memory_access(volatile struct io_request *r)
{
    if (r->address == BAR + 0x18 && r->size == 8 && r->direction == DIR_WRITE)
        bar_word = r->value;
    else if (r->address == BAR + 0x18 && r->size == 8)
        r->value = bar_word;
    else if (r->address == HPET + 0xf0 && r->size == 8)
        r->value = 0x1122334455667788;
    else if (r->address == ECAM + 0x19010 && r->size == 4)
        r->value = 0xecaf0010;
    else
        strange++;
}

static void device_model(volatile struct io_request *r)
{
    volatile struct pci_request *p = (volatile struct pci_request *)&r->direction;

    if (r->type == REQ_PCICFG)
        p->value = p->bus == 0 && p->dev == 3 && p->func == 1 ? 0x8000 + p->reg : 0xffff;
    else if (r->type == REQ_MMIO)
        memory_access(r);
    else
        port_access(r);
}

static void serve(void)
{
    for (u32 i = 0; i < vm.vcpus; i++) {
        volatile struct io_request *r = &vm.slot[i];

        if (__atomic_load_n(&r->processed, __ATOMIC_ACQUIRE) != ST_PENDING)
            continue;
        if (!configuration(r)) {
            r->client = 0;
            __atomic_store_n(&r->processed, ST_PROCESSING, __ATOMIC_RELEASE);
            device_model(r);
        }
        if (suspend != RESETS && suspend != SUSPENDS) /* else vm_clear() finishes it */
            finish(i);
    }
}

static bool until(volatile u32 *word, u32 value)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);

    sti();
    while (*word != value && rdtsc() < end)
        serve();
    cli();
    return *word == value;
}

static void vm_clear(void)
{
    for (u32 i = 0; i < vm.vcpus; i++)
        if (vm.slot[i].processed == ST_PENDING || vm.slot[i].processed == ST_PROCESSING)
            finish(i);
}

/* ---- making the VM ---- */

static bool create(const char *name, u64 affinity)
{
    static struct create_vm c;

    memset(&c, 0, sizeof(c));
    memcpy(c.key, name, strlen(name));
    c.req_buf = 0x7f0012345000; /* of the process */
    c.affinity = affinity;
    if (hc(HC_CREATE_VM, (u64)&c, 0) != 0)
        return false;
    vm.id = c.vmid;
    vm.vcpus = c.vcpu_num;
    return true;
}

/* One ioctl's memory: header and entries in one piece, an entry for each page of the process. Huge pages come
 * in no order. */
static long memory(u64 gpa, u8 *src, u64 size, u64 page)
{
    static struct {
        struct set_regions head;
        struct memory_region op[512];
    } batch;
    u32 n = (u32)(size / page);

    if (n > ARRAY_SIZE(batch.op))
        return -EINVAL;
    batch.head = (struct set_regions){.vmid = vm.id, .count = n, .regions = (u64)batch.op};
    for (u32 i = 0; i < n; i++) {
        u64 from = page == HUGE ? n - 1 - i : i;

        batch.op[i] =
            (struct memory_region){MR_ADD, MEM_WB | MEM_RWX, gpa + i * page, (u64)src + from * page, page};
    }
    return hc(HC_MEMORY_REGIONS, (u64)&batch, 0);
}

/* Where the service VM sees what the user VM has at an address of its huge pages. */
static void *seen_at(u64 gpa)
{
    return low_pages + (LOWMEM - HUGE - (gpa & ~(HUGE - 1))) + (gpa & (HUGE - 1));
}

static bool give_memory(void)
{
    u64 image = ((u64)image_end + 4095 - 0x100000) & ~(u64)4095;

    if (vm.low == NULL) {
        vm.low = arena(0x10000, 4096);
        low_pages = arena(LOWMEM - HUGE, HUGE);
        bios = arena(HUGE, HUGE);
        high = arena(HUGE, HUGE);
    }
    return memory(HUGE, low_pages, LOWMEM - HUGE, HUGE) == 0 && memory(BIOS, bios, HUGE, HUGE) == 0 &&
           memory(HIGH, high, HUGE, HUGE) == 0 && memory(0, vm.low, 0x10000, 4096) == 0 &&
           memory(0x100000, (u8 *)0x100000, image, 4096) == 0;
}

/* The states of the whole board go into the VM's ACPI tables, or there are none at all. */
static void check_states(u32 vcpu)
{
    u64 id = (u64)vm.id << 24 | (u64)vcpu << 16;
    static u64 buf[8];
    u32 n, wrong = 0;
    long ret;

    buf[0] = 0;
    ret = hcp(HC_PM_STATE, id | PM_PX_CNT, buf);
    check(ret == 0 ? buf[0] >= 1 && buf[0] <= 20 : ret == -1 && buf[0] == 0, "vCPU %u: P-states (%ld, %lu)",
          vcpu, ret, buf[0]);
    n = (u32)buf[0];
    for (u64 i = 0; i < n; i++)
        wrong += hcp(HC_PM_STATE, id | i << 8 | PM_PX_DATA, buf) != 0 || buf[0] == 0;
    buf[0] = 0;
    ret = hcp(HC_PM_STATE, id | PM_CX_CNT, buf);
    check(ret == 0 ? buf[0] >= 1 && buf[0] <= 7 : ret == -1 && buf[0] == 0, "vCPU %u: C-states (%ld, %lu)",
          vcpu, ret, buf[0]);
    n = (u32)buf[0];
    for (u64 i = 1; i <= n; i++) {
        const u8 *cx = (const u8 *)buf;

        wrong += hcp(HC_PM_STATE, id | i << 8 | PM_CX_DATA, buf) != 0 || cx[12] == 0 || cx[12] > 3;
        if (cx[0] == 1)
            memcpy(&idle_port, cx + 4, sizeof(idle_port));
    }
    check(wrong == 0, "vCPU %u: all of them can be read (%u not)", vcpu, wrong);
}

/* ---- boot states ---- */

static long boot_bzimage(void)
{
    static const u64 gdt[4] = {0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    static struct vcpu_regs r;

    memcpy(seen_at(GDT_AT), gdt, sizeof(gdt));
    memset(&r, 0, sizeof(r));
    r.rip = (u64)startup;
    r.gdt = (struct table_reg){.limit = sizeof(gdt) - 1, .base = GDT_AT};
    r.cr0 = 0x31;
    r.cs = 0x10;
    r.cs_ar = 0xc09b;
    r.cs_limit = 0xffffffff;
    r.ds = r.ss = r.es = 0x18;
    r.gprs.rsi = ZERO_AT;
    return hcp(HC_SET_VCPU_REGS, vm.id, &r);
}

static long boot_real(u16 sel, u64 base, u64 rip, u16 limit)
{
    static struct vcpu_regs r;

    memset(&r, 0, sizeof(r));
    r.rip = rip;
    r.cr0 = 0x30;
    r.cs = sel;
    r.cs_base = base;
    r.cs_ar = 0x9f;
    r.cs_limit = 0xffff;
    r.gdt.limit = r.idt.limit = limit;
    return hcp(HC_SET_VCPU_REGS, vm.id, &r);
}

/* As for an ELF image: of cs_ar, bits 11:8 are a descriptor's limit. MOV AL, 0x5c; MOV DX, PORT_SAYS; OUT DX,
 * AL; HLT. */
static long boot_elf(void)
{
    static const u64 gdt[3] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    const u8 code[] = {0xb0, 0x5c, 0x66, 0xba, PORT_SAYS & 0xff, PORT_SAYS >> 8, 0xee, 0xf4, 0xeb, 0xfd};
    static struct vcpu_regs r;

    memcpy(seen_at(GDT_AT), gdt, sizeof(gdt));
    memcpy(seen_at(HUGE), code, sizeof(code));
    memset(&r, 0, sizeof(r));
    r.rip = HUGE;
    r.gdt = (struct table_reg){.limit = sizeof(gdt) - 1, .base = GDT_AT};
    r.cr0 = 0x31;
    r.cs = 8;
    r.cs_ar = 0xcf9b;
    r.cs_limit = 0xffffffff;
    r.ds = r.ss = r.es = r.fs = r.gs = 0x10;
    r.gprs.rax = 0x2badb002;
    return hcp(HC_SET_VCPU_REGS, vm.id, &r);
}

/* MOV AL, what; MOV DX, PORT_SAYS; OUT DX, AL; HLT. */
static void real_code(u8 *at, u8 what)
{
    const u8 code[] = {0xb0, what, 0xba, PORT_SAYS & 0xff, PORT_SAYS >> 8, 0xee, 0xf4, 0xeb, 0xfd};

    memcpy(at, code, sizeof(code));
}

/* ---- what happens ---- */

static void check_making(void)
{
    bool free_slots = true;

    vm.slot = arena(4096, 4096);
    memset((void *)vm.slot, 0, 4096); /* as the process's BSS: 16 pending requests */
    for (u32 i = 0; i < acpi_cpus.count; i++)
        free_slots = free_slots && acpi_cpus.apic_id[i] == i;
    check(free_slots, "CPU numbers are places in the service VM's MADT");
    check(create("acrn-vm", BIT(3) | BIT(4)) && vm.vcpus == 2, "CREATE_VM by a name, two CPUs (%u)",
          vm.vcpus);
    check(uvm_buffer(&vm) == 0, "SET_IOREQ_BUFFER");
    free_slots = true;
    for (u32 i = 0; i < REQ_SLOTS; i++)
        free_slots = free_slots && vm.slot[i].processed == ST_FREE;
    check(free_slots, "frees all slots of a cleared page");
    check(give_memory(), "SET_MEMORY_REGIONS: low memory, firmware below 4 GiB, high memory");
    check_states(0);
    check_states(1);
    check(uvm_line(&vm, 16, LINE_LOW) == 0 && uvm_line(&vm, 9, LINE_LOW) == 0,
          "lines fall before the VM runs");
    *(u32 *)seen_at(5 * HUGE + 0x1234) = 0xfeedf00d;
    *(u64 *)(high + 0x100) = 0x0123456789abcdef;
    check(boot_bzimage() == 0 && uvm_start(&vm) == 0, "SET_VCPU_REGS as for a bzImage, START_VM");
}

static void check_machine(void)
{
    check(until(&stage, 1), "it boots through its own GDT to long mode");
    check(startup_esi == ZERO_AT, "ESI is the boot parameters' (0x%x)", startup_esi);
    check(seen.id == 3 && seen.leaf1 == 3, "its APIC id is the CPU's (%u, CPUID %u)", seen.id, seen.leaf1);
    check(seen.pins == 48, "the IOAPIC has %u pins", seen.pins);
    check(seen.marker == 0xfeedf00d && seen.high == 0x0123456789abcdef, "its memory is the huge pages");
    check(seen.address == 0x80001900 && seen.vendor == 0x8000 && seen.device == 0x8002,
          "configuration accesses that the driver turned (0x%x 0x%x 0x%x)", seen.address, seen.vendor,
          seen.device);
    check(seen.ecam == 0xecaf0010 && seen.hpet == 0x1122334455667788,
          "memory-mapped configuration space, HPET");
    check(seen.bar == 0x1020304050607080, "a BAR at 256 GiB (0x%lx)", seen.bar);
    go = 4;
    check(until(&stage, 8) && ap_id == 4, "the second vCPU starts by its CPU's APIC id (%u)", ap_id);
}

static void check_interrupts(void)
{
    check(uvm_line(&vm, 2, LINE_PULSE_UP) == 0 && until(&count[VEC_TIMER], 1),
          "GSI 2 pulses: the PIT's interrupt");
    check(uvm_line(&vm, 20, LINE_HIGH) == 0 && until(&acks, 1), "GSI 20 rises: INTx");
    check(uvm_msi(&vm, 0xfee03000, VEC_MSI) == 0 && until(&count[VEC_MSI], 1), "INJECT_MSI by APIC id");
    check(count[VEC_LEVEL] == 1, "INTx fell inside the request that ended it (%u)", count[VEC_LEVEL]);
    go = 8;
    if (idle_port) {
        check(until(&stage, 9), "it goes to sleep by port 0x%x", idle_port);
        delay_us(2000);
        serve();
        check(slept == 0, "and sleeps, with interrupts off");
        check(uvm_msi(&vm, 0xfee03000, VEC_WAKE) == 0 && until(&slept, 1), "an interrupt ends the sleep");
        check(until(&count[VEC_WAKE], 1), "and comes when it lets it");
    }
    check(until(&stage, 10) && strange == 0, "no access was unexpected (%u)", strange);
    go = 10;
}

/* PAUSE_VM, the driver's clearing of requests, RESET_VM: before the last request's vCPU was let go. */
static void check_ends(u32 how, const char *name)
{
    check(until(&suspend, how), "%s", name);
    check(vm.slot[0].processed == ST_PROCESSING, "its request is held back");
    check(uvm_pause(&vm) == 0, "PAUSE_VM");
    last_notify = 1;
    vm_clear();
    check(last_notify == 0, "the notification to a paused VM is accepted");
    check(uvm_line(&vm, 16, LINE_LOW) == 0 && uvm_line(&vm, 20, LINE_LOW) == 0,
          "lines fall while it is paused");
    check(uvm_reset(&vm) == 0 && vm.slot[0].processed == ST_FREE, "RESET_VM frees the slot");
    suspend = RUNS;
}

static void check_life(void)
{
    check_ends(RESETS, "it resets itself");
    check(boot_bzimage() == 0 && uvm_start(&vm) == 0, "started again");
    check_ends(SUSPENDS, "it suspends itself");
    check(boots == 2, "on its second boot (%u)", boots);
    real_code(vm.low + WAKE_AT, 0x5a);
    check(boot_real(WAKE_AT >> 4, WAKE_AT, 0, 0xffff) == 0 && uvm_start(&vm) == 0 && until(&says, 0x5a),
          "it wakes up at its vector");
    check(uvm_pause(&vm) == 0 && uvm_reset(&vm) == 0, "PAUSE_VM, RESET_VM");
    real_code(bios + HUGE - 16, 0x5b);
    check(boot_real(0xf000, 0xffff0000, 0xfff0, 0) == 0 && uvm_start(&vm) == 0 && until(&says, 0x5b),
          "it starts as firmware");
    check(uvm_pause(&vm) == 0 && uvm_reset(&vm) == 0, "PAUSE_VM, RESET_VM");
    check(boot_elf() == 0 && uvm_start(&vm) == 0 && until(&says, 0x5c), "it starts as an ELF image");
    check(uvm_pause(&vm) == 0 && uvm_reset(&vm) == 0, "PAUSE_VM, RESET_VM");
    check(boot_bzimage() == 0 && uvm_start(&vm) == 0 && until(&suspend, POWERS_OFF), "it powers itself off");
    check(uvm_pause(&vm) == 0 && uvm_line(&vm, 20, LINE_LOW) == 0, "PAUSE_VM");
    check(uvm_pause(&vm) == 0 && uvm_destroy(&vm) == 0, "PAUSE_VM again, DESTROY_VM");
    check(create("acrn-vm", BIT(3) | BIT(4)) && vm.vcpus == 2, "the same name can be created at once");
    check(!create("acrn-vm", BIT(3)), "but not while it lives");
    check(uvm_destroy(&vm) == 0, "DESTROY_VM of one that never ran");
}

void guest_main(void)
{
    service_init();
    for (u32 i = VEC_TIMER; i <= VEC_WAKE; i++)
        irq_set(i, on_irq);
    check_making();
    check_machine();
    check_interrupts();
    check_life();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
