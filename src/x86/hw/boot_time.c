#include <arch/cpu.h>
#include <core/load.h>
#include <core/timer.h>
#include <lib/atomic.h>
#include <lib/log.h>
#include "x86/hw/boot_time.h"

u64 boot_tsc_entry
    SECTION(".data"); /* not .bss: entry.S writes it before any loader's clearing could be doubted */

void boot_first_entry_mark(void)
{
    static u32 done;
    u64 total, copies;

    if (atomic_load_relaxed(&done) || atomic_xchg(&done, 1))
        return;
    total = arch_tsc() - boot_tsc_entry;
    copies = MIN(load_copy_ticks, total);
    log_info("boot.first_guest: %llu us (image copies %llu us left out)",
             (unsigned long long)(tsc_to_ns(total - copies) / 1000),
             (unsigned long long)(tsc_to_ns(copies) / 1000));
}
