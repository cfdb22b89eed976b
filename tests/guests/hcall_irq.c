/*
 * Service VM and user VM: interrupts (hypercall-abi.md sections 2.4, 7). INJECT_MSI in its modes, SET_IRQLINE
 * by IOAPIC (edge, level with EOI) and PIC, into busy and into halted vCPUs; INIT, SIPI and IPIs among the
 * user VM's own vCPUs.
 */
#include "hc.h"

#define BSP  8
#define AP   9
#define AP2  10
#define WAKE 0x5f
#define LAST 0x4f /* of lower priority than all others */
#define NMI  2

static struct uvm vm = {.base = BSP};
static volatile u32 count[MAX_CPUS][256];
static volatile u32 halts, ready, ack;
static volatile u32 seq;
static void (*volatile command)(void);

/* ---- the user VM ---- */

static void on_irq(struct frame *f)
{
    count[this()->index][f->vector]++;
    if (f->vector != NMI)
        apic_eoi();
}

static void on_pic(struct frame *f)
{
    count[this()->index][f->vector]++;
    if (f->vector >= 0x78)
        outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

static void set_logical(void)
{
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_LDR, 1u << (24 + this()->index - BSP));
}

/* Takes interrupts, busy or halted, and does what the service VM wants. */
static void user_loop(bool commands)
{
    u32 done_seq = 0;

    for (;;) {
        cli();
        if (commands && seq != done_seq) {
            command();
            done_seq = seq;
            ack = done_seq;
        }
        if (halts)
            sti_hlt();
        sti();
        pause();
    }
}

static void user_ap(void)
{
    set_logical();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    user_loop(false);
}

static void user_bsp(void)
{
    pic_init_masked();
    set_logical();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    user_loop(true);
}

/* ---- the service VM ---- */

static void user_does(void (*fn)(void))
{
    u32 want = seq + 1;

    command = fn;
    seq = want;
    if (halts)
        uvm_msi(&vm, 0xfee00000, WAKE);
    if (!uvm_until(&vm, &ack, want, PATIENCE))
        bail("the user VM does not answer");
}

static long msi(u64 addr, u64 data)
{
    return uvm_msi(&vm, addr, data);
}

static long line(u32 gsi, u32 op)
{
    return uvm_line(&vm, gsi, op);
}

/* The counts for a vector in all vCPUs, one per byte: bsp | ap << 8 | ap2 << 16. */
static u32 counts(unsigned vector)
{
    return count[BSP][vector] | count[AP][vector] << 8 | count[AP2][vector] << 16;
}

/* Waits until the counts are these; then a moment longer, in which they must not change. */
static bool got(unsigned vector, u32 want)
{
    u64 end = rdtsc() + us_to_tsc(PATIENCE);

    while (counts(vector) != want && rdtsc() < end)
        pause();
    delay_us(500);
    if (counts(vector) == want)
        return true;
    printf("# vector 0x%x: 0x%x, expected 0x%x\n", vector, counts(vector), want);
    return false;
}

/*
 * Waits until vCPU `id` has taken all that was pending for it, however long its thread in the emulator is off
 * its host CPU: of what is pending this comes last.
 */
static void settle(u32 id)
{
    u32 before = count[BSP + id][LAST];

    if (msi(0xfee00000 | id << 12, LAST) != 0 || !wait_for(&count[BSP + id][LAST], before + 1, PATIENCE))
        bail("vCPU %u takes no interrupt", id);
}

static void clear_counts(void)
{
    memset((void *)count, 0, sizeof(count));
}

static void check_msi(const char *state)
{
    u32 lost = 0, sum;

    clear_counts();
    check(msi(0xfee00000, 0x50) == 0 && got(0x50, 1), "MSI to vCPU 0 (%s)", state);
    check(msi(0xfee01000, 0x50) == 0 && got(0x50, 0x101), "to vCPU 1 (%s)", state);
    check(msi(0xfeeff000, 0x51) == 0 && got(0x51, 0x101), "broadcast (%s)", state);
    check(msi(0xfee02004, 0x52) == 0 && got(0x52, 0x100), "logical, to vCPU 1 (%s)", state);
    check(msi(0xfee03004, 0x53) == 0 && got(0x53, 0x101), "logical, to both (%s)", state);
    msi(0xfee0300c, 0x154);
    for (u64 end = rdtsc() + us_to_tsc(PATIENCE); counts(0x54) == 0 && rdtsc() < end;)
        pause();
    delay_us(1000);
    sum = counts(0x54);
    check(sum == 1 || sum == 0x100, "lowest priority with redirection hint: one of both (0x%x, %s)", sum,
          state);
    check(msi(0xffffffff00000000 | 0xfee00000, 0xffffffff00000055) == 0 && got(0x55, 1),
          "the upper halves do not count (%s)", state);
    check(msi(0xfee05000, 0x56) == 0 && got(0x56, 0), "to a vCPU that does not exist: 0, nobody gets it (%s)",
          state);
    for (u32 n = 0; n < 200 && lost == 0; n++) {
        msi(0xfee00000 | (n & 1) << 12, 0x57);
        lost += !wait_for(&count[BSP + (n & 1)][0x57], n / 2 + 1, PATIENCE);
    }
    check(lost == 0, "200 in turn, none lost (%s)", state);
}

static void check_msi_odd(void)
{
    clear_counts();
    check(msi(0xfed00000, 0x50) == -1 && msi(0, 0x50) == -1 && msi(0xfef00000, 0x50) == -1,
          "MSI to addresses outside 0xfeexxxxx: -1");
    check(msi(0xfee00000, 0x05) == 0 && msi(0xfee00000, 0x0f) == 0, "vectors below 16: 0");
    check(msi(0xfee00000, 0x450) == 0 && msi(0xfee00000, 0x250) == 0 && msi(0xfee00000, 0x550) == 0 &&
              msi(0xfee01000, 0x650) == 0,
          "NMI, SMI, INIT, SIPI modes: 0");
    delay_us(5000);
    check(counts(0x50) == 0 && counts(NMI) == 0 && counts(5) == 0, "and nothing comes of them");
    check(msi(0xfee00000, 0x50) == 0 && got(0x50, 1), "the vCPU goes on");
    check(hc(HC_INJECT_MSI, vm.id, BIT(39)) == -1, "a parameter that cannot be read: -1");
}

static const u8 edge_pins[] = {0, 2, 15, 16, 23, 47};

static void route_edges(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(edge_pins); i++)
        ioapic_route(edge_pins[i], 0x60 + i);
}

static void check_edge(const char *state)
{
    user_does(route_edges);
    clear_counts();
    for (unsigned i = 0; i < ARRAY_SIZE(edge_pins); i++) {
        u32 pin = edge_pins[i], v = 0x60 + i;
        bool ok = line(pin, LINE_PULSE_UP) == 0 && got(v, 1);

        ok = ok && line(pin, LINE_HIGH) == 0 && got(v, 2) && line(pin, LINE_HIGH) == 0 && got(v, 2);
        ok = ok && line(pin, LINE_LOW) == 0 && got(v, 2) && line(pin, LINE_PULSE_UP) == 0 && got(v, 3);
        ok = ok && line(pin, LINE_PULSE_DOWN) == 0 && line(pin, LINE_LOW) == 0;
        check(ok, "pin %u, edge: one interrupt for each rise (%s)", pin, state);
    }
}

static void route_level(void)
{
    ioapic_route(20, 0x68 | BIT(15));
    ioapic_route(21, 0x69 | BIT(15) | (u64)1 << 56);
}

static void mask_level(void)
{
    ioapic_route(20, 0x68 | BIT(15) | BIT(16));
}

static void check_level(const char *state)
{
    u32 n;

    user_does(route_level);
    clear_counts();
    for (u32 v = 0x68; v <= 0x69; v++) {
        volatile u32 *c = &count[v == 0x68 ? BSP : AP][v];
        u64 end = rdtsc() + us_to_tsc(PATIENCE);

        check(line(v - 0x68 + 20, LINE_HIGH) == 0, "level line of vCPU %u raised (%s)", v - 0x68, state);
        while (*c < 5 && rdtsc() < end)
            pause();
        check(*c >= 5, "it comes again after each EOI (%s)", state);
        line(v - 0x68 + 20, LINE_LOW);
        settle(v - 0x68);
        n = *c;
        delay_us(5000);
        check(*c == n, "until the line is low (%s)", state);
    }
    check(count[AP][0x68] == 0 && count[BSP][0x69] == 0, "each at its own vCPU (%s)", state);
    user_does(mask_level);
    clear_counts();
    line(20, LINE_HIGH);
    delay_us(2000);
    check(count[BSP][0x68] == 0, "a masked pin is silent (%s)", state);
    user_does(route_level);
    for (u64 end = rdtsc() + us_to_tsc(PATIENCE); count[BSP][0x68] == 0 && rdtsc() < end;)
        pause();
    check(count[BSP][0x68] != 0, "and speaks when it is unmasked (%s)", state);
    line(20, LINE_LOW);
}

static void check_line_odd(void)
{
    check(line(48, LINE_HIGH) == -1 && line(119, LINE_HIGH) == -1 && line(0xffffffff, LINE_HIGH) == -1,
          "SET_IRQLINE past the 48 pins: -1");
    check(line(16, 4) == -EINVAL && line(16, 0xffffffff) == -EINVAL, "other operations: -EINVAL");
}

static void pic_on(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(edge_pins); i++)
        ioapic_route(edge_pins[i], BIT(16));
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, 0x70);
    outb(0xa1, 0x78);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xea); /* IRQ 0, 2, 4 open */
    outb(0xa1, 0xfb); /* IRQ 10 */
    apic_write(APIC_LVT_LINT0, 0x700);
}

/* Its output is also the IOAPIC's pin 0. */
static void pic_off(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

static void check_pic(const char *state)
{
    user_does(pic_on);
    clear_counts();
    check(line(4, LINE_PULSE_UP) == 0 && got(0x74, 1), "PIC: line 4 comes as its vector (%s)", state);
    check(line(10, LINE_PULSE_UP) == 0 && got(0x7a, 1), "line 10, of the second PIC (%s)", state);
    check(line(2, LINE_PULSE_UP) == 0 && got(0x70, 1), "line 2 is the PIC's IRQ 0 (%s)", state);
    check(line(5, LINE_PULSE_UP) == 0 && got(0x75, 0), "line 5 is masked (%s)", state);
    check(msi(0xfee00000, 0x701) == 0 && got(0x74, 1), "an ExtINT message without a PIC request (%s)", state);
    user_does(pic_off);
}

/* ---- the user VM's own ---- */

static volatile u32 ipi_dest, ipi_low, ap_started;

static void user_ipi(void)
{
    ipi(ipi_dest, ipi_low);
}

static void user_start_ap(void)
{
    ap_started = uvm_ap_start(ipi_dest, BSP + ipi_dest, user_ap);
}

static void user_timer(void)
{
    apic_timer_start(0x5a, false, 1000000);
}

static void send(u32 dest, u32 low)
{
    ipi_dest = dest;
    ipi_low = low;
    user_does(user_ipi);
}

static void check_ipis(const char *state)
{
    clear_counts();
    send(1, ICR_FIXED | 0x58);
    check(got(0x58, 0x100), "IPI from vCPU 0 to 1 (%s)", state);
    send(0, ICR_FIXED | ICR_OTHERS | 0x59);
    check(got(0x59, 0x100), "to all others (%s)", state);
    send(0, ICR_FIXED | ICR_ALL | 0x59);
    check(got(0x59, 0x201), "to all (%s)", state);
    send(1, ICR_NMI);
    check(got(NMI, 0x100), "an NMI (%s)", state);
    send(2, ICR_LOWEST | ICR_LOGICAL | 0x5b);
    check(got(0x5b, 0x100), "lowest priority, logical (%s)", state);
    for (u32 v = 0; v < 16; v++) /* the machine's other CPUs have these APIC ids */
        if (v >= 3)
            send(v, ICR_NMI);
    check(got(NMI, 0x100), "an NMI to APIC ids that the VM does not have reaches nobody (%s)", state);
    user_does(user_timer);
    check(got(0x5a, 1), "the local APIC's timer (%s)", state);
}

static void check_third(void)
{
    if (acpi_cpus.count < 3)
        return;
    uvm_destroy(&vm);
    ready = 0;
    halts = 0;
    seq = ack = 0;
    check(hc(HC_OFFLINE_CPU, acpi_cpus.apic_id[2], 0) == 0, "SOS_OFFLINE_CPU hands over CPU 2");
    uvm_make(&vm, key_uvm0, 0, 3, user_bsp);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 1, PATIENCE), "a VM with three vCPUs starts");
    for (u32 i = 1; i <= 2; i++) {
        ipi_dest = i;
        user_does(user_start_ap);
        check(ap_started && uvm_until(&vm, &ready, 1 + i, PATIENCE), "its vCPU 0 starts vCPU %u", i);
    }
    clear_counts();
    send(0, ICR_FIXED | ICR_OTHERS | 0x59);
    check(got(0x59, 0x10100), "an IPI to all others reaches both");
    check(msi(0xfeeff000, 0x51) == 0 && got(0x51, 0x10101), "a broadcast MSI all three");
    check(msi(0xfee02000, 0x52) == 0 && got(0x52, 0x10000), "an MSI the third");
}

void guest_main(void)
{
    service_init();
    for (unsigned v = 0x50; v < 0x70; v++)
        irq_set(v, on_irq);
    irq_set(LAST, on_irq);
    for (unsigned v = 0x70; v < 0x80; v++)
        irq_set(v, on_pic);
    irq_set(NMI, on_irq);
    uvm_make(&vm, key_uvm0, 0, 2, user_bsp);
    check(uvm_start(&vm) == 0 && uvm_until(&vm, &ready, 1, PATIENCE), "a VM with two vCPUs starts");
    delay_us(10000);
    check(ready == 1, "its vCPU 1 waits for INIT and SIPI");
    ipi_dest = 1;
    user_does(user_start_ap);
    if (!check(ap_started && uvm_until(&vm, &ready, 2, PATIENCE), "vCPU 0 starts it"))
        bail("no vCPU 1");
    for (halts = 0; halts < 2; halts++) {
        const char *state = halts ? "halted" : "busy";

        check_msi(state);
        check_edge(state);
        check_level(state);
        check_ipis(state);
        check_pic(state);
    }
    halts = 0;
    msi(0xfeeff000, WAKE);
    check_msi_odd();
    check_line_odd();
    check_third();
    check(uvm_destroy(&vm) == 0, "DESTROY_VM");
    check(stray_count == 0, "no stray interrupt (%u, vector %u)", stray_count, stray_vector);
    done();
}
