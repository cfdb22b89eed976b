/* Virtual UARTs: consoles, and connections between VMs. */
#include "import.h"

#include <string.h>

static const struct {
    const char *number; /* in COM1_BASE, SERVICE_VM_COM1_BASE, SOS_COM1_BASE, "COM Port 1" */
    u16 port;
    u8 irq;
} com_ports[] = {{"1", 0x3f8, 4}, {"2", 0x2f8, 3}, {"3", 0x3e8, 5}, {"4", 0x2e8, 7}};

/* Interrupt lines that a PC's own devices leave free. */
static const u8 free_lines[] = {4, 3, 5, 7, 10, 11, 15, 14};

static struct vm_vuart *add_vuart(struct acrn_vm *v, struct where at, u16 port, u8 wanted, bool console)
{
    struct vm_vuart *u = APPEND(v->vm.vuarts, v->vm.vuart_count);
    u8 line = wanted;

    for (size_t i = 0; (v->irq_used & BIT32(line)) && i < ARRAY_SIZE(free_lines); i++)
        line = free_lines[i];
    v->irq_used |= BIT32(line);
    *u = (struct vm_vuart){.at = at, .port = port, .irq = line, .console = console};
    return u;
}

static u8 usual_line(u16 port)
{
    for (size_t i = 0; i < ARRAY_SIZE(com_ports); i++) {
        if (com_ports[i].port == port)
            return com_ports[i].irq;
    }
    return 10;
}

/* "0x2F8", COM2_BASE, SERVICE_VM_COM2_BASE, "COM Port 2". False: none of these, or switched off. */
static bool port_in(const char *text, u16 *port)
{
    const char *com = strstr(text, "COM");
    u64 number;

    if (number_in(text, &number) && number > 0 && number <= 0xfff8) {
        *port = (u16)number;
        return true;
    }
    com = com ? com + strcspn(com, "0123456789") : NULL;
    for (size_t i = 0; com && i < ARRAY_SIZE(com_ports); i++) {
        if (*com == *com_ports[i].number && strncmp(text, "INVALID", 7) != 0) {
            *port = com_ports[i].port;
            return true;
        }
    }
    return false;
}

static xmlNode *legacy_vuart(const struct acrn_vm *v, u64 id)
{
    for (xmlNode *n = child(v->node, "legacy_vuart"); n; n = next(n)) {
        const char *text = attribute(n, "id");
        u64 number;

        if (text && number_in(text, &number) && number == id)
            return n;
    }
    return NULL;
}

/* v2.7: <console_vuart id="0"> and <communication_vuart> are PCI devices. */
static void note_pci_vuarts(const struct acrn_vm *v)
{
    static const char *const names[] = {"console_vuart", "communication_vuart"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (xmlNode *n = child(v->node, names[i]); n; n = next(n)) {
            xmlNode *base = child(n, "base");

            if (base && strcmp(text_of(base), "INVALID_PCI_BASE") != 0)
                untranslated(at_node(n),
                             "<%s> %s of vm '%s': vUARTs are legacy ones at I/O ports, not PCI devices",
                             names[i], shown(text_of(base)), shown(v->name));
        }
    }
}

static void slot_console(const struct acrn_vm *v)
{
    xmlNode *n = child(v->node, "console_vuart"), *legacy = legacy_vuart(v, 0);
    const char *text = text_of(n);
    u16 port;

    if (n && !child(n, "base") && *text && strcmp(text, "None") != 0)
        untranslated(at_node(n),
                     "<console_vuart> %s of vm '%s': the device model makes a user VM's serial ports",
                     shown(text), shown(v->name));
    if (legacy && port_in(child_text(legacy, "base"), &port))
        untranslated(at_node(legacy),
                     "<legacy_vuart id=\"0\"> of vm '%s': the device model makes a user VM's serial ports",
                     shown(v->name));
}

static void own_console(struct acrn_vm *v)
{
    xmlNode *n = child(v->node, "console_vuart"), *legacy = legacy_vuart(v, 0);
    struct where at = legacy ? at_node(legacy) : n ? at_node(n) : v->at;
    u16 port = 0;

    if ((legacy && port_in(child_text(legacy, "base"), &port)) ||
        (n && !child(n, "base") && port_in(text_of(n), &port))) {
        add_vuart(v, at, port, usual_line(port), true);
        return;
    }
    guessed(at,
            "vm '%s' has no console at a COM port; it was given one at 0x3f8, because every VM has one here",
            shown(v->name));
    add_vuart(v, at, 0x3f8, 4, true);
}

void import_consoles(struct acrn *a)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        note_pci_vuarts(&a->vms[i]);
        if (a->vms[i].vm.kind == KIND_USER)
            slot_console(&a->vms[i]);
        else
            own_console(&a->vms[i]);
    }
}

struct end {
    struct where at;
    struct acrn_vm *v;
    u16 port;
};

static bool end_free(const struct end *e, const char *what)
{
    const struct vm_vuart *u = vuart_find(&e->v->vm, e->port);

    if (!u)
        return true;
    MISTAKE(LINK_PORT, e->at, "%s ends at port 0x%x of vm '%s', which is %s (line %ld); use another port",
            what, (unsigned)e->port, shown(e->v->name),
            u->console ? "its console" : "the end of another connection", u->at.line);
    return false;
}

static void join(struct acrn *a, struct where at, const struct end ends[2], const char *what)
{
    struct link link = {.at = at};

    /* Callers have told already which end is none. */
    if (!ends[0].v || !ends[1].v)
        return;
    if (ends[0].v == ends[1].v) {
        MISTAKE(LINK_ENDS, at, "%s joins vm '%s' with itself; name two VMs", what, shown(ends[0].v->name));
        return;
    }
    if (!end_free(&ends[0], what) || !end_free(&ends[1], what))
        return;
    for (int i = 0; i < 2; i++) {
        const struct vm_vuart *u =
            add_vuart(ends[i].v, ends[i].at, ends[i].port, usual_line(ends[i].port), false);

        guessed(ends[i].at,
                "the vUART at port 0x%x of vm '%s' was given interrupt line %u: ACRN chooses one itself",
                (unsigned)u->port, shown(ends[i].v->name), (unsigned)u->irq);
        *APPEND(link.ends, link.end_count) = (struct link_end){ends[i].at, ends[i].v->vm.name, ends[i].port};
    }
    *APPEND(a->s->links, a->s->link_count) = link;
}

/* "a, b, c" for messages. */
static const char *vm_names(const struct acrn *a)
{
    struct buffer b = {0};
    const char *text;

    buffer_add(&b, "", 0);
    for (size_t i = 0; i < a->vm_count && i < 16; i++) {
        buffer_puts(&b, i > 0 ? ", " : "");
        buffer_puts(&b, shown(a->vms[i].name));
    }
    text = arena_strdup(b.data);
    buffer_free(&b);
    return text;
}

static bool read_end(struct acrn *a, xmlNode *n, const char *what, struct end *end)
{
    xmlNode *name = child(n, "vm_name"), *port = child(n, "io_port");

    *end = (struct end){.at = at_node(name ? name : n), .v = acrn_vm_named(a, text_of(name))};
    if (!end->v) {
        MISTAKE(LINK_VM, end->at,
                "%s ends at vm '%s', but no VM has that name (there are: %s); correct the name or remove the "
                "connection",
                what, shown(text_of(name)), vm_names(a));
        return false;
    }
    if (!port_in(text_of(port), &end->port)) {
        MISTAKE(WRONG_VALUE, port ? at_node(port) : end->at,
                "%s ends at port \"%s\" of vm '%s'; write an I/O port such as 0x2F8", what,
                shown(text_of(port)), shown(end->v->name));
        return false;
    }
    return true;
}

static void read_connection(struct acrn *a, xmlNode *n)
{
    const char *type = child_text(n, "type"), *name = child_text(n, "name");
    const char *what = arena_printf("connection '%s'", *name ? shown(name) : "without name");
    struct end ends[2] = {0};
    size_t count = 0;
    bool good = true;

    for (xmlNode *e = child(n, "endpoint"); e; e = next(e)) {
        if (strcmp(type, "legacy") == 0 || !*type)
            good = count < 2 && read_end(a, e, what, &ends[count]) && good;
        else
            good = child(e, "vm_name") != NULL && good;
        count++;
    }
    if (count != 2)
        MISTAKE(LINK_ENDS, at_node(n), "%s has %zu ends; give it two <endpoint>", what, count);
    else if (*type && strcmp(type, "legacy") != 0)
        untranslated(at_node(n), "%s of type %s: vUARTs are legacy ones at I/O ports, not PCI devices", what,
                     shown(type));
    else if (good)
        join(a, at_node(n), ends, what);
}

/* v2.7: both VMs name each other's vUART. */
static void legacy_link(struct acrn *a, struct acrn_vm *v, xmlNode *n)
{
    const char *text = attribute(n, "id"),
               *what = arena_printf("<legacy_vuart id=\"%s\"> of vm '%s'", shown(text), shown(v->name));
    struct end ends[2] = {{.at = at_node(n), .v = v}};
    u64 id, target_vm, target_id, back_vm, back_id;
    xmlNode *other;

    if (!port_in(child_text(n, "base"), &ends[0].port)) {
        unneeded(at_node(n), "legacy_vuart", "switched off (INVALID_COM_BASE)");
        return;
    }
    if (!number_in(text, &id) || !number_of(child(n, "target_vm_id"), UINT16_MAX, &target_vm) ||
        !number_of(child(n, "target_uart_id"), UINT16_MAX, &target_id)) {
        untranslated(at_node(n), "%s: it is joined to nothing", what);
        return;
    }
    ends[1].v = acrn_vm_of_id(a, target_vm);
    if (!ends[1].v) {
        MISTAKE(LINK_VM, at_node(child(n, "target_vm_id")),
                "%s is joined to the VM with id %llu, but there is none; correct "
                "<target_vm_id>, or write INVALID_COM_BASE in <base>",
                what, (unsigned long long)target_vm);
        return;
    }
    other = legacy_vuart(ends[1].v, target_id);
    if (!other || !port_in(child_text(other, "base"), &ends[1].port) ||
        !number_of(child(other, "target_vm_id"), UINT16_MAX, &back_vm) ||
        !number_of(child(other, "target_uart_id"), UINT16_MAX, &back_id) || back_vm != v->id ||
        back_id != id) {
        untranslated(at_node(n), "%s: vUART %llu of vm '%s' is off, or joined to another one", what,
                     (unsigned long long)target_id, shown(ends[1].v->name));
        return;
    }
    ends[1].at = at_node(other);
    /* Told once, by the earlier of the two. */
    if (v <= ends[1].v)
        join(a, at_node(n), ends, what);
}

void import_links(struct acrn *a)
{
    for (xmlNode *n = child(child(a->hv, "vuart_connections"), "vuart_connection"); n; n = next(n))
        read_connection(a, n);
    for (size_t i = 0; i < a->vm_count; i++) {
        for (xmlNode *n = child(a->vms[i].node, "legacy_vuart"); n; n = next(n)) {
            const char *id = attribute(n, "id");

            mark_read(n);
            if (!id)
                untranslated(at_node(n), "<legacy_vuart> of vm '%s' without id", shown(a->vms[i].name));
            else if (strcmp(id, "0") != 0)
                legacy_link(a, &a->vms[i], n);
        }
    }
}
