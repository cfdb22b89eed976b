/* Hypercalls: who may call, what comes back, what is written. */
#include <check.h>
#include <string.h>
#include <abi/hypercall.h>
#include <core/hcall.h>
#include <core/vm.h>
#include <fake.h>
#include "core/core_impl.h"
#include "hcall/hcall.h"

struct vm vms[CFG_VMS];
static struct cfg_vm cfg[CFG_VMS];
static struct vcpu vcpu;
static struct guest_regs before;

#define RAM_HPA 0x4000000
#define STALE   0x1122334455667788ULL

void cpu_breathe(void)
{
}

/* VM 0 calls: two pages of RAM at 0x1000, the page behind them read-only, nothing else. VMs 1 and 2 are user
 * VMs. */
static void setup(void)
{
    fake_reset();
    memset(cfg, 0, sizeof(cfg));
    for (u16 i = 0; i < CFG_VMS; i++) {
        cfg[i].kind = VM_USER;
        vms[i] = (struct vm){.id = i, .cfg = &cfg[i], .state = VM_STATE_CREATED};
    }
    cfg[0].kind = VM_SERVICE;
    memset(&vcpu, 0, sizeof(vcpu));
    vcpu.vm = &vms[0];
    arch_vcpu_init(&vcpu);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        vcpu.regs->gpr[i] = STALE + i;
    ck_assert_int_eq(arch_s2_map(&vms[0], gpa(0x1000), hpa(RAM_HPA), 0x2000, MEM_RWX), 0);
    ck_assert_int_eq(arch_s2_map(&vms[0], gpa(0x3000), hpa(RAM_HPA + 0x2000), 0x1000, MEM_R), 0);
    memset(fake_mem(RAM_HPA), 0xa5, 0x3000);
}

static enum hcall_outcome call(u64 id, u64 p1, u64 p2)
{
    vcpu.regs->gpr[GPR_R8] = id;
    vcpu.regs->gpr[GPR_RDI] = p1;
    vcpu.regs->gpr[GPR_RSI] = p2;
    before = *vcpu.regs;
    return hcall_dispatch(&vcpu);
}

/* The call is carried out; its result, with every register but RAX as it was. */
static s64 result(u64 id, u64 p1)
{
    ck_assert_int_eq(call(id, p1, 0), HCALL_DONE);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        ck_assert(i == GPR_RAX || vcpu.regs->gpr[i] == before.gpr[i]);
    return (s64)vcpu.regs->gpr[GPR_RAX];
}

static u8 *ram(u64 addr)
{
    return fake_mem(RAM_HPA + addr - 0x1000);
}

START_TEST(a_vm_without_the_right_gets_ud_whatever_its_cpl)
{
    static const enum vm_kind kinds[] = {VM_PRELAUNCHED, VM_USER};

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned cpl = 0; cpl < 4; cpl++) {
            cfg[0].kind = kinds[i];
            cfg[0].flags = VM_FLAG_RT | VM_FLAG_AUTOSTART;
            fake_vcpus[0].cpl = cpl;
            ck_assert_int_eq(call(HC_GET_API_VERSION, 0x1000, 0), HCALL_UD);
            ck_assert_int_eq(call(0, 0, 0), HCALL_UD);
            ck_assert_uint_eq(vcpu.regs->gpr[GPR_RAX], STALE);
        }
    }
    ck_assert_uint_eq(*ram(0x1000), 0xa5);
}
END_TEST

START_TEST(an_allowed_caller_above_cpl_0_gets_gp)
{
    for (unsigned cpl = 1; cpl < 4; cpl++) {
        fake_vcpus[0].cpl = cpl;
        ck_assert_int_eq(call(HC_GET_API_VERSION, 0x1000, 0), HCALL_GP);
        ck_assert_int_eq(call(0, 0, 0), HCALL_GP);
        ck_assert_uint_eq(vcpu.regs->gpr[GPR_RAX], STALE);
        ck_assert_mem_eq(vcpu.regs, &before, sizeof(before));
    }
    ck_assert_uint_eq(*ram(0x1000), 0xa5);
}
END_TEST

START_TEST(the_hypercall_flag_lets_a_prelaunched_vm_call)
{
    cfg[0].kind = VM_PRELAUNCHED;
    cfg[0].flags = VM_FLAG_HYPERCALL;
    ck_assert_int_eq(result(HC_GET_API_VERSION, 0x1000), 0);
    ck_assert_int_eq(result(0x800000ff, 0x1000), -1);
}
END_TEST

START_TEST(unknown_and_unbuilt_ids_answer_eperm)
{
    static const u64 ids[] = {0,
                              0x10,
                              0x80000020,
                              0x80000040,
                              0x800000ff,
                              0x180000000,
                              0x8000000080000000,
                              0x7fffffff,
                              0x8000008f,
                              0x80000090,
                              HC_CREATE_VM,
                              HC_PROFILING_OPS,
                              HC_PM_GET_CPU_STATE,
                              ~0ULL};

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        ck_assert_msg(result(ids[i], 0x1000) == -1, "id 0x%llx", (unsigned long long)ids[i]);
        ck_assert_uint_eq(vcpu.regs->gpr[GPR_RAX], ~0ULL); /* 32 bits, sign-extended */
    }
    ck_assert_uint_eq(*ram(0x1000), 0xa5);
}
END_TEST

START_TEST(api_version_is_1_0_and_8_bytes)
{
    static const u8 want[9] = {1, 0, 0, 0, 0, 0, 0, 0, 0xa5};

    ck_assert_int_eq(result(HC_GET_API_VERSION, 0x1ffc), 0); /* crosses into the second page */
    ck_assert_mem_eq(ram(0x1ffc), want, 9);
    ck_assert_uint_eq(*ram(0x1ffb), 0xa5);
}
END_TEST

START_TEST(platform_info_is_256_bytes_with_its_reserve_zero)
{
    u8 want[256] = {CFG_PCPUS};

    want[128] = CFG_MAX_VCPUS_PER_VM;
    ck_assert_int_eq(result(HC_GET_PLATFORM_INFO, 0x1100), 0);
    ck_assert_mem_eq(ram(0x1100), want, sizeof(want));
    ck_assert(*ram(0x10ff) == 0xa5 && *ram(0x1200) == 0xa5);
}
END_TEST

START_TEST(hw_info_is_8_bytes)
{
    static const u8 want[9] = {CFG_PCPUS, 0, 0, 0, 0, 0, 0, 0, 0xa5};

    ck_assert_int_eq(result(HC_GET_HW_INFO, 0x1000), 0);
    ck_assert_mem_eq(ram(0x1000), want, 9);
}
END_TEST

START_TEST(addresses_that_cannot_be_written_fail)
{
    static const u64 bad[] = {0, 0xffc, 0x3000, 0x2ffc, 0x4000, 0xfffffffffffffffc, 0x8000000000001000};
    static const u32 ids[] = {HC_GET_API_VERSION, HC_GET_PLATFORM_INFO, HC_GET_HW_INFO};

    for (unsigned k = 0; k < ARRAY_SIZE(ids); k++)
        for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
            ck_assert_msg(result(ids[k], bad[i]) == -1, "id %x at %llx", ids[k], (unsigned long long)bad[i]);
    ck_assert_uint_eq(*ram(0x3000), 0xa5);
}
END_TEST

static struct vm *seen;
static bool seen_locked;

static s32 probe(struct hcall *h)
{
    seen = h->target;
    seen_locked = seen && !spin_trylock(&seen->lock);
    return 7;
}

START_TEST(rows_that_name_a_vm_check_who_and_in_which_state)
{
    static const struct hcall_row row = {.id = 1,
                                         .callers = HCALL_BY_SERVICE,
                                         .states = BIT32(VM_STATE_CREATED) | BIT32(VM_STATE_PAUSED),
                                         .lock = HCALL_LOCK_TARGET,
                                         .fn = probe};
    static const u64 bad[] = {0, CFG_VMS, 0xffff, 0x10001, ~0ULL, 0x100000001};
    struct hcall h = {.v = &vcpu, .p1 = 2};

    ck_assert_int_eq(hcall_invoke(&row, &h), 7);
    ck_assert(seen == &vms[2] && seen_locked);
    ck_assert(spin_trylock(&vms[2].lock)); /* given back */
    spin_unlock(&vms[2].lock);
    seen = NULL;
    vms[2].state = VM_STATE_STARTED;
    ck_assert_int_eq(hcall_invoke(&row, &h), -1);
    vms[2].state = VM_STATE_PAUSED;
    cfg[2].kind = VM_PRELAUNCHED;
    ck_assert_int_eq(hcall_invoke(&row, &h), -1);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        h.p1 = bad[i];
        ck_assert_int_eq(hcall_invoke(&row, &h), -1);
    }
    ck_assert(seen == NULL && spin_trylock(&vms[2].lock));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_vm_without_the_right_gets_ud_whatever_its_cpl,
        an_allowed_caller_above_cpl_0_gets_gp,
        the_hypercall_flag_lets_a_prelaunched_vm_call,
        unknown_and_unbuilt_ids_answer_eperm,
        api_version_is_1_0_and_8_bytes,
        platform_info_is_256_bytes_with_its_reserve_zero,
        hw_info_is_8_bytes,
        addresses_that_cannot_be_written_fail,
        rows_that_name_a_vm_check_who_and_in_which_state,
    };
    Suite *s = suite_create("hcall");
    TCase *c = tcase_create("hcall");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(c, setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
