#include "read.h"

#include <stdlib.h>
#include <string.h>

static void read_emulator(struct reader *r, xmlNode *root, struct emulator *e)
{
    xmlNode *n = reader_next(root, NULL, "emulator");

    if (!n)
        return;
    *e = (struct emulator){
        .present = true,
        .at = reader_where(r, n),
        .kind = reader_text(n, "kind", ""),
        .machine = reader_text(n, "machine", ""),
        .cpu = reader_text(n, "cpu", ""),
        .memory = reader_text(n, "memory", ""),
        .min_version = reader_text(n, "min-version", ""),
        .memory_bytes = reader_number(r, n, "memory", UINT64_MAX),
    };
}

/* The words of an attribute. */
static struct named *read_words(struct where at, const char *text, size_t *count)
{
    char *words = arena_strdup(text), *rest = NULL;
    struct named *list = arena_alloc(strlen(words) + 1, sizeof(*list));

    *count = 0;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        list[(*count)++] = (struct named){at, word};
    return list;
}

static void read_cpu(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *n = reader_next(root, NULL, "cpu"), *core = NULL;
    size_t i = 0;

    b->cpu_at = reader_where(r, n);
    b->vendor = reader_text(n, "vendor", "");
    b->extension = reader_text(n, "extension", "");
    b->features = read_words(b->cpu_at, reader_text(n, "features", ""), &b->feature_count);
    b->mitigations = read_words(b->cpu_at, reader_text(n, "mitigations", ""), &b->mitigation_count);
    b->core_count = reader_count(n, "core");
    b->cores = arena_alloc(b->core_count, sizeof(*b->cores));
    while ((core = reader_next(n, core, "core"))) {
        b->cores[i++] = (struct core){
            .at = reader_where(r, core),
            .apic_id = (u32)reader_number(r, core, "apic-id", UINT32_MAX),
            .efficient = strcmp(reader_text(core, "kind", "performance"), "efficient") == 0,
        };
    }
    b->cache_count = reader_count(n, "cache-allocation");
    b->caches = arena_alloc(b->cache_count, sizeof(*b->caches));
    i = 0;
    for (xmlNode *cache = NULL; (cache = reader_next(n, cache, "cache-allocation"));) {
        b->caches[i++] = (struct cache_alloc){
            .at = reader_where(r, cache),
            .level = reader_number(r, cache, "level", UINT32_MAX),
            .ways = reader_number(r, cache, "ways", UINT32_MAX),
            .classes = reader_number(r, cache, "classes", UINT32_MAX),
        };
    }
}

static struct region *read_regions(struct reader *r, xmlNode *parent, const char *name, size_t *count)
{
    struct region *regions;
    size_t i = 0;

    *count = reader_count(parent, name);
    regions = arena_alloc(*count, sizeof(*regions));
    for (xmlNode *n = NULL; (n = reader_next(parent, n, name));) {
        regions[i] = (struct region){
            .at = reader_where(r, n),
            .base = reader_number(r, n, "base", UINT64_MAX),
            .size = reader_number(r, n, "size", UINT64_MAX),
            .what = reader_text(n, "what", name),
        };
        regions[i].devices = reader_pci_list(r, n, "device", &regions[i].device_count);
        i++;
    }
    return regions;
}

static void read_memory(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *n = reader_next(root, NULL, "memory");

    b->memory_at = reader_where(r, n);
    b->trampoline = reader_number(r, n, "trampoline", UINT64_MAX);
    b->ram = read_regions(r, n, "ram", &b->ram_count);
    b->reserved = read_regions(r, n, "reserved", &b->reserved_count);
}

static void read_interrupts(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *lapic = reader_next(root, NULL, "lapic");
    size_t i = 0;

    b->lapic_at = reader_where(r, lapic);
    b->lapic_base = reader_number(r, lapic, "base", UINT64_MAX);
    b->ioapic_count = reader_count(root, "ioapic");
    b->ioapics = arena_alloc(b->ioapic_count, sizeof(*b->ioapics));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "ioapic"));) {
        b->ioapics[i++] = (struct ioapic){
            .at = reader_where(r, n),
            .id = (u8)reader_number(r, n, "id", UINT8_MAX),
            .pins = (u8)reader_number(r, n, "pins", UINT8_MAX),
            .gsi_base = (u32)reader_number(r, n, "gsi-base", UINT32_MAX),
            .base = reader_number(r, n, "base", UINT64_MAX),
        };
    }
}

static void read_registers(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *tsc = reader_next(root, NULL, "tsc"), *mcfg = reader_next(root, NULL, "mcfg");
    xmlNode *acpi = reader_next(root, NULL, "acpi");

    if (strcmp(reader_text(tsc, "hz", ""), "calibrate") != 0)
        b->tsc_hz = reader_number(r, tsc, "hz", UINT64_MAX);
    b->tsc_invariant = reader_yes(tsc, "invariant", false);
    if (mcfg) {
        b->mcfg = (struct mcfg){
            .present = true,
            .at = reader_where(r, mcfg),
            .base = reader_number(r, mcfg, "base", UINT64_MAX),
            .start_bus = (u8)reader_number(r, mcfg, "start-bus", UINT8_MAX),
            .end_bus = (u8)reader_number(r, mcfg, "end-bus", UINT8_MAX),
        };
    }
    b->acpi = (struct acpi_regs){
        .at = reader_where(r, acpi),
        .pm_timer_port = (u16)reader_number(r, acpi, "pm-timer-port", UINT16_MAX),
        .pm1a_cnt_port = (u16)reader_number(r, acpi, "pm1a-cnt-port", UINT16_MAX),
        .reset_port = (u16)reader_number(r, acpi, "reset-port", UINT16_MAX),
        .reset_value = (u8)reader_number(r, acpi, "reset-value", UINT8_MAX),
        .cpu_hotplug_port = (u16)reader_number(r, acpi, "cpu-hotplug-port", UINT16_MAX),
        .s5_slp_typ = (u8)reader_number(r, acpi, "s5-slp-typ", 7), /* a three-bit field of PM1_CNT */
    };
}

/* ACPI 5.2.3.2: address space ids. The schema knows no other words. */
static u8 address_space(const char *name)
{
    return strcmp(name, "memory") == 0 ? 0 : strcmp(name, "io") == 0 ? 1 : 0x7f;
}

static void read_pm(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *pm = reader_next(root, NULL, "pm");
    size_t i = 0;

    b->px_count = reader_count(pm, "px");
    b->px = arena_alloc(b->px_count, sizeof(*b->px));
    for (xmlNode *n = NULL; pm && (n = reader_next(pm, n, "px"));) {
        b->px[i++] = (struct px_state){
            .at = reader_where(r, n),
            .core_mhz = reader_number(r, n, "core-mhz", UINT64_MAX),
            .power_mw = reader_number(r, n, "power-mw", UINT64_MAX),
            .latency_us = reader_number(r, n, "latency-us", UINT64_MAX),
            .bus_master_us = reader_number(r, n, "bus-master-us", UINT64_MAX),
            .control = reader_number(r, n, "control", UINT64_MAX),
            .status = reader_number(r, n, "status", UINT64_MAX),
        };
    }
    b->cx_count = reader_count(pm, "cx");
    b->cx = arena_alloc(b->cx_count, sizeof(*b->cx));
    i = 0;
    for (xmlNode *n = NULL; pm && (n = reader_next(pm, n, "cx"));) {
        b->cx[i++] = (struct cx_state){
            .at = reader_where(r, n),
            .type = (u8)reader_number(r, n, "type", UINT8_MAX),
            .space = address_space(reader_text(n, "space", "")),
            .width = (u8)reader_number(r, n, "width", UINT8_MAX),
            .offset = (u8)reader_number(r, n, "offset", UINT8_MAX),
            .access = (u8)reader_number(r, n, "access", UINT8_MAX),
            .address = reader_number(r, n, "address", UINT64_MAX),
            .latency_us = (u32)reader_number(r, n, "latency-us", UINT32_MAX),
            .power_mw = reader_number(r, n, "power-mw", UINT64_MAX),
        };
    }
}

static void read_uarts(struct reader *r, xmlNode *root, struct board *b)
{
    size_t i = 0;

    b->uart_count = reader_count(root, "uart");
    b->uarts = arena_alloc(b->uart_count, sizeof(*b->uarts));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "uart"));) {
        b->uarts[i++] = (struct uart){
            .at = reader_where(r, n),
            .name = reader_text(n, "name", ""),
            .port = (u16)reader_number(r, n, "port", UINT16_MAX),
            .gsi = (u8)reader_number(r, n, "gsi", UINT8_MAX),
            .baud = (u32)reader_number(r, n, "baud", UINT32_MAX),
            .clock_hz = (u32)reader_number(r, n, "clock-hz", UINT32_MAX),
            .on_pci = reader_has(n, "pci"),
            .pci = reader_pci(r, n, "pci"),
        };
    }
}

static void read_iommus(struct reader *r, xmlNode *root, struct board *b)
{
    size_t i = 0;

    b->iommu_count = reader_count(root, "iommu");
    b->iommus = arena_alloc(b->iommu_count, sizeof(*b->iommus));
    for (xmlNode *n = NULL; (n = reader_next(root, n, "iommu"));) {
        struct iommu *u = &b->iommus[i++];

        *u = (struct iommu){
            .at = reader_where(r, n),
            .kind = reader_text(n, "kind", ""),
            .base = reader_number(r, n, "base", UINT64_MAX),
            .all = reader_yes(n, "all", false),
        };
        u->devices = reader_pci_list(r, n, "device", &u->device_count);
    }
}

static void read_bars(struct reader *r, xmlNode *function, struct pci_function *f)
{
    size_t i = 0;

    f->bar_count = reader_count(function, "bar");
    f->bars = arena_alloc(f->bar_count, sizeof(*f->bars));
    for (xmlNode *n = NULL; (n = reader_next(function, n, "bar"));) {
        f->bars[i++] = (struct pci_bar){
            .at = reader_where(r, n),
            .index = (u8)reader_number(r, n, "index", UINT8_MAX),
            .is_io = strcmp(reader_text(n, "kind", ""), "io") == 0,
            .base = reader_number(r, n, "base", UINT64_MAX),
            .size = reader_number(r, n, "size", UINT64_MAX),
        };
    }
}

static void read_interrupts_of(struct reader *r, xmlNode *function, struct pci_function *f)
{
    xmlNode *intx = reader_next(function, NULL, "intx"), *msi = reader_next(function, NULL, "msi");
    xmlNode *msix = reader_next(function, NULL, "msix");

    f->has_intx = intx != NULL;
    if (intx) {
        f->intx_at = reader_where(r, intx);
        f->intx_pin = (u8)reader_number(r, intx, "pin", UINT8_MAX);
        f->intx_gsi = (u32)reader_number(r, intx, "gsi", UINT32_MAX);
    }
    f->has_msi = msi != NULL;
    if (msi) {
        f->msi_at = reader_where(r, msi);
        f->msi_vectors = reader_number(r, msi, "vectors", UINT32_MAX);
    }
    f->has_msix = msix != NULL;
    if (msix) {
        f->msix_at = reader_where(r, msix);
        f->msix_vectors = reader_number(r, msix, "vectors", UINT32_MAX);
        f->msix_bar = (u8)reader_number(r, msix, "bar", UINT8_MAX);
        f->msix_offset = reader_number(r, msix, "offset", UINT64_MAX);
    }
}

/* By address; functions of one address, which a rule refuses, in the order of the file. */
static int compare_functions(const void *a, const void *b)
{
    const struct pci_function *x = *(const struct pci_function *const *)a;
    const struct pci_function *y = *(const struct pci_function *const *)b;

    return x->bdf != y->bdf ? (x->bdf < y->bdf ? -1 : 1) : x < y ? -1 : x > y;
}

static void sort_functions(struct board *b)
{
    /* Of pointers. NOLINTNEXTLINE(bugprone-sizeof-expression) */
    b->pci_sorted = arena_alloc(b->pci_count, sizeof(*b->pci_sorted));
    for (size_t i = 0; i < b->pci_count; i++)
        b->pci_sorted[i] = &b->pci[i];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression) */
    qsort(b->pci_sorted, b->pci_count, sizeof(*b->pci_sorted), compare_functions);
}

static void read_pci(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *pci = reader_next(root, NULL, "pci");
    size_t i = 0;

    b->windows = read_regions(r, pci, "window", &b->window_count);
    b->pci_count = reader_count(pci, "function");
    b->pci = arena_alloc(b->pci_count, sizeof(*b->pci));
    for (xmlNode *n = NULL; pci && (n = reader_next(pci, n, "function"));) {
        struct pci_function *f = &b->pci[i++];

        f->at = reader_where(r, n);
        f->bdf = reader_bdf(reader_text(n, "address", "0:0.0"));
        f->address = bdf_text(f->bdf);
        f->vendor = (u16)reader_number(r, n, "vendor", UINT16_MAX);
        f->device = (u16)reader_number(r, n, "device", UINT16_MAX);
        f->class_code = (u32)reader_number(r, n, "class", 0xffffff);
        f->has_group = reader_has(n, "iommu-group");
        f->iommu_group = (u32)reader_number(r, n, "iommu-group", INT32_MAX);
        f->acs = reader_yes(n, "acs", false);
        read_bars(r, n, f);
        read_interrupts_of(r, n, f);
    }
    sort_functions(b);
}

static void read_quirks(struct reader *r, xmlNode *root, struct board *b)
{
    xmlNode *quirks = reader_next(root, NULL, "quirks");
    size_t i = 0;

    b->quirk_count = reader_count(quirks, "quirk");
    b->quirks = arena_alloc(b->quirk_count, sizeof(*b->quirks));
    for (xmlNode *n = NULL; quirks && (n = reader_next(quirks, n, "quirk"));)
        b->quirks[i++] = (struct named){reader_where(r, n), reader_text(n, "name", "")};
}

bool read_board(xmlDocPtr doc, const char *path, struct board *out)
{
    struct reader r = {path, true};
    xmlNode *root = xmlDocGetRootElement(doc);

    *out = (struct board){
        .at = reader_where(&r, root),
        .name = reader_text(root, "name", ""),
        .description = reader_text(root, "description", ""),
    };
    read_emulator(&r, root, &out->emulator);
    read_cpu(&r, root, out);
    read_memory(&r, root, out);
    read_interrupts(&r, root, out);
    read_registers(&r, root, out);
    read_pm(&r, root, out);
    read_iommus(&r, root, out);
    read_uarts(&r, root, out);
    read_pci(&r, root, out);
    read_quirks(&r, root, out);
    return r.ok;
}
