/*
 * Code that looks at request words and then lets go of the CPU (HLT, VM entry) must not lose a kick between
 * the two. A kick by interrupt cannot be lost there: interrupts are off and it stays pending. A kick by NMI
 * is taken at once, so such code names its stretch here: an NMI that finds the CPU at `start` or beyond and
 * before `end` goes on at `landing`. For the assembler. Layer 4'.
 */
#ifndef BH_X86_HW_NMI_RANGE_H
#define BH_X86_HW_NMI_RANGE_H

/* clang-format off */
/* struct nmi_range in traps.c: offsets relative to their own place. */
.macro nmi_range start, end, landing
    .pushsection .nmi_ranges, "a"
    .balign 4
    .long \start - .
    .long \end - .
    .long \landing - .
    .popsection
.endm
/* clang-format on */

#endif
