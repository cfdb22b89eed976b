/* Each CPU's own tables, the dispatch of exceptions and interrupts, and where programs begin. */
#include "guest.h"

struct tss {
    u32 reserved0;
    u32 rsp[6];
    u32 reserved1[2];
    u32 ist[14];
    u32 reserved2[2];
    u16 reserved3;
    u16 iomap;
};
_Static_assert(sizeof(struct tss) == 104, "SDM vol. 3A figure 8-11");

struct idt_entry {
    u16 off0, sel, attr, off1;
    u32 off2, reserved;
};

struct table_ptr {
    u16 limit;
    u64 base;
} __attribute__((packed));

static struct percpu cpus[MAX_CPUS];
static u64 gdts[MAX_CPUS][10];
static struct tss tsss[MAX_CPUS];
static u8 ist_stacks[MAX_CPUS][4096] __attribute__((aligned(16)));
static u8 ring0_stacks[MAX_CPUS][4096] __attribute__((aligned(16)));
static struct idt_entry idt[256] __attribute__((aligned(16)));
static irq_fn handlers[256];
static void (*volatile ap_fn)(void);

volatile u32 cpus_online;
volatile u32 stray_count, stray_vector;
const char *guest_cmdline = "";
u64 ram_end;
struct ram_range ram_map[32];
u32 ram_ranges;
static u64 next_page;

extern const u8 trap_stubs[];
void trap_dispatch(struct frame *f);
NORETURN void boot_main(u32 magic, u32 info);
NORETURN void ap_main(u32 index);
extern const u8 ap_start[], ap_start_end[];
extern u32 ap_next;

void cpu_init(u32 index)
{
    u64 tss = (u64)&tsss[index];
    u64 ist = (u64)&ist_stacks[index][sizeof(ist_stacks[0])];
    u64 rsp0 = (u64)&ring0_stacks[index][sizeof(ring0_stacks[0])];
    u64 *gdt = gdts[index];
    struct table_ptr gp = {sizeof(gdts[0]) - 1, (u64)gdt};
    struct table_ptr ip = {sizeof(idt) - 1, (u64)idt};

    gdt[1] = 0x00af9b000000ffff;
    gdt[2] = 0x00cf93000000ffff;
    gdt[3] = 0x00cf9b000000ffff;
    gdt[4] = 0x00009b000000ffff;
    gdt[5] = 0x000093000000ffff;
    gdt[6] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | (u64)0x89 << 40 | (tss >> 24 & 0xff) << 56;
    gdt[7] = tss >> 32;
    gdt[8] = 0x00affb000000ffff;
    gdt[9] = 0x00cff3000000ffff;
    tsss[index].rsp[0] = (u32)rsp0;
    tsss[index].rsp[1] = (u32)(rsp0 >> 32);
    tsss[index].ist[0] = (u32)ist;
    tsss[index].ist[1] = (u32)(ist >> 32);
    tsss[index].iomap = sizeof(struct tss);
    __asm__ volatile("lgdt %0; lidt %1" ::"m"(gp), "m"(ip));
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
    cpus[index].self = &cpus[index];
    cpus[index].index = index;
    cpus[index].probe.vector = -1;
    wrmsr(0xc0000101, (u64)&cpus[index]);
    cpus[index].apic_id = apic_id();
}

void irq_set(unsigned vector, irq_fn fn)
{
    handlers[vector] = fn;
}

void irq_set_entry(unsigned vector, const void *entry)
{
    u64 a = (u64)entry;

    idt[vector] = (struct idt_entry){(u16)a, SEL_CODE64, 0x8e00, (u16)(a >> 16), (u32)(a >> 32), 0};
}

void irq_set_ist(unsigned vector, unsigned ist)
{
    idt[vector].attr = (u16)(0x8e00 | ist);
}

void irq_set_present(unsigned vector, bool present)
{
    idt[vector].attr = (u16)((idt[vector].attr & 0x7fff) | (present ? 0x8000 : 0));
}

void frame_print(const struct frame *f)
{
    printf("# vector %lu error %lx rip %lx cs %lx rflags %lx rsp %lx cr2 %lx\n", f->vector, f->error, f->rip,
           f->cs, f->rflags, f->rsp, READ_CR(2));
    printf("# rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", f->rax, f->rbx, f->rcx, f->rdx,
           f->rsi, f->rdi, f->rbp);
}

void trap_dispatch(struct frame *f)
{
    struct probe *p = &this()->probe;

    if (handlers[f->vector] != NULL) {
        handlers[f->vector](f);
        return;
    }
    if (f->vector < 32 && f->vector != 2) {
        if (p->resume == 0) {
            printf("# unexpected exception on cpu %u\n", this()->index);
            frame_print(f);
            bail("unexpected exception %lu", f->vector);
        }
        p->vector = (int)f->vector;
        p->error = (u32)f->error;
        p->cr2 = READ_CR(2);
        p->rip = f->rip;
        f->rip = p->resume;
        p->resume = 0;
        return;
    }
    stray_vector = (u32)f->vector;
    __atomic_fetch_add(&stray_count, 1, __ATOMIC_SEQ_CST);
    if (f->vector >= 32 && apic_isr((unsigned)f->vector))
        apic_eoi();
}

int rdmsr_probe(u32 msr, u64 *val)
{
    u32 lo = 0, hi = 0;

    probe_start();
    __asm__ volatile(PROBE("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr) : PROBE_CLOBBER);
    *val = ((u64)hi << 32) | lo;
    return probe_result();
}

int wrmsr_probe(u32 msr, u64 val)
{
    probe_start();
    __asm__ volatile(PROBE("wrmsr")::"c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : PROBE_CLOBBER);
    return probe_result();
}

void *page_alloc(void)
{
    void *p = (void *)next_page;

    if (next_page + 4096 > ram_end)
        bail("out of memory");
    next_page += 4096;
    memset(p, 0, 4096);
    return p;
}

/* Multiboot information (Multiboot specification 0.6.96, section 3.3): the fields that are used here. */
static void read_boot_info(const u32 *mb)
{
    if (mb[0] & BIT(2))
        guest_cmdline = (const char *)(u64)mb[4];
    ram_end = 0x100000 + (mb[0] & BIT(0) ? (u64)mb[2] * 1024 : 0x300000);
    if (!(mb[0] & BIT(6)))
        return;
    for (u64 p = mb[12]; p < (u64)mb[12] + mb[11];) {
        const u32 *e = (const u32 *)p;
        u64 base = e[1] | (u64)e[2] << 32;
        u64 size = e[3] | (u64)e[4] << 32;

        if (e[5] == 1 && ram_ranges < ARRAY_SIZE(ram_map))
            ram_map[ram_ranges++] = (struct ram_range){base, size};
        if (e[5] == 1 && base <= 0x100000 && base + size > 0x100000)
            ram_end = base + size;
        p += e[0] + 4;
    }
}

NORETURN void boot_main(u32 magic, u32 info)
{
    for (unsigned i = 0; i < 256; i++)
        irq_set_entry(i, trap_stubs + 16 * i);
    if (magic == 0x2badb002)
        read_boot_info((const u32 *)(u64)info);
    next_page = ((u64)image_end + 4095) & ~(u64)4095;
    cpu_init(0);
    cpus_online = 1;
    if (magic != 0x2badb002)
        bail("no multiboot magic in EAX: %x", magic);
    guest_main();
    halt();
}

NORETURN void ap_main(u32 index)
{
    void (*fn)(void) = ap_fn;

    if (x2apic_on)
        wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
    cpu_init(index);
    apic_enable();
    __atomic_fetch_add(&cpus_online, 1, __ATOMIC_SEQ_CST);
    fn();
    for (;;)
        __asm__ volatile("cli; hlt");
}

void smp_prepare(u32 index, void (*fn)(void), void *page)
{
    ap_next = index;
    ap_fn = fn;
    memcpy(page, ap_start, (size_t)(ap_start_end - ap_start));
}

bool smp_start(u32 id, void (*fn)(void))
{
    u32 want = cpus_online + 1, index = cpus_online;

    /* A CPU that is started again gets its old index and stack. */
    for (u32 i = 0; i < acpi_cpus.count; i++)
        if (acpi_cpus.apic_id[i] == id)
            index = i;
    smp_prepare(index, fn, (void *)AP_TRAMPOLINE);
    ipi(id, ICR_INIT);
    delay_us(10000);
    for (int i = 0; i < 2; i++) {
        ipi(id, ICR_SIPI | AP_TRAMPOLINE >> 12);
        if (wait_for(&cpus_online, want, 200))
            return true;
    }
    return wait_for(&cpus_online, want, 10000000);
}

NORETURN void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}

void guest_init(void)
{
    acpi_init();
    pic_init_masked();
    apic_enable();
    time_init();
}
