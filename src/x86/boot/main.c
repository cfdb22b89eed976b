/* The way from entry.S to cpu_loop(): the order of initialisation stands in boot_main() and ap_main() and
 * nowhere else. Layer 7. */
#include <arch/cpu.h>
#include <config/config.h>
#include <core/console.h>
#include <core/cpu.h>
#include <core/load.h>
#include <core/timer.h>
#include <core/vm.h>
#include <lib/atomic.h>
#include <lib/fmt.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/boot/board.h"
#include "x86/boot/multiboot.h"
#include "x86/guest/exits.h"
#include "x86/hw/acpi.h"
#include "x86/hw/backend.h"
#include "x86/hw/boot_time.h"
#include "x86/hw/cache.h"
#include "x86/hw/features.h"
#include "x86/hw/ioapic.h"
#include "x86/hw/lapic.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/smp.h"
#include "x86/hw/time.h"
#include "x86/hw/traps.h"
#include "x86/hw/uart.h"

/* entry.S; magic and info are EAX and EBX of the boot loader's jump. Runs on CPU's final tables and stack. */
NORETURN void boot_main(u32 magic, u32 info);

static NORETURN void ap_main(void);

/* Set once when the other CPUs may enter their loops. */
static u32 released;

static NORETURN void stop(const char *why)
{
    log_printf(LOG_FATAL, "boot stopped: %s", why);
    uart_drain();
    arch_halt_forever();
}

static void check_tables(void)
{
    u32 wx, user, leaves = paging_audit(&wx, &user);

    if (wx || user)
        panic("paging: of %u mappings %u are writable and executable, %u open to user mode", leaves, wx,
              user);
    log_info("paging: %u mappings, none both writable and executable", leaves);
}

static void early_console(const char *loader_error)
{
    char word[16];
    u64 level;

    uart_init();
    console_init(boot_option("console", word, sizeof(word)) && strcmp(word, "mux") == 0);
    log_init();
    if (boot_option("loglevel", word, sizeof(word)) && bh_parse_u64(word, &level) && level >= LOG_FATAL &&
        level <= LOG_DEBUG)
        loglevel = (u32)level;
    if (loader_error)
        stop(loader_error);
    log_info("Bulkhead: scenario '%s' on board '%s', started by %s with %u modules", cfg_scenario.name,
             cfg_board.name, boot_info.protocol, boot_info.module_count);
    if (boot_info.dropped_modules || boot_info.dropped_ranges)
        log_warn("boot: %u modules and %u memory ranges from the boot loader ignored, no room to note them",
                 boot_info.dropped_modules, boot_info.dropped_ranges);
}

static void check_machine(void)
{
    const char *acpi_error = acpi_init(boot_info.rsdp);

    log_info("cpu: %s, %u physical address bits", hw_features.brand, hw_features.phys_bits);
    if (board_check(acpi_error))
        stop("this machine is not the board");
}

static void start_cpus(void)
{
    if (smp_start(ap_main))
        stop("not every CPU of the board started");
    log_info("boot: %u CPUs up %llu us after entry", CFG_PCPUS,
             (unsigned long long)(tsc_to_ns(arch_tsc() - boot_tsc_entry) / 1000));
}

static NORETURN void enter_loop(void)
{
    if (this_cpu()->id == cfg_board.console_cpu)
        console_start();
    cpu_loop();
}

void boot_main(u32 magic, u32 info)
{
    const char *loader_error;

    percpu_cpu_init();
    idt_load();
    loader_error = multiboot_parse(magic, info);
    early_console(loader_error);
    check_tables();
    features_init();
    check_machine();
    ioapic_init();
    lapic_choose_mode();
    lapic_cpu_init();
    arch_time_init();
    time_cpu_init();
    backend_cpu_init();
    if (CFG_CACHES)
        cache_cpu_init();
    smp_check_in();
    /* Modules may lie anywhere in RAM, in the trampoline's page too: they are moved before anything else is
     * written. */
    if (modules_init(boot_info.modules, boot_info.module_count))
        stop("boot modules are missing or do not fit");
    start_cpus();
    guest_msr_init();
    vms_init();
    vms_autostart();
    atomic_store(&released, 1);
    for (u32 i = 0; i < CFG_PCPUS; i++)
        arch_cpu_kick(i);
    enter_loop();
}

static NORETURN void ap_main(void)
{
    percpu_cpu_init();
    idt_load();
    lapic_cpu_init();
    time_cpu_init();
    backend_cpu_init();
    if (CFG_CACHES)
        cache_cpu_init();
    smp_check_in();
    while (!atomic_load(&released))
        arch_cpu_idle(&released, NULL);
    enter_loop();
}
