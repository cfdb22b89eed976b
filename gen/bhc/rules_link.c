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

RULE(link_two_ends)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->link_count; i++) {
        if (s->links[i].end_count != 2)
            MISTAKE(s->links[i].at,
                    "the connection has %zu ends, but joins two vUARTs; give it two <end vm=\"...\" "
                    "port=\"...\"/>, and further pairs a <connection> of their own",
                    s->links[i].end_count);
    }
}

RULE(link_vm_exists)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->link_count; i++) {
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

    for (size_t i = 0; i < s->link_count; i++) {
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
            MISTAKE(s->shms[i].at,
                    "shared memory '%s' has size %s, which is not a power of two from 4K on; use 4K, 64K or 2M, "
                    "for example",
                    s->shms[i].name, size_text(size));
    }
}
