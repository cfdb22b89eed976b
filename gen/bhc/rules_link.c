/* Rules about what joins VMs: connections between vUARTs and shared memory. */
#include "rules.h"

#include <inttypes.h>
#include <string.h>

/* The VM of that name, or NULL. */
static const struct vm *find_vm(const struct scenario *s, const char *name)
{
    u32 index = vm_index(s, name);

    return index == NO_INDEX ? NULL : &s->vms[index];
}

/* The connections that rules look at: none where LNK-009 finds too many. */
static size_t links(const struct scenario *s)
{
    return s->link_count <= MAX_LINKS ? s->link_count : 0;
}

RULE(link_count)
{
    const struct scenario *s = &config->scenario;

    if (s->link_count > MAX_LINKS)
        MISTAKE(
            s->links[MAX_LINKS].at,
            "the scenario has %zu connections, but %d VMs of %d vUARTs have ends for %d at most; remove some",
            s->link_count, MAX_VMS, MAX_VUARTS, MAX_LINKS);
}

RULE(link_two_ends)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < links(s); i++) {
        if (s->links[i].end_count != 2)
            MISTAKE(
                s->links[i].at,
                "the connection names %zu <end>, but joins exactly two vUARTs; give it two <end vm=\"...\" "
                "port=\"...\"/>, and further pairs a <connection> of their own",
                s->links[i].end_count);
    }
}

RULE(link_vm_exists)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < links(s); i++) {
        for (size_t j = 0; j < s->links[i].end_count; j++) {
            const struct link_end *end = &s->links[i].ends[j];

            if (!find_vm(s, end->vm))
                MISTAKE(end->at,
                        "the connection (line %ld) ends at vm '%s', but there is no such VM; correct the "
                        "name or remove the connection",
                        s->links[i].at.line, end->vm);
        }
    }
}

/* "0x2f8, 0x3e8", or "none" */
static const char *port_list(const struct vm *vm)
{
    const char *text = "none";

    for (size_t i = 0; i < vm->vuart_count && i < 16; i++)
        text = arena_printf("%s%s0x%x", i > 0 ? text : "", i > 0 ? ", " : "", (unsigned)vm->vuarts[i].port);
    return text;
}

RULE(link_port_exists)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < links(s); i++) {
        for (size_t j = 0; j < s->links[i].end_count; j++) {
            const struct link_end *end = &s->links[i].ends[j];
            const struct vm *vm = find_vm(s, end->vm);

            if (vm && !vuart_find(vm, end->port))
                MISTAKE(end->at,
                        "the connection (line %ld) ends at port 0x%x of vm '%s' (line %ld), which has no "
                        "vUART there (it has: %s); add <vuart port=\"0x%x\" irq=\"...\"/> to the VM or "
                        "correct the port",
                        s->links[i].at.line, (unsigned)end->port, vm->name, vm->at.line, port_list(vm),
                        (unsigned)end->port);
        }
    }
}

RULE(shm_vm_exists)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        for (size_t j = 0; j < s->shms[i].user_count; j++) {
            const struct shm_user *user = &s->shms[i].users[j];

            if (!find_vm(s, user->vm))
                MISTAKE(user->at,
                        "shared memory '%s' (line %ld) is for vm '%s', but there is no such VM; correct the "
                        "name or remove the <user>",
                        s->shms[i].name, s->shms[i].at.line, user->vm);
        }
    }
}

RULE(shm_size)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        u64 size = s->shms[i].size;

        if (size < PAGE_SIZE || (size & (size - 1)) != 0)
            MISTAKE(
                s->shms[i].at,
                "shared memory '%s' has size %s, which is not a power of two from 4K on; use 4K, 64K or 2M, "
                "for example",
                s->shms[i].name, size_text(size));
    }
}

RULE(link_two_vms)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < links(s); i++) {
        const struct link *link = &s->links[i];

        if (link->end_count == 2 && find_vm(s, link->ends[0].vm) &&
            strcmp(link->ends[0].vm, link->ends[1].vm) == 0)
            MISTAKE(
                link->ends[1].at,
                "the connection (line %ld) joins vm '%s', port 0x%x, to itself, port 0x%x; name another VM "
                "or remove the connection",
                link->at.line, link->ends[0].vm, (unsigned)link->ends[0].port, (unsigned)link->ends[1].port);
    }
}

/* For each vUART of all VMs, in the order of the file, the connection that joins it. */
struct joints {
    const struct link **of; /* NULL: none */
    size_t *first;          /* index in it of each VM's first vUART */
};

/* rule, which may be NULL, hears of vUARTs that two connections join. */
static struct joints find_joints(const struct rule *rule, const struct scenario *s)
{
    struct joints joints = {.first = arena_alloc(s->vm_count, sizeof(*joints.first))};
    size_t total = 0;

    for (size_t i = 0; i < s->vm_count; i++) {
        joints.first[i] = total;
        total += s->vms[i].vuart_count;
    }
    /* Pointers. NOLINTNEXTLINE(bugprone-sizeof-expression) */
    joints.of = arena_alloc(total, sizeof(*joints.of));
    for (size_t i = 0; i < links(s); i++) {
        const struct link *link = &s->links[i];

        for (size_t j = 0; j < link->end_count; j++) {
            const struct link_end *end = &link->ends[j];
            const struct vm *vm = find_vm(s, end->vm);
            const struct vm_vuart *uart = vm ? vuart_find(vm, end->port) : NULL;
            const struct link **joint =
                uart ? &joints.of[joints.first[vm - s->vms] + (size_t)(uart - vm->vuarts)] : NULL;

            if (joint && *joint && *joint != link && rule)
                MISTAKE(end->at,
                        "vUART 0x%x of vm '%s' is an end of this connection (line %ld) and of that in line "
                        "%ld, but joins one other only; give the VM another <vuart> for it",
                        (unsigned)end->port, vm->name, link->at.line, (*joint)->at.line);
            else if (joint)
                *joint = link;
        }
    }
    return joints;
}

RULE(link_vuart_once)
{
    find_joints(rule, &config->scenario);
}

RULE(link_not_console)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < links(s); i++) {
        for (size_t j = 0; j < s->links[i].end_count; j++) {
            const struct link_end *end = &s->links[i].ends[j];
            const struct vm *vm = find_vm(s, end->vm);
            const struct vm_vuart *uart = vm ? vuart_find(vm, end->port) : NULL;

            if (uart && uart->console)
                MISTAKE(end->at,
                        "the connection (line %ld) ends at vUART 0x%x of vm '%s', which is the VM's console "
                        "(line %ld); give the VM a second <vuart> for the connection",
                        s->links[i].at.line, (unsigned)end->port, vm->name, uart->at.line);
        }
    }
}

static bool has_console(const struct vm *vm)
{
    for (size_t i = 0; i < vm->vuart_count; i++) {
        if (vm->vuarts[i].console)
            return true;
    }
    return false;
}

/* vUARTs, other than consoles, that no connection joins: of user slots, or of other VMs. */
static void check_loose(const struct rule *rule, const struct scenario *s, bool user, const char *why)
{
    struct joints joints = find_joints(NULL, s);

    for (size_t i = 0; i < s->vm_count && s->link_count <= MAX_LINKS; i++) {
        const struct vm *vm = &s->vms[i];

        /* Where CON-002 misses a console or UART-004 finds too many vUARTs, this is not the VM's trouble. */
        if (user != (vm->kind == KIND_USER) || (!user && !has_console(vm)) || vm->vuart_count > MAX_VUARTS)
            continue;
        for (size_t j = 0; j < vm->vuart_count; j++) {
            if (!vm->vuarts[j].console && !joints.of[joints.first[i] + j])
                MISTAKE(vm->vuarts[j].at,
                        "vm '%s' (line %ld) has a vUART at port 0x%x that no connection joins, %s; add a "
                        "<connection> that ends there or remove it",
                        vm->name, vm->at.line, (unsigned)vm->vuarts[j].port, why);
        }
    }
}

RULE(link_vuart_heard)
{
    check_loose(rule, &config->scenario, false, "so that nobody hears what is sent there");
}

RULE(link_vuart_of_slot)
{
    check_loose(rule, &config->scenario, true,
                "but a user slot has none of its own: what else its VM sees is its device model's");
}

RULE(shm_user_once)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        const struct shm *m = &s->shms[i];
        const struct shm_user **of = arena_alloc(s->vm_count, sizeof(struct shm_user *));

        for (size_t j = 0; j < m->user_count; j++) {
            u32 vm = vm_index(s, m->users[j].vm);

            if (vm == NO_INDEX)
                continue;
            if (of[vm])
                MISTAKE(m->users[j].at,
                        "shared memory '%s' (line %ld) is for vm '%s' twice (line %ld); name each VM once",
                        m->name, m->at.line, m->users[j].vm, of[vm]->at.line);
            else
                of[vm] = &m->users[j];
        }
    }
}

RULE(shm_count)
{
    const struct scenario *s = &config->scenario;

    if (s->shm_count > MAX_SHMS)
        MISTAKE(s->shms[MAX_SHMS].at,
                "the scenario has %zu shared memories, but at most %d are supported; remove some",
                s->shm_count, MAX_SHMS);
}

RULE(shm_ids_unique)
{
    const struct scenario *s = &config->scenario;

    /* SHM-007 reports more. */
    for (size_t i = 0; i < MIN(s->shm_count, MAX_SHMS); i++) {
        for (size_t j = 0; j < i; j++) {
            if (s->shms[i].id != s->shms[j].id)
                continue;
            MISTAKE(s->shms[i].at,
                    "shared memory '%s' has id %" PRIu64
                    ", which shared memory '%s' has too (line %ld); give each its own",
                    s->shms[i].name, s->shms[i].id, s->shms[j].name, s->shms[j].at.line);
            break;
        }
    }
}

RULE(shm_names_unique)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < MIN(s->shm_count, MAX_SHMS); i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->shms[i].name, s->shms[j].name) != 0)
                continue;
            MISTAKE(s->shms[i].at, "shared memory name '%s' is used twice (line %ld); give each its own",
                    s->shms[i].name, s->shms[j].at.line);
            break;
        }
    }
}

RULE(shm_name_form)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        if (!well_named(s->shms[i].name, MAX_NAME, "-_", true))
            MISTAKE(s->shms[i].at,
                    "shared memory name '%s' is not 1 to %d letters, digits, '-' or '_' with a letter first; "
                    "choose another",
                    s->shms[i].name, MAX_NAME);
    }
}

RULE(shm_shared)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        if (s->shms[i].user_count < 2)
            MISTAKE(
                s->shms[i].at,
                "shared memory '%s' of %s has %zu user%s, so nothing is shared; add a <user vm=\"...\"/> or "
                "remove it",
                s->shms[i].name, size_text(s->shms[i].size), s->shms[i].user_count,
                s->shms[i].user_count == 1 ? "" : "s");
    }
}

RULE(shm_written)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->shm_count; i++) {
        bool written = s->shms[i].user_count == 0; /* SHM-008 reports it */

        for (size_t j = 0; j < s->shms[i].user_count; j++)
            written = written || s->shms[i].users[j].writable;
        if (!written)
            MISTAKE(
                s->shms[i].at,
                "shared memory '%s' is read-only for all its users, the first being vm '%s' (line %ld), so "
                "it stays empty; give one access=\"read-write\"",
                s->shms[i].name, s->shms[i].users[0].vm, s->shms[i].users[0].at.line);
    }
}
