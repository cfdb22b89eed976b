/* bhmanifest: what a hypervisor image or a disk image says it is. ./bulkhead inspect and ./bulkhead image
 * call it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "output.h"

static const char help[] =
    "usage: bhmanifest text|json|xml FILE\n"
    "       bhmanifest dtb FILE OUT\n"
    "       bhmanifest make OUT ELF IDENTITY [KIND NAME FILE]...\n"
    "\n"
    "FILE is a hypervisor image (ELF with a section .manifest) or a manifest (device tree).\n"
    "\n"
    "  text    what a person wants to know\n"
    "  json    all nodes and properties: {\"name\": .., \"properties\": {..}, \"nodes\": [..]};\n"
    "          hexadecimal numbers are strings\n"
    "  xml     the same in the form of bhc's resolved.xml\n"
    "  dtb     copies the manifest out of FILE\n"
    "  make    writes the manifest of a disk image that holds the hypervisor ELF and each\n"
    "          FILE as NAME; KIND is hypervisor, module, config, loader, or region (NAME@OFFSET)\n"
    "\n"
    "exit status: 0, or 2 when it cannot run or FILE is not what it should be\n";

static void write_file(const char *path, const struct buffer *content)
{
    const char *slash = strrchr(path, '/');
    char *dir = arena_strdup(slash ? path : ".");
    const struct output file = {slash ? slash + 1 : path, content};

    if (slash)
        dir[slash == path ? 1 : slash - path] = '\0';
    output_write(dir, &file, 1);
}

static void make(int argc, char **argv)
{
    size_t count = (size_t)(argc - 5) / 3;
    struct part *parts = arena_alloc(count, sizeof(*parts));
    struct buffer out = {0};

    for (size_t i = 0; i < count; i++)
        parts[i] = (struct part){argv[5 + 3 * i], argv[6 + 3 * i], argv[7 + 3 * i]};
    image_manifest(argv[3], argv[4], parts, count, &out);
    write_file(argv[2], &out);
    buffer_free(&out);
}

static void show(const char *how, const char *file, const char *out)
{
    struct buffer fdt = {0}, xml = {0};

    tree_load(file, &fdt);
    if (out) {
        write_file(out, &fdt);
    } else if (strcmp(how, "text") == 0) {
        print_text(tree_read(&fdt));
    } else if (strcmp(how, "json") == 0) {
        print_json(tree_read(&fdt));
    } else {
        emit_xml(tree_read(&fdt), &xml);
        fwrite(xml.data, 1, xml.len, stdout);
        buffer_free(&xml);
    }
    buffer_free(&fdt);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    bool known = strcmp(how, "text") == 0 || strcmp(how, "json") == 0 || strcmp(how, "xml") == 0;

    program_name = "bhmanifest";
    if (strcmp(how, "--help") == 0)
        fputs(help, stdout);
    else if (known && argc == 3)
        show(how, argv[2], NULL);
    else if (strcmp(how, "dtb") == 0 && argc == 4)
        show(how, argv[2], argv[3]);
    else if (strcmp(how, "make") == 0 && argc >= 5 && (argc - 5) % 3 == 0)
        make(argc, argv);
    else
        cannot_run("wrong use; see bhmanifest --help");
    arena_free_all();
    if (fflush(stdout) != 0 || ferror(stdout))
        cannot_run("cannot write");
    return EXIT_OK;
}
