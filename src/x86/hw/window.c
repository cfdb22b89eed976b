/*
 * Host-physical memory through per-CPU windows. A window is one page-table entry of this CPU; it is filled,
 * used and emptied by the call, so guest memory is reachable from the hypervisor only while it is being
 * copied. Filling a not-present entry needs no invalidation (SDM vol. 3A 4.10.4.3); emptying it does.
 * Interrupt handlers use no windows.
 */
#include <lib/atomic.h>
#include <lib/string.h>
#include <arch/cpu.h>
#include "x86/hw/paging.h"
#include "x86/hw/regs.h"

#define WINDOW_FLAGS (PTE_P | PTE_A | PTE_NX)

/* From this length on 2 MiB windows and string instructions pay. */
#define BULK_MIN KIB(16)

#define LARGE_MASK (SIZE_2M - 1)

static inline volatile u64 *pte(u32 page)
{
    return (volatile u64 *)(PERCPU_BASE + PP_PT * PAGE_SIZE) + page;
}

static inline volatile u64 *pde(u32 i)
{
    return (volatile u64 *)(PERCPU_BASE + PP_PD * PAGE_SIZE) + i;
}

static inline void *open_page(u32 page, u64 phys, u64 flags)
{
    *pte(page) = (phys & PTE_ADDR) | WINDOW_FLAGS | flags;
    return (void *)(PERCPU_BASE + page * PAGE_SIZE + (phys & PAGE_MASK));
}

static inline void close_page(u32 page)
{
    *pte(page) = 0;
    invlpg(PERCPU_BASE + page * PAGE_SIZE);
}

static inline void *open_large(u32 i, u64 phys, u64 flags)
{
    *pde(i) = (phys & PTE_ADDR & ~LARGE_MASK) | WINDOW_FLAGS | PTE_LARGE | flags;
    return (void *)(PERCPU_BASE + i * SIZE_2M + (phys & LARGE_MASK));
}

static inline void close_large(u32 i)
{
    *pde(i) = 0;
    invlpg(PERCPU_BASE + i * SIZE_2M);
}

/* Eight bytes at a time: under emulation each iteration of a string instruction costs the same whatever its
 * width. */
static void bulk_copy(void *dst, const void *src, u64 len)
{
    u64 words = len / 8, rest = len % 8;

    __asm__ volatile("rep movsq\n\tmovq %3, %2\n\trep movsb"
                     : "+D"(dst), "+S"(src), "+c"(words)
                     : "r"(rest)
                     : "memory");
}

static void bulk_zero(void *dst, u64 len)
{
    u64 words = len / 8, rest = len % 8;

    __asm__ volatile("rep stosq\n\tmovq %2, %1\n\trep stosb"
                     : "+D"(dst), "+c"(words)
                     : "r"(rest), "a"(0)
                     : "memory");
}

static inline u64 page_left(u64 phys)
{
    return PAGE_SIZE - (phys & PAGE_MASK);
}

static inline u64 large_left(u64 phys)
{
    return SIZE_2M - (phys & LARGE_MASK);
}

static NOINLINE void read_bulk(u8 *dst, u64 src, u64 len)
{
    while (len) {
        u64 n = MIN(len, large_left(src));

        bulk_copy(dst, open_large(PD_WINDOW_SRC, src, 0), n);
        close_large(PD_WINDOW_SRC);
        dst += n;
        src += n;
        len -= n;
    }
}

static NOINLINE void write_bulk(u64 dst, const u8 *src, u64 len)
{
    while (len) {
        u64 n = MIN(len, large_left(dst));

        bulk_copy(open_large(PD_WINDOW_DST, dst, PTE_W | PTE_D), src, n);
        close_large(PD_WINDOW_DST);
        dst += n;
        src += n;
        len -= n;
    }
}

void arch_hpa_read(void *dst, hpa_t src, size_t len)
{
    u8 *d = dst;
    u64 a = src.v;

    if (UNLIKELY(len >= BULK_MIN)) {
        read_bulk(d, a, len);
        return;
    }
    while (len) {
        size_t n = MIN(len, page_left(a));

        memcpy(d, open_page(PP_WINDOW_SRC, a, 0), n);
        close_page(PP_WINDOW_SRC);
        d += n;
        a += n;
        len -= n;
    }
}

u64 arch_hpa_read64(hpa_t src)
{
    volatile u64 *p = open_page(PP_WINDOW_SRC, src.v, 0);
    u64 val = *p;

    close_page(PP_WINDOW_SRC);
    return val;
}

u32 arch_hpa_load32(hpa_t src)
{
    u32 val = atomic_load((const u32 *)open_page(PP_WINDOW_SRC, src.v, 0));

    close_page(PP_WINDOW_SRC);
    return val;
}

void arch_hpa_store32(hpa_t dst, u32 val)
{
    atomic_store((u32 *)open_page(PP_WINDOW_DST, dst.v, PTE_W | PTE_D), val);
    close_page(PP_WINDOW_DST);
}

void arch_hpa_write(hpa_t dst, const void *src, size_t len)
{
    const u8 *s = src;
    u64 a = dst.v;

    if (UNLIKELY(len >= BULK_MIN)) {
        write_bulk(a, s, len);
        return;
    }
    while (len) {
        size_t n = MIN(len, page_left(a));

        memcpy(open_page(PP_WINDOW_DST, a, PTE_W | PTE_D), s, n);
        close_page(PP_WINDOW_DST);
        s += n;
        a += n;
        len -= n;
    }
}

/* Overlapping ranges: copied upwards, so dst may lie below src but not inside it. */
void arch_hpa_copy(hpa_t dst, hpa_t src, size_t len)
{
    u64 d = dst.v, s = src.v;

    while (len) {
        u64 n = MIN(len, MIN(large_left(s), large_left(d)));
        void *to = open_large(PD_WINDOW_DST, d, PTE_W | PTE_D);

        bulk_copy(to, open_large(PD_WINDOW_SRC, s, 0), n);
        close_large(PD_WINDOW_SRC);
        close_large(PD_WINDOW_DST);
        d += n;
        s += n;
        len -= n;
    }
}

void arch_hpa_zero(hpa_t dst, size_t len)
{
    u64 a = dst.v;

    while (len) {
        u64 n = MIN(len, large_left(a));

        bulk_zero(open_large(PD_WINDOW_DST, a, PTE_W | PTE_D), n);
        close_large(PD_WINDOW_DST);
        a += n;
        len -= n;
    }
}

u64 mmio_phys_read(u64 phys, u32 size)
{
    volatile void *p = open_page(PP_WINDOW_UC, phys, PTE_PCD | PTE_PWT);
    u64 v;

    switch (size) {
    case 1:
        v = *(volatile u8 *)p;
        break;
    case 2:
        v = *(volatile u16 *)p;
        break;
    case 4:
        v = *(volatile u32 *)p;
        break;
    default:
        v = *(volatile u64 *)p;
        break;
    }
    close_page(PP_WINDOW_UC);
    return v;
}

void mmio_phys_write(u64 phys, u32 size, u64 val)
{
    volatile void *p = open_page(PP_WINDOW_UC, phys, PTE_W | PTE_D | PTE_PCD | PTE_PWT);

    switch (size) {
    case 1:
        *(volatile u8 *)p = (u8)val;
        break;
    case 2:
        *(volatile u16 *)p = (u16)val;
        break;
    case 4:
        *(volatile u32 *)p = (u32)val;
        break;
    default:
        *(volatile u64 *)p = val;
        break;
    }
    close_page(PP_WINDOW_UC);
}
