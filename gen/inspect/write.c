/* The board file, in the form of boards/qemu-q35.xml. */
#include "inspect.h"

#include <inttypes.h>
#include <string.h>

/* Text of an attribute: printable ASCII as it is, what XML gives a meaning escaped, everything else '?'. */
static void put_text(struct buffer *out, const char *s)
{
    for (; *s; s++) {
        char c = *s;

        if (c == '&')
            buffer_puts(out, "&amp;");
        else if (c == '<')
            buffer_puts(out, "&lt;");
        else if (c == '"')
            buffer_puts(out, "&quot;");
        else
            buffer_add(out, c >= ' ' && c < 0x7f ? &c : "?", 1);
    }
}

/* Two dashes end a comment (XML 1.0 section 2.5), so there is a blank between them. */
static void put_comment(struct buffer *out, const char *kind, const char *s)
{
    buffer_printf(out, "<!-- %s: ", kind);
    for (; *s; s++) {
        buffer_add(out, *s >= ' ' && *s < 0x7f ? s : "?", 1);
        if (s[0] == '-' && (s[1] == '-' || s[1] == '\0'))
            buffer_puts(out, " ");
    }
    buffer_puts(out, " -->\n");
}

static void put_words(struct buffer *out, const char *name, const struct named *list, size_t count)
{
    buffer_printf(out, " %s=\"", name);
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%s%s", i ? " " : "", list[i].name);
    buffer_puts(out, "\"");
}

static void put_cpu(struct buffer *out, const struct board *b)
{
    buffer_printf(out, "  <cpu vendor=\"%s\" extension=\"%s\"", b->vendor, b->extension);
    put_words(out, "features", b->features, b->feature_count);
    if (b->mitigation_count)
        put_words(out, "mitigations", b->mitigations, b->mitigation_count);
    buffer_puts(out, ">\n");
    for (size_t i = 0; i < b->core_count; i++)
        buffer_printf(out, "    <core apic-id=\"%" PRIu32 "\"%s/>\n", b->cores[i].apic_id,
                      b->cores[i].efficient ? " kind=\"efficient\"" : "");
    for (size_t i = 0; i < b->cache_count; i++)
        buffer_printf(out,
                      "    <cache-allocation level=\"%" PRIu64 "\" ways=\"%" PRIu64 "\" classes=\"%" PRIu64
                      "\"/>\n",
                      b->caches[i].level, b->caches[i].ways, b->caches[i].classes);
    buffer_puts(out, "  </cpu>\n");
    if (b->tsc_hz)
        buffer_printf(out, "  <tsc hz=\"%" PRIu64 "\"", b->tsc_hz);
    else
        buffer_puts(out, "  <tsc hz=\"calibrate\"");
    buffer_printf(out, " invariant=\"%s\"/>\n", b->tsc_invariant ? "yes" : "no");
}

static void put_range(struct buffer *out, const char *indent, const char *name, const struct region *r)
{
    buffer_printf(out, "%s<%s base=\"0x%" PRIx64 "\" size=\"0x%" PRIx64 "\"", indent, name, r->base, r->size);
}

static void put_devices(struct buffer *out, const char *indent, const struct pci_name *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%s<device address=\"%s\"/>\n", indent, list[i].address);
}

static void put_memory(struct buffer *out, const struct board *b)
{
    buffer_printf(out, "  <memory trampoline=\"0x%" PRIx64 "\">\n", b->trampoline);
    for (size_t i = 0; i < b->ram_count; i++) {
        put_range(out, "    ", "ram", &b->ram[i]);
        buffer_puts(out, "/>\n");
    }
    for (size_t i = 0; i < b->reserved_count; i++) {
        const struct region *r = &b->reserved[i];

        put_range(out, "    ", "reserved", r);
        buffer_printf(out, " what=\"%s\"%s>\n", r->what, r->device_count ? "" : "/");
        put_devices(out, "      ", r->devices, r->device_count);
        if (r->device_count)
            buffer_puts(out, "    </reserved>\n");
    }
    buffer_puts(out, "  </memory>\n");
}

static void put_chips(struct buffer *out, const struct board *b)
{
    const struct acpi_regs *a = &b->acpi;

    buffer_printf(out, "  <lapic base=\"0x%" PRIx64 "\"/>\n", b->lapic_base);
    for (size_t i = 0; i < b->ioapic_count; i++)
        buffer_printf(out,
                      "  <ioapic id=\"%u\" base=\"0x%" PRIx64 "\" pins=\"%u\" gsi-base=\"%" PRIu32 "\"/>\n",
                      b->ioapics[i].id, b->ioapics[i].base, b->ioapics[i].pins, b->ioapics[i].gsi_base);
    if (b->mcfg.present)
        buffer_printf(out, "  <mcfg base=\"0x%" PRIx64 "\" start-bus=\"%u\" end-bus=\"%u\"/>\n", b->mcfg.base,
                      b->mcfg.start_bus, b->mcfg.end_bus);
    buffer_printf(out, "  <acpi pm-timer-port=\"0x%x\" pm1a-cnt-port=\"0x%x\" s5-slp-typ=\"%u\"",
                  a->pm_timer_port, a->pm1a_cnt_port, a->s5_slp_typ);
    buffer_printf(out, " reset-port=\"0x%x\" reset-value=\"0x%02x\"", a->reset_port, a->reset_value);
    if (a->cpu_hotplug_port)
        buffer_printf(out, " cpu-hotplug-port=\"0x%x\"", a->cpu_hotplug_port);
    buffer_puts(out, "/>\n");
    for (size_t i = 0; i < b->iommu_count; i++) {
        const struct iommu *u = &b->iommus[i];

        buffer_printf(out, "  <iommu kind=\"%s\" base=\"0x%" PRIx64 "\" all=\"%s\"%s>\n", u->kind, u->base,
                      u->all ? "yes" : "no", u->device_count ? "" : "/");
        put_devices(out, "    ", u->devices, u->device_count);
        if (u->device_count)
            buffer_puts(out, "  </iommu>\n");
    }
    for (size_t i = 0; i < b->uart_count; i++) {
        const struct uart *u = &b->uarts[i];

        buffer_printf(
            out, "  <uart name=\"%s\" port=\"0x%x\" gsi=\"%u\" baud=\"%" PRIu32 "\" clock-hz=\"%" PRIu32 "\"",
            u->name, u->port, u->gsi, u->baud, u->clock_hz);
        if (u->on_pci)
            buffer_printf(out, " pci=\"%s\"", u->pci.address);
        buffer_puts(out, "/>\n");
    }
}

static void put_function(struct buffer *out, const struct pci_function *f)
{
    bool empty = !f->bar_count && !f->has_intx && !f->has_msi && !f->has_msix;

    buffer_printf(out, "    <function address=\"%s\" vendor=\"0x%04x\" device=\"0x%04x\" class=\"0x%06x\"",
                  f->address, f->vendor, f->device, f->class_code);
    if (f->has_group)
        buffer_printf(out, " iommu-group=\"%" PRIu32 "\"", f->iommu_group);
    buffer_printf(out, "%s%s>\n", f->acs ? " acs=\"yes\"" : "", empty ? "/" : "");
    if (empty)
        return;
    for (size_t i = 0; i < f->bar_count; i++)
        buffer_printf(out,
                      "      <bar index=\"%u\" kind=\"%s\" base=\"0x%" PRIx64 "\" size=\"0x%" PRIx64 "\"/>\n",
                      f->bars[i].index, f->bars[i].is_io ? "io" : "mem", f->bars[i].base, f->bars[i].size);
    if (f->has_intx)
        buffer_printf(out, "      <intx pin=\"%u\" gsi=\"%" PRIu32 "\"/>\n", f->intx_pin, f->intx_gsi);
    if (f->has_msi)
        buffer_printf(out, "      <msi vectors=\"%" PRIu64 "\"/>\n", f->msi_vectors);
    if (f->has_msix)
        buffer_printf(out, "      <msix vectors=\"%" PRIu64 "\" bar=\"%u\" offset=\"0x%" PRIx64 "\"/>\n",
                      f->msix_vectors, f->msix_bar, f->msix_offset);
    buffer_puts(out, "    </function>\n");
}

static void put_pci(struct buffer *out, const struct board *b)
{
    if (!b->pci_count && !b->window_count)
        return;
    buffer_puts(out, "  <pci>\n");
    for (size_t i = 0; i < b->window_count; i++) {
        put_range(out, "    ", "window", &b->windows[i]);
        buffer_puts(out, "/>\n");
    }
    for (size_t i = 0; i < b->pci_count; i++)
        put_function(out, &b->pci[i]);
    buffer_puts(out, "  </pci>\n");
}

void write_board(const struct inspection *in, struct buffer *out)
{
    const struct board *b = &in->board;

    buffer_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                     "<!-- Written by ./bulkhead inspect-board from what the machine says of itself. What it "
                     "does not say is listed here. -->\n");
    for (size_t i = 0; i < in->lack_count; i++)
        put_comment(out, "lacks", in->lacks[i]);
    for (size_t i = 0; i < in->note_count; i++)
        put_comment(out, "note", in->notes[i]);
    buffer_printf(out, "<board name=\"%s\" description=\"", b->name);
    put_text(out, b->description);
    buffer_puts(out, "\">\n");
    put_cpu(out, b);
    put_memory(out, b);
    put_chips(out, b);
    put_pci(out, b);
    buffer_puts(out, "</board>\n");
}
