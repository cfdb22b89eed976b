/*
 * Nested page tables: four levels, the long-mode format of the host (APM vol. 2 15.25). Nested walks count as
 * user accesses, so every entry carries U; rights are W and NX.
 */
#include <lib/atomic.h>
#include <lib/log.h>
#include <lib/string.h>
#include "x86/hw/paging.h"
#include "x86/svm/svm.h"

#define NPT_P    BIT64(0)
#define NPT_W    BIT64(1)
#define NPT_U    BIT64(2)
#define NPT_PWT  BIT64(3)
#define NPT_PCD  BIT64(4)
#define NPT_PS   BIT64(7)
#define NPT_NX   BIT64(63)
#define NPT_ADDR 0x000ffffffffff000ULL
#define NPT_TOP  3 /* level of the root; level 0 maps 4 KiB */

static u64 npt_pages[CFG_S2_PAGES][512] ALIGNED(4096);
static u32 npt_used[CFG_VMS];

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * level;
}

/* What to add to a table's host-physical address to get at it: the pool is part of the image. */
static u64 npt_delta;

static inline u64 *table_of(u64 entry)
{
    return (u64 *)((entry & NPT_ADDR) + npt_delta);
}

static u64 *new_table(struct vm *vm)
{
    u64 *t;

    if (npt_used[vm->id] == vm->cfg->s2_pages)
        return NULL;
    t = npt_pages[vm->cfg->first_s2_page + npt_used[vm->id]++];
    memset(t, 0, PAGE_SIZE);
    return t;
}

static u64 *root(const struct vm *vm)
{
    return npt_pages[vm->cfg->first_s2_page];
}

hpa_t svm_npt_root(const struct vm *vm)
{
    return va_to_hpa(root(vm));
}

void arch_s2_init(struct vm *vm)
{
    npt_delta = (u64)npt_pages - va_to_hpa(npt_pages).v;
    npt_used[vm->id] = 0;
    ASSERT(new_table(vm) == root(vm));
}

static u64 leaf_bits(u32 prot)
{
    u64 e = NPT_U;

    if (prot & (MEM_R | MEM_W | MEM_X))
        e |= NPT_P;
    if (prot & MEM_W)
        e |= NPT_W;
    if (!(prot & MEM_X))
        e |= NPT_NX;
    if (prot & MEM_UC)
        e |= NPT_PCD | NPT_PWT;
    return e;
}

/* The table below *slot, made or split from a large leaf when needed. NULL: pool used up. */
static u64 *descend(struct vm *vm, u64 *slot, unsigned level)
{
    u64 e = *slot, step;
    u64 *t;

    if ((e & NPT_P) && !(e & NPT_PS))
        return table_of(e);
    t = new_table(vm);
    if (!t)
        return NULL;
    if (e & NPT_P) {
        step = BIT64(level_shift(level - 1));
        for (unsigned i = 0; i < 512; i++)
            t[i] = level - 1 == 0 ? (e + i * step) & ~NPT_PS : e + i * step;
    }
    atomic_store(slot, va_to_hpa(t).v | NPT_P | NPT_W | NPT_U);
    return t;
}

/*
 * Sets every leaf in [addr, addr+size) to bits|host address, or to nothing when bits is 0. Walks level by
 * level without recursion: at each step the largest leaf that fits is taken.
 */
static int set_range(struct vm *vm, u64 addr, u64 host, u64 size, u64 bits)
{
    while (size) {
        u64 *t = root(vm);
        unsigned level = NPT_TOP;
        u64 span;

        for (;;) {
            u64 *slot = &t[(addr >> level_shift(level)) & 511];

            span = BIT64(level_shift(level));
            if (level <= 2 && IS_ALIGNED(addr, span) && IS_ALIGNED(host, span) && size >= span &&
                (level == 0 || !(*slot & NPT_P) || (*slot & NPT_PS))) {
                atomic_store(slot, bits ? host | bits | (level ? NPT_PS : 0) : 0);
                break;
            }
            if (!bits && !(*slot & NPT_P)) {
                span -= addr & (span - 1);
                break;
            }
            t = descend(vm, slot, level);
            if (!t)
                return -ENOMEM_;
            level--;
        }
        span = MIN(span, size);
        addr += span;
        host += span;
        size -= span;
    }
    return 0;
}

int arch_s2_map(struct vm *vm, gpa_t gpa_, hpa_t hpa_, u64 size, u32 prot)
{
    ASSERT(IS_ALIGNED(gpa_.v | hpa_.v | size, PAGE_SIZE));
    return set_range(vm, gpa_.v, hpa_.v, size, leaf_bits(prot));
}

int arch_s2_unmap(struct vm *vm, gpa_t gpa_, u64 size)
{
    ASSERT(IS_ALIGNED(gpa_.v | size, PAGE_SIZE));
    return set_range(vm, gpa_.v, 0, size, 0);
}

static inline bool leaf(u64 e, u64 addr, u64 span, struct s2_leaf *out)
{
    u64 off = addr & (span - 1);

    out->hpa = hpa((e & NPT_ADDR & ~(span - 1)) | off);
    out->left = span - off;
    out->prot = MEM_R | ((e & NPT_W) ? MEM_W : 0) | ((e & NPT_NX) ? 0 : MEM_X) | ((e & NPT_PCD) ? MEM_UC : 0);
    return true;
}

/* Written out level by level: it is part of every emulated access, several times over. */
bool arch_s2_translate(struct vm *vm, gpa_t gpa_, struct s2_leaf *out)
{
    u64 a = gpa_.v, e;

    if (UNLIKELY(a >> 48))
        return false;
    e = atomic_load(&root(vm)[a >> 39]);
    if (UNLIKELY(!(e & NPT_P)))
        return false;
    e = atomic_load(&table_of(e)[(a >> 30) & 511]);
    if (UNLIKELY(!(e & NPT_P)))
        return false;
    if (e & NPT_PS)
        return leaf(e, a, SIZE_1G, out);
    e = atomic_load(&table_of(e)[(a >> 21) & 511]);
    if (UNLIKELY(!(e & NPT_P)))
        return false;
    if (e & NPT_PS)
        return leaf(e, a, SIZE_2M, out);
    e = atomic_load(&table_of(e)[(a >> 12) & 511]);
    return (e & NPT_P) && leaf(e, a, PAGE_SIZE, out);
}

void arch_s2_flush(struct vm *vm)
{
    for (u16 i = 0; i < vm->cfg->vcpu_count; i++)
        vcpu_request(&vm->vcpus[i], VCPU_REQ_FLUSH);
}
