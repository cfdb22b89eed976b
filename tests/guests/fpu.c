/* x87, SSE and AVX state belongs to the guest: exits of every kind and interrupts leave it as it is. */
#include "guest.h"

static u8 before[16][16] __attribute__((aligned(64)));
static u8 after[16][16] __attribute__((aligned(64)));
static u8 ymm_after[32] __attribute__((aligned(64)));
static volatile u32 ticks;

static void on_tick(struct frame *f)
{
    (void)f;
    ticks++;
    apic_eoi();
}

#define EACH_XMM(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD(n)     "movdqa " #n "*16(%0), %%xmm" #n "\n\t"
#define STORE(n)    "movdqa %%xmm" #n ", " #n "*16(%0)\n\t"

static void exits(void)
{
    u32 r[4];

    cpuid(0, 0, r);
    inb(0x21);
    rdmsr(MSR_APIC_BASE);
    apic_read(APIC_ID);
    apic_write(APIC_EOI, 0);
    ioapic_read(0);
    inb(0x70 + 1);
    pm_timer();
}

void guest_main(void)
{
    u32 r[4], bad = 0;
    u64 pi_after;
    u16 cw = 0x27f, cw_after = 0;
    u32 mxcsr = 0x9fc0, mxcsr_after = 0;
    static double value;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr_after));
    guest_init();
    check(mxcsr_after == 0x1f80, "MXCSR is as after RESET (0x%x)", mxcsr_after);
    for (unsigned i = 0; i < sizeof(before); i++)
        (&before[0][0])[i] = (u8)(i * 37 + 11);
    irq_set(0x40, on_tick);
    apic_timer_start(0x40, true, 1000000);
    __asm__ volatile("fninit\n\tfldcw %0\n\tfldpi\n\tldmxcsr %1" ::"m"(cw), "m"(mxcsr) : "memory");
    __asm__ volatile(EACH_XMM(LOAD)::"r"(before) : "memory");
    sti();
    while (ticks < 20)
        exits();
    cli();
    apic_timer_stop();
    __asm__ volatile(EACH_XMM(STORE)::"r"(after) : "memory");
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfstpl %2"
                     : "=m"(mxcsr_after), "=m"(cw_after), "=m"(value)::"memory");
    memcpy(&pi_after, &value, 8);
    for (unsigned i = 0; i < 16; i++)
        bad += memcmp(before[i], after[i], 16) != 0;
    check(bad == 0, "16 XMM registers survive exits and interrupts (%u changed)", bad);
    check(mxcsr_after == mxcsr, "MXCSR survives (0x%x)", mxcsr_after);
    check(cw_after == cw, "the x87 control word survives (0x%x)", cw_after);
    check(pi_after == 0x400921fb54442d18, "the x87 stack survives (0x%lx)", pi_after);
    cpuid(1, 0, r);
    if (r[2] & BIT(28)) {
        WRITE_CR(4, READ_CR(4) | BIT(18));
        __asm__ volatile("xsetbv" ::"c"(0), "a"(7), "d"(0));
        __asm__ volatile(".byte 0xc5, 0xfe, 0x6f, 0x00" ::"a"(before) : "memory"); /* vmovdqu (%rax), %ymm0 */
        for (int i = 0; i < 100; i++)
            exits();
        __asm__ volatile(".byte 0xc5, 0xfe, 0x7f, 0x00" ::"a"(ymm_after)
                         : "memory"); /* vmovdqu %ymm0, (%rax) */
        check(memcmp(before, ymm_after, 32) == 0, "YMM0 survives exits");
    }
    WRITE_CR(0, READ_CR(0) | BIT(3));
    probe_start();
    __asm__ volatile(PROBE("fninit")::: PROBE_CLOBBER);
    check(probe_result() == 7, "CR0.TS makes x87 raise #NM");
    __asm__ volatile("clts" ::: "memory");
    probe_start();
    __asm__ volatile(PROBE("fninit")::: PROBE_CLOBBER);
    check(probe_result() < 0, "CLTS ends that");
    done();
}
