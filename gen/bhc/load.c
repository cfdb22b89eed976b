#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/SAX2.h>
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

/* NULL: larger than MAX_FILE. */
static char *read_file(const char *path, size_t *len)
{
    struct stat st;
    struct buffer b = {0};
    char piece[65536];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0)
        cannot_run("cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        cannot_run("cannot read %s: not a regular file", path);
    buffer_add(&b, "", 0);
    /* The size again while reading: the file may grow, and those of /proc have none. */
    got = st.st_size > (off_t)MAX_FILE ? 1 : read(fd, piece, sizeof(piece));
    while (got > 0 && st.st_size <= (off_t)MAX_FILE && b.len <= MAX_FILE) {
        buffer_add(&b, piece, (size_t)got);
        got = read(fd, piece, sizeof(piece));
    }
    if (got < 0)
        cannot_run("cannot read %s: %s", path, strerror(errno));
    close(fd);
    if (got > 0 || b.len > MAX_FILE)
        buffer_free(&b);
    *len = b.len;
    return b.data;
}

/* Nodes have 16 bits for their line, and what libxml2 does beyond 65535 needs text nodes between elements:
 * `extra`, which only XPath uses, takes the upper bits. */
static void on_element(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                       int namespace_count, const xmlChar **namespaces, int attribute_count, int defaulted,
                       const xmlChar **attributes)
{
    xmlParserCtxtPtr ctxt = ctx;

    xmlSAX2StartElementNs(ctx, name, prefix, uri, namespace_count, namespaces, attribute_count, defaulted,
                          attributes);
    if (ctxt->node && ctxt->input) {
        ctxt->node->line = (unsigned short)ctxt->input->line;
        ctxt->node->extra = (unsigned short)((unsigned)ctxt->input->line >> 16);
    }
}

long node_line(const xmlNode *n)
{
    if (n && n->type == XML_ATTRIBUTE_NODE)
        n = n->parent;
    return n ? (long)n->extra << 16 | n->line : 0;
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

xmlDocPtr load_memory(const char *path, const char *data, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a byte-order mark, which UTF-8 may have */
    struct load_state state = {.path = path};
    xmlParserCtxtPtr ctxt;
    xmlDocPtr doc;

    if (!text_acceptable(path, data, len))
        return NULL;
    if (len >= 3 && memcmp(data, mark, 3) == 0) {
        data += 3;
        len -= 3;
    }
    ctxt = xmlNewParserCtxt();
    if (!ctxt)
        cannot_run("out of memory");
    ctxt->_private = &state;
    ctxt->sax->internalSubset = on_doctype;
    ctxt->sax->externalSubset = on_doctype;
    ctxt->sax->startElementNs = on_element;
    ctxt->sax->comment = NULL;
    ctxt->sax->processingInstruction = NULL;
    xmlSetStructuredErrorFunc(ctxt, on_parse_error);
    /* text_acceptable() has seen that it is UTF-8: nothing is converted, whatever a declaration says. */
    doc = xmlCtxtReadMemory(ctxt, data, (int)len, path, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOCDATA | XML_PARSE_COMPACT |
                                XML_PARSE_IGNORE_ENC);
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlFreeParserCtxt(ctxt);
    if (!doc && !state.doctype && !state.reported)
        diag_add(SEV_ERROR, "XML-002", (struct where){path, 1},
                 "the file is not well-formed XML: it holds no document; mend it here");
    if (doc && (state.doctype || state.reported || !values_acceptable(path, doc))) {
        xmlFreeDoc(doc);
        doc = NULL;
    }
    return doc;
}

xmlDocPtr load_document(const char *path, struct input *input)
{
    size_t len;
    char *data = read_file(path, &len);
    xmlDocPtr doc;

    if (!data) {
        diag_add(SEV_ERROR, "XML-004", (struct where){path, 0},
                 "the file is larger than %s; no board or scenario needs that much", size_text(MAX_FILE));
        return NULL;
    }
    if (input)
        digest(data, len, input);
    doc = load_memory(path, data, len);
    free(data);
    return doc;
}
