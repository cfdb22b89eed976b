/* What the user VM's ports, memory and PCI configuration answer. */
#include <linux/acrn.h>
#include <string.h>
#include <time.h>

#include "dm.h"

/* Ports that belong to no struct of their own. */
enum {
    PORT_KBC_COMMAND = 0x64,
    PORT_FAST_A20 = 0x92,
    KBC_PULSE_RESET = 0xfe,
    FAST_RESET = 0x01,
    RESET_GO = 0x04, /* bit of port 0xcf9: reset now */
};

/* Host bridge 00:00.0. */
enum { PCI_VENDOR = 0x00, PCI_COMMAND = 0x04, PCI_CLASS = 0x08, PCI_CONFIG_BYTES = 256 };
#define HOST_BRIDGE_ID    0x12378086u
#define HOST_BRIDGE_CLASS 0x06000002u

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t ones(uint64_t size)
{
    return size >= 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}

static void put_le32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

void reset_devices(struct vm *vm)
{
    uart_reset(&vm->uart, &vm->output, vm_set_com1, vm);
    rtc_reset(&vm->rtc, now(CLOCK_REALTIME), vm_set_rtc, vm);
    pm_reset(&vm->pm);
    pit_reset(&vm->pit);
    memset(vm->host_bridge, 0, sizeof(vm->host_bridge));
    put_le32(vm->host_bridge + PCI_VENDOR, HOST_BRIDGE_ID);
    put_le32(vm->host_bridge + PCI_CLASS, HOST_BRIDGE_CLASS);
    ring_clear(&vm->input);
    vm->wish = WISH_NONE;
}

static void wish(struct vm *vm, enum pm_request request)
{
    if (request == PM_POWER_OFF)
        vm->wish = WISH_POWER_OFF;
    else if (request == PM_RESET && vm->wish == WISH_NONE)
        vm->wish = WISH_RESET;
}

static bool is_pit(unsigned port)
{
    return (port >= PIT_PORT && port < PIT_PORT + PIT_PORTS) || port == PIT_GATE_PORT;
}

/* One byte of a port; false when nobody owns it. */
static bool read_port(struct vm *vm, unsigned port, uint8_t *value)
{
    if (port >= UART_PORT && port < UART_PORT + UART_PORTS)
        *value = uart_read(&vm->uart, port - UART_PORT);
    else if (port == RTC_DATA_PORT)
        *value = rtc_read(&vm->rtc, now(CLOCK_REALTIME));
    else if (is_pit(port))
        *value = pit_read(&vm->pit, port, now(CLOCK_MONOTONIC));
    else if (port == RESET_PORT)
        *value = vm->pm.reset_control;
    else
        return false;
    return true;
}

static void write_port(struct vm *vm, unsigned port, uint8_t value)
{
    if (port >= UART_PORT && port < UART_PORT + UART_PORTS) {
        uart_write(&vm->uart, port - UART_PORT, value);
    } else if (port == RTC_INDEX_PORT) {
        vm->rtc.index = value & 0x7fu;
    } else if (port == RTC_DATA_PORT) {
        rtc_write(&vm->rtc, value, now(CLOCK_REALTIME));
    } else if (is_pit(port)) {
        pit_write(&vm->pit, port, value, now(CLOCK_MONOTONIC));
    } else if (port == RESET_PORT) {
        vm->pm.reset_control = (uint8_t)(value & ~RESET_GO);
        wish(vm, (value & RESET_GO) != 0 ? PM_RESET : PM_NOTHING);
    } else if (port == PORT_KBC_COMMAND) {
        wish(vm, value == KBC_PULSE_RESET ? PM_RESET : PM_NOTHING);
    } else if (port == PORT_FAST_A20) {
        wish(vm, (value & FAST_RESET) != 0 ? PM_RESET : PM_NOTHING);
    }
}

static bool is_pm(uint64_t port)
{
    return port >= PM1A_EVT_PORT && port < PM1A_EVT_PORT + PM_PORTS;
}

/* Wider accesses than a register are its bytes in order; PM registers are real words. Nobody's ports read as
 * ones and drop writes. */
static void serve_port(struct vm *vm, struct acrn_pio_request *r)
{
    unsigned size = r->size == 1 || r->size == 2 ? (unsigned)r->size : 4;
    unsigned port = (unsigned)r->address;
    if (r->direction == ACRN_IOREQ_DIR_WRITE) {
        if (is_pm(r->address)) {
            wish(vm, pm_write(&vm->pm, port - PM1A_EVT_PORT, size, r->value));
            return;
        }
        for (unsigned i = 0; i < size; i++)
            write_port(vm, port + i, (uint8_t)(r->value >> i * 8));
        return;
    }
    if (is_pm(r->address)) {
        r->value = pm_read(&vm->pm, port - PM1A_EVT_PORT, size, now(CLOCK_MONOTONIC));
        return;
    }
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = 0xff;
        read_port(vm, port + i, &byte);
        value |= (uint32_t)byte << i * 8;
    }
    r->value = value;
}

static void serve_pci(struct vm *vm, struct acrn_pci_request *r)
{
    unsigned size = r->size == 1 || r->size == 2 ? (unsigned)r->size : 4;
    bool present = r->bus == 0 && r->dev == 0 && r->func == 0 && r->reg <= PCI_CONFIG_BYTES - size;
    if (r->direction == ACRN_IOREQ_DIR_WRITE) {
        for (unsigned i = 0; i < size && present; i++)
            if (r->reg + i == PCI_COMMAND || r->reg + i == PCI_COMMAND + 1)
                vm->host_bridge[r->reg + i] = (uint8_t)(r->value >> i * 8);
        return;
    }
    r->value = (uint32_t)ones(size);
    if (present) {
        uint32_t value = 0;
        memcpy(&value, vm->host_bridge + r->reg, size);
        r->value = value;
    }
}

void serve_request(struct vm *vm, struct acrn_io_request *request)
{
    switch (request->type) {
    case ACRN_IOREQ_TYPE_PORTIO:
        serve_port(vm, &request->reqs.pio_request);
        break;
    case ACRN_IOREQ_TYPE_PCICFG:
        serve_pci(vm, &request->reqs.pci_request);
        break;
    default: /* memory that nobody owns, or a write to a write-protected page */
        if (request->reqs.mmio_request.direction == ACRN_IOREQ_DIR_READ)
            request->reqs.mmio_request.value = ones(request->reqs.mmio_request.size);
        break;
    }
    vm->served++;
}
