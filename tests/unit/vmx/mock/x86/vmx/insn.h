/* In place of src/x86/vmx/insn.h: the current VMCS is an array, and the other instructions are counted. */
#ifndef BH_X86_VMX_INSN_H
#define BH_X86_VMX_INSN_H

#include <lib/types.h>

#define TEST_FIELDS 0x6c18

extern u64 test_vmcs[TEST_FIELDS];

static inline u64 vmread(u64 field)
{
    return test_vmcs[field];
}
static inline void vmwrite(u64 field, u64 val)
{
    test_vmcs[field] = val;
}

enum vmx_flush { VMX_FLUSH_ONE = 1, VMX_FLUSH_ALL = 2 };

struct test_flush {
    unsigned count;
    enum vmx_flush type;
    u64 what;
};
extern struct test_flush test_invept, test_invvpid;

static inline bool invept(enum vmx_flush type, u64 eptp)
{
    test_invept = (struct test_flush){test_invept.count + 1, type, eptp};
    return true;
}
static inline bool invvpid(enum vmx_flush type, u16 vpid)
{
    test_invvpid = (struct test_flush){test_invvpid.count + 1, type, vpid};
    return true;
}

#endif
