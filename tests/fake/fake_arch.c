/* The fake machine: CPUs, time, host memory, console, MSRs (include/arch/cpu.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fake.h>

struct cpu fake_cpus[CFG_PCPUS];
struct cpu *fake_this_cpu = &fake_cpus[0];
u64 fake_tsc;
u64 fake_tsc_hz = 1000000000;
u32 fake_kicks[CFG_PCPUS];
u64 fake_armed[CFG_PCPUS];
u32 fake_arms[CFG_PCPUS];
u32 fake_irq_windows;
u32 fake_idles;
void (*fake_idle_hook)(void);
void (*fake_irq_hook)(void);
bool fake_hold_others;
bool fake_waiting;
u64 fake_zeroed;
char fake_out[65536];
u32 fake_out_len;
u32 fake_out_room;
bool fake_console_irq;
void (*fake_cpuid_hook)(u32 leaf, u32 subleaf, u32 out[4]);
u32 fake_clos[CFG_PCPUS];
u32 fake_class_sets[CFG_PCPUS];
u32 fake_stopped_others;
u32 fake_reboots;
jmp_buf *fake_end_jmp;

static u8 *arena;
static u8 input[4096];
static u32 input_head, input_tail;
static struct {
    u32 msr;
    u64 val;
} msrs[64];
static u32 msr_count;

void fake_reset_arch(void);

void fake_reset_arch(void)
{
    if (arena)
        munmap(arena, FAKE_HOST_MEM);
    arena =
        mmap(NULL, FAKE_HOST_MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) {
        perror("fake host memory");
        exit(99);
    }
    memset(fake_cpus, 0, sizeof(fake_cpus));
    for (u32 i = 0; i < CFG_PCPUS; i++) {
        fake_cpus[i].id = i;
        fake_cpus[i].armed = ~(u64)0;
        fake_kicks[i] = 0;
        fake_arms[i] = 0;
        fake_armed[i] = ~(u64)0;
        fake_clos[i] = fake_class_sets[i] = 0;
    }
    fake_this_cpu = &fake_cpus[0];
    fake_tsc = 0;
    fake_tsc_hz = 1000000000;
    fake_irq_windows = fake_idles = 0;
    fake_idle_hook = fake_irq_hook = NULL;
    fake_hold_others = fake_waiting = false;
    fake_zeroed = 0;
    fake_out_len = 0;
    fake_out[0] = 0;
    fake_out_room = ~0u;
    fake_console_irq = false;
    fake_cpuid_hook = NULL;
    fake_stopped_others = fake_reboots = 0;
    fake_end_jmp = NULL;
    input_head = input_tail = 0;
    msr_count = 0;
}

void fake_set_cpu(u32 pcpu)
{
    fake_this_cpu = &fake_cpus[pcpu];
}

NORETURN void fake_end(const char *what)
{
    if (fake_end_jmp)
        longjmp(*fake_end_jmp, 1);
    fprintf(stderr, "fake machine: %s\n", what);
    abort();
}

FAKE struct cpu *cpu_get(u32 pcpu)
{
    return &fake_cpus[pcpu];
}

FAKE u64 arch_tsc_hz(void)
{
    return fake_tsc_hz;
}

FAKE void arch_cpu_kick(u32 pcpu)
{
    fake_kicks[pcpu]++;
}

FAKE void arch_cpu_idle(const u32 *word, const u32 *word2)
{
    if (*word || (word2 && *word2))
        return;
    fake_idles++;
    if (!fake_idle_hook)
        fake_end("halted with nobody to wake it");
    fake_idle_hook();
}

/* Tests without core link no run loop. */
extern void fake_run_others(void) FAKE;

FAKE void arch_irq_window(void)
{
    fake_irq_windows++;
    if (fake_irq_hook)
        fake_irq_hook();
    if (fake_run_others && !fake_hold_others)
        fake_run_others();
}

FAKE void arch_wait_begin(void)
{
    if (fake_waiting)
        fake_end("arch_wait_begin() within a wait");
    fake_waiting = true;
}

FAKE void arch_wait_end(void)
{
    if (!fake_waiting)
        fake_end("arch_wait_end() without a wait");
    fake_waiting = false;
}

FAKE void arch_timer_arm(u64 deadline)
{
    fake_armed[fake_this_cpu->id] = deadline;
    fake_arms[fake_this_cpu->id]++;
}

static u8 *host_range(u64 addr, u64 len)
{
    if (!arena)
        fake_reset_arch();
    if (addr > FAKE_HOST_MEM || len > FAKE_HOST_MEM - addr) {
        fprintf(stderr, "host memory 0x%llx+0x%llx: ", (unsigned long long)addr, (unsigned long long)len);
        fake_end("access outside host memory");
    }
    return arena + addr;
}

u8 *fake_mem(u64 addr)
{
    return host_range(addr, 1);
}

FAKE void arch_hpa_read(void *dst, hpa_t src, size_t len)
{
    memcpy(dst, host_range(src.v, len), len);
}

FAKE u64 arch_hpa_read64(hpa_t src)
{
    u64 val;

    arch_hpa_read(&val, src, sizeof(val));
    return val;
}

FAKE u32 arch_hpa_load32(hpa_t src)
{
    u32 val;

    if (src.v & 3)
        fake_end("misaligned word");
    arch_hpa_read(&val, src, sizeof(val));
    return val;
}

FAKE void arch_hpa_store32(hpa_t dst, u32 val)
{
    if (dst.v & 3)
        fake_end("misaligned word");
    arch_hpa_write(dst, &val, sizeof(val));
}

FAKE void arch_hpa_write(hpa_t dst, const void *src, size_t len)
{
    memcpy(host_range(dst.v, len), src, len);
}

FAKE void arch_hpa_copy(hpa_t dst, hpa_t src, size_t len)
{
    memmove(host_range(dst.v, len), host_range(src.v, len), len);
}

FAKE void arch_hpa_zero(hpa_t dst, size_t len)
{
    fake_zeroed += len;
    memset(host_range(dst.v, len), 0, len);
}

FAKE bool arch_host_mem_read(u64 addr, void *dst, size_t len)
{
    if (addr > FAKE_HOST_MEM || len > FAKE_HOST_MEM - addr)
        return false;
    memcpy(dst, host_range(addr, len), len);
    return true;
}

FAKE bool arch_console_putc(u8 c)
{
    if (fake_out_room == 0)
        return false;
    if (fake_out_room != ~0u)
        fake_out_room--;
    if (fake_out_len + 1 < sizeof(fake_out)) {
        fake_out[fake_out_len++] = (char)c;
        fake_out[fake_out_len] = 0;
    }
    return true;
}

void fake_console_type(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        input[input_head++ % sizeof(input)] = (u8)s[i];
}

FAKE int arch_console_getc(void)
{
    if (input_head == input_tail)
        return -1;
    return input[input_tail++ % sizeof(input)];
}

FAKE void arch_console_irq_enable(void)
{
    fake_console_irq = true;
}

FAKE void arch_stop_others(void)
{
    fake_stopped_others++;
}

FAKE void arch_halt_forever(void)
{
    fake_end("arch_halt_forever()");
}

FAKE void arch_reboot(void)
{
    fake_reboots++;
    fake_end("arch_reboot()");
}

void fake_msr_set(u32 msr, u64 val)
{
    for (u32 i = 0; i < msr_count; i++) {
        if (msrs[i].msr == msr) {
            msrs[i].val = val;
            return;
        }
    }
    if (msr_count == ARRAY_SIZE(msrs))
        fake_end("too many MSRs");
    msrs[msr_count].msr = msr;
    msrs[msr_count++].val = val;
}

FAKE bool arch_rdmsr_safe(u32 msr, u64 *val)
{
    for (u32 i = 0; i < msr_count; i++) {
        if (msrs[i].msr == msr) {
            *val = msrs[i].val;
            return true;
        }
    }
    return false;
}

FAKE bool arch_wrmsr_safe(u32 msr, u64 val)
{
    for (u32 i = 0; i < msr_count; i++) {
        if (msrs[i].msr == msr) {
            msrs[i].val = val;
            return true;
        }
    }
    return false;
}

FAKE void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    out[0] = out[1] = out[2] = out[3] = 0;
    if (fake_cpuid_hook)
        fake_cpuid_hook(leaf, subleaf, out);
}

FAKE void arch_cache_class(u32 clos)
{
    fake_clos[fake_this_cpu->id] = clos;
    fake_class_sets[fake_this_cpu->id]++;
}

FAKE void arch_dump_interrupts(void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    print("fake interrupts: none\n");
}

FAKE void arch_dump_ioapic(void (*print)(const char *fmt, ...) PRINTF(1, 2))
{
    print("fake ioapic: %u pins\n", 24u);
}
