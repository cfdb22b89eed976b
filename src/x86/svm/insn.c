/* The one instruction whose operand SVM does not report without decode assists: MOV to and from CR8. */
#include "x86/guest/exits.h"
#include "x86/svm/svm.h"

/* Bytes at RIP, up to the end of the page unless the instruction needs more. */
static unsigned fetch(struct vcpu *v, u8 out[15])
{
    struct vmcb *c = svm_of(v)->vmcb;
    u64 lin = c->rip + ((c->cs.attr & BIT32(9)) ? 0 : c->cs.base);
    unsigned n = 0;

    while (n < 15) {
        struct guest_event fault;
        u64 pa;
        unsigned chunk = (unsigned)MIN(15 - n, PAGE_SIZE - ((lin + n) & PAGE_MASK));

        if (!guest_gva_to_gpa(v, lin + n, GVA_FETCH, &pa, &fault) ||
            vm_gpa_read(v->vm, gpa(pa), out + n, chunk) != 0)
            break;
        n += chunk;
    }
    return n;
}

/*
 * Length of the MOV CR8 at RIP and the number of its general register; 0 when the bytes are something else.
 * CR8 is CR0's number with REX.R, or with LOCK (APM vol. 3, MOV CRn).
 */
unsigned svm_decode_mov_cr8(struct vcpu *v, unsigned *reg)
{
    u8 b[15], rex = 0;
    unsigned n = fetch(v, b), i = 0;
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
