/* Raw images: bytes at an address, entered where the scenario says. */
#include <lib/log.h>
#include <lib/string.h>
#include "load_priv.h"

#define ATTR_REAL_CODE 0x009bu
#define ATTR_REAL_DATA 0x0093u

/* Real mode at `entry` (below 1 MiB): CS covers the entry's paragraph, IP is the rest; all else as after
 * RESET (SDM vol. 3A table 9-1), caches on. */
static void enter_real(struct vcpu_boot_state *s, u64 entry)
{
    memset(s, 0, sizeof(*s));
    s->rip = entry & 0xf;
    s->rflags = 2;
    s->cr0 = 0x30; /* ET, NE */
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        s->seg[i] = (struct segment){.limit = 0xffff, .attr = ATTR_REAL_DATA};
    s->seg[SEG_CS] = (struct segment){
        .base = entry & ~(u64)0xf, .limit = 0xffff, .attr = ATTR_REAL_CODE, .sel = (u16)(entry >> 4)};
    s->seg[SEG_LDTR] = (struct segment){.limit = 0xffff, .attr = 0x82};
    s->seg[SEG_TR] = (struct segment){.limit = 0xffff, .attr = 0x8b};
    s->seg[SEG_GDTR] = (struct segment){.limit = 0xffff};
    s->seg[SEG_IDTR] = (struct segment){.limit = 0x3ff};
}

int load_raw(struct load_ctx *c)
{
    u64 entry = c->boot->entry;
    int err = load_claim(c, c->boot->load_addr, c->kernel.size, "raw image");

    if (err)
        return err;
    if (entry < c->boot->load_addr || entry - c->boot->load_addr >= c->kernel.size)
        return load_fail(c, "entry 0x%llx is outside the image at 0x%llx, size 0x%llx",
                         (unsigned long long)entry, (unsigned long long)c->boot->load_addr,
                         (unsigned long long)c->kernel.size);
    err = load_copy(c, c->boot->load_addr, 0, c->kernel.size);
    if (err)
        return err;
    if (entry >= MIB(1))
        return load_enter_flat(c, entry);
    enter_real(c->out, entry);
    return 0;
}
