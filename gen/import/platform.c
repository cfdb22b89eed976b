/* Fixed ACPI registers, power states and serial ports: the macro and table sections of board files. */
#include "import.h"

#include <string.h>

#define NO_MORE "Bulkhead has no use for this register"

/* The port of an ACPI register: 0 when it has none or is not reached by a port. */
static u16 port_of(struct macros *m, const char *register_name)
{
    const struct macro *space = macro_find(m, arena_printf("%s_SPACE_ID", register_name));
    const char *address_name = arena_printf("%s_ADDRESS", register_name);
    const struct macro *address = macro_find(m, address_name);
    u64 port;

    if (!address || !macro_number(m, address_name, &port) || port == 0)
        return 0;
    if (space && strcmp(space->value, "SPACE_SYSTEM_IO") != 0) {
        untranslated(space->at, "%s is in %s: Bulkhead reaches ACPI registers by ports only", register_name,
                     shown(space->value));
        return 0;
    }
    if (port > 0xffff) {
        untranslated(address->at, "%s 0x%llx is no port", shown(address_name), (unsigned long long)port);
        return 0;
    }
    return (u16)port;
}

/* Sizes and access widths are fixed by the register (ACPI 6.4 section 4.8). */
static void use_shape(struct macros *m, const char *register_name)
{
    static const char *const parts[] = {"BIT_WIDTH", "BIT_OFFSET", "ACCESS_SIZE", "SPACE_ID", "ADDRESS"};

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        macro_find(m, arena_printf("%s_%s", register_name, parts[i]));
}

static void read_pm(xmlNode *section, struct board *b)
{
    static const char *const unused[] = {"PM1B_EVT", "PM1B_CNT"};
    struct macros m = macros_of(section);
    u16 event = port_of(&m, "PM1A_EVT");

    b->acpi.pm1a_cnt_port = port_of(&m, "PM1A_CNT");
    if (event != 0 && event <= 0xfff0) {
        /* In the ICH and PCH both lie in one block: PM1_STS/EN at 0, PM1_CNT at 4, PM1_TMR at 8. */
        b->acpi.pm_timer_port = (u16)(event + 8);
        guessed(m.at,
                "the file does not show the PM timer; port 0x%x (PM1a_EVT + 8, as in Intel's chip sets) was "
                "assumed",
                (unsigned)b->acpi.pm_timer_port);
    }
    use_shape(&m, "PM1A_EVT");
    use_shape(&m, "PM1A_CNT");
    for (size_t i = 0; i < ARRAY_SIZE(unused); i++) {
        struct where at = m.at;

        if (port_of(&m, unused[i]) != 0)
            untranslated(at, "%s is in use on this machine: Bulkhead knows PM1a only", unused[i]);
        use_shape(&m, unused[i]);
    }
    macros_rest(&m, NO_MORE);
}

static void read_reset(xmlNode *section, struct board *b)
{
    struct macros m = macros_of(section);
    u64 value = 0;

    /* The same three facts under names of their own. */
    b->acpi.reset_port = port_of(&m, "RESET_REGISTER");
    if (b->acpi.reset_port != 0 && macro_number(&m, "RESET_REGISTER_VALUE", &value) && value <= 0xff)
        b->acpi.reset_value = (u8)value;
    if (b->acpi.reset_port == 0) {
        guessed(section ? m.at : b->acpi.at,
                "the file shows no reset register at a port; 0xcf9 with the value 6 was assumed");
        b->acpi.reset_port = 0xcf9;
        b->acpi.reset_value = 6;
    }
    macros_rest(&m, NO_MORE);
}

static void read_s5(xmlNode *section, struct board *b)
{
    struct macros m = macros_of(section);
    u64 value;

    macro_find(&m, "S5_PKG_VAL_PM1B");
    macro_find(&m, "S5_PKG_RESERVED");
    if (macro_number(&m, "S5_PKG_VAL_PM1A", &value) && value <= 7)
        b->acpi.s5_slp_typ = (u8)value;
    else
        guessed(section ? m.at : b->acpi.at,
                "the file does not show the value that switches the machine off (\\_S5); 0 was "
                "assumed");
    macros_rest(&m, NO_MORE);
}

/* QEMU's ACPI code names the ports of its CPU hot-plug registers so. Depth is bounded by the parser. */
static void find_hotplug(xmlNode *n, struct board *b)
{
    for (xmlNode *c = n->children; c; c = c->next) {
        const char *id = c->type == XML_ELEMENT_NODE ? attribute(c, "id") : NULL, *min;
        u64 port;

        if (c->type != XML_ELEMENT_NODE)
            continue;
        if (id && strcmp(id, "PNP0A06") == 0 &&
            strcmp(child_text(c, "acpi_uid"), "CPU Hotplug resources") == 0) {
            min = attribute(child(c, "resource"), "min");
            if (min && number_in(min, &port) && port > 0 && port <= 0xfff0) {
                b->acpi.cpu_hotplug_port = (u16)port;
                mark_read(c);
            }
        }
        find_hotplug(c, b);
    }
}

void import_platform(xmlNode *root, struct board *b)
{
    xmlNode *devices = child(root, "devices");

    b->acpi.at = at_node(root);
    if (devices)
        find_hotplug(devices, b);
    read_pm(child(root, "PM_INFO"), b);
    read_reset(child(root, "RESET_REGISTER_INFO"), b);
    read_s5(child(root, "S5_INFO"), b);
}

/*
 * One row of a C table: the words between braces, commas and blanks, up to max of them. How many there were;
 * -1: a line without braces.
 */
static int table_row(char *line, char **words, int max)
{
    char *comment = strstr(line, "/*"), *rest = NULL;
    int count = 0;

    if (comment)
        *comment = '\0';
    if (!strchr(line, '{'))
        return -1;
    for (char *w = strtok_r(line, "{}, \t", &rest); w; w = strtok_r(NULL, "{}, \t", &rest)) {
        if (count < max)
            words[count] = w;
        count++;
    }
    return count;
}

static bool numbers_in(char **words, int count, u64 max, u64 *out)
{
    for (int i = 0; i < count; i++) {
        if (!number_in(words[i], &out[i]) || out[i] > max)
            return false;
    }
    return true;
}

/* {core MHz, power, latency, bus master latency, control, status}, as ACPI's _PSS */
static void read_px(xmlNode *section, struct board *b)
{
    struct lines l = lines_of(section);
    char *line, *words[6];
    u64 v[6];

    while ((line = next_line(&l))) {
        int count = table_row(line, words, 6);

        if (count < 0)
            continue;
        if (count != 6 || !numbers_in(words, 6, UINT32_MAX, v))
            untranslated(l.at, "<PX_INFO>: a performance state is six numbers");
        else if (b->px_count == MAX_PX)
            untranslated(l.at, "a performance state beyond the %d that the hypercall interface can tell",
                         MAX_PX);
        else
            *APPEND(b->px, b->px_count) = (struct px_state){l.at, v[0], v[1], v[2], v[3], v[4], v[5]};
    }
}

/* {{space, width, offset, access, address}, type, latency, power}, as ACPI's _CST */
static void read_cx(xmlNode *section, struct board *b)
{
    static const struct {
        const char *word;
        u8 space;
    } spaces[] = {{"SPACE_SYSTEM_MEMORY", 0}, {"SPACE_SYSTEM_IO", 1}, {"SPACE_FFixedHW", 0x7f}};
    struct lines l = lines_of(section);
    char *line, *words[8];
    u64 v[7];

    while ((line = next_line(&l))) {
        int count = table_row(line, words, 8);
        const u8 *space = NULL;

        if (count < 0)
            continue;
        for (size_t i = 0; count == 8 && i < ARRAY_SIZE(spaces); i++) {
            if (strcmp(words[0], spaces[i].word) == 0)
                space = &spaces[i].space;
        }
        if (!space || !numbers_in(words + 1, 7, UINT32_MAX, v) || v[0] > 0xff || v[1] > 0xff || v[2] > 0xff ||
            v[4] > 0xff) {
            untranslated(
                l.at, "<CX_INFO>: an idle state is a space among memory, I/O and fixed, and seven numbers");
        } else if (b->cx_count == MAX_CX) {
            untranslated(l.at, "an idle state beyond the %d that the hypercall interface can tell", MAX_CX);
        } else {
            *APPEND(b->cx, b->cx_count) = (struct cx_state){l.at,     (u8)v[4], *space, (u8)v[0], (u8)v[1],
                                                            (u8)v[2], v[3],     v[6],   (u32)v[5]};
        }
    }
}

void import_power(xmlNode *root, struct board *b)
{
    xmlNode *px = child(root, "PX_INFO"), *cx = child(root, "CX_INFO");

    if (px)
        read_px(px, b);
    if (cx)
        read_cx(cx, b);
}

/* The value of "key:value" in a line of TTYS_INFO, without quotes. NULL: not there. */
static const char *tty_value(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    char *value;
    size_t len;

    if (!at || (at != line && at[-1] != ' ' && at[-1] != '\t'))
        return NULL;
    at += strlen(key);
    at += *at == '"';
    len = strcspn(at, " \t\"");
    value = arena_strdup(at);
    value[len] = '\0';
    return value;
}

/* "seri:/dev/ttyS0 type:portio base:0x3F8 irq:4 bdf:00:16.3" */
static void read_tty(struct board *b, const char *line, struct where at)
{
    const char *name = tty_value(line, "seri:"), *type = tty_value(line, "type:"),
               *base = tty_value(line, "base:"), *irq = tty_value(line, "irq:"),
               *bdf = tty_value(line, "bdf:"), *end;
    struct uart u = {.at = at, .baud = 115200, .clock_hz = 1843200};
    u64 port, gsi;

    if (!name || !type || !base || !irq) {
        untranslated(at, "<TTYS_INFO>: \"%s\" does not name a port, its type, base and interrupt",
                     shown(line));
        return;
    }
    if (strcmp(type, "portio") != 0) {
        untranslated(at, "%s is a UART in memory: Bulkhead drives UARTs at I/O ports only", shown(name));
        return;
    }
    if (!number_in(base, &port) || port == 0 || port > 0xfff8 || !number_in(irq, &gsi) || gsi > 0xff) {
        untranslated(at, "%s: base %s or irq %s is not one", shown(name), shown(base), shown(irq));
        return;
    }
    u.name = file_name_from(name);
    u.port = (u16)port;
    u.gsi = (u8)gsi;
    if (bdf && bdf_in(bdf, &u.pci.bdf, &end)) {
        u.on_pci = true;
        u.pci.at = at;
        u.pci.address = bdf_text(u.pci.bdf);
    }
    *APPEND(b->uarts, b->uart_count) = u;
}

void import_uarts(xmlNode *root, struct board *b)
{
    xmlNode *section = child(root, "TTYS_INFO");
    struct lines l = lines_of(section);
    char *line;

    while ((line = next_line(&l)))
        read_tty(b, line, l.at);
    if (b->uart_count == 0)
        MISTAKE(BOARD_LACKS, section ? at_node(section) : at_node(root),
                "the board file shows no serial port at I/O ports (TTYS_INFO), which Bulkhead's console "
                "needs; add a line such "
                "as seri:/dev/ttyS0 type:portio base:0x3F8 irq:4");
    else
        guessed(b->uarts[0].at,
                "the file does not give the UARTs' clock and speed; 1843200 Hz and 115200 baud were assumed");
}
