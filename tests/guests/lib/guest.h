/*
 * The library of the bare-metal guest programs: what a program in tests/guests may use. The programs run on
 * the virtual machine that Bulkhead offers and, for checking the programs themselves, on a bare QEMU q35
 * machine.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define BIT(n)        ((u64)1 << (n))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define NORETURN      __attribute__((noreturn))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_CPUS      16

/* Selectors of every CPU's GDT (lib/cpu.c). */
enum {
    SEL_CODE64 = 0x08,
    SEL_DATA = 0x10,
    SEL_CODE32 = 0x18,
    SEL_CODE16 = 0x20,
    SEL_DATA16 = 0x28,
    SEL_TSS = 0x30,
    SEL_USER_CODE = 0x43, /* ring 3 */
    SEL_USER_DATA = 0x4b
};

/* What the interrupt stubs leave on the stack (lib/traps.S). */
struct frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

/* The result of a probed instruction: vector -1 when it did not fault. */
struct probe {
    u64 resume;
    int vector;
    u32 error;
    u64 cr2;
    u64 rip;
};

struct percpu {
    struct percpu *self; /* at gs:0 */
    u32 index;           /* 0 is the boot CPU, then in the order of start */
    u32 apic_id;
    struct probe probe;
};

typedef void (*irq_fn)(struct frame *f);

/* ---- each program defines this; the boot CPU runs it with interrupts off, and halts when it returns ---- */
void guest_main(void);

/* ---- console and results ---- */
extern const char *guest_cmdline; /* "" when there is none */
void putch(char c);
int getch(void); /* -1: nothing typed */
void printf(const char *fmt, ...) PRINTF(1, 2);
/* One TAP line; the number counts by itself. Returns ok. */
bool check(bool ok, const char *fmt, ...) PRINTF(2, 3);
/* The TAP plan: the end of a test program. */
void done(void);
NORETURN void halt(void);
/* Ends the program as failed ("Bail out! ..."). */
NORETURN void bail(const char *fmt, ...) PRINTF(1, 2);

void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int strcmp(const char *a, const char *b);
size_t strlen(const char *s);

/* ---- instructions ---- */
static inline u8 inb(u16 p)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline u16 inw(u16 p)
{
    u16 v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline u32 inl(u16 p)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline void outb(u16 p, u8 v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outw(u16 p, u16 v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outl(u16 p, u32 v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(p));
}
static inline u64 rdtsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return ((u64)hi << 32) | lo;
}
static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((u64)hi << 32) | lo;
}
static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(sub)
                     : "memory");
}
static inline void pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}
static inline void cli(void)
{
    __asm__ volatile("cli" ::: "memory");
}
static inline void sti(void)
{
    __asm__ volatile("sti" ::: "memory");
}
/* Enables interrupts and halts without a gap between the two; interrupts are on afterwards. */
static inline void sti_hlt(void)
{
    __asm__ volatile("sti; hlt" ::: "memory");
}
#define READ_CR(n)                                                                                           \
    ({                                                                                                       \
        u64 v_;                                                                                              \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v_)::"memory");                                         \
        v_;                                                                                                  \
    })
#define WRITE_CR(n, v) __asm__ volatile("mov %0, %%cr" #n ::"r"((u64)(v)) : "memory")
static inline void invlpg(u64 va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline struct percpu *this(void)
{
    struct percpu *p;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(p));
    return p;
}

/*
 * Text for asm() around an instruction that may fault: execution goes on behind it and probe_result() gives
 * the vector. probe_start();
 *     __asm__ volatile(PROBE("wrmsr") ::"c"(0x10), "a"(0), "d"(0) : PROBE_CLOBBER);
 *     check(probe_result() == 13, ...);
 */
#define PROBE_RESUME "%%gs:16"
#define PROBE(insn)                                                                                          \
    "lea 99f(%%rip), %%r11\n\tmov %%r11, " PROBE_RESUME "\n\t" insn "\n99:\n\tmovq $0, " PROBE_RESUME
#define PROBE_CLOBBER "r11", "memory", "cc"
_Static_assert(offsetof(struct percpu, probe.resume) == 16, "PROBE_RESUME names this field");

static inline void probe_start(void)
{
    this()->probe.vector = -1;
}
/* Vector of the exception that the last probed instruction raised, or -1. */
static inline int probe_result(void)
{
    return this()->probe.vector;
}
int rdmsr_probe(u32 msr, u64 *val);
int wrmsr_probe(u32 msr, u64 val);

/* ---- interrupts ---- */
/* Handler for a vector on all CPUs; NULL removes it. Handlers run with interrupts off and send EOI
 * themselves. */
void irq_set(unsigned vector, irq_fn fn);
/* Interrupts (vector >= 32, or NMI) that arrived without a handler, all CPUs together; the last such vector.
 */
extern volatile u32 stray_count, stray_vector;
/* Prints registers. */
void frame_print(const struct frame *f);
/* The IDT entry of `vector` leads straight to code of the program's own (it ends in IRETQ). */
void irq_set_entry(unsigned vector, const void *entry);
/* The IDT entry of `vector` uses interrupt stack `ist` (0: none). */
void irq_set_ist(unsigned vector, unsigned ist);
void irq_set_present(unsigned vector, bool present);

/* ---- local APIC ---- */
enum {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_PPR = 0xa0,
    APIC_EOI = 0xb0,
    APIC_LDR = 0xd0,
    APIC_DFR = 0xe0,
    APIC_SVR = 0xf0,
    APIC_ISR = 0x100,
    APIC_TMR = 0x180,
    APIC_IRR = 0x200,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR2 = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_PERF = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TMICT = 0x380,
    APIC_TMCCT = 0x390,
    APIC_TDCR = 0x3e0,
};
#define APIC_BASE     0xfee00000UL
#define MSR_APIC_BASE 0x1bu
#define MSR_EFER      0xc0000080u
#define LVT_MASKED    BIT32(16)
#define BIT32(n)      ((u32)1 << (n))
#define ICR_FIXED     0x4000u
#define ICR_LOWEST    0x4100u
#define ICR_SMI       0x4200u
#define ICR_NMI       0x4400u
#define ICR_INIT      0x4500u
#define ICR_SIPI      0x4600u
#define ICR_LOGICAL   0x800u
#define ICR_SELF      (1u << 18)
#define ICR_ALL       (2u << 18)
#define ICR_OTHERS    (3u << 18)

u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 val);
static inline void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}
extern bool x2apic_on;    /* this program switched the boot CPU (and what it starts) to x2APIC */
bool x2apic_enable(void); /* false: the CPU has none */
u32 apic_id(void);
/* Software-enables the APIC with spurious vector 0xff, everything masked. */
void apic_enable(void);
void ipi(u32 dest, u32 icr_low);
bool apic_irr(unsigned vector);
bool apic_isr(unsigned vector);
/* One-shot (periodic false) or periodic timer in nanoseconds, vector 32..255. */
void apic_timer_start(unsigned vector, bool periodic, u64 ns);
void apic_timer_stop(void);
extern u64 apic_timer_hz; /* of the timer's count at divide by 1, after time_init() */

/* ---- IOAPIC, PIC ---- */
#define IOAPIC_BASE 0xfec00000UL
u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 val);
void ioapic_route(unsigned pin, u64 entry);
/* Both PICs to vectors 32.., all masked, as an operating system does before it uses the APIC. */
void pic_init_masked(void);
/* IOAPIC pin of an ISA interrupt, after the MADT's overrides. */
unsigned isa_pin(unsigned irq);

/* ---- other CPUs ---- */
extern volatile u32 cpus_online; /* with the boot CPU */
/* Starts the CPU with this APIC id; it runs fn with interrupts off, and halts when fn returns. False: it
 * never came. */
bool smp_start(u32 apic_id, void (*fn)(void));
/* Page below 1 MiB that holds the start code. */
#define AP_TRAMPOLINE 0x8000UL
/* Puts the start code at `page` and makes the next CPU that starts there number `index`, running fn. */
void smp_prepare(u32 index, void (*fn)(void), void *page);
/* This CPU's GDT, TSS, IDT and struct percpu as number `index` (crt0's own CPUs have it done). */
void cpu_init(u32 index);
#define CPU_STACK 16384
extern u8 stacks[MAX_CPUS][CPU_STACK]; /* by number, lib/crt0.S */

/* ---- firmware ---- */
struct madt_cpus {
    unsigned count;
    u32 apic_id[MAX_CPUS];
};
extern struct madt_cpus acpi_cpus; /* enabled CPUs, in the MADT's order */
extern u32 acpi_pm_timer_port, acpi_pm1a_port, acpi_reset_port, acpi_pm1a_evt_port;
extern u8 acpi_reset_value, acpi_s5_typ;
extern u64 acpi_ioapic_base;
/* Walks the tables; checks of the tables themselves are the program acpi's. False: no RSDP. */
bool acpi_init(void);
const u8 *acpi_rsdp(void);
const u8 *acpi_table(const char *signature, unsigned n); /* NULL: none; includes DSDT */
bool acpi_checksum(const u8 *p, u32 len);
void poweroff(void); /* returns when nothing happened */

/* ---- time ---- */
extern u64 tsc_hz;                    /* after time_init() */
void time_init(void);                 /* rates of TSC and APIC timer, by the PM timer; needs acpi_init() */
void clock_sample(u64 *tsc, u32 *pm); /* both clocks at one moment */
u32 pm_timer(void);                   /* 24 bits, 3.579545 MHz */
void delay_us(u64 us);                /* with PAUSE */
static inline u64 us_to_tsc(u64 us)
{
    return us * (tsc_hz / 1000) / 1000;
}
/* Waits until *p equals v (true) or the time is over (false). Interrupts as they are. */
bool wait_for(volatile u32 *p, u32 v, u64 us);

/* ---- memory ---- */
extern u64 ram_end; /* end of the RAM that starts at 1 MiB */
/* The RAM that the loader reports, in its order. */
struct ram_range {
    u64 base, size;
};
extern struct ram_range ram_map[32];
extern u32 ram_ranges;
extern char image_end[];
/* Level-4 table and the page directories that map the first 4 GiB with 2 MiB pages (lib/crt0.S). */
extern u64 boot_pml4[512], boot_pdpt[512], boot_pd[2048];
/* A cleared page behind the image; programs that need tables take them here. */
void *page_alloc(void);

/* acpi_init, apic_enable, pic_init_masked, time_init: what nearly every program wants. */
void guest_init(void);

#endif
