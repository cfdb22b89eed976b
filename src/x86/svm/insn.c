/* The one instruction whose operand SVM does not report without decode assists: MOV to and from CR8. */
#include "x86/guest/exits.h"
#include "x86/svm/svm.h"

/*
 * Length of the MOV CR8 at RIP and the number of its general register; 0 when the bytes are something else.
 * CR8 is CR0's number with REX.R, or with LOCK (APM vol. 3, MOV CRn).
 */
unsigned svm_decode_mov_cr8(struct vcpu *v, unsigned *reg)
{
    u8 b[15], rex = 0;
    unsigned n = guest_fetch(v, b), i = 0;
    bool lock = false;

    for (; i < n; i++) {
        if (b[i] == 0xf0)
            lock = true;
        else if (b[i] != 0x66 && b[i] != 0x67 && b[i] != 0xf2 && b[i] != 0xf3 && (b[i] & 0xe7) != 0x26 &&
                 (b[i] & 0xfe) != 0x64)
            break;
    }
    if (i < n && (b[i] & 0xf0) == 0x40 && (svm_of(v)->vmcb->cs.attr & BIT32(9)))
        rex = b[i++];
    if (i + 3 > n || b[i] != 0x0f || (b[i + 1] & 0xfd) != 0x20)
        return 0;
    if (((b[i + 2] >> 3) & 7) != ((rex & 4) || lock ? 0 : 8))
        return 0;
    *reg = (b[i + 2] & 7u) | ((rex & 1u) << 3);
    return i + 3;
}
