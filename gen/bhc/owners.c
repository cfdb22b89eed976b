#include "owners.h"

#include <stdlib.h>
#include <string.h>

static int compare_given(const void *a, const void *b)
{
    const struct given *x = a, *y = b;

    if (x->device->bdf != y->device->bdf)
        return x->device->bdf < y->device->bdf ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void owners_sort(struct scenario *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->vm_count; i++)
        s->given_count += s->vms[i].device_count;
    s->given = arena_alloc(s->given_count, sizeof(*s->given));
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].device_count; j++) {
            s->given[n] = (struct given){&s->vms[i], &s->vms[i].devices[j], n};
            n++;
        }
    }
    if (n > 0)
        qsort(s->given, n, sizeof(*s->given), compare_given);
}

const struct uart *console_uart(const struct config *c)
{
    for (size_t i = 0; i < c->board.uart_count; i++) {
        if (strcmp(c->board.uarts[i].name, c->scenario.hv.console_uart) == 0)
            return &c->board.uarts[i];
    }
    return NULL;
}

struct owners owners_of(const struct config *c)
{
    const struct uart *console = console_uart(c);

    return (struct owners){
        .s = &c->scenario,
        .service = service_vm(&c->scenario),
        .console_on_pci = console && console->on_pci,
        .console = console ? console->pci.bdf : 0,
    };
}

/* The first given device with that address, or NULL. */
static const struct given *find_given(const struct scenario *s, u16 bdf)
{
    size_t low = 0, high = s->given_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->given[middle].device->bdf < bdf)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->given_count && s->given[low].device->bdf == bdf ? &s->given[low] : NULL;
}

struct owner owner_of(const struct owners *o, u16 bdf)
{
    const struct given *g = find_given(o->s, bdf);

    if (g)
        return (struct owner){OWNER_VM, g->vm, g->device};
    if (o->console_on_pci && o->console == bdf)
        return (struct owner){.kind = OWNER_HYPERVISOR};
    if (o->service)
        return (struct owner){.kind = OWNER_VM, .vm = o->service};
    return (struct owner){.kind = OWNER_NOBODY};
}

bool owner_same(const struct owner *a, const struct owner *b)
{
    return a->kind == b->kind && a->vm == b->vm;
}

const char *owner_text(const struct owner *o)
{
    if (o->kind == OWNER_NOBODY)
        return "nobody";
    if (o->kind == OWNER_HYPERVISOR)
        return "the hypervisor's console";
    if (!o->device)
        return arena_printf("service vm '%s', which owns what nobody is given (line %ld)", o->vm->name,
                            o->vm->at.line);
    return arena_printf("%s '%s' (line %ld)", o->vm->kind == KIND_USER ? "user slot" : "vm", o->vm->name,
                        o->device->at.line);
}

const char *grant_text(const struct vm *vm)
{
    return vm->kind == KIND_USER ? arena_printf("user slot '%s' may be given", vm->name)
                                 : arena_printf("vm '%s' is given", vm->name);
}

struct share share_function(const struct owners *o, u64 key, const struct pci_function *f,
                            const struct pci_bar *bar)
{
    struct share s = {.key = key, .owner = owner_of(o, f->bdf), .f = f, .bar = bar};

    s.given = s.owner.device != NULL;
    s.at = s.given ? s.owner.device->at : f->at;
    return s;
}

struct ordered {
    const struct share *share;
    size_t order;
};

static int compare_shares(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;

    if (x->share->key != y->share->key)
        return x->share->key < y->share->key ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/*
 * The shares of one key. Those of another owner than the first that counts are reported with it; when only
 * the first one's owner is given any, it is reported with the first of another owner.
 */
static void check_run(const struct rule *rule, const struct config *c, const struct ordered *run,
                      size_t count, bool nobody_too, share_report report)
{
    const struct share *first = NULL, *given = NULL, *other = NULL;
    bool reported = false;

    for (size_t i = 0; i < count; i++) {
        const struct share *s = run[i].share;

        if (s->owner.kind == OWNER_NOBODY && !nobody_too)
            continue;
        if (!first)
            first = s;
        if (owner_same(&s->owner, &first->owner)) {
            given = given || !s->given ? given : s;
        } else if (s->given) {
            report(rule, c, s, first);
            reported = true;
        } else if (!other) {
            other = s;
        }
    }
    if (!reported && given && other)
        report(rule, c, given, other);
}

void shares_check(const struct rule *rule, const struct config *c, struct share *shares, size_t count,
                  bool nobody_too, share_report report)
{
    struct ordered *sorted = arena_alloc(count, sizeof(*sorted));
    bool ascending = true;

    for (size_t i = 0; i < count; i++) {
        sorted[i] = (struct ordered){&shares[i], i};
        ascending = ascending && (i == 0 || shares[i - 1].key <= shares[i].key);
    }
    if (!ascending)
        qsort(sorted, count, sizeof(*sorted), compare_shares);
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && sorted[end].share->key == sorted[begin].share->key;)
            end++;
        check_run(rule, c, &sorted[begin], end - begin, nobody_too, report);
    }
}
