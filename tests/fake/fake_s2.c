/* Fake second-level tables: a short list of mappings per VM with the semantics of include/arch/s2.h. */
#include <string.h>
#include <core/vm.h>
#include <fake.h>

struct fake_s2 fake_s2[CFG_VMS][FAKE_S2_MAPPINGS];
u32 fake_s2_limit;
u32 fake_s2_flushes[CFG_VMS];
bool fake_s2_is_stale[CFG_VMS];
u32 fake_s2_settles[CFG_VMS];

void fake_reset_s2(void);

void fake_reset_s2(void)
{
    memset(fake_s2, 0, sizeof(fake_s2));
    memset(fake_s2_flushes, 0, sizeof(fake_s2_flushes));
    memset(fake_s2_is_stale, 0, sizeof(fake_s2_is_stale));
    memset(fake_s2_settles, 0, sizeof(fake_s2_settles));
    fake_s2_limit = FAKE_S2_MAPPINGS;
}

FAKE void arch_s2_init(struct vm *vm)
{
    memset(fake_s2[vm->id], 0, sizeof(fake_s2[vm->id]));
}

static struct fake_s2 *free_slot(struct vm *vm)
{
    for (u32 i = 0; i < fake_s2_limit && i < FAKE_S2_MAPPINGS; i++)
        if (fake_s2[vm->id][i].size == 0)
            return &fake_s2[vm->id][i];
    return NULL;
}

static void need_aligned(u64 a, u64 b, u64 c)
{
    if (!IS_ALIGNED(a | b | c, PAGE_SIZE))
        fake_end("second-level range is not page aligned");
}

FAKE int arch_s2_unmap(struct vm *vm, gpa_t g, u64 size)
{
    u64 end = g.v + size;

    need_aligned(g.v, size, 0);
    for (u32 i = 0; i < FAKE_S2_MAPPINGS; i++) {
        struct fake_s2 *m = &fake_s2[vm->id][i];
        u64 mend = m->gpa + m->size;
        u64 mgpa = m->gpa, mhpa = m->hpa;
        u32 prot = m->prot;

        if (m->size == 0 || mend <= g.v || mgpa >= end)
            continue;
        m->size = 0;
        fake_s2_is_stale[vm->id] = true;
        if (mgpa < g.v)
            *m = (struct fake_s2){mgpa, mhpa, g.v - mgpa, prot};
        if (mend > end) {
            struct fake_s2 *t = free_slot(vm);

            if (!t)
                return -ENOMEM_;
            *t = (struct fake_s2){end, mhpa + (end - mgpa), mend - end, prot};
        }
    }
    return 0;
}

/* The mapping that the new one continues, so that memory given page by page needs one entry. */
static struct fake_s2 *grown_by(struct vm *vm, u64 g, u64 h, u32 prot)
{
    for (u32 i = 0; i < FAKE_S2_MAPPINGS; i++) {
        struct fake_s2 *m = &fake_s2[vm->id][i];

        if (m->size && m->gpa + m->size == g && m->hpa + m->size == h && m->prot == prot)
            return m;
    }
    return NULL;
}

FAKE int arch_s2_map(struct vm *vm, gpa_t g, hpa_t h, u64 size, u32 prot)
{
    struct fake_s2 *m;

    need_aligned(g.v, h.v, size);
    if (size == 0)
        return 0;
    if (arch_s2_unmap(vm, g, size))
        return -ENOMEM_;
    m = grown_by(vm, g.v, h.v, prot);
    if (m) {
        m->size += size;
        return 0;
    }
    m = free_slot(vm);
    if (!m)
        return -ENOMEM_;
    *m = (struct fake_s2){g.v, h.v, size, prot};
    return 0;
}

FAKE int arch_s2_protect(struct vm *vm, gpa_t g, u64 size, u32 prot)
{
    struct fake_s2 old[FAKE_S2_MAPPINGS];
    u64 end = g.v + size;

    need_aligned(g.v, size, 0);
    memcpy(old, fake_s2[vm->id], sizeof(old));
    for (u32 i = 0; i < FAKE_S2_MAPPINGS; i++) {
        u64 from = MAX(g.v, old[i].gpa), to = MIN(end, old[i].gpa + old[i].size);

        if (old[i].size == 0 || from >= to)
            continue;
        if (arch_s2_map(vm, gpa(from), hpa(old[i].hpa + (from - old[i].gpa)), to - from, prot))
            return -ENOMEM_;
    }
    return 0;
}

FAKE u64 arch_s2_mapped(struct vm *vm, gpa_t g, u64 size)
{
    u64 sum = 0;

    for (u32 i = 0; i < FAKE_S2_MAPPINGS; i++) {
        const struct fake_s2 *m = &fake_s2[vm->id][i];
        u64 from = MAX(g.v, m->gpa), to = MIN(g.v + size, m->gpa + m->size);

        sum += from < to ? to - from : 0;
    }
    return sum;
}

FAKE bool arch_s2_stale(const struct vm *vm)
{
    return fake_s2_is_stale[vm->id];
}

FAKE void arch_s2_settle(struct vm *vm)
{
    fake_s2_is_stale[vm->id] = false;
    fake_s2_settles[vm->id]++;
}

FAKE bool arch_s2_translate(struct vm *vm, gpa_t g, struct s2_leaf *out)
{
    static const u64 sizes[] = {SIZE_1G, SIZE_2M, PAGE_SIZE};

    for (u32 i = 0; i < FAKE_S2_MAPPINGS; i++) {
        const struct fake_s2 *m = &fake_s2[vm->id][i];

        if (m->size == 0 || g.v < m->gpa || g.v - m->gpa >= m->size)
            continue;
        for (u32 k = 0; k < ARRAY_SIZE(sizes); k++) {
            u64 base = ALIGN_DOWN(g.v, sizes[k]);

            if (base < m->gpa || base + sizes[k] > m->gpa + m->size ||
                !IS_ALIGNED(m->hpa + (base - m->gpa), sizes[k]))
                continue;
            out->hpa = hpa(m->hpa + (g.v - m->gpa));
            out->left = base + sizes[k] - g.v;
            out->prot = m->prot;
            return true;
        }
    }
    return false;
}

FAKE void arch_s2_flush(struct vm *vm)
{
    fake_s2_flushes[vm->id]++;
}
