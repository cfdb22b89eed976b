/*
 * Device memory of the service VM: everything below the IOAPIC that is nobody's RAM and not the hypervisor's,
 * and the space for 64-bit base addresses above RAM, at guest addresses equal to the host's. The EBDA's page
 * and the BIOS area are private RAM instead.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/s2.h>
#include <core/vm.h>
#include <lib/log.h>
#include "x86/guest/firmware.h"
#include "x86/guest/host_acpi.h"
#include "x86/hw/features.h"
#include "x86/hw/paging.h"
#include "x86/vdev/host.h"
#include "x86/vdev/platform_map.h"

#define WINDOW (MEM_R | MEM_W | MEM_UC | MEM_DEV)
#define ROM    (MEM_R | MEM_DEV)

#define OPTION_ROMS 0xc0000u
/* 64-bit base addresses are looked for below 2^42: one page of tables for each 512 GiB. */
#define HIGH_BITS 42u

/* The EBDA's page, then the BIOS area. */
static u8 bios[PAGE_SIZE + HOST_ACPI_BIOS_SIZE] ALIGNED(4096) SECTION(".bss.unmapped.service");

#define MAX_TAKEN 64

/* What below 4 GiB is not the service VM's device memory, and the space above RAM. */
static struct {
    u32 count;
    struct cfg_range taken[MAX_TAKEN];
    struct cfg_range high;
} map;

static u64 low_end(void)
{
    return cfg_board.ioapics[0].base;
}

static void take(u64 base, u64 size)
{
    u64 first = ALIGN_DOWN(base, PAGE_SIZE);

    if (size == 0)
        return;
    ASSERT(map.count < MAX_TAKEN);
    map.taken[map.count++] = (struct cfg_range){first, ALIGN_UP(base + size, PAGE_SIZE) - first};
}

static void collect(void)
{
    struct cfg_range r;

    map.count = 0;
    for (u32 i = 0; i < cfg_board.ram_count; i++)
        take(cfg_board.ram[i].base, cfg_board.ram[i].size);
    if (cfg_board.mcfg_base)
        take(cfg_board.mcfg_base, ((u64)cfg_board.mcfg_end_bus + 1) << 20);
    for (u32 i = 0; i < cfg_board.ioapic_count; i++)
        take(cfg_board.ioapics[i].base, PAGE_SIZE);
    for (unsigned i = 0; host_acpi_hidden(i, &r); i++)
        take(r.base, r.size);
}

/* The range that holds addr, or NULL. */
static const struct cfg_range *taken_at(u64 addr)
{
    for (u32 i = 0; i < map.count; i++)
        if (addr >= map.taken[i].base && addr - map.taken[i].base < map.taken[i].size)
            return &map.taken[i];
    return NULL;
}

/* The first address from addr on, at most end, where a taken range begins. */
static u64 next_taken(u64 addr, u64 end)
{
    for (u32 i = 0; i < map.count; i++)
        if (map.taken[i].base >= addr)
            end = MIN(end, map.taken[i].base);
    return end;
}

static void map_range(struct vm *vm, u64 base, u64 host_base, u64 size, u32 prot)
{
    if (arch_s2_map(vm, gpa(base), hpa(host_base), size, prot))
        panic("vm %s: %u pages of second-level tables do not reach for device memory", vm->cfg->name,
              vm->cfg->s2_pages);
}

static void map_low(struct vm *vm)
{
    u64 at = FW_HIGH_MEM, end = low_end();

    while (at < end) {
        const struct cfg_range *r = taken_at(at);
        u64 next = r ? r->base + r->size : next_taken(at, end);

        if (!r)
            map_range(vm, at, at, next - at, WINDOW);
        at = next;
    }
}

/* From the first GiB above RAM to the end of what the CPU can address: 1 GiB leaves, a page or two of tables.
 */
static void map_high(struct vm *vm)
{
    const struct cfg_range *last = &cfg_board.ram[cfg_board.ram_count - 1];
    u64 base = ALIGN_UP(MAX(last->base + last->size, GIB(4)), SIZE_1G);
    u64 end = BIT64(MIN(hw_features.phys_bits, HIGH_BITS));

    map.high = (struct cfg_range){base, base < end ? end - base : 0};
    if (map.high.size)
        map_range(vm, base, base, map.high.size, WINDOW);
}

/* The host's ACPI tables are read-only, but for the page in which the FACS is. */
static void protect_tables(struct vm *vm)
{
    struct cfg_range t, facs;

    host_acpi_facs(&facs);
    for (unsigned i = 0; host_acpi_table(i, &t); i++) {
        for (u64 a = ALIGN_DOWN(t.base, PAGE_SIZE); a < t.base + t.size; a += PAGE_SIZE) {
            bool writable = facs.size && a < facs.base + facs.size && facs.base < a + PAGE_SIZE;

            if (!writable && host_mem_is_window(a, PAGE_SIZE))
                map_range(vm, a, a, PAGE_SIZE, ROM);
        }
    }
}

static bool mmio(struct vcpu *v, void *dev, u64 offset, u8 size, bool write, u64 *val)
{
    const u64 *base = dev;

    return host_msix_mmio(v, *base + offset, size, write, val);
}

/* MSI-X tables may turn up anywhere in the windows. The handler is looked for only where nothing is mapped.
 */
static void register_handlers(struct vm *vm)
{
    static u64 base[3];
    u64 end = low_end();

    base[0] = FW_HIGH_MEM;
    base[2] = map.high.base;
    if (cfg_board.mcfg_base > FW_HIGH_MEM && cfg_board.mcfg_base < end) {
        base[1] = cfg_board.mcfg_base + (((u64)cfg_board.mcfg_end_bus + 1) << 20);
        io_register_mmio(vm, base[1], end - base[1], mmio, &base[1]);
        end = cfg_board.mcfg_base + ((u64)cfg_board.mcfg_start_bus << 20);
    }
    io_register_mmio(vm, base[0], end - base[0], mmio, &base[0]);
    if (map.high.size)
        io_register_mmio(vm, base[2], map.high.size, mmio, &base[2]);
}

bool host_mem_is_window(u64 base, u64 size)
{
    if (base + size < base)
        return false;
    if (base >= map.high.base)
        return base - map.high.base < map.high.size && size <= map.high.size - (base - map.high.base);
    return base >= FW_HIGH_MEM && base + size <= low_end() && !taken_at(base) &&
           next_taken(base, low_end()) >= base + size;
}

void host_mem_show(struct vm *vm, u64 base, u64 size, bool show)
{
    /* The tables were sized for it; when they do not reach, pages that must not be seen must not stay. */
    if (show ? arch_s2_map(vm, gpa(base), hpa(base), size, WINDOW) : arch_s2_unmap(vm, gpa(base), size))
        panic("vm %s: second-level tables do not reach for 0x%llx", vm->cfg->name, (unsigned long long)base);
}

hpa_t host_bios_page(void)
{
    return va_to_hpa(bios);
}

void host_bios_build(void)
{
    hpa_t page = host_bios_page();

    arch_hpa_zero(page, PAGE_SIZE);
    host_acpi_build(hpa_add(page, PAGE_SIZE));
}

void host_mem_init(struct vm *vm)
{
    collect();
    map_range(vm, FW_VGA, FW_VGA, OPTION_ROMS - FW_VGA, WINDOW);
    map_range(vm, OPTION_ROMS, OPTION_ROMS, HOST_ACPI_BIOS_BASE - OPTION_ROMS, ROM);
    map_range(vm, HOST_EBDA_PAGE, host_bios_page().v, PAGE_SIZE, MEM_RWX);
    map_range(vm, HOST_ACPI_BIOS_BASE, host_bios_page().v + PAGE_SIZE, HOST_ACPI_BIOS_SIZE, MEM_RWX);
    map_low(vm);
    map_high(vm);
    protect_tables(vm);
    register_handlers(vm);
    for (u32 i = 0; i < host_fn_count; i++)
        if (host_fns[i].command & PCI_CMD_MEM)
            host_msix_track(vm, &host_fns[i]);
}
