/*
 * The fake machine: the third implementation of the arch contract (include/arch), for host unit tests. Tests
 * drive it through the variables here. Every definition in tests/fake is weak, so a test that links a real
 * implementation of some of these functions, or brings tables of its own, simply wins.
 */
#ifndef BH_FAKE_H
#define BH_FAKE_H

#include <setjmp.h>
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/s2.h>
#include <arch/vcpu.h>
#include <core/cpu.h>

#define FAKE __attribute__((weak))

/* Everything in the fake machine to its state at power-on: time, memory (zeroed), CPUs, vCPUs, tables,
 * recorded calls. CPU 0 is current. Call it from each test's setup. Core's own data is left alone. */
void fake_reset(void);

/* ---- configuration (cfg.c) ---- */
/* cfg_scenario, for tests that need another one; fake_reset() puts it back. */
extern struct cfg_scenario fake_scenario;
extern const struct cfg_scenario fake_scenario_reset;
/* Indices in cfg_vms, and the keys of the user slots that have one. */
enum { FAKE_SERVICE = 3, FAKE_U1, FAKE_U2, FAKE_SPARE, FAKE_RT };
#define FAKE_KEY_U1                                                                                          \
    {                                                                                                        \
        0xd2, 0x79, 0x54, 0x38, 0x25, 0xd6, 0x11, 0xe8, 0x86, 0x4e, 0xcb, 0x7a, 0x18, 0xb3, 0x46, 0x43       \
    }
#define FAKE_KEY_U2                                                                                          \
    {                                                                                                        \
        's', 'e', 'c', 'o', 'n', 'd'                                                                         \
    }
#define FAKE_KEY_RT                                                                                          \
    {                                                                                                        \
        'r', 'e', 'a', 'l', 't', 'i', 'm', 'e'                                                               \
    }

/* ---- CPUs, time ---- */
extern struct cpu fake_cpus[CFG_PCPUS];
extern u64 fake_tsc_hz;              /* 1 GHz after reset: one tick is one nanosecond */
extern u32 fake_kicks[CFG_PCPUS];    /* how often arch_cpu_kick() named the CPU */
extern u64 fake_armed[CFG_PCPUS];    /* last arch_timer_arm() on the CPU, ~0 after reset */
extern u32 fake_arms[CFG_PCPUS];     /* how many */
extern u32 fake_irq_windows;         /* calls of arch_irq_window() */
extern u32 fake_idles;               /* times arch_cpu_idle() really halted */
extern void (*fake_idle_hook)(void); /* runs while halted; without one, halting with nobody to wake aborts */
extern void (*fake_irq_hook)(void);  /* runs in arch_irq_window() */
/*
 * What the other CPUs do while this one waits: each that has requests serves them once, without entering a
 * guest. arch_irq_window() calls it, so that waits for other CPUs end although all CPUs are one thread; a CPU
 * that is itself in such a wait further up the stack is left alone. fake_hold_others stops it.
 */
void fake_run_others(void);
extern bool fake_hold_others;
extern bool fake_waiting; /* between arch_wait_begin() and arch_wait_end() */
/* Makes pCPU n the current one (this_cpu()). */
void fake_set_cpu(u32 pcpu);

/* ---- host memory: host-physical 0 .. FAKE_HOST_MEM; anything outside aborts the test ---- */
#define FAKE_HOST_MEM MIB(512)
/* Pointer to the byte at a host-physical address, valid until the next fake_reset(). */
u8 *fake_mem(u64 hpa);
extern u64 fake_zeroed; /* bytes given to arch_hpa_zero() */

/* ---- physical console, MSRs, CPUID ---- */
extern char fake_out[65536]; /* what went out of the UART, terminated */
extern u32 fake_out_len;
extern u32 fake_out_room; /* bytes that arch_console_putc() still takes; ~0: no limit */
extern bool fake_console_irq;
void fake_console_type(const char *s, size_t len); /* bytes that arch_console_getc() will give */
void fake_msr_set(u32 msr, u64 val);               /* makes the MSR exist */
extern void (*fake_cpuid_hook)(u32 leaf, u32 subleaf, u32 out[4]); /* NULL: all zero */
extern u32 fake_clos[CFG_PCPUS];       /* last arch_cache_class() on the CPU ... */
extern u32 fake_class_sets[CFG_PCPUS]; /* ... and how many */
extern u32 fake_stopped_others;        /* calls of arch_stop_others() */
extern u32 fake_reboots;

/* ---- second-level tables ---- */
#define FAKE_S2_MAPPINGS 256
struct fake_s2 {
    u64 gpa, hpa, size; /* size 0: free */
    u32 prot;
};
extern struct fake_s2 fake_s2[CFG_VMS][FAKE_S2_MAPPINGS];
extern u32 fake_s2_limit; /* mappings a VM may have before -ENOMEM */
extern u32 fake_s2_flushes[CFG_VMS];
extern bool fake_s2_is_stale[CFG_VMS]; /* arch_s2_stale() */
extern u32 fake_s2_settles[CFG_VMS];

/* ---- a CPU that carries out part of the local APIC (fake_apic.c) ---- */
extern u32 fake_apic_help; /* enum arch_apic_help that it gives from the next arch_vcpu_apic_mode() on; 0
                              after reset */
struct fake_apic {
    u32 *page; /* the xAPIC page that the vLAPIC named */
    u32 mode;
    u32 posted[8]; /* not pulled yet */
    unsigned modes, pushes, fresh;
    u32 threshold;
};
extern struct fake_apic fake_apics[CFG_VCPUS];

/* ---- vCPUs, by vcpu->index ---- */
#define FAKE_EVENTS 64
struct fake_vcpu {
    struct guest_regs regs;
    u64 reg[REG_PAT + 1];
    struct segment seg[SEG_COUNT];
    unsigned cpl; /* follows SS.DPL when SS is written through the contract */
    bool if_set;  /* what the guest allows, before shadow and queued event are looked at */
    bool nmi_blocked;
    bool shadow;
    bool queued; /* an event waits for the next entry: arch_vcpu_event_queued() */
    struct guest_event queued_event;
    struct guest_event events[FAKE_EVENTS]; /* every arch_vcpu_inject(), in order */
    unsigned event_count;
    bool triple_fault; /* an exception met a queued #DF */
    bool irq_window, nmi_window;
    u64 tsc_offset;
    u64 live_msr[10];  /* in the order of fake_live_msr_index() */
    u8 insn[15];       /* decode assists: bytes ... */
    unsigned insn_len; /* ... and how many, 0: none */
    unsigned skipped;  /* sum of arch_vcpu_skip() */
    unsigned inits, boot_states, runs;
    unsigned flushes; /* VCPU_REQ_FLUSH taken before an entry */
    unsigned loads, puts;
    bool loaded;
    u32 loaded_on;    /* pCPU, while loaded */
    unsigned refused; /* calls of arch_vcpu_refuse() */
    bool refusing;    /* until the next entry */
    struct guest_regs refuse_regs;
    u64 refuse_rip, refuse_rflags;
    /* fake platform */
    bool wake;     /* arch_vcpu_wake_pending() */
    u32 delivered; /* OR of the bits given to arch_vcpu_deliver_events() */
    unsigned deliveries;
    unsigned init_ipis;
    unsigned vectors; /* calls of arch_vcpu_send_vector() ... */
    u8 vector;        /* ... and the last one */
};
extern struct fake_vcpu fake_vcpus[CFG_VCPUS];
/* Index into live_msr, or -1. */
int fake_live_msr_index(u32 msr);
/* What the CPU does at VM entry: the queued event is delivered (an NMI blocks further ones), a shadow ends.
 */
void fake_enter(struct vcpu *v);
/* Guest code: called by arch_vcpu_run() for each stretch of guest mode, after the entry. Without it the vCPU
 * executes HLT. */
extern void (*fake_guest)(struct vcpu *v);

/* ---- platform (fake_platform.c) ---- */
struct fake_vm {
    unsigned inits, resets, firmwares;
    u8 gsi_level[64];
    unsigned gsi_rises[64];
    unsigned msis;
    u64 msi_addr, msi_data; /* of the last one */
};
extern struct fake_vm fake_vms[CFG_VMS];
extern int fake_firmware_result; /* what arch_vm_build_firmware() returns */
/* Answers arch_host_port(); NULL: no port belongs to the service VM. */
extern bool (*fake_host_port)(struct vcpu *v, u16 port, u8 size, bool write, u32 *val);
extern unsigned fake_quiesces, fake_host_irqs; /* calls of arch_host_quiesce(), arch_host_irqs() */

/* ---- I/O requests (fake_ioreq.c): used when the test does not link src/core/ioreq.c ---- */
extern unsigned fake_ioreqs; /* how many accesses became one */
/* Answers them, when the test sets it; otherwise they read as ones. */
extern u64 (*fake_ioreq)(struct vcpu *v, bool port, u64 addr, u8 size, bool write, u64 val);

/* ---- log sink (fake_log.c): used when the test does not link src/core/log.c ---- */
extern char fake_log[65536]; /* lines so far, each with its newline */
extern u32 fake_log_len, fake_log_lines;

/* ---- panic, halt, reboot ---- */
/* panic(), arch_halt_forever() and arch_reboot() print and abort(), or jump here when a test expects them. */
extern jmp_buf *fake_end_jmp;
extern char fake_panic_text[512]; /* of the fake log's panic() */
NORETURN void fake_end(const char *what);
/* True when the statement ended in a panic, halt or reboot. */
#define FAKE_ENDS(stmt)                                                                                      \
    ({                                                                                                       \
        jmp_buf fake_jb_;                                                                                    \
        volatile bool fake_ended_ = true;                                                                    \
        fake_end_jmp = &fake_jb_;                                                                            \
        if (setjmp(fake_jb_) == 0) {                                                                         \
            stmt;                                                                                            \
            fake_ended_ = false;                                                                             \
        }                                                                                                    \
        fake_end_jmp = NULL;                                                                                 \
        fake_ended_;                                                                                         \
    })

#endif
