/* Rules about the machine itself. */
#include "extents.h"
#include "rules.h"

#include <inttypes.h>
#include <string.h>

RULE(board_apic_ids_unique)
{
    const struct board *b = &config->board;

    /* BRD-002 reports more CPUs than these. */
    for (size_t i = 0; i < b->core_count && i < MAX_PCPUS; i++) {
        for (size_t j = 0; j < i; j++) {
            if (b->cores[i].apic_id == b->cores[j].apic_id) {
                MISTAKE(b->cores[i].at,
                        "CPU %zu has APIC id %" PRIu32
                        ", which CPU %zu has too; give each CPU the id that the machine reports",
                        i, b->cores[i].apic_id, j);
                break;
            }
        }
    }
}

RULE(board_cpu_count)
{
    const struct board *b = &config->board;

    if (b->core_count > MAX_PCPUS)
        MISTAKE(
            b->cpu_at,
            "the board has %zu CPUs, but at most %d are supported; leave out the CPUs that no scenario needs",
            b->core_count, MAX_PCPUS);
}

RULE(board_extension_matches_vendor)
{
    const struct board *b = &config->board;
    const char *expected = strcmp(b->vendor, "amd") == 0 ? "svm" : "vmx";

    if (strcmp(b->extension, expected) != 0)
        MISTAKE(b->cpu_at,
                "extension '%s' does not go with vendor '%s'; write extension=\"%s\" or change the vendor",
                b->extension, b->vendor, expected);
}

static bool has_feature(const struct board *b, const char *name)
{
    for (size_t i = 0; i < b->feature_count; i++) {
        if (strcmp(b->features[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Where the list has the name, which it does have. */
static u32 name_place(const char *const *names, const char *name)
{
    u32 place = 0;

    while (strcmp(names[place], name) != 0)
        place++;
    return place;
}

/* Features and quirks alike: known, and named once. */
static void check_names(const struct rule *rule, const struct named *list, size_t count, const char *what,
                        const char *const *known)
{
    u64 seen = 0; /* bit n: known[n] */
    u32 known_at;

    for (size_t i = 0; i < count; i++) {
        if (!name_known(known, list[i].name)) {
            MISTAKE(list[i].at, "%s '%s' is not known; the known ones are %s", what, list[i].name,
                    names_text(known));
            continue;
        }
        known_at = name_place(known, list[i].name);
        if (seen & BIT64(known_at))
            MISTAKE(list[i].at, "%s '%s' is named twice; remove one", what, list[i].name);
        seen |= BIT64(known_at);
    }
}

RULE(board_features_known)
{
    check_names(rule, config->board.features, config->board.feature_count, "CPU feature", feature_names);
}

RULE(board_quirks_known)
{
    check_names(rule, config->board.quirks, config->board.quirk_count, "quirk", quirk_names);
}

RULE(board_features_for_extension)
{
    static const char *const svm[] = {"svm", "npt", "nx", NULL};
    static const char *const vmx[] = {"vmx", "ept", "unrestricted-guest", "nx", NULL};
    const struct board *b = &config->board;

    for (const char *const *need = strcmp(b->extension, "svm") == 0 ? svm : vmx; *need; need++) {
        if (!has_feature(b, *need))
            MISTAKE(b->cpu_at,
                    "extension '%s' needs CPU feature '%s', which features=\"...\" does not list; add it, or "
                    "use a machine that has it",
                    b->extension, *need);
    }
}

RULE(board_ram_ranges)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->ram_count; i++) {
        const struct region *r = &b->ram[i];

        if (r->size == 0)
            MISTAKE(r->at, "RAM at 0x%" PRIx64 " has size 0; give its size or remove it", r->base);
        else if (!range_sane(r->base, r->size))
            MISTAKE(r->at, "RAM %s reaches beyond 2^52, the end of physical addresses; correct base or size",
                    range_text(r->base, r->size));
        else if (!IS_ALIGNED(r->base | r->size, PAGE_SIZE))
            MISTAKE(r->at,
                    "RAM %s does not consist of whole 4 KiB pages; round base up and size down to multiples "
                    "of 0x1000",
                    range_text(r->base, r->size));
    }
}

RULE(board_ram_overlap)
{
    const struct board *b = &config->board;
    struct extents x = extents_of(b->ram, b->ram_count);
    struct overlap *pairs;
    size_t count = extents_overlaps(&x, &pairs);

    for (size_t i = 0; i < count; i++) {
        const struct region *r = &b->ram[pairs[i].later], *s = &b->ram[pairs[i].earlier];

        MISTAKE(r->at, "RAM %s overlaps RAM %s (line %ld); correct base or size",
                range_text(r->base, r->size), range_text(s->base, s->size), s->at.line);
    }
}

RULE(board_reserved_ranges)
{
    const struct board *b = &config->board;

    for (size_t i = 0; i < b->reserved_count; i++) {
        const struct region *r = &b->reserved[i];

        if (r->size == 0)
            MISTAKE(r->at, "reserved memory '%s' at 0x%" PRIx64 " has size 0; give its size or remove it",
                    r->what, r->base);
        else if (!range_sane(r->base, r->size))
            MISTAKE(r->at,
                    "reserved memory '%s' %s reaches beyond 2^52, the end of physical addresses; correct "
                    "base or size",
                    r->what, range_text(r->base, r->size));
    }
}

RULE(board_trampoline)
{
    const struct board *b = &config->board;
    struct range_set ram = board_ram(b);
    u64 page = b->trampoline;

    /* The page number is the vector of a SIPI, and firmware keeps its own data at the end of low RAM. */
    if (!IS_ALIGNED(page, PAGE_SIZE) || page == 0 || page >= KIB(640)) {
        MISTAKE(b->memory_at,
                "trampoline 0x%" PRIx64
                " is not a page between 0x1000 and 0x9f000; choose a free page there, such as 0x8000",
                page);
        return;
    }
    if (!ranges_contain(&ram, page, PAGE_SIZE)) {
        MISTAKE(b->memory_at, "trampoline 0x%" PRIx64 " does not lie in RAM; choose a page of low RAM", page);
        return;
    }
    for (size_t i = 0; i < b->reserved_count; i++) {
        const struct region *r = &b->reserved[i];

        if (range_sane(r->base, r->size) && ranges_meet(page, PAGE_SIZE, r->base, r->size))
            MISTAKE(b->memory_at,
                    "trampoline 0x%" PRIx64 " overlaps reserved memory '%s' %s; choose another page", page,
                    r->what, range_text(r->base, r->size));
    }
}

RULE(board_emulator_memory)
{
    const struct board *b = &config->board;
    struct range_set ram = board_ram(b);

    if (b->emulator.present && ranges_total(&ram) > b->emulator.memory_bytes)
        MISTAKE(b->emulator.at,
                "the emulator is given memory=\"%s\", but the board declares %s of RAM; raise memory or "
                "shorten <ram>",
                b->emulator.memory, size_text(ranges_total(&ram)));
}

/* Bochs 2.7 cannot be given more; it has no clock but the instructions that it executes. */
RULE(board_bochs)
{
    const struct board *b = &config->board;

    if (!b->emulator.present || strcmp(b->emulator.kind, "bochs") != 0)
        return;
    if (b->emulator.memory_bytes > GIB(1))
        MISTAKE(b->emulator.at, "Bochs is given memory=\"%s\"; it runs with at most 1G, give it less",
                b->emulator.memory);
    if (b->tsc_hz == 0)
        MISTAKE(b->emulator.at,
                "Bochs is told how many instructions a second has, which is the TSC's rate too; write "
                "<tsc hz=\"50000000\" .../> instead of calibrate");
}

RULE(board_mitigations_known)
{
    check_names(rule, config->board.mitigations, config->board.mitigation_count, "mitigation",
                mitigation_names);
}
