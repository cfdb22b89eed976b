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
RULE(pci_addresses_unique);
RULE(pci_bars);
RULE(pci_bus_in_mcfg);
/* rules_cpu.c */
RULE(cpu_exists);
RULE(cpu_owned_once);
RULE(cpu_first_of_service);
RULE(cpu_count);
RULE(cpu_console_exists);
RULE(cpu_console_not_rt);
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
RULE(hv_image);
RULE(hv_inside_ram);
RULE(hv_store);
RULE(hv_overlap);
/* rules_vm.c */
RULE(vm_names_unique);
RULE(vm_keys_unique);
RULE(vm_name_form);
RULE(vm_key_form);
RULE(vm_count);
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
RULE(user_device_exists);
RULE(user_device_once);
/* rules_io.c */
RULE(console_uart_exists);
RULE(console_vm_exists);
RULE(console_vuart);
RULE(vuart_ports);
RULE(vuart_ports_platform);
RULE(vuart_irqs);
RULE(vuart_count);
/* rules_link.c */
RULE(link_two_ends);
RULE(link_vm_exists);
RULE(link_port_exists);
RULE(shm_vm_exists);
RULE(shm_size);
/* rules_cache.c */
RULE(class_vm_exists);

#endif
