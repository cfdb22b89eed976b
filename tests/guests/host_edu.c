/*
 * A real PCI device in the service VM's hands: QEMU's "edu" (1234:11e8) on bus 0. Registers, a
 * level-triggered interrupt through the IOAPIC, MSI, DMA, and that a function which is quiet stays so. Runs
 * as service VM, and on a bare machine. Command line: "edu.gsi=N" names the GSI of its INTA# (default: q35's
 * for its slot). On QEMU only: Bochs has no such device, and no MSI at all.
 */
#include "guest.h"

enum {
    EDU_ID = 0,
    EDU_LIVE = 4,
    EDU_FACT = 8,
    EDU_STATUS = 0x20,
    EDU_IRQ = 0x24,
    EDU_RAISE = 0x60,
    EDU_ACK = 0x64
};
enum { EDU_SRC = 0x80, EDU_DST = 0x88, EDU_COUNT = 0x90, EDU_CMD = 0x98, EDU_BUF = 0x40000 };
enum { DMA_START = 1, DMA_TO_RAM = 2, DMA_IRQ = 4, DMA_IRQ_BIT = 0x100 };
#define STATUS_IRQ BIT32(7)

#define VEC_INTX 0x51
#define VEC_MSI  0x53

static volatile u32 *edu;
static u32 devfn;
static volatile u32 irqs[256], causes;

static u32 cfg_read(u32 reg)
{
    outl(0xcf8, (u32)BIT(31) | devfn << 8 | (reg & 0xfc));
    return inl(0xcfc);
}

static void cfg_write(u32 reg, u32 val)
{
    outl(0xcf8, (u32)BIT(31) | devfn << 8 | (reg & 0xfc));
    outl(0xcfc, val);
}

static void cfg_write16(u32 reg, u16 val)
{
    outl(0xcf8, (u32)BIT(31) | devfn << 8 | (reg & 0xfc));
    outw((u16)(0xcfc + (reg & 2)), val);
}

static bool find(void)
{
    for (devfn = 0; devfn < 256; devfn++)
        if (cfg_read(0) == 0x11e81234)
            return true;
    return false;
}

/* Offset of a capability, 0: none. */
static u32 capability(u8 id)
{
    u32 at = cfg_read(0x34) & 0xfc;

    for (u32 i = 0; at && i < 48; i++) {
        u32 dw = cfg_read(at);

        if ((dw & 0xff) == id)
            return at;
        at = dw >> 8 & 0xfc;
    }
    return 0;
}

static u32 edu_read(u32 reg)
{
    return edu[reg / 4];
}

static void edu_write(u32 reg, u32 val)
{
    edu[reg / 4] = val;
}

static void on_irq(struct frame *f)
{
    u32 why = edu_read(EDU_IRQ);

    irqs[f->vector]++;
    causes |= why;
    edu_write(EDU_ACK, why);
    apic_eoi();
}

static bool wait_irq(unsigned vector, u32 n, u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    while (irqs[vector] < n && rdtsc() < end) {
        sti();
        __asm__ volatile("nop; nop" ::: "memory");
        cli();
        pause();
    }
    return irqs[vector] >= n;
}

/* Numbers on the command line: "name=123". */
static u32 option(const char *name, u32 otherwise)
{
    size_t len = strlen(name);

    for (const char *s = guest_cmdline; *s; s++) {
        u32 v = 0;

        if (memcmp(s, name, len) != 0)
            continue;
        for (s += len; *s >= '0' && *s <= '9'; s++)
            v = v * 10 + (u32)(*s - '0');
        return v;
    }
    return otherwise;
}

static void check_registers(void)
{
    u32 bar = cfg_read(0x10), size;

    check((cfg_read(0x04) & 2) != 0, "the firmware has the function decode memory");
    cfg_write16(4, 0);
    cfg_write(0x10, ~0u);
    size = ~(cfg_read(0x10) & ~15u) + 1;
    cfg_write(0x10, bar);
    cfg_write16(4, 6); /* memory, bus master */
    check(size == 0x100000, "BAR 0 can be sized (0x%x)", size);
    check(cfg_read(0x10) == bar, "and put back");
    edu = (volatile u32 *)(u64)(bar & ~15u);
    check(edu_read(EDU_ID) == 0x010000ed, "its registers are mapped (id 0x%x at 0x%x)", edu_read(EDU_ID),
          bar & ~15u);
    edu_write(EDU_LIVE, 0x12345678);
    check(edu_read(EDU_LIVE) == ~0x12345678u, "and can be written");
}

static u32 factorial(unsigned vector, u32 n)
{
    u32 before = irqs[vector];

    edu_write(EDU_STATUS, STATUS_IRQ);
    edu_write(EDU_FACT, n);
    wait_irq(vector, before + 1, 5000000);
    edu_write(EDU_STATUS, 0);
    return edu_read(EDU_FACT);
}

static void check_intx(void)
{
    u32 slot = devfn >> 3, gsi = option("edu.gsi=", 16 + 4 + slot % 4), n;

    irq_set(VEC_INTX, on_irq);
    ioapic_route(gsi, VEC_INTX | BIT(15));
    n = factorial(VEC_INTX, 5);
    check(irqs[VEC_INTX] == 1 && n == 120, "INTx through GSI %u: %u interrupt, 5! is %u", gsi, irqs[VEC_INTX],
          n);
    check((ioapic_read(0x10 + 2 * gsi) & BIT32(14)) == 0, "remote IRR is clear after EOI");
    for (u32 i = 0; i < 100; i++) {
        edu_write(EDU_RAISE, 2);
        if (!wait_irq(VEC_INTX, 2 + i, 5000000))
            break;
    }
    check(irqs[VEC_INTX] == 101, "and a hundred times more (%u)", irqs[VEC_INTX]);
    ioapic_write(0x10 + 2 * gsi, (u32)LVT_MASKED | (u32)BIT(15) | VEC_INTX);
    edu_write(EDU_RAISE, 4);
    wait_irq(VEC_INTX, 102, 20000);
    check(irqs[VEC_INTX] == 101, "a masked pin is silent");
    ioapic_write(0x10 + 2 * gsi, (u32)BIT(15) | VEC_INTX);
    check(wait_irq(VEC_INTX, 102, 5000000), "and the level is still there when it is opened");
    ioapic_write(0x10 + 2 * gsi, (u32)LVT_MASKED);
}

static void check_msi(void)
{
    u32 cap = capability(5), addr = (u32)APIC_BASE | apic_id() << 12, control, data;

    if (!check(cap != 0, "it has the MSI capability"))
        return;
    control = cfg_read(cap) >> 16;
    data = control & 0x80 ? cap + 12 : cap + 8;
    irq_set(VEC_MSI, on_irq);
    cfg_write(cap + 4, addr);
    if (control & 0x80)
        cfg_write(cap + 8, 0);
    cfg_write16(data, VEC_MSI);
    cfg_write16(cap + 2, (u16)(control | 1));
    check(cfg_read(cap + 4) == addr && (cfg_read(data) & 0xffff) == VEC_MSI,
          "MSI address and data read back");
    check(cfg_read(cap) >> 16 & 1, "as does the enable bit");
    data = factorial(VEC_MSI, 6);
    check(irqs[VEC_MSI] == 1 && data == 720, "MSI: %u interrupt, 6! is %u", irqs[VEC_MSI], data);
    for (u32 i = 0; i < 100; i++) {
        edu_write(EDU_RAISE, 1);
        if (!wait_irq(VEC_MSI, 2 + i, 5000000))
            break;
    }
    check(irqs[VEC_MSI] == 101, "and a hundred times more (%u)", irqs[VEC_MSI]);
}

static void check_dma(void)
{
    static u8 out[256] __attribute__((aligned(256))), in[256] __attribute__((aligned(256)));
    u32 before = irqs[VEC_MSI];

    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = (u8)(i * 7 + 3);
    causes = 0;
    edu_write(EDU_SRC, (u32)(u64)out);
    edu_write(EDU_DST, EDU_BUF);
    edu_write(EDU_COUNT, sizeof(out));
    edu_write(EDU_CMD, DMA_START | DMA_IRQ);
    check(wait_irq(VEC_MSI, before + 1, 10000000) && (causes & DMA_IRQ_BIT),
          "DMA from memory ends with an interrupt");
    edu_write(EDU_SRC, EDU_BUF);
    edu_write(EDU_DST, (u32)(u64)in);
    edu_write(EDU_COUNT, sizeof(in));
    edu_write(EDU_CMD, DMA_START | DMA_TO_RAM | DMA_IRQ);
    check(wait_irq(VEC_MSI, before + 2, 10000000), "DMA to memory too");
    check(memcmp(in, out, sizeof(in)) == 0, "what went out came back");
}

void guest_main(void)
{
    guest_init();
    if (!find())
        bail("no edu device on bus 0");
    printf("# edu at 00:%x.%u\n", devfn >> 3, devfn & 7);
    check_registers();
    check_intx();
    check_msi();
    check_dma();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
