/*
 * Where the virtual platform of a VM answers: ports, guest-physical addresses, interrupt lines. The device
 * models in src/x86/vdev and the firmware tables (ACPI, e820) that tell the guest about them both take the
 * numbers from here. Layer 5.
 */
#ifndef BH_X86_VDEV_PLATFORM_MAP_H
#define BH_X86_VDEV_PLATFORM_MAP_H

/* ---- memory-mapped ---- */
#define PLAT_LAPIC_BASE      0xfee00000ULL /* fixed: IA32_APIC_BASE cannot move it */
#define PLAT_LAPIC_SIZE      0x1000ULL
#define PLAT_IOAPIC_BASE     0xfec00000ULL
#define PLAT_IOAPIC_SIZE     0x1000ULL
#define PLAT_IOAPIC_ID       0 /* written by firmware into the ID register and the MADT */
#define PLAT_IOAPIC_PINS     24
#define PLAT_USER_PINS       48 /* of a user VM: hypercall-abi.md section 2.4 */
#define PLAT_IOAPIC_GSI_BASE 0

/* ---- interrupt lines ---- */
#define PLAT_IRQ_PIT                                                                                         \
    0 /* ISA IRQ; reaches vIOAPIC pin PLAT_GSI_PIT (MADT interrupt source override 0 -> 2)                   \
       */
#define PLAT_GSI_PIT        2
#define PLAT_IRQ_CASCADE    2 /* slave 8259 on the master; no device may use ISA IRQ 2 */
#define PLAT_IRQ_RTC        8
#define PLAT_GSI_SCI        9 /* level, active high: MADT override 9 -> 9 with flags 0x000d */
#define PLAT_ISA_IRQS       16
#define PLAT_SCI_MADT_FLAGS 0x000d
#define PLAT_PIT_MADT_FLAGS 0x0000 /* conforms to the bus: edge, active high */
#define PLAT_LINT_NMI       1 /* LINT1 of every vCPU is the NMI input (MADT local APIC NMI, processor 0xff) */

/* ---- ports ---- */
#define PLAT_PIC_MASTER  0x0020
#define PLAT_PIC_SLAVE   0x00a0
#define PLAT_PIC_ELCR    0x04d0 /* two bytes */
#define PLAT_PIT_BASE    0x0040 /* four bytes */
#define PLAT_PORT_B      0x0061 /* speaker gate and output of PIT channel 2 */
#define PLAT_KBC_CMD     0x0064 /* only the CPU-reset command 0xfe acts; there is no controller */
#define PLAT_RTC_BASE    0x0070 /* index, data */
#define PLAT_POST        0x0080 /* delay port: accepts and forgets */
#define PLAT_PORT_A      0x0092 /* bit 0: fast reset, bit 1: A20 (always on) */
#define PLAT_PM_BASE     0x0400 /* ACPI fixed hardware, 12 bytes: */
#define PLAT_PM_SIZE     12
#define PLAT_PM1_EVT     0x0400 /* PM1a event block: status (2), enable (2) */
#define PLAT_PM1_EVT_LEN 4
#define PLAT_PM1_CNT     0x0404 /* PM1a control (2) */
#define PLAT_PM1_CNT_LEN 2
#define PLAT_PM_TMR      0x0408 /* PM timer (4), 32 bits wide: FADT flag TMR_VAL_EXT is true */
#define PLAT_PM_TMR_LEN  4
#define PLAT_PM_TMR_HZ   3579545ULL
#define PLAT_RESET_PORT  0x0cf9 /* FADT RESET_REG, 8 bits wide in system I/O space */
#define PLAT_RESET_VALUE 0x06   /* FADT RESET_VALUE */

/* ---- ACPI ---- */
#define PLAT_SLP_TYP_S5 5 /* _S5 package: {5, 0, 0, 0} */
/* There is no SMI command port: FADT SMI_CMD 0, the machine is always in ACPI mode (SCI_EN reads 1). */

/* ---- CMOS ---- */
#define PLAT_CMOS_CENTURY 0x32 /* FADT CENTURY */

#endif
