/* Prints the generated tables, one fact a line, for checks.py to compare with resolved.xml. */
#include <abi/hypercall.h>
#include <config/config.h>
#include <ctype.h>
#include <stdio.h>

struct bit {
    const char *name;
    u32 bit;
};

/* Sorted by name, as checks.py prints them. */
static const struct bit features[] = {
    {"decode-assists", FEAT_DECODE_ASSISTS},
    {"ept", FEAT_EPT},
    {"npt", FEAT_NPT},
    {"nrips", FEAT_NRIPS},
    {"nx", FEAT_NX},
    {"page1g", FEAT_PAGE1G},
    {"rdtscp", FEAT_RDTSCP},
    {"smap", FEAT_SMAP},
    {"smep", FEAT_SMEP},
    {"svm", FEAT_SVM},
    {"tsc-deadline", FEAT_TSC_DEADLINE},
    {"unrestricted-guest", FEAT_UNRESTRICTED_GUEST},
    {"vmx", FEAT_VMX},
    {"vpid", FEAT_VPID},
    {"x2apic", FEAT_X2APIC},
    {"xsave", FEAT_XSAVE},
};
static const struct bit mitigations[] = {
    {"l1d-flush", MITIGATE_L1D_FLUSH},
    {"mds-clear", MITIGATE_MDS_CLEAR},
};
static const struct bit quirks[] = {
    {"exitintinfo-type3", QUIRK_EXITINTINFO_TYPE3},
    {"if0-no-extint-exit", QUIRK_IF0_NO_EXTINT_EXIT},
    {"ioio-no-string-info", QUIRK_IOIO_NO_STRING_INFO},
    {"nmi-block-stuck", QUIRK_NMI_BLOCK_STUCK},
    {"vmexit-drops-intr", QUIRK_VMEXIT_DROPS_INTR},
    {"no-xsetbv-exit", QUIRK_NO_XSETBV_EXIT},
    {"npf-rsv-no-p", QUIRK_NPF_RSV_NO_P},
    {"shadow-not-loaded", QUIRK_SHADOW_NOT_LOADED},
    {"virq-cr8-abort", QUIRK_VIRQ_CR8_ABORT},
    {"vmexit-invalid-32", QUIRK_VMEXIT_INVALID_32},
    {"xsavec-size", QUIRK_XSAVEC_SIZE},
};
static const struct bit vm_flags[] = {
    {"autostart", VM_FLAG_AUTOSTART},
    {"hypercall", VM_FLAG_HYPERCALL},
    {"rt", VM_FLAG_RT},
    {"spare", VM_FLAG_SPARE},
};
static const struct bit user_flags[] = {
    {"lapic-passthrough", HC_VM_LAPIC_PASSTHROUGH},
    {"polling", HC_VM_IO_POLLING},
    {"rt", HC_VM_RT},
    {"secure-world", HC_VM_SECURE_WORLD},
};

static void put_bits(const char *what, u32 value, const struct bit *bits, size_t count)
{
    printf("%s", what);
    for (size_t i = 0; i < count; i++) {
        if (value & bits[i].bit)
            printf(" %s", bits[i].name);
        value &= ~bits[i].bit;
    }
    printf(value ? " and unknown bits\n" : "\n");
}

static void put_string(const char *s)
{
    putchar(' ');
    for (; *s; s++)
        printf(isalnum((unsigned char)*s) ? "%c" : "%%%02x", (unsigned char)*s);
}

static void put_board(const struct cfg_board *b)
{
    printf("board");
    put_string(b->name);
    put_string(b->description);
    printf(" %s\n", b->vendor == CPU_VENDOR_AMD ? "amd" : "intel");
    put_bits("features", b->features, features, ARRAY_SIZE(features));
    put_bits("mitigations", b->mitigations, mitigations, ARRAY_SIZE(mitigations));
    put_bits("quirks", b->quirks, quirks, ARRAY_SIZE(quirks));
    for (u32 i = 0; i < b->cpu_count; i++)
        printf("cpu %u\n", b->cpus[i].apic_id);
    for (u32 i = 0; i < b->ram_count; i++)
        printf("ram %lu %lu\n", b->ram[i].base, b->ram[i].size);
    for (u32 i = 0; i < b->ioapic_count; i++) {
        const struct cfg_ioapic *io = &b->ioapics[i];

        printf("ioapic %u %u %u %lu\n", io->id, io->pins, io->gsi_base, io->base);
    }
    printf("lapic %lu\n", b->lapic_base);
    printf("mcfg %lu %u %u\n", b->mcfg_base, b->mcfg_start_bus, b->mcfg_end_bus);
    printf("acpi %u %u %u %u %u %u\n", b->pm_timer_port, b->pm1a_cnt_port, b->reset_port, b->reset_value,
           b->s5_slp_typ, b->cpu_hotplug_port);
    for (u32 i = 0; i < b->px_count; i++) {
        const struct cfg_px *px = &b->px[i];

        printf("px %lu %lu %lu %lu %lu %lu\n", px->core_mhz, px->power_mw, px->latency_us, px->bus_master_us,
               px->control, px->status);
    }
    for (u32 i = 0; i < b->cx_count; i++) {
        const struct cfg_cx *cx = &b->cx[i];

        printf("cx %u %u %u %u %u %lu %u %lu\n", cx->type, cx->reg.space, cx->reg.bit_width,
               cx->reg.bit_offset, cx->reg.access_size, cx->reg.address, cx->latency_us, cx->power_mw);
    }
    printf("tsc %lu %u\n", b->tsc_hz, b->tsc_invariant);
    printf("trampoline %u\n", b->trampoline);
    printf("console %u %u %u %u %u\n", b->console.port, b->console.gsi, b->console.baud, b->console.clock_hz,
           b->console_cpu);
    for (u32 i = 0; i < b->pci_count; i++) {
        const struct cfg_pci_fn *f = &b->pci[i];

        printf("pci %u %u %u %u\n", f->bdf, f->vendor, f->device, f->class_code);
        for (u32 j = 0; j < f->bar_count; j++)
            printf("bar %u %u %lu %lu\n", f->bars[j].index, f->bars[j].is_io, f->bars[j].base,
                   f->bars[j].size);
    }
}

static void put_caches(const struct cfg_board *b)
{
    for (u32 i = 0; b->caches[i].level; i++)
        printf("cache %u %u %u\n", b->caches[i].level, b->caches[i].ways, b->caches[i].classes);
}

static const char *kind_name(enum vm_kind kind)
{
    return kind == VM_PRELAUNCHED ? "pre-launched" : kind == VM_SERVICE ? "service" : "user";
}

static void put_boot(const struct cfg_boot *boot)
{
    static const char *const kinds[] = {[BOOT_NONE] = "none",
                                        [BOOT_BZIMAGE] = "bzimage",
                                        [BOOT_ELF] = "elf",
                                        [BOOT_MULTIBOOT] = "multiboot",
                                        [BOOT_RAW] = "raw"};
    static const char *const protocols[] = {
        [BOOT_PROTO_AUTO] = "auto", [BOOT_PROTO_32] = "32", [BOOT_PROTO_64] = "64"};

    printf("boot %s %s %u %u %lu %lu", kinds[boot->kind], protocols[boot->protocol], boot->kernel_module,
           boot->initrd_module, boot->load_addr, boot->entry);
    put_string(boot->cmdline);
    printf("\n");
}

static void put_vm(const struct cfg_vm *vm)
{
    printf("vm");
    put_string(vm->name);
    put_string(vm->key);
    printf(" %s\n", kind_name(vm->kind));
    put_bits("flags", vm->flags, vm_flags, ARRAY_SIZE(vm_flags));
    put_bits("may ask", vm->user_flags, user_flags, ARRAY_SIZE(user_flags));
    printf("bytes ");
    for (u32 i = 0; i < CFG_KEY_BYTES; i++)
        printf("%02x", vm->key_bytes[i]);
    printf("\nfirst %u %u %u\n", vm->first_vcpu, vm->first_vuart, vm->first_s2_page);
    printf("vcpus %u limit %lu\npcpus", vm->vcpu_count, vm->mem_limit);
    for (u32 i = 0; i < vm->pcpu_count; i++)
        printf(" %u", vm->pcpus[i]);
    printf("\ndevices");
    for (u32 i = 0; i < vm->dev_count; i++)
        printf(" %u", vm->devs[i]);
    printf("\n");
    for (u32 i = 0; i < vm->mem_count; i++)
        printf("mem %lu %lu %lu\n", vm->mem[i].gpa, vm->mem[i].hpa, vm->mem[i].size);
    for (u32 i = 0; i < vm->vuart_count; i++)
        printf("vuart %u %u %u %u\n", vm->vuarts[i].port, vm->vuarts[i].gsi, vm->vuarts[i].console,
               vm->vuarts[i].peer);
    for (u32 i = 0; i < vm->shm_count; i++)
        printf("view %u %lu %u\n", vm->shms[i].shm, vm->shms[i].gpa, vm->shms[i].writable);
    printf("clos %u\n", vm->clos);
    put_boot(&vm->boot);
}

static void put_joints(void)
{
    for (u32 i = 0; cfg_shms[i].name; i++) {
        printf("shm");
        put_string(cfg_shms[i].name);
        printf(" %u %lu %lu\n", cfg_shms[i].id, cfg_shms[i].hpa, cfg_shms[i].size);
    }
#if CFG_CACHE_CLASSES > 0 /* gcc complains of a loop that no count enters */
    for (u32 i = 0; i < CFG_CACHE_CLASSES; i++)
        printf("class %u %u %u\n", cfg_cache_classes[i].id, cfg_cache_classes[i].level,
               cfg_cache_classes[i].mask);
#endif
    printf("joints %d %d %d %d %d %d\n", CFG_LINKS, CFG_USER_VUARTS, CFG_SHMS, CFG_SHM_USERS, CFG_CACHES,
           CFG_CACHE_CLASSES);
}

int main(void)
{
    put_board(&cfg_board);
    put_caches(&cfg_board);
    printf("scenario");
    put_string(cfg_scenario.name);
    put_string(cfg_scenario.description);
    printf(" %u %u\n", cfg_scenario.loglevel, cfg_scenario.console_vm);
    printf("service %u %s %u %u\n", cfg_scenario.service_vm, cfg_scenario.abi == HCALL_ABI_V1 ? "v1" : "hsm",
           cfg_scenario.upcall_vector, cfg_scenario.debug_hypercalls);
    printf("image %lu %lu\nstore %lu %lu\n", (u64)CFG_HV_BASE, (u64)CFG_HV_SIZE, (u64)CFG_MODULE_BASE,
           (u64)CFG_MODULE_SIZE);
    for (u32 i = 0; cfg_modules[i].name; i++) {
        printf("module");
        put_string(cfg_modules[i].name);
        printf(" %lu\n", cfg_modules[i].max_size);
    }
    for (u32 i = 0; i < CFG_VMS; i++)
        put_vm(&cfg_vms[i]);
    put_joints();
    printf("sizes %d %d %d %d %d %d %d %d %d\n", CFG_PCPUS, CFG_VMS, CFG_VCPUS, CFG_MAX_VCPUS_PER_VM,
           CFG_MODULES, CFG_VUARTS, CFG_SERVICE, CFG_USER_VMS, CFG_S2_PAGES);
    return 0;
}
