/* The memory map a VM's firmware reports. */
#include <arch/platform.h>
#include <core/vm.h>
#include <lib/log.h>
#include "firmware.h"

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

/*
 * RAM up to the EBDA, the EBDA, the ROM area (backed by RAM: the ACPI tables lie in it), and RAM as the VM's
 * memory blocks say. Blocks that touch become one entry. Entries ascend and never overlap. Memory beyond the
 * table's last entry is not reported; bhc keeps scenarios far from that.
 */
unsigned arch_vm_e820(struct vm *vm, struct e820_entry out[PLATFORM_E820_MAX])
{
    unsigned n = 0;

    n = add(out, n, 0, FW_EBDA, E820_RAM);
    n = add(out, n, FW_EBDA, FW_VGA, E820_RESERVED);
    n = add(out, n, FW_VGA, FW_HIGH_MEM, E820_RESERVED);
    for (unsigned i = 0; i < vm->cfg->mem_count; i++) {
        const struct cfg_mem *m = &vm->cfg->mem[i];

        n = add(out, n, MAX(m->gpa, FW_HIGH_MEM), m->gpa + m->size, E820_RAM);
    }
    return n;
}
