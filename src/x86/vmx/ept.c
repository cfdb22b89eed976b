/* What is peculiar to extended page tables: the attribute bits of a leaf (SDM vol. 3C 28.3.2, 28.3.7). */
#include "x86/hw/s2_format.h"
#include "x86/vmx/vmx.h"

#define EPT_R          BIT64(0)
#define EPT_W          BIT64(1)
#define EPT_X          BIT64(2)
#define EPT_TYPE_SHIFT 3 /* bits 5:3; bit 6, ignore the guest's PAT, stays clear */

/* Memory types as EPT and PAT number them (SDM vol. 3A table 11-10). */
enum mem_type { TYPE_UC = 0, TYPE_WC = 1, TYPE_WT = 4, TYPE_WP = 5, TYPE_WB = 6 };

static u64 type_of(u32 prot)
{
    if (prot & MEM_UC)
        return TYPE_UC;
    if (prot & MEM_WC)
        return TYPE_WC;
    if (prot & MEM_WT)
        return TYPE_WT;
    return (prot & MEM_WP) ? TYPE_WP : TYPE_WB;
}

u64 s2_leaf_bits(u32 prot)
{
    if (!(prot & MEM_RWX))
        return 0;
    /* Writable but not readable is a misconfiguration (28.3.3.1), and whether execute-only exists is the
     * CPU's choice: both become readable, as with NPT. */
    return EPT_R | ((prot & MEM_W) ? EPT_W : 0) | ((prot & MEM_X) ? EPT_X : 0) |
           (type_of(prot) << EPT_TYPE_SHIFT);
}
