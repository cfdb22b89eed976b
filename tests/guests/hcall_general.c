/*
 * Service VM: the convention of the calls (registers, rings, ids, parameter addresses), CPUID, and the calls
 * that need no user VM (hypercall-abi.md sections 1, 2.2, 2.6, 2.8, 7).
 */
#include "hc.h"

static const u32 vmid_calls[] = {
    HC_DESTROY_VM,     HC_START_VM,         HC_PAUSE_VM,      HC_CREATE_VCPU,  HC_RESET_VM,
    HC_SET_VCPU_REGS,  HC_INJECT_MSI,       HC_INTR_MONITOR,  HC_SET_IRQLINE,  HC_SET_IOREQ_BUFFER,
    HC_NOTIFY_FINISH,  HC_GPA2HPA,          HC_WRITE_PROTECT, HC_ASSIGN_PTDEV, HC_DEASSIGN_PTDEV,
    HC_SET_PTDEV_INTR, HC_RESET_PTDEV_INTR, HC_ASSIGN_PCIDEV, HC_CREATE_VDEV,
};

static u8 *scratch; /* two pages */

static void check_cpuid(void)
{
    u32 r[4], a[4];
    u64 khz;

    cpuid(1, 0, r);
    check((r[2] & BIT(31)) && !(r[2] & BIT(5)), "CPUID 1: hypervisor present, no VMX");
    cpuid(0x80000001, 0, r);
    check(!(r[2] & BIT(2)), "CPUID 0x80000001: no SVM");
    cpuid(0x40000000, 0, r);
    check(r[0] == 0x40000010 && r[1] == 0x4e524341 && r[2] == r[1] && r[3] == r[1],
          "CPUID 0x40000000: the signature and the highest leaf");
    cpuid(0x40000001, 7, r);
    check(r[0] == 1 && (r[1] | r[2] | r[3]) == 0, "CPUID 0x40000001: the privileged VM");
    cpuid(0x40000010, 0, r);
    khz = r[0];
    check(khz * 1000 > tsc_hz - tsc_hz / 10 && khz * 1000 < tsc_hz + tsc_hz / 10 && (r[1] | r[2] | r[3]) == 0,
          "CPUID 0x40000010: the TSC's rate (%lu kHz, measured %lu)", khz, tsc_hz / 1000);
    cpuid(0x40000002, 0, r);
    cpuid(0x40000011, 0, a);
    check((r[0] | r[1] | r[2] | r[3]) == 0 && (a[0] | a[1] | a[2] | a[3]) == 0,
          "CPUID 0x40000002 and 0x40000011: zeros");
}

/* ---- T0: ring 3 ---- */

static u64 ring3_rax, ring3_rip, ring3_vector, ring3_error;

static void on_ring3(struct frame *f)
{
    ring3_rax = f->rax;
    ring3_rip = f->rip;
    ring3_vector = f->vector;
    ring3_error = f->error;
    f->rip = this()->probe.resume;
    f->cs = SEL_CODE64;
    f->ss = 0;
    f->rsp = f->rbx; /* ring3_call() left it there */
}

extern const u8 ring3_insn[], ring3_other[];

/* Goes to ring 3 at `code` (one of two instructions) with id and parameters set; comes back by exception. */
static __attribute__((noinline)) void ring3_call(const u8 *code, u64 id, u64 a)
{
    irq_set(13, on_ring3);
    irq_set(6, on_ring3);
    ring3_vector = 0;
    __asm__ volatile("push %%rbp\n\t"
                     "lea 1f(%%rip), %%rax\n\tmov %%rax, " PROBE_RESUME "\n\t"
                     "mov %%rsp, %%rbx\n\t"
                     "pushq %3\n\tpush %%rbx\n\tpushfq\n\tpushq %4\n\tpush %0\n\t"
                     "mov %1, %%r8\n\tmov $0x1234567, %%eax\n\t"
                     "iretq\n"
                     "ring3_insn:\n\tvmmcall\n\tud2\n"
                     "ring3_other:\n\tvmcall\n\tud2\n"
                     "1:\n\tmovq $0, " PROBE_RESUME "\n\tpop %%rbp"
                     : "+c"(code)
                     : "d"(id), "D"(a), "i"(SEL_USER_DATA), "i"(SEL_USER_CODE)
                     : "rax", "rbx", "rsi", "r8", "memory", "cc");
    irq_set(13, NULL);
    irq_set(6, NULL);
}

static void check_ring3(void)
{
    u64 keep = boot_pd[0];

    memset(scratch, 0xaa, 8);
    boot_pd[0] |= 4; /* user page */
    WRITE_CR(3, READ_CR(3));
    if (hc_amd) {
        ring3_call(ring3_insn, HC_VERSION, (u64)scratch);
        check(ring3_vector == 13 && ring3_error == 0 && ring3_rip == (u64)ring3_insn,
              "VMMCALL in ring 3: #GP(0) at the instruction (vector %lu, error %lu)", ring3_vector,
              ring3_error);
        check(ring3_rax == 0x1234567 && scratch[0] == 0xaa, "RAX and memory unchanged");
    }
    ring3_call(ring3_other, HC_VERSION, (u64)scratch);
    check(ring3_vector == 13 && ring3_error == 0 && ring3_rip == (u64)ring3_other,
          "VMCALL in ring 3: #GP(0) at the instruction (vector %lu, error %lu)", ring3_vector, ring3_error);
    check(ring3_rax == 0x1234567 && scratch[0] == 0xaa, "RAX and memory unchanged");
    boot_pd[0] = keep;
    WRITE_CR(3, READ_CR(3));
}

/* ---- T4: registers ---- */

static volatile u64 reg_in[16] __attribute__((used)), reg_out[16] __attribute__((used));

/* Loads all registers from reg_in (but RSP), calls, and stores them in reg_out; reg_out[4] is RFLAGS. */
static void call_with_registers(void)
{
#define LOAD(n, r)  "mov reg_in+8*" #n ", %%" #r "\n\t"
#define STORE(n, r) "mov %%" #r ", reg_out+8*" #n "\n\t"
#define ALL(op)                                                                                              \
    op(1, rcx) op(2, rdx) op(3, rbx) op(5, rbp) op(6, rsi) op(7, rdi) op(8, r8) op(9, r9) op(10, r10)        \
        op(11, r11) op(12, r12) op(13, r13) op(14, r14) op(15, r15)
    __asm__ volatile("push %%rbp\n\tpushq reg_in+8*4\n\tpopfq\n\t" ALL(LOAD)
                         LOAD(0, rax) "vmcall\n\t" ALL(STORE)
                             STORE(0, rax) "pushfq\n\tpopq reg_out+8*4\n\tcld\n\tpop %%rbp" ::
                                 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                                   "r13", "r14", "r15", "memory", "cc");
}

static void check_registers(void)
{
    static const struct {
        u64 id, a, b, rax;
        const char *name;
    } calls[] = {
        {HC_VERSION, 0, 0, 0, "GET_API_VERSION"},
        {0x800000ff, 1, 2, (u64)-1, "an unknown id"},
        {HC_CALLBACK_VECTOR, 0x1f, 0, (u64)-EINVAL, "SET_CALLBACK_VECTOR with a bad vector"},
        {HC_GPA2HPA, 0, 0, 0, "GPA2HPA"},
    };

    for (unsigned c = 0; c < ARRAY_SIZE(calls); c++) {
        u32 bad = 0;

        memset(scratch, 0, 16);
        for (u64 i = 0; i < 16; i++)
            reg_in[i] = 0x1111111111111111 * i + 0x8000000000000000;
        reg_in[8] = calls[c].id;
        reg_in[7] = calls[c].a;
        reg_in[6] = calls[c].b;
        reg_in[4] = 0xcd7; /* all status flags and DF, IF clear */
        if (calls[c].id == HC_VERSION)
            reg_in[7] = (u64)scratch;
        if (calls[c].id == HC_GPA2HPA)
            reg_in[6] = (u64)scratch;
        call_with_registers();
        for (u32 i = 1; i < 16; i++)
            bad |= (u32)(reg_in[i] != reg_out[i]) << i;
        check(bad == 0, "%s preserves all registers and flags (bad: 0x%x)", calls[c].name, bad);
        check(reg_out[0] == calls[c].rax, "%s: RAX is 0x%lx, sign-extended", calls[c].name, reg_out[0]);
    }
}

static void check_encodings(void)
{
    struct abi_version v;
    int fault;

    memset(&v, 0, sizeof(v));
    check(hc_vmcall(HC_VERSION, (u64)&v, 0, &fault) == 0 && fault < 0 && v.major == 1,
          "VMCALL is a hypercall");
    if (!hc_amd)
        return;
    memset(&v, 0, sizeof(v));
    check(hc_vmmcall(HC_VERSION, (u64)&v, 0, &fault) == 0 && fault < 0 && v.major == 1,
          "VMMCALL is a hypercall");
    probe_start();
    __asm__ volatile(PROBE("ud2")::: PROBE_CLOBBER);
    check(probe_result() == 6, "UD2 is not");
}

static void check_ids(void)
{
    static const u64 unknown[] = {0,          0x10,       0x80000020,  0x80000021,        0x80000022,
                                  0x80000040, 0x800000ff, 0x180000010, 0x100000000,       0x80000004,
                                  0x80000100, 0xffffffff, ~(u64)0,     0x8000000080000010};
    long bad = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        if (hc(unknown[i], (u64)scratch, (u64)scratch) != -EPERM)
            bad = (long)unknown[i];
    check(bad == 0, "unknown ids give -EPERM (not 0x%lx)", bad);
}

/* ---- T3: parameter addresses, with a call that writes 8 bytes and one that writes 256 ---- */

static void check_addresses(void)
{
    struct abi_version v;
    u8 *edge = ram_edge(4096);
    u64 bad = 0;
    unsigned n;

    check(hcp(HC_VERSION, (u64)&v, NULL) == 0 && v.major == 1 && v.minor == 0, "version 1.0");
    memset(scratch, 0xaa, 8192);
    check(hc(HC_VERSION, (u64)scratch + 4092, 0) == 0 && *(u32 *)(scratch + 4092) == 1 &&
              *(u32 *)(scratch + 4096) == 0,
          "a parameter may cross a page");
    check(scratch[4091] == 0xaa && scratch[4100] == 0xaa, "and the bytes around it are untouched");
    check(hc(HC_VERSION, (u64)scratch + 1, 0) == 0 && scratch[1] == 1 && scratch[0] == 0xaa &&
              scratch[9] == 0xaa,
          "a parameter needs no alignment");
    check(hc(HC_VERSION, ~(u64)0 - 3, 0) < 0, "a parameter that wraps at the top of the address space fails");
    check(hc(HC_VERSION, BIT(52), 0) < 0 && hc(HC_VERSION, BIT(39), 0) < 0, "addresses without RAM fail");
    check(hc(HC_VERSION, 0xfee00300, 0) < 0 && hc(HC_VERSION, 0xfec00000, 0) < 0,
          "the windows of the interrupt controllers fail");
    for (n = 0; ram_hole(n) != 0; n++)
        if (hc(HC_VERSION, ram_hole(n), 0) >= 0)
            bad = ram_hole(n);
    check(n > 0 && bad == 0, "memory of the hypervisor and of others fails (%u places, not 0x%lx)", n, bad);
    check(hc(HC_VERSION, (u64)edge + 4088, 0) == 0, "the last bytes of RAM");
    check(hc(HC_VERSION, (u64)edge + 4092, 0) < 0, "fail when the parameter reaches into the hole");
    check(hc(HC_PLATFORM_INFO, (u64)edge + 4096 - 255, 0) < 0, "so do 255 bytes for 256");
    check(hc(HC_PLATFORM_INFO, (u64)edge + 4096 - 256, 0) == 0, "256 are enough");
}

static void check_info(void)
{
    struct platform_info *p = (struct platform_info *)scratch;
    struct hw_info *h = (struct hw_info *)scratch;
    u32 rest = 0;

    memset(scratch, 0xaa, 512);
    check(hc(HC_PLATFORM_INFO, (u64)p, 0) == 0, "GET_PLATFORM_INFO");
    for (unsigned i = 0; i < sizeof(p->reserved0); i++)
        rest |= p->reserved0[i];
    for (unsigned i = 0; i < sizeof(p->reserved1); i++)
        rest |= p->reserved1[i];
    check(p->cpu_num >= 3 && p->cpu_num <= 64 && p->max_vcpus >= 3 && p->max_vcpus <= 64,
          "%u CPUs, at most %u vCPUs", p->cpu_num, p->max_vcpus);
    printf("# hcall cpus %u\n", p->cpu_num);
    check(rest == 0 && scratch[256] == 0xaa, "its reserved bytes are zero and it ends after 256");
    memset(scratch, 0xaa, 512);
    check(hc(HC_HW_INFO, (u64)h, 0) == 0 && h->cpu_num >= 3 && (h->reserved[0] | h->reserved[1]) == 0 &&
              h->reserved[2] == 0 && scratch[8] == 0xaa,
          "GET_HW_INFO");
    check(hc(HC_HW_INFO, BIT(39), 0) < 0, "GET_HW_INFO to nowhere fails");
}

static void check_vector(void)
{
    static const u64 good[] = {0x20, 0xf3, 0xff, UPCALL_VECTOR};
    static const u64 wrong[] = {0, 0x1f, 0x100, BIT(32), BIT(32) | 0xf7, ~(u64)0};
    u64 bad = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        if (hc(HC_CALLBACK_VECTOR, wrong[i], 0) != -EINVAL)
            bad = wrong[i] + 1;
    check(bad == 0, "vectors outside 0x20..0xff give -EINVAL (not 0x%lx - 1)", bad);
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
        if (hc(HC_CALLBACK_VECTOR, good[i], 0) != 0)
            bad = good[i];
    check(bad == 0, "the others are accepted (not 0x%lx)", bad);
}

/* Calls whose subject is later work must not pretend (issue 3): negative, and nothing happens. */
static void check_absent(void)
{
    static const u32 ids[] = {HC_ASSIGN_PTDEV,     HC_DEASSIGN_PTDEV, HC_SET_PTDEV_INTR,
                              HC_RESET_PTDEV_INTR, HC_ASSIGN_PCIDEV,  HC_CREATE_VDEV,
                              HC_TRUSTY_INIT,      HC_WORLD_SWITCH,   HC_TRUSTY_SAVE};
    u64 bad = 0;

    memset(scratch, 0, 4096);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        if (hc(ids[i], 1, (u64)scratch) >= 0)
            bad = ids[i];
    check(bad == 0, "pass-through and trusty calls of the service VM fail (not 0x%lx)", bad);
    memset(scratch, 0xaa, 32);
    check(hc(HC_MSIX_REMAP, 1, (u64)scratch) == 0 && hc(HC_MSIX_REMAP, ~(u64)0, BIT(39)) == 0 &&
              hc(HC_MSIX_REMAP, 0xffff, 0) == 0,
          "VM_PCI_MSIX_REMAP does nothing, successfully");
    check(scratch[0] == 0xaa && scratch[31] == 0xaa, "and touches no memory");
}

/* T2, and section 1.4. */
static void check_vmids(void)
{
    static const u64 ids[] = {0xffff, 0xfffe, 1, 2, 3, 4, 5, 6, 7, 64, 255, 0x7fff, 0x8000, 0};
    u64 bad = 0, bad_id = 0;

    memset(scratch, 0, 4096);
    for (unsigned c = 0; c < ARRAY_SIZE(vmid_calls); c++)
        for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
            if (vmid_calls[c] == HC_GPA2HPA && ids[i] == 0)
                continue;
            if (hc(vmid_calls[c], ids[i], (u64)scratch) >= 0) {
                bad = vmid_calls[c];
                bad_id = ids[i];
            }
        }
    check(bad == 0, "calls to VMs that do not exist, to others' and to itself fail (not 0x%lx for %lu)", bad,
          bad_id);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        struct memory_region r = {MR_ADD, MEM_RWX | MEM_WB, 0x100000, (u64)scratch, 4096};
        struct set_regions s = {.vmid = (u16)ids[i], .count = 1, .regions = (u64)&r};

        if (hc(HC_MEMORY_REGIONS, (u64)&s, 0) >= 0 ||
            hc(HC_PM_STATE, ids[i] << 24 | PM_PX_CNT, (u64)scratch) >= 0)
            bad = ids[i] + 1;
    }
    check(bad == 0, "so do those that carry the id elsewhere (not VM %lu - 1)", bad);
}

static void check_gpa2hpa_self(void)
{
    struct gpa2hpa *g = (struct gpa2hpa *)scratch;

    *g = (struct gpa2hpa){(u64)scratch + 0x123, 0};
    check(hcp(HC_GPA2HPA, 0, g) == 0 && g->hpa == (u64)scratch + 0x123 && g->gpa == g->hpa,
          "GPA2HPA of the service VM itself: memory lies one to one (0x%lx)", g->hpa);
    *g = (struct gpa2hpa){ram_hole(0), 0x77};
    check(hcp(HC_GPA2HPA, 0, g) < 0 && g->hpa == 0x77, "fails for what is not its own, and writes nothing");
}

/* ---- offline CPU ---- */

static volatile u32 ap_ticks, ap_result_known;
static volatile long ap_result;

static void ap_self(void)
{
    ap_result = hc(HC_OFFLINE_CPU, acpi_cpus.apic_id[2], 0);
    ap_result_known = 1;
    for (;;) {
        ap_ticks++;
        pause();
    }
}

static void check_offline(void)
{
    u32 n, cpu0 = acpi_cpus.apic_id[0], cpu2;

    check(acpi_cpus.count == 3, "the MADT lists the service VM's own 3 CPUs (%u)", acpi_cpus.count);
    if (acpi_cpus.count < 3)
        return;
    cpu2 = acpi_cpus.apic_id[2];
    check(cpu0 == apic_id(), "by the board's APIC ids");
    check(hc(HC_OFFLINE_CPU, cpu0, 0) < 0, "SOS_OFFLINE_CPU of the boot CPU fails");
    check(hc(HC_OFFLINE_CPU, 0x77, 0) == 0, "of an APIC id that nobody has: 0");
    check(hc(HC_OFFLINE_CPU, 5, 0) == 0, "of the neighbour's CPU: 0");
    check(smp_start(cpu2, ap_self), "CPU 2 starts");
    wait_for(&ap_result_known, 1, PATIENCE);
    check(ap_result < 0, "a CPU cannot take itself off (%ld)", ap_result);
    check(hc(HC_OFFLINE_CPU, cpu2 | BIT(32), 0) == 0, "bits above 32 make it another id");
    n = ap_ticks;
    for (u64 end = rdtsc() + us_to_tsc(PATIENCE); ap_ticks == n && rdtsc() < end;)
        pause();
    check(ap_ticks != n, "CPU 2 still runs");
    check(hc(HC_OFFLINE_CPU, cpu2, 0) == 0, "SOS_OFFLINE_CPU of CPU 2");
    n = ap_ticks;
    delay_us(100000);
    check(ap_ticks == n, "when the call returns it has stopped");
    check(hc(HC_OFFLINE_CPU, cpu2, 0) == 0, "once more: 0");
    ipi(cpu2, ICR_INIT);
    delay_us(10000);
    ipi(cpu2, ICR_SIPI | AP_TRAMPOLINE >> 12);
    delay_us(100000);
    check(ap_ticks == n && cpus_online == 2, "INIT and SIPI do not bring it back");
}

void guest_main(void)
{
    service_init();
    scratch = arena(8192, 4096);
    check_cpuid();
    check_encodings();
    check_registers();
    check_ring3();
    check_ids();
    check_addresses();
    check_info();
    check_vector();
    check_absent();
    check_vmids();
    check_gpa2hpa_self();
    check_offline();
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
