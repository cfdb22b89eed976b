/* What the device model answers to I/O requests, and its control commands. The driver is stood in for by
 * counters. */
#include <linux/acrn.h>
#include <string.h>

#include "dm.h"
#include "dmt.h"

static struct vm vm;
static bool com1;
static unsigned calls[4];
static int life_result;

void vm_set_com1(void *opaque, bool level)
{
    ck_assert_ptr_eq(opaque, &vm);
    com1 = level;
}

void vm_set_rtc(void *opaque, bool level)
{
    (void)opaque;
    (void)level;
}

int vm_create(struct vm *v)
{
    (void)v;
    calls[0]++;
    return life_result;
}

int vm_pause(struct vm *v)
{
    (void)v;
    calls[1]++;
    return life_result;
}

int vm_reset(struct vm *v)
{
    (void)v;
    calls[2]++;
    return life_result;
}

int vm_destroy(struct vm *v)
{
    (void)v;
    calls[3]++;
    return life_result;
}

const char *vm_state_name(const struct vm *v)
{
    return v->state == VM_OFF ? "off" : "running";
}

static uint32_t in(unsigned port, unsigned size)
{
    struct acrn_io_request r = {.type = ACRN_IOREQ_TYPE_PORTIO};
    r.reqs.pio_request = (struct acrn_pio_request){
        .direction = ACRN_IOREQ_DIR_READ, .address = port, .size = size, .value = 0x12345678};
    serve_request(&vm, &r);
    return r.reqs.pio_request.value;
}

static void out(unsigned port, unsigned size, uint32_t value)
{
    struct acrn_io_request r = {.type = ACRN_IOREQ_TYPE_PORTIO};
    r.reqs.pio_request = (struct acrn_pio_request){
        .direction = ACRN_IOREQ_DIR_WRITE, .address = port, .size = size, .value = value};
    serve_request(&vm, &r);
}

static uint32_t pci(unsigned direction, unsigned dev, unsigned reg, unsigned size, uint32_t value)
{
    struct acrn_io_request r = {.type = ACRN_IOREQ_TYPE_PCICFG};
    r.reqs.pci_request = (struct acrn_pci_request){
        .direction = direction, .size = size, .value = value, .dev = dev, .reg = reg};
    serve_request(&vm, &r);
    return r.reqs.pci_request.value;
}

static void setup(void)
{
    memset(&vm, 0, sizeof(vm));
    memset(calls, 0, sizeof(calls));
    life_result = 0;
    com1 = false;
    pthread_mutex_init(&vm.lock, NULL);
    vm.options.name = "uvm0";
    vm.options.memory = 128u << 20;
    vm.state = VM_RUNNING;
    reset_devices(&vm);
}

START_TEST(nobodys_ports_read_as_ones_of_their_width)
{
    ck_assert_uint_eq(in(0x80, 1), 0xff);
    ck_assert_uint_eq(in(0x64, 1), 0xff);
    ck_assert_uint_eq(in(0x60, 1), 0xff);
    ck_assert_uint_eq(in(0x1234, 2), 0xffff);
    ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
    out(0x1234, 4, 5);
    ck_assert_int_eq(vm.wish, WISH_NONE);
    ck_assert_uint_eq(vm.served, 6);
}
END_TEST

START_TEST(serial_port_is_at_3f8)
{
    uint8_t byte = 0;
    out(0x3f8, 1, 'A');
    ck_assert(ring_take(&vm.output, &byte));
    ck_assert_int_eq(byte, 'A');
    out(0x3fc, 1, 0x08);
    out(0x3f9, 1, 0x02);
    ck_assert(com1);
    ck_assert_uint_eq(in(0x3fd, 1), 0x60);
}
END_TEST

START_TEST(power_off_by_pm1_control)
{
    ck_assert_uint_eq(in(0x404, 2), 0x0001); /* SCI_EN */
    out(0x404, 2, 0x1400);
    ck_assert_int_eq(vm.wish, WISH_NONE);
    out(0x404, 2, 0x3400);
    ck_assert_int_eq(vm.wish, WISH_POWER_OFF);
}
END_TEST

START_TEST(power_off_byte_by_byte)
{
    out(0x404, 1, 0x00);
    ck_assert_int_eq(vm.wish, WISH_NONE);
    out(0x405, 1, 0x34);
    ck_assert_int_eq(vm.wish, WISH_POWER_OFF);
}
END_TEST

START_TEST(other_sleep_states_do_nothing)
{
    for (uint32_t type = 0; type < 8; type++)
        if (type != 5)
            out(0x404, 2, 0x2000 | type << 10);
    ck_assert_int_eq(vm.wish, WISH_NONE);
}
END_TEST

START_TEST(three_ways_to_reset)
{
    static const struct {
        unsigned port, value;
    } ways[] = {{0xcf9, 0x0e}, {0x64, 0xfe}, {0x92, 0x01}};
    for (unsigned i = 0; i < 3; i++) {
        reset_devices(&vm);
        out(ways[i].port, 1, ways[i].value);
        ck_assert_int_eq(vm.wish, WISH_RESET);
    }
    reset_devices(&vm);
    out(0xcf9, 1, 0x02);
    out(0x64, 1, 0xd1);
    out(0x92, 1, 0x02);
    ck_assert_int_eq(vm.wish, WISH_NONE);
}
END_TEST

START_TEST(pm_timer_runs_at_its_rate)
{
    uint32_t first = in(0x408, 4);
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    ck_assert_uint_ge(in(0x408, 4) - first, 71590); /* 20 ms of 3579545 Hz */
    ck_assert_uint_eq(in(0x400, 2), 0);
}
END_TEST

/* What a kernel does to measure its clock: counter 2 in mode 0, gate on, output bit in port 0x61. */
START_TEST(counter_2_runs_down_and_shows_its_end)
{
    struct timespec pause = {.tv_nsec = 12000000};
    out(0x61, 1, 0x00);
    out(0x43, 1, 0xb0);
    out(0x42, 1, 11932 & 0xff); /* 10 ms */
    out(0x42, 1, 11932 >> 8);
    ck_assert_uint_eq(in(0x61, 1) & 0x21, 0);
    nanosleep(&pause, NULL);
    ck_assert_uint_eq(in(0x61, 1) & 0x20, 0); /* it waits for its gate */
    out(0x61, 1, 0x01);
    unsigned first = in(0x42, 1);
    first |= in(0x42, 1) << 8;
    ck_assert_uint_le(first, 11932);
    nanosleep(&pause, NULL);
    ck_assert_uint_eq(in(0x61, 1) & 0x21, 0x21);
}
END_TEST

START_TEST(latched_count_stands_still)
{
    struct timespec pause = {.tv_nsec = 1000000};
    out(0x43, 1, 0x34);
    out(0x40, 1, 0);
    out(0x40, 1, 0);
    out(0x43, 1, 0x00);
    unsigned low = in(0x40, 1);
    nanosleep(&pause, NULL);
    unsigned latched = low | in(0x40, 1) << 8;
    out(0x43, 1, 0xc2); /* read-back: latch counter 0 */
    unsigned later = in(0x40, 1);
    later |= in(0x40, 1) << 8;
    ck_assert_uint_ge((latched - later) & 0xffff, 1193);
}
END_TEST

START_TEST(pm_status_is_cleared_by_ones_and_enable_is_kept)
{
    vm.pm.status = 0x0101;
    out(0x400, 2, 0x0100);
    ck_assert_uint_eq(in(0x400, 2), 0x0001);
    out(0x400, 4, 0x07210000);
    ck_assert_uint_eq(in(0x402, 2), 0x0721);
    ck_assert_uint_eq(in(0x400, 2), 0x0001);
}
END_TEST

START_TEST(clock_is_behind_70_and_71)
{
    out(0x70, 1, 0x0d);
    ck_assert_uint_eq(in(0x71, 1), 0x80);
    out(0x70, 1, 0x80 | 0x32); /* the NMI bit is no part of the index */
    ck_assert_uint_eq(in(0x71, 1), 0x20);
}
END_TEST

START_TEST(host_bridge_and_nothing_else_on_the_bus)
{
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 0, 4, 0), 0x12378086);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 2, 2, 0), 0x1237);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 0x0b, 1, 0), 0x06);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 1, 0, 4, 0), 0xffffffff);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 1, 0, 2, 0), 0xffff);
    pci(ACRN_IOREQ_DIR_WRITE, 0, 4, 2, 0x0107);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 4, 2, 0), 0x0107);
    pci(ACRN_IOREQ_DIR_WRITE, 0, 0, 4, 0);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 0, 4, 0), 0x12378086);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 0xfe, 4, 0), 0xffffffff);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 0xffffff00, 4, 0), 0xffffffff);
    ck_assert_uint_eq(pci(ACRN_IOREQ_DIR_READ, 0, 0xfffffffe, 4, 0), 0xffffffff);
}
END_TEST

START_TEST(unmapped_memory_reads_as_ones)
{
    struct acrn_io_request r = {.type = ACRN_IOREQ_TYPE_MMIO};
    r.reqs.mmio_request =
        (struct acrn_mmio_request){.direction = ACRN_IOREQ_DIR_READ, .address = 0xfed00000, .size = 8};
    serve_request(&vm, &r);
    ck_assert_uint_eq(r.reqs.mmio_request.value, UINT64_MAX);
    r.reqs.mmio_request.size = 2;
    serve_request(&vm, &r);
    ck_assert_uint_eq(r.reqs.mmio_request.value, 0xffff);
}
END_TEST

START_TEST(control_commands_and_their_answers)
{
    static const char *const words[] = {"start", "pause", "reset", "stop"};
    char answer[256];
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(control_command(&vm, words[i], answer, sizeof(answer)), CONTROL_GO_ON);
        ck_assert_uint_eq(calls[i], 1);
        ck_assert_int_eq(strncmp(answer, "ok uvm0: running, vmid 0, 0 vCPUs, 128 MiB", 40), 0);
    }
    life_result = -1;
    control_command(&vm, "reset", answer, sizeof(answer));
    ck_assert_str_eq(answer, "error uvm0: reset failed; it is running\n");
    control_command(&vm, "frob", answer, sizeof(answer));
    ck_assert_int_eq(strncmp(answer, "error: there is no command 'frob'", 30), 0);
    ck_assert_int_eq(control_command(&vm, "quit", answer, sizeof(answer)), CONTROL_QUIT);
    vm.state = VM_OFF;
    control_command(&vm, "status", answer, sizeof(answer));
    ck_assert_str_eq(answer, "ok uvm0: off\n");
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, nobodys_ports_read_as_ones_of_their_width);
    tcase_add_test(t, serial_port_is_at_3f8);
    tcase_add_test(t, power_off_by_pm1_control);
    tcase_add_test(t, power_off_byte_by_byte);
    tcase_add_test(t, other_sleep_states_do_nothing);
    tcase_add_test(t, three_ways_to_reset);
    tcase_add_test(t, pm_timer_runs_at_its_rate);
    tcase_add_test(t, counter_2_runs_down_and_shows_its_end);
    tcase_add_test(t, latched_count_stands_still);
    tcase_add_test(t, pm_status_is_cleared_by_ones_and_enable_is_kept);
    tcase_add_test(t, clock_is_behind_70_and_71);
    tcase_add_test(t, host_bridge_and_nothing_else_on_the_bus);
    tcase_add_test(t, unmapped_memory_reads_as_ones);
    tcase_add_test(t, control_commands_and_their_answers);
}

int main(void)
{
    return run_case("requests", fill);
}
