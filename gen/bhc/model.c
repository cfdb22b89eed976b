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

const char *const mitigation_names[] = {"l1d-flush", "mds-clear", NULL};

const char *const quirk_names[] = {
    "virq-cr8-abort",  "vmexit-invalid-32",   "exitintinfo-type3", "shadow-not-loaded",
    "no-xsetbv-exit",  "ioio-no-string-info", "npf-rsv-no-p",      "if0-no-extint-exit",
    "nmi-block-stuck", "vmexit-drops-intr",   "xsavec-size",       NULL,
};

const char *const kind_names[KIND_COUNT] = {"pre-launched", "service", "user"};

const char *const flag_names[] = {"rt", "hypercall", "polling", "lapic-passthrough", "secure-world", NULL};

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

const struct vm *service_vm(const struct scenario *s)
{
    for (size_t i = 0; i < s->vm_count; i++) {
        if (s->vms[i].kind == KIND_SERVICE)
            return &s->vms[i];
    }
    return NULL;
}

size_t user_vm_count(const struct scenario *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->vm_count; i++)
        count += s->vms[i].kind == KIND_USER;
    return count;
}

const struct pci_function *pci_find(const struct board *b, u16 bdf)
{
    size_t low = 0, high = b->pci_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (b->pci_sorted[middle]->bdf < bdf)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->pci_count && b->pci_sorted[low]->bdf == bdf ? b->pci_sorted[low] : NULL;
}

const struct ioapic *ioapic_of(const struct board *b, u32 gsi)
{
    /* Ids have eight bits: more I/O APICs than that are a mistake, and rules must not try all with all. */
    for (size_t i = 0; i < b->ioapic_count && i <= UINT8_MAX; i++) {
        if (gsi >= b->ioapics[i].gsi_base && gsi - b->ioapics[i].gsi_base < b->ioapics[i].pins)
            return &b->ioapics[i];
    }
    return NULL;
}

struct vm_vuart *vuart_find(const struct vm *vm, u16 port)
{
    for (size_t i = 0; i < vm->vuart_count; i++) {
        if (vm->vuarts[i].port == port)
            return &vm->vuarts[i];
    }
    return NULL;
}

void complete(struct config *c)
{
    struct scenario *s = &c->scenario;
    const struct vm *service = service_vm(s);
    struct vm *vm;
    u64 taken = 0;

    if (!service || service->has_cpus)
        return;
    vm = &s->vms[service - s->vms];
    for (size_t i = 0; i < s->vm_count; i++) {
        for (size_t j = 0; j < s->vms[i].cpu_count && s->vms[i].kind == KIND_PRELAUNCHED; j++) {
            if (s->vms[i].cpus[j].id < MAX_PCPUS)
                taken |= BIT64(s->vms[i].cpus[j].id);
        }
    }
    vm->cpus = arena_alloc(MAX_PCPUS, sizeof(*vm->cpus));
    for (u64 id = 0; id < MIN(c->board.core_count, MAX_PCPUS); id++) {
        if (!(taken & BIT64(id)))
            vm->cpus[vm->cpu_count++] = (struct vm_cpu){vm->at, id};
    }
    vm->vcpu_count = vm->cpu_count;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at;

    if (c >= 'A' && c <= 'F')
        c = (char)(c - 'A' + 'a');
    at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* 8-4-4-4-12 hexadecimal digits (RFC 4122 section 3). */
static bool uuid_bytes(const char *key, u8 out[KEY_BYTES])
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t digits = 0;

    if (strlen(key) != sizeof(form) - 1)
        return false;
    memset(out, 0, KEY_BYTES);
    for (size_t i = 0; form[i]; i++) {
        int value = form[i] == 'x' ? hex_digit(key[i]) : 0;

        if (value < 0 || (form[i] == '-' && key[i] != '-'))
            return false;
        if (form[i] == 'x') {
            out[digits / 2] = (u8)(out[digits / 2] << 4 | value);
            digits++;
        }
    }
    return true;
}

bool key_bytes(const char *key, u8 out[KEY_BYTES])
{
    size_t len = strlen(key);

    if (uuid_bytes(key, out))
        return true;
    memset(out, 0, KEY_BYTES);
    if (len == 0 || len > MAX_KEY_NAME)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (u8)key[i];
    return true;
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
