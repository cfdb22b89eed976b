#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>

/* What the parser found while reading one document. */
struct load_state {
    const char *path;
    bool doctype;
    bool reported;
};

/* No document of ours refers to anything outside itself. */
static xmlParserInputPtr refuse_external(const char *url, const char *id, xmlParserCtxtPtr ctxt)
{
    (void)url;
    (void)id;
    (void)ctxt;
    return NULL;
}

static void silent(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

void load_init(void)
{
    xmlCheckVersion(LIBXML_VERSION);
    xmlSetExternalEntityLoader(refuse_external);
    xmlSetGenericErrorFunc(NULL, silent);
}

static char *read_file(const char *path, size_t *len, bool *too_large)
{
    struct stat st;
    struct buffer b = {0};
    char piece[4096];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0)
        cannot_run("cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        cannot_run("cannot read %s: not a regular file", path);
    *too_large = false;
    buffer_add(&b, "", 0);
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        buffer_add(&b, piece, (size_t)got);
        if (b.len > MAX_FILE) {
            *too_large = true;
            break;
        }
    }
    if (got < 0)
        cannot_run("cannot read %s: %s", path, strerror(errno));
    close(fd);
    *len = b.len;
    return b.data;
}

/* Called at "<!DOCTYPE name", before a single declaration is read: nothing of an entity bomb gets as far as
 * being defined. */
static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
    xmlParserCtxtPtr ctxt = ctx;
    struct load_state *state = ctxt->_private;

    (void)name;
    (void)external_id;
    (void)system_id;
    if (!state->doctype) {
        state->doctype = true;
        diag_add(SEV_ERROR, "XML-003", (struct where){state->path, ctxt->input ? ctxt->input->line : 0},
                 "the file has a document type declaration (<!DOCTYPE); such files are refused because they "
                 "can declare entities; "
                 "remove it");
    }
    xmlStopParser(ctxt);
}

static void on_parse_error(void *ctx, xmlErrorPtr error)
{
    xmlParserCtxtPtr ctxt = ctx;
    struct load_state *state = ctxt ? ctxt->_private : NULL;
    char *text;

    if (!state || state->doctype || error->level < XML_ERR_ERROR)
        return;
    if (error->code == XML_ERR_NO_MEMORY)
        cannot_run("out of memory");
    /* Later errors of a broken document are mostly consequences of the first. */
    if (state->reported)
        return;
    state->reported = true;
    text = arena_strdup(error->message ? error->message : "cannot be parsed");
    for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
        text[n - 1] = '\0';
    diag_add(SEV_ERROR, "XML-002", (struct where){state->path, error->line},
             "the file is not well-formed XML: %s; mend it here", text);
}

xmlDocPtr load_document(const char *path)
{
    struct load_state state = {.path = path};
    bool too_large;
    size_t len;
    char *data = read_file(path, &len, &too_large);
    xmlParserCtxtPtr ctxt;
    xmlDocPtr doc = NULL;

    if (too_large) {
        free(data);
        diag_add(SEV_ERROR, "XML-004", (struct where){path, 0},
                 "the file is larger than %s; no board or scenario needs that much", size_text(MAX_FILE));
        return NULL;
    }
    ctxt = xmlNewParserCtxt();
    if (!ctxt)
        cannot_run("out of memory");
    ctxt->_private = &state;
    ctxt->sax->internalSubset = on_doctype;
    ctxt->sax->externalSubset = on_doctype;
    xmlSetStructuredErrorFunc(ctxt, on_parse_error);
    doc = xmlCtxtReadMemory(ctxt, data, (int)len, path, NULL, XML_PARSE_NONET | XML_PARSE_BIG_LINES);
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlFreeParserCtxt(ctxt);
    free(data);
    if (doc && (state.doctype || state.reported)) {
        xmlFreeDoc(doc);
        doc = NULL;
    }
    if (!doc && !state.doctype && !state.reported)
        diag_add(SEV_ERROR, "XML-002", (struct where){path, 1},
                 "the file is not well-formed XML: it holds no document; mend it here");
    return doc;
}
