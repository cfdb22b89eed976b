/* Fixed-width types, address types and the few language helpers that everything uses. Layer 0. */
#ifndef BH_LIB_TYPES_H
#define BH_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* Host-physical and guest-physical addresses are wrapped so that the compiler refuses to mix them up. */
typedef struct {
    u64 v;
} hpa_t;
typedef struct {
    u64 v;
} gpa_t;

static inline hpa_t hpa(u64 v)
{
    return (hpa_t){v};
}
static inline gpa_t gpa(u64 v)
{
    return (gpa_t){v};
}
static inline hpa_t hpa_add(hpa_t a, u64 n)
{
    return (hpa_t){a.v + n};
}
static inline gpa_t gpa_add(gpa_t a, u64 n)
{
    return (gpa_t){a.v + n};
}

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((u64)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)
#define SIZE_2M    MIB(2)
#define SIZE_1G    GIB(1)

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a)                (((x) + ((a)-1)) & ~((a)-1))
#define ALIGN_DOWN(x, a)              ((x) & ~((a)-1))
#define IS_ALIGNED(x, a)              (((x) & ((a)-1)) == 0)
#define BIT32(n)                      ((u32)1 << (n))
#define BIT64(n)                      ((u64)1 << (n))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define PACKED       __attribute__((packed))
#define ALIGNED(n)   __attribute__((aligned(n)))
#define NORETURN     __attribute__((noreturn))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SECTION(s)   __attribute__((section(s)))
#define UNUSED       __attribute__((unused))
#define NOINLINE     __attribute__((noinline))
#define COLD         __attribute__((cold, noinline))

/* Errors are returned negated; the values are those of the hypercall ABI (hypercall-abi.md section 0). */
enum err {
    EPERM_ = 1,
    EIO_ = 5,
    ENOMEM_ = 12,
    EACCES_ = 13,
    EFAULT_ = 14,
    EBUSY_ = 16,
    ENODEV_ = 19,
    EINVAL_ = 22,
    ETIMEDOUT_ = 110,
};

#endif
