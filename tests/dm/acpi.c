/*
 * ACPI tables: acpi.h. Layouts from the ACPI Specification 6.4: RSDP 5.2.5.3, XSDT 5.2.8, FADT 5.2.9 (here in
 * the form of revision 3), FACS 5.2.10, MADT 5.2.12; AML chapter 20, resource descriptors 6.4.
 */
#include "acpi.h"

#include <stdbool.h>
#include <string.h>

#include "pm.h"
#include "rtc.h"

enum {
    RSDP_BYTES = 36,
    HEADER_BYTES = 36,
    FADT_BYTES = 244,
    FACS_BYTES = 64,
    SCI_IRQ = 9,
    GAS_SYSTEM_IO = 1,
};

/* A table or a piece of AML while it is written. full stays set once something did not fit. */
struct writer {
    uint8_t *out;
    size_t used, size;
    bool full;
};

static void put(struct writer *w, const void *data, size_t length)
{
    if (w->full || length > w->size - w->used) {
        w->full = true;
        return;
    }
    memcpy(w->out + w->used, data, length);
    w->used += length;
}

static void put8(struct writer *w, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    put(w, &byte, sizeof(byte));
}

static void put16(struct writer *w, unsigned value)
{
    uint16_t word = (uint16_t)value;
    put(w, &word, sizeof(word));
}

static void put32(struct writer *w, uint32_t value)
{
    put(w, &value, sizeof(value));
}

static void put64(struct writer *w, uint64_t value)
{
    put(w, &value, sizeof(value));
}

/* Zeros up to an offset from start. */
static void pad_to(struct writer *w, size_t start, size_t offset)
{
    while (!w->full && w->used < start + offset)
        put8(w, 0);
}

static void align(struct writer *w, size_t to)
{
    while (!w->full && w->used % to != 0)
        put8(w, 0);
}

/* Generic address structure, section 5.2.3.2. */
static void put_io_address(struct writer *w, unsigned port, unsigned bits)
{
    put8(w, GAS_SYSTEM_IO);
    put8(w, bits);
    put8(w, 0);
    put8(w, bits >= 32 ? 3 : bits >= 16 ? 2 : 1);
    put64(w, port);
}

static uint8_t checksum(const uint8_t *data, size_t length)
{
    unsigned sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += data[i];
    return (uint8_t)(0u - sum);
}

/* A table's header, section 5.2.6; its length and checksum come when it is finished. Returns where it starts.
 */
static size_t begin(struct writer *w, const char *signature, unsigned revision)
{
    align(w, 16);
    size_t start = w->used;
    put(w, signature, 4);
    put32(w, 0);
    put8(w, revision);
    put8(w, 0);
    put(w, "BULKHD", 6);
    put(w, "USERVM  ", 8);
    put32(w, 1);
    put(w, "BHDM", 4);
    put32(w, 1);
    return start;
}

static void finish(struct writer *w, size_t start)
{
    if (w->full)
        return;
    uint32_t length = (uint32_t)(w->used - start);
    memcpy(w->out + start + 4, &length, sizeof(length));
    w->out[start + 9] = checksum(w->out + start, length);
}

/* An AML package length that counts itself, section 20.2.4; content is what follows it. */
static void put_package(struct writer *w, const struct writer *content)
{
    size_t length = content->used + 1;
    if (length < 0x40) {
        put8(w, (unsigned)length);
    } else {
        length++;
        put8(w, 0x40u | (length & 0x0f));
        put8(w, (unsigned)(length >> 4));
    }
    put(w, content->out, content->used);
    w->full |= content->full;
}

/* Word address space descriptor, section 6.4.3.5.3, as a producer with fixed ends. type: 1 I/O, 2 bus
 * numbers. */
static void put_word_range(struct writer *w, unsigned type, unsigned specific, unsigned first, unsigned last)
{
    put8(w, 0x88);
    put16(w, 13);
    put8(w, type);
    put8(w, 0x0c);
    put8(w, specific);
    put16(w, 0);
    put16(w, first);
    put16(w, last);
    put16(w, 0);
    put16(w, last - first + 1);
}

/* DWord memory descriptor, section 6.4.3.5.2: not cached, read and write. */
static void put_memory_range(struct writer *w, uint32_t first, uint32_t last)
{
    put8(w, 0x87);
    put16(w, 23);
    put8(w, 0);
    put8(w, 0x0c);
    put8(w, 1);
    put32(w, 0);
    put32(w, first);
    put32(w, last);
    put32(w, 0);
    put32(w, last - first + 1);
}

/* Device (PCI0): the root bridge of bus 0 with its windows. */
static void put_root_bridge(struct writer *w)
{
    uint8_t device_bytes[192], buffer_bytes[128], resource_bytes[112];
    struct writer device = {device_bytes, 0, sizeof(device_bytes), false};
    struct writer buffer = {buffer_bytes, 0, sizeof(buffer_bytes), false};
    struct writer resources = {resource_bytes, 0, sizeof(resource_bytes), false};

    put_word_range(&resources, 2, 0, 0, 0); /* bus 0 alone */
    put(&resources, "\x47\x01\xf8\x0c\xf8\x0c\x01\x08",
        8); /* I/O port descriptor: 0xcf8 to 0xcff, consumed */
    put_word_range(&resources, 1, 3, 0x0000, 0x0cf7);
    put_word_range(&resources, 1, 3, 0x0d00, 0xffff);
    put_memory_range(&resources, 0xc0000000u, 0xfebfffffu);
    put(&resources, "\x79\x00", 2);

    put8(&buffer, 0x0a); /* BytePrefix: the buffer's size */
    put8(&buffer, (unsigned)resources.used);
    put(&buffer, resources.out, resources.used);
    buffer.full |= resources.full;

    put(&device, "PCI0", 4);
    put(&device, "\x08_HID\x0c\x41\xd0\x0a\x03", 10); /* Name (_HID, EisaId ("PNP0A03")) */
    put(&device, "\x08_CRS\x11", 6);                  /* Name (_CRS, Buffer ... */
    put_package(&device, &buffer);

    put(w, "\x5b\x82", 2); /* DeviceOp */
    put_package(w, &device);
}

static size_t put_dsdt(struct writer *w)
{
    uint8_t scope_bytes[256], sleep_bytes[16];
    struct writer scope = {scope_bytes, 0, sizeof(scope_bytes), false};
    struct writer sleep = {sleep_bytes, 0, sizeof(sleep_bytes), false};
    size_t start = begin(w, "DSDT", 2);

    put8(&sleep, 4); /* Package (4) {S5_SLEEP_TYPE, 0, 0, 0} */
    put8(&sleep, 0x0a);
    put8(&sleep, S5_SLEEP_TYPE);
    put(&sleep, "\0\0\0", 3);
    put(w, "\x08_S5_\x12", 6);
    put_package(w, &sleep);

    put(&scope, "_SB_", 4);
    put_root_bridge(&scope);
    put8(w, 0x10); /* ScopeOp */
    put_package(w, &scope);
    finish(w, start);
    return start;
}

static size_t put_facs(struct writer *w)
{
    align(w, 64);
    size_t start = w->used;
    put(w, "FACS", 4);
    put32(w, FACS_BYTES);
    pad_to(w, start, 32);
    put8(w, 2); /* version */
    pad_to(w, start, FACS_BYTES);
    return start;
}

static size_t put_fadt(struct writer *w, uint64_t facs, uint64_t dsdt)
{
    size_t start = begin(w, "FACP", 3);
    put32(w, (uint32_t)facs);
    put32(w, (uint32_t)dsdt);
    pad_to(w, start, 46);
    put16(w, SCI_IRQ);
    pad_to(w, start, 56);
    put32(w, PM1A_EVT_PORT);
    put32(w, 0);
    put32(w, PM1A_CNT_PORT);
    put32(w, 0);
    put32(w, 0);
    put32(w, PM_TMR_PORT);
    pad_to(w, start, 88);
    put8(w, 4); /* bytes of the PM1 event block */
    put8(w, 2); /* of PM1 control */
    put8(w, 0);
    put8(w, 4); /* of the PM timer */
    pad_to(w, start, 96);
    put16(w, 101);  /* C2 latency beyond 100 us: there is none */
    put16(w, 1001); /* no C3 */
    pad_to(w, start, 108);
    put8(w, RTC_CENTURY);
    put16(w, 1u << 0 | 1u << 2); /* legacy devices; no VGA */
    pad_to(w, start, 112);
    /* WBINVD, C1, no fixed power or sleep button, no fixed RTC wake, 32-bit PM timer, reset register */
    put32(w, 1u << 0 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 10);
    put_io_address(w, RESET_PORT, 8);
    put8(w, RESET_VALUE);
    pad_to(w, start, 132);
    put64(w, facs);
    put64(w, dsdt);
    put_io_address(w, PM1A_EVT_PORT, 32);
    pad_to(w, start, 172);
    put_io_address(w, PM1A_CNT_PORT, 16);
    pad_to(w, start, 208);
    put_io_address(w, PM_TMR_PORT, 32);
    pad_to(w, start, FADT_BYTES);
    finish(w, start);
    return start;
}

/* An ISA interrupt that is not wired as its number says. */
static void put_override(struct writer *w, unsigned irq, unsigned gsi, unsigned flags)
{
    put8(w, 2);
    put8(w, 10);
    put8(w, 0);
    put8(w, irq);
    put32(w, gsi);
    put16(w, flags);
}

static size_t put_madt(struct writer *w, unsigned cpus, const uint32_t *apic_ids)
{
    size_t start = begin(w, "APIC", 3);
    put32(w, LAPIC_BASE);
    put32(w, 1); /* PCAT_COMPAT: there are two 8259 */
    for (unsigned i = 0; i < cpus; i++) {
        put8(w, 0);
        put8(w, 8);
        put8(w, i);
        put8(w, apic_ids[i]);
        put32(w, 1);
    }
    put8(w, 1); /* I/O APIC */
    put8(w, 12);
    put8(w, 0);
    put8(w, 0);
    put32(w, IOAPIC_BASE);
    put32(w, 0);
    put_override(w, 0, 2, 0);
    put_override(w, SCI_IRQ, SCI_IRQ, 0x000d); /* active high, level */
    put8(w, 4);                                /* NMI on LINT1 of every processor */
    put8(w, 6);
    put8(w, 0xff);
    put16(w, 0);
    put8(w, 1);
    finish(w, start);
    return start;
}

static void put_rsdp(uint8_t *out, uint64_t xsdt)
{
    struct writer w = {out, 0, RSDP_BYTES, false};
    put(&w, "RSD PTR ", 8);
    put8(&w, 0); /* checksum of the first 20 bytes */
    put(&w, "BULKHD", 6);
    put8(&w, 2);
    put32(&w, 0); /* no RSDT */
    put32(&w, RSDP_BYTES);
    put64(&w, xsdt);
    pad_to(&w, 0, RSDP_BYTES);
    out[8] = checksum(out, 20);
    out[32] = checksum(out, RSDP_BYTES);
}

size_t acpi_build(uint8_t *out, size_t size, uint64_t at, unsigned cpus, const uint32_t *apic_ids)
{
    struct writer w = {out, 0, size, false};
    pad_to(&w, 0, RSDP_BYTES);
    size_t facs = put_facs(&w);
    size_t dsdt = put_dsdt(&w);
    size_t fadt = put_fadt(&w, at + facs, at + dsdt);
    size_t madt = put_madt(&w, cpus, apic_ids);
    size_t xsdt = begin(&w, "XSDT", 1);
    put64(&w, at + fadt);
    put64(&w, at + madt);
    finish(&w, xsdt);
    if (w.full)
        return 0;
    put_rsdp(out, at + xsdt);
    return w.used;
}
