/* Commands of the control channel. */
#include <stdio.h>
#include <string.h>

#include "dm.h"

static void say_status(struct vm *vm, char *answer, size_t size)
{
    uint64_t served;
    pthread_mutex_lock(&vm->lock);
    served = vm->served;
    pthread_mutex_unlock(&vm->lock);
    if (vm->state == VM_OFF)
        snprintf(answer, size, "ok %s: off\n", vm->options.name);
    else
        snprintf(answer, size, "ok %s: %s, vmid %u, %u vCPUs, %llu MiB, %llu requests served\n",
                 vm->options.name, vm_state_name(vm), vm->vmid, vm->vcpu_count,
                 (unsigned long long)vm->options.memory >> 20, (unsigned long long)served);
}

enum control_result control_command(struct vm *vm, const char *line, char *answer, size_t size)
{
    static const struct {
        const char *word;
        int (*action)(struct vm *vm);
    } commands[] = {
        {"pause", vm_pause},
        {"reset", vm_reset},
        {"stop", vm_destroy},
        {"start", vm_create},
    };
    if (strcmp(line, "status") == 0) {
        say_status(vm, answer, size);
        return CONTROL_GO_ON;
    }
    if (strcmp(line, "quit") == 0) {
        snprintf(answer, size, "ok %s: quits\n", vm->options.name);
        return CONTROL_QUIT;
    }
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(line, commands[i].word) != 0)
            continue;
        if (commands[i].action(vm) == 0)
            say_status(vm, answer, size);
        else
            snprintf(answer, size, "error %s: %s failed; it is %s\n", vm->options.name, line,
                     vm_state_name(vm));
        return CONTROL_GO_ON;
    }
    snprintf(answer, size,
             "error: there is no command '%.40s'; choose one of: status, pause, reset, stop, start, quit\n",
             line);
    return CONTROL_GO_ON;
}
