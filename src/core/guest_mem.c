/* Guest-physical memory through the second-level tables and the CPU's private windows. */
#include <arch/cpu.h>
#include <arch/s2.h>
#include <lib/atomic.h>
#include <core/vm.h>
#include "core_impl.h"

/* The longest stretch of one operation between two looks at what else this CPU has to do. */
#define CHUNK KIB(64)

static inline bool lookup(struct vm *vm, gpa_t addr, u32 need, struct s2_leaf *leaf)
{
    /* Device memory is not for these functions; RAM that is mapped uncached is. */
    return arch_s2_translate(vm, addr, leaf) && (leaf->prot & (need | MEM_DEV)) == need;
}

static inline bool in_block(const struct cfg_mem *m, u64 addr, u64 len, hpa_t *out)
{
    u64 off = addr - m->gpa;

    if (UNLIKELY(off >= m->size) || UNLIKELY(len > m->size - off))
        return false;
    *out = hpa(m->hpa + off);
    return true;
}

/*
 * The RAM that the configuration gives a VM is mapped at boot for all kinds of access, for good: no need to
 * ask the tables. VMs without RAM of their own (mem_count 0) always go through them. This looks at the block
 * that was used last only.
 */
static inline bool own_ram(const struct vm *vm, gpa_t addr, u64 len, hpa_t *out)
{
    const struct cfg_vm *cfg = vm->cfg;

    return LIKELY(cfg->mem_count != 0) &&
           in_block(&cfg->mem[atomic_load_relaxed(&vm->ram_hint)], addr.v, len, out);
}

/* The others; what is found is looked at first next time. */
static bool other_ram(struct vm *vm, gpa_t addr, u64 len, hpa_t *out)
{
    for (u16 i = 0; i < vm->cfg->mem_count; i++)
        if (in_block(&vm->cfg->mem[i], addr.v, len, out)) {
            atomic_store(&vm->ram_hint, i);
            return true;
        }
    return false;
}

static NOINLINE bool read64_slow(struct vm *vm, gpa_t src, u64 *val)
{
    struct s2_leaf leaf;

    if (!other_ram(vm, src, sizeof(*val), &leaf.hpa) && !lookup(vm, src, MEM_R, &leaf))
        return false;
    *val = arch_hpa_read64(leaf.hpa);
    return true;
}

bool vm_gpa_read64(struct vm *vm, gpa_t src, u64 *val)
{
    hpa_t at;

    if (UNLIKELY(!own_ram(vm, src, sizeof(*val), &at)))
        return read64_slow(vm, src, val);
    *val = arch_hpa_read64(at);
    return true;
}

static NOINLINE int read_slow(struct vm *vm, gpa_t src, void *dst, size_t len)
{
    struct s2_leaf leaf;
    u8 *out = dst;

    if (other_ram(vm, src, len, &leaf.hpa)) {
        arch_hpa_read(out, leaf.hpa, len);
        return 0;
    }
    while (len) {
        size_t n;

        if (UNLIKELY(!lookup(vm, src, MEM_R, &leaf)))
            return -EFAULT_;
        n = MIN(len, leaf.left);
        arch_hpa_read(out, leaf.hpa, n);
        out += n;
        len -= n;
        src.v += n;
    }
    return 0;
}

int vm_gpa_read(struct vm *vm, gpa_t src, void *dst, size_t len)
{
    hpa_t at;

    if (UNLIKELY(!own_ram(vm, src, len, &at)))
        return read_slow(vm, src, dst, len);
    arch_hpa_read(dst, at, len);
    return 0;
}

static NOINLINE int write_slow(struct vm *vm, gpa_t dst, const void *src, size_t len)
{
    struct s2_leaf leaf;
    const u8 *in = src;

    if (other_ram(vm, dst, len, &leaf.hpa)) {
        arch_hpa_write(leaf.hpa, in, len);
        return 0;
    }
    while (len) {
        size_t n;

        if (UNLIKELY(!lookup(vm, dst, MEM_W, &leaf)))
            return -EFAULT_;
        n = MIN(len, leaf.left);
        arch_hpa_write(leaf.hpa, in, n);
        in += n;
        len -= n;
        dst.v += n;
    }
    return 0;
}

int vm_gpa_write(struct vm *vm, gpa_t dst, const void *src, size_t len)
{
    hpa_t at;

    if (UNLIKELY(!own_ram(vm, dst, len, &at)))
        return write_slow(vm, dst, src, len);
    arch_hpa_write(at, src, len);
    return 0;
}

int vm_gpa_zero(struct vm *vm, gpa_t dst, u64 len)
{
    struct s2_leaf leaf;

    while (len) {
        u64 n;

        if (!lookup(vm, dst, MEM_W, &leaf))
            return -EFAULT_;
        n = MIN(MIN(len, leaf.left), CHUNK);
        arch_hpa_zero(leaf.hpa, n);
        len -= n;
        dst.v += n;
        if (n == CHUNK)
            cpu_breathe();
    }
    return 0;
}

int vm_gpa_copy_in(struct vm *vm, gpa_t dst, hpa_t src, u64 len)
{
    struct s2_leaf leaf;

    while (len) {
        u64 n;

        if (!lookup(vm, dst, MEM_W, &leaf))
            return -EFAULT_;
        n = MIN(MIN(len, leaf.left), CHUNK);
        arch_hpa_copy(leaf.hpa, src, n);
        len -= n;
        dst.v += n;
        src.v += n;
        if (n == CHUNK)
            cpu_breathe();
    }
    return 0;
}
