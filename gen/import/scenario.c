/* An ACRN scenario file as a whole: the hypervisor's settings, and the VMs' names and kinds. */
#include "import.h"

#include <string.h>

#define IMAGE_BASE MIB(16)
#define IMAGE_SIZE MIB(4)

struct acrn_vm *acrn_vm_named(struct acrn *a, const char *name)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        if (strcmp(a->vms[i].name, name) == 0)
            return &a->vms[i];
    }
    return NULL;
}

struct acrn_vm *acrn_vm_of_id(struct acrn *a, u64 id)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        if (a->vms[i].id == id)
            return &a->vms[i];
    }
    return NULL;
}

struct acrn_vm *acrn_service(struct acrn *a)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        if (a->vms[i].vm.kind == KIND_SERVICE)
            return &a->vms[i];
    }
    return NULL;
}

/* LOG_FATAL 1, LOG_ACRN 2, LOG_ERROR 3, LOG_WARNING 4, LOG_INFO 5, LOG_DEBUG 6 */
static const char *loglevel(xmlNode *debug)
{
    static const char *const names[] = {"fatal", "fatal", "error", "error", "warn", "info", "debug", "debug"};
    xmlNode *n = child(debug, "CONSOLE_LOGLEVEL");
    u64 level;

    if (!number_of(n, 7, &level))
        return "info";
    if (level == 0 || level == 2 || level == 7)
        guessed(at_node(n), "<CONSOLE_LOGLEVEL> %llu has no name of its own here; '%s' was taken",
                (unsigned long long)level, names[level]);
    return names[level];
}

static void choose_console(struct acrn *a, xmlNode *debug)
{
    xmlNode *n = child(debug, "SERIAL_CONSOLE");
    const char *text = text_of(n), *wanted = file_name_from(text);
    struct hypervisor *hv = &a->s->hv;

    hv->console_at = n ? at_node(n) : hv->at;
    if (!*text || strcmp(text, "None") == 0) {
        if (a->board->uart_count == 0)
            return;
        hv->console_uart = a->board->uarts[0].name;
        guessed(hv->console_at,
                "the scenario names no serial console; the board's first UART, '%s', was taken",
                hv->console_uart);
        return;
    }
    for (size_t i = 0; i < a->board->uart_count; i++) {
        if (strcmp(a->board->uarts[i].name, wanted) == 0)
            hv->console_uart = a->board->uarts[i].name;
    }
    if (!hv->console_uart && a->board->uart_count > 0)
        MISTAKE(CONSOLE_LACKS, hv->console_at,
                "the serial console is \"%s\", but TTYS_INFO of the board shows no such port at I/O ports "
                "(its first is '%s'); name another one",
                shown(text), a->board->uarts[0].name);
}

static void read_hypervisor(struct acrn *a)
{
    xmlNode *debug = child(a->hv, "DEBUG_OPTIONS"), *start = child(child(a->hv, "MEMORY"), "HV_RAM_START");
    struct hypervisor *hv = &a->s->hv;

    hv->at = a->hv ? at_node(a->hv) : at_node(a->root);
    hv->loglevel = loglevel(debug);
    choose_console(a, debug);
    hv->image_at = start ? at_node(start) : hv->at;
    hv->image_base = IMAGE_BASE;
    if (number_of(start, UINT32_MAX, &hv->image_base) && hv->image_base < MIB(2)) {
        guessed(hv->image_at, "<HV_RAM_START> 0x%llx is too low for Bulkhead's image; 0x%llx was taken",
                (unsigned long long)hv->image_base, (unsigned long long)IMAGE_BASE);
        hv->image_base = IMAGE_BASE;
    }
}

/* Second-level tables lie in the image: a slot needs enough to map its whole limit in 4 KiB pages. */
static void choose_image_size(struct acrn *a)
{
    u64 size = IMAGE_SIZE, tables = 0;

    for (size_t i = 0; i < a->vm_count; i++)
        tables += a->vms[i].vm.kind == KIND_USER ? a->vms[i].vm.mem_limit / 512 + KIB(256) : KIB(128);
    size += ALIGN_UP(tables, MIB(2));
    a->s->hv.image_size = size;
    if (size != IMAGE_SIZE)
        guessed(a->s->hv.image_at,
                "the hypervisor's image was given %s at 0x%llx: its tables must be able to map what the VMs "
                "may get",
                size_text(size), (unsigned long long)a->s->hv.image_base);
}

static bool owned_by_rt(const struct acrn *a, u64 cpu)
{
    for (size_t i = 0; i < a->vm_count; i++) {
        const struct vm *vm = &a->vms[i].vm;

        for (size_t j = 0; (vm->flags & FLAG_RT) && j < vm->cpu_count; j++) {
            if (vm->cpus[j].id == cpu)
                return true;
        }
    }
    return false;
}

/* The lowest CPU whose VM is not disturbed by the console's interrupts. */
static void choose_console_cpu(struct acrn *a)
{
    u64 cpu = 0;

    while (cpu < a->board->core_count && owned_by_rt(a, cpu))
        cpu++;
    a->s->hv.console_cpu = cpu < a->board->core_count ? cpu : 0;
    guessed(a->s->hv.console_at, "ACRN does not say which CPU serves the console; CPU %llu was taken",
            (unsigned long long)a->s->hv.console_cpu);
}

static bool is_scenario(const xmlNode *root)
{
    return strcmp(name_of(root), "acrn-config") == 0 && child(root, "hv") && child(root, "vm");
}

static void check_board_name(const struct acrn *a)
{
    const char *board = attribute(a->root, "board");

    if (board && strcmp(file_name_from(board), a->board->name) != 0)
        guessed(at_node(a->root), "the scenario was made for board '%s'; it was translated for '%s'",
                shown(board), a->board->name);
}

void import_scenario(xmlDocPtr doc, const char *name, struct board *b, struct scenario *s)
{
    struct acrn a = {.board = b, .root = xmlDocGetRootElement(doc), .s = s};

    mark_read(a.root);
    if (!is_scenario(a.root)) {
        MISTAKE(WRONG_ROOT, at_node(a.root),
                "the file is no ACRN scenario: it begins with <%s> and lacks <hv> or <vm>%s; give "
                "the scenario file",
                shown(name_of(a.root)),
                child(a.root, "processors") ? " (it is a board file)"
                : child(a.root, "uos") || child(a.root, "user_vm")
                    ? " (it is a launch file of v2.7 and earlier: settings of the device model)"
                    : "");
        return;
    }
    a.hv = child(a.root, "hv");
    s->at = at_node(a.root);
    s->name = name;
    check_board_name(&a);
    read_hypervisor(&a);
    import_vms(&a);
    import_cpu_sets(&a);
    for (size_t i = 0; i < a.vm_count; i++)
        import_vm_parts(&a, &a.vms[i]);
    import_consoles(&a);
    import_links(&a);
    import_shared_memory(&a);
    import_cache_classes(&a);
    choose_console_cpu(&a);
    choose_image_size(&a);
    for (size_t i = 0; i < a.vm_count; i++)
        *APPEND(s->vms, s->vm_count) = a.vms[i].vm;
}
