/* Service VM that speaks the flavour of Linux's driver (hypercall-abi.md sections 6, 8): what differs from
 * v1. */
#include "hc.h"

#define WIN 0x90000000UL

static struct uvm vm = {.base = 8};
static u8 *scratch;
static volatile u32 ready, go, got_irq[MAX_CPUS], user_ids[MAX_CPUS];

static void on_irq(struct frame *f)
{
    (void)f;
    got_irq[this()->index]++;
    apic_eoi();
}

static void user_ap(void)
{
    user_ids[this()->index] = apic_id();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    for (;;)
        sti_hlt();
}

static void user_first(void)
{
    user_ids[this()->index] = apic_id();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    if (!go)
        return;
    uvm_ap_start(go, this()->index + 1, user_ap);
    for (;;)
        sti_hlt();
}

static void user_rt(void)
{
    ready = 1;
    while (!go)
        pause();
    outw(0x404, 0x3400);
}

/* The structure has 48 bytes; what lies behind is the caller's. */
static long create(struct create_vm *c, const u8 key[16], u64 flags, u64 affinity)
{
    memset(c, 0xaa, sizeof(*c));
    memcpy(c->key, key, 16);
    c->flags = flags;
    c->affinity = affinity;
    return hcp(HC_CREATE_VM, (u64)c, NULL);
}

static bool rest_untouched(const struct create_vm *c)
{
    return c->reserved0 == 0xaaaa && c->reserved1 == 0xaaaa && c->req_buf == 0xaaaaaaaaaaaaaaaa &&
           c->reserved2[0] == 0xaa && c->reserved2[7] == 0xaa;
}

static void check_create(void)
{
    struct create_vm *edge = (struct create_vm *)ram_edge(CREATE_VM_HSM_SIZE);
    struct create_vcpu v = {0, 0, 0};
    static struct create_vm c;
    u8 image[56];
    long ret = create(&c, key_uvm0, 0, BIT(3) | BIT(4));

    check(ret == 0 && c.vmid == 1 && c.vcpu_num == 2, "two CPUs in the affinity make two vCPUs (%u)",
          c.vcpu_num);
    check(rest_untouched(&c), "nothing else is written");
    check(hcp(HC_CREATE_VCPU, 1, &v) == 0, "CREATE_VCPU confirms what exists");
    v.vcpu = 2;
    check(hcp(HC_CREATE_VCPU, 1, &v) < 0, "and makes nothing new");
    check(hc(HC_DESTROY_VM, 1, 0) == 0, "destroyed");
    memset(image, 0, sizeof(image));
    memcpy(image + 8, key_uvm0, 16);
    memcpy(edge, image, CREATE_VM_HSM_SIZE);
    check(hcp(HC_CREATE_VM, (u64)edge, NULL) == 0 && edge->vmid == 1, "48 bytes are enough");
    check(edge->vcpu_num == 2, "no affinity: the slot's free CPUs (%u)", edge->vcpu_num);
    check(hc(HC_DESTROY_VM, 1, 0) == 0, "destroyed");
    check(create(&c, key_uvm0, 0, BIT(3) | BIT(5)) < 0, "a CPU that is not the slot's: refused");
    check(create(&c, key_uvm0, 0, BIT(2) | BIT(3)) < 0, "a CPU that the service VM has: refused");
    check(create(&c, key_uvm0, 0, BIT(63)) < 0, "a CPU that does not exist: refused");
    ret = create(&c, key_uvm0, 0, BIT(4));
    check(ret == 0 && c.vcpu_num == 1, "nothing of those was kept");
    check(create(&c, key_uvm1, 0, 0) < 0, "a VM for which no CPU is left: refused");
    check(hc(HC_DESTROY_VM, 1, 0) == 0, "destroyed");
    ret = create(&c, key_uvm1, 0, 0);
    check(ret == 0 && c.vcpu_num == 1 && hc(HC_DESTROY_VM, c.vmid, 0) == 0, "and then there is one");
}

/* uvm_make() without CREATE_VCPU. */
static void make(const u8 key[16], u64 flags, u64 affinity, void (*fn)(void))
{
    static struct create_vm c;
    struct vcpu_regs r;

    if (create(&c, key, flags, affinity) != 0)
        bail("CREATE_VM");
    vm.id = c.vmid;
    vm.vcpus = c.vcpu_num;
    vm.polling = false;
    uvm_regs(&vm, fn, &r);
    if (uvm_buffer(&vm) != 0 || uvm_map_image(&vm) != 0 || hcp(HC_SET_VCPU_REGS, vm.id, &r) != 0)
        bail("the user VM cannot be made");
}

static void check_affinity(void)
{
    ready = 0;
    go = 4;
    make(key_uvm0, 0, BIT(3) | BIT(4), user_first);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 2, PATIENCE), "both vCPUs run");
    check(user_ids[8] == 3 && user_ids[9] == 4, "their local APIC ids are the CPUs' (%u, %u)", user_ids[8],
          user_ids[9]);
    check(uvm_msi(&vm, 0xfee04000, 0x50) == 0 && wait_for(&got_irq[9], 1, PATIENCE) && got_irq[8] == 0,
          "an MSI goes by them");
    check(uvm_destroy(&vm) == 0, "destroyed while running");
    ready = go = 0;
    make(key_uvm0, 0, 0, user_first);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 1, PATIENCE) && user_ids[8] == 0,
          "without affinity the id is the vCPU's");
    if (acpi_cpus.count > 2) {
        uvm_destroy(&vm);
        check(hc(HC_OFFLINE_CPU, acpi_cpus.apic_id[2], 0) == 0, "SOS_OFFLINE_CPU");
        ready = go = 0;
        make(key_uvm0, 0, BIT(2) | BIT(3), user_first);
        check(vm.vcpus == 2 && uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 1, PATIENCE) && user_ids[8] == 2,
              "hands over CPU 2");
    }
    uvm_destroy(&vm);
}

static void check_batches(void)
{
    const u32 n = 300;
    struct memory_region *list = arena(n * sizeof(*list), 8);
    u64 src = (u64)arena(n * 4096, 4096);
    struct set_regions s = {.count = n, .regions = (u64)list};
    struct gpa2hpa g;
    u32 wrong = 0;

    make(key_uvm0, 0, 0, user_first);
    s.vmid = vm.id;
    for (u32 i = 0; i < n; i++)
        list[i] = (struct memory_region){MR_ADD, MEM_RWX | MEM_WB, WIN + i * 8192UL, src + i * 4096UL, 4096};
    check(hc(HC_MEMORY_REGIONS, (u64)&s, 0) == 0, "SET_MEMORY_REGIONS with %u entries", n);
    for (u32 i = 0; i < n; i++) {
        g = (struct gpa2hpa){WIN + i * 8192UL, 0};
        wrong += hcp(HC_GPA2HPA, vm.id, &g) != 0 || g.hpa != src + i * 4096UL;
    }
    check(wrong == 0, "all are there (%u not)", wrong);
    uvm_destroy(&vm);
}

static void check_rt(void)
{
    static struct create_vm c;

    ready = go = 0;
    check(create(&c, key_uvm0, VM_RT_HSM, 0) < 0, "real time for a slot that may not: refused");
    make(key_rt, VM_RT_HSM, 0, user_rt);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 1, PATIENCE), "flag bit 4 makes a real-time VM");
    check(uvm_pause(&vm) == 0 && uvm_reset(&vm) == -EINVAL && uvm_op(&vm, HC_DESTROY_VM) == -EINVAL,
          "that cannot be paused, reset or destroyed while it runs");
    go = 1;
    check(uvm_slot_is(&vm, 0, ST_PENDING, PATIENCE), "it powers itself off");
    uvm_serve(&vm);
    check(uvm_destroy(&vm) == 0, "and can be destroyed");
    go = 0;
    ready = 0;
    make(key_rt, VM_RT, 0, user_rt);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 1, PATIENCE) && uvm_destroy(&vm) == 0,
          "flag bit 5 does not");
}

static void check_misc(void)
{
    struct intr_monitor *m = (struct intr_monitor *)scratch;
    u64 id;
    long ret;

    make(key_uvm0, 0, 0, user_first);
    id = (u64)vm.id << 24;
    memset(m, 0, sizeof(*m));
    m->cmd = 2;
    check(hcp(HC_INTR_MONITOR, vm.id, m) == -EINVAL, "VM_INTR_MONITOR with another command: -EINVAL");
    memset(scratch, 0xaa, 64);
    ret = hcp(HC_PM_STATE, id | 1 << 8 | PM_CX_DATA, scratch);
    if (ret == 0)
        check(scratch[12] >= 1 && scratch[12] <= 8 && scratch[32] == 0xaa,
              "C-state data: the type at 12 (%u), 32 bytes", scratch[12]);
    else
        check(ret == -1 && scratch[0] == 0xaa, "no C-states on this board");
    check(hc(HC_VERSION, (u64)scratch, 0) == 0 && hc(HC_PLATFORM_INFO, (u64)scratch, 0) == 0,
          "the calls that Linux does not know are served");
    check(hc(0x800000ff, 0, 0) == -EPERM, "an unknown id: -EPERM");
    check(upcalls > 0, "upcalls came by the default vector (%u)", upcalls);
    uvm_destroy(&vm);
}

void guest_main(void)
{
    service_init();
    scratch = arena(4096, 4096);
    irq_set(0x50, on_irq);
    check_create();
    check_affinity();
    check_batches();
    check_rt();
    check_misc();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
