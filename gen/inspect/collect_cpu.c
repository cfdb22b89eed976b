/* CPUID and the VMX capability registers of the machine that this runs on. */
#include "collection.h"

#include <cpuid.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <unistd.h>

#define MAX_CPUS 4096u

static const struct {
    u32 leaf, subleaf;
} leaves[] = {
    {0, 0},          {1, 0},          {7, 0},          {0xb, 0},        {0xb, 1},        {0x10, 0},
    {0x10, 1},       {0x10, 2},       {0x15, 0},       {0x16, 0},       {0x1a, 0},       {0x40000000, 0},
    {0x80000000, 0}, {0x80000001, 0}, {0x80000007, 0}, {0x80000008, 0}, {0x8000000a, 0},
};

/* IA32_FEATURE_CONTROL and the capabilities of the primary and secondary processor-based controls (SDM vol. 4
 * table 2-2, vol. 3D A.3.2, A.3.3). */
static const u32 msrs[] = {0x3a, 0x482, 0x48b};

static bool leaf_there(u32 leaf)
{
    u32 base = leaf & 0xf0000000u, eax, ebx, ecx, edx;

    /* The hypervisor's leaves are there when leaf 1 says so, at any rate the first. */
    __cpuid(base == 0x40000000 ? 1 : base, eax, ebx, ecx, edx);
    if (base == 0x40000000)
        return (ecx & BIT32(31)) != 0;
    return leaf <= eax;
}

static void take_cpuid(struct buffer *out, unsigned cpu)
{
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        u32 eax, ebx, ecx, edx;

        if (!leaf_there(leaves[i].leaf))
            continue;
        __cpuid_count(leaves[i].leaf, leaves[i].subleaf, eax, ebx, ecx, edx);
        buffer_printf(out, "%u %08x %08x %08x %08x %08x %08x\n", cpu, leaves[i].leaf, leaves[i].subleaf, eax,
                      ebx, ecx, edx);
    }
}

static void take_msrs(struct collection *c)
{
    int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
    struct buffer out = {0};
    u64 value;

    for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(msrs); i++) {
        if (pread(fd, &value, sizeof(value), (off_t)msrs[i]) == sizeof(value))
            buffer_printf(&out, "%x %016" PRIx64 "\n", msrs[i], value);
    }
    if (fd >= 0)
        close(fd);
    if (out.len)
        collection_add(c, "msr", out.data, out.len);
    buffer_free(&out);
}

void collect_cpus(struct collection *c)
{
    cpu_set_t *set = CPU_ALLOC(MAX_CPUS), *before = CPU_ALLOC(MAX_CPUS);
    size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
    struct buffer out = {0};

    if (!set || !before)
        cannot_run("out of memory");
    if (sched_getaffinity(0, size, before) != 0)
        cannot_run("the kernel does not say on which CPUs this program may run");
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        CPU_ZERO_S(size, set);
        CPU_SET_S(cpu, size, set);
        /* Refused for CPUs that are not there or not online. */
        if (sched_setaffinity(0, size, set) == 0)
            take_cpuid(&out, cpu);
    }
    sched_setaffinity(0, size, before);
    CPU_FREE(set);
    CPU_FREE(before);
    collection_add(c, "cpuid", out.data, out.len);
    buffer_free(&out);
    take_msrs(c);
}
