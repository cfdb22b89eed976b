#include <stdarg.h>
#include <arch/cpu.h>
#include <config/config.h>
#include <lib/fmt.h>
#include <lib/log.h>
#include "x86/boot/board.h"
#include "x86/boot/multiboot.h"
#include "x86/hw/acpi.h"
#include "x86/hw/backend.h"
#include "x86/hw/cache.h"
#include "x86/hw/features.h"
#include "x86/hw/ioapic.h"
#include "x86/hw/msr.h"
#include "x86/hw/percpu.h"

static u32 differences;

static PRINTF(1, 2) void differ(const char *fmt, ...)
{
    char buf[200];
    va_list ap;

    va_start(ap, fmt);
    bh_vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    log_err("board: %s", buf);
    differences++;
}

typedef unsigned long long ull;

static void check_caches(void)
{
    for (const struct cfg_cache *c = cfg_board.caches; c < &cfg_board.caches[CFG_CACHES]; c++) {
        struct cache_facts f = cache_facts(c->level);

        if (!f.ways)
            differ("machine's CPU cannot divide its level %u cache, which board '%s' promises", c->level,
                   cfg_board.name);
        else if (f.ways != c->ways || f.classes < c->classes)
            differ("machine's CPU divides its level %u cache into %u ways for %u classes, board '%s' says %u "
                   "and %u",
                   c->level, f.ways, f.classes, cfg_board.name, c->ways, c->classes);
    }
}

static void check_cpu(void)
{
    const char *want = cfg_board.vendor == CPU_VENDOR_AMD ? "AMD" : "Intel";
    const char *missing;
    u32 lacking = cfg_board.features & ~hw_features.features;

    if (!hw_features.vendor_known || hw_features.vendor != cfg_board.vendor)
        differ("machine has a CPU by '%s', board '%s' says %s", hw_features.vendor_text, cfg_board.name,
               want);
    for (u32 bit = 0; bit < 32; bit++) {
        if (lacking & BIT32(bit))
            differ("machine's CPU lacks feature %s, which board '%s' promises", feature_name(BIT32(bit)),
                   cfg_board.name);
    }
    missing = backend_check();
    if (missing)
        differ("machine cannot run guests: %s", missing);
    check_caches();
}

static bool board_lists_cpu(u32 apic_id)
{
    return pcpu_of_apic_id(apic_id) < CFG_PCPUS;
}

static void check_cpus(void)
{
    u32 listed = MIN(acpi_facts.cpu_count, (u32)ACPI_MAX_CPUS);

    if (acpi_facts.cpu_count != cfg_board.cpu_count)
        differ("machine has %u CPUs, board '%s' says %u", acpi_facts.cpu_count, cfg_board.name,
               cfg_board.cpu_count);
    for (u32 c = 0; c < cfg_board.cpu_count; c++) {
        bool found = false;

        for (u32 i = 0; i < listed && !found; i++)
            found = acpi_facts.apic_ids[i] == cfg_board.cpus[c].apic_id;
        if (!found)
            differ("machine has no CPU with APIC id %u, which board '%s' lists as CPU %u",
                   cfg_board.cpus[c].apic_id, cfg_board.name, c);
    }
    for (u32 i = 0; i < listed; i++) {
        if (!board_lists_cpu(acpi_facts.apic_ids[i]))
            differ("machine has a CPU with APIC id %u, which board '%s' does not list",
                   acpi_facts.apic_ids[i], cfg_board.name);
    }
    if (!board_lists_cpu(cpuid_apic_id()))
        differ("machine started on the CPU with APIC id %u, which board '%s' does not list", cpuid_apic_id(),
               cfg_board.name);
}

static void check_ioapics(void)
{
    u64 lapic = rdmsr(MSR_IA32_APIC_BASE) & ~(u64)0xfff;

    if (lapic != cfg_board.lapic_base)
        differ("machine's local APIC is at 0x%llx, board '%s' says 0x%llx", (ull)lapic, cfg_board.name,
               (ull)cfg_board.lapic_base);
    if (acpi_facts.ioapic_count != cfg_board.ioapic_count)
        differ("machine has %u IOAPICs, board '%s' says %u", acpi_facts.ioapic_count, cfg_board.name,
               cfg_board.ioapic_count);
    for (u32 i = 0; i < cfg_board.ioapic_count; i++) {
        const struct cfg_ioapic *want = &cfg_board.ioapics[i];
        const struct acpi_ioapic *have = NULL;
        u32 id, pins;

        for (u32 k = 0; k < acpi_facts.ioapic_count; k++) {
            if (acpi_facts.ioapics[k].base == want->base)
                have = &acpi_facts.ioapics[k];
        }
        if (!have) {
            differ("machine has no IOAPIC at 0x%llx, where board '%s' has IOAPIC %u", (ull)want->base,
                   cfg_board.name, want->id);
            continue;
        }
        ioapic_identify(i, &id, &pins);
        if (have->id != want->id || have->gsi_base != want->gsi_base)
            differ("machine's IOAPIC at 0x%llx has id %u and first GSI %u, board '%s' says %u and %u",
                   (ull)want->base, have->id, have->gsi_base, cfg_board.name, want->id, want->gsi_base);
        if (pins != want->pins)
            differ("machine's IOAPIC at 0x%llx has %u pins, board '%s' says %u", (ull)want->base, pins,
                   cfg_board.name, want->pins);
    }
}

static void check_ports(void)
{
    if (cfg_board.pm_timer_port && acpi_facts.pm_timer_port != cfg_board.pm_timer_port)
        differ("machine's PM timer is at port 0x%x, board '%s' says 0x%x", acpi_facts.pm_timer_port,
               cfg_board.name, cfg_board.pm_timer_port);
    if (cfg_board.mcfg_base && acpi_facts.mcfg_base != cfg_board.mcfg_base)
        differ("machine's PCI configuration space is at 0x%llx, board '%s' says 0x%llx",
               (ull)acpi_facts.mcfg_base, cfg_board.name, (ull)cfg_board.mcfg_base);
}

static void check_range(u64 base, u64 size, const char *what, const char *name)
{
    if (size && !boot_range_is_ram(base, size))
        differ("machine has no usable RAM at all of 0x%llx-0x%llx, needed for %s%s%s", (ull)base,
               (ull)(base + size - 1), what, *name ? " " : "", name);
}

static void check_ram(void)
{
    if (boot_info.range_count == 0) {
        differ("the boot loader gave no memory map");
        return;
    }
    check_range(CFG_HV_BASE, CFG_HV_SIZE, "the hypervisor", "");
    check_range(CFG_MODULE_BASE, CFG_MODULE_SIZE, "the module store", "");
    if (CFG_PCPUS > 1)
        check_range(cfg_board.trampoline, PAGE_SIZE, "starting the other CPUs", "");
    for (u32 i = 0; i < CFG_VMS; i++) {
        for (u32 k = 0; k < cfg_vms[i].mem_count; k++)
            check_range(cfg_vms[i].mem[k].hpa, cfg_vms[i].mem[k].size, "VM", cfg_vms[i].name);
    }
    for (const struct cfg_shm *m = cfg_shms; m < &cfg_shms[CFG_SHMS]; m++)
        check_range(m->hpa, m->size, "shared memory", m->name);
}

u32 board_check(const char *acpi_error)
{
    differences = 0;
    check_cpu();
    if (acpi_error) {
        differ("%s", acpi_error);
    } else {
        check_cpus();
        check_ioapics();
        check_ports();
    }
    check_ram();
    return differences;
}
