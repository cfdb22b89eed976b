/* The numbered rules: what a board and a scenario must mean. One table (rules.c), one function each
 * (rules_*.c). */
#ifndef BHC_RULES_H
#define BHC_RULES_H

#include "model.h"

/* When a rule runs: its parts of the model must have been read without a mistake of shape or value. */
enum scope {
    SCOPE_READING,  /* found by load.c, schema.c and read*.c themselves */
    SCOPE_BOARD,    /* needs the board */
    SCOPE_SCENARIO, /* needs the scenario */
    SCOPE_BOTH,
    SCOPE_PLACING, /* found by place.c, after all others held */
};

struct rule {
    const char *id;
    enum severity severity;
    enum scope scope;
    const char *title; /* what must hold; for a warning, what had better */
    void (*check)(const struct rule *rule, const struct config *config);
};

extern const struct rule rules[];
extern const size_t rule_count;

void rules_run(enum scope scope, const struct config *c);

enum list_format { LIST_TEXT, LIST_MD, LIST_JSON };
/* Prints the table on stdout. LIST_MD is docs/RULES.md. */
void rules_list(enum list_format format);

#define RULE(name) void name(const struct rule *rule, const struct config *config)
/* For use in rule functions: what is wrong, the other party, "; " and a way to mend it. */
#define MISTAKE(at, ...) diag_add(rule->severity, rule->id, at, __VA_ARGS__)

/* 1 to max characters: letters, digits and those of `others`; with letter_first, the first one a letter. */
bool well_named(const char *s, size_t max, const char *others, bool letter_first);

/* What the virtual platform uses the interrupt line for, or NULL (rules_io.c). */
const char *platform_irq(unsigned irq);

/* rules_board.c */
RULE(board_apic_ids_unique);
RULE(board_cpu_count);
RULE(board_extension_matches_vendor);
RULE(board_features_known);
RULE(board_features_for_extension);
RULE(board_quirks_known);
RULE(board_ram_ranges);
RULE(board_ram_overlap);
RULE(board_reserved_ranges);
RULE(board_trampoline);
RULE(board_emulator_memory);
/* rules_devices.c */
RULE(board_apics);
RULE(board_mcfg);
RULE(board_windows_outside_ram);
RULE(board_uarts);
RULE(board_ports);
RULE(board_power_states);
RULE(board_bochs);
RULE(board_mitigations_known);
RULE(board_bridge_windows);
/* rules_pci.c */
RULE(pci_addresses_unique);
RULE(pci_bars);
RULE(pci_bus_in_mcfg);
RULE(pci_interrupts);
RULE(pci_msix_table);
RULE(pci_named_exist);
RULE(pci_given_exist);
RULE(pci_given_once);
RULE(pci_given_console);
RULE(pci_given_ids);
RULE(pci_functions_together);
RULE(pci_bar_pages);
RULE(pci_msix_page);
RULE(pci_virtual_addresses);
RULE(pci_guest_bars);
/* rules_iommu.c */
RULE(board_iommus);
RULE(iommu_or_accepted);
RULE(iommu_unprotected);
RULE(iommu_no_driver);
RULE(iommu_reserved_memory);
RULE(iommu_group_whole);
/* rules_irq.c */
RULE(irq_exists);
RULE(irq_once);
RULE(irq_console);
RULE(irq_intx_known);
RULE(irq_lapic);
RULE(irq_lines);
RULE(irq_named_once);
RULE(irq_vectors);
/* rules_guest.c */
RULE(guest_map_known);
RULE(guest_map_placed);
RULE(guest_shared_pages);
/* rules_cpu.c */
RULE(cpu_exists);
RULE(cpu_owned_once);
RULE(cpu_first_of_service);
RULE(cpu_count);
RULE(cpu_console_exists);
RULE(cpu_console_not_rt);
RULE(cpu_left_for_service);
RULE(cpu_rt_slot_alone);
RULE(cpu_one_kind_rt);
RULE(cpu_one_kind);
RULE(cpu_zero_not_rt);
/* rules_mem.c */
RULE(mem_size);
RULE(mem_base);
RULE(mem_inside_ram);
RULE(mem_overlap_vm);
RULE(mem_overlap_hypervisor);
RULE(mem_overlap_reserved);
RULE(mem_first_block);
RULE(mem_total);
RULE(mem_large_pages);
RULE(mem_blocks);
RULE(mem_overlap_windows);
RULE(hv_image);
RULE(hv_inside_ram);
RULE(hv_store);
RULE(hv_overlap);
/* rules_vm.c */
RULE(vm_names_unique);
RULE(vm_keys_unique);
RULE(vm_name_form);
RULE(vm_key_form);
RULE(vm_ready_text);
RULE(module_names_unique);
RULE(module_name_form);
RULE(module_size);
RULE(module_used);
RULE(module_source);
RULE(boot_modules_exist);
RULE(boot_kind_needs);
RULE(boot_kind_excludes);
RULE(boot_fits_ram);
RULE(boot_raw_addresses);
RULE(boot_cmdline_length);
RULE(boot_cmdline_characters);
RULE(boot_placeholders);
RULE(boot_cmdline_quotes);
/* rules_kind.c */
RULE(vm_kind_needs);
RULE(vm_kind_excludes);
RULE(vm_ready_on);
RULE(service_single);
RULE(service_dma);
RULE(service_vector);
RULE(service_vuart_ports);
RULE(user_needs_service);
RULE(user_key);
RULE(user_vcpus);
RULE(user_memory);
RULE(user_lapic_rt);
RULE(user_not_built);
/* rules_io.c */
RULE(console_uart_exists);
RULE(console_vm_exists);
RULE(console_vuart);
RULE(vuart_ports);
RULE(vuart_ports_platform);
RULE(vuart_irqs);
RULE(vuart_count);
/* rules_count.c */
RULE(vm_count);
RULE(module_count);
RULE(hv_image_holds);
RULE(service_machine_ranges);
/* rules_link.c */
RULE(link_two_ends);
RULE(link_vm_exists);
RULE(link_port_exists);
RULE(shm_vm_exists);
RULE(shm_size);
RULE(link_two_vms);
RULE(link_vuart_once);
RULE(link_not_console);
RULE(link_vuart_heard);
RULE(link_vuart_of_slot);
RULE(link_count);
RULE(shm_user_once);
RULE(shm_ids_unique);
RULE(shm_names_unique);
RULE(shm_name_form);
RULE(shm_shared);
RULE(shm_written);
RULE(shm_count);
/* rules_cache.c */
RULE(class_vm_exists);
RULE(board_caches);
RULE(class_cache_exists);
RULE(class_mask_not_empty);
RULE(class_mask_in_cache);
RULE(class_mask_contiguous);
RULE(class_id_in_board);
RULE(class_once);
RULE(class_vm_once);
RULE(class_zero_has_no_users);
RULE(class_rt_apart);
RULE(class_rt_company);
RULE(class_all_given);
RULE(class_has_users);

#endif
