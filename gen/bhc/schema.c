/* Shape: XSD 1.0 by libxml2, whose messages are put into words a person can act on. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/xmlerror.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>

#define XS_NAMESPACE "http://www.w3.org/2001/XMLSchema"

struct schema {
    const char *kind;
    xmlDocPtr doc; /* for the words that document a type */
    xmlSchemaParserCtxtPtr parser;
    xmlSchemaPtr parsed;
};

struct schema_state {
    const char *path;
    const struct schema *schema;
};

static bool is_xs(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && n->ns && strcmp((const char *)n->ns->href, XS_NAMESPACE) == 0 &&
           strcmp((const char *)n->name, name) == 0;
}

static bool restricts_to(const xmlNode *type, const char *pattern)
{
    for (xmlNode *r = type->children; r; r = r->next) {
        for (xmlNode *p = r->children; is_xs(r, "restriction") && p; p = p->next) {
            xmlChar *value = is_xs(p, "pattern") ? xmlGetNoNsProp(p, BAD_CAST "value") : NULL;
            bool same = value && strcmp((const char *)value, pattern) == 0;

            xmlFree(value);
            if (same)
                return true;
        }
    }
    return false;
}

static const char *documentation(const xmlNode *type)
{
    for (xmlNode *a = type->children; a; a = a->next) {
        for (xmlNode *d = a->children; is_xs(a, "annotation") && d; d = d->next) {
            xmlChar *text = is_xs(d, "documentation") ? xmlNodeGetContent(d) : NULL;

            if (text) {
                const char *copy = arena_strdup((const char *)text);

                xmlFree(text);
                return copy;
            }
        }
    }
    return NULL;
}

/* The annotation of the simple type that has this pattern, so that the words stand beside the pattern and
 * nowhere else. */
static const char *pattern_words(xmlDocPtr schema, const char *pattern)
{
    for (xmlNode *n = xmlDocGetRootElement(schema)->children; n; n = n->next) {
        if (is_xs(n, "simpleType") && restricts_to(n, pattern)) {
            const char *words = documentation(n);

            if (words)
                return words;
        }
    }
    return arena_printf("text of the form %s", pattern);
}

/* The piece of libxml2's message between `before` and `after`, "" when it is not there. */
static const char *between(const char *message, const char *before, const char *after)
{
    const char *from = strstr(message, before), *to;
    char *copy;

    if (!from)
        return "";
    from += strlen(before);
    to = strstr(from, after);
    if (!to)
        return "";
    copy = arena_strdup(from);
    copy[to - from] = '\0';
    return copy;
}

/* "ram, cpu" -> "<ram> or <cpu>" */
static const char *element_list(const char *names)
{
    char *copy = arena_strdup(names), *rest = NULL;
    const char *text = "";

    for (char *name = strtok_r(copy, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest))
        text = *text ? arena_printf("%s or <%s>", text, name) : arena_printf("<%s>", name);
    return text;
}

static void report_content(struct where at, const char *element, const char *message)
{
    const char *expected = between(message, "( ", " )");

    if (strstr(message, "Missing child")) {
        diag_add(SEV_ERROR, "XML-001", at, "<%s> lacks an element; add %s", element, element_list(expected));
    } else if (*expected) {
        diag_add(SEV_ERROR, "XML-001", at, "<%s> does not belong here; expected is %s", element,
                 element_list(expected));
    } else {
        diag_add(SEV_ERROR, "XML-001", at, "<%s> does not belong here; nothing more is expected, remove it",
                 element);
    }
}

static void on_schema_error(void *ctx, xmlErrorPtr error)
{
    const struct schema_state *state = ctx;
    const xmlNode *node = error->node;
    const char *message = error->message ? error->message : "";
    const char *element = between(message, "Element '", "'"),
               *attribute = between(message, "attribute '", "'");
    const char *value = error->str1 ? error->str1 : "", *detail = error->str2 ? error->str2 : "";
    struct where at = {state->path, node ? node_line(node) : error->line};
    const char *subject = *attribute ? arena_printf("<%s %s=\"%s\">", element, attribute, value)
                                     : arena_printf("<%s> holds \"%s\":", element, value);

    switch (error->code) {
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_4:
        diag_add(SEV_ERROR, "XML-001", at, "<%s> lacks the attribute %s; add it", element, value);
        break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_3_2_1:
        diag_add(SEV_ERROR, "XML-001", at, "<%s> has no attribute %s; remove it", element, attribute);
        break;
    case XML_SCHEMAV_CVC_PATTERN_VALID:
        diag_add(SEV_ERROR, "XML-001", at, "%s is not valid; write %s", subject,
                 pattern_words(state->schema->doc, detail));
        break;
    case XML_SCHEMAV_CVC_ENUMERATION_VALID:
        diag_add(SEV_ERROR, "XML-001", at, "%s is not known; write one of %s", subject, detail);
        break;
    case XML_SCHEMAV_ELEMENT_CONTENT:
        report_content(at, element, message);
        break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_2_3:
        diag_add(SEV_ERROR, "XML-001", at, "<%s> holds text, but takes only elements; remove the text",
                 element);
        break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_2_1:
        diag_add(SEV_ERROR, "XML-001", at, "<%s> holds text or elements, but takes none; remove them",
                 element);
        break;
    case XML_SCHEMAV_CVC_ELT_1:
        diag_add(
            SEV_ERROR, "XML-001", at,
            "the file begins with <%s>, a %s file begins with <%s>; were the files given in the wrong order?",
            element, state->schema->kind, state->schema->kind);
        break;
    default: {
        const char *text = between(message, ": ", "\n");

        diag_add(SEV_ERROR, "XML-001", at, "<%s>: %s; correct it after docs/CONFIG.md", element,
                 *text ? text : "has the wrong shape");
        break;
    }
    }
}

static void on_schema_file_error(void *ctx, xmlErrorPtr error)
{
    cannot_run("the schema %s is broken: line %d: %s", (const char *)ctx, error->line,
               error->message ? error->message : "");
}

struct schema *schema_open(const char *dir, const char *kind)
{
    char *file = arena_printf("%s/%s.xsd", dir, kind);
    struct schema *s = calloc(1, sizeof(*s));

    if (!s)
        cannot_run("out of memory");
    s->kind = kind;
    s->doc = load_document(file, NULL);
    if (!s->doc)
        cannot_run("the schema %s is broken", file);
    s->parser = xmlSchemaNewDocParserCtxt(s->doc);
    if (!s->parser)
        cannot_run("out of memory");
    xmlSchemaSetParserStructuredErrors(s->parser, on_schema_file_error, file);
    s->parsed = xmlSchemaParse(s->parser);
    if (!s->parsed)
        cannot_run("the schema %s cannot be used", file);
    return s;
}

void schema_close(struct schema *s)
{
    xmlSchemaFree(s->parsed);
    xmlSchemaFreeParserCtxt(s->parser);
    xmlFreeDoc(s->doc);
    free(s);
}

bool schema_validate(const struct schema *schema, xmlDocPtr doc, const char *path)
{
    struct schema_state state = {.path = path, .schema = schema};
    xmlSchemaValidCtxtPtr valid = xmlSchemaNewValidCtxt(schema->parsed);
    int result;

    if (!valid)
        cannot_run("out of memory");
    xmlSchemaSetValidStructuredErrors(valid, on_schema_error, &state);
    result = xmlSchemaValidateDoc(valid, doc);
    if (result < 0)
        cannot_run("the schema check of %s failed inside libxml2", path);
    xmlSchemaFreeValidCtxt(valid);
    return result == 0;
}

bool schema_check(xmlDocPtr doc, const char *path, const char *dir, const char *kind)
{
    struct schema *schema = schema_open(dir, kind);
    bool ok = schema_validate(schema, doc, path);

    schema_close(schema);
    return ok;
}
