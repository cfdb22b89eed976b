/*
 * Service VM: the life cycle of user VMs. Every cell of the table in section 5 of hypercall-abi.md, by
 * calling each call in each state and looking at the state afterwards; and creation in all its ways
 * (section 2.3).
 */
#include "hc.h"

enum state { OFF, CREATED, STARTED, POWERING_OFF, PAUSED, STATES };

static const char *const state_names[STATES] = {"OFF", "CREATED", "STARTED", "POWERING_OFF", "PAUSED"};
static struct uvm vm;
static u64 scratch_page; /* its address */
static volatile u32 go, running;

/* Powers itself off when told. Other VMs than real-time ones only make a request of it. */
static void user_body(void)
{
    running = 1;
    while (!go)
        pause();
    outw(0x404, 0x3400);
    for (;;)
        pause();
}

/* ---- the calls, each with harmless arguments ---- */

static long do_create(void)
{
    struct create_vm c = {.vmid = 0x7777};

    memcpy(c.key, vm.base == 8 ? key_uvm0 : key_rt, 16);
    c.flags = vm.base == 8 ? 0 : VM_RT;
    return hcp(HC_CREATE_VM, (u64)&c, NULL);
}
static long do_vcpu(void)
{
    struct create_vcpu c = {0, 0, 0};

    return hcp(HC_CREATE_VCPU, vm.id, &c);
}
static long do_buffer(void)
{
    u64 page = (u64)vm.slot;

    return hcp(HC_SET_IOREQ_BUFFER, vm.id, &page);
}
static long do_regs(void)
{
    return uvm_entry(&vm, user_body);
}
static long do_start(void)
{
    return uvm_start(&vm);
}
static long do_pause(void)
{
    return uvm_pause(&vm);
}
static long do_reset(void)
{
    return uvm_reset(&vm);
}
static long do_destroy(void)
{
    return uvm_op(&vm, HC_DESTROY_VM);
}
static long do_notify(void)
{
    return hc(HC_NOTIFY_FINISH, vm.id, 0);
}
static long do_irqline(void)
{
    return hc(HC_SET_IRQLINE, vm.id, 20);
}
static long do_msi(void)
{
    return uvm_msi(&vm, 0xfee00000, 0x60);
}
static long do_regions(void)
{
    return uvm_map(&vm, 0x90000000, (void *)scratch_page, 4096, MEM_RWX);
}
static long do_protect(void)
{
    struct wp_data d = {.set = 0, .gpa = 0x100000};

    return hcp(HC_WRITE_PROTECT, vm.id, &d);
}
static long do_gpa2hpa(void)
{
    struct gpa2hpa g = {0x100000, 0};

    return hcp(HC_GPA2HPA, vm.id, &g);
}
static long do_monitor(void)
{
    struct intr_monitor m = {.cmd = 0, .buf_cnt = 4};

    return hcp(HC_INTR_MONITOR, vm.id, &m);
}

/* ---- states ---- */

/* The state, by what the calls accept. May set the slots FREE; changes nothing else. */
static enum state state_now(void)
{
    if (do_irqline() < 0)
        return OFF;
    if (do_buffer() == 0)
        return CREATED;
    if (do_regs() < 0)
        return STARTED;
    /* RESET would end PAUSED: which of the two remains is asked last, when the state may be lost. */
    return PAUSED;
}

static void power_off(void)
{
    go = 1;
    if (!uvm_slot_is(&vm, 0, ST_PENDING, PATIENCE))
        bail("the VM does not power off");
    uvm_serve(&vm);
}

static void bring(enum state s)
{
    u64 flags = vm.base == 8 ? 0 : VM_RT;

    go = running = 0;
    if (s == OFF) {
        if (vm.id == 0)
            vm.id = vm.base == 8 ? 1 : 4;
        return;
    }
    uvm_make(&vm, vm.base == 8 ? key_uvm0 : key_rt, flags, 1, user_body);
    if (s == CREATED)
        return;
    if (uvm_start(&vm) != 0 || !wait_for(&running, 1, PATIENCE))
        bail("the VM does not start");
    if (s == STARTED)
        return;
    if (vm.base != 8)
        power_off();
    if (s == PAUSED && uvm_pause(&vm) != 0)
        bail("the VM cannot be paused");
}

static void away(void)
{
    long ret = do_destroy();

    if (ret == -EINVAL) { /* a real-time VM that runs */
        power_off();
        ret = do_destroy();
    }
    if (do_irqline() >= 0)
        bail("the VM cannot be destroyed: %ld", ret);
}

/* ---- the table: result, and state afterwards where it changes ---- */

struct cell {
    long ret;
    enum state after;
};

struct row {
    const char *name;
    long (*call)(void);
    struct cell cell[STATES]; /* POWERING_OFF: real-time VMs only */
};

#define KEEPS(off, created, started, powering, paused)                                                       \
    {                                                                                                        \
        {off, OFF}, {created, CREATED}, {started, STARTED}, {powering, POWERING_OFF},                        \
        {                                                                                                    \
            paused, PAUSED                                                                                   \
        }                                                                                                    \
    }
#define ALIVE KEEPS(-1, 0, 0, 0, 0)

static const struct row table[] = {
    {"CREATE_VM", do_create, {{0, CREATED}, {-1, CREATED}, {-1, STARTED}, {-1, POWERING_OFF}, {-1, PAUSED}}},
    {"CREATE_VCPU", do_vcpu, KEEPS(-1, 0, -1, -1, -1)},
    {"SET_IOREQ_BUFFER", do_buffer, KEEPS(-1, 0, -1, -1, -1)},
    {"SET_VCPU_REGS", do_regs, KEEPS(-1, 0, -1, 0, 0)},
    {"START_VM", do_start, {{-1, OFF}, {0, STARTED}, {-1, STARTED}, {-1, POWERING_OFF}, {-1, PAUSED}}},
    {"PAUSE_VM", do_pause, {{-1, OFF}, {0, PAUSED}, {0, PAUSED}, {0, PAUSED}, {0, PAUSED}}},
    {"RESET_VM",
     do_reset,
     {{-1, OFF}, {-EINVAL, CREATED}, {-EINVAL, STARTED}, {-EINVAL, POWERING_OFF}, {0, CREATED}}},
    {"DESTROY_VM", do_destroy, {{-1, OFF}, {0, OFF}, {0, OFF}, {0, OFF}, {0, OFF}}},
    {"NOTIFY_REQUEST_FINISH", do_notify, ALIVE},
    {"SET_IRQLINE", do_irqline, ALIVE},
    {"INJECT_MSI", do_msi, ALIVE},
    {"SET_MEMORY_REGIONS", do_regions, ALIVE},
    {"WRITE_PROTECT_PAGE", do_protect, ALIVE},
    {"GPA2HPA", do_gpa2hpa, ALIVE},
    {"VM_INTR_MONITOR", do_monitor, KEEPS(-EINVAL, 0, 0, 0, 0)},
};

static void check_cell(const struct row *r, enum state s, struct cell want)
{
    enum state after, expected = want.after;
    const char *kind = vm.base == 8 ? "" : " (real time)";
    long ret;

    if (vm.base != 8 && r->call == do_vcpu && s == CREATED)
        want.ret = -EINVAL; /* the slot has one vCPU, which exists */
    bring(s);
    ret = r->call();
    after = state_now();
    if (after == PAUSED && expected == POWERING_OFF)
        after = do_reset() == -EINVAL ? POWERING_OFF : CREATED;
    else if (after == PAUSED && expected == PAUSED)
        after = do_reset() == 0 ? PAUSED : POWERING_OFF;
    check(ret == want.ret && after == expected, "%s in %s%s: %ld, then %s", r->name, state_names[s], kind,
          ret, state_names[after]);
    if (do_irqline() >= 0)
        away();
}

static void check_table(void)
{
    vm.base = 8;
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        for (enum state s = OFF; s < STATES; s++)
            if (s != POWERING_OFF)
                check_cell(&table[i], s, table[i].cell[s]);
    vm = (struct uvm){.base = 4};
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        for (enum state s = OFF; s < STATES; s++) {
            struct cell want = table[i].cell[s];

            if (s == STARTED && table[i].call == do_pause)
                want = (struct cell){0, STARTED};
            if (s == STARTED && table[i].call == do_destroy)
                want = (struct cell){-EINVAL, STARTED};
            check_cell(&table[i], s, want);
        }
}

/* ---- creation ---- */

static long create(struct create_vm *c, const u8 key[16], u64 flags)
{
    memset(c, 0xaa, sizeof(*c));
    memcpy(c->key, key, 16);
    c->flags = flags;
    return hcp(HC_CREATE_VM, (u64)c, NULL);
}

/* Nothing but the vmid was written. */
static bool only_vmid(const struct create_vm *c)
{
    const u8 *p = (const u8 *)c;

    for (unsigned i = 2; i < sizeof(*c); i++)
        if (p[i] != 0xaa && !(i >= 8 && i < 32))
            return false;
    return true;
}

static void check_create(void)
{
    static const u8 service_key[16] = {0x0b, 0x1c, 0x2d, 0x30, 0, 8, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1};
    static const u8 neighbour_key[16] = {0x0b, 0x1c, 0x2d, 0x30, 0, 8, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 2};
    static const u8 third_key[16] = "third";
    struct create_vm *across = (struct create_vm *)(scratch_page + 4096 - 20), c;

    check(create(&c, key_uvm0, 0) == 0 && c.vmid == 1, "a UUID selects its slot");
    check(only_vmid(&c), "of the structure only the vmid is written");
    check(create(&c, key_uvm0, 0) < 0 && c.vmid != 1, "the same once more: refused");
    check(hc(HC_DESTROY_VM, 1, 0) == 0 && create(across, key_uvm0, 0) == 0 && across->vmid == 1,
          "created again, by a structure that crosses a page");
    check(create(&c, key_uvm1, 0) == 0 && c.vmid == 2, "a name selects its slot");
    check(create(&c, key_other, 0) == 0 && c.vmid == 3, "an unknown key gets the spare slot");
    check(create(&c, key_other, 0) < 0, "the same key once more: refused");
    check(create(&c, third_key, 0) == -ENODEV && c.vmid == VMID_NONE, "no slot left: -ENODEV, vmid 0x%x",
          c.vmid);
    check(hc(HC_DESTROY_VM, 3, 0) == 0, "the spare slot is given back");
    check(create(&c, service_key, 0) < 0, "the service VM's own key: refused");
    hc(HC_DESTROY_VM, 3, 0);
    check(create(&c, neighbour_key, 0) < 0, "a pre-launched VM's key: refused");
    hc(HC_DESTROY_VM, 3, 0);
    check(create(&c, third_key, 0) == 0 && c.vmid == 3, "the spare slot takes another key");
    check(hc(HC_DESTROY_VM, 3, 0) == 0 && hc(HC_DESTROY_VM, 2, 0) == 0 && hc(HC_DESTROY_VM, 1, 0) == 0,
          "all destroyed");
    check(hc(HC_DESTROY_VM, 1, 0) == -1, "twice: -1");
    check(hc(HC_CREATE_VM, BIT(39), 0) < 0 && hc(HC_CREATE_VM, (u64)ram_edge(20), 0) < 0,
          "a structure that cannot be read: refused");
}

static void check_flags(void)
{
    struct create_vm c;

    check(create(&c, key_uvm0, 0xffffffffffffff98) == 0, "flags that a device model may not set are dropped");
    check(hc(HC_DESTROY_VM, 1, 0) == 0, "and the VM is an ordinary one");
    check(create(&c, key_uvm0, VM_RT) < 0 && create(&c, key_uvm0, VM_SECURE) < 0,
          "what the slot does not allow: refused");
    check(create(&c, key_rt, VM_LAPIC_PT) < 0 && c.vmid == 0xaaaa, "LAPIC pass-through without RT: refused");
    check(create(&c, key_rt, 0) == 0 && c.vmid == 4, "and the slot is clean afterwards");
    check(hc(HC_DESTROY_VM, 4, 0) == 0, "destroyed");
    check(create(&c, key_rt, VM_LAPIC_PT | VM_RT) == -ENODEV, "with RT: not built, -ENODEV");
}

static void check_vcpus(void)
{
    struct create_vcpu p = {0, 0, 0};
    struct uvm other = {.base = 4};
    u64 page = scratch_page;

    vm = (struct uvm){.base = 8};
    uvm_create(&vm, key_uvm0, 0);
    uvm_create(&other, key_uvm1, 0);
    check(hc(HC_CREATE_VCPU, vm.id, 0) == -1, "CREATE_VCPU without a structure: -1");
    check(hc(HC_CREATE_VCPU, vm.id, BIT(39)) == -1, "with one that cannot be read: -1");
    check(hcp(HC_SET_IOREQ_BUFFER, vm.id, &page) == 0 && uvm_start(&vm) < 0,
          "START_VM without a vCPU: refused");
    check(uvm_vcpu(&vm) == 0 && uvm_vcpu(&vm) == 0, "two vCPUs on the two CPUs that are free");
    check(uvm_vcpu(&vm) == -1, "no CPU for a third: -1");
    check(hcp(HC_CREATE_VCPU, other.id, &p) == -1, "nor for another VM's first: -1");
    check(uvm_destroy(&vm) == 0 && hcp(HC_CREATE_VCPU, other.id, &p) == 0,
          "destroyed, its CPUs serve the other VM");
    uvm_create(&vm, key_uvm0, 0);
    check(uvm_vcpu(&vm) == 0 && uvm_vcpu(&vm) == -1, "and one is left");
    check(uvm_start(&vm) < 0, "START_VM without a buffer: refused");
    uvm_destroy(&other);
    check(uvm_vcpu(&vm) == 0, "until the other gives its back");
    if (acpi_cpus.count > 2 && check(hc(HC_OFFLINE_CPU, acpi_cpus.apic_id[2], 0) == 0, "SOS_OFFLINE_CPU")) {
        check(uvm_vcpu(&vm) == 0, "hands CPU 2 to the slot");
        check(uvm_vcpu(&vm) == -EINVAL, "a fourth vCPU is more than the slot has: -EINVAL");
    }
    uvm_destroy(&vm);
}

static void check_buffer(void)
{
    u64 *arg = (u64 *)scratch_page, page = scratch_page + 8192;
    u32 free_slots = 0;
    struct io_request *r = (struct io_request *)page;

    vm = (struct uvm){.base = 8};
    uvm_create(&vm, key_uvm0, 0);
    uvm_vcpu(&vm);
    memset(r, 0, 4096);
    *arg = page;
    check(hcp(HC_SET_IOREQ_BUFFER, vm.id, arg) == 0, "SET_IOREQ_BUFFER");
    for (unsigned i = 0; i < REQ_SLOTS; i++)
        free_slots += r[i].processed == ST_FREE;
    check(free_slots == REQ_SLOTS, "all 16 slots become FREE");
    *arg = page + 0x100;
    check(hcp(HC_SET_IOREQ_BUFFER, vm.id, arg) < 0, "an odd address: refused");
    *arg = BIT(39);
    check(hcp(HC_SET_IOREQ_BUFFER, vm.id, arg) == -1, "an address without memory: -1");
    check(hc(HC_NOTIFY_FINISH, vm.id, 0) < 0 && uvm_start(&vm) < 0, "and the VM has no buffer any more");
    for (unsigned n = 0; ram_hole(n) != 0; n++) {
        *arg = ram_hole(n);
        if (hcp(HC_SET_IOREQ_BUFFER, vm.id, arg) >= 0) {
            check(false, "memory of the hypervisor or of others at 0x%lx became a buffer", *arg);
            break;
        }
    }
    *arg = 0xfee00000;
    check(hcp(HC_SET_IOREQ_BUFFER, vm.id, arg) < 0, "the local APIC as buffer: refused");
    check(hc(HC_SET_IOREQ_BUFFER, vm.id, BIT(39)) == -1, "a parameter that cannot be read: -1");
    uvm_destroy(&vm);
}

static void check_monitor(void)
{
    static const u32 counts[] = {0, 1, 2, 47, 48};
    struct intr_monitor *m = (struct intr_monitor *)(scratch_page + 4096 - 100);
    u32 wrong = 0;

    uvm_create(&vm, key_uvm0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        memset(m, 0xaa, sizeof(*m));
        m->cmd = 0;
        m->buf_cnt = counts[i];
        wrong += hcp(HC_INTR_MONITOR, vm.id, m) != 0 || m->buf_cnt != 0 || (u8)m->buffer[0] != 0xaa;
    }
    check(wrong == 0,
          "VM_INTR_MONITOR: nothing is passed through, no counts; the structure may cross a page");
    m->buf_cnt = 49;
    check(hcp(HC_INTR_MONITOR, vm.id, m) == -EINVAL, "49 cells: -EINVAL");
    m->cmd = 1;
    m->buf_cnt = 1;
    m->buffer[0] = 5;
    check(hcp(HC_INTR_MONITOR, vm.id, m) == 0, "a delay");
    m->buffer[0] = 0;
    check(hcp(HC_INTR_MONITOR, vm.id, m) == 0, "and none");
    check(hc(HC_INTR_MONITOR, vm.id, BIT(39)) == -EINVAL, "a structure that cannot be read: -EINVAL");
    uvm_destroy(&vm);
}

static void check_pm(void)
{
    u8 *out = (u8 *)scratch_page;
    u64 id;
    long px, cx;

    uvm_create(&vm, key_uvm0, 0);
    id = (u64)vm.id << 24;
    memset(out, 0xaa, 64);
    px = hcp(HC_PM_STATE, id | PM_PX_CNT, out);
    check(px == -1 || (px == 0 && out[0] > 0 && out[0] <= 20), "P-states: %u", px == 0 ? out[0] : 0u);
    check(out[1] == 0xaa, "the count has one byte");
    check(hcp(HC_PM_STATE, id | (px == 0 ? (u64)out[0] << 8 : 0) | PM_PX_DATA, out + 64) == -1,
          "a P-state past the last: -1");
    check(px != 0 || hcp(HC_PM_STATE, id | PM_PX_DATA, out + 64) == 0, "the first P-state");
    out[1] = 0xaa;
    cx = hcp(HC_PM_STATE, id | PM_CX_CNT, out);
    check(cx == -1 || (cx == 0 && out[0] > 0 && out[0] <= 7), "C-states: %u", cx == 0 ? out[0] : 0);
    check(out[1] == 0xaa, "the count has one byte");
    check(hcp(HC_PM_STATE, id | PM_CX_DATA, out + 64) == -1, "C-state 0: -1");
    check(cx != 0 || hcp(HC_PM_STATE, id | 1 << 8 | PM_CX_DATA, out + 64) == 0, "C-state 1");
    check(hcp(HC_PM_STATE, id | 4, out) == -1 && hcp(HC_PM_STATE, id | 0xff, out) == -1, "other types: -1");
    check(hcp(HC_PM_STATE, 0xffUL << 24, out) == -1, "another VM: -1");
    uvm_destroy(&vm);
}

void guest_main(void)
{
    service_init();
    scratch_page = (u64)arena(3 * 4096, 4096);
    check_table();
    check_create();
    check_flags();
    check_buffer();
    check_monitor();
    check_pm();
    check_vcpus();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
