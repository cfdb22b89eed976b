/* bh-inspect: what a Linux machine is, as a Bulkhead board file. One static program that needs nothing else
 * there. */
#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BOARD_NAME 63u /* board.xsd: file-name */

static const char help[] =
    "usage: bh-inspect [-o FILE] [--name NAME] [--probe-intx]      describes this machine\n"
    "       bh-inspect [-o FILE] [--name NAME] ARCHIVE             describes the machine that ARCHIVE was "
    "collected on\n"
    "       bh-inspect --collect ARCHIVE [--probe-intx]            collects from this machine for later\n"
    "\n"
    "  -o FILE        write the board file there (left out: standard output)\n"
    "  --name NAME    the board's name: small letters, digits, dashes (left out: FILE's name, or the "
    "machine's)\n"
    "  --collect FILE write what is known of this machine to a tar archive, FILE - is standard output\n"
    "  --probe-intx   enable PCI functions that no driver uses, for a moment each, to learn where their "
    "INTx# goes\n"
    "  --help         this text\n"
    "\n"
    "Collecting needs root. Lines 'note:' tell what was guessed or is missing, lines 'lacks:' what Bulkhead "
    "needs and the\n"
    "machine does not have. Status 0: a board file; 1: the machine lacks something; 2: cannot run.\n";

struct options {
    const char *out, *name, *collect, *archive;
    bool probe_intx;
};

static const char *value_of(int argc, char **argv, int *i)
{
    if (*i + 1 >= argc)
        cannot_run("%s needs a value; --help tells more", argv[*i]);
    return argv[++*i];
}

static struct options parse_options(int argc, char **argv)
{
    struct options o = {0};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-o") == 0) {
            o.out = value_of(argc, argv, &i);
        } else if (strcmp(argv[i], "--name") == 0) {
            o.name = value_of(argc, argv, &i);
        } else if (strcmp(argv[i], "--collect") == 0) {
            o.collect = value_of(argc, argv, &i);
        } else if (strcmp(argv[i], "--probe-intx") == 0) {
            o.probe_intx = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            exit(EXIT_OK);
        } else if (argv[i][0] == '-' || o.archive) {
            cannot_run("'%s' is not understood; --help tells what is", argv[i]);
        } else {
            o.archive = argv[i];
        }
    }
    if (o.archive && (o.collect || o.probe_intx))
        cannot_run("--collect and --probe-intx are for this machine, not for an archive");
    if (o.collect && (o.out || o.name))
        cannot_run("--collect writes no board file: leave -o and --name out");
    return o;
}

static bool name_valid(const char *name)
{
    return name[0] && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) &&
           strlen(name) <= MAX_BOARD_NAME;
}

/* The whole file, or nothing under that name. */
static void write_file(const char *path, const struct buffer *b)
{
    const char *temporary = arena_printf("%s.%ld.tmp", path, (long)getpid());
    int fd = strcmp(path, "-") == 0 ? STDOUT_FILENO
                                    : open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t done = 0;
    ssize_t got = 0;

    if (fd < 0)
        cannot_run("%s cannot be written: %s", path, strerror(errno));
    while (done < b->len && (got = write(fd, b->data + done, b->len - done)) > 0)
        done += (size_t)got;
    if (fd == STDOUT_FILENO) {
        if (done < b->len)
            cannot_run("standard output cannot be written: %s", strerror(errno));
        return;
    }
    if (done < b->len || close(fd) != 0 || rename(temporary, path) != 0) {
        int error = errno;

        unlink(temporary);
        cannot_run("%s cannot be written: %s", path, strerror(error));
    }
}

static void read_archive(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char part[65536];
    ssize_t got;

    if (fd < 0)
        cannot_run("%s cannot be read: %s", path, strerror(errno));
    while ((got = read(fd, part, sizeof(part))) > 0) {
        if (out->len + (size_t)got > MAX_ARCHIVE)
            cannot_run("%s has more than %s", path, size_text(MAX_ARCHIVE));
        buffer_add(out, part, (size_t)got);
    }
    if (got < 0)
        cannot_run("%s cannot be read: %s", path, strerror(errno));
    close(fd);
}

/* The first line of a file of /sys/class/dmi/id; "" when there is none. */
static const char *dmi(const struct inspection *in, const char *name)
{
    const struct file *f = collection_findf(in->files, "sys/class/dmi/id/%s", name);
    char line[128] = "";

    if (f)
        file_line(f, line, sizeof(line), NULL);
    return arena_strdup(line);
}

/* Text as a name of small letters, digits and single dashes. */
static const char *slug(const char *text)
{
    char *out = arena_alloc(MAX_BOARD_NAME + 1, 1);
    size_t len = 0;

    for (; *text && len < MAX_BOARD_NAME; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[len++] = c;
        else if (len && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len && out[len - 1] == '-')
        out[--len] = '\0';
    return out;
}

static void name_board(struct inspection *in, const struct options *o)
{
    const char *vendor = dmi(in, "sys_vendor"), *product = dmi(in, "product_name"),
               *file = o->out ? strrchr(o->out, '/') : NULL;
    struct board *b = &in->board;

    file = file ? file + 1 : o->out;
    b->name = o->name;
    if (!b->name && file && strcmp(file, "-") != 0) {
        size_t len = strlen(file);

        b->name = len > 4 && strcmp(file + len - 4, ".xml") == 0 ? arena_printf("%.*s", (int)(len - 4), file)
                                                                 : file;
        if (!name_valid(b->name))
            b->name = slug(b->name);
    }
    if (!b->name || !b->name[0])
        b->name = slug(product);
    if (!b->name[0])
        b->name = "board";
    b->description = vendor[0] || product[0] ? arena_printf("%s %s", vendor, product) : "unknown machine";
}

static void analyse(struct inspection *in)
{
    inspect_madt(in);
    inspect_cpus(in);
    inspect_tables(in);
    inspect_aml(in);
    inspect_pci(in);
    inspect_memory(in);
    inspect_intx(in);
    inspect_dmar(in);
    inspect_ivrs(in);
    inspect_uarts(in);
    inspect_trampoline(in);
    note(in, "the processors' power states (_PSS, _CST) are not read: they are made by executing AML; <pm> "
             "is left out");
}

static void tell(const char *kind, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s: ", kind);
        print_escaped(stderr, lines[i]);
        fputc('\n', stderr);
    }
}

int main(int argc, char **argv)
{
    struct options o;
    struct collection live = {0}, files = {0};
    struct buffer tar = {0}, xml = {0};
    struct inspection *in = arena_alloc(1, sizeof(*in));
    const char *wrong;
    bool complete;

    program_name = "bh-inspect";
    o = parse_options(argc, argv);
    if (o.name && !name_valid(o.name))
        cannot_run("--name %s: write small letters, digits and dashes, at most %u", o.name, MAX_BOARD_NAME);
    if (o.archive) {
        read_archive(o.archive, &tar);
    } else {
        collect_machine(&live, o.probe_intx);
        tar_write(&live, &tar);
    }
    if (o.collect) {
        write_file(o.collect, &tar);
    } else {
        wrong = tar_read(tar.data ? tar.data : "", tar.len, &files);
        if (wrong)
            cannot_run("%s: %s", o.archive ? o.archive : "the collection of this machine", wrong);
        in->files = &files;
        analyse(in);
        name_board(in, &o);
        write_board(in, &xml);
        write_file(o.out ? o.out : "-", &xml);
    }
    tell("note", in->notes, in->note_count);
    tell("lacks", in->lacks, in->lack_count);
    complete = in->lack_count == 0;
    buffer_free(&tar);
    buffer_free(&xml);
    arena_free_all();
    return complete ? EXIT_OK : EXIT_MISTAKES;
}
