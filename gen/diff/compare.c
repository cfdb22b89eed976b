#include "compare.h"

#include <string.h>

#include "changes.h"

/* What follows from something else that is compared, or has no effect on the target. */
static const char *const derived[] = {"first-vcpu",   "first-pcpu",    "first-mem",      "first-vuart",
                                      "first-device", "first-s2-page", "s2-pages",       "first-bar",
                                      "bars",         "key-bytes",     "first-shm-user", "shm-users",
                                      "pcpus",        "mems",          "vuarts",         "devices",
                                      "peer",         "bdf",           "virtual-bdf"};
/* Compared in words of their own, or not at all. */
static const char *const apart[] = {"vm", "pcpu", "mem", "device", "sizes", "warning", "versions", "input"};

static bool listed(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *quoted(const char *text)
{
    return *text ? text : "\"\"";
}

/* "vuart 0x3f8", or "boot" where there is only one */
static const char *title(const struct item *n)
{
    return *n->id && strcmp(n->id, "0") != 0 ? arena_printf("%s %s", n->name, n->id) : n->name;
}

static void compare_props(const char *subject, const struct item *a, const struct item *b)
{
    for (size_t i = 0; i < a->fact_count; i++) {
        const char *name = a->facts[i].name, *before = a->facts[i].value, *after = item_fact(b, name);

        if (listed(derived, ARRAY_SIZE(derived), name) || same_text(before, after))
            continue;
        if (after)
            change(subject, before, after, "%s: %s is %s instead of %s", subject, name, quoted(after),
                   quoted(before));
        else
            change(subject, before, NULL, "%s: %s is no longer given (it was %s)", subject, name,
                   quoted(before));
    }
    for (size_t i = 0; i < b->fact_count; i++) {
        const char *name = b->facts[i].name;

        if (!listed(derived, ARRAY_SIZE(derived), name) && !item_fact(a, name))
            change(subject, NULL, b->facts[i].value, "%s: %s is %s, which was not given before", subject,
                   name, quoted(b->facts[i].value));
    }
}

/* All that the manifest says of a thing, for what is new or gone. */
static const char *summary(const struct item *n)
{
    const char *text = "";

    for (size_t i = 0; i < n->fact_count; i++) {
        const struct fact *p = &n->facts[i];

        if (!listed(derived, ARRAY_SIZE(derived), p->name) && *p->value && strcmp(p->value, n->id) != 0)
            text = arena_printf("%s%s%s %s", text, *text ? ", " : "", p->name, p->value);
    }
    return text;
}

/* Recursion is bounded by the manifest's depth (manifest.h). NOLINTNEXTLINE(misc-no-recursion) */
static void compare_items(const char *subject, const struct item *a, const struct item *b)
{
    compare_props(subject, a, b);
    for (size_t i = 0; i < a->child_count; i++) {
        const struct item *x = &a->children[i], *y = item_child(b, x->name, x->id);

        if (listed(apart, ARRAY_SIZE(apart), x->name))
            continue;
        if (y)
            compare_items(arena_printf("%s, %s", subject, title(x)), x, y);
        else
            change(subject, title(x), NULL, "%s loses %s%s%s%s", subject, title(x), *summary(x) ? " (" : "",
                   summary(x), *summary(x) ? ")" : "");
    }
    for (size_t i = 0; i < b->child_count; i++) {
        const struct item *y = &b->children[i];

        if (!listed(apart, ARRAY_SIZE(apart), y->name) && !item_child(a, y->name, y->id))
            change(subject, NULL, title(y), "%s gains %s%s%s%s", subject, title(y), *summary(y) ? " (" : "",
                   summary(y), *summary(y) ? ")" : "");
    }
}

/* ---- who has what
 * ------------------------------------------------------------------------------------------ */

static bool is_slot(const struct item *vm)
{
    return same_text(item_fact(vm, "kind"), "user");
}

/* "vm rt0", "user slot uvm0" */
static const char *vm_title(const struct item *vm)
{
    return arena_printf("%s %s", is_slot(vm) ? "user slot" : "vm", vm->id);
}

/* The VM, user slots left out, that has the thing of that name and id; NULL: nobody. */
static const struct item *owner(const struct item *scenario, const char *thing, const char *id)
{
    for (size_t i = 0; i < scenario->child_count; i++) {
        const struct item *vm = &scenario->children[i];

        if (strcmp(vm->name, "vm") == 0 && !is_slot(vm) && item_child(vm, thing, id))
            return vm;
    }
    return NULL;
}

/* CPUs and devices: in terms of who gives and who takes. word: "CPU", "device". */
static void compare_owned(const struct item *a, const struct item *b, const struct item *x,
                          const struct item *y, const char *thing, const char *word)
{
    for (size_t i = 0; x && i < x->child_count; i++) {
        const struct item *t = &x->children[i], *now;

        if (strcmp(t->name, thing) != 0 || (y && item_child(y, thing, t->id)))
            continue;
        now = owner(b, thing, t->id);
        if (is_slot(x))
            change(vm_title(x), t->id, NULL, "%s may no longer use %s %s", vm_title(x), word, t->id);
        else if (now)
            change(vm_title(x), t->id, NULL, "%s loses %s %s to %s", vm_title(x), word, t->id, now->id);
        else
            change(vm_title(x), t->id, NULL, "%s loses %s %s; no VM has it now", vm_title(x), word, t->id);
    }
    for (size_t i = 0; y && i < y->child_count; i++) {
        const struct item *t = &y->children[i];

        if (strcmp(t->name, thing) != 0 || (x && item_child(x, thing, t->id)))
            continue;
        if (is_slot(y))
            change(vm_title(y), NULL, t->id, "%s may use %s %s", vm_title(y), word, t->id);
        else if (!owner(a, thing, t->id))
            change(vm_title(y), NULL, t->id, "%s gains %s %s, which no VM had", vm_title(y), word, t->id);
    }
}

/* "0x0+256M at 0x40000000, ..." */
static const char *memory_text(const struct item *vm)
{
    const char *text = "";

    for (size_t i = 0; vm && i < vm->child_count; i++) {
        const struct item *m = &vm->children[i];

        if (strcmp(m->name, "mem") == 0)
            text = arena_printf("%s%s%s at host %s (guest %s)", text, *text ? ", " : "", item_fact(m, "size"),
                                item_fact(m, "hpa"), item_fact(m, "gpa"));
    }
    return text;
}

static void compare_memory(const struct item *x, const struct item *y)
{
    const char *before = memory_text(x), *after = memory_text(y);

    if (strcmp(before, after) != 0)
        change(vm_title(y), before, after, "%s: RAM is %s instead of %s", vm_title(y),
               *after ? after : "none", *before ? before : "none");
}

/* The VM of that name, or of that key under another name. */
static const struct item *same_vm(const struct item *scenario, const struct item *vm)
{
    const struct item *found = item_child(scenario, "vm", vm->id);
    const char *key = item_fact(vm, "key");

    for (size_t i = 0; !found && key && *key && i < scenario->child_count; i++) {
        const struct item *other = &scenario->children[i];

        if (strcmp(other->name, "vm") == 0 && same_text(item_fact(other, "key"), key))
            found = other;
    }
    return found;
}

/* Devices that are the same are compared in themselves: address in the VM, interrupt, BARs. */
static void compare_devices(const struct item *x, const struct item *y)
{
    for (size_t i = 0; i < x->child_count; i++) {
        const struct item *d = &x->children[i];
        const struct item *other = strcmp(d->name, "device") == 0 ? item_child(y, "device", d->id) : NULL;

        if (other)
            compare_items(arena_printf("%s, device %s", vm_title(y), d->id), d, other);
    }
}

static void compare_vms(const struct item *a, const struct item *b)
{
    for (size_t i = 0; i < a->child_count; i++) {
        const struct item *x = &a->children[i], *y;

        if (strcmp(x->name, "vm") != 0)
            continue;
        y = same_vm(b, x);
        if (!y)
            change(vm_title(x), x->id, NULL, "%s is gone", vm_title(x));
        compare_owned(a, b, x, y, "pcpu", "CPU");
        compare_owned(a, b, x, y, "device", "device");
        if (!y)
            continue;
        compare_memory(x, y);
        compare_devices(x, y);
        compare_items(vm_title(y), x, y);
    }
    for (size_t i = 0; i < b->child_count; i++) {
        const struct item *y = &b->children[i];

        if (strcmp(y->name, "vm") != 0 || same_vm(a, y))
            continue;
        change(vm_title(y), NULL, y->id, "%s is new: %s, %s vCPUs%s%s", vm_title(y), item_fact(y, "kind"),
               item_fact(y, "vcpus"), *memory_text(y) ? ", RAM " : "", memory_text(y));
        compare_owned(a, b, NULL, y, "pcpu", "CPU");
        compare_owned(a, b, NULL, y, "device", "device");
    }
}

static void compare_systems(const struct item *a, const struct item *b)
{
    const struct item *board_a = item_child(a, "board", NULL), *board_b = item_child(b, "board", NULL);
    const struct item *scenario_a = item_child(a, "scenario", NULL),
                      *scenario_b = item_child(b, "scenario", NULL);

    compare_items("board", board_a, board_b);
    compare_vms(scenario_a, scenario_b);
    compare_items("scenario", scenario_a, scenario_b);
}

/* Files by their content. What they hold is what the image was made from: versions and places say no more. */
static void compare_files(const struct item *a, const struct item *b)
{
    for (size_t i = 0; i < a->child_count; i++) {
        const struct item *x = &a->children[i], *y;

        if (strcmp(x->name, "file") != 0)
            continue;
        y = item_child(b, "file", x->id);
        if (!y)
            change("image", x->id, NULL, "image loses file %s", x->id);
        else if (!same_text(item_fact(x, "sha256"), item_fact(y, "sha256")))
            change("image", item_fact(x, "sha256"), item_fact(y, "sha256"),
                   "image: %s %s has another content", item_fact(y, "kind") ? item_fact(y, "kind") : "file",
                   x->id);
    }
    for (size_t i = 0; i < b->child_count; i++) {
        const struct item *y = &b->children[i];

        if (strcmp(y->name, "file") == 0 && !item_child(a, "file", y->id))
            change("image", NULL, y->id, "image gains file %s", y->id);
    }
}

void compare(const struct item *a, const struct item *b)
{
    if (strcmp(a->name, b->name) != 0)
        cannot_run("one of the manifests is a hypervisor's, the other a disk image's; give two of a kind");
    if (strcmp(a->name, "image") == 0)
        compare_files(a, b);
    else
        compare_systems(a, b);
}
