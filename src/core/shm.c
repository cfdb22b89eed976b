#include <arch/cpu.h>
#include <arch/s2.h>
#include <core/shm.h>
#include <core/vm.h>

void shm_init(void)
{
    for (const struct cfg_shm *m = cfg_shms; m < &cfg_shms[CFG_SHMS]; m++)
        arch_hpa_zero(hpa(m->hpa), m->size);
}

int shm_map(struct vm *vm)
{
    for (u32 i = 0; i < vm->cfg->shm_count; i++) {
        const struct cfg_shm_view *w = &vm->cfg->shms[i];
        const struct cfg_shm *m = &cfg_shms[w->shm];
        int r = arch_s2_map(vm, gpa(w->gpa), hpa(m->hpa), m->size, w->writable ? MEM_R | MEM_W : MEM_R);

        if (r)
            return r;
    }
    return 0;
}

bool shm_find_view(const struct vm *vm, u64 gpa_, u64 size)
{
    for (u32 i = 0; i < vm->cfg->shm_count; i++) {
        const struct cfg_shm_view *w = &vm->cfg->shms[i];

        if (gpa_ < w->gpa + cfg_shms[w->shm].size && w->gpa < gpa_ + size)
            return true;
    }
    return false;
}

bool shm_find_host(hpa_t addr)
{
    for (const struct cfg_shm *m = cfg_shms; m < &cfg_shms[CFG_SHMS]; m++)
        if (addr.v - m->hpa < m->size)
            return true;
    return false;
}
