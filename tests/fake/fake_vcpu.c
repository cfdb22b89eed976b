/* Fake vCPUs (include/arch/vcpu.h): plain storage, and a record of what was injected. */
#include <string.h>
#include <core/vcpu.h>
#include <fake.h>

struct fake_vcpu fake_vcpus[CFG_VCPUS];

void fake_reset_vcpu(void);

void fake_reset_vcpu(void)
{
    memset(fake_vcpus, 0, sizeof(fake_vcpus));
}

static struct fake_vcpu *of(struct vcpu *v)
{
    return &fake_vcpus[v->index];
}

FAKE void arch_vcpu_init(struct vcpu *v)
{
    struct fake_vcpu *f = of(v);
    unsigned inits = f->inits;

    memset(f, 0, sizeof(*f));
    f->inits = inits + 1;
    f->reg[REG_RFLAGS] = 2;
    f->reg[REG_CR0] = 0x60000010;
    f->reg[REG_DR6] = 0xffff0ff0;
    f->reg[REG_DR7] = 0x400;
    f->reg[REG_PAT] = 0x0007040600070406ULL;
    v->regs = &f->regs;
}

FAKE void arch_vcpu_load(struct vcpu *v)
{
    struct fake_vcpu *f = of(v);

    if (f->loaded)
        fake_end("vCPU loaded twice");
    f->loaded = true;
    f->loaded_on = this_cpu()->id;
    f->loads++;
}

FAKE void arch_vcpu_put(struct vcpu *v)
{
    struct fake_vcpu *f = of(v);

    if (!f->loaded || f->loaded_on != this_cpu()->id)
        fake_end("vCPU given up by a CPU that does not have it");
    f->loaded = false;
    f->puts++;
}

FAKE void arch_vcpu_refuse(struct vcpu *v)
{
    struct fake_vcpu *f = of(v);

    f->refused++;
    if (f->refusing)
        return;
    f->refusing = true;
    f->refuse_regs = f->regs;
    f->refuse_rip = f->reg[REG_RIP];
    f->refuse_rflags = f->reg[REG_RFLAGS];
}

FAKE void arch_vcpu_set_boot_state(struct vcpu *v, const struct vcpu_boot_state *s)
{
    struct fake_vcpu *f = of(v);

    memcpy(f->regs.gpr, s->gpr, sizeof(f->regs.gpr));
    memcpy(f->seg, s->seg, sizeof(f->seg));
    f->reg[REG_RIP] = s->rip;
    f->reg[REG_RFLAGS] = s->rflags;
    f->reg[REG_CR0] = s->cr0;
    f->reg[REG_CR2] = 0;
    f->reg[REG_CR3] = s->cr3;
    f->reg[REG_CR4] = s->cr4;
    f->reg[REG_EFER] = s->efer;
    f->reg[REG_DR6] = 0xffff0ff0;
    f->reg[REG_DR7] = 0x400;
    f->cpl = 0;
    f->if_set = (s->rflags & 0x200) != 0;
    f->nmi_blocked = f->shadow = f->queued = f->triple_fault = false;
    f->irq_window = f->nmi_window = f->refusing = false;
    memset(f->live_msr, 0, sizeof(f->live_msr));
    f->boot_states++;
    v->regs = &f->regs;
}

FAKE struct guest_regs *arch_vcpu_regs(struct vcpu *v)
{
    return &of(v)->regs;
}

FAKE u64 arch_vcpu_get(struct vcpu *v, enum guest_reg r)
{
    return of(v)->reg[r];
}

FAKE void arch_vcpu_set(struct vcpu *v, enum guest_reg r, u64 val)
{
    of(v)->reg[r] = val;
    if (r == REG_RFLAGS)
        of(v)->if_set = (val & 0x200) != 0;
}

FAKE void arch_vcpu_get_seg(struct vcpu *v, enum guest_seg s, struct segment *out)
{
    *out = of(v)->seg[s];
}

FAKE void arch_vcpu_set_seg(struct vcpu *v, enum guest_seg s, const struct segment *in)
{
    of(v)->seg[s] = *in;
    if (s == SEG_SS)
        of(v)->cpl = (in->attr >> 5) & 3;
}

FAKE void arch_vcpu_paging(struct vcpu *v, struct guest_paging *out)
{
    struct segment cs;

    arch_vcpu_get_seg(v, SEG_CS, &cs);
    out->cr0 = arch_vcpu_get(v, REG_CR0);
    out->cr3 = arch_vcpu_get(v, REG_CR3);
    out->cr4 = arch_vcpu_get(v, REG_CR4);
    out->efer = arch_vcpu_get(v, REG_EFER);
    out->rflags = arch_vcpu_get(v, REG_RFLAGS);
    out->rip = arch_vcpu_get(v, REG_RIP);
    out->cs_base = cs.base;
    out->cs_attr = cs.attr;
    out->cpl = arch_vcpu_cpl(v);
}

FAKE unsigned arch_vcpu_cpl(struct vcpu *v)
{
    return of(v)->cpl;
}

FAKE void arch_vcpu_skip(struct vcpu *v, unsigned len)
{
    if (len < 1 || len > 15)
        fake_end("arch_vcpu_skip() length");
    of(v)->reg[REG_RIP] += len;
    of(v)->skipped += len;
    of(v)->shadow = false;
}

FAKE unsigned arch_vcpu_insn_bytes(struct vcpu *v, u8 out[15])
{
    memcpy(out, of(v)->insn, of(v)->insn_len);
    return of(v)->insn_len;
}

FAKE bool arch_vcpu_irq_ready(struct vcpu *v)
{
    return of(v)->if_set && !of(v)->shadow && !of(v)->queued;
}

FAKE bool arch_vcpu_nmi_ready(struct vcpu *v)
{
    return !of(v)->nmi_blocked && !of(v)->shadow && !of(v)->queued;
}

FAKE bool arch_vcpu_event_queued(struct vcpu *v)
{
    return of(v)->queued;
}

/* SDM vol. 3A table 6-5: contributory exceptions, page faults, and the rest ("benign"). */
static int fault_class(const struct guest_event *e)
{
    if (e->kind != EVENT_EXCEPTION)
        return 0;
    if (e->vector == 14)
        return 2;
    return e->vector == 0 || (e->vector >= 10 && e->vector <= 13) ? 1 : 0;
}

FAKE void arch_vcpu_inject(struct vcpu *v, const struct guest_event *e)
{
    struct fake_vcpu *f = of(v);
    int first = f->queued ? fault_class(&f->queued_event) : 0;
    int second = fault_class(e);

    if (e->kind == EVENT_INTR && !arch_vcpu_irq_ready(v))
        fake_end("interrupt injected while the vCPU was not ready");
    if (e->kind == EVENT_NMI && !arch_vcpu_nmi_ready(v))
        fake_end("NMI injected while the vCPU was not ready");
    if (f->event_count < FAKE_EVENTS)
        f->events[f->event_count++] = *e;
    if (f->queued && f->queued_event.kind == EVENT_EXCEPTION && f->queued_event.vector == 8 && second) {
        f->triple_fault = true;
        return;
    }
    f->queued_event = *e;
    if ((first == 1 && second == 1) || (first == 2 && second)) {
        f->queued_event = (struct guest_event){.kind = EVENT_EXCEPTION, .vector = 8, .has_error = true};
    } else if (e->kind == EVENT_EXCEPTION && e->vector == 14) {
        f->reg[REG_CR2] = e->cr2;
    }
    f->queued = true;
}

FAKE void arch_vcpu_irq_window(struct vcpu *v, bool on)
{
    of(v)->irq_window = on;
}

FAKE void arch_vcpu_nmi_window(struct vcpu *v, bool on)
{
    of(v)->nmi_window = on;
}

FAKE void arch_vcpu_set_tsc_offset(struct vcpu *v, u64 offset)
{
    of(v)->tsc_offset = offset;
}

FAKE u64 arch_vcpu_tsc_offset(struct vcpu *v)
{
    return of(v)->tsc_offset;
}

int fake_live_msr_index(u32 msr)
{
    static const u32 list[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102,
                               0xc0000100, 0xc0000101, 0x174,      0x175,      0x176};

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (list[i] == msr)
            return (int)i;
    return -1;
}

FAKE bool arch_vcpu_live_msr(struct vcpu *v, u32 msr, bool write, u64 *val)
{
    int i = fake_live_msr_index(msr);

    if (i < 0)
        return false;
    if (write)
        of(v)->live_msr[i] = *val;
    else
        *val = of(v)->live_msr[i];
    return true;
}

void fake_enter(struct vcpu *v)
{
    struct fake_vcpu *f = of(v);

    if (f->refusing) {
        const struct guest_event gp = {.kind = EVENT_EXCEPTION, .vector = 13, .has_error = true};

        f->refusing = false;
        f->regs = f->refuse_regs;
        f->reg[REG_RIP] = f->refuse_rip;
        arch_vcpu_set(v, REG_RFLAGS, f->refuse_rflags);
        arch_vcpu_inject(v, &gp);
    }
    if (f->queued && f->queued_event.kind == EVENT_NMI)
        f->nmi_blocked = true;
    f->queued = false;
    f->shadow = false;
}

FAKE const char *arch_vcpu_exit_name(unsigned i)
{
    static const char *const names[] = {"cpuid", "port", "msr", "mmio", "hlt"};

    return i < ARRAY_SIZE(names) ? names[i] : NULL;
}
