/* Memory of user VMs: request buffer, regions, write protection, translation. */
#include <arch/s2.h>
#include "hcall_test.h"

#define WB (HC_MEM_RWX | HC_MEM_TYPE_WB)

static struct vm *vm;
static struct hc_set_regions head;
static struct hc_memory_region entries[512];
static u32 count;

static void setup(void)
{
    hcall_setup();
    ck_assert_int_eq(create(ID_U1, 0), 0);
    vm = slot(ID_U1);
    memset(entries, 0, sizeof(entries));
    count = 0;
}

static void entry(u32 type, u64 gpa_, u64 src, u64 size, u32 prot)
{
    entries[count++] =
        (struct hc_memory_region){.type = type, .prot = prot, .gpa = gpa_, .sos_vm_gpa = src, .size = size};
}

/* Sends the entries and forgets them. */
static s64 batch(void)
{
    head = (struct hc_set_regions){.vmid = ID_U1, .mr_num = count, .regions_gpa = PARAM + 0x10000};
    put(head.regions_gpa, entries, count * sizeof(entries[0]));
    count = 0;
    return hc_rdi(HC_VM_SET_MEMORY_REGIONS, &head, sizeof(head));
}

static s64 one(u32 type, u64 gpa_, u64 src, u64 size, u32 prot)
{
    count = 0;
    entry(type, gpa_, src, size, prot);
    return batch();
}

static u64 behind(u64 gpa_)
{
    struct s2_leaf leaf;

    return arch_s2_translate(vm, gpa(gpa_), &leaf) ? leaf.hpa.v : 0;
}

static u32 prot_at(u64 gpa_)
{
    struct s2_leaf leaf;

    ck_assert(arch_s2_translate(vm, gpa(gpa_), &leaf));
    return leaf.prot;
}

START_TEST(regions_are_mapped_to_what_the_service_vm_sees)
{
    ck_assert_int_eq(one(HC_MR_ADD, 0x1000, UVM_RAM + 0x3000, 0x1000, WB), 0);
    ck_assert_uint_eq(behind(0x1fff), UVM_RAM + 0x3fff);
    ck_assert_uint_eq(behind(0x2000), 0);
    ck_assert_int_eq(one(HC_MR_ADD, 0x10000000, UVM_RAM + SIZE_2M, SIZE_2M, WB), 0);
    ck_assert_uint_eq(behind(0x10100000), UVM_RAM + SIZE_2M + 0x100000);
    ck_assert_int_eq(one(HC_MR_ADD, USER_GPA_LIMIT - 0x1000, UVM_RAM, 0x1000, WB), 0);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, SIZE_2M + 0x2000);
    ck_assert_int_eq(one(HC_MR_DEL, 0x10000000, 0, SIZE_2M, 0), 0);
    ck_assert_uint_eq(behind(0x10000000), 0);
    ck_assert_int_eq(one(HC_MR_DEL, 0x10000000, 0, SIZE_2M, 0), 0);   /* not mapped: nothing to do */
    ck_assert_int_eq(one(HC_MR_ADD, 0x1000, UVM_RAM, 0x1000, WB), 0); /* replaces */
    ck_assert_uint_eq(behind(0x1000), UVM_RAM);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, 0x2000);
}
END_TEST

START_TEST(rights_and_memory_types_are_decoded)
{
    static const struct {
        u32 wire, want;
    } t[] = {
        {0x01 | 0x40, MEM_R},
        {0x03 | 0x40, MEM_R | MEM_W},
        {0x05 | 0x40, MEM_R | MEM_X},
        {0x07 | 0x40, MEM_RWX},
        {0x07 | 0x80, MEM_RWX | MEM_WT},
        {0x07 | 0x100, MEM_RWX | MEM_UC},
        {0x07 | 0x200, MEM_RWX | MEM_WC},
        {0x07 | 0x400, MEM_RWX | MEM_WP},
        {0x07, MEM_RWX | MEM_UC}, /* none named */
        {0x07 | 0x7c0, MEM_RWX},
        {0x07 | 0x780, MEM_RWX | MEM_WT},
        {0x07 | 0x700, MEM_RWX | MEM_WC},
        {0x07 | 0x500, MEM_RWX | MEM_WP},
        {0xfffff838 | 0x47, MEM_RWX},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        ck_assert_int_eq(one(HC_MR_ADD, 0x5000, UVM_RAM, 0x1000, t[i].wire), 0);
        ck_assert_msg(prot_at(0x5000) == t[i].want, "%x: %x", t[i].wire, prot_at(0x5000));
    }
}
END_TEST

START_TEST(modify_changes_rights_and_keeps_the_memory)
{
    ck_assert_int_eq(one(HC_MR_ADD, 0, UVM_RAM, 0x4000, WB), 0);
    ck_assert_int_eq(one(HC_MR_MODIFY, 0x1000, HOLE, 0x1000, HC_MEM_READ | HC_MEM_EXEC | HC_MEM_TYPE_WB), 0);
    ck_assert_uint_eq(prot_at(0x1000), MEM_R | MEM_X);
    ck_assert_uint_eq(behind(0x1000), UVM_RAM + 0x1000);
    ck_assert_uint_eq(prot_at(0x2000), MEM_RWX);
    ck_assert_int_eq(one(HC_MR_MODIFY, 0x4000, UVM_RAM, 0x1000, WB), -EINVAL_); /* not mapped */
    ck_assert_uint_eq(behind(0x4000), 0);
}
END_TEST

START_TEST(types_by_flavour)
{
    static const struct {
        u32 type;
        bool v1_maps, hsm_maps;
    } t[] = {{0, true, true}, {1, true, false}, {2, false, false}, {77, true, false}};

    for (unsigned flavour = 0; flavour < 2; flavour++) {
        set_flavour(flavour ? HCALL_ABI_HSM : HCALL_ABI_V1);
        for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
            ck_assert_int_eq(one(HC_MR_ADD, 0, UVM_RAM, 0x1000, WB), 0);
            ck_assert_int_eq(one(t[i].type, 0, UVM_RAM + 0x1000, 0x1000, WB), 0);
            ck_assert_uint_eq(behind(0), (flavour ? t[i].hsm_maps : t[i].v1_maps) ? UVM_RAM + 0x1000 : 0);
        }
    }
    /* MODIFY exists in v1 only. */
    ck_assert_int_eq(one(HC_MR_ADD, 0, UVM_RAM, 0x1000, WB), 0);
    ck_assert_int_eq(one(HC_MR_MODIFY, 0, UVM_RAM, 0x1000, WB), 0);
    ck_assert_uint_eq(behind(0), 0);
}
END_TEST

START_TEST(one_page_of_entries_in_v1_more_in_hsm)
{
    for (unsigned i = 0; i < 128; i++)
        entry(HC_MR_ADD, 0x2000 * i, UVM_RAM + 0x2000 * i, 0x1000, WB);
    ck_assert_int_eq(batch(), 0);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, 128 * 0x1000);
    for (unsigned i = 0; i < 129; i++)
        entry(HC_MR_DEL, 0x2000 * i, 0, 0x1000, 0);
    ck_assert_int_eq(batch(), -EINVAL_);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, 128 * 0x1000);
    set_flavour(HCALL_ABI_HSM);
    for (unsigned i = 0; i < 512; i++)
        entry(HC_MR_ADD, 0x1000 * i, UVM_RAM + 0x1000 * i, 0x1000, WB);
    ck_assert_int_eq(batch(), 0);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, 512 * 0x1000);
    ck_assert_uint_eq(behind(511 * 0x1000), UVM_RAM + 511 * 0x1000);
}
END_TEST

static void operator_stops_the_service_vm(void)
{
    vcpu_request(caller, VCPU_REQ_STOP);
}

/* A batch may be as long as the service VM has memory for. */
START_TEST(a_long_batch_ends_when_its_caller_must_stop)
{
    set_flavour(HCALL_ABI_HSM);
    fake_irq_hook = operator_stops_the_service_vm;
    for (u32 i = 0; i < 200; i++)
        entry(HC_MR_ADD, i * 0x2000, UVM_RAM + i * 0x1000, 0x1000, WB);
    ck_assert_int_eq(batch(), -EPERM_);
    ck_assert_uint_eq(fake_irq_windows, 1);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, 0);
}
END_TEST

START_TEST(an_empty_batch_is_the_generic_failure)
{
    ck_assert_int_eq(batch(), -EPERM_);
    set_flavour(HCALL_ABI_HSM);
    ck_assert_int_eq(batch(), -EPERM_);
}
END_TEST

START_TEST(entries_that_make_no_sense_are_refused_before_any_takes_effect)
{
    static const struct hc_memory_region bad[] = {
        {.size = 0, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0x800, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0x1000, .gpa = 0x800, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0x1000, .sos_vm_gpa = UVM_RAM + 0x800, .prot = WB},
        {.size = 0x2000, .gpa = USER_GPA_LIMIT - 0x1000, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0x1000, .gpa = USER_GPA_LIMIT, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0x2000, .gpa = 0xfffffffffffff000, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0xfffffffffffff000, .gpa = 0x2000, .sos_vm_gpa = UVM_RAM, .prot = WB},
        {.size = 0x2000, .sos_vm_gpa = 0xfffffffffffff000, .prot = WB},
        {.size = 0x1000, .sos_vm_gpa = UVM_RAM, .prot = HC_MEM_WRITE | HC_MEM_TYPE_WB},
        {.size = 0x1000, .sos_vm_gpa = UVM_RAM, .prot = HC_MEM_EXEC | HC_MEM_TYPE_WB},
        {.size = 0x1000, .sos_vm_gpa = UVM_RAM, .prot = 0},
        {.type = HC_MR_DEL, .size = 0x1000, .gpa = 1},
        {.type = HC_MR_DEL, .size = USER_GPA_LIMIT + 0x1000},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned k = 0; k < 3; k++)
            entry(HC_MR_ADD, 0x100000 + 0x1000 * k, UVM_RAM, 0x1000, WB);
        entries[2] = bad[i];
        ck_assert_msg(batch() == -EINVAL_, "entry %u", i);
        ck_assert_uint_eq(user_vm_of(vm)->mapped, 0);
        /* Also behind the first chunk that is copied in. */
        for (unsigned k = 0; k < 100; k++)
            entry(HC_MR_ADD, 0x100000 + 0x1000 * k, UVM_RAM, 0x1000, WB);
        entries[99] = bad[i];
        ck_assert_msg(batch() == -EINVAL_, "entry %u at the end", i);
        ck_assert_uint_eq(user_vm_of(vm)->mapped, 0);
    }
}
END_TEST

START_TEST(memory_that_is_not_the_service_vms_is_refused)
{
    static const struct {
        u64 src, size;
        s64 want;
    } bad[] = {
        {HOLE, 0x1000, -EINVAL_},             /* nobody's */
        {RAM_END - 0x1000, 0x2000, -EINVAL_}, /* begins in RAM */
        {0x4000000, 0x1000, -EINVAL_},        /* a pre-launched VM's */
        {CFG_HV_BASE, 0x1000, -EFAULT_},      /* the hypervisor's image */
        {CFG_HV_BASE + CFG_HV_SIZE - 0x1000, 0x1000, -EFAULT_},
        {CFG_MODULE_BASE, 0x1000, -EINVAL_}, /* the module store */
        {0xfee00000, 0x1000, -EINVAL_},      /* the local APIC */
        {FAKE_HOST_MEM, 0x1000, -EINVAL_},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        entry(HC_MR_ADD, 0, UVM_RAM, 0x1000, WB);
        entry(HC_MR_ADD, 0x1000, bad[i].src, bad[i].size, WB);
        entry(HC_MR_ADD, 0x10000, UVM_RAM, 0x1000, WB);
        ck_assert_msg(batch() == bad[i].want, "source %llx", (unsigned long long)bad[i].src);
        ck_assert_uint_ne(behind(0), 0); /* what came before stays */
        ck_assert_uint_eq(behind(0x1000), 0);
        ck_assert_uint_eq(behind(0x10000), 0);
    }
    /* Device memory of the service VM. */
    ck_assert_int_eq(arch_s2_map(svc, gpa(0xfd000000), hpa(0xfd000000), 0x1000, MEM_RWX | MEM_UC | MEM_DEV),
                     0);
    ck_assert_int_eq(one(HC_MR_ADD, 0x1000, 0xfd000000, 0x1000, WB), -EINVAL_);
    ck_assert_uint_eq(behind(0x1000), 0);
}
END_TEST

START_TEST(windows_of_interrupt_controllers_and_the_limit_are_kept)
{
    ck_assert_int_eq(one(HC_MR_ADD, 0xfee00000, UVM_RAM, 0x1000, WB), -EINVAL_);
    ck_assert_int_eq(one(HC_MR_ADD, 0xfec00000, UVM_RAM, 0x1000, WB), -EINVAL_);
    ck_assert_int_eq(create(ID_SPARE, 0), 0);
    ck_assert_int_eq(map(ID_SPARE, 0, UVM_RAM, 0x1001000, WB), -ENOMEM_); /* its limit is 16 MiB */
    ck_assert_int_eq(map(ID_SPARE, 0, UVM_RAM, 0x1000000, WB), 0);
}
END_TEST

START_TEST(arrays_that_cannot_be_read_fail)
{
    entry(HC_MR_ADD, 0, UVM_RAM, 0x1000, WB);
    entry(HC_MR_ADD, 0x1000, UVM_RAM, 0x1000, WB);
    put(RAM_END - 32, entries, 32);
    head = (struct hc_set_regions){.vmid = ID_U1, .mr_num = 2, .regions_gpa = RAM_END - 32};
    ck_assert_int_eq(hc_rdi(HC_VM_SET_MEMORY_REGIONS, &head, sizeof(head)), -EPERM_);
    ck_assert_uint_eq(behind(0), 0);
    head.regions_gpa = 0xffffffffffffffe0;
    ck_assert_int_eq(hc_rdi(HC_VM_SET_MEMORY_REGIONS, &head, sizeof(head)), -EPERM_);
    set_flavour(HCALL_ABI_HSM);
    head = (struct hc_set_regions){.vmid = ID_U1, .mr_num = ~0u, .regions_gpa = RAM_END - 32};
    ck_assert_int_eq(hc_rdi(HC_VM_SET_MEMORY_REGIONS, &head, sizeof(head)), -EPERM_);
    bad_addresses_fail(HC_VM_SET_MEMORY_REGIONS, 0, false, sizeof(head), -EPERM_);
}
END_TEST

static unsigned windows;

/* The service VM's other CPU changes an entry that was already looked at. */
static void change_entry(void)
{
    entries[0].sos_vm_gpa = CFG_HV_BASE;
    entries[0].size = 0x800;
    if (windows++ == 0)
        put(PARAM + 0x10000, entries, sizeof(entries[0]));
}

START_TEST(an_entry_that_changes_meanwhile_is_looked_at_again)
{
    for (unsigned k = 0; k < 64; k++)
        entry(HC_MR_ADD, 0x1000 * k, UVM_RAM, 0x1000, WB);
    windows = 0;
    fake_irq_hook = change_entry;
    ck_assert_int_eq(batch(), -EINVAL_);
    ck_assert_uint_gt(windows, 0);
    ck_assert_uint_eq(user_vm_of(vm)->mapped, 0);
}
END_TEST

START_TEST(a_running_vm_has_left_guest_mode_before_memory_is_taken)
{
    struct vm *run;

    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    run = reach(COL_STARTED);
    ck_assert(!arch_s2_stale(run));
    ck_assert_int_eq(one(HC_MR_DEL, 0, 0, 0x1000, 0), 0);
    ck_assert_uint_eq(fake_s2_flushes[run->id], 1);
    ck_assert(!arch_s2_stale(run));
    ck_assert_uint_eq(fake_cpus[run->vcpus[0].pcpu].sync_done, 1);
    /* Additions need no flush. */
    ck_assert_int_eq(one(HC_MR_ADD, 0x800000, UVM_RAM, 0x1000, WB), 0);
    ck_assert_uint_eq(fake_s2_flushes[run->id], 1);
}
END_TEST

static s64 protect(u8 set, u64 gpa_)
{
    const struct hc_wp_data p = {.set = set, .gpa = gpa_};

    return hc_rsi(HC_VM_WRITE_PROTECT_PAGE, ID_U1, &p, sizeof(p));
}

START_TEST(write_protection_takes_and_gives_one_page)
{
    ck_assert_int_eq(one(HC_MR_ADD, 0, UVM_RAM, SIZE_2M, WB), 0);
    ck_assert_int_eq(protect(1, 0x3000), 0);
    ck_assert_uint_eq(prot_at(0x3000), MEM_R | MEM_X);
    ck_assert_uint_eq(prot_at(0x2fff), MEM_RWX);
    ck_assert_uint_eq(prot_at(0x4000), MEM_RWX);
    ck_assert_uint_eq(behind(0x3010), UVM_RAM + 0x3010);
    ck_assert_int_eq(protect(0xff, 0x3000), 0);
    ck_assert_int_eq(protect(0, 0x3000), 0);
    ck_assert_uint_eq(prot_at(0x3000), MEM_RWX);
    ck_assert(!arch_s2_stale(vm));
}
END_TEST

START_TEST(write_protection_of_no_page_fails)
{
    ck_assert_int_eq(one(HC_MR_ADD, 0, UVM_RAM, 0x2000, WB), 0);
    ck_assert_int_eq(protect(1, 0x1001), -EINVAL_);
    ck_assert_int_eq(protect(1, 0x2000), -EINVAL_);
    ck_assert_int_eq(protect(1, ~0xfffULL), -EINVAL_);
    bad_addresses_fail(HC_VM_WRITE_PROTECT_PAGE, ID_U1, true, sizeof(struct hc_wp_data), -EPERM_);
}
END_TEST

START_TEST(gpa2hpa_translates_for_user_vms_and_the_service_vm)
{
    struct hc_gpa2hpa p = {.gpa = SIZE_2M + 0x1fffff, .hpa = 7};

    ck_assert_int_eq(one(HC_MR_ADD, SIZE_2M, UVM_RAM, SIZE_2M, WB), 0);
    ck_assert_int_eq(hc_rsi(HC_VM_GPA2HPA, ID_U1, &p, sizeof(p)), 0);
    get(PARAM, &p, sizeof(p));
    ck_assert_uint_eq(p.gpa, SIZE_2M + 0x1fffff);
    ck_assert_uint_eq(p.hpa, UVM_RAM + 0x1fffff);
    p = (struct hc_gpa2hpa){.gpa = 0x15000123};
    ck_assert_int_eq(hc_rsi(HC_VM_GPA2HPA, 0, &p, sizeof(p)), 0);
    get(PARAM, &p, sizeof(p));
    ck_assert_uint_eq(p.hpa, 0x15000123);
}
END_TEST

START_TEST(gpa2hpa_of_unmapped_memory_leaves_the_structure_alone)
{
    static const u64 bad[] = {0, 2 * SIZE_2M, USER_GPA_LIMIT, ~0ULL};
    struct hc_gpa2hpa p, out;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        p = (struct hc_gpa2hpa){.gpa = bad[i], .hpa = STALE};
        ck_assert_int_eq(hc_rsi(HC_VM_GPA2HPA, ID_U1, &p, sizeof(p)), -EPERM_);
        get(PARAM, &out, sizeof(out));
        ck_assert_mem_eq(&out, &p, sizeof(p));
    }
    p.gpa = HOLE;
    ck_assert_int_eq(hc_rsi(HC_VM_GPA2HPA, 0, &p, sizeof(p)), -EPERM_);
    bad_addresses_fail(HC_VM_GPA2HPA, 0, true, sizeof(p), -EPERM_);
}
END_TEST

static s64 buffer(u64 page)
{
    const struct hc_set_ioreq_buffer p = {.req_buf = page};

    return hc_rsi(HC_SET_IOREQ_BUFFER, ID_U1, &p, sizeof(p));
}

START_TEST(a_request_buffer_has_16_free_slots_and_can_be_replaced)
{
    for (unsigned n = 0; n < 2; n++) {
        memset(fake_mem(REQ_PAGE), 0, 0x2000);
        ck_assert_int_eq(buffer(REQ_PAGE + 0x1000 * n), 0);
        ck_assert(ioreq_has_buffer(vm));
        for (unsigned i = 0; i < 16; i++)
            ck_assert_uint_eq(*(u32 *)(void *)fake_mem(REQ_PAGE + 0x1000 * n + 256 * i + 136), 3);
        ck_assert_uint_eq(*(u32 *)(void *)fake_mem(REQ_PAGE + 0x1000 * (1 - n) + 136), 0);
    }
}
END_TEST

START_TEST(an_unusable_buffer_leaves_the_vm_without_one)
{
    static const u64 bad[] = {REQ_PAGE + 8, REQ_PAGE + 0x800, HOLE,     CFG_HV_BASE,
                              0x4000000,    0xfee00000,       ~0xfffULL};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_int_eq(buffer(REQ_PAGE), 0);
        ck_assert_int_eq(buffer(bad[i]), -EPERM_);
        ck_assert(!ioreq_has_buffer(vm));
    }
    ck_assert_int_eq(arch_s2_protect(svc, gpa(REQ_PAGE), 0x1000, MEM_R), 0);
    ck_assert_int_eq(buffer(REQ_PAGE), -EPERM_);
    ck_assert_int_eq(buffer(REQ_PAGE + 0x1000), 0);
    bad_addresses_fail(HC_SET_IOREQ_BUFFER, ID_U1, true, 8, -EPERM_);
    ck_assert(ioreq_has_buffer(vm)); /* an unreadable structure changes nothing */
}
END_TEST

START_TEST(notify_needs_a_buffer_and_a_vcpu)
{
    ck_assert_int_eq(hc(HC_NOTIFY_REQUEST_FINISH, ID_U1, 0), -EPERM_);
    ck_assert_int_eq(hc(HC_DESTROY_VM, ID_U1, 0), 0);
    reach(COL_STARTED);
    ck_assert_int_eq(hc(HC_NOTIFY_REQUEST_FINISH, ID_U1, 0), 0);
    ck_assert_int_eq(hc(HC_NOTIFY_REQUEST_FINISH, ID_U1, 0xdead0000), 0); /* 16 bits count */
    ck_assert_int_eq(hc(HC_NOTIFY_REQUEST_FINISH, ID_U1, 1), -EPERM_);
    ck_assert_int_eq(hc(HC_NOTIFY_REQUEST_FINISH, ID_U1, 8), -EPERM_);
    ck_assert_int_eq(hc(HC_NOTIFY_REQUEST_FINISH, ID_U1, 0xffff), -EPERM_);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        regions_are_mapped_to_what_the_service_vm_sees,
        rights_and_memory_types_are_decoded,
        modify_changes_rights_and_keeps_the_memory,
        types_by_flavour,
        one_page_of_entries_in_v1_more_in_hsm,
        a_long_batch_ends_when_its_caller_must_stop,
        an_empty_batch_is_the_generic_failure,
        entries_that_make_no_sense_are_refused_before_any_takes_effect,
        memory_that_is_not_the_service_vms_is_refused,
        windows_of_interrupt_controllers_and_the_limit_are_kept,
        arrays_that_cannot_be_read_fail,
        an_entry_that_changes_meanwhile_is_looked_at_again,
        a_running_vm_has_left_guest_mode_before_memory_is_taken,
        write_protection_takes_and_gives_one_page,
        write_protection_of_no_page_fails,
        gpa2hpa_translates_for_user_vms_and_the_service_vm,
        gpa2hpa_of_unmapped_memory_leaves_the_structure_alone,
        a_request_buffer_has_16_free_slots_and_can_be_replaced,
        an_unusable_buffer_leaves_the_vm_without_one,
        notify_needs_a_buffer_and_a_vcpu,
    };
    Suite *s = suite_create("hcall-memory");
    TCase *c = tcase_create("memory");

    tcase_add_checked_fixture(c, setup, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return run_suite(s);
}
