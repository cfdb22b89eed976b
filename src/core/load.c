/* Guest image loading: what all loaders share, and the choice among them. */
#include <stdarg.h>
#include <arch/cpu.h>
#include <core/load.h>
#include <core/vm.h>
#include <lib/fmt.h>
#include <lib/log.h>
#include <lib/string.h>
#include "load_priv.h"

/* Segment attributes in the contract's layout (arch/vcpu.h): present, DPL 0, accessed. */
#define ATTR_CODE32 0xc09bu /* execute/read, 32-bit, 4 KiB granularity */
#define ATTR_CODE64 0xa09bu /* execute/read, 64-bit */
#define ATTR_DATA   0xc093u /* read/write */
#define ATTR_TSS    0x008bu /* busy 32-bit TSS: VM entry demands one (SDM vol. 3C 26.3.1.2) */
#define ATTR_LDT    0x0082u

/* The same three as descriptors: base 0, limit 4 GiB (SDM vol. 3A 3.4.5). */
#define DESC_CODE32 0x00cf9b000000ffffULL
#define DESC_CODE64 0x00af9b000000ffffULL
#define DESC_DATA   0x00cf93000000ffffULL
#define SEL_CODE    0x10u
#define SEL_DATA    0x18u

#define CR0_PE   BIT64(0)
#define CR0_ET   BIT64(4)
#define CR0_NE   BIT64(5)
#define CR0_PG   BIT64(31)
#define CR4_PAE  BIT64(5)
#define EFER_LME BIT64(8)
#define EFER_LMA BIT64(10)

int load_fail(const struct load_ctx *c, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    bh_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_err("vm '%s': module '%s': %s", c->vm->cfg->name, c->kernel.name, text);
    return -EINVAL_;
}

bool load_read(const struct load_ctx *c, u64 off, void *dst, size_t len)
{
    if (off > c->kernel.size || len > c->kernel.size - off)
        return false;
    arch_hpa_read(dst, hpa_add(c->kernel.base, off), len);
    return true;
}

bool load_is_ram(const struct load_ctx *c, u64 base, u64 size)
{
    for (unsigned i = 0; i < c->e820_count; i++) {
        const struct e820_entry *e = &c->e820[i];

        if (e->type == 1 && base >= e->base && base - e->base <= e->size &&
            size <= e->size - (base - e->base))
            return true;
    }
    return false;
}

static const struct load_claim *claim_at(const struct load_ctx *c, u64 base, u64 end)
{
    for (unsigned i = 0; i < c->claim_count; i++) {
        if (base < c->claims[i].end && c->claims[i].base < end)
            return &c->claims[i];
    }
    return NULL;
}

int load_claim(struct load_ctx *c, u64 base, u64 size, const char *what)
{
    const struct load_claim *other;

    if (size == 0)
        return 0;
    if (size > GIB(4) || base > GIB(4) - size || !load_is_ram(c, base, size))
        return load_fail(c, "%s at 0x%llx, size 0x%llx, is not in the VM's RAM below 4 GiB", what,
                         (unsigned long long)base, (unsigned long long)size);
    other = claim_at(c, base, base + size);
    if (other)
        return load_fail(c, "%s at 0x%llx, size 0x%llx, overlaps %s at 0x%llx", what,
                         (unsigned long long)base, (unsigned long long)size, other->what,
                         (unsigned long long)other->base);
    if (c->claim_count == ARRAY_SIZE(c->claims))
        return load_fail(c, "more than %zu parts to place", ARRAY_SIZE(c->claims));
    c->claims[c->claim_count++] = (struct load_claim){base, base + size, what};
    return 0;
}

/* The highest place within [lo, hi), skipping claims from above; 0: none. */
static u64 place_within(const struct load_ctx *c, u64 lo, u64 hi, u64 size)
{
    while (hi > lo && hi - lo >= size) {
        u64 base = ALIGN_DOWN(hi - size, PAGE_SIZE);
        const struct load_claim *other;

        if (base < lo)
            break;
        other = claim_at(c, base, base + size);
        if (!other)
            return base;
        hi = other->base;
    }
    return 0;
}

u64 load_place_high(const struct load_ctx *c, u64 size, u64 limit)
{
    u64 best = 0;

    limit = MIN(limit, GIB(4));
    for (unsigned i = 0; i < c->e820_count; i++) {
        const struct e820_entry *e = &c->e820[i];
        u64 lo = MAX(e->base, MIB(1));
        u64 hi = MIN(e->base + e->size, limit);
        u64 base = e->type == 1 ? place_within(c, lo, hi, size) : 0;

        best = MAX(best, base);
    }
    return best;
}

static int mem_result(const struct load_ctx *c, u64 dst, u64 len, int err)
{
    if (err)
        load_fail(c, "cannot write guest memory 0x%llx, size 0x%llx", (unsigned long long)dst,
                  (unsigned long long)len);
    return err;
}

/* Copies a module's bytes into the guest. On the first start its time is left out of boot.first_guest. */
static int copy_in(const struct load_ctx *c, u64 dst, hpa_t src, u64 len)
{
    u64 start = arch_tsc();
    int err = vm_gpa_copy_in(c->vm, gpa(dst), src, len);

    if (c->vm->starts == 0)
        atomic_add(&load_copy_ticks, arch_tsc() - start);
    return mem_result(c, dst, len, err);
}

int load_copy(const struct load_ctx *c, u64 dst, u64 off, u64 len)
{
    ASSERT(off <= c->kernel.size && len <= c->kernel.size - off);
    return len == 0 ? 0 : copy_in(c, dst, hpa_add(c->kernel.base, off), len);
}

int load_write(const struct load_ctx *c, u64 dst, const void *src, size_t len)
{
    return mem_result(c, dst, len, vm_gpa_write(c->vm, gpa(dst), src, len));
}

int load_zero(const struct load_ctx *c, u64 dst, u64 len)
{
    return len == 0 ? 0 : mem_result(c, dst, len, vm_gpa_zero(c->vm, gpa(dst), len));
}

int load_initrd(struct load_ctx *c, u64 limit, u64 *base_out)
{
    u64 size = ALIGN_UP(c->initrd.size, PAGE_SIZE);
    u64 base = load_place_high(c, size, limit);
    int err;

    if (base == 0)
        return load_fail(c,
                         "no room for initramfs '%s' (0x%llx bytes) below 0x%llx beside the kernel; give the "
                         "VM more memory",
                         c->initrd.name, (unsigned long long)c->initrd.size, (unsigned long long)limit);
    err = load_claim(c, base, size, "initramfs");
    if (!err)
        err = copy_in(c, base, c->initrd.base, c->initrd.size);
    if (!err)
        err = load_zero(c, base + c->initrd.size, size - c->initrd.size);
    *base_out = base;
    return err;
}

static int enter(struct load_ctx *c, u64 entry, u64 code_desc, u32 code_attr)
{
    const u64 gdt[4] = {0, 0, code_desc, DESC_DATA};
    struct vcpu_boot_state *s = c->out;

    memset(s, 0, sizeof(*s));
    s->rip = entry;
    s->rflags = 2;
    s->cr0 = CR0_PE | CR0_ET | CR0_NE;
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        s->seg[i] = (struct segment){.limit = 0xffffffff, .attr = ATTR_DATA, .sel = SEL_DATA};
    s->seg[SEG_CS] = (struct segment){.limit = 0xffffffff, .attr = code_attr, .sel = SEL_CODE};
    s->seg[SEG_LDTR] = (struct segment){.limit = 0xffff, .attr = ATTR_LDT};
    s->seg[SEG_TR] = (struct segment){.limit = 0xffff, .attr = ATTR_TSS};
    s->seg[SEG_GDTR] = (struct segment){.base = LOAD_GDT, .limit = sizeof(gdt) - 1};
    return load_write(c, LOAD_GDT, gdt, sizeof(gdt));
}

int load_enter_flat(struct load_ctx *c, u64 entry)
{
    return enter(c, entry, DESC_CODE32, ATTR_CODE32);
}

int load_enter_long(struct load_ctx *c, u64 entry)
{
    int err = enter(c, entry, DESC_CODE64, ATTR_CODE64);

    c->out->cr0 |= CR0_PG;
    c->out->cr3 = LOAD_PAGE_TABLES;
    c->out->cr4 = CR4_PAE;
    c->out->efer = EFER_LME | EFER_LMA;
    return err;
}

#define TOKEN_TSC_KHZ "@tsc_khz@"

/* A VM's command line as its guest gets it. One per VM, because VMs load at the same time on their own CPUs.
 */
static char cmdline_text[CFG_VMS][2048];

/*
 * Puts the measured TSC rate in place of the token: a guest cannot calibrate reliably through emulated
 * timers, and the hypervisor knows. NULL when the result does not fit.
 */
static const char *expand_cmdline(const struct vm *vm)
{
    const char *in = vm->cfg->boot.cmdline ? vm->cfg->boot.cmdline : "";
    char *out = cmdline_text[vm->id];
    size_t n = 0, room = sizeof(cmdline_text[0]);

    while (*in && n < room) {
        if (strncmp(in, TOKEN_TSC_KHZ, sizeof(TOKEN_TSC_KHZ) - 1) == 0) {
            n += (size_t)bh_snprintf(out + n, room - n, "%llu", (unsigned long long)(arch_tsc_hz() / 1000));
            in += sizeof(TOKEN_TSC_KHZ) - 1;
        } else {
            out[n++] = *in++;
        }
    }
    if (n >= room)
        return NULL;
    out[n] = '\0';
    return out;
}

static int load_by_kind(struct load_ctx *c)
{
    switch (c->boot->kind) {
    case BOOT_BZIMAGE:
        return load_bzimage(c);
    case BOOT_ELF:
        return load_elf(c);
    case BOOT_MULTIBOOT:
        return load_multiboot(c);
    case BOOT_RAW:
        return load_raw(c);
    case BOOT_NONE:
        break;
    }
    return load_fail(c, "boot kind %d has no loader", (int)c->boot->kind);
}

int vm_load(struct vm *vm, struct vcpu_boot_state *out)
{
    const struct cfg_boot *boot = &vm->cfg->boot;
    struct load_ctx c = {.vm = vm, .boot = boot, .out = out};
    int err;

    if (boot->kind == BOOT_NONE) {
        log_err("vm '%s' has no kernel: its <boot> names none", vm->cfg->name);
        return -EINVAL_;
    }
    if (!module_image_get(boot->kernel_module, &c.kernel)) {
        log_err("vm '%s': kernel module %u is not in the module store", vm->cfg->name, boot->kernel_module);
        return -ENODEV_;
    }
    if (boot->initrd_module != CFG_NO_MODULE && !module_image_get(boot->initrd_module, &c.initrd)) {
        log_err("vm '%s': initramfs module %u is not in the module store", vm->cfg->name,
                boot->initrd_module);
        return -ENODEV_;
    }
    c.cmdline = expand_cmdline(vm);
    if (!c.cmdline)
        return load_fail(&c, "command line does not fit %zu bytes", sizeof(cmdline_text[0]));
    c.e820_count = arch_vm_e820(vm, c.e820);
    err = arch_vm_build_firmware(vm);
    if (err) {
        log_err("vm '%s': firmware tables could not be written (error %d)", vm->cfg->name, err);
        return err;
    }
    return load_by_kind(&c);
}
