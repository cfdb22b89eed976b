/*
 * Walk of the guest's own page tables in guest memory (SDM vol. 3A ch. 4, APM vol. 2 ch. 5). Nothing is
 * cached: what INVLPG or a CR3 load would drop was never kept.
 */
#include <core/vm.h>
#include "x86/guest/cpuid.h"
#include "x86/guest/exits.h"
#include "x86/guest/regs.h"
#include "x86/guest/walk.h"

enum {
    GPTE_P = 1u << 0,
    GPTE_W = 1u << 1,
    GPTE_U = 1u << 2,
    GPTE_A = 1u << 5,
    GPTE_D = 1u << 6,
    GPTE_PS = 1u << 7,
};
#define GPTE_NX   BIT64(63)
#define GPTE_ADDR 0x000ffffffffff000ULL

/* PAE page-directory-pointer entries: bits 2:1 and 8:5 are reserved (SDM vol. 3A table 4-8). */
#define PAE_PDPTE_RSVD 0x1e6ULL

#define MAX_LEVELS 5

struct walk {
    struct vcpu *v;
    u64 gva;
    enum gva_access access;
    u64 cr0, cr4, efer;
    bool user;
    unsigned depth;           /* entries used so far ... */
    u64 entry[MAX_LEVELS];    /* ... their values ... */
    u64 entry_at[MAX_LEVELS]; /* ... and guest-physical addresses; 0 for one without an accessed bit */
    u64 rights;               /* AND of all entries: GPTE_W, GPTE_U when every level grants it, GPTE_A */
    u64 nx;                   /* OR of all entries: GPTE_NX when any level forbids execution */
    u64 rflags;
};

static bool page_fault(struct walk *w, u32 why, struct guest_event *fault)
{
    u32 error = why;

    if (w->access == GVA_WRITE)
        error |= PF_WRITE;
    if (w->user)
        error |= PF_USER;
    if (w->access == GVA_FETCH && ((w->cr4 & CR4_SMEP) || ((w->cr4 & CR4_PAE) && (w->efer & EFER_NXE))))
        error |= PF_FETCH;
    *fault = (struct guest_event){
        .kind = EVENT_EXCEPTION, .vector = X86_PF, .has_error = true, .error = error, .cr2 = w->gva};
    return false;
}

/* Reads one table entry. Tables outside of RAM read as all ones, like everything that nobody owns. */
static inline u64 read_entry(struct walk *w, u64 at, size_t size)
{
    u64 e = 0;

    if (size == 4) {
        u32 half;

        e = vm_gpa_read(w->v->vm, gpa(at), &half, 4) ? 0xffffffffu : half;
    } else if (UNLIKELY(!vm_gpa_read64(w->v->vm, gpa(at), &e))) {
        e = ~(u64)0;
    }
    w->entry[w->depth] = e;
    w->entry_at[w->depth] = at;
    w->depth++;
    return e;
}

/* SDM vol. 3A 4.6: may the access use a translation with these rights? */
static bool allowed(const struct walk *w)
{
    bool user_page = (w->rights & GPTE_U) != 0;

    if (w->user && !user_page)
        return false;
    if (w->access == GVA_FETCH)
        return !(w->nx & GPTE_NX) && (w->user || !user_page || !(w->cr4 & CR4_SMEP));
    if (w->access == GVA_WRITE && !(w->rights & GPTE_W) && (w->user || (w->cr0 & CR0_WP)))
        return false;
    if (!w->user && user_page && (w->cr4 & CR4_SMAP))
        return (w->rflags & RFLAGS_AC) != 0;
    return true;
}

/*
 * Sets accessed and dirty bits where they are missing. Only the byte that holds them is written, right after
 * a fresh look at it, so a concurrent change of the entry's address by another vCPU is never undone.
 */
static void mark_used(struct walk *w)
{
    for (unsigned i = 0; i < w->depth; i++) {
        u8 want = GPTE_A, now;

        if (i == w->depth - 1 && w->access == GVA_WRITE)
            want |= GPTE_D;
        if (LIKELY((w->entry[i] & want) == want) || !w->entry_at[i])
            continue;
        if (vm_gpa_read(w->v->vm, gpa(w->entry_at[i]), &now, 1) || !(now & GPTE_P))
            continue;
        now |= want;
        (void)vm_gpa_write(w->v->vm, gpa(w->entry_at[i]), &now, 1);
    }
}

static bool finish(struct walk *w, u64 base, u64 offset_mask, u64 *out, struct guest_event *fault)
{
    if (!allowed(w))
        return page_fault(w, PF_PRESENT, fault);
    if (UNLIKELY(!(w->rights & GPTE_A) || (w->access == GVA_WRITE && !(w->entry[w->depth - 1] & GPTE_D))))
        mark_used(w);
    *out = (base & ~offset_mask) | (w->gva & offset_mask);
    return true;
}

/* 4-level, 5-level and PAE paging: 8-byte entries, 9 index bits a level (SDM vol. 3A 4.4, 4.5). */
static bool walk64(struct walk *w, u64 table, unsigned level, bool pae, u64 *out, struct guest_event *fault)
{
    u64 rsvd = guest_cpu.phys_rsvd | ((w->efer & EFER_NXE) ? 0 : GPTE_NX);

    for (unsigned shift = 3 + 9 * level;; level--, shift -= 9) {
        u64 e = read_entry(w, table + (((w->gva >> shift) & 0x1ff) << 3), 8);

        if (UNLIKELY(!(e & GPTE_P)))
            return page_fault(w, 0, fault);
        if (UNLIKELY(pae) && level == 3) {
            if (e & (PAE_PDPTE_RSVD | guest_cpu.phys_rsvd | GPTE_NX))
                return page_fault(w, PF_PRESENT | PF_RSVD, fault);
            w->entry_at[w->depth - 1] = 0;
            table = e & GPTE_ADDR;
            continue;
        }
        w->rights &= e;
        w->nx |= e;
        if (UNLIKELY(e & rsvd))
            return page_fault(w, PF_PRESENT | PF_RSVD, fault);
        if (level == 1)
            return finish(w, e & GPTE_ADDR, PAGE_MASK, out, fault);
        if (e & GPTE_PS) {
            u64 mask = BIT64(shift) - 1;

            /* bit 12 is PAT */
            if (level > 3 || (level == 3 && !guest_cpu.page1g) || (e & mask & ~(u64)0x1fff))
                return page_fault(w, PF_PRESENT | PF_RSVD, fault);
            return finish(w, e & GPTE_ADDR, mask, out, fault);
        }
        table = e & GPTE_ADDR;
    }
}

/* 32-bit paging, with 4 MiB pages of up to 40 address bits (SDM vol. 3A 4.3). */
static bool walk32(struct walk *w, u64 cr3, u64 *out, struct guest_event *fault)
{
    u64 e = read_entry(w, (cr3 & 0xfffff000u) | ((w->gva >> 22) << 2), 4);

    if (!(e & GPTE_P))
        return page_fault(w, 0, fault);
    w->rights &= e;
    if ((e & GPTE_PS) && (w->cr4 & CR4_PSE)) {
        u64 high = ((e >> 13) & 0xff) << 32;

        if ((e & BIT64(21)) || (high & guest_cpu.phys_rsvd))
            return page_fault(w, PF_PRESENT | PF_RSVD, fault);
        return finish(w, (e & 0xffc00000u) | high, 0x3fffff, out, fault);
    }
    e = read_entry(w, (e & 0xfffff000u) | (((w->gva >> 12) & 0x3ff) << 2), 4);
    if (!(e & GPTE_P))
        return page_fault(w, 0, fault);
    w->rights &= e;
    return finish(w, e & 0xfffff000u, PAGE_MASK, out, fault);
}

/*
 * The CPU has just fetched from this address, so rights, accessed bits and reserved bits need no second look,
 * only the address does. Whatever is unusual is left to the full walk.
 */
bool walk_fetched64(struct vcpu *v, u64 cr3, u64 gva, u64 *gpa_out)
{
    struct vm *vm = v->vm;
    u64 table = cr3;

    for (unsigned shift = 39;; shift -= 9) {
        u64 e, mask;

        if (UNLIKELY(!vm_gpa_read64(vm, gpa((table & GPTE_ADDR) + ((gva >> (shift - 3)) & 0xff8)), &e)))
            return false;
        if (UNLIKELY(!(e & GPTE_P)))
            return false;
        table = e;
        if (shift != 12 && !(e & GPTE_PS))
            continue;
        mask = BIT64(shift) - 1;
        *gpa_out = (e & GPTE_ADDR & ~mask) | (gva & mask);
        return shift <= 30;
    }
}

bool guest_canonical(const struct guest_paging *p, u64 addr)
{
    unsigned unused = 64 - ((p->cr4 & CR4_LA57) ? 57 : 48);

    return (u64)((s64)(addr << unused) >> unused) == addr;
}

bool guest_walk(struct vcpu *v, const struct guest_paging *p, u64 gva, enum gva_access access, u64 *gpa_out,
                struct guest_event *fault)
{
    struct walk w; /* filled below: clearing the arrays would cost more than a level of the walk */

    if (UNLIKELY(!(p->cr0 & CR0_PG))) {
        *gpa_out = (u32)gva;
        return true;
    }
    w.v = v;
    w.gva = gva;
    w.access = access;
    w.depth = 0;
    w.nx = 0;
    w.cr0 = p->cr0;
    w.cr4 = p->cr4;
    w.efer = p->efer;
    w.rflags = p->rflags;
    w.user = p->cpl == 3;
    w.rights = ~(u64)0;
    if (LIKELY(w.efer & EFER_LMA)) {
        bool la57 = (w.cr4 & CR4_LA57) != 0;

        if (UNLIKELY(!guest_canonical(p, gva))) {
            *fault = (struct guest_event){.kind = EVENT_EXCEPTION, .vector = X86_GP, .has_error = true};
            return false;
        }
        return walk64(&w, p->cr3 & GPTE_ADDR, la57 ? 5 : 4, false, gpa_out, fault);
    }
    w.gva = (u32)gva;
    if (w.cr4 & CR4_PAE)
        return walk64(&w, p->cr3 & 0xffffffe0u, 3, true, gpa_out, fault);
    return walk32(&w, p->cr3, gpa_out, fault);
}

bool guest_gva_to_gpa(struct vcpu *v, u64 gva, enum gva_access access, u64 *gpa_out,
                      struct guest_event *fault)
{
    struct guest_paging p;

    arch_vcpu_paging(v, &p);
    return guest_walk(v, &p, gva, access, gpa_out, fault);
}
