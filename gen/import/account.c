/*
 * The account of the elements that no handler has read: each is looked up in a table that says why Bulkhead
 * does without it, or is listed as unknown. Nothing of a file is dropped without a word.
 */
#include "import.h"

#include <string.h>

enum fate {
    OPEN,     /* holds others, and nothing itself */
    UNNEEDED, /* listed by sort */
    LOST,     /* listed one by one */
    SWITCH,   /* LOST when it is on or holds something, else UNNEEDED */
};

struct row {
    const char *path; /* the element's name, with those above it as far as they matter */
    enum fate fate;
    const char *why;
};

static const char off[] = "switched off or empty";
static const char acpi[] = "ACPI objects stay with the service VM, which reads the machine's own ACPI tables";
static const char capacity[] = "sizes of tables follow from the scenario";
static const char model[] = "the device model of the service VM has to be told";
static const char identity[] = "Bulkhead has no use for this part of the CPU's identity";
static const char cache[] = "of caches Bulkhead needs what can be divided";
static const char text_twin[] = "the structured part of the file says it too";

static const struct row rows[] = {
    /* board */
    {"acrn-config/BIOS_INFO", UNNEEDED, "the firmware's name and date are for people"},
    {"acrn-config/BASE_BOARD_INFO", UNNEEDED, "the maker's names are for people"},
    {"acrn-config/WAKE_VECTOR_INFO", UNNEEDED, "suspend is not built"},
    {"acrn-config/S3_INFO", SWITCH, "suspend (S3) is not built"},
    {"acrn-config/TPM_INFO", UNNEEDED, "a TPM stays with the service VM"},
    {"acrn-config/BLOCK_DEVICE_INFO", UNNEEDED, "disks are named in the VMs' command lines"},
    {"acrn-config/ROOT_DEVICE_INFO", UNNEEDED, "disks are named in the VMs' command lines"},
    {"acrn-config/AVAILABLE_IRQ_INFO", UNNEEDED,
     "the service VM has the interrupts that nobody else was given"},
    {"acrn-config/TOTAL_MEM_INFO", UNNEEDED, text_twin},
    {"acrn-config/CPU_PROCESSOR_INFO", UNNEEDED, text_twin},
    {"acrn-config/MAX_MSIX_TABLE_NUM", UNNEEDED, text_twin},
    {"acrn-config/RTCT", LOST, "software SRAM is not built"},
    {"acrn-config/PTCT", LOST, "software SRAM is not built"},
    {"processors/model/capability", UNNEEDED, "of CPU features Bulkhead needs those that it lists"},
    {"processors/model/attribute", UNNEEDED, identity},
    {"processors/model/family_id", UNNEEDED, identity},
    {"processors/model/model_id", UNNEEDED, identity},
    {"processors/model/core_type", UNNEEDED, text_twin},
    {"processors/model/native_model_id", UNNEEDED, identity},
    {"thread/x2apic_id", UNNEEDED, text_twin},
    {"thread/family_id", UNNEEDED, identity},
    {"thread/model_id", UNNEEDED, identity},
    {"thread/stepping_id", UNNEEDED, identity},
    {"thread/native_model_id", UNNEEDED, identity},
    {"thread/core_type", UNNEEDED, identity},
    {"cache/cache_size", UNNEEDED, cache},
    {"cache/line_size", UNNEEDED, cache},
    {"cache/ways", UNNEEDED, cache},
    {"cache/sets", UNNEEDED, cache},
    {"cache/partitions", UNNEEDED, cache},
    {"cache/self_initializing", UNNEEDED, cache},
    {"cache/fully_associative", UNNEEDED, cache},
    {"cache/write_back_invalidate", UNNEEDED, cache},
    {"cache/cache_inclusiveness", UNNEEDED, cache},
    {"cache/complex_cache_indexing", UNNEEDED, cache},
    {"cache/processors", UNNEEDED, cache},
    {"device/subsystem_vendor", UNNEEDED, "functions are told apart by address, vendor and device"},
    {"device/subsystem_identifier", UNNEEDED, "functions are told apart by address, vendor and device"},
    {"bus/subsystem_vendor", UNNEEDED, "functions are told apart by address, vendor and device"},
    {"bus/subsystem_identifier", UNNEEDED, "functions are told apart by address, vendor and device"},
    {"capability/pba_bir", UNNEEDED, "the pending bits of MSI-X are in the table's BAR or harmless"},
    {"capability/pba_offset", UNNEEDED, "the pending bits of MSI-X are in the table's BAR or harmless"},
    {"capability/capability", UNNEEDED, "how MSI is written is read from the device"},
    {"capability", UNNEEDED, "of a function's capabilities Bulkhead needs MSI, MSI-X and ACS"},
    {"acpi_object", UNNEEDED, acpi},
    {"acpi_uid", UNNEEDED, acpi},
    {"aml_template", UNNEEDED, acpi},
    {"compatible_id", UNNEEDED, acpi},
    {"dependency", UNNEEDED, acpi},
    {"status", UNNEEDED, acpi},
    {"interrupt_pin_routing", UNNEEDED, "no PCI function of this machine is behind it"},
    {"devices/thermalzone", UNNEEDED, acpi},
    {"device/resource", UNNEEDED, acpi},
    {"bus/resource", UNNEEDED, acpi},
    {"devices/device", UNNEEDED, acpi},
    {"bus/device", UNNEEDED, acpi},
    {"device/device", UNNEEDED, acpi},
    {"acrn-config/device-classes", UNNEEDED, "names that Linux gave to inputs and terminals"},

    /* scenario: hypervisor */
    {"BUILD_TYPE", UNNEEDED, "there is one build, with the shell"},
    {"RELEASE", UNNEEDED, "there is one build, with the shell"},
    {"DEBUG_OPTIONS/MEM_LOGLEVEL", SWITCH, "Bulkhead logs to its console only"},
    {"DEBUG_OPTIONS/NPK_LOGLEVEL", SWITCH, "Bulkhead logs to its console only"},
    {"DEBUG_OPTIONS/LOG_DESTINATION", SWITCH, "Bulkhead logs to its console only"},
    {"DEBUG_OPTIONS/LOG_BUF_SIZE", SWITCH, "Bulkhead logs to its console only"},
    {"FEATURES/RELOC", SWITCH, "the image runs where its <image> says"},
    {"FEATURES/RELOC_ENABLED", SWITCH, "the image runs where its <image> says"},
    {"FEATURES/SCHEDULER", LOST,
     "a CPU runs one vCPU at a time, and slots take turns only as the service VM starts and stops them"},
    {"FEATURES/MULTIBOOT2", UNNEEDED, "the image takes multiboot and multiboot 2"},
    {"FEATURES/MULTIBOOT2_ENABLED", UNNEEDED, "the image takes multiboot and multiboot 2"},
    {"FEATURES/ENFORCE_TURNOFF_AC", SWITCH, "detection of split locks is not built"},
    {"FEATURES/ENFORCE_TURNOFF_GP", SWITCH, "detection of locks on uncacheable memory is not built"},
    {"FEATURES/SPLIT_LOCK_DETECTION_ENABLED", SWITCH, "detection of split locks is not built"},
    {"FEATURES/UC_LOCK_DETECTION_ENABLED", SWITCH, "detection of locks on uncacheable memory is not built"},
    {"FEATURES/SECURITY_VM_FIXUP", SWITCH, "a security VM with TPM and SMBIOS is not built"},
    {"FEATURES/KEEP_IRQ_DISABLED", SWITCH, "not built"},
    {"FEATURES/NVMX_ENABLED", SWITCH, "nested virtualisation is not built"},
    {"FEATURES/HYPERV_ENABLED", SWITCH, "the Hyper-V interface for Windows is not built"},
    {"FEATURES/IOMMU_ENFORCE_SNP", SWITCH, "there is no IOMMU driver yet"},
    {"FEATURES/ACPI_PARSE_ENABLED", SWITCH, "the IOMMUs are those of the board file"},
    {"FEATURES/L1D_VMENTRY_ENABLED", UNNEEDED, "mitigations are the board's"},
    {"FEATURES/MCE_ON_PSC_DISABLED", UNNEEDED, "second-level tables are not split under a running guest"},
    {"FEATURES/MCE_ON_PSC_ENABLED", SWITCH,
     "no work-around for machine checks on page size changes is built"},
    {"FEATURES/SSRAM", SWITCH, "software SRAM is not built"},
    {"RDT/CDP_ENABLED", SWITCH, "code and data are not divided in caches"},
    {"RDT/VCAT_ENABLED", SWITCH, "virtual cache allocation is not built"},
    {"RDT/MBA_DELAY", SWITCH, "memory bandwidth is not divided"},
    {"hv/CACHE_REGION", UNNEEDED, "cache partitioning is switched off (RDT_ENABLED)"},
    {"MEMORY/STACK_SIZE", UNNEEDED, capacity},
    {"MEMORY/LOW_RAM_SIZE", UNNEEDED, capacity},
    {"MEMORY/PLATFORM_RAM_SIZE", UNNEEDED, capacity},
    {"MEMORY/HV_RAM_SIZE", UNNEEDED, capacity},
    {"hv/CAPACITIES", UNNEEDED, capacity},
    {"hv/MISC_CFG", OPEN, ""},
    {"MISC_CFG/GPU_SBDF", SWITCH, "graphics pass-through (GVT-d) is not built"},
    {"MISC_CFG/UEFI_OS_LOADER_NAME", SWITCH,
     "the boot loader starts the hypervisor, not the other way round"},

    /* scenario: VMs */
    {"vm/epc_section", OPEN, ""},
    {"epc_section/base", SWITCH, "SGX enclave memory is not built"},
    {"epc_section/size", SWITCH, "SGX enclave memory is not built"},
    {"vm/mmio_resources", OPEN, ""},
    {"mmio_resources/TPM2", SWITCH, "a TPM cannot be passed through"},
    {"mmio_resources/p2sb", SWITCH, "memory-mapped devices cannot be passed through"},
    {"mmio_resources", SWITCH, "memory-mapped devices cannot be passed through"},
    {"vm/PTM", SWITCH, "precision time measurement is not built"},
    {"vm/priority", SWITCH, "there is no scheduler that would know priorities"},
    {"vm/companion_vmid", SWITCH, "companion VMs are not built"},
    {"vm/nested_virtualization_support", SWITCH, "nested virtualisation is not built"},
    {"vm/virtual_cat_support", SWITCH, "virtual cache allocation is not built"},
    {"vm/hide_mtrr_support", SWITCH, "guests see MTRRs"},
    {"vm/security_vm", SWITCH, "a security VM with TPM and SMBIOS is not built"},
    {"vm/os_type", LOST, model},
    {"vm/vbootloader", SWITCH, model},
    {"vm/vuart0", SWITCH, model},
    {"vm/usb_xhci", SWITCH, model},
    {"vm/virtio_devices", LOST, model},
    {"vm/clos", UNNEEDED, "cache partitioning is switched off (RDT_ENABLED)"},
    {"vm/memory", UNNEEDED, "the service VM gets the memory that nobody else was given"},
    {"memory/start_hpa", SWITCH, "a user VM's memory comes from the service VM"},
    {"memory/start_hpa2", UNNEEDED, off},
    {"memory/size_hpa2", UNNEEDED, off},
    {"memory/hpa_region", LOST, "a user VM's memory comes from the service VM"},
    {"memory/size", LOST, "the <hpa_region> of the VM say it"},
    {"os_config/name", UNNEEDED, "the name of an operating system is for people"},
    {"os_config/kern_load_addr", SWITCH, "only raw images are told where to lie"},
    {"os_config/kern_entry_addr", SWITCH, "only raw images are told where to begin"},
    {"os_config/bootargs", SWITCH, "the device model gives a user VM its command line"},
    {"board_private/console", SWITCH, "the console is in the command line"},
    {"legacy_vuart/type", UNNEEDED, "vUARTs are at I/O ports"},
    {"legacy_vuart/irq", UNNEEDED, "interrupt lines follow from the ports"},
    {"legacy_vuart/target_vm_id", UNNEEDED, "switched off or a console"},
    {"legacy_vuart/target_uart_id", UNNEEDED, "switched off or a console"},
    {"legacy_vuart/base", UNNEEDED, "switched off or a console"},
    {"communication_vuart/target_vm_id", UNNEEDED,
     "vUARTs that are PCI devices are listed as a whole, or off"},
    {"communication_vuart/target_uart_id", UNNEEDED,
     "vUARTs that are PCI devices are listed as a whole, or off"},
    {"endpoint/vbdf", UNNEEDED, "vUARTs that are PCI devices are listed as a whole"},
    {"endpoint", UNNEEDED, "vUARTs that are PCI devices are listed as a whole"},
    {"POLICY/VCPU", UNNEEDED, off},
    {"CACHE_ALLOCATION/CACHE_ID", UNNEEDED, "all caches of a level are divided alike"},
};

/* "vm/PTM" ends at n. */
static bool path_is(const xmlNode *n, const char *path)
{
    const char *end = path + strlen(path);

    for (;;) {
        const char *from = end;

        while (from > path && from[-1] != '/')
            from--;
        if (!n || n->type != XML_ELEMENT_NODE || strlen(name_of(n)) != (size_t)(end - from) ||
            memcmp(name_of(n), from, (size_t)(end - from)) != 0)
            return false;
        if (from == path)
            return true;
        end = from - 1;
        n = n->parent;
    }
}

static const struct row *row_of(const xmlNode *n)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (path_is(n, rows[i].path))
            return &rows[i];
    }
    return NULL;
}

static bool is_off(const char *text)
{
    static const char *const words[] = {"",     "n",    "N",     "no",      "0",    "0x0",
                                        "None", "none", "false", "Disable", "65535"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* The element's text on one line, without runs of blanks. */
static const char *short_text(const xmlNode *n)
{
    const char *text = text_of(n);
    char *out = arena_strdup(text), *p = out;

    for (; *text && p - out < 200; text++) {
        bool blank = strchr(" \t\r\n", *text) != NULL;

        if (!blank || (p > out && p[-1] != ' '))
            *p++ = blank ? ' ' : *text;
    }
    *p = '\0';
    return shown(out);
}

static size_t elements_in(const xmlNode *n)
{
    size_t count = 0;

    for (const xmlNode *c = n->children; c; c = c->next) {
        if (c->type == XML_ELEMENT_NODE)
            count += 1 + elements_in(c);
    }
    return count;
}

static void lost(const xmlNode *n, const char *why)
{
    size_t inside = elements_in(n);
    const char *text = inside > 0 ? "" : short_text(n);

    untranslated(at_node(n), "<%s>%s%s%s: %s", shown(name_of(n)), *text ? " " : "", text,
                 inside > 0 ? arena_printf(" (with %zu elements)", inside) : "", why);
}

/* Depth is bounded by the parser. */
static void walk(const xmlNode *n)
{
    const struct row *row;

    if (is_read(n)) {
        for (const xmlNode *c = n->children; c; c = c->next) {
            if (c->type == XML_ELEMENT_NODE)
                walk(c);
        }
        return;
    }
    row = row_of(n);
    if (!row) {
        lost(n, "the importer does not know this element");
        return;
    }
    switch (row->fate) {
    case OPEN:
        for (const xmlNode *c = n->children; c; c = c->next) {
            if (c->type == XML_ELEMENT_NODE)
                walk(c);
        }
        break;
    case LOST:
        lost(n, row->why);
        break;
    case SWITCH:
        if (!is_off(text_of(n)))
            lost(n, row->why);
        else
            unneeded(at_node(n), row->path, off);
        break;
    case UNNEEDED:
        unneeded(at_node(n), row->path, row->why);
        break;
    }
}

void account(xmlDocPtr board, xmlDocPtr scenario)
{
    walk(xmlDocGetRootElement(board));
    if (scenario)
        walk(xmlDocGetRootElement(scenario));
}
