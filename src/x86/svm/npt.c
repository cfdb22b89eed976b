/* What is peculiar to nested page tables: the attribute bits of a leaf (APM vol. 2 15.25). */
#include "x86/hw/s2_format.h"
#include "x86/svm/svm.h"

#define NPT_P   BIT64(0)
#define NPT_W   BIT64(1)
#define NPT_U   BIT64(2) /* nested walks count as user accesses */
#define NPT_PWT BIT64(3)
#define NPT_PCD BIT64(4)
#define NPT_NX  BIT64(63)

u64 s2_leaf_bits(u32 prot)
{
    u64 e = NPT_P | NPT_U;

    if (!(prot & MEM_RWX))
        return 0;
    if (prot & MEM_W)
        e |= NPT_W;
    if (!(prot & MEM_X))
        e |= NPT_NX;
    /* The host's PAT is as after RESET: of the types it has WT and UC. What would be WC or WP is UC, the
     * stronger one. */
    if (prot & MEM_WT)
        e |= NPT_PWT;
    else if (prot & MEM_TYPES)
        e |= NPT_PCD | NPT_PWT;
    return e;
}
