/* ACPI tables (ACPI 6.4 section 5.2), power-off, and time by the PM timer. */
#include "guest.h"

struct madt_cpus acpi_cpus;
u32 acpi_pm_timer_port, acpi_pm1a_port, acpi_reset_port, acpi_pm1a_evt_port;
u8 acpi_reset_value, acpi_s5_typ;
u64 acpi_ioapic_base;
u64 tsc_hz;
static const u8 *rsdp;
static u8 isa_override[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static u32 get32(const u8 *p)
{
    u32 v;

    memcpy(&v, p, 4);
    return v;
}

bool acpi_checksum(const u8 *p, u32 len)
{
    u8 sum = 0;

    for (u32 i = 0; i < len; i++)
        sum = (u8)(sum + p[i]);
    return sum == 0;
}

const u8 *acpi_rsdp(void)
{
    u64 ebda = (u64) * (volatile u16 *)0x40e << 4;

    if (rsdp != NULL)
        return rsdp;
    for (u64 p = 0xe0000; p < 0x100000; p += 16)
        if (memcmp((const void *)p, "RSD PTR ", 8) == 0 && acpi_checksum((const u8 *)p, 20))
            return rsdp = (const u8 *)p;
    if (ebda >= 0x80000 && ebda < 0xa0000)
        for (u64 p = ebda; p < ebda + 1024; p += 16)
            if (memcmp((const void *)p, "RSD PTR ", 8) == 0 && acpi_checksum((const u8 *)p, 20))
                return rsdp = (const u8 *)p;
    return NULL;
}

const u8 *acpi_table(const char *signature, unsigned n)
{
    const u8 *r = acpi_rsdp();
    const u8 *root;
    unsigned width = 4;

    if (r == NULL)
        return NULL;
    root = (const u8 *)(u64)get32(r + 16);
    if (r[15] >= 2 && (get32(r + 24) | get32(r + 28)) != 0) {
        root = (const u8 *)((u64)get32(r + 24) | (u64)get32(r + 28) << 32);
        width = 8;
    }
    if (strcmp(signature, "ROOT") == 0)
        return root;
    if (strcmp(signature, "DSDT") == 0) {
        const u8 *fadt = acpi_table("FACP", 0);

        return fadt == NULL ? NULL : (const u8 *)(u64)get32(fadt + 40);
    }
    for (u32 o = 36; o + width <= get32(root + 4); o += width) {
        const u8 *t = (const u8 *)((u64)get32(root + o) | (width == 8 ? (u64)get32(root + o + 4) << 32 : 0));

        if (memcmp(t, signature, 4) == 0 && n-- == 0)
            return t;
    }
    return NULL;
}

/* The sleep type in the package _S5_ of the DSDT: NameOp, name, PackageOp, length, count, first integer. */
static void find_s5(void)
{
    const u8 *d = acpi_table("DSDT", 0);

    if (d == NULL)
        return;
    for (u32 i = 36; i + 12 < get32(d + 4); i++) {
        const u8 *p = d + i;

        if (memcmp(p, "_S5_\x12", 5) != 0)
            continue;
        p += 5;
        p += 1 + (*p >> 6); /* package length */
        p++;                /* element count */
        acpi_s5_typ = *p == 0x0a ? p[1] : *p;
        return;
    }
}

static void read_madt(const u8 *m)
{
    for (u32 o = 44; o + 2 <= get32(m + 4) && m[o + 1] >= 2; o += m[o + 1]) {
        const u8 *e = m + o;

        if (e[0] == 0 && (get32(e + 4) & 1) && acpi_cpus.count < MAX_CPUS)
            acpi_cpus.apic_id[acpi_cpus.count++] = e[3];
        else if (e[0] == 9 && (get32(e + 8) & 1) && acpi_cpus.count < MAX_CPUS)
            acpi_cpus.apic_id[acpi_cpus.count++] = get32(e + 4);
        else if (e[0] == 1 && acpi_ioapic_base == 0)
            acpi_ioapic_base = get32(e + 4);
        else if (e[0] == 2 && e[3] < 16)
            isa_override[e[3]] = e[4];
    }
}

bool acpi_init(void)
{
    const u8 *fadt, *madt;

    if (acpi_rsdp() == NULL)
        return false;
    fadt = acpi_table("FACP", 0);
    madt = acpi_table("APIC", 0);
    if (fadt != NULL) {
        acpi_pm1a_evt_port = get32(fadt + 56);
        acpi_pm1a_port = get32(fadt + 64);
        acpi_pm_timer_port = get32(fadt + 76);
        if (get32(fadt + 4) > 128 && (get32(fadt + 112) & BIT(10))) {
            acpi_reset_port = get32(fadt + 120);
            acpi_reset_value = fadt[128];
        }
        find_s5();
    }
    if (madt != NULL)
        read_madt(madt);
    return true;
}

unsigned isa_pin(unsigned irq)
{
    return isa_override[irq];
}

void poweroff(void)
{
    if (acpi_pm1a_port != 0)
        outw((u16)acpi_pm1a_port,
             (u16)(acpi_s5_typ << 10 | 1 << 13)); /* SLP_TYP, SLP_EN: ACPI 6.4 table 4.13 */
}

u32 pm_timer(void)
{
    return inl((u16)acpi_pm_timer_port) & 0xffffff;
}

/* A PM timer value and the TSC at the same moment: of several tries the one that was interrupted least. */
void clock_sample(u64 *tsc, u32 *pm)
{
    u64 best = ~(u64)0;

    for (int i = 0; i < 8; i++) {
        u64 t0 = rdtsc();
        u32 p = pm_timer();
        u64 t1 = rdtsc();

        if (t1 - t0 < best) {
            best = t1 - t0;
            *tsc = t0 + best / 2;
            *pm = p;
        }
    }
}

/*
 * 50 ms of both clocks and of the local APIC's timer; false when the moments at which that timer was started
 * and read are too uncertain (this CPU's thread in the emulator may have been off its host CPU just then).
 */
static bool measure_rates(void)
{
    const u32 span = 3579545 / 20;
    u32 start, end, count;
    u64 tsc, tsc_end, t0, t1, t2, t3, apic_tsc;

    clock_sample(&tsc, &start);
    t0 = rdtsc();
    apic_write(APIC_TMICT, 0xffffffff);
    t1 = rdtsc();
    do {
        pause();
    } while (((pm_timer() - start) & 0xffffff) < span);
    t2 = rdtsc();
    count = 0xffffffff - apic_read(APIC_TMCCT);
    t3 = rdtsc();
    clock_sample(&tsc_end, &end);
    apic_write(APIC_TMICT, 0);
    apic_tsc = (t2 + t3 - t0 - t1) / 2;
    tsc_hz = (tsc_end - tsc) * 3579545 / ((end - start) & 0xffffff);
    apic_timer_hz = (u64)count * 16 * (tsc_hz / 1000) / (apic_tsc / 1000);
    return t1 - t0 + t3 - t2 < apic_tsc / 200;
}

void time_init(void)
{
    if (acpi_pm_timer_port == 0)
        bail("no ACPI PM timer to calibrate with");
    apic_write(APIC_TDCR, 3);
    apic_write(APIC_LVT_TIMER, (u32)LVT_MASKED | 0x20);
    for (int i = 0; i < 20 && !measure_rates(); i++)
        ;
    if (tsc_hz < 1000000 || apic_timer_hz < 100000)
        bail("clocks do not run: tsc %lu Hz, apic timer %lu Hz", tsc_hz, apic_timer_hz);
}

void delay_us(u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    while (rdtsc() < end)
        pause();
}

bool wait_for(volatile u32 *p, u32 v, u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);

    while (*p != v) {
        if (rdtsc() > end)
            return *p == v;
        pause();
    }
    return true;
}
