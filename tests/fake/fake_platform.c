/* Fake virtual platform (include/arch/platform.h): records what core asks of it. */
#include <string.h>
#include <core/vm.h>
#include <fake.h>

struct fake_vm fake_vms[CFG_VMS];
int fake_firmware_result;
bool (*fake_host_port)(struct vcpu *v, u16 port, u8 size, bool write, u32 *val);
unsigned fake_quiesces, fake_host_irqs;

void fake_reset_platform(void);

void fake_reset_platform(void)
{
    memset(fake_vms, 0, sizeof(fake_vms));
    fake_firmware_result = 0;
    fake_host_port = NULL;
    fake_quiesces = fake_host_irqs = 0;
}

FAKE void arch_vm_init(struct vm *vm)
{
    fake_vms[vm->id].inits++;
}

FAKE void arch_vm_reset(struct vm *vm)
{
    fake_vms[vm->id].resets++;
}

FAKE void arch_vm_set_gsi(struct vm *vm, u32 gsi, bool level)
{
    struct fake_vm *f = &fake_vms[vm->id];

    if (gsi >= ARRAY_SIZE(f->gsi_level))
        fake_end("GSI out of range");
    if (level && !f->gsi_level[gsi])
        f->gsi_rises[gsi]++;
    f->gsi_level[gsi] = level;
}

FAKE int arch_vm_inject_msi(struct vm *vm, u64 addr, u64 data)
{
    struct fake_vm *f = &fake_vms[vm->id];

    if ((addr & 0xfff00000u) != 0xfee00000u || addr >> 32)
        return -EINVAL_;
    f->msis++;
    f->msi_addr = addr;
    f->msi_data = data;
    return 0;
}

FAKE void arch_vcpu_send_vector(struct vcpu *v, u8 vector)
{
    struct fake_vcpu *f = &fake_vcpus[v->index];

    f->vectors++;
    f->vector = vector;
    f->wake = true;
    atomic_or(&v->requests, (u32)VCPU_REQ_EVENT);
    if (v->pcpu != this_cpu()->id)
        arch_cpu_kick(v->pcpu);
}

FAKE bool arch_host_port(struct vcpu *v, u16 port, u8 size, bool write, u32 *val)
{
    return fake_host_port && fake_host_port(v, port, size, write, val);
}

FAKE void arch_host_quiesce(struct vm *vm)
{
    (void)vm;
    fake_quiesces++;
}

FAKE void arch_host_irqs(void)
{
    fake_host_irqs++;
}

FAKE void arch_vcpu_deliver_events(struct vcpu *v, u32 reqs)
{
    fake_vcpus[v->index].delivered |= reqs;
    fake_vcpus[v->index].deliveries++;
}

FAKE bool arch_vcpu_wake_pending(struct vcpu *v)
{
    return fake_vcpus[v->index].wake;
}

FAKE void arch_vcpu_init_ipi(struct vcpu *v)
{
    fake_vcpus[v->index].init_ipis++;
}

/* SDM vol. 3A 9.4: state after INIT; SIPI sets CS to vector << 8. */
static void reset_common(struct vcpu_boot_state *s)
{
    memset(s, 0, sizeof(*s));
    s->rflags = 2;
    s->cr0 = 0x60000010;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->seg[i] = (struct segment){.limit = 0xffff, .attr = 0x93};
    s->seg[SEG_CS].attr = 0x9b;
    s->seg[SEG_LDTR].attr = 0x82;
    s->seg[SEG_TR].attr = 0x8b;
}

FAKE void arch_sipi_state(u8 vector, struct vcpu_boot_state *out)
{
    reset_common(out);
    out->seg[SEG_CS].sel = (u16)(vector << 8);
    out->seg[SEG_CS].base = (u64)vector << 12;
}

FAKE void arch_reset_state(struct vcpu_boot_state *out)
{
    reset_common(out);
    out->seg[SEG_CS].sel = 0xf000;
    out->seg[SEG_CS].base = 0xffff0000;
    out->rip = 0xfff0;
}

FAKE int arch_vm_build_firmware(struct vm *vm)
{
    fake_vms[vm->id].firmwares++;
    return fake_firmware_result;
}

FAKE unsigned arch_vm_e820(struct vm *vm, struct e820_entry out[PLATFORM_E820_MAX])
{
    unsigned n = 0;

    out[n++] = (struct e820_entry){0, 0x9f000, 1};
    out[n++] = (struct e820_entry){0xe0000, 0x20000, 2};
    for (unsigned i = 0; i < vm->cfg->mem_count && n < PLATFORM_E820_MAX; i++) {
        u64 lo = MAX(vm->cfg->mem[i].gpa, 0x100000);

        out[n++] = (struct e820_entry){lo, vm->cfg->mem[i].gpa + vm->cfg->mem[i].size - lo, 1};
    }
    return n;
}

FAKE u64 arch_vm_rsdp(struct vm *vm)
{
    (void)vm;
    return 0xe0000;
}

FAKE void arch_dump_vioapic(struct vm *vm, void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    print("fake vioapic of %s\n", vm->cfg->name);
}

FAKE void arch_dump_vcpu(struct vcpu *v, void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    print("fake registers of vcpu %u\n", v->index);
    print("rip %016llx\n", (unsigned long long)arch_vcpu_get(v, REG_RIP));
}
