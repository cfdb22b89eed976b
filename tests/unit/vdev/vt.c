#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hw.h"
#include "vt.h"
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"

struct vm vms[CFG_VMS];
struct vcpu vcpus[CFG_VCPUS];
struct vm *vt_vm;
unsigned vt_poweroffs, vt_resets, vt_cpuid_inits;
unsigned vt_msr_resets[CFG_VCPUS];
unsigned vt_inits[CFG_VCPUS], vt_sipis[CFG_VCPUS];
u8 vt_sipi_vector;

static struct vcpu *cur;

/* ---- what the code under test calls in core and in the guest layer ---- */

void vcpu_request(struct vcpu *v, u32 bits)
{
    atomic_or(&v->requests, bits);
    if (v->pcpu != this_cpu()->id)
        arch_cpu_kick(v->pcpu);
}

void vcpu_send_init(struct vcpu *v)
{
    vt_inits[v->index]++;
}

void vcpu_send_sipi(struct vcpu *v, u8 vector)
{
    vt_sipis[v->index]++;
    vt_sipi_vector = vector;
}

void vm_guest_poweroff(struct vcpu *v)
{
    ck_assert_ptr_eq(v, cur);
    vt_poweroffs++;
}

void vm_guest_reset(struct vcpu *v)
{
    ck_assert_ptr_eq(v, cur);
    vt_resets++;
}

void cpu_request(u32 pcpu, u32 bits)
{
    atomic_or(&cpu_get(pcpu)->requests, bits);
}

void cpu_wait(void)
{
    ck_abort_msg("nothing here is waited for");
}

void vm_s2_commit(struct vm *vm)
{
    arch_s2_settle(vm);
}

void guest_cpuid_init(struct vm *vm)
{
    (void)vm;
    vt_cpuid_inits++;
}

void guest_msrs_reset(struct vcpu *v)
{
    vt_msr_resets[v->index]++;
}

/* ---- harness ---- */

void vt_setup(void)
{
    fake_reset();
    hw_reset();
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    memset(vt_msr_resets, 0, sizeof(vt_msr_resets));
    memset(vt_inits, 0, sizeof(vt_inits));
    memset(vt_sipis, 0, sizeof(vt_sipis));
    vt_poweroffs = vt_resets = vt_cpuid_inits = 0;
    fake_tsc = 5000000000ULL;
    for (unsigned m = 0; m < CFG_VMS; m++) {
        struct vm *vm = &vms[m];

        vm->id = (u16)m;
        vm->cfg = &cfg_vms[m];
        vm->state = VM_STATE_STARTED;
        vm->vcpus = &vcpus[vm->cfg->first_vcpu];
        vm->vcpu_count = vm->cfg->vcpu_count;
        for (unsigned i = 0; i < vm->cfg->vcpu_count; i++) {
            struct vcpu *v = &vm->vcpus[i];

            v->vm = vm;
            v->id = (u16)i;
            v->index = (u16)(vm->cfg->first_vcpu + i);
            v->pcpu = vm->cfg->pcpus[i];
            v->apic_id = vm->cfg->kind == VM_SERVICE ? cfg_board.cpus[v->pcpu].apic_id : i;
            if (vm->cfg->kind != VM_USER)
                cpu_get(v->pcpu)->vcpu = v;
            v->state = VCPU_RUNNING;
            arch_vcpu_init(v);
            arch_vcpu_set(v, REG_RFLAGS, 0x202);
        }
        arch_vm_init(vm);
        arch_vm_reset(vm);
    }
    vt_vm = &vms[0];
    for (unsigned i = 0; i < CFG_VCPUS; i++)
        vcpus[i].requests = 0;
    vt_on(0);
}

struct vcpu *vt_vcpu(unsigned id)
{
    return &vt_vm->vcpus[id];
}

void vt_on(unsigned id)
{
    cur = vt_vcpu(id);
    fake_set_cpu(cur->pcpu);
}

void vt_if(unsigned id, bool on)
{
    arch_vcpu_set(vt_vcpu(id), REG_RFLAGS, on ? 0x202 : 0x2);
}

void vt_out(u16 port, u8 val)
{
    io_port_write(cur, port, 1, val);
}

void vt_out_n(u16 port, u8 size, u32 val)
{
    io_port_write(cur, port, size, val);
}

u8 vt_in(u16 port)
{
    return (u8)io_port_read(cur, port, 1);
}

u32 vt_in_n(u16 port, u8 size)
{
    return io_port_read(cur, port, size);
}

u64 vt_read(u64 addr, u8 size)
{
    return io_mmio_read(cur, addr, size);
}

void vt_write(u64 addr, u8 size, u64 val)
{
    io_mmio_write(cur, addr, size, val);
}

u32 vt_apic(u32 offset)
{
    return (u32)io_mmio_read(cur, PLAT_LAPIC_BASE + offset, 4);
}

void vt_apic_set(u32 offset, u32 val)
{
    io_mmio_write(cur, PLAT_LAPIC_BASE + offset, 4, val);
}

u64 vt_rdmsr(u32 msr)
{
    u64 val = 0;

    ck_assert_msg(vlapic_msr_read(cur, msr, &val), "RDMSR 0x%x raised #GP", msr);
    return val;
}

bool vt_rdmsr_gp(u32 msr)
{
    u64 val;

    return !vlapic_msr_read(cur, msr, &val);
}

bool vt_wrmsr(u32 msr, u64 val)
{
    return vlapic_msr_write(cur, msr, val);
}

int vt_enter(unsigned id)
{
    struct vcpu *v = vt_vcpu(id);
    struct fake_vcpu *f = &fake_vcpus[v->index];
    struct cpu *before = fake_this_cpu;
    u32 reqs = atomic_xchg(&v->requests, 0);
    int got = VT_NONE;

    fake_set_cpu(v->pcpu);
    f->event_count = 0;
    if (reqs & (VCPU_REQ_EVENT | VCPU_REQ_NMI))
        arch_vcpu_deliver_events(v, reqs);
    if (f->event_count > 1)
        ck_abort_msg("%u events for one entry", f->event_count);
    if (f->event_count)
        got = f->events[0].kind == EVENT_NMI ? VT_NMI : f->events[0].vector;
    fake_enter(v);
    fake_this_cpu = before;
    return got;
}

void vt_enable_apics(void)
{
    for (unsigned i = 0; i < vt_vm->cfg->vcpu_count; i++) {
        vt_on(i);
        vt_apic_set(0xf0, 0x1ff);
    }
    vt_on(0);
}

static u64 first_deadline(const struct timer *list, u64 next)
{
    for (const struct timer *t = list; t; t = t->next)
        next = MIN(next, t->deadline);
    return next;
}

void vt_run_until(u64 tsc)
{
    struct cpu *before = fake_this_cpu;

    for (;;) {
        u64 next = TIMER_OFF;
        u32 who = 0;

        for (u32 p = 0; p < CFG_PCPUS; p++) {
            const struct vcpu *v = cpu_get(p)->vcpu;
            u64 best = next;

            next = first_deadline(cpu_get(p)->timers, next);
            next = first_deadline(v ? v->timers : NULL, next);
            if (next < best)
                who = p;
        }
        if (next > tsc)
            break;
        if (next > fake_tsc)
            fake_tsc = next;
        fake_set_cpu(who);
        timers_run();
    }
    fake_tsc = tsc;
    fake_this_cpu = before;
}

int vt_main(const char *name, const TTest *const *tests)
{
    return vt_main_setup(name, vt_setup, tests);
}

int vt_main_setup(const char *name, void (*setup)(void), const TTest *const *tests)
{
    Suite *s = suite_create(name);
    TCase *tc = tcase_create(name);
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    for (; *tests; tests++)
        tcase_add_test(tc, *tests);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
