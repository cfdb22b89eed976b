/* Rules about cache partitioning: classes of service of Intel's Cache Allocation Technology (SDM vol. 3B,
 * 17.19). */
#include "rules.h"

#include <inttypes.h>
#include <string.h>

RULE(class_vm_exists)
{
    const struct scenario *s = &config->scenario;

    for (size_t i = 0; i < s->class_count; i++) {
        for (size_t j = 0; j < s->classes[i].user_count; j++) {
            const struct vm_name *user = &s->classes[i].users[j];

            if (vm_index(s, user->vm) == NO_INDEX)
                MISTAKE(user->at,
                        "cache class %" PRIu64 " (line %ld) is for vm '%s', but there is no such VM; correct "
                        "the name or remove the <user>",
                        s->classes[i].id, s->classes[i].at.line, user->vm);
        }
    }
}
