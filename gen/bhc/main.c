/* bhc, the configuration compiler: one board and one scenario in, the resolved model out. gen/render.py turns
 * that into C. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlschemastypes.h>

#include "judge.h"
#include "load.h"
#include "output.h"
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
    "  --warnings-as-errors exit status 1, and nothing written, when there are warnings\n"
    "  --list-rules[=FMT]   print all rules\n"
    "  --help               print this\n"
    "\n"
    "exit status: 0 nothing wrong (there may be warnings), 1 mistakes in the files, 2 cannot run\n";

struct options {
    const char *board, *scenario, *schema_dir, *out_dir;
    bool check_only, warnings_as_errors;
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

/* Known before the options are read, so that what is wrong with them is said in the right form too. */
static void prepare_cannot_run(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--format=json") == 0 ||
            (strcmp(argv[i], "--format") == 0 && i + 1 < argc && strcmp(argv[i + 1], "json") == 0))
            cannot_run_in_json();
    }
}

/* Ends the program for --help, --list-rules and wrong use. */
static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"schema-dir", required_argument, NULL, 's'},
        {"out-dir", required_argument, NULL, 'o'},
        {"format", required_argument, NULL, 'f'},
        {"check", no_argument, NULL, 'c'},
        {"warnings-as-errors", no_argument, NULL, 'w'},
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
        case 'w':
            o.warnings_as_errors = true;
            diag_warnings_are_errors();
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

static bool read_and_judge(const struct options *o, struct config *c)
{
    struct schema *board_schema = schema_open(o->schema_dir, "board");
    struct schema *scenario_schema = schema_open(o->schema_dir, "scenario");
    struct source board = {o->board, board_schema, load_document(o->board, &c->board_input)};
    struct source scenario = {o->scenario, scenario_schema, load_document(o->scenario, &c->scenario_input)};
    bool ok = judge(&board, &scenario, c);

    schema_close(board_schema);
    schema_close(scenario_schema);
    return ok;
}

static void write_results(const struct options *o, const struct config *c)
{
    struct finding *warnings;
    size_t warning_count = diag_warnings(o->board, &warnings);
    struct node *tree = tree_build(c, warnings, warning_count);
    struct buffer xml = {0}, dtb = {0};
    const struct output files[] = {{"resolved.xml", &xml}, {"manifest.dtb", &dtb}};

    emit_xml(tree, &xml);
    emit_dtb(tree, MANIFEST_COMPATIBLE, &dtb);
    output_write(o->out_dir, files, ARRAY_SIZE(files));
    buffer_free(&xml);
    buffer_free(&dtb);
}

int main(int argc, char **argv)
{
    struct options o;
    struct config c = {0};
    bool ok;

    /* Diagnostics are written piece by piece; stderr would make a system call of each. */
    setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
    prepare_cannot_run(argc, argv);
    o = parse_options(argc, argv);
    load_init();
    ok = read_and_judge(&o, &c) && (!o.warnings_as_errors || diag_count(SEV_WARNING) == 0);
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
