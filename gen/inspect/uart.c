/* Serial ports that are 16550s with ports of their own: /sys/class/tty/ttyS*. */
#include "inspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TTYS      64u
#define BAUD      115200u
#define CLOCK     1843200u
#define PORT_NONE 0u /* Linux include/uapi/linux/serial_core.h: PORT_UNKNOWN */

/* The PCI function whose device a tty is: the last part of the path that is an address. */
static bool function_of(const struct file *device, u16 *bdf)
{
    bool found = false;
    u32 segment;
    u16 here;

    if (!device)
        return false;
    for (char *rest = arena_strdup(device->data), *part; (part = strtok_r(rest, "/", &rest));) {
        if (parse_address(part, &segment, &here) && segment == 0) {
            *bdf = here;
            found = true;
        }
    }
    return found;
}

/* The rate that the kernel's command line gives a console: "console=ttyS0,115200n8"; 0: it says none. */
static u32 console_baud(const struct inspection *in, unsigned tty)
{
    const struct file *f = collection_find(in->files, "proc/cmdline");
    const char *key = arena_printf("console=ttyS%u,", tty), *at = f ? strstr(f->data, key) : NULL;
    u64 baud;

    if (!at)
        return 0;
    at += strlen(key);
    return read_decimal(&at, &baud) && baud >= 300 && baud <= 4000000 ? (u32)baud : 0;
}

static const char *port_name(u16 port, unsigned tty)
{
    static const u16 ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        if (ports[i] == port)
            return arena_printf("com%u", i + 1);
    }
    return arena_printf("ttys%u", tty);
}

static bool attribute(const struct inspection *in, unsigned tty, const char *name, u64 *out)
{
    return file_number(collection_findf(in->files, "sys/class/tty/ttyS%u/%s", tty, name), out);
}

static void add_uart(struct inspection *in, unsigned tty)
{
    struct board *b = &in->board;
    u64 type, port, irq, clock;
    struct uart u = {0};
    u32 gsi;
    u16 bdf;

    if (!attribute(in, tty, "type", &type) || type == PORT_NONE)
        return;
    if (!attribute(in, tty, "port", &port) || port == 0 || port > UINT16_MAX) {
        note(in, "ttyS%u is not at a port; it cannot be the hypervisor's console and is left out", tty);
        return;
    }
    u.port = (u16)port;
    u.name = port_name(u.port, tty);
    u.clock_hz =
        attribute(in, tty, "uartclk", &clock) && clock > 0 && clock <= UINT32_MAX ? (u32)clock : CLOCK;
    u.baud = console_baud(in, tty);
    if (u.baud == 0) {
        u.baud = BAUD;
        note(in, "%s: its rate is not on the kernel's command line; %u is written", u.name, BAUD);
    }
    u.on_pci = function_of(collection_findf(in->files, "sys/class/tty/ttyS%u/device", tty), &bdf);
    if (u.on_pci)
        u.pci = (struct pci_name){.bdf = bdf, .address = bdf_name(bdf)};
    if (!attribute(in, tty, "irq", &irq) || irq == 0) {
        note(in, "%s has no interrupt in Linux; it is left out", u.name);
        return;
    }
    if (!gsi_of_irq(in, irq, &gsi)) {
        gsi = gsi_of_isa(in, irq);
        if (irq >= 16)
            note(in, "%s: its GSI is not known for sure; Linux calls the interrupt %" PRIu64, u.name, irq);
    }
    if (gsi > UINT8_MAX) {
        note(in, "%s: GSI %u is beyond what a board file can hold for a UART; it is left out", u.name, gsi);
        return;
    }
    u.gsi = (u8)gsi;
    b->uarts = list_grow(b->uarts, b->uart_count, sizeof(*b->uarts));
    b->uarts[b->uart_count++] = u;
}

void inspect_uarts(struct inspection *in)
{
    for (unsigned tty = 0; tty < TTYS; tty++)
        add_uart(in, tty);
    if (in->board.uart_count == 0)
        lack(in, "no serial port (16550 at a port) was found, and the hypervisor's console needs one");
}
