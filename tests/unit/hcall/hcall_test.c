#include "hcall_test.h"

struct vm *svc;
struct vcpu *caller;
struct hc_create_vm created;

void set_flavour(enum hcall_abi abi)
{
    fake_scenario.abi = abi;
}

void hcall_setup(void)
{
    core_setup();
    svc = service_vm();
    vm_control(svc, VM_WANT_START);
    run_all();
    ck_assert_uint_eq(svc->state, VM_STATE_STARTED);
    caller = &svc->vcpus[0];
    fake_set_cpu(caller->pcpu);
    for (u16 i = 0; i < svc->vcpu_count; i++)
        svc->vcpus[i].state = VCPU_RUNNING;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        caller->regs->gpr[i] = STALE + i;
    memset(fake_mem(PARAM - 0x1000), 0xa5, 0x3000);
}

enum hcall_outcome call(u64 id, u64 p1, u64 p2)
{
    caller->regs->gpr[GPR_R8] = id;
    caller->regs->gpr[GPR_RDI] = p1;
    caller->regs->gpr[GPR_RSI] = p2;
    return hcall_dispatch(caller);
}

s64 hc(u64 id, u64 p1, u64 p2)
{
    struct guest_regs before;
    u64 rax;

    before = *caller->regs;
    before.gpr[GPR_R8] = id;
    before.gpr[GPR_RDI] = p1;
    before.gpr[GPR_RSI] = p2;
    ck_assert_int_eq(call(id, p1, p2), HCALL_DONE);
    rax = caller->regs->gpr[GPR_RAX];
    before.gpr[GPR_RAX] = rax;
    ck_assert_mem_eq(caller->regs, &before, sizeof(before));
    ck_assert_uint_eq(rax, (u64)(s64)(s32)rax);
    ck_assert(!fake_waiting);
    for (unsigned i = 0; i < CFG_VMS; i++) {
        ck_assert_msg(spin_trylock(&vms[i].lock), "lock of vm %u is held", i);
        spin_unlock(&vms[i].lock);
    }
    return (s64)rax;
}

void put(u64 addr, const void *src, size_t len)
{
    memcpy(fake_mem(addr), src, len);
}

void get(u64 addr, void *dst, size_t len)
{
    memcpy(dst, fake_mem(addr), len);
}

s64 hc_rdi(u64 id, const void *param, size_t len)
{
    put(PARAM, param, len);
    return hc(id, PARAM, STALE);
}

s64 hc_rsi(u64 id, u64 p1, const void *param, size_t len)
{
    put(PARAM, param, len);
    return hc(id, p1, PARAM);
}

void map_read_only(u64 host)
{
    ck_assert_int_eq(arch_s2_map(service_vm(), gpa(RO_PAGE), hpa(host), PAGE_SIZE, MEM_R), 0);
}

struct vm *slot(unsigned wire_id)
{
    return &vms[FAKE_SERVICE + wire_id];
}

s64 create(unsigned wire_id, u64 flags)
{
    s64 ret;

    created = (struct hc_create_vm){.vmid = 0x7777, .vm_flag = flags};
    memcpy(created.key, slot(wire_id)->cfg->key_bytes, sizeof(created.key));
    if (wire_id == ID_SPARE)
        memcpy(created.key, "anything", 9);
    ret = hc_rdi(HC_CREATE_VM, &created, sizeof(created));
    get(PARAM, &created, sizeof(created));
    return ret;
}

s64 map(unsigned wire_id, u64 gpa_, u64 src, u64 size, u32 prot)
{
    const struct hc_memory_region r = {
        .type = HC_MR_ADD, .prot = prot, .gpa = gpa_, .sos_vm_gpa = src, .size = size};
    const struct hc_set_regions head = {.vmid = (u16)wire_id, .mr_num = 1, .regions_gpa = PARAM + 0x100};

    put(PARAM + 0x100, &r, sizeof(r));
    return hc_rdi(HC_VM_SET_MEMORY_REGIONS, &head, sizeof(head));
}

unsigned wire_id_of(enum column col)
{
    return col == COL_POWERING_OFF || col == COL_STARTED_RT ? ID_RT : ID_U1;
}

struct vm *reach(enum column col)
{
    const struct hc_set_ioreq_buffer buffer = {.req_buf = REQ_PAGE};
    const struct hc_create_vcpu vcpu = {.vcpu_id = 0};
    unsigned id = wire_id_of(col);
    u64 rt = fake_scenario.abi == HCALL_ABI_HSM ? HC_VM_HSM_RT : HC_VM_RT;
    struct vm *vm = slot(id);

    ck_assert_uint_eq(vm->state, VM_STATE_OFF);
    if (col == COL_OFF)
        return vm;
    ck_assert_int_eq(create(id, id == ID_RT ? rt : 0), 0);
    ck_assert_int_eq(hc_rsi(HC_SET_IOREQ_BUFFER, id, &buffer, sizeof(buffer)), 0);
    ck_assert_int_eq(map(id, 0, UVM_RAM, SIZE_2M, HC_MEM_RWX | HC_MEM_TYPE_WB), 0);
    ck_assert_int_eq(hc_rsi(HC_CREATE_VCPU, id, &vcpu, sizeof(vcpu)), 0);
    if (col == COL_STARTED || col == COL_STARTED_RT || col == COL_POWERING_OFF) {
        ck_assert_int_eq(hc(HC_START_VM, id, 0), 0);
        fake_run_others();
        ck_assert_uint_eq(vm->vcpus[0].state, VCPU_RUNNING);
    }
    if (col == COL_POWERING_OFF)
        vm->state = VM_STATE_POWERING_OFF;
    if (col == COL_PAUSED)
        ck_assert_int_eq(hc(HC_PAUSE_VM, id, 0), 0);
    return vm;
}

void bad_addresses_fail(u32 id, u64 p1, bool in_rsi, size_t len, s64 want)
{
    /* Nothing mapped; the last byte is in the hole; the hypervisor's image; another VM's RAM; registers of
     * the local APIC; the end of the address space. */
    const u64 bad[] = {HOLE,       RAM_END - len + 1, CFG_HV_BASE,        0x4000000,
                       0xfee00000, 0 - (u64)len,      0xffffffffffffffff, 0x8000000000000000 | PARAM};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg((in_rsi ? hc(id, p1, bad[i]) : hc(id, bad[i], 0)) == want, "id %x at %llx", id,
                      (unsigned long long)bad[i]);
}
