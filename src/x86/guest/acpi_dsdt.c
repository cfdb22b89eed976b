/*
 * The DSDT of a VM, written as AML (ACPI 6.0 chapter 20). For a VM with one UART at 0x3f8 on GSI 4 and 256
 * MiB of RAM it is what this ASL gives:
 *
 *   DefinitionBlock ("", "DSDT", 2, "BULKHD", "BHGUEST ", 1)
 *   {
 *       Name (_S5, Package (0x04) {0x05, 0x05, Zero, Zero})
 *       Scope (_SB)
 *       {
 *           Device (PCI0)
 *           {
 *               Name (_HID, EisaId ("PNP0A03"))
 *               Name (_UID, Zero)
 *               Name (_BBN, Zero)
 *               Name (_CRS, ResourceTemplate ()
 *               {
 *                   WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
 *                   IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
 *                   WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0, 0x0CF7, 0,
 * 0x0CF8) WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0D00, 0xFFFF, 0, 0xF300)
 *                   DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
 *                       0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
 *               })
 *           }
 *           Device (RTC0)
 *           {
 *               Name (_HID, EisaId ("PNP0B00"))
 *               Name (_CRS, ResourceTemplate () {IO (Decode16, 0x70, 0x70, 1, 2) IRQNoFlags () {8}})
 *           }
 *           Device (COM0)
 *           {
 *               Name (_HID, EisaId ("PNP0501"))
 *               Name (_UID, Zero)
 *               Name (_CRS, ResourceTemplate () {IO (Decode16, 0x3F8, 0x3F8, 1, 8) IRQNoFlags () {4}})
 *           }
 *       }
 *   }
 */
#include <core/vm.h>
#include <lib/string.h>
#include "x86/vdev/platform_map.h"
#include "firmware.h"

/* Opcodes (ACPI 6.0 20.2). */
#define AML_ZERO    0x00
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_WORD    0x0b
#define AML_DWORD   0x0c
#define AML_SCOPE   0x10
#define AML_BUFFER  0x11
#define AML_PACKAGE 0x12
#define AML_EXT     0x5b
#define AML_DEVICE  0x82

/* Compressed EISA ids (ACPI 6.0 19.3.4): three letters of 5 bits, four hexadecimal digits, big-endian. */
#define EISA(a, b, c, n)                                                                                     \
    (((u32)((((a)-64) << 2) | (((b)-64) >> 3))) | ((u32)(((((b)-64) & 7) << 5) | ((c)-64)) << 8) |           \
     ((u32)((n) >> 8) << 16) | ((u32)((n)&0xff) << 24))
#define EISA_PCI  EISA('P', 'N', 'P', 0x0a03)
#define EISA_RTC  EISA('P', 'N', 'P', 0x0b00)
#define EISA_UART EISA('P', 'N', 'P', 0x0501)

/* The 32-bit PCI window lies between RAM and the IOAPIC, from 3 GiB when RAM ends before. */
#define PCI_WINDOW_MIN 0xc0000000ULL
#define PCI_WINDOW_END PLAT_IOAPIC_BASE

/* PkgLength counts itself (20.2.4); always written in its two-byte form, up to 4095, and filled in by
 * pkg_end(). */
static u32 pkg_begin(struct acpi_buf *b)
{
    u32 at = b->len;

    acpi_put16(b, 0);
    return at;
}

static NOINLINE void pkg_end(struct acpi_buf *b, u32 at)
{
    u32 len = b->len - at;

    if (b->overflow)
        return;
    if (len > 0xfff) {
        b->overflow = true;
        return;
    }
    b->data[at] = (u8)(0x40u | (len & 0xf));
    b->data[at + 1] = (u8)(len >> 4);
}

static NOINLINE void aml_name(struct acpi_buf *b, const char name[4])
{
    acpi_put8(b, AML_NAME);
    acpi_put(b, name, 4);
}

static void aml_byte(struct acpi_buf *b, u8 v)
{
    acpi_put8(b, AML_BYTE);
    acpi_put8(b, v);
}

static NOINLINE u32 device_begin(struct acpi_buf *b, const char name[4], u32 hid)
{
    u32 at;

    acpi_put8(b, AML_EXT);
    acpi_put8(b, AML_DEVICE);
    at = pkg_begin(b);
    acpi_put(b, name, 4);
    aml_name(b, "_HID");
    acpi_put8(b, AML_DWORD);
    acpi_put32(b, hid);
    return at;
}

/* _CRS: a buffer whose size operand is a word, so that it can be filled in afterwards. */
struct crs {
    u32 pkg, size_at;
};

static NOINLINE struct crs crs_begin(struct acpi_buf *b)
{
    struct crs c;

    aml_name(b, "_CRS");
    acpi_put8(b, AML_BUFFER);
    c.pkg = pkg_begin(b);
    acpi_put8(b, AML_WORD);
    c.size_at = b->len;
    acpi_put16(b, 0);
    return c;
}

static NOINLINE void crs_end(struct acpi_buf *b, struct crs c)
{
    u32 size;

    acpi_put16(b, 0x0079); /* end tag; checksum 0 means: treat as correct (6.4.2.9) */
    if (b->overflow)
        return;
    size = b->len - c.size_at - 2;
    b->data[c.size_at] = (u8)size;
    b->data[c.size_at + 1] = (u8)(size >> 8);
    pkg_end(b, c.pkg);
}

/* I/O port descriptor (6.4.2.5). */
static NOINLINE void crs_io(struct acpi_buf *b, u16 port, u8 count)
{
    acpi_put8(b, 0x47);
    acpi_put8(b, 1); /* decodes 16 bits */
    acpi_put16(b, port);
    acpi_put16(b, port);
    acpi_put8(b, 1);
    acpi_put8(b, count);
}

/* Interrupt: the short ISA form (6.4.2.1) or, from 16 up, the extended one (6.4.3.6): edge, active high,
 * exclusive, consumer. */
static NOINLINE void crs_irq(struct acpi_buf *b, u8 gsi)
{
    if (gsi < PLAT_ISA_IRQS) {
        acpi_put8(b, 0x22);
        acpi_put16(b, (u16)(1u << gsi));
        return;
    }
    acpi_put8(b, 0x89);
    acpi_put16(b, 6);
    acpi_put8(b, 0x03);
    acpi_put8(b, 1);
    acpi_put32(b, gsi);
}

/* Word address space descriptor (6.4.3.5.3): type 1 I/O, 2 bus numbers; producer, fixed, positive decode. */
static NOINLINE void crs_word_range(struct acpi_buf *b, u8 type, u8 type_flags, u16 min, u16 max)
{
    acpi_put8(b, 0x88);
    acpi_put16(b, 13);
    acpi_put8(b, type);
    acpi_put8(b, 0x0c);
    acpi_put8(b, type_flags);
    acpi_put16(b, 0);
    acpi_put16(b, min);
    acpi_put16(b, max);
    acpi_put16(b, 0);
    acpi_put16(b, (u16)(max - min + 1));
}

/* DWord address space descriptor (6.4.3.5.2) for memory: non-cacheable, read-write. */
static void crs_memory(struct acpi_buf *b, u32 min, u32 max)
{
    acpi_put8(b, 0x87);
    acpi_put16(b, 23);
    acpi_put8(b, 0);
    acpi_put8(b, 0x0c);
    acpi_put8(b, 0x01);
    acpi_put32(b, 0);
    acpi_put32(b, min);
    acpi_put32(b, max);
    acpi_put32(b, 0);
    acpi_put32(b, max - min + 1);
}

static void put_pci(struct acpi_buf *b, const struct vm *vm)
{
    u64 window = PCI_WINDOW_MIN;
    u32 dev = device_begin(b, "PCI0", EISA_PCI);
    struct crs c;

    for (unsigned i = 0; i < vm->cfg->mem_count; i++) {
        const struct cfg_mem *m = &vm->cfg->mem[i];

        if (m->gpa < PCI_WINDOW_END)
            window = MAX(window, ALIGN_UP(m->gpa + m->size, MIB(1)));
    }
    aml_name(b, "_UID");
    acpi_put8(b, AML_ZERO);
    aml_name(b, "_BBN");
    acpi_put8(b, AML_ZERO);
    c = crs_begin(b);
    crs_word_range(b, 2, 0, 0, 0);
    crs_io(b, 0xcf8, 8);
    crs_word_range(b, 1, 3, 0, 0xcf7);
    crs_word_range(b, 1, 3, 0xd00, 0xffff);
    if (window < PCI_WINDOW_END)
        crs_memory(b, (u32)window, (u32)(PCI_WINDOW_END - 1));
    crs_end(b, c);
    pkg_end(b, dev);
}

static void put_rtc(struct acpi_buf *b)
{
    u32 dev = device_begin(b, "RTC0", EISA_RTC);
    struct crs c = crs_begin(b);

    crs_io(b, PLAT_RTC_BASE, 2);
    crs_irq(b, PLAT_IRQ_RTC);
    crs_end(b, c);
    pkg_end(b, dev);
}

static void put_uart(struct acpi_buf *b, unsigned index, const struct cfg_vuart *u)
{
    static const char digits[] = "0123456789ABCDEF";
    const char name[4] = {'C', 'O', 'M', digits[index & 0xf]};
    u32 dev = device_begin(b, name, EISA_UART);
    struct crs c;

    aml_name(b, "_UID");
    if (index == 0)
        acpi_put8(b, AML_ZERO);
    else
        aml_byte(b, (u8)index);
    c = crs_begin(b);
    crs_io(b, u->port, 8);
    crs_irq(b, u->gsi);
    crs_end(b, c);
    pkg_end(b, dev);
}

void acpi_build_dsdt(struct acpi_buf *b, const struct vm *vm)
{
    u32 pkg;

    acpi_begin(b, "DSDT", 2);
    aml_name(b, "_S5_");
    acpi_put8(b, AML_PACKAGE);
    pkg = pkg_begin(b);
    acpi_put8(b, 4);
    aml_byte(b, PLAT_SLP_TYP_S5);
    aml_byte(b, PLAT_SLP_TYP_S5);
    acpi_put8(b, AML_ZERO);
    acpi_put8(b, AML_ZERO);
    pkg_end(b, pkg);

    acpi_put8(b, AML_SCOPE);
    pkg = pkg_begin(b);
    acpi_put(b, "_SB_", 4);
    put_pci(b, vm);
    put_rtc(b);
    /* Names COM0 to COMF: further UARTs work, the guest just is not told. */
    for (unsigned i = 0; i < MIN(vm->cfg->vuart_count, 16u); i++)
        put_uart(b, i, &vm->cfg->vuarts[i]);
    pkg_end(b, pkg);
    acpi_end(b);
}
