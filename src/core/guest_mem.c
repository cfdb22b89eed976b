/* Guest-physical memory through the second-level tables and the CPU's private windows. */
#include <arch/cpu.h>
#include <arch/s2.h>
#include <core/vm.h>
#include "core_impl.h"

/* The longest stretch of one operation between two looks at what else this CPU has to do. */
#define CHUNK KIB(64)

static inline bool lookup(struct vm *vm, gpa_t addr, u32 need, struct s2_leaf *leaf)
{
    /* Device memory is not for these functions; RAM that is mapped uncached is. */
    return arch_s2_translate(vm, addr, leaf) && (leaf->prot & (need | MEM_DEV)) == need;
}

/*
 * The first block of RAM that the configuration gives a VM is mapped once, at boot, and stays mapped
 * readable: no need to ask the tables. VMs without RAM of their own (mem_count 0) always go through them.
 */
static inline bool own_ram(const struct vm *vm, gpa_t addr, u64 len, hpa_t *out)
{
    const struct cfg_vm *cfg = vm->cfg;

    if (UNLIKELY(cfg->mem_count == 0) || UNLIKELY(addr.v > cfg->mem[0].size - len))
        return false;
    *out = hpa_add(hpa(cfg->mem[0].hpa), addr.v);
    return true;
}

bool vm_gpa_read64(struct vm *vm, gpa_t src, u64 *val)
{
    struct s2_leaf leaf;

    if (UNLIKELY(!own_ram(vm, src, sizeof(*val), &leaf.hpa)) && !lookup(vm, src, MEM_R, &leaf))
        return false;
    *val = arch_hpa_read64(leaf.hpa);
    return true;
}

int vm_gpa_read(struct vm *vm, gpa_t src, void *dst, size_t len)
{
    struct s2_leaf leaf;
    u8 *out = dst;

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

int vm_gpa_write(struct vm *vm, gpa_t dst, const void *src, size_t len)
{
    struct s2_leaf leaf;
    const u8 *in = src;

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
