/*
 * ACPI fixed hardware (ACPI specification 6.4, 4.8): PM1a event and control blocks, PM timer; and the older
 * ways to reset a PC: the keyboard controller's pulse command and port 0x92. Port 0xcf9 lies among the PCI
 * configuration ports and belongs to core/vpci.c. Only S5 is offered; there is no general-purpose event
 * block.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <core/timer.h>
#include <core/vm.h>
#include <lib/bits.h>
#include <lib/log.h>
#include "x86/vdev/platform_map.h"
#include "x86/vdev/pm.h"

#define STS_TMR        BIT32(0)
#define STS_ALL        0x8731U /* TMR, BM, GBL, PWRBTN, SLPBTN, RTC, WAK */
#define EN_ALL         0x0721U
#define CNT_SCI        BIT32(0)
#define CNT_KEEP       0x1c07U /* SCI_EN, BM_RLD, GBL_RLS, SLP_TYP */
#define CNT_SLP_EN     BIT32(13)
#define CNT_SLP_TYP(c) (((c) >> 10) & 7)

#define KBC_PULSE_RESET 0xfe
#define PORT_A_RESET    BIT32(0)
#define PORT_A_A20      BIT32(1)

struct pm {
    spinlock_t lock; /* protects the others */
    struct vm *vm;
    struct timer timer;
    u32 status, enable, control;
    bool tmr_msb; /* bit 31 of the PM timer when it was last looked at */
    bool line;
    u8 port_a;
};

static struct pm pms[CFG_VMS];

static u32 pm_timer(void)
{
    return (u32)mul_div_u64(arch_tsc(), PLAT_PM_TMR_HZ, arch_tsc_hz());
}

/* TMR_STS is set whenever the timer's highest bit changes (ACPI 4.8.3.3); then drives the SCI. Lock held. */
static void update(struct pm *p)
{
    bool msb = pm_timer() >> 31, want;

    if (msb != p->tmr_msb) {
        p->tmr_msb = msb;
        p->status |= STS_TMR;
    }
    want = (p->status & p->enable & EN_ALL) != 0;
    if (want != p->line) {
        p->line = want;
        arch_vm_set_gsi(p->vm, PLAT_GSI_SCI, want);
    }
    if (!(p->enable & STS_TMR) || (p->status & STS_TMR)) {
        timer_cancel(&p->timer);
        return;
    }
    timer_set(&p->timer,
              arch_tsc() + mul_div_u64(BIT64(31) - (pm_timer() & 0x7fffffff), arch_tsc_hz(), PLAT_PM_TMR_HZ) +
                  1);
}

static void fired(struct timer *t)
{
    struct pm *p = CONTAINER_OF(t, struct pm, timer);

    spin_lock(&p->lock);
    update(p);
    spin_unlock(&p->lock);
}

/* The doubleword of the block at `index`: status and enable, control, timer. */
static u32 read_block(struct pm *p, unsigned index)
{
    if (index == 0)
        return p->status | p->enable << 16;
    return p->control;
}

/* val holds the bytes written at their place, mask says which. True: the guest switches itself off. */
static bool write_block(struct pm *p, unsigned index, u32 val, u32 mask)
{
    if (index == 0) {
        p->status &= ~(val & mask & STS_ALL);
        p->enable = ((p->enable & ~(mask >> 16)) | (val & mask) >> 16) & EN_ALL;
        update(p);
        return false;
    }
    val = (p->control & ~mask) | (val & mask);
    p->control = (val & CNT_KEEP) | CNT_SCI;
    return (val & CNT_SLP_EN) && CNT_SLP_TYP(val) == PLAT_SLP_TYP_S5;
}

static bool pm_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct pm *p = dev;
    unsigned off = port - PLAT_PM_BASE, shift = (off & 3) * 8;
    bool off_switch = false;
    u32 mask;

    if ((off & 3) + size > 4)
        return false;
    mask = (u32)size_mask(size) << shift;
    if (off >= PLAT_PM_TMR - PLAT_PM_BASE) {
        if (!write)
            *val = (pm_timer() & mask) >> shift;
        return !write; /* the timer cannot be set */
    }
    spin_lock(&p->lock);
    if (write) {
        off_switch = write_block(p, off / 4, *val << shift, mask);
    } else {
        update(p);
        *val = (read_block(p, off / 4) & mask) >> shift;
    }
    spin_unlock(&p->lock);
    if (off_switch)
        vm_guest_poweroff(v);
    return true;
}

/* There is no keyboard controller: reads find nobody; of all commands only "pulse the reset line" acts. */
/* cppcheck-suppress constParameter ; the handler's type has it so */
static bool kbc_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    (void)dev;
    (void)port;
    if (!write || size != 1 || *val != KBC_PULSE_RESET)
        return false;
    vm_guest_reset(v);
    return true;
}

/* System control port A: a rising bit 0 resets; A20 is always on. */
static bool port_a(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    struct pm *p = dev;
    u8 old = p->port_a;

    (void)port;
    if (size != 1)
        return false;
    if (!write) {
        *val = p->port_a | PORT_A_A20;
        return true;
    }
    p->port_a = *val & PORT_A_RESET;
    if (p->port_a && !old)
        vm_guest_reset(v);
    return true;
}

/* Guests write here to let time pass; the last byte is not kept. */
static bool post_port(struct vcpu *v, void *dev, u16 port, u8 size, bool write, u32 *val)
{
    (void)v;
    (void)dev;
    (void)port;
    (void)size;
    if (!write)
        *val = 0;
    return true;
}

void pm_reset(struct vm *vm)
{
    struct pm *p = &pms[vm->id];

    timer_cancel(&p->timer);
    p->status = 0;
    p->enable = 0;
    p->control = CNT_SCI; /* there is no SMI port to leave legacy mode with */
    p->tmr_msb = pm_timer() >> 31;
    p->line = false;
    p->port_a = 0;
}

void pm_init(struct vm *vm)
{
    struct pm *p = &pms[vm->id];

    p->vm = vm;
    timer_init(&p->timer, vm->vcpus[0].pcpu, fired);
    pm_reset(vm);
    io_register_ports(vm, PLAT_PM_BASE, PLAT_PM_SIZE, pm_port, p);
    io_register_ports(vm, PLAT_KBC_CMD, 1, kbc_port, p);
    io_register_ports(vm, PLAT_PORT_A, 1, port_a, p);
    io_register_ports(vm, PLAT_POST, 1, post_port, p);
}
