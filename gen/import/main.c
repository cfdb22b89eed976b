/* bh-import: ACRN's board and scenario XML into Bulkhead's. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libxml/parser.h>

#include "import.h"
#include "load.h"
#include "output.h"

static const char help[] =
    "usage: bh-import --board FILE [--scenario FILE] -o DIR\n"
    "       bh-import --list-rules\n"
    "\n"
    "Translates an ACRN board file and a scenario (v2.7 to v3.x) into DIR/boards/NAME.xml and\n"
    "DIR/scenarios/NAME.xml, and says on standard output and in DIR/import-report.txt what was\n"
    "guessed and what has no counterpart. NAME is the file's name.\n"
    "\n"
    "exit status: 0 translated, 1 mistakes in the files (nothing is written), 2 cannot run\n";

struct options {
    const char *board, *scenario, *dir;
};

static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"board", required_argument, NULL, 'b'},  {"scenario", required_argument, NULL, 's'},
        {"output", required_argument, NULL, 'o'}, {"list-rules", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct options o = {0};
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "ho:", known, NULL)) != -1) {
        switch (c) {
        case 'b':
            o.board = optarg;
            break;
        case 's':
            o.scenario = optarg;
            break;
        case 'o':
            o.dir = optarg;
            break;
        case 'l':
            mistakes_list();
            exit(EXIT_OK);
        case 'h':
            fputs(help, stdout);
            exit(EXIT_OK);
        default:
            cannot_run("%s is not a known option, or lacks its value; see bh-import --help",
                       argv[optind - 1]);
        }
    }
    if (optind != argc)
        cannot_run("'%s' belongs to no option; see bh-import --help", argv[optind]);
    if (!o.board || !o.dir)
        cannot_run("%s is missing; see bh-import --help", o.board ? "-o" : "--board");
    return o;
}

static xmlDocPtr load(const char *path)
{
    xmlDocPtr doc = load_document(path, NULL);

    if (doc)
        doc->_private = arena_strdup(path);
    return doc;
}

/* With the folders above it. */
static void make_dir(const char *path)
{
    char *copy = arena_strdup(path);

    for (char *slash = *copy ? strchr(copy + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0777);
        *slash = '/';
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        cannot_run("cannot make %s: %s", path, strerror(errno));
}

static void write_file(const char *dir, const char *name, struct buffer *content)
{
    const struct output file = {name, content};

    output_write(dir, &file, 1);
    buffer_free(content);
}

static void write_results(const struct options *o, const struct board *b, const struct scenario *s)
{
    const char *boards = arena_printf("%s/boards", o->dir), *scenarios = arena_printf("%s/scenarios", o->dir);
    struct buffer board = {0}, scenario = {0}, report = {0}, shorter = {0};

    make_dir(o->dir);
    make_dir(boards);
    write_board(b, o->board, &board);
    write_file(boards, arena_printf("%s.xml", b->name), &board);
    buffer_printf(&report, "Import of ACRN files\n\n");
    buffer_puts(&report, arena_printf("  %s -> boards/%s.xml\n", shown(o->board), b->name));
    if (s) {
        make_dir(scenarios);
        write_scenario(s, o->scenario, &scenario);
        write_file(scenarios, arena_printf("%s.xml", s->name), &scenario);
        buffer_puts(&report, arena_printf("  %s -> scenarios/%s.xml\n", shown(o->scenario), s->name));
    }
    buffer_add(&shorter, report.data, report.len);
    report_write(&report, true, o->board);
    report_write(&shorter, false, o->board);
    write_file(o->dir, "import-report.txt", &report);
    fwrite(shorter.data, 1, shorter.len, stdout);
    buffer_free(&shorter);
}

int main(int argc, char **argv)
{
    struct options o;
    struct scenario s = {0};
    struct board b = {0};
    xmlDocPtr board, scenario;
    bool ok;

    program_name = "bulkhead import";
    o = parse_options(argc, argv);
    setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
    load_init();
    board = load(o.board);
    scenario = o.scenario ? load(o.scenario) : NULL;
    if (board)
        import_board(board, file_name_from(o.board), &b);
    /* Without CPUs every line of a scenario would be a mistake. */
    if (scenario && b.core_count > 0)
        import_scenario(scenario, file_name_from(o.scenario), &b, &s);
    ok = diag_count(SEV_ERROR) == 0;
    if (ok) {
        account(board, scenario);
        write_results(&o, &b, scenario ? &s : NULL);
    }
    diag_print(DIAG_TEXT, o.board);
    xmlFreeDoc(board);
    xmlFreeDoc(scenario);
    arena_free_all();
    xmlCleanupParser();
    if (fflush(stderr) != 0 || fflush(stdout) != 0 || ferror(stdout))
        return EXIT_CANNOT_RUN;
    return ok ? EXIT_OK : EXIT_MISTAKES;
}
