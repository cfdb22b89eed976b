/*
 * The VMX instructions. Unit tests put a header of the same name before this one, in which the fields are an
 * array. SDM vol. 3C chapter 30. Layer 6.
 */
#ifndef BH_X86_VMX_INSN_H
#define BH_X86_VMX_INSN_H

#include <lib/types.h>

/* The current VMCS. A field that does not exist is a broken invariant: its value is not looked at. */
static inline u64 vmread(u64 field)
{
    u64 val;

    __asm__ volatile("vmread %1, %0" : "=r"(val) : "r"(field) : "cc");
    return val;
}
static inline void vmwrite(u64 field, u64 val)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"(field), "rm"(val) : "cc", "memory");
}

/* False: VMfail. */
#define VMX_POINTER_INSN(name)                                                                               \
    static inline bool name(u64 phys)                                                                        \
    {                                                                                                        \
        bool ok;                                                                                             \
                                                                                                             \
        __asm__ volatile(#name " %1" : "=@cca"(ok) : "m"(phys) : "memory");                                  \
        return ok;                                                                                           \
    }
VMX_POINTER_INSN(vmxon)
VMX_POINTER_INSN(vmclear)
VMX_POINTER_INSN(vmptrld)

/* SDM vol. 3C 28.3.3.1. */
enum vmx_flush { VMX_FLUSH_ONE = 1, VMX_FLUSH_ALL = 2 };

struct vmx_flush_desc {
    u64 lo, hi;
};

static inline bool invept(enum vmx_flush type, u64 eptp)
{
    struct vmx_flush_desc d = {eptp, 0};
    bool ok;

    __asm__ volatile("invept %1, %2" : "=@cca"(ok) : "m"(d), "r"((u64)type) : "memory");
    return ok;
}
static inline bool invvpid(enum vmx_flush type, u16 vpid)
{
    struct vmx_flush_desc d = {vpid, 0};
    bool ok;

    __asm__ volatile("invvpid %1, %2" : "=@cca"(ok) : "m"(d), "r"((u64)type) : "memory");
    return ok;
}

#endif
