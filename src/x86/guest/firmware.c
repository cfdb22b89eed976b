/* Writes the firmware's view of a VM into its memory. */
#include <arch/platform.h>
#include <core/vm.h>
#include <lib/log.h>
#include <lib/string.h>
#include "firmware.h"
#include "x86/guest/host_acpi.h"
#include "x86/vdev/host.h"

typedef void (*table_fn)(struct acpi_buf *b);
typedef void (*vm_table_fn)(struct acpi_buf *b, const struct vm *vm);

/* Where each table goes, how much room it has there, and who builds it. */
static const struct {
    u32 at, room;
    table_fn fixed;
    vm_table_fn per_vm;
} tables[] = {
    {FW_RSDP, FW_RSDT - FW_RSDP, acpi_build_rsdp, NULL}, {FW_RSDT, FW_XSDT - FW_RSDT, acpi_build_rsdt, NULL},
    {FW_XSDT, FW_FADT - FW_XSDT, acpi_build_xsdt, NULL}, {FW_FADT, FW_FACS - FW_FADT, acpi_build_fadt, NULL},
    {FW_FACS, FW_MADT - FW_FACS, acpi_build_facs, NULL}, {FW_MADT, FW_MADT_MAX, NULL, acpi_build_madt},
    {FW_DSDT, FW_DSDT_MAX, NULL, acpi_build_dsdt},
};

/* The two words of the BIOS data area that loaders and kernels look at: EBDA segment (0x40e) and KiB of low
 * RAM (0x413). The EBDA's first byte is its size in KiB. */
static int write_bios_data(struct vm *vm)
{
    const u16 ebda = FW_EBDA >> 4;
    const u16 low_kib = FW_EBDA >> 10;
    const u8 ebda_kib = 1;
    int err = vm_gpa_zero(vm, gpa(0), PAGE_SIZE);

    if (!err)
        err = vm_gpa_zero(vm, gpa(FW_EBDA), FW_VGA - FW_EBDA);
    if (!err)
        err = vm_gpa_write(vm, gpa(FW_BDA + 0x0e), &ebda, sizeof(ebda));
    if (!err)
        err = vm_gpa_write(vm, gpa(FW_BDA + 0x13), &low_kib, sizeof(low_kib));
    if (!err)
        err = vm_gpa_write(vm, gpa(FW_EBDA), &ebda_kib, 1);
    return err;
}

int arch_vm_build_firmware(struct vm *vm)
{
    u8 data[ACPI_BUF_SIZE];
    int err;

    if (CFG_SERVICE && vm->cfg->kind == VM_SERVICE)
        host_bios_build();
    err = write_bios_data(vm);
    if (CFG_SERVICE && vm->cfg->kind == VM_SERVICE)
        return err;

    if (!err)
        err = vm_gpa_zero(vm, gpa(FW_TABLES), FW_HIGH_MEM - FW_TABLES);
    for (unsigned i = 0; !err && i < ARRAY_SIZE(tables); i++) {
        struct acpi_buf b = {.data = data, .cap = MIN(sizeof(data), tables[i].room)};

        if (tables[i].fixed)
            tables[i].fixed(&b);
        else
            tables[i].per_vm(&b, vm);
        if (b.overflow) {
            log_err("vm '%s': firmware table %u needs more than %u bytes", vm->cfg->name, i, b.cap);
            return -ENOMEM_;
        }
        err = vm_gpa_write(vm, gpa(tables[i].at), data, b.len);
    }
    return err;
}

u64 arch_vm_rsdp(struct vm *vm)
{
    return CFG_SERVICE && vm->cfg->kind == VM_SERVICE ? host_acpi_rsdp() : FW_RSDP;
}
