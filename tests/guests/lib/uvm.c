/* User VMs for service-VM programs: launching them, and answering their requests (hypercall-abi.md section
 * 4). */
#include "hc.h"

#define LOW_SIZE 0x10000UL

const u8 key_uvm0[16] = {0x0b, 0x1c, 0x2d, 0x30, 0, 8, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xa0};
const u8 key_uvm1[16] = "uvm1", key_rt[16] = "rt0", key_other[16] = "somebody";

u8 model_ports[256], model_mmio[4096];

long uvm_create(struct uvm *vm, const u8 key[16], u64 flags)
{
    static struct create_vm c;
    long ret;

    memset(&c, 0, sizeof(c));
    memcpy(c.key, key, 16);
    c.flags = flags;
    vm->polling = flags & VM_POLLING;
    vm->vcpus = 0;
    vm->id = 0;
    ret = hc(HC_CREATE_VM, (u64)&c, 0);
    if (ret == 0)
        vm->id = c.vmid;
    return ret;
}

long uvm_buffer(struct uvm *vm)
{
    u64 page;

    if (vm->slot == NULL)
        vm->slot = arena(4096, 4096);
    page = (u64)vm->slot;
    return hcp(HC_SET_IOREQ_BUFFER, vm->id, &page);
}

long uvm_vcpu(struct uvm *vm)
{
    struct create_vcpu c = {.vcpu = (u16)vm->vcpus};
    long ret = hcp(HC_CREATE_VCPU, vm->id, &c);

    if (ret == 0)
        vm->vcpus++;
    return ret;
}

long uvm_region(const struct uvm *vm, u32 type, u64 gpa, u64 src, u64 size, u32 prot)
{
    struct memory_region r = {type, prot, gpa, src, size};
    struct set_regions s = {.vmid = vm->id, .count = 1, .regions = (u64)&r};

    return hc(HC_MEMORY_REGIONS, (u64)&s, 0);
}

long uvm_map_image(struct uvm *vm)
{
    long ret;

    if (vm->low == NULL)
        vm->low = arena(LOW_SIZE, 4096);
    ret = uvm_map(vm, 0x100000, (void *)0x100000, ((u64)image_end + 4095 - 0x100000) & ~(u64)4095, MEM_RWX);
    return ret != 0 ? ret : uvm_map(vm, 0, vm->low, LOW_SIZE, MEM_RWX);
}

/* First code of a user VM's vCPU 0. */
static NORETURN void uvm_main(u64 index, void (*fn)(void))
{
    cpu_init((u32)index);
    apic_enable();
    fn();
    halt();
}

void uvm_regs(const struct uvm *vm, void (*fn)(void), struct vcpu_regs *r)
{
    static const u64 gdt[3] __attribute__((aligned(8))) = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};

    memset(r, 0, sizeof(*r));
    r->gprs.rdi = vm->base;
    r->gprs.rsi = (u64)fn;
    r->gprs.rsp = (u64)stacks[vm->base] + CPU_STACK - 8; /* as behind a CALL */
    r->rip = (u64)uvm_main;
    r->cr0 = 0x80010033;
    r->cr3 = (u64)boot_pml4;
    r->cr4 = 0x620;
    r->efer = 0xd00; /* LME, LMA, NXE */
    r->gdt = (struct table_reg){.limit = sizeof(gdt) - 1, .base = (u64)gdt};
    r->cs = SEL_CODE64;
    r->cs_ar = 0xa09b;
    r->cs_limit = 0xffffffff;
    r->ss = r->ds = r->es = SEL_DATA;
}

long uvm_entry(const struct uvm *vm, void (*fn)(void))
{
    struct vcpu_regs r;

    uvm_regs(vm, fn, &r);
    return hcp(HC_SET_VCPU_REGS, vm->id, &r);
}

long uvm_destroy(struct uvm *vm)
{
    long ret = uvm_op(vm, HC_DESTROY_VM);

    if (ret == 0)
        vm->id = 0;
    return ret;
}

void uvm_make(struct uvm *vm, const u8 key[16], u64 flags, unsigned vcpus, void (*fn)(void))
{
    long ret = uvm_create(vm, key, flags);

    if (ret != 0)
        bail("CREATE_VM: %ld", ret);
    ret = uvm_buffer(vm);
    if (ret != 0)
        bail("SET_IOREQ_BUFFER: %ld", ret);
    ret = uvm_map_image(vm);
    if (ret != 0)
        bail("SET_MEMORY_REGIONS: %ld", ret);
    while (vm->vcpus < vcpus) {
        ret = uvm_vcpu(vm);
        if (ret != 0)
            bail("CREATE_VCPU %u: %ld", vm->vcpus, ret);
    }
    if (fn == NULL)
        return;
    ret = uvm_entry(vm, fn);
    if (ret != 0)
        bail("SET_VCPU_REGS: %ld", ret);
}

void uvm_notify(struct uvm *vm, u32 vcpu)
{
    long ret = hc(HC_NOTIFY_FINISH, vm->id, vcpu);

    if (ret != 0)
        bail("NOTIFY_REQUEST_FINISH of VM %u, vCPU %u: %ld", vm->id, vcpu, ret);
}

long uvm_line(const struct uvm *vm, u32 gsi, u32 op)
{
    return hc(HC_SET_IRQLINE, vm->id, gsi | (u64)op << 32);
}

long uvm_msi(const struct uvm *vm, u64 addr, u64 data)
{
    struct msi_entry m = {addr, data};

    return hcp(HC_INJECT_MSI, vm->id, &m);
}

void model_default(struct uvm *vm, u32 vcpu, volatile struct io_request *r)
{
    u64 a = r->address, size = r->size, value = r->value;
    u8 *reg = NULL;

    (void)vm;
    (void)vcpu;
    if (r->type == REQ_PORTIO && a >= MODEL_PORT && a + size <= MODEL_PORT + sizeof(model_ports))
        reg = &model_ports[a - MODEL_PORT];
    else if (r->type == REQ_MMIO && a >= MODEL_MMIO && a + size <= MODEL_MMIO + sizeof(model_mmio))
        reg = &model_mmio[a - MODEL_MMIO];
    else if (r->type == REQ_PORTIO && a == 0x3f8 && r->direction == DIR_WRITE)
        putch((char)value);
    if (r->direction == DIR_WRITE && reg != NULL)
        memcpy(reg, &value, size);
    if (r->direction != DIR_READ)
        return;
    value = r->type == REQ_PORTIO && a == 0x3fd ? 0x60 : ~(u64)0;
    if (reg != NULL)
        memcpy(&value, reg, size);
    r->value = value;
}

void uvm_complete(struct uvm *vm, u32 vcpu)
{
    volatile struct io_request *r = &vm->slot[vcpu];
    bool polls = r->completion_polling;

    vm->last[vcpu] = *(struct io_request *)r;
    r->processed = ST_PROCESSING;
    (vm->model != NULL ? vm->model : model_default)(vm, vcpu, r);
    vm->served++;
    __atomic_store_n(&r->processed, ST_COMPLETE, __ATOMIC_RELEASE);
    if (!polls)
        uvm_notify(vm, vcpu);
}

void uvm_serve(struct uvm *vm)
{
    for (u32 i = 0; i < vm->vcpus; i++)
        if (__atomic_load_n(&vm->slot[i].processed, __ATOMIC_ACQUIRE) == ST_PENDING)
            uvm_complete(vm, i);
}

bool uvm_until(struct uvm *vm, volatile u32 *word, u32 value, u64 us)
{
    u64 end = rdtsc() + us_to_tsc(us);
    bool in_time = true;

    sti();
    while (*word < value && in_time) {
        uvm_serve(vm);
        pause();
        in_time = rdtsc() < end;
    }
    cli();
    return *word >= value;
}

bool uvm_slot_is(struct uvm *vm, u32 vcpu, u32 state, u64 us)
{
    volatile u32 *word = &vm->slot[vcpu].processed;
    bool ok;

    sti();
    ok = wait_for(word, state, us);
    cli();
    return ok;
}

bool uvm_ap_start(u32 apic, u32 index, void (*fn)(void))
{
    u32 want = cpus_online + 1;

    smp_prepare(index, fn, (void *)AP_TRAMPOLINE);
    ipi(apic, ICR_INIT);
    delay_us(1000);
    for (int i = 0; i < 2; i++) {
        ipi(apic, ICR_SIPI | AP_TRAMPOLINE >> 12);
        if (wait_for(&cpus_online, want, 1000))
            return true;
    }
    return wait_for(&cpus_online, want, PATIENCE);
}
