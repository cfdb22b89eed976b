/*
 * libFuzzer target: the whole of bhc but its command line and its files. An input is a board and a scenario,
 * with a line
 * "%%" between them; every one of them is parsed, checked, placed and emitted in this process. Besides what
 * the sanitizers find, these must hold: no input ends the program, every diagnostic is one line with a way
 * out, and what is emitted can be read back.
 */
#include "diag.h"
#include "judge.h"
#include "mutate.h"
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libfdt.h>
#include <libxml/parser.h>

static struct schema *board_schema, *scenario_schema;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bhc-fuzz: %s\n", what);
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* Diagnostics go there: what they look like is checked, not read. */
    need(freopen("/dev/null", "w", stdout) != NULL, "cannot write to /dev/null");
    load_init();
    board_schema = schema_open(SCHEMA_DIR, "board");
    scenario_schema = schema_open(SCHEMA_DIR, "scenario");
    arena_free_all();
    return 0;
}

static void check_results(const struct config *c)
{
    struct finding *warnings;
    size_t count = diag_warnings("board.xml", &warnings);
    struct node *tree = tree_build(c, warnings, count);
    struct buffer xml = {0}, dtb = {0};
    xmlDocPtr doc;

    for (size_t i = 0; i < count; i++) {
        need(strstr(warnings[i].text, "; ") != NULL, "a warning without a way out");
        need(strchr(warnings[i].text, '\n') == NULL, "a warning of two lines");
    }
    emit_xml(tree, &xml);
    emit_dtb(tree, MANIFEST_COMPATIBLE, &dtb);
    need(fdt_check_full(dtb.data, dtb.len) == 0, "manifest.dtb is not a device tree");
    doc = xmlReadMemory(xml.data, (int)xml.len, "resolved.xml", NULL, XML_PARSE_NONET);
    need(doc != NULL, "resolved.xml is not XML");
    xmlFreeDoc(doc);
    buffer_free(&xml);
    buffer_free(&dtb);
}

/* In memory of its own, so that reading beyond the end is found. */
static char *exact_copy(const char *data, size_t len)
{
    char *copy = malloc(len ? len : 1);

    need(copy != NULL, "out of memory");
    return memcpy(copy, data, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = {0};
    struct source board = {.path = "board.xml", .schema = board_schema};
    struct source scenario = {.path = "scenario.xml", .schema = scenario_schema};
    struct halves h = halves_of((const char *)data, size);
    char *first = exact_copy(h.board, h.board_len), *second = exact_copy(h.scenario, h.scenario_len);

    board.doc = load_memory(board.path, first, h.board_len);
    scenario.doc = load_memory(scenario.path, second, h.scenario_len);
    free(first);
    free(second);
    if (judge(&board, &scenario, &c))
        check_results(&c);
    diag_print(DIAG_JSON, board.path);
    diag_reset();
    arena_free_all();
    return 0;
}
