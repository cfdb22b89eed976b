/* The processors: <processors>, <caches>, and their text sections. */
#include "import.h"

#include <stdlib.h>
#include <string.h>

struct thread {
    struct core core;
    u64 pcpu;
    size_t order;
};

static struct thread *threads;
static size_t thread_count;

/* ACRN's words for CPUID bits, and ours. Where a file has no word of a group, its board inspector did not
 * look. */
static const struct {
    const char *theirs, *ours;
} features[] = {
    {"vmx", "vmx"},
    {"svm", "svm"},
    {"ept", "ept"},
    {"vmx_procbased_ctls2_vpid", "vpid"},
    {"unrestricted_guest", "unrestricted-guest"},
    {"npt", "npt"},
    {"execute_disable", "nx"},
    {"gbyte_pages", "page1g"},
    {"x2apic", "x2apic"},
    {"tsc_deadline", "tsc-deadline"},
    {"xsave", "xsave"},
    {"smep", "smep"},
    {"smap", "smap"},
    {"rdtscp_ia32_tsc_aux", "rdtscp"},
};

bool core_of_pcpu(u64 pcpu, u64 *index)
{
    for (size_t i = 0; i < thread_count; i++) {
        if (threads[i].pcpu == pcpu) {
            *index = i;
            return true;
        }
    }
    return false;
}

static void read_thread(xmlNode *n)
{
    const char *type = child_text(n, "core_type");
    u64 apic = 0, pcpu = thread_count;
    struct thread *t;

    if (!number_of(child(n, "apic_id"), UINT32_MAX, &apic)) {
        untranslated(at_node(n), "a <thread> without <apic_id>: it cannot be started");
        return;
    }
    number_of(child(n, "cpu_id"), UINT32_MAX, &pcpu);
    t = APPEND(threads, thread_count);
    *t = (struct thread){.core = {.at = at_node(n), .apic_id = (u32)apic}, .pcpu = pcpu};
    t->order = thread_count;
    if (strstr(type, "Atom"))
        t->core.efficient = true;
    else if (*type && !strstr(type, "Core") && strcmp(type, "Reserved") != 0)
        untranslated(at_node(n),
                     "<core_type> \"%s\" is neither Core nor Atom: the CPU is taken as a performance core",
                     shown(type));
}

/* Dies, modules and cores in whatever nesting, down to the threads. Depth is bounded by the parser. */
static void find_threads(xmlNode *n)
{
    static const char *const levels[] = {"die", "tile", "module", "core", "package"};

    for (xmlNode *c = n->children; c; c = c->next) {
        if (c->type != XML_ELEMENT_NODE)
            continue;
        if (strcmp(name_of(c), "thread") == 0) {
            mark_read(c);
            read_thread(c);
            continue;
        }
        for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
            if (strcmp(name_of(c), levels[i]) == 0) {
                mark_read(c);
                find_threads(c);
            }
        }
    }
}

static int by_pcpu(const void *a, const void *b)
{
    const struct thread *x = a, *y = b;

    return x->pcpu != y->pcpu ? (x->pcpu < y->pcpu ? -1 : 1) : x->order < y->order ? -1 : 1;
}

/* "0, 1, 2, 3": all that the oldest files say. */
static void threads_from_text(xmlNode *section)
{
    struct lines l = lines_of(section);
    char *line = next_line(&l), *rest = NULL;
    struct thread *t;
    u64 number;

    if (!line)
        return;
    for (char *word = strtok_r(line, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        if (!number_in(word, &number) || number > UINT16_MAX || thread_count >= MAX_PCPUS) {
            untranslated(l.at, "<CPU_PROCESSOR_INFO>: \"%s\" is not the number of a CPU", shown(word));
            continue;
        }
        t = APPEND(threads, thread_count);
        *t = (struct thread){.core = {.at = l.at, .apic_id = (u32)number}, .pcpu = number};
        t->order = thread_count;
    }
    if (thread_count > 0)
        guessed(l.at, "the file shows no APIC ids; each CPU's number was taken for its APIC id");
}

static void read_cores(xmlNode *root, xmlNode *processors, struct board *b)
{
    xmlNode *section = child(root, "CPU_PROCESSOR_INFO");

    if (processors)
        find_threads(processors);
    if (thread_count == 0 && section)
        threads_from_text(section);
    if (thread_count == 0) {
        MISTAKE(BOARD_LACKS, at_node(root),
                "the board file names no CPU (<processors> with <thread>); let ACRN's board inspector make "
                "it anew");
        return;
    }
    if (thread_count > MAX_PCPUS) {
        MISTAKE(BOARD_LACKS, threads[MAX_PCPUS].core.at,
                "the board file names %zu CPUs, but Bulkhead takes %d; remove some", thread_count, MAX_PCPUS);
        thread_count = MAX_PCPUS;
    }
    qsort(threads, thread_count, sizeof(*threads), by_pcpu);
    for (size_t i = 0; i < thread_count; i++) {
        *APPEND(b->cores, b->core_count) = threads[i].core;
        if (threads[i].pcpu != i)
            guessed(threads[i].core.at,
                    "CPU %llu is the board's number %zu: Bulkhead counts CPUs without gaps",
                    (unsigned long long)threads[i].pcpu, i);
    }
}

static bool has_capability(const xmlNode *model, const char *id)
{
    for (xmlNode *c = child(model, "capability"); c; c = next(c)) {
        const char *have = attribute(c, "id");

        if (have && strcmp(have, id) == 0)
            return true;
    }
    return false;
}

/* True when all models have it: mixed machines name one model for each sort of core. */
static bool all_models_have(const xmlNode *processors, const char *id)
{
    xmlNode *model = child(processors, "model");
    bool have = model != NULL;

    for (; model && have; model = next(model))
        have = has_capability(model, id);
    return have;
}

static void add_feature(struct board *b, const char *name)
{
    *APPEND(b->features, b->feature_count) = (struct named){b->cpu_at, name};
}

static bool has_feature(const struct board *b, const char *name)
{
    for (size_t i = 0; i < b->feature_count; i++) {
        if (strcmp(b->features[i].name, name) == 0)
            return true;
    }
    return false;
}

static void read_vendor(xmlNode *root, xmlNode *processors, struct board *b)
{
    xmlNode *model = child(processors, "model"), *brand = child(root, "CPU_BRAND");
    const char *name = model ? attribute(model, "description") : NULL, *text = text_of(brand);
    bool intel =
        (name && strstr(name, "Intel")) || strstr(text, "Intel") || all_models_have(processors, "vmx");
    bool amd = (name && strstr(name, "AMD")) || strstr(text, "AMD") || all_models_have(processors, "svm");

    b->cpu_at = model ? at_node(model) : brand ? at_node(brand) : at_node(root);
    if (!intel && !amd)
        guessed(b->cpu_at,
                "the file does not say who made the CPU; Intel was assumed, which is what ACRN runs on");
    b->vendor = amd && !intel ? "amd" : "intel";
    b->extension = amd && !intel ? "svm" : "vmx";
    b->description = name ? shown(name) : *text ? shown(text) : "imported from ACRN";
}

static void read_features(xmlNode *processors, struct board *b)
{
    static const char *const vmx[] = {"vmx", "ept", "unrestricted-guest", "nx"}, *const svm[] = {"svm", "npt",
                                                                                                 "nx"};
    bool amd = strcmp(b->vendor, "amd") == 0;
    const char *const *needed = amd ? svm : vmx;

    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        if (all_models_have(processors, features[i].theirs))
            add_feature(b, features[i].ours);
    }
    for (size_t i = 0; i < (amd ? ARRAY_SIZE(svm) : ARRAY_SIZE(vmx)); i++) {
        if (!has_feature(b, needed[i])) {
            guessed(b->cpu_at,
                    "the file does not show that the CPU has %s, which Bulkhead needs; the board says that "
                    "it has "
                    "(compared with CPUID at boot)",
                    needed[i]);
            add_feature(b, needed[i]);
        }
    }
    b->tsc_invariant = all_models_have(processors, "invariant_tsc");
    if (!b->tsc_invariant)
        guessed(b->cpu_at, "the file does not show an invariant TSC; <tsc invariant=\"no\"> was written");
    guessed(b->cpu_at, "the file does not give the TSC's rate; <tsc hz=\"calibrate\"> measures it at boot");
}

/* Both are done only where IA32_ARCH_CAPABILITIES does not say that the CPU needs neither. */
static void read_mitigations(xmlNode *processors, struct board *b)
{
    static const struct {
        const char *theirs, *ours;
    } known[] = {{"l1d_flush", "l1d-flush"}, {"md_clear", "mds-clear"}};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (!all_models_have(processors, known[i].theirs))
            continue;
        guessed(b->cpu_at,
                "the CPU can do %s: it is done at VM entry wherever the CPU does not deny the need",
                known[i].ours);
        *APPEND(b->mitigations, b->mitigation_count) = (struct named){b->cpu_at, known[i].ours};
    }
}

static const struct cache_alloc *cache_level(const struct board *b, u64 level)
{
    for (size_t i = 0; i < b->cache_count; i++) {
        if (b->caches[i].level == level)
            return &b->caches[i];
    }
    return NULL;
}

static void read_cache(xmlNode *cache, struct board *b)
{
    const char *level_text = attribute(cache, "level");
    u64 level, ways, classes;

    for (xmlNode *c = child(cache, "capability"); c; c = next(c)) {
        const char *id = attribute(c, "id");
        const struct cache_alloc *have;

        if (!id || strcmp(id, "CAT") != 0) {
            untranslated(at_node(c), "cache <capability id=\"%s\">: Bulkhead divides caches by ways only",
                         shown(id ? id : ""));
            continue;
        }
        if (!level_text || !number_in(level_text, &level) || level < 1 || level > 4 ||
            !number_of(child(c, "capacity_mask_length"), 64, &ways) ||
            !number_of(child(c, "clos_number"), 256, &classes)) {
            untranslated(at_node(c),
                         "<capability id=\"CAT\">: level, capacity_mask_length or clos_number is missing");
            continue;
        }
        have = cache_level(b, level);
        if (!have)
            *APPEND(b->caches, b->cache_count) = (struct cache_alloc){at_node(c), level, ways, classes};
        else if (have->ways != ways || have->classes != classes)
            untranslated(
                at_node(c),
                "this level %llu cache has other ways or classes than the one of line %ld: Bulkhead takes "
                "all caches of a level to be alike",
                (unsigned long long)level, have->at.line);
    }
}

/* "rdt resources supported: L2", "rdt resource clos max: 8", "rdt resource mask max: '0xfffff'". With several
 * resources each line has a list. */
static void caches_from_text(xmlNode *section, struct board *b)
{
    struct lines l = lines_of(section);
    u64 levels[8], classes[8] = {0}, masks[8] = {0};
    size_t count = 0;
    char *line, *rest = NULL;

    while ((line = next_line(&l))) {
        char *values = strchr(line, ':');
        size_t i = 0;

        for (char *w = values ? strtok_r(values + 1, ", '", &rest) : NULL; w && i < 8;
             w = strtok_r(NULL, ", '", &rest)) {
            if (strstr(line, "resources supported") && count < 8)
                levels[count++] = w[0] == 'L' && w[1] > '0' && w[1] < '5' ? (u64)(w[1] - '0') : 0;
            else if (!number_in(w, strstr(line, "mask max") ? &masks[i] : &classes[i]))
                untranslated(l.at, "<CLOS_INFO>: \"%s\" is not a number", shown(w));
            i++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (levels[i] == 0 || masks[i] == 0 || classes[i] == 0 || cache_level(b, levels[i]))
            continue;
        *APPEND(b->caches, b->cache_count) = (struct cache_alloc){
            at_node(section), levels[i], (u64)__builtin_popcountll(masks[i]), classes[i]};
    }
}

void import_cpus(xmlNode *root, struct board *b)
{
    xmlNode *processors = child(root, "processors"), *clos = child(root, "CLOS_INFO");

    read_cores(root, processors, b);
    read_vendor(root, processors, b);
    read_features(processors, b);
    read_mitigations(processors, b);
    for (xmlNode *c = child(child(root, "caches"), "cache"); c; c = next(c))
        read_cache(c, b);
    if (clos)
        caches_from_text(clos, b);
}
