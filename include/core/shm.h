/*
 * Memory that several VMs see (cfg_shms): mapped into each where the configuration says, for reading or for
 * reading and writing, never for execution. It is no VM's RAM: it is cleared once, at boot, whatever VMs come
 * and go. Layer 4.
 */
#ifndef BH_CORE_SHM_H
#define BH_CORE_SHM_H

#include <config/config.h>

struct vm;

/* Boot: clears all of it. */
void shm_init(void);
/* Maps the VM's views. Whatever else is to be mapped there by default has been. -ENOMEM: the VM's
 * second-level tables do not reach. */
int shm_map(struct vm *vm);

bool shm_find_view(const struct vm *vm, u64 gpa, u64 size);
bool shm_find_host(hpa_t addr);

/* True when a byte of the VM's guest-physical [gpa, gpa+size), which does not wrap, is shared memory. */
static inline bool shm_meets(const struct vm *vm, u64 gpa, u64 size)
{
    return CFG_SHMS && shm_find_view(vm, gpa, size);
}
/* True when the host address is one of shared memory, which a VM may use but not hand on. */
static inline bool shm_holds(hpa_t addr)
{
    return CFG_SHMS && shm_find_host(addr);
}

#endif
