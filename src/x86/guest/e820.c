/* The memory map a VM's firmware reports. */
#include <arch/platform.h>
#include <core/vm.h>
#include <lib/log.h>
#include "firmware.h"
#include "x86/guest/host_acpi.h"
#include "x86/vdev/host.h"

static unsigned add(struct e820_entry out[PLATFORM_E820_MAX], unsigned n, u64 base, u64 end, u32 type)
{
    struct e820_entry *last = n ? &out[n - 1] : NULL;

    if (base >= end)
        return n;
    if (last && last->type == type && type == E820_RAM && last->base + last->size == base) {
        last->size += end - base;
        return n;
    }
    if (n == PLATFORM_E820_MAX)
        return n;
    out[n] = (struct e820_entry){.base = base, .size = end - base, .type = type};
    return n + 1;
}

/* Entries in ascending order; what does not fit is left out, RAM first of all. */
static unsigned insert(struct e820_entry out[PLATFORM_E820_MAX], unsigned n, u64 base, u64 end, u32 type)
{
    unsigned i = n;

    if (base >= end || n == PLATFORM_E820_MAX)
        return n;
    for (; i > 0 && out[i - 1].base > base; i--)
        out[i] = out[i - 1];
    out[i] = (struct e820_entry){.base = base, .size = end - base, .type = type};
    return n + 1;
}

/* ---- the service VM's: the real machine's RAM with holes ---- */

/* RAM of the board between `at` and `end` that is not the VM's: reserved, so that no guest puts devices
 * there. */
static unsigned reserve_others(const struct cfg_vm *cfg, struct e820_entry out[PLATFORM_E820_MAX], unsigned n,
                               u64 at, u64 end)
{
    at = MAX(at, FW_HIGH_MEM);
    for (unsigned i = 0; i < cfg->mem_count; i++) {
        const struct cfg_mem *m = &cfg->mem[i];

        if (m->gpa + m->size <= at || m->gpa >= end)
            continue;
        n = insert(out, n, at, MIN(m->gpa, end), E820_RESERVED);
        at = m->gpa + m->size;
    }
    return insert(out, n, at, end, E820_RESERVED);
}

/* One entry for each run of pages with ACPI tables: usually all of them together. */
static unsigned reserve_tables(struct e820_entry out[PLATFORM_E820_MAX], unsigned n)
{
    u64 from = ~(u64)0, to = 0;
    struct cfg_range t;

    for (unsigned i = 0; host_acpi_table(i, &t); i++) {
        if (t.base < FW_HIGH_MEM)
            continue;
        from = MIN(from, ALIGN_DOWN(t.base, PAGE_SIZE));
        to = MAX(to, ALIGN_UP(t.base + t.size, PAGE_SIZE));
    }
    /* Only when nothing else lies between them. */
    for (unsigned i = 0; i < n; i++)
        if (out[i].base < to && from < out[i].base + out[i].size)
            return n;
    return insert(out, n, from, to, E820_RESERVED);
}

/* Shared memory, where nothing else is said about its place. */
static unsigned reserve_shared(const struct cfg_vm *cfg, struct e820_entry out[PLATFORM_E820_MAX], unsigned n)
{
    for (const struct cfg_shm_view *w = cfg->shms; w < &cfg->shms[cfg->shm_count]; w++) {
        u64 end = w->gpa + cfg_shms[w->shm].size;
        bool known = false;

        for (unsigned i = 0; i < n && !known; i++)
            known = out[i].base < end && w->gpa < out[i].base + out[i].size;
        if (!known)
            n = insert(out, n, w->gpa, end, E820_RESERVED);
    }
    return n;
}

static unsigned service_e820(const struct cfg_vm *cfg, struct e820_entry out[PLATFORM_E820_MAX])
{
    unsigned n = 0;

    for (unsigned i = 0; i < cfg->mem_count; i++)
        n = insert(out, n, cfg->mem[i].gpa, cfg->mem[i].gpa + cfg->mem[i].size, E820_RAM);
    n = insert(out, n, HOST_EBDA_PAGE, FW_VGA, E820_RESERVED);
    n = insert(out, n, HOST_ACPI_BIOS_BASE, FW_HIGH_MEM, E820_RESERVED);
    if (cfg_board.mcfg_base) /* a guest uses the space only when it is reserved here */
        n = insert(out, n, cfg_board.mcfg_base + ((u64)cfg_board.mcfg_start_bus << 20),
                   cfg_board.mcfg_base + (((u64)cfg_board.mcfg_end_bus + 1) << 20), E820_RESERVED);
    for (u32 i = 0; i < cfg_board.ram_count; i++)
        n = reserve_others(cfg, out, n, cfg_board.ram[i].base, cfg_board.ram[i].base + cfg_board.ram[i].size);
    n = reserve_tables(out, n);
    return CFG_SHMS ? reserve_shared(cfg, out, n) : n;
}

/*
 * RAM up to the EBDA, the EBDA, the ROM area (backed by RAM: the ACPI tables lie in it), and RAM as the VM's
 * memory blocks say; shared memory is reserved. Blocks that touch become one entry. Entries ascend and never
 * overlap. Memory beyond the table's last entry is not reported; bhc keeps scenarios far from that.
 */
unsigned arch_vm_e820(struct vm *vm, struct e820_entry out[PLATFORM_E820_MAX])
{
    unsigned n = 0;

    if (CFG_SERVICE && vm->cfg->kind == VM_SERVICE)
        return service_e820(vm->cfg, out);
    n = add(out, n, 0, FW_EBDA, E820_RAM);
    n = add(out, n, FW_EBDA, FW_VGA, E820_RESERVED);
    n = add(out, n, FW_VGA, FW_HIGH_MEM, E820_RESERVED);
    for (unsigned i = 0; i < vm->cfg->mem_count; i++) {
        const struct cfg_mem *m = &vm->cfg->mem[i];

        n = add(out, n, MAX(m->gpa, FW_HIGH_MEM), m->gpa + m->size, E820_RAM);
    }
    return CFG_SHMS ? reserve_shared(vm->cfg, out, n) : n;
}
