/* The machine as a whole: idle, interrupt window, reset, and what the shell wants to see. */
#include <arch/cpu.h>
#include <config/config.h>
#include <core/cpu.h>
#include <lib/atomic.h>
#include "x86/hw/hostirq.h"
#include "x86/hw/lapic.h"
#include "x86/hw/paging.h"
#include "x86/hw/percpu.h"
#include "x86/hw/ports.h"
#include "x86/hw/traps.h"
#include "x86/hw/uart.h"

/* traps_entry.S */
void idle_wait(const u32 *word, const u32 *word2);

/* Interrupts are off: a kick that comes after idle_wait()'s tests stays pending and ends the halt, and one by
 * NMI is seen to by the range that it names. */
void arch_cpu_idle(const u32 *word, const u32 *word2)
{
    /*
     * QUIRK_VMEXIT_DROPS_INTR: without this a CPU whose timer interrupt was lost that way would sleep for
     * ever. During an exit's own handling the loss does no harm, because whoever kicks has set a request bit
     * before.
     */
    if (cfg_board.quirks & QUIRK_VMEXIT_DROPS_INTR)
        lapic_reconsider();
    idle_wait(word, word2 ? word2 : word);
}

void arch_irq_window(void)
{
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

void arch_reboot(void)
{
    static const struct {
        u16 limit;
        u64 base;
    } PACKED no_idt = {0, 0};

    uart_drain();
    if (cfg_board.reset_port) {
        /* On a PC's 0xCF9 the reset happens on the rising edge of bit 2. */
        outb(cfg_board.reset_port, (u8)(cfg_board.reset_value & ~4U));
        outb(cfg_board.reset_port, cfg_board.reset_value);
        for (u32 i = 0; i < 100000; i++)
            cpu_relax();
    }
    __asm__ volatile("lidt %0\n\tud2"
                     :
                     : "m"(no_idt)); /* triple fault: shutdown, which boards wire to reset */
    arch_halt_forever();
}

void arch_dump_interrupts(void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    static const struct {
        u8 vector;
        const char *name;
    } rows[HW_IRQ_COUNT] = {
        [HW_IRQ_TIMER] = {VEC_TIMER, "timer"},          [HW_IRQ_KICK] = {VEC_KICK, "kick"},
        [HW_IRQ_UART] = {VEC_UART, "console"},          [HW_IRQ_ERROR] = {VEC_ERROR, "apic error"},
        [HW_IRQ_SPURIOUS] = {VEC_SPURIOUS, "spurious"}, [HW_IRQ_UNEXPECTED] = {0, "unexpected"},
        [HW_IRQ_DEVICE] = {HOSTIRQ_FIRST, "devices"},
    };

    print("vector what      ");
    for (u32 c = 0; c < CFG_PCPUS; c++)
        print("      CPU%-2u", c);
    print("\n");
    for (u32 r = 0; r < (CFG_SERVICE ? HW_IRQ_COUNT : HW_IRQ_DEVICE); r++) {
        print("0x%02x   %-10s", rows[r].vector, rows[r].name);
        for (u32 c = 0; c < CFG_PCPUS; c++)
            print(" %10llu", (unsigned long long)percpu_of(c)->irqs[r]);
        print("\n");
    }
    print("       %-10s", "nmi");
    for (u32 c = 0; c < CFG_PCPUS; c++)
        print(" %10llu", (unsigned long long)percpu_of(c)->nmis);
    print("\n");
}

/* True when all of [addr, addr+len) is RAM of the board: device registers must not be read by chance. */
static bool is_ram(u64 addr, u64 len)
{
    for (u32 i = 0; i < cfg_board.ram_count; i++) {
        const struct cfg_range *r = &cfg_board.ram[i];

        if (addr >= r->base && addr - r->base < r->size && len <= r->size - (addr - r->base))
            return true;
    }
    return false;
}

bool arch_host_mem_read(u64 addr, void *dst, size_t len)
{
    u8 *d = dst;

    if (addr < BIT64(52)) {
        if (!is_ram(addr, len))
            return false;
        arch_hpa_read(dst, hpa(addr), len);
        return true;
    }
    if (addr < IMAGE_VA || addr + len < addr || addr + len > MMIO_BASE)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!safe_read8(addr + i, &d[i]))
            return false;
    }
    return true;
}
