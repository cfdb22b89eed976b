/* The processors: who made them, what they can do, which sort each is (SDM vol. 2A CPUID, APM vol. 3 appendix
 * E). */
#include "inspect.h"

#include <inttypes.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

bool cpuid_leaf(const struct inspection *in, u32 cpu, u32 leaf, u32 subleaf, u32 regs[4])
{
    const struct file *f = collection_find(in->files, "cpuid");
    char line[128];

    for (const char *at = NULL; f && (at = file_line(f, line, sizeof(line), at));) {
        const char *p = line;
        u64 n[7];
        unsigned i = 0;

        if (!read_decimal(&p, &n[0]) || n[0] != cpu)
            continue;
        while (++i < ARRAY_SIZE(n) && *p++ == ' ' && read_hex(&p, &n[i]) && n[i] <= UINT32_MAX) {
        }
        if (i < ARRAY_SIZE(n) || n[1] != leaf || n[2] != subleaf)
            continue;
        for (i = 0; i < 4; i++)
            regs[i] = (u32)n[3 + i];
        return true;
    }
    return false;
}

static bool cpuid_bit(const struct inspection *in, u32 leaf, unsigned reg, unsigned bit)
{
    u32 r[4];

    return cpuid_leaf(in, 0, leaf, 0, r) && (r[reg] & BIT32(bit)) != 0;
}

/* Whether "flags" or "vmx flags" of /proc/cpuinfo, of the first CPU, has the word. *there: there is such a
 * line. */
static bool cpuinfo_word(const struct inspection *in, const char *key, const char *word, bool *there)
{
    const struct file *f = collection_find(in->files, "proc/cpuinfo");
    size_t len = strlen(key);
    char line[8192];

    *there = false;
    for (const char *at = NULL; f && (at = file_line(f, line, sizeof(line), at));) {
        const char *p = strchr(line, ':');

        if (!p || strncmp(line, key, len) != 0 || strchr("\t :", line[len]) == NULL)
            continue;
        *there = true;
        for (char *rest = line + (p - line) + 1, *w; (w = strtok_r(rest, " ", &rest));) {
            if (strcmp(w, word) == 0)
                return true;
        }
        return false;
    }
    return false;
}

static bool msr_value(const struct inspection *in, u32 msr, u64 *out)
{
    const struct file *f = collection_find(in->files, "msr");
    char line[64];

    for (const char *at = NULL; f && (at = file_line(f, line, sizeof(line), at));) {
        const char *p = line;
        u64 address;

        if (read_hex(&p, &address) && address == msr && *p++ == ' ' && read_hex(&p, out))
            return true;
    }
    return false;
}

static void add_feature(struct inspection *in, const char *name)
{
    struct board *b = &in->board;

    b->features = list_grow(b->features, b->feature_count, sizeof(*b->features));
    b->features[b->feature_count++].name = name;
}

/* Features of CPUID, in the order of the board files. The table is the hypervisor's (src/x86/hw/features.c).
 */
static void plain_features(struct inspection *in, const char *extension)
{
    static const struct {
        const char *name;
        u32 leaf;
        unsigned reg, bit;
        const char *of; /* one extension's alone, or NULL */
    } bits[] = {
        {"svm", 0x80000001, ECX, 2, "svm"},
        {"npt", 0x8000000a, EDX, 0, "svm"},
        {"vmx", 1, ECX, 5, "vmx"},
        {"nx", 0x80000001, EDX, 20, NULL},
        {"page1g", 0x80000001, EDX, 26, NULL},
        {"x2apic", 1, ECX, 21, NULL},
        {"tsc-deadline", 1, ECX, 24, NULL},
        {"xsave", 1, ECX, 26, NULL},
        {"smep", 7, EBX, 7, NULL},
        {"smap", 7, EBX, 20, NULL},
        {"rdtscp", 0x80000001, EDX, 27, NULL},
        {"nrips", 0x8000000a, EDX, 3, "svm"},
        {"decode-assists", 0x8000000a, EDX, 7, "svm"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        if ((!bits[i].of || strcmp(bits[i].of, extension) == 0) &&
            cpuid_bit(in, bits[i].leaf, bits[i].reg, bits[i].bit))
            add_feature(in, bits[i].name);
    }
}

/* What VMX can do is in MSRs (SDM vol. 3D A.3.3, bits 32 + n: control n may be 1), which the kernel shows in
 * /dev/cpu/0/msr; else in the words that it makes of them. */
static void vmx_features(struct inspection *in)
{
    static const struct {
        const char *name, *word;
        unsigned bit;
    } controls[] = {{"ept", "ept", 1}, {"vpid", "vpid", 5}, {"unrestricted-guest", "unrestricted_guest", 7}};
    u64 primary, secondary = 0, control;
    bool by_msr = msr_value(in, 0x482, &primary) && msr_value(in, 0x48b, &secondary) && (primary & BIT64(63)),
         words;

    for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
        if (by_msr ? (secondary & BIT64(32 + controls[i].bit)) != 0
                   : cpuinfo_word(in, "vmx flags", controls[i].word, &words))
            add_feature(in, controls[i].name);
    }
    if (!by_msr && (cpuinfo_word(in, "vmx flags", "ept", &words), !words))
        note(in, "VMX capabilities (ept, vpid, unrestricted-guest) are not known: there is neither "
                 "/dev/cpu/0/msr nor a line 'vmx flags' "
                 "in /proc/cpuinfo; load the kernel module msr and try again");
    /* IA32_FEATURE_CONTROL: locked without VMX outside SMX (SDM vol. 3C 24.7) */
    if (msr_value(in, 0x3a, &control) && (control & BIT64(0)) && !(control & BIT64(2)))
        lack(in, "the firmware has switched VMX off and locked it (IA32_FEATURE_CONTROL): allow "
                 "virtualisation in its set-up");
}

static bool has(const struct board *b, const char *feature)
{
    for (size_t i = 0; i < b->feature_count; i++) {
        if (strcmp(b->features[i].name, feature) == 0)
            return true;
    }
    return false;
}

static void features(struct inspection *in)
{
    static const char *const need[][5] = {{"svm", "npt", "nx", NULL},
                                          {"vmx", "ept", "unrestricted-guest", "nx", NULL}};
    struct board *b = &in->board;
    u32 r[4];
    char vendor[13] = "";

    if (cpuid_leaf(in, 0, 0, 0, r)) {
        memcpy(vendor, &r[EBX], 4);
        memcpy(vendor + 4, &r[EDX], 4);
        memcpy(vendor + 8, &r[ECX], 4);
    }
    b->vendor = strcmp(vendor, "GenuineIntel") == 0 ? "intel" : "amd";
    if (strcmp(vendor, "GenuineIntel") != 0 && strcmp(vendor, "AuthenticAMD") != 0)
        lack(in, "the CPU's maker '%s' is neither AuthenticAMD nor GenuineIntel", vendor);
    b->extension = strcmp(b->vendor, "intel") == 0 ? "vmx" : "svm";
    plain_features(in, b->extension);
    if (strcmp(b->extension, "vmx") == 0 && has(b, "vmx"))
        vmx_features(in);
    for (const char *const *n = need[strcmp(b->extension, "vmx") == 0]; *n; n++) {
        if (!has(b, *n))
            lack(in, "the CPU does not show '%s', which Bulkhead needs%s", *n,
                 strcmp(*n, b->extension) == 0
                     ? ": it cannot run virtual machines, or its firmware or hypervisor hides that it can"
                     : "");
    }
}

/* What the kernel says that the CPU leaks; the hypervisor asks IA32_ARCH_CAPABILITIES itself as well. */
static void mitigations(struct inspection *in)
{
    static const struct {
        const char *file, *name;
    } faults[] = {{"l1tf", "l1d-flush"}, {"mds", "mds-clear"}};
    struct board *b = &in->board;

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        const struct file *f =
            collection_findf(in->files, "sys/devices/system/cpu/vulnerabilities/%s", faults[i].file);

        if (!f || strncmp(f->data, "Not affected", 12) == 0)
            continue;
        b->mitigations = list_grow(b->mitigations, b->mitigation_count, sizeof(*b->mitigations));
        b->mitigations[b->mitigation_count++].name = faults[i].name;
    }
}

/* The kernel's number of the CPU with that APIC id; false: it was not online. */
static bool cpu_of_apic(const struct inspection *in, u32 apic_id, u32 *cpu)
{
    for (u32 i = 0, missing = 0; missing < 64 && i < 4096; i++) {
        u32 one[4], topology[4];
        u32 id;

        if (!cpuid_leaf(in, i, 1, 0, one)) {
            missing++;
            continue;
        }
        /* The x2APIC id where there is a topology leaf, else the initial APIC id. */
        id = cpuid_leaf(in, i, 0xb, 0, topology) && topology[EBX] != 0 ? topology[EDX] : one[EBX] >> 24;
        if (id == apic_id) {
            *cpu = i;
            return true;
        }
    }
    return false;
}

/* CPUID leaf 0x1A: bits 31:24 of EAX are the core type: 0x20 Atom, 0x40 Core. Then the boot CPU goes first.
 */
static void cores(struct inspection *in)
{
    struct board *b = &in->board;
    size_t boot = b->core_count;

    for (size_t i = 0; i < b->core_count; i++) {
        u32 cpu, r[4];

        if (!cpu_of_apic(in, b->cores[i].apic_id, &cpu)) {
            note(in, "the CPU with APIC id %u was not online: its kind of core is not known",
                 b->cores[i].apic_id);
            continue;
        }
        if (cpu == 0)
            boot = i;
        b->cores[i].efficient = cpuid_leaf(in, cpu, 0x1a, 0, r) && r[EAX] >> 24 == 0x20;
    }
    if (boot < b->core_count) {
        struct core first = b->cores[boot];

        memmove(b->cores + 1, b->cores, boot * sizeof(*b->cores));
        b->cores[0] = first;
    } else if (b->core_count) {
        note(in, "the CPU that starts the machine is not known; the MADT's first is taken for it");
    }
}

/* CPUID leaf 0x10: bits 1 and 2 of EBX of subleaf 0 name L3 and L2; of each, EAX[4:0] is the mask's length
 * less one, EDX[15:0] the highest class of service (SDM vol. 3B 18.19.4). */
static void caches(struct inspection *in)
{
    struct board *b = &in->board;
    u32 top[4], r[4];

    for (u32 bit = 2; cpuid_leaf(in, 0, 0x10, 0, top) && bit >= 1; bit--) {
        if (!(top[EBX] & BIT32(bit)) || !cpuid_leaf(in, 0, 0x10, bit, r))
            continue;
        b->caches = list_grow(b->caches, b->cache_count, sizeof(*b->caches));
        b->caches[b->cache_count++] = (struct cache_alloc){
            .level = bit == 1 ? 3 : 2, .ways = (r[EAX] & 0x1f) + 1, .classes = (r[EDX] & 0xffff) + 1};
    }
}

static void tsc(struct inspection *in)
{
    struct board *b = &in->board;
    u32 r[4];

    /* Leaf 0x15: TSC / crystal clock = EBX / EAX, crystal clock in Hz in ECX; any may be 0, not known. */
    if (cpuid_leaf(in, 0, 0x15, 0, r) && r[EAX] && r[EBX] && r[ECX])
        b->tsc_hz = (u64)r[ECX] * r[EBX] / r[EAX];
    b->tsc_invariant = cpuid_bit(in, 0x80000007, EDX, 8);
    if (b->tsc_invariant)
        return;
    if (cpuid_leaf(in, 0, 0x40000000, 0, r) && r[EBX] == 0x54474354 && r[ECX] == 0x43544743 &&
        r[EDX] == 0x47435447) {
        /* "TCGTCGTCGTCG": all CPUs' counters are QEMU's one virtual clock. */
        b->tsc_invariant = true;
        note(in, "the TSC is taken for invariant, although CPUID does not say so: this is QEMU's software "
                 "emulation, which has one clock for all "
                 "CPUs");
        return;
    }
    note(in, "CPUID does not say that the TSC is invariant (80000007:EDX[8])");
}

void inspect_cpus(struct inspection *in)
{
    if (!collection_find(in->files, "cpuid"))
        note(in, "the collection has no CPUID");
    features(in);
    mitigations(in);
    cores(in);
    caches(in);
    tsc(in);
}
