/*
 * Subject: writes to and reads from guest-physical memory outside its RAM, every 2 MiB of 40 bits. Everything
 * it reads must be all ones (or a register of its own local APIC or IOAPIC), and nobody may notice what it
 * writes.
 */
#include "guest.h"

#define LIMIT  BIT(40)
#define STEP   0x200000UL
#define WINDOW 0x40000000UL /* tables cover 1 GiB of guest-physical memory at a time */

static u64 pd_win[512] __attribute__((aligned(4096)));
static u64 pdpt_win[512] __attribute__((aligned(4096)));

/* Makes VA 512 GiB.. show guest-physical memory from base, 1 GiB. */
static volatile u8 *window(u64 base)
{
    for (u64 i = 0; i < 512; i++)
        pd_win[i] = (base + i * STEP) | 0x83;
    pdpt_win[0] = (u64)pd_win | 3;
    boot_pml4[1] = (u64)pdpt_win | 3;
    WRITE_CR(3, READ_CR(3));
    return (volatile u8 *)0x8000000000UL;
}

static bool own(u64 pa)
{
    return pa < ((ram_end + STEP - 1) & ~(STEP - 1)) || (pa >= 0xfec00000 && pa < 0xff000000);
}

void guest_main(void)
{
    u64 bad = 0, first_bad = 0, done_count = 0;

    guest_init();
    printf("npt_probe: start, own RAM ends at 0x%lx\n", ram_end);
    for (u64 base = 0; base < LIMIT; base += WINDOW) {
        volatile u8 *w = window(base);

        for (u64 o = 0; o < WINDOW; o += STEP) {
            u64 off = o + ((base + o) / STEP * 0x1238 & 0x1ffff8); /* another page of it each time */

            if (own(base + o))
                continue;
            *(volatile u64 *)(w + off) = 0xbadbadbadbadbadb;
            /* reads cost as much as writes: all of the first 16 GiB, then one in eight */
            if ((base < 16 * WINDOW || (o / STEP & 7) == 0) && *(volatile u64 *)(w + off) != ~(u64)0) {
                if (bad++ == 0)
                    first_bad = base + off;
            }
            done_count++;
        }
        if ((base / WINDOW & 255) == 255)
            printf("# npt_probe: %lu GiB\n", (base + WINDOW) >> 30);
    }
    check(bad == 0, "%lu addresses outside this VM's RAM read all ones (%lu do not, first 0x%lx)", done_count,
          bad, first_bad);
    done();
}
