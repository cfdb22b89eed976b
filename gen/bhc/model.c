#include "model.h"

#include <string.h>

const char *const feature_names[] = {
    "svm",    "npt",
    "vmx",    "ept",
    "page1g", "nx",
    "x2apic", "tsc-deadline",
    "xsave",  "smep",
    "smap",   "rdtscp",
    "nrips",  "decode-assists",
    "vpid",   "unrestricted-guest",
    NULL,
};

const char *const quirk_names[] = {
    "virq-cr8-abort",
    "vmexit-invalid-32",
    "exitintinfo-type3",
    "shadow-not-loaded",
    "no-xsetbv-exit",
    "ioio-no-string-info",
    "npf-rsv-no-p",
    "if0-no-extint-exit",
    "nmi-block-stuck",
    "vmexit-drops-intr",
    NULL,
};

u32 module_index(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->module_count; i++) {
        if (strcmp(s->modules[i].name, name) == 0)
            return (u32)i;
    }
    return NO_INDEX;
}

u32 vm_index(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->vm_count; i++) {
        if (strcmp(s->vms[i].name, name) == 0)
            return (u32)i;
    }
    return NO_INDEX;
}

bool name_known(const char *const *names, const char *name)
{
    for (; *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

const char *names_text(const char *const *names)
{
    const char *text = names[0];

    for (size_t i = 1; names[i]; i++)
        text = arena_printf("%s, %s", text, names[i]);
    return text;
}
