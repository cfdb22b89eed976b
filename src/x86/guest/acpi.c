/* ACPI tables of a VM (ACPI specification 6.0, chapter 5). The numbers come from x86/vdev/platform_map.h. */
#include <core/vm.h>
#include <lib/string.h>
#include "x86/vdev/platform_map.h"
#include "firmware.h"

#define OEM_ID       "BULKHD"
#define OEM_TABLE_ID "BHGUEST "
#define CREATOR_ID   "BHHV"

struct acpi_header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem_id[6], oem_table_id[8];
    u32 oem_revision;
    char creator_id[4];
    u32 creator_revision;
} PACKED;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.0 table 5-30");

struct acpi_gas {
    u8 space, width, offset, access;
    u64 address;
} PACKED;
_Static_assert(sizeof(struct acpi_gas) == 12, "ACPI 6.0 table 5-25");

struct acpi_rsdp {
    char signature[8];
    u8 checksum;
    char oem_id[6];
    u8 revision;
    u32 rsdt, length;
    u64 xsdt;
    u8 ext_checksum, reserved[3];
} PACKED;
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.0 table 5-27");

struct acpi_fadt {
    struct acpi_header h;
    u32 firmware_ctrl, dsdt;
    u8 int_model, pm_profile;
    u16 sci_int;
    u32 smi_cmd;
    u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
    u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
    u16 c2_latency, c3_latency, flush_size, flush_stride;
    u8 duty_offset, duty_width, day_alarm, month_alarm, century;
    u16 boot_arch;
    u8 reserved;
    u32 flags;
    struct acpi_gas reset_reg;
    u8 reset_value;
    u16 arm_boot_arch;
    u8 minor;
    u64 x_firmware_ctrl, x_dsdt;
    struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
    struct acpi_gas sleep_control, sleep_status;
    char hypervisor[8];
} PACKED;
_Static_assert(sizeof(struct acpi_fadt) == 276 && offsetof(struct acpi_fadt, sci_int) == 46 &&
                   offsetof(struct acpi_fadt, pm_tmr) == 76 && offsetof(struct acpi_fadt, boot_arch) == 109 &&
                   offsetof(struct acpi_fadt, flags) == 112 && offsetof(struct acpi_fadt, reset_reg) == 116 &&
                   offsetof(struct acpi_fadt, x_dsdt) == 140 && offsetof(struct acpi_fadt, x_pm_tmr) == 208 &&
                   offsetof(struct acpi_fadt, hypervisor) == 268,
               "ACPI 6.0 table 5-34");

/* IA-PC boot architecture flags (ACPI 6.0 table 5-35): ISA devices yes, no 8042, no VGA; the CMOS clock is
 * there. */
#define BOOT_LEGACY_DEVICES BIT32(0)
#define BOOT_NO_VGA         BIT32(2)

/* FADT feature flags (table 5-34, "Fixed ACPI Description Table Fixed Feature Flags"). */
#define FADT_WBINVD        BIT32(0)
#define FADT_PROC_C1       BIT32(2)
#define FADT_NO_PWR_BUTTON BIT32(4) /* no fixed-hardware button */
#define FADT_NO_SLP_BUTTON BIT32(5)
#define FADT_NO_FIX_RTC    BIT32(6)
#define FADT_TMR_32BIT     BIT32(8)
#define FADT_RESET_REG     BIT32(10)
#define FADT_HEADLESS      BIT32(12)

#define GAS_IO      1u
#define NO_C_STATE  0xffffu /* latency above the limits of table 5-34: C2 and C3 do not exist */
#define FACS_LENGTH 64u

NOINLINE void acpi_put(struct acpi_buf *b, const void *src, u32 len)
{
    if (b->overflow || len > b->cap - b->len) {
        b->overflow = true;
        return;
    }
    memcpy(b->data + b->len, src, len);
    b->len += len;
}

NOINLINE void acpi_put8(struct acpi_buf *b, u8 v)
{
    acpi_put(b, &v, sizeof(v));
}

NOINLINE void acpi_put16(struct acpi_buf *b, u16 v)
{
    acpi_put(b, &v, sizeof(v));
}

NOINLINE void acpi_put32(struct acpi_buf *b, u32 v)
{
    acpi_put(b, &v, sizeof(v));
}

void acpi_begin(struct acpi_buf *b, const char signature[4], u8 revision)
{
    struct acpi_header h = {.revision = revision,
                            .oem_id = OEM_ID,
                            .oem_table_id = OEM_TABLE_ID,
                            .oem_revision = 1,
                            .creator_id = CREATOR_ID,
                            .creator_revision = 1};

    memcpy(h.signature, signature, sizeof(h.signature));
    acpi_put(b, &h, sizeof(h));
}

/* The byte that makes the sum over len bytes zero. */
static NOINLINE u8 checksum(const void *data, u32 len)
{
    const u8 *p = data;
    u32 sum = 0;

    for (u32 i = 0; i < len; i++)
        sum += p[i];
    return (u8)(0u - sum);
}

NOINLINE void acpi_end(struct acpi_buf *b)
{
    struct acpi_header h;

    if (b->overflow)
        return;
    memcpy(&h, b->data, sizeof(h));
    h.length = b->len;
    h.checksum = 0;
    memcpy(b->data, &h, sizeof(h));
    h.checksum = checksum(b->data, b->len);
    memcpy(b->data, &h, sizeof(h));
}

void acpi_build_root_pointer(struct acpi_buf *b, u32 rsdt, u64 xsdt)
{
    struct acpi_rsdp r = {.signature = "RSD PTR ",
                          .oem_id = OEM_ID,
                          .revision = 2,
                          .rsdt = rsdt,
                          .length = sizeof(r),
                          .xsdt = xsdt};

    r.checksum = checksum(&r, 20); /* the ACPI 1.0 part */
    r.ext_checksum = checksum(&r, sizeof(r));
    acpi_put(b, &r, sizeof(r));
}

void acpi_build_rsdp(struct acpi_buf *b)
{
    acpi_build_root_pointer(b, FW_RSDT, FW_XSDT);
}

void acpi_build_rsdt(struct acpi_buf *b)
{
    acpi_begin(b, "RSDT", 1);
    acpi_put32(b, FW_FADT);
    acpi_put32(b, FW_MADT);
    acpi_end(b);
}

void acpi_build_xsdt(struct acpi_buf *b)
{
    const u64 fadt = FW_FADT, madt = FW_MADT;

    acpi_begin(b, "XSDT", 1);
    acpi_put(b, &fadt, sizeof(fadt));
    acpi_put(b, &madt, sizeof(madt));
    acpi_end(b);
}

#define IO_REG(port, bytes, size)                                                                            \
    {                                                                                                        \
        .space = GAS_IO, .width = (bytes)*8, .access = (size), .address = (port)                             \
    }

/* All but the header, which acpi_begin() writes. */
static const struct acpi_fadt fadt = {
    .firmware_ctrl = FW_FACS,
    .dsdt = FW_DSDT,
    .sci_int = PLAT_GSI_SCI,
    .pm1a_evt = PLAT_PM1_EVT,
    .pm1a_cnt = PLAT_PM1_CNT,
    .pm_tmr = PLAT_PM_TMR,
    .pm1_evt_len = PLAT_PM1_EVT_LEN,
    .pm1_cnt_len = PLAT_PM1_CNT_LEN,
    .pm_tmr_len = PLAT_PM_TMR_LEN,
    .c2_latency = NO_C_STATE,
    .c3_latency = NO_C_STATE,
    .century = PLAT_CMOS_CENTURY,
    .boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA,
    .flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR_BUTTON | FADT_NO_SLP_BUTTON | FADT_NO_FIX_RTC |
             FADT_TMR_32BIT | FADT_RESET_REG | FADT_HEADLESS,
    .reset_reg = IO_REG(PLAT_RESET_PORT, 1, 1),
    .reset_value = PLAT_RESET_VALUE,
    .x_dsdt = FW_DSDT,
    .x_pm1a_evt = IO_REG(PLAT_PM1_EVT, PLAT_PM1_EVT_LEN, 2),
    .x_pm1a_cnt = IO_REG(PLAT_PM1_CNT, PLAT_PM1_CNT_LEN, 2),
    .x_pm_tmr = IO_REG(PLAT_PM_TMR, PLAT_PM_TMR_LEN, 3),
    .hypervisor = {'B', 'u', 'l', 'k', 'h', 'e', 'a', 'd'},
};

void acpi_build_fadt(struct acpi_buf *b)
{
    acpi_begin(b, "FACP", 6);
    acpi_put(b, (const u8 *)&fadt + sizeof(fadt.h), sizeof(fadt) - sizeof(fadt.h));
    acpi_end(b);
}

/* ACPI 6.0 5.2.10: no checksum, no common header. No global lock holder, no S4BIOS, version 2. */
void acpi_build_facs(struct acpi_buf *b)
{
    u8 facs[FACS_LENGTH] = {'F', 'A', 'C', 'S', FACS_LENGTH};

    facs[32] = 2;
    acpi_put(b, facs, sizeof(facs));
}

static void madt_override(struct acpi_buf *b, u8 irq, u32 gsi, u16 flags)
{
    acpi_put8(b, 2);
    acpi_put8(b, 10);
    acpi_put8(b, 0); /* bus: ISA */
    acpi_put8(b, irq);
    acpi_put32(b, gsi);
    acpi_put16(b, flags);
}

/* ACPI 6.0 5.2.12: one local APIC per vCPU (UID = APIC id = vCPU id), the IOAPIC, two overrides, LINT1 as
 * NMI. */
void acpi_build_madt(struct acpi_buf *b, const struct vm *vm)
{
    acpi_begin(b, "APIC", 4);
    acpi_put32(b, (u32)PLAT_LAPIC_BASE);
    acpi_put32(b, 1); /* PCAT_COMPAT: there are 8259s as well */
    for (u32 i = 0; i < vm->cfg->vcpu_count; i++) {
        acpi_put8(b, 0);
        acpi_put8(b, 8);
        acpi_put8(b, (u8)i);
        acpi_put8(b, (u8)i);
        acpi_put32(b, 1); /* enabled */
    }
    acpi_put8(b, 1);
    acpi_put8(b, 12);
    acpi_put8(b, PLAT_IOAPIC_ID);
    acpi_put8(b, 0);
    acpi_put32(b, (u32)PLAT_IOAPIC_BASE);
    acpi_put32(b, PLAT_IOAPIC_GSI_BASE);
    madt_override(b, PLAT_IRQ_PIT, PLAT_GSI_PIT, PLAT_PIT_MADT_FLAGS);
    madt_override(b, PLAT_GSI_SCI, PLAT_GSI_SCI, PLAT_SCI_MADT_FLAGS);
    acpi_put8(b, 4);
    acpi_put8(b, 6);
    acpi_put8(b, 0xff); /* every processor */
    acpi_put16(b, 0);
    acpi_put8(b, PLAT_LINT_NMI);
    acpi_end(b);
}
_Static_assert(CFG_MAX_VCPUS_PER_VM <= 128 && 44 + CFG_MAX_VCPUS_PER_VM * 8 + 12 + 20 + 6 <= ACPI_BUF_SIZE,
               "8-bit APIC ids, 0xff is every processor; the MADT fits its buffer");
