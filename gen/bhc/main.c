/* bhc, the configuration compiler: one board and one scenario in, the resolved model out. gen/render.py turns
 * that into C. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlschemastypes.h>

#include "load.h"
#include "output.h"
#include "place.h"
#include "read.h"
#include "rules.h"
#include "tree.h"

static const char help[] =
    "usage: bhc BOARD.xml SCENARIO.xml --schema-dir DIR --out-dir DIR [options]\n"
    "       bhc --list-rules[=text|md|json]\n"
    "\n"
    "Checks a board description and a scenario, places what they leave open, and writes\n"
    "resolved.xml (the complete model) and manifest.dtb (the same as a flattened device tree).\n"
    "\n"
    "  --schema-dir DIR     where board.xsd and scenario.xsd are\n"
    "  --out-dir DIR        where to write; must exist\n"
    "  --check              only check, write nothing (no --out-dir needed)\n"
    "  --format=text|json   diagnostics as lines on stderr (text), or as one JSON document on stdout\n"
    "  --list-rules[=FMT]   print all rules\n"
    "  --help               print this\n"
    "\n"
    "exit status: 0 nothing wrong (there may be warnings), 1 mistakes in the files, 2 cannot run\n";

struct options {
    const char *board, *scenario, *schema_dir, *out_dir;
    bool check_only;
    enum diag_format format;
};

static enum list_format list_format(const char *name)
{
    if (!name || strcmp(name, "text") == 0)
        return LIST_TEXT;
    if (strcmp(name, "md") == 0)
        return LIST_MD;
    if (strcmp(name, "json") == 0)
        return LIST_JSON;
    cannot_run("--list-rules=%s: use text, md or json", name);
}

static enum diag_format diag_format(const char *name)
{
    if (strcmp(name, "text") == 0)
        return DIAG_TEXT;
    if (strcmp(name, "json") == 0)
        return DIAG_JSON;
    cannot_run("--format=%s: use text or json", name);
}

/* Ends the program for --help, --list-rules and wrong use. */
static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"schema-dir", required_argument, NULL, 's'},
        {"out-dir", required_argument, NULL, 'o'},
        {"format", required_argument, NULL, 'f'},
        {"check", no_argument, NULL, 'c'},
        {"list-rules", optional_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {0};
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 's':
            o.schema_dir = optarg;
            break;
        case 'o':
            o.out_dir = optarg;
            break;
        case 'f':
            o.format = diag_format(optarg);
            break;
        case 'c':
            o.check_only = true;
            break;
        case 'l':
            rules_list(list_format(optarg));
            exit(EXIT_OK);
        case 'h':
            fputs(help, stdout);
            exit(EXIT_OK);
        default:
            cannot_run("%s is not a known option, or lacks its value; see bhc --help", argv[optind - 1]);
        }
    }
    if (argc - optind != 2)
        cannot_run("give one board file and one scenario file; see bhc --help");
    o.board = argv[optind];
    o.scenario = argv[optind + 1];
    if (!o.schema_dir)
        cannot_run("--schema-dir is missing; see bhc --help");
    if (!o.out_dir && !o.check_only)
        cannot_run("--out-dir is missing; see bhc --help");
    return o;
}

/* Both files are judged as far as each of them goes; rules about both need both. */
static void read_and_judge(const struct options *o, struct config *c)
{
    xmlDocPtr board = load_document(o->board), scenario = load_document(o->scenario);
    bool board_ok = board && schema_check(board, o->board, o->schema_dir, "board") &&
                    read_board(board, o->board, &c->board);
    bool scenario_ok = scenario && schema_check(scenario, o->scenario, o->schema_dir, "scenario") &&
                       read_scenario(scenario, o->scenario, &c->scenario);

    xmlFreeDoc(board);
    xmlFreeDoc(scenario);
    if (board_ok && scenario_ok)
        complete(c);
    if (board_ok)
        rules_run(SCOPE_BOARD, c);
    if (scenario_ok)
        rules_run(SCOPE_SCENARIO, c);
    if (board_ok && scenario_ok)
        rules_run(SCOPE_BOTH, c);
}

static void write_results(const struct options *o, const struct config *c)
{
    struct node *tree = tree_build(c);
    struct buffer xml = {0}, dtb = {0};
    const struct output files[] = {{"resolved.xml", &xml}, {"manifest.dtb", &dtb}};

    emit_xml(tree, &xml);
    emit_dtb(tree, &dtb);
    output_write(o->out_dir, files, ARRAY_SIZE(files));
    buffer_free(&xml);
    buffer_free(&dtb);
}

int main(int argc, char **argv)
{
    struct options o = parse_options(argc, argv);
    struct config c = {0};
    bool ok;

    /* Diagnostics are written piece by piece; stderr would make a system call of each. */
    setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
    load_init();
    read_and_judge(&o, &c);
    ok = diag_count(SEV_ERROR) == 0 && place(&c);
    /* Results first: that a disk is full must not follow a clean report. */
    if (ok && !o.check_only)
        write_results(&o, &c);
    diag_print(o.format, o.board);
    arena_free_all();
    xmlSchemaCleanupTypes();
    xmlCleanupParser();
    if (fflush(stderr) != 0 || fflush(stdout) != 0 || ferror(stdout))
        return EXIT_CANNOT_RUN;
    return ok ? EXIT_OK : EXIT_MISTAKES;
}
