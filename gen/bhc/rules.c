#include "rules.h"

#include <stdio.h>

const struct rule rules[] = {
    {"XML-001", SEV_ERROR, SCOPE_READING,
     "The file has the shape its XSD demands (gen/schema/board.xsd, scenario.xsd).", NULL},
    {"XML-002", SEV_ERROR, SCOPE_READING, "The file is well-formed XML, nested at most 256 deep.", NULL},
    {"XML-003", SEV_ERROR, SCOPE_READING, "The file has no document type declaration, hence no entities.",
     NULL},
    {"XML-004", SEV_ERROR, SCOPE_READING, "The file is at most 8 MiB large.", NULL},
    {"XML-005", SEV_ERROR, SCOPE_READING, "The file is UTF-8 text and declares no other encoding.", NULL},
    {"XML-006", SEV_ERROR, SCOPE_READING,
     "A file has at most 400000 tags, 600000 attributes (256 on one element) and 16 namespace declarations; "
     "a value "
     "has at most 64 KiB.",
     NULL},
    {"XML-007", SEV_ERROR, SCOPE_READING,
     "Values hold no control characters and none that reorder or hide text.", NULL},
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
     "Register windows (local APIC, I/O APICs, MCFG, IOMMUs, memory BARs) lie outside RAM and apart from "
     "each "
     "other.",
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
    {"BRD-020", SEV_ERROR, SCOPE_BOARD,
     "IOMMUs are of the CPU vendor's kind, have registers aligned to their size, name each function in one "
     "scope, "
     "and at most one translates for the rest.",
     board_iommus},
    {"BRD-021", SEV_ERROR, SCOPE_BOARD,
     "PCI functions that the board names elsewhere (reserved memory, IOMMU scopes, UARTs) are described.",
     pci_named_exist},
    {"BRD-022", SEV_ERROR, SCOPE_BOARD,
     "PCI windows consist of whole 4 KiB pages below 2^52, outside RAM and apart from each other.",
     board_bridge_windows},
    {"PCI-001", SEV_ERROR, SCOPE_BOARD, "PCI functions have unique addresses.", pci_addresses_unique},
    {"PCI-002", SEV_ERROR, SCOPE_BOARD,
     "BARs have an index 0 to 5 used once, and a power-of-two size to which their base is aligned.",
     pci_bars},
    {"PCI-003", SEV_ERROR, SCOPE_BOARD, "PCI functions lie on buses that MCFG covers, where there is one.",
     pci_bus_in_mcfg},
    {"PCI-004", SEV_ERROR, SCOPE_PLACING,
     "Every PCI device of a VM finds a virtual address: 31 devices fit bus 0 beside the host bridge.", NULL},
    {"PCI-005", SEV_ERROR, SCOPE_BOARD,
     "Interrupts of PCI functions: pins 1 to 4 at a GSI that an I/O APIC takes, a power of two of MSI "
     "messages up "
     "to 32, 1 to 2048 MSI-X entries.",
     pci_interrupts},
    {"PCI-006", SEV_ERROR, SCOPE_BOARD, "An MSI-X table lies inside a memory BAR of its function.",
     pci_msix_table},
    {"PCI-007", SEV_ERROR, SCOPE_BOTH, "No VM is given the PCI device of the console's UART.",
     pci_given_console},
    {"PCI-008", SEV_ERROR, SCOPE_BOTH,
     "A PCI device that a VM is given has the vendor and device that the scenario expects.", pci_given_ids},
    {"PCI-009", SEV_ERROR, SCOPE_BOTH,
     "The functions of a PCI device without ACS, bridges aside, have one owner (what no VM is given is the "
     "service "
     "VM's).",
     pci_functions_together},
    {"PCI-010", SEV_ERROR, SCOPE_BOTH, "A 4 KiB page holds memory BARs of one owner.", pci_bar_pages},
    {"PCI-011", SEV_ERROR, SCOPE_BOTH,
     "A 4 KiB page that holds an MSI-X table holds memory BARs of one owner.", pci_msix_page},
    {"PCI-012", SEV_ERROR, SCOPE_SCENARIO,
     "Virtual PCI addresses are on bus 0, unique in their VM, not the host bridge's (00:00), and have a "
     "function 0.",
     pci_virtual_addresses},
    {"PCI-013", SEV_ERROR, SCOPE_BOTH,
     "A <bar> of a VM's device names a memory BAR of it once, with a gpa aligned to its size that keeps its "
     "place "
     "in a page.",
     pci_guest_bars},
    {"IOM-001", SEV_ERROR, SCOPE_BOTH,
     "An IOMMU translates for every PCI device that a VM is given, unless its <devices> says "
     "dma=unprotected.",
     iommu_or_accepted},
    {"IOM-002", SEV_WARNING, SCOPE_BOTH, "No PCI device is given to a VM unprotected.", iommu_unprotected},
    {"IOM-003", SEV_WARNING, SCOPE_BOTH,
     "PCI devices given to VMs are not handed over yet: the hypervisor has no IOMMU driver.",
     iommu_no_driver},
    {"IOM-004", SEV_ERROR, SCOPE_BOTH,
     "No VM is given a PCI device that firmware lets use reserved memory (RMRR, IVMD).",
     iommu_reserved_memory},
    {"IOM-005", SEV_ERROR, SCOPE_BOTH,
     "The functions of an IOMMU group, bridges aside, have one owner (what no VM is given is the service "
     "VM's).",
     iommu_group_whole},
    {"INT-001", SEV_ERROR, SCOPE_BOTH, "A GSI that a VM is given is one that an I/O APIC takes.", irq_exists},
    {"INT-002", SEV_ERROR, SCOPE_BOTH,
     "A GSI has one owner: an <irq>, a device given with intx, and the devices left to the service VM do not "
     "share "
     "one across VMs.",
     irq_once},
    {"INT-003", SEV_ERROR, SCOPE_BOTH, "No VM is given the GSI of the console's UART.", irq_console},
    {"INT-004", SEV_ERROR, SCOPE_BOTH, "A device given with intx has a legacy interrupt on the board.",
     irq_intx_known},
    {"INT-005", SEV_ERROR, SCOPE_SCENARIO,
     "No device is given with intx to a VM that has or may have lapic-passthrough.", irq_lapic},
    {"INT-006", SEV_ERROR, SCOPE_SCENARIO,
     "The line of an <irq> is below the 24 pins of the virtual I/O APIC, its alone, and neither a vUART's "
     "nor the "
     "platform's.",
     irq_lines},
    {"INT-007", SEV_ERROR, SCOPE_SCENARIO, "A VM is given a GSI once.", irq_named_once},
    {"INT-008", SEV_ERROR, SCOPE_BOTH,
     "The interrupts of all devices that VMs are given fit the 160 host vectors that there are for devices.",
     irq_vectors},

    {"HV-001", SEV_ERROR, SCOPE_SCENARIO,
     "The hypervisor's image is aligned to 2 MiB, not empty, above 1 MiB and below 2 GiB.", hv_image},
    {"HV-002", SEV_ERROR, SCOPE_BOTH,
     "The hypervisor's image and the module store lie inside the board's RAM.", hv_inside_ram},
    {"HV-003", SEV_ERROR, SCOPE_SCENARIO,
     "The module store is page-aligned, above 1 MiB and holds every module at its largest.", hv_store},
    {"HV-004", SEV_ERROR, SCOPE_BOTH,
     "The image and the module store overlap neither each other nor what the board reserves.", hv_overlap},
    {"HV-005", SEV_ERROR, SCOPE_PLACING,
     "The hypervisor's image has room for what each CPU of the board, each VM and each vCPU takes there.",
     hv_image_holds},
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
    {"CPU-007", SEV_ERROR, SCOPE_BOTH,
     "A CPU is left for a service VM without <cpus>, which gets those that no pre-launched VM owns.",
     cpu_left_for_service},
    {"CPU-008", SEV_WARNING, SCOPE_SCENARIO,
     "The CPUs of a user slot that may have a real-time VM are its alone: no CPU runs two VMs in turns, but "
     "one "
     "that another slot or the service VM holds is not there when the real-time VM is to start.",
     cpu_rt_slot_alone},
    {"CPU-009", SEV_ERROR, SCOPE_BOTH,
     "The CPUs of a real-time VM are cores of one kind, performance or efficient.", cpu_one_kind_rt},
    {"CPU-010", SEV_WARNING, SCOPE_BOTH,
     "The CPUs of any other VM are cores of one kind (it works when they are not, but at two speeds).",
     cpu_one_kind},
    {"CPU-011", SEV_WARNING, SCOPE_SCENARIO,
     "CPU 0, where firmware's management interrupts are handled first, does not belong to a real-time VM.",
     cpu_zero_not_rt},

    {"MEM-001", SEV_ERROR, SCOPE_SCENARIO, "A VM's RAM block is not empty and consists of whole 4 KiB pages.",
     mem_size},
    {"MEM-002", SEV_ERROR, SCOPE_SCENARIO,
     "A fixed base of RAM or of a shared memory is page-aligned, and base + size stays below 2^52.",
     mem_base},
    {"MEM-003", SEV_ERROR, SCOPE_BOTH,
     "RAM blocks and shared memories with a fixed base lie inside the board's RAM.", mem_inside_ram},
    {"MEM-004", SEV_ERROR, SCOPE_SCENARIO, "RAM blocks of VMs and shared memories do not overlap.",
     mem_overlap_vm},
    {"MEM-005", SEV_ERROR, SCOPE_SCENARIO,
     "No VM's RAM and no shared memory overlaps the hypervisor's image or the module store.",
     mem_overlap_hypervisor},
    {"MEM-006", SEV_ERROR, SCOPE_BOTH,
     "No VM's RAM and no shared memory overlaps the first MiB or what the board reserves.",
     mem_overlap_reserved},
    {"MEM-007", SEV_ERROR, SCOPE_SCENARIO, "A VM's first RAM block is at least 2 MiB large.",
     mem_first_block},
    {"MEM-008", SEV_ERROR, SCOPE_BOTH, "All VMs' RAM and shared memories together fit the board's RAM.",
     mem_total},
    {"MEM-009", SEV_ERROR, SCOPE_PLACING,
     "Every RAM block and shared memory without a base finds a free place in one piece.", NULL},
    {"MEM-010", SEV_WARNING, SCOPE_SCENARIO,
     "A fixed base is aligned to 2 MiB, so that large pages map what lies there.", mem_large_pages},
    {"MEM-011", SEV_ERROR, SCOPE_PLACING,
     "The second-level tables of all VMs fit the hypervisor's image, with 1 MiB to spare.", NULL},
    {"MEM-012", SEV_ERROR, SCOPE_SCENARIO, "A VM has at most 8 RAM blocks.", mem_blocks},
    {"MEM-013", SEV_ERROR, SCOPE_BOTH,
     "In a VM, BARs and shared memories overlap neither each other nor RAM, firmware tables and the virtual "
     "platform's registers.",
     guest_map_known},
    {"MEM-014", SEV_ERROR, SCOPE_PLACING,
     "The same for what is known after placing: shared memories at the address found for them, and the "
     "service VM's "
     "RAM.",
     guest_map_placed},
    {"MEM-015", SEV_ERROR, SCOPE_BOTH,
     "No memory of VMs or the hypervisor overlaps registers, BARs or PCI windows of the board.",
     mem_overlap_windows},
    {"MEM-016", SEV_ERROR, SCOPE_SCENARIO,
     "The gpa of a shared memory is page-aligned, and gpa + size stays below 2^52.", guest_shared_pages},

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
    {"SVC-008", SEV_ERROR, SCOPE_BOTH,
     "The board of a service VM has at most 47 ranges of RAM and I/O APICs together.",
     service_machine_ranges},
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
    {"USR-009", SEV_WARNING, SCOPE_SCENARIO,
     "A user slot permits nothing that is not built: CREATE_VM answers -ENODEV to lapic-passthrough and "
     "secure-world.",
     user_not_built},
    {"USR-007", SEV_ERROR, SCOPE_BOTH,
     "PCI devices that VMs and user slots are given exist on the board and are not bridges.",
     pci_given_exist},
    {"USR-008", SEV_ERROR, SCOPE_SCENARIO,
     "A PCI device is given to one VM or user slot, once, whatever way its address is spelled.",
     pci_given_once},
    {"MOD-001", SEV_ERROR, SCOPE_SCENARIO, "Module names are unique.", module_names_unique},
    {"MOD-002", SEV_ERROR, SCOPE_SCENARIO,
     "A module's name has 1 to 31 characters: letters, digits, '-', '_' and '.', no '.' first.",
     module_name_form},
    {"MOD-003", SEV_ERROR, SCOPE_SCENARIO, "A module's max-size is not zero.", module_size},
    {"MOD-004", SEV_WARNING, SCOPE_SCENARIO, "Every module is used by a VM.", module_used},
    {"MOD-005", SEV_ERROR, SCOPE_SCENARIO,
     "A module's source says kind:rest. After debian, guest and hsm comes a name like a module's, after file "
     "a "
     "path in printable ASCII.",
     module_source},
    {"MOD-006", SEV_ERROR, SCOPE_SCENARIO, "A scenario has at most 32 modules.", module_count},
    {"BOOT-001", SEV_ERROR, SCOPE_SCENARIO, "The modules that <boot> names exist.", boot_modules_exist},
    {"BOOT-002", SEV_ERROR, SCOPE_SCENARIO, "A raw image says where it is loaded and entered.",
     boot_kind_needs},
    {"BOOT-003", SEV_ERROR, SCOPE_SCENARIO, "<boot> has no attribute that its kind of image does not use.",
     boot_kind_excludes},
    {"BOOT-004", SEV_ERROR, SCOPE_SCENARIO,
     "Kernel and initramfs at their largest fit the VM's RAM between 1 MiB and 2 GiB.", boot_fits_ram},
    {"BOOT-005", SEV_ERROR, SCOPE_SCENARIO,
     "A raw image lies in the VM's RAM beside the firmware's tables and is entered inside itself.",
     boot_raw_addresses},
    {"BOOT-006", SEV_ERROR, SCOPE_SCENARIO,
     "A command line has at most 2047 characters, placeholders replaced.", boot_cmdline_length},
    {"BOOT-007", SEV_ERROR, SCOPE_SCENARIO, "A command line consists of printable ASCII characters.",
     boot_cmdline_characters},
    {"BOOT-008", SEV_ERROR, SCOPE_SCENARIO,
     "A placeholder @name@ in a command line is one that the hypervisor replaces: @tsc_khz@.",
     boot_placeholders},
    {"BOOT-009", SEV_WARNING, SCOPE_SCENARIO,
     "Double quotes in the command line of a bzImage come in pairs: Linux keeps spaces between them.",
     boot_cmdline_quotes},
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
    {"LNK-004", SEV_ERROR, SCOPE_SCENARIO, "A connection joins two VMs, not one to itself.", link_two_vms},
    {"LNK-005", SEV_ERROR, SCOPE_SCENARIO, "A vUART is an end of one connection at most.", link_vuart_once},
    {"LNK-006", SEV_ERROR, SCOPE_SCENARIO, "No connection ends at a VM's console.", link_not_console},
    {"LNK-007", SEV_WARNING, SCOPE_SCENARIO,
     "A vUART of a pre-launched VM or the service VM is a console or joined: nobody hears it otherwise.",
     link_vuart_heard},
    {"LNK-008", SEV_ERROR, SCOPE_SCENARIO,
     "A user slot has only vUARTs that a connection joins; all others are its device model's.",
     link_vuart_of_slot},
    {"LNK-009", SEV_ERROR, SCOPE_SCENARIO, "A scenario has at most 128 connections.", link_count},
    {"SHM-001", SEV_ERROR, SCOPE_SCENARIO, "The users of a shared memory are VMs of the scenario.",
     shm_vm_exists},
    {"SHM-002", SEV_ERROR, SCOPE_SCENARIO, "The size of a shared memory is a power of two, at least 4 KiB.",
     shm_size},
    {"SHM-003", SEV_ERROR, SCOPE_SCENARIO, "A shared memory names each of its users once.", shm_user_once},
    {"SHM-004", SEV_ERROR, SCOPE_SCENARIO, "Ids of shared memories are unique.", shm_ids_unique},
    {"SHM-005", SEV_ERROR, SCOPE_SCENARIO, "Names of shared memories are unique.", shm_names_unique},
    {"SHM-006", SEV_ERROR, SCOPE_SCENARIO,
     "A shared memory's name has 1 to 31 characters: letters, digits, '-' and '_', a letter first.",
     shm_name_form},
    {"SHM-007", SEV_ERROR, SCOPE_SCENARIO, "A scenario has at most 32 shared memories.", shm_count},
    {"SHM-008", SEV_WARNING, SCOPE_SCENARIO, "A shared memory has two users or more.", shm_shared},
    {"SHM-009", SEV_WARNING, SCOPE_SCENARIO, "One user of a shared memory at least may write to it.",
     shm_written},
    {"CAT-001", SEV_ERROR, SCOPE_SCENARIO, "The users of a cache class are VMs of the scenario.",
     class_vm_exists},
    {"CAT-002", SEV_ERROR, SCOPE_BOARD,
     "Cache allocation of a board is at level 2 or 3, once each, with 1 to 32 ways and at most 64 (level 2) "
     "or "
     "128 classes.",
     board_caches},
    {"CAT-003", SEV_ERROR, SCOPE_BOTH, "The board has cache allocation at the level of a cache class.",
     class_cache_exists},
    {"CAT-004", SEV_ERROR, SCOPE_SCENARIO, "The mask of a cache class is not empty.", class_mask_not_empty},
    {"CAT-005", SEV_ERROR, SCOPE_BOTH, "The mask of a cache class has no bits beyond the cache's ways.",
     class_mask_in_cache},
    {"CAT-006", SEV_ERROR, SCOPE_SCENARIO, "The ways of a cache class are side by side.",
     class_mask_contiguous},
    {"CAT-007", SEV_ERROR, SCOPE_BOTH,
     "The id of a cache class is below the number of classes of each of the board's caches: a CPU has one "
     "for all.",
     class_id_in_board},
    {"CAT-008", SEV_ERROR, SCOPE_SCENARIO,
     "An id is given once for each level, and there are at most 256 cache classes.", class_once},
    {"CAT-009", SEV_ERROR, SCOPE_SCENARIO, "A VM is in cache classes of one id only, once in each.",
     class_vm_once},
    {"CAT-010", SEV_ERROR, SCOPE_SCENARIO,
     "Cache class 0, which is that of everybody whom no other class names, names no users.",
     class_zero_has_no_users},
    {"CAT-011", SEV_ERROR, SCOPE_SCENARIO,
     "No other cache class has ways of a real-time VM's, nor has that of another real-time VM.",
     class_rt_apart},
    {"CAT-012", SEV_ERROR, SCOPE_SCENARIO, "A real-time VM shares its cache class with real-time VMs only.",
     class_rt_company},
    {"CAT-013", SEV_WARNING, SCOPE_SCENARIO,
     "Where a real-time VM has a cache class, class 0 and all others are given for that level too, because "
     "what "
     "is not given fills all ways.",
     class_all_given},
    {"CAT-014", SEV_WARNING, SCOPE_SCENARIO, "A cache class other than 0 has users.", class_has_users},
};
const size_t rule_count = ARRAY_SIZE(rules);

void rules_run(enum scope scope, const struct config *c)
{
    /* To hold all VMs against each other takes long when there are more than there can be: VM-006 will do. */
    bool too_many = (scope == SCOPE_SCENARIO || scope == SCOPE_BOTH) && c->scenario.vm_count > MAX_VMS;

    for (size_t i = 0; i < rule_count; i++) {
        if (rules[i].scope == scope && rules[i].check && (!too_many || rules[i].check == vm_count))
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
