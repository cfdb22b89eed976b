/*
 * I/O ports of the service VM that no virtual device owns: the real machine's, but for those that the
 * hypervisor uses itself and those that would switch off or reset the machine under everybody. These act on
 * the service VM alone.
 */
#include <arch/platform.h>
#include <lib/bits.h>
#include <lib/log.h>
#include "x86/guest/host_acpi.h"
#include "x86/hw/ports.h"
#include "x86/vdev/host.h"
#include "x86/vdev/platform_map.h"

#define UART_PORTS    8
#define HOTPLUG_PORTS 12
#define SMI_PORTS     2 /* command and status */

/* PM1 control (ACPI 6.0 4.8.3.2.1). GBL_RLS raises an SMI. */
#define PM1_SCI_EN     BIT32(0)
#define PM1_GBL_RLS    BIT32(2)
#define PM1_SLP_TYP(c) (((c) >> 10) & 7)
#define PM1_SLP_EN     BIT32(13)

/* Keyboard controller: commands F0..FF pulse output lines, line 0 is reset; D1 announces a byte for the
 * output port, of which bit 0 is reset and bit 1 the A20 gate. */
#define KBC_DATA      0x60
#define KBC_WRITE_OUT 0xd1
#define KBC_PULSE     0xf0
#define OUT_RESET     BIT32(0)
#define OUT_A20       BIT32(1)
#define PORT_A_RESET  BIT32(0)
#define PORT_A_A20    BIT32(1)

static struct {
    u8 port_a;
    bool output_next; /* the next byte for the keyboard controller goes to its output port */
} state;

static bool overlaps(u32 port, u32 size, u32 base, u32 count)
{
    return base && port < base + count && base < port + size;
}

/* True when a byte of the access belongs to a virtual device. */
static bool has_owner(const struct io_space *io, u32 port, u32 size)
{
    for (u32 p = port; p < port + size; p++)
        if (io->owner[io->page_of[(p >> 8) & 0xff]][p & 0xff])
            return true;
    return false;
}

static bool real_port(u16 port, u8 size, bool write, u32 *val)
{
    if (write)
        port_out(port, size, *val);
    else
        *val = port_in(port, size);
    return true;
}

static bool pm1_control(struct vcpu *v, u16 port, u8 size, bool write, u32 *val)
{
    u32 shift = (u32)(port - cfg_board.pm1a_cnt_port) * 8, control;

    if (port < cfg_board.pm1a_cnt_port)
        return false;
    if (!write)
        return real_port(port, size, false, val);
    control = *val << shift;
    if (control & PM1_SLP_EN) {
        if (PM1_SLP_TYP(control) == cfg_board.s5_slp_typ)
            vm_guest_poweroff(v);
        else
            log_guest(v->vm->id, LOG_WARN, "sleep state with SLP_TYP %u is not available",
                      PM1_SLP_TYP(control));
    }
    control &= ~(PM1_SLP_EN | PM1_GBL_RLS);
    if (shift == 0)
        control |= PM1_SCI_EN; /* there is no way back to legacy mode: that would be the SMI port's */
    control >>= shift;
    return real_port(port, size, true, &control);
}

static bool kbc_data(struct vcpu *v, bool write, u32 *val)
{
    u32 byte = *val;

    if (!write)
        return real_port(KBC_DATA, 1, false, val);
    if (state.output_next) {
        state.output_next = false;
        if (!(byte & OUT_RESET))
            vm_guest_reset(v);
        byte |= OUT_RESET | OUT_A20;
    }
    return real_port(KBC_DATA, 1, true, &byte);
}

static bool kbc_command(struct vcpu *v, bool write, u32 *val)
{
    if (!write)
        return real_port(PLAT_KBC_CMD, 1, false, val);
    state.output_next = *val == KBC_WRITE_OUT;
    if (*val < KBC_PULSE)
        return real_port(PLAT_KBC_CMD, 1, true, val);
    if (!(*val & 1))
        vm_guest_reset(v);
    return true;
}

/* System control port A: a rising bit 0 resets; A20 is always on. The real one is left alone. */
static bool port_a(struct vcpu *v, bool write, u32 *val)
{
    u8 old = state.port_a;

    if (!write) {
        *val = state.port_a | PORT_A_A20;
        return true;
    }
    state.port_a = *val & PORT_A_RESET;
    if (state.port_a && !old)
        vm_guest_reset(v);
    return true;
}

/* The reset register where it is not at 0xcf9, which lies among the PCI ports. */
static bool reset_register(struct vcpu *v, bool write, u32 *val)
{
    if (write && (u8)*val == cfg_board.reset_value)
        vm_guest_reset(v);
    if (!write)
        *val = 0;
    return true;
}

bool arch_host_port(struct vcpu *v, u16 port, u8 size, bool write, u32 *val)
{
    if ((u32)port + size > 0x10000 || has_owner(&v->vm->io, port, size) ||
        overlaps(port, size, cfg_board.console.port, UART_PORTS))
        return false;
    if (overlaps(port, size, cfg_board.pm1a_cnt_port, 2))
        return pm1_control(v, port, size, write, val);
    if (overlaps(port, size, cfg_board.cpu_hotplug_port, HOTPLUG_PORTS) ||
        overlaps(port, size, host_acpi_smi_port(), SMI_PORTS)) {
        if (!write)
            *val = 0;
        return true;
    }
    if (overlaps(port, size, KBC_DATA, 1))
        return size == 1 && kbc_data(v, write, val);
    if (overlaps(port, size, PLAT_KBC_CMD, 1))
        return size == 1 && kbc_command(v, write, val);
    if (overlaps(port, size, PLAT_PORT_A, 1))
        return size == 1 && port_a(v, write, val);
    if (overlaps(port, size, cfg_board.reset_port, 1))
        return reset_register(v, write, val);
    return real_port(port, size, write, val);
}

void host_ports_reset(void)
{
    state.port_a = 0;
    state.output_next = false;
}
