/* A user slot's shared memory and vUART (tests/fake/cfg.c: "u1" sees 2 MiB of host memory at 0x3200000, where
 * the service VM has them too, at 2 GiB for reading only; its vUART is joined to the service VM's second). */
#include <arch/s2.h>
#include "hcall_test.h"

#define WB     (HC_MEM_RWX | HC_MEM_TYPE_WB)
#define SHARED 0x3200000ULL
#define AT     0x80000000ULL
#define SIZE   SIZE_2M
#define MINE   0x2e8 /* the service VM's vUART */

static struct vm *vm;

static void setup(void)
{
    hcall_setup();
    ck_assert_int_eq(create(ID_U1, 0), 0);
    vm = slot(ID_U1);
}

static s64 region(u32 type, u64 gpa_, u64 src, u64 size)
{
    const struct hc_memory_region r = {
        .type = type, .prot = WB, .gpa = gpa_, .sos_vm_gpa = src, .size = size};
    const struct hc_set_regions head = {.vmid = ID_U1, .mr_num = 1, .regions_gpa = PARAM + 0x10000};

    put(head.regions_gpa, &r, sizeof(r));
    return hc_rdi(HC_VM_SET_MEMORY_REGIONS, &head, sizeof(head));
}

/* It is where it belongs, whole, for reading only, and counts as nobody's limit. */
static void sound(void)
{
    struct s2_leaf leaf;

    ck_assert_uint_eq(arch_s2_mapped(vm, gpa(AT), SIZE), SIZE);
    ck_assert(arch_s2_translate(vm, gpa(AT + SIZE - 1), &leaf));
    ck_assert_uint_eq(leaf.hpa.v, SHARED + SIZE - 1);
    ck_assert_uint_eq(leaf.prot, MEM_R);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, arch_s2_mapped(vm, gpa(0), USER_GPA_LIMIT) - SIZE);
}

START_TEST(it_comes_with_create_and_goes_with_destroy)
{
    sound();
    ck_assert_int_eq(region(HC_MR_ADD, AT - 0x1000, UVM_RAM, 0x1000), 0);
    ck_assert_int_eq(region(HC_MR_ADD, AT + SIZE, UVM_RAM, 0x1000), 0);
    sound();
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    ck_assert_uint_eq(arch_s2_mapped(vm, gpa(0), USER_GPA_LIMIT), 0);
    ck_assert_int_eq(create(ID_U1, 0), 0);
    sound();
}
END_TEST

START_TEST(tables_that_do_not_reach_fail_the_creation)
{
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    fake_s2_limit = 0;
    ck_assert_int_eq(create(ID_U1, 0), -EPERM_);
    ck_assert_uint_eq(created.vmid, HC_INVALID_VMID);
    ck_assert_uint_eq(vm->state, VM_STATE_OFF);
    fake_s2_limit = FAKE_S2_MAPPINGS;
    ck_assert_int_eq(create(ID_U1, 0), 0);
    sound();
}
END_TEST

START_TEST(regions_that_meet_it_are_refused)
{
    static const struct {
        u64 gpa, size;
    } t[] = {{AT, 0x1000},       {AT + SIZE - 0x1000, 0x1000}, {AT - 0x1000, 0x2000},
             {AT, SIZE},         {AT + SIZE - 0x1000, 0x3000}, {AT - SIZE, 4 * SIZE},
             {0, USER_GPA_LIMIT}};

    for (unsigned flavour = 0; flavour < 2; flavour++) {
        set_flavour(flavour ? HCALL_ABI_HSM : HCALL_ABI_V1);
        for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
            for (u32 type = HC_MR_ADD; type <= HC_MR_MODIFY; type++)
                ck_assert_int_eq(region(type, t[i].gpa, UVM_RAM, t[i].size), -EINVAL_);
        sound();
    }
}
END_TEST

START_TEST(its_write_protection_cannot_be_changed)
{
    for (u8 set = 0; set < 2; set++) {
        const struct hc_wp_data p = {.set = set, .gpa = AT + 0x1000};

        ck_assert_int_eq(hc_rsi(HC_VM_WRITE_PROTECT_PAGE, ID_U1, &p, sizeof(p)), -EINVAL_);
        sound();
    }
}
END_TEST

START_TEST(the_service_vm_uses_it_but_hands_it_to_nobody)
{
    const struct hc_set_ioreq_buffer buffer = {.req_buf = SHARED};
    const struct hc_gpa2hpa where = {.gpa = AT + 5};
    struct hc_gpa2hpa out;

    ck_assert_int_lt(region(HC_MR_ADD, 0x1000, SHARED, 0x1000), 0);
    ck_assert_int_lt(region(HC_MR_ADD, 0x1000, SHARED + SIZE - 0x1000, 0x1000), 0);
    ck_assert_uint_eq(arch_s2_mapped(vm, gpa(0x1000), 0x1000), 0);
    ck_assert_int_lt(hc_rsi(HC_SET_IOREQ_BUFFER, ID_U1, &buffer, sizeof(buffer)), 0);
    ck_assert(!ioreq_has_buffer(vm));
    /* As a place for parameters it is as good as its RAM. */
    put(SHARED, &where, sizeof(where));
    ck_assert_int_eq(hc(HC_VM_GPA2HPA, ID_U1, SHARED), 0);
    get(SHARED, &out, sizeof(out));
    ck_assert_uint_eq(out.hpa, SHARED + 5);
}
END_TEST

START_TEST(the_line_of_its_vuart_is_not_the_device_model_s)
{
    ck_assert_int_eq(hc(HC_SET_IRQLINE, ID_U1, 3), -EINVAL_);
    ck_assert_uint_eq(fake_vms[vm->id].gsi_rises[3], 0);
    ck_assert_int_eq(hc(HC_SET_IRQLINE, ID_U1, 4), 0);
    ck_assert_int_eq(create(ID_U2, 0), 0);
    ck_assert_int_eq(hc(HC_SET_IRQLINE, ID_U2, 3), 0);
}
END_TEST

static u8 mine(u16 reg)
{
    return (u8)io_port_read(caller, (u16)(MINE + reg), 1);
}

static void say(u8 c)
{
    io_port_write(caller, MINE, 1, c);
}

START_TEST(its_vuart_is_plugged_in_while_it_runs)
{
    struct vcpu *v;

    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    say('1');
    reach(COL_CREATED);
    say('2');
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    reach(COL_STARTED);
    v = &vm->vcpus[0];
    ck_assert_uint_eq(io_port_read(v, 0x2f8 + 5, 1), 0x60); /* nothing of what came before */
    say('3');
    ck_assert_uint_eq(io_port_read(v, 0x2f8 + 5, 1), 0x61);
    ck_assert_uint_eq(io_port_read(v, 0x2f8, 1), '3');
    io_port_write(v, 0x2f8 + 4, 1, 0x0b);
    ck_assert_uint_eq(mine(6), 0xbb);
    ck_assert_uint_eq(v->ioreqs, 0);
    ck_assert_int_eq(hc(HC_PAUSE_VM, ID_U1, 0), 0);
    ck_assert_uint_eq(mine(6), 0xb0);
    ck_assert_int_eq(hc(HC_RESET_VM, ID_U1, 0), 0);
    ck_assert_uint_eq(mine(6), 0x0b);
    ck_assert_int_eq(hc(HC_START_VM, ID_U1, 0), 0);
    io_port_write(v, 0x2f8 + 4, 1, 0x01);
    ck_assert_uint_eq(mine(6), 0xaa);
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    ck_assert_uint_eq(mine(6), 0x0a);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_comes_with_create_and_goes_with_destroy,
        tables_that_do_not_reach_fail_the_creation,
        regions_that_meet_it_are_refused,
        its_write_protection_cannot_be_changed,
        the_service_vm_uses_it_but_hands_it_to_nobody,
        the_line_of_its_vuart_is_not_the_device_model_s,
        its_vuart_is_plugged_in_while_it_runs,
    };
    Suite *s = suite_create("hcall-shared");
    TCase *t = tcase_create("hcall-shared");

    tcase_add_checked_fixture(t, setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
