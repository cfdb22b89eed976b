#include <stdlib.h>
#include <string.h>
#include "x86/hw/lapic.h"
#include "x86/hw/paging.h"
#include "svm_test.h"

struct vmcb test_vmcb;
struct vm test_vm;
struct svm_vcpu svm_vcpus[CFG_VCPUS];
struct vcpu vcpus[CFG_VCPUS];
struct vcpu *const test_vcpu = &vcpus[0];
struct svm_vcpu *const test_svm = &svm_vcpus[0];
unsigned test_fatal, test_kicks;

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

void lapic_kick_self(void)
{
    test_kicks++;
}

/* On the host the tables' "physical" addresses are their virtual ones. */
hpa_t va_to_hpa(const void *p)
{
    return hpa((u64)(uintptr_t)p);
}

void test_svm_setup(void)
{
    memset(&test_vmcb, 0, sizeof(test_vmcb));
    memset(vcpus, 0, sizeof(vcpus));
    memset(svm_vcpus, 0, sizeof(svm_vcpus));
    memset(&test_vm, 0, sizeof(test_vm));
    test_vm.cfg = &cfg_vms[0];
    test_vm.vcpus = vcpus;
    test_vm.vcpu_count = cfg_vms[0].vcpu_count;
    for (unsigned i = 0; i < cfg_vms[0].vcpu_count; i++)
        vcpus[i].vm = &test_vm;
    test_svm->v = test_vcpu;
    test_svm->vmcb = &test_vmcb;
    test_fatal = test_kicks = 0;
}

int test_svm_main(Suite *s)
{
    SRunner *r = srunner_create(s);
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
