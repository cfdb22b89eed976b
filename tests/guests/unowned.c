/*
 * Subject: touches every port, the MSRs around everything that exists, and memory that it does not own. What
 * nobody owns reads all ones (ports, memory) or raises #GP (MSRs); writes vanish.
 */
#include "guest.h"

/* Ports of this VM's own devices; what is written to them may well do something to this VM. */
static bool own_port(u32 p)
{
    return p == 0x20 || p == 0x21 || p == 0xa0 || p == 0xa1 || p == 0x4d0 || p == 0x4d1 ||
           (p >= 0x40 && p <= 0x43) || p == 0x60 || p == 0x61 || p == 0x64 || p == 0x70 || p == 0x71 ||
           p == 0x80 || p == 0x92 || (p >= 0x3f8 && p <= 0x3ff) || (p >= 0xcf8 && p <= 0xcff) ||
           (p >= acpi_pm1a_evt_port && p < acpi_pm_timer_port + 4) || p == acpi_reset_port;
}

static void sweep_ports(void)
{
    u32 answers = 0, first = 0;

    for (u32 p = 0; p < 65536; p++) {
        u8 b;
        u16 w = 0xffff;
        u32 l = 0xffffffff;

        if (own_port(p))
            continue;
        b = inb((u16)p);
        if (!own_port(p + 1))
            w = inw((u16)p);
        if (!own_port(p + 1) && !own_port(p + 2) && !own_port(p + 3))
            l = inl((u16)p);
        if (b != 0xff || w != 0xffff || l != 0xffffffff) {
            if (answers++ < 8)
                printf("# port 0x%x reads %x %x %x\n", p, b, w, l);
            if (first == 0)
                first = p;
        }
    }
    check(answers == 0, "all ports that are not this VM's read all ones (%u do not, first 0x%x)", answers,
          first);
    for (u32 p = 0; p < 65536; p++) {
        if (own_port(p) || own_port(p + 1) || own_port(p + 2) || own_port(p + 3))
            continue;
        outb((u16)p, 0xff);
        outw((u16)p, 0);
        outl((u16)p, 0xa5a5a5a5);
    }
    check(true, "writes to all of them came back");
    __asm__ volatile("rep insb" ::"D"(0x20000UL), "c"(64UL), "d"(0x1f0) : "memory");
    __asm__ volatile("rep outsw" ::"S"(0x20000UL), "c"(64UL), "d"(0x1f0) : "memory");
    check(*(volatile u64 *)0x20000 == ~(u64)0, "string input from a port that nobody owns gives all ones");
}

/* Writing these would only break this program. */
static bool keep_msr(u32 m)
{
    return m == 0x10 || m == 0x1b || m == 0x3b || m == 0x6e0 || m == MSR_EFER ||
           (m >= 0xc0000100 && m <= 0xc0000102);
}

static void sweep_msrs(void)
{
    static const u32 ranges[][2] = {
        {0, 0x2000}, {0x40000000, 0x40000200}, {0xc0000000, 0xc0002000}, {0xc0010000, 0xc0012000}};
    u32 served = 0, writable = 0;
    u64 v;

    for (unsigned r = 0; r < ARRAY_SIZE(ranges); r++) {
        for (u32 m = ranges[r][0]; m < ranges[r][1]; m++) {
            bool reads = rdmsr_probe(m, &v) < 0;

            served += reads;
            if (keep_msr(m))
                continue;
            if (reads && wrmsr_probe(m, v) < 0)
                writable++;
            (void)wrmsr_probe(m, 0x1fff);
            (void)wrmsr_probe(m, ~(u64)0);
            if (reads)
                (void)wrmsr_probe(m, v);
        }
    }
    printf("# %u MSRs answer, %u take a value\n", served, writable);
    check(served > 0 && served < 400, "most MSRs raise #GP (%u answer)", served);
}

static void sweep_memory(void)
{
    u64 bad = 0;

    for (u64 a = (ram_end + 0x1fffff) & ~(u64)0x1fffff; a < 0xfec00000; a += 0x200000) {
        volatile u64 *p = (volatile u64 *)(a + (a >> 9 & 0x1ff8));

        *p = 0x5a5a5a5a5a5a5a5a;
        bad += *p != ~(u64)0;
        *(volatile u8 *)p = 1;
        bad += *(volatile u8 *)p != 0xff;
    }
    check(bad == 0, "memory from the end of this VM's RAM to the IOAPIC reads all ones (%lu do not)", bad);
    bad = *(volatile u32 *)0xfed00000 != 0xffffffff;  /* HPET */
    bad += *(volatile u32 *)0xfed90000 != 0xffffffff; /* an IOMMU */
    bad += *(volatile u32 *)0xb0000000 != 0xffffffff; /* the board's MCFG */
    bad += *(volatile u32 *)0xfee01000 != 0xffffffff; /* behind the local APIC */
    check(bad == 0, "devices of the machine are not there");
    for (u64 a = 0xc0000; a < 0x100000; a += 0x1000) {
        u64 old = *(volatile u64 *)a;

        *(volatile u64 *)a = ~old;
        *(volatile u64 *)a = old;
    }
    check(true, "the firmware's area is harmless");
}

void guest_main(void)
{
    guest_init();
    printf("unowned: start\n");
    sweep_ports();
    sweep_memory();
    sweep_msrs();
    done();
}
