#include <stdlib.h>
#include <string.h>
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"
#include "vmx_test.h"

u64 test_vmcs[TEST_FIELDS];
struct test_flush test_invept, test_invvpid;
struct vm test_vm;
struct vmx_vcpu vmx_vcpus[CFG_VCPUS];
struct vcpu vcpus[CFG_VCPUS];
struct vcpu *const test_vcpu = &vcpus[0];
struct vmx_vcpu *const test_vmx = &vmx_vcpus[0];
unsigned test_fatal;

void vm_guest_fatal(struct vcpu *v, const char *why)
{
    ck_assert_ptr_eq(v, test_vcpu);
    ck_assert_ptr_nonnull(why);
    test_fatal++;
}

void vcpu_request(struct vcpu *v, u32 bits)
{
    atomic_or(&v->requests, bits);
}

static void set_seg(enum guest_seg s, u32 access, u32 limit)
{
    test_vmcs[VMCS_GUEST_ES_ACCESS + 2 * (u64)s] = access;
    test_vmcs[VMCS_GUEST_ES_LIMIT + 2 * (u64)s] = limit;
}

void test_vmx_setup(void)
{
    memset(test_vmcs, 0, sizeof(test_vmcs));
    memset(vcpus, 0, sizeof(vcpus));
    memset(vmx_vcpus, 0, sizeof(vmx_vcpus));
    memset(&test_vm, 0, sizeof(test_vm));
    memset(&vmx_caps, 0, sizeof(vmx_caps));
    memset(&test_invept, 0, sizeof(test_invept));
    memset(&test_invvpid, 0, sizeof(test_invvpid));
    test_vm.cfg = &cfg_vms[0];
    test_vm.vcpus = vcpus;
    test_vcpu->vm = &test_vm;
    test_vmx->v = test_vcpu;
    test_fatal = 0;

    vmx_caps.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG;
    vmx_caps.cr0_fixed1 = 0xffffffff;
    vmx_caps.cr4_fixed0 = CR4_VMXE;
    vmx_caps.cr4_fixed1 = 0x3727ff;
    vmwrite(VMCS_GUEST_CR0, CR0_PE | CR0_PG | CR0_NE | CR0_ET);
    vmwrite(VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE);
    vmwrite(VMCS_GUEST_EFER, EFER_LME | EFER_LMA);
    vmwrite(VMCS_ENTRY_CTLS, ENTRY_IA32E);
    vmwrite(VMCS_GUEST_PAT, 0x0007040600070406ULL);
    vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
    vmwrite(VMCS_GUEST_RIP, 0x100000);
    vmwrite(VMCS_LINK_POINTER, ~(u64)0);
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        set_seg((enum guest_seg)s, s == SEG_CS ? 0xa09b : 0xc093, 0xffffffff);
    set_seg(SEG_LDTR, SEG_ATTR_UNUSABLE, 0);
    set_seg(SEG_TR, 0x8b, 0x67);
}

int test_vmx_main(Suite *s)
{
    SRunner *r = srunner_create(s);
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
