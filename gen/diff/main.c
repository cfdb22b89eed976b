/* bhdiff: what changes on the target from one manifest to another, in the partition's terms. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changes.h"
#include "compare.h"

static const char help[] =
    "usage: bhdiff A B [IMAGE_A IMAGE_B] [--json]\n"
    "\n"
    "Compares two manifests (each a .dtb, or an ELF that holds one) and prints what changes on the\n"
    "target from A to B, one change a line.\n"
    "\n"
    "  --json   one JSON document instead\n"
    "  --help   print this\n"
    "\n"
    "exit status: 0 no difference, 1 differences, 2 cannot run\n";

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool json = false;
    size_t count;
    int c;

    program_name = "bhdiff";
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 'j':
            json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_OK;
        default:
            cannot_run("%s is not a known option; see --help", argv[optind - 1]);
        }
    }
    if (argc - optind != 2 && argc - optind != 4)
        cannot_run("give two manifests, or two and those of their disk images; see --help");
    for (int i = optind; i < argc; i += 2)
        compare(items_read(argv[i]), items_read(argv[i + 1]));
    count = changes_print(json);
    arena_free_all();
    if (fflush(stdout) != 0 || ferror(stdout))
        return EXIT_CANNOT_RUN;
    return count > 0 ? EXIT_MISTAKES : EXIT_OK;
}
