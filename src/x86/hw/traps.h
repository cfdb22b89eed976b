/* Exceptions, NMIs and interrupts that reach the hypervisor itself. Layer 4'. */
#ifndef BH_X86_HW_TRAPS_H
#define BH_X86_HW_TRAPS_H

#include <lib/types.h>

/* Host interrupt vectors. */
#define VEC_TIMER 0xe0
#define VEC_KICK  0xe1
#define VEC_UART  0xe2
#define VEC_POSTED                                                                                           \
    0xe3 /* a guest's interrupt waits; the CPU takes it without the host while the guest runs */
#define VEC_ERROR    0xfe
#define VEC_SPURIOUS 0xff

/* As traps_entry.S pushes it; the last five words are the CPU's (SDM vol. 3A figure 6-9). */
struct trap_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "traps_entry.S");

/* 64-bit interrupt gate (SDM vol. 3A figure 6-8). One page of them: mapped read-only after paging_build(). */
struct idt_gate {
    u16 offset_lo;
    u16 selector;
    u8 ist;
    u8 type;
    u16 offset_mid;
    u32 offset_hi;
    u32 reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "SDM vol. 3A figure 6-8");
extern struct idt_gate idt[256];

/* Fills the table, on the boot tables. */
void idt_build(void);
/* Loads it on the calling CPU. */
void idt_load(void);

/* traps_entry.S calls these. Interrupts are off, no lock may be taken. */
void trap_dispatch(struct trap_frame *f);
void irq_dispatch(u32 vector);

/* A 64-bit word at any virtual address; false when reading it faults. */
bool safe_read64(u64 va, u64 *val);
bool safe_read8(u64 va, u8 *val);

/*
 * Instructions that may fault: an entry says where execution goes on when the instruction at `insn` raises
 * #GP, #PF, #UD or #SS. Two offsets relative to their own place, so the table needs no relocation.
 */
struct extable_entry {
    s32 insn;
    s32 landing;
};
_Static_assert(sizeof(struct extable_entry) == 8, "EXTABLE");

#define EXTABLE(insn, landing)                                                                               \
    ".pushsection .extable, \"a\"\n\t"                                                                       \
    ".balign 4\n\t"                                                                                          \
    ".long " insn " - ., " landing " - .\n\t"                                                                \
    ".popsection\n\t"

#endif
