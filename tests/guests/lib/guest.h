/*
 * The library of the bare-metal guest programs: what a program in tests/guests may use. The programs run on the virtual
 * machine that Bulkhead offers and, for checking the programs themselves, on a bare QEMU q35 machine.
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
enum { SEL_CODE64 = 0x08, SEL_DATA = 0x10, SEL_CODE32 = 0x18, SEL_CODE16 = 0x20, SEL_DATA16 = 0x28, SEL_TSS = 0x30 };

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
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub) : "memory");
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
#define READ_CR(n)                                                                                                     \
    ({                                                                                                                 \
        u64 v_;                                                                                                        \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v_)::"memory");                                                   \
        v_;                                                                                                            \
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
 * Runs one instruction (or a short sequence) that may fault; evaluates to the exception vector, or -1. The details stand in
 * this()->probe. Operands come after the text as in asm(): PROBE("wrmsr", :: "c"(0x10), "a"(0), "d"(0)). The registers RAX..RDX are not
 * clobbered by the macro itself; the resume address is written from a register of the compiler's choice.
 */
#define PROBE(insn, ...)                                                                                               \
    ({                                                                                                                 \
        struct probe *p_ = &this()->probe;                                                                             \
        p_->vector = -1;                                                                                               \
        __asm__ goto("lea %l[after](%%rip), %%r11; mov %%r11, %c[off](%[pp])" ::[pp] "r"(p_),                          \
                     [off] "i"(offsetof(struct probe, resume))                                                         \
                     : "r11", "memory"                                                                                 \
                     : after);                                                                                         \
        __asm__ volatile(insn __VA_ARGS__);                                                                            \
    after:                                                                                                             \
        p_->resume = 0;                                                                                                \
        p_->vector;                                                                                                    \
    })
