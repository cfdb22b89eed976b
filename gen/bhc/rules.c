#include "rules.h"

#include <stdio.h>

const struct rule rules[] = {
    {"XML-001", SEV_ERROR, SCOPE_READING,
     "The file has the shape its XSD demands (gen/schema/board.xsd, scenario.xsd).", NULL},
    {"XML-002", SEV_ERROR, SCOPE_READING, "The file is well-formed XML, nested at most 256 deep.", NULL},
    {"XML-003", SEV_ERROR, SCOPE_READING, "The file has no document type declaration, hence no entities.",
     NULL},
    {"XML-004", SEV_ERROR, SCOPE_READING, "The file is at most 1 MiB large.", NULL},
    {"VAL-001", SEV_ERROR, SCOPE_READING, "A number fits the field it is meant for.", NULL},

    {"BRD-001", SEV_ERROR, SCOPE_BOARD, "APIC ids of the board's CPUs are unique.", board_apic_ids_unique},
    {"BRD-002", SEV_ERROR, SCOPE_BOARD, "The board has at most 64 CPUs.", board_cpu_count},
    {"BRD-003", SEV_ERROR, SCOPE_BOARD,
     "The virtualisation extension is the CPU vendor's: svm for amd, vmx for intel.",
     board_extension_matches_vendor},
    {"BRD-004", SEV_ERROR, SCOPE_BOARD, "CPU features are named once each, by names the hypervisor knows.",
     board_features_known},
    {"BRD-005", SEV_ERROR, SCOPE_BOARD,
     "The features that the extension cannot work without are listed: svm, npt and nx, or vmx, ept, "
     "unrestricted-guest and nx.",
     board_features_for_extension},
    {"BRD-006", SEV_ERROR, SCOPE_BOARD, "Quirks are named once each, by names the hypervisor knows.",
     board_quirks_known},
    {"BRD-007", SEV_ERROR, SCOPE_BOARD,
     "RAM ranges are not empty, consist of whole 4 KiB pages and end below 2^52.", board_ram_ranges},
    {"BRD-008", SEV_ERROR, SCOPE_BOARD, "RAM ranges do not overlap.", board_ram_overlap},
    {"BRD-009", SEV_ERROR, SCOPE_BOARD, "Reserved ranges are not empty and end below 2^52.",
     board_reserved_ranges},
    {"BRD-010", SEV_ERROR, SCOPE_BOARD,
     "The trampoline is a page of RAM between 4 KiB and 640 KiB that is not reserved.", board_trampoline},
    {"BRD-011", SEV_ERROR, SCOPE_BOARD,
     "Register windows (local APIC, I/O APICs, MCFG, memory BARs) lie outside RAM and apart from each other.",
     board_windows_outside_ram},
    {"BRD-012", SEV_ERROR, SCOPE_BOARD,
     "Local and I/O APICs are aligned to 4 KiB and lie below 4 GiB; I/O APICs have unique ids, 1 to 240 pins "
     "and GSI ranges of their own.",
     board_apics},
    {"BRD-013", SEV_ERROR, SCOPE_BOARD, "MCFG covers at least one bus and is aligned to 1 MiB.", board_mcfg},
    {"BRD-014", SEV_ERROR, SCOPE_BOARD,
     "UARTs have unique names, a baud rate their clock can make, and an interrupt that an I/O APIC takes.",
     board_uarts},
    {"BRD-015", SEV_ERROR, SCOPE_BOARD,
     "The board's ports (UARTs, PM timer, PM1a, reset, CPU hot-plug, PCI configuration, legacy devices) do "
     "not "
     "overlap.",
     board_ports},
    {"BRD-016", SEV_ERROR, SCOPE_BOARD,
     "An emulator is given enough memory for the RAM that the board declares.", board_emulator_memory},
    {"BRD-017", SEV_ERROR, SCOPE_BOARD,
     "There are at most 20 performance states, the fastest first, and at most 7 idle states, C1 first.",
     board_power_states},
    {"BRD-018", SEV_ERROR, SCOPE_BOARD,
     "A Bochs machine is given at most 1 GiB, and its TSC's rate is stated: Bochs is told to be so fast.",
     board_bochs},
    {"BRD-019", SEV_ERROR, SCOPE_BOARD, "Mitigations are named once each, by names the hypervisor knows.",
     board_mitigations_known},
    {"PCI-001", SEV_ERROR, SCOPE_BOARD, "PCI functions have unique addresses.", pci_addresses_unique},
    {"PCI-002", SEV_ERROR, SCOPE_BOARD,
     "BARs have an index 0 to 5 used once, and a power-of-two size to which their base is aligned.",
     pci_bars},
    {"PCI-003", SEV_ERROR, SCOPE_BOARD, "PCI functions lie on buses that MCFG covers, where there is one.",
     pci_bus_in_mcfg},

    {"HV-001", SEV_ERROR, SCOPE_SCENARIO,
     "The hypervisor's image is aligned to 2 MiB, not empty, above 1 MiB and below 2 GiB.", hv_image},
    {"HV-002", SEV_ERROR, SCOPE_BOTH,
     "The hypervisor's image and the module store lie inside the board's RAM.", hv_inside_ram},
    {"HV-003", SEV_ERROR, SCOPE_SCENARIO,
     "The module store is page-aligned, above 1 MiB and holds every module at its largest.", hv_store},
    {"HV-004", SEV_ERROR, SCOPE_BOTH,
     "The image and the module store overlap neither each other nor what the board reserves.", hv_overlap},
    {"CON-001", SEV_ERROR, SCOPE_BOTH, "The console's UART exists on the board.", console_uart_exists},
    {"CON-002", SEV_ERROR, SCOPE_SCENARIO,
     "Exactly one vUART of each VM is its console; user slots have none.", console_vuart},
    {"CON-003", SEV_ERROR, SCOPE_SCENARIO, "The VM that the console shows at boot exists and has a console.",
     console_vm_exists},

    {"CPU-001", SEV_ERROR, SCOPE_BOTH, "A VM's CPUs exist on the board.", cpu_exists},
    {"CPU-002", SEV_ERROR, SCOPE_SCENARIO,
     "A CPU is owned by one VM and named once in it; only user slots share, with each other and with the "
     "service VM.",
     cpu_owned_once},
    {"CPU-003", SEV_ERROR, SCOPE_SCENARIO, "A VM has at most 64 CPUs.", cpu_count},
    {"CPU-004", SEV_ERROR, SCOPE_BOTH, "The CPU that serves the console exists on the board.",
     cpu_console_exists},
    {"CPU-005", SEV_WARNING, SCOPE_SCENARIO,
     "The CPU that serves the console does not belong to a real-time VM.", cpu_console_not_rt},
    {"CPU-006", SEV_ERROR, SCOPE_SCENARIO, "No user slot may use the service VM's first CPU.",
     cpu_first_of_service},

    {"MEM-001", SEV_ERROR, SCOPE_SCENARIO, "A VM's RAM block is not empty and consists of whole 4 KiB pages.",
     mem_size},
    {"MEM-002", SEV_ERROR, SCOPE_SCENARIO,
     "A fixed RAM base is page-aligned, and base + size stays below 2^52.", mem_base},
    {"MEM-003", SEV_ERROR, SCOPE_BOTH, "A RAM block with a fixed base lies inside the board's RAM.",
     mem_inside_ram},
    {"MEM-004", SEV_ERROR, SCOPE_SCENARIO, "RAM blocks of VMs do not overlap.", mem_overlap_vm},
    {"MEM-005", SEV_ERROR, SCOPE_SCENARIO, "No VM's RAM overlaps the hypervisor's image or the module store.",
     mem_overlap_hypervisor},
    {"MEM-006", SEV_ERROR, SCOPE_BOTH, "No VM's RAM overlaps the first MiB or what the board reserves.",
     mem_overlap_reserved},
    {"MEM-007", SEV_ERROR, SCOPE_SCENARIO, "A VM's first RAM block is at least 2 MiB large.",
     mem_first_block},
    {"MEM-008", SEV_ERROR, SCOPE_BOTH, "All VMs' RAM together fits the board's RAM.", mem_total},
    {"MEM-009", SEV_ERROR, SCOPE_PLACING,
     "Every RAM block without a base finds a free place in one piece, aligned to 2 MiB.", NULL},
    {"MEM-010", SEV_WARNING, SCOPE_SCENARIO,
     "A fixed RAM base is aligned to 2 MiB, so that large pages map it.", mem_large_pages},
    {"MEM-011", SEV_ERROR, SCOPE_PLACING,
     "The second-level tables of all VMs fit the hypervisor's image, with 1 MiB to spare.", NULL},
    {"MEM-012", SEV_ERROR, SCOPE_SCENARIO, "A VM has at most 8 RAM blocks.", mem_blocks},

    {"VM-001", SEV_ERROR, SCOPE_SCENARIO, "VM names are unique.", vm_names_unique},
    {"VM-002", SEV_ERROR, SCOPE_SCENARIO, "VM keys are unique.", vm_keys_unique},
    {"VM-003", SEV_ERROR, SCOPE_SCENARIO,
     "A VM's name has 1 to 31 characters: letters, digits, '-' and '_', a letter first.", vm_name_form},
    {"VM-004", SEV_ERROR, SCOPE_SCENARIO,
     "A VM's key has 1 to 63 characters: letters, digits, '-', '_', '.' and ':'.", vm_key_form},
    {"VM-005", SEV_ERROR, SCOPE_SCENARIO,
     "A VM has the elements and attributes that its kind needs (docs/CONFIG.md).", vm_kind_needs},
    {"VM-006", SEV_ERROR, SCOPE_SCENARIO, "A scenario has at most 64 VMs.", vm_count},
    {"VM-007", SEV_ERROR, SCOPE_SCENARIO, "A ready text has 1 to 200 printable ASCII characters.",
     vm_ready_text},
    {"VM-008", SEV_ERROR, SCOPE_SCENARIO, "A VM has nothing that its kind does not use (docs/CONFIG.md).",
     vm_kind_excludes},
    {"VM-009", SEV_ERROR, SCOPE_SCENARIO, "A ready text is awaited on the console of a VM that has one.",
     vm_ready_on},
    {"SVC-001", SEV_ERROR, SCOPE_SCENARIO, "There is at most one service VM.", service_single},
    {"SVC-002", SEV_ERROR, SCOPE_SCENARIO,
     "A service VM accepts that no IOMMU driver is built yet: its <service> says dma=unprotected.",
     service_dma},
    {"SVC-003", SEV_ERROR, SCOPE_SCENARIO, "An upcall vector lies between 0x20 and 0xff.", service_vector},
    {"SVC-004", SEV_ERROR, SCOPE_BOTH,
     "A vUART of the service VM hides no register of the machine's ACPI and no port BAR.",
     service_vuart_ports},
    {"SVC-005", SEV_ERROR, SCOPE_PLACING,
     "At least 64 MiB of RAM in at most 12 pieces are left for the service VM.", NULL},
    {"SVC-006", SEV_ERROR, SCOPE_PLACING,
     "The service VM's RAM begins at 0 and leaves out 0xa0000 to 0xfffff.", NULL},
    {"SVC-007", SEV_ERROR, SCOPE_PLACING,
     "The service VM's kernel and initramfs at their largest fit one piece of its RAM between 1 MiB and 4 "
     "GiB.",
     NULL},
    {"USR-001", SEV_ERROR, SCOPE_SCENARIO, "User slots need a service VM.", user_needs_service},
    {"USR-002", SEV_ERROR, SCOPE_SCENARIO,
     "A user slot's key is a UUID or a name of at most 15 characters; a spare slot has none.", user_key},
    {"USR-003", SEV_ERROR, SCOPE_SCENARIO,
     "A user slot has 1 to 8 vCPUs, and at least as many CPUs to run them on.", user_vcpus},
    {"USR-004", SEV_ERROR, SCOPE_SCENARIO,
     "A user slot's memory limit is not zero and consists of whole 4 KiB pages.", user_memory},
    {"USR-005", SEV_ERROR, SCOPE_PLACING,
     "A user slot's memory limit is at most the service VM's RAM, which it comes from.", NULL},
    {"USR-006", SEV_ERROR, SCOPE_SCENARIO, "A user slot with lapic-passthrough has rt too.", user_lapic_rt},
    {"USR-007", SEV_ERROR, SCOPE_BOTH, "PCI devices of user slots exist on the board and are not bridges.",
     user_device_exists},
    {"USR-008", SEV_ERROR, SCOPE_SCENARIO, "A PCI device is named by one user slot, once.", user_device_once},
    {"MOD-001", SEV_ERROR, SCOPE_SCENARIO, "Module names are unique.", module_names_unique},
    {"MOD-002", SEV_ERROR, SCOPE_SCENARIO,
     "A module's name has 1 to 31 characters: letters, digits, '-', '_' and '.'.", module_name_form},
    {"MOD-003", SEV_ERROR, SCOPE_SCENARIO, "A module's max-size is not zero.", module_size},
    {"MOD-004", SEV_WARNING, SCOPE_SCENARIO, "Every module is used by a VM.", module_used},
    {"MOD-005", SEV_ERROR, SCOPE_SCENARIO,
     "A module's source says kind:rest, kind being debian, guest, hsm or file, in printable ASCII.",
     module_source},
    {"BOOT-001", SEV_ERROR, SCOPE_SCENARIO, "The modules that <boot> names exist.", boot_modules_exist},
    {"BOOT-002", SEV_ERROR, SCOPE_SCENARIO, "A raw image says where it is loaded and entered.",
     boot_kind_needs},
    {"BOOT-003", SEV_ERROR, SCOPE_SCENARIO, "<boot> has no attribute that its kind of image does not use.",
     boot_kind_excludes},
    {"BOOT-004", SEV_ERROR, SCOPE_SCENARIO,
     "Kernel and initramfs at their largest fit the VM's RAM between 1 MiB and 2 GiB.", boot_fits_ram},
    {"BOOT-005", SEV_ERROR, SCOPE_SCENARIO, "A raw image lies in the VM's RAM and is entered inside itself.",
     boot_raw_addresses},
    {"BOOT-006", SEV_ERROR, SCOPE_SCENARIO,
     "A command line has at most 2047 characters, placeholders replaced.", boot_cmdline_length},
    {"BOOT-007", SEV_ERROR, SCOPE_SCENARIO, "A command line consists of printable ASCII characters.",
     boot_cmdline_characters},
    {"BOOT-008", SEV_ERROR, SCOPE_SCENARIO,
     "A placeholder @name@ in a command line is one that the hypervisor replaces: @tsc_khz@.",
     boot_placeholders},
    {"UART-001", SEV_ERROR, SCOPE_SCENARIO,
     "The vUARTs of a VM have eight ports each of their own, a multiple of 8 first.", vuart_ports},
    {"UART-002", SEV_ERROR, SCOPE_SCENARIO,
     "A vUART's ports belong to no other device of the virtual platform.", vuart_ports_platform},
    {"UART-003", SEV_ERROR, SCOPE_SCENARIO,
     "A vUART has an interrupt line of its own, 1 to 23, that the virtual platform does not use.",
     vuart_irqs},
    {"UART-004", SEV_ERROR, SCOPE_SCENARIO, "A VM has at most 4 vUARTs.", vuart_count},
    {"LNK-001", SEV_ERROR, SCOPE_SCENARIO, "A connection has exactly two ends.", link_two_ends},
    {"LNK-002", SEV_ERROR, SCOPE_SCENARIO, "The VMs that a connection joins exist.", link_vm_exists},
    {"LNK-003", SEV_ERROR, SCOPE_SCENARIO, "A connection ends at ports at which the VMs have a vUART.",
     link_port_exists},
    {"SHM-001", SEV_ERROR, SCOPE_SCENARIO, "The users of a shared memory are VMs of the scenario.",
     shm_vm_exists},
    {"SHM-002", SEV_ERROR, SCOPE_SCENARIO, "The size of a shared memory is a power of two, at least 4 KiB.",
     shm_size},
    {"CAT-001", SEV_ERROR, SCOPE_SCENARIO, "The users of a cache class are VMs of the scenario.",
     class_vm_exists},
};
const size_t rule_count = ARRAY_SIZE(rules);

void rules_run(enum scope scope, const struct config *c)
{
    for (size_t i = 0; i < rule_count; i++) {
        if (rules[i].scope == scope && rules[i].check)
            rules[i].check(&rules[i], c);
    }
}

static const char *severity_name(enum severity s)
{
    return s == SEV_ERROR ? "error" : "warning";
}

static void list_md(void)
{
    puts("# The rules of the configuration compiler\n");
    puts("`bhc` checks a board and a scenario against these rules. This page is printed by `bhc "
         "--list-rules=md`; a test compares it.\n"
         "Each rule has at least one failing sample with its exact message in `tests/config/bad/`. A mistake "
         "of rules XML and VAL keeps\n"
         "the rules that need that file from running, so that one slip does not bring ten complaints.\n");
    puts("| rule | kind | what must hold |\n|---|---|---|");
    for (size_t i = 0; i < rule_count; i++)
        printf("| %s | %s | %s |\n", rules[i].id, severity_name(rules[i].severity), rules[i].title);
}

void rules_list(enum list_format format)
{
    if (format == LIST_MD) {
        list_md();
        return;
    }
    if (format == LIST_JSON)
        puts("[");
    for (size_t i = 0; i < rule_count; i++) {
        const struct rule *r = &rules[i];

        /* Ids and titles are our own text: no character in them needs escaping. */
        if (format == LIST_JSON)
            printf("{\"id\":\"%s\",\"severity\":\"%s\",\"title\":\"%s\"}%s\n", r->id,
                   severity_name(r->severity), r->title, i + 1 < rule_count ? "," : "");
        else
            printf("%-9s %-8s %s\n", r->id, severity_name(r->severity), r->title);
    }
    if (format == LIST_JSON)
        puts("]");
}
